// redis_info.c - what INFO and CONFIG say, as metrics.
// SPDX-License-Identifier: Apache-2.0
#include "export/redis_priv.h"

void redis_add(struct redis_scrape *r, const char *name, const char *help, enum expo_type type,
               double v, const struct redis_label *l, size_t n)
{
    struct expo_label label[16];

    assert(n <= ARRAY_LEN(label));
    for (size_t i = 0; i < n; i++)
        label[i] = (struct expo_label){ str_c(l[i].name), l[i].value };
    struct export_desc d = {
        .name = arena_printf(r->a, "%s_%s", r->o->space, name).p,
        .help = help ? help : arena_printf(r->a, "%s metric", name).p,
        .type = type,
    };
    export_add(r->set, &d, v, label, n);
}

// Value of key in "a=1,b=2"; p NULL: absent.
static struct str part_of(struct str list, const char *key)
{
    while (list.n) {
        struct str value = str_cut(&list, ','), name = str_cut(&value, '=');
        if (str_eq_c(name, key))
            return value;
    }
    return STR_NONE;
}

static bool number_of(struct str list, const char *key, double *out)
{
    struct str s = part_of(list, key);

    return s.p && num_parse_double(s, out);
}

/* ---- sections ---- */

struct info { // what is met on the way and used later
    struct redis_scrape *r;
    struct str section;
    struct str role, version, build, mode, os, policy, port, run_id, process, replid, read_only,
        valkey, valkey_stage, master_host, master_port;
    struct {
        struct str cmd;
        double calls, usec;
    } * stats;
    size_t stat_count;
    uint64_t databases_seen; // bits
};

static void command_stats(struct info *f, struct str field, struct str value)
{
    struct redis_scrape *r = f->r;
    double calls, usec, rejected, failed;

    if (!str_starts(field, STR("cmdstat_")) || !number_of(value, "calls", &calls) ||
        !number_of(value, "usec", &usec))
        return;
    struct redis_label l = { "cmd", str_sub(field, 8, field.n) };
    redis_add(r, "commands_total", "Total number of calls per command", EXPO_COUNTER, calls, &l, 1);
    redis_add(r, "commands_duration_seconds_total",
              "Total amount of time in seconds spent per command", EXPO_COUNTER, usec / 1e6, &l, 1);
    f->stats[f->stat_count].cmd = l.value;
    f->stats[f->stat_count].calls = calls;
    f->stats[f->stat_count++].usec = usec;
    if (!number_of(value, "rejected_calls", &rejected) ||
        !number_of(value, "failed_calls", &failed))
        return;
    redis_add(r, "commands_rejected_calls_total",
              "Total number of errors within command execution per command", EXPO_COUNTER, rejected,
              &l, 1);
    redis_add(r, "commands_failed_calls_total",
              "Total number of errors prior command execution per command", EXPO_COUNTER, failed,
              &l, 1);
}

static void latency_stats(struct info *f, struct str field, struct str value)
{
    struct redis_scrape *r = f->r;
    struct str prefix = STR("latency_percentiles_usec_");
    struct expo_quantile *q = arena_array(r->a, 16, struct expo_quantile);
    struct expo_metric m = { .quantile = q, .labels = 1 };
    struct str cmd = str_sub(field, prefix.n, field.n);
    size_t at = 0;

    if (!str_starts(field, prefix))
        return;
    while (at < f->stat_count && !str_eq(f->stats[at].cmd, cmd))
        at++;
    if (at == f->stat_count)
        return;
    while (value.n && m.quantiles < 16) {
        struct str v = str_cut(&value, ','), name = str_cut(&v, '=');
        if (!num_parse_double(str_sub(name, 1, name.n), &q[m.quantiles].quantile) ||
            !num_parse_double(v, &q[m.quantiles].value))
            return;
        m.quantiles++;
    }
    struct expo_label *l = arena_new(r->a, struct expo_label);
    *l = (struct expo_label){ STR("cmd"), cmd };
    m.label = l;
    m.count = f->stats[at].calls;
    m.value = f->stats[at].usec;
    export_add_metric(r->set,
                      &(struct expo_family){
                          .name = arena_printf(r->a, "%s_latency_percentiles_usec", r->o->space),
                          .help = STR("A summary of latency percentile distribution per command"),
                          .type = EXPO_SUMMARY },
                      &m);
}

