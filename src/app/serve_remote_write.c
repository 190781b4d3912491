/*
 * serve_remote_write.c - the part that sends samples on: remote_write, and all there is of an agent.
 */
// SPDX-License-Identifier: Apache-2.0
#include "app/serve_priv.h"
#include "app/version.h"
#include "pipeline/remote_write.h"

static bool open_part(struct server *s, struct err *e UNUSED)
{
    bool agent = flags_bool(&s->flags, "agent");

    s->remote_write = remote_write_new(&(struct remote_write_options){
        .metrics = s->metrics,
        .tenant = s->tenant,
        .user_agent = STR("Prometheus/" VERSION_PROMETHEUS),
        .flush_ms = flags_ms(&s->flags, "storage.remote.flush-deadline"),
        .behind_bytes_max = flags_size(&s->flags, "storage.feed.max-bytes"),
        .behind_ms_max = flags_ms(&s->flags, agent ? "storage.agent.retention.max-time"
                                                   : "storage.feed.max-age"),
    });
    return true;
}

static bool prepare(struct server *s UNUSED, struct prom_config *c, struct err *e)
{
    return remote_write_check(c, e);
}

static void apply(struct server *s, struct prom_config *c)
{
    remote_write_apply(s->remote_write, c);
}

// Nothing comes in any more. What came in is sent on, as far as the receiver takes it.
static void close_part(struct server *s)
{
    remote_write_free(s->remote_write);
    s->remote_write = NULL;
}

const struct serve_part serve_remote_write_part = {
    .name = "remote_write",
    .open = open_part,
    .prepare = prepare,
    .apply = apply,
    .close = close_part,
};
