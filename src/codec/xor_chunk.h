/*
 * xor_chunk.h - Prometheus's chunks of float samples (encoding 1): Gorilla with milliseconds.
 *
 * For the streamed answers of remote read and for reading Prometheus's blocks;
 * our own storage has better codecs. The layout is described at the head of
 * xor_chunk.c.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "base/bytes.h"

enum {
    XOR_CHUNK_ENCODING = 1, // in block files and in prompb.Chunk.type
    XOR_CHUNK_SAMPLES_MAX = 65535,
    XOR_CHUNK_SAMPLES_USUAL = 120, // where Prometheus cuts its chunks
};

struct xor_writer {
    struct buf *out; // borrowed from begin to end
    size_t start;    // offset of the chunk in out
    uint64_t bits;   // not yet written, in the low `left` bits
    unsigned left;   // < 8 between calls
    unsigned n;
    int64_t t_ms;
    uint64_t delta_ms, value;
    unsigned leading, trailing; // of the last window; leading 255: none yet
};

// Begins a chunk behind what out holds: appends its header. Nothing else may be appended to out
// until xor_writer_end().
void xor_writer_begin(struct xor_writer *w, struct buf *out);
// At most XOR_CHUNK_SAMPLES_MAX samples, in ascending order of time.
void xor_writer_add(struct xor_writer *w, int64_t t_ms, double value);
void xor_writer_end(struct xor_writer *w); // the chunk is what was appended to out

struct xor_reader {
    const uint8_t *p, *end;
    uint64_t bits;
    unsigned have;  // valid low bits of `bits`
    unsigned n, at; // samples in the chunk, samples given
    int64_t t_ms;
    uint64_t delta_ms, value;
    unsigned leading, trailing;
};

// The chunk is borrowed. False: too short for a header.
MUST_CHECK bool xor_reader_open(struct xor_reader *r, struct str chunk);
// One sample: 1, 0 after the last, −1 when the chunk is cut short or malformed.
int xor_reader_next(struct xor_reader *r, int64_t *t_ms, double *value);
