/*
 * prometheus_param.c - parameters of /api/v1: forms, times, durations, limits, selectors.
 *
 * Times follow Go's time.Time through overflows, as upstream does not check for them: a float
 * beyond int64 becomes the smallest integer (amd64), seconds wrap around. The engine then counts
 * nanoseconds, the storage milliseconds, and each wraps in its own way.
 */
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "base/num.h"
#include "base/rune.h"
#include "face/prometheus_priv.h"

/* ---- forms ---- */

struct str prom_quote(struct arena *a, struct str s)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_quoted(&b, s);
    return arena_str(a, buf_view(&b));
}

struct http_form prom_form(struct http_exchange *x)
{
    struct http_form f = { 0 };
    struct err e;

    // As r.FormValue: what cannot be read is as if it were not there.
    (void)!http_form_parse(&x->arena, &x->req, &f, &e);
    http_form_add_multipart(&x->arena, &x->req, &f);
    return f;
}

bool prom_form_strict(struct http_exchange *x, struct http_form *out)
{
    struct err e;

    *out = (struct http_form){ 0 };
    if (http_form_parse(&x->arena, &x->req, out, &e))
        return true;
    prom_error(x, "bad_data", arena_printf(&x->arena, "error parsing form values: %s", e.text));
    return false;
}

/* ---- times ---- */

// Out of range is an error to Go; Inf spelt out is not.
static bool go_parse_float(struct str s, double *out)
{
    if (!num_parse_double(s, out))
        return false;
    for (size_t i = 0; isinf(*out) && i < s.n; i++)
        if (s.p[i] >= '0' && s.p[i] <= '9')
            return false;
    return true;
}

// Go's conversion on amd64: what does not fit is the smallest integer.
static int64_t go_int64(double v)
{
    return v >= -9223372036854775808.0 && v < 9223372036854775808.0 ? (int64_t)v : INT64_MIN;
}

