// import.c - one request on its way into the store, and the routes.
// SPDX-License-Identifier: Apache-2.0
#include "face/import_priv.h"

#include <stdio.h>

#include "auth/tenant.h"
#include "base/mem.h"
#include "base/sort.h"
#include "codec/compress.h"
#include "codec/json.h"

enum { BODY_MAX = 256 << 20, INFLATED_MAX = 256 << 20, EXTRA_MAX = 64 };

/* ---- batches ---- */

bool import_begin(struct import *im, struct import_face *f, const char *protocol, struct str tenant,
                  struct arena *a, struct err *e)
{
    im->f = f;
    im->protocol = protocol;
    im->tenant = tenant;
    im->arena = a;
    im->status = 200;
    im->now_ms = clock_ms(f->o.clock);
    return intake_begin(f->o.intake, &(struct intake_request){ .tenant = tenant, .history = true },
                        &im->batch, e);
}

void import_end(struct import *im)
{
    intake_end(im->batch);
    labels_builder_fini(&im->labels);
    buf_fini(&im->scratch);
    buf_fini(&im->inflated);
    vec_fini(&im->rows);
    vec_fini(&im->fresh);
    map_fini(&im->fresh_by_ref);
    arena_fini(&im->kept);
    arena_fini(&im->record);
}

static void keep_text(struct import *im, struct str text)
{
    if (!im->text.n)
        im->text = arena_str(im->arena, text);
}

void import_bad(struct import *im, const struct err *e)
{
    im->bad++;
    if (im->text.n)
        return;
    im->text = e->pos.line ? arena_printf(im->arena, "line %u, column %u: %s", e->pos.line,
                                          e->pos.col, e->text)
                           : arena_str(im->arena, str_c(e->text));
}

static void add_result(struct import *im, const struct intake_result *r)
{
    im->samples += r->samples + r->histograms;
    for (int i = 0; i < INTAKE_REPLICA; i++)
        im->refused += r->refused[i];
    im->status = MAX(im->status, r->status);
    im->retry_after_s = MAX(im->retry_after_s, r->retry_after_s);
    if (r->status >= 400)
        keep_text(im, r->text);
}

// A series that is new is registered with its first rows: by the batch that has them.
static struct series_ref ref_of(struct import *im, const struct import_sample *row)
{
    if (row->fresh == UINT32_MAX)
        return row->ref;
    struct import_fresh *f = &im->fresh.v[row->fresh];
    if (f->batch != im->batches) {
        (void)intake_series(im->batch, f->labels, NULL, &f->ref); // refused: counted there
        f->batch = im->batches;
    }
    return f->ref;
}

// Stores rows [from, to) and begins the next batch. False: do not go on.
static bool commit(struct import *im, size_t from, size_t to)
{
    struct intake_result r = { 0 };
    struct err e;

    for (size_t i = from; i < to; i++)
        intake_float(im->batch, ref_of(im, &im->rows.v[i]), im->rows.v[i].t_ms,
                     im->rows.v[i].value);
    intake_commit(im->batch, &r);
    add_result(im, &r);
    intake_end(im->batch);
    im->batch = NULL;
    im->batches++;
    if (im->status >= 429) { // no room, no rate: the rest would fare no better
        im->refused += im->rows.n - to;
        return false;
    }
    if (intake_begin(im->f->o.intake,
                     &(struct intake_request){ .tenant = im->tenant, .history = true }, &im->batch,
                     &e))
        return true;
    im->status = intake_error_status(&e);
    keep_text(im, str_c(e.text));
    return false;
}

static int row_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct import_sample *x = a, *y = b;

    return (x->t_ms > y->t_ms) - (x->t_ms < y->t_ms);
}

// Stores what has come together, in order of time where it is spread over many days.
bool import_flush(struct import *im)
{
    int64_t min = INT64_MAX, max = INT64_MIN, width = IMPORT_BATCH_DAYS * (int64_t)MS_DAY;
    size_t n = im->rows.n, from = 0;
    bool ok = true;

    for (size_t i = 0; i < n; i++) {
        min = MIN(min, im->rows.v[i].t_ms);
        max = MAX(max, im->rows.v[i].t_ms);
    }
    if (n && (uint64_t)max - (uint64_t)min > (uint64_t)width) {
        sort_stable(im->rows.v, n, sizeof *im->rows.v, row_order, NULL);
        for (size_t i = 1; ok && i < n; i++) {
            if (im->rows.v[i].t_ms / width == im->rows.v[from].t_ms / width)
                continue;
            ok = commit(im, from, i);
            from = i;
        }
    }
    ok = ok && commit(im, from, n);
    im->rows.n = im->fresh.n = 0;
    map_reset(&im->fresh_by_ref);
    arena_reset(&im->kept);
    return ok;
}

bool import_step(struct import *im)
{
    return im->rows.n < IMPORT_BATCH_ROWS || import_flush(im);
}

void import_finish(struct import *im)
{
    if (im->batch)
        (void)import_flush(im);
    if (im->bad && im->status < 400)
        im->status = 400;
    struct str protocol = str_c(im->protocol);
    metric_add(metric_child(im->f->rows, &protocol), (double)im->samples);
    metric_add(metric_child(im->f->malformed, &protocol), (double)im->bad);
}

