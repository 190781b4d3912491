/*
 * metrics_fault_test.c - a kill at every step, failing writes, damaged files.
 *
 * A kill runs in a forked child, which tells over a pipe what was acknowledged. The parent opens
 * the folder, compares with the ledger of acknowledged rows, and repeats the unanswered batch.
 */
// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "metrics/metrics.h"
#include "metrics_harness.h"

enum { STEPS = 30, WIDTH = 40 };

/* ---- a workload that passes every step ---- */

// Time of step k: it crosses midnight in the middle.
static int64_t step_ms(int k)
{
    return T0 + MS_DAY + (k - STEPS / 2) * (int64_t)MS_MINUTE;
}

static unsigned step_first(int k)
{
    return (unsigned)k % 5; // series come and go
}

static unsigned step_last(int k)
{
    return WIDTH + (unsigned)k; // a new one each step
}

static double step_value(int k, unsigned i)
{
    return (double)(i * 1000) + k / 4.0;
}

static void fill_step(struct fixture *f, int k)
{
    for (unsigned i = step_first(k); i < step_last(k); i++)
        fx_add(f, i, step_ms(k), step_value(k, i));
}

static void ledger_step(struct fixture *f, int k)
{
    for (unsigned i = step_first(k); i < step_last(k); i++)
        ledger_add(f->ledger, i, step_ms(k), double_bits(step_value(k, i)));
}

// Upkeep between steps. Errors are expected when faults are armed.
static void upkeep(struct fixture *f, int k)
{
    struct err e = { 0 };
    char name[64];
    bool ok = true;

    if (k % 2 == 1)
        ok = metrics_flush(f->m, &e);
    if (k == 10 || k == 20)
        ok &= metrics_snapshot(f->m, false, name, &e);
    if (k >= 18 && k % 3 == 0)
        ok &= metrics_merge(f->m, &e);
    if (k == STEPS - 6) {
        f->clock.fake_ms += 3 * MS_HOUR; // the first day closes
        ok &= metrics_merge(f->m, &e) && metrics_retain(f->m, &e);
        f->clock.fake_ms -= 3 * MS_HOUR;
    }
    (void)ok;
}

static struct fixture *fx_at(const char *dir, bool *ok)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct err e = { 0 };

    f->clock = clock_fake(T0 + MS_DAY + MS_HOUR);
    f->o = (struct metrics_options){ .shards = 2,
                                     .clock = &f->clock,
                                     .path = dir,
                                     .sync_interval_ms = 20,
                                     .no_background = true,
                                     .leave_logs = true };
    f->ledger = xcalloc(1, sizeof *f->ledger);
    *ok = metrics_open(&f->m, &f->o, &e) && metrics_tenant(f->m, STR("anonymous"), &f->t, &e);
    if (*ok)
        f->b = append_batch_new(f->t);
    return f;
}

static void fx_drop(struct fixture *f)
{
    append_batch_free(f->b);
    metrics_close(f->m);
    for (size_t i = 0; i < SERIES_MAX; i++)
        vec_fini(&f->ledger->series[i]);
    xfree(f->ledger);
    xfree(f);
}

/* ---- kills ---- */

static const char *const kill_points[] = {
    "commit.resolved",  "commit.copied",   "commit.written",  "log.catalog",      "log.rows",
    "rowlog.create",    "rowlog.write",    "flush.rotated",   "part.write",       "part.sync",
    "flush.synced",     "manifest.commit", "flush.committed", "flush.unlink",     "merge.commit",
    "merge.committed",  "freeze.rotated",  "freeze.commit",   "freeze.committed", "segment.write",
    "partition.create", "file.write",      "file.rename",     "file.sync",        "file.sync_dir",
    "file.remove",
};
static const unsigned passes[] = { 1, 3, 8 };

// The last is left to full runs.
static size_t pass_count(void)
{
    return getenv("VIGIE_TEST_FULL") ? ARRAY_LEN(passes) : ARRAY_LEN(passes) - 1;
}

