/*
 * tmpl_time.c - times and durations: Go's layouts, and the methods that templates call.
 *
 * Source: the documentation of Go's time package.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "template/tmpl_priv.h"

static const char *const months[] = { "January",   "February", "March",    "April",
                                      "May",       "June",     "July",     "August",
                                      "September", "October",  "November", "December" };
static const char *const weekdays[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday" };

/* ---- layouts ---- */

enum part {
    PART_NONE,
    PART_MONTH_LONG,
    PART_MONTH,
    PART_MONTH_NUMBER,
    PART_MONTH_ZERO,
    PART_WEEKDAY_LONG,
    PART_WEEKDAY,
    PART_DAY,
    PART_DAY_UNDER,
    PART_DAY_ZERO,
    PART_YEARDAY_UNDER,
    PART_YEARDAY_ZERO,
    PART_HOUR,
    PART_HOUR12,
    PART_HOUR12_ZERO,
    PART_MINUTE,
    PART_MINUTE_ZERO,
    PART_SECOND,
    PART_SECOND_ZERO,
    PART_YEAR_LONG,
    PART_YEAR,
    PART_PM,
    PART_PM_LOWER,
    PART_ZONE,
    PART_OFFSET,   // -07 and so on, Z07 and so on: by the text
    PART_FRACTION, // .000 or .999
};

static const struct {
    const char *text;
    enum part part;
    bool no_lower_behind; // a small letter behind makes another word of it
} parts[] = {
    // longer ones before their beginnings
    { "January", PART_MONTH_LONG, false },
    { "Jan", PART_MONTH, true },
    { "Monday", PART_WEEKDAY_LONG, false },
    { "Mon", PART_WEEKDAY, true },
    { "MST", PART_ZONE, false },
    { "002", PART_YEARDAY_ZERO, false },
    { "01", PART_MONTH_ZERO, false },
    { "02", PART_DAY_ZERO, false },
    { "03", PART_HOUR12_ZERO, false },
    { "04", PART_MINUTE_ZERO, false },
    { "05", PART_SECOND_ZERO, false },
    { "06", PART_YEAR, false },
    { "15", PART_HOUR, false },
    { "1", PART_MONTH_NUMBER, false },
    { "2006", PART_YEAR_LONG, false },
    { "2", PART_DAY, false },
    { "__2", PART_YEARDAY_UNDER, false },
    { "_2", PART_DAY_UNDER, false },
    { "3", PART_HOUR12, false },
    { "4", PART_MINUTE, false },
    { "5", PART_SECOND, false },
    { "PM", PART_PM, false },
    { "pm", PART_PM_LOWER, false },
    { "-070000", PART_OFFSET, false },
    { "-07:00:00", PART_OFFSET, false },
    { "-0700", PART_OFFSET, false },
    { "-07:00", PART_OFFSET, false },
    { "-07", PART_OFFSET, false },
    { "Z070000", PART_OFFSET, false },
    { "Z07:00:00", PART_OFFSET, false },
    { "Z0700", PART_OFFSET, false },
    { "Z07:00", PART_OFFSET, false },
    { "Z07", PART_OFFSET, false },
};

static bool is_digit(struct str s, size_t i)
{
    return i < s.n && s.p[i] >= '0' && s.p[i] <= '9';
}

// The bytes of a fraction at the start of s; 0: there is none.
static size_t fraction_at(struct str s)
{
    size_t n = 1;

    if (s.n < 2 || (s.p[0] != '.' && s.p[0] != ',') || (s.p[1] != '0' && s.p[1] != '9'))
        return 0;
    while (n < s.n && s.p[n] == s.p[1])
        n++;
    return is_digit(s, n) ? 0 : n;
}

// The part that begins at s and its bytes; PART_NONE: a literal byte.
static enum part part_at(struct str s, size_t *n)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct str text = str_c(parts[i].text);
        if (!str_starts(s, text))
            continue;
        if (parts[i].no_lower_behind && s.n > text.n && s.p[text.n] >= 'a' && s.p[text.n] <= 'z')
            continue;
        if (parts[i].part == PART_DAY_UNDER && str_starts(s, STR("_2006")))
            continue;
        *n = text.n;
        return parts[i].part;
    }
    *n = fraction_at(s);
    if (*n)
        return PART_FRACTION;
    *n = 1;
    return PART_NONE;
}

