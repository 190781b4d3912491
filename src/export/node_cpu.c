/*
 * node_cpu.c - collectors of processors and the scheduler: cpu, cpufreq, stat, loadavg, pressure.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/rune.h"
#include "export/export_priv.h"

/* ---- cpu ---- */

enum { CPU_MODES = 10, CPU_MAX = 65536, TICKS_PER_SECOND = 100 }; // USER_HZ is 100 on every port

static const char *const modes[CPU_MODES] = { "user", "nice",    "system", "idle", "iowait",
                                              "irq",  "softirq", "steal",  "user", "nice" };

// The times of one CPU, kept from going back: the kernel's idle and iowait do at times.
static struct node_cpu_times *keep_forward(struct export_node *n, size_t cpu,
                                           const struct node_cpu_times *now)
{
    while (n->cpus.n <= cpu)
        vec_push(&n->cpus);
    struct node_cpu_times *last = &n->cpus.v[cpu];
    if (last->v[3] - now->v[3] >= 3)
        *last = (struct node_cpu_times){ 0 }; // unplugged and plugged in again
    for (size_t i = 0; i < CPU_MODES; i++)
        last->v[i] = MAX(last->v[i], now->v[i]);
    return last;
}

static void add_times(struct export_run *r, struct str number, const struct node_cpu_times *t)
{
    static const struct export_desc seconds = { "node_cpu_seconds_total",
                                                "Seconds the CPUs spent in each mode.",
                                                EXPO_COUNTER };
    static const struct export_desc guest = {
        "node_cpu_guest_seconds_total", "Seconds the CPUs spent in guests (VMs) for each mode.",
        EXPO_COUNTER
    };

    for (size_t i = 0; i < CPU_MODES; i++) {
        struct expo_label labels[] = { { STR("cpu"), number }, { STR("mode"), str_c(modes[i]) } };
        if (i < 8 || !r->node->o.no_cpu_guest)
            export_add(r->set, i < 8 ? &seconds : &guest, t->v[i], labels, 2);
    }
}

static bool add_stat(struct export_run *r, struct err *e)
{
    struct str text, line, field[NODE_FIELDS_MAX];

    if (!node_read(r, node_path(r, r->node->o.procfs, "stat"), &text, e))
        return false;
    while (node_line(&text, &line)) {
        struct node_cpu_times t = { 0 };
        uint64_t cpu;

        if (!str_starts(line, STR("cpu")))
            continue;
        size_t n = node_fields(line, field, ARRAY_LEN(field));
        struct str number = n ? str_sub(field[0], 3, SIZE_MAX) : STR_NONE;
        if (!str_to_u64(number, &cpu) || cpu >= CPU_MAX)
            continue; // the sum of all
        for (size_t i = 1; i < n && i <= CPU_MODES; i++)
            t.v[i - 1] = node_number(field[i]) / TICKS_PER_SECOND;
        add_times(r, number, keep_forward(r->node, cpu, &t));
    }
    return true;
}

// One processor of /proc/cpuinfo.
struct cpu_info {
    struct str processor, vendor, family, model, model_name, stepping, microcode, mhz, cache;
    struct str package, core, flags, bugs;
};

static struct str *info_field(struct cpu_info *c, struct str key)
{
    const struct {
        const char *key;
        struct str *value;
    } fields[] = {
        { "processor", &c->processor },
        { "vendor_id", &c->vendor },
        { "cpu family", &c->family },
        { "model", &c->model },
        { "model name", &c->model_name },
        { "stepping", &c->stepping },
        { "microcode", &c->microcode },
        { "cpu MHz", &c->mhz },
        { "cache size", &c->cache },
        { "physical id", &c->package },
        { "core id", &c->core },
        { "flags", &c->flags },
        { "bugs", &c->bugs },
    };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (str_eq_c(key, fields[i].key))
            return fields[i].value;
    return NULL;
}

// Words of a field that a pattern lets through, one series each.
static void add_words(struct export_run *r, struct str words, const struct regex *only,
                      const struct export_desc *d, const char *label)
{
    struct str word;

    while (only && words.n) {
        word = str_cut(&words, ' ');
        struct expo_label l = { str_c(label), word };
        if (word.n && regex_match(only, word))
            export_add(r->set, d, 1, &l, 1);
    }
}

