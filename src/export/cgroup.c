/*
 * cgroup.c - see cgroup.h. Every group is one container_* metric set with its path as id; name,
 * image and the labels of Kubernetes come from the files of docker and containerd where there are.
 */
// SPDX-License-Identifier: Apache-2.0
#include "export/cgroup.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/json.h"
#include "export/export_priv.h"

enum { DEPTH_MAX = 16, GROUPS_MAX = 20000, LABELS = 6 };

struct cgroup {
    struct exporter base;
    struct arena a;
    const char *root, *procfs, *rootfs;
    bool v2;
};

struct scan {
    struct cgroup *x;
    struct export_run run;
    struct expo_label label[LABELS + 2];
    size_t groups;
    double now;
};

/* ---- whose group it is ---- */

static bool is_id(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return s.n == 64;
}

// The container's id in the last part of a path: <id>, docker-<id>.scope, cri-containerd-<id>.scope.
static struct str container_of(struct str path)
{
    size_t slash = str_rfind_char(path, '/');
    struct str last = str_sub(path, slash == STR_NPOS ? 0 : slash + 1, path.n);

    if (str_ends(last, STR(".scope")))
        last.n -= 6;
    size_t dash = str_rfind_char(last, '-');
    last = str_sub(last, dash == STR_NPOS ? 0 : dash + 1, last.n);
    return is_id(last) ? last : STR("");
}

static struct json_value *read_json(struct scan *s, const char *path)
{
    struct json_value *v;
    struct str text;
    struct err e;

    if (!node_read(&s->run, path, &text, &e) || !json_parse(s->run.a, text, &v, &e))
        return NULL;
    return v;
}

static void identify(struct scan *s, struct str id)
{
    static const struct {
        const char *key;
        size_t label; // of image, name, container, pod, namespace: 1 to 5
    } keys[] = { { "io.kubernetes.cri.image-name", 1 },
                 { "io.kubernetes.cri.container-name", 3 },
                 { "io.kubernetes.cri.sandbox-name", 4 },
                 { "io.kubernetes.cri.sandbox-namespace", 5 } };
    const char *root = s->x->rootfs;
    struct json_value *v = read_json(
        s, node_path(&s->run, root, "var/lib/docker/containers/%.*s/config.v2.json", STRF(id)));

    s->label[2].value = id;
    if (v) {
        struct str name = json_get_str(v, STR("Name"));
        s->label[1].value = json_get_str(json_get(v, STR("Config")), STR("Image"));
        s->label[2].value = str_starts(name, STR("/")) ? str_sub(name, 1, name.n) : name;
        return;
    }
    v = read_json(s,
                  node_path(&s->run, root,
                            "run/containerd/io.containerd.runtime.v2.task/k8s.io/%.*s/config.json",
                            STRF(id)));
    for (size_t i = 0; v && i < ARRAY_LEN(keys); i++)
        s->label[keys[i].label].value = json_get_str(json_get(v, STR("annotations")),
                                                     str_c(keys[i].key));
}

/* ---- values ---- */

static void add(struct scan *s, const char *name, const char *help, enum expo_type type, double v,
                size_t more)
{
    export_add(s->run.set, &(struct export_desc){ name, help, type }, v, s->label, LABELS + more);
}

// <root>/<controller>/<path>/<file> in v1, <root>/<path>/<file> in v2.
static const char *file_of(struct scan *s, const char *controller, struct str path,
                           const char *file)
{
    if (s->x->v2)
        return node_path(&s->run, s->x->root, "%.*s/%s", STRF(path), file);
    return node_path(&s->run, s->x->root, "%s%.*s/%s", controller, STRF(path), file);
}

static bool number(struct scan *s, const char *controller, struct str path, const char *file,
                   double *out)
{
    return node_read_number(&s->run, file_of(s, controller, path, file), out);
}

// Value behind a key of lines "key value".
static bool keyed(struct str text, const char *key, double *out)
{
    struct str line, field[2];

    while (node_line(&text, &line))
        if (node_fields(line, field, 2) == 2 && str_eq_c(field[0], key))
            return num_parse_double(field[1], out);
    return false;
}

static struct str whole(struct scan *s, const char *controller, struct str path, const char *file)
{
    struct str text;

    return node_read(&s->run, file_of(s, controller, path, file), &text, &(struct err){ 0 })
               ? text
               : STR("");
}

