// time.c - clocks, durations, RFC 3339 and the Gregorian calendar.
// SPDX-License-Identifier: Apache-2.0
#include "base/time.h"

#include <math.h>
#include <time.h>

static int64_t read_clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * NS_SECOND + ts.tv_nsec;
}

static int64_t real_wall_ms(struct clock *c UNUSED)
{
    return floor_div(read_clock_ns(CLOCK_REALTIME), NS_MS);
}

static int64_t real_mono_ns(struct clock *c UNUSED)
{
    return read_clock_ns(CLOCK_MONOTONIC);
}

struct clock *clock_real(void)
{
    static struct clock real = { real_wall_ms, real_mono_ns, 0 }; // constant

    return &real;
}

static int64_t fake_wall_ms(struct clock *c)
{
    return c->fake_ms;
}

static int64_t fake_mono_ns(struct clock *c)
{
    return c->fake_ms * NS_MS;
}

struct clock clock_fake(int64_t now_ms)
{
    return (struct clock){ fake_wall_ms, fake_mono_ns, now_ms };
}

int64_t wall_ns(void)
{
    return read_clock_ns(CLOCK_REALTIME);
}

int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;

    return q - (a % b < 0);
}

int64_t ms_from_seconds(double s)
{
    double ms = round(s * 1000.0);

    if (isnan(ms))
        return 0;
    if (ms >= 0x1p63)
        return INT64_MAX;
    return ms < -0x1p63 ? INT64_MIN : (int64_t)ms;
}

static const struct unit {
    const char *name;
    int64_t ms;
} units[] = { { "y", 365 * (int64_t)MS_DAY },
              { "w", 7 * (int64_t)MS_DAY },
              { "d", MS_DAY },
              { "h", MS_HOUR },
              { "m", MS_MINUTE },
              { "s", MS_SECOND },
              { "ms", 1 } };

// What stands between one number and the next.
static struct str unit_text(const struct cursor *c)
{
    size_t n = 0;

    while (cursor_peek(c, n) >= 0 && (cursor_peek(c, n) < '0' || cursor_peek(c, n) > '9'))
        n++;
    return str_of(c->p, n);
}

static const struct unit *unit_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq_c(name, units[i].name))
            return &units[i];
    return NULL;
}

static bool digits_at(struct cursor *c, int64_t *out)
{
    const char *from = c->p;
    uint64_t v;

    while (cursor_peek(c, 0) >= '0' && cursor_peek(c, 0) <= '9')
        cursor_skip(c, 1);
    if (!str_to_u64(str_of(from, (size_t)(c->p - from)), &v) || v > INT64_MAX)
        return false;
    *out = (int64_t)v;
    return true;
}

bool duration_parse(struct str s, int64_t *out_ms, struct err *e)
{
    struct cursor c = cursor_of(s);
    int64_t sum = 0, last = INT64_MAX;

    if (str_eq(s, STR("0"))) {
        *out_ms = 0;
        return true;
    }
    if (s.n == 0)
        return err_at(e, c.pos, ERR_INVALID, "empty duration string");
    while (!cursor_done(&c)) {
        struct pos at = c.pos;
        int64_t n;
        if (cursor_peek(&c, 0) < '0' || cursor_peek(&c, 0) > '9')
            return err_at(e, at, ERR_INVALID, "not a valid duration string: \"%.*s\"", STRF(s));
        if (!digits_at(&c, &n))
            return err_at(e, at, ERR_LIMIT, "duration out of range");
        struct str name = unit_text(&c);
        const struct unit *u = unit_find(name);
        if (!u && name.n)
            return err_at(e, at, ERR_INVALID, "unknown unit \"%.*s\" in duration \"%.*s\"",
                          STRF(name), STRF(s));
        if (!u || u->ms >= last)
            return err_at(e, at, ERR_INVALID, "not a valid duration string: \"%.*s\"", STRF(s));
        if (__builtin_mul_overflow(n, u->ms, &n) || __builtin_add_overflow(sum, n, &sum) ||
            sum > INT64_MAX / NS_MS)
            return err_at(e, at, ERR_LIMIT, "duration out of range");
        cursor_skip(&c, strlen(u->name));
        last = u->ms;
    }
    *out_ms = sum;
    return true;
}