/* ---- writing ---- */

static void put_offset(struct buf *b, int32_t offset_s, struct str layout)
{
    int32_t v = offset_s < 0 ? -offset_s : offset_s;
    bool colons = str_find_char(layout, ':') != STR_NPOS;

    if (layout.p[0] == 'Z' && !offset_s) {
        buf_char(b, 'Z');
        return;
    }
    buf_printf(b, "%c%02d", offset_s < 0 ? '-' : '+', v / 3600);
    if (layout.n > 3)
        buf_printf(b, "%s%02d", colons ? ":" : "", v / 60 % 60);
    if (layout.n > 6)
        buf_printf(b, "%s%02d", colons ? ":" : "", v % 60);
}

static void put_fraction(struct buf *b, int32_t ns, struct str layout)
{
    char digits[16];
    size_t n = MIN(layout.n - 1, (size_t)9);

    snprintf(digits, sizeof digits, "%09d", (int)ns);
    if (layout.p[1] == '9') {
        while (n && digits[n - 1] == '0')
            n--;
        if (!n)
            return;
    }
    buf_char(b, layout.p[0]);
    buf_bytes(b, digits, n);
    for (size_t i = 9; i < layout.n - 1 && layout.p[1] == '0'; i++)
        buf_char(b, '0');
}

static void put_zone(struct buf *b, const struct tmpl_instant *t)
{
    int32_t v = t->offset_s < 0 ? -t->offset_s : t->offset_s;

    if (t->zone.n)
        buf_str(b, t->zone);
    else if (!t->offset_s)
        buf_lit(b, "UTC");
    else
        buf_printf(b, "%c%02d%02d", t->offset_s < 0 ? '-' : '+', v / 3600, v / 60 % 60);
}

// Parts that are numbers: their value and the format it has.
static bool put_number(struct buf *b, enum part part, const struct civil *c)
{
    int hour12 = c->hour % 12 ? c->hour % 12 : 12;

    switch (part) {
    case PART_MONTH_NUMBER:
    case PART_MONTH_ZERO:
        buf_printf(b, part == PART_MONTH_ZERO ? "%02d" : "%d", c->month);
        return true;
    case PART_DAY:
        buf_printf(b, "%d", c->day);
        return true;
    case PART_DAY_UNDER:
    case PART_DAY_ZERO:
        buf_printf(b, part == PART_DAY_ZERO ? "%02d" : "%2d", c->day);
        return true;
    case PART_YEARDAY_UNDER:
    case PART_YEARDAY_ZERO:
        buf_printf(b, part == PART_YEARDAY_ZERO ? "%03d" : "%3d", c->yearday);
        return true;
    case PART_HOUR:
        buf_printf(b, "%02d", c->hour);
        return true;
    case PART_HOUR12:
    case PART_HOUR12_ZERO:
        buf_printf(b, part == PART_HOUR12_ZERO ? "%02d" : "%d", hour12);
        return true;
    case PART_MINUTE:
    case PART_MINUTE_ZERO:
        buf_printf(b, part == PART_MINUTE_ZERO ? "%02d" : "%d", c->minute);
        return true;
    case PART_SECOND:
    case PART_SECOND_ZERO:
        buf_printf(b, part == PART_SECOND_ZERO ? "%02d" : "%d", c->second);
        return true;
    default:
        return false;
    }
}

