// node_exporter.c - the node exporter as an exporter that is asked over HTTP.
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/thread.h"
#include "base/vec.h"
#include "export/export.h"

struct node_exporter {
    struct exporter base;
    struct export_node *node; // one scrape at a time
    struct mutex mu;
};

static bool metrics(struct exporter *x, const struct export_request *q, struct buf *out,
                    struct err *e)
{
    struct node_exporter *n = (struct node_exporter *)x;
    OWNED(arena_fini) struct arena a = { 0 };
    VEC(struct str) collect = { 0 }, exclude = { 0 };

    for (size_t i = 0; i < q->params; i++) {
        if (str_eq(q->param[i].name, STR("collect[]")))
            *vec_push_in(&a, &collect) = q->param[i].value;
        if (str_eq(q->param[i].name, STR("exclude[]")))
            *vec_push_in(&a, &exclude) = q->param[i].value;
    }
    struct export_select select = { collect.v, exclude.v, collect.n, exclude.n,
                                    export_deadline(q) };
    LOCKED(&n->mu);
    return export_node_write_some(n->node, &select, EXPO_TEXT, out, e);
}

static void close_node(struct exporter *x)
{
    struct node_exporter *n = (struct node_exporter *)x;

    export_node_close(n->node);
    mutex_fini(&n->mu);
    xfree(n);
}

static const struct exporter_class class = {
    .name = "node_exporter",
    .title = "Node Exporter",
    .metrics = metrics,
    .close = close_node,
};

bool export_node_exporter(struct exporter **out, const struct export_node_options *o, struct err *e)
{
    OWNED(exporter_close) struct exporter *x = xcalloc(1, sizeof(struct node_exporter));
    struct node_exporter *n = (struct node_exporter *)x;

    x->class = &class;
    mutex_init(&n->mu, "node", RANK_APP);
    if (!export_node_open(&n->node, o, e))
        return false;
    *out = TAKE(x);
    return true;
}
