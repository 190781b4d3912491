// export_postgres.c - flags and environment of postgres_exporter.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <sys/stat.h>

#include "app/export_command.h"
#include "base/file.h"
#include "export/postgres.h"

static const char group[] = "PostgreSQL", collectors[] = "Collectors";

static const struct flag flags[] = {
    { "config.file", FLAG_TEXT, "postgres_exporter.yml", "auth_modules of /probe", group,
      FLAG_ACTS },
    { "extend.query-path", FLAG_TEXT, "", "queries of your own", group, FLAG_ACTS },
    { "exclude-databases", FLAG_TEXT, "", "databases to leave out, comma-separated", group,
      FLAG_ACTS },
    { "disable-default-metrics", FLAG_BOOL, "false", "queries of your own only", group, FLAG_ACTS },
    { "disable-settings-metrics", FLAG_BOOL, "false", "without pg_settings_*", group, FLAG_ACTS },
    { "auto-discover-databases", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { "include-databases", FLAG_TEXT, "", NULL, NULL, FLAG_IGNORED },
    { "metric-prefix", FLAG_TEXT, "pg", NULL, NULL, FLAG_IGNORED },
    { "constantLabels", FLAG_TEXT, "", NULL, NULL, FLAG_IGNORED },
    { "collection-timeout", FLAG_TEXT, "1m", NULL, NULL, FLAG_IGNORED },
    { "dumpmaps", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { "collector.stat_statements.include_query", FLAG_BOOL, "false", NULL, NULL, FLAG_IGNORED },
    { "collector.stat_statements.query_length", FLAG_INT, "120", NULL, NULL, FLAG_IGNORED },
};

static const struct export_env env[] = {
    { "web.listen-address", "PG_EXPORTER_WEB_LISTEN_ADDRESS" },
    { "web.telemetry-path", "PG_EXPORTER_WEB_TELEMETRY_PATH" },
    { "extend.query-path", "PG_EXPORTER_EXTEND_QUERY_PATH" },
    { "exclude-databases", "PG_EXPORTER_EXCLUDE_DATABASES" },
    { "disable-default-metrics", "PG_EXPORTER_DISABLE_DEFAULT_METRICS" },
    { "disable-settings-metrics", "PG_EXPORTER_DISABLE_SETTINGS_METRICS" },
    { "auto-discover-databases", "PG_EXPORTER_AUTO_DISCOVER_DATABASES" },
    { "constantLabels", "PG_EXPORTER_CONSTANT_LABELS" },
};

static const struct flag *more(struct arena *a, size_t *n)
{
    bool on;
    size_t count = 0;

    while (export_postgres_collector(count, &on))
        count++;
    struct flag *f = arena_array(a, count, struct flag);
    for (size_t i = 0; i < count; i++) {
        const char *name = export_postgres_collector(i, &on);
        f[i] = (struct flag){ .name = arena_printf(a, "collector.%s", name).p,
                              .kind = FLAG_BOOL,
                              .value = on ? "true" : "false",
                              .help = arena_printf(a, "the %s collector", name).p,
                              .group = collectors,
                              .note = FLAG_ACTS };
    }
    *n = count;
    return f;
}

// The variable, or the content of the file that <variable>_FILE names.
static bool from_environment(struct arena *a, const char *name, const char **out, struct err *e)
{
    const char *value = getenv(name), *path = getenv(arena_printf(a, "%s_FILE", name).p);
    struct str text;

    *out = value && *value ? value : NULL;
    if (*out || !path || !*path)
        return true;
    if (!file_read(a, path, 1 << 20, &text, e))
        return err_wrap(e, "%s_FILE", name);
    *out = arena_cstr(a, str_trim(text));
    return true;
}

static bool open_postgres(struct exporter **out, const struct flags *f, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    VEC(const char *) on = { 0 }, off = { 0 };
    struct export_postgres_options o = {
        .config_path = export_flag(f, "config.file"),
        .queries_path = export_flag(f, "extend.query-path"),
        .exclude_databases = export_flag(f, "exclude-databases"),
        .disable_defaults = flags_bool(f, "disable-default-metrics"),
        .disable_settings = flags_bool(f, "disable-settings-metrics"),
    };
    struct stat st;
    bool usual;

    if (o.config_path && stat(o.config_path, &st) != 0)
        o.config_path = NULL;
    for (size_t i = 0; export_postgres_collector(i, &usual); i++) {
        const char *name = export_postgres_collector(i, &usual);
        const struct flag_value *v = flags_get(f, arena_printf(&a, "collector.%s", name).p);
        if (v->given && str_eq(v->text, STR("true")))
            *vec_push_in(&a, &on) = name;
        else if (v->given)
            *vec_push_in(&a, &off) = name;
    }
    o.enable = on.v;
    o.enable_count = on.n;
    o.disable = off.v;
    o.disable_count = off.n;
    return from_environment(&a, "DATA_SOURCE_NAME", &o.dsn, e) &&
           from_environment(&a, "DATA_SOURCE_URI", &o.uri, e) &&
           from_environment(&a, "DATA_SOURCE_USER", &o.user, e) &&
           from_environment(&a, "DATA_SOURCE_PASS", &o.pass, e) && export_postgres_open(out, &o, e);
}

const struct export_kind export_kind_postgres = {
    .name = "postgres",
    .binaries = { "postgres_exporter", "postgres-exporter" },
    .title = "Postgres Exporter",
    .listen = ":9187",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .env = env,
    .env_count = ARRAY_LEN(env),
    .more = more,
    .open = open_postgres,
};
