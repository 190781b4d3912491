// postgres_conn.c - one connection to PostgreSQL with a deadline, never blocking inside libpq.
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <poll.h>

#include "base/time.h"
#include "export/postgres_priv.h"

static void drop_notice(void *ctx, const char *text)
{
    (void)ctx, (void)text;
}

static bool wait_for(const struct pg_session *s, int events, struct err *e)
{
    for (;;) {
        struct pollfd p = { .fd = s->api->socket(s->c), .events = (short)events };
        int64_t ms = (s->deadline_mono_ns - clock_mono_ns(clock_real())) / NS_MS;
        int r = p.fd >= 0 && ms > 0 ? poll(&p, 1, (int)MIN(ms, (int64_t)INT32_MAX)) : 0;

        if (r > 0)
            return true;
        if (r == 0)
            return err_set(e, ERR_TIMEOUT, "PostgreSQL did not answer in time");
        if (errno != EINTR)
            return err_os(e, "poll");
    }
}

// The first line of libpq's message; it names hosts and users, never passwords.
static bool failed(const char *text, struct err *e)
{
    struct str rest = str_trim(str_c(text)), line = str_cut(&rest, '\n');

    return err_set(e, ERR_UNAVAILABLE, "%.*s", STRF(line));
}

bool pg_session_open(struct pg_session *s, const char *dsn, struct err *e)
{
    const struct pg_api *api = s->api;

    s->c = api->connect_start(dsn);
    if (!s->c)
        return err_set(e, ERR_UNAVAILABLE, "PostgreSQL: out of memory");
    api->notice(s->c, drop_notice, NULL);
    if (api->status(s->c) == PG_CONNECTION_BAD && api->socket(s->c) < 0) {
        struct str text = str_c(api->error_message(s->c));
        if (str_starts(text, STR("could not translate host name")) ||
            str_starts(text, STR("connection to server")))
            return failed(text.p, e);
        return err_set(e, ERR_INVALID, "the data source name cannot be used"); // text may show it
    }
    for (int state = PG_POLLING_WRITING; state != PG_POLLING_OK;) {
        if (!wait_for(s, state == PG_POLLING_READING ? POLLIN : POLLOUT, e))
            return false;
        state = api->connect_poll(s->c);
        if (state == PG_POLLING_FAILED)
            return failed(api->error_message(s->c), e);
    }
    s->version = api->server_version(s->c);
    return true;
}

void pg_session_close(struct pg_session *s)
{
    if (s->c)
        s->api->finish(s->c);
    s->c = NULL;
}

bool pg_session_query(struct pg_session *s, const char *sql, struct pg_result **out, struct err *e)
{
    const struct pg_api *api = s->api;
    struct pg_result *r, *first = NULL;

    if (!api->send_query(s->c, sql))
        return failed(api->error_message(s->c), e);
    for (;;) {
        while (api->is_busy(s->c)) {
            if (!wait_for(s, POLLIN, e) || !api->consume(s->c)) {
                if (!e->kind)
                    failed(api->error_message(s->c), e);
                if (first)
                    api->clear(first);
                return false;
            }
        }
        r = api->get_result(s->c);
        if (!r)
            break;
        if (first)
            api->clear(first);
        first = r; // of several statements the last one's
    }
    if (first && api->result_status(first) == PG_RESULT_TUPLES) {
        *out = first;
        return true;
    }
    failed(first ? api->result_error(first) : "no result", e);
    if (first)
        api->clear(first);
    return false;
}
