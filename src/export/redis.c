// redis.c - the redis exporter: where to, as whom, and one scrape.
// SPDX-License-Identifier: Apache-2.0
#include "export/redis.h"

#include "base/log.h"
#include "base/mem.h"
#include "codec/json.h"
#include "export/redis_priv.h"
#include "net/http_client.h"
#include "net/url.h"

enum { PORT_USUAL = 6379 };

struct redis {
    struct exporter base;
    struct arena a; // of the options
    struct export_redis_options o;
    struct dialer *dialer;
    struct http_tls *tls; // of rediss://, made at opening when options ask for it
};

struct address {
    struct str host, path, user, password, db; // path: a Unix socket
    int port;
    bool tls;
};

/* ---- where to ---- */

static bool address_parse(struct arena *a, struct str text, struct address *out, struct err *e)
{
    struct url u;

    *out = (struct address){ .port = PORT_USUAL };
    if (str_starts(text, STR("unix://"))) {
        out->path = str_sub(text, 7, text.n);
        return true;
    }
    if (str_starts(text, STR("/"))) {
        out->path = text;
        return true;
    }
    if (str_find(text, STR("://")) == STR_NPOS)
        text = arena_printf(a, "redis://%.*s", STRF(text));
    if (!url_parse(a, text, &u, &(struct err){ 0 })) // its text would show the password
        return err_set(e, ERR_INVALID, "the address of the server is no URL");
    uint64_t port = PORT_USUAL;
    if (u.port.n && (!str_to_u64(u.port, &port) || port > 65535))
        return err_set(e, ERR_INVALID, "the port of the server is no port");
    out->tls = str_eq(u.scheme, STR("rediss")) || str_eq(u.scheme, STR("valkeys"));
    out->host = u.host.n ? u.host : STR("localhost");
    out->port = (int)port;
    out->user = u.user;
    out->password = u.password;
    out->db = str_sub(u.path, 1, u.path.n);
    return true;
}

// The password file knows servers by "redis://host:port" or "redis://user@host:port".
static bool password_of(struct redis *x, struct arena *a, struct str target, struct str user,
                        struct str *out)
{
    struct json_value *root;
    struct str text, found = STR_NONE;
    struct err e;

    if (!x->o.password_file)
        return false;
    if (!file_read(a, x->o.password_file, 1 << 20, &text, &e) || !json_parse(a, text, &root, &e)) {
        log_warn("export", "the password file cannot be read", KV_ERR(&e));
        return false;
    }
    if (root->kind != JSON_OBJECT) { // a file with nothing but the password
        *out = str_trim(text);
        return true;
    }
    if (str_find(target, STR("://")) == STR_NPOS)
        target = arena_printf(a, "redis://%.*s", STRF(target));
    size_t host = str_find(target, STR("://")) + 3;
    if (user.n)
        found = json_get_str(root, arena_printf(a, "%.*s%.*s@%.*s", (int)host, target.p, STRF(user),
                                                STRF(str_sub(target, host, target.n))));
    if (!found.p)
        found = json_get_str(root, target);
    if (!found.p)
        found = json_get_str(root, str_sub(target, host, target.n));
    if (found.p)
        *out = found;
    return found.p != NULL;
}

/* ---- one scrape ---- */

static bool connect_to(struct redis *x, const struct address *to, struct dial *d, struct arena *a,
                       struct err *e)
{
    if (to->path.n)
        return dial_unix(d, to->path, e);
    if (!dial_host(d, x->dialer, to->host, to->port, e))
        return false;
    return !to->tls || dial_tls(d, x->tls, arena_cstr(a, to->host), false, e);
}

static bool authenticate(struct resp_stream *s, const struct address *to, struct err *e)
{
    struct str word[] = { STR("AUTH"), to->user, to->password };
    struct resp v;

    if (!to->password.n)
        return true;
    if (!to->user.n)
        word[1] = to->password;
    if (!resp_call(s, word, to->user.n ? 3 : 2, &v, e))
        return false;
    // The server's words are shown: they tell of names and not of passwords.
    return v.kind != RESP_ERROR || err_set(e, ERR_DENIED, "dial redis: %.*s", STRF(v.s));
}

