/*
 * compress.c - see compress.h. One section per codec: whole buffers first, then the two streams.
 */
// SPDX-License-Identifier: Apache-2.0
#include "codec/compress.h"

#include <libdeflate.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/mem.h"

enum {
    SIZE_MAX_DEFAULT = 64 << 20,
    STREAM_STEP = 32 << 10, // room made for one call into a stream codec
    SNAPPY_RATIO_MAX = 64,  // a 2 byte copy element yields at most 64 bytes
    ISIZE_BYTES = 4,        // the length at the end of a gzip member
    GZIP_SIZE_MIN = 18,
};

static const struct {
    const char *name;
    enum compress_codec codec;
} names[] = {
    { "identity", COMPRESS_NONE },   { "gzip", COMPRESS_GZIP }, { "x-gzip", COMPRESS_GZIP },
    { "deflate", COMPRESS_DEFLATE }, { "zstd", COMPRESS_ZSTD }, { "snappy", COMPRESS_SNAPPY },
};

bool compress_codec_of(struct str name, enum compress_codec *out)
{
    if (name.n == 0) {
        *out = COMPRESS_NONE;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_nocase(name, str_c(names[i].name))) {
            *out = names[i].codec;
            return true;
        }
    }
    return false;
}

const char *compress_codec_name(enum compress_codec c)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].codec == c)
            return names[i].name;
    return "identity";
}

/* ---- limits ---- */

static size_t size_max_of(const struct compress_limits *l)
{
    return l && l->size_max ? l->size_max : SIZE_MAX_DEFAULT;
}

// The output allowed for in_bytes of input: both limits in one figure.
static size_t room_max(const struct compress_limits *l, uint64_t in_bytes)
{
    size_t size_max = size_max_of(l);
    uint64_t ratio = l && l->ratio_max ? l->ratio_max : COMPRESS_RATIO_MAX, by_ratio;

    if (__builtin_mul_overflow(in_bytes, ratio, &by_ratio))
        return size_max;
    by_ratio = MAX(by_ratio, (uint64_t)COMPRESS_RATIO_FREE);
    return MIN((uint64_t)size_max, by_ratio);
}

static bool limit_passed(const struct compress_limits *l, uint64_t in_bytes, struct err *e)
{
    size_t room = room_max(l, in_bytes);

    if (room == size_max_of(l))
        return err_set(e, ERR_LIMIT, "decompressed body is larger than %zu bytes", room);
    return err_set(e, ERR_LIMIT, "decompressed body is more than %u times the compressed one",
                   l && l->ratio_max ? l->ratio_max : COMPRESS_RATIO_MAX);
}

static bool cut_short(struct err *e)
{
    return err_set(e, ERR_CORRUPT, "unexpected EOF");
}

/* ---- whole buffers: gzip, zlib, raw deflate by libdeflate ---- */

OWN_DEFINE(struct libdeflate_decompressor *, libdeflate_free_decompressor);
OWN_DEFINE(struct libdeflate_compressor *, libdeflate_free_compressor);

// RFC 1950: method 8, window at most 32 KiB, header a multiple of 31, no dictionary.
static bool has_zlib_header(struct str in)
{
    const uint8_t *p = (const uint8_t *)in.p;

    return in.n >= 2 && (p[0] & 0x0f) == 8 && p[0] >> 4 <= 7 && get_be16(p) % 31 == 0 &&
           !(p[1] & 0x20);
}

typedef enum libdeflate_result (*deflate_fn)(struct libdeflate_decompressor *, const void *, size_t,
                                             void *, size_t, size_t *, size_t *);

/*
 * One member at the start of in. libdeflate cannot continue, so the room is doubled and the
 * member done again until it fits: at most twice the work of the final try.
 */
static bool inflate_member(deflate_fn fn, struct str *in, size_t guess, size_t room,
                           struct buf *out, enum libdeflate_result *result)
{
    OWNED(libdeflate_free_decompressor)
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    size_t used = 0, made = 0;

