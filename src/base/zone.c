/*
 * zone.c - TZif files (RFC 8536) and the rules of POSIX.1 for $TZ that end them.
 *
 *   header 44 bytes: "TZif" version, counts of: UT flags, std flags, leap seconds, times, types, chars
 *   data: times, a type per time, types (offset i32, is_dst u8, index of the abbreviation u8), chars, …
 *   From version 2 on: the same again with times of 64 bits, then "\n" rule "\n".
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/zone.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/time.h"

enum {
    HEAD_BYTES = 44,
    FILE_MAX = 1 << 20,
    TIMES_MAX = 1 << 16,
    TYPES_MAX = 256,
    NAME_MAX_BYTES = 128,
    OFFSET_MAX = 26 * 3600,
};

struct zone_type {
    int32_t offset_s;
    struct str abbreviation;
};

enum rule_kind { RULE_JULIAN, RULE_DAY, RULE_MONTH }; // J60, 59, M3.2.0

struct rule_date {
    enum rule_kind kind;
    int day, week, month;
    int32_t time_s; // after midnight, may be negative
};

struct zone_rule { // behind the last time of the file
    struct zone_type standard, summer;
    bool has_rule, has_summer;
    struct rule_date begin, end; // of summer
};

struct zone {
    struct str name;
    int64_t *times; // ascending
    uint8_t *types; // of the time from there on
    size_t times_n;
    struct zone_type *type;
    size_t types_n;
    struct zone_rule rule;
};

/* ---- the rule ---- */

static bool take_number(struct str *s, int max, int *out)
{
    int v = 0;
    size_t n = 0;

    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9' && v <= max)
        v = v * 10 + (s->p[n++] - '0');
    *s = str_sub(*s, n, s->n);
    *out = v;
    return n > 0 && v <= max;
}

static bool take_char(struct str *s, char c)
{
    if (!s->n || s->p[0] != c)
        return false;
    *s = str_sub(*s, 1, s->n);
    return true;
}

// hh[:mm[:ss]] with a sign, in seconds.
static bool take_time(struct str *s, int hours_max, int32_t *out)
{
    bool minus = take_char(s, '-');
    int h, m = 0, sec = 0;

    if (!minus)
        (void)take_char(s, '+');
    if (!take_number(s, hours_max, &h))
        return false;
    if (take_char(s, ':') &&
        (!take_number(s, 59, &m) || (take_char(s, ':') && !take_number(s, 59, &sec))))
        return false;
    *out = (h * 3600 + m * 60 + sec) * (minus ? -1 : 1);
    return true;
}

static bool take_abbreviation(struct str *s, struct str *out)
{
    size_t n = 0;

    if (take_char(s, '<')) {
        n = str_find_char(*s, '>');
        if (n == STR_NPOS || !n)
            return false;
        *out = str_sub(*s, 0, n);
        *s = str_sub(*s, n + 1, s->n);
        return true;
    }
    while (n < s->n && ((s->p[n] | 32) >= 'a' && (s->p[n] | 32) <= 'z'))
        n++;
    *out = str_sub(*s, 0, n);
    *s = str_sub(*s, n, s->n);
    return n >= 3;
}

static bool take_date(struct str *s, struct rule_date *d)
{
    d->time_s = 2 * 3600;
    if (take_char(s, 'M')) {
        d->kind = RULE_MONTH;
        if (!take_number(s, 12, &d->month) || d->month < 1 || !take_char(s, '.') ||
            !take_number(s, 5, &d->week) || d->week < 1 || !take_char(s, '.') ||
            !take_number(s, 6, &d->day))
            return false;
    } else {
        d->kind = take_char(s, 'J') ? RULE_JULIAN : RULE_DAY;
        if (!take_number(s, 365, &d->day) || (d->kind == RULE_JULIAN && d->day < 1))
            return false;
    }
    return !take_char(s, '/') || take_time(s, 167, &d->time_s);
}