/* ---- series and rows ---- */

struct hash128 import_key(struct import *im, struct str raw, struct str part)
{
    uint64_t seed = intake_seed(im->batch) ^ im->salt;
    struct hash128 h = hash128_seeded(raw, seed);

    buf_reset(&im->scratch);
    buf_le64(&im->scratch, h.lo);
    buf_le64(&im->scratch, h.hi);
    buf_str(&im->scratch, part);
    return hash128_seeded(buf_view(&im->scratch), seed);
}

static uint64_t ref_hash(struct series_ref ref)
{
    return hash_u64((uint64_t)ref.slot << 32 | ref.generation);
}

static uint32_t fresh_of(struct import *im, struct series_ref ref)
{
    uint64_t hash = ref_hash(ref);
    uint32_t i;

    for (size_t at = map_first(&im->fresh_by_ref, hash);
         (i = map_at(&im->fresh_by_ref, hash, &at)) != MAP_NONE;)
        if (im->fresh.v[i].ref.slot == ref.slot && im->fresh.v[i].ref.generation == ref.generation)
            return i;
    return UINT32_MAX;
}

bool import_find(struct import *im, struct hash128 key, struct series_ref *out)
{
    if (!intake_find(im->batch, key, out))
        return false;
    im->fresh_at = fresh_of(im, *out);
    return true;
}

void import_labels(struct import *im)
{
    labels_builder_reset(&im->labels, (struct labels){ 0 });
}

void import_label(struct import *im, struct str name, struct str value)
{
    labels_builder_set(&im->labels, name, value);
}

void import_tags(struct import *im, const struct line_tag *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        labels_builder_set(&im->labels, v[i].name, v[i].value);
}

void import_series(struct import *im, const struct hash128 *key, struct series_ref *out)
{
    if (im->db.n && !labels_builder_get(&im->labels, STR("db")).n)
        labels_builder_set(&im->labels, STR("db"), im->db);
    for (size_t i = 0; i < im->extras; i++)
        labels_builder_set(&im->labels, im->extra[i].name, im->extra[i].value);
    (void)intake_series(im->batch, labels_builder_view(&im->labels), key, out);
    im->fresh_at = (uint32_t)im->fresh.n;
    map_add(&im->fresh_by_ref, ref_hash(*out), im->fresh_at);
    *vec_push(&im->fresh) = (struct import_fresh){
        *out, labels_copy(&im->kept, labels_builder_view(&im->labels)), im->batches
    };
}

void import_row(struct import *im, struct series_ref ref, int64_t t_ms, double v)
{
    *vec_push(&im->rows) = (struct import_sample){ ref, im->fresh_at, t_ms, v };
}

/* ---- requests of HTTP ---- */

// {"error":"…"}: clients of InfluxDB and others show it.
static void reply_error(struct http_exchange *x, int status, struct str text)
{
    struct buf *b = http_body(x);

    http_status(x, status);
    http_set_header(x, STR("Content-Type"), STR("application/json"));
    buf_lit(b, "{\"error\":");
    OWNED(buf_fini) struct buf quoted = { 0 };
    buf_json_str(&quoted, text);
    buf_str(b, buf_view(&quoted));
    buf_lit(b, "}\n");
}

static bool inflate(struct import *im, struct http_exchange *x, struct str *body, struct err *e)
{
    static const struct compress_limits limits = { .size_max = INFLATED_MAX, .ratio_max = 1024 };
    struct str coding = http_header_get(&x->req, STR("Content-Encoding"));
    enum compress_codec codec;

    if (!compress_codec_of(coding, &codec))
        return err_set(e, ERR_UNSUPPORTED, "unsupported Content-Encoding \"%.*s\"", STRF(coding));
    if (codec == COMPRESS_NONE) {
        *body = x->req.body;
        return true;
    }
    if (!compress_inflate(codec, x->req.body, &limits, &im->inflated, e))
        return false;
    *body = buf_view(&im->inflated);
    return true;
}

// extra_label=name=value, which may repeat.
static bool read_extra(struct import *im, const struct http_form *form, struct err *e)
{
    im->extra = arena_array(im->arena, EXTRA_MAX, struct label);
    for (size_t i = 0; i < form->n; i++) {
        struct str value = form->v[i].value, name;

        if (!str_eq(form->v[i].name, STR("extra_label")))
            continue;
        name = str_cut(&value, '=');
        if (!name.n || !value.p || im->extras >= EXTRA_MAX)
            return err_set(e, ERR_INVALID, "expected extra_label=name=value, got \"%.*s\"",
                           STRF(form->v[i].value));
        im->extra[im->extras++] = (struct label){ name, value };
    }
    return true;
}

// Keys must differ where the same bytes become other series.
static void set_salt(struct import *im)
{
    buf_reset(&im->scratch);
    buf_lit(&im->scratch, "import");
    buf_str(&im->scratch, str_c(im->protocol));
    for (size_t i = 0; i < im->extras; i++) {
        buf_varint(&im->scratch, im->extra[i].name.n);
        buf_str(&im->scratch, im->extra[i].name);
        buf_varint(&im->scratch, im->extra[i].value.n);
        buf_str(&im->scratch, im->extra[i].value);
    }
    buf_varint(&im->scratch, im->db.n);
    buf_str(&im->scratch, im->db);
    im->salt = hash_keyed(buf_view(&im->scratch));
}

