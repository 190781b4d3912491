/*
 * log_writer.h - the one thread of a data directory that writes and syncs logs.
 *
 * A group is a partition's logs: catalog streams and row streams. Appenders put frames into a row
 * stream's pending bytes (memory only), kick the writer and wait for their bytes. A round
 *   1 takes the pending bytes of the row streams of all kicked groups,
 *   2 pulls the catalog records that were pending then (group's pull function),
 *   3 writes catalogs, in order of creation, and
 *   4 writes the rows of those groups whose catalogs were written,
 *   5 wakes the waiters.
 * So no row is on disk before the series it needs. What could not be written stays, is tried
 * again each second, and marks the stream as failed: it should take no new batch meanwhile.
 *
 * Sync: after each round (always), or each second, catalogs before rows.
 *
 * Threads: all functions from any thread. A group's pull runs on the writer.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "store/rowlog.h"

struct log_writer;
struct log_group;
struct log_stream; // reference counted

struct log_writer_options {
    bool sync_always;
    int64_t sync_interval_ms; // 0: 1 s
};

// Starts the thread; the caller owns *out: log_writer_stop().
MUST_CHECK bool log_writer_start(struct log_writer **out, const struct log_writer_options *o,
                                 struct err *e);
void log_writer_stop(struct log_writer *w); // writes what is pending, joins; groups are gone
OWN_DEFINE(struct log_writer *, log_writer_stop);
uint64_t log_writer_pending(struct log_writer *w); // bytes put and not yet written, of all

// pull puts pending catalog records into the group's catalog streams; NULL: none.
struct log_group *log_group_new(struct log_writer *w, void (*pull)(void *ctx), void *ctx);
// No stream is used any more. Waits for a running round.
void log_group_free(struct log_group *g);
OWN_DEFINE(struct log_group *, log_group_free);

enum log_stream_kind { LOG_ROWS, LOG_CATALOG };
// Takes the log over; the caller holds one reference.
struct log_stream *log_stream_new(struct log_group *g, struct rowlog *log,
                                  enum log_stream_kind kind);
// One more reference; returns s.
struct log_stream *log_stream_get(struct log_stream *s);
void log_stream_put(struct log_stream *s); // the last one closes the file
OWN_DEFINE(struct log_stream *, log_stream_put);
// Takes the stream out of its group: it is not written any more. Its file may then be unlinked.
void log_stream_retire(struct log_stream *s);
// The log's file number.
uint64_t log_stream_number(const struct log_stream *s);
// The path of its file; borrowed from the stream.
const char *log_stream_path(const struct log_stream *s);
uint64_t log_stream_bytes(const struct log_stream *s);  // of the file
bool log_stream_has_failed(const struct log_stream *s); // last write failed
bool log_stream_is_broken(const struct log_stream *s);  // a sync failed: move to a new log

/*
 * Begins adding frames: append them to the buf returned (frame_begin, frame_end). end returns the
 * stream position behind them, which to wait for.
 */
struct buf *log_stream_begin(struct log_stream *s);
// Ends log_stream_begin(): the frames are pending from here on.
uint64_t log_stream_end(struct log_stream *s);
// The position behind all that was put so far.
uint64_t log_stream_position(struct log_stream *s);

// Asks for a round over the group. The ticket is for log_writer_wait.
uint64_t log_group_kick(struct log_group *g);
// Waits until that round is over. ERR_UNAVAILABLE after timeout_ms.
MUST_CHECK bool log_writer_wait(struct log_writer *w, uint64_t ticket, int64_t timeout_ms,
                                struct err *e);
// Whether everything before the position was written (and synced, with sync_always).
bool log_stream_has_written(const struct log_stream *s, uint64_t position);
// Makes a round and syncs the group's catalog logs: what a part's ids rest on.
MUST_CHECK bool log_group_sync_catalog(struct log_group *g, struct err *e);
