/*
 * chunk_bench.c - size and speed of metric parts over synthetic scrapes.
 *
 * A target has 200 series: constants, counters of many speeds, gauges, classic histograms of
 * which some are idle, float sums, seconds with nine digits. Targets are scraped every 15 s with
 * a few milliseconds of jitter in one column of two (the rest is snapped to the grid). Times are
 * CPU time of this process; sizes are bytes of the file.
 *
 *   chunk_bench [folder for parts, /tmp]
 */
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rand.h"
#include "metrics/chunk.h"
#include "metrics/metric_part.h"

enum { SERIES = 200, BUCKETS = 12, PARTS = 8 };

static const struct part_id ID = { .owner = 1, .number = 1, .epoch = 1 };

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double uniform(struct rand_state *r)
{
    return (double)(rand_next(r) >> 11) * 0x1p-53;
}

// Poisson for small means, a rounded normal above.
static double arrivals(struct rand_state *r, double mean)
{
    double limit = exp(-mean), product = 1, n = -1, sum = -6;

    if (mean > 30) {
        for (int i = 0; i < 12; i++)
            sum += uniform(r);
        return fmax(0, rint(mean + sqrt(mean) * sum));
    }
    do {
        product *= uniform(r);
        n++;
    } while (product > limit);
    return n;
}

/* ---- data ---- */

struct data {
    size_t targets, n;
    double *value; // series by series, n each
    int64_t *t_ms; // target by target, n each
};

static void fill_constants(struct rand_state *r, double **out, size_t n, size_t count)
{
    static const double usual[] = { 0, 0, 0, 1, 1, 100, 65536, 1048576, 0.5, 1795219123.45 };

    for (size_t s = 0; s < count; s++, *out += n)
        for (size_t i = 0, which = rand_next(r) >> 40; i < n; i++)
            (*out)[i] = usual[which % 10];
}

// Twelve buckets, a sum and a count. Observations spread around a bucket of the family's.
static void fill_histogram(struct rand_state *r, double **out, size_t n, double rate)
{
    double bucket[BUCKETS] = { 0 }, sum = 0, count = 0, middle = 3 + 5 * uniform(r);

    for (size_t i = 0; i < n; i++) {
        for (double k = arrivals(r, rate); k > 0; k--) {
            double at = middle + 1.4 * (uniform(r) + uniform(r) + uniform(r) - 1.5);

            for (int b = 0; b < BUCKETS; b++)
                bucket[b] += at <= b;
            sum += 0.005 * exp2(at) * (1 + uniform(r));
            count++;
        }
        for (int b = 0; b < BUCKETS; b++)
            (*out)[(size_t)b * n + i] = bucket[b];
        (*out)[BUCKETS * n + i] = sum;
        (*out)[(BUCKETS + 1) * n + i] = count;
    }
    *out += (BUCKETS + 2) * n;
}

static void fill_counters(struct rand_state *r, double **out, size_t n, size_t count)
{
    for (size_t s = 0; s < count; s++, *out += n) {
        double rate = exp(uniform(r) * 12 - 4), last = floor(uniform(r) * 1e8);
        double unit = s % 5 == 0 ? 512 : s % 5 == 1 ? floor(uniform(r) * 900) + 100 : 1;

        for (size_t i = 0; i < n; i++)
            (*out)[i] = last += unit * arrivals(r, rate);
    }
}

static void fill_gauges(struct rand_state *r, double **out, size_t n, size_t count)
{
    for (size_t s = 0; s < count; s++, *out += n) {
        double walk = 1000 + 1000 * uniform(r);

        for (size_t i = 0; i < n; i++) {
            double *v = &(*out)[i];

            walk = fmax(1, walk + (uniform(r) < 0.3 ? floor(20 * uniform(r)) - 10 : 0));
            switch (s % 8) {
            case 0:
                *v = floor(walk / 100); // threads
                break;
            case 1:
            case 2:
                *v = walk * 4096 * 16; // resident memory
                break;
            case 3:
                *v = floor(walk * 8012) * 8; // heap
                break;
            case 4:
                *v = rint(walk) / 100; // load
                break;
            case 5:
                *v = (i ? v[-1] : 100) + rint(uniform(r) * 40) / 100; // CPU seconds, as float sums
                break;
            case 6:
                *v = rint(uniform(r) * 300); // noise
                break;
            default:
                *v = 1795219200 + 15.0 * (double)i; // clock
            }
        }
    }
}

static void fill_seconds(struct rand_state *r, double **out, size_t n, size_t count)
{
    for (size_t s = 0; s < count; s++, *out += n) {
        double v = 0;

        for (size_t i = 0; i < n; i++) {
            if (i == 0 || uniform(r) < 0.1)
                v = rint(uniform(r) * 1e6) / 1e9;
            (*out)[i] = v;
        }
    }
}

