/*
 * expo_write.h - writes metric families as Prometheus text, OpenMetrics or delimited protobuf.
 *
 *   struct expo_writer w = expo_writer(EXPO_TEXT, &out);
 *   expo_write_family(&w, &(struct expo_family){.name = STR("up"), .type = EXPO_GAUGE});
 *   expo_write_metric(&w, &(struct expo_metric){.value = 1});
 *   expo_write_end(&w);
 *
 * Fed by plain structs, family by family; everything goes straight to the buffer.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "codec/expo.h"

/*
 * `name` is the name of the samples, with `_total` for a counter and `_info` for an info. OpenMetrics
 * has neither suffix in the metadata, and gets such a family without it as unknown. Types that a format
 * lacks are written as the nearest one (text: info and stateset as gauge).
 */
struct expo_family {
    struct str name;
    struct str help; // p == NULL: no HELP line
    struct str unit; // empty: no UNIT line; text has none anyway
    enum expo_type type;
};

struct expo_exemplar_out {
    const struct expo_label *label;
    size_t labels;
    double value;
    int64_t t_ms; // 0: without a time
};

struct expo_bucket {
    double upper;                             // le
    double count;                             // cumulative
    const struct expo_exemplar_out *exemplar; // NULL: none
};

struct expo_quantile {
    double quantile, value;
};

// One metric of a family: one set of labels with everything the type has.
struct expo_metric {
    const struct expo_label *label; // without __name__, le, quantile; empty values are left out
    size_t labels;
    double value;     // sum of a histogram or summary
    double count;     // histogram, summary
    int64_t t_ms;     // with has_time
    int64_t start_ms; // 0: none; OpenMetrics: `_created`, protobuf: start timestamp, text: nothing
    bool has_time;
    const struct expo_bucket *bucket; // histogram: ascending; +Inf is added when absent
    size_t buckets;
    const struct expo_quantile *quantile; // summary
    size_t quantiles;
    const struct expo_histogram *hist;        // native histogram: protobuf only
    const struct expo_exemplar_out *exemplar; // of a counter; text has none
};

struct expo_writer {
    enum expo_format format;
    struct buf *out;
    struct expo_family family; // while one is open
    bool open;
    bool keep_empty; // write labels with an empty value, too: they mean the same as none
    size_t mark;     // protobuf: where the body of the open family begins
};

static inline struct expo_writer expo_writer(enum expo_format format, struct buf *out)
{
    return (struct expo_writer){ .format = format, .out = out };
}

// The Content-Type to answer with.
const char *expo_content_type(enum expo_format format);

// Opens a family and writes its metadata, closing the one before. Slices are borrowed while it is open.
void expo_write_family(struct expo_writer *w, const struct expo_family *f);
// Writes one metric of the open family, with all its lines or as one message. m is read, not kept;
// a native histogram is left out by the text formats.
void expo_write_metric(struct expo_writer *w, const struct expo_metric *m);
// Closes the open family and, in OpenMetrics, the page with # EOF.
void expo_write_end(struct expo_writer *w);

// All of the program's own metrics (base/metric.h). The caller ends the page.
void expo_write_self(struct expo_writer *w);
