// http_form_test.c - form values and escapes as Go reads and writes them.
// SPDX-License-Identifier: Apache-2.0
#include "net/http.h"

#include "test.h"

static struct http_request request(const char *method, const char *type, const char *query,
                                   const char *body, struct http_header *h)
{
    *h = (struct http_header){ STR("content-type"), str_c(type) };
    return (struct http_request){ .method = str_c(method),
                                  .query = str_c(query),
                                  .headers = h,
                                  .header_count = 1,
                                  .body = str_c(body) };
}

#define FORM "application/x-www-form-urlencoded"

TEST(http_form_table)
{
    static const struct {
        const char *method, *type, *query, *body;
        const char *out; // name=value| for each
        const char *err; // NULL: none
    } cases[] = {
        { "GET", "", "a=1&b=2&a=3", "", "a=1|b=2|a=3|", NULL },
        { "GET", FORM, "a=1", "b=2", "a=1|", NULL },
        { "POST", FORM, "a=1", "b=2&a=0", "b=2|a=0|a=1|", NULL },
        { "PUT", "Application/X-WWW-form-urlencoded; charset=UTF-8", "", "b=2", "b=2|", NULL },
        { "POST", "text/plain", "a=1", "b=2", "a=1|", NULL },
        { "POST", "", "a=1", "b=2", "a=1|", NULL },
        { "GET", "", "", "", "", NULL },
        { "GET", "", "&&a&=x&b=&c==d&", "", "a=|=x|b=|c==d|", NULL },
        { "GET", "", "a+b=c+d%20e&%66=%e4%BD%a0", "", "a b=c d e|f=\xe4\xbd\xa0|", NULL },
        { "GET", "", "a=1;b=2&c=3", "", "c=3|", "invalid semicolon separator in query" },
        { "GET", "", "a=%zz&c=3", "", "c=3|", "invalid URL escape \"%zz\"" },
        { "GET", "", "a=%4", "", "", "invalid URL escape \"%4\"" },
        { "GET", "", "%=1&b=%1;", "", "", "invalid URL escape \"%\"" },
        { "POST", FORM, "q=%A", "b=;&c=d", "c=d|", "invalid semicolon separator in query" },
    };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf got = { 0 };
        struct http_header h;
        struct http_request r = request(t->method, t->type, t->query, t->body, &h);
        struct http_form f;
        struct err e = { 0 };

        bool ok = http_form_parse(&a, &r, &f, &e);
        CHECK_F(ok == !t->err, "%s: %s", t->query, e.text);
        for (size_t i = 0; i < f.n; i++)
            buf_printf(&got, "%.*s=%.*s|", STRF(f.v[i].name), STRF(f.v[i].value));
        CHECK_STR(buf_view(&got), str_c(t->out));
        if (t->err)
            CHECK_STR(str_c(e.text), str_c(t->err));
    }
}

TEST(http_form_get_takes_the_first)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct http_header h;
    struct http_request r = request("POST", FORM, "q=url&only=1&empty", "q=body", &h);
    struct http_form f;
    struct err e;

    CHECK(http_form_parse(&a, &r, &f, &e));
    CHECK_STR(http_form_get(&f, STR("q")), STR("body"));
    CHECK_STR(http_form_get(&f, STR("only")), STR("1"));
    CHECK(http_form_get(&f, STR("empty")).p && !http_form_get(&f, STR("empty")).n);
    CHECK(!http_form_get(&f, STR("nope")).p);
}

#define PART(name, value) \
    "--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"

static const struct {
    const char *type, *body, *out;
} multiparts[] = {
    { "multipart/form-data; boundary=b", PART("a", "1") PART("b", "") "--b--\r\n", "u=0|a=1|b=|" },
    { "multipart/form-data; boundary=\"b\"", PART("a", "x\r\n-y") "--b--", "u=0|a=x\r\n-y|" },
    { "Multipart/Form-Data; boundary=b",
      "--b\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; name=a; "
      "filename=\"f\"\r\n\r\n1\r\n" PART("c", "2") "--b--",
      "u=0|c=2|" },
    { "multipart/form-data; boundary=b", PART("a", "1"), "u=0|" }, // no end
    { "multipart/form-data; boundary=b", "--b\r\n--b--", "u=0|" },
    { "multipart/form-data; boundary=c", PART("a", "1") "--b--", "u=0|" },
    { "multipart/form-data", PART("a", "1") "--b--", "u=0|" },
    { "text/plain; boundary=b", PART("a", "1") "--b--", "u=0|" },
    { "multipart/form-data; boundary=b", "", "u=0|" },
};

TEST(http_form_multipart)
{
    FOR_CASES (t, multiparts) {
        OWNED(arena_fini) struct arena a = { 0 };
        OWNED(buf_fini) struct buf got = { 0 };
        struct http_header h;
        struct http_request r = request("POST", t->type, "u=0", t->body, &h);
        struct http_form f;
        struct err e = { 0 };

        CHECK_OK(http_form_parse(&a, &r, &f, &e), &e);
        http_form_add_multipart(&a, &r, &f);
        for (size_t i = 0; i < f.n; i++)
            buf_printf(&got, "%.*s=%.*s|", STRF(f.v[i].name), STRF(f.v[i].value));
        CHECK_STR(buf_view(&got), str_c(t->out));
    }
}

TEST(http_url_escapes)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    char all[256];

    CHECK_STR(http_url_decode(&a, STR("a+b%2f"), false), STR("a+b/"));
    CHECK_STR(http_url_decode(&a, STR("a+b%2f"), true), STR("a b/"));
    CHECK(http_url_decode(&a, STR(""), true).p != NULL);
    CHECK(http_url_decode(&a, STR("%"), true).p == NULL);
    CHECK(http_url_decode(&a, STR("%1"), true).p == NULL);
    CHECK(http_url_decode(&a, STR("a%g1"), true).p == NULL);
    buf_url_encode(&b, STR("sum(rate(a{b=\"c d\"}[5m]))/x~_-.\xe4"));
    CHECK_STR(buf_view(&b), STR("sum%28rate%28a%7Bb%3D%22c+d%22%7D%5B5m%5D%29%29%2Fx~_-.%E4"));
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    buf_reset(&b);
    buf_url_encode(&b, str_of(all, 256));
    CHECK_STR(http_url_decode(&a, buf_view(&b), true), str_of(all, 256));
}
