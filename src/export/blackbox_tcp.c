// blackbox_tcp.c - the tcp and unix probers: connect, then a dialogue of lines and bytes.
// SPDX-License-Identifier: Apache-2.0
#include "export/blackbox_priv.h"
#include "net/tls.h"

enum { LINE_MAX_BYTES = 64 << 10, GROUPS_MAX = 64 };

struct dialogue {
    struct probe *p;
    struct dial *d;
    struct buf in; // read and not yet used
    size_t at;
    bool ended;
    double failed_regex, failed_bytes;
};

static bool fill(struct dialogue *g)
{
    struct err e = { 0 };
    char room[4096];
    size_t n;

    if (!dial_read(g->d, room, sizeof room, &n, &e)) {
        probe_error(g->p, "Error reading from connection", KV_ERR(&e));
        return false;
    }
    g->ended = n == 0;
    buf_bytes(&g->in, room, n);
    return true;
}

// The next line without its end; 1: one, 0: the connection ended, -1: failed and logged.
static int next_line(struct dialogue *g, struct str *line)
{
    for (;;) {
        struct str rest = str_sub(buf_view(&g->in), g->at, g->in.n);
        size_t nl = str_find_char(rest, '\n');

        if (nl != STR_NPOS || (g->ended && rest.n)) {
            size_t n = nl != STR_NPOS ? nl : rest.n;
            g->at += nl != STR_NPOS ? nl + 1 : rest.n;
            *line = str_sub(rest, 0, n && rest.p[n - 1] == '\r' ? n - 1 : n);
            return 1;
        }
        if (g->ended)
            return 0;
        if (rest.n > LINE_MAX_BYTES) {
            probe_error(g->p, "Error reading from connection", KV("err", "token too long"));
            return -1;
        }
        if (!fill(g))
            return -1;
    }
}

static void add_expect_info(struct dialogue *g, const struct blackbox_step *s, struct str line)
{
    static const struct export_desc d = { "probe_expect_info", "Explicit content matched",
                                          EXPO_GAUGE };
    struct expo_label *l = arena_array(g->p->a, s->labels.n, struct expo_label);

    for (size_t i = 0; i < s->labels.n; i++) {
        const struct blackbox_label *from = s->labels.v[i];
        OWNED(buf_fini) struct buf value = { 0 };
        regex_expand(s->re, line, from->value, &value);
        l[i] = (struct expo_label){ from->name, arena_str(g->p->a, buf_view(&value)) };
    }
    export_add(&g->p->set, &d, 1, l, s->labels.n);
}

// Reads lines until one matches; *send becomes what the step answers to it.
static bool expect_line(struct dialogue *g, const struct blackbox_step *s, struct buf *send)
{
    struct str line = STR("");

    for (;;) {
        int r = next_line(g, &line);
        if (r < 0)
            return false;
        if (r == 0) {
            g->failed_regex = 1;
            probe_error(g->p, "Regexp did not match", KV_STR("regexp", s->expect),
                        KV_STR("line", line));
            return false;
        }
        probe_info(g->p, "Read line", KV_STR("line", line));
        if (regex_match(s->re, line))
            break;
    }
    probe_info(g->p, "Regexp matched", KV_STR("regexp", s->expect), KV_STR("line", line));
    g->failed_regex = 0;
    buf_reset(send);
    regex_expand(s->re, line, s->send, send);
    if (s->labels.n)
        add_expect_info(g, s, line);
    return true;
}

static bool expect_bytes(struct dialogue *g, const struct blackbox_step *s)
{
    while (g->in.n - g->at < s->expect_bytes.n && !g->ended)
        if (!fill(g))
            return false;
    struct str got = str_sub(buf_view(&g->in), g->at, g->at + s->expect_bytes.n);
    g->at += got.n;
    if (got.n < s->expect_bytes.n) {
        probe_error(g->p, "Read less data than expected", KV_STR("expected", s->expect_bytes),
                    KV_STR("bytes", got));
        return false;
    }
    g->failed_bytes = !str_eq(got, s->expect_bytes);
    if (g->failed_bytes != 0)
        probe_error(g->p, "Bytes did not match", KV_STR("expected", s->expect_bytes),
                    KV_STR("bytes", got));
    return g->failed_bytes == 0;
}

