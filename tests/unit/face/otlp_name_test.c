// otlp_name_test.c - names of metrics, labels and units for each strategy of translation.
// SPDX-License-Identifier: Apache-2.0
#include "face/otlp_name.h"

#include "test.h"

enum { ESCAPE, ESCAPE_BARE, UTF8, UTF8_BARE, STRATEGIES };
static const struct otlp_namer namers[STRATEGIES] = {
    [ESCAPE] = { .suffixes = true },
    [ESCAPE_BARE] = { .suffixes = false },
    [UTF8] = { .suffixes = true, .utf8 = true },
    [UTF8_BARE] = { .suffixes = false, .utf8 = true },
};

#define G OTLP_NAME_GAUGE
#define C OTLP_NAME_COUNTER
#define O OTLP_NAME_OTHER

// names: by strategy; NULL: an error.
static const struct {
    const char *name, *unit;
    enum otlp_name_kind kind;
    const char *names[STRATEGIES];
} metrics[] = {
    { "up", "", G, { "up", "up", "up", "up" } },
    { "http.server.duration",
      "s",
      O,
      { "http_server_duration_seconds", "http_server_duration", "http.server.duration_seconds",
        "http.server.duration" } },
    { "requests", "1", C, { "requests_total", "requests", "requests_total", "requests" } },
    { "requests_total",
      "1",
      C,
      { "requests_total", "requests_total", "requests_total", "requests_total" } },
    { "total.requests",
      "",
      C,
      { "requests_total", "total_requests", "total.requests_total", "total.requests" } },
    { "usage", "1", G, { "usage_ratio", "usage", "usage_ratio", "usage" } },
    { "usage.ratio", "1", G, { "usage_ratio", "usage_ratio", "usage_ratio", "usage.ratio" } },
    { "usage", "1", O, { "usage", "usage", "usage", "usage" } },
    { "memory", "By", G, { "memory_bytes", "memory", "memory_bytes", "memory" } },
    { "memory.bytes", "By", G, { "memory_bytes", "memory_bytes", "memory.bytes", "memory.bytes" } },
    { "speed",
      "m/s",
      G,
      { "speed_meters_per_second", "speed", "speed_meters_per_second", "speed" } },
    { "rate", "{packet}/s", G, { "rate_per_second", "rate", "rate_per_second", "rate" } },
    { "things", "{thing}", C, { "things_total", "things", "things_total", "things" } },
    { "odd", " By / {x} ", G, { "odd_bytes", "odd", "odd_bytes", "odd" } },
    { "temperature",
      "Cel",
      G,
      { "temperature_celsius", "temperature", "temperature_celsius", "temperature" } },
    { "load", "%", G, { "load_percent", "load", "load_percent", "load" } },
    { "x", "foo bar/x y", G, { "x_foo_bar_per_x_y", "x", "x_foo bar_per_x y", "x" } },
    { "x", "__a__", G, { "x_a_", "x", "x___a__", "x" } },
    { "x", "a/_", G, { "x_a", "x", "x_a_per__", "x" } },
    { "1st.place", "", G, { "_1st_place", "_1st_place", "1st.place", "1st.place" } },
    { "a__b", "", G, { "a_b", "a__b", "a__b", "a__b" } },
    { "..a..b..", "", G, { "a_b", "a_b", "..a..b..", "..a..b.." } },
    { "ns:job", "", G, { "ns:job", "ns:job", "ns:job", "ns:job" } },
    { "gr\xc3\xb6\xc3\x9f"
      "e",
      "",
      G,
      { "gr_e", "gr_e",
        "gr\xc3\xb6\xc3\x9f"
        "e",
        "gr\xc3\xb6\xc3\x9f"
        "e" } },
    { "\xc3\xa4", "", G, { NULL, NULL, "\xc3\xa4", "\xc3\xa4" } },
    { "", "s", G, { "seconds", NULL, "_seconds", NULL } },
    { "", "", C, { "total", NULL, "_total", NULL } },
};

