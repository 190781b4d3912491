// postgres.c - the postgres exporter: which servers, as whom, and one scrape of each.
// SPDX-License-Identifier: Apache-2.0
#include "export/postgres.h"

#include <math.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "codec/yaml.h"
#include "export/postgres_priv.h"

enum { FIELDS_MAX = 64, CONFIG_MAX = 4 << 20 };

struct postgres {
    struct exporter base;
    struct arena a; // of all below
    const char **dsn;
    size_t dsn_count;
    const char *config_path, *queries_path;
    bool *on; // per row of pg_queries
    bool settings;
    struct str exclude; // databases, comma-separated
    struct mutex mu;
    struct pg_api api; // under mu until it is loaded; then constant
    uint64_t scrapes;  // under mu
};

struct scrape {
    struct postgres *x;
    struct pg_session s;
    struct arena *a;
    struct export_set *set;
    struct str server; // label of every sample; empty: none
};

const char *export_postgres_collector(size_t i, bool *on)
{
    size_t seen = 0;

    for (size_t k = 0; k < pg_query_count; k++) {
        bool again = k && strcmp(pg_queries[k].collector, pg_queries[k - 1].collector) == 0;
        if (again || seen++ < i)
            continue;
        *on = !pg_queries[k].off;
        return pg_queries[k].collector;
    }
    *on = true;
    return seen == i ? "settings" : NULL;
}

/* ---- samples ---- */

static void add(struct scrape *r, const char *name, const char *help, enum expo_type type, double v,
                const struct expo_label *l, size_t n)
{
    struct expo_label label[FIELDS_MAX + 1];

    for (size_t i = 0; i < n; i++)
        label[i] = l[i];
    if (r->server.n)
        label[n++] = (struct expo_label){ STR("server"), r->server };
    export_add(r->set, &(struct export_desc){ name, help, type }, v, label, n);
}

static bool number_of(struct str s, double *out)
{
    if (str_eq(s, STR("t")) || str_eq(s, STR("on")))
        *out = 1;
    else if (str_eq(s, STR("f")) || str_eq(s, STR("off")))
        *out = 0;
    else
        return num_parse_double(s, out);
    return true;
}

static bool is_excluded(const struct postgres *x, struct str database)
{
    for (struct str rest = x->exclude; rest.n;)
        if (str_eq(str_trim(str_cut(&rest, ',')), database))
            return true;
    return false;
}

// Labels of a row; false: it is of a database that is left out.
static bool row_labels(struct scrape *r, const struct pg_query *q, const struct pg_result *rows,
                       int row, struct expo_label *l, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < q->column_count; i++) {
        if (q->columns[i].usage != PG_LABEL)
            continue;
        struct str v = str_c(r->x->api.value(rows, row, (int)i));
        if (str_eq_c(str_c(q->columns[i].name), "datname") && is_excluded(r->x, v))
            return false;
        l[(*n)++] = (struct expo_label){ str_c(q->columns[i].name), v };
    }
    return true;
}

static const char *name_of(struct scrape *r, const struct pg_query *q, struct str column)
{
    if (str_ends(column, STR("_")))
        column.n--;
    return arena_printf(r->a, "pg_%s%s%.*s", q->space, *q->space ? "_" : "", STRF(column)).p;
}

static void add_cell(struct scrape *r, const struct pg_query *q, const struct pg_column *c,
                     const char *text, const struct expo_label *l, size_t n)
{
    enum expo_type type = c->usage == PG_COUNTER ? EXPO_COUNTER : EXPO_GAUGE;
    struct str column = str_c(c->name);
    double v = c->usage == PG_GAUGE_OR_NAN ? NAN : 0;

    if (c->usage == PG_LABEL || c->usage == PG_DISCARD || (!text && c->usage == PG_SKIP_NULL))
        return;
    if (text && !number_of(str_c(text), &v))
        v = NAN;
    add(r, name_of(r, q, column), c->help, type, v, l, n);
    if (q->alias_end && str_ends(column, str_c(q->alias_end)))
        add(r, name_of(r, q, str_sub(column, 0, column.n - strlen(q->alias_end))), c->help, type, v,
            l, n);
}