static void put_part(struct buf *b, enum part part, struct str text, const struct tmpl_instant *t,
                     const struct civil *c)
{
    int64_t year = c->year < 0 ? -c->year : c->year;

    switch (part) {
    case PART_NONE:
        buf_str(b, text);
        return;
    case PART_MONTH_LONG:
    case PART_MONTH:
        buf_str(b, str_sub(str_c(months[c->month - 1]), 0, part == PART_MONTH ? 3 : 99));
        return;
    case PART_WEEKDAY_LONG:
    case PART_WEEKDAY:
        buf_str(b, str_sub(str_c(weekdays[c->weekday]), 0, part == PART_WEEKDAY ? 3 : 99));
        return;
    case PART_YEAR_LONG:
        buf_printf(b, "%s%04lld", c->year < 0 ? "-" : "", (long long)year);
        return;
    case PART_YEAR:
        buf_printf(b, "%02d", (int)(year % 100));
        return;
    case PART_PM:
        buf_str(b, c->hour >= 12 ? STR("PM") : STR("AM"));
        return;
    case PART_PM_LOWER:
        buf_str(b, c->hour >= 12 ? STR("pm") : STR("am"));
        return;
    case PART_ZONE:
        put_zone(b, t);
        return;
    case PART_OFFSET:
        put_offset(b, t->offset_s, text);
        return;
    case PART_FRACTION:
        put_fraction(b, t->ns, text);
        return;
    default:
        (void)put_number(b, part, c);
    }
}

void tmpl_time_format(struct buf *b, const struct tmpl_instant *t, struct str layout)
{
    struct civil c = civil_of(t->s + t->offset_s);

    while (layout.n) {
        size_t n;
        enum part part = part_at(layout, &n);
        put_part(b, part, str_sub(layout, 0, n), t, &c);
        layout = str_sub(layout, n, layout.n);
    }
}

/* ---- reading ---- */

struct reading {
    int64_t year, month, day, yearday, hour, minute, second, offset_s;
    int32_t ns;
    bool pm, is_12, has_offset;
    struct str zone;
};

// A number of min to max digits.
static bool take_number(struct str *s, size_t min, size_t max, int64_t *out)
{
    size_t n = 0;
    int64_t v = 0;

    for (; n < max && is_digit(*s, n); n++)
        v = v * 10 + s->p[n] - '0';
    if (n < min)
        return false;
    *s = str_sub(*s, n, s->n);
    *out = v;
    return true;
}

static bool take_name(struct str *s, const char *const *names, size_t count, size_t cut,
                      int64_t *out)
{
    for (size_t i = 0; i < count; i++) {
        struct str name = str_sub(str_c(names[i]), 0, cut);
        if (s->n >= name.n && str_eq_nocase(str_sub(*s, 0, name.n), name)) {
            *s = str_sub(*s, name.n, s->n);
            *out = (int64_t)i;
            return true;
        }
    }
    return false;
}

static bool take_literal(struct str *s, char c)
{
    if (!s->n || s->p[0] != c)
        return false;
    *s = str_sub(*s, 1, s->n);
    return true;
}

static bool take_offset(struct str *s, struct str layout, struct reading *r)
{
    bool colons = str_find_char(layout, ':') != STR_NPOS;
    int64_t h, m = 0, sec = 0;

    r->has_offset = true;
    if (layout.p[0] == 'Z' && take_literal(s, 'Z'))
        return true;
    bool negative = take_literal(s, '-');
    if (!negative && !take_literal(s, '+'))
        return false;
    if (!take_number(s, 2, 2, &h))
        return false;
    if (layout.n > 3 && ((colons && !take_literal(s, ':')) || !take_number(s, 2, 2, &m)))
        return false;
    if (layout.n > 6 && ((colons && !take_literal(s, ':')) || !take_number(s, 2, 2, &sec)))
        return false;
    r->offset_s = (h * 3600 + m * 60 + sec) * (negative ? -1 : 1);
    return h <= 24 && m < 60 && sec < 60;
}

static bool take_fraction(struct str *s, struct reading *r)
{
    int64_t scale = 100000000;

    if (s->n < 2 || (s->p[0] != '.' && s->p[0] != ',') || !is_digit(*s, 1))
        return false;
    *s = str_sub(*s, 1, s->n);
    r->ns = 0;
    for (; is_digit(*s, 0); scale /= 10, *s = str_sub(*s, 1, s->n))
        r->ns += (int32_t)((s->p[0] - '0') * scale);
    return true;
}

