/*
 * sample.c - names of metric types.
 */
// SPDX-License-Identifier: Apache-2.0
#include "model/sample.h"

static const char *const type_names[] = {
    [TYPE_UNKNOWN] = "unknown", [TYPE_COUNTER] = "counter",
    [TYPE_GAUGE] = "gauge",     [TYPE_HISTOGRAM] = "histogram",
    [TYPE_SUMMARY] = "summary", [TYPE_GAUGE_HISTOGRAM] = "gaugehistogram",
    [TYPE_INFO] = "info",       [TYPE_STATESET] = "stateset",
};

const char *metric_type_name(enum metric_type t)
{
    assert((size_t)t < ARRAY_LEN(type_names));
    return type_names[t];
}

bool metric_type_of(struct str name, enum metric_type *out)
{
    for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
        if (str_eq_c(name, type_names[i])) {
            *out = (enum metric_type)i;
            return true;
        }
    }
    if (!str_eq(name, STR("untyped")))
        return false;
    *out = TYPE_UNKNOWN;
    return true;
}
