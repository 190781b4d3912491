/*
 * limits_test.c - documents of limits.
 */
// SPDX-License-Identifier: Apache-2.0
#include "config/limits.h"

#include "test.h"

static struct limits_doc *parse(const char *text, bool tenancy)
{
    struct limits_doc *d = NULL;
    struct err e = { 0 };

    CHECK_OK(limits_parse(str_c(text), tenancy, &d, &e), &e);
    return d;
}

TEST(overrides_lie_on_top_of_the_limits)
{
    OWNED(limits_doc_put)
    struct limits_doc *d = parse("limits:\n"
                                 "  ingestion_rate: 1e5\n"
                                 "  max_label_names_per_series: 7\n"
                                 "  compactor_blocks_retention_period: 365d\n"
                                 "overrides:\n"
                                 "  pods:\n"
                                 "    ingestion_rate: 12.5\n"
                                 "    ha_cluster_label: zone\n"
                                 "  nodes: {}\n"
                                 "  \"a b\":\n",
                                 false);

    const struct limits *l = limits_of(d, STR("other"));
    CHECK(l->ingestion_rate == 1e5 && l->max_label_names_per_series == 7);
    CHECK(l->compactor_blocks_retention_period_ms == INT64_C(365) * MS_DAY);
    CHECK_STR(l->ha_cluster_label, STR("cluster"));
    CHECK(l->out_of_order_time_window_ms == -1);
    l = limits_of(d, STR("pods"));
    CHECK(l->ingestion_rate == 12.5 && l->max_label_names_per_series == 7);
    CHECK_STR(l->ha_cluster_label, STR("zone"));
    CHECK_STR(l->ha_replica_label, STR("__replica__"));
    CHECK(limits_of(d, STR("nodes"))->ingestion_rate == 1e5);
    CHECK(d->n == 3);
}

TEST(defaults_depend_on_tenancy)
{
    OWNED(limits_doc_put) struct limits_doc *alone = parse("", false);
    OWNED(limits_doc_put) struct limits_doc *shared = parse("", true);

    CHECK(alone->limits.max_global_series_per_user == 0 && !(alone->limits.ingestion_rate > 0));
    CHECK(shared->limits.max_global_series_per_user == 1000000);
    CHECK(shared->limits.ingestion_rate == 100000 && shared->limits.max_label_name_length == 1024);
    CHECK(alone->number != shared->number);
}

TEST(what_is_printed_reads_back)
{
    OWNED(limits_doc_put)
    struct limits_doc *d = parse("limits: {ingestion_rate: 3, out_of_order_time_window: 5m, "
                                 "drop_labels: [a, b]}\noverrides: {x: {max_query_lookback: 1h}}\n",
                                 true);
    OWNED(buf_fini) struct buf first = { 0 };
    OWNED(buf_fini) struct buf again = { 0 };

    buf_limits_doc(&first, d);
    OWNED(limits_doc_put) struct limits_doc *same = parse(buf_cstr(&first), false);
    buf_limits_doc(&again, same);
    CHECK_STR(buf_view(&again), buf_view(&first));
    CHECK(same->limits.out_of_order_time_window_ms == 300000);
    CHECK(limits_of(same, STR("x"))->max_query_lookback_ms == MS_HOUR);
}

TEST(keys_of_a_cluster_are_named_and_ignored)
{
    OWNED(limits_doc_put)
    struct limits_doc *d = parse("limits:\n  ingestion_rate: 1\n  ruler_tenant_shard_size: 3\n",
                                 false);

    CHECK(d->warnings.n == 1 && d->warnings.v[0].pos.line == 3);
    CHECK(str_find(d->warnings.v[0].text, STR("ruler_tenant_shard_size")) == 0);
}

static const struct {
    const char *text, *problem;
    uint32_t line;
} wrong[] = {
    { "limits:\n  ingestion_rat: 1\n", "ingestion_rat not found", 2 },
    { "limits:\n  ingestion_rate: fast\n", "cannot unmarshal", 2 },
    { "limits:\n  ingestion_rate: -1\n", "a rate is 0 for none", 2 },
    { "limits:\n  ingestion_burst_size: -1\n", "cannot unmarshal", 2 },
    { "limits:\n  max_query_lookback: 5x\n", "duration", 2 },
    { "overrides:\n  pods:\n    nonsense: 1\n", "nonsense not found", 3 },
    { "overrides: 5\n", "expected tenants with their limits", 1 },
    { "limit: {}\n", "limit not found", 1 },
    { "limits:\n  ha_cluster_label: \"\"\n", "cannot be empty", 2 },
    { "limits: [\n", "yaml", 0 },
};

TEST(what_is_wrong_is_named)
{
    FOR_CASES (t, wrong) {
        struct limits_doc *d = NULL;
        struct err e = { 0 };

        CHECK_F(!limits_parse(str_c(t->text), false, &d, &e) && !d, "%s", t->text);
        CHECK_F(strstr(e.text, t->problem), "%s: %s", t->text, e.text);
        CHECK_F(!t->line || e.pos.line == t->line, "%s: line %u", t->text, e.pos.line);
    }
}
