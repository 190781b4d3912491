// import_command.c - `vigie import prometheus DIR`: blocks and logs into a data directory.
// SPDX-License-Identifier: Apache-2.0
#include "app/import_command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/import_priv.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sort.h"
#include "codec/json.h"
#include "face/series_export.h"

enum { BATCH_ROWS = 100000, FLUSH_ROWS = 4000000, META_MAX = 16 << 20, ULID_BYTES = 26 };

/* ---- files ---- */

bool mapped_open(struct mapped *m, const char *path, struct err *e)
{
    __attribute__((cleanup(file_close_owned_))) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return errno == ENOENT || err_os(e, "open %s", path);
    if (fstat(fd, &st) < 0)
        return err_os(e, "stat %s", path);
    if (st.st_size == 0)
        return true;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return err_os(e, "map %s", path);
    m->bytes = str_of(p, (size_t)st.st_size);
    return true;
}

void mapped_close(struct mapped *m)
{
    if (m->bytes.n)
        munmap((void *)(uintptr_t)m->bytes.p, m->bytes.n);
    m->bytes = STR_NONE;
}

/* ---- rows ---- */

bool importer_commit(struct importer *im, struct err *e)
{
    struct append_stats stats = { 0 };
    size_t rows = append_rows(im->batch);

    if (!rows)
        return true;
    if (!append_commit(im->batch, &stats, NULL, e))
        return false;
    for (int i = 0; i < APPEND_STATUS_COUNT; i++)
        im->stats.rows[i] += stats.rows[i];
    append_batch_reset(im->batch);
    append_batch_any_age(im->batch, true);
    im->batches++;
    im->since_flush += rows;
    return im->since_flush < FLUSH_ROWS || importer_flush(im, e);
}

bool importer_flush(struct importer *im, struct err *e)
{
    im->since_flush = 0;
    return metrics_flush(im->metrics, e);
}

static bool after_row(struct importer *im, struct err *e)
{
    return append_rows(im->batch) < BATCH_ROWS || importer_commit(im, e);
}

bool importer_float(struct importer *im, struct series_ref ref, int64_t t_ms, double v,
                    struct err *e)
{
    append_float(im->batch, ref, t_ms, v);
    im->samples++;
    return after_row(im, e);
}

bool importer_histogram(struct importer *im, struct series_ref ref, int64_t t_ms,
                        const struct histogram *h, struct err *e)
{
    struct err why = { 0 };

    if (!histogram_is_stale(h) && !histogram_validate(h, &why)) {
        importer_damage(im, "a histogram is left out", &why);
        return true;
    }
    append_histogram(im->batch, ref, t_ms, h);
    im->histograms++;
    return after_row(im, e);
}

void importer_damage(struct importer *im, const char *what, const struct err *e)
{
    if (im->damaged++ < 20)
        fprintf(stderr, "damaged: %s: %s\n", what, e->text);
}

void importer_progress(struct importer *im, const char *what)
{
    int64_t now = clock_mono_ns(clock_real());

    if (now - im->said_mono_ns < 3 * NS_SECOND)
        return;
    im->said_mono_ns = now;
    fprintf(stderr, "… %s: %llu samples, %llu histograms so far\n", what,
            (unsigned long long)im->samples, (unsigned long long)im->histograms);
}

/* ---- blocks in order, and which are done ---- */

struct found_block {
    struct str name;
    int64_t min_ms, max_ms;
};

static int block_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct found_block *x = a, *y = b;

    if (x->min_ms != y->min_ms)
        return x->min_ms < y->min_ms ? -1 : 1;
    return str_cmp(x->name, y->name);
}

static bool is_block(struct arena *a, const char *dir, struct str name, struct found_block *out)
{
    struct str text;
    struct json_value *v;
    struct err e;

    if (name.n != ULID_BYTES ||
        !file_read(a, arena_printf(a, "%s/%.*s/meta.json", dir, STRF(name)).p, META_MAX, &text,
                   &e) ||
        !json_parse(a, text, &v, &e))
        return false;
    out->name = name;
    return json_to_i64(json_get(v, STR("minTime")), &out->min_ms) &&
           json_to_i64(json_get(v, STR("maxTime")), &out->max_ms);
}

static bool find_blocks(struct arena *a, const char *dir, struct found_block **out, size_t *n,
                        struct err *e)
{
    struct file_list names;

    if (!file_list(a, dir, &names, e))
        return false;
    *out = arena_array(a, names.n, struct found_block);
    for (size_t i = 0; i < names.n; i++)
        *n += is_block(a, dir, names.v[i], &(*out)[*n]);
    sort_stable(*out, *n, sizeof **out, block_order, NULL);
    return true;
}

// The list of finished blocks is in the data directory: an import that is run again goes on there.
static bool is_done(struct str list, struct str name)
{
    return str_find(list, name) != STR_NPOS;
}

