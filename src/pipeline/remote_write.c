/*
 * remote_write.c - queues as a configuration asks for them.
 */
// SPDX-License-Identifier: Apache-2.0
#include "pipeline/remote_write.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "pipeline/remote_write_priv.h"

#define CURSOR_PREFIX "remote-write-"

struct running {
    struct hash128 key; // of its settings
    char *cursor;
    struct rw_queue *q;
    bool is_kept;
};

struct remote_write {
    struct remote_write_options o;
    VEC(struct running) v;
};

struct remote_write *remote_write_new(const struct remote_write_options *o)
{
    struct remote_write *w = xcalloc(1, sizeof *w);

    w->o = *o;
    return w;
}

static void end_queue(struct remote_write *w, size_t i, int64_t flush_ms)
{
    rw_queue_stop(w->v.v[i].q, flush_ms);
    xfree(w->v.v[i].cursor);
    w->v.v[i] = w->v.v[--w->v.n];
}

void remote_write_free(struct remote_write *w)
{
    if (!w)
        return;
    while (w->v.n)
        end_queue(w, 0, w->o.flush_ms);
    vec_fini(&w->v);
    xfree(w);
}

static bool check_one(const struct conf_remote_write *c, struct err *e)
{
    OWNED(discover_http_fini) struct discover_http http = { 0 };
    const char *kind = c->sigv4        ? "sigv4"
                       : c->azuread    ? "azuread"
                       : c->google_iam ? "google_iam"
                                       : NULL;

    if (kind)
        return err_set(e, ERR_UNSUPPORTED, "remote_write: %s is not supported", kind);
    return discover_http_make(&c->http, &http, e) || err_wrap(e, "remote_write %.*s", STRF(c->url));
}

bool remote_write_check(const struct prom_config *c, struct err *e)
{
    for (size_t i = 0; i < c->doc.remote_write.n; i++) {
        if (!check_one(c->doc.remote_write.v[i], e))
            return false;
    }
    return true;
}

/* ---- names ---- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/*
 * A cursor is of the entry's name, or of its URL: other settings of the same receiver go on where
 * those before were. `twin`: how many entries before have the same.
 */
static struct str cursor_name(const struct conf_remote_write *c, unsigned twin, struct arena *a)
{
    struct str id = c->name.n ? c->name : c->url;
    OWNED(buf_fini) struct buf b = { 0 };

    buf_lit(&b, CURSOR_PREFIX);
    for (size_t i = 0; i < MIN(id.n, (size_t)48); i++)
        buf_char(&b, is_plain(id.p[i]) ? id.p[i] : '_');
    buf_printf(&b, "-%08x", (unsigned)crc32c(c->name.n ? 1 : 0, id.p, id.n));
    if (twin)
        buf_printf(&b, "-%u", twin);
    return arena_str(a, buf_view(&b));
}

static unsigned twins_before(const struct conf_list *l, size_t at)
{
    const struct conf_remote_write *c = l->v[at];
    unsigned n = 0;

    for (size_t i = 0; i < at; i++) {
        const struct conf_remote_write *x = l->v[i];

        n += !c->name.n && !x->name.n && str_eq(c->url, x->url);
    }
    return n;
}

// As upstream, whose unnamed queues are called by six digits of a hash.
static struct str name_of(const struct conf_remote_write *c, struct hash128 key, struct arena *a)
{
    return c->name.n ? c->name : arena_printf(a, "%06x", (unsigned)(key.hi & 0xffffff));
}

/* ---- applying ---- */

static struct running *find(struct remote_write *w, struct hash128 key)
{
    for (size_t i = 0; i < w->v.n; i++) {
        if (w->v.v[i].key.lo == key.lo && w->v.v[i].key.hi == key.hi && !w->v.v[i].is_kept)
            return &w->v.v[i];
    }
    return NULL;
}

static void start_queue(struct remote_write *w, struct prom_config *c, size_t at,
                        struct hash128 key)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const struct conf_list *l = &c->doc.remote_write;
    struct rw_queue_options o = { .all = &w->o, .config = c, .conf = l->v[at] };
    struct running r = { .key = key, .is_kept = true };
    struct err e = { 0 };

    o.name = name_of(o.conf, key, &a);
    o.cursor = cursor_name(o.conf, twins_before(l, at), &a);
    if (!rw_queue_start(&r.q, &o, &e)) {
        log_error("remote_write", "a queue cannot be started: nothing is sent",
                  KV_STR("url", o.conf->url), KV_ERR(&e));
        return;
    }
    r.cursor = xstrdup_str(o.cursor);
    *vec_push(&w->v) = r;
}

// Cursors of entries that are gone hold the store no longer.
static void forget_others(struct remote_write *w, const struct prom_config *c)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const struct conf_list *l = &c->doc.remote_write;
    struct str *names;
    size_t n = feed_names(w->o.tenant, &a, &names);

    for (size_t i = 0; i < n; i++) {
        bool wanted = !str_starts(names[i], STR(CURSOR_PREFIX));
        struct err e = { 0 };

        for (size_t k = 0; k < l->n && !wanted; k++)
            wanted = str_eq(names[i], cursor_name(l->v[k], twins_before(l, k), &a));
        if (!wanted && !feed_remove(w->o.tenant, names[i], &e))
            log_warn("remote_write", "the cursor of a queue that is gone is not removed",
                     KV_ERR(&e));
    }
}

void remote_write_apply(struct remote_write *w, struct prom_config *c)
{
    OWNED(arena_fini) struct arena a = { 0 };
    size_t n = c->doc.remote_write.n;
    struct hash128 *key = arena_array(&a, n, struct hash128);
    bool *is_new = arena_array(&a, n, bool);

    for (size_t i = 0; i < w->v.n; i++)
        w->v.v[i].is_kept = false;
    for (size_t i = 0; i < n; i++) {
        struct running *r;

        key[i] = prom_config_remote_write_key(c, c->doc.remote_write.v[i]);
        r = find(w, key[i]);
        is_new[i] = !r;
        if (r)
            r->is_kept = true;
    }
    for (size_t i = w->v.n; i-- > 0;) {
        if (!w->v.v[i].is_kept)
            end_queue(w, i, 0); // what is left goes on with the next of its name, or is not wanted
    }
    for (size_t i = 0; i < n; i++) {
        if (is_new[i])
            start_queue(w, c, i, key[i]);
    }
    forget_others(w, c);
}