static bool take_zone(struct str *s, struct reading *r)
{
    size_t n = 0;

    while (n < s->n && n < 5 && s->p[n] >= 'A' && s->p[n] <= 'Z')
        n++;
    if (n < 3)
        return false;
    r->zone = str_sub(*s, 0, n);
    *s = str_sub(*s, n, s->n);
    return true;
}

static bool take_second(struct str *s, bool zero, struct str rest, struct reading *r)
{
    if (!take_number(s, zero ? 2 : 1, 2, &r->second))
        return false;
    // A fraction is taken also where the layout has none.
    if (!fraction_at(rest) && s->n > 1 && (s->p[0] == '.' || s->p[0] == ',') && is_digit(*s, 1))
        return take_fraction(s, r);
    return true;
}

static bool take_date(struct str *s, enum part part, struct reading *r)
{
    int64_t unused;

    switch (part) {
    case PART_MONTH_LONG:
    case PART_MONTH:
        if (!take_name(s, months, 12, part == PART_MONTH ? 3 : 99, &r->month))
            return false;
        r->month++;
        return true;
    case PART_WEEKDAY_LONG:
    case PART_WEEKDAY:
        return take_name(s, weekdays, 7, part == PART_WEEKDAY ? 3 : 99, &unused);
    case PART_MONTH_NUMBER:
    case PART_MONTH_ZERO:
        return take_number(s, part == PART_MONTH_ZERO ? 2 : 1, 2, &r->month);
    case PART_DAY_UNDER:
        (void)take_literal(s, ' ');
        // fall through
    case PART_DAY:
        return take_number(s, 1, 2, &r->day);
    case PART_DAY_ZERO:
        return take_number(s, 2, 2, &r->day);
    case PART_YEARDAY_UNDER:
        while (take_literal(s, ' '))
            ;
        return take_number(s, 1, 3, &r->yearday);
    case PART_YEARDAY_ZERO:
        return take_number(s, 3, 3, &r->yearday);
    case PART_YEAR_LONG:
        return take_number(s, 4, 4, &r->year);
    default: // PART_YEAR
        if (!take_number(s, 2, 2, &r->year))
            return false;
        r->year += r->year >= 69 ? 1900 : 2000;
        return true;
    }
}

static bool take_part(struct str *s, enum part part, struct str text, struct str rest,
                      struct reading *r)
{
    switch (part) {
    case PART_NONE:
        return take_literal(s, text.p[0]);
    case PART_HOUR:
        return take_number(s, 2, 2, &r->hour);
    case PART_HOUR12:
    case PART_HOUR12_ZERO:
        r->is_12 = true;
        return take_number(s, part == PART_HOUR12 ? 1 : 2, 2, &r->hour);
    case PART_MINUTE:
    case PART_MINUTE_ZERO:
        return take_number(s, part == PART_MINUTE ? 1 : 2, 2, &r->minute);
    case PART_SECOND:
    case PART_SECOND_ZERO:
        return take_second(s, part == PART_SECOND_ZERO, rest, r);
    case PART_PM:
    case PART_PM_LOWER:
        r->pm = s->n > 1 && (s->p[0] | 32) == 'p';
        if (s->n < 2 || (s->p[1] | 32) != 'm' || !(r->pm || (s->p[0] | 32) == 'a'))
            return false;
        *s = str_sub(*s, 2, s->n);
        return true;
    case PART_ZONE:
        return take_zone(s, r);
    case PART_OFFSET:
        return take_offset(s, text, r);
    case PART_FRACTION:
        return take_fraction(s, r) || text.p[1] == '9';
    default:
        return take_date(s, part, r);
    }
}

static const char *range_problem(struct reading *r)
{
    if (r->is_12 && r->pm && r->hour < 12)
        r->hour += 12;
    else if (r->is_12 && !r->pm && r->hour == 12)
        r->hour = 0;
    if (r->month < 1 || r->month > 12)
        return "month out of range";
    if (r->day < 1 || r->day > days_in_month(r->year, (int)r->month))
        return "day out of range";
    if (r->hour > 23)
        return "hour out of range";
    if (r->minute > 59)
        return "minute out of range";
    return r->second > 59 ? "second out of range" : NULL;
}

