// hist_blob_fuzz.c - any bytes as an encoded histogram: what is accepted encodes to the same again.
// SPDX-License-Identifier: Apache-2.0
#include "metrics/hist_blob.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf once = { 0 };
    OWNED(buf_fini) struct buf twice = { 0 };
    const struct histogram *h;
    struct err e = { 0 };

    if (!hist_blob_read(str_of((const char *)p, n), &a, &h, &e)) {
        if (e.kind != ERR_CORRUPT)
            abort();
        return 0;
    }
    buf_hist_blob(&once, h);
    if (!hist_blob_read(buf_view(&once), &a, &h, &e))
        abort();
    buf_hist_blob(&twice, h);
    if (!str_eq(buf_view(&once), buf_view(&twice)))
        abort();
    return 0;
}
