// zone_test.c - offsets of the system's zones, at changes and far behind them, and of broken files.
// SPDX-License-Identifier: Apache-2.0
#include "base/zone.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/time.h"
#include "test.h"

static const struct {
    const char *zone, *time;
    int offset_min;
    const char *abbreviation;
} cases[] = {
    { "UTC", "2026-07-01T00:00:00Z", 0, "UTC" },
    { "", "2026-07-01T00:00:00Z", 0, "UTC" },
    { "Europe/Paris", "2026-03-29T00:59:59Z", 60, "CET" },
    { "Europe/Paris", "2026-03-29T01:00:00Z", 120, "CEST" },
    { "Europe/Paris", "2026-10-25T00:59:59Z", 120, "CEST" },
    { "Europe/Paris", "2026-10-25T01:00:00Z", 60, "CET" },
    { "Europe/Paris", "2150-07-01T00:00:00Z", 120, "CEST" }, // by the rule
    { "Europe/Paris", "2150-12-01T00:00:00Z", 60, "CET" },
    { "Australia/Sydney", "2026-01-01T00:00:00Z", 660, "AEDT" },
    { "Australia/Sydney", "2026-07-01T00:00:00Z", 600, "AEST" },
    { "Australia/Sydney", "2120-01-01T00:00:00Z", 660, "AEDT" }, // summer over the new year
    { "America/New_York", "1995-07-01T00:00:00Z", -240, "EDT" },
    { "Asia/Kolkata", "2026-07-01T00:00:00Z", 330, "IST" },
    { "America/Caracas", "2026-07-01T00:00:00Z", -240, "-04" },
};

TEST(clocks_on_the_wall)
{
    if (!file_exists("/usr/share/zoneinfo/Europe/Paris")) {
        print_message("skipped: no time zone database (package tzdata)\n");
        return;
    }
    FOR_CASES (c, cases) {
        OWNED(arena_fini) struct arena a = { 0 };
        const struct zone *z = NULL;
        struct str abbreviation;
        struct err e = { 0 };
        int64_t ns;

        CHECK_OK(zone_load(&a, str_c(c->zone), &z, &e), &e);
        CHECK_OK(rfc3339_parse(str_c(c->time), &ns, &e), &e);
        int32_t got = zone_offset(z, floor_div(ns, NS_SECOND), &abbreviation);
        CHECK_F(got == c->offset_min * 60, "%s at %s: %d", c->zone, c->time, got);
        CHECK_STR(abbreviation, str_c(c->abbreviation));
    }
}

TEST(unknown_zones_and_paths_are_refused)
{
    static const char *const names[] = { "Mars/Base", "../etc/passwd", "/etc/localtime", "a/../b",
                                         "Europe" };

    FOR_CASES (name, names) {
        OWNED(arena_fini) struct arena a = { 0 };
        const struct zone *z = NULL;
        struct err e = { 0 };

        CHECK_F(!zone_load(&a, str_c(*name), &z, &e) && !z, "%s", *name);
    }
}

TEST(every_cut_of_a_file_is_an_error_or_a_zone)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    struct str bytes;

    if (!file_exists("/usr/share/zoneinfo/Europe/Paris"))
        return;
    CHECK_OK(file_read(&a, "/usr/share/zoneinfo/Europe/Paris", 1 << 20, &bytes, &e), &e);
    for (size_t n = 0; n < bytes.n; n++) {
        OWNED(arena_fini) struct arena own = { 0 };
        const struct zone *z;

        if (zone_parse(&own, STR("x"), str_of(bytes.p, n), &z, &e))
            (void)zone_offset(z, INT64_C(1) << 40, NULL);
    }
}
