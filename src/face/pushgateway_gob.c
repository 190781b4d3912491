/*
 * pushgateway_gob.c - reading the file of prometheus/pushgateway, for those who come from there.
 *
 * It is one value of Go's encoding/gob: messages of length, type number and content; negative type
 * numbers are definitions, which are skipped: the layout is known. The value is a map from a key to
 * {1 Labels map[string]string, 2 Metrics map[string]{1 Timestamp 15 bytes, 2 bytes of a MetricFamily}}.
 * Unsigned numbers: one byte below 128, else the negated count of the big-endian bytes that follow.
 * Structs: distance to the next field that is there, its value, …, 0.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "codec/proto.h"
#include "face/pushgateway_priv.h"

enum { ENTRIES_MAX = 1 << 24, LABELS_MAX = 1024, MEMORY_MAX = 256 << 20, TIME_BYTES = 15 };
// From the year 1 to 1970.
#define UNIX_EPOCH_S INT64_C(62135596800)

static uint64_t gob_uint(struct bytes *r)
{
    uint8_t first = bytes_u8(r);
    uint64_t v = 0;

    if (first < 128)
        return first;
    unsigned n = 256u - first;
    if (n > 8) {
        r->bad = true;
        return 0;
    }
    while (n--)
        v = v << 8 | bytes_u8(r);
    return v;
}

static struct str gob_str(struct bytes *r)
{
    return bytes_take(r, gob_uint(r));
}

// The number of entries of a map, each of which takes two bytes at least.
static uint64_t gob_count(struct bytes *r)
{
    uint64_t n = gob_uint(r);

    r->bad |= n > ENTRIES_MAX || n * 2 > bytes_left(r);
    return r->bad ? 0 : n;
}

static int64_t time_ns(struct str s)
{
    int64_t ns;

    if (s.n < TIME_BYTES)
        return 0;
    int64_t seconds = (int64_t)((uint64_t)get_be32(s.p + 1) << 32 | get_be32(s.p + 5));
    if (__builtin_sub_overflow(seconds, UNIX_EPOCH_S, &seconds) ||
        __builtin_mul_overflow(seconds, NS_SECOND, &ns))
        return 0;
    return ns + (int64_t)(get_be32(s.p + 9) % 1000000000u);
}

static bool malformed(struct err *e)
{
    return err_set(e, ERR_CORRUPT, "a malformed file of prometheus/pushgateway");
}

static bool read_labels(struct push_batch *b, struct bytes *r, struct err *e)
{
    uint64_t n = gob_count(r);

    if (r->bad || n > LABELS_MAX)
        return malformed(e);
    struct expo_label *v = arena_array(&b->arena, n, struct expo_label);
    for (uint64_t i = 0; i < n; i++) {
        v[i].name = arena_str(&b->arena, gob_str(r));
        v[i].value = arena_str(&b->arena, gob_str(r));
    }
    push_batch_group(b, v, (size_t)n);
    return !r->bad || malformed(e);
}

static bool read_family(struct push_batch *b, struct bytes *r, struct err *e)
{
    OWNED(buf_fini) struct buf delimited = { 0 };
    struct str time = STR_NONE, family = STR_NONE, rest;
    struct expo_whole w;
    unsigned field = 0;

    for (uint64_t step; (step = gob_uint(r)) != 0 && !r->bad;) {
        field += (unsigned)MIN(step, (uint64_t)3);
        if (field == 1)
            time = gob_str(r);
        else if (field == 2)
            family = gob_str(r);
        else
            return malformed(e);
    }
    if (r->bad)
        return malformed(e);
    if (!family.n)
        return true;
    buf_varint(&delimited, family.n);
    buf_str(&delimited, family);
    rest = arena_str(&b->arena, buf_view(&delimited));
    if (expo_family_next(&b->arena, MEMORY_MAX, &rest, &w, e) <= 0)
        return false;
    push_batch_add(b, &w, time_ns(time));
    return true;
}

// Labels come before metrics: fields are in order.
static bool read_group(struct pushgateway *g, struct bytes *r, struct err *e)
{
    OWNED(push_batch_put) struct push_batch *b = push_batch_new();
    unsigned field = 0;

    (void)gob_str(r); // the key, which the labels give too
    for (uint64_t step; (step = gob_uint(r)) != 0 && !r->bad;) {
        field += (unsigned)MIN(step, (uint64_t)3);
        if (field == 1) {
            if (!read_labels(b, r, e))
                return false;
        } else if (field == 2 && b->label) {
            for (uint64_t n = gob_count(r); n; n--) {
                (void)gob_str(r); // the name, which is in the family too
                if (!read_family(b, r, e))
                    return false;
            }
        } else {
            return malformed(e);
        }
    }
    if (r->bad)
        return malformed(e);
    if (b->label)
        push_store_restore(g, b);
    return true;
}

bool push_gob_read(struct pushgateway *g, struct str content, struct err *e)
{
    struct bytes file = bytes_of(content);

    while (bytes_left(&file)) {
        struct bytes r = bytes_of(gob_str(&file));
        uint64_t type = gob_uint(&r);

        if (file.bad || r.bad)
            return malformed(e);
        if (type & 1) // negative: a definition
            continue;
        if (gob_uint(&r) != 0) // a value that is no struct stands behind a zero
            return malformed(e);
        for (uint64_t n = gob_count(&r); n; n--)
            if (!read_group(g, &r, e))
                return false;
        return !r.bad || malformed(e);
    }
    return malformed(e);
}
