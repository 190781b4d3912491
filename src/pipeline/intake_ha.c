/*
 * intake_ha.c - of the replicas of an HA pair one is listened to.
 *
 * As Mimir's HA tracker, with the state in memory: the first replica heard of is elected; another
 * takes over when the elected one has not been heard of for the failover timeout. All samples of a
 * request come from one replica, so its first series decides. After a restart the first to come is
 * elected again, which at worst repeats samples that are there already.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "pipeline/intake_priv.h"

static bool cluster_equal(const void *ctx, const void *key, uint32_t index)
{
    const struct intake_tenant *t = ctx;
    const struct str *cluster = key;

    return str_eq_c(*cluster, t->ha.v[index].cluster);
}

// The cluster's entry, new or old; NULL: there are too many.
static struct ha_cluster *cluster_locked(struct intake_tenant *t, const struct limits *l,
                                         struct str cluster)
{
    uint64_t hash = hash_keyed(cluster);
    uint32_t i = map_find(&t->ha_map, hash, cluster_equal, t, &cluster);

    if (i != MAP_NONE)
        return &t->ha.v[i];
    if (l->ha_max_clusters && t->ha.n >= l->ha_max_clusters)
        return NULL;
    map_add(&t->ha_map, hash, (uint32_t)t->ha.n);
    struct ha_cluster *c = vec_push(&t->ha);
    c->cluster = xstrdup_str(cluster);
    return c;
}

static bool elect_locked(struct intake_batch *b, struct ha_cluster *c, struct str replica)
{
    struct intake_tenant *t = b->tenant;
    int64_t now_ms = clock_ms(t->in->clock);

    if (c->replica && !str_eq_c(replica, c->replica)) {
        if (now_ms - c->received_ms <= b->limits->ha_tracker_failover_timeout_ms)
            return false;
        log_info("intake", "another replica of an HA pair is listened to", KV("tenant", t->name),
                 KV("cluster", c->cluster), KV("before", c->replica), KV_STR("now", replica));
        xfree(c->replica);
        c->replica = NULL;
        c->changes++;
    }
    if (!c->replica)
        c->replica = xstrdup_str(replica);
    c->received_ms = now_ms;
    return true;
}

bool intake_ha_decide(struct intake_batch *b, struct labels ls)
{
    const struct limits *l = b->limits;
    struct intake_tenant *t = b->tenant;
    struct str cluster = labels_get(ls, l->ha_cluster_label);
    struct str replica = labels_get(ls, l->ha_replica_label);

    b->ha = INTAKE_HA_NONE;
    if (!cluster.n || !replica.n)
        return true;
    LOCKED(&t->mu);
    struct ha_cluster *c = cluster_locked(t, l, cluster);
    if (c && elect_locked(b, c, replica)) {
        b->ha = INTAKE_HA_MINE;
        return true;
    }
    b->ha = INTAKE_HA_OTHER;
    if (!c)
        return intake_refuse_series(
            b, INTAKE_LABELS,
            arena_printf(&b->arena,
                         "more HA clusters than the limit (err-mimir-tenant-too-many-ha-clusters): "
                         "ha_max_clusters is %llu for tenant %s",
                         (unsigned long long)l->ha_max_clusters, t->name));
    return intake_refuse_series(
        b, INTAKE_REPLICA,
        arena_printf(&b->arena,
                     "replicas did not match, rejecting sample: replica=%.*s, elected=%s",
                     STRF(replica), c->replica));
}

void intake_ha_fini(struct intake_tenant *t)
{
    for (size_t i = 0; i < t->ha.n; i++) {
        xfree(t->ha.v[i].cluster);
        xfree(t->ha.v[i].replica);
    }
    vec_fini(&t->ha);
    map_fini(&t->ha_map);
}

size_t intake_replicas(struct intake *in, struct arena *a, struct intake_replica **out)
{
    VEC(struct intake_replica) all = { 0 };
    LOCKED(&in->mu);

    for (size_t i = 0; i < in->tenants.n; i++) {
        struct intake_tenant *t = in->tenants.v[i];
        LOCKED(&t->mu);

        for (size_t k = 0; k < t->ha.n; k++)
            *vec_push_in(a, &all) = (struct intake_replica){
                str_c(t->name), arena_str(a, str_c(t->ha.v[k].cluster)),
                arena_str(a, str_c(t->ha.v[k].replica)), t->ha.v[k].received_ms
            };
    }
    *out = all.v;
    return all.n;
}
