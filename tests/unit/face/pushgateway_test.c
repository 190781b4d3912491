// pushgateway_test.c - groups: what a push replaces, refuses and leaves; paths; the file cut anywhere.
// SPDX-License-Identifier: Apache-2.0
#include "face/pushgateway_priv.h"

#include "base/file.h"
#include "base/mem.h"
#include "test.h"

struct fixture {
    struct clock clock;
    struct pushgateway *g;
};

static void own_page(void *ctx UNUSED, struct buf *out)
{
    buf_lit(out, "# HELP process_x Mine.\n# TYPE process_x gauge\nprocess_x 1\n"
                 "# TYPE other gauge\nother 1\n");
}

static struct fixture *open_with(const char *path)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct err e = { 0 };

    f->clock = clock_fake(1500);
    CHECK_OK(pushgateway_new(&f->g,
                             &(struct pushgateway_options){ .clock = &f->clock,
                                                            .persistence_path = path,
                                                            .persistence_interval_ms = 3600000,
                                                            .self = own_page },
                             &e),
             &e);
    return f;
}

static void close_fixture(struct fixture *f)
{
    pushgateway_free(f->g);
    xfree(f);
}
OWN_DEFINE(struct fixture *, close_fixture)

static bool push(struct fixture *f, const char *path, enum push_mode mode, const char *text,
                 struct err *e)
{
    OWNED(push_batch_put) struct push_batch *b = push_batch_new();
    struct page page;

    if (!push_path(f->g, str_c(path), b, e) || !page_read(&b->arena, str_c(text), &page, e))
        return false;
    push_decode_page(&page, b, push_now_ns(f->g));
    return push_store_push(f->g, b, mode, e);
}

// The page without comments and without the times of pushes.
static struct str page_of(struct fixture *f, struct arena *a, bool times)
{
    OWNED(buf_fini) struct buf b = { 0 }, out = { 0 };

    pushgateway_page(f->g, &b);
    for (struct str rest = buf_view(&b); rest.n;) {
        struct str line = str_cut(&rest, '\n');

        if (str_starts(line, STR("#")) || (!times && str_starts(line, STR("push_"))))
            continue;
        buf_str(&out, line);
        buf_char(&out, '\n');
    }
    return arena_str(a, buf_view(&out));
}

TEST(push_replaces_groups_or_families)
{
    OWNED(close_fixture) struct fixture *f = open_with(NULL);
    OWNED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };

    CHECK_OK(push(f, "/job/x", PUSH_UPDATE, "a 1\nb{job=\"mine\",z=\"1\"} 2\n", &e), &e);
    CHECK_OK(push(f, "/job/x/instance/i", PUSH_UPDATE, "a 3\n", &e), &e);
    CHECK_OK(push(f, "/job/x", PUSH_UPDATE, "a{z=\"2\"} 5\n", &e), &e);
    CHECK(str_eq(page_of(f, &a, false), STR("a{instance=\"i\",job=\"x\"} 3\n"
                                            "a{instance=\"\",job=\"x\",z=\"2\"} 5\n"
                                            "b{instance=\"\",job=\"x\",z=\"1\"} 2\n")));
    CHECK_OK(push(f, "/job/x", PUSH_REPLACE, "", &e), &e);
    CHECK(str_eq(page_of(f, &a, true), STR("a{instance=\"i\",job=\"x\"} 3\n"
                                           "push_failure_time_seconds{instance=\"\",job=\"x\"} 0\n"
                                           "push_failure_time_seconds{instance=\"i\",job=\"x\"} 0\n"
                                           "push_time_seconds{instance=\"\",job=\"x\"} 1.5\n"
                                           "push_time_seconds{instance=\"i\",job=\"x\"} 1.5\n")));
    OWNED(push_batch_put) struct push_batch *b = push_batch_new();
    CHECK_OK(push_path(f->g, STR("/job/x/instance/i"), b, &e), &e);
    push_store_delete(f->g, b->key);
    CHECK(str_find(page_of(f, &a, true), STR("instance=\"i\"")) == STR_NPOS);
    push_store_wipe(f->g);
    CHECK(page_of(f, &a, true).n == 0);
    CHECK(atomic_load(&f->g->bytes) == 0);
}

static const struct {
    const char *first, *second, *err;
} conflicts[] = {
    { "a 1\n", "# TYPE a counter\na 1\n", "is not a UNTYPED" },
    { "a 1 123\n", NULL, "must not have timestamps" },
    { "a 1\na 2\n", NULL, "was collected before with the same name and label values" },
    { "a{job=\"1\"} 1\na{job=\"2\"} 2\n", NULL, "was collected before" },
    { "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n", "h_count 1\n",
      "metric named \"h_count\" collides with previously collected histogram named \"h\"" },
    { "h_bucket 1\n", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n",
      "collected histogram named \"h\" collides with previously collected metric named "
      "\"h_bucket\"" },
    { "# TYPE s summary\ns_sum 1\n", "s_bucket 1\n", NULL },
    { "# TYPE process_x counter\nprocess_x 1\n", NULL, "process_x has type COUNTER" },
    { "process_x 1\n", NULL, "process_x has type UNTYPED" },
    { "other 1\n", NULL, NULL },
    { "a{__b=\"1\"} 1\n", NULL, "invalid name: __b" },
    { "{\"a.b\"} 1\n", NULL, "invalid metric name" },
};

