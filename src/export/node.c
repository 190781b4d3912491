/*
 * node.c - the node exporter: its collectors, options, and one scrape.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "base/mem.h"
#include "base/rune.h"
#include "export/export_priv.h"

static const struct {
    const char *name;
    node_collect_fn collect;
    bool off; // unless asked for
} collectors[] = {
    { "arp", node_arp, false },
    { "bonding", node_bonding, false },
    { "buddyinfo", node_buddyinfo, true },
    { "conntrack", node_conntrack, false },
    { "cpu", node_cpu, false },
    { "cpufreq", node_cpufreq, false },
    { "diskstats", node_diskstats, false },
    { "dmi", node_dmi, false },
    { "edac", node_edac, false },
    { "entropy", node_entropy, false },
    { "filefd", node_filefd, false },
    { "filesystem", node_filesystem, false },
    { "hwmon", node_hwmon, false },
    { "interrupts", node_interrupts, true },
    { "kernel_hung", node_kernel_hung, false },
    { "loadavg", node_loadavg, false },
    { "mdadm", node_mdadm, false },
    { "meminfo", node_meminfo, false },
    { "netclass", node_netclass, false },
    { "netdev", node_netdev, false },
    { "netstat", node_netstat, false },
    { "nvme", node_nvme, false },
    { "os", node_os, false },
    { "powersupplyclass", node_powersupply, false },
    { "pressure", node_pressure, false },
    { "processes", node_processes, true },
    { "rapl", node_rapl, false },
    { "schedstat", node_schedstat, false },
    { "selinux", node_selinux, false },
    { "sockstat", node_sockstat, false },
    { "softnet", node_softnet, false },
    { "stat", node_stat, false },
    { "systemd", node_systemd, true },
    { "textfile", node_textfile, false },
    { "thermal_zone", node_thermal_zone, false },
    { "time", node_time, false },
    { "timex", node_timex, false },
    { "udp_queues", node_udp_queues, false },
    { "uname", node_uname, false },
    { "vmstat", node_vmstat, false },
    { "watchdog", node_watchdog, false },
};
static_assert(ARRAY_LEN(collectors) <= 64, "export_node.enabled has a bit for each");

const char *export_node_collector(size_t i, bool *on)
{
    if (i >= ARRAY_LEN(collectors))
        return NULL;
    *on = !collectors[i].off;
    return collectors[i].name;
}

/* ---- options ---- */

static const char disk_exclude[] = "^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$";
static const char mount_exclude[] = "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|"
                                    "var/lib/containers/storage/.+)($|/)";
static const char fstype_exclude[] =
    "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|"
    "mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|"
    "tracefs)$";
static const char netstat_fields[] =
    "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|"
    "TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|"
    "Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|"
    "Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";
static const char vmstat_fields[] = "^(oom_kill|pgpg|pswp|pg.*fault).*";

static bool compile(struct regex **out, const char *pattern, const char *what, struct err *e)
{
    if (!pattern || !*pattern)
        return true;
    if (!regex_new(out, str_c(pattern), 0, e))
        return err_wrap(e, "collector option %s", what);
    return true;
}

static bool make_filter(struct node_filter *f, const char *exclude, const char *include,
                        const char *usual, struct err *e)
{
    if (exclude && *exclude && include && *include)
        return err_set(e, ERR_INVALID,
                       "an exclude and an include pattern of one collector are mutually exclusive");
    if (include && *include)
        return compile(&f->include, include, "include", e);
    return compile(&f->exclude, exclude ? exclude : usual, "exclude", e);
}

bool node_filter_drops(const struct node_filter *f, struct str name)
{
    return (f->exclude && regex_match(f->exclude, name)) ||
           (f->include && !regex_match(f->include, name));
}

static const char *path_of(struct arena *a, const char *given, const char *usual)
{
    struct str s = str_c(given && *given ? given : usual);

    while (s.n > 1 && s.p[s.n - 1] == '/')
        s.n--;
    return arena_cstr(a, s);
}

static bool make_patterns(struct export_node *n, const struct export_node_options *o, struct err *e)
{
    n->o.cpu_info = o->cpu_info || o->cpu_flags_include || o->cpu_bugs_include;
    return make_filter(&n->arp, o->arp_exclude, o->arp_include, NULL, e) &&
           make_filter(&n->disk, o->disk_exclude, o->disk_include, disk_exclude, e) &&
           make_filter(&n->netdev, o->netdev_exclude, o->netdev_include, NULL, e) &&
           make_filter(&n->netclass, o->netclass_exclude, NULL, NULL, e) &&
           make_filter(&n->mount, o->mount_exclude, o->mount_include, mount_exclude, e) &&
           make_filter(&n->fstype, o->fstype_exclude, o->fstype_include, fstype_exclude, e) &&
           make_filter(&n->unit, o->unit_exclude, o->unit_include, NULL, e) &&
           compile(&n->netstat_fields, o->netstat_fields ? o->netstat_fields : netstat_fields,
                   "netstat.fields", e) &&
           compile(&n->vmstat_fields, o->vmstat_fields ? o->vmstat_fields : vmstat_fields,
                   "vmstat.fields", e) &&
           compile(&n->cpu_flags, o->cpu_flags_include, "cpu.info.flags-include", e) &&
           compile(&n->cpu_bugs, o->cpu_bugs_include, "cpu.info.bugs-include", e);
}

static size_t find(struct str name)
{
    size_t i = 0;

    while (i < ARRAY_LEN(collectors) && !str_eq_c(name, collectors[i].name))
        i++;
    return i;
}

