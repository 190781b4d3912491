/*
 * prometheus_load.c - from the file to the checked configuration: global defaults into jobs, paths
 * against the folder of the file, rules compiled, scrape_config_files read.
 */
// SPDX-License-Identifier: Apache-2.0
#include <glob.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "config/prometheus_priv.h"

enum { CONFIG_BYTES_MAX = 64 << 20 };

struct regex *conf_regex(struct conf_reader *r, struct str pattern, struct err *e)
{
    struct prom_config *c = r->ctx;
    struct regex *re = NULL;

    if (!regex_new(&re, pattern, REGEX_ANCHORED, e)) {
        // Upstream shows the pattern as it compiles it: with the anchors.
        if (str_find(str_c(e->text), STR("missing closing )")) != STR_NPOS)
            err_set(e, ERR_INVALID, "error parsing regexp: missing closing ): `^(?s:%.*s)$`",
                    STRF(pattern));
        return NULL;
    }
    c->regexes = xrealloc(c->regexes, (c->regex_count + 1) * sizeof(struct regex *));
    c->regexes[c->regex_count++] = re;
    return re;
}

bool conf_relabel_rules(struct prom_config *c, const struct conf_list *list, struct str scheme,
                        struct relabel_rule **out, struct err *e)
{
    struct conf_reader r = { .arena = &c->arena, .ctx = c };
    struct relabel_rule *rules = arena_array(&c->arena, list->n, struct relabel_rule);

    for (size_t i = 0; i < list->n; i++) {
        struct conf_relabel *l = list->v[i];
        struct relabel_rule *rule = &rules[i];
        *rule = (struct relabel_rule){ .source_labels = l->source_labels.v,
                                       .source_count = l->source_labels.n,
                                       .separator = l->separator,
                                       .modulus = l->modulus,
                                       .target_label = l->target_label,
                                       .replacement = l->replacement,
                                       .action = l->rule.action,
                                       .legacy_names = str_eq(scheme, STR("legacy")) };
        bool is_default = str_eq(l->regex, RELABEL_REGEX);
        if (!is_default && l->regex.n && !(rule->re = conf_regex(&r, l->regex, e)))
            return false;
        if (!relabel_rule_check(rule, e))
            return false;
        l->rule = *rule;
        if (is_default) // upstream does not print the default expression
            l->regex = STR_NONE;
    }
    *out = rules;
    return true;
}

/* ---- paths ---- */

static void join_dir(struct prom_config *c, struct str *path)
{
    if (path->n && path->p[0] != '/' && c->dir.n && !str_eq(c->dir, STR(".")))
        *path = arena_printf(&c->arena, "%.*s/%.*s", STRF(c->dir), STRF(*path));
}

static void join_http(struct prom_config *c, struct conf_http *h)
{
    if (h->basic_auth) {
        join_dir(c, &h->basic_auth->password_file);
        join_dir(c, &h->basic_auth->username_file);
    }
    if (h->authorization)
        join_dir(c, &h->authorization->credentials_file);
    if (h->oauth2) {
        join_dir(c, &h->oauth2->client_secret_file);
        join_dir(c, &h->oauth2->tls.ca_file);
        join_dir(c, &h->oauth2->tls.cert_file);
        join_dir(c, &h->oauth2->tls.key_file);
    }
    join_dir(c, &h->tls.ca_file);
    join_dir(c, &h->tls.cert_file);
    join_dir(c, &h->tls.key_file);
}

static void join_sd(struct prom_config *c, struct conf_sd *sd)
{
    for (size_t i = 0; i < sd->file_sd.n; i++) {
        struct conf_file_sd *f = sd->file_sd.v[i];
        for (size_t k = 0; k < f->files.n; k++)
            join_dir(c, &f->files.v[k]);
    }
    for (size_t i = 0; i < sd->http_sd.n; i++)
        join_http(c, &((struct conf_http_sd *)sd->http_sd.v[i])->http);
}

static void join_scrape(struct prom_config *c, struct conf_scrape *s)
{
    join_sd(c, &s->sd);
    join_http(c, &s->http);
    join_dir(c, &s->scrape_failure_log_file);
}

