// redis_more.c - beside INFO: slow log, latencies, clients, keys that were asked for, Sentinel.
// SPDX-License-Identifier: Apache-2.0
#include "export/redis_priv.h"

enum { KEYS_MAX = 10000 }; // of one pattern

// The number of an answer; false: an error, or something else.
static bool ask_number(struct redis_scrape *r, const struct str *word, size_t n, double *out)
{
    struct resp v;

    if (!resp_call(r->stream, word, n, &v, &(struct err){ 0 })) // what fails is left out
        return false;
    *out = (double)v.i;
    return v.kind == RESP_INT;
}

// Value of a name in [name, value, name, value]; empty: absent.
static struct str field_of(const struct resp *pairs, const char *name)
{
    for (size_t i = 0; i + 1 < pairs->n; i += 2)
        if (str_eq_c(pairs->items[i].s, name))
            return pairs->items[i + 1].s;
    return STR("");
}

static double number_in(struct str s)
{
    double v = 0;

    return num_parse_double(s, &v) ? v : 0;
}

/* ---- slow log and latency ---- */

static void slow_log(struct redis_scrape *r)
{
    struct str len[] = { STR("SLOWLOG"), STR("LEN") };
    double n, id = 0, seconds = 0;
    struct resp v;

    if (ask_number(r, len, 2, &n))
        redis_add(r, "slowlog_length", "Total slowlog", EXPO_GAUGE, n, NULL, 0);
    if (!resp_ask(r->stream, "SLOWLOG GET 1", &v, &(struct err){ 0 }) || v.kind != RESP_ARRAY)
        return;
    if (v.n && v.items[0].n > 2) {
        id = (double)v.items[0].items[0].i;
        seconds = (double)v.items[0].items[2].i / 1e6;
    }
    redis_add(r, "slowlog_last_id", "Last id of slowlog", EXPO_GAUGE, id, NULL, 0);
    redis_add(r, "last_slow_execution_duration_seconds",
              "The amount of time needed for last slow execution, in seconds", EXPO_GAUGE, seconds,
              NULL, 0);
}

static void latency_spikes(struct redis_scrape *r)
{
    struct resp v;

    if (!resp_ask(r->stream, "LATENCY LATEST", &v, &(struct err){ 0 }) || v.kind != RESP_ARRAY)
        return;
    for (size_t i = 0; i < v.n; i++) {
        const struct resp *one = &v.items[i];
        if (one->n < 4)
            continue;
        struct redis_label l = { "event_name", one->items[0].s };
        redis_add(r, "latency_spike_last", "When the latency spike last occurred", EXPO_GAUGE,
                  (double)one->items[1].i, &l, 1);
        redis_add(r, "latency_spike_duration_seconds",
                  "Length of the last latency spike in seconds", EXPO_GAUGE,
                  (double)one->items[2].i / 1e3, &l, 1);
    }
}

// Microseconds of a command and its subcommands, from INFO.
static double total_usec(struct str info, struct str cmd)
{
    double sum = 0;
    struct str line;

    while (node_line(&info, &line)) {
        if (!str_starts(line, STR("cmdstat_")))
            continue;
        struct str value = line, name = str_cut(&value, ':');
        name = str_sub(name, 8, name.n);
        size_t at = str_find(value, STR("usec="));
        if (at == STR_NPOS || !str_starts(name, cmd) || (name.n > cmd.n && name.p[cmd.n] != '|'))
            continue;
        value = str_sub(value, at + 5, value.n);
        sum += number_in(str_cut(&value, ','));
    }
    return sum;
}

static void latency_histograms(struct redis_scrape *r, struct str info)
{
    struct resp v;
    struct expo_family f = { .name = arena_printf(r->a, "%s_commands_latencies_usec", r->o->space),
                             .help = STR("A histogram of latencies per command"),
                             .type = EXPO_HISTOGRAM };

    if (!resp_ask(r->stream, "LATENCY HISTOGRAM", &v, &(struct err){ 0 }) || v.kind != RESP_ARRAY)
        return;
    for (size_t i = 0; i + 1 < v.n; i += 2) {
        const struct resp *details = &v.items[i + 1];
        if (details->n < 4 || details->items[3].kind != RESP_ARRAY)
            continue;
        const struct resp *pairs = &details->items[3];
        struct expo_bucket *b = arena_array(r->a, pairs->n / 2, struct expo_bucket);
        struct expo_label *l = arena_new(r->a, struct expo_label);
        for (size_t k = 0; k + 1 < pairs->n; k += 2)
            b[k / 2] = (struct expo_bucket){ .upper = (double)pairs->items[k].i,
                                             .count = (double)pairs->items[k + 1].i };
        *l = (struct expo_label){ STR("cmd"), v.items[i].s };
        export_add_metric(r->set, &f,
                          &(struct expo_metric){ .label = l,
                                                 .labels = 1,
                                                 .count = (double)details->items[1].i,
                                                 .value = total_usec(info, v.items[i].s),
                                                 .bucket = b,
                                                 .buckets = pairs->n / 2 });
    }
}

