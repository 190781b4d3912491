/*
 * export.h - exporters built in: the host as node_exporter shows it, and this program itself.
 *
 * A node exporter is a set of collectors over /proc and /sys. One call runs those
 * wanted and writes their families, sorted by name, as a page that a scraper of
 * node_exporter 1.x understands: same names, labels, HELP and TYPE. No port and
 * no thread of its own: app/ wires it into the process's own scrapes, and a face
 * may serve it. A collector that fails is reported by
 * node_scrape_collector_success and does not harm the others.
 *
 * Collectors read files of the kernel and call statfs(), which a dead network
 * mount may hold up: call from a worker, never from an event loop.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "base/buf.h"
#include "base/time.h"
#include "codec/expo.h"
#include "export/exporter.h"

struct export_node;

// Patterns are RE2, unanchored unless they say so, as upstream's flags; NULL is upstream's default.
struct export_node_options {
    const char *procfs, *sysfs, *rootfs, *udev_data; // /proc, /sys, /, /run/udev/data
    const char *const *textfile_dirs; // --collector.textfile.directory, may hold wildcards
    size_t textfile_dir_count;
    const char *const *enable, *const *disable; // --collector.x, --no-collector.x
    size_t enable_count, disable_count;
    bool disable_defaults;                            // --collector.disable-defaults
    bool cpu_info, softirq, no_cpu_guest;             // --collector.cpu.info, .stat.softirq
    bool netclass_ignore_invalid_speed;               // --collector.netclass.ignore-invalid-speed
    const char *cpu_flags_include, *cpu_bugs_include; // imply cpu_info
    const char *arp_exclude, *arp_include;            // --collector.arp.device-…
    const char *disk_exclude, *disk_include;          // --collector.diskstats.device-…
    const char *netdev_exclude, *netdev_include;      // --collector.netdev.device-…
    const char *netclass_exclude;                     // --collector.netclass.ignored-devices
    const char *mount_exclude, *mount_include;        // --collector.filesystem.mount-points-…
    const char *fstype_exclude, *fstype_include;      // --collector.filesystem.fs-types-…
    const char *unit_exclude, *unit_include;          // --collector.systemd.unit-…
    const char *netstat_fields, *vmstat_fields;
    struct clock *clock; // NULL: the real one
};

/*
 * Makes an exporter; options are copied. ERR_INVALID: a pattern that does not compile, an unknown
 * collector, an include beside an exclude.
 */
MUST_CHECK bool export_node_open(struct export_node **out, const struct export_node_options *o,
                                 struct err *e);
void export_node_close(struct export_node *n);
OWN_DEFINE(struct export_node *, export_node_close)

// The same behind exporter.h: ?collect[]= and ?exclude[]= of /metrics, from any thread.
MUST_CHECK bool export_node_exporter(struct exporter **out, const struct export_node_options *o,
                                     struct err *e);

// What one scrape wants; a zero struct means everything that is enabled.
struct export_select {
    const struct str *collect, *exclude; // ?collect[]= and ?exclude[]=: at most one of them
    size_t collect_count, exclude_count;
    int64_t deadline_mono_ns; // collectors not begun by then fail; 0: none
};

// Appends the page of all enabled collectors as Prometheus text. One thread at a time per exporter.
MUST_CHECK bool export_node_write(struct export_node *n, struct buf *out, struct err *e);
/*
 * As export_node_write(), of selected collectors in any format. ERR_INVALID with upstream's words: a
 * collector that is not enabled, or collect and exclude together; out is then untouched.
 */
MUST_CHECK bool export_node_write_some(struct export_node *n, const struct export_select *select,
                                       enum expo_format format, struct buf *out, struct err *e);

// Name of the i-th collector known, NULL behind the last. *on: enabled by default.
const char *export_node_collector(size_t i, bool *on);

/*
 * Appends this program's own metrics (base/metric.h) and process_* (CPU, memory, descriptors, start
 * time) as a whole page. procfs NULL: /proc; without it process_* is left out.
 */
void export_self_write(enum expo_format format, const char *procfs, struct buf *out);