static void join_all(struct prom_config *c)
{
    struct conf_prometheus *d = &c->doc;

    join_dir(c, &d->global.query_log_file);
    join_dir(c, &d->global.scrape_failure_log_file);
    for (size_t i = 0; i < d->rule_files.n; i++)
        join_dir(c, &d->rule_files.v[i]);
    for (size_t i = 0; i < d->scrape_config_files.n; i++)
        join_dir(c, &d->scrape_config_files.v[i]);
    for (size_t i = 0; i < d->scrape_configs.n; i++)
        join_scrape(c, d->scrape_configs.v[i]);
    for (size_t i = 0; i < d->alerting.alertmanagers.n; i++) {
        struct conf_alertmanager *a = d->alerting.alertmanagers.v[i];
        join_sd(c, &a->sd);
        join_http(c, &a->http);
    }
    for (size_t i = 0; i < d->remote_write.n; i++)
        join_http(c, &((struct conf_remote_write *)d->remote_write.v[i])->http);
    for (size_t i = 0; i < d->remote_read.n; i++)
        join_http(c, &((struct conf_remote_read *)d->remote_read.v[i])->http);
    join_dir(c, &d->tracing.tls.ca_file);
}

/* ---- environment in external labels ---- */

static struct str env_get(const struct prom_config_options *o, struct str name)
{
    if (!o || !o->environ) {
        OWNED(buf_fini) struct buf b = { 0 };
        buf_str(&b, name);
        return str_c(getenv(buf_cstr(&b)));
    }
    for (const char *const *v = o->environ; *v; v++)
        if (str_starts(str_c(*v), name) && (*v)[name.n] == '=')
            return str_c(*v + name.n + 1);
    return STR_NONE;
}

static bool is_env_char(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           ch == '_';
}

// $VAR and ${VAR}; $$ is a dollar sign.
static struct str expand_env(struct prom_config *c, struct str s,
                             const struct prom_config_options *o)
{
    OWNED(buf_fini) struct buf b = { 0 };

    for (size_t i = 0; i < s.n; i++) {
        size_t from = i + 1, n = 0;
        if (s.p[i] != '$' || from == s.n) {
            buf_char(&b, s.p[i]);
            continue;
        }
        if (s.p[from] == '$') {
            buf_char(&b, '$');
            i = from;
            continue;
        }
        bool braces = s.p[from] == '{';
        from += braces;
        while (from + n < s.n && (braces ? s.p[from + n] != '}' : is_env_char(s.p[from + n])))
            n++;
        if (!n && !braces) {
            buf_char(&b, '$');
            continue;
        }
        buf_str(&b, env_get(o, str_sub(s, from, from + n)));
        i = from + n - (braces ? 0 : 1);
    }
    return arena_str(&c->arena, buf_view(&b));
}

/* ---- the document's own rules ---- */

// A path whose folder part has no wild card: [^*]*(\*[^/]*)?
static bool is_rule_path(struct str s)
{
    size_t star = str_find_char(s, '*');

    return star == STR_NPOS || str_find_char(str_sub(s, star, s.n), '/') == STR_NPOS;
}

static bool rule_paths_check(const struct conf_strs *paths, const char *what, struct err *e)
{
    for (size_t i = 0; i < paths->n; i++)
        if (!is_rule_path(paths->v[i]))
            return err_set(e, ERR_INVALID, "invalid %s file path \"%.*s\"", what,
                           STRF(paths->v[i]));
    return true;
}

static bool job_validate(struct prom_config *c, size_t i, struct err *e)
{
    struct conf_list *l = &c->doc.scrape_configs;
    const struct conf_scrape *a = l->v[i];

    if (!conf_scrape_validate(c, l->v[i], e))
        return false;
    for (size_t k = 0; k < i; k++) {
        const struct conf_scrape *b = l->v[k];
        if (str_eq(a->job_name, b->job_name))
            return err_set(e, ERR_INVALID, "found multiple scrape configs with job name \"%.*s\"",
                           STRF(a->job_name));
    }
    return true;
}

// root: of the document that has the jobs behind `from`; what is wrong has at least the job's place.
static bool jobs_validate(struct prom_config *c, size_t from, const struct yaml_node *root,
                          struct err *e)
{
    const struct yaml_node *list = yaml_get(root, STR("scrape_configs"));

    for (size_t i = from; i < c->doc.scrape_configs.n; i++) {
        if (job_validate(c, i, e))
            continue;
        if (!e->pos.line && list && list->kind == YAML_SEQUENCE && i - from < list->n)
            e->pos = list->items[i - from]->pos;
        return false;
    }
    return true;
}

static bool alerting_validate(struct prom_config *c, struct err *e)
{
    struct conf_alerting *a = &c->doc.alerting;
    struct str scheme = c->doc.global.metric_name_validation_scheme;
    struct relabel_rule *rules;

    for (size_t i = 0; i < a->alertmanagers.n; i++) {
        struct conf_alertmanager *m = a->alertmanagers.v[i];
        if (!conf_relabel_rules(c, &m->relabel_configs, scheme, &rules, e) ||
            !conf_relabel_rules(c, &m->alert_relabel_configs, scheme, &rules, e))
            return false;
    }
    return conf_relabel_rules(c, &a->alert_relabel_configs, scheme, &rules, e);
}

