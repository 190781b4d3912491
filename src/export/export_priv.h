/*
 * export_priv.h - what collectors are written with: families of one scrape, and files of the kernel.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/file.h"
#include "base/map.h"
#include "base/num.h"
#include "base/regex.h"
#include "base/sort.h"
#include "base/vec.h"
#include "codec/expo_write.h"
#include "export/export.h"

/* ---- families ---- */

struct export_desc {
    const char *name, *help;
    enum expo_type type;
};

struct export_family {
    struct str name, help;
    enum expo_type type;
    VEC(struct expo_metric) metric;
};

// The families of one scrape, in an arena. Zero but for the arena is valid and empty.
struct export_set {
    struct arena *a;
    VEC(struct export_family) family;
    struct map by_name;
};

void export_set_fini(struct export_set *s);
OWN_DEFINE_FINI(struct export_set, export_set_fini)
// Adds one value; labels are copied and sorted. The first help and type of a family stay.
void export_add(struct export_set *s, const struct export_desc *d, double v,
                const struct expo_label *label, size_t n);
// Adds a whole metric of a family given by parts; all it points to lives as long as the arena.
void export_add_metric(struct export_set *s, const struct expo_family *f,
                       const struct expo_metric *m);
// Writes all families by name, their metrics by label values. Of equal ones the first is kept.
void export_set_write(struct export_set *s, struct expo_writer *w);

/* ---- one scrape ---- */

struct node_filter { // of names: exclude or include, or neither
    struct regex *exclude, *include;
};

struct node_cpu_times {
    double v[10]; // user nice system idle iowait irq softirq steal guest guest_nice, seconds
};

struct export_node {
    struct export_node_options o;
    struct arena a; // of what the options point to
    struct node_filter arp, disk, netdev, netclass, mount, fstype, unit;
    struct regex *netstat_fields, *vmstat_fields, *cpu_flags, *cpu_bugs;
    uint64_t enabled;                // bit per collector of the table
    VEC(struct node_cpu_times) cpus; // the last seen, by number: they never go back
};

struct export_run {
    struct export_node *node;
    struct arena *a;
    struct export_set *set;
};

/*
 * A collector: adds to r->set. ERR_NOT_FOUND means that this host has no such data. What was added
 * before a failure stays.
 */
typedef bool (*node_collect_fn)(struct export_run *r, struct err *e);

bool node_arp(struct export_run *r, struct err *e);
bool node_bonding(struct export_run *r, struct err *e);
bool node_buddyinfo(struct export_run *r, struct err *e);
bool node_dmi(struct export_run *r, struct err *e);
bool node_edac(struct export_run *r, struct err *e);
bool node_hwmon(struct export_run *r, struct err *e);
bool node_interrupts(struct export_run *r, struct err *e);
bool node_kernel_hung(struct export_run *r, struct err *e);
bool node_mdadm(struct export_run *r, struct err *e);
bool node_nvme(struct export_run *r, struct err *e);
bool node_powersupply(struct export_run *r, struct err *e);
bool node_processes(struct export_run *r, struct err *e);
bool node_rapl(struct export_run *r, struct err *e);
bool node_schedstat(struct export_run *r, struct err *e);
bool node_selinux(struct export_run *r, struct err *e);
bool node_softnet(struct export_run *r, struct err *e);
bool node_systemd(struct export_run *r, struct err *e);
bool node_timex(struct export_run *r, struct err *e);
bool node_udp_queues(struct export_run *r, struct err *e);
bool node_watchdog(struct export_run *r, struct err *e);
bool node_conntrack(struct export_run *r, struct err *e);
bool node_cpu(struct export_run *r, struct err *e);
bool node_cpufreq(struct export_run *r, struct err *e);
bool node_diskstats(struct export_run *r, struct err *e);
bool node_entropy(struct export_run *r, struct err *e);
bool node_filefd(struct export_run *r, struct err *e);
bool node_filesystem(struct export_run *r, struct err *e);
bool node_loadavg(struct export_run *r, struct err *e);
bool node_meminfo(struct export_run *r, struct err *e);
bool node_netclass(struct export_run *r, struct err *e);
bool node_netdev(struct export_run *r, struct err *e);
bool node_netstat(struct export_run *r, struct err *e);
bool node_os(struct export_run *r, struct err *e);
bool node_pressure(struct export_run *r, struct err *e);
bool node_sockstat(struct export_run *r, struct err *e);
bool node_stat(struct export_run *r, struct err *e);
bool node_textfile(struct export_run *r, struct err *e);
bool node_thermal_zone(struct export_run *r, struct err *e);
bool node_time(struct export_run *r, struct err *e);
bool node_uname(struct export_run *r, struct err *e);
bool node_vmstat(struct export_run *r, struct err *e);

bool node_filter_drops(const struct node_filter *f, struct str name);

/* ---- files of the kernel ---- */

enum { NODE_FILE_MAX = 8 << 20, NODE_FIELDS_MAX = 128 };

// <root>/<path> in the arena; root is one of the options' folders.
const char *node_path(struct export_run *r, const char *root, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
MUST_CHECK bool node_read(struct export_run *r, const char *path, struct str *out, struct err *e);
// Content without white space at its ends; p == NULL when it cannot be read.
struct str node_read_word(struct export_run *r, const char *path);
// A number alone in a file; false: absent or something else.
bool node_read_number(struct export_run *r, const char *path, double *out);
// Names of a folder, sorted; empty when it cannot be read.
struct file_list node_list(struct export_run *r, const char *path);
// Cuts the next line off *rest; false at the end.
bool node_line(struct str *rest, struct str *line);
// Splits at white space into at most max fields; returns their count.
size_t node_fields(struct str line, struct str *field, size_t max);
// A field as a number; anything else is 0.
double node_number(struct str s);
// A formatted constant string of the arena, for names of families.
const char *node_text(struct export_run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
