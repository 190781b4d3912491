// labels_test.c - order, text, canonical bytes, hashes and the builder of label sets.
// SPDX-License-Identifier: Apache-2.0
#include "model/labels.h"

#include <stdio.h>

#include "test.h"

#define L(n, v)                  \
    {                            \
        { "" n, sizeof(n) - 1 }, \
        {                        \
            "" v, sizeof(v) - 1  \
        }                        \
    }
#define SET(...)                                             \
    ((struct labels){ (const struct label[]){ __VA_ARGS__ }, \
                      sizeof((const struct label[]){ __VA_ARGS__ }) / sizeof(struct label) })

TEST(labels_get_finds_and_misses)
{
    struct labels ls = SET(L("__name__", "up"), L("a", "1"), L("b", "2"));

    CHECK_STR(labels_get(ls, STR("a")), STR("1"));
    CHECK_STR(labels_get(ls, LABEL_NAME), STR("up"));
    CHECK(labels_get(ls, STR("c")).n == 0);
    CHECK(labels_get((struct labels){ 0 }, STR("c")).n == 0);
}

TEST(labels_cmp_orders_by_pairs_then_length)
{
    const struct labels order[] = {
        { 0 },
        SET(L("a", "1")),
        SET(L("a", "1"), L("b", "1")),
        SET(L("a", "1"), L("c", "0")),
        SET(L("a", "10")),
        SET(L("a", "2")),
        SET(L("aa", "1")),
    };

    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        for (size_t j = 0; j < ARRAY_LEN(order); j++) {
            int c = labels_cmp(order[i], order[j]);

            CHECK_F((c < 0) == (i < j) && (c > 0) == (i > j), "%zu %zu: %d", i, j, c);
            CHECK(labels_equal(order[i], order[j]) == (i == j));
        }
    }
}

static const struct {
    struct labels ls;
    const char *labels, *series;
} texts[] = {
    { { 0 }, "{}", "{}" },
    { SET(L("__name__", "up")), "{__name__=\"up\"}", "up" },
    { SET(L("__name__", "a:b"), L("x", "1")), "{__name__=\"a:b\", x=\"1\"}", "a:b{x=\"1\"}" },
    { SET(L("a", "x\"y"), L("b", "\n")), "{a=\"x\\\"y\", b=\"\\n\"}", "{a=\"x\\\"y\", b=\"\\n\"}" },
    { SET(L("__name__", "a.b"), L("é", "1")), "{__name__=\"a.b\", \"é\"=\"1\"}",
      "{\"a.b\", \"é\"=\"1\"}" },
};

TEST(labels_print_as_upstream)
{
    OWNED(buf_fini) struct buf b = { 0 };

    FOR_CASES (t, texts) {
        buf_reset(&b);
        buf_labels(&b, t->ls);
        CHECK_STR(buf_view(&b), str_c(t->labels));
        buf_reset(&b);
        buf_series(&b, t->ls);
        CHECK_STR(buf_view(&b), str_c(t->series));
    }
}

TEST(labels_canonical_separates_what_concatenation_would_not)
{
    OWNED(buf_fini) struct buf a = { 0 }, b = { 0 };

    buf_labels_canonical(&a, SET(L("ab", "c")));
    buf_labels_canonical(&b, SET(L("a", "bc")));
    CHECK_STR(buf_view(&a), STR("\x02"
                                "ab\x01"
                                "c"));
    CHECK(!str_eq(buf_view(&a), buf_view(&b)));
}

TEST(labels_fingerprint_is_a_hash_of_the_canonical_bytes)
{
    static const char big[3000] = { 1 };
    struct label v[2] = { L("a", "1"), L("b", "") };

    for (size_t n = 1; n < sizeof big; n = n * 2 + 1) { // both sides of the stack buffer
        OWNED(buf_fini) struct buf b = { 0 };
        struct labels ls = { v, 2 };

        v[1].value = str_of(big, n);
        buf_labels_canonical(&b, ls);
        struct hash128 got = labels_fingerprint(ls, 7), want = hash128_seeded(buf_view(&b), 7);
        CHECK(got.lo == want.lo && got.hi == want.hi);
        struct hash128 other = labels_fingerprint(ls, 8);
        CHECK(got.lo != other.lo);
    }
}

