/*
 * metrics.c - opening a data directory, tenants, figures.
 *
 * Folders: lock (held by one process), reserve (room for MANIFESTs on a full disk),
 * tenants/<name>/tenant.json and .copy, tenants/<name>/metrics/<partition>/…,
 * tenants/<name>/metadata.log.
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "metrics/feed_priv.h"
#include "metrics/metrics_priv.h"

enum { NAME_MAX_BYTES = 150, CLOSE_MS = 5000, KEY_DIGITS = 32 };

/* ---- tenants ---- */

// Folder name of a tenant: bytes outside [A-Za-z0-9_.-] as %XX.
static bool folder_name(struct str name, struct buf *b, struct err *e)
{
    bool dots = str_eq(name, STR(".")) || str_eq(name, STR(".."));

    if (!name.n || name.n > NAME_MAX_BYTES)
        return err_set(e, ERR_INVALID, "tenant name must have 1 to %d bytes", NAME_MAX_BYTES);
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '_' || c == '-' || (c == '.' && !dots);

        if (c < 0x20 || c == 0x7f)
            return err_set(e, ERR_INVALID, "tenant name has a control character");
        if (plain)
            buf_char(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
    (void)buf_cstr(b);
    return true;
}

// The checksum of the key's digits, as eight digits.
static void key_check(struct str digits, char out[9])
{
    snprintf(out, 9, "%08x", (unsigned)crc32c(0, digits.p, digits.n));
}

static struct str field_of(struct str text, struct str name, size_t n)
{
    size_t at = str_find(text, name);

    return at == STR_NPOS ? STR_NONE : str_sub(text, at + name.n, at + name.n + n);
}

static bool parse_key(struct str text, uint64_t key[2])
{
    struct str hex = field_of(text, STR("\"key\":\""), KEY_DIGITS);
    char check[9];

    if (hex.n < KEY_DIGITS)
        return false;
    key_check(hex, check);
    if (!str_eq_c(field_of(text, STR("\"check\":\""), 8), check))
        return false;
    key[0] = key[1] = 0;
    for (size_t i = 0; i < KEY_DIGITS; i++) {
        unsigned c = (unsigned char)hex.p[i];
        unsigned d = c - '0' < 10 ? c - '0' : c - 'a' < 6 ? c - 'a' + 10 : 16;

        if (d == 16)
            return false;
        key[i / 16] = key[i / 16] << 4 | d;
    }
    return true;
}

static bool read_key(const char *path, uint64_t key[2], struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct str text;

    if (!file_read(&a, path, 4096, &text, e))
        return false;
    return parse_key(text, key) ||
           err_set(e, ERR_CORRUPT, "%s is damaged: no key of 32 hex digits with its checksum",
                   path);
}

static bool write_key(const char *path, const uint64_t key[2], struct err *e)
{
    OWNED(buf_fini) struct buf json = { 0 };
    char digits[KEY_DIGITS + 1], check[9];

    snprintf(digits, sizeof digits, "%016llx%016llx", (unsigned long long)key[0],
             (unsigned long long)key[1]);
    key_check(str_of(digits, KEY_DIGITS), check);
    buf_printf(&json, "{\"format\":1,\"key\":\"%s\",\"check\":\"%s\"}\n", digits, check);
    return file_replace(path, buf_view(&json), e);
}

/*
 * Reads the tenant's key, or makes it. Without it nothing of the tenant could be read, so there is
 * a copy beside it: a damaged or lost one is named in the log and written anew from the other.
 */
static bool load_key(struct metrics_tenant *t, const char *folder, struct err *e)
{
    OWNED(buf_fini) struct buf first = { 0 };
    OWNED(buf_fini) struct buf copy = { 0 };
    struct err of_first = { 0 }, of_copy = { 0 };
    uint64_t key[2], other[2];

    buf_printf(&first, "%s/tenant.json", folder);
    buf_printf(&copy, "%s/tenant.json.copy", folder);
    bool has_first = read_key(buf_cstr(&first), key, &of_first);
    bool has_copy = read_key(buf_cstr(&copy), other, &of_copy);

    if (!has_first && !has_copy) {
        if (of_first.kind != ERR_NOT_FOUND || of_copy.kind != ERR_NOT_FOUND) {
            *e = of_first.kind == ERR_NOT_FOUND ? of_copy : of_first;
            return false;
        }
        rand_bytes(key, sizeof key);
    } else if (!has_first) {
        memcpy(key, other, sizeof key);
        log_error("metrics", "the tenant's key is read from its copy", KV_ERR(&of_first));
    } else if (!has_copy && of_copy.kind != ERR_NOT_FOUND) {
        log_error("metrics", "the copy of the tenant's key is written anew", KV_ERR(&of_copy));
    }
    if ((!has_first && !write_key(first.p, key, e)) || (!has_copy && !write_key(copy.p, key, e)))
        return false;
    t->fingerprint_key = key[0];
    t->owner_key = key[1];
    return true;
}

static void tenant_free(struct metrics_tenant *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->spans.n; i++)
        span_put(t->spans.v[i]);
    vec_fini(&t->spans);
    vec_fini(&t->in_flight);
    for (size_t i = 0; i < t->shard_count; i++) {
        slots_fini(&t->shard[i].slots);
        mutex_fini(&t->shard[i].mu);
    }
    aliases_fini(&t->aliases);
    feeds_free(t);
    exemplars_free(t->exemplars);
    metadata_close(t->metadata);
    mutex_fini(&t->create_mu);
    damages_fini(t);
    mutex_fini(&t->snapshot_mu);
    cond_fini(&t->batch_done);
    xfree(t->name);
    xfree(t->path);
    xfree(t);
}
OWN_DEFINE(struct metrics_tenant *, tenant_free)

