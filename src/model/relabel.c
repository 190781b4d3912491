/*
 * relabel.c - relabelling rules.
 *
 * Most rules of real configurations copy a value (regex and replacement left
 * out) or set a constant; these are done without the regex engine. Semantics:
 * upstream's model/relabel/relabel.go of 3.x.
 */
// SPDX-License-Identifier: Apache-2.0
#include "model/relabel.h"

#include <openssl/evp.h>

#include "base/bytes.h"

static const char *const action_names[] = {
    [RELABEL_REPLACE] = "replace",     [RELABEL_KEEP] = "keep",
    [RELABEL_DROP] = "drop",           [RELABEL_KEEPEQUAL] = "keepequal",
    [RELABEL_DROPEQUAL] = "dropequal", [RELABEL_HASHMOD] = "hashmod",
    [RELABEL_LABELMAP] = "labelmap",   [RELABEL_LABELDROP] = "labeldrop",
    [RELABEL_LABELKEEP] = "labelkeep", [RELABEL_LOWERCASE] = "lowercase",
    [RELABEL_UPPERCASE] = "uppercase",
};

bool relabel_action_of(struct str name, enum relabel_action *out)
{
    for (size_t i = 0; i < ARRAY_LEN(action_names); i++) {
        if (str_eq_nocase(name, str_c(action_names[i]))) {
            *out = (enum relabel_action)i;
            return true;
        }
    }
    return false;
}

const char *relabel_action_name(enum relabel_action a)
{
    assert((size_t)a < ARRAY_LEN(action_names));
    return action_names[a];
}

/* ---- checking ---- */

static bool has_variable(struct str template)
{
    return str_find_char(template, '$') != STR_NPOS;
}

