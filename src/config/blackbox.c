/*
 * blackbox.c - tables and checks of blackbox.yml, and the file that is built in.
 *
 * The meaning of every option is that of blackbox_exporter 0.27 (CONFIGURATION.md there).
 */
// SPDX-License-Identifier: Apache-2.0
#include "config/blackbox.h"

#include <stdatomic.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/sort.h"

struct blackbox_config {
    atomic_int refs;
    struct arena arena;
    VEC(struct blackbox_module *) modules; // sorted by name; in the arena
    VEC(struct regex *) patterns;          // owned
};

/* ---- patterns ---- */

static struct regex *compile(struct conf_reader *r, const struct yaml_node *n, struct str text,
                             struct err *e)
{
    struct blackbox_config *c = r->ctx;
    struct regex *re = NULL;

    if (!regex_new(&re, text, 0, &(struct err){ 0 })) { // upstream does not say why either
        conf_fail(e, n, "\"Could not compile regular expression\" regexp=\"%.*s\"", STRF(text));
        return NULL;
    }
    *vec_push(&c->patterns) = re;
    return re;
}

static bool compile_all(struct conf_reader *r, const struct yaml_node *n, const struct conf_strs *s,
                        struct blackbox_patterns *out, struct err *e)
{
    out->v = arena_array(r->arena, s->n, struct regex *);
    for (size_t i = 0; i < s->n; i++)
        if (!(out->v[i] = compile(r, n, s->v[i], e)))
            return false;
    out->n = s->n;
    return true;
}

/* ---- pieces ---- */

static const struct conf_field ip_fields[] = {
#define F(m, kind, flags) CONF_FIELD(struct blackbox_ip, m, #m, kind, flags, NULL)
    F(preferred_ip_protocol, CONF_STR, CONF_OMIT),
    F(ip_protocol_fallback, CONF_BOOL, CONF_OMIT),
#undef F
};
static const struct blackbox_ip ip_defaults = { .ip_protocol_fallback = true };
static const struct conf_type ip_type = CONF_TYPE("config.plain", struct blackbox_ip, ip_fields,
                                                  &ip_defaults, NULL);

static bool header_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct blackbox_header_match *h = obj;

    if (!h->header.n)
        return conf_fail(e, n, "header name must be set for HTTP header matchers");
    if (!h->regexp.n)
        return conf_fail(e, n, "regexp must be set for HTTP header matchers");
    return (h->re = compile(r, n, h->regexp, e)) != NULL;
}

static const struct conf_field header_fields[] = {
#define F(m, kind) CONF_FIELD(struct blackbox_header_match, m, #m, kind, CONF_OMIT, NULL)
    F(header, CONF_STR),
    F(regexp, CONF_STR),
    F(allow_missing, CONF_BOOL),
#undef F
};
static const struct conf_type header_type = CONF_TYPE("config.plain", struct blackbox_header_match,
                                                      header_fields, NULL, header_check);

static const struct conf_field label_fields[] = {
    CONF_FIELD(struct blackbox_label, name, "name", CONF_STR, CONF_OMIT, NULL),
    CONF_FIELD(struct blackbox_label, value, "value", CONF_STR, CONF_OMIT, NULL),
};
static const struct conf_type label_type = CONF_TYPE("config.Label", struct blackbox_label,
                                                     label_fields, NULL, NULL);

static bool step_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct blackbox_step *s = obj;

    if (s->expect.n && s->expect_bytes.n)
        return conf_fail(e, n, "expect and expect_bytes are mutually exclusive");
    return !s->expect.n || (s->re = compile(r, n, s->expect, e)) != NULL;
}

static const struct conf_field step_fields[] = {
#define F(m, kind, type) CONF_FIELD(struct blackbox_step, m, #m, kind, CONF_OMIT, type)
    F(expect, CONF_STR, NULL), F(expect_bytes, CONF_STR, NULL), F(labels, CONF_LIST, &label_type),
    F(send, CONF_STR, NULL),   F(starttls, CONF_BOOL, NULL),
#undef F
};
static const struct conf_type step_type = CONF_TYPE("config.plain", struct blackbox_step,
                                                    step_fields, NULL, step_check);