// The child: each acknowledged step is one byte in the pipe.
static void run_child(const char *dir, const char *point, unsigned nth, int fd)
{
    bool ok;
    struct fixture *f;

    fault_set(point, nth, FAULT_KILL);
    f = fx_at(dir, &ok);
    for (int k = 0; ok && k < STEPS; k++) {
        struct err e = { 0 };
        uint8_t ack = 1;

        fill_step(f, k);
        if (!append_commit(f->b, NULL, NULL, &e) || write(fd, &ack, 1) != 1)
            _exit(3);
        upkeep(f, k);
    }
    _exit(ok ? 0 : 4);
}

// Returns how many steps were acknowledged; *killed: the child did not reach its end.
static int run_killed(const char *dir, const char *point, unsigned nth, bool *killed)
{
    int fds[2], status, acks = 0;
    uint8_t b;
    pid_t pid;

    CHECK(pipe(fds) == 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(fds[0]);
        run_child(dir, point, nth, fds[1]);
    }
    close(fds[1]);
    while (read(fds[0], &b, 1) == 1)
        acks++;
    close(fds[0]);
    CHECK(waitpid(pid, &status, 0) == pid);
    *killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    CHECK_F(*killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0), "%s %u: child status %x",
            point, nth, (unsigned)status);
    return acks;
}

// Opens what the killed one left, repeats the unanswered step, and runs to the end.
static void check_recovery(const char *dir, const char *point, unsigned nth, int acks)
{
    struct metrics_stats stats;
    struct fixture *f;
    bool ok;

    f = fx_at(dir, &ok);
    CHECK_F(ok, "%s %u: does not open", point, nth);
    for (int k = 0; k < acks; k++)
        ledger_step(f, k);
    for (int k = acks; k < STEPS; k++) {
        struct append_stats s;

        fill_step(f, k);
        s = fx_commit(f);
        CHECK_F(s.rows[APPEND_OK] == step_last(k) - step_first(k), "%s %u: step %d of %d", point,
                nth, k, acks);
        ledger_step(f, k);
        if (k == acks)
            (void)fx_compare(f);
        upkeep(f, k);
    }
    (void)fx_compare(f);
    metrics_stats(f->m, &stats);
    CHECK_F(stats.corruptions == 0, "%s %u: %d corruptions", point, nth, (int)stats.corruptions);
    fx_drop(f);
    f = fx_at(dir, &ok);
    CHECK(ok);
    for (int k = 0; k < STEPS; k++)
        ledger_step(f, k);
    (void)fx_compare(f);
    fx_drop(f);
}

TEST(a_kill_at_every_step_loses_nothing)
{
    OWNED(arena_fini) struct arena a = { 0 };
    unsigned kills = 0;

    for (size_t i = 0; i < ARRAY_LEN(kill_points); i++) {
        bool killed = true, any = false;

        for (size_t n = 0; n < pass_count() && killed; n++) {
            const char *dir = file_temp_dir(&a);
            struct err e = { 0 };
            int acks = run_killed(dir, kill_points[i], passes[n], &killed);

            any |= killed;
            kills += killed;
            check_recovery(dir, kill_points[i], passes[n], acks);
            CHECK_OK(file_remove_tree(dir, &e), &e);
        }
        CHECK_F(any, "the workload never passes %s", kill_points[i]);
    }
    print_message("%u kills\n", kills);
}

/* ---- failures that the process survives ---- */

static const char *const fail_points[] = {
    "commit.copied", "log.catalog",   "rowlog.write",     "rowlog.create", "part.write",
    "part.sync",     "flush.synced",  "manifest.commit",  "merge.commit",  "freeze.rotated",
    "freeze.commit", "segment.write", "partition.create", "file.write",    "file.rename",
    "file.sync",     "file.sync_dir", "file.remove",
};

