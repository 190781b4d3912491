/*
 * page.h - a page of the Prometheus text format as metric families.
 *
 * For tools that look at whole families: lint rules, counts, pushing. Accepts and refuses what
 * the client library's parser does (prometheus/common, expfmt), with its messages, which differ
 * from those of the scraper (codec/expo.h): one line each, "text format parsing error in line 3: …".
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/vec.h"
#include "model/labels.h"

enum page_type {
    PAGE_NO_TYPE,
    PAGE_COUNTER,
    PAGE_GAUGE,
    PAGE_SUMMARY,
    PAGE_UNTYPED,
    PAGE_HISTOGRAM,
    PAGE_GAUGE_HISTOGRAM,
};
// "counter", "gauge_histogram", …
const char *page_type_name(enum page_type t);

struct page_part { // a bucket or a quantile
    double at, value;
};

struct page_metric {
    struct label *labels; // as written, without le or quantile of its kind
    size_t label_count;
    double value; // counter, gauge, untyped
    double sum, count;
    VEC(struct page_part) parts;
    int64_t t_ms; // with has_time
    bool has_time;
};

struct page_family {
    struct str name, help;
    bool has_help;
    enum page_type type;
    VEC(struct page_metric *) metrics;
};

struct page {
    struct page_family **families; // by name; none is empty
    size_t n;
};

// Everything lives in the arena. ERR_INVALID with the line.
MUST_CHECK bool page_read(struct arena *a, struct str text, struct page *out, struct err *e);
