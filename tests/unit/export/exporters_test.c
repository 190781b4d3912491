// exporters_test.c - what exporters read from others: RESP, access logs, networks, deadlines.
// SPDX-License-Identifier: Apache-2.0
#include "export/dial.h"
#include "export/exporter.h"
#include "export/nginx_log_priv.h"
#include "export/redis_priv.h"
#include "test.h"

static const struct {
    const char *in;
    int result; // of resp_parse()
    enum resp_kind kind;
} answers[] = {
    { "+OK\r\n", 1, RESP_TEXT },
    { "-ERR no\r\n", 1, RESP_ERROR },
    { ":42\r\n", 1, RESP_INT },
    { "$5\r\nhello\r\n", 1, RESP_TEXT },
    { "$-1\r\n", 1, RESP_NULL },
    { "*2\r\n:1\r\n$1\r\nx\r\n", 1, RESP_ARRAY },
    { "*-1\r\n", 1, RESP_NULL },
    { "$5\r\nhel", 0, RESP_NULL },
    { "*2\r\n:1\r\n", 0, RESP_NULL },
    { ":", 0, RESP_NULL },
    { "*9999999999\r\n", -1, RESP_NULL },
    { "$99999999999\r\n", -1, RESP_NULL },
    { "HTTP/1.1 200 OK\r\n", -1, RESP_NULL },
    { ":4x\r\n", -1, RESP_NULL },
    { "+bare\n", -1, RESP_NULL },
};

TEST(resp_answers)
{
    FOR_CASES (t, answers) {
        OWNED(arena_fini) struct arena a = { 0 };
        struct str in = str_c(t->in);
        struct resp v = { 0 };
        struct err e = { 0 };

        int r = resp_parse(&a, &in, &v, &e);
        CHECK_F(r == t->result, "%s: %d", t->in, r);
        CHECK(r <= 0 || (v.kind == t->kind && in.n == 0));
        CHECK(r != 0 || in.n == strlen(t->in)); // untouched when more is needed
    }
}

static double value_of(const struct export_set *s, const char *name, size_t metric)
{
    for (size_t i = 0; i < s->family.n; i++)
        if (str_eq_c(s->family.v[i].name, name))
            return metric < s->family.v[i].metric.n ? s->family.v[i].metric.v[metric].value : -1;
    return -1;
}

TEST(access_log_lines)
{
    static const char *const lines[] = {
        "127.0.0.1 - - [21/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 10 \"-\" \"curl/7\"",
        "127.0.0.1 - - [21/Nov/2026:10:00:01 +0000] \"GET /a HTTP/1.1\" 200 5 \"-\" \"x \\x22y\"",
        "127.0.0.1 - - [21/Nov/2026:10:00:02 +0000] \"\\x16\\x03 /\" 400 0 \"-\" \"-\"",
        "not a line of this log",
        "127.0.0.1 - - [x] \"GET / HTTP/1.1\" abc 5 \"-\" \"-\"",
    };
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(export_set_fini) struct export_set set = { .a = &a };
    OWNED(nginx_log_close) struct nginx_log *l = NULL;
    struct err e = { 0 };

    CHECK_OK(nginx_log_open(&l, "/nonexistent/access.log", NULL, &e), &e);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        nginx_log_line(l, str_c(lines[i]));
    nginx_log_read(l); // the file is not there: nothing happens
    nginx_log_add(l, &set, NULL, 0);
    CHECK(value_of(&set, "nginx_http_response_count_total", 0) == 2);
    CHECK(value_of(&set, "nginx_http_response_size_bytes", 0) == 15);
    CHECK(value_of(&set, "nginx_http_response_count_total", 1) == 1); // method "other"
    CHECK(value_of(&set, "nginx_parse_errors_total", 0) == 2);
}

TEST(access_log_formats)
{
    struct nginx_log *l = NULL;
    struct err e = { 0 };

    CHECK(!nginx_log_open(&l, "/x", "$remote_addr $request", &e) && strstr(e.text, "$status"));
    CHECK(!nginx_log_open(&l, "/x", "$status$request", &e) && strstr(e.text, "two variables"));
    CHECK(l == NULL);
}

static const struct {
    const char *network, *address;
    bool allowed;
} networks[] = {
    { "10.0.0.0/8", "10.1.2.3", true },        { "10.0.0.0/8", "11.0.0.1", false },
    { "192.0.2.7", "192.0.2.7", true },        { "192.0.2.7", "192.0.2.6", false },
    { "192.0.2.0/25", "192.0.2.127", true },   { "192.0.2.0/25", "192.0.2.128", false },
    { "fd00::/8", "fd12::1", true },           { "fd00::/8", "fe80::1", false },
    { "10.0.0.0/8", "::ffff:10.0.0.1", true }, { "0.0.0.0/0", "127.0.0.1", true },
};

TEST(allowed_networks)
{
    struct dialer *none = NULL;
    struct err e = { 0 };

    FOR_CASES (t, networks) {
        OWNED(dialer_close) struct dialer *d = NULL;
        struct dial_address to;

        CHECK_OK(dialer_open(&d,
                             &(struct dialer_options){
                                 .allow = &t->network, .allow_count = 1, .threads = 1 },
                             &e),
                 &e);
        CHECK(dial_address_parse(str_c(t->address), &to));
        CHECK_F(dialer_check(d, &to, &e) == t->allowed, "%s in %s", t->address, t->network);
    }
    const char *bad = "10.0.0.0/33";
    CHECK(!dialer_open(&none, &(struct dialer_options){ .allow = &bad, .allow_count = 1 }, &e));
    CHECK(none == NULL);
}

TEST(deadlines)
{
    struct export_request q = { .start_mono_ns = NS_SECOND };

    CHECK(export_deadline(&q) == NS_SECOND + 9750 * NS_MS);
    q.timeout_s = 2;
    CHECK(export_deadline(&q) == NS_SECOND + 1750 * NS_MS);
    q.timeout_s = 0.1; // too short to take something off
    CHECK(export_deadline(&q) == NS_SECOND + 100 * NS_MS);
}
