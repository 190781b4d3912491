// compress_fuzz.c - hostile compressed bytes: limits hold, and both ways agree on what is whole.
// SPDX-License-Identifier: Apache-2.0
#include "codec/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

// First byte: codec and size of the pieces.
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct compress_limits l = { .size_max = 100000 };
    struct err e = { 0 };

    if (n == 0)
        return 0;
    enum compress_codec c = (enum compress_codec)(p[0] % 5);
    size_t piece = 1 + p[0] / 5;
    struct str in = { (const char *)p + 1, n - 1 };
    OWNED(buf_fini) struct buf whole = { 0 }, parts = { 0 }, again = { 0 };
    bool ok = compress_inflate(c, in, &l, &whole, &e);
    assert(whole.n <= l.size_max && (ok || whole.n == 0));
    if (ok) {
        OWNED(buf_fini) struct buf packed = { 0 };
        compress_all(c, 1, buf_view(&whole), &packed);
        ok = compress_inflate(c, buf_view(&packed), &l, &again, &e);
        // Our own packing of something small passes the ratio limit only by being large.
        assert(ok ? str_eq(buf_view(&again), buf_view(&whole)) : e.kind == ERR_LIMIT);
    }
    if (c == COMPRESS_SNAPPY)
        return 0;
    OWNED(compress_inflater_free) struct compress_inflater *f = compress_inflater_new(c, &l);
    bool fed = true;
    for (size_t at = 0; fed && at < in.n; at += piece)
        fed = compress_inflater_feed(f, str_sub(in, at, at + piece), &parts, &e);
    fed = fed && compress_inflater_end(f, &e);
    assert(parts.n <= l.size_max + 1);
    if (fed && whole.n)
        assert(str_eq(buf_view(&parts), buf_view(&whole)));
    return 0;
}
