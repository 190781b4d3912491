/*
 * eval_test.c - groups of rules over samples in memory: states of alerts, series, staleness, sending,
 * restoring, handing on.
 */
// SPDX-License-Identifier: Apache-2.0
#include "rules/eval.h"

#include "query/memory_source.h"
#include "test.h"

#define SECONDS(n) ((int64_t)(n)*NS_SECOND)

struct bench {
    struct arena arena;
    struct memory_source *memory;
    struct query_engine engine;
    struct eval_env env;
    struct alert_sink sink;
    VEC(struct alert_notice) sent; // in the arena
};

static bool append_memory(void *ctx, struct eval_row *v, size_t n, uint8_t *status,
                          struct err *e UNUSED)
{
    for (size_t i = 0; i < n; i++) {
        struct memory_sample s = { .t_ms = v[i].t_ms, .value = v[i].value, .hist = v[i].hist };
        memory_source_add(ctx, v[i].labels, &s, 1);
        status[i] = APPEND_OK;
    }
    return true;
}

static void keep_sent(struct alert_sink *sink, const struct alert_notice *v, size_t n)
{
    struct bench *b = CONTAINER_OF(sink, struct bench, sink);

    for (size_t i = 0; i < n; i++) {
        struct alert_notice *to = vec_push_in(&b->arena, &b->sent);
        *to = v[i];
        to->labels = labels_copy(&b->arena, v[i].labels);
        to->annotations = labels_copy(&b->arena, v[i].annotations);
        to->generator_url = arena_str(&b->arena, v[i].generator_url);
    }
}

static void bench_init(struct bench *b)
{
    *b = (struct bench){ .memory = memory_source_new() };
    b->sink.send = keep_sent;
    b->env = (struct eval_env){ .engine = &b->engine,
                                .source = memory_source_view(b->memory),
                                .append = append_memory,
                                .append_ctx = b->memory,
                                .external_url = STR("http://v"),
                                .sink = &b->sink,
                                .resend_delay_ms = 60000,
                                .outage_tolerance_ms = 3600000,
                                .grace_period_ms = 600000,
                                .quiet = true };
}

static void bench_fini(struct bench *b)
{
    memory_source_free(b->memory);
    arena_fini(&b->arena);
}
OWN_DEFINE_FINI(struct bench, bench_fini)

static void put(struct bench *b, const char *series, int64_t t_s, double value)
{
    struct memory_sample s = { .t_ms = t_s * 1000, .value = value };
    struct labels ls;
    struct err e = { 0 };

    CHECK_OK(promql_parse_labels(&b->arena, str_c(series), &ls, &e), &e);
    memory_source_add(b->memory, ls, &s, 1);
}

// The first group of a file's text.
static struct eval_group *group_of(const char *text, bool restore)
{
    OWNED(rule_file_free) struct rule_file *f = NULL;
    struct err e = { 0 };

    CHECK_OK(rule_file_parse(str_c(text), NULL, &f, &e), &e);
    return eval_group_new(STR("f.yml"), f->groups.v[0], 15000, restore);
}

// The result of a query as text: "series value" lines.
static void check_query(struct bench *b, const char *query, int64_t t_s, const char *want)
{
    struct query_request r = { .text = str_c(query), .start_ms = t_s * 1000 };
    OWNED(buf_fini) struct buf text = { 0 };
    struct query_result q = { 0 };
    struct budget budget = { .what = "query" };
    struct err e = { 0 };

    CHECK_OK(query_run(&b->engine, &r, b->env.source, &budget, &b->arena, &q, &e), &e);
    for (size_t i = 0; i < q.series_count; i++) {
        buf_series(&text, q.series[i].labels);
        buf_printf(&text, " %g\n", q.series[i].floats[0].value);
    }
    CHECK_STR(buf_view(&text), str_c(want));
}

static const struct eval_alert *alert_of(const struct eval_group *g, size_t rule)
{
    CHECK(g->rules[rule].active.n == 1);
    return g->rules[rule].active.v[0];
}