/* ---- clients ---- */

static const struct {
    const char *field, *name;
    bool is_age; // seconds ago
} client_numbers[] = {
    { "omem", "connected_client_output_buffer_memory_usage_bytes", false },
    { "tot-mem", "connected_client_total_memory_consumed_bytes", false },
    { "age", "connected_client_created_at_timestamp", true },
    { "idle", "connected_client_idle_since_timestamp", true },
    { "sub", "connected_client_channel_subscriptions_count", false },
    { "psub", "connected_client_pattern_matching_subscriptions_count", false },
    { "ssub", "connected_client_shard_channel_subscriptions_count", false },
    { "watch", "connected_client_shard_channel_watched_keys", false },
    { "qbuf", "connected_client_query_buffer_length_bytes", false },
    { "qbuf-free", "connected_client_query_buffer_free_space_bytes", false },
    { "obl", "connected_client_output_buffer_length_bytes", false },
    { "oll", "connected_client_output_list_length", false },
};

static struct str client_field(struct str line, const char *name)
{
    while (line.n) {
        struct str value = str_cut(&line, ' '), key = str_cut(&value, '=');
        if (str_eq_c(key, name))
            return value;
    }
    return STR_NONE;
}

static void client(struct redis_scrape *r, struct str line)
{
    struct str addr = client_field(line, "addr"), user = client_field(line, "user");
    struct str resp = client_field(line, "resp");
    size_t colon = str_rfind_char(addr, ':'), n = 0;
    struct redis_label l[8],
        id[] = { { "id", client_field(line, "id") }, { "name", client_field(line, "name") } };
    double v;

    if (colon == STR_NPOS)
        return;
    l[n++] = id[0];
    l[n++] = id[1];
    l[n++] = (struct redis_label){ "flags", client_field(line, "flags") };
    l[n++] = (struct redis_label){ "db", client_field(line, "db") };
    l[n++] = (struct redis_label){ "host", str_sub(addr, 0, colon) };
    if (r->o->client_port)
        l[n++] = (struct redis_label){ "port", str_sub(addr, colon + 1, addr.n) };
    if (user.n)
        l[n++] = (struct redis_label){ "user", user };
    if (resp.n)
        l[n++] = (struct redis_label){ "resp", resp };
    redis_add(r, "connected_client_info", NULL, EXPO_GAUGE, 1, l, n);
    for (size_t i = 0; i < ARRAY_LEN(client_numbers); i++) {
        if (!num_parse_double(client_field(line, client_numbers[i].field), &v))
            continue;
        if (client_numbers[i].is_age)
            v = (double)(r->now_ms / 1000) - v;
        redis_add(r, client_numbers[i].name, NULL, EXPO_GAUGE, v, id, 2);
    }
}

static void clients(struct redis_scrape *r)
{
    struct resp v;
    struct str line;

    if (!resp_ask(r->stream, "CLIENT LIST", &v, &(struct err){ 0 }) || v.kind != RESP_TEXT)
        return;
    while (node_line(&v.s, &line))
        client(r, line);
}

/* ---- keys ---- */

static bool select_db(struct redis_scrape *r, struct str db)
{
    struct str word[] = { STR("SELECT"), db };
    struct resp v;

    return resp_call(r->stream, word, 2, &v, &(struct err){ 0 }) && v.kind == RESP_TEXT;
}

// "db1=pattern" or "pattern" of database 0.
static void split_key(struct str arg, struct str *db, struct str *pattern)
{
    struct str rest = arg, before = str_cut(&rest, '=');

    *db = STR("0");
    *pattern = arg;
    if (!rest.p)
        return;
    *db = str_starts(before, STR("db")) ? str_sub(before, 2, before.n) : before;
    *pattern = rest;
}