TEST(labels_hash_is_xxh64_over_separated_pairs)
{
    static char big[2048];
    struct label v[1] = { L("a", "") };

    CHECK(labels_hash(SET(L("a", "1"), L("b", "2"))) == hash_xxh64(STR("a\xff"
                                                                       "1\xff"
                                                                       "b\xff"
                                                                       "2\xff")));
    CHECK(labels_hash((struct labels){ 0 }) == UINT64_C(0xef46db3751d8e999)); // of no bytes
    memset(big, 'x', sizeof big);
    memcpy(big, "a\xff", 2);
    big[sizeof big - 1] = (char)0xff;
    v[0].value = str_of(big + 2, sizeof big - 3);
    CHECK(labels_hash((struct labels){ v, 1 }) == hash_xxh64(str_of(big, sizeof big)));
}

TEST(label_names_legacy)
{
    CHECK(label_name_is_legacy(STR("_a9")) && label_name_is_legacy(STR("A")));
    CHECK(!label_name_is_legacy(STR("")) && !label_name_is_legacy(STR("9a")));
    CHECK(!label_name_is_legacy(STR("a:b")) && metric_name_is_legacy(STR("a:b")));
    CHECK(!metric_name_is_legacy(STR("a-b")) && !metric_name_is_legacy(STR("")));
    CHECK(!metric_name_is_legacy(STR("0:")) && metric_name_is_legacy(STR(":0")));
}

TEST(labels_are_valid_checks_names_and_values)
{
    CHECK(labels_are_valid((struct labels){ 0 }, true));
    CHECK(labels_are_valid(SET(L("__name__", "a:b"), L("a", "é")), true));
    CHECK(labels_are_valid(SET(L("__name__", "a.b"), L("é", "1")), false));
    CHECK(!labels_are_valid(SET(L("__name__", "a.b")), true));
    CHECK(!labels_are_valid(SET(L("__name__", "")), false));
    CHECK(!labels_are_valid(SET(L("", "1")), false));
    CHECK(!labels_are_valid(SET(L("a:b", "1")), true));
    CHECK(!labels_are_valid(SET(L("a", "\xff")), false));
    CHECK(!labels_are_valid(SET(L("\xff", "1")), false));
}

TEST(labels_builder_sets_deletes_and_stays_sorted)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };

    labels_builder_reset(&b, SET(L("b", "2"), L("d", "4")));
    labels_builder_set(&b, STR("c"), STR("3"));
    labels_builder_set(&b, STR("a"), STR("1"));
    labels_builder_set(&b, STR("d"), STR("5"));
    labels_builder_set(&b, STR("b"), STR("")); // an empty value deletes
    labels_builder_del(&b, STR("zz"));
    CHECK(labels_equal(labels_builder_view(&b), SET(L("a", "1"), L("c", "3"), L("d", "5"))));
    CHECK_STR(labels_builder_get(&b, STR("c")), STR("3"));
    CHECK(labels_builder_get(&b, STR("b")).n == 0);
    labels_builder_reset(&b, (struct labels){ 0 });
    CHECK(labels_builder_view(&b).n == 0);
    for (int i = 0; i < 100; i++) {
        static char names[100][4];

        snprintf(names[i], sizeof names[i], "%02d", (i * 37) % 100);
        labels_builder_set(&b, str_c(names[i]), STR("x"));
    }
    for (size_t i = 1; i < 100; i++)
        CHECK(str_cmp(b.v[i - 1].name, b.v[i].name) < 0);
}

TEST(labels_copy_is_deep)
{
    OWNED(arena_fini) struct arena a = { 0 };
    char text[] = "value";
    struct label v[1] = { L("n", "") };

    v[0].value = str_c(text);
    struct labels copy = labels_copy(&a, (struct labels){ v, 1 });
    text[0] = 'X';
    CHECK_STR(labels_get(copy, STR("n")), STR("value"));
    CHECK(labels_copy(&a, (struct labels){ 0 }).n == 0);
}

TEST(labels_normalize_sorts_drops_and_reports)
{
    struct label v[] = { L("b", "2"), L("c", ""), L("a", "1") };
    struct label twice[] = { L("b", "2"), L("a", "1"), L("b", "") };
    size_t n = ARRAY_LEN(v);
    struct str dup = STR_NONE;

    CHECK(labels_normalize(v, &n, &dup));
    CHECK(labels_equal((struct labels){ v, n }, SET(L("a", "1"), L("b", "2"))));
    n = ARRAY_LEN(twice);
    CHECK(!labels_normalize(twice, &n, &dup));
    CHECK_STR(dup, STR("b"));
}
