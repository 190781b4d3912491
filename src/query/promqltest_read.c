/*
 * promqltest_read.c - commands of a script: load and eval with their bodies.
 */
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/time.h"
#include "model/histogram.h"
#include "model/histogram_ops.h"
#include "query/promqltest_priv.h"

bool script_fail(struct script *s, size_t line, struct err *e, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_at(e, (struct pos){ (uint32_t)line + 1, 1, 0 }, ERR_INVALID, "%s:%zu: %s", s->name,
                  line + 1, text);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

// Cuts the next word off, with the white space around it.
static struct str next_word(struct str *rest)
{
    size_t n = 0;

    *rest = str_trim(*rest);
    while (n < rest->n && !is_space(rest->p[n]))
        n++;
    struct str word = str_sub(*rest, 0, n);
    *rest = str_trim(str_sub(*rest, n, rest->n));
    return word;
}

static bool take_word(struct str *rest, const char *word)
{
    struct str copy = *rest;

    if (!str_eq_c(next_word(&copy), word))
        return false;
    *rest = copy;
    return true;
}

// A duration from the epoch: 1h30m, or plain seconds; a sign is allowed.
static bool time_parse(struct str s, int64_t *out_ms)
{
    bool negative = s.n && s.p[0] == '-';
    struct err unused = { 0 };
    double seconds;

    if (negative)
        s = str_sub(s, 1, s.n);
    if (!duration_parse(s, out_ms, &unused)) {
        if (!num_parse_double(s, &seconds) || !isfinite(seconds))
            return false;
        *out_ms = ms_from_seconds(seconds);
    }
    if (negative)
        *out_ms = -*out_ms;
    return true;
}

/* ---- start timestamps: `series@st -30s-1mx2 _ 0` ---- */

struct starts {
    struct labels labels;
    VEC(struct promql_seq_value) v; // value: ms relative to the sample
};

// A signed duration at the front of *s; false: none there.
static bool take_duration(struct str *s, int64_t *out_ms)
{
    bool negative = s->n && s->p[0] == '-';
    size_t n = s->n && (s->p[0] == '-' || s->p[0] == '+'), from = n;
    struct err unused = { 0 };

    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    if (n == from)
        return false;
    while (n < s->n && s->p[n] >= 'a' && s->p[n] <= 'z' && s->p[n] != 'x')
        n++;
    if (!duration_parse(str_sub(*s, from, n), out_ms, &unused))
        return false;
    if (negative)
        *out_ms = -*out_ms;
    *s = str_sub(*s, n, s->n);
    return true;
}

static bool take_repeat(struct str *s, uint64_t *out)
{
    if (s->n < 2 || s->p[0] != 'x' || !str_to_u64(str_sub(*s, 1, s->n), out) ||
        *out > PROMQL_SEQ_MAX)
        return false;
    *s = STR_NONE;
    return true;
}

static bool start_item(struct arena *a, struct str item, struct starts *out)
{
    int64_t base = 0, step = 0;
    uint64_t n = 0;
    bool gap = item.n && item.p[0] == '_';

    if (gap) {
        struct str rest = str_sub(item, 1, item.n);

        if (rest.n && (!take_repeat(&rest, &n) || !n--))
            return false;
    } else {
        if (!take_duration(&item, &base))
            return false;
        if (item.n && item.p[0] != 'x' && !take_duration(&item, &step))
            return false;
        if ((step || item.n) && !take_repeat(&item, &n))
            return false;
    }
    for (uint64_t i = 0; i <= n; i++)
        *vec_push_in(a, &out->v) = (struct promql_seq_value){
            .omitted = gap, .value = (double)(base + (int64_t)i * step)
        };
    return true;
}

static bool is_start_line(struct str line)
{
    return str_ends(next_word(&line), STR("@st"));
}

static bool read_starts(struct script *s, size_t at, struct starts *out, struct err *e)
{
    struct arena *a = &s->arena;
    struct str rest = s->lines[at], name = next_word(&rest);
    struct promql_series_line line;
    struct err why = { 0 };

    name = str_sub(name, 0, name.n - 3);
    if (!promql_parse_series_line(a, arena_printf(a, "%.*s _", STRF(name)), &line, &why))
        return script_fail(s, at, e, "%s", why.text);
    *out = (struct starts){ .labels = line.labels };
    while (rest.n) {
        struct str item = next_word(&rest);

        if (!start_item(a, item, out))
            return script_fail(s, at, e, "invalid @st item \"%.*s\"", STRF(item));
    }
    return true;
}

/* ---- load ---- */

struct loaded {
    struct labels labels;
    struct memory_sample *v;
    size_t n;
};
struct load {
    int64_t step_ms;
    VEC(struct loaded) series;
};

static void load_series(struct script *s, struct load *l, const struct promql_series_line *line,
                        const struct starts *starts)
{
    struct loaded *to = NULL;

    for (size_t i = 0; i < l->series.n; i++) // a series given twice: the last one counts
        if (labels_equal(l->series.v[i].labels, line->labels))
            to = &l->series.v[i];
    if (!to)
        to = vec_push_in(&s->arena, &l->series);
    *to = (struct loaded){ line->labels, arena_array(&s->arena, line->n + 1, struct memory_sample),
                           0 };
    for (size_t i = 0; i < line->n; i++) {
        int64_t t = (int64_t)i * l->step_ms;

        if (line->v[i].omitted)
            continue;
        to->v[to->n++] = (struct memory_sample){
            .t_ms = t,
            .start_ms = starts && !starts->v.v[i].omitted ? t + (int64_t)starts->v.v[i].value : 0,
            .value = line->v[i].value,
            .hist = line->v[i].hist,
        };
    }
}

/* ---- load_with_nhcb: classic histograms as native ones with custom buckets ---- */

enum classic_part { PART_NONE, PART_BUCKET, PART_COUNT, PART_SUM };

static enum classic_part part_of(struct str *name)
{
    static const struct {
        struct str suffix;
        enum classic_part part;
    } parts[] = { { { "_bucket", 7 }, PART_BUCKET },
                  { { "_sum", 4 }, PART_SUM },
                  { { "_count", 6 }, PART_COUNT } };

    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (str_ends(*name, parts[i].suffix)) {
            *name = str_sub(*name, 0, name->n - parts[i].suffix.n);
            return parts[i].part;
        }
    return PART_NONE;
}

struct classic_base {
    struct labels labels;
    VEC(int64_t) times;
};

static struct labels base_labels(struct arena *a, struct labels ls, struct str name)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };

    labels_builder_reset(&b, ls);
    labels_builder_set(&b, LABEL_NAME, name);
    labels_builder_del(&b, STR("le"));
    return labels_copy(a, labels_builder_view(&b));
}