static bool begin_tls(struct probe *p, struct dial *d, const struct conf_tls *t, struct str name)
{
    OWNED(http_tls_free) struct http_tls *tls = NULL;
    struct tls_peer peer;
    struct err e = { 0 };

    if (!probe_tls_new(p, t, &tls))
        return false;
    if (!dial_tls(d, tls, name.n ? arena_cstr(p->a, name) : NULL, false, &e)) {
        probe_error(p, "TLS handshake failed", KV_ERR(&e));
        return false;
    }
    probe_info(p, "TLS handshake succeeded");
    if (tls_peer_read(&d->s, p->a, &peer))
        probe_add_tls(p, &peer, PROBE_TLS_CHAIN);
    return true;
}

static bool run_step(struct dialogue *g, const struct blackbox_step *s,
                     const struct blackbox_tcp *m, struct str tls_name)
{
    OWNED(buf_fini) struct buf send = { 0 };
    struct err e = { 0 };

    buf_str(&send, s->send);
    if ((s->expect.n && !expect_line(g, s, &send)) || (s->expect_bytes.n && !expect_bytes(g, s)))
        return false;
    if (send.n) {
        probe_info(g->p, "Sending line", KV_STR("line", buf_view(&send)));
        buf_char(&send, '\n');
        if (!dial_write(g->d, buf_view(&send), &e)) {
            probe_error(g->p, "Failed to send", KV_ERR(&e));
            return false;
        }
    }
    if (!s->starttls)
        return true;
    g->at = g->in.n; // what came in the clear is not part of what is secured
    return begin_tls(g->p, g->d, &m->tls_config, tls_name);
}

bool probe_dialogue(struct probe *p, struct dial *d, const struct blackbox_tcp *m,
                    struct str tls_name)
{
    struct dialogue g = { .p = p, .d = d };
    bool ok = true;

    for (size_t i = 0; i < m->query_response.n && ok; i++)
        ok = run_step(&g, m->query_response.v[i], m, tls_name);
    buf_fini(&g.in);
    PROBE_GAUGE(p, "probe_failed_due_to_regex", "Indicates if probe failed due to regex",
                g.failed_regex);
    PROBE_GAUGE(p, "probe_failed_due_to_bytes", "Indicates if probe failed due to bytes",
                g.failed_bytes);
    return ok;
}

bool probe_tcp(struct probe *p)
{
    const struct blackbox_tcp *m = &p->module->tcp;
    OWNED(dial_end) struct dial d = dial_closed(p->deadline_mono_ns);
    struct dial_address to, room;
    const struct dial_address *source;
    struct err e = { 0 };
    struct str host;
    double seconds;
    int port;

    if (!probe_split(p->target, &host, &port)) {
        probe_error(p, "Error splitting target address and port");
        return false;
    }
    if (!probe_choose(p, &m->ip, host, &to, &seconds) ||
        !probe_source(p, m->source_ip_address, &room, &source))
        return false;
    dial_address_set_port(&to, port);
    if (!dial_tcp(&d, &to, source, &e)) {
        probe_error(p, "Error dialing TCP", KV_ERR(&e));
        return false;
    }
    probe_info(p, "Successfully dialed");
    struct str name = p->hostname.n ? p->hostname : host;
    if (m->tls && !begin_tls(p, &d, &m->tls_config, name))
        return false;
    return probe_dialogue(p, &d, m, name);
}

bool probe_unix(struct probe *p)
{
    const struct blackbox_tcp *m = &p->module->unix_socket;
    OWNED(dial_end) struct dial d = dial_closed(p->deadline_mono_ns);
    struct err e = { 0 };

    if (!dial_unix(&d, p->target, &e)) {
        probe_error(p, "Error dialing Unix socket", KV_ERR(&e));
        return false;
    }
    probe_info(p, "Successfully dialed");
    if (m->tls && !begin_tls(p, &d, &m->tls_config, STR("")))
        return false;
    return probe_dialogue(p, &d, m, STR(""));
}
