// route.c - walking the tree of routes.
// SPDX-License-Identifier: Apache-2.0
#include "notify/route.h"

struct walk {
    struct arena *arena;
    struct labels labels;
    VEC(const struct am_route *) found;
};

// True when the route or one below it takes the alert.
static bool walk_route(struct walk *w, const struct am_route *r)
{
    bool taken = false;

    if (!matchers_match(r->matchers.v, r->matchers.n, w->labels))
        return false;
    for (size_t i = 0; i < r->routes.n; i++) {
        const struct am_route *child = r->routes.v[i];

        if (!walk_route(w, child))
            continue;
        taken = true;
        if (!child->is_continue)
            return true;
    }
    if (!taken)
        *vec_push_in(w->arena, &w->found) = r;
    return true;
}

struct route_list route_match(const struct am_config *c, struct labels labels, struct arena *a)
{
    struct walk w = { .arena = a, .labels = labels };

    (void)walk_route(&w, c->doc.route);
    return (struct route_list){ w.found.v, w.found.n };
}