static void cpu(struct scan *s, struct str path)
{
    struct str stat = whole(s, "cpu", path, "cpu.stat");
    double total = -1, user = -1, system = -1, v, tick = (double)sysconf(_SC_CLK_TCK);

    if (s->x->v2) {
        if (keyed(stat, "usage_usec", &v))
            total = v / 1e6;
        if (keyed(stat, "user_usec", &v))
            user = v / 1e6;
        if (keyed(stat, "system_usec", &v))
            system = v / 1e6;
    } else {
        struct str acct = whole(s, "cpuacct", path, "cpuacct.stat");
        if (number(s, "cpuacct", path, "cpuacct.usage", &v))
            total = v / 1e9;
        if (keyed(acct, "user", &v))
            user = v / tick;
        if (keyed(acct, "system", &v))
            system = v / tick;
    }
    s->label[LABELS] = (struct expo_label){ STR("cpu"), STR("total") };
    if (total >= 0)
        add(s, "container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.",
            EXPO_COUNTER, total, 1);
    if (user >= 0)
        add(s, "container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds.",
            EXPO_COUNTER, user, 0);
    if (system >= 0)
        add(s, "container_cpu_system_seconds_total",
            "Cumulative system cpu time consumed in seconds.", EXPO_COUNTER, system, 0);
    if (!keyed(stat, "nr_periods", &v))
        return;
    add(s, "container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.",
        EXPO_COUNTER, v, 0);
    if (keyed(stat, "nr_throttled", &v))
        add(s, "container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.",
            EXPO_COUNTER, v, 0);
    if (keyed(stat, s->x->v2 ? "throttled_usec" : "throttled_time", &v))
        add(s, "container_cpu_cfs_throttled_seconds_total",
            "Total time duration the container has been throttled.", EXPO_COUNTER,
            v / (s->x->v2 ? 1e6 : 1e9), 0);
}

static void memory(struct scan *s, struct str path)
{
    bool v2 = s->x->v2;
    struct str stat = whole(s, "memory", path, "memory.stat");
    static const char *const faults[] = { "pgfault", "pgmajfault" };
    double usage = 0, inactive = 0, v;
    const struct {
        const char *name, *help, *key;
    } rows[] = {
        { "container_memory_rss", "Size of RSS in bytes.", v2 ? "anon" : "total_rss" },
        { "container_memory_cache", "Number of bytes of page cache memory.",
          v2 ? "file" : "total_cache" },
        { "container_memory_mapped_file", "Size of memory mapped files in bytes.",
          v2 ? "file_mapped" : "total_mapped_file" },
        { "container_memory_kernel_usage", "Size of kernel memory allocated in bytes.",
          v2 ? "kernel" : "total_kernel" },
    };

    if (number(s, "memory", path, v2 ? "memory.current" : "memory.usage_in_bytes", &usage)) {
        (void)keyed(stat, v2 ? "inactive_file" : "total_inactive_file", &inactive); // or 0
        add(s, "container_memory_usage_bytes",
            "Current memory usage in bytes, including all memory regardless of when it was "
            "accessed",
            EXPO_GAUGE, usage, 0);
        add(s, "container_memory_working_set_bytes", "Current working set in bytes.", EXPO_GAUGE,
            MAX(usage - inactive, 0.0), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (keyed(stat, rows[i].key, &v))
            add(s, rows[i].name, rows[i].help, EXPO_GAUGE, v, 0);
    if (number(s, "memory", path, "memory.swap.current", &v) || keyed(stat, "total_swap", &v))
        add(s, "container_memory_swap", "Container swap usage in bytes.", EXPO_GAUGE, v, 0);
    if (number(s, "memory", path, v2 ? "memory.peak" : "memory.max_usage_in_bytes", &v))
        add(s, "container_memory_max_usage_bytes", "Maximum memory usage recorded in bytes",
            EXPO_GAUGE, v, 0);
    if (number(s, "memory", path, "memory.failcnt", &v) ||
        keyed(whole(s, "memory", path, "memory.events"), "max", &v))
        add(s, "container_memory_failcnt", "Number of memory usage hits limits", EXPO_COUNTER, v,
            0);
    if (keyed(whole(s, "memory", path, v2 ? "memory.events" : "memory.oom_control"), "oom_kill",
              &v))
        add(s, "container_oom_events_total",
            "Count of out of memory events observed for the container", EXPO_COUNTER, v, 0);
    for (size_t i = 0; i < 2; i++) {
        if (!keyed(stat, faults[i], &v))
            continue;
        s->label[LABELS] = (struct expo_label){ STR("failure_type"), str_c(faults[i]) };
        s->label[LABELS + 1] = (struct expo_label){ STR("scope"), STR("container") };
        add(s, "container_memory_failures_total", "Cumulative count of memory allocation failures.",
            EXPO_COUNTER, v, 2);
    }
    // Without a limit the files say "max", or a number near 2^63.
    if (!number(s, "memory", path, v2 ? "memory.max" : "memory.limit_in_bytes", &v) || v > 0x1p62)
        v = 0;
    add(s, "container_spec_memory_limit_bytes", "Memory limit for the container.", EXPO_GAUGE, v,
        0);
}

static struct str device_of(struct scan *s, struct str number_)
{
    struct str text = STR(""), line, found = STR("");

    (void)!node_read(&s->run, node_path(&s->run, "/sys/dev/block", "%.*s/uevent", STRF(number_)),
                     &text, &(struct err){ 0 });
    while (node_line(&text, &line))
        if (str_starts(line, STR("DEVNAME=")))
            found = arena_printf(s->run.a, "/dev/%.*s", STRF(str_sub(line, 8, line.n)));
    return found.n ? found : number_;
}

static void add_io(struct scan *s, struct str device, const char *key, double v)
{
    static const struct {
        const char *key, *name, *help;
    } rows[] = {
        { "rbytes", "container_fs_reads_bytes_total", "Cumulative count of bytes read" },
        { "wbytes", "container_fs_writes_bytes_total", "Cumulative count of bytes written" },
        { "rios", "container_fs_reads_total", "Cumulative count of reads completed" },
        { "wios", "container_fs_writes_total", "Cumulative count of writes completed" },
    };

    s->label[LABELS] = (struct expo_label){ STR("device"), device };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].key, key) == 0)
            add(s, rows[i].name, rows[i].help, EXPO_COUNTER, v, 1);
}

