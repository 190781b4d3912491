// otlp_metrics_priv.h - the JSON half of otlp_metrics.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "codec/otlp_metrics.h"

MUST_CHECK bool otlp_metric_read_json(const struct json_value *v, struct otlp_metric *out,
                                      struct err *e);
MUST_CHECK bool otlp_metric_points_json(const struct otlp_metric *m, struct arena *a,
                                        bool (*visit)(void *ctx, const struct otlp_point *p,
                                                      struct err *e),
                                        void *ctx, struct err *e);
int64_t otlp_metric_point_count_json(const struct otlp_metric *m);