void buf_duration(struct buf *b, int64_t ms)
{
    if (ms == 0) {
        buf_lit(b, "0s");
        return;
    }
    if (ms < 0)
        buf_char(b, '-');
    uint64_t rest = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        uint64_t unit = (uint64_t)units[i].ms;
        // Years and weeks only when they divide exactly, as upstream prints them.
        bool exact_only = i < 2;
        if (rest < unit || (exact_only && rest % unit != 0))
            continue;
        buf_u64(b, rest / unit);
        buf_str(b, str_c(units[i].name));
        rest %= unit;
    }
}

void buf_duration_go(struct buf *b, int64_t ns)
{
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    uint64_t div = u < 1000 ? 1 : u < 1000000 ? 1000 : u < 1000000000 ? 1000000 : 1000000000;
    static const char *const names[] = { "ns", "\xc2\xb5s", "ms", "s" };
    size_t name = div == 1 ? 0 : div == 1000 ? 1 : div == 1000000 ? 2 : 3;

    if (ns == 0) {
        buf_lit(b, "0s");
        return;
    }
    if (ns < 0)
        buf_char(b, '-');
    if (name == 3) {
        uint64_t minutes = u / 60000000000u;
        if (minutes >= 60)
            buf_printf(b, "%lluh", (unsigned long long)(minutes / 60));
        if (minutes)
            buf_printf(b, "%llum", (unsigned long long)(minutes % 60));
        u %= 60000000000u;
    }
    buf_u64(b, u / div);
    uint64_t frac = u % div;
    if (frac) {
        char digits[16];
        size_t n = 0;
        for (uint64_t d = div / 10; frac; d /= 10) {
            digits[n++] = (char)('0' + frac / d);
            frac %= d;
        }
        buf_char(b, '.');
        buf_bytes(b, digits, n);
    }
    buf_str(b, str_c(names[name]));
}

/* ---- calendar: days are counted in eras of 400 years from 0000-03-01 ---- */

int64_t civil_days(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400);
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

struct civil civil_of(int64_t seconds)
{
    int64_t days = floor_div(seconds, 86400), in_day = seconds - days * 86400;
    int64_t z = days + 719468, era = floor_div(z, 146097), doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    struct civil c = { .day = (int)(doy - (153 * mp + 2) / 5 + 1),
                       .month = (int)(mp < 10 ? mp + 3 : mp - 9),
                       .hour = (int)(in_day / 3600),
                       .minute = (int)(in_day % 3600 / 60),
                       .second = (int)(in_day % 60) };

    c.year = yoe + era * 400 + (c.month <= 2);
    c.weekday = (int)((days % 7 + 11) % 7); // 1970-01-01 was a Thursday
    c.yearday = (int)(days - civil_days(c.year, 1, 1)) + 1;
    return c;
}

int days_in_month(int64_t year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    assert(month >= 1 && month <= 12);
    return days[month - 1] + (month == 2 && leap);
}

void buf_rfc3339_ns(struct buf *b, int64_t ns)
{
    int64_t seconds = floor_div(ns, NS_SECOND);
    struct civil c = civil_of(seconds);
    char fraction[10];
    size_t n = 9;

    buf_printf(b, "%04lld-%02d-%02dT%02d:%02d:%02d", (long long)c.year, c.month, c.day, c.hour,
               c.minute, c.second);
    int64_t rest = ns - seconds * NS_SECOND;
    for (size_t i = 9; i-- > 0; rest /= 10)
        fraction[i] = (char)('0' + rest % 10);
    while (n && fraction[n - 1] == '0')
        n--;
    if (n)
        buf_char(b, '.');
    buf_bytes(b, fraction, n);
    buf_char(b, 'Z');
}

