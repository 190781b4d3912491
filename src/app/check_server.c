// check_server.c - `check healthy`, `check ready`, `check service-discovery`.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "app/check.h"
#include "app/tools_http.h"
#include "base/thread.h"
#include "base/time.h"
#include "codec/json.h"
#include "pipeline/scrape.h"

int check_server(const struct check_options *o, struct str url, const char *path,
                 struct str http_config_file)
{
    OWNED(tools_http_close) struct tools_http h = { 0 };
    struct tools_answer answer;
    struct err e = { 0 };

    if (!tools_http_open(&h, http_config_file, &e)) {
        fprintf(stderr, "error creating API client: %s\n", e.text);
        return 1;
    }
    struct tools_call call = { .url = tools_url(&h.arena, url, path), .timeout_ms = 10000 };
    if (!tools_http_call(&h, &call, &answer, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    if (answer.status != 200) {
        fprintf(stderr, "check failed: URL=%.*s, status=%d\n", STRF(url), answer.status);
        return 1;
    }
    if (o->promtool)
        fprintf(stderr, "  SUCCESS:  %.*s\n", STRF(answer.body));
    else
        printf("%.*s: %.*s\n", STRF(url), STRF(str_trim(answer.body)));
    return 0;
}

/* ---- service discovery ---- */

struct found {
    struct arena arena;
    struct mutex mu;
    struct cond changed;
    VEC(struct labels) targets; // under mu
};

static void keep_targets(void *ctx, size_t set UNUSED, const struct labels *targets, size_t n)
{
    struct found *f = ctx;
    LOCKED(&f->mu);

    f->targets.n = 0; // a later answer replaces the earlier one
    for (size_t i = 0; i < n; i++)
        *vec_push_in(&f->arena, &f->targets) = labels_copy(&f->arena, targets[i]);
    cond_wake(&f->changed);
}

static bool needs_network(const struct conf_sd *sd)
{
    return sd->http_sd.n || sd->dns_sd.n;
}

// As Go's MarshalIndent with two blanks.
static void write_labels(struct buf *b, const char *key, struct labels ls)
{
    buf_printf(b, "    \"%s\": {", key);
    for (size_t i = 0; i < ls.n; i++) {
        buf_printf(b, "%s\n      ", i ? "," : "");
        buf_json_str(b, ls.v[i].name);
        buf_lit(b, ": ");
        buf_json_str(b, ls.v[i].value);
    }
    buf_str(b, ls.n ? STR("\n    }") : STR("}"));
}

static void write_target(struct buf *b, struct arena *a, const struct conf_scrape *job,
                         struct labels target)
{
    struct labels before = { 0 }, after = { 0 };
    struct err e = { 0 };
    bool kept = true;

    bool ok = scrape_target_labels(job, target, a, &before, &after, &kept, &e);
    buf_lit(b, "  {\n");
    write_labels(b, "discoveredLabels", before);
    buf_lit(b, ",\n");
    write_labels(b, "labels", ok && kept ? after : (struct labels){ 0 });
    if (!ok) {
        buf_lit(b, ",\n    \"error\": ");
        buf_json_str(b, str_c(e.text));
    }
    buf_lit(b, "\n  }");
}

static void show_targets(struct found *f, const struct conf_scrape *job)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_char(&b, '[');
    for (size_t i = 0; i < f->targets.n; i++) {
        buf_str(&b, i ? STR(",\n") : STR("\n"));
        write_target(&b, &f->arena, job, f->targets.v[i]);
    }
    buf_str(&b, f->targets.n ? STR("\n]") : STR("]"));
    fwrite(b.p, 1, b.n, stdout);
}

static bool find_targets(struct found *f, const struct conf_scrape *job, int64_t timeout_ns,
                         struct err *e)
{
    OWNED(http_client_stop) struct http_client *client = NULL;
    OWNED(discover_stop) struct discover *d = NULL;
    struct discover_set set = { job->job_name, &job->sd };

    if (!http_client_start(&client, e))
        return false;
    struct discover_options o = { .name = "check",
                                  .sets = &set,
                                  .set_count = 1,
                                  .client = client,
                                  .update = keep_targets,
                                  .ctx = f };
    if (!discover_start(&d, &o, e))
        return false;
    // Static targets and files are there at once; the network gets the time that was asked for.
    struct clock *clock = clock_real();
    int64_t end_ns = clock_mono_ns(clock) + (needs_network(&job->sd) ? timeout_ns : NS_SECOND);
    mutex_lock(&f->mu);
    while (!f->targets.n && clock_mono_ns(clock) < end_ns)
        cond_wait(&f->changed, &f->mu, (end_ns - clock_mono_ns(clock)) / NS_MS + 1);
    mutex_unlock(&f->mu);
    return true;
}

static const struct conf_scrape *find_job(const struct prom_config *c, struct str name)
{
    for (size_t i = 0; i < c->doc.scrape_configs.n; i++) {
        const struct conf_scrape *job = c->doc.scrape_configs.v[i];
        if (str_eq(job->job_name, name))
            return job;
    }
    fprintf(stderr, "Job %.*s not found. Select one of:\n", STRF(name));
    for (size_t i = 0; i < c->doc.scrape_configs.n; i++)
        fprintf(stderr, "\t%.*s\n",
                STRF(((struct conf_scrape *)c->doc.scrape_configs.v[i])->job_name));
    return NULL;
}

int check_service_discovery(struct str config_file, struct str job_name, int64_t timeout_ns)
{
    OWNED(prom_config_put) struct prom_config *config = NULL;
    OWNED(arena_fini) struct arena a = { 0 };
    struct found f = { 0 };
    struct err e = { 0 };

    if (!prom_config_load(config_file.p, NULL, &config, &e)) {
        struct str text = check_config_error(&a, config, config_file.p, &e);
        fprintf(stderr, "Cannot load config %.*s\n", STRF(text));
        return 1;
    }
    const struct conf_scrape *job = find_job(config, job_name);
    if (!job)
        return 1;
    mutex_init(&f.mu, "found targets", RANK_LEAF);
    cond_init(&f.changed);
    bool ok = find_targets(&f, job, timeout_ns, &e);
    if (ok)
        show_targets(&f, job);
    else
        fprintf(stderr, "%s\n", e.text);
    cond_fini(&f.changed);
    mutex_fini(&f.mu);
    arena_fini(&f.arena);
    return !ok;
}
