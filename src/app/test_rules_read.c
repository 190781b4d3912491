// test_rules_read.c - unit-test files of rules. Source: cmd/promtool/unittest.go.
// SPDX-License-Identifier: Apache-2.0
#include "app/query_command.h"
#include "app/test_rules_priv.h"
#include "base/file.h"
#include "base/time.h"

#define F(struct_, member_, key_, kind_, type_) \
    CONF_FIELD(struct struct_, member_, key_, kind_, 0, type_)

static const struct conf_field series_fields[] = {
    F(input_series, series, "series", CONF_STR, NULL),
    F(input_series, values, "values", CONF_STR, NULL),
};
static const struct conf_type series_type = CONF_TYPE("main.series", struct input_series,
                                                      series_fields, NULL, NULL);

static const struct conf_field alert_fields[] = {
    F(alert_expected, labels, "exp_labels", CONF_MAP, NULL),
    F(alert_expected, annotations, "exp_annotations", CONF_MAP, NULL),
};
static const struct conf_type alert_type = CONF_TYPE("main.alert", struct alert_expected,
                                                     alert_fields, NULL, NULL);

static const struct conf_field alert_case_fields[] = {
    F(alert_case, eval_time_ms, "eval_time", CONF_DURATION, NULL),
    F(alert_case, alertname, "alertname", CONF_STR, NULL),
    F(alert_case, exp_alerts, "exp_alerts", CONF_LIST, &alert_type),
};
static const struct conf_type alert_case_type = CONF_TYPE("main.alertTestCase", struct alert_case,
                                                          alert_case_fields, NULL, NULL);

static const struct conf_field sample_fields[] = {
    F(sample_expected, labels, "labels", CONF_STR, NULL),
    F(sample_expected, value, "value", CONF_DOUBLE, NULL),
    F(sample_expected, histogram, "histogram", CONF_STR, NULL),
};
static const struct conf_type sample_type = CONF_TYPE("main.sample", struct sample_expected,
                                                      sample_fields, NULL, NULL);

static const struct conf_field expr_case_fields[] = {
    F(expr_case, expr, "expr", CONF_STR, NULL),
    F(expr_case, eval_time_ms, "eval_time", CONF_DURATION, NULL),
    F(expr_case, exp_samples, "exp_samples", CONF_LIST, &sample_type),
};
static const struct conf_type expr_case_type = CONF_TYPE("main.promqlTestCase", struct expr_case,
                                                         expr_case_fields, NULL, NULL);

static bool check_start(struct conf_reader *r UNUSED, const struct yaml_node *node, void *obj,
                        struct err *e)
{
    struct test_group *t = obj;
    struct err inner = { 0 };
    int64_t ns;

    if (!t->start_timestamp.n)
        return true;
    if (!query_time_parse(t->start_timestamp, &ns, &inner))
        return conf_fail(e, yaml_get(node, STR("start_timestamp")), "%s", inner.text);
    t->start_ms = floor_div(ns, NS_MS);
    return true;
}

static const struct conf_field group_fields[] = {
    F(test_group, interval_ms, "interval", CONF_DURATION, NULL),
    F(test_group, input_series, "input_series", CONF_LIST, &series_type),
    F(test_group, alert_tests, "alert_rule_test", CONF_LIST, &alert_case_type),
    F(test_group, expr_tests, "promql_expr_test", CONF_LIST, &expr_case_type),
    F(test_group, external_labels, "external_labels", CONF_MAP, NULL),
    F(test_group, external_url, "external_url", CONF_STR, NULL),
    F(test_group, name, "name", CONF_STR, NULL),
    F(test_group, start_timestamp, "start_timestamp", CONF_STR, NULL),
};
static const struct conf_type group_type = CONF_TYPE("main.testGroup", struct test_group,
                                                     group_fields, NULL, check_start);

static const struct conf_field file_fields[] = {
    F(test_file, rule_files, "rule_files", CONF_STRS, NULL),
    F(test_file, evaluation_interval_ms, "evaluation_interval", CONF_DURATION, NULL),
    F(test_file, group_eval_order, "group_eval_order", CONF_STRS, NULL),
    F(test_file, tests, "tests", CONF_LIST, &group_type),
    F(test_file, fuzzy_compare, "fuzzy_compare", CONF_BOOL, NULL),
};
static const struct conf_type file_type = CONF_TYPE("main.unitTestFile", struct test_file,
                                                    file_fields, NULL, NULL);

bool test_file_read(struct arena *a, const char *path, struct test_file *out, struct str *error)
{
    struct conf_reader r = { .arena = a };
    const struct yaml_node *root = NULL;
    OWNED(buf_fini) struct buf b = { 0 };
    struct err e = { 0 };
    struct str text;

    *out = (struct test_file){ 0 };
    if (file_read(a, path, RULE_FILE_BYTES_MAX, &text, &e) && yaml_parse(a, text, &root, &e) &&
        conf_read(&r, &file_type, root, out, &e))
        return true;
    if (!r.problems.n) {
        *error = arena_str(a, str_c(e.text));
        return false;
    }
    buf_lit(&b, "yaml: unmarshal errors:");
    for (size_t i = 0; i < r.problems.n; i++)
        buf_printf(&b, "\n  %.*s", STRF(r.problems.v[i].text));
    *error = arena_str(a, buf_view(&b));
    return false;
}
