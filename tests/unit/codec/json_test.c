// json_test.c - the writer's commas and escapes, the reader's tree, refusals and positions.
// SPDX-License-Identifier: Apache-2.0
#include "codec/json.h"

#include "test.h"

TEST(writer_places_commas_and_escapes)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct json_writer w = json_writer(&b);

    json_object(&w);
    json_key_lit(&w, "a");
    json_array(&w);
    json_i64(&w, -1);
    json_double(&w, 0.5);
    json_object(&w);
    json_object_end(&w);
    json_null(&w);
    json_array_end(&w);
    json_key_lit(&w, "q\"");
    json_str(&w, STR("\x01\n\t\\ \xc3\xa9 \xff \x7f<"));
    json_key_lit(&w, "b");
    json_bool(&w, true);
    json_object_end(&w);
    CHECK_STR(buf_view(&b), STR("{\"a\":[-1,0.5,{},null],\"q\\\"\":\"\\u0001\\n\\t\\\\ \xc3\xa9 "
                                "\xef\xbf\xbd \x7f<\",\"b\":true}"));
}

TEST(reader_makes_a_tree)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct json_value *v = NULL;
    struct err e = { 0 };
    double d;
    int64_t i;

    CHECK_OK(json_parse(
                 &a,
                 STR(" {\"a\":[1,-2.5e3,\"x\\u00e9\\ud83d\\ude00\\ud800\"],\n\"b\":{},\"a2\":null,"
                     "\"t\":true} "),
                 &v, &e),
             &e);
    struct json_value *list = json_get(v, STR("a"));
    CHECK(list && list->kind == JSON_ARRAY && list->n == 3);
    CHECK(json_to_i64(&list->items[0], &i) && i == 1);
    CHECK(json_to_double(&list->items[1], &d) && d == -2500 && !json_to_i64(&list->items[1], &i));
    CHECK_STR(list->items[2].s, STR("x\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd"));
    CHECK(json_get(v, STR("b"))->pos.line == 2 && json_get(v, STR("b"))->pos.col == 5);
    CHECK(!json_get(v, STR("zz")) && !json_get(list, STR("a")));
}

static const struct {
    const char *in;
    uint32_t line, col;
} bad[] = {
    { "", 1, 1 },      { "{", 1, 2 },        { "[1,]", 1, 4 },      { "{\"a\" 1}", 1, 6 },
    { "01", 1, 3 },    { "1.", 1, 3 },       { "1e", 1, 3 },        { "tru", 1, 1 },
    { "\"a", 1, 3 },   { "\"\\x\"", 1, 3 },  { "\"\\u12\"", 1, 3 }, { "[1]\n x", 2, 2 },
    { "{a:1}", 1, 2 }, { "\"\x01\"", 1, 2 }, { "\"\xff\"", 1, 1 },  { "-", 1, 2 },
    { "[1 2]", 1, 4 }, { "nan", 1, 1 },
};

TEST(reader_refuses_with_position)
{
    FOR_CASES (t, bad) {
        OWNED(arena_fini) struct arena a = { 0 };
        struct json_value *v = NULL;
        struct err e = { 0 };
        CHECK_F(!json_parse(&a, str_c(t->in), &v, &e) && !v, "%s", t->in);
        CHECK_F(e.pos.line == t->line && e.pos.col == t->col, "%s: %u:%u %s", t->in, e.pos.line,
                e.pos.col, e.text);
    }
}

TEST(reader_limits_depth)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct json_value *v = NULL;
    struct err e = { 0 };

    for (int i = 0; i < 100000; i++)
        buf_char(&b, '[');
    CHECK(!json_parse(&a, buf_view(&b), &v, &e) && e.kind == ERR_LIMIT);
}
