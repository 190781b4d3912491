// proxy.c - which proxy a URL goes through, by the rules of golang.org/x/net/http/httpproxy.
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <stdlib.h>

#include "discover/http_settings.h"
#include "net/url.h"

static struct str from_environment(const char *upper, const char *lower)
{
    const char *v = getenv(upper);

    if (!v || !*v)
        v = getenv(lower);
    return v ? str_c(v) : STR_NONE;
}

struct address {
    unsigned char bytes[16];
    size_t n; // 4, 16; 0: none
};

static struct address address_of(struct str host)
{
    struct address a = { .n = 0 };
    char text[INET6_ADDRSTRLEN];

    if (host.n >= sizeof text)
        return a;
    memcpy(text, host.p, host.n);
    text[host.n] = 0;
    if (inet_pton(AF_INET, text, a.bytes) == 1)
        a.n = 4;
    else if (inet_pton(AF_INET6, text, a.bytes) == 1)
        a.n = 16;
    return a;
}

static bool is_loopback(struct address a)
{
    static const unsigned char one[16] = { [15] = 1 };

    return (a.n == 4 && a.bytes[0] == 127) || (a.n == 16 && memcmp(a.bytes, one, 16) == 0);
}

static bool in_network(struct address a, struct str network, struct str bits_text)
{
    struct address net = address_of(network);
    uint64_t bits;

    if (!net.n || net.n != a.n || !str_to_u64(bits_text, &bits) || bits > 8 * net.n)
        return false;
    for (size_t i = 0; i < bits; i++)
        if ((a.bytes[i / 8] ^ net.bytes[i / 8]) >> (7 - i % 8) & 1)
            return false;
    return true;
}

// host:port or [v6]:port → host, port. No port: empty.
static struct str split_port(struct str s, struct str *port)
{
    size_t colon = str_rfind_char(s, ':');

    *port = STR_NONE;
    if (s.n && s.p[0] == '[') {
        size_t end = str_find_char(s, ']');
        if (end == STR_NPOS)
            return s;
        if (end + 1 < s.n && s.p[end + 1] == ':')
            *port = str_sub(s, end + 2, s.n);
        return str_sub(s, 1, end);
    }
    if (colon == STR_NPOS || str_find_char(s, ':') != colon)
        return s; // none, or a bare IPv6 address
    *port = str_sub(s, colon + 1, s.n);
    return str_sub(s, 0, colon);
}

static bool domain_matches(struct str pattern, struct str host)
{
    bool below_only = pattern.n && pattern.p[0] == '.';

    if (str_starts(pattern, STR("*."))) {
        pattern = str_sub(pattern, 1, pattern.n);
        below_only = true;
    }
    struct str bare = below_only ? str_sub(pattern, 1, pattern.n) : pattern;
    if (!bare.n || host.n < bare.n)
        return false;
    struct str tail = str_sub(host, host.n - bare.n, host.n);
    if (!str_eq_nocase(tail, bare))
        return false;
    if (host.n == bare.n)
        return !below_only;
    return host.p[host.n - bare.n - 1] == '.';
}

static bool entry_matches(struct str entry, struct str host, struct str port)
{
    struct address a = address_of(host);
    size_t slash = str_find_char(entry, '/');
    struct str entry_port;

    if (str_eq(entry, STR("*")))
        return true;
    if (slash != STR_NPOS)
        return in_network(a, str_sub(entry, 0, slash), str_sub(entry, slash + 1, entry.n));
    struct str name = split_port(entry, &entry_port);
    if (entry_port.n && !str_eq(entry_port, port))
        return false;
    struct address own = address_of(name);
    if (own.n)
        return a.n == own.n && memcmp(a.bytes, own.bytes, a.n) == 0;
    return domain_matches(name, host);
}

static bool is_excluded(const struct url *u, struct str no_proxy)
{
    char port[8];
    int n = url_port(u), len = 0;

    if (str_eq(u->host, STR("localhost")) || is_loopback(address_of(u->host)))
        return true;
    for (int x = n; x > 0; x /= 10)
        len++;
    for (int i = len, x = n; i > 0; x /= 10)
        port[--i] = (char)('0' + x % 10);
    while (no_proxy.n) {
        struct str entry = str_trim(str_cut(&no_proxy, ','));
        if (entry.n && entry_matches(entry, u->host, str_of(port, (size_t)len)))
            return true;
    }
    return false;
}

struct str discover_proxy_of(const struct conf_proxy *c, struct str url, struct arena *a)
{
    OWNED(arena_fini) struct arena scratch = { 0 };
    struct str proxy = c->proxy_url, no_proxy = c->no_proxy;
    struct url u;
    struct err ignored; // a URL that cannot be read fails when it is called

    if (!c->proxy_from_environment && (!proxy.n || !no_proxy.n))
        return arena_str(a, proxy);
    if (!url_parse(&scratch, url, &u, &ignored))
        return STR_NONE;
    if (c->proxy_from_environment) {
        proxy = str_eq(u.scheme, STR("https")) ? from_environment("HTTPS_PROXY", "https_proxy")
                                               : from_environment("HTTP_PROXY", "http_proxy");
        no_proxy = from_environment("NO_PROXY", "no_proxy");
    }
    if (!proxy.n || is_excluded(&u, no_proxy))
        return STR_NONE;
    if (str_find(proxy, STR("://")) == STR_NPOS)
        return arena_printf(a, "http://%.*s", STRF(proxy));
    return arena_str(a, proxy);
}
