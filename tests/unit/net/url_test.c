// url_test.c - URLs taken apart, refused, printed and resolved.
// SPDX-License-Identifier: Apache-2.0
#include "net/url.h"

#include "test.h"

TEST(url_parse_table)
{
    static const struct {
        const char *in, *out; // out: as printed, or the error
        int port;             // 0: refused
    } cases[] = {
        { "http://a", "http://a/", 80 },
        { "HTTPS://Example.COM:8443/P?q=1#f", "https://example.com:8443/P?q=1", 8443 },
        { "http://[::1]:9090/x", "http://[::1]:9090/x", 9090 },
        { "https://[fe80::1]", "https://[fe80::1]/", 443 },
        { "http://u:p%40w@h?x", "http://u:***@h/?x", 80 },
        { "http://u@h/", "http://u@h/", 80 },
        { "http://h/a b?c d", "http://h/a%20b?c%20d", 80 },
        { "http://h:/", "http://h/", 80 },
        { "ftp://h/", "ftp://h/", -1 },
        { "h/metrics", "unsupported protocol scheme \"\"", 0 },
        { "http:h", "no Host", 0 },
        { ":x", "missing protocol scheme", 0 },
        { "http://h:80a/", "invalid port \":80a\" after host", 0 },
        { "http://[::1/", "missing ']' in host", 0 },
        { "http://a b/", "invalid character \" \" in host name", 0 },
        { "http://h/\n", "invalid control character in URL", 0 },
        { "http://a%40b/", "invalid character \"@\" in host name", 0 },
        { "http://%zz/", "invalid URL escape", 0 },
        { "http://h:99999/", "http://h:99999/", -1 },
    };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf b = { 0 };
        struct url u;
        struct err e = { 0 };

        bool ok = url_parse(&a, str_c(t->in), &u, &e);
        CHECK_F(ok == (t->port != 0), "%s: %s", t->in, e.text);
        if (!ok) {
            CHECK_F(strstr(e.text, t->out), "%s: %s", t->in, e.text);
            continue;
        }
        CHECK(url_port(&u) == MAX(t->port, 0));
        buf_url(&b, &u);
        CHECK_STR(buf_view(&b), str_c(t->out));
    }
}

TEST(url_parts)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct url u;
    struct err e;

    CHECK(url_parse(&a, STR("http://us%3aer:p%40w@h:1/a/b?c?d"), &u, &e));
    CHECK_STR(u.user, STR("us:er"));
    CHECK_STR(u.password, STR("p@w"));
    CHECK_STR(u.path, STR("/a/b"));
    CHECK_STR(u.query, STR("c?d"));
}

// The examples of RFC 3986 §5.4 that have a path.
TEST(url_resolve_table)
{
    static const struct {
        const char *ref, *out;
    } cases[] = {
        { "g", "http://a/b/c/g" },
        { "./g", "http://a/b/c/g" },
        { "g/", "http://a/b/c/g/" },
        { "/g", "http://a/g" },
        { "//g", "http://g/" },
        { "?y", "http://a/b/c/d;p?y" },
        { "g?y", "http://a/b/c/g?y" },
        { "#s", "http://a/b/c/d;p?q" },
        { ";x", "http://a/b/c/;x" },
        { "", "http://a/b/c/d;p?q" },
        { ".", "http://a/b/c/" },
        { "..", "http://a/b/" },
        { "../g", "http://a/b/g" },
        { "../..", "http://a/" },
        { "../../../g", "http://a/g" },
        { "/./g", "http://a/g" },
        { "./g/.", "http://a/b/c/g/" },
        { "g/../h", "http://a/b/c/h" },
        { "https://x:1/y", "https://x:1/y" },
        { "g?y/../x", "http://a/b/c/g?y/../x" },
    };
    OWNED(arena_fini) struct arena a = { 0 };
    struct url base, u;
    struct err e = { 0 };

    CHECK(url_parse(&a, STR("http://a/b/c/d;p?q"), &base, &e));
    FOR_CASES (t, cases) {
        OWNED(buf_fini) struct buf b = { 0 };

        CHECK_OK(url_resolve(&a, &base, str_c(t->ref), &u, &e), &e);
        buf_url(&b, &u);
        CHECK_F(str_eq_c(buf_view(&b), t->out), "%s: %s", t->ref, buf_cstr(&b));
    }
}
