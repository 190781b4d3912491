// check_config.c - `check config` and `check web-config`: files, and the files that they name.
// SPDX-License-Identifier: Apache-2.0
#include "app/check.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/time.h"
#include "net/web_config.h"
#include "pipeline/scrape.h"

struct checker {
    const struct check_options *o;
    struct arena *arena;
    const struct prom_config *config;
    VEC(struct str) rule_files;
};

/* ---- errors ---- */

struct str check_config_error(struct arena *a, const struct prom_config *c, const char *path,
                              const struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (!c || !c->problem_count)
        return arena_str(a, str_c(e->text));
    buf_printf(&b, "parsing YAML file %s: yaml: unmarshal errors:", path);
    for (size_t i = 0; i < c->problem_count; i++)
        buf_printf(&b, "\n  %.*s", STRF(c->problems[i].text));
    return arena_str(a, buf_view(&b));
}

// "line 3: field x …" says again what stands before it.
static struct str without_line(struct str text)
{
    size_t colon = str_find(text, STR(": "));

    if (str_starts(text, STR("yaml: ")))
        return without_line(str_sub(text, 6, text.n));
    if (!str_starts(text, STR("line ")) || colon == STR_NPOS)
        return text;
    return str_sub(text, colon + 2, text.n);
}

void check_show_config_error(const struct prom_config *c, const char *path, const struct err *e)
{
    struct str text = str_c(e->text), prefix = STR("parsing YAML file ");

    for (size_t i = 0; c && i < c->problem_count; i++) {
        const struct conf_problem *p = &c->problems[i];
        fprintf(stderr, "%s:%u:%u: %.*s%s%.*s\n", path, p->pos.line, p->pos.col,
                STRF(without_line(p->text)), p->hint.n ? "; " : "", STRF(p->hint));
    }
    if (c && c->problem_count)
        return;
    if (str_starts(text, prefix) && str_starts(str_sub(text, prefix.n, text.n), str_c(path)))
        text = str_sub(text, prefix.n + strlen(path) + 2, text.n);
    if (e->pos.line)
        fprintf(stderr, "%s:%u:%u: %.*s\n", path, e->pos.line, e->pos.col,
                STRF(without_line(text)));
    else
        fprintf(stderr, "%s: %.*s\n", path, STRF(text));
}

/* ---- files that are named ---- */

struct cli_list check_glob(struct arena *a, struct str pattern)
{
    VEC(struct str) all = { 0 };
    glob_t found = { 0 };

    glob(arena_cstr(a, pattern), 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++)
        *vec_push_in(a, &all) = arena_str(a, str_c(found.gl_pathv[i]));
    globfree(&found);
    return (struct cli_list){ all.v, all.n };
}

// errno's text as Go spells it: a small letter first.
static const char *errno_text(struct arena *a, int number)
{
    char *text = arena_cstr(a, str_c(strerror(number)));

    if (text[0] >= 'A' && text[0] <= 'Z')
        text[0] = (char)(text[0] + 32);
    return text;
}

static bool check_exists(struct checker *c, const char *what, struct str path, struct err *e)
{
    struct stat st;

    if (!path.n || stat(arena_cstr(c->arena, path), &st) == 0)
        return true;
    return err_set(e, ERR_NOT_FOUND, "error checking %s \"%.*s\": stat %.*s: %s", what, STRF(path),
                   STRF(path), errno_text(c->arena, errno));
}

static bool find_rule_files(struct checker *c, struct err *e)
{
    const struct conf_strs *patterns = &c->config->doc.rule_files;

    for (size_t i = 0; i < patterns->n; i++) {
        struct cli_list found = check_glob(c->arena, patterns->v[i]);
        if (!found.n && str_find_char(patterns->v[i], '*') == STR_NPOS)
            return err_set(e, ERR_NOT_FOUND, "\"%.*s\" does not point to an existing file",
                           STRF(patterns->v[i]));
        for (size_t k = 0; k < found.n; k++)
            *vec_push_in(c->arena, &c->rule_files) = found.v[k];
    }
    return true;
}

/* ---- targets ---- */

static struct str extension_of(struct str path)
{
    size_t dot = str_rfind_char(path, '.'), slash = str_rfind_char(path, '/');

    if (dot == STR_NPOS || (slash != STR_NPOS && slash > dot))
        return STR_NONE;
    return str_sub(path, dot, path.n);
}

static bool check_list_shape(struct arena *a, struct str text, bool json, struct err *e)
{
    static const char *const names[] = { "null", "string", "array", "object" };
    const struct yaml_node *root = NULL;

    if (!yaml_parse(a, text, &root, e))
        return false;
    if (root->kind == YAML_SEQUENCE || root->kind == YAML_NULL)
        return true;
    if (json)
        return err_set(e, ERR_INVALID,
                       "json: cannot unmarshal %s into Go value of type []*targetgroup.Group",
                       names[root->kind]);
    return err_set(e, ERR_INVALID,
                   "yaml: unmarshal errors:\n  line %u: cannot unmarshal %s into "
                   "[]*targetgroup.Group",
                   root->pos.line, root->kind == YAML_MAPPING ? "!!map" : "!!str");
}