static bool is_word(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static size_t word_length(struct str s, size_t at)
{
    size_t n = 0;

    while (at + n < s.n && is_word(s.p[at + n]))
        n++;
    return n;
}

// Length of $name or ${name} at s.p[at] == '$', 0: neither.
static size_t variable_length(struct str s, size_t at)
{
    bool brace = at + 1 < s.n && s.p[at + 1] == '{';
    size_t n = word_length(s, at + 1 + brace);

    if (n == 0 || !brace)
        return n ? n + 1 : 0;
    return at + 2 + n < s.n && s.p[at + 2 + n] == '}' ? n + 3 : 0;
}

// A legacy label name in which variables may stand for parts.
static bool is_legacy_template(struct str s)
{
    for (size_t at = 0; at < s.n;) {
        size_t n = 1;

        if (s.p[at] == '$')
            n = variable_length(s, at);
        else if (!is_word(s.p[at]) || (at == 0 && s.p[at] >= '0' && s.p[at] <= '9'))
            n = 0;
        if (n == 0)
            return false;
        at += n;
    }
    return s.n > 0;
}

static bool is_label_name(const struct relabel_rule *r, struct str name)
{
    return r->legacy_names ? label_name_is_legacy(name) : name.n > 0 && str_is_utf8(name);
}

static bool is_label_template(const struct relabel_rule *r, struct str template)
{
    return r->legacy_names ? is_legacy_template(template) : is_label_name(r, template);
}

static bool is_invalid(const struct relabel_rule *r, struct str value, const char *field,
                       struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_quoted(&b, value);
    return err_set(e, ERR_INVALID, "%.*s is invalid '%s' for %s action", STRF(buf_view(&b)), field,
                   relabel_action_name(r->action));
}

static bool uses_default_regex(const struct relabel_rule *r)
{
    return !r->re || str_eq(regex_pattern(r->re), RELABEL_REGEX);
}

static bool check_target(const struct relabel_rule *r, struct err *e)
{
    bool ok = is_label_name(r, r->target_label);

    if (r->target_label.n == 0)
        return err_set(e, ERR_INVALID,
                       "relabel configuration for %s action requires 'target_label' value",
                       relabel_action_name(r->action));
    if (r->action == RELABEL_REPLACE && has_variable(r->target_label))
        ok = is_label_template(r, r->target_label);
    return ok || is_invalid(r, r->target_label, "target_label", e);
}

static bool check_replacement_unset(const struct relabel_rule *r, struct err *e)
{
    return str_eq(r->replacement, RELABEL_REPLACEMENT) ||
           err_set(e, ERR_INVALID, "'replacement' can not be set for %s action",
                   relabel_action_name(r->action));
}

// True when the fields that neither kind of pure comparison or filter takes are at their defaults.
static bool is_plain(const struct relabel_rule *r)
{
    return r->modulus == 0 && str_eq(r->separator, RELABEL_SEPARATOR) &&
           str_eq(r->replacement, RELABEL_REPLACEMENT);
}

bool relabel_rule_check(const struct relabel_rule *r, struct err *e)
{
    switch (r->action) {
    case RELABEL_HASHMOD:
        if (r->modulus == 0)
            return err_set(e, ERR_INVALID,
                           "relabel configuration for hashmod requires non-zero modulus");
        return check_target(r, e);
    case RELABEL_REPLACE:
        return check_target(r, e);
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        return check_target(r, e) && check_replacement_unset(r, e);
    case RELABEL_KEEPEQUAL:
    case RELABEL_DROPEQUAL:
        if (!check_target(r, e) || !check_replacement_unset(r, e))
            return false;
        if (!uses_default_regex(r) || !is_plain(r))
            return err_set(e, ERR_INVALID,
                           "%s action requires only 'source_labels' and `target_label`, and no "
                           "other fields",
                           relabel_action_name(r->action));
        return true;
    case RELABEL_LABELMAP:
        return is_label_template(r, r->replacement) ||
               is_invalid(r, r->replacement, "replacement", e);
    case RELABEL_LABELDROP:
    case RELABEL_LABELKEEP:
        if (r->source_count || r->target_label.n || !is_plain(r))
            return err_set(e, ERR_INVALID, "%s action requires only 'regex', and no other fields",
                           relabel_action_name(r->action));
        return true;
    case RELABEL_KEEP:
    case RELABEL_DROP:
        return true;
    }
    return err_set(e, ERR_INVALID, "relabel action cannot be empty");
}

/* ---- applying ---- */

struct work {
    struct labels_builder *b;
    struct arena *a;
    struct buf scratch;
};

static struct str joined_sources(struct work *w, const struct relabel_rule *r)
{
    if (r->source_count == 0)
        return STR_NONE;
    if (r->source_count == 1)
        return labels_builder_get(w->b, r->source_labels[0]);
    buf_reset(&w->scratch);
    for (size_t i = 0; i < r->source_count; i++) {
        if (i > 0)
            buf_str(&w->scratch, r->separator);
        buf_str(&w->scratch, labels_builder_get(w->b, r->source_labels[i]));
    }
    return arena_str(w->a, buf_view(&w->scratch));
}

static bool matches(const struct relabel_rule *r, struct str s)
{
    return !r->re || regex_match(r->re, s);
}

// Expands a template against (.*), whose only group, like the match, is all of s.
static void expand_whole(struct buf *out, struct str template, struct str s)
{
    for (size_t at = 0; at < template.n;) {
        size_t n = template.p[at] == '$' ? variable_length(template, at) : 0;
        struct str name = str_sub(template, at + 1, at + n);

        if (n && name.p[0] == '{')
            name = str_sub(name, 1, name.n - 1);
        if (n && (str_eq(name, STR("0")) || str_eq(name, STR("1"))))
            buf_str(out, s);
        if (n == 0) {
            buf_char(out, template.p[at]);
            n = str_starts(str_sub(template, at, template.n), STR("$$")) ? 2 : 1;
        }
        at += n;
    }
}

// The template with its variables filled in; call only when s matches.
static struct str expand(struct work *w, const struct relabel_rule *r, struct str template,
                         struct str s)
{
    if (!has_variable(template))
        return template;
    if (!r->re && str_eq(template, RELABEL_REPLACEMENT))
        return s;
    buf_reset(&w->scratch);
    if (!r->re)
        expand_whole(&w->scratch, template, s);
    else if (!regex_expand(r->re, s, template, &w->scratch))
        return STR_NONE;
    return arena_str(w->a, buf_view(&w->scratch));
}

static void apply_replace(struct work *w, const struct relabel_rule *r, struct str s)
{
    struct str target;

    assert(r->action == RELABEL_REPLACE);
    if (!matches(r, s))
        return;
    target = expand(w, r, r->target_label, s);
    if (!is_label_name(r, target))
        return;
    labels_builder_set(w->b, target, expand(w, r, r->replacement, s));
}

static void apply_hashmod(struct work *w, const struct relabel_rule *r, struct str s)
{
    unsigned char digest[EVP_MAX_MD_SIZE] = { 0 };
    uint64_t hash;

    assert(r->modulus);
    // The last 8 of 16 bytes: what upstream has used since its first version.
    if (!EVP_Q_digest(NULL, "MD5", NULL, s.p ? s.p : "", s.n, digest, NULL))
        return; // a provider without MD5: no label rather than a wrong shard
    hash = (uint64_t)get_be32(digest + 8) << 32 | get_be32(digest + 12);
    labels_builder_set(w->b, r->target_label,
                       arena_printf(w->a, "%llu", (unsigned long long)(hash % r->modulus)));
}

static void apply_labelmap(struct work *w, const struct relabel_rule *r)
{
    struct labels now = labels_builder_view(w->b);
    struct label *before;

    if (now.n == 0)
        return;
    before = arena_copy(w->a, now.v, now.n * sizeof *now.v);
    for (size_t i = 0; i < now.n; i++) {
        if (matches(r, before[i].name))
            labels_builder_set(w->b, expand(w, r, r->replacement, before[i].name), before[i].value);
    }
}

// Removes the labels whose names match (drop) or do not (!drop).
static void apply_filter(struct work *w, const struct relabel_rule *r, bool drop)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->b->n; i++) {
        if (matches(r, w->b->v[i].name) != drop)
            w->b->v[kept++] = w->b->v[i];
    }
    w->b->n = kept;
}

