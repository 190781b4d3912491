/*
 * export_self.c - this program's own page: what base/metric.h holds, and process_*.
 */
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "export/export_priv.h"

static void add(struct expo_writer *w, struct str name, struct str help, enum expo_type type,
                double v)
{
    expo_write_family(w, &(struct expo_family){ .name = name, .help = help, .type = type });
    expo_write_metric(w, &(struct expo_metric){ .value = v });
}

static double limit_of(int resource)
{
    struct rlimit l;

    if (getrlimit(resource, &l) < 0)
        return 0;
    return l.rlim_cur == RLIM_INFINITY ? 18446744073709551615.0 : (double)l.rlim_cur;
}

static void add_files(struct expo_writer *w, struct arena *a, const char *procfs)
{
    struct file_list fds;

    add(w, STR("process_max_fds"), STR("Maximum number of open file descriptors."), EXPO_GAUGE,
        limit_of(RLIMIT_NOFILE));
    if (file_list(a, arena_printf(a, "%s/self/fd", procfs).p, &fds, &(struct err){ 0 }) && fds.n)
        add(w, STR("process_open_fds"), STR("Number of open file descriptors."), EXPO_GAUGE,
            (double)fds.n - 1); // the listing held one
}

// Seconds since 1970 at which the system came up; 0: unknown.
static double boot_time(struct arena *a, const char *procfs)
{
    struct str text, line, field[2];

    if (!file_read(a, arena_printf(a, "%s/stat", procfs).p, NODE_FILE_MAX, &text,
                   &(struct err){ 0 })) // then the start time is left out
        return 0;
    while (node_line(&text, &line))
        if (str_starts(line, STR("btime ")) && node_fields(line, field, 2) == 2)
            return node_number(field[1]);
    return 0;
}

/*
 * From /proc/self/stat, whose fields behind the name in brackets are counted from 0: 11, 12 user and
 * system ticks, 19 start in ticks since boot, 20 virtual bytes, 21 resident pages.
 */
static void add_process(struct expo_writer *w, struct arena *a, const char *procfs)
{
    double ticks = (double)sysconf(_SC_CLK_TCK), page = (double)sysconf(_SC_PAGESIZE), boot;
    struct str text, field[64];

    if (!file_read(a, arena_printf(a, "%s/self/stat", procfs).p, NODE_FILE_MAX, &text,
                   &(struct err){ 0 })) // no /proc here
        return;
    size_t close = str_rfind_char(text, ')');
    if (close == STR_NPOS ||
        node_fields(str_trim(str_sub(text, close + 1, text.n)), field, 64) < 23)
        return;
    add(w, STR("process_cpu_seconds_total"),
        STR("Total user and system CPU time spent in seconds."), EXPO_COUNTER,
        (node_number(field[11]) + node_number(field[12])) / ticks);
    add_files(w, a, procfs);
    add(w, STR("process_resident_memory_bytes"), STR("Resident memory size in bytes."), EXPO_GAUGE,
        node_number(field[21]) * page);
    boot = boot_time(a, procfs);
    if (boot > 0)
        add(w, STR("process_start_time_seconds"),
            STR("Start time of the process since unix epoch in seconds."), EXPO_GAUGE,
            boot + node_number(field[19]) / ticks);
    add(w, STR("process_virtual_memory_bytes"), STR("Virtual memory size in bytes."), EXPO_GAUGE,
        node_number(field[20]));
    add(w, STR("process_virtual_memory_max_bytes"),
        STR("Maximum amount of virtual memory available in bytes."), EXPO_GAUGE,
        limit_of(RLIMIT_AS));
}

void export_self_write(enum expo_format format, const char *procfs, struct buf *out)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct expo_writer w = expo_writer(format, out);

    expo_write_self(&w);
    add_process(&w, &a, procfs ? procfs : "/proc");
    expo_write_end(&w);
}
