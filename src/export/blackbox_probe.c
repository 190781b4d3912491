// blackbox_probe.c - what all probers use: the probe's log, addresses, TLS metrics.
// SPDX-License-Identifier: Apache-2.0
#include <netdb.h>

#include "base/hash.h"
#include "export/blackbox_priv.h"
#include "net/http_client.h"
#include "net/tls.h"

/* ---- metrics ---- */

void probe_add(struct probe *p, const char *name, const char *help, double v, const char *label,
               struct str value)
{
    struct expo_label l = { str_c(label), value };

    export_add(&p->set, &(struct export_desc){ name, help, EXPO_GAUGE }, v, &l, 1);
}

void probe_add_tls(struct probe *p, const struct tls_peer *peer, unsigned more)
{
    static const struct export_desc info = { "probe_ssl_last_chain_info",
                                             "Contains SSL leaf certificate information",
                                             EXPO_GAUGE };
    struct expo_label l[] = {
        { STR("fingerprint_sha256"), peer->fingerprint },
        { STR("subject"), peer->subject },
        { STR("issuer"), peer->issuer },
        { STR("subjectalternative"), peer->dns_names },
        { STR("serialnumber"), peer->serial },
    };
    // Go's zero time: what upstream shows when nothing was verified.
    double expiry = peer->verified ? (double)peer->chain_expiry_s : -62135596800.0;

    PROBE_GAUGE(p, "probe_ssl_earliest_cert_expiry", "Returns last SSL chain expiry in unixtime",
                (double)peer->earliest_expiry_s);
    probe_add(p, "probe_tls_version_info", "Returns the TLS version used or NaN when unknown", 1,
              "version", str_c(peer->version));
    export_add(&p->set, &info, 1, l, ARRAY_LEN(l));
    if (more & PROBE_TLS_CHAIN)
        PROBE_GAUGE(p, "probe_ssl_last_chain_expiry_timestamp_seconds",
                    "Returns last SSL chain expiry in timestamp", expiry);
    if (more & PROBE_TLS_CIPHER)
        probe_add(p, "probe_tls_cipher_info", "Returns the TLS cipher negotiated during handshake",
                  1, "cipher", str_c(peer->cipher));
}

double probe_seconds_since(int64_t begin_mono_ns)
{
    return (double)(clock_mono_ns(clock_real()) - begin_mono_ns) / 1e9;
}

/* ---- the log ---- */

static void log_value(struct buf *b, struct str s)
{
    bool plain = s.n > 0;

    for (size_t i = 0; i < s.n && plain; i++)
        plain = s.p[i] > ' ' && s.p[i] != '"' && s.p[i] != '=' && s.p[i] != '\\' && s.p[i] != 127;
    if (plain) {
        buf_str(b, s);
        return;
    }
    buf_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_lit(b, "\\n");
        else if (c == '\r')
            buf_lit(b, "\\r");
        else if (c < ' ' || c == 127)
            buf_printf(b, "\\x%02x", c);
        else
            buf_char(b, (char)c);
    }
    buf_char(b, '"');
}

void probe_log_write(struct probe *p, const char *level, const char *text, const struct log_kv *kv,
                     size_t n)
{
    enum { LOG_MAX = 256 << 10 }; // bytes of one probe's log
    struct buf *b = &p->log;

    if (b->n > LOG_MAX)
        return;
    buf_lit(b, "time=");
    buf_rfc3339_ms(b, clock_ms(clock_real()));
    buf_printf(b, " level=%s msg=", level);
    log_value(b, str_c(text));
    buf_lit(b, " module=");
    log_value(b, p->module->name);
    buf_lit(b, " target=");
    log_value(b, p->target);
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, " %s=", kv[i].key);
        if (kv[i].kind == LOG_KV_STR)
            log_value(b, str_sub(kv[i].s, 0, 1024));
        else if (kv[i].kind == LOG_KV_I64)
            buf_i64(b, kv[i].i);
        else if (kv[i].kind == LOG_KV_U64)
            buf_u64(b, kv[i].u);
        else
            buf_double_g(b, kv[i].f);
    }
    buf_char(b, '\n');
}

/* ---- addresses ---- */

bool probe_resolve(struct probe *p, const struct blackbox_ip *ip, struct str host,
                   struct dial_address *out, struct err *e)
{
    bool want_v6 = !str_eq(ip->preferred_ip_protocol, STR("ip4"));
    int family = ip->ip_protocol_fallback ? AF_UNSPEC : want_v6 ? AF_INET6 : AF_INET;
    struct dial_address *v;
    size_t n, at = 0;

    if (!dialer_resolve(p->dialer, p->a, host, family, p->deadline_mono_ns, &v, &n, e))
        return false;
    while (at < n && dial_address_is_v6(&v[at]) != want_v6)
        at++;
    *out = v[at < n ? at : 0];
    return dialer_check(p->dialer, out, e);
}