static bool remotes_validate(struct prom_config *c, struct err *e)
{
    struct conf_list *w = &c->doc.remote_write, *rd = &c->doc.remote_read;
    struct relabel_rule *rules;

    for (size_t i = 0; i < w->n; i++) {
        struct conf_remote_write *a = w->v[i];
        if (!a)
            return err_set(e, ERR_INVALID, "empty or null remote write config section");
        for (size_t k = 0; k < i; k++)
            if (a->name.n && str_eq(a->name, ((struct conf_remote_write *)w->v[k])->name))
                return err_set(e, ERR_INVALID,
                               "found multiple remote write configs with job name \"%.*s\"",
                               STRF(a->name));
        if (!conf_relabel_rules(c, &a->write_relabel_configs,
                                c->doc.global.metric_name_validation_scheme, &rules, e))
            return false;
    }
    for (size_t i = 0; i < rd->n; i++) {
        struct conf_remote_read *a = rd->v[i];
        if (!a)
            return err_set(e, ERR_INVALID, "empty or null remote read config section");
        for (size_t k = 0; k < i; k++)
            if (a->name.n && str_eq(a->name, ((struct conf_remote_read *)rd->v[k])->name))
                return err_set(e, ERR_INVALID,
                               "found multiple remote read configs with job name \"%.*s\"",
                               STRF(a->name));
    }
    return true;
}

// Absent blocks get what upstream's defaults say.
static void fill_blocks(struct prom_config *c)
{
    struct conf_prometheus *d = &c->doc;

    if (!d->runtime.gogc)
        d->runtime.gogc = 75;
    if (!d->storage.tsdb)
        d->storage.tsdb = arena_new(&c->arena, struct conf_tsdb);
    if (!d->storage.tsdb->retention) {
        d->storage.tsdb->retention = arena_new(&c->arena, struct conf_retention);
        d->storage.tsdb->retention->time_ms = INT64_C(15) * 86400000;
    }
    if (!d->storage.exemplars) {
        d->storage.exemplars = arena_new(&c->arena, struct conf_exemplars);
        d->storage.exemplars->max_exemplars = 100000;
    }
}

static bool agent_check(const struct yaml_node *root, struct err *e)
{
    static const char *const refused[] = { "alerting", "rule_files", "remote_read" };

    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        const struct yaml_node *n = yaml_get(root, str_c(refused[i]));
        if (!yaml_is_null(n) && n->n)
            return err_at(e, n->pos, ERR_INVALID, "field %s is not allowed in agent mode",
                          refused[i]);
    }
    return true;
}

static bool validate(struct prom_config *c, const struct yaml_node *root,
                     const struct prom_config_options *o, struct err *e)
{
    struct conf_prometheus *d = &c->doc;

    fill_blocks(c);
    if (!d->global.scrape_interval_ms && !conf_global_check(NULL, NULL, &d->global, e))
        return false; // no global block: its check has not filled in the defaults
    for (size_t i = 0; i < d->global.external_labels.n; i++)
        d->global.external_labels.v[i].value = expand_env(c, d->global.external_labels.v[i].value,
                                                          o);
    return rule_paths_check(&d->rule_files, "rule", e) &&
           rule_paths_check(&d->scrape_config_files, "scrape config", e) &&
           jobs_validate(c, 0, root, e) && alerting_validate(c, e) && remotes_validate(c, e);
}

static void keep_problems(struct prom_config *c, struct conf_reader *r)
{
    c->problems = r->problems.v;
    c->problem_count = r->problems.n;
    c->warnings = r->warnings.v;
    c->warning_count = r->warnings.n;
}

static bool read_document(struct prom_config *c, struct str text,
                          const struct prom_config_options *o, struct err *e)
{
    struct conf_reader r = { .arena = &c->arena, .ctx = c };
    const struct yaml_node *root = NULL;

    if (!yaml_parse(&c->arena, text, &root, e))
        return false;
    bool ok = conf_read(&r, &conf_prometheus_type, root, &c->doc, e) && validate(c, root, o, e);
    keep_problems(c, &r);
    if (ok && o && o->agent)
        ok = agent_check(root, e);
    return ok;
}

/* ---- scrape_config_files ---- */

