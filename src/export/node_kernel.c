/*
 * node_kernel.c - collectors of the kernel's own state: timex, softnet, udp_queues, selinux,
 * schedstat, kernel_hung, processes, interrupts, buddyinfo.
 */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sys/timex.h>

#include "export/export_priv.h"

#define GAUGE(r, name, help, v) \
    export_add((r)->set, &(struct export_desc){ name, help, EXPO_GAUGE }, (v), NULL, 0)
#define COUNTER(r, name, help, v) \
    export_add((r)->set, &(struct export_desc){ name, help, EXPO_COUNTER }, (v), NULL, 0)

bool node_timex(struct export_run *r, struct err *e)
{
    struct timex t = { 0 };
    int state = adjtimex(&t);

    if (state < 0 && errno == EPERM)
        return err_set(e, ERR_NOT_FOUND, "adjtimex is not permitted");
    if (state < 0)
        return err_os(e, "adjtimex");
    double unit = t.status & STA_NANO ? 1e9 : 1e6, ppm16 = 1e6 * 65536;

    GAUGE(r, "node_timex_sync_status",
          "Is clock synchronized to a reliable server (1 = yes, 0 = no).", state != TIME_ERROR);
    GAUGE(r, "node_timex_offset_seconds",
          "Time offset in between local system and reference clock.", (double)t.offset / unit);
    GAUGE(r, "node_timex_frequency_adjustment_ratio", "Local clock frequency adjustment.",
          1 + (double)t.freq / ppm16);
    GAUGE(r, "node_timex_maxerror_seconds", "Maximum error in seconds.", (double)t.maxerror / 1e6);
    GAUGE(r, "node_timex_estimated_error_seconds", "Estimated error in seconds.",
          (double)t.esterror / 1e6);
    GAUGE(r, "node_timex_status", "Value of the status array bits.", t.status);
    GAUGE(r, "node_timex_loop_time_constant", "Phase-locked loop time constant.",
          (double)t.constant);
    GAUGE(r, "node_timex_tick_seconds", "Seconds between clock ticks.", (double)t.tick / 1e6);
    GAUGE(r, "node_timex_pps_frequency_hertz", "Pulse per second frequency.",
          (double)t.ppsfreq / ppm16);
    GAUGE(r, "node_timex_pps_jitter_seconds", "Pulse per second jitter.", (double)t.jitter / unit);
    GAUGE(r, "node_timex_pps_shift_seconds", "Pulse per second interval duration.", t.shift);
    GAUGE(r, "node_timex_pps_stability_hertz",
          "Pulse per second stability, average of recent frequency changes.",
          (double)t.stabil / ppm16);
    COUNTER(r, "node_timex_pps_jitter_total",
            "Pulse per second count of jitter limit exceeded events.", (double)t.jitcnt);
    COUNTER(r, "node_timex_pps_calibration_total",
            "Pulse per second count of calibration intervals.", (double)t.calcnt);
    COUNTER(r, "node_timex_pps_error_total", "Pulse per second count of calibration errors.",
            (double)t.errcnt);
    COUNTER(r, "node_timex_pps_stability_exceeded_total",
            "Pulse per second count of stability limit exceeded events.", (double)t.stbcnt);
    GAUGE(r, "node_timex_tai_offset_seconds", "International Atomic Time (TAI) offset.", t.tai);
    return true;
}

/* ---- softnet ---- */

static double hex_of(struct str s)
{
    double v = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        int digit = c >= '0' && c <= '9'                 ? c - '0'
                    : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                         : -1;
        if (digit < 0)
            return 0;
        v = v * 16 + digit;
    }
    return v;
}