static void add_info(struct export_run *r, const struct cpu_info *c, bool first)
{
    static const struct export_desc info = { "node_cpu_info", "CPU information from /proc/cpuinfo.",
                                             EXPO_GAUGE };
    static const struct export_desc hertz = { "node_cpu_frequency_hertz",
                                              "CPU frequency in hertz from /proc/cpuinfo.",
                                              EXPO_GAUGE };
    static const struct export_desc flags = {
        "node_cpu_flag_info",
        "The `flags` field of CPU information from /proc/cpuinfo taken from the first core.",
        EXPO_GAUGE
    };
    static const struct export_desc bugs = {
        "node_cpu_bug_info",
        "The `bugs` field of CPU information from /proc/cpuinfo taken from the first core.",
        EXPO_GAUGE
    };
    struct expo_label labels[] = {
        { STR("core"), c->core },         { STR("cpu"), c->processor },
        { STR("package"), c->package },   { STR("cachesize"), c->cache },
        { STR("family"), c->family },     { STR("microcode"), c->microcode },
        { STR("model"), c->model },       { STR("model_name"), c->model_name },
        { STR("stepping"), c->stepping }, { STR("vendor"), c->vendor },
    };

    export_add(r->set, &info, 1, labels, ARRAY_LEN(labels));
    export_add(r->set, &hertz, node_number(c->mhz) * 1e6, labels, 3);
    if (!first)
        return;
    add_words(r, c->flags, r->node->cpu_flags, &flags, "flag");
    add_words(r, c->bugs, r->node->cpu_bugs, &bugs, "bug");
}

static bool add_cpuinfo(struct export_run *r, struct err *e)
{
    struct cpu_info c = { 0 };
    struct str text, line;
    bool first = true;

    if (!node_read(r, node_path(r, r->node->o.procfs, "cpuinfo"), &text, e))
        return false;
    for (bool more = true; more;) {
        more = node_line(&text, &line);
        struct str key = more ? str_cut(&line, ':') : STR_NONE;
        struct str *field = info_field(&c, str_trim(key));

        if ((!more || str_trim(key).n == 0) && c.processor.n) {
            add_info(r, &c, first);
            first = false;
            c = (struct cpu_info){ 0 };
        } else if (field) {
            *field = str_trim(line);
        }
    }
    return true;
}

// `1,3-5` as one series per number.
static void add_isolated(struct export_run *r)
{
    static const struct export_desc d = {
        "node_cpu_isolated",
        "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.",
        EXPO_GAUGE
    };
    struct str list = node_read_word(r,
                                     node_path(r, r->node->o.sysfs, "devices/system/cpu/isolated"));

    while (list.n) {
        struct str to = str_cut(&list, ','), from = str_cut(&to, '-');
        uint64_t a, b;

        if (!str_to_u64(from, &a))
            return;
        if (!to.p)
            b = a;
        else if (!str_to_u64(to, &b))
            return;
        for (; a <= b && a < CPU_MAX; a++) {
            struct expo_label l = { STR("cpu"), str_c(node_text(r, "%u", (unsigned)a)) };
            export_add(r->set, &d, 1, &l, 1);
        }
    }
}

static void add_throttles(struct export_run *r, const char *dir)
{
    static const struct export_desc core = { "node_cpu_core_throttles_total",
                                             "Number of times this CPU core has been throttled.",
                                             EXPO_COUNTER };
    static const struct export_desc package = {
        "node_cpu_package_throttles_total", "Number of times this CPU package has been throttled.",
        EXPO_COUNTER
    };
    double core_count, package_count;
    struct expo_label l[] = {
        { STR("package"), node_read_word(r, node_path(r, dir, "topology/physical_package_id")) },
        { STR("core"), node_read_word(r, node_path(r, dir, "topology/core_id")) },
    };

    if (!l[0].value.p || !l[1].value.p)
        return;
    // Siblings repeat these: the set keeps the first of each.
    if (node_read_number(r, node_path(r, dir, "thermal_throttle/core_throttle_count"), &core_count))
        export_add(r->set, &core, core_count, l, 2);
    if (node_read_number(r, node_path(r, dir, "thermal_throttle/package_throttle_count"),
                         &package_count))
        export_add(r->set, &package, package_count, l, 1);
}

// The number behind "cpu" of a folder's name; empty: another folder.
static struct str cpu_of(struct str name)
{
    uint64_t n;
    struct str number = str_sub(name, 3, SIZE_MAX);

    return str_starts(name, STR("cpu")) && str_to_u64(number, &n) ? number : STR("");
}