TEST(otlp_metric_names)
{
    FOR_CASES (t, metrics) {
        for (int s = 0; s < STRATEGIES; s++) {
            OWNED(arena_fini) struct arena a = { 0 };
            struct err e = { 0 };
            struct str out = STR("untouched");
            const char *want = t->names[s];

            bool ok = otlp_metric_name(&namers[s], &a, str_c(t->name), str_c(t->unit), t->kind,
                                       &out, &e);
            CHECK_F(ok == (want != NULL), "%s, strategy %d", t->name, s);
            CHECK_STR(out, want ? str_c(want) : STR("untouched"));
            CHECK(ok || strstr(e.text, "normalization for metric \""));
        }
    }
}

// names: with prefix and underscores kept (the default), without prefix, underscores joined.
static const struct {
    const char *name, *names[3];
} labels[] = {
    { "http.method", { "http_method", "http_method", "http_method" } },
    { "a", { "a", "a", "a" } },
    { "_private", { "key_private", "_private", "key_private" } },
    { "__name", { "__name", "__name", "key_name" } },
    { "__a..b__", { "__a__b__", "__a__b__", "__a_b__" } },
    { "1a", { "key_1a", "key_1a", "key_1a" } },
    { "a..b", { "a__b", "a__b", "a_b" } },
    { "a:b", { "a_b", "a_b", "a_b" } },
    { ".a", { "key_a", "_a", "key_a" } },
    { "\xc3\xa4x", { "key_x", "_x", "key_x" } },
    { "__", { NULL, NULL, NULL } },
    { "..", { NULL, NULL, "key_" } },
    { "_", { "key_", NULL, "key_" } },
    { "", { NULL, NULL, NULL } },
};

TEST(otlp_label_names)
{
    static const struct otlp_namer by_case[] = {
        { .key_prefix = true, .keep_underscores = true },
        { .keep_underscores = true },
        { .key_prefix = true },
    };

    FOR_CASES (t, labels) {
        for (size_t i = 0; i < ARRAY_LEN(by_case); i++) {
            OWNED(arena_fini) struct arena a = { 0 };
            struct err e = { 0 };
            struct str out = STR("untouched");
            const char *want = t->names[i];

            // "__" is empty between its reserved ends once runs are joined.
            bool ok = otlp_label_name(&by_case[i], &a, str_c(t->name), &out, &e);
            if (i == 2 && str_eq_c(str_c(t->name), "__"))
                want = "key_";
            CHECK_F(ok == (want != NULL), "%s, case %zu: %.*s", t->name, i, STRF(out));
            CHECK_STR(out, want ? str_c(want) : STR("untouched"));
        }
    }
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    struct str out;
    CHECK_OK(otlp_label_name(&namers[UTF8], &a, STR("a.b \xc3\xa4"), &out, &e), &e);
    CHECK_STR(out, STR("a.b \xc3\xa4"));
    CHECK(!otlp_label_name(&namers[UTF8], &a, STR("___"), &out, &e));
}

TEST(otlp_unit_names)
{
    static const struct {
        const char *unit, *plain, *utf8;
    } cases[] = {
        { "", "", "" },
        { "1", "", "" },
        { "s", "seconds", "seconds" },
        { "By/s", "bytes_per_second", "bytes_per_second" },
        { "{x}/min", "per_min", "per_min" },
        { "{x}", "", "" },
        { "foo bar", "foo_bar", "foo bar" },
        { "_a_", "a", "a" },
    };

    FOR_CASES (t, cases) {
        OWNED(arena_fini) struct arena a = { 0 };

        CHECK_STR(otlp_unit_name(&a, str_c(t->unit), false), str_c(t->plain));
        CHECK_STR(otlp_unit_name(&a, str_c(t->unit), true), str_c(t->utf8));
    }
}