bool node_softnet(struct export_run *r, struct err *e)
{
    static const struct {
        struct export_desc d;
        size_t field;
    } rows[] = {
        { { "node_softnet_processed_total", "Number of processed packets", EXPO_COUNTER }, 0 },
        { { "node_softnet_dropped_total", "Number of dropped packets", EXPO_COUNTER }, 1 },
        { { "node_softnet_times_squeezed_total",
            "Number of times processing packets ran out of quota", EXPO_COUNTER },
          2 },
        { { "node_softnet_cpu_collision_total",
            "Number of collision occur while obtaining device lock while transmitting",
            EXPO_COUNTER },
          8 },
        { { "node_softnet_received_rps_total", "Number of times cpu woken up received_rps",
            EXPO_COUNTER },
          9 },
        { { "node_softnet_flow_limit_count_total", "Number of times flow limit has been reached",
            EXPO_COUNTER },
          10 },
        { { "node_softnet_backlog_len", "Softnet backlog status", EXPO_GAUGE }, 11 },
    };
    struct str text, line, field[16];

    if (!node_read(r, node_path(r, r->node->o.procfs, "net/softnet_stat"), &text, e))
        return false;
    for (unsigned at = 0; node_line(&text, &line); at++) {
        size_t n = node_fields(line, field, ARRAY_LEN(field));
        if (n < 9)
            continue;
        unsigned cpu = n > 12 ? (unsigned)hex_of(field[12]) : at; // newer kernels say it
        struct expo_label l = { STR("cpu"), arena_printf(r->a, "%u", cpu) };
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
            export_add(r->set, &rows[i].d, rows[i].field < n ? hex_of(field[rows[i].field]) : 0, &l,
                       1);
    }
    return true;
}

/* ---- udp_queues ---- */

static bool udp_queue(struct export_run *r, const char *file, const char *ip, struct err *e)
{
    static const struct export_desc d = {
        "node_udp_queues", "Number of allocated memory in the kernel for UDP datagrams in bytes.",
        EXPO_GAUGE
    };
    struct str text, line, field[16];
    double tx = 0, rx = 0;

    if (!node_read(r, node_path(r, r->node->o.procfs, "net/%s", file), &text, e))
        return false;
    for (bool head = true; node_line(&text, &line); head = false) {
        if (head || node_fields(line, field, ARRAY_LEN(field)) < 5)
            continue;
        struct str queue = field[4];
        tx += hex_of(str_cut(&queue, ':'));
        rx += hex_of(queue);
    }
    struct expo_label l[] = { { STR("queue"), STR("tx") }, { STR("ip"), str_c(ip) } };
    export_add(r->set, &d, tx, l, 2);
    l[0].value = STR("rx");
    export_add(r->set, &d, rx, l, 2);
    return true;
}

bool node_udp_queues(struct export_run *r, struct err *e)
{
    bool v4 = udp_queue(r, "udp", "v4", e);
    bool v6 = udp_queue(r, "udp6", "v6", e);

    return v4 || v6;
}

/* ---- selinux ---- */

bool node_selinux(struct export_run *r, struct err *e UNUSED)
{
    struct str current = node_read_word(r, node_path(r, r->node->o.sysfs, "fs/selinux/enforce"));
    struct str config, line;
    double mode = -1; // disabled

    GAUGE(r, "node_selinux_enabled", "SELinux is enabled, 1 is true, 0 is false",
          current.p != NULL);
    if (!current.p)
        return true;
    if (node_read(r, node_path(r, r->node->o.rootfs, "etc/selinux/config"), &config,
                  &(struct err){ 0 })) { // without it nothing is configured
        while (node_line(&config, &line)) {
            struct str value = str_trim(line), key = str_cut(&value, '=');
            if (!str_eq(key, STR("SELINUX")))
                continue;
            value = str_trim(value);
            mode = str_eq(value, STR("enforcing")) ? 1 : str_eq(value, STR("permissive")) ? 0 : -1;
        }
    }
    GAUGE(r, "node_selinux_config_mode", "Configured SELinux enforcement mode", mode);
    GAUGE(r, "node_selinux_current_mode", "Current SELinux enforcement mode", node_number(current));
    return true;
}

/* ---- schedstat ---- */