    assert(d);
    for (size_t try = MIN(MAX(guess, (size_t)256), room);; try = MIN(try * 2, room)) {
        buf_room(out, try);
        *result = fn(d, in->p, in->n, out->p + out->n, try, &used, &made);
        if (*result != LIBDEFLATE_INSUFFICIENT_SPACE || try >= room)
            break;
    }
    if (*result != LIBDEFLATE_SUCCESS)
        return false;
    out->n += made;
    *in = str_sub(*in, used, in->n);
    return true;
}

static bool inflate_deflate(enum compress_codec c, struct str in, const struct compress_limits *l,
                            struct buf *out, struct err *e)
{
    size_t start = out->n, room = room_max(l, in.n), all = in.n;
    deflate_fn fn = c == COMPRESS_GZIP    ? libdeflate_gzip_decompress_ex
                    : has_zlib_header(in) ? libdeflate_zlib_decompress_ex
                                          : libdeflate_deflate_decompress_ex;

    do {
        size_t guess = in.n * 4, done = out->n - start;
        enum libdeflate_result result;

        if (in.n == 0)
            return cut_short(e);
        if (c == COMPRESS_GZIP) {
            const uint8_t *p = (const uint8_t *)in.p;
            if (p[0] != 0x1f || (in.n > 1 && p[1] != 0x8b))
                return err_set(e, ERR_CORRUPT, "gzip: invalid header");
            if (in.n < GZIP_SIZE_MIN)
                return cut_short(e);
            guess = get_le32(in.p + in.n - ISIZE_BYTES);
            if (guess / 1100 > in.n) // deflate cannot do better than 1032:1
                guess = in.n * 4;
        }
        if (!inflate_member(fn, &in, guess, room - done, out, &result)) {
            if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
                return limit_passed(l, all, e);
            return err_set(e, ERR_CORRUPT, "%s: corrupt input", compress_codec_name(c));
        }
    } while (c == COMPRESS_GZIP && in.n);
    return true;
}

/* ---- whole buffers: zstd ---- */

static void dctx_free(ZSTD_DCtx *d)
{
    ZSTD_freeDCtx(d);
}
OWN_DEFINE(ZSTD_DCtx *, dctx_free);

// A frame that does not say its size.
static bool zstd_unsized_frame(ZSTD_DCtx *d, struct str frame, size_t end_max, struct buf *out,
                               bool *limited)
{
    ZSTD_inBuffer in = { frame.p, frame.n, 0 };
    size_t left;

    ZSTD_DCtx_reset(d, ZSTD_reset_session_only);
    do {
        if (out->n >= end_max) {
            *limited = true;
            return false;
        }
        size_t room = MIN((size_t)STREAM_STEP * 4, end_max - out->n + 1);
        ZSTD_outBuffer o = { buf_room(out, room), room, 0 };
        left = ZSTD_decompressStream(d, &o, &in);
        if (ZSTD_isError(left))
            return false;
        out->n += o.pos;
        if (left && in.pos == in.size && o.pos < o.size)
            return false;
    } while (left);
    return true;
}

static bool zstd_frame(ZSTD_DCtx *d, struct str frame, size_t end_max, struct buf *out,
                       bool *limited)
{
    unsigned long long size = ZSTD_getFrameContentSize(frame.p, frame.n);

    if (size == ZSTD_CONTENTSIZE_ERROR)
        return false;
    if (size == ZSTD_CONTENTSIZE_UNKNOWN)
        return zstd_unsized_frame(d, frame, end_max, out, limited);
    if (size > end_max - out->n) {
        *limited = true;
        return false;
    }
    size_t made = ZSTD_decompressDCtx(d, buf_room(out, (size_t)size + 1), (size_t)size, frame.p,
                                      frame.n);
    if (ZSTD_isError(made))
        return false;
    out->n += made;
    return true;
}

static bool inflate_zstd(struct str in, const struct compress_limits *l, struct buf *out,
                         struct err *e)
{
    OWNED(dctx_free) ZSTD_DCtx *d = ZSTD_createDCtx();
    size_t end_max = out->n + room_max(l, in.n), all = in.n;

