// limits_fuzz.c - limits files: what is read prints, and what is printed reads back to the same.
// SPDX-License-Identifier: Apache-2.0
#include "config/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(limits_doc_put) struct limits_doc *d = NULL;
    OWNED(limits_doc_put) struct limits_doc *same = NULL;
    OWNED(buf_fini) struct buf first = { 0 };
    OWNED(buf_fini) struct buf again = { 0 };
    struct err e;

    if (!limits_parse(str_of((const char *)p, n), false, &d, &e))
        return 0;
    buf_limits_doc(&first, d);
    bool ok = limits_parse(buf_view(&first), false, &same, &e);
    assert(ok);
    buf_limits_doc(&again, same);
    assert(str_eq(buf_view(&first), buf_view(&again)));
    return 0;
}
