/*
 * promqltest_compare.c - what an evaluation gave against what the script expects.
 */
// SPDX-License-Identifier: Apache-2.0
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "model/histogram_ops.h"
#include "query/promqltest_priv.h"

#define EPSILON 1e-6

static bool differs(struct arena *a, struct str *why, const char *fmt, ...) PRINTF_LIKE(3, 4);
static bool differs(struct arena *a, struct str *why, const char *fmt, ...)
{
    char text[4096];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    *why = arena_str(a, str_of(text, n < 0 ? 0 : MIN((size_t)n, sizeof text - 1)));
    return false;
}

// Equal within a relative 1e-6; NaN equals NaN, a stale marker only itself.
static bool almost(double a, double b)
{
    if (sample_is_stale(a) || sample_is_stale(b))
        return sample_is_stale(a) && sample_is_stale(b);
    if ((isnan(a) && isnan(b)) || a == b)
        return true;
    double sum = fabs(a) + fabs(b), diff = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return diff < EPSILON * DBL_MIN;
    return diff / fmin(sum, DBL_MAX) < EPSILON;
}

/* ---- histograms ---- */

static bool sides_match(const struct hist_side *x, const struct hist_side *y)
{
    if (x->spans != y->spans || x->buckets != y->buckets)
        return false;
    for (uint32_t i = 0; i < x->spans; i++)
        if (x->span[i].offset != y->span[i].offset || x->span[i].length != y->span[i].length)
            return false;
    for (uint32_t i = 0; i < x->buckets; i++)
        if (!almost(x->count[i], y->count[i]))
            return false;
    return true;
}

static bool hists_match(struct arena *a, const struct promql_seq_value *want,
                        const struct histogram *got)
{
    const struct histogram *x = histogram_compact(a, want->hist, 0);
    const struct histogram *y = histogram_compact(a, got, 0);

    if (x->schema != y->schema || !almost(x->count, y->count) || !almost(x->sum, y->sum) ||
        x->zero_threshold != y->zero_threshold || !almost(x->zero_count, y->zero_count))
        return false;
    if (histogram_is_custom(x) && !hist_bounds_equal(x, y))
        return false;
    if (want->counter_reset_hint_set && x->reset != y->reset)
        return false;
    return sides_match(&x->pos, &y->pos) && sides_match(&x->neg, &y->neg);
}

/* ---- text ---- */

static struct str value_text(struct arena *a, double v, const struct histogram *h)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (h)
        buf_histogram_test(&b, h);
    else
        buf_double_g(&b, v);
    return arena_str(a, buf_view(&b));
}

static struct str labels_show(struct arena *a, struct labels ls)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_labels(&b, ls);
    return arena_str(a, buf_view(&b));
}

static struct str series_show(struct arena *a, const struct query_series *s)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_labels(&b, s->labels);
    for (size_t i = 0; i < s->float_count && i < 100; i++)
        buf_printf(&b, " %.*s@%lld", STRF(value_text(a, s->floats[i].value, NULL)),
                   (long long)s->floats[i].t_ms);
    for (size_t i = 0; i < s->hist_count && i < 20; i++)
        buf_printf(&b, " %.*s@%lld", STRF(value_text(a, 0, s->hists[i].hist)),
                   (long long)s->hists[i].t_ms);
    return arena_str(a, buf_view(&b));
}

/* ---- results ---- */

static const struct expect_series *expected(const struct test_eval *t, struct labels ls)
{
    for (size_t i = 0; i < t->series.n; i++)
        if (labels_equal(t->series.v[i].labels, ls))
            return &t->series.v[i];
    return NULL;
}

static bool all_found(struct arena *a, const struct test_eval *t, const struct query_result *r,
                      struct str *why)
{
    for (size_t i = 0; i < t->series.n; i++) {
        bool found = false;

        for (size_t k = 0; k < r->series_count; k++)
            found |= labels_equal(r->series[k].labels, t->series.v[i].labels);
        if (!found)
            return differs(a, why, "expected series %.*s not found in the result",
                           STRF(labels_show(a, t->series.v[i].labels)));
    }
    return true;
}