bool node_cpu(struct export_run *r, struct err *e)
{
    static const struct export_desc online = { "node_cpu_online",
                                               "CPUs that are online and being scheduled.",
                                               EXPO_GAUGE };
    const char *dir = node_path(r, r->node->o.sysfs, "devices/system/cpu");
    struct file_list list = node_list(r, dir);
    bool has_online;
    double on;

    if (r->node->o.cpu_info && !add_cpuinfo(r, e))
        return false;
    if (!add_stat(r, e))
        return false;
    add_isolated(r);
    has_online = node_read_number(r, node_path(r, dir, "cpu0/online"), &on);
    for (size_t i = 0; i < list.n; i++) {
        struct expo_label l = { STR("cpu"), cpu_of(list.v[i]) };

        if (l.value.n == 0)
            continue;
        const char *cpu = node_path(r, dir, "%.*s", STRF(list.v[i]));
        add_throttles(r, cpu);
        if (has_online)
            export_add(r->set, &online,
                       node_read_number(r, node_path(r, cpu, "online"), &on) && on == 1, &l, 1);
    }
    return true;
}

/* ---- cpufreq ---- */

static void add_governors(struct export_run *r, const char *dir, struct str cpu)
{
    static const struct export_desc d = { "node_cpu_scaling_governor",
                                          "Current enabled CPU frequency governor.", EXPO_GAUGE };
    struct str now = node_read_word(r, node_path(r, dir, "scaling_governor"));
    struct str all = node_read_word(r, node_path(r, dir, "scaling_available_governors"));

    while (now.n && all.n) {
        struct expo_label l[] = { { STR("cpu"), cpu }, { STR("governor"), str_cut(&all, ' ') } };
        export_add(r->set, &d, str_eq(l[1].value, now), l, 2);
    }
}

bool node_cpufreq(struct export_run *r, struct err *e)
{
    static const struct {
        const char *file;
        struct export_desc d;
    } files[] = {
        { "cpuinfo_cur_freq",
          { "node_cpu_frequency_hertz", "Current CPU thread frequency in hertz.", EXPO_GAUGE } },
        { "cpuinfo_avg_freq",
          { "node_cpu_frequency_avg_hertz", "Average CPU thread frequency in hertz.",
            EXPO_GAUGE } },
        { "cpuinfo_min_freq",
          { "node_cpu_frequency_min_hertz", "Minimum CPU thread frequency in hertz.",
            EXPO_GAUGE } },
        { "cpuinfo_max_freq",
          { "node_cpu_frequency_max_hertz", "Maximum CPU thread frequency in hertz.",
            EXPO_GAUGE } },
        { "scaling_cur_freq",
          { "node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz.",
            EXPO_GAUGE } },
        { "scaling_min_freq",
          { "node_cpu_scaling_frequency_min_hertz", "Minimum scaled CPU thread frequency in hertz.",
            EXPO_GAUGE } },
        { "scaling_max_freq",
          { "node_cpu_scaling_frequency_max_hertz", "Maximum scaled CPU thread frequency in hertz.",
            EXPO_GAUGE } },
    };
    const char *dir = node_path(r, r->node->o.sysfs, "devices/system/cpu");
    struct file_list list = node_list(r, dir);
    bool any = false;
    double khz;

    for (size_t i = 0; i < list.n; i++) {
        struct expo_label l = { STR("cpu"), cpu_of(list.v[i]) };
        const char *freq = node_path(r, dir, "%.*s/cpufreq", STRF(list.v[i]));

        if (l.value.n == 0 || !file_exists(freq))
            continue;
        any = true;
        for (size_t k = 0; k < ARRAY_LEN(files); k++)
            if (node_read_number(r, node_path(r, freq, "%s", files[k].file), &khz))
                export_add(r->set, &files[k].d, khz * 1000, &l, 1);
        add_governors(r, freq, l.value);
    }
    return any || err_set(e, ERR_NOT_FOUND, "no frequencies below %s", dir);
}

/* ---- stat, loadavg ---- */

static void add_softirqs(struct export_run *r, const struct str *field, size_t n)
{
    static const struct export_desc d = { "node_softirqs_total", "Number of softirq calls.",
                                          EXPO_COUNTER };
    static const char *const vectors[] = { "hi",           "timer",   "net_tx", "net_rx",  "block",
                                           "block_iopoll", "tasklet", "sched",  "hrtimer", "rcu" };

    for (size_t i = 0; i < ARRAY_LEN(vectors) && i + 2 < n; i++) {
        struct expo_label l = { STR("vector"), str_c(vectors[i]) };
        export_add(r->set, &d, node_number(field[i + 2]), &l, 1);
    }
}

