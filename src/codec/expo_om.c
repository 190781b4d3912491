/*
 * expo_om.c - the OpenMetrics text format, versions 0.0.1 and 1.0.0.
 *
 *   line     = series " " value [" " time] [" # {" labels "}" " " value [" " time]] "\n"
 *            | "# " ("HELP" | "TYPE" | "UNIT") " " name " " text "\n"
 *   the end  = "# EOF" ["\n"], and nothing behind it
 *
 * One space between the parts, no empty lines, no other comments. Times are
 * seconds with a fraction. As lax as Prometheus's scraper in what the lines of
 * a family say; expo_check.c is strict.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/expo.h"

#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "base/rune.h"
#include "codec/expo_priv.h"

static const char no_eof[] = "data does not end with # EOF";

static inline bool at(const struct lex *l, size_t ahead, char c)
{
    return (size_t)(l->end - l->p) > ahead && l->p[ahead] == c;
}

static inline void take_to_space(struct lex *l)
{
    while (l->p < l->end && *l->p != ' ' && *l->p != '\n' && *l->p != 0)
        l->p++;
}

/*
 * Reads a space and what follows up to the next space or newline: [l->tok, l->p). False: there is
 * no such token, and l->p is where it broke off.
 */
static bool take_spaced(struct lex *l)
{
    l->tok = l->p;
    if (!at(l, 0, ' '))
        return false;
    l->p++;
    take_to_space(l);
    return l->p > l->tok + 1;
}

static bool value_slow(struct lex *l, const char *expected, double *out, struct err *e)
{
    if (l->p == l->end)
        return lex_fail(l, expected, TOK_EOF, e);
    if (!take_spaced(l))
        return lex_fail(l, expected, TOK_INVALID, e);
    return lex_float(l, 1, out, e);
}

static int64_t ms_of(double seconds)
{
    double ms = seconds * 1000;

    if (ms >= 9.2e18)
        return INT64_MAX;
    return ms <= -9.2e18 ? INT64_MIN : (int64_t)ms;
}

// The time in hand: any finite float.
static bool time_of(const struct lex *l, const char *what, int64_t *out, struct err *e)
{
    double t;

    if (!lex_float(l, 1, &t, e))
        return false;
    if (!isfinite(t)) {
        char text[64];

        snprintf(text, sizeof text, "invalid %s %s", what,
                 isnan(t) ? "NaN" : (t > 0 ? "+Inf" : "-Inf"));
        return lex_fail_plain(l, text, e);
    }
    *out = ms_of(t);
    return true;
}

// Behind ` # {`.
static bool exemplar_tail(struct expo *x, struct err *e)
{
    struct lex *l = &x->l;
    struct expo_exemplar *ex = &x->exemplar;
    const char *from = l->p;

    if (!lex_labels(l, true, true, NULL, e))
        return false;
    *ex = (struct expo_exemplar){ .raw = str_of(from, (size_t)(l->p - from)) };
    if (!value_slow(l, "expected value after exemplar labels", &ex->value, e))
        return false;
    if (l->p == l->end)
        return lex_fail_plain(l, no_eof, e);
    if (at(l, 0, '\n')) {
        l->p++;
        return true;
    }
    if (!take_spaced(l))
        return lex_fail(l, "expected timestamp or comment", TOK_INVALID, e);
    if (!time_of(l, "exemplar timestamp", &ex->t_ms, e))
        return false;
    ex->has_time = true;
    l->tok = l->p;
    if (!at(l, 0, '\n'))
        return lex_fail(l, "expected next entry after exemplar timestamp",
                        l->p == l->end ? TOK_EOF : TOK_INVALID, e);
    l->p++;
    return true;
}

static bool at_exemplar(const struct lex *l)
{
    return at(l, 0, ' ') && at(l, 1, '#') && at(l, 2, ' ') && at(l, 3, '{');
}

