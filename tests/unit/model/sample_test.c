// sample_test.c - names of metric types.
// SPDX-License-Identifier: Apache-2.0
#include "model/sample.h"

#include "test.h"

TEST(metric_type_names_round_trip)
{
    enum metric_type got;

    for (int t = TYPE_UNKNOWN; t <= TYPE_STATESET; t++) {
        CHECK(metric_type_of(str_c(metric_type_name((enum metric_type)t)), &got));
        CHECK(got == (enum metric_type)t);
    }
    got = TYPE_GAUGE;
    CHECK(metric_type_of(STR("untyped"), &got) && got == TYPE_UNKNOWN);
    got = TYPE_GAUGE;
    CHECK(!metric_type_of(STR("Counter"), &got) && got == TYPE_GAUGE);
}

TEST(sample_is_stale_tells_the_marker_from_other_nans)
{
    CHECK(sample_is_stale(double_from_bits(SAMPLE_STALE_BITS)));
    CHECK(!sample_is_stale(double_from_bits(SAMPLE_NAN_BITS)));
    CHECK(!sample_is_stale(0));
}
