/*
 * test_rules_template.c - the forms of templates that need no engine.
 *
 * Stands in until template/ exists: then its expansion is called from here.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "app/test_rules_priv.h"
#include "base/num.h"

// The part behind the prefix when the expression starts with it.
static bool take_prefix(struct str *s, const char *prefix)
{
    if (!str_starts(*s, str_c(prefix)))
        return false;
    *s = str_sub(*s, strlen(prefix), s->n);
    return true;
}

static bool put_map(struct buf *b, const struct conf_map *map, struct str name)
{
    for (size_t i = 0; i < map->n; i++)
        if (str_eq(map->v[i].key, name))
            buf_str(b, map->v[i].value);
    return true;
}

// One action; false: it needs more than there is here.
static bool put_action(struct buf *b, struct str action, const struct template_data *d)
{
    if (str_eq_c(action, "$value") || str_eq_c(action, ".Value")) {
        buf_double_g(b, d->value);
        return true;
    }
    if (str_eq_c(action, "$externalURL") || str_eq_c(action, ".ExternalURL")) {
        buf_str(b, d->test->external_url);
        return true;
    }
    if (str_starts(action, STR("/*")) && str_ends(action, STR("*/")))
        return true;
    bool outer = take_prefix(&action, "$externalLabels.") ||
                 take_prefix(&action, ".ExternalLabels.");
    if (!outer && !take_prefix(&action, "$labels.") && !take_prefix(&action, ".Labels."))
        return false;
    if (!label_name_is_legacy(action))
        return false;
    if (outer)
        return put_map(b, &d->test->external_labels, action);
    buf_str(b, labels_get(d->labels, action)); // an absent label is empty
    return true;
}

struct str template_expand(struct arena *a, struct str text, const struct template_data *d)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct str rest = text;

    for (size_t at; (at = str_find(rest, STR("{{"))) != STR_NPOS;) {
        size_t end = str_find(str_sub(rest, at, rest.n), STR("}}"));
        struct str before = str_sub(rest, 0, at);
        struct str action = str_sub(rest, at + 2, end == STR_NPOS ? at + 2 : at + end);
        if (str_starts(action, STR("- "))) {
            while (before.n && strchr(" \t\r\n", before.p[before.n - 1]))
                before.n--;
            action = str_sub(action, 2, action.n);
        }
        bool trim = str_ends(action, STR(" -"));
        action = str_trim(str_sub(action, 0, action.n - (trim ? 2 : 0)));
        buf_str(&b, before);
        if (end == STR_NPOS || !put_action(&b, action, d)) {
            fprintf(stderr, "  WARNING: this template is not yet supported: %.*s\n", STRF(text));
            return arena_printf(a, "<template not yet supported: %.*s>", STRF(text));
        }
        rest = str_sub(rest, at + end + 2, rest.n);
        while (trim && rest.n && strchr(" \t\r\n", rest.p[0]))
            rest = str_sub(rest, 1, rest.n);
    }
    buf_str(&b, rest);
    return arena_str(a, buf_view(&b));
}
