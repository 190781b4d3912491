// time_interval.c - reading time intervals, and whether a time lies in one.
// SPDX-License-Identifier: Apache-2.0
#include "config/time_interval.h"

#include "base/rune.h"
#include "base/time.h"

static const char *const weekdays[] = { "sunday",   "monday", "tuesday", "wednesday",
                                        "thursday", "friday", "saturday" };
static const char *const months[] = { "",        "january",  "february", "march",  "april",
                                      "may",     "june",     "july",     "august", "september",
                                      "october", "november", "december" };

/* ---- times of the day ---- */

// 00:00 to 24:00.
static bool parse_minute(const struct yaml_node *node, struct str s, int *out, struct err *e)
{
    int v[4];
    bool ok = s.n == 5 && s.p[2] == ':';

    for (size_t i = 0; ok && i < 4; i++) {
        v[i] = s.p[i + (i > 1)] - '0';
        ok = v[i] >= 0 && v[i] <= 9;
    }
    *out = ok ? (v[0] * 10 + v[1]) * 60 + v[2] * 10 + v[3] : 0;
    if (!ok || v[2] > 5 || *out > 24 * 60)
        return conf_fail(e, node, "couldn't parse timestamp %.*s, invalid format", STRF(s));
    return true;
}

static bool check_range(struct conf_reader *r UNUSED, const struct yaml_node *node, void *obj,
                        struct err *e)
{
    struct conf_time_range *t = obj;

    if (!t->start_time.n || !t->end_time.n)
        return conf_fail(e, node, "both start and end times must be provided");
    if (!parse_minute(node, t->start_time, &t->start_minute, e) ||
        !parse_minute(node, t->end_time, &t->end_minute, e))
        return false;
    if (t->start_minute >= t->end_minute)
        return conf_fail(e, node, "start time cannot be equal or greater than end time");
    return true;
}

static const struct conf_field range_fields[] = {
    CONF_FIELD(struct conf_time_range, start_time, "start_time", CONF_STR, 0, NULL),
    CONF_FIELD(struct conf_time_range, end_time, "end_time", CONF_STR, 0, NULL),
};
static const struct conf_type range_type = CONF_TYPE(
    "timeinterval.yamlTimeRange", struct conf_time_range, range_fields, NULL, check_range);

/* ---- spans of days, months, years ---- */

// One kind of span: how its members are written, and which spans make sense.
struct span_kind {
    bool (*member)(const struct yaml_node *node, struct str s, int *out, struct err *e);
    bool (*check)(const struct yaml_node *node, struct str s, struct time_span t, struct err *e);
};

static bool number(const struct yaml_node *node, struct str s, int *out, struct err *e)
{
    struct str digits = str_starts(s, STR("+")) ? str_sub(s, 1, s.n) : s;
    int64_t v;

    if (!str_to_i64(digits, &v) || v > INT32_MAX || v < INT32_MIN)
        return conf_fail(e, node, "strconv.Atoi: parsing \"%.*s\": invalid syntax", STRF(s));
    *out = (int)v;
    return true;
}

static bool weekday(const struct yaml_node *node, struct str s, int *out, struct err *e)
{
    for (int i = 0; i < (int)ARRAY_LEN(weekdays); i++) {
        if (str_eq_c(s, weekdays[i]))
            return *out = i, true;
    }
    return conf_fail(e, node, "%.*s is not a valid weekday", STRF(s));
}

static bool month(const struct yaml_node *node, struct str s, int *out, struct err *e)
{
    struct err why;

    for (int i = 1; i < (int)ARRAY_LEN(months); i++) {
        if (str_eq_c(s, months[i]))
            return *out = i, true;
    }
    return number(node, s, out, &why) || conf_fail(e, node, "%.*s is not a valid month", STRF(s));
}

static bool check_weekdays(const struct yaml_node *node, struct str s UNUSED, struct time_span t,
                           struct err *e)
{
    return t.begin <= t.end || conf_fail(e, node, "start day cannot be before end day");
}

// Days count from the end when negative; the shortest month tells what can never be.
static bool check_days(const struct yaml_node *node, struct str s UNUSED, struct time_span t,
                       struct err *e)
{
    int bad = !t.begin || t.begin < -31 || t.begin > 31 ? t.begin : t.end;

    if (!bad || bad < -31 || bad > 31)
        return conf_fail(e, node, "%d is not a valid day of the month: out of range", bad);
    if (t.begin < 0 && t.end > 0)
        return conf_fail(e, node, "end day must be negative if start day is negative");
    if ((t.begin < 0 ? 28 + t.begin : t.begin) > (t.end < 0 ? 28 + t.end : t.end))
        return conf_fail(e, node, "end day %d is always before start day %d", t.end, t.begin);
    return true;
}

static const char *month_name(int m)
{
    return m >= 1 && m <= 12 ? months[m] : "";
}

