/*
 * tmpl_prometheus.h - templates of alerts: Prometheus's functions and what alerts show to them.
 *
 * Source: Prometheus 3.15, template/.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "model/labels.h"
#include "template/tmpl.h"

struct histogram;

struct tmpl_sample {
    struct labels labels;
    double value;
    const struct histogram *hist; // NULL: value counts
};

// Runs an instant query at the time of the evaluation; the result lives in the arena. False: *error.
typedef bool (*tmpl_query_fn)(void *ctx, struct str query, int64_t t_ms, struct arena *a,
                              struct tmpl_sample **out, size_t *n, struct str *error);

struct tmpl_prometheus { // ctx of the functions
    int64_t now_ms;
    struct str external_url;
    tmpl_query_fn query; // NULL: every query gives nothing
    void *query_ctx;
    const struct gotemplate_set *set; // of `tmpl`: consoles only
};

extern const struct tmpl_function tmpl_prometheus_functions[];
extern const size_t tmpl_prometheus_function_count;
// For gotemplate_set.has_function: these and the builtins.
bool tmpl_prometheus_has_function(void *ctx, struct str name);

// A value to give to a template.
struct tmpl_value tmpl_of_sample(struct arena *a, const struct tmpl_sample *s); // *template.sample
struct tmpl_value tmpl_of_labels(struct arena *a, struct labels ls);
struct tmpl_value tmpl_of_histogram(const struct histogram *h);

/* ---- labels and annotations of alerts ---- */

struct tmpl_alert_data {
    struct labels labels, external_labels;
    struct tmpl_sample sample; // its value
    const struct tmpl_prometheus *env;
    struct budget *budget; // NULL: none
};

/*
 * A label or annotation, parsed once. $labels, $externalLabels, $externalURL and $value are
 * declared in front of it: columns of messages on the first line count them in, as there.
 */
struct tmpl_alert;
struct tmpl_alert *tmpl_alert_new(struct arena *a, struct str alertname, struct str text);
// Why it does not parse; empty: it does.
struct str tmpl_alert_problem(const struct tmpl_alert *t);
/*
 * The expanded text, in the arena. False: it failed; *out is then the text that stands for it,
 * "<error expanding template: …>". Thread-safe.
 */
bool tmpl_alert_expand(const struct tmpl_alert *t, const struct tmpl_alert_data *d, struct arena *a,
                       struct str *out);