bool check_sd_file(struct arena *a, const char *path, struct conf_list *out, struct err *e)
{
    struct str ext = extension_of(str_c(path)), text;
    bool json = str_eq_nocase(ext, STR(".json"));

    if (!file_read(a, path, 64 << 20, &text, e))
        return false;
    if (!json && !str_eq_nocase(ext, STR(".yml")) && !str_eq_nocase(ext, STR(".yaml")))
        return err_set(e, ERR_INVALID, "invalid file extension: \"%.*s\"", STRF(ext));
    return check_list_shape(a, text, json, e) && conf_target_groups_parse(a, text, out, e);
}

struct labels check_target_labels(struct arena *a, const struct conf_target_group *g,
                                  struct str target)
{
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };

    for (size_t i = 0; i < g->labels.n; i++)
        labels_builder_set(&b, g->labels.v[i].key, g->labels.v[i].value);
    labels_builder_set(&b, STR("__address__"), target);
    return labels_copy(a, labels_builder_view(&b));
}

typedef bool (*target_fn)(struct checker *c, const void *owner, struct labels target,
                          struct err *e);

static bool check_scrape_target(struct checker *c, const void *owner, struct labels target,
                                struct err *e)
{
    struct labels before, after;
    bool kept;

    return scrape_target_labels(owner, target, c->arena, &before, &after, &kept, e);
}

static bool check_alert_target(struct checker *c, const void *owner, struct labels target,
                               struct err *e)
{
    const struct conf_alertmanager *am = owner;
    OWNED(labels_builder_fini) struct labels_builder b = { 0 };
    bool kept = true;

    labels_builder_reset(&b, target);
    labels_builder_set(&b, STR("__scheme__"), am->scheme);
    for (size_t i = 0; kept && i < am->relabel_configs.n; i++)
        kept = relabel_apply(&((struct conf_relabel *)am->relabel_configs.v[i])->rule, 1, &b,
                             c->arena);
    struct str address = labels_builder_get(&b, STR("__address__"));
    if (kept && str_find_char(address, '/') != STR_NPOS)
        return err_set(e, ERR_INVALID, "\"%.*s\" is not a valid hostname", STRF(address));
    return true;
}

static bool check_groups(struct checker *c, const struct conf_list *groups, const void *owner,
                         target_fn check, struct err *e)
{
    for (size_t i = 0; i < groups->n; i++) {
        const struct conf_target_group *g = groups->v[i];
        for (size_t k = 0; k < g->targets.n; k++)
            if (!check(c, owner, check_target_labels(c->arena, g, g->targets.v[k]), e))
                return false;
    }
    return true;
}

static bool check_pattern(struct checker *c, struct str pattern, struct str job, const void *owner,
                          target_fn check, struct err *e)
{
    struct cli_list found = check_glob(c->arena, pattern);

    for (size_t i = 0; i < found.n; i++) {
        struct conf_list groups = { 0 };
        if (!check_sd_file(c->arena, found.v[i].p, &groups, e))
            return err_wrap(e, "checking SD file \"%.*s\"", STRF(pattern));
        if (!check_groups(c, &groups, owner, check, e))
            return false;
    }
    if (found.n)
        return true;
    if (job.p)
        printf("  WARNING: file \"%.*s\" for file_sd in scrape job \"%.*s\" does not exist\n",
               STRF(pattern), STRF(job));
    else
        printf("  WARNING: file \"%.*s\" for file_sd in alertmanager config does not exist\n",
               STRF(pattern));
    return true;
}

static bool check_discovery(struct checker *c, const struct conf_sd *sd, struct str job,
                            const void *owner, target_fn check, struct err *e)
{
    for (size_t i = 0; !c->o->syntax_only && i < sd->file_sd.n; i++) {
        const struct conf_file_sd *f = sd->file_sd.v[i];
        for (size_t k = 0; k < f->files.n; k++)
            if (!check_pattern(c, f->files.v[k], job, owner, check, e))
                return false;
    }
    return check_groups(c, &sd->static_configs, owner, check, e);
}

static bool check_job(struct checker *c, const struct conf_scrape *job, struct err *e)
{
    const struct conf_http *http = &job->http;

    if (!c->o->syntax_only) {
        if (http->authorization &&
            !check_exists(c, "authorization credentials or bearer token file",
                          http->authorization->credentials_file, e))
            return false;
        if (!check_exists(c, "client cert file", http->tls.cert_file, e) ||
            !check_exists(c, "client key file", http->tls.key_file, e))
            return false;
    }
    return check_discovery(c, &job->sd, job->job_name, job, check_scrape_target, e);
}

static bool check_inside(struct checker *c, struct err *e)
{
    const struct conf_prometheus *doc = &c->config->doc;

    if (!c->o->syntax_only && !find_rule_files(c, e))
        return false;
    for (size_t i = 0; i < doc->scrape_configs.n; i++)
        if (!check_job(c, doc->scrape_configs.v[i], e))
            return false;
    for (size_t i = 0; i < doc->alerting.alertmanagers.n; i++) {
        const struct conf_alertmanager *am = doc->alerting.alertmanagers.v[i];
        if (!check_discovery(c, &am->sd, STR_NONE, am, check_alert_target, e))
            return false;
    }
    return true;
}

