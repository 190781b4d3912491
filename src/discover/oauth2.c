/*
 * oauth2.c - OAuth 2 client credentials (RFC 6749 §4.4): a token is fetched, kept, and fetched again
 * ten seconds before it ends.
 *
 * As Go's oauth2 library finds out what a server wants: credentials as basic authentication first, in
 * the form when that is refused; what worked is remembered.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "base/vec.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "discover/http_settings.h"
#include "net/http.h"

enum { EARLY_MS = 10000, TOKEN_BODY_MAX = 1 << 20, SHOWN_BYTES = 100 };

struct discover_token {
    struct mutex mu;
    struct buf header;     // under mu: the value of Authorization; empty: none
    int64_t until_mono_ns; // under mu; 0: for ever
    bool in_form;          // under mu: the server wants the credentials in the form
};

struct discover_token *discover_token_new(void)
{
    struct discover_token *t = xcalloc(1, sizeof *t);

    mutex_init(&t->mu, "oauth2 token", RANK_LEAF);
    return t;
}

void discover_token_free(struct discover_token *t)
{
    if (!t)
        return;
    mutex_fini(&t->mu);
    buf_fini(&t->header);
    xfree(t);
}

static struct str token_valid(struct discover_token *t, struct arena *a, bool *in_form)
{
    int64_t now = clock_mono_ns(clock_real());
    LOCKED(&t->mu);

    *in_form = t->in_form;
    if (!t->header.n || (t->until_mono_ns && now >= t->until_mono_ns))
        return STR_NONE;
    return arena_str(a, buf_view(&t->header));
}

/* ---- the request ---- */

struct fetch {
    const struct conf_oauth2 *c;
    const struct discover_authorize *o;
    struct arena *a;
    struct str secret;
    bool in_form;
};

static void form_add(struct buf *b, struct str key, struct str value)
{
    if (b->n)
        buf_char(b, '&');
    buf_url_encode(b, key);
    buf_char(b, '=');
    buf_url_encode(b, value);
}

static void make_form(const struct fetch *f, struct buf *b)
{
    OWNED(buf_fini) struct buf scopes = { 0 };

    for (size_t i = 0; i < f->c->scopes.n; i++) {
        buf_str(&scopes, i ? STR(" ") : STR_NONE);
        buf_str(&scopes, f->c->scopes.v[i]);
    }
    if (f->in_form) {
        form_add(b, STR("client_id"), f->c->client_id);
        if (f->secret.n)
            form_add(b, STR("client_secret"), f->secret);
    }
    form_add(b, STR("grant_type"), STR("client_credentials"));
    if (scopes.n)
        form_add(b, STR("scope"), buf_view(&scopes));
    for (size_t i = 0; i < f->c->endpoint_params.n; i++)
        form_add(b, f->c->endpoint_params.v[i].key, f->c->endpoint_params.v[i].value);
}

static struct str basic_of(const struct fetch *f)
{
    OWNED(buf_fini) struct buf plain = { 0 }, coded = { 0 };

    buf_url_encode(&plain, f->c->client_id);
    buf_char(&plain, ':');
    buf_url_encode(&plain, f->secret);
    buf_lit(&coded, "Basic ");
    buf_base64(&coded, buf_view(&plain));
    return arena_str(f->a, buf_view(&coded));
}

static bool ask(const struct fetch *f, struct http_response *r, struct err *e)
{
    OWNED(buf_fini) struct buf form = { 0 };
    OWNED(http_tls_free) struct http_tls *tls = NULL;
    struct http_header headers[] = {
        { STR("Content-Type"), STR("application/x-www-form-urlencoded") },
        { STR("Authorization"), f->in_form ? STR_NONE : basic_of(f) },
    };

    if (!discover_tls_make(&f->c->tls, &tls, e))
        return false;
    make_form(f, &form);
    return http_client_wait(f->o->client,
                            &(struct http_call_options){
                                .method = STR("POST"),
                                .url = f->c->token_url,
                                .headers = headers,
                                .header_count = f->in_form ? 1 : 2,
                                .body = buf_view(&form),
                                .tls = tls,
                                .proxy_url = discover_proxy_of(&f->c->proxy, f->c->token_url, f->a),
                                .timeout_ms = f->o->timeout_ms,
                                .body_max = TOKEN_BODY_MAX,
                            },
                            f->a, r, e);
}