static bool nhcb_add(struct nhcb_builder *b, struct arena *a, const struct loaded *x,
                     const struct classic_base *base, int64_t t_ms, struct err *e)
{
    struct str name = labels_get(x->labels, LABEL_NAME);
    enum classic_part part = part_of(&name);
    double le;

    if (part == PART_NONE || !labels_equal(base_labels(a, x->labels, name), base->labels))
        return true;
    if (part == PART_BUCKET &&
        (!num_parse_double(labels_get(x->labels, STR("le")), &le) || isnan(le)))
        return true;
    for (size_t i = 0; i < x->n; i++) {
        if (x->v[i].t_ms != t_ms || x->v[i].hist)
            continue;
        if (part == PART_BUCKET && !nhcb_bucket(b, le, x->v[i].value, e))
            return false;
        if (part == PART_COUNT && !nhcb_count(b, x->v[i].value, e))
            return false;
        if (part == PART_SUM)
            nhcb_sum(b, x->v[i].value);
    }
    return true;
}

static bool nhcb_convert(struct script *s, const struct load *l, const struct classic_base *base,
                         int64_t t_ms, struct err *e)
{
    OWNED(nhcb_fini) struct nhcb_builder b = { 0 };
    struct memory_sample sample = { .t_ms = t_ms };
    struct histogram *h;

    for (size_t i = 0; i < l->series.n; i++)
        if (!nhcb_add(&b, &s->arena, &l->series.v[i], base, t_ms, e))
            return false;
    if (!nhcb_build(&b, &s->arena, &h, e) || !histogram_validate(h, e))
        return false;
    sample.hist = h;
    memory_source_add(s->data, base->labels, &sample, 1);
    return true;
}