bool node_schedstat(struct export_run *r, struct err *e)
{
    static const struct export_desc running = { "node_schedstat_running_seconds_total",
                                                "Number of seconds CPU spent running a process.",
                                                EXPO_COUNTER };
    static const struct export_desc waiting = {
        "node_schedstat_waiting_seconds_total",
        "Number of seconds spent by processing waiting for this CPU.", EXPO_COUNTER
    };
    static const struct export_desc slices = { "node_schedstat_timeslices_total",
                                               "Number of timeslices executed by CPU.",
                                               EXPO_COUNTER };
    struct str text, line, field[16];

    if (!node_read(r, node_path(r, r->node->o.procfs, "schedstat"), &text, e))
        return false;
    while (node_line(&text, &line)) {
        if (!str_starts(line, STR("cpu")) || node_fields(line, field, ARRAY_LEN(field)) < 10)
            continue;
        struct expo_label l = { STR("cpu"), str_sub(field[0], 3, field[0].n) };
        export_add(r->set, &running, node_number(field[7]) / 1e9, &l, 1);
        export_add(r->set, &waiting, node_number(field[8]) / 1e9, &l, 1);
        export_add(r->set, &slices, node_number(field[9]), &l, 1);
    }
    return true;
}

bool node_kernel_hung(struct export_run *r, struct err *e)
{
    double v;

    if (!node_read_number(r, node_path(r, r->node->o.procfs, "sys/kernel/hung_task_detect_count"),
                          &v))
        return err_set(e, ERR_NOT_FOUND, "hung_task_detect_count does not exist");
    COUNTER(r, "node_kernel_hung_tasks_total",
            "Total number of tasks that have been detected as hung since the system booted.", v);
    return true;
}

/* ---- processes ---- */

struct process_counts {
    double state[128], thread_state[128], pids, threads;
};

static bool is_number(struct str s)
{
    uint64_t v;

    return str_to_u64(s, &v);
}

// State and threads of a stat file; the name in it may hold anything.
static bool stat_of(struct export_run *r, const char *path, char *state, double *threads)
{
    struct str text, field[32];

    if (!node_read(r, path, &text, &(struct err){ 0 })) // it ended meanwhile
        return false;
    size_t paren = str_rfind_char(text, ')');
    if (paren == STR_NPOS)
        return false;
    size_t n = node_fields(str_sub(text, paren + 1, text.n), field, ARRAY_LEN(field));
    if (n < 18 || (unsigned char)field[0].p[0] > 127)
        return false;
    *state = field[0].p[0];
    *threads = node_number(field[17]);
    return true;
}

static void count_threads(struct export_run *r, struct str pid, char own, struct process_counts *c)
{
    const char *dir = node_path(r, r->node->o.procfs, "%.*s/task", STRF(pid));
    struct file_list list = node_list(r, dir);

    for (size_t i = 0; i < list.n; i++) {
        char state = own;
        double ignored;
        if (!is_number(list.v[i]) ||
            (!str_eq(list.v[i], pid) &&
             !stat_of(r, node_path(r, dir, "%.*s/stat", STRF(list.v[i])), &state, &ignored)))
            continue;
        c->thread_state[(unsigned char)state]++;
    }
}

static void add_states(struct export_run *r, const char *name, const char *help, const char *label,
                       const double *count)
{
    for (int i = 0; i < 128; i++) {
        struct expo_label l = { str_c(label), arena_printf(r->a, "%c", i ? i : '?') };
        if (count[i] > 0)
            export_add(r->set, &(struct export_desc){ name, help, EXPO_GAUGE }, count[i], &l, 1);
    }
}

