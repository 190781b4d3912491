/*
 * blackbox_dns.c - the dns prober: one question, and what its records must be.
 *
 * Records are matched in their presentation form, "example.com.\t300\tIN\tA\t192.0.2.1", as the
 * patterns of existing configurations expect.
 */
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <resolv.h>

#include "base/bytes.h"
#include "base/rand.h"
#include "export/blackbox_priv.h"

enum { QUESTION_MAX = 512, ANSWER_MAX = 65535 };

struct asking {
    struct probe *p;
    double resolve, connect, request, answers, authority, additional, succeeded;
    bool has_serial;
    double serial;
};

/* ---- the question ---- */

static bool make_question(struct probe *p, uint16_t id, struct buf *out)
{
    const struct blackbox_dns *m = &p->module->dns;
    unsigned char room[QUESTION_MAX];
    struct str name = m->query_name;
    int n = res_mkquery(QUERY, name.n ? arena_cstr(p->a, name) : ".", m->class, m->type, NULL, 0,
                        NULL, room, sizeof room);

    if (n < NS_HFIXEDSZ) {
        probe_error(p, "Error making DNS query", KV_STR("query", name));
        return false;
    }
    room[0] = (unsigned char)(id >> 8);
    room[1] = (unsigned char)id;
    room[2] = (unsigned char)(m->recursion_desired ? room[2] | 1 : room[2] & ~1);
    buf_bytes(out, room, (size_t)n);
    return true;
}

/* ---- records as text ---- */

static bool put_name(struct buf *b, const ns_msg *h, const unsigned char *at)
{
    char name[NS_MAXDNAME];
    int n = ns_name_uncompress(ns_msg_base(*h), ns_msg_end(*h), at, name, sizeof name);

    if (n < 0)
        return false;
    buf_str(b, str_c(name));
    if (!b->n || b->p[b->n - 1] != '.')
        buf_char(b, '.');
    return true;
}

static void put_text(struct buf *b, const unsigned char *p, size_t n)
{
    buf_char(b, '"');
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '"' || p[i] == '\\')
            buf_printf(b, "\\%c", p[i]);
        else if (p[i] < 32 || p[i] > 126)
            buf_printf(b, "\\%03u", p[i]);
        else
            buf_char(b, (char)p[i]);
    }
    buf_char(b, '"');
}

static void put_texts(struct buf *b, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i += (size_t)p[i] + 1) {
        if (i)
            buf_char(b, ' ');
        put_text(b, p + i + 1, MIN((size_t)p[i], n - i - 1));
    }
}

static bool put_soa(struct asking *q, struct buf *b, const ns_msg *h, const unsigned char *p,
                    size_t n)
{
    const unsigned char *end = p + n;
    char name[NS_MAXDNAME];

    for (int i = 0; i < 2; i++) {
        int used = ns_name_uncompress(ns_msg_base(*h), ns_msg_end(*h), p, name, sizeof name);
        if (used < 0 || !put_name(b, h, p))
            return false;
        buf_char(b, ' ');
        p += used;
    }
    if (end - p < 20)
        return false;
    q->serial = get_be32((const char *)p);
    q->has_serial = true;
    for (int i = 0; i < 5; i++)
        buf_printf(b, "%s%u", i ? " " : "", get_be32((const char *)p + 4 * i));
    return true;
}