    assert(d);
    ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, COMPRESS_ZSTD_WINDOW_LOG_MAX);
    if (in.n == 0)
        return cut_short(e);
    while (in.n) {
        size_t n = ZSTD_findFrameCompressedSize(in.p, in.n);
        bool limited = false;

        if (ZSTD_isError(n))
            return err_set(e, ERR_CORRUPT, "zstd: corrupt input");
        if (!zstd_frame(d, str_sub(in, 0, n), end_max, out, &limited))
            return limited ? limit_passed(l, all, e)
                           : err_set(e, ERR_CORRUPT, "zstd: corrupt input");
        in = str_sub(in, n, in.n);
    }
    return out->n <= end_max || limit_passed(l, all, e);
}

/* ---- whole buffers: snappy ---- */

static bool inflate_snappy(struct str in, const struct compress_limits *l, struct buf *out,
                           struct err *e)
{
    size_t size;

    if (in.n == 0 || snappy_uncompressed_length(in.p, in.n, &size) != SNAPPY_OK ||
        size / SNAPPY_RATIO_MAX > in.n)
        return err_set(e, ERR_CORRUPT, "snappy: corrupt input");
    if (size > room_max(l, in.n))
        return limit_passed(l, in.n, e);
    if (snappy_uncompress(in.p, in.n, buf_room(out, size + 1), &size) != SNAPPY_OK)
        return err_set(e, ERR_CORRUPT, "snappy: corrupt input");
    out->n += size;
    return true;
}

static bool inflate_none(struct str in, const struct compress_limits *l, struct buf *out,
                         struct err *e)
{
    if (in.n > size_max_of(l))
        return err_set(e, ERR_LIMIT, "body is larger than %zu bytes", size_max_of(l));
    buf_str(out, in);
    return true;
}

bool compress_inflate(enum compress_codec c, struct str in, const struct compress_limits *l,
                      struct buf *out, struct err *e)
{
    size_t start = out->n;
    bool ok = false;

    switch (c) {
    case COMPRESS_NONE:
        ok = inflate_none(in, l, out, e);
        break;
    case COMPRESS_GZIP:
    case COMPRESS_DEFLATE:
        ok = inflate_deflate(c, in, l, out, e);
        break;
    case COMPRESS_ZSTD:
        ok = inflate_zstd(in, l, out, e);
        break;
    case COMPRESS_SNAPPY:
        ok = inflate_snappy(in, l, out, e);
        break;
    }
    if (!ok)
        out->n = start;
    return ok;
}

/* ---- streams in ---- */

struct compress_inflater {
    enum compress_codec codec;
    struct compress_limits limits;
    uint64_t in_bytes, out_bytes;
    bool started;  // bytes were seen
    bool complete; // at the end of a member or frame
    bool failed;
    z_stream z;
    ZSTD_DCtx *d;
};

struct compress_inflater *compress_inflater_new(enum compress_codec c,
                                                const struct compress_limits *l)
{
    struct compress_inflater *f = xcalloc(1, sizeof *f);

    assert(c != COMPRESS_SNAPPY);
    f->codec = c;
    if (l)
        f->limits = *l;
    if (c == COMPRESS_ZSTD) {
        f->d = ZSTD_createDCtx();
        assert(f->d);
        ZSTD_DCtx_setParameter(f->d, ZSTD_d_windowLogMax, COMPRESS_ZSTD_WINDOW_LOG_MAX);
    }
    return f;
}

void compress_inflater_free(struct compress_inflater *f)
{
    if (!f)
        return;
    if (f->z.state)
        inflateEnd(&f->z);
    ZSTD_freeDCtx(f->d);
    xfree(f);
}

// Whether a deflate stream has the zlib header is only known from its first byte: a zlib one
// has method 8 in the low nibble, which in raw deflate would be a stored block with odd padding.
static bool zlib_start(struct compress_inflater *f, struct str in)
{
    uint8_t first = (uint8_t)in.p[0];
    int bits = f->codec == COMPRESS_GZIP ? 15 + 16 : (first & 0x0f) == 8 ? 15 : -15;

    return inflateInit2(&f->z, bits) == Z_OK;
}

