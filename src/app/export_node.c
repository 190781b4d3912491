// export_node.c - flags of node_exporter.
// SPDX-License-Identifier: Apache-2.0
#include "app/export_command.h"
#include "export/export.h"

static const char paths[] = "Paths", collectors[] = "Collectors";

#define ACTS(name, kind, value, help, group)      \
    {                                             \
        name, kind, value, help, group, FLAG_ACTS \
    }
#define HIDE(name, kind, value)                    \
    {                                              \
        name, kind, value, NULL, NULL, FLAG_HIDDEN \
    }
#define C "collector."

static const struct flag flags[] = {
    ACTS("path.procfs", FLAG_TEXT, "/proc", "procfs mountpoint", paths),
    ACTS("path.sysfs", FLAG_TEXT, "/sys", "sysfs mountpoint", paths),
    ACTS("path.rootfs", FLAG_TEXT, "/", "rootfs mountpoint", paths),
    ACTS("path.udev.data", FLAG_TEXT, "/run/udev/data", "udev data path", paths),
    ACTS(C "disable-defaults", FLAG_BOOL, "false", "only collectors that are named", collectors),
    ACTS(C "textfile.directory", FLAG_LIST, "", "folder with *.prom files; may repeat", collectors),
    ACTS(C "cpu.info", FLAG_BOOL, "false", "node_cpu_info", collectors),
    ACTS(C "cpu.guest", FLAG_BOOL, "true", "node_cpu_guest_seconds_total", collectors),
    ACTS(C "cpu.info.flags-include", FLAG_TEXT, "", "regexp of CPU flags to show", collectors),
    ACTS(C "cpu.info.bugs-include", FLAG_TEXT, "", "regexp of CPU bugs to show", collectors),
    ACTS(C "arp.device-exclude", FLAG_TEXT, "", "regexp of devices", collectors),
    ACTS(C "arp.device-include", FLAG_TEXT, "", "regexp of devices", collectors),
    ACTS(C "diskstats.device-exclude", FLAG_TEXT, "", "regexp of disks", collectors),
    ACTS(C "diskstats.device-include", FLAG_TEXT, "", "regexp of disks", collectors),
    ACTS(C "netdev.device-exclude", FLAG_TEXT, "", "regexp of devices", collectors),
    ACTS(C "netdev.device-include", FLAG_TEXT, "", "regexp of devices", collectors),
    ACTS(C "netclass.ignored-devices", FLAG_TEXT, "", "regexp of devices", collectors),
    ACTS(C "netclass.ignore-invalid-speed", FLAG_BOOL, "false", "leave out negative speeds",
         collectors),
    ACTS(C "filesystem.mount-points-exclude", FLAG_TEXT, "", "regexp of mount points", collectors),
    ACTS(C "filesystem.mount-points-include", FLAG_TEXT, "", "regexp of mount points", collectors),
    ACTS(C "filesystem.fs-types-exclude", FLAG_TEXT, "", "regexp of filesystem types", collectors),
    ACTS(C "filesystem.fs-types-include", FLAG_TEXT, "", "regexp of filesystem types", collectors),
    ACTS(C "netstat.fields", FLAG_TEXT, "", "regexp of fields", collectors),
    ACTS(C "vmstat.fields", FLAG_TEXT, "", "regexp of fields", collectors),
    ACTS(C "stat.softirq", FLAG_BOOL, "false", "node_softirqs_total", collectors),
    ACTS(C "systemd.unit-exclude", FLAG_TEXT, "", "regexp of units", collectors),
    ACTS(C "systemd.unit-include", FLAG_TEXT, "", "regexp of units", collectors),
    { C "systemd.private", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { C "systemd.enable-task-metrics", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { C "systemd.enable-restarts-metrics", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { C "systemd.enable-start-time-metrics", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    // names of older releases
    HIDE(C "diskstats.ignored-devices", FLAG_TEXT, ""),
    HIDE(C "netdev.device-blacklist", FLAG_TEXT, ""),
    HIDE(C "netdev.device-whitelist", FLAG_TEXT, ""),
    HIDE(C "filesystem.ignored-mount-points", FLAG_TEXT, ""),
    HIDE(C "filesystem.ignored-fs-types", FLAG_TEXT, ""),
    // without meaning here
    { "runtime.gomaxprocs", FLAG_INT, "1", NULL, NULL, FLAG_IGNORED },
    { C "filesystem.mount-timeout", FLAG_DURATION, "5s", NULL, NULL, FLAG_IGNORED },
    { C "filesystem.stat-workers", FLAG_INT, "4", NULL, NULL, FLAG_IGNORED },
    { C "arp.netlink", FLAG_BOOL, "true", NULL, NULL, FLAG_IGNORED },
    { C "netclass.netlink", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { C "netdev.netlink", FLAG_BOOL, "true", NULL, NULL, FLAG_IGNORED },
};

// --collector.x for every collector there is.
static const struct flag *more(struct arena *a, size_t *n)
{
    bool on;
    size_t count = 0;

    while (export_node_collector(count, &on))
        count++;
    struct flag *f = arena_array(a, count, struct flag);
    for (size_t i = 0; i < count; i++) {
        const char *name = export_node_collector(i, &on);
        f[i] = (struct flag){ .name = arena_printf(a, "collector.%s", name).p,
                              .kind = FLAG_BOOL,
                              .value = on ? "true" : "false",
                              .help = arena_printf(a, "the %s collector", name).p,
                              .group = collectors,
                              .note = FLAG_ACTS };
    }
    *n = count;
    return f;
}

// The flag of this name, or of the older one.
static const char *either(const struct flags *f, const char *name, const char *old)
{
    const char *v = export_flag(f, name);

    return v ? v : export_flag(f, old);
}

static void set_collectors(struct export_node_options *o, const struct flags *f, struct arena *a)
{
    VEC(const char *) on = { 0 }, off = { 0 };
    bool usual;

    for (size_t i = 0; export_node_collector(i, &usual); i++) {
        const char *name = export_node_collector(i, &usual);
        const struct flag_value *v = flags_get(f, arena_printf(a, "collector.%s", name).p);
        if (!v->given)
            continue;
        if (str_eq(v->text, STR("true")))
            *vec_push_in(a, &on) = name;
        else
            *vec_push_in(a, &off) = name;
    }
    o->enable = on.v;
    o->enable_count = on.n;
    o->disable = off.v;
    o->disable_count = off.n;
}

static bool open_node(struct exporter **out, const struct flags *f, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct export_node_options o = {
        .procfs = export_flag(f, "path.procfs"),
        .sysfs = export_flag(f, "path.sysfs"),
        .rootfs = export_flag(f, "path.rootfs"),
        .udev_data = export_flag(f, "path.udev.data"),
        .disable_defaults = flags_bool(f, C "disable-defaults"),
        .cpu_info = flags_bool(f, C "cpu.info"),
        .no_cpu_guest = !flags_bool(f, C "cpu.guest"),
        .softirq = flags_bool(f, C "stat.softirq"),
        .netclass_ignore_invalid_speed = flags_bool(f, C "netclass.ignore-invalid-speed"),
        .cpu_flags_include = export_flag(f, C "cpu.info.flags-include"),
        .cpu_bugs_include = export_flag(f, C "cpu.info.bugs-include"),
        .arp_exclude = export_flag(f, C "arp.device-exclude"),
        .arp_include = export_flag(f, C "arp.device-include"),
        .disk_exclude = either(f, C "diskstats.device-exclude", C "diskstats.ignored-devices"),
        .disk_include = export_flag(f, C "diskstats.device-include"),
        .netdev_exclude = either(f, C "netdev.device-exclude", C "netdev.device-blacklist"),
        .netdev_include = either(f, C "netdev.device-include", C "netdev.device-whitelist"),
        .netclass_exclude = export_flag(f, C "netclass.ignored-devices"),
        .mount_exclude = either(f, C "filesystem.mount-points-exclude",
                                C "filesystem.ignored-mount-points"),
        .mount_include = export_flag(f, C "filesystem.mount-points-include"),
        .fstype_exclude = either(f, C "filesystem.fs-types-exclude",
                                 C "filesystem.ignored-fs-types"),
        .fstype_include = export_flag(f, C "filesystem.fs-types-include"),
        .unit_exclude = export_flag(f, C "systemd.unit-exclude"),
        .unit_include = export_flag(f, C "systemd.unit-include"),
        .netstat_fields = export_flag(f, C "netstat.fields"),
        .vmstat_fields = export_flag(f, C "vmstat.fields"),
    };

    o.textfile_dirs = export_flag_list(f, &a, C "textfile.directory", &o.textfile_dir_count);
    set_collectors(&o, f, &a);
    return export_node_exporter(out, &o, e);
}

const struct export_kind export_kind_node = {
    .name = "node",
    .binaries = { "node_exporter", "node-exporter" },
    .title = "Node Exporter",
    .listen = ":9100",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .more = more,
    .open = open_node,
    .threads = 4,
};