static bool fail_after_time(struct lex *l, struct err *e)
{
    enum expo_tok got = TOK_EOF;

    if (l->p < l->end)
        got = take_spaced(l) ? TOK_TIMESTAMP : TOK_INVALID;
    return lex_fail(l, "expected next entry after timestamp", got, e);
}

// Behind the value, when that is not the end of the line.
static NOINLINE bool rest_of_line(struct expo *x, struct expo_event *ev, struct err *e)
{
    struct lex *l = &x->l;

    if (l->p == l->end)
        return lex_fail_plain(l, no_eof, e);
    if (!at_exemplar(l)) {
        if (!take_spaced(l)) {
            l->line = l->tok = l->p;
            return lex_fail(l, "expected a valid start token", TOK_INVALID, e);
        }
        if (!time_of(l, "timestamp", &ev->t_ms, e))
            return false;
        ev->has_time = true;
        if (at(l, 0, '\n')) {
            l->p++;
            return true;
        }
        if (!at_exemplar(l))
            return fail_after_time(l, e);
    }
    l->p += 4;
    if (!exemplar_tail(x, e))
        return false;
    ev->exemplars = 1;
    ev->exemplar = &x->exemplar;
    return true;
}

static inline bool sample_tail(struct expo *x, struct expo_event *ev, struct err *e)
{
    struct lex *l = &x->l;
    size_t n = at(l, 0, ' ') ? lex_short_decimal(l->p + 1, l->end, &ev->value) : 0;

    if (LIKELY(n && l->p + 1 + n < l->end && (l->p[1 + n] == '\n' || l->p[1 + n] == ' '))) {
        l->tok = l->p;
        l->p += 1 + n;
    } else if (!value_slow(l, "expected value after metric", &ev->value, e)) {
        return false;
    }
    ev->has_time = false;
    ev->exemplars = 0;
    if (LIKELY(at(l, 0, '\n'))) {
        l->p++;
        return true;
    }
    return rest_of_line(x, ev, e);
}

/* ---- start times ---- */

static bool has_start(enum expo_type t)
{
    return t == EXPO_COUNTER || t == EXPO_HISTOGRAM || t == EXPO_SUMMARY;
}

static bool is_created(struct expo_labels ls)
{
    return str_ends(ls.v[0].value, STR("_created"));
}

/*
 * A key of what `_created` speaks of: the labels without le and quantile in any order, and the name
 * of the family, which is what is before the suffix of the type.
 */
static uint64_t start_key(const struct expo *x, struct expo_labels ls)
{
    static const struct str suffixes[] = {
        { "_created", 8 }, { "_total", 6 }, { "_bucket", 7 }, { "_count", 6 }, { "_sum", 4 }
    };
    struct str name = ls.v[0].value;
    uint64_t key = 0;

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (str_ends(name, suffixes[i])) {
            name.n -= suffixes[i].n;
            break;
        }
    }
    for (size_t i = 1; i < ls.n; i++) {
        if ((x->type == EXPO_SUMMARY && str_eq(ls.v[i].name, STR("quantile"))) ||
            (x->type == EXPO_HISTOGRAM && str_eq(ls.v[i].name, STR("le"))))
            continue;
        key += hash_seeded(ls.v[i].value, hash_seeded(ls.v[i].name, x->seed));
    }
    return hash_seeded(name, x->seed ^ key);
}

// Reads the line at p as a `_created` sample: its key and time. False: it is something else.
static bool created_line(struct expo *x, const char *p, const char *line_end)
{
    struct expo_labels ls;
    double v;
    struct lex l = x->l;

    if (!memmem(p, (size_t)(line_end - p), "_created", 8))
        return false;
    l.p = l.tok = l.line = p;
    if (!lex_series(&l, NULL, &(struct err){ 0 })) // the parser will come to it and tell
        return false;
    if (!expo_series_decode(EXPO_OPENMETRICS, EXPO_UNKNOWN, str_of(p, (size_t)(l.p - p)),
                            &x->scratch, &ls, &(struct err){ 0 }) || // as above
        !is_created(ls) ||
        !value_slow(&l, "", &v, &(struct err){ 0 }))
        return false;
    x->created.from = p;
    x->created.key = start_key(x, ls);
    x->created.start_ms = ms_of(v);
    return true;
}