static bool import_blocks(struct importer *im, struct arena *a, const char *done_path,
                          int64_t *last_ms, struct err *e)
{
    OWNED(buf_fini) struct buf done = { 0 };
    struct found_block *v;
    struct str list = STR_NONE;
    size_t n = 0;

    if (!find_blocks(a, im->from, &v, &n, e) ||
        (file_exists(done_path) && !file_read(a, done_path, META_MAX, &list, e)))
        return false;
    buf_str(&done, list);
    for (size_t i = 0; i < n; i++) {
        uint64_t before = im->samples + im->histograms, series = im->series;

        *last_ms = MAX(*last_ms, v[i].max_ms);
        if (v[i].max_ms <= im->min_ms || v[i].min_ms > im->max_ms)
            continue;
        if (is_done(list, v[i].name)) {
            fprintf(stderr, "block %.*s: imported before\n", STRF(v[i].name));
            continue;
        }
        if (!importer_block(im, arena_printf(a, "%s/%.*s", im->from, STRF(v[i].name)).p, e)) {
            if (e->kind != ERR_CORRUPT && e->kind != ERR_UNSUPPORTED)
                return err_wrap(e, "block %.*s", STRF(v[i].name));
            importer_damage(im, v[i].name.p, e);
            continue;
        }
        fprintf(stderr, "block %.*s (%zu of %zu): %llu series, %llu samples\n", STRF(v[i].name),
                i + 1, n, (unsigned long long)(im->series - series),
                (unsigned long long)(im->samples + im->histograms - before));
        buf_str(&done, v[i].name);
        buf_char(&done, '\n');
        if (!file_replace(done_path, buf_view(&done), e))
            return false;
    }
    return true;
}

/* ---- the command ---- */

static bool read_times(const struct cli *c, int64_t *min_ms, int64_t *max_ms, struct err *e)
{
    struct str from = cli_text(c, "start"), to = cli_text(c, "end");

    *min_ms = INT64_MIN;
    *max_ms = INT64_MAX;
    if ((from.n && !series_time_parse(from, min_ms)) || (to.n && !series_time_parse(to, max_ms)))
        return err_set(e, ERR_INVALID,
                       "--start and --end: expected seconds, milliseconds or RFC 3339");
    return true;
}

static bool open_data(const struct cli *c, struct metrics **out, struct metrics_tenant **tenant,
                      struct err *e)
{
    struct metrics_options o = { .path = cli_text(c, "storage.tsdb.path").p,
                                 .retention_ms = INT64_MAX };

    return metrics_open(out, &o, e) && metrics_tenant(*out, cli_text(c, "tenant"), tenant, e);
}

static void report(const struct importer *im)
{
    fprintf(stderr, "%llu rows are in the data directory, %llu of them read as histograms",
            (unsigned long long)im->stats.rows[APPEND_OK], (unsigned long long)im->histograms);
    for (int i = APPEND_OK + 1; i < APPEND_STATUS_COUNT; i++)
        if (im->stats.rows[i])
            fprintf(stderr, "; %llu refused: %s", (unsigned long long)im->stats.rows[i],
                    append_status_text((enum append_status)i));
    fprintf(stderr, "\n");
    if (im->damaged)
        fprintf(stderr, "%llu pieces were damaged and are left out\n",
                (unsigned long long)im->damaged);
}

static bool import_all(const struct cli *c, struct importer *im, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(metrics_close) struct metrics *m = NULL;
    int64_t last_ms = INT64_MIN;
    const char
        *done = arena_printf(&a, "%s/import-prometheus.done", cli_text(c, "storage.tsdb.path").p).p;

    if (!file_exists(im->from))
        return err_set(e, ERR_NOT_FOUND, "%s: no such folder", im->from);
    if (!read_times(c, &im->min_ms, &im->max_ms, e) || !open_data(c, &m, &im->tenant, e))
        return false;
    im->metrics = m;
    OWNED(append_batch_free) struct append_batch *batch = append_batch_new(im->tenant);
    append_batch_any_age(batch, true);
    im->batch = batch;
    if (!import_blocks(im, &a, done, &last_ms, e) || !importer_wal(im, last_ms, e))
        return false;
    report(im);
    return true;
}

int import_command_prometheus(const struct cli *c)
{
    struct importer im = { .from = cli_text(c, "dir").p };
    struct err e = { 0 };

    (void)!log_configure(STR("warn"), STR("logfmt"), &e);
    if (import_all(c, &im, &e))
        return im.damaged ? 3 : 0;
    fprintf(stderr, "error: %s\n", e.text);
    return 1;
}

/* ---- export ---- */

static bool write_out(void *ctx, struct str text, struct err *e)
{
    return fwrite(text.p, 1, text.n, ctx) == text.n || err_os(e, "write");
}

static bool export_all(const struct cli *c, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(metrics_close) struct metrics *m = NULL;
    struct cli_list match = cli_all(c, "match");
    struct promql *q = arena_array(&a, match.n, struct promql);
    struct series_export_counts counts;
    struct metrics_tenant *tenant;
    struct series_export o = { .selector = q,
                               .format = str_eq(cli_text(c, "format"), STR("csv")) ? SERIES_CSV
                                                                                   : SERIES_JSONL,
                               .columns = cli_text(c, "columns"),
                               .write = write_out,
                               .ctx = stdout };
    bool ok = true;

    if (!read_times(c, &o.min_ms, &o.max_ms, e) || !open_data(c, &m, &tenant, e))
        return false;
    for (; ok && o.selectors < match.n; o.selectors++)
        ok = promql_parse_selector(&a, match.v[o.selectors], &q[o.selectors], e);
    o.source = metrics_source(tenant);
    ok = ok && series_export(&o, &counts, e);
    for (size_t i = 0; i < o.selectors; i++)
        promql_fini(&q[i]);
    if (ok)
        fprintf(stderr, "%llu series, %llu samples, %llu histograms\n",
                (unsigned long long)counts.series, (unsigned long long)counts.samples,
                (unsigned long long)counts.histograms);
    return ok;
}

int export_command_metrics(const struct cli *c)
{
    struct err e = { 0 };

    (void)!log_configure(STR("warn"), STR("logfmt"), &e);
    if (export_all(c, &e))
        return 0;
    fprintf(stderr, "error: %s\n", e.text);
    return 1;
}