static bool compare_points(struct arena *a, const struct test_eval *t,
                           const struct expect_series *x, const struct query_series *s,
                           struct str *why)
{
    size_t f = 0, h = 0;

    for (size_t i = 0; i < x->n; i++) {
        const struct promql_seq_value *v = &x->v[i];
        int64_t at = t->start_ms + (int64_t)i * t->step_ms;

        if (at > t->end_ms)
            return differs(a, why, "expected %zu points, but the range has fewer", x->n);
        if (v->omitted && !v->hist)
            continue;
        bool ok = v->hist ? h < s->hist_count && s->hists[h].t_ms == at &&
                                hists_match(a, v, s->hists[h].hist)
                          : f < s->float_count && s->floats[f].t_ms == at &&
                                almost(s->floats[f].value, v->value);
        if (!ok)
            return differs(a, why, "expected %.*s at %lld ms, but got %.*s",
                           STRF(value_text(a, v->value, v->hist)), (long long)at,
                           STRF(series_show(a, s)));
        h += v->hist != NULL;
        f += v->hist == NULL;
    }
    if (f < s->float_count || h < s->hist_count)
        return differs(a, why, "expected %zu floats and %zu histograms, but got %.*s", f, h,
                       STRF(series_show(a, s)));
    return true;
}

static bool compare_matrix(struct arena *a, const struct test_eval *t, const struct query_result *r,
                           struct str *why)
{
    if (eval_is_ordered(t) || t->scalar)
        return differs(a, why, "expected %s, but got a matrix",
                       t->scalar ? "a scalar" : "an ordered result");
    for (size_t i = 0; i < r->series_count; i++) {
        const struct query_series *s = &r->series[i];
        const struct expect_series *x = expected(t, s->labels);

        if (i && labels_cmp(r->series[i - 1].labels, s->labels) > 0)
            return differs(a, why, "the matrix is not sorted by labels");
        if (!x)
            return differs(a, why, "unexpected series in the result: %.*s",
                           STRF(series_show(a, s)));
        if (!compare_points(a, t, x, s, why))
            return false;
    }
    return all_found(a, t, r, why);
}

static bool compare_sample(struct arena *a, const struct expect_series *x,
                           const struct query_series *s, struct str *why)
{
    const struct promql_seq_value *v = &x->v[0];
    const struct histogram *got = s->hist_count ? s->hists[0].hist : NULL;
    bool ok = x->n && !v->hist == !got &&
              (got ? hists_match(a, v, got) : almost(v->value, s->floats[0].value));

    return ok || differs(a, why, "expected %.*s, but got %.*s",
                         STRF(x->n ? value_text(a, v->value, v->hist) : STR("no value")),
                         STRF(series_show(a, s)));
}

static bool compare_vector(struct arena *a, const struct test_eval *t, const struct query_result *r,
                           struct str *why)
{
    if (t->scalar)
        return differs(a, why, "expected a scalar, but got a vector");
    for (size_t i = 0; i < r->series_count; i++) {
        const struct query_series *s = &r->series[i];
        const struct expect_series *x = expected(t, s->labels);

        if (!x)
            return differs(a, why, "unexpected series in the result: %.*s",
                           STRF(series_show(a, s)));
        if (eval_is_ordered(t) && x->pos != i + 1)
            return differs(a, why, "expected series %.*s at position %zu, but it is at %zu",
                           STRF(labels_show(a, s->labels)), x->pos, i + 1);
        if (!compare_sample(a, x, s, why))
            return false;
    }
    return all_found(a, t, r, why);
}

bool compare_result(struct arena *a, const struct test_eval *t, const struct query_result *r,
                    struct str *why)
{
    switch (r->type) {
    case PROMQL_MATRIX:
        return compare_matrix(a, t, r, why);
    case PROMQL_VECTOR:
        return compare_vector(a, t, r, why);
    case PROMQL_SCALAR:
        if (!t->scalar)
            return differs(a, why, "expected a vector or matrix, but got a scalar");
        return almost(t->scalar_value, r->scalar.value) ||
               differs(a, why, "expected scalar %.*s, but got %.*s",
                       STRF(value_text(a, t->scalar_value, NULL)),
                       STRF(value_text(a, r->scalar.value, NULL)));
    default:
        return str_eq(t->string, r->string) ||
               differs(a, why, "expected string \"%.*s\", but got \"%.*s\"", STRF(t->string),
                       STRF(r->string));
    }
}

