// prometheus_reply.c - envelopes, errors, parameters: the manners all of /api/v1 shares.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "base/num.h"
#include "base/vec.h"
#include "face/prometheus_priv.h"

static void common_headers(struct http_exchange *x)
{
    http_set_header(x, STR("Content-Type"), STR("application/json"));
    http_set_header(x, STR("Vary"), STR("Accept-Encoding, Origin"));
}

struct json_writer prom_reply_begin(struct http_exchange *x)
{
    struct json_writer w = json_writer(http_body(x));

    common_headers(x);
    json_object(&w);
    json_key_lit(&w, "status");
    json_str(&w, STR("success"));
    json_key_lit(&w, "data");
    return w;
}

static void write_notes(struct json_writer *w, const struct prom_notes *n)
{
    const struct {
        const char *key;
        const struct str *v;
        size_t n;
    } lists[] = { { "warnings", n->warnings, n->warning_count },
                  { "infos", n->infos, n->info_count } };

    for (size_t i = 0; i < 2; i++) {
        if (!lists[i].n)
            continue;
        json_key(w, str_c(lists[i].key));
        json_array(w);
        for (size_t k = 0; k < lists[i].n; k++)
            json_str(w, lists[i].v[k]);
        json_array_end(w);
    }
}

void prom_reply_end(struct http_exchange *x, struct json_writer *w, const struct prom_notes *notes)
{
    if (notes)
        write_notes(w, notes);
    json_object_end(w);
}

bool prom_reply_flush(struct http_exchange *x)
{
    struct err e; // the reply ends here: nobody is left to tell

    if (http_body(x)->n < 128 << 10)
        return true;
    return http_write(x, STR(""), &e);
}

static const struct {
    const char *type;
    int status;
} error_types[] = {
    { "bad_data", 400 }, { "execution", 422 },   { "timeout", 503 },   { "canceled", 499 },
    { "internal", 500 }, { "unavailable", 500 }, { "not_found", 404 }, { "not_acceptable", 406 },
};

void prom_error_notes(struct http_exchange *x, const char *type, struct str text,
                      const struct prom_notes *notes)
{
    struct json_writer w = json_writer(http_body(x));

    common_headers(x);
    for (size_t i = 0; i < ARRAY_LEN(error_types); i++)
        if (strcmp(type, error_types[i].type) == 0)
            http_status(x, error_types[i].status);
    json_object(&w);
    json_key_lit(&w, "status");
    json_str(&w, STR("error"));
    json_key_lit(&w, "errorType");
    json_str(&w, str_c(type));
    json_key_lit(&w, "error");
    json_str(&w, text);
    if (notes)
        write_notes(&w, notes);
    json_object_end(&w);
}

void prom_error(struct http_exchange *x, const char *type, struct str text)
{
    prom_error_notes(x, type, text, NULL);
}

void prom_error_of(struct http_exchange *x, const struct err *e)
{
    static const char *const types[] = {
        [ERR_INVALID] = "bad_data",        [ERR_CONFLICT] = "execution",
        [ERR_LIMIT] = "execution",         [ERR_TIMEOUT] = "timeout",
        [ERR_CANCELLED] = "canceled",      [ERR_NOT_FOUND] = "not_found",
        [ERR_UNAVAILABLE] = "unavailable", [ERR_UNSUPPORTED] = "execution",
    };
    const char *type = (size_t)e->kind < ARRAY_LEN(types) ? types[e->kind] : NULL;

    prom_error(x, type ? type : "internal", str_c(e->text));
}

void prom_bad_parameter(struct http_exchange *x, const char *name, struct str text)
{
    prom_error(x, "bad_data",
               arena_printf(&x->arena, "invalid parameter \"%s\": %.*s", name, STRF(text)));
}

void prom_plain_error(struct http_exchange *x, int status, struct str text)
{
    http_text(x, status, text);
    buf_char(http_body(x), '\n');
    http_set_header(x, STR("X-Content-Type-Options"), STR("nosniff"));
}

/* ---- parameters ---- */

bool prom_form(struct http_exchange *x, struct http_form *out)
{
    struct err e;

    *out = (struct http_form){ 0 };
    // As upstream: a body that cannot be read as a form is a form without values.
    (void)!http_form_parse(&x->arena, &x->req, out, &e);
    return true;
}

bool prom_time_parse(struct str s, int64_t *out_ms)
{
    double seconds;
    int64_t ns;
    struct err e;

    if (num_parse_double(s, &seconds) && isfinite(seconds)) {
        double whole = trunc(seconds), rest = seconds - whole;
        *out_ms = ms_from_seconds(whole) + (int64_t)round(rest * 1000);
        return true;
    }
    if (rfc3339_parse(s, &ns, &e)) {
        *out_ms = floor_div(ns, NS_MS);
        return true;
    }
    // What upstream prints for its own extremes, and what it makes of them.
    if (str_eq(s, STR("-292273086-05-16T16:47:06Z"))) {
        *out_ms = INT64_C(-9223309901257974000);
        return true;
    }
    if (str_eq(s, STR("292277025-08-18T07:12:54.999999999Z"))) {
        *out_ms = INT64_C(9223309901257974999);
        return true;
    }
    return false;
}

bool prom_duration_parse(struct str s, int64_t *out_ms, struct err *e)
{
    struct err inner;
    double seconds;

    if (num_parse_double(s, &seconds)) {
        if (seconds * 1e9 > 9223372036854775807.0 || seconds * 1e9 < -9223372036854775808.0)
            return err_set(e, ERR_INVALID,
                           "cannot parse \"%.*s\" to a valid duration. It overflows int64",
                           STRF(s));
        *out_ms = (int64_t)(seconds * 1000); // NaN is refused as zero by who asks
        if (isnan(seconds))
            *out_ms = 0;
        else if (*out_ms == 0 && seconds > 0)
            *out_ms = 1; // below a millisecond: not zero
        return true;
    }
    if (duration_parse(s, out_ms, &inner))
        return true;
    return err_set(e, ERR_INVALID, "cannot parse \"%.*s\" to a valid duration", STRF(s));
}