static bool has_time(const struct classic_base *b, int64_t t_ms)
{
    for (size_t i = 0; i < b->times.n; i++)
        if (b->times.v[i] == t_ms)
            return true;
    return false;
}

static bool load_nhcb(struct script *s, const struct load *l, struct err *e)
{
    VEC(struct classic_base) bases = { 0 };
    struct arena *a = &s->arena;

    for (size_t i = 0; i < l->series.n; i++) {
        const struct loaded *x = &l->series.v[i];
        struct str name = labels_get(x->labels, LABEL_NAME);
        struct classic_base *to = NULL;

        if (part_of(&name) == PART_NONE)
            continue;
        struct labels ls = base_labels(a, x->labels, name);
        for (size_t k = 0; k < bases.n; k++)
            if (labels_equal(bases.v[k].labels, ls))
                to = &bases.v[k];
        if (!to) {
            to = vec_push_in(a, &bases);
            to->labels = ls;
        }
        for (size_t k = 0; k < x->n; k++)
            if (!x->v[k].hist && !has_time(to, x->v[k].t_ms))
                *vec_push_in(a, &to->times) = x->v[k].t_ms;
    }
    for (size_t i = 0; i < bases.n; i++)
        for (size_t k = 0; k < bases.v[i].times.n; k++)
            if (!nhcb_convert(s, l, &bases.v[i], bases.v[i].times.v[k], e))
                return false;
    return true;
}

static bool load_line(struct script *s, size_t at, struct load *l, struct starts *starts,
                      struct err *e)
{
    struct promql_series_line line;
    struct err why = { 0 };

    if (!promql_parse_series_line(&s->arena, s->lines[at], &line, &why))
        return script_fail(s, at, e, "%s", why.text);
    if (starts->v.v && (!labels_equal(line.labels, starts->labels) || line.n != starts->v.n))
        return script_fail(s, at, e,
                           "the @st line before does not fit: other series or %zu values "
                           "instead of %zu",
                           starts->v.n, line.n);
    load_series(s, l, &line, starts->v.v ? starts : NULL);
    *starts = (struct starts){ 0 };
    return true;
}

bool script_load(struct script *s, size_t *at, struct err *e)
{
    struct str rest = s->lines[*at], word = next_word(&rest);
    bool nhcb = str_eq(word, STR("load_with_nhcb"));
    struct starts starts = { 0 };
    struct load l = { 0 };
    struct err why = { 0 };
    size_t first = *at;

    if (!nhcb && !str_eq(word, STR("load")))
        return script_fail(s, first, e, "invalid load command. (load[_with_nhcb] <step:duration>)");
    if (!duration_parse(rest, &l.step_ms, &why))
        return script_fail(s, first, e, "invalid step definition \"%.*s\": %s", STRF(rest),
                           why.text);
    for (; *at + 1 < s->line_count && s->lines[*at + 1].n; ++*at) {
        size_t i = *at + 1;
        bool ok = is_start_line(s->lines[i]) ? !starts.v.v && read_starts(s, i, &starts, e)
                                             : load_line(s, i, &l, &starts, e);

        if (!ok)
            return e->kind ? false : script_fail(s, i, e, "@st line has no following sample line");
    }
    if (starts.v.v)
        return script_fail(s, *at, e, "@st line has no following sample line");
    for (size_t i = 0; i < l.series.n; i++)
        memory_source_add(s->data, l.series.v[i].labels, l.series.v[i].v, l.series.v[i].n);
    if (nhcb && !load_nhcb(s, &l, &why))
        return script_fail(s, first, e, "%s", why.text);
    return true;
}

/* ---- expect lines ---- */

static bool new_regex(struct script *s, size_t line, struct str pattern, struct regex **out,
                      struct err *e)
{
    struct err why = { 0 };

    if (!regex_new(out, pattern, 0, &why))
        return script_fail(s, line, e, "invalid regexp '%.*s': %s", STRF(pattern), why.text);
    *vec_push_in(&s->arena, &s->regexes) = *out;
    return true;
}