/* ---- annotations and failures ---- */

static bool expect_matches(const struct expect *x, struct str text)
{
    if (x->has_message)
        return str_eq(x->message, text);
    return !x->re || regex_match(x->re, text);
}

static bool has_kind(const struct test_eval *t, enum expect_kind kind)
{
    for (size_t i = 0; i < t->expects.n; i++)
        if (t->expects.v[i].kind == kind)
            return true;
    return false;
}

static struct str expect_text(const struct expect *x)
{
    return x->has_message ? x->message : x->re ? regex_pattern(x->re) : STR(".*");
}

struct notes { // of one kind
    enum expect_kind kind;
    const char *word;
    const struct str *v;
    size_t n;
};

static bool compare_kind(struct arena *a, const struct test_eval *t, const struct notes *notes,
                         struct str *why)
{
    enum expect_kind kind = notes->kind;
    const char *word = notes->word;
    const struct str *got = notes->v;
    size_t n = notes->n;

    if (!has_kind(t, kind))
        return true;
    for (size_t i = 0; i < t->expects.n; i++) {
        const struct expect *x = &t->expects.v[i];
        bool found = false;

        for (size_t k = 0; k < n && x->kind == kind; k++)
            found |= expect_matches(x, got[k]);
        if (x->kind == kind && !found)
            return differs(a, why, "expected %s \"%.*s\", but got %zu: %.*s", word,
                           STRF(expect_text(x)), n, STRF(n ? got[0] : STR("none")));
    }
    for (size_t k = 0; k < n; k++) {
        bool found = false;

        for (size_t i = 0; i < t->expects.n; i++)
            found |= t->expects.v[i].kind == kind && expect_matches(&t->expects.v[i], got[k]);
        if (!found)
            return differs(a, why, "unexpected %s \"%.*s\"", word, STRF(got[k]));
    }
    return true;
}

bool compare_notes(struct arena *a, const struct test_eval *t, const struct query_result *r,
                   struct str *why)
{
    if (t->warn && !r->warning_count)
        return differs(a, why, "expected a warning, but got none");
    if (t->info && !r->info_count)
        return differs(a, why, "expected an info annotation, but got none");
    if (has_kind(t, EXPECT_NO_WARN) && r->warning_count)
        return differs(a, why, "expected no warning, but got \"%.*s\"", STRF(r->warnings[0]));
    if (has_kind(t, EXPECT_NO_INFO) && r->info_count)
        return differs(a, why, "expected no info annotation, but got \"%.*s\"", STRF(r->infos[0]));
    struct notes warnings = { EXPECT_WARN, "warning", r->warnings, r->warning_count };
    struct notes infos = { EXPECT_INFO, "info", r->infos, r->info_count };

    return compare_kind(a, t, &warnings, why) && compare_kind(a, t, &infos, why);
}

bool eval_should_fail(const struct test_eval *t)
{
    return t->fail || has_kind(t, EXPECT_FAIL);
}

bool eval_is_ordered(const struct test_eval *t)
{
    return t->ordered || has_kind(t, EXPECT_ORDERED);
}

bool compare_failure(struct arena *a, const struct test_eval *t, struct str error, struct str *why)
{
    if (!eval_should_fail(t))
        return differs(a, why, "evaluation failed: %.*s", STRF(error));
    for (size_t i = 0; i < t->expects.n; i++)
        if (t->expects.v[i].kind == EXPECT_FAIL && !expect_matches(&t->expects.v[i], error))
            return differs(a, why, "expected error \"%.*s\", but got \"%.*s\"",
                           STRF(expect_text(&t->expects.v[i])), STRF(error));
    return true;
}