/*
 * The start time that the next `_created` line of this family gives, if it is for these labels. Each
 * line is looked at once, however many samples ask: linear in the page.
 */
static int64_t start_of(struct expo *x, struct str series)
{
    struct expo_created *c = &x->created;
    struct expo_labels ls;
    const char *p = x->l.p;

    if (p < c->none_to)
        return 0;
    arena_reset(&x->scratch);
    if (!c->from || c->from < p) {
        c->from = NULL;
        while (p < x->l.end && is_class(*p, CLASS_NAME | CLASS_DIGIT) | (*p == '{')) {
            const char *nl = memchr(p, '\n', (size_t)(x->l.end - p));
            if (!nl || created_line(x, p, nl))
                break;
            p = nl + 1;
        }
        if (!c->from) {
            c->none_to = p;
            return 0;
        }
    }
    if (!expo_series_decode(EXPO_OPENMETRICS, EXPO_UNKNOWN, series, &x->scratch, &ls,
                            &(struct err){ 0 })) // it has parsed; a bad name is the scraper's
        return 0;
    return start_key(x, ls) == c->key ? c->start_ms : 0;
}

// Whether the sample in hand is a `_created` line of a type that has start times.
static bool sample_is_created(struct expo *x, struct str series)
{
    struct expo_labels ls;

    if (!memmem(series.p, series.n, "_created", 8))
        return false;
    arena_reset(&x->scratch);
    return expo_series_decode(EXPO_OPENMETRICS, EXPO_UNKNOWN, series, &x->scratch, &ls,
                              &(struct err){ 0 }) && // as above
           is_created(ls);
}

/* ---- entries ---- */

// 1: a sample; 0: a `_created` line that is none; −1: an error.
static int sample_next(struct expo *x, struct expo_event *ev, struct err *e)
{
    struct lex *l = &x->l;

    ev->kind = EXPO_SAMPLE;
    ev->type = x->type;
    ev->start_ms = 0;
    if (LIKELY(expo_match(x, l->p, (size_t)(l->end - l->p), ev)) &&
        (l->p[ev->series.n - 1] == '}' || l->p[ev->series.n] == ' ')) {
        x->known_at++;
        l->p += ev->series.n;
    } else {
        if (!lex_series(l, NULL, e))
            return -1;
        expo_match_slow(x, str_of(l->line, (size_t)(l->p - l->line)), ev);
    }
    if (!sample_tail(x, ev, e))
        return -1;
    if (x->o.created_is_start && has_start(x->type)) {
        if (sample_is_created(x, ev->series))
            return 0;
        ev->start_ms = start_of(x, ev->series);
    }
    return 1;
}

static bool type_of(struct str s, enum expo_type *out)
{
    static const struct str names[] = {
        [EXPO_UNKNOWN] = { "unknown", 7 }, [EXPO_COUNTER] = { "counter", 7 },
        [EXPO_GAUGE] = { "gauge", 5 },     [EXPO_HISTOGRAM] = { "histogram", 9 },
        [EXPO_SUMMARY] = { "summary", 7 }, [EXPO_GAUGE_HISTOGRAM] = { "gaugehistogram", 14 },
        [EXPO_INFO] = { "info", 4 },       [EXPO_STATESET] = { "stateset", 8 },
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(s, names[i])) {
            *out = (enum expo_type)i;
            return true;
        }
    }
    return false;
}

static bool fail_quoting(const struct lex *l, const char *before, struct str s, struct str after,
                         struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_printf(&b, "%s ", before);
    buf_quoted(&b, str_sub(s, 0, 128));
    buf_str(&b, after);
    return lex_fail_plain(l, buf_cstr(&b), e);
}

