/*
 * catalog_bench.c - 1 M series × 10 labels in one catalog: memory, adding, selecting, freezing.
 *
 * The series look like those of 500 hosts with about 400 metrics of a few variants each, plus
 * one label in twenty with a value of its own.
 */
// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/catalog.h"
#include "store/page_cache.h"

enum { LABELS = 10 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t resident(void)
{
    unsigned long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f || fscanf(f, "%lu %lu", &size, &pages) != 2)
        pages = 0;
    if (f)
        fclose(f);
    return pages * 4096;
}

static const char *const name[LABELS] = { "__name__", "cluster", "container", "env",    "instance",
                                          "job",      "mode",    "path",      "region", "team" };

struct maker {
    char text[LABELS][64];
    struct label label[LABELS];
};

// Series i: metrics vary fastest inside a host, as in a scrape.
static struct labels make(struct maker *m, uint32_t i)
{
    uint32_t host = i / 2000, metric = i % 2000 / 5, variant = i % 5;
    size_t n[LABELS];

#define PUT(k, ...) n[k] = (size_t)snprintf(m->text[k], sizeof m->text[k], __VA_ARGS__)
    PUT(0, "node_subsystem%u_metric_%u_total", metric % 17, metric);
    PUT(1, "eu-%u", host % 4);
    PUT(2, "container-%u", metric % 23);
    PUT(3, "production");
    PUT(4, "host-%04u.example.net:9100", host);
    PUT(5, "job-%u", host % 12);
    PUT(6, "mode%u", variant);
    if (i % 20 == 0)
        PUT(7, "/var/lib/docker/overlay2/%08x/merged", i * 2654435761u);
    else
        PUT(7, "/data/%u", metric % 50);
    PUT(8, "region-%u", host % 3);
    PUT(9, "team-%u", metric % 9);
#undef PUT
    for (size_t k = 0; k < LABELS; k++)
        m->label[k] = (struct label){ str_c(name[k]), { m->text[k], n[k] } };
    return (struct labels){ m->label, LABELS };
}

struct bench {
    struct catalog *catalog;
    struct page_cache *pages;
    const char *dir;
    struct arena arena;
    uint32_t count;
};

static void fail(const struct err *e)
{
    fprintf(stderr, "%s\n", e->text);
    exit(1);
}

static void drain(struct bench *b, uint64_t *bytes)
{
    struct buf buf = { 0 };
    uint64_t number;

    while (catalog_log_take(b->catalog, 1 << 20, &buf, &number))
        *bytes += buf.n;
    buf_fini(&buf);
}

static void add_all(struct bench *b, uint32_t from, uint32_t to)
{
    struct maker m;
    struct err e;
    uint32_t id;
    uint64_t bytes = 0, before = resident();
    double at = now(), made = 0;

    for (uint32_t i = from; i < to; i++) // what making the label sets costs
        make(&m, i);
    made = now() - at;
    at = now();
    for (uint32_t i = from; i < to; i++) {
        struct labels ls = make(&m, i);
        if (!catalog_add(b->catalog, ls, labels_fingerprint(ls, 1), 0, &id, &e))
            fail(&e);
        if (i % 1000 == 0)
            drain(b, &bytes);
    }
    drain(b, &bytes);
    struct catalog_memory mem;
    catalog_memory(b->catalog, &mem);
    printf("add %u: %.0f ns each (and %.0f to make them), log %.1f B each; open segment %.1f B per "
           "series by count, %.1f B by resident memory\n",
           to - from, (now() - at - made) * 1e9 / (to - from), made * 1e9 / (to - from),
           (double)bytes / (to - from), (double)mem.open_bytes / (double)mem.open_series,
           (double)(resident() - before) / (to - from));
}

static void ask(struct bench *b, const char *what, const struct matcher *m, size_t n)
{
    struct catalog_view *v = catalog_view_get(b->catalog);
    struct budget budget = { 0 };
    struct arena a = { 0 };
    struct catalog_read r = { &a, &budget, NULL };
    struct catalog_ids ids;
    struct err e;
    double first = 0, best = 1e9, labels = 1e9;

    for (int i = 0; i < 9; i++) {
        arena_reset(&a);
        double at = now();
        if (!catalog_select(v, &(struct catalog_query){ m, n, 0 }, &r, &ids, &e))
            fail(&e);
        double took = now() - at;
        first = i ? first : took;
        best = took < best ? took : best;
    }
    if (ids.n) {
        struct labels *ls = arena_array(&a, ids.n, struct labels);
        for (int i = 0; i < 2; i++) {
            double at = now();
            if (!catalog_labels(v, ids, &r, ls, &e))
                fail(&e);
            labels = (now() - at) < labels ? now() - at : labels;
        }
    }
    printf("  %-34s %8zu ids  first %8.1f us  again %8.1f us  labels %6.0f ns each\n", what, ids.n,
           first * 1e6, best * 1e6, ids.n ? labels * 1e9 / (double)ids.n : 0);
    catalog_view_put(v);
    arena_fini(&a);
}

static struct matcher matcher(enum match_op op, const char *label, const char *value)
{
    struct matcher m = { .op = op, .name = str_c(label), .value = str_c(value) };
    struct regex *re = NULL;
    struct err e;

