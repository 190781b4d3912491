/*
 * pushgateway_file.c - the groups on disk, written whole: at the end, and an interval after a change.
 *
 * The file: 8 bytes "vigiepg1"; then one record per group, each behind its length as a varint:
 *   the number of labels, and for each the length and bytes of name and value (varints)
 *   for each family the time of its push in ns since 1970 (8 bytes), and the length and bytes of a
 *   io.prometheus.client.MetricFamily message as head of expo_proto.c has it;
 * then the CRC-32C of all that (4 bytes). Numbers are little-endian.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/sort.h"
#include "codec/proto.h"
#include "face/pushgateway_priv.h"

#define MAGIC STR("vigiepg1")
enum { FILE_MAX = 1 << 30, LABELS_MAX = 1024 };

/* ---- writing ---- */

static int group_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct push_family *x = *(struct push_family *const *)a;
    const struct push_family *y = *(struct push_family *const *)b;

    return str_cmp(x->batch->key, y->batch->key);
}

static void put_str(struct buf *b, struct str s)
{
    buf_varint(b, s.n);
    buf_str(b, s);
}

static void put_family(struct buf *b, const struct push_family *f)
{
    struct expo_writer w = expo_writer(EXPO_PROTO, b);

    buf_le64(b, (uint64_t)f->t_ns);
    w.keep_empty = true;
    expo_write_family(&w, &f->head);
    for (size_t i = 0; i < f->n; i++)
        expo_write_metric(&w, &f->metric[i]);
    expo_write_end(&w);
}

static void put_group(struct buf *b, struct push_family *const *v, size_t n)
{
    const struct push_batch *batch = v[0]->batch;
    size_t mark = proto_begin_delimited(b);

    buf_varint(b, batch->labels);
    for (size_t i = 0; i < batch->labels; i++) {
        put_str(b, batch->label[i].name);
        put_str(b, batch->label[i].value);
    }
    for (size_t i = 0; i < n; i++)
        put_family(b, v[i]);
    proto_end(b, mark);
}

void push_file_write(const struct push_snapshot *s, struct buf *out)
{
    size_t from = out->n;

    sort_stable(s->v, s->n, sizeof *s->v, group_order, NULL);
    buf_str(out, MAGIC);
    for (size_t i = 0, k; i < s->n; i = k) {
        for (k = i + 1; k < s->n && str_eq(s->v[k]->batch->key, s->v[i]->batch->key);)
            k++;
        put_group(out, s->v + i, k - i);
    }
    buf_le32(out, crc32c(0, out->p + from, out->n - from));
}

/* ---- reading ---- */

static struct str take_str(struct bytes *r)
{
    return bytes_take(r, bytes_varint(r));
}

static bool read_families(struct push_batch *b, struct bytes *r, struct err *e)
{
    while (bytes_left(r)) {
        int64_t t_ns = (int64_t)bytes_le64(r);
        struct str rest = str_of((const char *)r->p, bytes_left(r));
        struct expo_whole w;

        if (r->bad || expo_family_next(&b->arena, FILE_MAX, &rest, &w, e) <= 0)
            return r->bad ? err_set(e, ERR_CORRUPT, "a group ends inside a family") : false;
        push_batch_add(b, &w, t_ns);
        r->p = (const uint8_t *)rest.p;
    }
    return true;
}

static bool read_group(struct pushgateway *g, struct str record, struct err *e)
{
    OWNED(push_batch_put) struct push_batch *b = push_batch_new();
    struct bytes r = bytes_of(arena_str(&b->arena, record));
    uint64_t n = bytes_varint(&r);

    if (r.bad || n > LABELS_MAX)
        return err_set(e, ERR_CORRUPT, "a group has a bad number of labels");
    struct expo_label *v = arena_array(&b->arena, n, struct expo_label);
    for (size_t i = 0; i < n; i++) {
        v[i].name = take_str(&r);
        v[i].value = take_str(&r);
    }
    if (r.bad)
        return err_set(e, ERR_CORRUPT, "a group ends inside its labels");
    push_batch_group(b, v, n);
    if (!read_families(b, &r, e))
        return false;
    push_store_restore(g, b);
    return true;
}