TEST(recording_rules_see_each_other_and_go_stale)
{
    OWNED(bench_fini) struct bench b;
    OWNED(eval_group_free)
    struct eval_group *g = group_of(
        "groups: [{name: g, rules: [{record: 'a:b', expr: 'sum by (x) (up)', labels: {t: u}},"
        " {record: c, expr: 'a:b * 2'}]}]",
        false);

    bench_init(&b);
    put(&b, "up{x=\"1\"}", 10, 3);
    eval_group_run(g, &b.env, SECONDS(10));
    check_query(&b, "{__name__=~\"a:b|c\"}", 10,
                "a:b{t=\"u\", x=\"1\"} 3\nc{t=\"u\", x=\"1\"} 6\n");
    put(&b, "up{x=\"1\"}", 20, double_from_bits(SAMPLE_STALE_BITS));
    eval_group_run(g, &b.env, SECONDS(25));
    check_query(&b, "{__name__=~\"a:b|c\"}", 25, "");
    CHECK(g->rules[0].health == EVAL_GOOD && g->rules[0].series.n == 0);
}

TEST(equal_labels_and_limits_fail_the_rule)
{
    OWNED(bench_fini) struct bench b;
    OWNED(eval_group_free)
    struct eval_group *g = group_of(
        "groups: [{name: g, limit: 1, rules: [{record: r, expr: up, labels: {x: same}},"
        " {record: s, expr: up}, {alert: A, expr: up}, {alert: B, expr: up, labels: {x: same}}]}]",
        false);

    bench_init(&b);
    put(&b, "up{x=\"1\"}", 10, 1);
    put(&b, "up{x=\"2\"}", 10, 1);
    eval_group_run(g, &b.env, SECONDS(10));
    const char *want[] = {
        "vector contains metrics with the same labelset after applying rule labels",
        "exceeded limit of 1 with 2 series", "exceeded limit of 1 with 2 alerts",
        "vector contains metrics with the same labelset after applying alert labels"
    };
    for (size_t i = 0; i < 4; i++) {
        CHECK(g->rules[i].health == EVAL_BAD);
        CHECK_STR(buf_view(&g->rules[i].error), str_c(want[i]));
    }
    CHECK(g->rules[2].active.n == 0 && b.sent.n == 0);
}

TEST(alerts_wait_fire_and_resolve)
{
    OWNED(bench_fini) struct bench b;
    OWNED(eval_group_free)
    struct eval_group *g = group_of(
        "groups: [{name: g, rules: [{alert: A, expr: 'up == 0', for: 30s,"
        " labels: {sev: '{{ $labels.x }}!'}, annotations: {v: '{{ $value }}'}}]}]",
        false);

    bench_init(&b);
    put(&b, "up{x=\"1\"}", 10, 0);
    eval_group_run(g, &b.env, SECONDS(10));
    CHECK(alert_of(g, 0)->state == ALERT_PENDING && b.sent.n == 0);
    check_query(&b, "ALERTS", 10,
                "ALERTS{alertname=\"A\", alertstate=\"pending\", sev=\"1!\", x=\"1\"} 1\n");
    check_query(&b, "ALERTS_FOR_STATE", 10,
                "ALERTS_FOR_STATE{alertname=\"A\", sev=\"1!\", x=\"1\"} 10\n");
    eval_group_run(g, &b.env, SECONDS(25));
    CHECK(alert_of(g, 0)->state == ALERT_PENDING);
    eval_group_run(g, &b.env, SECONDS(40));
    CHECK(alert_of(g, 0)->state == ALERT_FIRING && alert_of(g, 0)->active_ns == SECONDS(10));
    check_query(&b, "ALERTS", 40,
                "ALERTS{alertname=\"A\", alertstate=\"firing\", sev=\"1!\", x=\"1\"} 1\n");
    CHECK(b.sent.n == 1 && b.sent.v[0].starts_ns == SECONDS(40));
    CHECK(b.sent.v[0].ends_ns == SECONDS(40 + 4 * 60));
    CHECK_STR(labels_get(b.sent.v[0].annotations, STR("v")), STR("0"));
    CHECK_STR(b.sent.v[0].generator_url, STR("http://v/graph?g0.expr=up+%3D%3D+0&g0.tab=1"));
    eval_group_run(g, &b.env, SECONDS(99)); // again only after the resend delay
    CHECK(b.sent.n == 1);
    eval_group_run(g, &b.env, SECONDS(101));
    CHECK(b.sent.n == 2);
    put(&b, "up{x=\"1\"}", 110, 1);
    eval_group_run(g, &b.env, SECONDS(115));
    CHECK(alert_of(g, 0)->state == ALERT_INACTIVE && b.sent.n == 3);
    CHECK(b.sent.v[2].ends_ns == SECONDS(115) && b.sent.v[2].starts_ns == SECONDS(40));
    check_query(&b, "ALERTS", 115, "");
    // Resolved ones are kept and sent for 15 minutes, then forgotten.
    eval_group_run(g, &b.env, SECONDS(115 + 15 * 60));
    CHECK(g->rules[0].active.n == 1 && b.sent.n == 4);
    eval_group_run(g, &b.env, SECONDS(115 + 15 * 60 + 1));
    CHECK(g->rules[0].active.n == 0);
}