bool node_processes(struct export_run *r, struct err *e)
{
    struct process_counts *c = arena_new(r->a, struct process_counts);
    struct file_list list;
    double v;

    if (!file_list(r->a, r->node->o.procfs, &list, e))
        return false;
    for (size_t i = 0; i < list.n; i++) {
        double threads;
        char state;
        if (!is_number(list.v[i]) ||
            !stat_of(r, node_path(r, r->node->o.procfs, "%.*s/stat", STRF(list.v[i])), &state,
                     &threads))
            continue;
        c->pids++;
        c->threads += threads;
        c->state[(unsigned char)state]++;
        count_threads(r, list.v[i], state, c);
    }
    GAUGE(r, "node_processes_threads", "Allocated threads in system", c->threads);
    if (!node_read_number(r, node_path(r, r->node->o.procfs, "sys/kernel/threads-max"), &v))
        return err_set(e, ERR_IO, "threads-max cannot be read");
    GAUGE(r, "node_processes_max_threads", "Limit of threads in the system", v);
    add_states(r, "node_processes_state", "Number of processes in each state.", "state", c->state);
    add_states(r, "node_processes_threads_state", "Number of threads in each state.",
               "thread_state", c->thread_state);
    GAUGE(r, "node_processes_pids", "Number of PIDs", c->pids);
    if (!node_read_number(r, node_path(r, r->node->o.procfs, "sys/kernel/pid_max"), &v))
        return err_set(e, ERR_IO, "pid_max cannot be read");
    GAUGE(r, "node_processes_max_processes", "Number of max PIDs limit", v);
    return true;
}

/* ---- interrupts, buddyinfo ---- */

static struct str rest_of(const struct str *field, size_t from, size_t n, struct arena *a)
{
    OWNED(buf_fini) struct buf b = { 0 };

    for (size_t i = from; i < n; i++)
        buf_printf(&b, "%s%.*s", i > from ? " " : "", STRF(field[i]));
    return arena_str(a, buf_view(&b));
}

bool node_interrupts(struct export_run *r, struct err *e)
{
    static const struct export_desc d = { "node_interrupts_total", "Interrupt details.",
                                          EXPO_COUNTER };
    struct str text, line, *field = arena_array(r->a, 4096, struct str);

    if (!node_read(r, node_path(r, r->node->o.procfs, "interrupts"), &text, e) ||
        !node_line(&text, &line))
        return e->kind ? false : err_set(e, ERR_INVALID, "interrupts is empty");
    size_t cpus = node_fields(line, field, 4096);
    while (node_line(&text, &line)) {
        struct str values = line, name = str_trim(str_cut(&values, ':'));
        size_t n = node_fields(values, field, 4096);
        if (n < cpus + 1)
            continue; // ERR and MIS
        bool numbered = is_number(name);
        struct expo_label l[] = {
            { STR("cpu"), STR("") },
            { STR("type"), name },
            { STR("info"), numbered ? field[cpus] : rest_of(field, cpus, n, r->a) },
            { STR("devices"), numbered ? rest_of(field, cpus + 1, n, r->a) : STR("") },
        };
        for (size_t i = 0; i < cpus; i++) {
            l[0].value = arena_printf(r->a, "%zu", i);
            export_add(r->set, &d, node_number(field[i]), l, 4);
        }
    }
    return true;
}

bool node_buddyinfo(struct export_run *r, struct err *e)
{
    static const struct export_desc d = { "node_buddyinfo_blocks",
                                          "Count of free blocks according to size.", EXPO_GAUGE };
    struct str text, line, field[32];

    if (!node_read(r, node_path(r, r->node->o.procfs, "buddyinfo"), &text, e))
        return false;
    while (node_line(&text, &line)) { // Node 0, zone DMA 1 0 …
        size_t n = node_fields(line, field, ARRAY_LEN(field));
        for (size_t i = 4; i < n; i++) {
            struct expo_label l[] = { { STR("node"), str_sub(field[1], 0, field[1].n - 1) },
                                      { STR("zone"), field[3] },
                                      { STR("size"), arena_printf(r->a, "%zu", i - 4) } };
            export_add(r->set, &d, node_number(field[i]), l, 3);
        }
    }
    return true;
}
