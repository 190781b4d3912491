/*
 * datadog.h - metrics as DataDog's agents send them: series of version 1 and 2, JSON; version 2 protobuf.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "codec/line.h"

struct datadog_point {
    int64_t t_ms; // 0: now
    double value;
};

struct datadog_series {
    struct str name; // cleaned as DataDog cleans names: [a-zA-Z0-9_.]
    const struct line_tag *tag;
    size_t tags;
    const struct datadog_point *point;
    size_t points;
};

struct datadog_body {
    const struct datadog_series *v;
    size_t n;
};

enum datadog_format { DATADOG_V1, DATADOG_V2, DATADOG_V2_PROTO };
// Everything lives in the arena or is a slice of the body. ERR_INVALID with the position.
MUST_CHECK bool datadog_read(struct arena *a, enum datadog_format format, struct str body,
                             struct datadog_body *out, struct err *e);
