// catalog_log_fuzz.c - replaying any payload: what was understood can be read, twice is as once.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "store/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void read_all(struct catalog *c)
{
    struct arena a = { 0 };
    struct budget b = { 0 };
    struct catalog_read r = { &a, &b, NULL };
    struct catalog_view *v = catalog_view_get(c);
    struct catalog_ids ids;
    struct catalog_strs strs;
    struct catalog_figures figures;
    struct err e;

    must(catalog_select(v, &(struct catalog_query){ 0 }, &r, &ids, &e));
    must(ids.n == catalog_view_series(v));
    struct labels *ls = arena_array(&a, ids.n, struct labels);
    uint32_t *order = arena_array(&a, ids.n, uint32_t);
    must(catalog_labels(v, ids, &r, ls, &e) && catalog_order(v, ids, &r, order, &e));
    for (size_t i = 0; i < ids.n; i++) {
        must(i == 0 || ids.v[i - 1] < ids.v[i]);
        for (size_t k = 1; k < ls[i].n; k++)
            must(str_cmp(ls[i].v[k - 1].name, ls[i].v[k].name) < 0);
    }
    for (size_t i = 0; i < MIN(ids.n, (size_t)4) && ls[i].n; i++) { // each is found by a label
        struct matcher m = { MATCH_EQ, ls[i].v[0].name, ls[i].v[0].value, NULL };
        struct catalog_ids found;
        bool there = false;
        must(catalog_select(v, &(struct catalog_query){ &m, 1, 0 }, &r, &found, &e));
        for (size_t k = 0; k < found.n; k++)
            there = there || found.v[k] == ids.v[i];
        must(there);
    }
    must(catalog_label_names(v, &(struct catalog_query){ 0 }, 0, &r, &strs, &e));
    must(catalog_figures(v, 3, &r, &figures, &e));
    catalog_view_put(v);
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct catalog_options o = { .dir = "." };
    struct str in = { (const char *)p, n };
    struct catalog *c;
    struct err e;
    uint64_t dropped = 0;
    uint32_t id;

    must(catalog_open(&c, &o, NULL, &e));
    catalog_replay_log(c);
    bool ok = catalog_replay(c, in, &dropped, &e);
    struct catalog_view *once = catalog_view_get(c);
    if (ok)
        must(catalog_replay(c, in, &dropped, &e));
    struct catalog_view *twice = catalog_view_get(c);
    must(catalog_view_series(once) == catalog_view_series(twice));
    catalog_view_put(once);
    catalog_view_put(twice);
    catalog_start(c, 1, 0);
    read_all(c);
    struct label v[] = { { LABEL_NAME, STR("up") }, { STR("a"), STR("b") } };
    if (catalog_add(c, (struct labels){ v, 2 }, (struct hash128){ 1, 2 }, 0, &id, &e))
        must(catalog_find(c, (struct hash128){ 1, 2 }, &(uint32_t[CATALOG_FIND_MAX]){ 0 }[0]) > 0);
    read_all(c);
    catalog_close(c);
    return 0;
}