// CET-1CEST,M3.5.0,M10.5.0/3: offsets there count west of UTC.
static bool parse_rule(struct str s, struct zone_rule *r)
{
    int32_t west;

    if (!take_abbreviation(&s, &r->standard.abbreviation) || !take_time(&s, 24, &west))
        return false;
    r->standard.offset_s = -west;
    r->has_rule = true;
    if (!s.n)
        return true;
    if (!take_abbreviation(&s, &r->summer.abbreviation))
        return false;
    r->summer.offset_s = r->standard.offset_s + 3600;
    if (s.n && s.p[0] != ',') {
        if (!take_time(&s, 24, &west))
            return false;
        r->summer.offset_s = -west;
    }
    r->has_summer = take_char(&s, ',') && take_date(&s, &r->begin) && take_char(&s, ',') &&
                    take_date(&s, &r->end) && !s.n;
    return r->has_summer;
}

// The second of the wall clock, counted as if it were UTC, when a date of a rule is reached.
static int64_t date_seconds(const struct rule_date *d, int64_t year)
{
    int64_t first = civil_days(year, 1, 1), day;

    if (d->kind == RULE_MONTH) {
        int64_t month = civil_days(year, d->month, 1);
        int weekday = civil_of(month * 86400).weekday;

        day = month + (d->day - weekday + 7) % 7 + (int64_t)(d->week - 1) * 7;
        if (day >= month + days_in_month(year, d->month))
            day -= 7; // week 5 is the last one
    } else {
        bool leap = days_in_month(year, 2) == 29;

        day = first + d->day - (d->kind == RULE_JULIAN);
        if (d->kind == RULE_JULIAN && leap && d->day >= 60)
            day++; // the 29th of February is not counted
    }
    return day * 86400 + d->time_s;
}

static const struct zone_type *rule_type(const struct zone_rule *r, int64_t t)
{
    if (!r->has_summer)
        return &r->standard;
    int64_t year = civil_of(t + r->standard.offset_s).year;
    int64_t begin = date_seconds(&r->begin, year) - r->standard.offset_s;
    int64_t end = date_seconds(&r->end, year) - r->summer.offset_s;
    bool summer = begin < end ? t >= begin && t < end : t >= begin || t < end;
    return summer ? &r->summer : &r->standard;
}

/* ---- the file ---- */

struct counts {
    uint32_t ut, std, leap, times, types, chars;
};

static bool read_head(struct str *s, uint8_t *version, struct counts *c)
{
    if (s->n < HEAD_BYTES || memcmp(s->p, "TZif", 4) != 0)
        return false;
    *version = (uint8_t)s->p[4];
    *c = (struct counts){ get_be32(s->p + 20), get_be32(s->p + 24), get_be32(s->p + 28),
                          get_be32(s->p + 32), get_be32(s->p + 36), get_be32(s->p + 40) };
    *s = str_sub(*s, HEAD_BYTES, s->n);
    return c->times <= TIMES_MAX && c->types >= 1 && c->types <= TYPES_MAX && c->chars <= 4096 &&
           c->leap <= 4096 && c->ut <= c->types && c->std <= c->types;
}

static size_t data_bytes(const struct counts *c, size_t time_bytes)
{
    return c->times * (time_bytes + 1) + c->types * 6 + c->chars + c->leap * (time_bytes + 4) +
           c->std + c->ut;
}

static bool read_data(struct arena *a, struct zone *z, struct str s, const struct counts *c,
                      size_t time_bytes)
{
    const char *types = s.p + c->times * time_bytes, *type = types + c->times,
               *chars = type + c->types * 6;

    z->times_n = c->times;
    z->times = arena_array(a, c->times + 1, int64_t);
    z->types = arena_array(a, c->times + 1, uint8_t);
    z->types_n = c->types;
    z->type = arena_array(a, c->types, struct zone_type);
    for (size_t i = 0; i < c->times; i++) {
        z->times[i] = time_bytes == 8 ? (int64_t)__builtin_bswap64(get_le64(s.p + 8 * i))
                                      : (int32_t)get_be32(s.p + 4 * i);
        z->types[i] = (uint8_t)types[i];
        if (z->types[i] >= c->types || (i && z->times[i] <= z->times[i - 1]))
            return false;
    }
    for (size_t i = 0; i < c->types; i++) {
        size_t at = (uint8_t)type[6 * i + 5];
        int32_t offset = (int32_t)get_be32(type + 6 * i);

        if (at >= c->chars || offset > OFFSET_MAX || offset < -OFFSET_MAX)
            return false;
        z->type[i].offset_s = offset;
        z->type[i].abbreviation = str_of(chars + at, strnlen(chars + at, c->chars - at));
    }
    return true;
}