/* ---- http ---- */

static bool status_codes(struct conf_reader *r, const struct yaml_node *n, struct blackbox_http *h,
                         struct err *e)
{
    const struct conf_strs *s = &h->valid_status_codes;

    h->status = arena_array(r->arena, s->n, int64_t);
    for (size_t i = 0; i < s->n; i++)
        if (!str_to_i64(s->v[i], &h->status[i]))
            return conf_fail(e, n,
                             "valid_status_codes: expected a number such as 200, got \"%.*s\"",
                             STRF(s->v[i]));
    h->status_count = s->n;
    return true;
}

// Whether Accept-Encoding asks for this coding, with a quality above zero.
static bool encoding_is_asked(struct str coding, struct str accept)
{
    bool asked = false;

    while (accept.n) {
        struct str part = str_cut(&accept, ',');
        struct str name = str_trim(str_cut(&part, ';'));
        struct str q = str_trim(part);

        if (!str_eq(name, coding) && !str_eq(name, STR("*")))
            continue;
        bool zero = str_starts(q, STR("q=0")) && str_find_char(q, '1') == STR_NPOS;
        for (size_t i = 3; i < q.n && zero; i++)
            zero = q.p[i] == '0' || q.p[i] == '.';
        asked = asked || !zero;
    }
    return asked;
}

static bool http_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct blackbox_http *h = obj;

    if (h->no_follow_redirects != CONF_UNSET) {
        h->http.follow_redirects = h->no_follow_redirects == CONF_FALSE;
        h->no_follow_redirects = CONF_UNSET;
    }
    if (h->fail_if_body_json_matches_cel.n || h->fail_if_body_json_not_matches_cel.n)
        return conf_fail(e, n, "CEL expressions on the body are not supported yet");
    if (h->http.oauth2)
        return conf_fail(e, n, "oauth2 is not supported in modules yet");
    if (h->enable_http3)
        return conf_fail(e, n, "HTTP/3 is not supported yet");
    if (h->body.n && h->body_file.n)
        return conf_fail(e, n, "setting body and body_file both are not allowed");
    for (size_t i = 0; i < h->headers.n; i++)
        if (str_eq_nocase(h->headers.v[i].key, STR("Accept-Encoding")) && h->compression.n &&
            h->headers.v[i].value.n && !encoding_is_asked(h->compression, h->headers.v[i].value))
            return conf_fail(e, n, "invalid configuration \"%.*s: %.*s\", \"compression: %.*s\"",
                             STRF(h->headers.v[i].key), STRF(h->headers.v[i].value),
                             STRF(h->compression));
    for (size_t i = 0; i < h->valid_http_versions.n; i++)
        if (!h->enable_http3 && str_eq(h->valid_http_versions.v[i], STR("HTTP/3.0")))
            return conf_fail(e, n,
                             "HTTP/3 cannot be used as a valid HTTP version when enable_http3 is "
                             "false");
    if (h->enable_http3 && h->http.enable_http2)
        return conf_fail(e, n, "when enable_http3 is true, enable_http2 must be set to false");
    return status_codes(r, n, h, e) &&
           compile_all(r, n, &h->fail_if_body_matches_regexp, &h->body_matches, e) &&
           compile_all(r, n, &h->fail_if_body_not_matches_regexp, &h->body_not_matches, e);
}

