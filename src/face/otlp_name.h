/*
 * otlp_name.h - names of OpenTelemetry as names of Prometheus.
 *
 * The rules are those of Prometheus 3's otlptranslator 1.0 (and of the OpenTelemetry
 * specification, "Prometheus and OpenMetrics compatibility"): units in words and _total, _ratio as
 * suffixes, other characters than letters, digits, ':' and '_' as '_', unless UTF-8 is let through.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"

struct otlp_namer {
    bool suffixes;         // of unit and type
    bool utf8;             // names stay as they are
    bool key_prefix;       // _x becomes key_x, as a label
    bool keep_underscores; // __ stays, in labels
};

enum otlp_name_kind { OTLP_NAME_OTHER, OTLP_NAME_GAUGE, OTLP_NAME_COUNTER };

// ERR_INVALID: nothing is left of the name. The result is the input or in the arena.
MUST_CHECK bool otlp_metric_name(const struct otlp_namer *n, struct arena *a, struct str name,
                                 struct str unit, enum otlp_name_kind kind, struct str *out,
                                 struct err *e);
// ERR_INVALID: empty, or nothing but underscores.
MUST_CHECK bool otlp_label_name(const struct otlp_namer *n, struct arena *a, struct str name,
                                struct str *out, struct err *e);
// "By/s" is bytes_per_second. utf8: other characters stay.
struct str otlp_unit_name(struct arena *a, struct str unit, bool utf8);