static struct metrics_tenant *tenant_new(struct metrics *m, struct str name)
{
    struct metrics_tenant *t = xcalloc(1, sizeof *t);

    t->source.open = metrics_view_open;
    t->m = m;
    t->name = xstrdup_str(name);
    t->shard_count = m->o.shards;
    t->shard_bits = (unsigned)__builtin_ctz(t->shard_count);
    for (size_t i = 0; i < t->shard_count; i++) {
        mutex_init(&t->shard[i].mu, "shard", RANK_SHARD);
        slots_init(&t->shard[i].slots);
    }
    aliases_init(&t->aliases);
    mutex_init(&t->create_mu, "create", RANK_CREATE);
    mutex_init(&t->snapshot_mu, "snapshot", RANK_SNAPSHOT);
    cond_init(&t->batch_done);
    atomic_init(&t->newest_ms, INT64_MIN);
    atomic_init(&t->retention_ms, m->o.retention_ms);
    atomic_init(&t->out_of_order_window_ms, m->o.out_of_order_window_ms);
    t->exemplars = exemplars_new(m->o.exemplars_max);
    mutex_init(&t->feeds.list_mu, "feed_list", RANK_FEEDS);
    mutex_init(&t->feeds.mu, "feeds", RANK_LEAF);
    return t;
}

// Opens the spans that have live logs and the last two, oldest first, so that slots end up newest.
static bool open_recent(struct metrics_tenant *t, struct err *e)
{
    int64_t newest = INT64_MIN;

    for (size_t i = 0; i < t->spans.n; i++) {
        struct span *s = t->spans.v[i];
        OWNED(manifest_fini) struct manifest m = { 0 };
        OWNED(arena_fini) struct arena a = { 0 };
        struct partition_numbers logs;

        partition_manifest(s->store, &m);
        for (size_t k = 0; k < m.parts.n; k++)
            newest = MAX(newest, m.parts.v[k].max_ms);
        if (!partition_files(s->store, PARTITION_ROWS, &a, &logs, e))
            return false;
        if ((logs.n || i + 2 >= t->spans.n) && !span_open(s, true, e))
            return false;
    }
    if (newest > atomic_load_explicit(&t->newest_ms, memory_order_relaxed))
        atomic_store_explicit(&t->newest_ms, newest, memory_order_relaxed);
    return true;
}

static bool tenant_open(struct metrics *m, struct str name, struct metrics_tenant **out,
                        struct err *e)
{
    OWNED(tenant_free) struct metrics_tenant *t = tenant_new(m, name);
    OWNED(buf_fini) struct buf folder = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };

    buf_printf(&folder, "%s/tenants/", m->path);
    if (!folder_name(name, &folder, e))
        return false;
    buf_printf(&path, "%s/metrics", buf_cstr(&folder));
    t->path = xstrdup_str(buf_view(&path));
    if (!file_mkdirs(t->path, e) || !load_key(t, folder.p, e))
        return false;
    buf_reset(&path);
    buf_printf(&path, "%s/metadata.log", folder.p);
    if (!metadata_open(&t->metadata, buf_cstr(&path), t->owner_key, e) || !feeds_load(t, e) ||
        !spans_load(t, e) || !open_recent(t, e))
        return err_wrap(e, "tenant %.*s", STRF(name));
    *out = TAKE(t);
    return true;
}

