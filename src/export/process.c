/*
 * process.c - the process exporter: see process.h.
 *
 * Counters of a group are sums of what its processes did since they were first seen, so that they
 * do not fall when a process ends.
 */
// SPDX-License-Identifier: Apache-2.0
#include "export/process.h"

#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "codec/yaml.h"
#include "export/export_priv.h"

enum { PROCESSES_MAX = 1 << 20, GROUPS_MAX = 4096 };
enum counter { USER, SYSTEM, READ, WRITE, MINOR, MAJOR, VOLUNTARY, NONVOLUNTARY, COUNTERS };

struct rule {
    struct str name; // template: {{.Comm}} …
    struct str *comm, *exe;
    size_t comms, exes;
    struct regex **cmdline; // all must match
    size_t cmdlines;
};

struct group {
    struct str name;
    double sum[COUNTERS];
    // of this scrape
    double procs, threads, rss, virt, swap, pss, pss_swap, fds, fd_ratio, oldest, state[5];
};

struct tracked { // a process seen at the last scrape
    uint64_t pid, start;
    uint32_t group;
    double last[COUNTERS];
};

struct process {
    struct exporter base;
    struct arena a;
    const char *procfs;
    VEC(struct rule) rules;
    bool children;
    struct mutex mu;
    VEC(struct group) groups;    // under mu
    VEC(struct tracked) tracked; // under mu; by pid
    double errors;               // under mu
};

struct seen { // while scraping
    struct process *x;
    struct export_node node; // for paths
    struct export_run run;
    VEC(struct tracked) now;
    VEC(struct tracked) all; // pid and parent (in start) of every process
};

/* ---- reading /proc/<pid> ---- */

struct facts {
    struct str comm, exe, cmdline;
    uint64_t pid, parent, start;
    char state;
    double value[COUNTERS], threads, rss, virt;
};

static double line_value(struct str text, const char *key)
{
    struct str line;

    while (node_line(&text, &line)) {
        struct str value = line, name = str_cut(&value, ':'), field[2];
        if (str_eq_c(name, key) && node_fields(value, field, 2))
            return node_number(field[0]);
    }
    return 0;
}

static bool read_stat(struct seen *s, struct str pid, struct facts *f)
{
    struct export_run *r = &s->run;
    struct str text, field[40];
    double tick = (double)sysconf(_SC_CLK_TCK), page = (double)sysconf(_SC_PAGESIZE);

    if (!node_read(r, node_path(r, s->x->procfs, "%.*s/stat", STRF(pid)), &text,
                   &(struct err){ 0 })) // it ended meanwhile
        return false;
    size_t open = str_find_char(text, '('), close = str_rfind_char(text, ')');
    if (open == STR_NPOS || close == STR_NPOS || close < open)
        return false;
    size_t n = node_fields(str_sub(text, close + 1, text.n), field, ARRAY_LEN(field));
    if (n < 22 || !str_to_u64(pid, &f->pid))
        return false;
    f->comm = str_sub(text, open + 1, close);
    f->state = field[0].p[0];
    f->parent = (uint64_t)node_number(field[1]);
    f->value[MINOR] = node_number(field[7]);
    f->value[MAJOR] = node_number(field[9]);
    f->value[USER] = node_number(field[11]) / tick;
    f->value[SYSTEM] = node_number(field[12]) / tick;
    f->threads = node_number(field[17]);
    f->start = (uint64_t)node_number(field[19]);
    f->virt = node_number(field[20]);
    f->rss = node_number(field[21]) * page;
    return true;
}