// The data of the kinds that configurations match; others as RFC 3597 writes unknown ones.
static bool put_data(struct asking *q, struct buf *b, const ns_msg *h, const ns_rr *rr)
{
    const unsigned char *p = ns_rr_rdata(*rr);
    size_t n = ns_rr_rdlen(*rr);
    char text[INET6_ADDRSTRLEN];

    switch (ns_rr_type(*rr)) {
    case ns_t_a:
        if (n != 4)
            return false;
        buf_str(b, str_c(inet_ntop(AF_INET, p, text, sizeof text)));
        return true;
    case ns_t_aaaa:
        if (n != 16)
            return false;
        buf_str(b, str_c(inet_ntop(AF_INET6, p, text, sizeof text)));
        return true;
    case ns_t_ns:
    case ns_t_cname:
    case ns_t_ptr:
        return put_name(b, h, p);
    case ns_t_mx:
        if (n < 3)
            return false;
        buf_printf(b, "%u ", get_be16((const char *)p));
        return put_name(b, h, p + 2);
    case ns_t_srv:
        if (n < 7)
            return false;
        buf_printf(b, "%u %u %u ", get_be16((const char *)p), get_be16((const char *)p + 2),
                   get_be16((const char *)p + 4));
        return put_name(b, h, p + 6);
    case ns_t_txt:
        put_texts(b, p, n);
        return true;
    case ns_t_soa:
        return put_soa(q, b, h, p, n);
    case 257: // CAA
        if (n < 2 || n < 2 + (size_t)p[1])
            return false;
        buf_printf(b, "%u %.*s ", p[0], p[1], (const char *)p + 2);
        put_text(b, p + 2 + p[1], n - 2 - p[1]);
        return true;
    default:
        buf_printf(b, "\\# %zu ", n);
        for (size_t i = 0; i < n; i++)
            buf_printf(b, "%02x", p[i]);
        return true;
    }
}

static void put_record(struct asking *q, struct buf *b, const ns_msg *h, const ns_rr *rr)
{
    const char *type = blackbox_dns_type_name(ns_rr_type(*rr));
    const char *name = ns_rr_name(*rr);
    const char *class = ns_rr_class(*rr) == 3 ? "CH" : ns_rr_class(*rr) == 4 ? "HS" : "IN";

    buf_printf(b, "%s%s\t%u\t%s\t", strcmp(name, ".") == 0 ? "" : name, ".", ns_rr_ttl(*rr), class);
    if (type)
        buf_printf(b, "%s\t", type);
    else
        buf_printf(b, "TYPE%u\t", ns_rr_type(*rr));
    if (!put_data(q, b, h, rr))
        buf_lit(b, "(malformed)");
}

/* ---- what records must be ---- */

static bool any_matches(const struct blackbox_patterns *v, struct str text, struct str *which)
{
    for (size_t i = 0; i < v->n; i++) {
        *which = regex_pattern(v->v[i]);
        if (regex_match(v->v[i], text))
            return true;
    }
    return false;
}

static bool all_match(const struct blackbox_patterns *v, struct str text, struct str *which)
{
    for (size_t i = 0; i < v->n; i++) {
        *which = regex_pattern(v->v[i]);
        if (!regex_match(v->v[i], text))
            return false;
    }
    return true;
}

struct verdict {
    const struct blackbox_rrs *rules;
    const char *section;
    bool some_matched, all_matched, bad;
};

static void judge(struct asking *q, struct verdict *v, struct str text)
{
    struct str which;

    probe_info(q->p, "Validating RR", KV("section", v->section), KV_STR("rr", text));
    if (any_matches(&v->rules->matches, text, &which)) {
        probe_error(q->p, "At least one RR matched regexp", KV_STR("regexp", which),
                    KV_STR("rr", text));
        v->bad = true;
    }
    if (!all_match(&v->rules->not_matches, text, &which)) {
        probe_error(q->p, "At least one RR did not match regexp", KV_STR("regexp", which),
                    KV_STR("rr", text));
        v->bad = true;
    }
    if (!all_match(&v->rules->all_match, text, &which))
        v->all_matched = false;
    if (any_matches(&v->rules->none_matches, text, &which))
        v->some_matched = true;
}

static bool check_section(struct asking *q, ns_msg *h, ns_sect section,
                          const struct blackbox_rrs *rules, const char *name)
{
    struct verdict v = { .rules = rules, .section = name, .all_matched = true };
    int n = ns_msg_count(*h, section);

    if (!n && (rules->not_matches.n || rules->none_matches.n)) {
        probe_error(q->p,
                    "fail_if_not_matches_regexp or fail_if_none_matches_regexp specified "
                    "but no RRs returned",
                    KV("section", name));
        return false;
    }
    for (int i = 0; i < n && !v.bad; i++) {
        OWNED(buf_fini) struct buf text = { 0 };
        ns_rr rr;
        if (ns_parserr(h, section, i, &rr) < 0) {
            probe_error(q->p, "Malformed record", KV("section", name));
            return false;
        }
        put_record(q, &text, h, &rr);
        judge(q, &v, buf_view(&text));
    }
    if (!v.bad && rules->all_match.n && !v.all_matched) { // so upstream, its name aside
        probe_error(q->p, "Not all RRs matched regexp", KV("section", name));
        v.bad = true;
    }
    if (!v.bad && rules->none_matches.n && !v.some_matched) {
        probe_error(q->p, "None of the RRs did match any regexp", KV("section", name));
        v.bad = true;
    }
    return !v.bad;
}