bool import_request(struct import *im, struct http_exchange *x, const char *protocol,
                    struct http_form *form, struct str *body)
{
    struct import_face *f = x->route_ctx;
    struct http_request query = x->req; // parameters are those of the URL: the body is data
    struct str tenant;
    struct err e = { 0 };

    query.method = STR("GET");
    if (!tenant_of_request(&x->req, f->o.tenancy, &tenant, &e)) {
        reply_error(x, tenant_error_status(&e), str_c(e.text));
        return false;
    }
    im->arena = &x->arena;
    if (!http_form_parse(&x->arena, &query, form, &e) || !read_extra(im, form, &e) ||
        !inflate(im, x, body, &e)) {
        reply_error(x, e.kind == ERR_LIMIT ? 413 : 400, str_c(e.text));
        return false;
    }
    if (strcmp(protocol, "influx") == 0)
        im->db = http_form_get(form, STR("db"));
    if (!import_begin(im, f, protocol, tenant, &x->arena, &e)) {
        reply_error(x, intake_error_status(&e), str_c(e.text));
        return false;
    }
    set_salt(im);
    return true;
}

void import_reply(struct import *im, struct http_exchange *x, int success)
{
    import_finish(im);
    if (im->status < 400) {
        http_status(x, success);
        return;
    }
    if (im->retry_after_s)
        http_set_header(x, STR("Retry-After"), arena_printf(&x->arena, "%d", im->retry_after_s));
    reply_error(x, im->status,
                arena_printf(&x->arena,
                             "%.*s (stored %llu samples, refused %llu, malformed records %llu)",
                             STRF(im->text), (unsigned long long)im->samples,
                             (unsigned long long)im->refused, (unsigned long long)im->bad));
}

/* ---- text of sockets ---- */

void import_text(struct import_face *f, enum import_protocol p, struct str text,
                 struct import_counts *out)
{
    static const char *const names[] = { "graphite", "opentsdb", "influx" };
    OWNED(arena_fini) struct arena a = { 0 };
    struct import im = { 0 };
    struct err e = { 0 };

    *out = (struct import_counts){ .status = 204 };
    if (!import_begin(&im, f, names[p], STR_NONE, &a, &e)) {
        out->status = intake_error_status(&e);
        snprintf(out->text, sizeof out->text, "%s", e.text);
        import_end(&im);
        return;
    }
    set_salt(&im);
    if (p == IMPORT_GRAPHITE)
        import_graphite(&im, text);
    else if (p == IMPORT_OPENTSDB)
        import_opentsdb(&im, text);
    else
        import_influx(&im, text, STR_NONE);
    import_finish(&im);
    out->samples = im.samples;
    out->malformed = im.bad;
    out->refused = im.refused;
    out->status = im.status < 400 ? 204 : im.status;
    snprintf(out->text, sizeof out->text, "%.*s", STRF(im.text));
    import_end(&im);
}

/* ---- the face ---- */

void import_routes(struct import_face *f, struct http_server *s, const struct import_handler *v,
                   size_t n)
{
    for (size_t i = 0; i < n; i++)
        http_server_route(
            s, &(struct http_route){
                   .method = v[i].method,
                   .path = arena_printf(&f->arena, "%.*s%s", STRF(f->prefix), v[i].path).p,
                   .prefix = v[i].prefix,
                   .handle = v[i].handle,
                   .ctx = f,
                   .pool = f->pool,
                   .body_max = BODY_MAX,
                   .name = v[i].path });
}

void import_face_routes(struct import_face *f, struct http_server *s)
{
    import_lines_routes(f, s);
    import_files_routes(f, s);
    import_export_routes(f, s);
}

bool import_face_new(struct import_face **out, const struct import_options *o, struct err *e)
{
    static const char *const labels[] = { "protocol" };
    OWNED(import_face_free) struct import_face *f = xcalloc(1, sizeof *f);

    f->o = *o;
    if (!f->o.clock)
        f->o.clock = clock_real();
    f->prefix = arena_str(&f->arena, o->prefix);
    while (f->prefix.n && f->prefix.p[f->prefix.n - 1] == '/')
        f->prefix.n--;
    f->rows = metric_family("vigie_import_samples_total",
                            "Samples stored that came by line protocols and files.", METRIC_COUNTER,
                            labels, 1);
    f->malformed = metric_family("vigie_import_malformed_records_total",
                                 "Lines, rows and points that could not be read.", METRIC_COUNTER,
                                 labels, 1);
    if (!pool_start(&f->pool, &(struct pool_options){ .name = "import", .queue_max = 1024 }, e))
        return false;
    *out = TAKE(f);
    return true;
}

void import_face_free(struct import_face *f)
{
    if (!f)
        return;
    pool_stop(f->pool);
    arena_fini(&f->arena);
    xfree(f);
}
