/*
 * chunk_fuzz.c - blocks of column chunks: arbitrary bytes as a block, and as values to be encoded.
 *
 * First byte even: the rest is opened as a block and everything in it decoded. Odd: the rest are
 * chunks of doubles, which must come back bit for bit.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "base/mem.h"
#include "metrics/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void read_block(const uint8_t *p, size_t n)
{
    struct block_reader *r = block_reader_new();
    uint8_t *block = xcalloc(1, n + 8); // exactly the slack that is promised
    double v[CHUNK_VALUES_MAX];
    int64_t ints[CHUNK_VALUES_MAX];

    if (n)
        memcpy(block, p, n);
    if (block_reader_open(r, block, n)) {
        for (size_t i = 0; i < block_reader_chunks(r); i++) {
            uint32_t id = block_reader_key(r, i).id;
            bool ok = block_reader_kind(r, i) == CHUNK_INTS ? block_reader_ints(r, i, ints)
                                                            : block_reader_doubles(r, i, v);

            (void)ok; // a damaged chunk may be refused: only what it touches is looked at
            assert(block_reader_values(r, i) >= 1);
            assert(block_reader_values(r, i) <= CHUNK_VALUES_MAX);
            assert(block_reader_find(r, 0, id) <= i);
        }
    }
    block_reader_free(r);
    xfree(block);
}

enum { CHUNKS = 8 };

static void turn_values(const uint8_t *p, size_t n)
{
    struct block_builder *b = block_builder_new();
    struct block_reader *r = block_reader_new();
    struct buf bytes = { 0 };
    double *v = xmalloc(n + 8), out[CHUNK_VALUES_MAX];
    size_t values = n / 8, size[CHUNKS], chunks = 0;

    memcpy(v, p, values * 8);
    for (size_t at = 0; at < values && chunks < CHUNKS; at += size[chunks++]) {
        struct chunk_key key = { .id = (uint32_t)chunks };

        size[chunks] = MIN(MIN(values - at, (size_t)CHUNK_VALUES_MAX), values / 3 + 1);
        block_builder_doubles(b, &key, v + at, size[chunks]);
    }
    if (chunks) {
        block_builder_finish(b, &bytes);
        memset(buf_room(&bytes, 8), 0, 8);
        assert(block_reader_open(r, (const uint8_t *)bytes.p, bytes.n));
        for (size_t i = 0, at = 0; i < chunks; at += size[i++]) {
            assert(block_reader_doubles(r, i, out));
            assert(memcmp(out, v + at, size[i] * 8) == 0);
        }
    }
    xfree(v);
    buf_fini(&bytes);
    block_reader_free(r);
    block_builder_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < 1 || n > 1 << 16)
        return 0;
    if (p[0] & 1)
        turn_values(p + 1, n - 1);
    else
        read_block(p + 1, n - 1);
    return 0;
}
