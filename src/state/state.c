/*
 * state.c - vigie.db: one table of (space, key, value), schema version in user_version.
 *
 *   CREATE TABLE state (space TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
 *                       PRIMARY KEY (space, key)) WITHOUT ROWID
 */
// SPDX-License-Identifier: Apache-2.0
#include "state/state.h"

#include <sqlite3.h>

#include "base/mem.h"
#include "base/thread.h"
#include "base/vec.h"

enum { VERSION = 1, BUSY_MS = 5000 };

struct state {
    sqlite3 *db;
    struct mutex mu; // one statement at a time
};

static bool fail(struct state *s, const char *what, struct err *e)
{
    int code = sqlite3_errcode(s->db);
    enum err_kind kind = code == SQLITE_FULL                               ? ERR_UNAVAILABLE
                         : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ERR_CORRUPT
                                                                           : ERR_IO;

    return err_set(e, kind, "state file: %s: %s", what, sqlite3_errmsg(s->db));
}

static bool run(struct state *s, const char *sql, struct err *e)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK || fail(s, sql, e);
}

static void finalize(sqlite3_stmt *st)
{
    sqlite3_finalize(st);
}
OWN_DEFINE(sqlite3_stmt *, finalize)

static bool prepare(struct state *s, const char *sql, sqlite3_stmt **out, struct err *e)
{
    return sqlite3_prepare_v2(s->db, sql, -1, out, NULL) == SQLITE_OK || fail(s, "prepare", e);
}

static void bind_text(sqlite3_stmt *st, int i, struct str s)
{
    sqlite3_bind_text(st, i, s.p ? s.p : "", (int)s.n, SQLITE_STATIC);
}

static void bind_blob(sqlite3_stmt *st, int i, struct str s)
{
    sqlite3_bind_blob(st, i, s.p ? s.p : "", (int)s.n, SQLITE_STATIC);
}

static bool read_version(struct state *s, int *out, struct err *e)
{
    OWNED(finalize) sqlite3_stmt *st = NULL;

    if (!prepare(s, "PRAGMA user_version", &st, e))
        return false;
    if (sqlite3_step(st) != SQLITE_ROW)
        return fail(s, "read its version", e);
    *out = sqlite3_column_int(st, 0);
    return true;
}

static bool make_schema(struct state *s, struct err *e)
{
    int version = 0;

    if (!run(s, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;", e) ||
        !read_version(s, &version, e))
        return false;
    if (version > VERSION)
        return err_set(e, ERR_CORRUPT,
                       "state file: version %d is later than %d, which is known here", version,
                       VERSION);
    return run(s,
               "CREATE TABLE IF NOT EXISTS state (space TEXT NOT NULL, key BLOB NOT NULL, value "
               "BLOB NOT NULL, PRIMARY KEY (space, key)) WITHOUT ROWID; PRAGMA user_version=1;",
               e);
}

bool state_open(struct state **out, const char *path, struct err *e)
{
    OWNED(state_close) struct state *s = xcalloc(1, sizeof *s);

    mutex_init(&s->mu, "state file", RANK_MANIFEST);
    if (sqlite3_open_v2(path, &s->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        return s->db ? fail(s, path, e) : err_set(e, ERR_IO, "state file %s: out of memory", path);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    if (!make_schema(s, e))
        return err_wrap(e, "%s", path);
    *out = TAKE(s);
    return true;
}

void state_close(struct state *s)
{
    if (!s)
        return;
    sqlite3_close(s->db);
    mutex_fini(&s->mu);
    xfree(s);
}

/* ---- writing ---- */

static bool write_row(struct state *s, sqlite3_stmt *st, struct str space,
                      const struct state_row *r, struct err *e)
{
    if (r->key.n > STATE_VALUE_MAX || r->value.n > STATE_VALUE_MAX)
        return err_set(e, ERR_LIMIT, "state file: a value is longer than %d bytes",
                       STATE_VALUE_MAX);
    sqlite3_reset(st);
    bind_text(st, 1, space);
    bind_blob(st, 2, r->key);
    if (!r->remove)
        bind_blob(st, 3, r->value);
    return sqlite3_step(st) == SQLITE_DONE || fail(s, "write", e);
}

static bool write_rows(struct state *s, struct str space, const struct state_row *v, size_t n,
                       struct err *e)
{
    OWNED(finalize) sqlite3_stmt *put = NULL, *cut = NULL;

    if (!prepare(s, "INSERT OR REPLACE INTO state VALUES (?, ?, ?)", &put, e) ||
        !prepare(s, "DELETE FROM state WHERE space = ? AND key = ?", &cut, e))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!write_row(s, v[i].remove ? cut : put, space, &v[i], e))
            return false;
    return true;
}

static bool clear(struct state *s, struct str space, struct err *e)
{
    OWNED(finalize) sqlite3_stmt *st = NULL;

    if (!prepare(s, "DELETE FROM state WHERE space = ?", &st, e))
        return false;
    bind_text(st, 1, space);
    return sqlite3_step(st) == SQLITE_DONE || fail(s, "clear", e);
}

// Ends the transaction: all of it, or nothing.
static bool end(struct state *s, bool ok, struct err *e)
{
    if (ok && run(s, "COMMIT", e))
        return true;
    (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

bool state_write(struct state *s, struct str space, const struct state_row *v, size_t n,
                 struct err *e)
{
    LOCKED(&s->mu);

    return run(s, "BEGIN IMMEDIATE", e) && end(s, write_rows(s, space, v, n, e), e);
}

bool state_replace(struct state *s, struct str space, const struct state_row *v, size_t n,
                   struct err *e)
{
    LOCKED(&s->mu);

    return run(s, "BEGIN IMMEDIATE", e) &&
           end(s, clear(s, space, e) && write_rows(s, space, v, n, e), e);
}

/* ---- reading ---- */

static struct str column(struct arena *a, sqlite3_stmt *st, int i)
{
    const char *p = sqlite3_column_blob(st, i); // before its size: it may convert

    return arena_str(a, str_of(p, (size_t)sqlite3_column_bytes(st, i)));
}

bool state_read(struct state *s, struct str space, struct arena *a, struct state_row **out,
                size_t *n, struct err *e)
{
    OWNED(finalize) sqlite3_stmt *st = NULL;
    VEC(struct state_row) v = { 0 };
    int code;
    LOCKED(&s->mu);

    if (!prepare(s, "SELECT key, value FROM state WHERE space = ? ORDER BY key", &st, e))
        return false;
    bind_text(st, 1, space);
    while ((code = sqlite3_step(st)) == SQLITE_ROW)
        *vec_push_in(a, &v) = (struct state_row){ column(a, st, 0), column(a, st, 1), false };
    if (code != SQLITE_DONE)
        return fail(s, "read", e);
    *out = v.v;
    *n = v.n;
    return true;
}

bool state_get(struct state *s, struct str space, struct str key, struct arena *a,
               struct str *value, bool *found, struct err *e)
{
    OWNED(finalize) sqlite3_stmt *st = NULL;
    LOCKED(&s->mu);

    if (!prepare(s, "SELECT value FROM state WHERE space = ? AND key = ?", &st, e))
        return false;
    bind_text(st, 1, space);
    bind_blob(st, 2, key);
    int code = sqlite3_step(st);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return fail(s, "read", e);
    *found = code == SQLITE_ROW;
    if (*found)
        *value = column(a, st, 0);
    return true;
}