/* ---- one configuration ---- */

// False: a data point would be stale before the next one comes.
static bool lint_intervals(struct checker *c, const char *path)
{
    const struct conf_list *jobs = &c->config->doc.scrape_configs;

    for (size_t i = 0; c->o->lookback_ms > 0 && i < jobs->n; i++) {
        const struct conf_scrape *job = jobs->v[i];
        OWNED(buf_fini) struct buf text = { 0 };
        if (job->scrape_interval_ms < c->o->lookback_ms)
            continue;
        buf_duration(&text, job->scrape_interval_ms);
        if (c->o->promtool)
            fprintf(stderr,
                    "  FAILED: too long scrape interval found, data point will be marked as stale "
                    "- job: %.*s, interval: %s\n",
                    STRF(job->job_name), buf_cstr(&text));
        else
            fprintf(stderr,
                    "%s: lint: job \"%.*s\" is scraped every %s, but a sample counts for less "
                    "than that: its graphs will have gaps\n",
                    path, STRF(job->job_name), buf_cstr(&text));
        return false;
    }
    return true;
}

static void say_config(const struct checker *c, const char *path, bool ok, const struct err *e)
{
    if (!ok && c->o->promtool) {
        struct str text = check_config_error(c->arena, c->config, path, e);
        fprintf(stderr, "  FAILED: %.*s\n", STRF(text));
    } else if (!ok) {
        check_show_config_error(c->config, path, e);
    } else if (c->o->promtool) {
        if (c->rule_files.n)
            printf("  SUCCESS: %zu rule files found\n", c->rule_files.n);
        printf(" SUCCESS: %s is valid prometheus config file syntax\n", path);
    } else {
        printf("%s: ok, %zu scrape jobs, %zu rule files\n", path, c->config->doc.scrape_configs.n,
               c->rule_files.n);
    }
    for (size_t i = 0; !c->o->promtool && c->config && i < c->config->warning_count; i++)
        fprintf(stderr, "%s:%u:%u: warning: %.*s\n", path, c->config->warnings[i].pos.line,
                c->config->warnings[i].pos.col, STRF(c->config->warnings[i].text));
    if (c->o->promtool)
        printf("\n");
}

static struct check_result check_one(const struct check_options *o, const char *path)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(prom_config_put) struct prom_config *config = NULL;
    struct prom_config_options load = { .agent = o->agent, .no_scrape_files = o->syntax_only };
    struct checker c = { .o = o, .arena = &a };
    struct check_result result = { 0 };
    struct err e = { 0 };

    if (o->promtool)
        printf("Checking %s\n", path);
    bool ok = prom_config_load(path, &load, &config, &e);
    c.config = config;
    ok = ok && check_inside(&c, &e);
    say_config(&c, path, ok, &e);
    if (!ok)
        return (struct check_result){ true, true };
    if (o->syntax_only)
        return result;
    result.failed = !lint_intervals(&c, path);
    struct cli_list rules = { c.rule_files.v, c.rule_files.n };
    struct check_result inner = check_rule_files(o, rules);
    result.failed |= inner.failed;
    result.is_error |= inner.is_error;
    return result;
}

int check_config(const struct check_options *o, struct cli_list files)
{
    struct check_result all = { 0 };

    for (size_t i = 0; i < files.n; i++) {
        struct check_result one = check_one(o, files.v[i].p);
        all.failed |= one.failed;
        all.is_error |= one.is_error;
    }
    return check_exit_code(o, all);
}

// promtool says neither file nor place: "FILE: 3:5: text".
static struct str without_place(struct str text, const char *path)
{
    if (!str_starts(text, str_c(path)))
        return text;
    text = str_sub(text, strlen(path) + 2, text.n);
    size_t digits = 0;
    while (digits < text.n &&
           ((text.p[digits] >= '0' && text.p[digits] <= '9') || text.p[digits] == ':'))
        digits++;
    return digits ? str_sub(text, digits + 1, text.n) : text;
}

int check_web_config(const struct check_options *o, struct cli_list files)
{
    bool failed = false;

    for (size_t i = 0; i < files.n; i++) {
        OWNED(web_config_put) struct web_config *w = NULL;
        const char *path = files.v[i].p;
        struct err e = { 0 };
        bool ok = web_config_load(&w, path, &e);
        failed |= !ok;
        if (o->promtool && ok)
            fprintf(stderr, "%s SUCCESS\n", path);
        else if (o->promtool)
            fprintf(stderr, "%s FAILED: %.*s\n", path, STRF(without_place(str_c(e.text), path)));
        else if (ok)
            printf("%s: ok, %zu users, %s\n", path, w->user_count, w->tls ? "TLS" : "no TLS");
        else if (e.pos.line)
            fprintf(stderr, "%s:%u:%u: %.*s\n", path, e.pos.line, e.pos.col,
                    STRF(without_place(str_c(e.text), path)));
        else
            fprintf(stderr, "%s\n", e.text);
    }
    return failed;
}
