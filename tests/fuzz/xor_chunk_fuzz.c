// xor_chunk_fuzz.c - any bytes as a chunk; what decodes must survive encoding and decoding again.
// SPDX-License-Identifier: Apache-2.0
#include "codec/xor_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(buf_fini) struct buf again = { 0 };
    struct xor_reader r, s;
    struct xor_writer w;
    int64_t t, u;
    double x, y;

    if (!xor_reader_open(&r, str_of((const char *)p, n)))
        return 0;
    xor_writer_begin(&w, &again);
    while (xor_reader_next(&r, &t, &x) > 0)
        xor_writer_add(&w, t, x);
    xor_writer_end(&w);
    assert(xor_reader_open(&s, buf_view(&again)));
    assert(xor_reader_open(&r, str_of((const char *)p, n)));
    while (xor_reader_next(&s, &u, &y) > 0) {
        assert(xor_reader_next(&r, &t, &x) > 0);
        assert(t == u && double_bits(x) == double_bits(y));
    }
    assert(s.at == s.n);
    return 0;
}
