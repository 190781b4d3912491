// time_test.c - durations, RFC 3339, the calendar.
// SPDX-License-Identifier: Apache-2.0
#include "base/time.h"

#include "base/rand.h"
#include "test.h"

static const struct {
    const char *in;
    int64_t ms; // −1: refused
    const char *out;
} durations[] = {
    { "5m", 300000, "5m" },
    { "1h30m", 5400000, "1h30m" },
    { "90m", 5400000, "1h30m" },
    { "0", 0, "0s" },
    { "0s", 0, "0s" },
    { "500ms", 500, "500ms" },
    { "1d", 86400000, "1d" },
    { "7d", 604800000, "1w" },
    { "8d", 691200000, "8d" },
    { "1y", 31536000000, "1y" },
    { "1m1ms", 60001, "1m1ms" },
    { "2w", 1209600000, "2w" },
    { "", -1, NULL },
    { "5", -1, NULL },
    { "5m1h", -1, NULL },
    { "1h1h", -1, NULL },
    { "m", -1, NULL },
    { "5x", -1, NULL },
    { "-5m", -1, NULL },
    { "1.5h", -1, NULL },
    { "99999999999999999999s", -1, NULL },
    { "300000y", -1, NULL },
};

TEST(duration_table)
{
    FOR_CASES (t, durations) {
        struct err e = { 0 };
        int64_t ms = -7;
        bool ok = duration_parse(str_c(t->in), &ms, &e);
        CHECK_F(ok == (t->ms >= 0) && ms == (ok ? t->ms : -7), "%s gave %lld", t->in,
                (long long)ms);
        CHECK(ok || e.text[0]);
        if (ok) {
            OWNED(buf_fini) struct buf b = { 0 };
            buf_duration(&b, ms);
            CHECK_STR(buf_view(&b), str_c(t->out));
        }
    }
}

static const struct {
    int64_t ns;
    const char *out;
} go_durations[] = {
    { 0, "0s" },
    { 1, "1ns" },
    { 1500, "1.5\xc2\xb5s" },
    { 2000000, "2ms" },
    { 1500000000, "1.5s" },
    { 60000000000, "1m0s" },
    { 5400000000000, "1h30m0s" },
    { -1000000, "-1ms" },
    { 3600000000001, "1h0m0.000000001s" },
};

TEST(go_duration_table)
{
    FOR_CASES (t, go_durations) {
        OWNED(buf_fini) struct buf b = { 0 };
        buf_duration_go(&b, t->ns);
        CHECK_STR(buf_view(&b), str_c(t->out));
    }
}

TEST(rfc3339_round_trip_and_zones)
{
    struct err e = { 0 };
    int64_t ns = 0;
    OWNED(buf_fini) struct buf b = { 0 };

    CHECK_OK(rfc3339_parse(STR("2026-11-21T04:05:06.789Z"), &ns, &e), &e);
    CHECK(ns == INT64_C(1795233906789000000));
    buf_rfc3339_ms(&b, ns / NS_MS);
    CHECK_STR(buf_view(&b), STR("2026-11-21T04:05:06.789Z"));
    CHECK_OK(rfc3339_parse(STR("1970-01-01T01:00:00+01:00"), &ns, &e), &e);
    CHECK(ns == 0);
    static const char *const bad[] = { "2026-02-29T00:00:00Z", "2026-1-01T00:00:00Z", "2026-01-01",
                                       "2026-01-01T24:00:00Z", "2026-01-01T00:00:00", "x" };
    FOR_CASES (t, bad)
        CHECK_F(!rfc3339_parse(str_c(*t), &ns, &e), "%s", *t);
    CHECK(ns == 0);
}

TEST(civil_is_the_inverse_of_days)
{
    struct rand_state r = rand_seeded(3);

    for (int i = 0; i < 100000; i++) {
        int64_t s = (int64_t)(rand_next(&r) % 800000000000u) - INT64_C(400000000000);
        struct civil c = civil_of(s);
        int64_t back = civil_days(c.year, c.month, c.day) * 86400 + c.hour * 3600 + c.minute * 60 +
                       c.second;
        CHECK_F(back == s, "%lld", (long long)s);
        CHECK(c.day <= days_in_month(c.year, c.month) && c.weekday >= 0 && c.weekday < 7);
    }
    CHECK(civil_of(0).weekday == 4 && civil_of(0).yearday == 1);
    CHECK(civil_of(1795233906).weekday == 6);
}