static void add_database(struct redis_scrape *r, struct str name, double keys, double expiring)
{
    struct redis_label l = { "db", name };

    redis_add(r, "db_keys", "Total number of keys by DB", EXPO_GAUGE, keys, &l, 1);
    redis_add(r, "db_keys_expiring", "Total number of expiring keys by DB", EXPO_GAUGE, expiring,
              &l, 1);
}

static bool keyspace(struct info *f, struct str field, struct str value)
{
    struct redis_label l = { "db", field };
    double keys, expiring, v;
    uint64_t number;

    if (!str_starts(field, STR("db")) || !number_of(value, "keys", &keys) ||
        !number_of(value, "expires", &expiring))
        return false;
    add_database(f->r, field, keys, expiring);
    if (number_of(value, "avg_ttl", &v))
        redis_add(f->r, "db_avg_ttl_seconds", "Avg TTL in seconds", EXPO_GAUGE, v / 1000, &l, 1);
    if (number_of(value, "cached_keys", &v))
        redis_add(f->r, "db_keys_cached", "Total number of cached keys by DB", EXPO_GAUGE, v, &l,
                  1);
    if (str_to_u64(str_sub(field, 2, field.n), &number) && number < 64)
        f->databases_seen |= UINT64_C(1) << number;
    return true;
}

// slave0:ip=…,port=…,state=…,offset=…,lag=…
static bool connected_slave(struct info *f, struct str field, struct str value)
{
    double offset, lag;

    if (!str_starts(field, STR("slave")) || !number_of(value, "offset", &offset))
        return false;
    struct redis_label l[] = { { "slave_ip", part_of(value, "ip") },
                               { "slave_port", part_of(value, "port") },
                               { "slave_state", part_of(value, "state") } };
    redis_add(f->r, "connected_slave_offset_bytes", "Offset of connected slave", EXPO_GAUGE, offset,
              l, 3);
    if (number_of(value, "lag", &lag))
        redis_add(f->r, "connected_slave_lag_seconds", "Lag of connected slave", EXPO_GAUGE, lag, l,
                  3);
    return true;
}

// Of a replica; KeyDB has several masters, numbered.
static bool replication(struct info *f, struct str field, struct str value)
{
    static const struct {
        const char *end, *name, *help;
    } fields[] = {
        { "last_io_seconds_ago", "master_last_io_seconds_ago", "Master last io seconds ago" },
        { "sync_in_progress", "master_sync_in_progress", "Master sync in progress" },
        { "slave_repl_offset", "slave_repl_offset", "Slave replication offset" },
    };
    bool of_master = str_starts(field, STR("master"));
    double v = 0;

    if (of_master && str_ends(field, STR("_host")))
        f->master_host = value;
    if (of_master && str_ends(field, STR("_port")))
        f->master_port = value;
    struct redis_label l[] = { { "master_host", f->master_host },
                               { "master_port", f->master_port } };
    if (of_master && str_ends(field, STR("_link_status"))) {
        redis_add(f->r, "master_link_up", "Master link status on Redis slave", EXPO_GAUGE,
                  str_eq(value, STR("up")), l, 2);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (!str_ends(field, str_c(fields[i].end)) || (i < 2 && !of_master))
            continue;
        (void)num_parse_double(value, &v); // anything else counts as 0, as upstream
        redis_add(f->r, fields[i].name, fields[i].help, EXPO_GAUGE, v, l, 2);
        return true;
    }
    return connected_slave(f, field, value);
}

static void server(struct info *f, struct str field, struct str value)
{
    double v;

    if (!num_parse_double(value, &v))
        return;
    if (str_eq(field, STR("uptime_in_seconds")))
        redis_add(f->r, "start_time_seconds",
                  "Start time of the Redis instance since unix epoch in seconds.", EXPO_GAUGE,
                  (double)(f->r->now_ms / 1000) - v, NULL, 0);
    if (str_eq(field, STR("hz")))
        redis_add(f->r, "hz", NULL, EXPO_GAUGE, v, NULL, 0);
    if (str_eq(field, STR("configured_hz")))
        redis_add(f->r, "configured_hz", NULL, EXPO_GAUGE, v, NULL, 0);
}

