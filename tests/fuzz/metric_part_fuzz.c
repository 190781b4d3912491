/*
 * metric_part_fuzz.c - arbitrary bytes as a part file: opened, walked, read.
 *
 * Build with VIGIE_NO_CHECKSUMS (the fuzz preset does) so that damage reaches the decoders.
 * The input is what follows the file's head, which is put right here.
 */
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "metrics/metric_part.h"
#include "store/file_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { READS_MAX = 2000, ROWS_MAX = 400000 };
static const struct part_id ID = { .owner = 5, .number = 9, .epoch = 1, .kind = PART_METRICS };

static bool see_exemplar(void *ctx, const struct metric_part_exemplar *x, struct err *e)
{
    size_t *seen = ctx;

    (void)x;
    return ++*seen < READS_MAX || err_set(e, ERR_LIMIT, "enough");
}

static void read_rows(struct metric_part *part)
{
    struct metric_part_cursor *c = metric_part_cursor_new(part, METRIC_PART_START);
    struct arena a = { 0 };
    struct sample_columns rows = { .arena = &a };
    struct err e;
    uint32_t id = 0;
    size_t total = 0;

    for (int i = 0; i < READS_MAX && total < ROWS_MAX; i++, id++) {
        if (metric_part_next_id(c, &id, &e) <= 0)
            break;
        sample_columns_reset(&rows);
        arena_reset(&a);
        bool ok = metric_part_read(c, id, i % 3 ? INT64_MIN : 1000, i % 5 ? INT64_MAX : 100000000,
                                   &rows, &e);
        assert(ok || rows.n == 0);
        for (size_t k = 1; k < rows.n; k++)
            assert(rows.t_ms[k - 1] < rows.t_ms[k]);
        total += rows.n + 1;
        if (id == UINT32_MAX)
            break;
    }
    metric_part_cursor_free(c);
    sample_columns_fini(&rows);
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char path[64];
    struct page_cache *cache = page_cache_new(NULL);
    struct metric_part *part;
    struct err e = { 0 };
    size_t seen = 0;
    int fd;

    snprintf(path, sizeof path, "/tmp/metric_part_fuzz.XXXXXX");
    fd = mkstemp(path);
    if (fd < 0)
        abort();
    uint8_t head[FILE_HEAD_BYTES];
    file_head_put(
        head, &(struct file_head){
                  .kind = FILE_PART, .owner = ID.owner, .number = ID.number, .epoch = ID.epoch });
    if (!file_write_all(fd, head, sizeof head, &e) || !file_write_all(fd, p, n, &e))
        abort();
    close(fd);
    if (metric_part_open(&part, cache, path, &ID, &e)) {
        read_rows(part);
        // Damaged or too many of them: an error like any other.
        struct metric_part_exemplar_query q = { 0, UINT32_MAX, INT64_MIN, INT64_MAX };
        if (!metric_part_exemplars(part, &q, see_exemplar, &seen, &e))
            assert(e.kind != ERR_NONE);
        metric_part_put(part);
    }
    unlink(path);
    page_cache_free(cache);
    return 0;
}