// The message, as there.
static bool refuse(struct arena *a, struct str layout, struct str text, struct str what,
                   struct str *why)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_lit(&b, "parsing time ");
    buf_quoted(&b, text);
    if (layout.p) {
        buf_lit(&b, " as ");
        buf_quoted(&b, layout);
    }
    buf_str(&b, what);
    *why = arena_str(a, buf_view(&b));
    return false;
}

static bool refuse_part(struct arena *a, struct str layout, struct str text, struct str rest,
                        struct str part, struct str *why)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_lit(&b, ": cannot parse ");
    buf_quoted(&b, rest);
    buf_lit(&b, " as ");
    buf_quoted(&b, part);
    return refuse(a, layout, text, buf_view(&b), why);
}

// Literal text up to the next part is one piece in messages.
static size_t literal_run(struct str s)
{
    size_t run = 0, n;

    while (run < s.n && part_at(str_sub(s, run, s.n), &n) == PART_NONE)
        run++;
    return run;
}

bool tmpl_time_parse(struct arena *a, struct str layout, struct str text, struct tmpl_instant *out,
                     struct str *why)
{
    struct reading r = { .month = 1, .day = 1 };
    struct str rest = layout, s = text;

    while (rest.n) {
        size_t n;
        enum part part = part_at(rest, &n);
        struct str piece = str_sub(rest, 0, part == PART_NONE ? literal_run(rest) : n);
        struct str before = s, behind = str_sub(rest, n, rest.n);
        if (!take_part(&s, part, piece, behind, &r))
            return refuse_part(a, layout, text, before, piece, why);
        rest = behind;
    }
    if (s.n) {
        OWNED(buf_fini) struct buf b = { 0 };
        buf_lit(&b, ": extra text: ");
        buf_quoted(&b, s);
        return refuse(a, STR_NONE, text, buf_view(&b), why);
    }
    const char *bad = range_problem(&r);
    if (bad)
        return refuse(a, STR_NONE, text, arena_printf(a, ": %s", bad), why);
    int64_t days = r.yearday ? civil_days(r.year, 1, 1) + r.yearday - 1
                             : civil_days(r.year, (int)r.month, (int)r.day);
    *out = (struct tmpl_instant){
        .s = days * 86400 + r.hour * 3600 + r.minute * 60 + r.second - r.offset_s,
        .ns = r.ns,
        .offset_s = (int32_t)r.offset_s,
        .zone = r.has_offset ? STR_NONE : r.zone,
    };
    return true;
}

/* ---- methods of times ---- */

static struct civil civil_in_zone(const struct tmpl_instant *t)
{
    return civil_of(t->s + t->offset_s);
}

static bool time_format(struct tmpl_call *c, const struct tmpl_value *arg, size_t n UNUSED,
                        struct tmpl_value *out)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct tmpl_value t = tmpl_follow(arg[0]);

    if (!tmpl_charge(c, arg[1].s.n * 8)) // the longest part grows that much
        return false;
    tmpl_time_format(&b, t.instant, arg[1].s);
    return tmpl_give_str(c, buf_view(&b), out);
}

static struct tmpl_value time_in(struct arena *a, struct tmpl_instant t)
{
    return (struct tmpl_value){ .type = &tmpl_time, .instant = arena_copy(a, &t, sizeof t) };
}

static bool time_utc(struct tmpl_call *c, const struct tmpl_value *arg, size_t n UNUSED,
                     struct tmpl_value *out)
{
    struct tmpl_instant t = *tmpl_follow(arg[0]).instant;

    t.offset_s = 0;
    t.zone = STR_NONE;
    *out = time_in(c->arena, t);
    return true;
}

static bool time_add(struct tmpl_call *c, const struct tmpl_value *arg, size_t n UNUSED,
                     struct tmpl_value *out)
{
    struct tmpl_instant t = *tmpl_follow(arg[0]).instant;
    int64_t s = floor_div(arg[1].i, NS_SECOND), ns = t.ns + (arg[1].i - s * NS_SECOND);