// A failed commit is repeated until it succeeds, as a sender does on 503.
static void commit_at_last(struct fixture *f, int k)
{
    for (int tries = 0; tries < 50; tries++) {
        struct append_stats s = { 0 };
        struct err e = { 0 };

        append_batch_reset(f->b);
        fill_step(f, k);
        if (append_commit(f->b, &s, NULL, &e)) {
            CHECK(s.rows[APPEND_OK] == step_last(k) - step_first(k));
            return;
        }
        usleep(10000); // the log writer tries again each 20 ms
    }
    CHECK(!"the commit never succeeds");
}

TEST(a_failure_at_every_step_loses_nothing)
{
    OWNED(arena_fini) struct arena a = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(fail_points); i++) {
        const char *dir = file_temp_dir(&a);
        struct err e = { 0 };
        struct fixture *f;
        bool ok;

        f = fx_at(dir, &ok);
        CHECK(ok);
        fault_at(fail_points[i], 3);
        for (int k = 0; k < STEPS; k++) {
            commit_at_last(f, k);
            ledger_step(f, k);
            upkeep(f, k);
            if (k % 8 == 7)
                fault_at(fail_points[i], 1 + (unsigned)k / 8);
        }
        fault_clear();
        print_message("%s\n", fail_points[i]);
        (void)fx_compare(f);
        fx_drop(f);
        f = fx_at(dir, &ok);
        CHECK_F(ok, "%s: does not open", fail_points[i]);
        for (int k = 0; k < STEPS; k++)
            ledger_step(f, k);
        (void)fx_compare(f);
        fx_drop(f);
        CHECK_OK(file_remove_tree(dir, &e), &e);
    }
}

/* ---- damaged files ---- */

// Flips a byte of one file of a copy and opens it: no lie and no crash.
static void flip_file(const char *dir, struct str below, struct fixture *model, uint64_t seed)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct rand_state r = rand_seeded(seed);
    const char *copy = file_temp_dir(&a);
    struct fixture f = { .o = model->o, .ledger = model->ledger };
    struct str path = arena_printf(&a, "%s/tenants%.*s", copy, STRF(below)), bytes;
    struct err e = { 0 };
    char *p;

    fx_copy_tree(arena_printf(&a, "%s/tenants", dir).p, arena_printf(&a, "%s/tenants", copy).p);
    CHECK_OK(file_read(&a, path.p, 80 << 20, &bytes, &e), &e);
    if (bytes.n) {
        p = arena_copy(&a, bytes.p, bytes.n);
        // Logs are mostly preallocated zeros: their first pages matter.
        p[rand_next(&r) % MIN(bytes.n, (size_t)6000)] ^= 0x11;
        CHECK_OK(file_replace(path.p, str_of(p, bytes.n), &e), &e);
        f.o.path = copy;
        if (metrics_open(&f.m, &f.o, &e) && metrics_tenant(f.m, STR("anonymous"), &f.t, &e))
            (void)fx_read_what_is_left(&f, NULL, NULL);
        metrics_close(f.m);
    }
    CHECK_OK(file_remove_tree(copy, &e), &e);
}

TEST(flipped_bytes_tell_no_lies)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *dir = file_temp_dir(&a), *root = arena_printf(&a, "%s/tenants", dir).p;
    struct str files[200];
    struct fixture *f;
    struct err e = { 0 };
    size_t n = 0;
    bool ok;

    f = fx_at(dir, &ok);
    CHECK(ok);
    for (int k = 0; k < STEPS; k++) {
        char name[64];

        commit_at_last(f, k);
        ledger_step(f, k);
        if (k == 5 || k == 20)
            CHECK_OK(metrics_flush(f->m, &e), &e);
        if (k == 10)
            CHECK_OK(metrics_snapshot(f->m, true, name, &e), &e);
    }
    append_batch_free(f->b);
    metrics_close(f->m);
    f->b = NULL;
    f->m = NULL;
    fx_list_tree(&a, root, files, &n, 200);
    CHECK(n > 8);
    for (size_t i = 0; i < n; i++) {
        for (uint64_t seed = 1; seed <= 2; seed++)
            flip_file(dir, str_sub(files[i], strlen(root), SIZE_MAX), f, seed * 100 + i);
    }
    fx_drop(f);
    CHECK_OK(file_remove_tree(dir, &e), &e);
}