static void read_more(struct seen *s, struct str pid, struct facts *f, struct group *g)
{
    struct export_run *r = &s->run;
    struct str text;
    struct err e = { 0 }; // what may not be read counts as nothing

    if (node_read(r, node_path(r, s->x->procfs, "%.*s/io", STRF(pid)), &text, &e)) {
        f->value[READ] = line_value(text, "read_bytes");
        f->value[WRITE] = line_value(text, "write_bytes");
    }
    if (node_read(r, node_path(r, s->x->procfs, "%.*s/status", STRF(pid)), &text, &e)) {
        f->value[VOLUNTARY] = line_value(text, "voluntary_ctxt_switches");
        f->value[NONVOLUNTARY] = line_value(text, "nonvoluntary_ctxt_switches");
        g->swap += line_value(text, "VmSwap") * 1024;
    }
    if (node_read(r, node_path(r, s->x->procfs, "%.*s/smaps_rollup", STRF(pid)), &text, &e)) {
        g->pss += line_value(text, "Pss") * 1024;
        g->pss_swap += line_value(text, "SwapPss") * 1024;
    }
    double fds = (double)node_list(r, node_path(r, s->x->procfs, "%.*s/fd", STRF(pid))).n, most = 0;
    if (node_read(r, node_path(r, s->x->procfs, "%.*s/limits", STRF(pid)), &text, &e)) {
        size_t at = str_find(text, STR("Max open files"));
        struct str field[2];
        if (at != STR_NPOS && node_fields(str_sub(text, at + 14, text.n), field, 2))
            most = node_number(field[0]);
    }
    g->fds += fds;
    if (most > 0)
        g->fd_ratio = MAX(g->fd_ratio, fds / most);
}

/* ---- which group ---- */

static struct str base_of(struct str path)
{
    size_t slash = str_rfind_char(path, '/');

    return slash == STR_NPOS ? path : str_sub(path, slash + 1, path.n);
}

static bool listed(const struct str *v, size_t n, struct str a, struct str b)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i], a) || str_eq(v[i], b))
            return true;
    return false;
}

// {{.Comm}}, {{.ExeBase}}, {{.ExeFull}}, {{.PID}} and {{.Matches.x}} of a name.
static struct str expand(struct seen *s, const struct rule *rule, const struct facts *f)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct str t = rule->name;

    for (;;) {
        size_t open = str_find(t, STR("{{")), close = str_find(t, STR("}}"));
        if (open == STR_NPOS || close == STR_NPOS || close < open)
            break;
        buf_str(&b, str_sub(t, 0, open));
        struct str word = str_trim(str_sub(t, open + 2, close));
        t = str_sub(t, close + 2, t.n);
        if (str_eq(word, STR(".Comm")))
            buf_str(&b, f->comm);
        else if (str_eq(word, STR(".ExeBase")))
            buf_str(&b, base_of(f->exe));
        else if (str_eq(word, STR(".ExeFull")))
            buf_str(&b, f->exe);
        else if (str_eq(word, STR(".PID")))
            buf_u64(&b, f->pid);
        struct str match = str_starts(word, STR(".Matches.")) ? str_sub(word, 9, word.n) : STR("");
        for (size_t i = 0; match.n && i < rule->cmdlines; i++) {
            struct str group[16];
            unsigned n = MIN(regex_groups(rule->cmdline[i]) + 1, 16u);
            if (!regex_find(rule->cmdline[i], f->cmdline, group, n))
                continue;
            for (unsigned k = 1; k < n; k++) {
                const char *name = regex_group_name(rule->cmdline[i], k);
                if (name && str_eq_c(match, name))
                    buf_str(&b, group[k]);
            }
        }
    }
    buf_str(&b, t);
    return arena_str(s->run.a, buf_view(&b));
}

static bool rule_matches(const struct rule *rule, const struct facts *f)
{
    if (rule->comms && !listed(rule->comm, rule->comms, f->comm, f->comm))
        return false;
    if (rule->exes && !listed(rule->exe, rule->exes, f->exe, base_of(f->exe)))
        return false;
    for (size_t i = 0; i < rule->cmdlines; i++)
        if (!regex_match(rule->cmdline[i], f->cmdline))
            return false;
    return true;
}

static uint32_t group_of(struct process *x, struct str name)
{
    for (uint32_t i = 0; i < x->groups.n; i++)
        if (str_eq(x->groups.v[i].name, name))
            return i;
    if (x->groups.n == GROUPS_MAX)
        return UINT32_MAX;
    vec_push(&x->groups)->name = arena_str(&x->a, name);
    return (uint32_t)x->groups.n - 1;
}