    if (op >= MATCH_RE && !regex_new(&re, m.value, REGEX_ANCHORED, &e))
        fail(&e);
    m.re = re;
    return m;
}

static void values(struct bench *b, const char *label, size_t limit, const struct matcher *m,
                   size_t n)
{
    struct catalog_view *v = catalog_view_get(b->catalog);
    struct budget budget = { 0 };
    struct arena a = { 0 };
    struct catalog_read r = { &a, &budget, NULL };
    struct catalog_values_query q = { { m, n, 0 }, str_c(label), limit };
    struct catalog_strs out;
    struct err e;
    double best = 1e9;

    for (int i = 0; i < 3; i++) {
        arena_reset(&a);
        double at = now();
        if (!catalog_label_values(v, &q, &r, &out, &e))
            fail(&e);
        best = now() - at < best ? now() - at : best;
    }
    printf("  values of %-10s limit %-5zu %s %8zu values %10.1f us\n", label, limit,
           n ? "with matcher" : "            ", out.n, best * 1e6);
    catalog_view_put(v);
    arena_fini(&a);
}

static void questions(struct bench *b, const char *state)
{
    struct matcher eq = matcher(MATCH_EQ, "__name__", "node_subsystem3_metric_3_total");
    struct matcher host = matcher(MATCH_EQ, "instance", "host-0100.example.net:9100");
    struct matcher job = matcher(MATCH_EQ, "job", "job-3");
    struct matcher two[] = { eq, job }, narrow[] = { eq, host };
    struct matcher alt = matcher(MATCH_RE, "instance",
                                 "host-0001.example.net:9100|host-0100.example.net:9100");
    struct matcher prefix = matcher(MATCH_RE, "__name__", "node_subsystem3.*");
    struct matcher general = matcher(MATCH_RE, "instance", ".*-0[0-9]{2}5\\..*");
    struct matcher paths = matcher(MATCH_RE, "path", ".*ff/merged");
    struct matcher not [] = { eq, matcher(MATCH_NE, "mode", "mode1") };
    struct matcher none[] = { matcher(MATCH_NE, "mode", "mode1") };

    printf("%s:\n", state);
    ask(b, "name", &eq, 1);
    ask(b, "name, job", two, 2);
    ask(b, "name, instance", narrow, 2);
    ask(b, "instance=~a|b", &alt, 1);
    ask(b, "__name__=~prefix.*", &prefix, 1);
    ask(b, "instance=~general", &general, 1);
    ask(b, "path=~general, many values", &paths, 1);
    ask(b, "name, mode!=", not, 2);
    ask(b, "mode!=", none, 1);
    ask(b, "everything", NULL, 0);
    values(b, "instance", 0, NULL, 0);
    values(b, "path", 0, NULL, 0);
    values(b, "path", 100, NULL, 0);
    values(b, "instance", 0, &eq, 1);
}

static void seal(struct bench *b, bool merge, uint64_t number)
{
    struct catalog_build *build;
    struct catalog_memory mem;
    struct err e;
    double at;

    catalog_rotate(b->catalog, number);
    at = now();
    if (!(merge ? catalog_merge(b->catalog, number, true, &build, &e)
                : catalog_freeze(b->catalog, number, &build, &e)) ||
        !catalog_install(b->catalog, build, &e))
        fail(&e);
    catalog_memory(b->catalog, &mem);
    printf("%s: %.0f ms, %.1f B per series on disk, %" PRIu64 " B resident\n",
           merge ? "merge" : "freeze", (now() - at) * 1e3,
           (double)mem.sealed_file_bytes / (double)mem.sealed_series, mem.sealed_bytes);
}

int main(int argc, char **argv)
{
    struct bench b = { .count = argc > 1 ? (uint32_t)atol(argv[1]) : 1000000 };
    struct err e;
    uint32_t step = 256 << 10;

    b.dir = file_temp_dir(&b.arena);
    b.pages = page_cache_new(&(struct page_cache_options){ .bytes_max = 256 << 20 });
    struct catalog_options o = { .dir = b.dir, .cache = b.pages };
    if (!catalog_open(&b.catalog, &o, NULL, &e))
        fail(&e);
    catalog_start(b.catalog, 1, 0);
    for (uint32_t from = 0, k = 0; from < b.count; from += step, k++) {
        uint32_t to = b.count - from < step ? b.count : from + step;
        add_all(&b, from, to);
        if (k == 0)
            questions(&b, "open segment");
        seal(&b, false, 10 + k);
        if (k == 0)
            questions(&b, "sealed segment");
    }
    questions(&b, "all, in several segments");
    seal(&b, true, 100);
    questions(&b, "all, merged");
    double at = now();
    struct catalog_segment *v;
    size_t n;
    v = catalog_segments(b.catalog, &b.arena, &n);
    catalog_close(b.catalog);
    o.segments = v;
    o.segment_count = n;
    at = now();
    if (!catalog_open(&b.catalog, &o, NULL, &e))
        fail(&e);
    printf("open: %.2f ms\n", (now() - at) * 1e3);
    catalog_close(b.catalog);
    page_cache_free(b.pages);
    if (!file_remove_tree(b.dir, &e))
        fail(&e);
    arena_fini(&b.arena);
    return 0;
}
