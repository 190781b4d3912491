// promql_series_fuzz.c - any series line: an error, or labels and values that can be printed.
// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

#include "lang/promql.h"
#include "model/histogram_ops.h"

static void check_labels(struct labels ls)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct labels again;
    struct err e = { 0 };

    for (size_t i = 0; i < ls.n; i++)
        assert(ls.v[i].value.n > 0 && (i == 0 || str_cmp(ls.v[i - 1].name, ls.v[i].name) < 0));
    buf_labels(&b, ls);
    bool ok = promql_parse_labels(&a, buf_view(&b), &again, &e);
    assert(!ok || labels_equal(ls, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    enum { SHOWN_MAX = 100 };
    OWNED(arena_fini) struct arena a = { 0 };
    struct str text = { (const char *)p, n };
    struct promql_series_line line;
    struct labels labels;
    struct err e = { 0 };

    if (n > 4096) // expansion makes long lines slow
        return 0;
    if (promql_parse_labels(&a, text, &labels, &e))
        check_labels(labels);
    if (!promql_parse_series_line(&a, text, &line, &e)) {
        assert(e.kind == ERR_INVALID);
        return 0;
    }
    check_labels(line.labels);
    assert(line.n <= PROMQL_SEQ_MAX);
    for (size_t i = 0; i < line.n && i < SHOWN_MAX; i++) {
        OWNED(buf_fini) struct buf b = { 0 };
        if (!line.v[i].hist)
            continue;
        buf_histogram_test(&b, line.v[i].hist);
        assert(b.n >= 4);
        (void)histogram_compact(&a, line.v[i].hist, 0);
    }
    return 0;
}