static void read_names(struct seen *s, struct str pid, struct facts *f)
{
    struct export_run *r = &s->run;
    char link[1024];
    struct err e;
    ssize_t n = readlink(node_path(r, s->x->procfs, "%.*s/exe", STRF(pid)), link, sizeof link);

    f->exe = n > 0 ? arena_str(r->a, str_of(link, (size_t)n)) : STR("");
    if (!node_read(r, node_path(r, s->x->procfs, "%.*s/cmdline", STRF(pid)), &f->cmdline, &e))
        f->cmdline = STR("");
    char *text = arena_cstr(r->a, f->cmdline);
    for (size_t i = 0; i + 1 < f->cmdline.n; i++)
        if (!text[i])
            text[i] = ' ';
    f->cmdline = str_of(text, f->cmdline.n ? f->cmdline.n - 1 : 0);
    if (!f->exe.n) { // of others it cannot be read: the first word serves
        struct str rest = f->cmdline;
        f->exe = str_cut(&rest, ' ');
    }
}

static uint32_t find_group(struct seen *s, struct str pid, struct facts *f)
{
    for (size_t i = 0; i < s->x->tracked.n; i++) // stays where it was first, also as an orphan
        if (s->x->tracked.v[i].pid == f->pid && s->x->tracked.v[i].start == f->start)
            return s->x->tracked.v[i].group;
    read_names(s, pid, f);
    for (size_t i = 0; i < s->x->rules.n; i++)
        if (rule_matches(&s->x->rules.v[i], f))
            return group_of(s->x, expand(s, &s->x->rules.v[i], f));
    for (size_t i = s->now.n;
         s->x->children && i-- > 0;) // the list is by number: parents come first
        if (s->now.v[i].pid == f->parent)
            return s->now.v[i].group;
    return UINT32_MAX;
}

/* ---- one scrape ---- */

static void count(struct seen *s, struct str pid, struct facts *f, uint32_t at)
{
    static const char states[] = "RSDZ"; // Running, Sleeping, Waiting, Zombie, Other
    struct process *x = s->x;
    struct group *g = &x->groups.v[at];
    const char *state = strchr(states, f->state);
    struct tracked *t = vec_push_in(s->run.a, &s->now);

    read_more(s, pid, f, g);
    *t = (struct tracked){ f->pid, f->start, at, { 0 } };
    memcpy(t->last, f->value, sizeof t->last);
    for (size_t i = 0; i < x->tracked.n; i++) {
        const struct tracked *old = &x->tracked.v[i];
        if (old->pid != f->pid || old->start != f->start)
            continue;
        for (size_t k = 0; k < COUNTERS; k++)
            g->sum[k] += MAX(f->value[k] - old->last[k], 0.0);
        break;
    }
    g->procs++;
    g->threads += f->threads;
    g->rss += f->rss;
    g->virt += f->virt;
    g->state[state && *state ? state - states : 4]++;
    double start = (double)f->start / (double)sysconf(_SC_CLK_TCK);
    if (g->procs == 1 || start < g->oldest)
        g->oldest = start;
}

static int by_number(const void *a, const void *b, void *ctx UNUSED)
{
    uint64_t x = 0, y = 0;

    (void)!str_to_u64(*(const struct str *)a, &x);
    (void)!str_to_u64(*(const struct str *)b, &y);
    return (x > y) - (x < y);
}

static void walk(struct seen *s)
{
    struct process *x = s->x;
    struct file_list list = node_list(&s->run, x->procfs);

    for (size_t i = 0; i < x->groups.n; i++) {
        struct group *g = &x->groups.v[i];
        g->procs = g->threads = g->rss = g->virt = g->swap = g->pss = g->pss_swap = g->fds = 0;
        g->fd_ratio = g->oldest = 0;
        memset(g->state, 0, sizeof g->state);
    }
    sort_stable(list.v, list.n, sizeof *list.v, by_number, NULL);
    for (size_t i = 0; i < list.n; i++) {
        struct facts f = { 0 };
        uint64_t number;
        if (!str_to_u64(list.v[i], &number) || !read_stat(s, list.v[i], &f))
            continue;
        uint32_t at = find_group(s, list.v[i], &f);
        if (at != UINT32_MAX)
            count(s, list.v[i], &f, at);
    }
    vec_reset(&x->tracked);
    for (size_t i = 0; i < s->now.n; i++)
        *vec_push(&x->tracked) = s->now.v[i];
}

