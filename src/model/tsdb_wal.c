// tsdb_wal.c - the write-ahead log of Prometheus. See tsdb_wal.h.
// SPDX-License-Identifier: Apache-2.0
#include "model/tsdb_wal.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "codec/compress.h"
#include "model/tsdb_block.h"

enum { PAGE = 32 << 10, HEAD = 7 };
enum { FRAGMENT_EMPTY, FRAGMENT_FULL, FRAGMENT_FIRST, FRAGMENT_MIDDLE, FRAGMENT_LAST };
enum { FLAG_SNAPPY = 8, FLAG_ZSTD = 16 };

enum {
    RECORD_SERIES = 1,
    RECORD_SAMPLES = 2,
    RECORD_TOMBSTONES = 3,
    RECORD_HISTOGRAMS = 7,
    RECORD_FLOAT_HISTOGRAMS = 8,
    RECORD_CUSTOM_HISTOGRAMS = 9,
    RECORD_CUSTOM_FLOAT_HISTOGRAMS = 10,
    RECORD_SAMPLES_2 = 11,
};

/* ---- fragments ---- */

void tsdb_wal_fini(struct tsdb_wal *w)
{
    buf_fini(&w->record);
    buf_fini(&w->inflated);
}

static int damaged(const struct tsdb_wal *w, struct err *e, const char *what)
{
    err_at(e, (struct pos){ 0, 0, w->at }, ERR_CORRUPT, "%s at offset %zu", what, w->at);
    return -1;
}

static int inflate(struct tsdb_wal *w, unsigned flags, struct str *out, struct err *e)
{
    static const struct compress_limits limits = { .size_max = TSDB_RECORD_MAX, .ratio_max = 8192 };

    *out = buf_view(&w->record);
    if (!(flags & (FLAG_SNAPPY | FLAG_ZSTD)))
        return 1;
    buf_reset(&w->inflated);
    if (!compress_inflate(flags & FLAG_SNAPPY ? COMPRESS_SNAPPY : COMPRESS_ZSTD, *out, &limits,
                          &w->inflated, e))
        return -1;
    *out = buf_view(&w->inflated);
    return 1;
}

int tsdb_wal_next(struct tsdb_wal *w, struct str *out, struct err *e)
{
    bool inside = false;

    buf_reset(&w->record);
    for (;;) {
        size_t left = PAGE - w->at % PAGE;

        if (w->at >= w->file.n)
            return inside ? damaged(w, e, "the log ends inside a record") : 0;
        unsigned type = (uint8_t)w->file.p[w->at], kind = type & 7;
        if (kind == FRAGMENT_EMPTY) {
            w->at += left;
            continue;
        }
        if (left < HEAD || w->file.n - w->at < HEAD)
            return damaged(w, e, "a fragment is cut off");
        size_t n = get_be16(w->file.p + w->at + 1);
        uint32_t crc = get_be32(w->file.p + w->at + 3);
        if (n > left - HEAD || n > w->file.n - w->at - HEAD)
            return damaged(w, e, "a fragment is cut off");
        struct str data = str_of(w->file.p + w->at + HEAD, n);
        if (crc32c(0, data.p, data.n) != crc)
            return damaged(w, e, "wrong checksum of a fragment");
        if (kind > FRAGMENT_LAST || inside != (kind == FRAGMENT_MIDDLE || kind == FRAGMENT_LAST))
            return damaged(w, e, "a fragment that does not belong here");
        if (w->record.n + n > TSDB_RECORD_MAX)
            return damaged(w, e, "a record is too long");
        buf_str(&w->record, data);
        w->at += HEAD + n;
        inside = kind == FRAGMENT_FIRST || kind == FRAGMENT_MIDDLE;
        if (!inside)
            return inflate(w, type, out, e);
    }
}

/* ---- records ---- */

static uint64_t be64(struct bytes *r)
{
    struct str s = bytes_take(r, 8);

    return s.n ? (uint64_t)get_be32(s.p) << 32 | get_be32(s.p + 4) : 0;
}

static int64_t varint(struct bytes *r)
{
    return unzigzag(bytes_varint(r));
}

static int64_t add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b); // wraps, as Go's
}

static bool malformed(struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "a malformed record of %s", what);
}

static bool read_series(struct arena *a, struct bytes *r, const struct tsdb_wal_visit *v,
                        struct err *e)
{
    while (bytes_left(r)) {
        uint64_t ref = be64(r), n = bytes_varint(r);
        struct str dup;

        if (r->bad || n > TSDB_LABELS_MAX)
            return malformed(e, "series");
        struct label *ls = arena_array(a, n, struct label);
        for (uint64_t i = 0; i < n; i++) {
            ls[i].name = bytes_take(r, bytes_varint(r));
            ls[i].value = bytes_take(r, bytes_varint(r));
        }
        size_t kept = (size_t)n;
        if (r->bad || !labels_normalize(ls, &kept, &dup))
            return malformed(e, "series");
        if (v->series && !v->series(v->ctx, ref, (struct labels){ ls, kept }, e))
            return false;
    }
    return true;
}

static bool read_samples(struct bytes *r, const struct tsdb_wal_visit *v, struct err *e)
{
    uint64_t ref = bytes_left(r) ? be64(r) : 0;
    int64_t t = r->p < r->end ? (int64_t)be64(r) : 0;

    while (bytes_left(r)) {
        uint64_t at = ref + (uint64_t)varint(r);
        int64_t t_ms = add(t, varint(r));
        double value = double_from_bits(be64(r));

        if (r->bad)
            return malformed(e, "samples");
        if (v->sample && !v->sample(v->ctx, at, t_ms, value, e))
            return false;
    }
    return !r->bad || malformed(e, "samples");
}

