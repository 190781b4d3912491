/*
 * blackbox_icmp.c - the icmp prober: one echo request, its reply, the way's length.
 *
 * Ping sockets (net.ipv4.ping_group_range) need no privilege; raw ones are the way out, and the
 * only way to forbid fragments as upstream does.
 */
// SPDX-License-Identifier: Apache-2.0
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/rand.h"
#include "export/blackbox_priv.h"

enum { ECHO_HEAD = 8, PACKET_MAX = 66000 };

struct ping {
    struct probe *p;
    struct dial_address to;
    bool v6, raw;
    uint16_t id, seq;
    struct buf packet;
    double setup, rtt, hop_limit; // hop_limit < 0: unknown
};

static uint16_t checksum(const unsigned char *p, size_t n)
{
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    if (n & 1)
        sum += (uint32_t)p[n - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void make_packet(struct ping *g)
{
    static const char text[] = "Prometheus Blackbox Exporter";
    size_t size = (size_t)g->p->module->icmp.payload_size;
    size_t n = size ? size : sizeof text - 1;
    unsigned char head[ECHO_HEAD] = { g->v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO };

    head[4] = (unsigned char)(g->id >> 8);
    head[5] = (unsigned char)g->id;
    head[6] = (unsigned char)(g->seq >> 8);
    head[7] = (unsigned char)g->seq;
    buf_bytes(&g->packet, head, sizeof head);
    for (size_t i = 0; i < n; i++)
        buf_char(&g->packet, i < sizeof text - 1 ? text[i] : 0);
    if (g->v6)
        return; // the kernel's work
    uint16_t sum = checksum((unsigned char *)g->packet.p, g->packet.n);
    g->packet.p[2] = (char)(sum >> 8);
    g->packet.p[3] = (char)sum;
}

static bool open_socket(struct ping *g, struct dial *d)
{
    const struct blackbox_icmp *m = &g->p->module->icmp;
    int family = g->v6 ? AF_INET6 : AF_INET, proto = g->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    int ttl = (int)m->ttl, one = 1, dont = IP_PMTUDISC_DO;
    struct err e = { 0 };

    if (g->v6 || !m->dont_fragment)
        d->s.fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, proto);
    if (d->s.fd < 0) {
        g->raw = true;
        d->s.fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, proto);
    }
    if (d->s.fd < 0) {
        err_os(&e, "socket");
        probe_error(g->p, "Error listening to socket", KV_ERR(&e));
        return false;
    }
    setsockopt(d->s.fd, g->v6 ? IPPROTO_IPV6 : IPPROTO_IP, g->v6 ? IPV6_RECVHOPLIMIT : IP_RECVTTL,
               &one, sizeof one);
    if (ttl > 0)
        setsockopt(d->s.fd, g->v6 ? IPPROTO_IPV6 : IPPROTO_IP, g->v6 ? IPV6_UNICAST_HOPS : IP_TTL,
                   &ttl, sizeof ttl);
    if (m->dont_fragment && !g->v6)
        setsockopt(d->s.fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont, sizeof dont);
    return true;
}

static double hop_limit_of(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        int v;
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
            memcpy(&v, CMSG_DATA(c), sizeof v);
            return v;
        }
    }
    return -1;
}

static bool same_host(const struct ping *g, const struct sockaddr_storage *from)
{
    if (from->ss_family != g->to.sa.ss_family)
        return false;
    if (g->v6)
        return memcmp(&((const struct sockaddr_in6 *)from)->sin6_addr,
                      &((const struct sockaddr_in6 *)&g->to.sa)->sin6_addr, 16) == 0;
    return memcmp(&((const struct sockaddr_in *)from)->sin_addr,
                  &((const struct sockaddr_in *)&g->to.sa)->sin_addr, 4) == 0;
}

// Whether these bytes answer our request. A raw IPv4 socket shows the IP header, too.
static bool is_reply(const struct ping *g, struct str in)
{
    if (g->raw && !g->v6) {
        size_t head = in.n ? (size_t)(in.p[0] & 15) * 4 : 0;
        in = str_sub(in, head, in.n);
    }
    if (in.n != g->packet.n ||
        (unsigned char)in.p[0] != (g->v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY))
        return false;
    if (g->raw && memcmp(in.p + 4, g->packet.p + 4, 2) != 0)
        return false; // ping sockets have an id of the kernel's
    return memcmp(in.p + 6, g->packet.p + 6, in.n - 6) == 0;
}

static bool wait_reply(struct ping *g, struct dial *d, int64_t begin)
{
    char *room = arena_raw(g->p->a, PACKET_MAX);
    struct err e = { 0 };

    for (;;) {
        char control[256];
        struct sockaddr_storage from;
        struct iovec v = { room, PACKET_MAX };
        struct msghdr m = { .msg_name = &from,
                            .msg_namelen = sizeof from,
                            .msg_iov = &v,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof control };

        if (!dial_wait(d, POLLIN, &e)) {
            probe_error(g->p, "Timeout reading from socket", KV_ERR(&e));
            return false;
        }
        ssize_t n = recvmsg(d->s.fd, &m, 0);
        if (n < 0 || !same_host(g, &from) || !is_reply(g, str_of(room, (size_t)n)))
            continue;
        g->rtt = probe_seconds_since(begin);
        g->hop_limit = hop_limit_of(&m);
        probe_info(g->p, "Found matching reply packet");
        return true;
    }
}

static bool ping(struct ping *g)
{
    const struct blackbox_icmp *m = &g->p->module->icmp;
    OWNED(dial_end) struct dial d = dial_closed(g->p->deadline_mono_ns);
    struct dial_address room;
    const struct dial_address *source;
    struct err e = { 0 };
    int64_t begin = clock_mono_ns(clock_real());

    if (!probe_source(g->p, m->source_ip_address, &room, &source))
        return false;
    if (!open_socket(g, &d))
        return false;
    if (source && bind(d.s.fd, (const struct sockaddr *)&source->sa, source->n) < 0) {
        err_os(&e, "bind");
        probe_error(g->p, "Error listening to socket", KV_ERR(&e));
        return false;
    }
    make_packet(g);
    g->setup = probe_seconds_since(begin);
    begin = clock_mono_ns(clock_real());
    probe_info(g->p, "Writing out packet");
    if (sendto(d.s.fd, g->packet.p, g->packet.n, 0, (const struct sockaddr *)&g->to.sa, g->to.n) <
        0) {
        err_os(&e, "write");
        probe_error(g->p, "Error writing to socket", KV_ERR(&e));
        return false;
    }
    return wait_reply(g, &d, begin);
}

bool probe_icmp(struct probe *p)
{
    static const char help[] = "Duration of icmp request by phase";
    static const char name[] = "probe_icmp_duration_seconds";
    struct ping g = { .p = p, .hop_limit = -1 };
    uint64_t r = rand_u64();
    double resolve = 0;

    g.id = (uint16_t)r;
    g.seq = (uint16_t)(r >> 16);
    bool ok = probe_choose(p, &p->module->icmp.ip, p->target, &g.to, &resolve);
    g.v6 = ok && dial_address_is_v6(&g.to);
    ok = ok && ping(&g);
    buf_fini(&g.packet);
    probe_add(p, name, help, resolve, "phase", STR("resolve"));
    probe_add(p, name, help, g.setup, "phase", STR("setup"));
    probe_add(p, name, help, g.rtt, "phase", STR("rtt"));
    if (g.hop_limit >= 0)
        PROBE_GAUGE(p, "probe_icmp_reply_hop_limit", "Replied packet hop limit (TTL for ipv4)",
                    g.hop_limit);
    return ok;
}