// Keys of a pattern by SCAN; at most KEYS_MAX.
static struct str *scan(struct redis_scrape *r, struct str pattern, size_t *n)
{
    VEC(struct str) keys = { 0 };
    struct str cursor = STR("0");

    do {
        struct str word[] = {
            STR("SCAN"), cursor, STR("MATCH"), pattern, STR("COUNT"), STR("1000")
        };
        struct resp v;
        if (!resp_call(r->stream, word, ARRAY_LEN(word), &v, &(struct err){ 0 }) || v.n != 2)
            break;
        cursor = v.items[0].s;
        for (size_t i = 0; i < v.items[1].n && keys.n < KEYS_MAX; i++)
            *vec_push_in(r->a, &keys) = v.items[1].items[i].s;
    } while (!str_eq(cursor, STR("0")) && keys.n < KEYS_MAX);
    *n = keys.n;
    return keys.v;
}

static void key_value(struct redis_scrape *r, struct str key, struct redis_label *l)
{
    struct str word[] = { STR("GET"), key };
    struct resp v;
    double number;

    if (!resp_call(r->stream, word, 2, &v, &(struct err){ 0 }) || v.kind != RESP_TEXT || !v.s.n)
        return;
    if (num_parse_double(v.s, &number)) {
        redis_add(r, "key_value", "The value of \"key\"", EXPO_GAUGE, number, l, 2);
        return;
    }
    l[2] = (struct redis_label){ "val", str_sub(v.s, 0, 1024) };
    if (str_is_utf8(l[2].value))
        redis_add(r, "key_value_as_string", "The value of \"key\" as a string", EXPO_GAUGE, 1, l,
                  3);
}

static void check_key(struct redis_scrape *r, struct str db, struct str key)
{
    static const struct {
        const char *type, *command;
    } sizes[] = { { "string", "PFCOUNT" }, { "string", "STRLEN" }, { "list", "LLEN" },
                  { "set", "SCARD" },      { "zset", "ZCARD" },    { "hash", "HLEN" },
                  { "stream", "XLEN" } };
    struct redis_label l[3] = { { "db", arena_printf(r->a, "db%.*s", STRF(db)) }, { "key", key } };
    struct str type[] = { STR("TYPE"), key }, usage[] = { STR("MEMORY"), STR("USAGE"), key };
    struct resp v;
    double n;

    if (!str_is_utf8(key) || !resp_call(r->stream, type, 2, &v, &(struct err){ 0 }) ||
        v.kind != RESP_TEXT || str_eq(v.s, STR("none")))
        return;
    if (ask_number(r, usage, 3, &n))
        redis_add(r, "key_memory_usage_bytes", "The memory usage of \"key\" in bytes", EXPO_GAUGE,
                  n, l, 2);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct str word[] = { str_c(sizes[i].command), key };
        if (!str_eq_c(v.s, sizes[i].type) || !ask_number(r, word, 2, &n))
            continue;
        redis_add(r, "key_size", "The length or size of \"key\"", EXPO_GAUGE, n, l, 2);
        if (i == 1 && !r->o->no_key_values)
            key_value(r, key, l);
        return;
    }
}

static void check_keys(struct redis_scrape *r, const char *list, bool patterns, bool count)
{
    for (struct str rest = str_c(list); rest.n;) {
        struct str db, pattern, arg = str_trim(str_cut(&rest, ','));
        size_t n = 1;
        split_key(arg, &db, &pattern);
        if (!pattern.n || !select_db(r, db))
            continue;
        struct str *keys = patterns ? scan(r, pattern, &n) : &pattern;
        struct redis_label l[] = { { "db", arena_printf(r->a, "db%.*s", STRF(db)) },
                                   { "key", pattern } };
        if (count)
            redis_add(r, "keys_count", "Count of keys", EXPO_GAUGE, (double)n, l, 2);
        for (size_t i = 0; i < n && !count; i++)
            check_key(r, db, keys[i]);
    }
}

/* ---- sentinel ---- */

static size_t count_ok(struct redis_scrape *r, const char *what, struct str master)
{
    struct str word[] = { STR("SENTINEL"), str_c(what), master };
    struct resp v;
    size_t n = 0;

    if (!resp_call(r->stream, word, 3, &v, &(struct err){ 0 }) || v.kind != RESP_ARRAY)
        return 0;
    for (size_t i = 0; i < v.n; i++) {
        struct str flags = field_of(&v.items[i], "flags");
        n += flags.n && str_find(flags, STR("o_down")) == STR_NPOS &&
             str_find(flags, STR("s_down")) == STR_NPOS;
    }
    return n;
}

