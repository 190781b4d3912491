/*
 * compress.h - gzip, deflate, zstd and snappy blocks: inflating with limits, and compressing.
 *
 * Inflating never trusts a declared length: it is checked against the limits
 * before memory is taken, and what streams out is counted while it streams.
 * Whole buffers go through libdeflate and one-shot zstd, streams through zlib.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "base/buf.h"

enum compress_codec {
    COMPRESS_NONE,
    COMPRESS_GZIP,
    COMPRESS_DEFLATE, // zlib format; raw deflate is accepted when inflating
    COMPRESS_ZSTD,
    COMPRESS_SNAPPY, // block format; not as a stream
};

enum {
    COMPRESS_RATIO_MAX = 256,          // default of compress_limits.ratio_max
    COMPRESS_RATIO_FREE = 1 << 20,     // output bytes below which the ratio is not looked at
    COMPRESS_ZSTD_WINDOW_LOG_MAX = 23, // 8 MiB: what RFC 8878 asks every decoder to take
};

struct compress_limits {
    size_t size_max;    // bytes of output; 0: 64 MiB
    unsigned ratio_max; // output / input; 0: COMPRESS_RATIO_MAX
};

// The codec of one Content-Encoding token (gzip, x-gzip, deflate, zstd, snappy, identity, "").
bool compress_codec_of(struct str name, enum compress_codec *out);
const char *compress_codec_name(enum compress_codec c); // as sent in Content-Encoding

/*
 * Inflates all of `in` and appends the result to out, which is as before on failure.
 * Errors: ERR_LIMIT beyond the limits, ERR_CORRUPT for bytes that are not of this codec or cut short.
 */
MUST_CHECK bool compress_inflate(enum compress_codec c, struct str in,
                                 const struct compress_limits *l, struct buf *out, struct err *e);

struct compress_inflater;

// For gzip, deflate, zstd and none (which counts only).
struct compress_inflater *compress_inflater_new(enum compress_codec c,
                                                const struct compress_limits *l);
void compress_inflater_free(struct compress_inflater *f); // NULL is fine
OWN_DEFINE(struct compress_inflater *, compress_inflater_free);
// Inflates the next piece of any size and appends to out (also what came before an error).
/*
 * Inflates the next piece of any size and appends to out (also what came before an error).
 * ERR_LIMIT beyond the limits, ERR_CORRUPT for bytes that are not of the codec; no further call
 * then.
 */
MUST_CHECK bool compress_inflater_feed(struct compress_inflater *f, struct str in, struct buf *out,
                                       struct err *e);
// The input is complete: ERR_CORRUPT "unexpected EOF" when the stream is not.
MUST_CHECK bool compress_inflater_end(struct compress_inflater *f, struct err *e);

// Compresses all of `in`, appending to out. level 0: 1, the fast one.
void compress_all(enum compress_codec c, int level, struct str in, struct buf *out);

enum compress_mode { COMPRESS_MORE, COMPRESS_FLUSH, COMPRESS_END };
struct compress_writer;

struct compress_writer *compress_writer_new(enum compress_codec c, int level); // not snappy
void compress_writer_free(struct compress_writer *w);                          // NULL is fine
OWN_DEFINE(struct compress_writer *, compress_writer_free);
// FLUSH makes everything so far readable for the peer; nothing may follow END.
// Compresses the next piece, at most 4 GiB. FLUSH makes everything so far readable for the peer;
// nothing may follow END.
void compress_writer_feed(struct compress_writer *w, struct str in, enum compress_mode mode,
                          struct buf *out);