static void errors(struct info *f, struct str field, struct str value)
{
    double count;

    if (!str_starts(field, STR("errorstat_")) || !number_of(value, "count", &count))
        return;
    struct redis_label l = { "err", str_sub(field, 10, field.n) };
    redis_add(f->r, "errors_total", "Total number of errors per error type", EXPO_COUNTER, count,
              &l, 1);
}

/* ---- fields ---- */

static bool value_of(struct str s, double *out)
{
    bool yes = str_eq(s, STR("ok")) || str_eq(s, STR("true"));

    if (yes || str_eq(s, STR("err")) || str_eq(s, STR("fail")) || str_eq(s, STR("false"))) {
        *out = yes;
        return true;
    }
    return num_parse_double(s, out);
}

static void plain_field(struct redis_scrape *r, struct str field, struct str value)
{
    const struct redis_name *n = redis_name_of(field);
    double v;

    if (!value_of(value, &v))
        return;
    if (str_starts(field, STR("used_active_time_io_thread_"))) {
        struct redis_label l = { "thread", str_sub(field, 27, field.n) };
        redis_add(r, "active_time_io_thread_seconds_total", NULL, EXPO_COUNTER, v, &l, 1);
    } else if (n && strcmp(n->name, "latest_fork_usec") == 0) {
        redis_add(r, "latest_fork_seconds", NULL, EXPO_GAUGE, v / 1e6, NULL, 0);
    } else if (n) {
        redis_add(r, n->name, NULL, n->counter ? EXPO_COUNTER : EXPO_GAUGE, v, NULL, 0);
    } else if (str_starts(field, STR("cluster_"))) {
        redis_add(r, arena_cstr(r->a, field), NULL, EXPO_GAUGE, v, NULL, 0);
    } else if (r->o->system_metrics && str_eq(field, STR("total_system_memory"))) {
        redis_add(r, "total_system_memory_bytes", NULL, EXPO_GAUGE, v, NULL, 0);
    } else if (str_starts(field, STR("sentinel_"))) {
        static const char *const known[] = { "sentinel_masters", "sentinel_tilt",
                                             "sentinel_running_scripts",
                                             "sentinel_scripts_queue_length",
                                             "sentinel_simulate_failure_flags" };
        static const char *const help[] = { "The number of masters this sentinel is watching",
                                            "Sentinel is in TILT mode",
                                            "Number of scripts in execution right now",
                                            "Queue of user scripts to execute",
                                            "Failures simulations" };
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            if (str_eq_c(field, known[i]))
                redis_add(r, known[i], help[i], EXPO_GAUGE, v, NULL, 0);
    }
}

static void keep(struct info *f, struct str field, struct str value)
{
    struct {
        const char *name;
        struct str *to;
    } wanted[] = {
        { "role", &f->role },
        { "redis_version", &f->version },
        { "redis_build_id", &f->build },
        { "redis_mode", &f->mode },
        { "os", &f->os },
        { "maxmemory_policy", &f->policy },
        { "tcp_port", &f->port },
        { "run_id", &f->run_id },
        { "process_id", &f->process },
        { "master_replid", &f->replid },
        { "slave_read_only", &f->read_only },
        { "valkey_version", &f->valkey },
        { "valkey_release_stage", &f->valkey_stage },
    };

    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (str_eq_c(field, wanted[i].name))
            *wanted[i].to = value;
}

static void line(struct info *f, struct str field, struct str value)
{
    keep(f, field, value);
    if (str_eq(f->section, STR("Commandstats"))) {
        command_stats(f, field, value);
        return;
    }
    if (str_eq(f->section, STR("Latencystats"))) {
        latency_stats(f, field, value);
        return;
    }
    if (str_eq(f->section, STR("Replication")) && replication(f, field, value))
        return;
    if (str_eq(f->section, STR("Keyspace")) && keyspace(f, field, value))
        return;
    if (str_eq(f->section, STR("Server")))
        server(f, field, value);
    if (str_eq(f->section, STR("Errorstats")))
        errors(f, field, value);
    plain_field(f->r, field, value);
}

