/*
 * frame.h - checksummed frames, of which row logs and catalog logs consist.
 *
 *   0  magic         u16, 0xF7A1
 *   2  type          u8, enum frame_type
 *   3  flags         u8, 0
 *   4  length        u32, bytes of payload; frames start at multiples of 8
 *   8  crc           u32, CRC-32C of the rest of the head and of the payload,
 *                    seeded by file (frame_seed), so that recycled blocks never verify
 *   12 catalog_need  u32, every id used in the payload is below this
 *   16 batch         u64
 *   24 rows          u32
 *   28 zero          u32
 *   32 payload, zeros up to a multiple of 8
 *
 * Payloads of row frames (n rows, arrays as in memory, times base_ms + dt_ms):
 *   FLOATS      base_ms i64, id u32[n], dt_ms i32[n], value u64[n]
 *   STARTS      base_ms i64, id u32[n], dt_ms i32[n], value u64[n], start_ms i64[n]
 *   HISTOGRAMS  base_ms i64, id u32[n], dt_ms i32[n], end u32[n], bytes of blobs
 * Payloads of catalog frames are described where they are written: store/catalog.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"

enum { FRAME_HEAD_BYTES = 32, FRAME_PAYLOAD_MAX = 64 << 20, FRAME_MAGIC = 0xF7A1 };

enum frame_type {
    FRAME_FLOATS = 1,
    FRAME_STARTS = 2,
    FRAME_HISTOGRAMS = 3,
    FRAME_EXEMPLARS = 4,
    FRAME_EVENTS = 5,
    FRAME_DEAD = 6,
    FRAME_CATALOG = 16, // records of new pairs and series
    FRAME_META = 17,    // metric metadata
};

struct frame {
    enum frame_type type;
    uint32_t catalog_need, rows;
    uint64_t batch;
    struct str payload;
};

// The seed of all checksums in the file `number` of the partition `owner`.
uint32_t frame_seed(uint64_t owner, uint64_t number);

// Reserves a head in b (8-aligned) and returns its offset; payload follows, then frame_end().
size_t frame_begin(struct buf *b);
// Fills head and padding; the checksum stays open until frame_seal(). f->payload is not looked at.
void frame_end(struct buf *b, size_t at, const struct frame *f);
// Computes the checksums of all frames in p[0..n), which were made by frame_end().
void frame_seal(void *p, size_t n, uint32_t seed);

enum frame_state {
    FRAME_GOOD,
    FRAME_END,  // all-zero head
    FRAME_MORE, // n is too small for it; *need bytes from its start are wanted
    FRAME_BAD,
};
// Reads the frame at p[0..n). FRAME_GOOD: *out borrows from p and *need is its whole size.
enum frame_state frame_read(const void *p, size_t n, uint32_t seed, struct frame *out,
                            size_t *need);