static double boot_time(struct seen *s)
{
    struct str text, line, field[2];

    if (!node_read(&s->run, node_path(&s->run, s->x->procfs, "stat"), &text, &(struct err){ 0 }))
        return 0;
    while (node_line(&text, &line))
        if (str_starts(line, STR("btime ")) && node_fields(line, field, 2) == 2)
            return node_number(field[1]);
    return 0;
}

#define P "namedprocess_namegroup_"

static void add(struct seen *s, const struct group *g, const char *name, const char *help,
                enum expo_type type, double v)
{
    struct expo_label l = { STR("groupname"), g->name };

    export_add(s->run.set, &(struct export_desc){ name, help, type }, v, &l, 1);
}

static void add_by(struct seen *s, const struct group *g, const struct export_desc *d,
                   const char *label, const char *value, double v)
{
    struct expo_label l[] = { { STR("groupname"), g->name }, { str_c(label), str_c(value) } };

    export_add(s->run.set, d, v, l, 2);
}

static void add_group(struct seen *s, const struct group *g, double boot)
{
    static const struct export_desc cpu = { P "cpu_seconds_total", "Cpu user usage in seconds",
                                            EXPO_COUNTER };
    static const struct export_desc memory = { P "memory_bytes", "number of bytes of memory in use",
                                               EXPO_GAUGE };
    static const struct export_desc switches = { P "context_switches_total", "Context switches",
                                                 EXPO_COUNTER };
    static const struct export_desc state = {
        P "states", "Number of processes in states Running, Sleeping, Waiting, Zombie, or Other",
        EXPO_GAUGE
    };
    static const char *const states[] = { "Running", "Sleeping", "Waiting", "Zombie", "Other" };

    add(s, g, P "num_procs", "number of processes in this group", EXPO_GAUGE, g->procs);
    add(s, g, P "num_threads", "Number of threads", EXPO_GAUGE, g->threads);
    add(s, g, P "open_filedesc", "number of open file descriptors for this group", EXPO_GAUGE,
        g->fds);
    add(s, g, P "worst_fd_ratio",
        "the worst (closest to 1) ratio between open fds and max fds among all procs in this group",
        EXPO_GAUGE, g->fd_ratio);
    add(s, g, P "oldest_start_time_seconds",
        "start time in seconds since 1970/01/01 of oldest process in group", EXPO_GAUGE,
        g->procs > 0 ? boot + g->oldest : 0);
    add(s, g, P "read_bytes_total", "number of bytes read by this group", EXPO_COUNTER,
        g->sum[READ]);
    add(s, g, P "write_bytes_total", "number of bytes written by this group", EXPO_COUNTER,
        g->sum[WRITE]);
    add(s, g, P "major_page_faults_total", "Major page faults", EXPO_COUNTER, g->sum[MAJOR]);
    add(s, g, P "minor_page_faults_total", "Minor page faults", EXPO_COUNTER, g->sum[MINOR]);
    add_by(s, g, &cpu, "mode", "user", g->sum[USER]);
    add_by(s, g, &cpu, "mode", "system", g->sum[SYSTEM]);
    add_by(s, g, &switches, "ctxswitchtype", "voluntary", g->sum[VOLUNTARY]);
    add_by(s, g, &switches, "ctxswitchtype", "nonvoluntary", g->sum[NONVOLUNTARY]);
    add_by(s, g, &memory, "memtype", "resident", g->rss);
    add_by(s, g, &memory, "memtype", "virtual", g->virt);
    add_by(s, g, &memory, "memtype", "swapped", g->swap);
    add_by(s, g, &memory, "memtype", "proportionalResident", g->pss);
    add_by(s, g, &memory, "memtype", "proportionalSwapped", g->pss_swap);
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        add_by(s, g, &state, "state", states[i], g->state[i]);
}

static bool metrics(struct exporter *b, const struct export_request *q, struct buf *out,
                    struct err *e)
{
    struct process *x = (struct process *)b;
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(export_set_fini) struct export_set set = { .a = &a };
    struct seen s = { .x = x, .run = { .a = &a, .set = &set } };
    struct expo_writer w = expo_writer(EXPO_TEXT, out);