static const struct conf_field http_fields[] = {
#define F(m, kind, type) CONF_FIELD(struct blackbox_http, m, #m, kind, CONF_OMIT, type)
    F(valid_status_codes, CONF_STRS, NULL),
    F(valid_http_versions, CONF_STRS, NULL),
    CONF_FIELD(struct blackbox_http, ip, "", CONF_INLINE, 0, &ip_type),
    F(skip_resolve_phase_with_proxy, CONF_BOOL, NULL),
    F(no_follow_redirects, CONF_TRI, NULL),
    F(fail_if_ssl, CONF_BOOL, NULL),
    F(fail_if_not_ssl, CONF_BOOL, NULL),
    F(method, CONF_STR, NULL),
    F(headers, CONF_MAP, NULL),
    F(fail_if_body_matches_regexp, CONF_STRS, NULL),
    F(fail_if_body_not_matches_regexp, CONF_STRS, NULL),
    F(fail_if_body_json_matches_cel, CONF_STR, NULL),
    F(fail_if_body_json_not_matches_cel, CONF_STR, NULL),
    F(fail_if_header_matches, CONF_LIST, &header_type),
    F(fail_if_header_not_matches, CONF_LIST, &header_type),
    F(body, CONF_STR, NULL),
    F(body_file, CONF_STR, NULL),
    CONF_FIELD(struct blackbox_http, http, "", CONF_INLINE, 0, &conf_http_type),
    F(compression, CONF_STR, NULL),
    F(body_size_limit, CONF_SIZE, NULL),
    F(enable_http3, CONF_BOOL, NULL),
#undef F
};
static const struct blackbox_http http_defaults = {
    .ip = { .ip_protocol_fallback = true },
    .http = { .follow_redirects = true, .enable_http2 = true },
};
static const struct conf_type http_type = CONF_TYPE("config.plain", struct blackbox_http,
                                                    http_fields, &http_defaults, http_check);

/* ---- tcp, unix, icmp ---- */

static const struct conf_field tcp_fields[] = {
#define F(m, kind, type) CONF_FIELD(struct blackbox_tcp, m, #m, kind, CONF_OMIT, type)
    CONF_FIELD(struct blackbox_tcp, ip, "", CONF_INLINE, 0, &ip_type),
    F(source_ip_address, CONF_STR, NULL),
    F(query_response, CONF_LIST, &step_type),
    F(tls, CONF_BOOL, NULL),
    F(tls_config, CONF_STRUCT, &conf_tls_type),
};
static const struct conf_field unix_fields[] = {
    F(query_response, CONF_LIST, &step_type),
    F(tls, CONF_BOOL, NULL),
    F(tls_config, CONF_STRUCT, &conf_tls_type),
#undef F
};
static const struct blackbox_tcp tcp_defaults = { .ip = { .ip_protocol_fallback = true } };
static const struct conf_type tcp_type = CONF_TYPE("config.plain", struct blackbox_tcp, tcp_fields,
                                                   &tcp_defaults, NULL);
static const struct conf_type unix_type = CONF_TYPE("config.plain", struct blackbox_tcp,
                                                    unix_fields, NULL, NULL);

static bool icmp_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    const struct blackbox_icmp *c = obj;

    if (c->ttl < 0)
        return conf_fail(e, n, "\"ttl\" cannot be negative");
    if (c->ttl > 255)
        return conf_fail(e, n, "\"ttl\" cannot exceed 255");
    if (c->payload_size < 0 || c->payload_size > 65000)
        return conf_fail(e, n, "\"payload_size\" must be between 0 and 65000");
    return true;
}

static const struct conf_field icmp_fields[] = {
#define F(m, kind) CONF_FIELD(struct blackbox_icmp, m, #m, kind, CONF_OMIT, NULL)
    CONF_FIELD(struct blackbox_icmp, ip, "", CONF_INLINE, 0, &ip_type),
    F(source_ip_address, CONF_STR),
    F(payload_size, CONF_INT),
    F(dont_fragment, CONF_BOOL),
    F(ttl, CONF_INT),
#undef F
};
static const struct blackbox_icmp icmp_defaults = { .ip = { .ip_protocol_fallback = true },
                                                    .ttl = 64 };
static const struct conf_type icmp_type = CONF_TYPE("config.plain", struct blackbox_icmp,
                                                    icmp_fields, &icmp_defaults, icmp_check);

/* ---- dns ---- */

static bool rrs_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct blackbox_rrs *v = obj;

    return compile_all(r, n, &v->fail_if_matches_regexp, &v->matches, e) &&
           compile_all(r, n, &v->fail_if_all_match_regexp, &v->all_match, e) &&
           compile_all(r, n, &v->fail_if_not_matches_regexp, &v->not_matches, e) &&
           compile_all(r, n, &v->fail_if_none_matches_regexp, &v->none_matches, e);
}