// Each sample's reference differs from the last one's, its time from the first one's.
static bool read_samples_2(struct bytes *r, const struct tsdb_wal_visit *v, struct err *e)
{
    uint64_t ref = 0;
    int64_t first = 0;

    for (bool begun = false; bytes_left(r); begun = true) {
        int64_t t;

        ref += (uint64_t)varint(r);
        t = varint(r);
        if (!begun) {
            first = t;
            (void)varint(r); // start time
        } else {
            t = add(first, t);
            if (bytes_u8(r) > 1) // neither none nor the same start time
                (void)varint(r);
        }
        double value = double_from_bits(be64(r));
        if (r->bad)
            return malformed(e, "samples");
        if (v->sample && !v->sample(v->ctx, ref, t, value, e))
            return false;
    }
    return true;
}

static bool read_tombstones(struct bytes *r, const struct tsdb_wal_visit *v, struct err *e)
{
    while (bytes_left(r)) {
        uint64_t ref = be64(r);
        int64_t min = varint(r), max = varint(r);

        if (r->bad)
            return malformed(e, "tombstones");
        if (v->tombstone && !v->tombstone(v->ctx, ref, min, max, e))
            return false;
    }
    return true;
}

/* ---- histograms ---- */

static bool read_spans(struct arena *a, struct bytes *r, struct hist_side *s)
{
    uint64_t n = bytes_varint(r);

    if (r->bad || n > HIST_SPANS_MAX)
        return false;
    struct hist_span *v = arena_array(a, n, struct hist_span);
    for (uint64_t i = 0; i < n; i++) {
        v[i].offset = (int32_t)varint(r);
        v[i].length = (uint32_t)bytes_varint(r);
    }
    s->span = v;
    s->spans = (uint32_t)n;
    return !r->bad;
}

static bool read_buckets(struct arena *a, struct bytes *r, bool integer, struct hist_side *s)
{
    uint64_t n = bytes_varint(r);
    int64_t at = 0;

    if (r->bad || n > HIST_BUCKETS_MAX)
        return false;
    double *v = arena_array(a, n, double);
    for (uint64_t i = 0; i < n; i++) {
        if (integer) {
            at = add(at, varint(r));
            v[i] = (double)at;
        } else {
            v[i] = double_from_bits(be64(r));
        }
    }
    s->count = v;
    s->buckets = (uint32_t)n;
    return !r->bad;
}

static bool read_bounds(struct arena *a, struct bytes *r, struct histogram *h)
{
    uint64_t n = bytes_varint(r);

    if (r->bad || n > HIST_BUCKETS_MAX)
        return false;
    double *v = arena_array(a, n, double);
    for (uint64_t i = 0; i < n; i++)
        v[i] = double_from_bits(be64(r));
    h->custom = v;
    h->custom_n = (uint32_t)n;
    return !r->bad;
}

static bool read_histogram(struct arena *a, struct bytes *r, bool integer, struct histogram *h)
{
    static const enum hist_reset resets[] = { HIST_RESET_UNKNOWN, HIST_RESET_YES, HIST_RESET_NO,
                                              HIST_RESET_GAUGE };

    h->integer = integer;
    h->reset = resets[bytes_u8(r) & 3];
    h->schema = (int32_t)varint(r);
    h->zero_threshold = double_from_bits(be64(r));
    h->zero_count = integer ? (double)bytes_varint(r) : double_from_bits(be64(r));
    h->count = integer ? (double)bytes_varint(r) : double_from_bits(be64(r));
    h->sum = double_from_bits(be64(r));
    return read_spans(a, r, &h->pos) && read_spans(a, r, &h->neg) &&
           read_buckets(a, r, integer, &h->pos) && read_buckets(a, r, integer, &h->neg) &&
           (h->schema != HIST_SCHEMA_CUSTOM || read_bounds(a, r, h));
}

static bool read_histograms(struct arena *a, struct bytes *r, bool integer,
                            const struct tsdb_wal_visit *v, struct err *e)
{
    uint64_t ref = bytes_left(r) ? be64(r) : 0;
    int64_t t = r->p < r->end ? (int64_t)be64(r) : 0;

    while (bytes_left(r)) {
        struct arena_mark mark = arena_mark(a);
        struct histogram h = { 0 };
        uint64_t at = ref + (uint64_t)varint(r);
        int64_t t_ms = add(t, varint(r));

        if (!read_histogram(a, r, integer, &h))
            return malformed(e, "histograms");
        if (v->histogram && !v->histogram(v->ctx, at, t_ms, &h, e))
            return false;
        arena_release(a, mark);
    }
    return !r->bad || malformed(e, "histograms");
}

bool tsdb_wal_record(struct arena *a, struct str record, const struct tsdb_wal_visit *v,
                     struct err *e)
{
    struct bytes r = bytes_of(record);
    uint8_t type = bytes_u8(&r);

    switch (type) {
    case RECORD_SERIES:
        return read_series(a, &r, v, e);
    case RECORD_SAMPLES:
        return read_samples(&r, v, e);
    case RECORD_SAMPLES_2:
        return read_samples_2(&r, v, e);
    case RECORD_TOMBSTONES:
        return read_tombstones(&r, v, e);
    case RECORD_HISTOGRAMS:
    case RECORD_CUSTOM_HISTOGRAMS:
        return read_histograms(a, &r, true, v, e);
    case RECORD_FLOAT_HISTOGRAMS:
    case RECORD_CUSTOM_FLOAT_HISTOGRAMS:
        return read_histograms(a, &r, false, v, e);
    default:
        if (v->skipped)
            v->skipped(v->ctx, type);
        return true;
    }
}