static bool room_left(const struct compress_inflater *f, size_t *room, struct err *e)
{
    size_t max = room_max(&f->limits, f->in_bytes);

    if (f->out_bytes > max)
        return limit_passed(&f->limits, f->in_bytes, e);
    *room = MIN((size_t)STREAM_STEP, max - (size_t)f->out_bytes + 1);
    return true;
}

// One call of inflate(). *more: call again, there may be output waiting.
static bool zlib_step(struct compress_inflater *f, struct buf *out, bool *more, struct err *e)
{
    size_t room;

    if (!room_left(f, &room, e))
        return false;
    if (f->complete) { // a further gzip member; zlib format has only one
        if (f->codec != COMPRESS_GZIP || inflateReset(&f->z) != Z_OK)
            return err_set(e, ERR_CORRUPT, "%s: corrupt input", compress_codec_name(f->codec));
        f->complete = false;
    }
    f->z.next_out = (Bytef *)buf_room(out, room);
    f->z.avail_out = (uInt)room;
    int r = inflate(&f->z, Z_NO_FLUSH);
    size_t made = room - f->z.avail_out;
    out->n += made;
    f->out_bytes += made;
    if (r == Z_STREAM_END)
        f->complete = true;
    else if (r != Z_OK && r != Z_BUF_ERROR)
        return err_set(e, ERR_CORRUPT, "%s: corrupt input", compress_codec_name(f->codec));
    *more = f->z.avail_in > 0 || (f->z.avail_out == 0 && !f->complete);
    return true;
}

static bool zlib_feed(struct compress_inflater *f, struct str in, struct buf *out, struct err *e)
{
    bool more = in.n > 0;

    if (!f->z.state && !zlib_start(f, in))
        return err_set(e, ERR_CORRUPT, "%s: cannot start", compress_codec_name(f->codec));
    assert(in.n <= UINT32_MAX);
    f->z.next_in = (Bytef *)(uintptr_t)in.p;
    f->z.avail_in = (uInt)in.n;
    while (more)
        if (!zlib_step(f, out, &more, e))
            return false;
    return true;
}

static bool zstd_feed(struct compress_inflater *f, struct str in, struct buf *out, struct err *e)
{
    ZSTD_inBuffer i = { in.p, in.n, 0 };
    bool full = false;

    while (i.pos < i.size || full) {
        size_t room;

        if (!room_left(f, &room, e))
            return false;
        ZSTD_outBuffer o = { buf_room(out, room), room, 0 };
        size_t left = ZSTD_decompressStream(f->d, &o, &i);
        if (ZSTD_isError(left))
            return err_set(e, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(left));
        out->n += o.pos;
        f->out_bytes += o.pos;
        f->complete = left == 0;
        full = o.pos == o.size && left;
    }
    return true;
}

bool compress_inflater_feed(struct compress_inflater *f, struct str in, struct buf *out,
                            struct err *e)
{
    size_t room;
    bool ok = false;

    assert(!f->failed);
    if (in.n == 0)
        return true;
    f->started = true;
    f->in_bytes += in.n;
    switch (f->codec) {
    case COMPRESS_ZSTD:
        ok = zstd_feed(f, in, out, e);
        break;
    case COMPRESS_NONE:
        f->out_bytes += in.n;
        buf_str(out, in);
        f->complete = ok = f->out_bytes <= size_max_of(&f->limits);
        if (!ok)
            err_set(e, ERR_LIMIT, "body is larger than %zu bytes", size_max_of(&f->limits));
        break;
    default:
        ok = zlib_feed(f, in, out, e);
        break;
    }
    ok = ok && (f->codec == COMPRESS_NONE || room_left(f, &room, e));
    f->failed = !ok;
    return ok;
}

bool compress_inflater_end(struct compress_inflater *f, struct err *e)
{
    if (f->codec == COMPRESS_NONE || f->complete)
        return true;
    return cut_short(e);
}

/* ---- compressing ---- */