static bool set_enabled(struct export_node *n, const char *const *names, size_t count, bool on,
                        struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = find(str_c(names[i]));

        if (at == ARRAY_LEN(collectors))
            return err_set(e, ERR_INVALID, "unknown collector \"%s\"", names[i]);
        if (on)
            n->enabled |= UINT64_C(1) << at;
        else
            n->enabled &= ~(UINT64_C(1) << at);
    }
    return true;
}

bool export_node_open(struct export_node **out, const struct export_node_options *o, struct err *e)
{
    OWNED(export_node_close) struct export_node *n = xcalloc(1, sizeof *n);

    n->o = *o;
    n->o.procfs = path_of(&n->a, o->procfs, "/proc");
    n->o.sysfs = path_of(&n->a, o->sysfs, "/sys");
    n->o.rootfs = path_of(&n->a, o->rootfs, "/");
    n->o.udev_data = path_of(&n->a, o->udev_data, "/run/udev/data");
    n->o.clock = o->clock ? o->clock : clock_real();
    const char **dirs = arena_array(&n->a, o->textfile_dir_count, const char *);
    for (size_t i = 0; i < o->textfile_dir_count; i++)
        dirs[i] = arena_cstr(&n->a, str_c(o->textfile_dirs[i]));
    n->o.textfile_dirs = dirs;
    for (size_t i = 0; i < ARRAY_LEN(collectors); i++)
        if (!collectors[i].off && !o->disable_defaults)
            n->enabled |= UINT64_C(1) << i;
    if (!set_enabled(n, o->enable, o->enable_count, true, e) ||
        !set_enabled(n, o->disable, o->disable_count, false, e) || !make_patterns(n, o, e))
        return false;
    *out = TAKE(n);
    return true;
}

void export_node_close(struct export_node *n)
{
    if (!n)
        return;
    struct node_filter *filters[] = { &n->arp,   &n->disk,   &n->netdev, &n->netclass,
                                      &n->mount, &n->fstype, &n->unit };
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        regex_free(filters[i]->exclude);
        regex_free(filters[i]->include);
    }
    regex_free(n->netstat_fields);
    regex_free(n->vmstat_fields);
    regex_free(n->cpu_flags);
    regex_free(n->cpu_bugs);
    vec_fini(&n->cpus);
    arena_fini(&n->a);
    xfree(n);
}

/* ---- one scrape ---- */

static bool names_mask(const struct export_node *n, const struct str *names, size_t count,
                       uint64_t *out, struct err *e)
{
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = find(names[i]);

        if (at == ARRAY_LEN(collectors))
            return err_set(e, ERR_INVALID, "missing collector: %.*s", STRF(names[i]));
        if (!(n->enabled >> at & 1))
            return err_set(e, ERR_INVALID, "disabled collector: %.*s", STRF(names[i]));
        *out |= UINT64_C(1) << at;
    }
    return true;
}

static bool select_mask(const struct export_node *n, const struct export_select *s, uint64_t *out,
                        struct err *e)
{
    uint64_t mask;

    if (s->collect_count && s->exclude_count)
        return err_set(e, ERR_INVALID, "combined collect and exclude queries are not allowed");
    if (!names_mask(n, s->collect_count ? s->collect : s->exclude,
                    s->collect_count ? s->collect_count : s->exclude_count, &mask, e))
        return false;
    *out = s->collect_count ? mask : n->enabled & ~mask;
    return true;
}

static void collect(struct export_run *r, size_t i, int64_t deadline_mono_ns)
{
    static const struct export_desc duration = {
        "node_scrape_collector_duration_seconds",
        "node_exporter: Duration of a collector scrape.",
        EXPO_GAUGE,
    };
    static const struct export_desc success = {
        "node_scrape_collector_success",
        "node_exporter: Whether a collector succeeded.",
        EXPO_GAUGE,
    };
    struct expo_label label = { STR("collector"), str_c(collectors[i].name) };
    struct clock *clock = r->node->o.clock;
    int64_t begin = clock_mono_ns(clock);
    struct err e = { 0 };
    bool ok = false;

    if (deadline_mono_ns && begin >= deadline_mono_ns)
        err_set(&e, ERR_TIMEOUT, "no time was left");
    else
        ok = collectors[i].collect(r, &e);
    if (!ok && e.kind == ERR_NOT_FOUND)
        log_debug("export", "collector has no data", KV("collector", collectors[i].name),
                  KV_ERR(&e));
    else if (!ok)
        log_warn("export", "collector failed", KV("collector", collectors[i].name), KV_ERR(&e));
    double seconds = (double)(clock_mono_ns(clock) - begin) / 1e9;
    export_add(r->set, &duration, seconds, &label, 1);
    export_add(r->set, &success, ok, &label, 1);
}

bool export_node_write_some(struct export_node *n, const struct export_select *select,
                            enum expo_format format, struct buf *out, struct err *e)
{
    static const struct export_desc build = {
        "node_exporter_build_info",
        "A metric with a constant '1' value labeled by version, revision, branch, goversion from "
        "which node_exporter was built, and the goos and goarch for the build.",
        EXPO_GAUGE,
    };
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(export_set_fini) struct export_set set = { .a = &a };
    struct export_run r = { n, &a, &set };
    struct expo_writer w = expo_writer(format, out);
    struct expo_label version = { STR("version"), STR("vigie-" VIGIE_VERSION) };
    uint64_t mask;

    if (!select_mask(n, select, &mask, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(collectors); i++)
        if (mask >> i & 1)
            collect(&r, i, select->deadline_mono_ns);
    export_add(&set, &build, 1, &version, 1);
    w.keep_empty = true;
    export_set_write(&set, &w);
    expo_write_end(&w);
    return true;
}

bool export_node_write(struct export_node *n, struct buf *out, struct err *e)
{
    return export_node_write_some(n, &(struct export_select){ 0 }, EXPO_TEXT, out, e);
}