static void apply_case(struct work *w, const struct relabel_rule *r, struct str s)
{
    buf_reset(&w->scratch);
    if (r->action == RELABEL_LOWERCASE)
        buf_lower(&w->scratch, s);
    else
        buf_upper(&w->scratch, s);
    labels_builder_set(w->b, r->target_label, arena_str(w->a, buf_view(&w->scratch)));
}

static bool apply_one(struct work *w, const struct relabel_rule *r)
{
    struct str s = joined_sources(w, r);

    switch (r->action) {
    case RELABEL_KEEP:
        return matches(r, s);
    case RELABEL_DROP:
        return !matches(r, s);
    case RELABEL_KEEPEQUAL:
        return str_eq(labels_builder_get(w->b, r->target_label), s);
    case RELABEL_DROPEQUAL:
        return !str_eq(labels_builder_get(w->b, r->target_label), s);
    case RELABEL_REPLACE:
        apply_replace(w, r, s);
        return true;
    case RELABEL_HASHMOD:
        apply_hashmod(w, r, s);
        return true;
    case RELABEL_LABELMAP:
        apply_labelmap(w, r);
        return true;
    case RELABEL_LABELDROP:
    case RELABEL_LABELKEEP:
        apply_filter(w, r, r->action == RELABEL_LABELDROP);
        return true;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        apply_case(w, r, s);
        return true;
    }
    assert(false && "rule without a valid action");
    return true;
}

bool relabel_apply(const struct relabel_rule *rules, size_t n, struct labels_builder *b,
                   struct arena *a)
{
    struct work w = { b, a, { 0 } };
    bool keep = true;

    for (size_t i = 0; i < n && keep; i++)
        keep = apply_one(&w, &rules[i]);
    buf_fini(&w.scratch);
    return keep;
}
