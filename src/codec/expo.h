/*
 * expo.h - pull parser for scraped pages: Prometheus text, OpenMetrics, delimited protobuf.
 *
 * One parser reads one complete body and gives one event per call: a sample, a
 * native histogram, or a line of metadata. A sample carries its series as raw
 * bytes, which are the key of the scraper's cache; they are decoded into labels
 * by expo_series_decode() only when the scraper does not know them.
 *
 * The fast path: the scraper hands in what the last page of the same target
 * held, in its order (struct expo_known). Where the bytes at the cursor hash to
 * the expected entry, the series part is neither scanned nor checked again. This
 * is exact: the grammar is deterministic, so bytes that were a series once are
 * one again. Nothing but the speed depends on the entries being right.
 *
 * Accepts and refuses what Prometheus 3's parsers do, with its messages. A
 * parser belongs to one thread at a time. Nothing here knows of model/.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

enum expo_format {
    EXPO_NONE,
    EXPO_TEXT,        // text/plain, version 0.0.4 and 1.0.0
    EXPO_OPENMETRICS, // application/openmetrics-text, 0.0.1 and 1.0.0
    EXPO_PROTO,       // application/vnd.google.protobuf, delimited MetricFamily
};

// The same values as enum metric_type of model/sample.h.
enum expo_type {
    EXPO_UNKNOWN,
    EXPO_COUNTER,
    EXPO_GAUGE,
    EXPO_HISTOGRAM,
    EXPO_GAUGE_HISTOGRAM,
    EXPO_SUMMARY,
    EXPO_INFO,
    EXPO_STATESET,
};

/*
 * The format of a Content-Type header. An empty, malformed or unknown one gives `fallback`, or, when
 * that is EXPO_NONE, ERR_INVALID with Prometheus's words.
 */
MUST_CHECK bool expo_format_of(struct str content_type, enum expo_format fallback,
                               enum expo_format *out, struct err *e);

/* ---- what the last page held ---- */

#define EXPO_SLOT_NONE UINT32_MAX

struct expo_known {
    uint64_t hash; // expo_event.hash of a sample
    uint32_t n;    // expo_event.series.n
    uint32_t slot; // the scraper's own number; EXPO_SLOT_NONE: validated, but not mapped
};
static_assert(sizeof(struct expo_known) == 16, "one per series and target; think before growing");

/* ---- the parser ---- */

struct expo_options {
    enum expo_format format;
    uint64_t seed; // of expo_event.hash: secret, the same for all pages of one target
    // Series of the last page in its order; borrowed until the next expo_start() or expo_free().
    // Entries come from events of a parser with the same seed; the format may have changed.
    const struct expo_known *known;
    size_t known_n;
    // OpenMetrics: `_created` lines give start_ms of their series and are no samples themselves.
    // Without it they are ordinary samples and start_ms stays 0.
    bool created_is_start;
    bool no_native_histograms; // protobuf: ignore the native parts of histograms
    bool always_classic;       // protobuf: also give the classic buckets beside a native histogram
};

enum expo_kind {
    EXPO_SAMPLE,    // series, hash, slot, value, time, start, at most one exemplar
    EXPO_NATIVE,    // as above with hist in place of value; any number of exemplars
    EXPO_META_TYPE, // name, type
    EXPO_META_HELP, // name, text
    EXPO_META_UNIT, // name, text
};

struct expo_exemplar {
    struct str raw; // of the labels: see expo_exemplar_decode()
    double value;
    int64_t t_ms;
    bool has_time;
};

struct expo_span {
    int32_t offset;  // first span: bucket index; later: gap to the end of the one before
    uint32_t length; // buckets
};

struct expo_hist_side {
    const struct expo_span *span;
    const double *count; // absolute, one per bucket of all spans
    uint32_t spans, buckets;
};

// A native histogram, compacted: no empty buckets. Lives until the next expo_next().
struct expo_histogram {
    int32_t schema;
    bool integer; // counts were sent as integers
    bool gauge;   // of a gauge histogram: no counter resets
    double zero_threshold, zero_count;
    double count, sum;
    struct expo_hist_side pos, neg;
};

struct expo_event {
    enum expo_kind kind;
    enum expo_type type; // the latest TYPE line's (text), or the family's (protobuf)
    uint32_t slot;       // of the known entry, EXPO_SLOT_NONE when the series is not known
    uint32_t known_at;   // index of that entry, only when slot is given
    bool has_time;
    uint32_t exemplars; // count
    uint64_t hash;      // of series, with the seed and the format mixed in
    struct str series;  // raw bytes; text formats: a slice of the body
    struct str name;    // metadata: the family
    struct str text;    // metadata: help (unescaped) or unit
    double value;       // NaN is always the ordinary NaN 0x7ff8000000000001 in text formats
    int64_t t_ms;
    int64_t start_ms; // 0: unknown
    const struct expo_exemplar *exemplar;
    const struct expo_histogram *hist;
};

struct expo;
// A parser without a page; the caller owns it: expo_free(). It keeps scratch memory between pages,
// so one per target or worker saves the warming up.
struct expo *expo_new(void);
// Frees the parser and what its events point to; NULL is fine.
void expo_free(struct expo *x);
OWN_DEFINE(struct expo *, expo_free);

// Begins a page; the parser keeps its scratch memory from page to page. body is borrowed.
void expo_start(struct expo *x, const struct expo_options *o, struct str body);

/*
 * The next event: 1, 0 at a regular end, −1 when the page is malformed (*e: ERR_INVALID with
 * Prometheus's text; pos has line, column and offset, in protobuf the offset only). Fields that the
 * kind does not name are unspecified. Slices that do not point into the body, the exemplars and the
 * histogram live until the next call.
 */
int expo_next(struct expo *x, struct expo_event *ev, struct err *e);

/*
 * Tells where the next expected series is in `known`: after a sample without slot, which the scraper
 * found elsewhere by its hash. Without it the parser looks a few dozen entries ahead by itself.
 */
void expo_seek(struct expo *x, size_t known_at);

/* ---- decoding what is not known ---- */

struct expo_label {
    struct str name, value;
};

struct expo_labels {
    struct expo_label *v;
    size_t n;
};

/*
 * Decodes raw series bytes of an event. `__name__` comes first, then the labels as written: not
 * sorted, repeats and empty values not removed. Values of `le` in a histogram and `quantile` in a
 * summary are put into float form ("1" → "1.0") by `type`, the event's. Everything lives in the
 * arena. ERR_INVALID: a label name that is empty or no UTF-8, in a series that parsed.
 */
MUST_CHECK bool expo_series_decode(enum expo_format format, enum expo_type type, struct str raw,
                                   struct arena *a, struct expo_labels *out, struct err *e);

// Decodes the labels of an exemplar: unescaped, in the order given, in the arena.
MUST_CHECK bool expo_exemplar_decode(enum expo_format format, struct str raw, struct arena *a,
                                     struct expo_labels *out, struct err *e);

// Shortest float with ".0" where neither "." nor "e" is in it: 1.0, 0.25, 1e+06, +Inf, NaN.
size_t expo_format_float(double v, char *out); // at most NUM_TEXT_MAX bytes

/*
 * Checks a page as a strict OpenMetrics 1.0 reader does: besides the grammar the order and grouping
 * of families, clashing names, units, and the consistency of each type. Prometheus's scraper is
 * laxer; this is for `check` commands. ERR_INVALID with the position of the first offence.
 */
MUST_CHECK bool expo_check_openmetrics(struct str body, struct err *e);