bool push_file_read(struct pushgateway *g, struct str content, struct err *e)
{
    struct bytes r = bytes_of(str_sub(content, MAGIC.n, MAX(content.n, (size_t)4) - 4));

    if (!str_starts(content, MAGIC))
        return err_set(e, ERR_CORRUPT, "not a file of pushed metrics that this program wrote");
    if (content.n < MAGIC.n + 4 ||
        crc32c(0, content.p, content.n - 4) != get_le32(content.p + content.n - 4))
        return err_set(e, ERR_CORRUPT, "the checksum is wrong");
    while (bytes_left(&r)) {
        struct str record = take_str(&r);

        if (r.bad)
            return err_set(e, ERR_CORRUPT, "the last group is cut off");
        if (!read_group(g, record, e))
            return false;
    }
    return true;
}

/* ---- when ---- */

static bool save(struct pushgateway *g, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct push_snapshot s = push_snapshot_get(g, &a);

    push_file_write(&s, &b);
    push_snapshot_put(&s);
    return file_replace(g->o.persistence_path, buf_view(&b), e);
}

// Waits for a change and until it is due. False: the end.
static bool wait_due_locked(struct pushgateway *g)
{
    while (!g->stopping) {
        int64_t left_ms = g->o.persistence_interval_ms -
                          (clock_mono_ns(clock_real()) - g->saved_mono_ns) / NS_MS;

        if (g->dirty && left_ms <= 0)
            return true;
        cond_wait(&g->wake, &g->mu, g->dirty ? left_ms : 60000);
    }
    return false;
}

static void *run_saver(void *ctx)
{
    struct pushgateway *g = ctx;

    mutex_lock(&g->mu);
    while (wait_due_locked(g)) {
        struct err e = { 0 };

        g->dirty = false;
        g->saved_mono_ns = clock_mono_ns(clock_real());
        mutex_unlock(&g->mu);
        bool ok = save(g, &e);
        if (!ok)
            log_error("pushgateway", "pushed metrics were not saved",
                      KV("path", g->o.persistence_path), KV_ERR(&e));
        mutex_lock(&g->mu);
        g->dirty |= !ok;
    }
    mutex_unlock(&g->mu);
    return NULL;
}

// A file of prometheus/pushgateway is kept under another name, too: that program cannot read ours.
static bool take_over(struct pushgateway *g, struct arena *a, struct str content)
{
    const char *kept = arena_printf(a, "%s.gob", g->o.persistence_path).p;
    struct err e = { 0 };

    if (str_starts(content, MAGIC) || !push_gob_read(g, content, &e)) {
        push_store_wipe(g); // half of a file is none
        return false;
    }
    if (!file_rename(g->o.persistence_path, kept, &e))
        kept = "nothing";
    log_info("pushgateway", "the file of prometheus/pushgateway was read",
             KV("path", g->o.persistence_path), KV("kept_as", kept));
    return true;
}

// A file that cannot be read is kept under another name, so that the next save does not end it.
static void put_aside(struct pushgateway *g, const struct err *why)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *bad = arena_printf(&a, "%s.unreadable", g->o.persistence_path).p;
    struct err e = { 0 };

    bool moved = file_rename(g->o.persistence_path, bad, &e);
    log_error("pushgateway", "pushed metrics of the last run cannot be read",
              KV("path", g->o.persistence_path), KV("kept_as", moved ? bad : "nothing"),
              KV_ERR(why));
}

bool push_file_start(struct pushgateway *g, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    bool foreign = false;
    struct str content;

    if (!g->o.persistence_path)
        return true;
    if (file_exists(g->o.persistence_path)) {
        struct err why = { 0 };

        if (!file_read(&a, g->o.persistence_path, FILE_MAX, &content, &why))
            return *e = why, false;
        if (!push_file_read(g, content, &why)) {
            foreign = take_over(g, &a, content);
            if (!foreign)
                put_aside(g, &why);
        }
    }
    g->dirty = foreign;
    g->saved_mono_ns = clock_mono_ns(clock_real());
    return thread_start(&g->saver, "pushgw-save", run_saver, g, e);
}

void push_file_stop(struct pushgateway *g)
{
    struct err e = { 0 };

    if (!g->saver.started)
        return;
    mutex_lock(&g->mu);
    g->stopping = true;
    bool dirty = g->dirty;
    cond_wake_all(&g->wake);
    mutex_unlock(&g->mu);
    thread_join(&g->saver);
    if (dirty && !save(g, &e))
        log_error("pushgateway", "pushed metrics were not saved", KV("path", g->o.persistence_path),
                  KV_ERR(&e));
}