static struct data make_data(size_t targets, size_t n)
{
    struct data d = { .targets = targets, .n = n };
    struct rand_state r = rand_seeded(42);

    d.value = xmalloc(targets * SERIES * n * sizeof *d.value);
    d.t_ms = xmalloc(targets * n * sizeof *d.t_ms);
    double *out = d.value;
    for (size_t t = 0; t < targets; t++) {
        for (size_t i = 0; i < n; i++)
            d.t_ms[t * n + i] = 1795219200000 + (int64_t)(t * 37 % 15000 + i * 15000) +
                                (t % 2 ? (int64_t)(uniform(&r) * 8) : 0);
        fill_constants(&r, &out, n, 60);
        for (int h = 0; h < 6; h++)
            fill_histogram(&r, &out, n, h < 2 ? 0 : h == 2 ? 0.5 : h == 3 ? 8 : h == 4 ? 60 : 300);
        fill_counters(&r, &out, n, 30);
        fill_gauges(&r, &out, n, 16);
        fill_seconds(&r, &out, n, 10);
    }
    if (out != d.value + targets * SERIES * n)
        abort();
    return d;
}

static void free_data(struct data *d)
{
    xfree(d->value);
    xfree(d->t_ms);
}

/* ---- measuring ---- */

static void must(bool ok, const struct err *e)
{
    if (!ok) {
        fprintf(stderr, "%s\n", e->text);
        exit(1);
    }
}

// Values only: blocks in memory. Prints bytes, encode and decode ns a sample.
static void measure_blocks(const struct data *d)
{
    struct block_builder *b = block_builder_new();
    struct block_reader *r = block_reader_new();
    struct buf bytes = { 0 };
    size_t blocks = 0, cap = 0, *offset = NULL, total = d->targets * SERIES;
    double out[CHUNK_VALUES_MAX], start = cpu_ns();

    for (size_t s = 0; s <= total; s++) {
        if (s == total || !block_builder_has_room(b, d->n)) {
            if (blocks + 2 > cap)
                offset = xrealloc(offset, (cap = cap * 2 + 64) * sizeof *offset);
            offset[blocks++] = bytes.n;
            block_builder_finish(b, &bytes);
        }
        if (s < total)
            block_builder_doubles(b, &(struct chunk_key){ (uint32_t)s, (uint32_t)(s / SERIES), 0 },
                                  d->value + s * d->n, d->n);
    }
    double encode = cpu_ns() - start, sum = 0;
    offset[blocks] = bytes.n;
    memset(buf_room(&bytes, 16), 0, 16);
    start = cpu_ns();
    for (size_t i = 0; i < blocks; i++) {
        if (!block_reader_open(r, (uint8_t *)bytes.p + offset[i], offset[i + 1] - offset[i]))
            abort();
        for (size_t c = 0; c < block_reader_chunks(r); c++) {
            if (!block_reader_doubles(r, c, out))
                abort();
            sum += out[0];
        }
    }
    double decode = cpu_ns() - start, samples = (double)(total * d->n);
    printf("%4zu  %7.3f  %6.1f  %6.2f", d->n, (double)bytes.n / samples, encode / samples,
           decode / samples + 0 * sum);
    xfree(offset);
    buf_fini(&bytes);
    block_builder_free(b);
    block_reader_free(r);
}

static struct metric_part *write_part(const struct data *d, const char *path, size_t from, size_t n,
                                      struct page_cache *cache, double *ns)
{
    struct metric_part_writer_options o = { .path = path, .id = ID };
    struct metric_part_writer *w;
    struct part_info info;
    struct metric_part *p;
    struct err e;

    unlink(path);
    must(metric_part_writer_open(&w, &o, &e), &e);
    double start = cpu_ns();
    for (size_t s = 0; s < d->targets * SERIES; s++) {
        struct series_samples rows = {
            .t_ms = d->t_ms + s / SERIES * d->n + from,
            .value = d->value + s * d->n + from,
            .n = n,
        };
        must(metric_part_writer_add(w, (uint32_t)s, &rows, &e), &e);
    }
    must(metric_part_writer_finish(w, &info, &e), &e);
    *ns = cpu_ns() - start;
    metric_part_writer_close(w);
    must(metric_part_open(&p, cache, path, NULL, &e), &e);
    return p;
}