    t.s += s + ns / NS_SECOND;
    t.ns = (int32_t)(ns % NS_SECOND);
    *out = time_in(c->arena, t);
    return true;
}

static bool time_sub(struct tmpl_call *c UNUSED, const struct tmpl_value *arg, size_t n UNUSED,
                     struct tmpl_value *out)
{
    const struct tmpl_instant *t = tmpl_follow(arg[0]).instant, *u = tmpl_follow(arg[1]).instant;
    int64_t v;

    if (__builtin_mul_overflow(t->s - u->s, NS_SECOND, &v) ||
        __builtin_add_overflow(v, t->ns - u->ns, &v))
        v = t->s < u->s ? INT64_MIN : INT64_MAX;
    *out = (struct tmpl_value){ .type = &tmpl_duration, .i = v };
    return true;
}

static bool time_add_date(struct tmpl_call *c, const struct tmpl_value *arg, size_t n UNUSED,
                          struct tmpl_value *out)
{
    struct tmpl_instant t = *tmpl_follow(arg[0]).instant;
    struct civil at = civil_in_zone(&t);
    int64_t limit = 1000000, month;

    if (llabs(arg[1].i) > limit || llabs(arg[2].i) > limit || llabs(arg[3].i) > limit)
        return tmpl_fail(c, "date out of range");
    month = at.month - 1 + arg[2].i;
    int64_t year = at.year + arg[1].i + floor_div(month, 12);
    int64_t days = civil_days(year, (int)(month - floor_div(month, 12) * 12) + 1, 1) + at.day - 1;
    t.s = (days + arg[3].i) * 86400 + at.hour * 3600 + at.minute * 60 + at.second - t.offset_s;
    *out = time_in(c->arena, t);
    return true;
}

#define TIME_INT(name, value)                                                                   \
    static bool name(struct tmpl_call *c UNUSED, const struct tmpl_value *arg, size_t n UNUSED, \
                     struct tmpl_value *out)                                                    \
    {                                                                                           \
        const struct tmpl_instant *t = tmpl_follow(arg[0]).instant;                             \
        *out = (value);                                                                         \
        return true;                                                                            \
    }

static struct tmpl_value of_int64(int64_t i)
{
    return (struct tmpl_value){ .type = &tmpl_int64, .i = i };
}
// Beyond 64 bits of nanoseconds they wrap around, as there.
static int64_t nanoseconds(const struct tmpl_instant *t)
{
    return (int64_t)((uint64_t)t->s * (uint64_t)NS_SECOND + (uint64_t)t->ns);
}
static void print_month(struct buf *b, const struct tmpl_value *v)
{
    if (v->i >= 1 && v->i <= 12)
        buf_str(b, str_c(months[v->i - 1]));
    else
        buf_printf(b, "%%!Month(%lld)", (long long)v->i);
}
static void print_weekday(struct buf *b, const struct tmpl_value *v)
{
    if (v->i >= 0 && v->i <= 6)
        buf_str(b, str_c(weekdays[v->i]));
    else
        buf_printf(b, "%%!Weekday(%lld)", (long long)v->i);
}
static const struct tmpl_type type_month = { .name = "time.Month",
                                             .kind = TMPL_INT,
                                             .print = print_month };
static const struct tmpl_type type_weekday = { .name = "time.Weekday",
                                               .kind = TMPL_INT,
                                               .print = print_weekday };
static struct tmpl_value of_type(const struct tmpl_type *type, int64_t i)
{
    return (struct tmpl_value){ .type = type, .i = i };
}