TEST(push_refuses_what_contradicts)
{
    FOR_CASES (t, conflicts) {
        OWNED(close_fixture) struct fixture *f = open_with(NULL);
        OWNED(arena_fini) struct arena a = { 0 };
        struct err e = { 0 };

        bool ok = push(f, "/job/x", PUSH_UPDATE, t->first, &e);
        if (t->second) {
            CHECK_OK(ok, &e);
            ok = push(f, "/job/y", PUSH_UPDATE, t->second, &e);
        }
        CHECK_F(ok == !t->err, "%s: %s", t->first, e.text);
        CHECK_F(ok || strstr(e.text, t->err), "%s: %s", t->first, e.text);
        // The failure is noted in the group, and only that.
        struct str page = page_of(f, &a, true), job = t->second ? STR("y") : STR("x");
        struct str line = arena_printf(&a,
                                       "push_failure_time_seconds{instance=\"\",job=\"%.*s\"} %s\n",
                                       STRF(job), ok ? "0" : "1.5");
        CHECK_F(str_find(page, line) != STR_NPOS, "%.*s", STRF(page));
    }
}

static const struct {
    const char *path, *key, *err;
} paths[] = {
    { "/job/x", "\3job\1x", NULL },
    { "/job/x/", "\3job\1x", NULL },
    { "/job/x/b/2/a/1", "\1a\0011\1b\0012\3job\1x", NULL },
    { "/job@base64/L3g=", "\3job\2/x", NULL },
    { "/job/x/a@base64/=", "\1a\0\3job\1x", NULL },
    { "/job/x/job/y", "\3job\1x", NULL },
    { "/job/", NULL, "job name is required" },
    { "/job@base64/!", NULL, "illegal base64 data at input byte 0" },
    { "/job/x/a@base64/L3Z+B", NULL,
      "invalid base64 encoding for label a=\"L3Z+B\": illegal base64 data at input byte 3" },
    { "/job/x/a", NULL, "odd number of components in label string \"/a\"" },
    { "/job/x/__a/b", NULL, "improper label name \"__a\"" },
    { "/job/x/a-b/c", NULL, "improper label name \"a-b\"" },
};

TEST(push_paths)
{
    OWNED(close_fixture) struct fixture *f = open_with(NULL);

    FOR_CASES (t, paths) {
        OWNED(push_batch_put) struct push_batch *b = push_batch_new();
        struct err e = { 0 };

        bool ok = push_path(f->g, str_c(t->path), b, &e);
        CHECK_F(ok == !t->err, "%s: %s", t->path, e.text);
        CHECK_F(ok || strstr(e.text, t->err), "%s: %s", t->path, e.text);
        if (ok && !strstr(t->path, "=")) // those have a NUL in the key
            CHECK_F(str_eq(b->key, str_c(t->key)), "%s", t->path);
    }
}

TEST(push_utf8_paths)
{
    OWNED(close_fixture) struct fixture *f = open_with(NULL);
    OWNED(push_batch_put) struct push_batch *b = push_batch_new();
    struct err e = { 0 };

    f->g->o.utf8 = true;
    CHECK_OK(push_path(f->g, STR("/job/x/U__my_2e_na__me/v"), b, &e), &e);
    CHECK(b->labels == 2 && str_eq(b->label[1].name, STR("my.na_me")));
}

TEST(push_file_survives_and_is_checked)
{
    OWNED(arena_fini) struct arena a = { 0 };
    const char *path = arena_printf(&a, "%s/pushed", file_temp_dir(&a)).p;
    struct err e = { 0 };
    struct str page, content;

    {
        OWNED(close_fixture) struct fixture *f = open_with(path);
        CHECK_OK(
            push(f, "/job/x/b/2", PUSH_UPDATE,
                 "# HELP a Help.\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_sum 3\na_count 4\n"
                 "# TYPE s summary\ns{quantile=\"0.5\"} 7\n",
                 &e),
            &e);
        CHECK_OK(push(f, "/job/y", PUSH_UPDATE, "c 1\n", &e), &e);
        page = page_of(f, &a, true);
    }
    {
        OWNED(close_fixture) struct fixture *f = open_with(path);
        CHECK(str_eq(page_of(f, &a, true), page));
    }
    CHECK_OK(file_read(&a, path, 1 << 20, &content, &e), &e);
    OWNED(close_fixture) struct fixture *f = open_with(NULL);
    for (size_t n = 0; n < content.n; n++)
        CHECK(!push_file_read(f->g, str_sub(content, 0, n), &e) && e.kind == ERR_CORRUPT);
    CHECK(page_of(f, &a, true).n == 0);
    // A file that is not ours is kept under another name.
    CHECK_OK(file_replace(path, STR("something else"), &e), &e);
    OWNED(close_fixture) struct fixture *h = open_with(path);
    CHECK(page_of(h, &a, true).n == 0);
    CHECK(file_exists(arena_printf(&a, "%s.unreadable", path).p));
}