TEST(pending_alerts_that_end_are_forgotten)
{
    OWNED(bench_fini) struct bench b;
    OWNED(eval_group_free)
    struct eval_group *g = group_of(
        "groups: [{name: g, rules: [{alert: A, expr: 'up == 0', for: 1m}]}]", false);

    bench_init(&b);
    put(&b, "up", 10, 0);
    eval_group_run(g, &b.env, SECONDS(10));
    put(&b, "up", 20, 1);
    eval_group_run(g, &b.env, SECONDS(25));
    CHECK(g->rules[0].active.n == 0 && b.sent.n == 0);
}

TEST(keep_firing_for_bridges_gaps)
{
    OWNED(bench_fini) struct bench b;
    OWNED(eval_group_free)
    struct eval_group *g = group_of(
        "groups: [{name: g, rules: [{alert: A, expr: 'up == 0', keep_firing_for: 30s}]}]", false);

    bench_init(&b);
    put(&b, "up", 10, 0);
    eval_group_run(g, &b.env, SECONDS(10));
    put(&b, "up", 20, 1);
    eval_group_run(g, &b.env, SECONDS(25));
    CHECK(alert_of(g, 0)->state == ALERT_FIRING && alert_of(g, 0)->keep_since_ns == SECONDS(25));
    put(&b, "up", 30, 0);
    eval_group_run(g, &b.env, SECONDS(40));
    CHECK(alert_of(g, 0)->keep_since_ns == EVAL_NEVER);
    put(&b, "up", 45, 1);
    eval_group_run(g, &b.env, SECONDS(55));
    eval_group_run(g, &b.env, SECONDS(84));
    CHECK(alert_of(g, 0)->state == ALERT_FIRING);
    eval_group_run(g, &b.env, SECONDS(85));
    CHECK(alert_of(g, 0)->state == ALERT_INACTIVE);
}

TEST(query_offset_moves_queries_and_samples)
{
    OWNED(bench_fini) struct bench b;
    OWNED(eval_group_free)
    struct eval_group *g = group_of(
        "groups: [{name: g, query_offset: 1m, rules: [{record: r, expr: up}]}]", false);

    bench_init(&b);
    put(&b, "up", 10, 5);
    put(&b, "up", 100, 7);
    eval_group_run(g, &b.env, SECONDS(100));
    check_query(&b, "timestamp(r) + r", 40, "{} 45\n");
}

