/*
 * time.h - clocks, durations and calendar text.
 *
 * Metrics time is int64_t milliseconds since 1970 (…_ms), events nanoseconds
 * (…_ns); …_mono_ns is the monotonic clock and is never stored. Code below app/
 * takes the time as an argument or from a struct clock, so that tests set it.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/buf.h"
#include "base/cursor.h"

enum { MS_SECOND = 1000, MS_MINUTE = 60000, MS_HOUR = 3600000, MS_DAY = 86400000 };
#define NS_MS     INT64_C(1000000)
#define NS_SECOND INT64_C(1000000000)

struct clock {
    int64_t (*wall_ms)(struct clock *c);
    int64_t (*mono_ns)(struct clock *c);
    int64_t fake_ms; // used by clock_fake(): tests move it by hand
};
struct clock *clock_real(void);          // the process's one real clock
struct clock clock_fake(int64_t now_ms); // stands still; mono_ns follows fake_ms
static inline int64_t clock_ms(struct clock *c)
{
    return c->wall_ms(c);
}
static inline int64_t clock_mono_ns(struct clock *c)
{
    return c->mono_ns(c);
}
int64_t wall_ns(void); // for log lines

int64_t floor_div(int64_t a, int64_t b); // b > 0; rounds down
int64_t ms_from_seconds(double s);       // rounds to nearest, saturates

/*
 * Durations as Prometheus writes them: 1h30m, 500ms, units y w d h m s ms, falling,
 * each once. "0" alone is zero. Errors: ERR_INVALID with the position in the text.
 */
bool duration_parse(struct str s, int64_t *out_ms, struct err *e);
void buf_duration(struct buf *b, int64_t ms);    // 5400000 → 1h30m, 0 → 0s
void buf_duration_go(struct buf *b, int64_t ns); // as Go's Duration.String: 1h30m0s, 1.5s

// RFC 3339 with optional fraction and zone. ms form rounds down.
bool rfc3339_parse(struct str s, int64_t *out_ns, struct err *e);
// As rfc3339_parse, for all years of four digits: seconds, rounded down, and 0..999999999 ns.
bool rfc3339_parse_parts(struct str s, int64_t *out_s, int32_t *out_ns, struct err *e);
void buf_rfc3339_ms(struct buf *b, int64_t ms); // 2026-11-21T04:05:06.789Z
void buf_rfc3339_ns(struct buf *b, int64_t ns); // trailing zeros of the fraction cut

struct civil {
    int64_t year;
    int month, day, hour, minute, second; // month, day from 1
    int weekday, yearday;                 // Sunday 0; first of January 1
};
struct civil civil_of(int64_t seconds);               // proleptic Gregorian, UTC
int64_t civil_days(int64_t year, int month, int day); // days since 1970-01-01
// 28 to 31; month from 1 to 12.
int days_in_month(int64_t year, int month);
