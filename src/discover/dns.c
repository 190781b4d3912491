// dns.c - the C library's resolver; answers are parsed with its own checked readers.
// SPDX-License-Identifier: Apache-2.0
#include "discover/dns.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>

#include "base/bytes.h"
#include "base/vec.h"

enum { ANSWER_MAX = 65536 };

static ns_type type_of(struct str s)
{
    static const struct {
        const char *name;
        ns_type type;
    } types[] = { { "A", ns_t_a },
                  { "AAAA", ns_t_aaaa },
                  { "SRV", ns_t_srv },
                  { "MX", ns_t_mx },
                  { "NS", ns_t_ns } };

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_eq_nocase(s, str_c(types[i].name)))
            return types[i].type;
    return ns_t_invalid;
}

static bool name_of(const ns_msg *msg, const unsigned char *p, struct arena *a, struct str *out)
{
    char name[NS_MAXDNAME];

    if (dn_expand(ns_msg_base(*msg), ns_msg_end(*msg), p, name, sizeof name) < 0)
        return false;
    *out = arena_str(a, str_c(name));
    return true;
}

static bool record_of(const ns_msg *msg, const ns_rr *rr, ns_type type, struct arena *a,
                      struct dns_record *out)
{
    char text[INET6_ADDRSTRLEN];
    const unsigned char *p = ns_rr_rdata(*rr);
    size_t n = ns_rr_rdlen(*rr);

    switch (type) {
    case ns_t_a:
    case ns_t_aaaa:
        if (n != (type == ns_t_a ? 4u : 16u) ||
            !inet_ntop(type == ns_t_a ? AF_INET : AF_INET6, p, text, sizeof text))
            return false;
        out->host = arena_str(a, str_c(text));
        return true;
    case ns_t_srv:
        if (n < 7)
            return false;
        out->port = get_be16(p + 4);
        return name_of(msg, p + 6, a, &out->host);
    case ns_t_mx:
        return n > 2 && name_of(msg, p + 2, a, &out->host);
    default:
        return name_of(msg, p, a, &out->host);
    }
}

bool dns_answer_read(struct arena *a, struct str answer, struct str type, struct dns_record **out,
                     size_t *n, struct err *e)
{
    VEC(struct dns_record) records = { 0 };
    ns_type want = type_of(type);
    ns_msg msg;

    if (answer.n > INT32_MAX ||
        ns_initparse((const unsigned char *)answer.p, (int)answer.n, &msg) != 0)
        return err_set(e, ERR_INVALID, "malformed DNS answer");
    for (int i = 0; i < ns_msg_count(msg, ns_s_an); i++) {
        struct dns_record r = { 0 };
        ns_rr rr;
        if (ns_parserr(&msg, ns_s_an, i, &rr) == 0 && ns_rr_type(rr) == want &&
            record_of(&msg, &rr, want, a, &r))
            *vec_push_in(a, &records) = r;
    }
    *out = records.v;
    *n = records.n;
    return true;
}

bool dns_lookup(struct arena *a, struct str name, struct str type, struct dns_record **out,
                size_t *n, struct err *e)
{
    struct __res_state state = { 0 };
    unsigned char *answer = arena_raw(a, ANSWER_MAX);

    if (res_ninit(&state) != 0)
        return err_set(e, ERR_IO, "cannot read /etc/resolv.conf");
    state.retrans = 2;
    state.retry = 2;
    int len = res_nsearch(&state, arena_cstr(a, name), ns_c_in, (int)type_of(type), answer,
                          ANSWER_MAX);
    int why = state.res_h_errno;
    res_nclose(&state);
    if (len < 0 && (why == HOST_NOT_FOUND || why == NO_DATA)) {
        *out = NULL;
        *n = 0;
        return true;
    }
    if (len < 0)
        return err_set(e, ERR_UNAVAILABLE, "no answer for %.*s records of %.*s: %s", STRF(type),
                       STRF(name), hstrerror(why));
    return dns_answer_read(a, str_of((const char *)answer, (size_t)MIN(len, (int)ANSWER_MAX)), type,
                           out, n, e);
}