    (void)q, (void)e;
    mutex_lock(&x->mu);
    walk(&s);
    double boot = boot_time(&s);
    for (size_t i = 0; i < x->groups.n; i++)
        add_group(&s, &x->groups.v[i], boot);
    export_set_write(&set, &w); // names of groups live in the exporter
    mutex_unlock(&x->mu);
    expo_write_end(&w);
    return true;
}

/* ---- rules ---- */

static struct str *list_of(struct process *x, const struct yaml_node *n, size_t *count)
{
    *count = n && n->kind == YAML_SEQUENCE ? n->n : 0;
    struct str *v = arena_array(&x->a, *count, struct str);
    for (size_t i = 0; i < *count; i++)
        v[i] = n->items[i]->text;
    return v;
}

static bool read_rule(struct process *x, const struct yaml_node *n, struct err *e)
{
    struct rule *r = vec_push_in(&x->a, &x->rules);
    const struct yaml_node *name = yaml_get(n, STR("name"));
    size_t cmdlines;
    struct str *cmdline = list_of(x, yaml_get(n, STR("cmdline")), &cmdlines);

    r->name = name && name->text.n ? name->text : STR("{{.ExeBase}}");
    r->comm = list_of(x, yaml_get(n, STR("comm")), &r->comms);
    r->exe = list_of(x, yaml_get(n, STR("exe")), &r->exes);
    r->cmdline = arena_array(&x->a, cmdlines, struct regex *);
    for (size_t i = 0; i < cmdlines; i++, r->cmdlines++)
        if (!regex_new(&r->cmdline[i], cmdline[i], 0, e))
            return err_wrap(e, "cmdline");
    if (!r->comms && !r->exes && !r->cmdlines)
        return err_at(e, n->pos, ERR_INVALID, "no matchers provided");
    return true;
}

static bool read_config(struct process *x, const char *path, struct err *e)
{
    const struct yaml_node *root;
    struct str text;

    if (!file_read(&x->a, path, 4 << 20, &text, e) || !yaml_parse(&x->a, text, &root, e))
        return err_wrap(e, "%s", path);
    const struct yaml_node *list = yaml_get(root, STR("process_names"));
    if (!list || list->kind != YAML_SEQUENCE)
        return err_set(e, ERR_INVALID, "%s: process_names: expected a list", path);
    for (size_t i = 0; i < list->n; i++)
        if (!read_rule(x, list->items[i], e))
            return err_wrap(e, "%s", path);
    return true;
}

static void close_process(struct exporter *b)
{
    struct process *x = (struct process *)b;

    for (size_t i = 0; i < x->rules.n; i++)
        for (size_t k = 0; k < x->rules.v[i].cmdlines; k++)
            regex_free(x->rules.v[i].cmdline[k]);
    vec_fini(&x->groups);
    vec_fini(&x->tracked);
    mutex_fini(&x->mu);
    arena_fini(&x->a);
    xfree(x);
}

static const struct exporter_class class = {
    .name = "process-exporter",
    .title = "Process Exporter",
    .metrics = metrics,
    .close = close_process,
};

bool export_process_open(struct exporter **out, const struct export_process_options *o,
                         struct err *e)
{
    OWNED(exporter_close) struct exporter *b = xcalloc(1, sizeof(struct process));
    struct process *x = (struct process *)b;

    b->class = &class;
    mutex_init(&x->mu, "process", RANK_APP);
    x->procfs = arena_cstr(&x->a, str_c(o->procfs ? o->procfs : "/proc"));
    x->children = !o->no_children;
    if (o->config_path && !read_config(x, o->config_path, e))
        return false;
    for (struct str rest = arena_str(&x->a, str_c(o->config_path ? NULL : o->names)); rest.n;) {
        struct rule *r = vec_push_in(&x->a, &x->rules);
        r->comm = arena_new(&x->a, struct str);
        *r->comm = r->name = str_trim(str_cut(&rest, ','));
        r->comms = 1;
    }
    *out = TAKE(b);
    return true;
}
