// prometheus_param_test.c - times and durations as Go counts them, numbers and switches.
// SPDX-License-Identifier: Apache-2.0
#include "../test.h"
#include "face/prometheus_priv.h"

static const struct {
    const char *text;
    bool ok;
    int64_t engine_ms, storage_ms;
} times[] = {
    { "1717245000", true, 1717245000000, 1717245000000 },
    { "1717245000.1235", true, 1717245000124, 1717245000124 },
    { "-1.5", true, -1500, -1500 },
    { "1e3", true, 1000000, 1000000 },
    { "2024-06-01T12:00:00Z", true, 1717243200000, 1717243200000 },
    { "2024-06-01T14:00:00.25+02:00", true, 1717243200250, 1717243200250 },
    { "9999-12-31T23:59:59Z", true, -4852116232933, 253402300799000 }, // nanoseconds wrap
    { "-292273086-05-16T16:47:06Z", true, 6795364580679, -9223309901257974000 },
    { "292277025-08-18T07:12:54.999999999Z", true, -6795364579679, 9223309901257974999 },
    { "1e400", false, 0, 0 },
    { "9e999", false, 0, 0 },
    { "yesterday", false, 0, 0 },
    { " ", false, 0, 0 },
    { "", false, 0, 0 },
    { "2024-06-01", false, 0, 0 },
};

TEST(times_parse)
{
    FOR_CASES (t, times) {
        struct prom_time got = { -7, -7 };
        bool ok = prom_time_parse(str_c(t->text), &got);
        CHECK_F(ok == t->ok, "%s", t->text);
        if (!ok) {
            CHECK(got.s == -7 && got.ns == -7);
            continue;
        }
        CHECK_F(prom_time_engine_ms(got) == t->engine_ms, "%s: %lld", t->text,
                (long long)prom_time_engine_ms(got));
        CHECK_F(prom_time_storage_ms(got) == t->storage_ms, "%s: %lld", t->text,
                (long long)prom_time_storage_ms(got));
    }
}

TEST(times_that_are_no_numbers_are_times)
{
    static const char *const texts[] = { "NaN", "Inf", "-Inf", "99999999999999999", "-1e300" };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct prom_time t;
        CHECK(prom_time_parse(str_c(texts[i]), &t));
        CHECK(t.ns >= 0 && t.ns < NS_SECOND);
        int64_t ms = prom_time_engine_ms(t); // within what nanoseconds hold, whatever they were
        CHECK(ms >= INT64_MIN / NS_MS && ms <= INT64_MAX / NS_MS);
    }
}

TEST(times_subtract_and_saturate)
{
    struct prom_time a = prom_time_of_ms(1500), b = prom_time_of_ms(-250);

    CHECK(b.s == -1 && b.ns == 750000000);
    CHECK(prom_time_sub_ns(a, b) == 1750 * NS_MS && prom_time_sub_ns(b, a) == -1750 * NS_MS);
    CHECK(prom_time_sub_ns(PROM_TIME_MAX, PROM_TIME_MIN) == INT64_MAX);
    CHECK(prom_time_sub_ns(PROM_TIME_MIN, PROM_TIME_MAX) == INT64_MIN);
}

static const struct {
    const char *text;
    int64_t ns;
    const char *error;
} durations[] = {
    { "5", 5000000000, NULL },
    { "0.0001", 100000, NULL },
    { "-1", -1000000000, NULL },
    { "1h30m", 5400000000000, NULL },
    { "NaN", INT64_MIN, NULL },
    { "0.5s", 0, "cannot parse \"0.5s\" to a valid duration" },
    { "10x", 0, "cannot parse \"10x\" to a valid duration" },
    { "", 0, "cannot parse \"\" to a valid duration" },
    { "1e30", 0, "cannot parse \"1e30\" to a valid duration. It overflows int64" },
    { "Inf", 0, "cannot parse \"Inf\" to a valid duration. It overflows int64" },
    { "1e400", 0, "cannot parse \"1e400\" to a valid duration" },
};

TEST(durations_parse)
{
    FOR_CASES (t, durations) {
        struct err e = { 0 };
        int64_t ns = -7;
        bool ok = prom_duration_parse(str_c(t->text), &ns, &e);
        CHECK_F(ok == !t->error, "%s: %s", t->text, e.text);
        CHECK_F(ns == (ok ? t->ns : -7), "%s: %lld", t->text, (long long)ns);
        if (t->error)
            CHECK_STR(str_c(e.text), str_c(t->error));
    }
}

TEST(numbers_and_switches)
{
    OWNED(arena_fini) struct arena a = { 0 };
    bool v = false;

    CHECK_STR(prom_number_problem(&a, "Atoi", STR("x")),
              STR("strconv.Atoi: parsing \"x\": invalid syntax"));
    CHECK_STR(prom_number_problem(&a, "Atoi", STR("-")),
              STR("strconv.Atoi: parsing \"-\": invalid syntax"));
    CHECK_STR(prom_number_problem(&a, "ParseInt", STR("99999999999999999999")),
              STR("strconv.ParseInt: parsing \"99999999999999999999\": value out of range"));
    CHECK(prom_bool_parse(STR("T"), &v) && v);
    CHECK(prom_bool_parse(STR("0"), &v) && !v);
    CHECK(!prom_bool_parse(STR("yes"), &v) && !prom_bool_parse(STR(""), &v));
}

TEST(html_is_escaped)
{
    OWNED(buf_fini) struct buf b = { 0 };

    prom_buf_html(&b, STR("/q?a=\"1\"&b=<'>"));
    CHECK_STR(buf_view(&b), STR("/q?a=&#34;1&#34;&amp;b=&lt;&#39;&gt;"));
}
