// rune_test.c - UTF-8, case mappings and Go's quoting.
// SPDX-License-Identifier: Apache-2.0
#include "base/rune.h"

#include "test.h"

TEST(rune_round_trips_every_code_point)
{
    OWNED(buf_fini) struct buf b = { 0 };

    for (uint32_t r = 0; r <= RUNE_MAX; r++) {
        uint32_t back = 1;
        bool surrogate = r >= 0xd800 && r <= 0xdfff;

        buf_reset(&b);
        buf_rune(&b, r);
        CHECK_F(rune_decode(buf_view(&b), &back) == b.n, "U+%04X", r);
        CHECK_F(back == (surrogate ? RUNE_BAD : r), "U+%04X gave U+%04X", r, back);
    }
}

static const struct {
    const char *in;
    size_t n;
} bad[] = {
    { "\x80", 1 },
    { "\xc0\x80", 2 }, // overlong
    { "\xc1\xbf", 2 },
    { "\xe0\x9f\xbf", 3 },
    { "\xf0\x8f\xbf\xbf", 4 },
    { "\xed\xa0\x80", 3 },     // surrogate
    { "\xf4\x90\x80\x80", 4 }, // beyond the last plane
    { "\xf5\x80\x80\x80", 4 },
    { "\xe2\x82", 2 }, // cut
    { "\xe2\x28\xa1", 3 },
    { "\xff", 1 },
};

TEST(rune_decode_takes_one_byte_of_what_is_bad)
{
    FOR_CASES (t, bad) {
        uint32_t r = 0;

        CHECK_F(rune_decode(str_of(t->in, t->n), &r) == 1, "case %ld", (long)(t - bad));
        CHECK(r == RUNE_BAD);
    }
}

TEST(rune_tables_have_the_sizes_of_unicode_15)
{
    unsigned print = 0, upper = 0, lower = 0;

    for (uint32_t r = 0; r <= RUNE_MAX; r++) {
        print += rune_is_print(r);
        upper += r >= 0x80 && rune_upper(r) != r;
        lower += r >= 0x80 && rune_lower(r) != r;
    }
    CHECK_F(print == 148998, "%u printable", print);
    CHECK_F(upper == 1424, "%u upper", upper);
    CHECK_F(lower == 1407, "%u lower", lower);
}

static const struct {
    uint32_t r, lower, upper;
} mapped[] = {
    { 'a', 'a', 'A' },
    { 'Z', 'z', 'Z' },
    { '1', '1', '1' },
    { 0xb5, 0xb5, 0x39c },
    { 0xdf, 0xdf, 0xdf },
    { 0x130, 'i', 0x130 },
    { 0x131, 0x131, 'I' },
    { 0x1c5, 0x1c6, 0x1c4 },
    { 0x3c2, 0x3c2, 0x3a3 },
    { 0x1f80, 0x1f80, 0x1f88 },
    { 0x212a, 'k', 0x212a },
    { 0x10d0, 0x10d0, 0x1c90 },
    { 0x1e9e, 0xdf, 0x1e9e },
    { 0x10400, 0x10428, 0x10400 },
    { 0x1e943, 0x1e943, 0x1e921 },
};

TEST(rune_case_is_the_simple_mapping)
{
    FOR_CASES (t, mapped) {
        CHECK_F(rune_lower(t->r) == t->lower, "lower U+%04X: U+%04X", t->r, rune_lower(t->r));
        CHECK_F(rune_upper(t->r) == t->upper, "upper U+%04X: U+%04X", t->r, rune_upper(t->r));
    }
}

TEST(buf_lower_replaces_bad_bytes)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_lower(&b, STR("ÀB\xff"));
    CHECK_STR(buf_view(&b), STR("àb\xef\xbf\xbd"));
    buf_reset(&b);
    buf_upper(&b, STR("straße"));
    CHECK_STR(buf_view(&b), STR("STRAßE"));
}

static const struct {
    struct str in;
    const char *want;
} quoted[] = {
    { STR(""), "\"\"" },
    { STR("plain text"), "\"plain text\"" },
    { STR("a\"b\\c"), "\"a\\\"b\\\\c\"" },
    { STR("\a\b\f\n\r\t\v"), "\"\\a\\b\\f\\n\\r\\t\\v\"" },
    { STR("\x00\x01\x1f\x7f"), "\"\\x00\\x01\\x1f\\x7f\"" },
    { STR("\xff\xc3"), "\"\\xff\\xc3\"" },
    { STR("é世界😀"), "\"é世界😀\"" },
    { STR("\u00a0\u200b\ufeff"), "\"\\u00a0\\u200b\\ufeff\"" },
    { STR("\ufffd"), "\"\ufffd\"" },
    { STR("\U000e0001"), "\"\\U000e0001\"" },
};

TEST(buf_quoted_is_go_quote)
{
    OWNED(buf_fini) struct buf b = { 0 };

    FOR_CASES (t, quoted) {
        buf_reset(&b);
        buf_quoted(&b, t->in);
        CHECK_STR(buf_view(&b), str_c(t->want));
    }
}