static bool run_query(struct scrape *r, const struct pg_query *q, struct err *e)
{
    const struct pg_api *api = &r->x->api;
    struct pg_result *rows;
    struct expo_label l[FIELDS_MAX];
    size_t n;

    if (!pg_session_query(&r->s, q->sql, &rows, e))
        return false;
    bool fits = api->columns(rows) == (int)q->column_count && q->column_count <= FIELDS_MAX;
    for (int row = 0; fits && row < api->rows(rows); row++) {
        if (!row_labels(r, q, rows, row, l, &n))
            continue;
        for (size_t i = 0; i < q->column_count; i++)
            add_cell(r, q, &q->columns[i],
                     api->is_null(rows, row, (int)i) ? NULL : api->value(rows, row, (int)i), l, n);
    }
    api->clear(rows);
    return fits || err_set(e, ERR_INVALID, "the query has not the columns that were expected");
}

/* ---- settings: every number of pg_settings, in base units ---- */

// Factor and unit of a setting; false: unknown.
static bool unit_of(struct str unit, double *factor, const char **name)
{
    static const struct {
        const char *unit;
        double factor;
    } times[] = { { "ms", 1e-3 }, { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 } },
      sizes[] = {
          { "TB", 0x1p40 }, { "GB", 0x1p30 }, { "MB", 0x1p20 }, { "kB", 0x1p10 }, { "B", 1 }
      };
    uint64_t many;

    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        if (str_eq_c(unit, times[i].unit)) {
            *factor = times[i].factor;
            *name = "seconds";
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct str end = str_c(sizes[i].unit), head = str_sub(unit, 0, unit.n - MIN(unit.n, end.n));
        if (!str_ends(unit, end) || (head.n && !str_to_u64(head, &many)))
            continue;
        *factor = sizes[i].factor * (head.n ? (double)many : 1);
        *name = "bytes";
        return true;
    }
    return false;
}

static void add_setting(struct scrape *r, const struct pg_result *rows, int row)
{
    const struct pg_api *api = &r->x->api;
    struct str setting = str_c(api->value(rows, row, 1)), unit = str_c(api->value(rows, row, 2));
    char *name = arena_cstr(r->a, arena_printf(r->a, "pg_settings_%s", api->value(rows, row, 0)));
    const char *help = arena_printf(r->a, "Server Parameter: %s", api->value(rows, row, 0)).p;
    const char *base = NULL;
    double v, factor = 1;

    for (char *c = name; *c; c++)
        if (*c == '.' || *c == '-')
            *c = '_';
    if (!number_of(setting, &v) || (unit.n && !unit_of(unit, &factor, &base)))
        return;
    if (base) {
        name = arena_cstr(r->a, arena_printf(r->a, "%s_%s", name, base));
        help = arena_printf(r->a, "%s [Units converted to %s.]", help, base).p;
    }
    add(r, name, help, EXPO_GAUGE, v == -1 ? v : v * factor, NULL, 0);
}

static bool run_settings(struct scrape *r, struct err *e)
{
    struct pg_result *rows;

    if (!pg_session_query(&r->s,
                          "SELECT name, setting, coalesce(unit, '') FROM pg_settings WHERE vartype "
                          "IN ('bool', 'integer', 'real')",
                          &rows, e))
        return false;
    for (int row = 0; row < r->x->api.rows(rows); row++)
        add_setting(r, rows, row);
    r->x->api.clear(rows);
    return true;
}