static const struct conf_field rrs_fields[] = {
#define F(m) CONF_FIELD(struct blackbox_rrs, m, #m, CONF_STRS, CONF_OMIT, NULL)
    F(fail_if_matches_regexp),
    F(fail_if_all_match_regexp),
    F(fail_if_not_matches_regexp),
    F(fail_if_none_matches_regexp),
#undef F
};
static const struct conf_type rrs_type = CONF_TYPE("config.plain", struct blackbox_rrs, rrs_fields,
                                                   NULL, rrs_check);

static bool dns_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct blackbox_dns *d = obj;

    if (!d->query_name.n)
        return conf_fail(e, n, "query name must be set for DNS module");
    d->class = 1;
    d->type = 255;
    if (d->query_class.n && !blackbox_dns_class(d->query_class, &d->class))
        return conf_fail(e, n, "query class '%.*s' is not valid", STRF(d->query_class));
    if (d->query_type.n && !blackbox_dns_type(d->query_type, &d->type))
        return conf_fail(e, n, "query type '%.*s' is not valid", STRF(d->query_type));
    return true;
}

static const struct conf_field dns_fields[] = {
#define F(m, kind, type) CONF_FIELD(struct blackbox_dns, m, #m, kind, CONF_OMIT, type)
    CONF_FIELD(struct blackbox_dns, ip, "", CONF_INLINE, 0, &ip_type),
    F(dns_over_tls, CONF_BOOL, NULL),
    F(tls_config, CONF_STRUCT, &conf_tls_type),
    F(source_ip_address, CONF_STR, NULL),
    F(transport_protocol, CONF_STR, NULL),
    F(query_class, CONF_STR, NULL),
    F(query_name, CONF_STR, NULL),
    F(query_type, CONF_STR, NULL),
    F(recursion_desired, CONF_BOOL, NULL),
    F(valid_rcodes, CONF_STRS, NULL),
#undef F
#define F(m) CONF_FIELD(struct blackbox_dns, m, #m "_rrs", CONF_STRUCT, CONF_OMIT, &rrs_type)
    F(validate_answer),
    F(validate_authority),
    F(validate_additional),
#undef F
};
static const struct blackbox_dns dns_defaults = { .ip = { .ip_protocol_fallback = true },
                                                  .recursion_desired = true };
static const struct conf_type dns_type = CONF_TYPE("config.plain", struct blackbox_dns, dns_fields,
                                                   &dns_defaults, dns_check);

/* ---- grpc, websocket ---- */

static const struct conf_field grpc_fields[] = {
#define F(m, kind, type) CONF_FIELD(struct blackbox_grpc, m, #m, kind, CONF_OMIT, type)
    F(service, CONF_STR, NULL),
    F(tls, CONF_BOOL, NULL),
    F(tls_config, CONF_STRUCT, &conf_tls_type),
    CONF_FIELD(struct blackbox_grpc, ip, "", CONF_INLINE, 0, &ip_type),
    F(metadata, CONF_MULTIMAP, NULL),
#undef F
};
static const struct blackbox_grpc grpc_defaults = { .ip = { .ip_protocol_fallback = true } };
static const struct conf_type grpc_type = CONF_TYPE("config.plain", struct blackbox_grpc,
                                                    grpc_fields, &grpc_defaults, NULL);

static const struct conf_field websocket_fields[] = {
#define F(m, kind, type) CONF_FIELD(struct blackbox_websocket, m, #m, kind, CONF_OMIT, type)
    F(http_config, CONF_PTR, &conf_http_type),
    F(headers, CONF_MULTIMAP, NULL),
    F(query_response, CONF_LIST, &step_type),
    CONF_FIELD(struct blackbox_websocket, ip, "", CONF_INLINE, 0, &ip_type),
#undef F
};
static const struct blackbox_websocket websocket_defaults = { .ip = {
                                                                  .ip_protocol_fallback = true } };
static const struct conf_type websocket_type = CONF_TYPE(
    "config.plain", struct blackbox_websocket, websocket_fields, &websocket_defaults, NULL);

/* ---- a module ---- */

static const char *const prober_names[] = { "http", "tcp",  "dns",      "icmp",
                                            "grpc", "unix", "websocket" };

