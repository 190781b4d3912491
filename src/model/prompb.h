/*
 * prompb.h - the protobuf messages of remote write 1.0 and 2.0 and of remote read.
 *
 * Requests are walked, not unpacked: labels, symbols and texts are slices of the
 * (decompressed) body, which must live as long as they are used. A receiver asks
 * for the key of a series, finds it in its cache, and decodes the labels only when
 * it does not know it. Field by field the messages are described in Prometheus's
 * prompb/types.proto, remote.proto and io/prometheus/write/v2/types.proto.
 *
 * Unknown fields are skipped. Errors: ERR_INVALID where the body is malformed, with the
 * offset in it: nothing of such a request may be stored. Other kinds concern one series only.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/vec.h"
#include "codec/proto.h"
#include "model/histogram.h"
#include "model/matcher.h"
#include "model/sample.h"

enum {
    PROMPB_SYMBOLS_MAX = 1 << 20, // of one write request 2.0
    PROMPB_LABELS_MAX = 1024,     // of one series
    PROMPB_QUERIES_MAX = 1024,    // of one read request
    PROMPB_MATCHERS_MAX = 1024,   // of one query
    PROMPB_BLOCK = 64,            // series that are read at once
    PROMPB_FRAME_BYTES = 1 << 20, // usual size of a frame of a streamed answer
};

/* ---- remote write: reading ---- */

enum prompb_version { PROMPB_WRITE_1 = 1, PROMPB_WRITE_2 = 2 };

struct prompb_sample {
    int64_t t_ms, start_ms; // start 0: unknown
    double value;
};

struct prompb_series {
    struct str message; // all of it
    struct str labels;  // 1.0: its label fields, empty when they do not stand together;
                        // 2.0: the packed references
    const struct prompb_sample *sample; // in the order given
    const struct str *histogram;        // for prompb_histogram()
    const struct str *exemplar;         // for prompb_exemplar()
    size_t samples, histograms, exemplars;
    struct str metadata; // 2.0: for prompb_series_meta(); p NULL: none
};

struct prompb_write {
    enum prompb_version version;
    struct str body;
    struct proto at;                  // series left
    struct proto meta_at;             // 1.0: metadata left
    VEC(struct prompb_sample) sample; // of the series given last
    VEC(struct str) histogram;
    VEC(struct str) exemplar;
    VEC(struct str) symbol;   // 2.0
    size_t name_symbol;       // 2.0: where "__name__" is; 0: nowhere
    VEC(struct hash128) hash; // 2.0: of symbols, once somebody asked for keys; zero: not yet
    struct buf scratch;
};

/*
 * Begins a request. Zero is a valid prompb_write; it may be begun again and keeps its room.
 * ERR_LIMIT: too many symbols.
 */
MUST_CHECK bool prompb_write_begin(struct prompb_write *w, enum prompb_version version,
                                   struct str body, struct err *e);
// Frees the room.
void prompb_write_fini(struct prompb_write *w);
OWN_DEFINE_FINI(struct prompb_write, prompb_write_fini);

// The next series: 1, 0 at the end, −1 malformed. *out lives until the next call.
int prompb_write_next(struct prompb_write *w, struct prompb_series *out, struct err *e);
/*
 * The next series, up to PROMPB_BLOCK of them, into out[]: how many, 0 at the end, −1 malformed. They
 * live until the next call. For receivers that look up many keys at once.
 */
int prompb_write_block(struct prompb_write *w, struct prompb_series *out, struct err *e);
// The next MetricMetadata of a 1.0 request: 1, 0 at the end, −1 malformed.
int prompb_write_next_meta(struct prompb_write *w, struct metric_meta *out, struct err *e);

/*
 * A keyed hash of the labels as they stand in the request: equal bytes of names and values in the
 * same order have the same key in any request of the same version. seed: one and the same between
 * two begins. False: there is no key, take the labels.
 */
bool prompb_series_key(struct prompb_write *w, const struct prompb_series *s, uint64_t seed,
                       struct hash128 *out);
