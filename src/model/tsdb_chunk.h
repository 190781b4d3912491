/*
 * tsdb_chunk.h - Prometheus's chunks of native histograms (encodings 2 and 3). Floats: codec/xor_chunk.h.
 *
 * Layout as Prometheus's tsdb/docs/format/chunks.md has it: samples, flags of counter resets, layout
 * (zero threshold, schema, spans, bounds), then each sample as varbit differences (integers) or XORs.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "model/histogram.h"

enum { TSDB_ENCODING_XOR = 1, TSDB_ENCODING_HISTOGRAM = 2, TSDB_ENCODING_FLOAT_HISTOGRAM = 3 };

struct tsdb_histograms; // a reader; in an arena

/*
 * Begins a chunk of encoding 2 or 3. Memory is of the arena: some hundred bytes, and 40 per bucket.
 * ERR_CORRUPT; ERR_LIMIT: more buckets than HIST_BUCKETS_MAX.
 */
MUST_CHECK bool tsdb_histograms_open(struct arena *a, uint8_t encoding, struct str chunk,
                                     struct tsdb_histograms **out, struct err *e);
// The next one: 1, 0 behind the last, −1 damaged. *h lives until the next call; it is not validated.
int tsdb_histograms_next(struct tsdb_histograms *r, int64_t *t_ms, const struct histogram **h);
