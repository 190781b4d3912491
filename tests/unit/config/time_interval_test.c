// time_interval_test.c - what intervals hold, what they refuse, and the corpus.
// SPDX-License-Identifier: Apache-2.0
#include "config/time_interval.h"

#include "base/file.h"
#include "base/time.h"
#include "codec/json.h"
#include "codec/yaml.h"
#include "test.h"

static bool read_interval(struct arena *a, const struct yaml_node *node,
                          struct conf_time_interval *out, struct err *e)
{
    struct conf_reader r = { .arena = a };

    return conf_read(&r, &conf_time_interval_type, node, out, e);
}

static bool parse(struct arena *a, const char *text, struct conf_time_interval *out, struct err *e)
{
    const struct yaml_node *node;

    return yaml_parse(a, str_c(text), &node, e) && read_interval(a, node, out, e);
}

static int64_t seconds(const char *text)
{
    struct err e = { 0 };
    int64_t ns;

    CHECK_OK(rfc3339_parse(str_c(text), &ns, &e), &e);
    return floor_div(ns, NS_SECOND);
}

static const struct {
    const char *yaml, *time;
    bool in;
} cases[] = {
    { "{}", "2026-11-21T12:00:00Z", true },
    { "times: [{start_time: '22:00', end_time: '24:00'}]", "2026-11-21T23:59:59Z", true },
    { "times: [{start_time: '22:00', end_time: '24:00'}]", "2026-11-22T00:00:00Z", false },
    { "weekdays: [saturday, 'monday:tuesday']", "2026-11-21T00:00:00Z", true }, // a Saturday
    { "weekdays: [sunday]", "2026-11-21T23:59:59Z", false },
    { "{weekdays: [sunday], location: Asia/Tokyo}", "2026-11-21T15:00:00Z", true },
    { "days_of_month: ['-1']", "2026-02-28T12:00:00Z", true },
    { "days_of_month: ['-1']", "2028-02-28T12:00:00Z", false }, // a leap year
    { "days_of_month: ['29:31']", "2026-02-28T12:00:00Z", false },
    { "months: ['May:7', 12]", "2026-06-28T12:00:00Z", true },
    { "months: ['may:7', 12]", "2026-08-28T12:00:00Z", false },
    { "years: ['2020:2026', '2030']", "2026-12-31T23:59:59Z", true },
    { "years: ['2020:2025', '2030']", "2026-12-31T23:59:59Z", false },
};

TEST(times_are_in_or_out)
{
    FOR_CASES (c, cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        struct conf_time_interval i = { 0 };
        struct err e = { 0 };

        CHECK_OK(parse(&a, c->yaml, &i, &e), &e);
        CHECK_F(time_interval_contains(&i, seconds(c->time)) == c->in, "%s at %s", c->yaml,
                c->time);
    }
}

static const struct {
    const char *yaml, *error;
} refused[] = {
    { "weekdays: ['a:b:c']", "couldn't parse range a:b:c, invalid format" },
    { "months: [smarch]", "smarch is not a valid month" },
    { "years: [x]", "strconv.Atoi: parsing \"x\": invalid syntax" },
    { "days_of_month: ['5:3']", "end day 3 is always before start day 5" },
    { "location: Mars/Base", "unknown time zone Mars/Base" },
    { "times: [{start_time: '9:00', end_time: '10:00'}]",
      "couldn't parse timestamp 9:00, invalid format" },
};

TEST(wrong_ones_say_what_is_wrong_and_where)
{
    FOR_CASES (c, refused) {
        OWNED(arena_fini) struct arena a = { 0 };
        struct conf_time_interval i = { 0 };
        struct err e = { 0 };

        CHECK(!parse(&a, c->yaml, &i, &e));
        CHECK_STR(str_c(e.text), str_c(c->error));
        CHECK(e.pos.line == 1);
    }
}

/* ---- the corpus ---- */

static int month_of(struct str s)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12; i++) {
        if (memcmp(names + 3 * i, s.p, 3) == 0)
            return i + 1;
    }
    CHECK(false);
    return 0;
}

// 02 Jan 06 15:04 +0100
static int64_t rfc822(struct str s)
{
    struct str day = str_cut(&s, ' '), month = str_cut(&s, ' '), year = str_cut(&s, ' ');
    struct str clock = str_cut(&s, ' '), hour = str_cut(&clock, ':');
    int64_t d, y, h, m, zone;

    CHECK(str_to_i64(day, &d) && str_to_i64(year, &y) && str_to_i64(hour, &h) &&
          str_to_i64(clock, &m) && str_to_i64(str_sub(s, 1, 5), &zone));
    zone = (zone / 100 * 60 + zone % 100) * (s.p[0] == '-' ? -1 : 1);
    return civil_days(2000 + y, month_of(month), (int)d) * 86400 + (h * 60 + m - zone) * 60;
}

static void check_times(const struct json_value *list, const struct conf_time_interval *v, size_t n,
                        bool in)
{
    for (size_t i = 0; list && i < list->n; i++) {
        bool any = false;

        for (size_t k = 0; k < n; k++)
            any |= time_interval_contains(&v[k], rfc822(list->items[i].s));
        CHECK_F(any == in, "%.*s", STRF(list->items[i].s));
    }
}

static void check_case(struct arena *a, const struct json_value *c)
{
    struct str error = json_get_str(c, STR("error"));
    struct conf_time_interval v[8] = { 0 };
    const struct yaml_node *node;
    struct err e = { 0 };
    size_t n = 1;
    bool ok = true;

    // Made as a struct upstream: its reader refuses this text, as the case of -15:5 tells.
    if (str_find(json_get_str(c, STR("yaml")), STR("-31:31")) != STR_NPOS)
        return;
    CHECK_OK(yaml_parse(a, json_get_str(c, STR("yaml")), &node, &e), &e);
    if (str_eq_c(json_get_str(c, STR("form")), "list"))
        n = node->n;
    CHECK(n <= ARRAY_LEN(v));
    for (size_t i = 0; ok && i < n; i++)
        ok = read_interval(a, node->kind == YAML_SEQUENCE ? node->items[i] : node, &v[i], &e);
    CHECK_F(ok == !error.n, "%s", ok ? "taken" : e.text);
    if (!ok)
        CHECK_STR(str_c(e.text), error);
    else
        check_times(json_get(c, STR("contains")), v, n, true),
            check_times(json_get(c, STR("excludes")), v, n, false);
}

TEST(corpus_of_intervals)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *path = test_corpus("alertmanager/time_intervals.json");
    struct err e = { 0 };
    struct json_value *doc;
    struct str text;

    SKIP_WITHOUT_CORPUS(path);
    CHECK_OK(file_read(&a, path, 1 << 20, &text, &e), &e);
    CHECK_OK(json_parse(&a, text, &doc, &e), &e);
    struct json_value *list = json_get(doc, STR("cases"));
    CHECK(list && list->n > 10);
    for (size_t i = 0; i < list->n; i++)
        check_case(&a, &list->items[i]);
}