static bool module_check(struct conf_reader *r, const struct yaml_node *n, void *obj, struct err *e)
{
    struct blackbox_module *m = obj;

    if (!m->dns.type) { // without a dns section
        m->dns.class = 1;
        m->dns.type = 255;
    }
    for (size_t i = 0; i < ARRAY_LEN(prober_names); i++) {
        if (!str_eq_c(m->prober_name, prober_names[i]))
            continue;
        m->prober = (enum blackbox_prober)i;
        return true;
    }
    return conf_fail(e, n, "prober '%.*s' is not valid", STRF(m->prober_name));
}

static const struct conf_field module_fields[] = {
#define F(m, key, kind, type) CONF_FIELD(struct blackbox_module, m, key, kind, CONF_OMIT, type)
    F(prober_name, "prober", CONF_STR, NULL),
    F(timeout_ms, "timeout", CONF_DURATION, NULL),
    F(http, "http", CONF_STRUCT, &http_type),
    F(tcp, "tcp", CONF_STRUCT, &tcp_type),
    F(icmp, "icmp", CONF_STRUCT, &icmp_type),
    F(dns, "dns", CONF_STRUCT, &dns_type),
    F(grpc, "grpc", CONF_STRUCT, &grpc_type),
    F(unix_socket, "unix", CONF_STRUCT, &unix_type),
    F(websocket, "websocket", CONF_STRUCT, &websocket_type),
#undef F
};
static const struct blackbox_module module_defaults = {
    .http = { .ip = { .ip_protocol_fallback = true },
              .http = { .follow_redirects = true, .enable_http2 = true } },
    .tcp = { .ip = { .ip_protocol_fallback = true } },
    .icmp = { .ip = { .ip_protocol_fallback = true }, .ttl = 64 },
    .dns = { .ip = { .ip_protocol_fallback = true }, .recursion_desired = true },
    .grpc = { .ip = { .ip_protocol_fallback = true } },
    .websocket = { .ip = { .ip_protocol_fallback = true } },
};
static const struct conf_type module_type = CONF_TYPE(
    "config.plain", struct blackbox_module, module_fields, &module_defaults, module_check);

/* ---- the file ---- */

struct file_read {
    const struct yaml_node *modules;
};
static const struct conf_field file_fields[] = {
    CONF_FIELD(struct file_read, modules, "modules", CONF_NODE, 0, NULL),
};
static const struct conf_type file_type = CONF_TYPE("config.plain", struct file_read, file_fields,
                                                    NULL, NULL);

static int cmp_module(const void *a, const void *b, void *ctx UNUSED)
{
    const struct blackbox_module *const *x = a, *const *y = b;

    return str_cmp((*x)->name, (*y)->name);
}

static bool read_modules(struct blackbox_config *c, struct conf_reader *r,
                         const struct yaml_node *modules, struct err *e)
{
    if (yaml_is_null(modules))
        return true;
    if (modules->kind != YAML_MAPPING)
        return conf_fail(e, modules, "modules: expected a mapping of names to modules, got %s",
                         yaml_kind_name(modules));
    for (size_t i = 0; i < modules->n; i++) {
        struct blackbox_module *m = arena_new(&c->arena, struct blackbox_module);
        if (!conf_read(r, &module_type, modules->pairs[i].value, m, e))
            return err_wrap(e, "error parsing config file: module %.*s",
                            STRF(modules->pairs[i].key->text));
        m->name = modules->pairs[i].key->text;
        *vec_push_in(&c->arena, &c->modules) = m;
    }
    sort_stable(c->modules.v, c->modules.n, sizeof *c->modules.v, cmp_module, NULL);
    return true;
}

bool blackbox_config_parse(struct blackbox_config **out, struct str text, struct err *e)
{
    OWNED(blackbox_config_put) struct blackbox_config *c = xcalloc(1, sizeof *c);
    struct conf_reader r = { .arena = &c->arena, .ctx = c };
    const struct yaml_node *root;
    struct file_read f = { 0 };

    atomic_init(&c->refs, 1);
    text = arena_str(&c->arena, text);
    if (!yaml_parse(&c->arena, text, &root, e) || !conf_read(&r, &file_type, root, &f, e))
        return err_wrap(e, "error parsing config file");
    if (!read_modules(c, &r, f.modules, e))
        return false;
    *out = TAKE(c);
    return true;
}