static bool expect_kind_of(struct str word, enum expect_kind *out)
{
    static const char *const words[EXPECT_COUNT] = {
        [EXPECT_ORDERED] = "ordered", [EXPECT_FAIL] = "fail", [EXPECT_WARN] = "warn",
        [EXPECT_NO_WARN] = "no_warn", [EXPECT_INFO] = "info", [EXPECT_NO_INFO] = "no_info"
    };

    for (int i = 0; i < EXPECT_COUNT; i++)
        if (str_eq_c(word, words[i])) {
            *out = (enum expect_kind)i;
            return true;
        }
    return false;
}

static size_t expect_count(const struct test_eval *t, enum expect_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < t->expects.n; i++)
        n += t->expects.v[i].kind == kind;
    return n;
}

static bool read_expect(struct script *s, size_t line, struct str rest, struct test_eval *t,
                        struct err *e)
{
    struct expect x = { 0 };

    if (!expect_kind_of(next_word(&rest), &x.kind))
        return script_fail(s, line, e,
                           "invalid expect statement, must match `expect <type> <match_type>: "
                           "<string>` format");
    if (str_starts(rest, STR("msg:"))) {
        x.message = str_trim(str_sub(rest, 4, rest.n));
        x.has_message = true;
    } else if (str_starts(rest, STR("regex:"))) {
        if (!new_regex(s, line, str_trim(str_sub(rest, 6, rest.n)), &x.re, e))
            return false;
    } else if (rest.n) {
        return script_fail(s, line, e, "invalid token \"%.*s\" in an expect line", STRF(rest));
    }
    *(struct expect *)vec_push_in(&s->arena, &t->expects) = x;
    if ((expect_count(t, EXPECT_WARN) && expect_count(t, EXPECT_NO_WARN)) ||
        (expect_count(t, EXPECT_INFO) && expect_count(t, EXPECT_NO_INFO)) ||
        expect_count(t, EXPECT_FAIL) > 1)
        return script_fail(s, line, e, "expect lines contradict each other");
    return true;
}

static bool read_expect_range(struct script *s, size_t line, struct str rest, struct test_eval *t,
                              struct err *e)
{
    int64_t from, to, step;

    if (!take_word(&rest, "from") || !time_parse(next_word(&rest), &from) ||
        !take_word(&rest, "to") || !time_parse(next_word(&rest), &to) ||
        !take_word(&rest, "step") || !time_parse(next_word(&rest), &step) || rest.n || to < from)
        return script_fail(s, line, e, "invalid range vector definition");
    t->start_ms = from;
    t->eval_ms = t->end_ms = to;
    t->step_ms = step;
    t->no_range_check = true;
    return true;
}

// A quoted string is read as the expression language reads it.
static bool read_expect_string(struct script *s, size_t line, struct str rest, struct test_eval *t,
                               struct err *e)
{
    OWNED(promql_fini) struct promql p = { 0 };
    struct err unused = { 0 };

    if (!rest.n || !promql_parse(&s->arena, rest, &p, &unused) || p.root->kind != PROMQL_TEXT)
        return script_fail(s, line, e, "expected string literal not valid");
    t->string = p.root->text;
    t->string_expected = true;
    t->no_range_check = true;
    return true;
}

/* ---- eval ---- */

static bool number_parse(struct str s, double *out)
{
    int64_t i;

    if (str_to_i64(s, &i)) {
        *out = (double)i;
        return true;
    }
    return num_parse_double(s, out);
}

static bool read_expected_series(struct script *s, size_t line, size_t pos, bool ranged,
                                 struct test_eval *t, struct err *e)
{
    struct promql_series_line x;
    struct expect_series *to = NULL;
    struct err why = { 0 };

    if (!promql_parse_series_line(&s->arena, s->lines[line], &x, &why))
        return script_fail(s, line, e, "%s", why.text);
    if (x.n > 1 && !t->range && !ranged)
        return script_fail(s, line, e,
                           "expecting multiple values in instant evaluation not allowed. consider "
                           "using 'expect range vector' directive to enable a range vector result "
                           "for an instant query");
    for (size_t i = 0; i < t->series.n; i++)
        if (labels_equal(t->series.v[i].labels, x.labels))
            to = &t->series.v[i];
    if (!to)
        to = vec_push_in(&s->arena, &t->series);
    *to = (struct expect_series){ x.labels, pos, x.v, x.n };
    t->scalar = false;
    return true;
}

