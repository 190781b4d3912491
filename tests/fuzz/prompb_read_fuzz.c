// prompb_read_fuzz.c - any bytes as a read request.
// SPDX-License-Identifier: Apache-2.0
#include "model/prompb.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct prompb_read_request r = { 0 };
    struct err e = { 0 };
    size_t matchers = 0;

    if (!prompb_read_request(&a, str_of((const char *)p, n), &r, &e)) {
        assert(e.kind == ERR_INVALID || e.kind == ERR_LIMIT);
        return 0;
    }
    for (size_t i = 0; i < r.queries; i++) {
        for (size_t k = 0; k < r.query[i].matcher_count; k++)
            matchers += r.query[i].matchers[k].name.n + r.query[i].matchers[k].value.n;
    }
    assert(matchers <= n);
    return 0;
}