// What the exporter's own packages ship, without what a network must allow.
static const char built_in[] =
    "modules:\n"
    "  http_2xx: { prober: http, http: { preferred_ip_protocol: ip4 } }\n"
    "  http_post_2xx: { prober: http, http: { method: POST } }\n"
    "  tcp_connect: { prober: tcp }\n"
    "  pop3s_banner:\n"
    "    prober: tcp\n"
    "    tcp: { query_response: [{ expect: '^+OK' }], tls: true }\n"
    "  grpc: { prober: grpc, grpc: { tls: true, preferred_ip_protocol: ip4 } }\n"
    "  grpc_plain: { prober: grpc, grpc: { tls: false, service: service1 } }\n"
    "  ssh_banner:\n"
    "    prober: tcp\n"
    "    tcp: { query_response: [{ expect: '^SSH-2.0-' }, { send: SSH-2.0-blackbox-ssh-check }] }\n"
    "  ssh_banner_extract:\n"
    "    prober: tcp\n"
    "    timeout: 5s\n"
    "    tcp:\n"
    "      query_response:\n"
    "      - expect: '^SSH-2.0-([^ -]+)(?: (.*))?$'\n"
    "        labels: [{ name: ssh_version, value: '${1}' }, { name: ssh_comments, value: '${2}' "
    "}]\n"
    "  irc_banner:\n"
    "    prober: tcp\n"
    "    tcp:\n"
    "      query_response:\n"
    "      - send: NICK prober\n"
    "      - send: 'USER prober prober prober :prober'\n"
    "      - { expect: 'PING :([^ ]+)', send: 'PONG ${1}' }\n"
    "      - expect: '^:[^ ]+ 001'\n"
    "  icmp: { prober: icmp }\n"
    "  icmp_ttl5: { prober: icmp, timeout: 5s, icmp: { ttl: 5 } }\n"
    "  websocket: { prober: websocket }\n"
    "  postgresql:\n"
    "    prober: tcp\n"
    "    tcp:\n"
    "      query_response:\n"
    "      - send: !!binary AAAACATSFi8=\n"
    "      - expect_bytes: S\n"
    "      - starttls: true\n";

bool blackbox_config_load(struct blackbox_config **out, const char *path, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct str text;

    if (!path)
        return blackbox_config_parse(out, str_c(built_in), e);
    if (!file_read(&a, path, 16 << 20, &text, e))
        return err_wrap(e, "error reading config file");
    if (blackbox_config_parse(out, text, e))
        return true;
    struct pos at = e->pos;
    return at.line ? err_wrap(e, "%s:%u:%u", path, at.line, at.col) : err_wrap(e, "%s", path);
}

struct blackbox_config *blackbox_config_get(struct blackbox_config *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void blackbox_config_put(struct blackbox_config *c)
{
    // acq_rel: what other holders did happens before the end
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < c->patterns.n; i++)
        regex_free(c->patterns.v[i]);
    vec_fini(&c->patterns);
    arena_fini(&c->arena);
    xfree(c);
}

size_t blackbox_config_count(const struct blackbox_config *c)
{
    return c->modules.n;
}

const struct blackbox_module *blackbox_config_at(const struct blackbox_config *c, size_t i)
{
    return i < c->modules.n ? c->modules.v[i] : NULL;
}

const struct blackbox_module *blackbox_config_find(const struct blackbox_config *c, struct str name)
{
    for (size_t i = 0; i < c->modules.n; i++)
        if (str_eq(c->modules.v[i]->name, name))
            return c->modules.v[i];
    return NULL;
}

void blackbox_module_print(struct buf *b, const struct blackbox_module *m)
{
    conf_print(b, &module_type, m, 0);
}

void blackbox_config_print(struct buf *b, const struct blackbox_config *c)
{
    buf_lit(b, "modules:\n");
    for (size_t i = 0; i < c->modules.n; i++) {
        buf_lit(b, "  ");
        buf_yaml_scalar(b, c->modules.v[i]->name);
        buf_lit(b, ":\n");
        conf_print(b, &module_type, c->modules.v[i], 4);
    }
}
