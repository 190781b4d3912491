/*
 * node_system.c - collectors of the machine as a whole: uname, os, time, thermal_zone.
 */
// SPDX-License-Identifier: Apache-2.0
#include <sys/utsname.h>
#include <time.h>

#include "export/export_priv.h"

bool node_uname(struct export_run *r, struct err *e)
{
    static const struct export_desc d = {
        "node_uname_info", "Labeled system information as provided by the uname system call.",
        EXPO_GAUGE
    };
    struct utsname u;

    if (uname(&u) < 0)
        return err_os(e, "uname");
    struct expo_label l[] = {
        { STR("sysname"), str_c(u.sysname) },   { STR("release"), str_c(u.release) },
        { STR("version"), str_c(u.version) },   { STR("machine"), str_c(u.machine) },
        { STR("nodename"), str_c(u.nodename) }, { STR("domainname"), str_c(u.domainname) },
    };
    export_add(r->set, &d, 1, l, ARRAY_LEN(l));
    return true;
}

/* ---- os ---- */

// A value of os-release: quotes off, \x is x.
static struct str unquote(struct arena *a, struct str s)
{
    char *out = arena_raw(a, s.n + 1);
    char quote = 0;
    size_t n = 0;

    if (s.n >= 2 && (*s.p == '"' || *s.p == '\'') && s.p[s.n - 1] == *s.p) {
        quote = *s.p;
        s = str_sub(s, 1, s.n - 1);
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && quote != '\'' && i + 1 < s.n)
            i++;
        out[n++] = s.p[i];
    }
    return str_of(out, n);
}

static void add_os_version(struct export_run *r, const struct expo_label *info, struct str version)
{
    static const struct export_desc d = {
        "node_os_version", "Metric containing the major.minor part of the OS version.", EXPO_GAUGE
    };
    struct expo_label l[] = { info[1], info[2], info[5] }; // id, id_like, name
    size_t n = 0, dots = 0;
    double v;

    while (n < version.n &&
           ((version.p[n] >= '0' && version.p[n] <= '9') || (version.p[n] == '.' && n && !dots++)))
        n++;
    if (n && num_parse_double(str_sub(version, 0, n), &v))
        export_add(r->set, &d, v, l, ARRAY_LEN(l));
}

bool node_os(struct export_run *r, struct err *e)
{
    static const struct export_desc d = {
        "node_os_info",
        "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, "
        "image_version, name, pretty_name, variant, variant_id, version, version_codename, "
        "version_id.",
        EXPO_GAUGE
    };
    struct expo_label l[] = {
        { STR("build_id"), STR("") },         { STR("id"), STR("") },
        { STR("id_like"), STR("") },          { STR("image_id"), STR("") },
        { STR("image_version"), STR("") },    { STR("name"), STR("") },
        { STR("pretty_name"), STR("") },      { STR("variant"), STR("") },
        { STR("variant_id"), STR("") },       { STR("version"), STR("") },
        { STR("version_codename"), STR("") }, { STR("version_id"), STR("") },
    };
    struct str text, line;

    if (!node_read(r, node_path(r, r->node->o.rootfs, "etc/os-release"), &text,
                   &(struct err){ 0 }) && // the second is the usual place of the first
        !node_read(r, node_path(r, r->node->o.rootfs, "usr/lib/os-release"), &text, e))
        return false;
    while (node_line(&text, &line)) {
        line = str_trim(line);
        struct str key = str_cut(&line, '=');

        for (size_t i = 0; i < ARRAY_LEN(l); i++)
            if (line.p && str_eq_nocase(key, l[i].name))
                l[i].value = unquote(r->a, line);
    }
    export_add(r->set, &d, 1, l, ARRAY_LEN(l));
    add_os_version(r, l, l[11].value);
    return true;
}

/* ---- time ---- */