enum body { BODY_MORE, BODY_END, BODY_BAD };

static enum body read_body_line(struct script *s, size_t i, size_t *pos, bool *ranged,
                                struct test_eval *t, struct err *e)
{
    struct str rest = s->lines[i], word = next_word(&rest);

    if (t->fail && str_starts(word, STR("expected_fail_message"))) {
        struct expect x = { EXPECT_FAIL, rest, NULL, true };

        *(struct expect *)vec_push_in(&s->arena, &t->expects) = x;
        return BODY_END;
    }
    if (t->fail && str_starts(word, STR("expected_fail_regexp"))) {
        struct expect x = { EXPECT_FAIL, STR_NONE, NULL, false };

        if (!new_regex(s, i, rest, &x.re, e))
            return BODY_BAD;
        *(struct expect *)vec_push_in(&s->arena, &t->expects) = x;
        return BODY_END;
    }
    if (str_eq(word, STR("expect"))) {
        if (take_word(&rest, "range")) {
            *ranged = true;
            take_word(&rest, "vector");
            if (!read_expect_range(s, i, rest, t, e))
                return BODY_BAD;
            return BODY_MORE;
        }
        if (take_word(&rest, "string"))
            return read_expect_string(s, i, rest, t, e) ? BODY_MORE : BODY_BAD;
        --*pos;
        return read_expect(s, i, rest, t, e) ? BODY_MORE : BODY_BAD;
    }
    if (number_parse(s->lines[i], &t->scalar_value)) {
        t->scalar = true;
        return BODY_END;
    }
    return read_expected_series(s, i, *pos, *ranged, t, e) ? BODY_MORE : BODY_BAD;
}

static bool read_eval_head(struct script *s, size_t at, struct test_eval *t, struct err *e)
{
    struct str rest = s->lines[at], word = next_word(&rest), where;
    struct str mode = str_sub(word, 5, word.n);

    t->fail = str_eq(mode, STR("fail"));
    t->warn = str_eq(mode, STR("warn"));
    t->ordered = str_eq(mode, STR("ordered"));
    t->info = str_eq(mode, STR("info"));
    if (word.n > 4 && !t->fail && !t->warn && !t->ordered && !t->info)
        return script_fail(s, at, e, "invalid evaluation command \"%.*s\"", STRF(word));
    if (take_word(&rest, "instant")) {
        if (take_word(&rest, "at") && !time_parse(where = next_word(&rest), &t->eval_ms))
            return script_fail(s, at, e, "invalid timestamp definition \"%.*s\"", STRF(where));
        t->start_ms = t->eval_ms;
    } else if (take_word(&rest, "range")) {
        t->range = true;
        if (!take_word(&rest, "from") || !time_parse(next_word(&rest), &t->start_ms) ||
            !take_word(&rest, "to") || !time_parse(next_word(&rest), &t->end_ms) ||
            !take_word(&rest, "step") || !time_parse(next_word(&rest), &t->step_ms) ||
            t->end_ms < t->start_ms)
            return script_fail(s, at, e, "invalid times of a range evaluation");
    } else {
        return script_fail(s, at, e,
                           "invalid evaluation command: must be 'eval instant [at <time>] <query>' "
                           "or 'eval range from <from> to <to> step <step> <query>'");
    }
    t->expr = rest;
    t->line = (uint32_t)at + 1;
    return rest.n || script_fail(s, at, e, "an evaluation needs a query");
}

bool script_eval(struct script *s, size_t *at, struct test_eval *out, struct err *e)
{
    struct test_eval t = { 0 };
    bool ranged = false;
    size_t pos = 0;

    if (!read_eval_head(s, *at, &t, e))
        return false;
    while (*at + 1 < s->line_count && s->lines[*at + 1].n) {
        pos++;
        ++*at;
        enum body b = read_body_line(s, *at, &pos, &ranged, &t, e);
        if (b == BODY_BAD)
            return false;
        if (b == BODY_END)
            break;
    }
    *out = t;
    return true;
}
