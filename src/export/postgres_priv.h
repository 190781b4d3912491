/*
 * postgres_priv.h - libpq as far as it is used, queries as tables, one connection.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "export/export_priv.h"
#include "export/postgres.h"

/* ---- libpq (ABI of libpq.so.5, stable since 8.0): postgres_libpq.c ---- */

struct pg_conn;
struct pg_result;
enum { PG_CONNECTION_OK = 0, PG_CONNECTION_BAD = 1 };
enum { PG_POLLING_FAILED = 0, PG_POLLING_READING = 1, PG_POLLING_WRITING = 2, PG_POLLING_OK = 3 };
enum { PG_RESULT_TUPLES = 2 };

struct pg_api {
    struct pg_conn *(*connect_start)(const char *dsn);
    int (*connect_poll)(struct pg_conn *c);
    int (*status)(const struct pg_conn *c);
    int (*socket)(const struct pg_conn *c);
    const char *(*error_message)(const struct pg_conn *c);
    int (*server_version)(const struct pg_conn *c);
    const char *(*host)(const struct pg_conn *c);
    const char *(*port)(const struct pg_conn *c);
    const char *(*parameter)(const struct pg_conn *c, const char *name);
    void (*finish)(struct pg_conn *c);
    int (*send_query)(struct pg_conn *c, const char *sql);
    int (*consume)(struct pg_conn *c);
    int (*is_busy)(struct pg_conn *c);
    struct pg_result *(*get_result)(struct pg_conn *c);
    int (*result_status)(const struct pg_result *r);
    const char *(*result_error)(const struct pg_result *r);
    int (*rows)(const struct pg_result *r);
    int (*columns)(const struct pg_result *r);
    const char *(*column_name)(const struct pg_result *r, int i);
    const char *(*value)(const struct pg_result *r, int row, int i);
    int (*is_null)(const struct pg_result *r, int row, int i);
    void (*clear)(struct pg_result *r);
    void *(*notice)(struct pg_conn *c, void (*fn)(void *ctx, const char *text), void *ctx);
    void *handle;
};
// ERR_UNSUPPORTED when libpq is not installed.
MUST_CHECK bool pg_api_open(struct pg_api *api, struct err *e);
void pg_api_close(struct pg_api *api);

/* ---- one connection: postgres_conn.c ---- */

struct pg_session {
    const struct pg_api *api;
    struct pg_conn *c;
    int64_t deadline_mono_ns;
    int version; // 150004 = 15.4
};
// Connects by the deadline. Errors never show the DSN.
MUST_CHECK bool pg_session_open(struct pg_session *s, const char *dsn, struct err *e);
void pg_session_close(struct pg_session *s);
// The rows of a query; the caller clears *out.
MUST_CHECK bool pg_session_query(struct pg_session *s, const char *sql, struct pg_result **out,
                                 struct err *e);

/* ---- queries as tables: postgres_tables.c ---- */

enum pg_usage {
    PG_LABEL,
    PG_GAUGE,
    PG_COUNTER,
    PG_DISCARD,
    PG_GAUGE_OR_NAN, // NULL is NaN; of the others it is 0
    PG_SKIP_NULL,    // gauge; NULL is no sample
};

struct pg_column { // in the order of the query
    const char *name;
    enum pg_usage usage;
    const char *help;
};

struct pg_query {
    const char *collector; // --collector.<this>
    const char *space;     // names are pg_<space>_<column>; "" for pg_<column>
    const char *sql;
    const struct pg_column *columns;
    size_t column_count;
    int version_min, version_max; // 140000; 0: any. max is excluded
    bool off;                     // not by default
    const char *alias_end;        // counters also without this end, for older dashboards
};
extern const struct pg_query pg_queries[];
extern const size_t pg_query_count;