static bool check_rcode(struct asking *q, int rcode)
{
    const struct conf_strs *valid = &q->p->module->dns.valid_rcodes;
    const char *name = blackbox_dns_rcode_name(rcode);
    bool ok = !valid->n && rcode == 0;

    for (size_t i = 0; i < valid->n; i++) {
        int want;
        if (!blackbox_dns_rcode(valid->v[i], &want)) {
            probe_error(q->p, "Invalid rcode", KV_STR("rcode", valid->v[i]));
            return false;
        }
        ok = ok || want == rcode;
    }
    if (!ok)
        probe_error(q->p, "Rcode is not one of the valid rcodes", KV_I64("rcode", rcode),
                    KV("string_rcode", name ? name : "unknown"));
    return ok;
}

static bool check_answer(struct asking *q, struct str in)
{
    const struct blackbox_dns *m = &q->p->module->dns;
    ns_msg h;

    if (ns_initparse((const unsigned char *)in.p, (int)in.n, &h) < 0) {
        probe_error(q->p, "Error while sending a DNS query", KV("err", "malformed answer"));
        return false;
    }
    q->answers = ns_msg_count(h, ns_s_an);
    q->authority = ns_msg_count(h, ns_s_ns);
    q->additional = ns_msg_count(h, ns_s_ar);
    q->succeeded = 1;
    if (m->type == ns_t_soa) { // its serial is shown whatever the checks say
        for (int i = 0; i < ns_msg_count(h, ns_s_an); i++) {
            OWNED(buf_fini) struct buf text = { 0 };
            ns_rr rr;
            if (ns_parserr(&h, ns_s_an, i, &rr) == 0)
                put_record(q, &text, &h, &rr);
        }
    }
    return check_rcode(q, (int)ns_msg_getflag(h, ns_f_rcode)) &&
           check_section(q, &h, ns_s_an, &m->validate_answer, "answer") &&
           check_section(q, &h, ns_s_ns, &m->validate_authority, "authority") &&
           check_section(q, &h, ns_s_ar, &m->validate_additional, "additional");
}

/* ---- the exchange ---- */

static bool read_exactly(struct dial *d, char *p, size_t n, struct err *e)
{
    for (size_t at = 0; at < n;) {
        size_t got;
        if (!dial_read(d, p + at, n - at, &got, e))
            return false;
        if (!got)
            return err_set(e, ERR_IO, "EOF");
        at += got;
    }
    return true;
}

static bool exchange_tcp(struct dial *d, struct str question, struct probe *p, struct str *answer,
                         struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };
    char head[2];

    buf_char(&b, (char)(question.n >> 8));
    buf_char(&b, (char)question.n);
    buf_str(&b, question);
    if (!dial_write(d, buf_view(&b), e) || !read_exactly(d, head, 2, e))
        return false;
    size_t n = get_be16(head);
    char *room = arena_raw(p->a, n + 1);
    *answer = str_of(room, n);
    return read_exactly(d, room, n, e);
}

// Datagrams with another id are not ours.
static bool exchange_udp(struct dial *d, struct str question, struct probe *p, struct str *answer,
                         struct err *e)
{
    char *room = arena_raw(p->a, ANSWER_MAX);

    if (!dial_write(d, question, e))
        return false;
    for (;;) {
        size_t n;
        if (!dial_read(d, room, ANSWER_MAX, &n, e))
            return false;
        *answer = str_of(room, n);
        if (n >= NS_HFIXEDSZ && memcmp(room, question.p, 2) == 0)
            return true;
    }
}

