// test_rules_diff.c - two lists of alerts, compared in colour, as the library jsondiff prints them.
// SPDX-License-Identifier: Apache-2.0
#include "app/test_rules_priv.h"
#include "codec/json.h"

#define RED    "\033[0;31m" // only expected
#define GREEN  "\033[0;32m" // only got
#define YELLOW "\033[0;33m" // changed
#define PLAIN  "\033[0m"

enum { INDENT = 4, BASE = 12 }; // blanks per level; of the whole in its message

static void new_line(struct buf *b, int level, const char *colour)
{
    buf_printf(b, "%s\n%*s%s", *colour ? PLAIN : "", BASE + INDENT * level, "", colour);
}

// One label on both sides; p NULL: not on that side.
static void put_pair(struct buf *b, struct str name, struct str want, struct str got)
{
    const char *colour = !got.p ? RED : !want.p ? GREEN : "";

    buf_str(b, str_c(colour));
    buf_json_str(b, name);
    buf_lit(b, ": ");
    if (want.p && got.p && !str_eq(want, got)) {
        buf_lit(b, YELLOW);
        buf_json_str(b, want);
        buf_lit(b, " => ");
        buf_json_str(b, got);
        buf_lit(b, PLAIN);
        return;
    }
    buf_json_str(b, want.p ? want : got);
    buf_str(b, *colour ? STR(PLAIN) : STR_NONE);
}

// The value, never with p NULL when there is such a label.
static struct str value_of(const struct label *l)
{
    return l->value.p ? l->value : STR("");
}

static void put_labels(struct buf *b, const char *key, struct labels want, struct labels got)
{
    size_t i = 0, k = 0;

    buf_printf(b, "\"%s\": {", key);
    for (bool first = true; i < want.n || k < got.n; first = false) {
        int c = i == want.n ? 1 : k == got.n ? -1 : str_cmp(want.v[i].name, got.v[k].name);
        struct str name = c <= 0 ? want.v[i].name : got.v[k].name;
        struct str x = c <= 0 ? value_of(&want.v[i++]) : STR_NONE;
        struct str y = c >= 0 ? value_of(&got.v[k++]) : STR_NONE;
        buf_str(b, first ? STR_NONE : STR(","));
        new_line(b, 3, "");
        put_pair(b, name, x, y);
    }
    if (want.n || got.n)
        new_line(b, 2, "");
    buf_char(b, '}');
}

static void put_both(struct buf *b, const struct alert *want, const struct alert *got)
{
    buf_char(b, '{');
    new_line(b, 2, "");
    put_labels(b, "Annotations", want->annotations, got->annotations);
    buf_char(b, ',');
    new_line(b, 2, "");
    put_labels(b, "Labels", want->labels, got->labels);
    new_line(b, 1, "");
    buf_char(b, '}');
}

static void put_set(struct buf *b, const char *key, struct labels ls, const char *colour)
{
    buf_printf(b, "\"%s\": {", key);
    for (size_t i = 0; i < ls.n; i++) {
        buf_str(b, i ? STR(",") : STR_NONE);
        new_line(b, 3, colour);
        buf_json_str(b, ls.v[i].name);
        buf_lit(b, ": ");
        buf_json_str(b, ls.v[i].value);
    }
    if (ls.n)
        new_line(b, 2, colour);
    buf_char(b, '}');
}

// An alert that is on one side only.
static void put_one(struct buf *b, const struct alert *a, const char *colour)
{
    buf_printf(b, "%s{", colour);
    new_line(b, 2, colour);
    put_set(b, "Annotations", a->annotations, colour);
    buf_char(b, ',');
    new_line(b, 2, colour);
    put_set(b, "Labels", a->labels, colour);
    new_line(b, 1, colour);
    buf_lit(b, "}" PLAIN);
}

struct str alert_diff(struct arena *a, const struct alert_list *want, const struct alert_list *got)
{
    static const struct alert nothing;
    OWNED(buf_fini) struct buf b = { 0 };
    size_t wn = MAX(want->v.n, (size_t)1), gn = MAX(got->v.n, (size_t)1);

    buf_char(&b, '[');
    for (size_t i = 0; i < MAX(wn, gn); i++) {
        const struct alert *x = want->v.n ? &want->v.v[i] : &nothing;
        const struct alert *y = got->v.n ? &got->v.v[i] : &nothing;
        buf_str(&b, i ? STR(",") : STR_NONE);
        new_line(&b, 1, "");
        if (i < wn && i < gn)
            put_both(&b, x, y);
        else
            put_one(&b, i < wn ? x : y, i < wn ? RED : GREEN);
    }
    new_line(&b, 0, "");
    buf_char(&b, ']');
    return arena_str(a, buf_view(&b));
}
