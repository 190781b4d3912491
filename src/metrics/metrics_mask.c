/*
 * metrics_mask.c - deleting: masks that hide rows at once; merges leave the rows out later.
 *
 * Deleting flushes the span, so that every row that is there lies in a part, and commits a mask
 * with the next file number. The mask hides rows of parts with smaller numbers: rows that come
 * later go to parts with larger ones and show. A merge leaves out what masks hide of its inputs,
 * and as its outputs have larger numbers, a mask has done its work, and goes, when no part below
 * its number is left in its time. A merge that began before a mask was there does not commit.
 *
 * Exemplars of deleted series stay until retention takes them.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "metrics/metrics_view_priv.h"

enum { MATCHERS_MAX = 64 };

/* ---- matchers as a word of the manifest ---- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':' || c == '/';
}

static void put_escaped(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (is_plain(s.p[i]))
            buf_char(b, s.p[i]);
        else
            buf_printf(b, "%%%02x", (unsigned char)s.p[i]);
    }
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool unescape(struct arena *a, struct str s, struct str *out)
{
    char *p = arena_alloc(a, s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            p[n++] = s.p[i];
            continue;
        }
        int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_digit(s.p[i + 2]);
        if (low < 0)
            return false;
        p[n++] = (char)(high << 4 | low);
        i += 2;
    }
    *out = str_of(p, n);
    return true;
}

// {a="b",c=~"d|e"} as a=b&c=~d%7ce.
static void put_matchers(struct buf *b, const struct matcher *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(b, '&');
        put_escaped(b, m[i].name);
        buf_str(b, str_c(match_op_text(m[i].op)));
        put_escaped(b, m[i].value);
    }
}

static bool parse_matcher(struct span_mask *k, struct str text, struct err *e)
{
    struct matcher *m = &k->matchers[k->matcher_count];
    size_t at = 0;

    while (at < text.n && text.p[at] != '=' && text.p[at] != '!')
        at++;
    struct str name = str_sub(text, 0, at), op = str_sub(text, at, MIN(at + 2, text.n));
    size_t op_n = 2;
    if (str_eq(op, STR("=~"))) {
        m->op = MATCH_RE;
    } else if (str_eq(op, STR("!~"))) {
        m->op = MATCH_NRE;
    } else if (str_eq(op, STR("!="))) {
        m->op = MATCH_NE;
    } else if (str_starts(op, STR("="))) {
        m->op = MATCH_EQ;
        op_n = 1;
    } else {
        return err_set(e, ERR_CORRUPT, "a matcher of a mask has no operator");
    }
    if (!unescape(&k->arena, name, &m->name) ||
        !unescape(&k->arena, str_sub(text, at + op_n, text.n), &m->value))
        return err_set(e, ERR_CORRUPT, "a matcher of a mask is escaped wrongly");
    if ((m->op == MATCH_RE || m->op == MATCH_NRE) &&
        !regex_new((struct regex **)&m->re, m->value, REGEX_ANCHORED, e))
        return false;
    k->matcher_count++;
    return true;
}

void span_mask_put(struct span_mask *k)
{
    if (!k || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < k->matcher_count; i++)
        regex_free((struct regex *)k->matchers[i].re);
    arena_fini(&k->arena);
    xfree(k);
}

struct span_mask *span_mask_get(struct span_mask *k)
{
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

bool span_mask_parse(const struct manifest_mask *m, struct span_mask **out, struct err *e)
{
    OWNED(span_mask_put) struct span_mask *k = xcalloc(1, sizeof *k);
    struct str rest = str_c(m->rows);

    atomic_init(&k->refs, 1);
    k->number = m->number;
    k->min_ms = m->min_ms;
    k->max_ms = m->max_ms;
    k->matchers = arena_array(&k->arena, MATCHERS_MAX, struct matcher);
    while (rest.n) {
        if (k->matcher_count == MATCHERS_MAX)
            return err_set(e, ERR_LIMIT, "a mask has more than %d matchers", MATCHERS_MAX);
        if (!parse_matcher(k, str_cut(&rest, '&'), e))
            return false;
    }
    *out = TAKE(k);
    return true;
}

/* ---- what masks hide ---- */

static bool may_hide(const struct span_view *rows, const struct span_mask *k)
{
    for (size_t i = 0; i < rows->part_count; i++) {
        const struct manifest_part *p = &rows->parts[i].info;

        if (p->number < k->number && p->min_ms <= k->max_ms && p->max_ms >= k->min_ms)
            return true;
    }
    return false;
}

static bool resolve(const struct span_mask *k, struct catalog_view *catalog,
                    const struct catalog_read *read, struct mask_ids *out, struct err *e)
{
    struct catalog_query q = { k->matchers, k->matcher_count, 0 };
    struct catalog_ids ids;

    *out = (struct mask_ids){ k->number, k->min_ms, k->max_ms, NULL, 0 };
    if (!catalog_select(catalog, &q, read, &ids, e))
        return false;
    out->id_end = ids.n ? ids.v[ids.n - 1] + 1 : 0;
    if (!budget_charge(read->budget, out->id_end / 8 + 8, e))
        return false;
    out->bits = arena_array(read->arena, out->id_end / 64 + 1, uint64_t);
    for (size_t i = 0; i < ids.n; i++)
        out->bits[ids.v[i] / 64] |= UINT64_C(1) << ids.v[i] % 64;
    return true;
}

