// postings_test.c - packed lists read back, refuse nonsense, skip; sets agree with a plain bitmap.
// SPDX-License-Identifier: Apache-2.0
#include "store/postings.h"

#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/vec.h"
#include "test.h"

enum { UNIVERSE = 20000 };

static bool collect(void *ctx, struct str block, struct err *e)
{
    buf_str(ctx, block);
    return true;
}

// Random ascending positions: single ones, gaps, long runs.
static size_t random_list(struct rand_state *r, uint32_t *v, uint32_t limit)
{
    size_t n = 0;
    uint32_t at = (uint32_t)(rand_next(r) % 50), gap = 1 + (uint32_t)(rand_next(r) % 300);

    while (at < limit) {
        uint64_t run = rand_next(r) % 8 == 0 ? rand_next(r) % 500 : 1;
        for (; run > 0 && at < limit; run--)
            v[n++] = at++;
        at += (uint32_t)(rand_next(r) % gap);
    }
    return n;
}

static void pack(const uint32_t *v, size_t n, struct buf *out)
{
    OWNED(postings_encoder_fini) struct postings_encoder c = { .emit = collect, .ctx = out };
    struct err e;

    postings_encoder_reset(&c);
    for (size_t i = 0; i < n; i++)
        CHECK(postings_encoder_run(&c, v[i], 1, &e));
    CHECK(postings_encoder_end(&c, &e));
    CHECK(c.emitted == out->n);
    memset(buf_room(out, 16), 0, 16);
}

TEST(postings_packed_lists_read_back)
{
    struct rand_state r = rand_seeded(4);
    uint32_t *v = xcalloc(UNIVERSE, sizeof *v), block[POSTINGS_BLOCK];

    for (int round = 0; round < 300; round++) {
        OWNED(buf_fini) struct buf b = { 0 };
        size_t n = random_list(&r, v, UNIVERSE), at = 0;
        uint32_t from = round % 2 ? (uint32_t)(rand_next(&r) % UNIVERSE) : 0;
        pack(v, n, &b);
        struct postings_state s = { (uint32_t)n, 0, UNIVERSE };
        const uint8_t *p = (const uint8_t *)b.p, *end = p + b.n;
        while (s.left) {
            struct postings_block out;
            uint32_t left = s.left;
            CHECK(postings_unpack(&s, &p, end, from, block, &out));
            CHECK(out.n == left - s.left || (out.n == 0 && v[n - s.left - 1] < from));
            for (uint32_t i = 0; i < out.n; i++)
                CHECK((out.v ? out.v[i] : out.first + i) == v[at + i]);
            at += left - s.left;
        }
        CHECK(p == end && at == n);
        // Too small a universe, or fewer positions than the blocks hold, is noticed.
        s = (struct postings_state){ (uint32_t)n, 0, v[n - 1] };
        p = (const uint8_t *)b.p;
        bool ok = true;
        struct postings_block out;
        while (s.left && ok)
            ok = postings_unpack(&s, &p, end, from, block, &out);
        CHECK(!ok);
    }
    xfree(v);
}

TEST(postings_any_bytes_stay_inside)
{
    struct rand_state r = rand_seeded(8);
    uint32_t v[POSTINGS_BLOCK];
    uint8_t bytes[80];

    for (int round = 0; round < 200000; round++) {
        struct postings_state s = { 1000, 0, 5000 };
        const uint8_t *p = bytes;
        struct postings_block out;
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)rand_next(&r);
        bytes[0] = round % 2 ? bytes[0] % 33 : 0x80;
        bytes[1] &= round % 3 ? 0x1f : 0xff;
        if (!postings_unpack(&s, &p, bytes + 64, 0, v, &out))
            continue;
        CHECK(p <= bytes + 64 && s.left < 1000);
        for (uint32_t i = 0; i < out.n; i++)
            CHECK((out.v ? out.v[i] : out.first + i) < 5000);
    }
}

/* ---- sets ---- */

struct plain {
    uint32_t universe;
    bool has[UNIVERSE];
};

static void random_set(struct rand_state *r, struct plain *p, struct posset *s)
{
    uint64_t kind = rand_next(r) % 4, n = kind == 0 ? 5 : kind == 1 ? 300 : UNIVERSE;

    *p = (struct plain){ .universe = 1 + (uint32_t)(rand_next(r) % UNIVERSE) };
    posset_init(s, p->universe);
    if (kind == 3) {
        posset_fill(s);
        memset(p->has, 1, p->universe);
        return;
    }
    for (; n > 0; n--) {
        uint32_t first = (uint32_t)(rand_next(r) % p->universe);
        uint32_t count = rand_next(r) % 100 ? 1 : MIN(200u, p->universe - first);
        posset_add(s, &(struct postings_block){ count, first, NULL });
        memset(p->has + first, 1, count);
    }
    posset_seal(s);
}

static void agree(const struct posset *s, const struct plain *p, uint32_t bound)
{
    uint32_t *v = xcalloc(s->n + 1, sizeof *v);
    size_t n = posset_list(s, bound, v), at = 0, all = 0;

    for (uint32_t i = 0; i < UNIVERSE; i++) {
        bool want = i < p->universe && p->has[i];
        CHECK(posset_has(s, i) == want);
        all += want;
        if (want && i < bound)
            CHECK(at < n && v[at++] == i);
    }
    CHECK(at == n && all == s->n);
    xfree(v);
}

TEST(posset_agrees_with_a_bitmap)
{
    struct rand_state r = rand_seeded(6);

    for (int round = 0; round < 200; round++) {
        OWNED(posset_fini) struct posset a, b, sum;
        static struct plain pa, pb, pc;
        random_set(&r, &pa, &a);
        random_set(&r, &pb, &b);
        agree(&a, &pa, (uint32_t)(rand_next(&r) % UNIVERSE));
        posset_copy(&sum, &a);
        posset_add_set(&sum, &b);
        posset_seal(&sum);
        pc = pa;
        for (uint32_t i = 0; i < pa.universe; i++)
            pc.has[i] |= i < pb.universe && pb.has[i];
        agree(&sum, &pc, UNIVERSE);
        bool keep = round % 2;
        posset_filter(&a, &b, keep);
        for (uint32_t i = 0; i < pa.universe; i++)
            pa.has[i] = pa.has[i] && (i < pb.universe && pb.has[i]) == keep;
        agree(&a, &pa, UNIVERSE);
    }
}
