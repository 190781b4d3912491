/*
 * serve_rules.c - the part that evaluates rules and sends alerts to Alertmanagers.
 */
// SPDX-License-Identifier: Apache-2.0
#include "rules/rules.h"

#include "app/serve_priv.h"
#include "app/version.h"
#include "base/mem.h"
#include "rules/alert_sender.h"

struct serve_rules {
    struct alert_sender *sender;
    struct rules *rules;
};

struct rules *serve_rules_of(struct server *s)
{
    return s->rules ? s->rules->rules : NULL;
}

struct alert_sender *serve_alert_sender_of(struct server *s)
{
    return s->rules ? s->rules->sender : NULL;
}

// Without the slashes at its end: paths are added behind.
static struct str bare_url(struct str url)
{
    while (url.n && url.p[url.n - 1] == '/')
        url.n--;
    return url;
}

static size_t count_flag(struct server *s, const char *name)
{
    return (size_t)MAX(flags_int(&s->flags, name), INT64_C(1));
}

static bool open_rules(struct server *s, struct err *e)
{
    struct serve_rules *p;
    struct alert_sender_options sender = {
        .user_agent = STR("Prometheus/" VERSION_PROMETHEUS),
        .queue_capacity = count_flag(s, "alertmanager.notification-queue-capacity"),
        .batch_max = count_flag(s, "alertmanager.notification-batch-size"),
        .no_drain = !flags_bool(&s->flags, "alertmanager.drain-notification-queue-on-shutdown"),
    };

    if (flags_bool(&s->flags, "agent"))
        return true;
    p = s->rules = xcalloc(1, sizeof *p);
    if (!alert_sender_start(&p->sender, &sender, e))
        return false;
    struct rules_options rules = {
        .tenant = s->tenant,
        .engine = &s->engine,
        .external_url = bare_url(serve_external_url(s)),
        .sink = alert_sender_sink(p->sender),
        .outage_tolerance_ms = flags_ms(&s->flags, "rules.alert.for-outage-tolerance"),
        .grace_period_ms = flags_ms(&s->flags, "rules.alert.for-grace-period"),
        .resend_delay_ms = flags_ms(&s->flags, "rules.alert.resend-delay"),
        .query_timeout_ms = flags_ms(&s->flags, "query.timeout"),
        .query_memory_bytes = UINT64_C(1) << 30,
    };
    if (!s->as_prometheus || serve_has_feature(s, STR("concurrent-rule-eval")))
        rules.concurrent_rules = (unsigned)count_flag(s, "rules.max-concurrent-evals");
    return rules_start(&p->rules, &rules, e);
}

static bool prepare_rules(struct server *s, struct prom_config *c, struct err *e)
{
    return !s->rules ||
           (rules_prepare(s->rules->rules, c, e) && alert_sender_prepare(s->rules->sender, c, e));
}

static void apply_rules(struct server *s, struct prom_config *c)
{
    (void)c;
    if (!s->rules)
        return;
    alert_sender_apply(s->rules->sender); // first: what fires has somewhere to go
    rules_apply(s->rules->rules);
}

static void stop_rules(struct server *s)
{
    if (!s->rules)
        return;
    rules_stop(s->rules->rules);
    alert_sender_stop(s->rules->sender);
}

static void close_rules(struct server *s)
{
    struct serve_rules *p = s->rules;

    if (!p)
        return;
    rules_free(p->rules);
    alert_sender_free(p->sender);
    xfree(p);
}

const struct serve_part serve_rules_part = {
    .name = "rules",
    .open = open_rules,
    .prepare = prepare_rules,
    .apply = apply_rules,
    .stop = stop_rules,
    .close = close_rules,
};