// pg_static{short_version, version}.
static bool run_static(struct scrape *r, struct err *e)
{
    const char *number = r->x->api.parameter(r->s.c, "server_version");
    struct str rest = str_c(number ? number : ""), digits = str_cut(&rest, ' ');
    struct pg_result *rows;
    size_t dots = 0;

    if (!pg_session_query(&r->s, "SELECT version()", &rows, e))
        return false;
    for (size_t i = 0; i < digits.n; i++)
        dots += digits.p[i] == '.';
    struct expo_label l[] = {
        { STR("short_version"), arena_printf(r->a, "%.*s%s", STRF(digits), dots == 1 ? ".0" : "") },
        { STR("version"), str_c(r->x->api.value(rows, 0, 0)) },
    };
    add(r, "pg_static", "Version string as reported by postgres", EXPO_UNKNOWN, 1, l, 2);
    r->x->api.clear(rows);
    return true;
}

/* ---- queries of the user ---- */

static bool read_yaml(struct arena *a, const char *path, const struct yaml_node **out,
                      struct err *e)
{
    struct str text;

    return (file_read(a, path, CONFIG_MAX, &text, e) && yaml_parse(a, text, out, e)) ||
           err_wrap(e, "%s", path);
}

static enum pg_usage usage_of(struct str s)
{
    if (str_eq_nocase(s, STR("LABEL")))
        return PG_LABEL;
    if (str_eq_nocase(s, STR("COUNTER")))
        return PG_COUNTER;
    if (str_eq_nocase(s, STR("GAUGE")))
        return PG_GAUGE_OR_NAN;
    return PG_DISCARD;
}

// Columns in the order of the result; what the file does not name is of unknown type.
static bool run_custom(struct scrape *r, struct str space, const struct yaml_node *def,
                       struct err *e)
{
    const struct pg_api *api = &r->x->api;
    const struct yaml_node *sql = yaml_get(def, STR("query")), *m = yaml_get(def, STR("metrics"));
    struct pg_result *rows;
    struct expo_label l[FIELDS_MAX];

    if (!sql || !sql->text.n)
        return err_set(e, ERR_INVALID, "query of %.*s is missing", STRF(space));
    if (!pg_session_query(&r->s, arena_cstr(r->a, sql->text), &rows, e))
        return false;
    int count = api->columns(rows);
    struct pg_column *c = arena_array(r->a, (size_t)count, struct pg_column);
    for (int i = 0; i < count; i++) {
        c[i] = (struct pg_column){ api->column_name(rows, i), PG_SKIP_NULL,
                                   arena_printf(r->a, "Unknown metric from %.*s", STRF(space)).p };
        for (size_t k = 0; m && m->kind == YAML_SEQUENCE && k < m->n; k++) {
            const struct yaml_node *one = yaml_get(m->items[k], str_c(c[i].name));
            if (!one)
                continue;
            const struct yaml_node *usage = yaml_get(one, STR("usage"));
            const struct yaml_node *help = yaml_get(one, STR("description"));
            c[i].usage = usage ? usage_of(usage->text) : PG_DISCARD;
            c[i].help = help ? arena_cstr(r->a, help->text) : "";
        }
    }
    struct pg_query q = { .space = "", .columns = c, .column_count = (size_t)count };
    for (int row = 0; count <= FIELDS_MAX && row < api->rows(rows); row++) {
        size_t n;
        if (!row_labels(r, &q, rows, row, l, &n))
            continue;
        for (int i = 0; i < count; i++) {
            double v;
            if (c[i].usage == PG_LABEL || c[i].usage == PG_DISCARD)
                continue;
            if (api->is_null(rows, row, i) || !number_of(str_c(api->value(rows, row, i)), &v))
                v = NAN;
            enum expo_type type = c[i].usage == PG_COUNTER     ? EXPO_COUNTER
                                  : c[i].usage == PG_SKIP_NULL ? EXPO_UNKNOWN
                                                               : EXPO_GAUGE;
            add(r, arena_printf(r->a, "%.*s_%s", STRF(space), c[i].name).p, c[i].help, type, v, l,
                n);
        }
    }
    api->clear(rows);
    return true;
}

