/*
 * rules_metrics.c - prometheus_rule_*: names and texts are upstream's.
 */
// SPDX-License-Identifier: Apache-2.0
#include "rules/rules_priv.h"

static const double seconds[] = { .01, .1, 1, 10 };

void rules_metrics_make(struct rules *r)
{
    struct rules_metrics *m = &r->metrics;

    m->evaluation_seconds = metric_plain("prometheus_rule_evaluation_duration_seconds",
                                         "The duration for a rule to execute.", METRIC_SUMMARY);
    m->evaluation_histogram = metric_histogram(
        "prometheus_rule_evaluation_duration_histogram_seconds",
        "The duration for a rule to execute.", seconds, ARRAY_LEN(seconds));
    m->iteration_seconds = metric_plain("prometheus_rule_group_duration_seconds",
                                        "The duration of rule group evaluations.", METRIC_SUMMARY);
    m->iteration_histogram = metric_histogram("prometheus_rule_group_duration_histogram_seconds",
                                              "The duration of rule group evaluations.", seconds,
                                              ARRAY_LEN(seconds));
}

static struct metric *of_group(const struct eval_group *g, const char *name, const char *help,
                               enum metric_kind kind)
{
    static const char *const labels[] = { "rule_group" };

    return metric_child(metric_family(name, help, kind, labels, 1), &g->key);
}

struct rules_group_metrics rules_group_metrics_make(const struct eval_group *g)
{
    struct rules_group_metrics m = {
        .missed = of_group(g, "prometheus_rule_group_iterations_missed_total",
                           "The total number of rule group evaluations missed due to slow rule "
                           "group evaluation.",
                           METRIC_COUNTER),
        .iterations = of_group(g, "prometheus_rule_group_iterations_total",
                               "The total number of scheduled rule group evaluations, whether "
                               "executed or missed.",
                               METRIC_COUNTER),
        .evaluations = of_group(g, "prometheus_rule_evaluations_total",
                                "The total number of rule evaluations.", METRIC_COUNTER),
        .failures = of_group(g, "prometheus_rule_evaluation_failures_total",
                             "The total number of rule evaluation failures.", METRIC_COUNTER),
        .interval = of_group(g, "prometheus_rule_group_interval_seconds",
                             "The interval of a rule group.", METRIC_GAUGE),
        .last_time = of_group(g, "prometheus_rule_group_last_evaluation_timestamp_seconds",
                              "The timestamp of the last rule group evaluation in seconds.",
                              METRIC_GAUGE),
        .last_duration = of_group(g, "prometheus_rule_group_last_duration_seconds",
                                  "The duration of the last rule group evaluation.", METRIC_GAUGE),
        .rule_duration_sum = of_group(
            g, "prometheus_rule_group_last_rule_duration_sum_seconds",
            "The sum of time in seconds it took to evaluate each rule in the group "
            "regardless of concurrency. This should be higher than the group duration if "
            "rules are evaluated concurrently.",
            METRIC_GAUGE),
        .last_restore = of_group(g, "prometheus_rule_group_last_restore_duration_seconds",
                                 "The duration of the last alert rules alerts restoration using "
                                 "the `ALERTS_FOR_STATE` series.",
                                 METRIC_GAUGE),
        .rules = of_group(g, "prometheus_rule_group_rules", "The number of rules.", METRIC_GAUGE),
        .samples = of_group(g, "prometheus_rule_group_last_evaluation_samples",
                            "The number of samples returned during the last rule group "
                            "evaluation.",
                            METRIC_GAUGE),
    };

    metric_set(m.interval, (double)g->interval_ms / 1000);
    metric_set(m.rules, (double)g->rule_count);
    return m;
}