static double read_part(struct metric_part *p, const struct data *d)
{
    struct metric_part_cursor *c = metric_part_cursor_new(p, 0);
    struct sample_columns rows = { 0 };
    struct err e;
    double start = cpu_ns();

    for (size_t s = 0; s < d->targets * SERIES; s++) {
        sample_columns_reset(&rows);
        must(metric_part_read(c, (uint32_t)s, INT64_MIN, INT64_MAX, &rows, &e), &e);
        if (rows.n != d->n || memcmp(rows.value, d->value + s * d->n, d->n * 8) != 0)
            abort();
    }
    double ns = cpu_ns() - start;
    metric_part_cursor_free(c);
    sample_columns_fini(&rows);
    return ns;
}

// One series at a time, at random, each with a cursor of its own; ns per read.
static double read_randomly(struct metric_part *p, const struct data *d)
{
    struct rand_state r = rand_seeded(3);
    struct sample_columns rows = { 0 };
    struct err e;
    enum { READS = 20000 };
    double start = cpu_ns();

    for (size_t i = 0; i < READS; i++) {
        struct metric_part_cursor *c = metric_part_cursor_new(p, 0);

        sample_columns_reset(&rows);
        must(metric_part_read(c, (uint32_t)((rand_next(&r) >> 20) % (d->targets * SERIES)),
                              INT64_MIN, INT64_MAX, &rows, &e),
             &e);
        metric_part_cursor_free(c);
    }
    sample_columns_fini(&rows);
    return (cpu_ns() - start) / READS;
}

static void measure_part(const struct data *d, const char *path)
{
    struct page_cache *cache = page_cache_new(
        &(struct page_cache_options){ .bytes_max = 256 << 20 });
    struct metric_part_sections s;
    double ns, samples = (double)(d->targets * SERIES * d->n);
    struct metric_part *p = write_part(d, path, 0, d->n, cache, &ns);

    metric_part_sections(p, &s);
    double size = (double)metric_part_info(p)->bytes;
    read_part(p, d);
    double read_ns = read_part(p, d);
    printf("  |  %7.3f  %7.4f  %7.4f  %6.1f  %6.2f  %8.0f\n", size / samples,
           (double)s.times_bytes / samples,
           (size - (double)s.times_bytes - (double)s.values_bytes) / samples, ns / samples,
           read_ns / samples, read_randomly(p, d));
    metric_part_doom(p);
    metric_part_put(p);
    page_cache_free(cache);
}

static void measure_merge(size_t n, size_t targets, const char *folder)
{
    struct page_cache *cache = page_cache_new(NULL);
    struct data d = make_data(targets, n * PARTS);
    struct metric_part *part[PARTS], *merged;
    struct metric_part_writer_options o = { .id = ID };
    struct metric_part_writer *w;
    struct part_info info;
    struct err e;
    char path[PARTS + 1][512];
    double ns;

    for (size_t i = 0; i < PARTS; i++) {
        snprintf(path[i], sizeof path[i], "%s/bench%zu.part", folder, i);
        part[i] = write_part(&d, path[i], i * n, n, cache, &ns);
    }
    snprintf(path[PARTS], sizeof path[PARTS], "%s/merged.part", folder);
    o.path = path[PARTS];
    unlink(o.path);
    must(metric_part_writer_open(&w, &o, &e), &e);
    double start = cpu_ns(), samples = (double)(targets * SERIES * n * PARTS);
    struct metric_part_merge m = { .input = part, .inputs = PARTS };
    must(metric_part_merge(&m, w, &e), &e);
    must(metric_part_writer_finish(w, &info, &e), &e);
    ns = cpu_ns() - start;
    metric_part_writer_close(w);
    must(metric_part_open(&merged, cache, o.path, NULL, &e), &e);
    read_part(merged, &d);
    printf("merge of 8 parts, %zu to %zu samples a series: %.1f ns a sample, %.3f B a sample\n", n,
           n * PARTS, ns / samples, (double)info.bytes / samples);
    metric_part_doom(merged);
    metric_part_put(merged);
    for (size_t i = 0; i < PARTS; i++) {
        metric_part_doom(part[i]);
        metric_part_put(part[i]);
    }
    free_data(&d);
    page_cache_free(cache);
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = { 2, 4, 5, 8, 16, 40, 200, 512 };
    const char *folder = argc > 1 ? argv[1] : "/tmp";
    char path[512];

    snprintf(path, sizeof path, "%s/bench.part", folder);
    printf("      blocks of values           |  part: all    times    index    write    read  "
           "one series\n   n  B/smpl   enc ns  dec ns    |  B/smpl   B/smpl   B/smpl   ns/smpl "
           "ns/smpl      ns\n");
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        size_t targets = 6000000 / (SERIES * lengths[i]);
        struct data d = make_data(MIN(targets, (size_t)1000), lengths[i]);

        measure_blocks(&d);
        measure_part(&d, path);
        free_data(&d);
    }
    measure_merge(1, 500, folder);
    measure_merge(5, 200, folder);
    measure_merge(25, 100, folder);
    return 0;
}