/* ---- the answer ---- */

static bool read_token(const struct fetch *f, struct str body, struct str *header,
                       int64_t *lasts_ms, struct err *e)
{
    struct json_value *root;
    struct err inner = { 0 };
    double seconds = 0;

    if (!json_parse(f->a, body, &root, &inner))
        return err_set(e, ERR_INVALID, "oauth2: cannot parse json: %s", inner.text);
    struct str token = json_get_str(root, STR("access_token"));
    struct str type = json_get_str(root, STR("token_type"));
    struct json_value *expires = json_get(root, STR("expires_in"));
    if (expires)
        (void)!json_to_double(expires, &seconds);
    if (!token.n)
        return err_set(e, ERR_INVALID, "oauth2: server response missing access_token");
    if (!type.n || str_eq_nocase(type, STR("bearer")))
        type = STR("Bearer");
    *header = arena_printf(f->a, "%.*s %.*s", STRF(type), STRF(token));
    *lasts_ms = seconds > 0 ? ms_from_seconds(seconds) : 0;
    return true;
}

static bool try_fetch(const struct fetch *f, struct str *header, int64_t *lasts_ms, struct err *e)
{
    struct http_response r = { 0 };

    if (!ask(f, &r, e))
        return false;
    struct str body = arena_str(f->a, buf_view(&r.body));
    buf_fini(&r.body);
    if (r.status < 200 || r.status > 299)
        return err_set(e, ERR_DENIED, "oauth2: cannot fetch token: %d %.*s\nResponse: %.*s",
                       r.status, STRF(r.reason), STRF(str_sub(body, 0, SHOWN_BYTES)));
    return read_token(f, body, header, lasts_ms, e);
}

static void keep(struct discover_token *t, const struct fetch *f, struct str header,
                 int64_t lasts_ms)
{
    int64_t now = clock_mono_ns(clock_real());
    LOCKED(&t->mu);

    buf_reset(&t->header);
    buf_str(&t->header, header);
    t->in_form = f->in_form;
    t->until_mono_ns = lasts_ms ? now + MAX(lasts_ms - EARLY_MS, INT64_C(0)) * NS_MS : 0;
}

static bool fetch_token(const struct conf_oauth2 *c, const struct discover_authorize *o,
                        struct arena *a, struct str *header, struct err *e)
{
    struct fetch f = { .c = c, .o = o, .a = a };
    int64_t lasts_ms;

    *header = token_valid(o->token, a, &f.in_form);
    if (header->n)
        return true;
    if (!discover_secret(a, c->client_secret, c->client_secret_file, &f.secret, e))
        return false;
    bool ok = try_fetch(&f, header, &lasts_ms, e);
    if (!ok && !f.in_form && (e->kind == ERR_DENIED || e->kind == ERR_INVALID)) {
        f.in_form = true;
        ok = try_fetch(&f, header, &lasts_ms, e);
    }
    if (ok)
        keep(o->token, &f, *header, lasts_ms);
    return ok;
}

bool discover_http_authorize(const struct conf_http *c, const struct discover_authorize *o,
                             struct arena *a, struct http_header **out, size_t *n, struct err *e)
{
    struct http_header *plain;
    struct str token = STR_NONE;
    size_t count;

    if (!discover_http_headers(c, a, &plain, &count, e) ||
        (c->oauth2 && !fetch_token(c->oauth2, o, a, &token, e)))
        return false;
    struct http_header *all = arena_array(a, count + 1, struct http_header);
    if (count)
        memcpy(all, plain, count * sizeof *all);
    if (token.n)
        all[count++] = (struct http_header){ STR("Authorization"), token };
    *out = all;
    *n = count;
    return true;
}
