/*
 * tenant_source.h - what one request may read: one tenant's series or several tenants', within limits.
 *
 * With several, every series gets the label __tenant_id__; one that has such a label already keeps
 * it as original___tenant_id__. Matchers on it choose among the tenants, as in Mimir.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "metrics/source.h"

#define TENANT_LABEL          STR("__tenant_id__")
#define TENANT_LABEL_ORIGINAL STR("original___tenant_id__")

struct tenant_part {
    struct str name;
    struct series_source *source; // NULL: a tenant of whom nothing is stored
};
struct tenant_source_options {
    const struct tenant_part *parts; // at least one, at most TENANTS_OF_QUERY_MAX; borrowed
    size_t part_count;
    uint64_t series_max; // that all selections of one view may give; 0: no limit
    int64_t floor_ms;    // nothing older is seen; INT64_MIN: no limit
};

// A source in the arena; of one tenant without limits it is that tenant's own.
struct series_source *tenant_source_new(struct arena *a, const struct tenant_source_options *o);
