// url.c - see url.h. Source: RFC 3986; refusals and their words as Go's net/url.
// SPDX-License-Identifier: Apache-2.0
#include "net/url.h"

#include "net/http.h"

enum { URL_MAX = 64 << 10 };

static struct str lower(struct arena *a, struct str s)
{
    char *p = arena_raw(a, s.n + 1);

    for (size_t i = 0; i < s.n; i++)
        p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
    p[s.n] = '\0';
    return str_of(p, s.n);
}

static bool bad(struct err *e, struct str text, const char *why)
{
    return err_set(e, ERR_INVALID, "parse \"%.*s\": %s", STRF(str_sub(text, 0, 120)), why);
}

static bool is_scheme(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], l = (char)(c | 0x20);
        bool letter = l >= 'a' && l <= 'z';

        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
            return false;
    }
    return s.n > 0;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

static bool parse_user(struct arena *a, struct str text, struct str info, struct url *u,
                       struct err *e)
{
    size_t colon = str_find_char(info, ':');

    u->has_user = true;
    u->has_password = colon != STR_NPOS;
    u->user = http_url_decode(a, str_sub(info, 0, colon), false);
    u->password = u->has_password ? http_url_decode(a, str_sub(info, colon + 1, info.n), false)
                                  : STR("");
    return (u->user.p && u->password.p) || bad(e, text, "net/url: invalid userinfo");
}

static bool parse_port(struct str text, struct str port, struct url *u, struct err *e)
{
    for (size_t i = 0; i < port.n; i++)
        if (port.p[i] < '0' || port.p[i] > '9')
            return err_set(e, ERR_INVALID, "parse \"%.*s\": invalid port \":%.*s\" after host",
                           STRF(str_sub(text, 0, 120)), STRF(str_sub(port, 0, 40)));
    u->port = port;
    return true;
}

static bool parse_authority(struct arena *a, struct str text, struct str s, struct url *u,
                            struct err *e)
{
    size_t at = str_rfind_char(s, '@');

    if (at != STR_NPOS) {
        if (!parse_user(a, text, str_sub(s, 0, at), u, e))
            return false;
        s = str_sub(s, at + 1, s.n);
    }
    struct str host = s, port = STR("");
    if (s.n && s.p[0] == '[') {
        size_t end = str_find_char(s, ']');
        if (end == STR_NPOS)
            return bad(e, text, "missing ']' in host");
        host = str_sub(s, 1, end);
        port = str_sub(s, end + 1, s.n);
        u->ipv6 = true;
        if (port.n && port.p[0] != ':')
            return bad(e, text, "invalid port after host");
        port = str_sub(port, 1, port.n);
    } else if (str_find_char(s, ':') != STR_NPOS) {
        size_t colon = str_find_char(s, ':');
        host = str_sub(s, 0, colon);
        port = str_sub(s, colon + 1, s.n);
    }
    struct str decoded = http_url_decode(a, host, false);
    if (!decoded.p || has_control(decoded))
        return bad(e, text, "invalid URL escape in host");
    for (size_t i = 0; i < decoded.n; i++)
        if (str_find_char(STR(" \"<>\\^`{|}@/?#[]%"), decoded.p[i]) != STR_NPOS ||
            (decoded.p[i] == ':' && !u->ipv6))
            return err_set(e, ERR_INVALID, "parse \"%.*s\": invalid character \"%c\" in host name",
                           STRF(str_sub(text, 0, 120)), decoded.p[i]);
    u->host = lower(a, decoded);
    return parse_port(text, port, u, e);
}

// Bytes that may not stand in a request line are escaped.
static struct str escaped(struct arena *a, struct str s)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t odd = 0, n = 0;

    for (size_t i = 0; i < s.n; i++)
        odd += (unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f || s.p[i] == '"';
    if (!odd)
        return s;
    char *p = arena_raw(a, s.n + 2 * odd);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c > ' ' && c < 0x7f && c != '"') {
            p[n++] = (char)c;
            continue;
        }
        p[n++] = '%';
        p[n++] = digits[c >> 4];
        p[n++] = digits[c & 15];
    }
    return str_of(p, n);
}

static void split_target(struct arena *a, struct str s, struct url *u)
{
    size_t q = str_find_char(s, '?');
    struct str path = escaped(a, str_sub(s, 0, q));

    u->path = path.n ? path : STR("/");
    u->query = q == STR_NPOS ? STR_NONE : escaped(a, str_sub(s, q + 1, s.n));
}

