/*
 * test_promql.c - `vigie test promql FILE…`: runs scripts of the promqltest language.
 */
// SPDX-License-Identifier: Apache-2.0
#include "app/test_promql.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "query/promqltest.h"

enum { SCRIPT_BYTES_MAX = 64 << 20 };

static void show(void *ctx, const struct promqltest_report *r)
{
    const bool *verbose = ctx;

    if (!r->passed)
        printf("FAIL %s:%u %.*s\n     %.*s\n", r->name, r->line, STRF(r->expr), STRF(r->message));
    else if (*verbose)
        printf("ok   %s:%u %.*s\n", r->name, r->line, STRF(r->expr));
}

static bool run_file(const char *path, const struct promqltest_options *o,
                     struct promqltest_totals *totals, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct str text;

    return file_read(&a, path, SCRIPT_BYTES_MAX, &text, e) &&
           promqltest_run(path, text, o, totals, e);
}

int app_test_promql(int argc, char **argv)
{
    struct promqltest_totals totals = { 0 };
    bool verbose = false, usage = argc < 2;
    struct promqltest_options o = { show, &verbose };

    for (int i = 1; i < argc; i++) {
        struct err e = { 0 };

        if (strcmp(argv[i], "-v") == 0) {
            verbose = true;
        } else if (strcmp(argv[i], "--help") == 0) {
            usage = true;
        } else if (!run_file(argv[i], &o, &totals, &e)) {
            printf("FAIL %s\n", e.text);
            totals.failed++;
        }
    }
    if (usage)
        printf("usage: vigie test promql [-v] FILE...\n");
    printf("%zu passed, %zu failed\n", totals.passed, totals.failed);
    return totals.failed || usage;
}