static void master(struct redis_scrape *r, const struct resp *m)
{
    static const struct {
        const char *field, *name, *help;
        double scale;
    } rows[] = {
        { "quorum", "sentinel_master_setting_ckquorum",
          "Show the current ckquorum config for each master", 1 },
        { "failover-timeout", "sentinel_master_setting_failover_timeout",
          "Show the current failover-timeout config for each master", 1 },
        { "parallel-syncs", "sentinel_master_setting_parallel_syncs",
          "Show the current parallel-syncs config for each master", 1 },
        { "down-after-milliseconds", "sentinel_master_setting_down_after_milliseconds",
          "Show the current down-after-milliseconds config for each master", 1 },
        { "config-epoch", "sentinel_master_config_epoch",
          "The configuration epoch of the master (increments on each failover)", 1 },
        { "last-ok-ping-reply", "sentinel_master_last_ok_ping_reply_seconds",
          "Elapsed time in seconds since the last successful ping reply from the master", 1e-3 },
        { "num-slaves", "sentinel_master_slaves", "The number of slaves of the master", 1 },
    };
    struct str name = field_of(m, "name");
    struct redis_label l[3] = {
        { "master_name", name },
        { "master_address",
          arena_printf(r->a, "%.*s:%.*s", STRF(field_of(m, "ip")), STRF(field_of(m, "port"))) },
    };
    struct str quorum[] = { STR("SENTINEL"), STR("CKQUORUM"), name };
    struct resp v;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        redis_add(r, rows[i].name, rows[i].help, EXPO_GAUGE,
                  number_in(field_of(m, rows[i].field)) * rows[i].scale, l, 2);
    redis_add(r, "sentinel_master_sentinels", "The number of sentinels monitoring this master",
              EXPO_GAUGE, number_in(field_of(m, "num-other-sentinels")) + 1, l, 2);
    redis_add(r, "sentinel_master_ok_sentinels",
              "The number of okay sentinels monitoring this master", EXPO_GAUGE,
              (double)count_ok(r, "SENTINELS", name) + 1, l, 2);
    redis_add(r, "sentinel_master_ok_slaves", "The number of okay slaves of the master", EXPO_GAUGE,
              (double)count_ok(r, "SLAVES", name), l, 2);
    struct str flags = field_of(m, "flags");
    l[2] = (struct redis_label){ "master_status",
                                 str_find(flags, STR("o_down")) != STR_NPOS   ? STR("odown")
                                 : str_find(flags, STR("s_down")) != STR_NPOS ? STR("sdown")
                                                                              : STR("ok") };
    redis_add(r, "sentinel_master_status", "Master status on Sentinel", EXPO_GAUGE,
              str_eq(l[2].value, STR("ok")), l, 3);
    if (!resp_call(r->stream, quorum, 3, &v, &(struct err){ 0 }))
        return;
    l[1] = (struct redis_label){ "message", v.s };
    redis_add(r, "sentinel_master_ckquorum_status", "Master ckquorum status", EXPO_GAUGE,
              v.kind == RESP_TEXT, l, 2);
}

static void sentinel(struct redis_scrape *r)
{
    struct resp v;

    if (!resp_ask(r->stream, "SENTINEL MASTERS", &v, &(struct err){ 0 }) || v.kind != RESP_ARRAY)
        return;
    for (size_t i = 0; i < v.n; i++)
        master(r, &v.items[i]);
}

void redis_more(struct redis_scrape *r, struct str info)
{
    if (!r->is_sentinel)
        latency_spikes(r);
    if (!r->is_sentinel && !r->o->no_latency_histograms)
        latency_histograms(r, info);
    check_keys(r, r->o->check_keys, true, false);
    check_keys(r, r->o->check_single_keys, false, false);
    check_keys(r, r->o->count_keys, true, true);
    slow_log(r);
    if (r->is_sentinel)
        sentinel(r);
    if (r->o->client_list)
        clients(r);
    redis_add(r, "last_key_groups_scrape_duration_milliseconds",
              "Duration of the last key group metrics scrape in milliseconds", EXPO_GAUGE, 0, NULL,
              0);
}
