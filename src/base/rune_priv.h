/*
 * rune_priv.h - the shape of the generated tables in rune_table.c.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdint.h>

struct rune_range {
    uint32_t lo, hi;
};

struct rune_case { // lo, lo + stride, … hi are mapped by adding delta
    uint32_t lo, hi, stride;
    int32_t delta;
};

extern const struct rune_range rune_print[]; // ascending, disjoint; so are the others
extern const uint32_t rune_print_n;
extern const struct rune_case rune_upper_runs[], rune_lower_runs[];
extern const uint32_t rune_upper_n, rune_lower_n;