bool node_stat(struct export_run *r, struct err *e)
{
    static const struct {
        const char *key;
        struct export_desc d;
    } keys[] = {
        { "intr", { "node_intr_total", "Total number of interrupts serviced.", EXPO_COUNTER } },
        { "ctxt",
          { "node_context_switches_total", "Total number of context switches.", EXPO_COUNTER } },
        { "processes", { "node_forks_total", "Total number of forks.", EXPO_COUNTER } },
        { "btime", { "node_boot_time_seconds", "Node boot time, in unixtime.", EXPO_GAUGE } },
        { "procs_running",
          { "node_procs_running", "Number of processes in runnable state.", EXPO_GAUGE } },
        { "procs_blocked",
          { "node_procs_blocked", "Number of processes blocked waiting for I/O to complete.",
            EXPO_GAUGE } },
    };
    struct str text, line, field[16];

    if (!node_read(r, node_path(r, r->node->o.procfs, "stat"), &text, e))
        return false;
    while (node_line(&text, &line)) {
        size_t n = node_fields(line, field, ARRAY_LEN(field));

        for (size_t i = 0; i < ARRAY_LEN(keys) && n > 1; i++)
            if (str_eq_c(field[0], keys[i].key))
                export_add(r->set, &keys[i].d, node_number(field[1]), NULL, 0);
        if (n && str_eq(field[0], STR("softirq")) && r->node->o.softirq)
            add_softirqs(r, field, n);
    }
    return true;
}

bool node_loadavg(struct export_run *r, struct err *e)
{
    static const struct export_desc loads[] = {
        { "node_load1", "1m load average.", EXPO_GAUGE },
        { "node_load5", "5m load average.", EXPO_GAUGE },
        { "node_load15", "15m load average.", EXPO_GAUGE },
    };
    struct str text, field[8];

    if (!node_read(r, node_path(r, r->node->o.procfs, "loadavg"), &text, e))
        return false;
    if (node_fields(str_trim(text), field, ARRAY_LEN(field)) < 3)
        return err_set(e, ERR_INVALID, "unexpected content in loadavg");
    for (size_t i = 0; i < ARRAY_LEN(loads); i++)
        export_add(r->set, &loads[i], node_number(field[i]), NULL, 0);
    return true;
}

/* ---- pressure ---- */

static void add_pressure(struct export_run *r, const char *resource, struct str text)
{
    static const struct {
        const char *resource, *line;
        struct export_desc d;
    } lines[] = {
        { "cpu",
          "some",
          { "node_pressure_cpu_waiting_seconds_total",
            "Total time in seconds that processes have waited for CPU time", EXPO_COUNTER } },
        { "io",
          "some",
          { "node_pressure_io_waiting_seconds_total",
            "Total time in seconds that processes have waited due to IO congestion",
            EXPO_COUNTER } },
        { "io",
          "full",
          { "node_pressure_io_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IO congestion",
            EXPO_COUNTER } },
        { "memory",
          "some",
          { "node_pressure_memory_waiting_seconds_total",
            "Total time in seconds that processes have waited for memory", EXPO_COUNTER } },
        { "memory",
          "full",
          { "node_pressure_memory_stalled_seconds_total",
            "Total time in seconds no process could make progress due to memory congestion",
            EXPO_COUNTER } },
        { "irq",
          "full",
          { "node_pressure_irq_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IRQ congestion",
            EXPO_COUNTER } },
    };
    struct str line, field[8];

    while (node_line(&text, &line)) {
        size_t n = node_fields(line, field, ARRAY_LEN(field));

        for (size_t i = 0; i < ARRAY_LEN(lines) && n; i++)
            if (strcmp(resource, lines[i].resource) == 0 && str_eq_c(field[0], lines[i].line) &&
                str_starts(field[n - 1], STR("total=")))
                export_add(r->set, &lines[i].d,
                           node_number(str_sub(field[n - 1], 6, SIZE_MAX)) / 1000 / 1000, NULL, 0);
    }
}

bool node_pressure(struct export_run *r, struct err *e)
{
    static const char *const resources[] = { "cpu", "io", "memory", "irq" };
    bool any = false;

    for (size_t i = 0; i < ARRAY_LEN(resources); i++) {
        struct str text;
        if (!node_read(r, node_path(r, r->node->o.procfs, "pressure/%s", resources[i]), &text,
                       &(struct err){ 0 })) // kernels lack some of them
            continue;
        any = true;
        add_pressure(r, resources[i], text);
    }
    return any || err_set(e, ERR_NOT_FOUND, "pressure information is unavailable");
}