static int64_t wrap_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t wrap_mul(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

// Go's time.Unix: brings the nanoseconds into a second.
static struct prom_time unix_time(int64_t s, int64_t ns)
{
    s = wrap_add(s, ns / NS_SECOND);
    ns %= NS_SECOND;
    if (ns < 0) {
        ns += NS_SECOND;
        s = wrap_add(s, -1);
    }
    return (struct prom_time){ s, (int32_t)ns };
}

bool prom_time_parse(struct str text, struct prom_time *out)
{
    double seconds, whole;
    struct err e;

    if (go_parse_float(text, &seconds)) {
        double rest = isinf(seconds) ? NAN : modf(seconds, &whole);
        whole = isinf(seconds) ? seconds : whole;
        rest = round(rest * 1000) / 1000;
        *out = unix_time(go_int64(whole), go_int64(rest * 1e9));
        return true;
    }
    if (rfc3339_parse_parts(text, &out->s, &out->ns, &e))
        return true;
    // What upstream prints for its own extremes, which are no four-digit years.
    if (str_eq(text, STR("-292273086-05-16T16:47:06Z"))) {
        *out = PROM_TIME_MIN;
        return true;
    }
    if (str_eq(text, STR("292277025-08-18T07:12:54.999999999Z"))) {
        *out = PROM_TIME_MAX;
        return true;
    }
    return false;
}

int64_t prom_time_engine_ms(struct prom_time t)
{
    return wrap_add(wrap_mul(t.s, NS_SECOND), t.ns) / NS_MS;
}

int64_t prom_time_storage_ms(struct prom_time t)
{
    return wrap_add(wrap_mul(t.s, 1000), t.ns / NS_MS);
}

// Go's time.Time counts from the year 1.
static int64_t go_seconds(struct prom_time t)
{
    return wrap_add(t.s, INT64_C(62135596800));
}

int64_t prom_time_sub_ns(struct prom_time a, struct prom_time b)
{
    __int128 ns = ((__int128)go_seconds(a) - go_seconds(b)) * NS_SECOND + a.ns - b.ns;

    return ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

struct prom_time prom_time_of_ms(int64_t ms)
{
    int64_t s = floor_div(ms, 1000);

    return (struct prom_time){ s, (int32_t)((ms - s * 1000) * NS_MS) };
}

bool prom_duration_parse(struct str s, int64_t *out_ns, struct err *e)
{
    struct err inner;
    double seconds;
    int64_t ms;

    if (go_parse_float(s, &seconds)) {
        double ns = seconds * 1e9;
        if (ns > 9223372036854775807.0 || ns < -9223372036854775808.0)
            return err_set(e, ERR_INVALID,
                           "cannot parse \"%.*s\" to a valid duration. It overflows int64",
                           STRF(s));
        *out_ns = go_int64(ns); // NaN: refused as negative by who asks
        return true;
    }
    if (duration_parse(s, &ms, &inner) && !__builtin_mul_overflow(ms, NS_MS, out_ns))
        return true;
    return err_set(e, ERR_INVALID, "cannot parse \"%.*s\" to a valid duration", STRF(s));
}

static struct str bad_time(struct http_exchange *x, struct str s)
{
    struct str quoted = prom_quote(&x->arena, s);

    return arena_printf(&x->arena, "cannot parse %.*s to a valid timestamp", STRF(quoted));
}

bool prom_time_required(struct http_exchange *x, const struct http_form *f, const char *name,
                        struct prom_time *out)
{
    struct str s = http_form_get(f, str_c(name));

    if (prom_time_parse(s, out))
        return true;
    prom_bad_parameter(x, name, bad_time(x, s));
    return false;
}

// Absent: *out keeps what it has. False: *problem says why.
static bool optional_time(struct http_exchange *x, const struct http_form *f, const char *name,
                          struct prom_time *out, struct str *problem)
{
    struct str s = http_form_get(f, str_c(name));

    if (!s.n || prom_time_parse(s, out))
        return true;
    struct str why = bad_time(x, s);
    *problem = arena_printf(&x->arena, "invalid time value for '%s': %.*s", name, STRF(why));
    return false;
}

bool prom_time_param(struct http_exchange *x, const struct http_form *f, const char *name,
                     struct prom_time *out)
{
    struct str problem;

    if (optional_time(x, f, name, out, &problem))
        return true;
    prom_bad_parameter(x, name, problem);
    return false;
}

bool prom_time_param_plain(struct http_exchange *x, const struct http_form *f, const char *name,
                           struct prom_time *out)
{
    struct str problem;

    if (optional_time(x, f, name, out, &problem))
        return true;
    prom_error(x, "bad_data", problem);
    return false;
}

bool prom_duration_param(struct http_exchange *x, const struct http_form *f, const char *name,
                         int64_t *out_ns)
{
    struct err e;

    if (prom_duration_parse(http_form_get(f, str_c(name)), out_ns, &e))
        return true;
    prom_bad_parameter(x, name, str_c(e.text));
    return false;
}

/* ---- numbers and switches ---- */

struct str prom_number_problem(struct arena *a, const char *function, struct str s)
{
    struct str quoted = prom_quote(a, s);
    bool digits = false, other = false;

    for (size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+'); i < s.n; i++)
        *(s.p[i] >= '0' && s.p[i] <= '9' ? &digits : &other) = true;
    return arena_printf(a, "strconv.%s: parsing %.*s: %s", function, STRF(quoted),
                        digits && !other ? "value out of range" : "invalid syntax");
}

bool prom_limit_param(struct http_exchange *x, const struct http_form *f, size_t *out)
{
    struct str s = http_form_get(f, STR("limit"));
    int64_t v = 0;

    *out = 0;
    if (s.n && !str_to_i64(s, &v)) {
        prom_bad_parameter(x, "limit", prom_number_problem(&x->arena, "Atoi", s));
        return false;
    }
    if (v < 0) {
        prom_bad_parameter(x, "limit", STR("limit must be non-negative"));
        return false;
    }
    *out = (size_t)v;
    return true;
}

bool prom_bool_parse(struct str s, bool *out)
{
    static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
    static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False" };

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (!str_eq_c(s, yes[i]) && !str_eq_c(s, no[i]))
            continue;
        *out = str_eq_c(s, yes[i]);
        return true;
    }
    return false;
}

/* ---- selectors ---- */

struct str prom_parse_problem(struct arena *a, const struct promql *q, const struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (!q->error_count)
        return arena_str(a, str_c(e->text));
    promql_print_error(&b, q, 0); // whole: err.text is cut to its room
    return arena_str(a, buf_view(&b));
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

bool prom_selectors_parse(struct arena *a, const struct http_form *f, struct prom_selectors *out,
                          struct str *problem)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++)
        n += str_eq(f->v[i].name, STR("match[]"));
    *out = (struct prom_selectors){ arena_array(a, n, struct promql), 0 };
    for (size_t i = 0; i < f->n; i++) {
        struct err e;
        if (!str_eq(f->v[i].name, STR("match[]")))
            continue;
        struct promql *q = &out->v[out->n++];
        if (!promql_parse_selector(a, f->v[i].value, q, &e)) {
            *problem = prom_parse_problem(a, q, &e);
            return false;
        }
    }
    return true;
}

bool prom_selectors(struct http_exchange *x, const struct http_form *f, const char *wrap,
                    struct prom_selectors *out)
{
    struct str problem;
    bool ok = prom_selectors_parse(&x->arena, f, out, &problem);

    for (size_t i = 0; ok && i < out->n; i++)
        if (!has_real_matcher(&out->v[i])) {
            problem = STR("match[] must contain at least one non-empty matcher");
            ok = false;
        }
    if (ok)
        return true;
    if (wrap)
        prom_bad_parameter(x, wrap, problem);
    else
        prom_error(x, "bad_data", problem);
    return false;
}