void buf_rfc3339_ms(struct buf *b, int64_t ms)
{
    int64_t seconds = floor_div(ms, MS_SECOND);
    struct civil c = civil_of(seconds);

    buf_printf(b, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", (long long)c.year, c.month, c.day,
               c.hour, c.minute, c.second, (int)(ms - seconds * MS_SECOND));
}

// Exactly n digits; false when there are not.
static bool fixed_digits(struct cursor *c, int n, int64_t *out)
{
    int64_t v = 0;

    for (int i = 0; i < n; i++) {
        int d = cursor_peek(c, 0);
        if (d < '0' || d > '9')
            return false;
        v = v * 10 + (d - '0');
        cursor_skip(c, 1);
    }
    *out = v;
    return true;
}

static bool fraction_at(struct cursor *c, int64_t *ns)
{
    int64_t unit = NS_SECOND / 10;

    *ns = 0;
    if (!cursor_take(c, '.') && !cursor_take(c, ','))
        return true;
    if (cursor_peek(c, 0) < '0' || cursor_peek(c, 0) > '9')
        return false;
    for (int d; (d = cursor_peek(c, 0)) >= '0' && d <= '9'; cursor_skip(c, 1), unit /= 10)
        *ns += (d - '0') * unit;
    return true;
}

static bool zone_at(struct cursor *c, int64_t *seconds)
{
    int sign = cursor_peek(c, 0) == '-' ? -1 : 1;
    int64_t h, m;

    *seconds = 0;
    if (cursor_take(c, 'Z'))
        return true;
    if (!cursor_take(c, '+') && !cursor_take(c, '-'))
        return false;
    if (!fixed_digits(c, 2, &h) || !cursor_take(c, ':') || !fixed_digits(c, 2, &m) || h > 23 ||
        m > 59)
        return false;
    *seconds = sign * (h * 3600 + m * 60);
    return true;
}

bool rfc3339_parse_parts(struct str s, int64_t *out_s, int32_t *out_ns, struct err *e)
{
    struct cursor c = cursor_of(s);
    int64_t year, month, day, hour, minute, second, ns, zone;
    bool ok = fixed_digits(&c, 4, &year) && cursor_take(&c, '-') && fixed_digits(&c, 2, &month) &&
              cursor_take(&c, '-') && fixed_digits(&c, 2, &day) && cursor_take(&c, 'T') &&
              fixed_digits(&c, 2, &hour) && cursor_take(&c, ':') && fixed_digits(&c, 2, &minute) &&
              cursor_take(&c, ':') && fixed_digits(&c, 2, &second) && fraction_at(&c, &ns) &&
              zone_at(&c, &zone) && cursor_done(&c);

    if (!ok || month < 1 || month > 12 || day < 1 || day > days_in_month(year, (int)month) ||
        hour > 23 || minute > 59 || second > 59)
        return err_at(e, c.pos, ERR_INVALID,
                      "expected a time such as 2006-01-02T15:04:05Z, got \"%.*s\"", STRF(s));
    *out_s = civil_days(year, (int)month, (int)day) * 86400 + hour * 3600 + minute * 60 + second -
             zone;
    *out_ns = (int32_t)ns;
    return true;
}

bool rfc3339_parse(struct str s, int64_t *out_ns, struct err *e)
{
    int64_t t;
    int32_t ns;

    if (!rfc3339_parse_parts(s, &t, &ns, e))
        return false;
    if (__builtin_mul_overflow(t, NS_SECOND, &t) || __builtin_add_overflow(t, ns, &t))
        return err_set(e, ERR_LIMIT, "time \"%.*s\" is out of range", STRF(s));
    *out_ns = t;
    return true;
}

struct pos pos_of_offset(struct str text, size_t offset)
{
    struct cursor c = cursor_of(text);

    cursor_skip(&c, MIN(offset, text.n));
    return c.pos;
}