static void compress_deflate(enum compress_codec c, int level, struct str in, struct buf *out)
{
    OWNED(libdeflate_free_compressor)
    struct libdeflate_compressor *d = libdeflate_alloc_compressor(level);
    size_t room, made;

    assert(d);
    if (c == COMPRESS_GZIP) {
        room = libdeflate_gzip_compress_bound(d, in.n);
        made = libdeflate_gzip_compress(d, in.p, in.n, buf_room(out, room), room);
    } else {
        room = libdeflate_zlib_compress_bound(d, in.n);
        made = libdeflate_zlib_compress(d, in.p, in.n, buf_room(out, room), room);
    }
    assert(made);
    out->n += made;
}

void compress_all(enum compress_codec c, int level, struct str in, struct buf *out)
{
    size_t room, made;

    level = level ? level : 1;
    switch (c) {
    case COMPRESS_NONE:
        buf_str(out, in);
        return;
    case COMPRESS_GZIP:
    case COMPRESS_DEFLATE:
        compress_deflate(c, level, in, out);
        return;
    case COMPRESS_ZSTD:
        room = ZSTD_compressBound(in.n);
        assert(room >= in.n);
        made = ZSTD_compress(buf_room(out, room), room, in.p, in.n, level);
        assert(!ZSTD_isError(made));
        out->n += made;
        return;
    case COMPRESS_SNAPPY:
        room = made = snappy_max_compressed_length(in.n);
        snappy_status s = snappy_compress(in.p ? in.p : "", in.n, buf_room(out, room), &made);
        assert(s == SNAPPY_OK);
        out->n += made;
        return;
    }
}

/* ---- streams out ---- */

struct compress_writer {
    enum compress_codec codec;
    bool ended;
    z_stream z;
    ZSTD_CCtx *c;
};

struct compress_writer *compress_writer_new(enum compress_codec c, int level)
{
    struct compress_writer *w = xcalloc(1, sizeof *w);

    assert(c != COMPRESS_SNAPPY);
    w->codec = c;
    level = level ? level : 1;
    if (c == COMPRESS_ZSTD) {
        w->c = ZSTD_createCCtx();
        assert(w->c);
        ZSTD_CCtx_setParameter(w->c, ZSTD_c_compressionLevel, level);
    } else if (c != COMPRESS_NONE) {
        int bits = c == COMPRESS_GZIP ? 15 + 16 : 15;
        int r = deflateInit2(&w->z, level, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY);
        assert(r == Z_OK);
    }
    return w;
}

void compress_writer_free(struct compress_writer *w)
{
    if (!w)
        return;
    if (w->z.state)
        deflateEnd(&w->z);
    ZSTD_freeCCtx(w->c);
    xfree(w);
}

static void zstd_write(ZSTD_CCtx *c, struct str in, enum compress_mode mode, struct buf *out)
{
    static const ZSTD_EndDirective ends[] = { ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end };
    ZSTD_inBuffer i = { in.p, in.n, 0 };
    size_t left;

    do {
        ZSTD_outBuffer o = { buf_room(out, STREAM_STEP), STREAM_STEP, 0 };
        left = ZSTD_compressStream2(c, &o, &i, ends[mode]);
        assert(!ZSTD_isError(left));
        out->n += o.pos;
    } while (mode == COMPRESS_MORE ? i.pos < i.size : left != 0);
}

void compress_writer_feed(struct compress_writer *w, struct str in, enum compress_mode mode,
                          struct buf *out)
{
    static const int flushes[] = { Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH };

    assert(in.n <= UINT32_MAX);
    assert(!w->ended);
    w->ended = mode == COMPRESS_END;
    if (w->codec == COMPRESS_NONE) {
        buf_str(out, in);
        return;
    }
    if (w->codec == COMPRESS_ZSTD) {
        zstd_write(w->c, in, mode, out);
        return;
    }
    w->z.next_in = (Bytef *)(uintptr_t)in.p;
    w->z.avail_in = (uInt)in.n;
    do {
        w->z.next_out = (Bytef *)buf_room(out, STREAM_STEP);
        w->z.avail_out = STREAM_STEP;
        int r = deflate(&w->z, flushes[mode]);
        assert(r != Z_STREAM_ERROR);
        out->n += STREAM_STEP - w->z.avail_out;
    } while (w->z.avail_out == 0);
}