static bool read_scrape_file(struct prom_config *c, const char *path, struct err *e)
{
    struct conf_reader r = { .arena = &c->arena, .ctx = c };
    struct conf_list_only only = { 0 };
    const struct yaml_node *root = NULL;
    struct conf_list *all = &c->doc.scrape_configs;
    struct str text;

    if (!file_read(&c->arena, path, CONFIG_BYTES_MAX, &text, e))
        return false;
    if (!yaml_parse(&c->arena, text, &root, e) ||
        !conf_read(&r, &conf_scrape_file_type, root, &only, e)) {
        keep_problems(c, &r);
        return err_wrap(e, "parsing YAML file %s", path);
    }
    void **v = arena_array(&c->arena, all->n + only.list.n, void *);
    if (all->n)
        memcpy(v, all->v, all->n * sizeof *v);
    if (only.list.n)
        memcpy(v + all->n, only.list.v, only.list.n * sizeof *v);
    size_t from = all->n;
    *all = (struct conf_list){ v, all->n + only.list.n };
    if (!jobs_validate(c, from, root, e))
        return err_wrap(e, "parsing YAML file %s", path);
    struct str dir = c->dir;
    size_t slash = str_rfind_char(str_c(path), '/');
    c->dir = slash == STR_NPOS ? STR_NONE : arena_str(&c->arena, str_of(path, slash));
    for (size_t i = from; i < all->n; i++)
        join_scrape(c, all->v[i]);
    c->dir = dir;
    return true;
}

static bool read_scrape_files(struct prom_config *c, struct err *e)
{
    bool ok = true;

    for (size_t i = 0; ok && i < c->doc.scrape_config_files.n; i++) {
        glob_t found = { 0 };
        glob(arena_cstr(&c->arena, c->doc.scrape_config_files.v[i]), 0, NULL, &found);
        for (size_t k = 0; ok && k < found.gl_pathc; k++)
            ok = read_scrape_file(c, found.gl_pathv[k], e);
        globfree(&found);
    }
    return ok;
}

/* ---- entry ---- */

static struct prom_config *config_new(const char *path)
{
    struct prom_config *c = xcalloc(1, sizeof *c);
    c->refs = 1;
    size_t slash = str_rfind_char(str_c(path), '/');

    c->path = arena_str(&c->arena, str_c(path));
    c->dir = slash == STR_NPOS ? STR_NONE : str_sub(c->path, 0, MAX(slash, (size_t)1));
    return c;
}

bool prom_config_parse(struct str text, const char *path, const struct prom_config_options *o,
                       struct prom_config **out, struct err *e)
{
    struct prom_config *c = config_new(path);

    *out = c; // also on failure: its problems are shown
    if (!read_document(c, text, o, e)) {
        bool plain = str_find(str_c(e->text), STR("agent mode")) != STR_NPOS;
        return plain ? false : err_wrap(e, "parsing YAML file %s", path);
    }
    join_all(c);
    c->doc.own_scrape_configs = c->doc.scrape_configs.n;
    return (o && o->no_scrape_files) || read_scrape_files(c, e);
}

bool prom_config_load(const char *path, const struct prom_config_options *o,
                      struct prom_config **out, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct str text;

    if (!file_read(&a, path, CONFIG_BYTES_MAX, &text, e))
        return false;
    return prom_config_parse(text, path, o, out, e);
}

struct prom_config *prom_config_get(struct prom_config *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void prom_config_put(struct prom_config *c)
{
    // release and acquire: what other holders did is done before the memory goes
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < c->regex_count; i++)
        regex_free(c->regexes[i]);
    xfree(c->regexes);
    arena_fini(&c->arena);
    xfree(c);
}

bool conf_target_groups_parse(struct arena *a, struct str text, struct conf_list *out,
                              struct err *e)
{
    struct conf_reader r = { .arena = a };
    const struct yaml_node *root = NULL;

    if (!yaml_parse(a, text, &root, e))
        return false;
    if (root->kind != YAML_SEQUENCE && root->kind != YAML_NULL)
        return err_at(e, root->pos, ERR_INVALID, "expected a list of target groups, got %s",
                      yaml_kind_name(root));
    struct conf_list list = { arena_array(a, root->n, void *), root->n };
    for (size_t i = 0; i < root->n; i++) {
        if (root->items[i]->kind != YAML_MAPPING)
            return err_at(e, root->items[i]->pos, ERR_INVALID,
                          "nil target group item found (index %zu)", i);
        list.v[i] = arena_new(a, struct conf_target_group);
        if (!conf_read(&r, &conf_target_group_type, root->items[i], list.v[i], e))
            return false;
    }
    *out = list;
    return true;
}