bool prom_time_param(struct http_exchange *x, const struct http_form *f, const char *name,
                     int64_t fallback_ms, int64_t *out_ms)
{
    struct str s = http_form_get(f, str_c(name));

    if (!s.n) {
        *out_ms = fallback_ms;
        return true;
    }
    if (prom_time_parse(s, out_ms))
        return true;
    prom_bad_parameter(
        x, name,
        arena_printf(&x->arena,
                     "invalid time value for '%s': cannot parse \"%.*s\" to a valid timestamp",
                     name, STRF(s)));
    return false;
}

// As Go's strconv.Atoi words it.
static bool atoi_param(struct http_exchange *x, struct str s, int64_t *out)
{
    bool digits = s.n > 0;

    if (str_to_i64(s, out))
        return true;
    for (size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+'); i < s.n; i++)
        digits &= s.p[i] >= '0' && s.p[i] <= '9';
    prom_bad_parameter(x, "limit",
                       arena_printf(&x->arena, "strconv.Atoi: parsing \"%.*s\": %s", STRF(s),
                                    digits ? "value out of range" : "invalid syntax"));
    return false;
}

bool prom_limit_param(struct http_exchange *x, const struct http_form *f, size_t *out)
{
    struct str s = http_form_get(f, STR("limit"));
    int64_t v;

    *out = 0;
    if (!s.n)
        return true;
    if (!atoi_param(x, s, &v))
        return false;
    if (v < 0) {
        prom_bad_parameter(x, "limit", STR("limit must be non-negative"));
        return false;
    }
    *out = (size_t)v;
    return true;
}

void prom_selectors_fini(struct prom_selectors *s)
{
    for (size_t i = 0; i < s->n; i++)
        promql_fini(&s->v[i]);
}

static bool has_real_matcher(const struct promql *q)
{
    for (size_t i = 0; i < q->root->selector.matcher_count; i++)
        if (!matcher_matches_empty(&q->root->selector.matchers[i]))
            return true;
    return false;
}

bool prom_selectors(struct http_exchange *x, const struct http_form *f, bool wrapped,
                    struct prom_selectors *out)
{
    struct str empty = STR("match[] must contain at least one non-empty matcher");
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++)
        n += str_eq(f->v[i].name, STR("match[]"));
    *out = (struct prom_selectors){ arena_array(&x->arena, n, struct promql), 0 };
    for (size_t i = 0; i < f->n; i++) {
        struct err e;
        if (!str_eq(f->v[i].name, STR("match[]")))
            continue;
        struct promql *q = &out->v[out->n++];
        bool ok = promql_parse_selector(&x->arena, f->v[i].value, q, &e);
        if (ok && has_real_matcher(q))
            continue;
        struct str text = ok ? empty : arena_str(&x->arena, str_c(e.text));
        if (wrapped)
            prom_bad_parameter(x, "match[]", text);
        else
            prom_error(x, "bad_data", text);
        return false;
    }
    return true;
}

/* ---- values ---- */

void prom_json_time(struct json_writer *w, int64_t ms)
{
    char text[32];
    size_t n = 0;
    uint64_t u = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    OWNED(buf_fini) struct buf b = { 0 };

    if (ms < 0)
        buf_char(&b, '-');
    buf_u64(&b, u / 1000);
    if (u % 1000) { // three digits, as upstream's marshaller
        text[n++] = '.';
        text[n++] = (char)('0' + u % 1000 / 100);
        text[n++] = (char)('0' + u % 100 / 10);
        text[n++] = (char)('0' + u % 10);
    }
    buf_bytes(&b, text, n);
    json_raw(w, buf_view(&b));
}

void buf_prom_labels(struct buf *b, struct labels ls)
{
    buf_char(b, '{');
    for (size_t i = 0; i < ls.n; i++) {
        if (i)
            buf_char(b, ',');
        buf_json_str(b, ls.v[i].name);
        buf_char(b, ':');
        buf_json_str(b, ls.v[i].value);
    }
    buf_char(b, '}');
}

void prom_json_labels(struct json_writer *w, struct labels ls)
{
    json_raw(w, STR("")); // places the comma
    buf_prom_labels(w->out, ls);
}

void prom_json_value(struct json_writer *w, double v)
{
    json_raw(w, STR("\""));
    buf_double_json(w->out, v);
    buf_char(w->out, '"');
}

void prom_json_histogram(struct json_writer *w, const struct histogram *h)
{
    struct hist_iter it = histogram_iter(h);
    struct hist_bucket b;
    bool any = false;

    json_object(w);
    json_key_lit(w, "count");
    prom_json_value(w, h->count);
    json_key_lit(w, "sum");
    prom_json_value(w, h->sum);
    while (histogram_iter_next(&it, &b)) {
        if (!(b.count < 0 || b.count > 0) && !isnan(b.count))
            continue;
        if (!any) {
            json_key_lit(w, "buckets");
            json_array(w);
            any = true;
        }
        json_array(w);
        json_i64(w, b.lower_inclusive ? (b.upper_inclusive ? 3 : 1) : (b.upper_inclusive ? 0 : 2));
        prom_json_value(w, b.lower);
        prom_json_value(w, b.upper);
        prom_json_value(w, b.count);
        json_array_end(w);
    }
    if (any)
        json_array_end(w);
    json_object_end(w);
}
