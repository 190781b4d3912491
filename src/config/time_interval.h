/*
 * time_interval.h - times of the week, month and year, as Alertmanager's time_intervals have them.
 *
 *   times: [{start_time: '09:00', end_time: '17:00'}]   weekdays: ['monday:friday']
 *   days_of_month: ['1:5', '-3:-1']   months: [december]   years: ['2026:2027']   location: Europe/Paris
 *
 * Source: Alertmanager 0.34, timeinterval/.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/zone.h"
#include "config/schema.h"

struct time_span { // both inclusive
    int begin, end;
};
struct time_spans {
    struct time_span *v;
    size_t n;
};

struct conf_time_range {
    struct str start_time, end_time;
    int start_minute, end_minute; // of the day; the end is not in it
};

struct conf_time_interval {
    struct conf_list times; // struct conf_time_range
    struct conf_strs weekdays_text, days_text, months_text, years_text;
    struct str location;
    // What the texts say; no spans: every one.
    struct time_spans weekdays, days, months, years;
    const struct zone *zone; // NULL: UTC
};
extern const struct conf_type conf_time_interval_type;

bool time_interval_contains(const struct conf_time_interval *i, int64_t unix_s);