static bool run_user_queries(struct scrape *r, struct err *e)
{
    const struct yaml_node *root;
    bool ok = true;

    if (!read_yaml(r->a, r->x->queries_path, &root, e))
        return false;
    for (size_t i = 0; root->kind == YAML_MAPPING && i < root->n; i++) {
        struct err inner = { 0 };
        if (run_custom(r, root->pairs[i].key->text, root->pairs[i].value, &inner))
            continue;
        log_warn("export", "query failed", KV_STR("query", root->pairs[i].key->text),
                 KV_ERR(&inner));
        *e = inner;
        ok = false;
    }
    return ok;
}

/* ---- one scrape ---- */

static void report(struct scrape *r, const char *collector, int64_t begin, bool ok,
                   const struct err *e)
{
    struct expo_label l = { STR("collector"), str_c(collector) };

    add(r, "pg_scrape_collector_duration_seconds",
        "postgres_exporter: Duration of a collector scrape.", EXPO_GAUGE,
        (double)(clock_mono_ns(clock_real()) - begin) / 1e9, &l, 1);
    add(r, "pg_scrape_collector_success", "postgres_exporter: Whether a collector succeeded.",
        EXPO_GAUGE, ok, &l, 1);
    if (!ok)
        log_warn("export", "collector failed", KV("collector", collector), KV_ERR(e));
}

// All queries of one collector count together.
static bool run_collectors(struct scrape *r)
{
    bool all = true;

    for (size_t i = 0; i < pg_query_count;) {
        int64_t begin = clock_mono_ns(clock_real());
        const char *name = pg_queries[i].collector;
        struct err e = { 0 };
        bool ok = true, ran = false;

        for (; i < pg_query_count && strcmp(pg_queries[i].collector, name) == 0; i++) {
            const struct pg_query *q = &pg_queries[i];
            if (!r->x->on[i] || r->s.version < q->version_min ||
                (q->version_max && r->s.version >= q->version_max))
                continue;
            ran = true;
            ok = run_query(r, q, &e) && ok;
        }
        if (ran)
            report(r, name, begin, ok, &e);
        all = all && ok;
    }
    return all;
}

static bool scrape_server(struct scrape *r, const char *dsn)
{
    struct err e = { 0 };
    bool up = r->x->api.handle || err_set(&e, ERR_UNSUPPORTED, "libpq is not installed");
    bool ok = up = up && pg_session_open(&r->s, dsn, &e);

    if (up) {
        ok = run_static(r, &e);
        ok = run_collectors(r) && ok;
        int64_t begin = clock_mono_ns(clock_real());
        struct err inner = { 0 };
        bool settings = !r->x->settings || run_settings(r, &inner);
        if (r->x->settings)
            report(r, "settings", begin, settings, &inner);
        ok = ok && settings;
        if (r->x->queries_path && !run_user_queries(r, &e))
            ok = false;
    }
    pg_session_close(&r->s);
    if (!ok && e.kind)
        log_warn("export", "postgres scrape failed", KV_ERR(&e));
    add(r, "pg_up",
        "Whether the last scrape of metrics from PostgreSQL was able to connect to the server (1 "
        "for yes, 0 for no).",
        EXPO_GAUGE, up, NULL, 0);
    return ok;
}

static struct str server_name(struct arena *a, const char *dsn)
{
    struct str s = str_c(dsn);
    size_t scheme = str_find(s, STR("://"));

    if (scheme == STR_NPOS)
        return STR("unknown");
    s = str_sub(s, scheme + 3, s.n);
    struct str where = str_cut(&s, '/');
    size_t at = str_rfind_char(where, '@');
    return arena_str(a, at == STR_NPOS ? where : str_sub(where, at + 1, where.n));
}