static bool read_file(struct arena *a, struct zone *z, struct str s)
{
    struct counts c;
    uint8_t version;

    if (!read_head(&s, &version, &c) || s.n < data_bytes(&c, 4))
        return false;
    if (version == 0)
        return read_data(a, z, s, &c, 4);
    s = str_sub(s, data_bytes(&c, 4), s.n);
    if (!read_head(&s, &version, &c) || s.n < data_bytes(&c, 8) || !read_data(a, z, s, &c, 8))
        return false;
    s = str_sub(s, data_bytes(&c, 8), s.n);
    if (!take_char(&s, '\n') || !s.n || s.p[0] == '\n')
        return true; // no rule
    return parse_rule(str_cut(&s, '\n'), &z->rule);
}

bool zone_parse(struct arena *a, struct str name, struct str bytes, const struct zone **out,
                struct err *e)
{
    struct zone *z = arena_new(a, struct zone);

    z->name = arena_str(a, name);
    if (bytes.n > FILE_MAX || !read_file(a, z, arena_str(a, bytes)))
        return err_set(e, ERR_CORRUPT, "malformed time zone information of %.*s", STRF(name));
    *out = z;
    return true;
}

static const struct zone *make_utc(struct arena *a)
{
    struct zone *z = arena_new(a, struct zone);

    z->name = STR("UTC");
    z->types_n = 1;
    z->type = arena_array(a, 1, struct zone_type);
    z->type[0].abbreviation = STR("UTC");
    return z;
}

// Names are paths below the database's folder, and must not lead out of it.
static bool is_safe_name(struct str name)
{
    return name.n && name.n <= NAME_MAX_BYTES && name.p[0] != '/' && name.p[0] != '.' &&
           str_find(name, STR("..")) == STR_NPOS && !memchr(name.p, 0, name.n) &&
           !memchr(name.p, '\\', name.n);
}

static bool load_path(struct arena *a, struct str name, const char *path, const struct zone **out,
                      struct err *e)
{
    struct str bytes;

    return file_read(a, path, FILE_MAX, &bytes, e) && zone_parse(a, name, bytes, out, e);
}

bool zone_load(struct arena *a, struct str name, const struct zone **out, struct err *e)
{
    static const char *const folders[] = { "/usr/share/zoneinfo/", "/usr/share/lib/zoneinfo/",
                                           "/etc/zoneinfo/" };
    const char *tz = getenv("TZ");
    struct str wanted = name;

    if (str_eq(name, STR("Local"))) {
        struct err why;

        if (!tz && load_path(a, name, "/etc/localtime", out, &why))
            return true;
        wanted = tz && tz[0] == ':' ? str_c(tz + 1) : str_c(tz ? tz : "");
    }
    if (!wanted.n || str_eq(wanted, STR("UTC"))) {
        *out = make_utc(a);
        return true;
    }
    for (size_t i = 0; is_safe_name(wanted) && i < ARRAY_LEN(folders); i++) {
        const char *path = arena_printf(a, "%s%.*s", folders[i], STRF(wanted)).p;

        if (!file_exists(path))
            continue;
        return load_path(a, name, path, out, e);
    }
    return err_set(e, ERR_NOT_FOUND, "unknown time zone %.*s", STRF(name));
}

struct str zone_name(const struct zone *z)
{
    return z->name;
}

static const struct zone_type *type_at(const struct zone *z, int64_t t)
{
    size_t low = 0, high = z->times_n;

    if (!z->times_n || t < z->times[0])
        return !z->times_n && z->rule.has_rule ? rule_type(&z->rule, t) : &z->type[0];
    if (t >= z->times[z->times_n - 1] && z->rule.has_rule)
        return rule_type(&z->rule, t);
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;

        if (z->times[mid] <= t)
            low = mid;
        else
            high = mid;
    }
    return &z->type[z->types[low]];
}

int32_t zone_offset(const struct zone *z, int64_t unix_s, struct str *abbreviation)
{
    const struct zone_type *t = type_at(z, unix_s);

    if (abbreviation)
        *abbreviation = t->abbreviation;
    return t->offset_s;
}