static void io(struct scan *s, struct str path)
{
    static const char *const files[] = { "blkio.throttle.io_service_bytes",
                                         "blkio.throttle.io_serviced" };
    struct str line, field[16], text = whole(s, "blkio", path, "io.stat");

    while (s->x->v2 && node_line(&text, &line)) { // 8:0 rbytes=1 wbytes=2 rios=3 wios=4 …
        size_t n = node_fields(line, field, ARRAY_LEN(field));
        for (size_t i = 1; i < n; i++) {
            struct str value = field[i], key = str_cut(&value, '=');
            add_io(s, device_of(s, field[0]), arena_cstr(s->run.a, key), node_number(value));
        }
    }
    for (size_t k = 0; !s->x->v2 && k < 2; k++) {
        text = whole(s, "blkio", path, files[k]);
        while (node_line(&text, &line)) { // 8:0 Read 4096
            if (node_fields(line, field, 4) < 3)
                continue;
            bool read = str_eq(field[1], STR("Read"));
            if (read || str_eq(field[1], STR("Write")))
                add_io(s, device_of(s, field[0]),
                       k == 0 ? read ? "rbytes" : "wbytes"
                       : read ? "rios"
                              : "wios",
                       node_number(field[2]));
        }
    }
}

static void limits(struct scan *s, struct str path)
{
    double period = 0, quota = 0, shares = 0, v;

    if (s->x->v2) {
        struct str field[2];
        if (node_fields(str_trim(whole(s, "cpu", path, "cpu.max")), field, 2) == 2) {
            quota = node_number(field[0]);
            period = node_number(field[1]);
        }
        if (number(s, "cpu", path, "cpu.weight", &v)) // the inverse of the kernel's mapping
            shares = 2 + (v - 1) * 262142 / 9999;
    } else {
        (void)number(s, "cpu", path, "cpu.cfs_period_us", &period); // absent: nothing is shown
        (void)number(s, "cpu", path, "cpu.cfs_quota_us", &quota);
        (void)number(s, "cpu", path, "cpu.shares", &shares);
    }
    if (period > 0)
        add(s, "container_spec_cpu_period", "CPU period of the container.", EXPO_GAUGE, period, 0);
    if (quota > 0)
        add(s, "container_spec_cpu_quota", "CPU quota of the container.", EXPO_GAUGE, quota, 0);
    if (shares > 0)
        add(s, "container_spec_cpu_shares", "CPU share of the container.", EXPO_GAUGE, shares, 0);
}