static void page(struct postgres *x, const char *const *dsn, size_t n,
                 const struct export_request *q, struct buf *out)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(export_set_fini) struct export_set set = { .a = &a };
    struct expo_writer w = expo_writer(EXPO_TEXT, out);
    int64_t begin = clock_mono_ns(clock_real());
    struct scrape r = { .x = x, .a = &a, .set = &set };
    struct err e = { 0 };
    bool ok = true;

    mutex_lock(&x->mu);
    if (!x->api.handle && !pg_api_open(&x->api, &e))
        log_error("export", "PostgreSQL cannot be asked", KV_ERR(&e));
    double scrapes = (double)++x->scrapes;
    mutex_unlock(&x->mu);
    for (size_t i = 0; i < n; i++) {
        r.s = (struct pg_session){ .api = &x->api, .deadline_mono_ns = export_deadline(q) };
        r.server = n > 1 ? server_name(&a, dsn[i]) : STR("");
        ok = scrape_server(&r, dsn[i]) && ok;
    }
    r.server = STR("");
    add(&r, "pg_exporter_last_scrape_duration_seconds",
        "Duration of the last scrape of metrics from PostgreSQL.", EXPO_GAUGE,
        (double)(clock_mono_ns(clock_real()) - begin) / 1e9, NULL, 0);
    add(&r, "pg_exporter_last_scrape_error",
        "Whether the last scrape of metrics from PostgreSQL resulted in an error (1 for error, 0 "
        "for success).",
        EXPO_GAUGE, !ok, NULL, 0);
    add(&r, "pg_exporter_scrapes_total",
        "Total number of times PostgreSQL was scraped for metrics.", EXPO_COUNTER, scrapes, NULL,
        0);
    w.keep_empty = true;
    export_set_write(&set, &w);
    expo_write_end(&w);
}

static bool metrics(struct exporter *b, const struct export_request *q, struct buf *out,
                    struct err *e)
{
    struct postgres *x = (struct postgres *)b;

    (void)e;
    if (x->dsn_count)
        page(x, x->dsn, x->dsn_count, q, out);
    return true;
}

/* ---- /probe ---- */

// postgresql://user:password@target, its options appended.
static bool probe_dsn(struct postgres *x, struct arena *a, struct str target, struct str module,
                      struct str *out, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };
    const struct yaml_node *root, *m = NULL, *user = NULL, *options = NULL;
    size_t scheme = str_find(target, STR("://"));
    struct str rest = scheme == STR_NPOS ? target : str_sub(target, scheme + 3, target.n);

    if (module.n) {
        if (!x->config_path || !read_yaml(a, x->config_path, &root, e))
            return x->config_path
                       ? false
                       : err_set(e, ERR_INVALID, "auth_module %.*s not found", STRF(module));
        m = yaml_get(yaml_get(root, STR("auth_modules")), module);
        if (!m)
            return err_set(e, ERR_INVALID, "auth_module %.*s not found", STRF(module));
        user = yaml_get(m, STR("userpass"));
        options = yaml_get(m, STR("options"));
    }
    buf_lit(&b, "postgresql://");
    if (user) {
        const struct yaml_node *name = yaml_get(user, STR("username"));
        const struct yaml_node *pass = yaml_get(user, STR("password"));
        buf_url_encode(&b, name ? name->text : STR(""));
        buf_char(&b, ':');
        buf_url_encode(&b, pass ? pass->text : STR(""));
        buf_char(&b, '@');
        size_t at = str_find_char(rest, '@');
        rest = at == STR_NPOS ? rest : str_sub(rest, at + 1, rest.n);
    }
    buf_str(&b, rest);
    bool has_path = str_find_char(rest, '/') != STR_NPOS;
    bool has_query = str_find_char(rest, '?') != STR_NPOS;
    for (size_t i = 0; options && options->kind == YAML_MAPPING && i < options->n; i++) {
        buf_printf(&b, "%s%.*s=",
                   has_query  ? "&"
                   : has_path ? "?"
                              : "/?",
                   STRF(options->pairs[i].key->text));
        buf_url_encode(&b, options->pairs[i].value->text);
        has_query = true;
    }
    *out = arena_str(a, buf_view(&b));
    return true;
}