static bool ask_info(struct resp_stream *s, struct resp *v, struct err *e)
{
    if (!resp_ask(s, "INFO ALL", v, e))
        return false;
    if ((v->kind != RESP_TEXT || !v->s.n) && !resp_ask(s, "INFO", v, e))
        return false;
    if (v->kind == RESP_TEXT)
        return true;
    return err_set(e, ERR_UNAVAILABLE, "%.*s", v->kind == RESP_ERROR ? (int)v->s.n : 24,
                   v->kind == RESP_ERROR ? v->s.p : "unexpected answer to INFO");
}

static void cluster_info(struct redis_scrape *r, struct str text)
{
    struct str line;

    while (node_line(&text, &line)) {
        struct str value = str_trim(line), field = str_cut(&value, ':');
        const struct redis_name *n = redis_name_of(field);
        double number = str_eq(value, STR("ok"));

        if (number == 0 && !str_eq(value, STR("fail")) && !num_parse_double(value, &number))
            continue;
        if (str_starts(field, STR("cluster_")))
            redis_add(r, n ? n->name : arena_cstr(r->a, field), NULL, EXPO_GAUGE, number, NULL, 0);
    }
}

static bool scrape(struct redis_scrape *r, const struct address *to, struct err *e)
{
    struct str config[] = { str_c(r->o->config_command), STR("GET"), STR("*") };
    struct resp info, v;

    if (!authenticate(r->stream, to, e))
        return false;
    if (!r->o->no_client_name) // named so that its administrators know who asks
        (void)!resp_ask(r->stream, "CLIENT SETNAME redis_exporter", &v, &(struct err){ 0 });
    if (!ask_info(r->stream, &info, e))
        return false;
    r->is_sentinel = str_find(info.s, STR("# Sentinel")) != STR_NPOS;
    if (strcmp(r->o->config_command, "-") != 0 &&
        resp_call(r->stream, config, 3, &v, &(struct err){ 0 })) // often forbidden
        redis_config(r, &v);
    if (str_find(info.s, STR("cluster_enabled:1")) != STR_NPOS) {
        r->databases = 1;
        if (resp_ask(r->stream, "CLUSTER INFO", &v, &(struct err){ 0 }) && v.kind == RESP_TEXT)
            cluster_info(r, v.s);
    }
    if (!r->databases && !r->is_sentinel)
        r->databases = 16;
    redis_info(r, info.s);
    redis_more(r, info.s);
    return true;
}

static void scrape_all(struct redis *x, const struct export_redis_options *o,
                       struct redis_scrape *r, const struct address *to, int64_t deadline)
{
    OWNED(dial_end) struct dial d = dial_closed(deadline);
    struct resp_stream stream = { .d = &d, .a = r->a };
    int64_t begin = clock_mono_ns(clock_real()), connected = 0;
    struct err e = { 0 };

    r->o = o;
    r->stream = &stream;
    bool ok = connect_to(x, to, &d, r->a, &e);
    connected = clock_mono_ns(clock_real());
    ok = ok && scrape(r, to, &e);
    buf_fini(&stream.in);
    redis_add(r, "exporter_last_scrape_connect_time_seconds", NULL, EXPO_GAUGE,
              (double)(connected - begin) / 1e9, NULL, 0);
    struct redis_label l = { "err", ok ? STR("") : arena_str(r->a, str_c(e.text)) };
    if (!ok)
        log_warn("export", "redis scrape failed", KV_ERR(&e));
    redis_add(r, "exporter_last_scrape_error", "The last scrape error status.", EXPO_GAUGE, !ok, &l,
              1);
    redis_add(r, "up", "Information about the Redis instance", EXPO_GAUGE, ok, NULL, 0);
    redis_add(r, "exporter_last_scrape_duration_seconds", NULL, EXPO_GAUGE,
              (double)(clock_mono_ns(clock_real()) - begin) / 1e9, NULL, 0);
}

static bool page(struct redis *x, const struct export_redis_options *o, struct str target,
                 const struct export_request *q, struct buf *out, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(export_set_fini) struct export_set set = { .a = &a };
    struct redis_scrape r = { .a = &a, .set = &set, .now_ms = clock_ms(clock_real()) };
    struct expo_writer w = expo_writer(EXPO_TEXT, out);
    struct address to;
    int64_t deadline = export_deadline(q);

    if (!address_parse(&a, target, &to, e))
        return false;
    if (!to.user.n && o->user)
        to.user = str_c(o->user);
    if (!to.password.n && !password_of(x, &a, target, to.user, &to.password) && o->password)
        to.password = str_c(o->password);
    if (o->timeout_ms)
        deadline = MIN(deadline, q->start_mono_ns + o->timeout_ms * NS_MS);
    scrape_all(x, o, &r, &to, deadline);
    w.keep_empty = true;
    export_set_write(&set, &w);
    expo_write_end(&w);
    return true;
}