static void one_group(struct scan *s, struct str path)
{
    static const char *const names[] = { "id", "image", "name", "container", "pod", "namespace" };
    struct str procs, id = container_of(path);
    struct stat st;
    double v, count = 0;

    for (size_t i = 0; i < LABELS; i++)
        s->label[i] = (struct expo_label){ str_c(names[i]), STR("") };
    s->label[0].value = path.n ? path : STR("/");
    if (id.n)
        identify(s, id);
    cpu(s, path);
    memory(s, path);
    io(s, path);
    limits(s, path);
    procs = whole(s, "cpu", path, "cgroup.procs");
    for (size_t i = 0; i < procs.n; i++)
        count += procs.p[i] == '\n';
    add(s, "container_processes", "Number of processes running inside the container.", EXPO_GAUGE,
        count, 0);
    if (number(s, "pids", path, "pids.current", &v))
        add(s, "container_threads", "Number of threads running inside the container", EXPO_GAUGE, v,
            0);
    if (stat(file_of(s, "cpu", path, "cgroup.procs"), &st) == 0)
        add(s, "container_start_time_seconds",
            "Start time of the container since unix epoch in seconds.", EXPO_GAUGE,
            (double)st.st_mtim.tv_sec, 0);
    add(s, "container_last_seen", "Last time a container was seen by the exporter", EXPO_GAUGE,
        s->now, 0);
}

static void walk(struct scan *s, struct str path, int depth)
{
    const char *dir = file_of(s, "memory", path, ".");
    struct file_list list;

    if (s->groups++ >= GROUPS_MAX)
        return;
    one_group(s, path);
    if (depth == DEPTH_MAX)
        return;
    list = node_list(&s->run, dir);
    for (size_t i = 0; i < list.n; i++) {
        struct stat st;
        if (stat(node_path(&s->run, dir, "%.*s", STRF(list.v[i])), &st) == 0 && S_ISDIR(st.st_mode))
            walk(s, arena_printf(s->run.a, "%.*s/%.*s", STRF(path), STRF(list.v[i])), depth + 1);
    }
}

static void machine(struct scan *s)
{
    struct str text = STR(""), line, field[2];

    (void)!node_read(&s->run, node_path(&s->run, s->x->procfs, "meminfo"), &text,
                     &(struct err){ 0 });
    export_add(
        s->run.set,
        &(struct export_desc){ "machine_cpu_cores", "Number of logical CPU cores.", EXPO_GAUGE },
        (double)sysconf(_SC_NPROCESSORS_ONLN), NULL, 0);
    while (node_line(&text, &line))
        if (str_starts(line, STR("MemTotal:")) && node_fields(line, field, 2) == 2)
            export_add(s->run.set,
                       &(struct export_desc){ "machine_memory_bytes",
                                              "Amount of memory installed on the machine.",
                                              EXPO_GAUGE },
                       node_number(field[1]) * 1024, NULL, 0);
}

static bool metrics(struct exporter *b, const struct export_request *q, struct buf *out,
                    struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(export_set_fini) struct export_set set = { .a = &a };
    struct scan s = { .x = (struct cgroup *)b, .run = { .a = &a, .set = &set } };
    struct expo_writer w = expo_writer(EXPO_TEXT, out);

    (void)q, (void)e;
    s.now = (double)(clock_ms(clock_real()) / 1000);
    walk(&s, STR(""), 0);
    machine(&s);
    w.keep_empty = true;
    export_set_write(&set, &w);
    expo_write_end(&w);
    return true;
}

static void close_cgroup(struct exporter *b)
{
    struct cgroup *x = (struct cgroup *)b;

    arena_fini(&x->a);
    xfree(x);
}

static const struct exporter_class class = {
    .name = "cadvisor",
    .title = "cgroup exporter",
    .metrics = metrics,
    .close = close_cgroup,
};

bool export_cgroup_open(struct exporter **out, const struct export_cgroup_options *o, struct err *e)
{
    OWNED(exporter_close) struct exporter *b = xcalloc(1, sizeof(struct cgroup));
    struct cgroup *x = (struct cgroup *)b;
    OWNED(arena_fini) struct arena a = { 0 };

    b->class = &class;
    x->root = arena_cstr(&x->a, str_c(o->root ? o->root : "/sys/fs/cgroup"));
    x->procfs = arena_cstr(&x->a, str_c(o->procfs ? o->procfs : "/proc"));
    x->rootfs = arena_cstr(&x->a, str_c(o->rootfs ? o->rootfs : "/"));
    x->v2 = file_exists(arena_printf(&a, "%s/cgroup.controllers", x->root).p);
    if (!x->v2 && !file_exists(arena_printf(&a, "%s/memory", x->root).p))
        return err_set(e, ERR_NOT_FOUND, "%s holds no control groups", x->root);
    *out = TAKE(b);
    return true;
}
