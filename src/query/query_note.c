/*
 * query_note.c - annotations: the warnings and infos of a query.
 *
 * A set of texts. Equal texts from several places become one, which shows the place that is
 * evaluated last; the two kinds that count occurrences keep the first place and add up.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/sort.h"
#include "query/query_priv.h"

enum note_kind { NOTE_PLAIN, NOTE_STORE, NOTE_MONOTONIC, NOTE_OVERLAP };

struct note {
    struct str text; // without position and figures; in keep
    enum note_level level;
    enum note_kind kind;
    uint32_t start, end; // of the node
    uint64_t count;
    int64_t t_min_ms, t_max_ms;
    struct note_bucket_fix fix;
};

enum { NOTES_KEPT_MAX = 10000 };

static struct note *note_find(struct query *q, struct str text, enum note_level level)
{
    for (size_t i = 0; i < q->notes.n; i++)
        if (q->notes.v[i].level == level && str_eq(q->notes.v[i].text, text))
            return &q->notes.v[i];
    return NULL;
}

static struct note *note_add(struct query *q, struct str text, enum note_level level,
                             const struct promql_node *at)
{
    if (q->notes.n >= NOTES_KEPT_MAX)
        return NULL;
    struct note *n = vec_push_in(q->keep, &q->notes);

    n->text = arena_str(q->keep, text);
    n->level = level;
    n->start = at->start;
    n->end = at->end;
    n->count = 1;
    return n;
}

static void note_put(struct query *q, struct str text, enum note_level level,
                     const struct promql_node *at)
{
    struct note *n = note_find(q, text, level);

    if (!n) {
        note_add(q, text, level, at);
    } else if (at->end > n->end || (at->end == n->end && at->start < n->start)) {
        n->start = at->start; // evaluated later: operands before what uses them
        n->end = at->end;
    }
}

void query_note(struct query *q, enum note_level level, const struct promql_node *at,
                const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n > 0)
        note_put(q, str_of(text, MIN((size_t)n, sizeof text - 1)), level, at);
}

// text, then ` <glue> "name"`
static void note_named(struct query *q, enum note_level level, const struct promql_node *at,
                       struct str text, struct str name)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_str(&b, text);
    buf_char(&b, ' ');
    buf_quoted(&b, name);
    note_put(q, buf_view(&b), level, at);
}

#define NAMED(q, level, at, ls, text) \
    note_named(q, level, at, STR(text), labels_get(ls, LABEL_NAME))

void note_mixed(struct query *q, struct labels ls, const struct promql_node *at)
{
    NAMED(q, NOTE_WARNING, at, ls,
          "PromQL warning: encountered a mix of histograms and floats for metric name");
}

void note_mixed_schemas(struct query *q, struct labels ls, const struct promql_node *at)
{
    NAMED(q, NOTE_WARNING, at, ls,
          "PromQL warning: vector contains a mix of histograms with exponential and custom "
          "buckets schemas for metric name");
}

void note_not_counter(struct query *q, struct labels ls, const struct promql_node *at)
{
    NAMED(q, NOTE_WARNING, at, ls,
          "PromQL warning: this native histogram metric is not a counter:");
}

void note_not_gauge(struct query *q, struct labels ls, const struct promql_node *at)
{
    NAMED(q, NOTE_WARNING, at, ls, "PromQL warning: this native histogram metric is not a gauge:");
}

void note_ignored_in_range(struct query *q, struct labels ls, const struct promql_node *at)
{
    NAMED(q, NOTE_INFO, at, ls,
          "PromQL info: ignored histograms in a range containing both floats and histograms for "
          "metric name");
}

static const char *verb_text(enum hist_verb verb)
{
    return verb == HIST_ADD ? "addition" : verb == HIST_SUB ? "subtraction" : "aggregation";
}

void note_mismatched_bounds(struct query *q, const struct promql_node *at, enum hist_verb verb)
{
    query_note(q, NOTE_INFO, at, "PromQL info: mismatched custom buckets were reconciled during %s",
               verb_text(verb));
}

void note_reset_collision(struct query *q, const struct promql_node *at, enum hist_verb verb)
{
    query_note(q, NOTE_WARNING, at,
               "PromQL warning: conflicting counter resets during histogram %s", verb_text(verb));
}

void note_ignored_hist(struct query *q, const char *agg, const struct promql_node *at)
{
    query_note(q, NOTE_INFO, at, "PromQL info: ignored histogram in %s aggregation", agg);
}

void note_bad_quantile(struct query *q, double v, const struct promql_node *at)
{
    char text[NUM_TEXT_MAX];
    size_t n = num_format_g(v, text);

    query_note(q, NOTE_WARNING, at,
               "PromQL warning: quantile value should be between 0 and 1, got %.*s", (int)n, text);
}

void note_types(struct query *q, const struct promql_node *at, const char *l, const char *op,
                const char *r)
{
    query_note(q, NOTE_INFO, at,
               "PromQL info: incompatible sample types encountered for binary operator \"%s\": "
               "%s %s %s",
               op, l, op, r);
}

void query_note_monotonic(struct query *q, const struct promql_node *at, struct str metric,
                          int64_t t_ms, const struct note_bucket_fix *fix)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_lit(&b, "PromQL info: input to histogram_quantile needed to be fixed for monotonicity "
                "(see https://prometheus.io/docs/prometheus/latest/querying/functions/"
                "#histogram_quantile)");
    if (metric.n) {
        buf_lit(&b, " for metric name ");
        buf_quoted(&b, metric);
    }
    struct note *n = note_find(q, buf_view(&b), NOTE_INFO);
    if (n) {
        n->count++;
        n->t_min_ms = MIN(n->t_min_ms, t_ms);
        n->t_max_ms = MAX(n->t_max_ms, t_ms);
        n->fix.bucket_min = fmin(n->fix.bucket_min, fix->bucket_min);
        n->fix.bucket_max = fmax(n->fix.bucket_max, fix->bucket_max);
        n->fix.diff_max = fmax(n->fix.diff_max, fix->diff_max);
    } else if ((n = note_add(q, buf_view(&b), NOTE_INFO, at))) {
        n->kind = NOTE_MONOTONIC;
        n->t_min_ms = n->t_max_ms = t_ms;
        n->fix = *fix;
    }
}

void query_note_overlap(struct query *q, const struct promql_node *at, struct str metric)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_lit(&b, "PromQL warning: sample has start time that overlaps with previous sample "
                "timestamp for metric ");
    buf_quoted(&b, metric);
    struct note *n = note_find(q, buf_view(&b), NOTE_WARNING);
    if (n)
        n->count++;
    else if ((n = note_add(q, buf_view(&b), NOTE_WARNING, at)))
        n->kind = NOTE_OVERLAP;
}

// Go's %.2g.
static void buf_two_digits(struct buf *b, double v)
{
    char text[64];

    if (isinf(v)) {
        buf_double_g(b, v);
        return;
    }
    int n = snprintf(text, sizeof text, "%.2g", v);
    buf_bytes(b, text, (size_t)n);
}

static void buf_second(struct buf *b, int64_t t_ms)
{
    struct civil c = civil_of(t_ms / 1000);

    buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)c.year, c.month, c.day, c.hour, c.minute,
               c.second);
}

static struct str note_text(struct query *q, const struct note *n)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct pos p = pos_of_offset(q->promql->text, n->start);

    if (n->kind == NOTE_STORE)
        return arena_str(q->result, n->text); // of no place in the query
    buf_str(&b, n->text);
    if (n->kind == NOTE_MONOTONIC) {
        buf_lit(&b, ", from buckets ");
        buf_double_g(&b, n->fix.bucket_min);
        buf_lit(&b, " to ");
        buf_double_g(&b, n->fix.bucket_max);
        buf_lit(&b, ", with a max diff of ");
        buf_two_digits(&b, n->fix.diff_max);
        buf_printf(&b, ", over %llu samples from ", (unsigned long long)n->count);
        buf_second(&b, n->t_min_ms);
        buf_lit(&b, " to ");
        buf_second(&b, n->t_max_ms);
    } else if (n->kind == NOTE_OVERLAP && n->count > 1) {
        buf_printf(&b, " (%llu occurrences)", (unsigned long long)n->count);
    }
    buf_printf(&b, " (%u:%u)", p.line, p.col);
    return arena_str(q->result, buf_view(&b));
}

static void notes_of(struct query *q, enum note_level level, struct str **out, size_t *out_n)
{
    size_t max = q->request->notes_max ? q->request->notes_max : QUERY_NOTES_MAX, n = 0, left = 0;
    struct str *all = arena_array(q->result, q->notes.n + 1, struct str);

    for (size_t i = 0; i < q->notes.n; i++)
        if (q->notes.v[i].level == level)
            all[n++] = note_text(q, &q->notes.v[i]);
    sort_strs(all, n);
    if (n > max) {
        left = n - max;
        n = max;
        all[n++] = arena_printf(q->result, "%zu more %s annotations omitted", left,
                                level == NOTE_WARNING ? "warning" : "info");
    }
    *out = all;
    *out_n = n;
}

// What the store left out of its answers.
static void take_store_warnings(struct query *q)
{
    struct str *v;
    size_t n = series_view_warnings(q->view, q->keep, &v);

    for (size_t i = 0; i < n; i++) {
        struct note *note = note_add(q, v[i], NOTE_WARNING, q->promql->root);

        if (note)
            note->kind = NOTE_STORE;
    }
}

void query_notes_finish(struct query *q, struct query_result *out)
{
    take_store_warnings(q);
    notes_of(q, NOTE_WARNING, &out->warnings, &out->warning_count);
    notes_of(q, NOTE_INFO, &out->infos, &out->info_count);
}
