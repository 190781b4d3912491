// num_test.c - numbers to and from text.
// SPDX-License-Identifier: Apache-2.0
#include "base/num.h"

#include <math.h>

#include "base/bytes.h"
#include "base/rand.h"
#include "test.h"

static const struct {
    const char *in;
    bool ok;
    double v;
} parse_cases[] = {
    { "1", true, 1 },
    { "-0", true, -0.0 },
    { "+1.5", true, 1.5 },
    { "1e3", true, 1000 },
    { "1E-3", true, 0.001 },
    { ".5", true, 0.5 },
    { "5.", true, 5 },
    { "0x1p4", true, 16 },
    { "-0x.8p1", true, -1 },
    { "Inf", true, INFINITY },
    { "-inf", true, -INFINITY },
    { "+Infinity", true, INFINITY },
    { "1e999", true, INFINITY },
    { "-1e999", true, -INFINITY },
    { "1e-999", true, 0 },
    { "123456789012345678", true, 123456789012345678.0 },
    { "0.1", true, 0.1 },
    { "9007199254740993", true, 9007199254740992.0 },
    { "", false, 0 },
    { "-", false, 0 },
    { "1x", false, 0 },
    { "1e", false, 0 },
    { "0x1", false, 0 },
    { "--1", false, 0 },
    { "+-1", false, 0 },
    { "1_0", false, 0 },
    { " 1", false, 0 },
    { ".", false, 0 },
    { "infi", false, 0 },
};

TEST(parse_table)
{
    FOR_CASES (t, parse_cases) {
        double v = 77;
        bool ok = num_parse_double(str_c(t->in), &v);
        CHECK_F(ok == t->ok, "%s: %d", t->in, ok);
        CHECK_F(double_bits(v) == double_bits(t->ok ? t->v : 77), "%s: %a", t->in, v);
    }
}

TEST(parse_nan)
{
    double v = 0;

    CHECK(num_parse_double(STR("NaN"), &v) && double_bits(v) == UINT64_C(0x7ff8000000000001));
    CHECK(!num_parse_double(STR("+nan"), &v) && !num_parse_double(STR("-NaN"), &v));
}

static const struct {
    double v;
    const char *g, *json, *f, *e;
} format_cases[] = {
    { 0, "0", "0", "0", "0e+00" },
    { -0.0, "-0", "-0", "-0", "-0e+00" },
    { 1, "1", "1", "1", "1e+00" },
    { -17, "-17", "-17", "-17", "-1.7e+01" },
    { 0.1, "0.1", "0.1", "0.1", "1e-01" },
    { 1e6, "1e+06", "1000000", "1000000", "1e+06" },
    { 123456, "123456", "123456", "123456", "1.23456e+05" },
    { 1234567, "1.234567e+06", "1234567", "1234567", "1.234567e+06" },
    { 1e20, "1e+20", "100000000000000000000", "100000000000000000000", "1e+20" },
    { 1e21, "1e+21", "1e+21", "1000000000000000000000", "1e+21" },
    { 0x1p53, "9.007199254740992e+15", "9007199254740992", "9007199254740992",
      "9.007199254740992e+15" },
    { 0x1p64, "1.8446744073709552e+19", "18446744073709552000", "18446744073709552000",
      "1.8446744073709552e+19" },
    { -1e22 / 3, "-3.3333333333333335e+21", "-3.3333333333333335e+21", "-3333333333333333500000",
      "-3.3333333333333335e+21" },
    { 0.0001, "0.0001", "0.0001", "0.0001", "1e-04" },
    { 0.00001, "1e-05", "0.00001", "0.00001", "1e-05" },
    { 1e-6, "1e-06", "0.000001", "0.000001", "1e-06" },
    { 1e-7, "1e-07", "1e-7", "0.0000001", "1e-07" },
    { 1e-100, "1e-100", "1e-100", NULL, "1e-100" },
    { INFINITY, "+Inf", "+Inf", "+Inf", "+Inf" },
    { -INFINITY, "-Inf", "-Inf", "-Inf", "-Inf" },
    { NAN, "NaN", "NaN", "NaN", "NaN" },
};

TEST(format_table)
{
    char out[NUM_TEXT_MAX];

    FOR_CASES (t, format_cases) {
        CHECK_STR(str_of(out, num_format_g(t->v, out)), str_c(t->g));
        CHECK_STR(str_of(out, num_format_json(t->v, out)), str_c(t->json));
        CHECK_STR(str_of(out, num_format_e(t->v, out)), str_c(t->e));
        if (t->f)
            CHECK_STR(str_of(out, num_format_f(t->v, out)), str_c(t->f));
    }
}

TEST(random_doubles_survive_the_round_trip)
{
    struct rand_state r = rand_seeded(7);
    char out[NUM_TEXT_MAX];

    for (int i = 0; i < 200000; i++) {
        double v = double_from_bits(rand_next(&r)), back = 0;
        if (isnan(v))
            continue;
        if (i % 3 == 0)
            v = (double)(int64_t)(rand_next(&r) % 2000000000) / 1000;
        struct str g = str_of(out, num_format_g(v, out));
        CHECK_F(num_parse_double(g, &back) && double_bits(back) == double_bits(v), "%.*s", STRF(g));
        struct str json = str_of(out, num_format_json(v, out));
        CHECK_F(num_parse_double(json, &back) && back == v, "%.*s", STRF(json));
        struct str f = str_of(out, num_format_f(v, out));
        CHECK_F(num_parse_double(f, &back) && back == v, "%.*s", STRF(f));
    }
}

TEST(scan_stops_at_the_end_of_the_number)
{
    double v = 0;

    CHECK(num_scan_double("12.5 99", 7, &v) == 4 && v == 12.5);
    CHECK(num_scan_double("1e5}", 4, &v) == 3 && v == 1e5);
    CHECK(num_scan_double("x", 1, &v) == 0);
    CHECK(num_scan_double("", 0, &v) == 0);
    CHECK(num_scan_double("-inf", 4, &v) == 0);
}
