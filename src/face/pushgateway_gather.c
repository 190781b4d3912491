// pushgateway_gather.c - the page: families of the same name joined, metrics in order of their labels.
// SPDX-License-Identifier: Apache-2.0
#include "base/sort.h"
#include "face/pushgateway_priv.h"

struct gather {
    struct expo_writer w;
    struct arena *arena;
    struct push_snapshot pushed;
    struct push_batch *self; // NULL: none
};

// As upstream: fewer labels first, then by values, in the order of the names.
static int metric_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct expo_metric *x = *(struct expo_metric *const *)a;
    const struct expo_metric *y = *(struct expo_metric *const *)b;

    if (x->labels != y->labels)
        return x->labels < y->labels ? -1 : 1;
    for (size_t i = 0; i < x->labels; i++) {
        int c = str_cmp(x->label[i].value, y->label[i].value);
        if (c)
            return c;
    }
    return 0;
}

// One family out of n of the same name: the first one's type and help.
static void write_family(struct gather *g, struct push_family *const *v, size_t n)
{
    size_t all = 0, k = 0;

    for (size_t i = 0; i < n; i++)
        all += v[i]->n;
    const struct expo_metric **m = arena_array(g->arena, all, const struct expo_metric *);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < v[i]->n && v[i]->head.type == v[0]->head.type; j++)
            m[k++] = &v[i]->metric[j];
    if (!k)
        return;
    sort_stable(m, k, sizeof *m, metric_order, NULL);
    expo_write_family(&g->w, &v[0]->head);
    for (size_t i = 0; i < k; i++)
        expo_write_metric(&g->w, m[i]);
}

void push_keep_own(struct page *page)
{
    size_t n = 0;

    for (size_t i = 0; i < page->n; i++)
        if (str_starts(page->families[i]->name, STR("process_")) ||
            str_starts(page->families[i]->name, STR("pushgateway_")))
            page->families[n++] = page->families[i];
    page->n = n;
}

static struct push_batch *self_batch(struct pushgateway *g)
{
    OWNED(push_batch_put) struct push_batch *b = push_batch_new();
    OWNED(buf_fini) struct buf text = { 0 };
    struct page page;

    b->plain = true;
    g->o.self(g->o.ctx, &text);
    if (!page_read(&b->arena, buf_view(&text), &page, &(struct err){ 0 })) // ours: never malformed
        return TAKE(b);
    push_keep_own(&page);
    push_decode_page(&page, b, 0);
    return TAKE(b);
}

static int family_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp((*(struct push_family *const *)a)->head.name,
                   (*(struct push_family *const *)b)->head.name);
}

// All families in order of name, those of the process before the pushed ones.
static struct push_family **all_of(struct gather *g, size_t *n)
{
    size_t own = g->self ? g->self->families.n : 0;
    struct push_family **v = arena_array(g->arena, own + g->pushed.n, struct push_family *);

    for (size_t i = 0; i < own; i++)
        v[i] = g->self->families.v[i];
    for (size_t i = 0; i < g->pushed.n; i++)
        v[own + i] = g->pushed.v[i];
    *n = own + g->pushed.n;
    if (own)
        sort_stable(v, *n, sizeof *v, family_order, NULL);
    return v;
}

// Without the check of pushes the page may be one that no scraper takes: it is refused, as upstream's.
static bool check_all(struct push_family *const *v, size_t n, struct err *e)
{
    for (size_t i = 1; i < n; i++)
        if (v[i]->n && v[i - 1]->n && v[i]->head.type != v[i - 1]->head.type &&
            str_eq(v[i]->head.name, v[i - 1]->head.name))
            return err_set(e, ERR_INVALID,
                           "groups have pushed metrics named \"%.*s\" of different types",
                           STRF(v[i]->head.name));
    return true;
}

bool push_gather(struct pushgateway *g, bool self, enum expo_format format, struct buf *out,
                 struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct gather t = { .w = expo_writer(format, out), .arena = &a };
    size_t n;

    t.w.keep_empty = true;
    t.pushed = push_snapshot_get(g, &a);
    if (self && g->o.self)
        t.self = self_batch(g);
    struct push_family **v = all_of(&t, &n);
    bool ok = !g->o.unchecked || check_all(v, n, e);
    for (size_t i = 0, k; ok && i < n; i = k) {
        for (k = i + 1; k < n && str_eq(v[k]->head.name, v[i]->head.name);)
            k++;
        write_family(&t, v + i, k - i);
    }
    if (ok)
        expo_write_end(&t.w);
    push_batch_put(t.self);
    push_snapshot_put(&t.pushed);
    return ok;
}

void pushgateway_page(struct pushgateway *g, struct buf *out)
{
    // An inconsistent page stays empty; the one over HTTP says why.
    (void)!push_gather(g, false, EXPO_TEXT, out, &(struct err){ 0 });
}
