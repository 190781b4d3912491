// query_command.c - asking a server. Source: client_golang api/prometheus/v1, cmd/promtool/query.go.
// SPDX-License-Identifier: Apache-2.0
#include "app/query_command.h"

#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "base/time.h"

enum { TIMEOUT_MS = 120000 };

/* ---- times ---- */

bool query_time_parse(struct str s, int64_t *out_ns, struct err *e)
{
    struct err unused = { 0 };
    double seconds;

    if (num_parse_double(s, &seconds) && fabs(seconds) < 9e9) {
        double whole = trunc(seconds);
        *out_ns = (int64_t)whole * NS_SECOND + (int64_t)((seconds - whole) * 1e9);
        return true;
    }
    if (rfc3339_parse(s, out_ns, &unused))
        return true;
    return err_set(e, ERR_INVALID, "cannot parse \"%.*s\" to a valid timestamp", STRF(s));
}

static void put_time(struct buf *b, const char *key, int64_t ns)
{
    double whole = (double)floor_div(ns, NS_SECOND);

    buf_printf(b, "%s%s=", b->n ? "&" : "", key);
    buf_double_f(b, whole + (double)(ns - (int64_t)whole * NS_SECOND) / 1e9);
}

static void put_text(struct buf *b, const char *key, struct str value)
{
    if (b->n)
        buf_char(b, '&');
    buf_url_encode(b, str_c(key));
    buf_char(b, '=');
    buf_url_encode(b, value);
}

// The time of an option, or `otherwise` when it is not given.
static bool time_option(const struct cli *c, const char *name, const char *what, int64_t otherwise,
                        int64_t *out_ns)
{
    struct str text = cli_text(c, name);
    struct err e = { 0 };

    *out_ns = otherwise;
    if (!text.n || query_time_parse(text, out_ns, &e))
        return true;
    fprintf(stderr, "error parsing %s time: %s\n", what, e.text);
    return false;
}

/* ---- the session ---- */

bool query_session_open(struct query_session *s, const struct cli *c)
{
    struct cli_list headers = cli_has(c, "header") ? cli_all(c, "header") : (struct cli_list){ 0 };
    struct err e = { 0 };

    *s = (struct query_session){ .server = cli_text(c, "server") };
    s->json = cli_has(c, "format") && str_eq_c(cli_text(c, "format"), "json");
    if (!tools_http_open(&s->http, cli_text(c, "http.config.file"), &e)) {
        fprintf(stderr, "%s\n", e.text);
        return false;
    }
    s->headers = tools_headers(&s->http.arena, headers.v, headers.n);
    s->header_count = headers.n;
    return true;
}

void query_session_close(struct query_session *s)
{
    tools_http_close(&s->http);
}

static bool call(struct query_session *s, const char *path, struct str form, bool get,
                 struct tools_answer *out, struct err *e)
{
    struct arena *a = &s->http.arena;
    struct http_header *headers = arena_array(a, s->header_count + 1, struct http_header);
    struct tools_call c = { .method = get ? STR("GET") : STR("POST"),
                            .url = tools_url(a, s->server, path),
                            .headers = headers,
                            .timeout_ms = TIMEOUT_MS };

    headers[c.header_count++] = (struct http_header){ STR("Content-Type"),
                                                      STR("application/x-www-form-urlencoded") };
    for (size_t i = 0; i < s->header_count; i++)
        headers[c.header_count++] = s->headers[i];
    if (!get)
        c.body = form;
    else if (form.n)
        c.url = arena_printf(a, "%.*s?%.*s", STRF(c.url), STRF(form));
    return tools_http_call(&s->http, &c, out, e);
}

static bool refuse(struct query_session *s, struct str text, struct err *e)
{
    s->error = text;
    return err_set(e, ERR_INVALID, "%.*s", STRF(text));
}

static bool refuse_status(struct query_session *s, const struct tools_answer *r, struct err *e)
{
    struct arena *a = &s->http.arena;
    const char *kind = r->status / 100 == 4 ? "client" : "server";

    if (r->status / 100 != 4 && r->status / 100 != 5)
        return refuse(s, arena_printf(a, "bad_response: bad response code %d", r->status), e);
    struct str detail = str_trim(r->body);
    return refuse(s,
                  arena_printf(a, "%s_error: %s error: %d%s%.*s%s", kind, kind, r->status,
                               detail.n ? " (detail: " : "", STRF(detail), detail.n ? ")" : ""),
                  e);
}

bool query_session_ask(struct query_session *s, const char *path, struct str form, bool get,
                       struct json_value **data, struct err *e)
{
    struct arena *a = &s->http.arena;
    struct tools_answer r = { 0 };
    struct json_value *root = NULL;
    struct err inner = { 0 };

