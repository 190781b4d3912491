/*
 * rowlog.h - an append-only file of frames: the newest rows of one shard, or catalog records.
 *
 * What rowlog_append() took survives the death of the process; what rowlog_sync()
 * took survives a power cut. The file starts with the common head, grows in
 * preallocated steps and ends at an all-zero frame head or the end of the file.
 * A recovered log is read, flushed and deleted, never appended to.
 *
 * Threads: one writer. rowlog_replay works on closed files.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "store/file_head.h"
#include "store/frame.h"

enum { ROWLOG_STEP_BYTES = 4 << 20 };

struct rowlog;

/*
 * Creates the file with its head, synced, and syncs its folder. An existing file is an error:
 * numbers are never reused. The caller owns *out.
 */
MUST_CHECK bool rowlog_create(struct rowlog **out, const char *path, const struct file_head *head,
                              struct err *e);
void rowlog_close(struct rowlog *l); // does not sync
OWN_DEFINE(struct rowlog *, rowlog_close);

/*
 * Seals and writes whole frames. On failure the file is cut back to its last whole frame, so that
 * the same frames may be tried again.
 */
MUST_CHECK bool rowlog_append(struct rowlog *l, void *frames, size_t n, struct err *e);
MUST_CHECK bool rowlog_sync(struct rowlog *l, struct err *e); // fdatasync
uint64_t rowlog_bytes(const struct rowlog *l);                // head and frames
// The log's number, from its head.
uint64_t rowlog_number(const struct rowlog *l);
// The path as given; borrowed from l.
const char *rowlog_path(const struct rowlog *l);

struct rowlog_report {
    uint64_t frames, bytes;   // good ones
    uint64_t gaps, gap_bytes; // damaged runs with good frames behind them
    uint64_t first_gap_offset;
    uint64_t torn_bytes; // at the end: not zero, no good frame behind
};

// False stops the replay.
typedef bool (*frame_visit_fn)(void *ctx, const struct frame *f, struct err *e);

/*
 * Visits every good frame in order; payloads are borrowed during the call. Damage is skipped and
 * reported, not an error: after a bad frame the next 8-aligned good one is sought.
 * A file shorter than its head (killed at creation) is empty; a damaged head is a gap, for frames
 * prove by their own seed where they belong. Errors: ERR_IO, another file's head, the visitor's.
 */
MUST_CHECK bool rowlog_replay(const char *path, const struct file_head *head, frame_visit_fn visit,
                              void *ctx, struct rowlog_report *report, struct err *e);
// Reads the head only: *out has the shard. False also when it is damaged or cut.
MUST_CHECK bool rowlog_head(const char *path, const struct file_head *want, struct file_head *out,
                            struct err *e);
