/*
 * matcher.c - label matchers.
 *
 * Dashboards are full of =~".*", =~".+" and =~"": these never reach the regex.
 */
// SPDX-License-Identifier: Apache-2.0
#include "model/matcher.h"

static bool match_regex(const struct matcher *m, struct str value)
{
    if (m->value.n == 0)
        return value.n == 0;
    if (m->value.n == 2 && m->value.p[0] == '.') {
        if (m->value.p[1] == '*')
            return true;
        if (m->value.p[1] == '+')
            return value.n > 0;
    }
    assert(m->re);
    return regex_match(m->re, value);
}

bool matcher_matches(const struct matcher *m, struct str value)
{
    switch (m->op) {
    case MATCH_EQ:
        return str_eq(value, m->value);
    case MATCH_NE:
        return !str_eq(value, m->value);
    case MATCH_RE:
        return match_regex(m, value);
    case MATCH_NRE:
        return !match_regex(m, value);
    }
    assert(false && "matcher without a valid op");
    return false;
}

bool matchers_match(const struct matcher *m, size_t n, struct labels ls)
{
    for (size_t i = 0; i < n; i++) {
        if (!matcher_matches(&m[i], labels_get(ls, m[i].name)))
            return false;
    }
    return true;
}

const char *match_op_text(enum match_op op)
{
    static const char *const text[] = {
        [MATCH_EQ] = "=", [MATCH_NE] = "!=", [MATCH_RE] = "=~", [MATCH_NRE] = "!~"
    };

    assert((size_t)op < ARRAY_LEN(text));
    return text[op];
}

void buf_matcher(struct buf *b, const struct matcher *m)
{
    buf_label_name(b, m->name);
    buf_str(b, str_c(match_op_text(m->op)));
    buf_quoted(b, m->value);
}