/*
 * Labels of a series, sorted, without empty values, as slices; the array is in the arena.
 * ERR_CONFLICT: a name occurs twice; ERR_NOT_FOUND: references outside the symbols; ERR_LIMIT.
 * Names and values are not checked: see labels_are_valid().
 */
MUST_CHECK bool prompb_series_labels(struct prompb_write *w, const struct prompb_series *s,
                                     struct arena *a, struct labels *out, struct err *e);
// Appends the label references of a series of 2.0 for a message: [1 2 1].
void prompb_series_refs(const struct prompb_series *s, struct buf *b);
// 2.0: type, help and unit; out->name is left alone. ERR_NOT_FOUND: references.
MUST_CHECK bool prompb_series_meta(struct prompb_write *w, const struct prompb_series *s,
                                   struct metric_meta *out, struct err *e);
/*
 * 2.0: a keyed hash of metric name, type, help and unit, so that a receiver need not decode what it
 * has seen. seed as for prompb_series_key(). False: there is none, take prompb_series_meta().
 */
bool prompb_series_meta_key(struct prompb_write *w, const struct prompb_series *s, uint64_t seed,
                            uint64_t *out);
// t_ms 0: none. Errors as prompb_series_labels().
MUST_CHECK bool prompb_exemplar(struct prompb_write *w, struct str message, struct arena *a,
                                struct exemplar *out, struct err *e);

struct prompb_histogram {
    const struct histogram *h; // in the arena
    int64_t t_ms, start_ms;    // start 0: unknown
};

/*
 * Decodes a Histogram message. Schemas 9..52 are reduced to 8. The result is not validated: see
 * histogram_validate(). ERR_LIMIT: more spans or buckets than HIST_SPANS_MAX, HIST_BUCKETS_MAX.
 */
MUST_CHECK bool prompb_histogram(struct arena *a, struct str message, struct prompb_histogram *out,
                                 struct err *e);

/* ---- writing, for remote write 1.0 and for answers of remote read ---- */

// A TimeSeries as field `number` of what is being written: 1 in WriteRequest and in QueryResult.
void prompb_put_series(struct buf *b, uint32_t number, struct labels ls,
                       const struct series_samples *s);
// A Histogram as field `number`: integers as deltas, floats as counts.
void prompb_put_histogram(struct buf *b, uint32_t number, const struct prompb_histogram *h);
// A MetricMetadata as WriteRequest.metadata.
void prompb_put_meta(struct buf *b, const struct metric_meta *m);

/* ---- remote read ---- */

struct prompb_query {
    int64_t min_ms, max_ms;         // both inclusive
    const struct matcher *matchers; // re NULL: whoever takes the query compiles it
    size_t matcher_count;
    // Hints; all may be zero.
    int64_t step_ms, range_ms, hint_min_ms, hint_max_ms;
    struct str func;
    const struct str *grouping;
    size_t grouping_count;
    bool by;
};

struct prompb_read_request {
    const struct prompb_query *query;
    size_t queries;
    bool streamed; // the first response type accepted that there is: chunks, not samples
};

/*
 * Decodes a ReadRequest; slices of the body, arrays in the arena. ERR_INVALID: malformed, or
 * none of the response types asked for is known; ERR_LIMIT.
 */
MUST_CHECK bool prompb_read_request(struct arena *a, struct str body,
                                    struct prompb_read_request *out, struct err *e);

// A QueryResult of a ReadResponse: prompb_put_series(b, 1, …) for each series between the two.
static inline size_t prompb_result_begin(struct buf *b)
{
    return proto_begin(b, 1);
}
static inline void prompb_result_end(struct buf *b, size_t mark)
{
    proto_end(b, mark);
}

/*
 * Appends one series to a streamed answer: chunks of 120 samples in as many ChunkedReadResponse
 * frames of about frame_bytes as it takes (0: PROMPB_FRAME_BYTES), each behind its length
 * (varint) and CRC-32C (big-endian). Floats only: ERR_UNSUPPORTED when there are histograms.
 */
MUST_CHECK bool prompb_put_chunked(struct buf *b, int64_t query_index, struct labels ls,
                                   const struct series_samples *s, size_t frame_bytes,
                                   struct err *e);