bool metrics_tenant(struct metrics *m, struct str name, struct metrics_tenant **out, struct err *e)
{
    struct metrics_tenant *t;
    LOCKED(&m->mu);

    for (size_t i = 0; i < m->tenants.n; i++) {
        if (str_eq_c(name, m->tenants.v[i]->name)) {
            *out = m->tenants.v[i];
            return true;
        }
    }
    if (!tenant_open(m, name, &t, e))
        return false;
    *vec_push(&m->tenants) = t;
    *out = t;
    return true;
}

struct metrics_tenant *metrics_tenant_find(struct metrics *m, struct str name)
{
    LOCKED(&m->mu);

    for (size_t i = 0; i < m->tenants.n; i++)
        if (str_eq_c(name, m->tenants.v[i]->name))
            return m->tenants.v[i];
    return NULL;
}

void metrics_tenant_each(struct metrics *m, void (*visit)(void *ctx, struct metrics_tenant *t),
                         void *ctx)
{
    LOCKED(&m->mu);

    for (size_t i = 0; i < m->tenants.n; i++)
        visit(ctx, m->tenants.v[i]);
}

const char *metrics_tenant_name(const struct metrics_tenant *t)
{
    return t->name;
}

void metrics_tenant_set(struct metrics_tenant *t, const struct metrics_tenant_settings *s)
{
    const struct metrics_options *o = &t->m->o;

    atomic_store_explicit(&t->retention_ms, s->retention_ms ? s->retention_ms : o->retention_ms,
                          memory_order_relaxed);
    atomic_store_explicit(&t->out_of_order_window_ms,
                          s->out_of_order_window_ms < 0 ? o->out_of_order_window_ms
                                                        : s->out_of_order_window_ms,
                          memory_order_relaxed);
}

uint64_t metrics_tenant_series(struct metrics_tenant *t)
{
    uint64_t n = 0;

    for (size_t i = 0; i < t->shard_count; i++)
        n += atomic_load_explicit(&t->shard[i].slots.active, memory_order_relaxed);
    return n;
}

struct series_source *metrics_source(struct metrics_tenant *t)
{
    return &t->source;
}

/* ---- opening and closing ---- */

static unsigned default_shards(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = 2;

    while (n < METRICS_SHARDS_MAX && (long)n < cpus)
        n *= 2;
    return n;
}

static uint64_t memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_C(1) << 30;
}

static bool set_options(struct metrics *m, const struct metrics_options *o, struct err *e)
{
    m->o = *o;
    m->o.path = NULL;
    m->clock = o->clock ? o->clock : clock_real();
    if (!m->o.shards)
        m->o.shards = default_shards();
    if (m->o.shards > METRICS_SHARDS_MAX || (m->o.shards & (m->o.shards - 1)))
        return err_set(e, ERR_INVALID, "shards must be a power of two up to %d",
                       METRICS_SHARDS_MAX);
    if (!m->o.retention_ms)
        m->o.retention_ms = 15 * (int64_t)MS_DAY;
    if (!m->o.cache_bytes)
        m->o.cache_bytes = MAX(memory_bytes() / 20, UINT64_C(16) << 20);
    if (!m->o.tail_bytes_max)
        m->o.tail_bytes_max = MAX(memory_bytes() / 8, UINT64_C(64) << 20);
    if (!m->o.exemplars_max)
        m->o.exemplars_max = 100000;
    return true;
}