// FNV-1a over the address, as upstream: dashboards compare it between scrapes.
static double hash_of(const struct dial_address *a)
{
    const unsigned char *bytes;
    uint32_t h = 2166136261u;
    size_t n = dial_address_is_v6(a) ? 16 : 4;

    if (dial_address_is_v6(a))
        bytes = (const unsigned char *)&((const struct sockaddr_in6 *)&a->sa)->sin6_addr;
    else
        bytes = (const unsigned char *)&((const struct sockaddr_in *)&a->sa)->sin_addr;
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * 16777619u;
    return h;
}

bool probe_choose(struct probe *p, const struct blackbox_ip *ip, struct str host,
                  struct dial_address *out, double *seconds)
{
    int64_t begin = clock_mono_ns(clock_real());
    double protocol = 0, hash = 0;
    struct err e = { 0 };
    OWNED(buf_fini) struct buf text = { 0 };

    probe_info(p, "Resolving target address",
               KV("ip_protocol", str_eq(ip->preferred_ip_protocol, STR("ip4")) ? "ip4" : "ip6"));
    bool ok = probe_resolve(p, ip, host, out, &e);
    *seconds = probe_seconds_since(begin);
    if (ok) {
        protocol = dial_address_is_v6(out) ? 6 : 4;
        hash = hash_of(out);
        buf_dial_address(&text, out);
        probe_info(p, "Resolved target address", KV_STR("ip", buf_view(&text)));
    } else {
        probe_error(p, "Error resolving address", KV_ERR(&e));
    }
    PROBE_GAUGE(p, "probe_ip_protocol", "Specifies whether probe ip protocol is IP4 or IP6",
                protocol);
    PROBE_GAUGE(p, "probe_dns_lookup_time_seconds",
                "Returns the time taken for probe dns lookup in seconds", *seconds);
    PROBE_GAUGE(p, "probe_ip_addr_hash",
                "Specifies the hash of IP address. It's useful to detect if the IP address "
                "changes.",
                hash);
    return ok;
}

bool probe_split(struct str target, struct str *host, int *port)
{
    size_t colon = str_rfind_char(target, ':');
    uint64_t n;

    if (colon == STR_NPOS || !str_to_u64(str_sub(target, colon + 1, target.n), &n) || n > 65535)
        return false;
    struct str h = str_sub(target, 0, colon);
    if (h.n > 1 && h.p[0] == '[' && h.p[h.n - 1] == ']')
        h = str_sub(h, 1, h.n - 1);
    else if (str_find_char(h, ':') != STR_NPOS)
        return false; // an IPv6 address alone
    *host = h;
    *port = (int)n;
    return true;
}

bool probe_source(struct probe *p, struct str text, struct dial_address *room,
                  const struct dial_address **out)
{
    *out = NULL;
    if (!text.n)
        return true;
    if (!dial_address_parse(text, room)) {
        probe_error(p, "Error parsing source ip address", KV_STR("srcIP", text));
        return false;
    }
    *out = room;
    return true;
}

/* ---- TLS and secrets ---- */

static int version_of(struct str s)
{
    static const char *const names[] = { "TLS10", "TLS11", "TLS12", "TLS13" };

    for (int i = 0; i < 4; i++)
        if (str_eq_c(s, names[i]))
            return 0x0301 + i;
    return 0;
}

bool probe_tls_new(struct probe *p, const struct conf_tls *t, struct http_tls **out)
{
    struct err e;
    struct tls_client_options o = {
        .ca_file = t->ca_file.n ? arena_cstr(p->a, t->ca_file) : NULL,
        .cert_file = t->cert_file.n ? arena_cstr(p->a, t->cert_file) : NULL,
        .key_file = t->key_file.n ? arena_cstr(p->a, t->key_file) : NULL,
        .server_name = t->server_name.n ? arena_cstr(p->a, t->server_name) : NULL,
        .ca = t->ca,
        .cert = t->cert,
        .key = t->key,
        .insecure_skip_verify = t->insecure_skip_verify,
        .min_version = version_of(t->min_version),
        .max_version = version_of(t->max_version),
    };

    bool usual = !o.ca_file && !o.cert_file && !o.key_file && !o.server_name && !o.ca.n &&
                 !o.cert.n && !o.insecure_skip_verify && !o.min_version && !o.max_version;
    if (usual) { // reading all of the system's certificates costs more than the probe
        *out = tls_get(p->usual_tls);
        return true;
    }
    if (http_tls_new(out, &o, &e))
        return true;
    probe_error(p, "Error creating TLS configuration", KV_ERR(&e));
    return false;
}

bool probe_secret(struct probe *p, struct str text, struct str file, struct str *out, struct err *e)
{
    *out = text;
    if (!file.n)
        return true;
    if (!file_read(p->a, arena_cstr(p->a, file), 1 << 20, out, e))
        return false;
    *out = str_trim(*out);
    return true;
}