static void restore_case(int64_t hold_s, int64_t active_s, int64_t down_s, int64_t up_s,
                         int64_t want_s)
{
    OWNED(bench_fini) struct bench b;
    OWNED(buf_fini) struct buf text = { 0 };

    buf_printf(&text, "groups: [{name: g, rules: [{alert: A, expr: 'up == 0', for: %llds}]}]",
               (long long)hold_s);
    OWNED(eval_group_free) struct eval_group *g = group_of(buf_cstr(&text), true);
    bench_init(&b);
    put(&b, "ALERTS_FOR_STATE{alertname=\"A\"}", down_s, (double)active_s);
    put(&b, "up", up_s, 0);
    eval_group_run(g, &b.env, SECONDS(up_s));
    check_query(&b, "ALERTS", up_s, ""); // not before it is restored
    eval_group_restore(g, &b.env, SECONDS(up_s));
    CHECK_F(alert_of(g, 0)->active_ns == SECONDS(want_s),
            "for %lld, down %lld: got %lld, want %lld", (long long)hold_s, (long long)down_s,
            (long long)(alert_of(g, 0)->active_ns / NS_SECOND), (long long)want_s);
    CHECK(g->rules[0].restored && !g->restore);
}

TEST(for_goes_on_after_a_restart)
{
    restore_case(300, 10000, 10100, 10200, 10200);  // under the grace period: begins anew
    restore_case(3600, 10000, 13700, 13900, 10000); // it fired: fires again
    restore_case(3600, 10000, 11000, 11500, 10500); // the outage does not count
    restore_case(3600, 10000, 13500, 13550, 10550); // at least the grace period is left
    restore_case(3600, 10000, 11000, 11000 + 3601, 11000 + 3601); // too long ago
}

TEST(state_is_handed_on)
{
    static const char text[] = "groups: [{name: g, rules: [{alert: A, expr: 'up == 0', for: 1m},"
                               " {record: r, expr: up}, {record: old, expr: up}]}]";
    OWNED(bench_fini) struct bench b;
    OWNED(eval_group_free) struct eval_group *from = group_of(text, false);
    OWNED(eval_group_free) struct eval_group *same = group_of(text, false);
    OWNED(eval_group_free)
    struct eval_group *g = group_of("groups: [{name: g, rules: [{record: r, expr: 'up + 1'},"
                                    " {alert: A, expr: 'up == 0', for: 1m, annotations: {x: y}}]}]",
                                    false);

    bench_init(&b);
    CHECK(str_eq(from->signature, same->signature) && !str_eq(from->signature, g->signature));
    put(&b, "up", 10, 0);
    eval_group_run(from, &b.env, SECONDS(10));
    eval_group_adopt(g, from);
    CHECK(alert_of(g, 1)->active_ns == SECONDS(10) && g->stale.n == 1);
    eval_group_run(g, &b.env, SECONDS(75));
    CHECK(alert_of(g, 1)->state == ALERT_FIRING && g->stale.n == 0);
    check_query(&b, "{__name__=~\"r|old\"}", 75, "r 1\n"); // `old` ended with a marker
}

TEST(rules_are_batched_by_what_they_read)
{
    OWNED(eval_group_free)
    struct eval_group *g = group_of(
        "groups: [{name: g, rules: [{record: a, expr: up}, {record: b, expr: up},"
        " {record: c, expr: 'a + b'}, {alert: D, expr: 'c > 0'}, {alert: E, expr: 'up > 0'},"
        " {record: f, expr: 'count(ALERTS{alertname=\"D\"})'}]}]",
        false);
    OWNED(eval_group_free)
    struct eval_group *any = group_of(
        "groups: [{name: g, rules: [{record: a, expr: up}, {record: b, expr: "
        "'count({job=\"x\"})'}]}]",
        false);

    CHECK(g->batch_count == 4 && any->batches == NULL);
    CHECK(g->batches[0].n == 3 && g->batches[0].rule[2] == 4); // a, b, E
    CHECK(g->batches[1].n == 1 && g->batches[1].rule[0] == 2); // c
    CHECK(g->batches[2].n == 1 && g->batches[2].rule[0] == 3); // D
    CHECK(g->batches[3].n == 1 && g->batches[3].rule[0] == 5); // f
}

TEST(slots_are_spread_and_steady)
{
    OWNED(eval_group_free) struct eval_group *g = group_of("groups: [{name: g, rules: []}]", false);
    int64_t slot = eval_group_slot(g, SECONDS(1000));

    CHECK(slot <= SECONDS(1000) && slot > SECONDS(985));
    CHECK(eval_group_slot(g, slot) == slot && eval_group_slot(g, slot - 1) == slot - SECONDS(15));
}