static bool metrics(struct exporter *e_, const struct export_request *q, struct buf *out,
                    struct err *e)
{
    struct redis *x = (struct redis *)e_;

    return !x->o.address || page(x, &x->o, str_c(x->o.address), q, out, e);
}

// A target brings no password: it would travel in the open and show in logs.
static bool probe(struct exporter *e_, const struct export_request *q, struct buf *out,
                  struct err *e)
{
    struct redis *x = (struct redis *)e_;
    OWNED(arena_fini) struct arena a = { 0 };
    struct export_redis_options o = x->o;
    struct str target = export_param(q, "target");
    static const struct {
        const char *param;
        size_t offset;
    } params[] = { { "check-keys", offsetof(struct export_redis_options, check_keys) },
                   { "check-single-keys",
                     offsetof(struct export_redis_options, check_single_keys) },
                   { "count-keys", offsetof(struct export_redis_options, count_keys) } };

    if (x->o.no_scrape_endpoint)
        return err_set(e, ERR_NOT_FOUND, "404 page not found");
    if (!target.n)
        return err_set(e, ERR_INVALID, "'target' parameter must be specified");
    size_t at = str_rfind_char(target, '@'), scheme = str_find(target, STR("://"));
    size_t from = scheme == STR_NPOS ? 0 : scheme + 3;
    if (at != STR_NPOS && at >= from) {
        struct str who = str_sub(target, from, at);
        o.user = arena_cstr(&a, str_cut(&who, ':'));
        target = arena_printf(&a, "%.*s%.*s", (int)from, target.p,
                              STRF(str_sub(target, at + 1, target.n)));
    }
    for (size_t i = 0; i < ARRAY_LEN(params); i++) {
        struct str v = export_param(q, params[i].param);
        if (v.n)
            *(const char **)((char *)&o + params[i].offset) = arena_cstr(&a, v);
    }
    return page(x, &o, target, q, out, e);
}

/* ---- life ---- */

static void close_redis(struct exporter *e)
{
    struct redis *x = (struct redis *)e;

    dialer_close(x->dialer);
    http_tls_free(x->tls);
    arena_fini(&x->a);
    xfree(x);
}

static const struct exporter_class class = {
    .name = "redis_exporter",
    .title = "Redis Exporter",
    .probe_path = "/scrape",
    .probe_try = "target=localhost:6379",
    .metrics = metrics,
    .probe = probe,
    .close = close_redis,
};

static const char *copy(struct arena *a, const char *s)
{
    return s && *s ? arena_cstr(a, str_c(s)) : NULL;
}

bool export_redis_open(struct exporter **out, const struct export_redis_options *o, struct err *e)
{
    OWNED(exporter_close) struct exporter *base = xcalloc(1, sizeof(struct redis));
    struct redis *x = (struct redis *)base;
    OWNED(arena_fini) struct arena a = { 0 };
    struct address to;

    base->class = &class;
    x->o = *o;
    const char **texts[] = { &x->o.address,           &x->o.user,       &x->o.password,
                             &x->o.password_file,     &x->o.space,      &x->o.check_keys,
                             &x->o.check_single_keys, &x->o.count_keys, &x->o.config_command };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = copy(&x->a, *texts[i]);
    if (!x->o.space)
        x->o.space = "redis";
    if (!x->o.config_command)
        x->o.config_command = "CONFIG";
    struct tls_client_options tls = { .ca_file = o->ca_file,
                                      .cert_file = o->cert_file,
                                      .key_file = o->key_file,
                                      .server_name = o->server_name,
                                      .insecure_skip_verify = o->skip_verify };
    if (!http_tls_new(&x->tls, &tls, e) ||
        !dialer_open(&x->dialer, &(struct dialer_options){ 0 }, e))
        return false;
    if (x->o.address && !address_parse(&a, str_c(x->o.address), &to, e))
        return false;
    *out = TAKE(base);
    return true;
}
