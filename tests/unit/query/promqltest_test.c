/*
 * promqltest_test.c - the engine against scripts: those of the corpus and our own.
 */
// SPDX-License-Identifier: Apache-2.0
#include "query/promqltest.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "test.h"

static void show(void *ctx, const struct promqltest_report *r)
{
    if (!r->passed)
        print_error("%s:%u %.*s\n    %.*s\n", r->name, r->line, STRF(r->expr), STRF(r->message));
}

static struct promqltest_totals run_folder(const char *folder)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct promqltest_options o = { .report = show };
    struct promqltest_totals totals = { 0 };
    struct file_list files;
    struct err e = { 0 };

    CHECK_OK(file_list(&a, folder, &files, &e), &e);
    for (size_t i = 0; i < files.n; i++) {
        struct str text;

        if (!str_ends(files.v[i], STR(".test")))
            continue;
        const char *path = arena_printf(&a, "%s/%.*s", folder, STRF(files.v[i])).p;
        CHECK_OK(file_read(&a, path, 16 << 20, &text, &e), &e);
        CHECK_OK(promqltest_run(files.v[i].p, text, &o, &totals, &e), &e);
    }
    return totals;
}

TEST(scripts_of_the_corpus)
{
    const char *folder = test_corpus("promql/testdata");

    SKIP_WITHOUT_CORPUS(folder);
    struct promqltest_totals t = run_folder(folder);
    print_message("corpus: %zu passed, %zu failed\n", t.passed, t.failed);
    CHECK(t.failed == 0 && t.passed > 1000);
}

TEST(our_scripts)
{
    struct promqltest_totals t = run_folder(VIGIE_SOURCE_DIR "/tests/conformance/promql");

    print_message("own scripts: %zu passed, %zu failed\n", t.passed, t.failed);
    CHECK(t.failed == 0 && t.passed > 0);
}

static size_t failures(const char *text, struct err *e)
{
    struct promqltest_totals t = { 0 };

    if (!promqltest_run("inline", str_c(text), NULL, &t, e))
        return SIZE_MAX;
    return t.failed;
}

// A runner that never fails proves nothing.
TEST(wrong_expectations_fail)
{
    static const struct {
        const char *text;
        size_t failed;
    } cases[] = {
        { "load 1m\n  x 1\n\neval instant at 0 x\n  x 1\n", 0 },
        { "load 1m\n  x 1\n\neval instant at 0 x\n  x 2\n", 1 },
        { "load 1m\n  x 1\n\neval instant at 0 x\n  y 1\n", 1 },
        { "load 1m\n  x 1\n\neval instant at 0 x\n", 1 },
        { "eval instant at 0 1 + 1\n  2\n", 0 },
        { "eval instant at 0 1 + 1\n  3\n", 1 },
        { "eval instant at 0 x +\n  expect fail\n", 0 },
        { "eval instant at 0 1\n  expect fail\n", 1 },
        { "load 1m\n  x 1 2\n\neval range from 0 to 1m step 1m x\n  x 1 3\n", 1 },
        { "load 1m\n  x 1 2\n\neval range from 0 to 1m step 1m x\n  x 1\n", 1 },
        { "load 1m\n  x 0 1\n\neval instant at 1m rate(x[2m])\n  expect no_info\n  {} "
          "0.00833333333\n",
          1 },
        { "load 1m\n  x 0 1\n\neval instant at 1m rate(x[2m])\n  expect info\n  {} 0.00833333333\n",
          0 },
        { "load 1m\n  x{a=\"1\"} 1\n  x{a=\"2\"} 2\n\neval instant at 0 sort_desc(x)\n"
          "  expect ordered\n  x{a=\"1\"} 1\n  x{a=\"2\"} 2\n",
          1 },
    };

    FOR_CASES (t, cases) {
        struct err e = { 0 };
        size_t n = failures(t->text, &e);

        CHECK_F(n == t->failed, "%s: %zu failed, want %zu (%s)", t->text, n, t->failed, e.text);
    }
}

TEST(bad_scripts_are_errors_with_a_line)
{
    static const struct {
        const char *text;
        uint32_t line;
    } cases[] = {
        { "nonsense", 1 },
        { "\nload\n", 2 },
        { "load 1m\n  x{ 1\n", 2 },
        { "eval instant at 5x 1\n", 1 },
        { "eval range from 0 to 1m 1\n", 1 },
        { "load 1m\n  x@st 0 0\n  x 1\n", 3 },
    };

    FOR_CASES (t, cases) {
        struct err e = { 0 };

        CHECK(failures(t->text, &e) == SIZE_MAX);
        CHECK_F(e.pos.line == t->line, "%s: line %u (%s)", t->text, e.pos.line, e.text);
    }
}
