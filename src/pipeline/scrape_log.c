/*
 * scrape_log.c - scrape_failure_log_file: one line of JSON per failed scrape, as upstream's logger
 * writes it. Jobs that name the same file share it.
 */
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "codec/json.h"
#include "pipeline/scrape_priv.h"

struct scrape_log {
    atomic_uint refs;
    int fd;
    char *path;
};

bool scrape_log_open(struct scrape_log **out, struct str path, struct err *e)
{
    struct scrape_log *l = xcalloc(1, sizeof *l);

    atomic_init(&l->refs, 1);
    l->path = xstrdup_str(path);
    l->fd = open(l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (l->fd < 0) {
        err_os(e, "can't create json log file: open %s", l->path);
        scrape_log_put(l);
        return false;
    }
    *out = l;
    return true;
}

struct scrape_log *scrape_log_get(struct scrape_log *l)
{
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void scrape_log_put(struct scrape_log *l)
{
    // acq_rel: the last holder sees what the others did
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (l->fd >= 0)
        close(l->fd);
    xfree(l->path);
    xfree(l);
}

struct str scrape_log_path(const struct scrape_log *l)
{
    return str_c(l->path);
}

void scrape_log_failure(struct scrape_log *l, const struct scrape_target *t, int64_t now_ms,
                        struct str text)
{
    OWNED(buf_fini) struct buf line = { 0 };

    buf_lit(&line, "{\"time\":\"");
    buf_rfc3339_ms(&line, now_ms);
    buf_lit(&line, "\",\"level\":\"ERROR\",\"source\":\"scrape.go\",\"msg\":");
    buf_json_str(&line, text);
    buf_lit(&line, ",\"job_name\":");
    buf_json_str(&line, t->pool->name);
    buf_lit(&line, ",\"target\":");
    buf_json_str(&line, t->url);
    buf_lit(&line, "}\n");
    // One write: lines of several workers do not mix.
    if (write(l->fd, line.p, line.n) != (ssize_t)line.n)
        log_warn("scrape", "failure log not written", KV("path", l->path));
}