bool masks_resolve(const struct span_view *rows, struct catalog_view *catalog,
                   const struct mask_query *q, struct mask_set *out, struct err *e)
{
    *out = (struct mask_set){ 0 };
    for (size_t i = 0; i < rows->mask_count; i++) {
        const struct span_mask *k = rows->masks[i];

        if (k->min_ms > q->max_ms || k->max_ms < q->min_ms || !may_hide(rows, k))
            continue;
        if (!out->v)
            out->v = arena_array(q->read.arena, rows->mask_count, struct mask_ids);
        if (!resolve(k, catalog, &q->read, &out->v[out->n], e))
            return false;
        out->n += out->v[out->n].id_end != 0;
    }
    return true;
}

static bool has_id(const struct mask_ids *k, uint32_t id)
{
    return id < k->id_end && k->bits[id / 64] >> id % 64 & 1;
}

// Takes rows with min_ms <= t <= max_ms out of c[from..n), whose times ascend.
static void cut_rows(struct sample_columns *c, size_t from, int64_t min_ms, int64_t max_ms)
{
    size_t low = from, high;

    while (low < c->n && c->t_ms[low] < min_ms)
        low++;
    for (high = low; high < c->n && c->t_ms[high] <= max_ms;)
        high++;
    size_t left = c->n - high;
    if (high == low)
        return;
    memmove(c->t_ms + low, c->t_ms + high, left * sizeof *c->t_ms);
    memmove(c->value + low, c->value + high, left * sizeof *c->value);
    if (c->has_hist)
        memmove(c->hist + low, c->hist + high, left * sizeof *c->hist);
    if (c->has_start)
        memmove(c->start_ms + low, c->start_ms + high, left * sizeof *c->start_ms);
    c->n = low + left;
}

void masks_apply(const struct mask_set *m, uint64_t part, uint32_t id, struct sample_columns *c,
                 size_t from)
{
    for (size_t i = 0; i < m->n; i++)
        if (part < m->v[i].number && has_id(&m->v[i], id))
            cut_rows(c, from, m->v[i].min_ms, m->v[i].max_ms);
}

void span_masks_prune_locked(struct span *s, const struct manifest *m)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->masks.n; i++) {
        bool listed = false;

        for (size_t k = 0; k < m->masks.n && !listed; k++)
            listed = m->masks.v[k].number == s->masks.v[i]->number;
        if (listed)
            s->masks.v[kept++] = s->masks.v[i];
        else
            span_mask_put(s->masks.v[i]);
    }
    s->masks.n = kept;
}

/* ---- deleting ---- */

static void edit_mask(void *ctx, struct manifest *m)
{
    manifest_add_mask(m, ctx);
    manifest_drop_masks(m); // also the new one, when nothing lies in its time
}

static bool any_series(struct span *s, const struct metrics_delete *d, bool *any, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(catalog_view_put) struct catalog_view *view = catalog_view_get(s->catalog);
    struct catalog_damage damage = { 0 };
    struct budget budget = { 0 };
    struct catalog_read read = { &a, &budget, &damage };
    struct catalog_query q = { d->matchers, d->matcher_count, 0 };
    struct catalog_ids ids;

    if (!catalog_select(view, &q, &read, &ids, e))
        return false;
    *any = ids.n > 0 || damage.segments;
    return true;
}

static bool span_delete(struct span *s, const struct manifest_mask *what,
                        const struct metrics_delete *d, struct err *e)
{
    OWNED(manifest_fini) struct manifest m = { 0 };
    OWNED(span_mask_put) struct span_mask *k = NULL;
    struct manifest_mask mask = *what;
    bool any;

    if (!span_open(s, false, e) || !any_series(s, d, &any, e))
        return false;
    if (!any)
        return true;
    LOCKED(&s->work_mu);
    if (!span_flush_locked(s, true, e))
        return false;
    mask.number = partition_number(s->store);
    if (!span_mask_parse(&mask, &k, e) || !partition_commit(s->store, edit_mask, &mask, e))
        return err_wrap(e, "delete in %s", s->name);
    partition_manifest(s->store, &m);
    LOCKED(&s->mu);
    *vec_push(&s->masks) = TAKE(k);
    span_masks_prune_locked(s, &m);
    span_publish_locked(s);
    return true;
}

bool metrics_delete(struct metrics_tenant *t, const struct metrics_delete *d, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf rows = { 0 };
    OWNED(span_list_put) struct span_list list = span_list(t, &a);
    struct manifest_mask mask = { .min_ms = d->min_ms, .max_ms = d->max_ms };

    if (d->min_ms > d->max_ms)
        return true;
    put_matchers(&rows, d->matchers, d->matcher_count);
    mask.rows = (char *)buf_cstr(&rows);
    for (size_t i = 0; i < list.n; i++) {
        struct span *s = list.v[i];

        if (s->min_ms <= d->max_ms && s->max_ms > d->min_ms && !span_delete(s, &mask, d, e))
            return false;
    }
    return true;
}

void span_masks_load(struct span *s, const struct manifest *m)
{
    for (size_t i = 0; i < m->masks.n; i++) {
        struct span_mask *k;
        struct err why = { 0 };

        if (span_mask_parse(&m->masks.v[i], &k, &why)) {
            LOCKED(&s->mu);
            *vec_push(&s->masks) = k;
            continue;
        }
        // It stays in the manifest; what it hid may show, and that is said.
        damage_note(s->tenant, s, m->masks.v[i].min_ms, m->masks.v[i].max_ms,
                    "a deletion that is not understood does not hide its samples", &why);
        log_error("metrics", "deletion is not understood, its samples show",
                  KV("partition", partition_path(s->store)), KV_ERR(&why));
    }
}