static bool check_months(const struct yaml_node *node, struct str s UNUSED, struct time_span t,
                         struct err *e)
{
    return t.begin <= t.end || conf_fail(e, node, "end month %s is before start month %s",
                                         month_name(t.end), month_name(t.begin));
}

static bool check_years(const struct yaml_node *node, struct str s UNUSED, struct time_span t,
                        struct err *e)
{
    return t.begin <= t.end ||
           conf_fail(e, node, "end year %d is before start year %d", t.end, t.begin);
}

static bool read_span(const struct span_kind *k, const struct yaml_node *node, struct str text,
                      struct time_span *out, struct err *e)
{
    OWNED(buf_fini) struct buf lower = { 0 };

    buf_lower(&lower, text);
    struct str s = buf_view(&lower), rest = s;
    struct str first = str_cut(&rest, ':');
    if (str_find_char(rest, ':') != STR_NPOS)
        return conf_fail(e, node, "couldn't parse range %.*s, invalid format", STRF(s));
    if (!k->member(node, first, &out->begin, e))
        return false;
    out->end = out->begin;
    if (str_find_char(s, ':') != STR_NPOS && !k->member(node, rest, &out->end, e))
        return false;
    return k->check(node, s, *out, e);
}

static bool read_spans(struct conf_reader *r, const struct span_kind *k,
                       const struct yaml_node *node, const struct conf_strs *texts,
                       struct time_spans *out, struct err *e)
{
    out->n = texts->n;
    out->v = arena_array(r->arena, texts->n, struct time_span);
    for (size_t i = 0; i < texts->n; i++) {
        if (!read_span(k, node, texts->v[i], &out->v[i], e))
            return false;
    }
    return true;
}

static bool check_interval(struct conf_reader *r, const struct yaml_node *node, void *obj,
                           struct err *e)
{
    static const struct span_kind by_weekday = { weekday, check_weekdays },
                                  by_day = { number, check_days },
                                  by_month = { month, check_months },
                                  by_year = { number, check_years };
    struct conf_time_interval *i = obj;
    struct err why;

    if (!read_spans(r, &by_weekday, node, &i->weekdays_text, &i->weekdays, e) ||
        !read_spans(r, &by_day, node, &i->days_text, &i->days, e) ||
        !read_spans(r, &by_month, node, &i->months_text, &i->months, e) ||
        !read_spans(r, &by_year, node, &i->years_text, &i->years, e))
        return false;
    if (i->location.n && !zone_load(r->arena, i->location, &i->zone, &why))
        return conf_fail(e, node, "%s", why.text);
    return true;
}

static const struct conf_field interval_fields[] = {
    CONF_FIELD(struct conf_time_interval, times, "times", CONF_LIST, CONF_OMIT, &range_type),
    CONF_FIELD(struct conf_time_interval, weekdays_text, "weekdays", CONF_STRS,
               CONF_OMIT | CONF_FLOW, NULL),
    CONF_FIELD(struct conf_time_interval, days_text, "days_of_month", CONF_STRS,
               CONF_OMIT | CONF_FLOW, NULL),
    CONF_FIELD(struct conf_time_interval, months_text, "months", CONF_STRS, CONF_OMIT | CONF_FLOW,
               NULL),
    CONF_FIELD(struct conf_time_interval, years_text, "years", CONF_STRS, CONF_OMIT | CONF_FLOW,
               NULL),
    CONF_FIELD(struct conf_time_interval, location, "location", CONF_STR, CONF_OMIT, NULL),
};
const struct conf_type conf_time_interval_type = CONF_TYPE(
    "timeinterval.TimeInterval", struct conf_time_interval, interval_fields, NULL, check_interval);

/* ---- whether a time is in it ---- */

static bool in_spans(const struct time_spans *s, int64_t v)
{
    for (size_t i = 0; i < s->n; i++) {
        if (v >= s->v[i].begin && v <= s->v[i].end)
            return true;
    }
    return !s->n;
}

static bool in_days(const struct time_spans *s, int day, int in_month)
{
    for (size_t i = 0; i < s->n; i++) {
        struct time_span t = s->v[i];
        int begin = t.begin < 0 ? in_month + t.begin + 1 : t.begin;
        int end = t.end < 0 ? in_month + t.end + 1 : t.end;

        if (day >= begin && day <= end)
            return true;
    }
    return !s->n;
}

bool time_interval_contains(const struct conf_time_interval *i, int64_t unix_s)
{
    int32_t offset = i->zone ? zone_offset(i->zone, unix_s, NULL) : 0;
    struct civil t = civil_of(unix_s + offset);
    int minute = t.hour * 60 + t.minute;
    bool in = !i->times.n;

    for (size_t k = 0; k < i->times.n && !in; k++) {
        const struct conf_time_range *r = i->times.v[k];
        in = minute >= r->start_minute && minute < r->end_minute;
    }
    return in && in_days(&i->days, t.day, days_in_month(t.year, t.month)) &&
           in_spans(&i->months, t.month) && in_spans(&i->weekdays, t.weekday) &&
           in_spans(&i->years, t.year);
}
