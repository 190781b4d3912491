/*
 * serve_intake.c - the part that all pushed samples pass: tenants and limits.
 */
// SPDX-License-Identifier: Apache-2.0
#include "app/serve_priv.h"
#include "base/log.h"

static bool open_intake(struct server *s, struct err *e)
{
    bool tenancy = flags_bool(&s->flags, "auth.multitenancy-enabled");
    struct str path = flags_text(&s->flags, "limits.file");
    struct intake_options o = { .metrics = s->metrics, .clock = clock_real(), .tenancy = tenancy };

    s->tenancy = tenancy;
    // Without file and tenants there is nothing to limit, and nobody asks the store of limits.
    if ((path.n || tenancy) && !limits_store_open(&s->limits, path.p, tenancy, e))
        return false;
    o.limits = s->limits;
    return intake_new(&s->intake, &o, e);
}

static void limits_changed(void *ctx)
{
    intake_apply_limits(ctx);
}

static bool start_intake(struct server *s, struct err *e)
{
    return !s->limits || limits_store_watch(s->limits, limits_changed, s->intake, e);
}

static bool prepare_intake(struct server *s, struct prom_config *c, struct err *e)
{
    (void)c;
    return !s->limits || limits_store_reload(s->limits, e);
}

static void close_intake(struct server *s)
{
    if (s->limits)
        limits_store_stop(s->limits);
    intake_free(s->intake);
    limits_store_close(s->limits);
}

const struct serve_part serve_intake_part = {
    .name = "intake",
    .open = open_intake,
    .start = start_intake,
    .prepare = prepare_intake,
    .close = close_intake,
};