static bool lock_folder(struct metrics *m, struct err *e)
{
    OWNED(buf_fini) struct buf path = { 0 };

    buf_printf(&path, "%s/lock", m->path);
    m->lock_fd = open(buf_cstr(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (m->lock_fd < 0)
        return err_os(e, "open %s", path.p);
    if (flock(m->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno == EWOULDBLOCK)
        return err_set(e, ERR_CONFLICT, "data directory %s is in use by another process", m->path);
    return err_os(e, "lock %s", path.p);
}

static void unescape(struct str folder, struct buf *out)
{
    buf_reset(out);
    for (size_t i = 0; i < folder.n; i++) {
        unsigned v = 0;

        if (folder.p[i] != '%' || i + 2 >= folder.n) {
            buf_char(out, folder.p[i]);
            continue;
        }
        for (size_t k = 1; k <= 2; k++) {
            unsigned c = (unsigned char)folder.p[i + k];

            v = v << 4 | (c - '0' < 10 ? c - '0' : (c - 'A' + 10) & 15);
        }
        buf_char(out, (char)v);
        i += 2;
    }
}

static bool open_tenants(struct metrics *m, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf path = { 0 };
    OWNED(buf_fini) struct buf name = { 0 };
    struct file_list names;

    buf_printf(&path, "%s/tenants", m->path);
    if (!file_mkdirs(buf_cstr(&path), e) || !file_list(&a, path.p, &names, e))
        return false;
    for (size_t i = 0; i < names.n; i++) {
        struct metrics_tenant *t;

        unescape(names.v[i], &name);
        if (!metrics_tenant(m, buf_view(&name), &t, e))
            return false;
    }
    return true;
}

bool metrics_open(struct metrics **out, const struct metrics_options *o, struct err *e)
{
    OWNED(metrics_close) struct metrics *m = xcalloc(1, sizeof *m);
    struct page_cache_options cache = { 0 };
    struct log_writer_options log = { .sync_always = o->sync_always,
                                      .sync_interval_ms = o->sync_interval_ms };
    int64_t began_ns;

    m->lock_fd = -1;
    m->path = xstrdup_str(str_c(o->path));
    mutex_init(&m->mu, "metrics", RANK_APP);
    mutex_init(&m->retain_mu, "retain", RANK_RETAIN);
    mutex_init(&m->work_mu, "upkeep", RANK_LEAF);
    cond_init(&m->work);
    if (!set_options(m, o, e))
        return false;
    began_ns = clock_mono_ns(m->clock);
    cache.bytes_max = m->o.cache_bytes;
    m->cache = page_cache_new(&cache);
    if (!file_mkdirs(m->path, e) || !lock_folder(m, e) || !log_writer_start(&m->writer, &log, e) ||
        !open_tenants(m, e))
        return false;
    atomic_store_explicit(&m->replay_ms, (clock_mono_ns(m->clock) - began_ns) / NS_MS,
                          memory_order_relaxed);
    upkeep_look_at_disk(m);
    if (!m->o.no_background && !upkeep_start(m, e))
        return false;
    *out = TAKE(m);
    return true;
}

// Flushes what can be flushed in the time given; what is left stays in logs.
static void flush_at_close(struct metrics *m)
{
    int64_t until_ns = clock_mono_ns(clock_real()) + CLOSE_MS * NS_MS;

    for (size_t i = 0; i < m->tenants.n; i++) {
        struct metrics_tenant *t = m->tenants.v[i];

        for (size_t k = t->spans.n; k-- > 0;) {
            struct span *s = t->spans.v[k];
            struct err e = { 0 };

            if (!atomic_load_explicit(&s->is_open, memory_order_acquire) ||
                clock_mono_ns(clock_real()) > until_ns)
                continue;
            if (!span_flush(s, false, &e) ||
                (catalog_freeze_is_due(s->catalog) && !span_freeze(s, &e)))
                log_warn("metrics", "rows stay in the log", KV("partition", s->name), KV_ERR(&e));
        }
    }
}

void metrics_close(struct metrics *m)
{
    if (!m)
        return;
    upkeep_stop(m);
    if (m->writer && !m->o.leave_logs)
        flush_at_close(m);
    for (size_t i = 0; i < m->tenants.n; i++)
        tenant_free(m->tenants.v[i]);
    vec_fini(&m->tenants);
    log_writer_stop(m->writer);
    page_cache_free(m->cache);
    file_close(m->lock_fd);
    mutex_fini(&m->mu);
    mutex_fini(&m->retain_mu);
    mutex_fini(&m->work_mu);
    cond_fini(&m->work);
    xfree(m->path);
    xfree(m);
}

/* ---- metadata ---- */

void metrics_meta_set(struct metrics_tenant *t, const struct metric_meta *meta)
{
    metadata_set(t->metadata, meta);
}

void metrics_meta_each(struct metrics_tenant *t,
                       void (*visit)(void *ctx, const struct metric_meta *m), void *ctx)
{
    metadata_each(t->metadata, visit, ctx);
}

/* ---- figures ---- */

static void add_span_stats(struct span *s, struct metrics_stats *out)
{
    OWNED(manifest_fini) struct manifest m = { 0 };
    struct span_view *v = span_view_now(s);

    out->partitions++;
    partition_manifest(s->store, &m);
    for (size_t i = 0; i < m.parts.n; i++) {
        out->part_bytes += m.parts.v[i].bytes;
        out->min_ms = MIN(out->min_ms, m.parts.v[i].min_ms);
        out->max_ms = MAX(out->max_ms, m.parts.v[i].max_ms);
    }
    out->parts += m.parts.n;
    for (size_t i = 0; i < m.segments.n; i++)
        out->catalog_bytes += m.segments.v[i].bytes;
    for (size_t i = 0; i < v->tail_count; i++) {
        uint32_t rows = atomic_load_explicit(&v->tails[i]->row_count, memory_order_relaxed);

        out->rows_tail += rows;
        if (v->tails[i]->stream)
            out->log_bytes += log_stream_bytes(v->tails[i]->stream);
        if (rows)
            out->min_ms = MIN(out->min_ms, tail_min_ms(v->tails[i]));
    }
    span_view_put(v);
}

static void add_tenant_stats(struct metrics_tenant *t, struct metrics_stats *out)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(span_list_put) struct span_list list = span_list(t, &a);
    int64_t newest = atomic_load_explicit(&t->newest_ms, memory_order_relaxed);

    for (size_t i = 0; i < list.n; i++)
        add_span_stats(list.v[i], out);
    out->series_active += metrics_tenant_series(t);
    out->max_ms = MAX(out->max_ms, newest);
    out->series_created += atomic_load_explicit(&t->series_created, memory_order_relaxed);
    out->rows_appended += atomic_load_explicit(&t->rows_appended, memory_order_relaxed);
    for (size_t i = 0; i < APPEND_STATUS_COUNT; i++)
        out->rows_refused[i] += atomic_load_explicit(&t->rows_refused[i], memory_order_relaxed);
}

void metrics_stats(struct metrics *m, struct metrics_stats *out)
{
    *out = (struct metrics_stats){ .min_ms = INT64_MAX, .max_ms = INT64_MIN };
    LOCKED(&m->mu);
    for (size_t i = 0; i < m->tenants.n; i++)
        add_tenant_stats(m->tenants.v[i], out);
    out->flushes = atomic_load_explicit(&m->flushes, memory_order_relaxed);
    out->merges = atomic_load_explicit(&m->merges, memory_order_relaxed);
    out->corruptions = atomic_load_explicit(&m->corruptions, memory_order_relaxed);
    out->replayed_rows = atomic_load_explicit(&m->replayed_rows, memory_order_relaxed);
    out->replay_ms = atomic_load_explicit(&m->replay_ms, memory_order_relaxed);
}

static struct metrics_top *copy_top(struct arena *a, const struct catalog_top *v, size_t n)
{
    struct metrics_top *out = arena_array(a, n, struct metrics_top);

    for (size_t i = 0; i < n; i++)
        out[i] = (struct metrics_top){ arena_str(a, v[i].name), v[i].value };
    return out;
}

bool metrics_cardinality(struct metrics_tenant *t, size_t limit, struct arena *a,
                         struct metrics_cardinality *out, struct err *e)
{
    OWNED(arena_fini) struct arena scratch = { 0 };
    OWNED(span_list_put) struct span_list list = span_list(t, &scratch);
    OWNED(catalog_view_put) struct catalog_view *view = NULL;
    struct budget budget = { 0 };
    struct catalog_damage damage = { 0 };
    struct catalog_read read = { &scratch, &budget, &damage };
    struct catalog_figures f;

    if (!list.n) {
        *out = (struct metrics_cardinality){ 0 };
        return true;
    }
    if (!span_open(list.v[list.n - 1], false, e))
        return false;
    view = catalog_view_get(list.v[list.n - 1]->catalog);
    if (!catalog_figures(view, limit, &read, &f, e))
        return false;
    *out = (struct metrics_cardinality){
        .series = f.series,
        .label_pairs = f.label_pairs,
        .by_metric = copy_top(a, f.by_metric, f.by_metric_n),
        .by_label = copy_top(a, f.by_label, f.by_label_n),
        .bytes_by_label = copy_top(a, f.bytes_by_label, f.bytes_by_label_n),
        .by_pair = copy_top(a, f.by_pair, f.by_pair_n),
        .by_metric_n = f.by_metric_n,
        .by_label_n = f.by_label_n,
        .bytes_by_label_n = f.bytes_by_label_n,
        .by_pair_n = f.by_pair_n,
    };
    return true;
}