// Text behind a name: a space, anything, a newline; false when it is not that.
static bool meta_text(struct lex *l, struct str *out)
{
    const char *nl = memchr(l->p, '\n', (size_t)(l->end - l->p));

    l->tok = l->p;
    if (!nl || !at(l, 0, ' '))
        return false;
    *out = str_of(l->p + 1, (size_t)(nl - l->p) - 1);
    l->p = nl + 1;
    return true;
}

static bool check_unit(const struct lex *l, struct str name, struct str unit, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (unit.n == 0 ||
        (name.n > unit.n && str_ends(name, unit) && name.p[name.n - unit.n - 1] == '_'))
        return true;
    buf_lit(&b, " not a suffix of metric ");
    buf_quoted(&b, str_sub(name, 0, 128));
    return fail_quoting(l, "unit", unit, buf_view(&b), e);
}

static bool meta_next(struct expo *x, struct expo_event *ev, const char *keyword, struct err *e)
{
    struct lex *l = &x->l;
    char text[32];

    l->p += 7; // "# TYPE "
    if (!lex_meta_name(l, keyword, &ev->name, e))
        return false;
    if (!meta_text(l, &ev->text)) {
        snprintf(text, sizeof text, "expected text in %s", keyword);
        return lex_fail_plain(l, text, e);
    }
    if (*keyword == 'T') {
        ev->kind = EXPO_META_TYPE;
        if (!type_of(ev->text, &x->type))
            return fail_quoting(l, "invalid metric type", ev->text, STR_NONE, e);
    } else if (*keyword == 'H') {
        ev->kind = EXPO_META_HELP;
        if (!str_is_utf8(ev->text))
            return fail_quoting(l, "help text", ev->text, STR(" is not a valid utf8 string"), e);
        ev->text = expo_help_text(x, ev->text, true);
    } else {
        ev->kind = EXPO_META_UNIT;
        if (!check_unit(l, ev->name, ev->text, e))
            return false;
    }
    ev->type = x->type;
    return true;
}

// Where the words of "# …" cease to fit: for the message.
static bool fail_hash_line(struct lex *l, struct err *e)
{
    static const char *const words[] = { "# HELP ", "# TYPE ", "# UNIT ", "# EOF" };
    size_t left = (size_t)(l->end - l->p), best = 0;

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t n = 0;
        while (n < left && words[i][n] && l->p[n] == words[i][n])
            n++;
        best = MAX(best, n);
    }
    l->p += best;
    return lex_fail(l, "expected a valid start token", TOK_INVALID, e);
}

static int hash_line(struct expo *x, struct expo_event *ev, struct err *e)
{
    static const char *const keywords[] = { "HELP", "TYPE", "UNIT" };
    struct lex *l = &x->l;
    struct str left = str_of(l->p, (size_t)(l->end - l->p));

    if (left.n >= 7 && left.p[1] == ' ' && left.p[6] == ' ') {
        for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
            if (memcmp(left.p + 2, keywords[i], 4) == 0)
                return meta_next(x, ev, keywords[i], e) ? 1 : -1;
    }
    if (!str_starts(left, STR("# EOF"))) {
        fail_hash_line(l, e);
        return -1;
    }
    l->p += 5;
    if (at(l, 0, '\n'))
        l->p++;
    if (l->p < l->end) {
        l->tok = l->p;
        lex_fail_plain(l, "unexpected data after # EOF", e);
        return -1;
    }
    x->ended = true;
    return 0;
}

int expo_om_next(struct expo *x, struct expo_event *ev, struct err *e)
{
    struct lex *l = &x->l;

    while (!x->ended) {
        l->line = l->tok = l->p;
        if (l->p == l->end) {
            lex_fail_plain(l, no_eof, e);
            return -1;
        }
        int got = 0;
        if (LIKELY(is_class(*l->p, CLASS_NAME) || *l->p == '{'))
            got = sample_next(x, ev, e);
        else if (*l->p == '#')
            got = hash_line(x, ev, e);
        else
            got = lex_fail(l, "expected a valid start token", TOK_INVALID, e) ? 1 : -1;
        if (got)
            return got;
    }
    return 0;
}