// Every byte of the tenant's key file flipped, and the file cut there: the copy serves, and mends it.
TEST(a_damaged_key_is_read_from_its_copy)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *dir = file_temp_dir(&a), *names[] = { "tenant.json", "tenant.json.copy" };
    struct str whole, now;
    struct err e = { 0 };
    struct fixture *f;
    bool ok;

    f = fx_at(dir, &ok);
    CHECK(ok);
    commit_at_last(f, 0);
    ledger_step(f, 0);
    for (size_t i = 0; i < 4; i++) {
        const char *path = arena_printf(&a, "%s/tenants/anonymous/%s", dir, names[i % 2]).p;

        CHECK_OK(file_read(&a, path, 4096, &whole, &e), &e);
        for (size_t at = 0; at < whole.n; at++) {
            char *p = arena_copy(&a, whole.p, whole.n);

            p[at] ^= 0x11;
            CHECK_OK(file_replace(path, str_of(p, i < 2 ? whole.n : at), &e), &e);
            if (at == 7)
                CHECK_OK(file_remove(path, &e), &e);
            fx_reopen(f);
        }
        (void)fx_compare(f);
        CHECK_OK(file_replace(path, STR("{}"), &e), &e);
        fx_reopen(f);
        CHECK_OK(file_read(&a, path, 4096, &now, &e), &e);
        CHECK(str_eq(now, whole));
    }
    fx_drop(f);
    CHECK_OK(file_remove_tree(dir, &e), &e);
}

// With both copies damaged nothing is guessed.
TEST(without_a_key_nothing_is_opened)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *dir = file_temp_dir(&a);
    struct metrics *m = NULL;
    struct metrics_tenant *t = NULL;
    struct err e = { 0 };
    struct fixture *f;
    bool ok;

    f = fx_at(dir, &ok);
    CHECK(ok);
    append_batch_free(f->b);
    metrics_close(f->m);
    f->b = NULL;
    f->m = NULL;
    CHECK_OK(file_replace(arena_printf(&a, "%s/tenants/anonymous/tenant.json", dir).p,
                          STR("{\"format\":1,\"key\":\"00112233445566778899aabbccddeeff\"}"), &e),
             &e);
    CHECK_OK(file_remove(arena_printf(&a, "%s/tenants/anonymous/tenant.json.copy", dir).p, &e), &e);
    CHECK(!(metrics_open(&m, &f->o, &e) && metrics_tenant(m, STR("anonymous"), &t, &e)));
    CHECK(e.kind == ERR_CORRUPT && strstr(e.text, "tenant.json"));
    metrics_close(m);
    fx_drop(f);
    CHECK_OK(file_remove_tree(dir, &e), &e);
}

TEST(a_full_disk_refuses_and_recovers)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *dir = file_temp_dir(&a);
    struct err e = { 0 };
    struct fixture *f;
    bool ok;

    f = fx_at(dir, &ok);
    CHECK(ok);
    commit_at_last(f, 0);
    ledger_step(f, 0);
    fault_set("rowlog.write", 1, FAULT_ENOSPC);
    fill_step(f, 1);
    CHECK(!append_commit(f->b, NULL, NULL, &e) && e.kind == ERR_UNAVAILABLE);
    commit_at_last(f, 1);
    ledger_step(f, 1);
    (void)fx_compare(f);
    fault_clear();
    fx_drop(f);
    CHECK_OK(file_remove_tree(dir, &e), &e);
}