static void instance(struct info *f)
{
    struct redis_label l[] = {
        { "role", f->role },
        { "redis_version", f->version },
        { "redis_build_id", f->build },
        { "redis_mode", f->mode },
        { "os", f->os },
        { "maxmemory_policy", f->policy },
        { "tcp_port", f->port },
        { "run_id", f->run_id },
        { "process_id", f->process },
        { "master_replid", f->replid },
        { "valkey_version", f->valkey },
        { "valkey_release_stage", f->valkey_stage },
    };
    struct redis_label slave[] = { { "master_host", f->master_host },
                                   { "master_port", f->master_port },
                                   { "read_only", f->read_only } };

    redis_add(f->r, "instance_info", "Information about the Redis instance", EXPO_GAUGE, 1, l,
              f->valkey.p ? 12 : 10);
    if (str_eq(f->role, STR("slave")))
        redis_add(f->r, "slave_info", "Information about the Redis slave", EXPO_GAUGE, 1, slave, 3);
}

void redis_info(struct redis_scrape *r, struct str info)
{
    struct info f = { .r = r };
    struct str rest = info, l;
    size_t lines = 1;

    for (size_t i = 0; i < info.n; i++)
        lines += info.p[i] == '\n';
    f.stats = arena_calloc(r->a, lines, sizeof *f.stats);
    while (node_line(&rest, &l)) {
        l = str_trim(l);
        if (str_starts(l, STR("# ")))
            f.section = str_sub(l, 2, l.n);
        else if (l.n > 1 && str_find_char(l, ':') != STR_NPOS) {
            struct str value = l, field = str_cut(&value, ':');
            line(&f, field, value);
        }
    }
    for (uint64_t i = 0; !r->o->no_empty_databases && i < MIN(r->databases, UINT64_C(64)); i++)
        if (!(f.databases_seen >> i & 1))
            add_database(r, arena_printf(r->a, "db%u", (unsigned)i), 0, 0);
    instance(&f);
}

/* ---- CONFIG GET * ---- */

static void buffer_limits(struct redis_scrape *r, struct str value)
{
    while (value.n) {
        struct redis_label l[] = { { "class", str_cut(&value, ' ') }, { "limit", STR("hard") } };
        double v[3];

        for (size_t i = 0; i < 3; i++)
            if (!num_parse_double(str_cut(&value, ' '), &v[i]))
                return;
        redis_add(r, "config_client_output_buffer_limit_bytes",
                  "The configured buffer limits per class", EXPO_GAUGE, v[0], l, 2);
        l[1].value = STR("soft");
        redis_add(r, "config_client_output_buffer_limit_bytes",
                  "The configured buffer limits per class", EXPO_GAUGE, v[1], l, 2);
        redis_add(r, "config_client_output_buffer_limit_overcome_seconds",
                  "How long for buffer limits per class to be exceeded before replicas are dropped",
                  EXPO_GAUGE, v[2], l, 2);
    }
}

static bool is_secret(struct str key)
{
    return str_eq(key, STR("masterauth")) || str_eq(key, STR("requirepass")) ||
           str_ends(key, STR("-pass"));
}

static void config_value(struct redis_scrape *r, struct str key, struct str value)
{
    static const struct {
        const char *key, *name;
    } plain[] = { { "io-threads", "config_io_threads" },
                  { "maxclients", "config_maxclients" },
                  { "maxmemory", "config_maxmemory" },
                  { "repl-backlog-size", "config_repl_backlog_size" } };
    struct redis_label l[] = { { "key", key }, { "value", value } };
    double v;
    bool number = num_parse_double(value, &v);

    if (str_eq(key, STR("databases")))
        (void)str_to_u64(value, &r->databases); // stays when odd
    if (r->o->config_metrics && (!is_secret(key) || r->o->show_secrets)) {
        redis_add(r, "config_key_value", "Config key and value", EXPO_GAUGE, 1, l, 2);
        if (number)
            redis_add(r, "config_value", "Config key and value as metric", EXPO_GAUGE, v, l, 1);
    }
    for (size_t i = 0; number && i < ARRAY_LEN(plain); i++)
        if (str_eq_c(key, plain[i].key))
            redis_add(r, plain[i].name, NULL, EXPO_GAUGE, v, NULL, 0);
    if (str_eq(key, STR("client-output-buffer-limit")))
        buffer_limits(r, value);
}

void redis_config(struct redis_scrape *r, const struct resp *pairs)
{
    for (size_t i = 0; pairs->kind == RESP_ARRAY && i + 1 < pairs->n; i += 2)
        config_value(r, pairs->items[i].s, pairs->items[i + 1].s);
}
