/*
 * hist_blob.h - a native histogram as bytes: for the row log and for tails. Exact.
 *
 *   schema zigzag varint, flags u8 (bits 0-1 reset hint, 2 integer, 3 counts as varints),
 *   zero threshold f64, zero count f64, count f64, sum f64,
 *   positive side, negative side: varint spans, per span zigzag varint offset, varint length,
 *     varint buckets, counts: f64 each or, with flag 3, varints
 *   varint custom bounds, f64 each
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "model/histogram.h"

enum { HIST_BLOB_BYTES_MAX = 2 << 20 };

void buf_hist_blob(struct buf *b, const struct histogram *h);
// Safe on any bytes. The result lives in the arena. ERR_CORRUPT.
MUST_CHECK bool hist_blob_read(struct str bytes, struct arena *a, const struct histogram **out,
                               struct err *e);
