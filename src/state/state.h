/*
 * state.h - what must outlive the process and is no sample: rows of keys and values in vigie.db.
 *
 * A SQLite file (write-ahead log). Rows live in spaces, one per user ("silences", "notified"); a
 * write is a transaction: after a crash all of it is there, or nothing. After a power cut the last
 * moments may be missing, and what is there is whole. Thread-safe.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"

enum { STATE_VALUE_MAX = 16 << 20 }; // bytes of one value

struct state;

struct state_row {
    struct str key, value;
    bool remove; // state_write(): the row is deleted, value does not count
};

// Opens the file, creating it if absent. ERR_IO; ERR_CORRUPT: it is no such file, or of a later version.
MUST_CHECK bool state_open(struct state **out, const char *path, struct err *e);
void state_close(struct state *s); // NULL is fine
OWN_DEFINE(struct state *, state_close)

// Sets and deletes rows of a space, all or none.
MUST_CHECK bool state_write(struct state *s, struct str space, const struct state_row *v, size_t n,
                            struct err *e);
// Makes the space exactly these rows.
MUST_CHECK bool state_replace(struct state *s, struct str space, const struct state_row *v,
                              size_t n, struct err *e);
// All rows of a space by key, in the arena.
MUST_CHECK bool state_read(struct state *s, struct str space, struct arena *a,
                           struct state_row **out, size_t *n, struct err *e);
// One row; *found false: there is none, and *value is untouched.
MUST_CHECK bool state_get(struct state *s, struct str space, struct str key, struct arena *a,
                          struct str *value, bool *found, struct err *e);
