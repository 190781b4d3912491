/*
 * state_test.c - rows in vigie.db: written whole, read back, kept over a reopening.
 */
// SPDX-License-Identifier: Apache-2.0
#include "state/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "test.h"

struct place {
    char dir[64], path[80];
};

static void place_init(struct place *p)
{
    snprintf(p->dir, sizeof p->dir, "/tmp/vigie-state-XXXXXX");
    CHECK(mkdtemp(p->dir));
    snprintf(p->path, sizeof p->path, "%s/vigie.db", p->dir);
}

static void place_fini(struct place *p)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char name[100];

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        snprintf(name, sizeof name, "%s%s", p->path, suffixes[i]);
        unlink(name);
    }
    rmdir(p->dir);
}
OWN_DEFINE_FINI(struct place, place_fini)

static void check_rows(struct state *s, struct str space, const char *want)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct state_row *v;
    size_t n;
    struct err e = { 0 };

    CHECK_OK(state_read(s, space, &a, &v, &n, &e), &e);
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%.*s=%.*s ", STRF(v[i].key), STRF(v[i].value));
    CHECK_STR(buf_view(&b), str_c(want));
}

TEST(rows_are_kept)
{
    OWNED(place_fini) struct place p;
    struct state_row rows[] = { { STR("b"), STR("2"), false }, { STR("a"), STR("1"), false } };
    struct state_row next[] = { { STR("b"), STR_NONE, true }, { STR("c"), STR("x\0y"), false } };
    struct state *s = NULL;
    struct err e = { 0 };

    place_init(&p);
    CHECK_OK(state_open(&s, p.path, &e), &e);
    CHECK_OK(state_write(s, STR("one"), rows, 2, &e), &e);
    CHECK_OK(state_write(s, STR("two"), rows, 1, &e), &e);
    CHECK_OK(state_write(s, STR("one"), next, 2, &e), &e);
    state_close(s);
    CHECK_OK(state_open(&s, p.path, &e), &e);
    OWNED(state_close) struct state *owned = s;
    OWNED(arena_fini) struct arena a = { 0 };
    struct str value = STR("untouched");
    bool found;
    check_rows(owned, STR("two"), "b=2 ");
    CHECK_OK(state_get(s, STR("one"), STR("c"), &a, &value, &found, &e), &e);
    CHECK(found && value.n == 3 && value.p[1] == 0);
    value = STR("untouched");
    CHECK_OK(state_get(s, STR("one"), STR("b"), &a, &value, &found, &e), &e);
    CHECK(!found && str_eq(value, STR("untouched")));
    CHECK_OK(state_replace(s, STR("one"), rows, 1, &e), &e);
    check_rows(s, STR("one"), "b=2 ");
    check_rows(s, STR("none"), "");
}

TEST(a_failing_write_leaves_all_as_it_was)
{
    OWNED(place_fini) struct place p;
    OWNED(state_close) struct state *s = NULL;
    struct state_row good = { STR("a"), STR("1"), false };
    struct state_row bad[] = { { STR("b"), STR("2"), false },
                               { STR("c"), { "x", STATE_VALUE_MAX + 1 }, false } };
    struct err e = { 0 };

    place_init(&p);
    CHECK_OK(state_open(&s, p.path, &e), &e);
    CHECK_OK(state_write(s, STR("x"), &good, 1, &e), &e);
    CHECK(!state_replace(s, STR("x"), bad, 2, &e) && e.kind == ERR_LIMIT);
    check_rows(s, STR("x"), "a=1 ");
}

TEST(another_file_is_refused)
{
    OWNED(place_fini) struct place p;
    OWNED(state_close) struct state *s = NULL;
    struct err e = { 0 };

    place_init(&p);
    FILE *f = fopen(p.path, "w");
    CHECK(f);
    for (int i = 0; i < 200; i++)
        fputs("this is no database, but long enough to be looked at\n", f);
    fclose(f);
    CHECK(!state_open(&s, p.path, &e) && e.kind == ERR_CORRUPT && !s);
}