TIME_INT(time_unix, of_int64(t->s))
TIME_INT(time_unix_milli, of_int64(t->s * 1000 + t->ns / 1000000))
TIME_INT(time_unix_micro, of_int64(t->s * 1000000 + t->ns / 1000))
TIME_INT(time_unix_nano, of_int64(nanoseconds(t)))
TIME_INT(time_year, tmpl_of_int(civil_in_zone(t).year))
TIME_INT(time_month, of_type(&type_month, civil_in_zone(t).month))
TIME_INT(time_day, tmpl_of_int(civil_in_zone(t).day))
TIME_INT(time_yearday, tmpl_of_int(civil_in_zone(t).yearday))
TIME_INT(time_weekday, of_type(&type_weekday, civil_in_zone(t).weekday))
TIME_INT(time_hour, tmpl_of_int(civil_in_zone(t).hour))
TIME_INT(time_minute, tmpl_of_int(civil_in_zone(t).minute))
TIME_INT(time_second, tmpl_of_int(civil_in_zone(t).second))
TIME_INT(time_nanosecond, tmpl_of_int(t->ns))
TIME_INT(time_is_zero, tmpl_of_bool(t->s == -62135596800 && !t->ns))

static int time_cmp(const struct tmpl_value *arg)
{
    const struct tmpl_instant *t = tmpl_follow(arg[0]).instant, *u = tmpl_follow(arg[1]).instant;

    if (t->s != u->s)
        return t->s < u->s ? -1 : 1;
    return (t->ns > u->ns) - (t->ns < u->ns);
}
TIME_INT(time_before, (t ? tmpl_of_bool(time_cmp(arg) < 0) : tmpl_of_bool(false)))
TIME_INT(time_after, (t ? tmpl_of_bool(time_cmp(arg) > 0) : tmpl_of_bool(false)))
TIME_INT(time_equal, (t ? tmpl_of_bool(time_cmp(arg) == 0) : tmpl_of_bool(false)))
TIME_INT(time_compare, (t ? tmpl_of_int(time_cmp(arg)) : tmpl_of_int(0)))

static void print_time(struct buf *b, const struct tmpl_value *v)
{
    tmpl_time_format(b, v->instant, STR("2006-01-02 15:04:05.999999999 -0700 MST"));
}

static void json_time(struct buf *b, const struct tmpl_value *v)
{
    buf_char(b, '"');
    tmpl_time_format(b, v->instant, STR("2006-01-02T15:04:05.999999999Z07:00"));
    buf_char(b, '"');
}

static bool time_string(struct tmpl_call *c, const struct tmpl_value *arg, size_t n UNUSED,
                        struct tmpl_value *out)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct tmpl_value t = tmpl_follow(arg[0]);

    print_time(&b, &t);
    return tmpl_give_str(c, buf_view(&b), out);
}

static const struct tmpl_function time_methods[] = {
    { "Format", time_format, { &tmpl_string }, NULL },
    { "String", time_string, { NULL }, NULL },
    { "UTC", time_utc, { NULL }, NULL },
    { "Local", time_utc, { NULL }, NULL }, // this process lives in UTC
    { "Add", time_add, { &tmpl_duration }, NULL },
    { "AddDate", time_add_date, { &tmpl_int, &tmpl_int, &tmpl_int }, NULL },
    { "Sub", time_sub, { &tmpl_time }, NULL },
    { "Unix", time_unix, { NULL }, NULL },
    { "UnixMilli", time_unix_milli, { NULL }, NULL },
    { "UnixMicro", time_unix_micro, { NULL }, NULL },
    { "UnixNano", time_unix_nano, { NULL }, NULL },
    { "Year", time_year, { NULL }, NULL },
    { "Month", time_month, { NULL }, NULL },
    { "Day", time_day, { NULL }, NULL },
    { "YearDay", time_yearday, { NULL }, NULL },
    { "Weekday", time_weekday, { NULL }, NULL },
    { "Hour", time_hour, { NULL }, NULL },
    { "Minute", time_minute, { NULL }, NULL },
    { "Second", time_second, { NULL }, NULL },
    { "Nanosecond", time_nanosecond, { NULL }, NULL },
    { "IsZero", time_is_zero, { NULL }, NULL },
    { "Before", time_before, { &tmpl_time }, NULL },
    { "After", time_after, { &tmpl_time }, NULL },
    { "Equal", time_equal, { &tmpl_time }, NULL },
    { "Compare", time_compare, { &tmpl_time }, NULL },
};