    if (!call(s, path, form, get, &r, &inner))
        return refuse(s, arena_str(a, str_c(inner.text)), e);
    if (!get && (r.status == 405 || r.status == 501)) // some proxies let no POST through
        if (!call(s, path, form, true, &r, &inner))
            return refuse(s, arena_str(a, str_c(inner.text)), e);
    bool refused = r.status == 400 || r.status == 422;
    if (r.status / 100 != 2 && !refused)
        return refuse_status(s, &r, e);
    if (!json_parse(a, r.body, &root, &inner))
        return refuse(s, arena_printf(a, "bad_response: %s", inner.text), e);
    if (refused == str_eq_c(json_get_str(root, STR("status")), "success"))
        return refuse(s, STR("bad_response: inconsistent body for response code"), e);
    if (refused)
        return refuse(s,
                      arena_printf(a, "%.*s: %.*s", STRF(json_get_str(root, STR("errorType"))),
                                   STRF(json_get_str(root, STR("error")))),
                      e);
    *data = json_get(root, STR("data"));
    return true;
}

static int fail(const struct query_session *s)
{
    fprintf(stderr, "query error: %.*s\n", STRF(s->error));
    return 1;
}

/* ---- the commands ---- */

int query_command_instant(const struct cli *c)
{
    OWNED(query_session_close) struct query_session s = { 0 };
    OWNED(buf_fini) struct buf form = { 0 };
    struct json_value *data = NULL;
    struct err e = { 0 };
    int64_t at_ns;

    if (!query_session_open(&s, c) || !time_option(c, "time", "evaluation", wall_ns(), &at_ns))
        return 1;
    put_text(&form, "query", cli_text(c, "expr"));
    put_time(&form, "time", at_ns);
    if (!query_session_ask(&s, "/api/v1/query", buf_view(&form), false, &data, &e))
        return fail(&s);
    query_print_result(&s, data);
    return 0;
}

int query_command_range(const struct cli *c)
{
    OWNED(query_session_close) struct query_session s = { 0 };
    OWNED(buf_fini) struct buf form = { 0 };
    struct json_value *data = NULL;
    struct err e = { 0 };
    int64_t start_ns, end_ns, step_ns = cli_ns(c, "step");

    if (!query_session_open(&s, c) || !time_option(c, "end", "end", wall_ns(), &end_ns) ||
        !time_option(c, "start", "start", end_ns - 300 * NS_SECOND, &start_ns))
        return 1;
    if (start_ns >= end_ns) {
        fprintf(stderr, "start time is not before end time\n");
        return 1;
    }
    if (!step_ns)
        step_ns = MAX((end_ns - start_ns) / NS_SECOND / 250, (int64_t)1) * NS_SECOND;
    put_text(&form, "query", cli_text(c, "expr"));
    put_time(&form, "start", start_ns);
    put_time(&form, "end", end_ns);
    buf_lit(&form, "&step=");
    buf_double_f(&form, (double)step_ns / 1e9);
    if (!query_session_ask(&s, "/api/v1/query_range", buf_view(&form), false, &data, &e))
        return fail(&s);
    query_print_result(&s, data);
    return 0;
}

// match[], start and end of the commands about series.
static bool put_selection(const struct cli *c, struct buf *form)
{
    struct cli_list match = cli_all(c, "match");
    int64_t now_ns = wall_ns(), far_ns = 9999 * 3600 * NS_SECOND, start_ns, end_ns;

    if (!time_option(c, "start", "start", now_ns - far_ns, &start_ns) ||
        !time_option(c, "end", "end", now_ns + far_ns, &end_ns))
        return false;
    put_time(form, "start", start_ns);
    put_time(form, "end", end_ns);
    for (size_t i = 0; i < match.n; i++)
        put_text(form, "match[]", match.v[i]);
    return true;
}

int query_command_series(const struct cli *c)
{
    OWNED(query_session_close) struct query_session s = { 0 };
    OWNED(buf_fini) struct buf form = { 0 };
    struct json_value *data = NULL;
    struct err e = { 0 };

    if (!query_session_open(&s, c) || !put_selection(c, &form))
        return 1;
    if (!query_session_ask(&s, "/api/v1/series", buf_view(&form), false, &data, &e))
        return fail(&s);
    query_print_series(&s, data);
    return 0;
}

int query_command_labels(const struct cli *c)
{
    OWNED(query_session_close) struct query_session s = { 0 };
    OWNED(buf_fini) struct buf form = { 0 }, path = { 0 };
    struct json_value *data = NULL;
    struct err e = { 0 };

    if (!query_session_open(&s, c) || !put_selection(c, &form))
        return 1;
    buf_lit(&path, "/api/v1/label/");
    buf_url_encode(&path, cli_text(c, "name"));
    buf_lit(&path, "/values");
    if (!query_session_ask(&s, buf_cstr(&path), buf_view(&form), true, &data, &e))
        return fail(&s);
    query_print_values(&s, data);
    return 0;
}
