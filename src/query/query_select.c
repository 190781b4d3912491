/*
 * query_select.c - the matchers of a selector as the source is asked for them.
 *
 * `le` and `quantile` are numbers written as text: clients and servers differ in "1" and "1.0",
 * so = and != on these two labels accept every usual spelling of the number, unless the engine
 * is told to compare the text.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"
#include "base/regex.h"
#include "query/query_priv.h"

static bool is_number_matcher(const struct matcher *m, double *v)
{
    return (m->op == MATCH_EQ || m->op == MATCH_NE) &&
           (str_eq(m->name, STR("le")) || str_eq(m->name, STR("quantile"))) &&
           num_parse_double(m->value, v) && isfinite(*v);
}

static void buf_escaped(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool word = (s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'z') ||
                    (s.p[i] >= 'A' && s.p[i] <= 'Z') || s.p[i] == '_';

        if (!word)
            buf_char(b, '\\');
        buf_char(b, s.p[i]);
    }
}

// As written, shortest (1e+06), plain (1000000), and the last with a fraction (1000000.0).
static void buf_spellings(struct buf *b, struct str written, double v)
{
    char shortest[NUM_TEXT_MAX], plain[NUM_TEXT_MAX];
    struct str g = str_of(shortest, num_format_g(v, shortest));
    struct str f = str_of(plain, num_format_f(v, plain));

    buf_escaped(b, written);
    buf_char(b, '|');
    buf_escaped(b, g);
    buf_char(b, '|');
    buf_escaped(b, f);
    if (str_find_char(f, '.') == STR_NPOS) {
        buf_char(b, '|');
        buf_escaped(b, f);
        buf_lit(b, "\\.0");
    }
}

static bool number_matcher(struct query *q, const struct matcher *m, double v, struct matcher *out,
                           struct err *e)
{
    OWNED(buf_fini) struct buf text = { 0 };
    struct regex *re;

    buf_spellings(&text, m->value, v);
    struct str pattern = arena_str(q->keep, buf_view(&text));
    if (!regex_new(&re, pattern, REGEX_ANCHORED, e))
        return false;
    *vec_push_in(q->keep, &q->regexes) = re;
    *out = (struct matcher){ m->op == MATCH_EQ ? MATCH_RE : MATCH_NRE, m->name, pattern, re };
    return true;
}

bool query_select(struct query *q, const struct promql_node *n, int64_t lo_ms, int64_t hi_ms,
                  struct series_set *out, struct err *e)
{
    size_t count = n->selector.matcher_count;
    struct matcher *m = arena_array(q->keep, count + 1, struct matcher);
    struct select_query s = {
        .matchers = m, .matcher_count = count, .min_ms = lo_ms, .max_ms = hi_ms
    };
    double v;

    for (size_t i = 0; i < count; i++) {
        m[i] = n->selector.matchers[i];
        if (!q->engine->exact_numbers && is_number_matcher(&n->selector.matchers[i], &v) &&
            !number_matcher(q, &n->selector.matchers[i], v, &m[i], e))
            return false;
    }
    return q->view->ops->select(q->view, &s, q->keep, q->budget, out, e);
}