const struct tmpl_type tmpl_time = { .name = "time.Time",
                                     .kind = TMPL_OPAQUE,
                                     .method = time_methods,
                                     .method_count = ARRAY_LEN(time_methods),
                                     .print = print_time,
                                     .json = json_time };
const struct tmpl_type tmpl_time_pointer = { .name = "*time.Time",
                                             .kind = TMPL_POINTER,
                                             .elem = &tmpl_time };

/* ---- methods of durations ---- */

#define DURATION_FN(name, value)                                                                \
    static bool name(struct tmpl_call *c UNUSED, const struct tmpl_value *arg, size_t n UNUSED, \
                     struct tmpl_value *out)                                                    \
    {                                                                                           \
        int64_t d = tmpl_follow(arg[0]).i;                                                      \
        *out = (value);                                                                         \
        return true;                                                                            \
    }
DURATION_FN(duration_seconds,
            tmpl_of_float((double)(d / NS_SECOND) + (double)(d % NS_SECOND) / 1e9))
DURATION_FN(duration_minutes,
            tmpl_of_float((double)(d / (60 * NS_SECOND)) + (double)(d % (60 * NS_SECOND)) / 6e10))
DURATION_FN(duration_hours, tmpl_of_float((double)(d / (3600 * NS_SECOND)) +
                                          (double)(d % (3600 * NS_SECOND)) / 3.6e12))
DURATION_FN(duration_ms, of_int64(d / 1000000))
DURATION_FN(duration_us, of_int64(d / 1000))
DURATION_FN(duration_ns, of_int64(d))
DURATION_FN(duration_abs, of_type(&tmpl_duration, d == INT64_MIN ? INT64_MAX : d < 0 ? -d : d))
DURATION_FN(duration_truncate, of_type(&tmpl_duration, arg[1].i <= 0 ? d : d - d % arg[1].i))

static bool duration_round(struct tmpl_call *c UNUSED, const struct tmpl_value *arg,
                           size_t n UNUSED, struct tmpl_value *out)
{
    int64_t d = tmpl_follow(arg[0]).i, m = arg[1].i, v = d;

    if (m > 0) {
        int64_t r = d % m, up = d < 0 ? -m : m;
        bool away = (r < 0 ? -r : r) >= m - (r < 0 ? -r : r);
        if (__builtin_add_overflow(d - r, away ? up : 0, &v))
            v = d < 0 ? INT64_MIN : INT64_MAX;
    }
    *out = of_type(&tmpl_duration, v);
    return true;
}

static void print_duration(struct buf *b, const struct tmpl_value *v)
{
    buf_duration_go(b, v->i);
}

static bool duration_string(struct tmpl_call *c, const struct tmpl_value *arg, size_t n UNUSED,
                            struct tmpl_value *out)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_duration_go(&b, tmpl_follow(arg[0]).i);
    return tmpl_give_str(c, buf_view(&b), out);
}

static const struct tmpl_function duration_methods[] = {
    { "Seconds", duration_seconds, { NULL }, NULL },
    { "Minutes", duration_minutes, { NULL }, NULL },
    { "Hours", duration_hours, { NULL }, NULL },
    { "Milliseconds", duration_ms, { NULL }, NULL },
    { "Microseconds", duration_us, { NULL }, NULL },
    { "Nanoseconds", duration_ns, { NULL }, NULL },
    { "Abs", duration_abs, { NULL }, NULL },
    { "Truncate", duration_truncate, { &tmpl_duration }, NULL },
    { "Round", duration_round, { &tmpl_duration }, NULL },
    { "String", duration_string, { NULL }, NULL },
};

const struct tmpl_type tmpl_duration = { .name = "time.Duration",
                                         .kind = TMPL_INT,
                                         .method = duration_methods,
                                         .method_count = ARRAY_LEN(duration_methods),
                                         .print = print_duration };
const struct tmpl_type tmpl_duration_pointer = { .name = "*time.Duration",
                                                 .kind = TMPL_POINTER,
                                                 .elem = &tmpl_duration };
