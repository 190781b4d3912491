/*
 * promql_series_priv.h - what the parser of series lines and that of histogram literals share.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "lang/promql_priv.h"

struct seq {
    VEC(struct promql_seq_value) values;
};

/*
 * A histogram literal and what follows it without a space: {{…}}, {{…}}x3, {{…}}+{{…}}x3. The
 * opening braces are next. False: falls back.
 */
bool promql_rule_histogram_item(struct parser *p, struct seq *out);
// The count behind x; an error is reported and counts as 0. False: falls back.
bool promql_rule_repetition(struct parser *p, uint64_t *out);
// A number with or without a sign. False: falls back.
bool promql_rule_signed_number(struct parser *p, double *out);
// Room for n more values; false and an error when there would be too many.
bool promql_seq_reserve(struct parser *p, struct seq *s, uint64_t n);