static void add_clocksources(struct export_run *r)
{
    static const struct export_desc available = {
        "node_time_clocksource_available_info",
        "Available clocksources read from '/sys/devices/system/clocksource'.", EXPO_GAUGE
    };
    static const struct export_desc current = {
        "node_time_clocksource_current_info",
        "Current clocksource read from '/sys/devices/system/clocksource'.", EXPO_GAUGE
    };
    const char *dir = node_path(r, r->node->o.sysfs, "devices/system/clocksource");
    struct file_list list = node_list(r, dir);

    for (size_t i = 0; i < list.n; i++) {
        if (!str_starts(list.v[i], STR("clocksource")))
            continue;
        const char *source = node_path(r, dir, "%.*s", STRF(list.v[i]));
        struct str all = node_read_word(r, node_path(r, source, "available_clocksource"));
        struct expo_label l[] = { { STR("device"), str_sub(list.v[i], 11, list.v[i].n) },
                                  { STR("clocksource"), STR("") } };
        while (all.n) {
            l[1].value = str_cut(&all, ' ');
            export_add(r->set, &available, 1, l, 2);
        }
        l[1].value = node_read_word(r, node_path(r, source, "current_clocksource"));
        if (l[1].value.n)
            export_add(r->set, &current, 1, l, 2);
    }
}

bool node_time(struct export_run *r, struct err *e UNUSED)
{
    static const struct export_desc seconds = { "node_time_seconds",
                                                "System time in seconds since epoch (1970).",
                                                EXPO_GAUGE };
    static const struct export_desc offset = { "node_time_zone_offset_seconds",
                                               "System time zone offset in seconds.", EXPO_GAUGE };
    int64_t now_ms = clock_ms(r->node->o.clock);
    time_t now = (time_t)floor_div(now_ms, MS_SECOND);
    struct tm tm;
    struct expo_label zone = { STR("time_zone"), STR("UTC") };
    double east = 0;

    if (localtime_r(&now, &tm)) {
        east = (double)tm.tm_gmtoff;
        zone.value = str_c(tm.tm_zone);
    }
    export_add(r->set, &seconds, (double)now_ms / 1000, NULL, 0);
    export_add(r->set, &offset, east, &zone, 1);
    add_clocksources(r);
    return true;
}

/* ---- thermal_zone ---- */

bool node_thermal_zone(struct export_run *r, struct err *e)
{
    static const struct export_desc temp = { "node_thermal_zone_temp",
                                             "Zone temperature in Celsius", EXPO_GAUGE };
    static const struct export_desc now = { "node_cooling_device_cur_state",
                                            "Current throttle state of the cooling device",
                                            EXPO_GAUGE };
    static const struct export_desc max = { "node_cooling_device_max_state",
                                            "Maximum throttle state of the cooling device",
                                            EXPO_GAUGE };
    const char *dir = node_path(r, r->node->o.sysfs, "class/thermal");
    struct file_list list;
    double v;

    if (!file_list(r->a, dir, &list, e))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        const char *device = node_path(r, dir, "%.*s", STRF(list.v[i]));
        struct expo_label type = { STR("type"), node_read_word(r, node_path(r, device, "type")) };

        if (str_starts(list.v[i], STR("thermal_zone")) &&
            node_read_number(r, node_path(r, device, "temp"), &v)) {
            struct expo_label l[] = { { STR("zone"), str_sub(list.v[i], 12, SIZE_MAX) }, type };
            export_add(r->set, &temp, v / 1000, l, 2);
        }
        if (str_starts(list.v[i], STR("cooling_device"))) {
            struct expo_label l[] = { { STR("name"), str_sub(list.v[i], 14, SIZE_MAX) }, type };
            if (node_read_number(r, node_path(r, device, "cur_state"), &v))
                export_add(r->set, &now, v, l, 2);
            if (node_read_number(r, node_path(r, device, "max_state"), &v))
                export_add(r->set, &max, v, l, 2);
        }
    }
    return true;
}
