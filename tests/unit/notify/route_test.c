// route_test.c - which routes take an alert: own cases and those of the corpus.
// SPDX-License-Identifier: Apache-2.0
#include "notify/route.h"

#include "base/file.h"
#include "base/time.h"
#include "codec/json.h"
#include "test.h"

// The content of `route:` as a document, with a receiver for each name that it may use.
static struct am_config *load_tree(struct str tree)
{
    static const char *const names[] = { "notify-def",         "notify-A",  "notify-testing",
                                         "notify-productionA", "notify-BC", "notify-productionB" };
    OWNED(buf_fini) struct buf b = { 0 };
    struct am_config *c = NULL;
    struct err e = { 0 };

    buf_lit(&b, "receivers:\n");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        buf_printf(&b, "- name: %s\n", names[i]);
    buf_lit(&b, "route:\n");
    while (tree.n) {
        struct str line = str_cut(&tree, '\n');
        buf_printf(&b, "  %.*s\n", STRF(line));
    }
    CHECK_OK(am_config_parse(buf_view(&b), "x.yml", &c, &e), &e);
    return c;
}

static struct labels labels_of(struct labels_builder *b, const struct json_value *v)
{
    labels_builder_reset(b, (struct labels){ 0 });
    for (size_t i = 0; i < v->n; i++)
        labels_builder_set(b, v->members[i].key, v->members[i].value->s);
    return labels_builder_view(b);
}

static void check_ms(struct str want, int64_t ms)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_duration_go(&b, ms * 1000000);
    CHECK_STR(buf_view(&b), want);
}

static void check_route(const struct am_route *r, const struct json_value *want)
{
    const struct json_value *by = json_get(want, STR("group_by"));

    CHECK_STR(r->receiver, json_get_str(want, STR("receiver")));
    CHECK_STR(r->key, json_get_str(want, STR("key")));
    CHECK_STR(r->id, json_get_str(want, STR("id")));
    CHECK(r->group_by_all == json_get(want, STR("group_by_all"))->b);
    check_ms(json_get_str(want, STR("group_wait")), r->group_wait_ms);
    check_ms(json_get_str(want, STR("group_interval")), r->group_interval_ms);
    check_ms(json_get_str(want, STR("repeat_interval")), r->repeat_interval_ms);
    CHECK(r->group_by_all || r->group_by_n == by->n);
    for (size_t i = 0; !r->group_by_all && i < by->n; i++)
        CHECK_STR(r->group_by[i], by->items[i].s);
}

TEST(corpus_of_routes)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    const char *path = test_corpus("alertmanager/routes.json");
    struct err e = { 0 };
    struct json_value *doc;
    struct str text;
    size_t checked = 0;

    SKIP_WITHOUT_CORPUS(path);
    CHECK_OK(file_read(&a, path, 1 << 20, &text, &e), &e);
    CHECK_OK(json_parse(&a, text, &doc, &e), &e);
    struct json_value *trees = json_get(doc, STR("cases"));
    for (size_t t = 0; t < trees->n; t++) {
        OWNED(am_config_put)
        struct am_config *c = load_tree(json_get_str(&trees->items[t], STR("route_yaml")));
        struct json_value *cases = json_get(&trees->items[t], STR("cases"));

        for (size_t i = 0; i < cases->n; i++, checked++) {
            struct json_value *want = json_get(&cases->items[i], STR("matches"));
            struct labels ls = labels_of(&b, json_get(&cases->items[i], STR("labels")));
            struct route_list got = route_match(c, ls, &a);

            CHECK_F(got.n == want->n, "tree %zu case %zu: %zu routes", t, i, got.n);
            for (size_t k = 0; k < got.n; k++)
                check_route(got.v[k], &want->items[k]);
        }
    }
    CHECK(checked > 10);
}

static struct str receivers(const struct am_config *c, struct arena *a, struct labels ls)
{
    struct route_list got = route_match(c, ls, a);
    OWNED(buf_fini) struct buf b = { 0 };

    for (size_t i = 0; i < got.n; i++)
        buf_printf(&b, "%s%.*s", i ? " " : "", STRF(got.v[i]->receiver));
    return arena_str(a, buf_view(&b));
}

TEST(the_deepest_take_it_and_continue_goes_on)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(am_config_put)
    struct am_config *c = load_tree(STR("receiver: notify-def\n"
                                        "routes:\n"
                                        "- match: {a: '1'}\n"
                                        "  receiver: notify-A\n"
                                        "  continue: true\n"
                                        "  routes: [{match: {b: '1'}, receiver: notify-BC}]\n"
                                        "- matchers: ['a=\"\"']\n"
                                        "  receiver: notify-testing\n"
                                        "- match_re: {a: '1|2'}\n"
                                        "  receiver: notify-productionA"));
    struct label a1b1[] = { { STR("a"), STR("1") }, { STR("b"), STR("1") } };
    struct label a1[] = { { STR("a"), STR("1") } }, a3[] = { { STR("a"), STR("3") } };

    CHECK_STR(receivers(c, &a, (struct labels){ a1b1, 2 }), STR("notify-BC notify-productionA"));
    CHECK_STR(receivers(c, &a, (struct labels){ a1, 1 }), STR("notify-A notify-productionA"));
    CHECK_STR(receivers(c, &a, (struct labels){ a3, 1 }), STR("notify-def"));
    CHECK_STR(receivers(c, &a, (struct labels){ NULL, 0 }), STR("notify-testing"));
}