bool url_parse(struct arena *a, struct str text, struct url *out, struct err *e)
{
    struct str s = text;
    size_t colon = str_find_char(s, ':');
    struct url u = { 0 };

    if (text.n > URL_MAX)
        return err_set(e, ERR_LIMIT, "URL longer than %d bytes", URL_MAX);
    if (has_control(text))
        return bad(e, text, "net/url: invalid control character in URL");
    s = str_cut(&s, '#');
    if (colon == 0)
        return bad(e, text, "missing protocol scheme");
    if (colon == STR_NPOS || !is_scheme(str_sub(s, 0, colon)))
        return err_set(e, ERR_INVALID, "unsupported protocol scheme \"\"");
    u.scheme = lower(a, str_sub(s, 0, colon));
    s = str_sub(s, colon + 1, s.n);
    if (!str_starts(s, STR("//")))
        return err_set(e, ERR_INVALID, "http: no Host in request URL");
    s = str_sub(s, 2, s.n);
    size_t end = 0;
    while (end < s.n && s.p[end] != '/' && s.p[end] != '?')
        end++;
    if (!parse_authority(a, text, str_sub(s, 0, end), &u, e))
        return false;
    split_target(a, str_sub(s, end, s.n), &u);
    *out = u;
    return true;
}

int url_port(const struct url *u)
{
    uint64_t n;

    if (u->port.n)
        return str_to_u64(u->port, &n) && n <= UINT16_MAX ? (int)n : 0;
    return str_eq(u->scheme, STR("http")) ? 80 : str_eq(u->scheme, STR("https")) ? 443 : 0;
}

void buf_url_host(struct buf *b, const struct url *u)
{
    buf_printf(b, u->ipv6 ? "[%.*s]" : "%.*s", STRF(u->host));
    if (u->port.n)
        buf_printf(b, ":%.*s", STRF(u->port));
}

void buf_url_target(struct buf *b, const struct url *u)
{
    buf_str(b, u->path);
    if (u->query.p) {
        buf_char(b, '?');
        buf_str(b, u->query);
    }
}

void buf_url(struct buf *b, const struct url *u)
{
    buf_str(b, u->scheme);
    buf_lit(b, "://");
    if (u->has_user) {
        buf_url_encode(b, u->user);
        if (u->has_password)
            buf_lit(b, ":***");
        buf_char(b, '@');
    }
    buf_url_host(b, u);
    buf_url_target(b, u);
}

// RFC 3986 §5.2.4.
static struct str without_dots(struct arena *a, struct str path)
{
    char *out = arena_raw(a, path.n + 1);
    size_t n = 0;

    while (path.n) {
        struct str rest = str_sub(path, 1, path.n), segment = str_cut(&rest, '/');
        bool last = !rest.p;

        if (str_eq(segment, STR("..")))
            while (n && out[--n] != '/')
                ;
        else if (!str_eq(segment, STR("."))) {
            out[n++] = '/';
            memcpy(out + n, segment.p, segment.n);
            n += segment.n;
        }
        if (last && (str_eq(segment, STR("..")) || str_eq(segment, STR("."))))
            out[n++] = '/';
        path = last ? STR_NONE : str_sub(path, 1 + segment.n, path.n);
    }
    return n ? str_of(out, n) : STR("/");
}

bool url_resolve(struct arena *a, const struct url *base, struct str ref, struct url *out,
                 struct err *e)
{
    size_t colon = str_find_char(ref, ':'), slash = str_find_char(ref, '/');
    struct url u = *base;

    if (colon != STR_NPOS && colon < slash && is_scheme(str_sub(ref, 0, colon)))
        return url_parse(a, ref, out, e);
    if (str_starts(ref, STR("//")))
        return url_parse(a, arena_printf(a, "%.*s:%.*s", STRF(base->scheme), STRF(ref)), out, e);
    if (has_control(ref))
        return bad(e, ref, "net/url: invalid control character in URL");
    ref = str_cut(&ref, '#');
    if (!ref.n) {
        *out = u;
        return true;
    }
    if (ref.p[0] == '/') {
        split_target(a, ref, &u);
    } else if (ref.p[0] == '?') {
        u.query = escaped(a, str_sub(ref, 1, ref.n));
    } else {
        struct str dir = str_sub(base->path, 0, str_rfind_char(base->path, '/') + 1);
        split_target(a, arena_printf(a, "%.*s%.*s", STRF(dir), STRF(ref)), &u);
    }
    u.path = without_dots(a, u.path);
    *out = u;
    return true;
}
