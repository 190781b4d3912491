/*
 * route.h - which routes of an alertmanager.yml take an alert.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/alertmanager.h"

struct route_list { // in the order of the tree
    const struct am_route **v;
    size_t n;
};
/*
 * The routes that take an alert with these labels: the deepest that match, siblings behind one that
 * matched only when it says `continue`. At least one: the root takes everything. Arena memory.
 */
struct route_list route_match(const struct am_config *c, struct labels labels, struct arena *a);