static bool connect_it(struct asking *q, struct dial *d, struct dial_address *to, struct str host)
{
    const struct blackbox_dns *m = &q->p->module->dns;
    OWNED(http_tls_free) struct http_tls *tls = NULL;
    struct dial_address room;
    const struct dial_address *source;
    struct err e = { 0 };

    if (!probe_source(q->p, m->source_ip_address, &room, &source))
        return false;
    bool tcp = str_eq(m->transport_protocol, STR("tcp"));
    if (!(tcp ? dial_tcp(d, to, source, &e) : dial_udp(d, to, source, &e))) {
        probe_error(q->p, "Error while sending a DNS query", KV_ERR(&e));
        return false;
    }
    if (!m->dns_over_tls)
        return true;
    if (!probe_tls_new(q->p, &m->tls_config, &tls))
        return false;
    if (dial_tls(d, tls, arena_cstr(q->p->a, host), false, &e))
        return true;
    probe_error(q->p, "Error while sending a DNS query", KV_ERR(&e));
    return false;
}

static bool ask(struct asking *q)
{
    struct probe *p = q->p;
    const struct blackbox_dns *m = &p->module->dns;
    OWNED(dial_end) struct dial d = dial_closed(p->deadline_mono_ns);
    OWNED(buf_fini) struct buf question = { 0 };
    bool tcp = str_eq(m->transport_protocol, STR("tcp"));
    struct dial_address to;
    struct err e = { 0 };
    struct str host, answer;
    int port;

    if (!tcp && m->transport_protocol.n && !str_eq(m->transport_protocol, STR("udp"))) {
        probe_error(p, "Configuration error: Expected transport protocol udp or tcp",
                    KV_STR("protocol", m->transport_protocol));
        return false;
    }
    if (m->dns_over_tls && !tcp) {
        probe_error(p, "Configuration error: Expected transport protocol tcp for DoT");
        return false;
    }
    if (!probe_split(p->target, &host, &port)) {
        host = p->target;
        port = m->dns_over_tls ? 853 : 53;
    }
    if (!probe_choose(p, &m->ip, host, &to, &q->resolve) ||
        !make_question(p, (uint16_t)rand_u64(), &question))
        return false;
    dial_address_set_port(&to, port);
    int64_t begin = clock_mono_ns(clock_real());
    if (!connect_it(q, &d, &to, host))
        return false;
    q->connect = probe_seconds_since(begin);
    begin = clock_mono_ns(clock_real());
    bool ok = tcp ? exchange_tcp(&d, buf_view(&question), p, &answer, &e)
                  : exchange_udp(&d, buf_view(&question), p, &answer, &e);
    q->request = probe_seconds_since(begin);
    if (!ok) {
        probe_error(p, "Error while sending a DNS query", KV_ERR(&e));
        return false;
    }
    return check_answer(q, answer);
}

bool probe_dns(struct probe *p)
{
    static const char name[] = "probe_dns_duration_seconds";
    static const char help[] = "Duration of DNS request by phase";
    struct asking q = { .p = p };
    bool ok = ask(&q);

    probe_add(p, name, help, q.resolve, "phase", STR("resolve"));
    probe_add(p, name, help, q.connect, "phase", STR("connect"));
    probe_add(p, name, help, q.request, "phase", STR("request"));
    PROBE_GAUGE(p, "probe_dns_answer_rrs",
                "Returns number of entries in the answer resource record list", q.answers);
    PROBE_GAUGE(p, "probe_dns_authority_rrs",
                "Returns number of entries in the authority resource record list", q.authority);
    PROBE_GAUGE(p, "probe_dns_additional_rrs",
                "Returns number of entries in the additional resource record list", q.additional);
    PROBE_GAUGE(p, "probe_dns_query_succeeded",
                "Displays whether or not the query was executed successfully", q.succeeded);
    if (q.succeeded != 0 && p->module->dns.type == ns_t_soa)
        PROBE_GAUGE(p, "probe_dns_serial", "Returns the serial number of the zone", q.serial);
    return ok;
}
