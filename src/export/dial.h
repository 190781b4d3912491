/*
 * dial.h - blocking connections with a deadline, for threads of exporters: names, sockets, TLS.
 *
 * A dialer resolves names on threads of its own, so that a dead name server costs a caller no more
 * than its deadline, and says no to addresses that are not allowed. A dial is one connection.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/socket.h>

#include "base/arena.h"
#include "base/base.h"
#include "base/time.h"
#include "net/stream.h"

struct http_tls;
struct dialer;

struct dialer_options {
    // Networks that may be reached, as 10.0.0.0/8 or fd00::/8 or one address; none: all.
    const char *const *allow;
    size_t allow_count;
    unsigned threads; // that resolve; 0: 8
};
// ERR_INVALID: something in allow is no network.
MUST_CHECK bool dialer_open(struct dialer **out, const struct dialer_options *o, struct err *e);
void dialer_close(struct dialer *d); // NULL is fine
OWN_DEFINE(struct dialer *, dialer_close)

struct dial_address {
    struct sockaddr_storage sa;
    socklen_t n;
};
bool dial_address_is_v6(const struct dial_address *a);
void buf_dial_address(struct buf *b, const struct dial_address *a); // 1.2.3.4, 2001:db8::1
bool dial_address_parse(struct str text, struct dial_address *out); // without a port; false: no IP
void dial_address_set_port(struct dial_address *a, int port);

/*
 * Addresses of a host (a name or an IP), in the system's order of preference, port 0, at least one.
 * family: AF_INET, AF_INET6 or AF_UNSPEC. ERR_NOT_FOUND, ERR_TIMEOUT, ERR_UNAVAILABLE.
 */
MUST_CHECK bool dialer_resolve(struct dialer *d, struct arena *a, struct str host, int family,
                               int64_t deadline_mono_ns, struct dial_address **out, size_t *n,
                               struct err *e);
// ERR_DENIED when the address is not in the allow list.
MUST_CHECK bool dialer_check(const struct dialer *d, const struct dial_address *a, struct err *e);

struct dial { // {.s.fd = -1} is closed; dial_init()
    struct stream s;
    int64_t deadline_mono_ns;
};
static inline struct dial dial_closed(int64_t deadline_mono_ns)
{
    return (struct dial){ .s = { .fd = -1 }, .deadline_mono_ns = deadline_mono_ns };
}
// Connects TCP; source NULL: any. On failure the dial stays closed. Errors in Go's words.
MUST_CHECK bool dial_tcp(struct dial *d, const struct dial_address *to,
                         const struct dial_address *source, struct err *e);
MUST_CHECK bool dial_udp(struct dial *d, const struct dial_address *to,
                         const struct dial_address *source, struct err *e);
MUST_CHECK bool dial_unix(struct dial *d, struct str path, struct err *e);
/*
 * The usual way in: resolves host, tries each address, TCP. For exporters that take what comes.
 */
MUST_CHECK bool dial_host(struct dial *d, struct dialer *by, struct str host, int port,
                          struct err *e);
// Puts TLS on it: handshake with verification of name. tls is not kept. h2: offers HTTP/2 only.
MUST_CHECK bool dial_tls(struct dial *d, struct http_tls *tls, const char *name, bool h2,
                         struct err *e);
void dial_end(struct dial *d); // closes; a closed one is fine
OWN_DEFINE_FINI(struct dial, dial_end)

MUST_CHECK bool dial_write(struct dial *d, struct str bytes, struct err *e);
// At least one byte, at most max; *n 0: the end.
MUST_CHECK bool dial_read(struct dial *d, void *p, size_t max, size_t *n, struct err *e);
// Waits until the descriptor is ready (POLLIN, POLLOUT) or the deadline passes: ERR_TIMEOUT.
MUST_CHECK bool dial_wait(const struct dial *d, int events, struct err *e);