static bool probe(struct exporter *b, const struct export_request *q, struct buf *out,
                  struct err *e)
{
    struct postgres *x = (struct postgres *)b;
    OWNED(arena_fini) struct arena a = { 0 };
    struct str target = export_param(q, "target"), dsn;

    if (!target.n)
        return err_set(e, ERR_INVALID, "target is required");
    if (!probe_dsn(x, &a, target, export_param(q, "auth_module"), &dsn, e))
        return false;
    page(x, (const char *const[]){ dsn.p }, 1, q, out);
    return true;
}

/* ---- life ---- */

static void close_postgres(struct exporter *b)
{
    struct postgres *x = (struct postgres *)b;

    pg_api_close(&x->api);
    mutex_fini(&x->mu);
    arena_fini(&x->a);
    xfree(x);
}

static const struct exporter_class class = {
    .name = "postgres_exporter",
    .title = "Postgres Exporter",
    .probe_path = "/probe",
    .probe_try = "target=localhost:5432/postgres",
    .metrics = metrics,
    .probe = probe,
    .close = close_postgres,
};

static void set_dsn(struct postgres *x, const struct export_postgres_options *o)
{
    VEC(const char *) dsn = { 0 };

    if (o->uri) {
        OWNED(buf_fini) struct buf b = { 0 };
        buf_lit(&b, "postgresql://");
        if (o->user) {
            buf_url_encode(&b, str_c(o->user));
            buf_char(&b, ':');
            buf_url_encode(&b, str_c(o->pass));
            buf_char(&b, '@');
        }
        buf_str(&b, str_c(o->uri));
        *vec_push_in(&x->a, &dsn) = arena_cstr(&x->a, buf_view(&b));
    }
    for (struct str rest = str_c(o->uri ? NULL : o->dsn); rest.n;) {
        struct str one = str_trim(str_cut(&rest, ','));
        if (one.n)
            *vec_push_in(&x->a, &dsn) = arena_cstr(&x->a, one);
    }
    x->dsn = dsn.v;
    x->dsn_count = dsn.n;
}

static bool set_on(struct postgres *x, const char *const *names, size_t n, bool on, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        bool known = strcmp(names[i], "settings") == 0;
        if (known)
            x->settings = on;
        for (size_t k = 0; k < pg_query_count; k++) {
            if (strcmp(pg_queries[k].collector, names[i]) != 0)
                continue;
            known = true;
            x->on[k] = on;
        }
        if (!known)
            return err_set(e, ERR_INVALID, "unknown collector \"%s\"", names[i]);
    }
    return true;
}

bool export_postgres_open(struct exporter **out, const struct export_postgres_options *o,
                          struct err *e)
{
    OWNED(exporter_close) struct exporter *b = xcalloc(1, sizeof(struct postgres));
    struct postgres *x = (struct postgres *)b;

    b->class = &class;
    mutex_init(&x->mu, "postgres", RANK_APP);
    set_dsn(x, o);
    x->config_path = o->config_path ? arena_cstr(&x->a, str_c(o->config_path)) : NULL;
    x->queries_path = o->queries_path ? arena_cstr(&x->a, str_c(o->queries_path)) : NULL;
    x->exclude = arena_str(&x->a, str_c(o->exclude_databases));
    x->on = arena_array(&x->a, pg_query_count, bool);
    for (size_t i = 0; i < pg_query_count; i++)
        x->on[i] = !pg_queries[i].off && !o->disable_defaults;
    x->settings = !o->disable_settings && !o->disable_defaults;
    if (!set_on(x, o->enable, o->enable_count, true, e) ||
        !set_on(x, o->disable, o->disable_count, false, e))
        return false;
    *out = TAKE(b);
    return true;
}
