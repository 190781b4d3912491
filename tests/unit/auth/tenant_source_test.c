// tenant_source_test.c - reading several tenants as one, and limits of what is read.
// SPDX-License-Identifier: Apache-2.0
#include "auth/tenant_source.h"

#include "auth/tenant.h"
#include "base/regex.h"
#include "query/memory_source.h"
#include "test.h"

struct fixture {
    struct arena a;
    struct memory_source *m[2];
    struct tenant_part parts[3];
    struct series_source *source;
    struct series_view *view;
    struct budget budget;
    struct buf text;
};

static void add(struct memory_source *m, const char *name, const char *tenant, double v)
{
    struct label l[2] = { { LABEL_NAME, str_c(name) }, { TENANT_LABEL, str_c(tenant) } };
    struct memory_sample samples[] = { { .t_ms = 1000, .value = v },
                                       { .t_ms = 2000, .value = v + 1 } };

    memory_source_add(m, (struct labels){ l, *tenant ? 2 : 1 }, samples, 2);
}

static void open_source(struct fixture *f, struct tenant_source_options o)
{
    struct err e;

    series_view_put(f->view);
    o.parts = f->parts;
    f->source = tenant_source_new(&f->a, &o);
    CHECK_OK(f->source->open(f->source, 0, 10000, &f->view, &e), &e);
}

static void fx_init(struct fixture *f)
{
    static const char *const names[] = { "a", "b", "nobody" };

    for (size_t i = 0; i < 3; i++)
        f->parts[i].name = str_c(names[i]);
    for (size_t i = 0; i < 2; i++) {
        f->m[i] = memory_source_new();
        f->parts[i].source = memory_source_view(f->m[i]);
    }
    add(f->m[0], "up", "", 10);
    add(f->m[0], "down", "", 20);
    add(f->m[1], "up", "", 30);
    add(f->m[1], "up", "old", 40);
}

static void fx_fini(struct fixture *f)
{
    series_view_put(f->view);
    memory_source_free(f->m[0]);
    memory_source_free(f->m[1]);
    buf_fini(&f->text);
    arena_fini(&f->a);
}
OWN_DEFINE_FINI(struct fixture, fx_fini)

struct visit {
    struct fixture *f;
    const struct series_set *set;
};

static bool write_series(void *ctx, uint32_t pos, const struct series_samples *s,
                         struct err *e UNUSED)
{
    struct visit *v = ctx;

    buf_labels(&v->f->text, v->set->v[pos].labels);
    for (size_t i = 0; i < s->n; i++)
        buf_printf(&v->f->text, " %g", s->value[i]);
    buf_char(&v->f->text, '\n');
    return true;
}

static bool query(struct fixture *f, const struct matcher *m, size_t n, struct err *e)
{
    struct series_set set;
    struct select_query q = { .matchers = m, .matcher_count = n, .max_ms = 10000 };

    buf_reset(&f->text);
    return f->view->ops->select(f->view, &q, &f->a, &f->budget, &set, e) &&
           f->view->ops->scan(f->view, &set, &(struct scan_query){ .max_ms = 10000 }, &f->budget,
                              write_series, &(struct visit){ f, &set }, e);
}

TEST(series_of_several_tenants_are_told_apart)
{
    OWNED(fx_fini) struct fixture f = { 0 };
    struct matcher up[] = { { MATCH_EQ, LABEL_NAME, STR("up"), NULL },
                            { MATCH_NE, TENANT_LABEL, STR("a"), NULL } };
    struct err e = { 0 };

    fx_init(&f);
    open_source(&f, (struct tenant_source_options){ .part_count = 3, .floor_ms = INT64_MIN });
    CHECK_OK(query(&f, up, 1, &e), &e);
    CHECK_STR(
        buf_view(&f.text),
        STR("{__name__=\"up\", __tenant_id__=\"a\"} 10 11\n"
            "{__name__=\"up\", __tenant_id__=\"b\"} 30 31\n"
            "{__name__=\"up\", __tenant_id__=\"b\", original___tenant_id__=\"old\"} 40 41\n"));
    CHECK_OK(query(&f, up, 2, &e), &e);
    CHECK(str_find(buf_view(&f.text), STR("tenant_id__=\"a\"")) == STR_NPOS && f.text.n);
    struct matcher only = { MATCH_EQ, TENANT_LABEL, STR("a"), NULL };
    CHECK_OK(query(&f, &only, 1, &e), &e); // no other matcher: everything of that tenant
    CHECK_STR(buf_view(&f.text), STR("{__name__=\"up\", __tenant_id__=\"a\"} 10 11\n"
                                     "{__name__=\"down\", __tenant_id__=\"a\"} 20 21\n"));
    struct matcher old = { MATCH_EQ, TENANT_LABEL_ORIGINAL, STR("old"), NULL };
    CHECK_OK(query(&f, &old, 1, &e), &e);
    CHECK(str_find(buf_view(&f.text), STR(" 40 41\n")) != STR_NPOS);
    CHECK(str_find(buf_view(&f.text), STR(" 30 31\n")) == STR_NPOS);
}

TEST(picked_positions_find_their_tenant)
{
    OWNED(fx_fini) struct fixture f = { 0 };
    struct matcher any = { MATCH_NE, LABEL_NAME, STR_NONE, NULL };
    struct select_query q = { .matchers = &any, .matcher_count = 1, .max_ms = 10000 };
    uint32_t pick[] = { 1, 2 };
    struct scan_query scan = { .pick = pick, .pick_count = 2, .max_ms = 1500 };
    struct series_set set;
    struct err e = { 0 };

    fx_init(&f);
    open_source(&f, (struct tenant_source_options){ .part_count = 2, .floor_ms = INT64_MIN });
    CHECK_OK(f.view->ops->select(f.view, &q, &f.a, &f.budget, &set, &e), &e);
    CHECK(set.n == 4);
    CHECK_OK(f.view->ops->scan(f.view, &set, &scan, &f.budget, write_series,
                               &(struct visit){ &f, &set }, &e),
             &e);
    CHECK_STR(buf_view(&f.text), STR("{__name__=\"down\", __tenant_id__=\"a\"} 20\n"
                                     "{__name__=\"up\", __tenant_id__=\"b\"} 30\n"));
}

static struct str strings(struct fixture *f, const char *name)
{
    struct matcher any = { MATCH_NE, LABEL_NAME, STR_NONE, NULL };
    struct select_query q = {
        .matchers = &any, .matcher_count = 1, .max_ms = 10000, .label = str_c(name)
    };
    struct str *v;
    struct err e = { 0 };
    size_t n;

    CHECK_OK(f->view->ops->label_strings(f->view, &q, &f->a, &f->budget, &v, &n, &e), &e);
    buf_reset(&f->text);
    for (size_t i = 0; i < n; i++)
        buf_printf(&f->text, "%.*s,", STRF(v[i]));
    return buf_view(&f->text);
}

TEST(names_and_values_are_those_of_all)
{
    OWNED(fx_fini) struct fixture f = { 0 };

    fx_init(&f);
    open_source(&f, (struct tenant_source_options){ .part_count = 3, .floor_ms = INT64_MIN });
    CHECK_STR(strings(&f, ""), STR("__name__,__tenant_id__,original___tenant_id__,"));
    CHECK_STR(strings(&f, "__name__"), STR("down,up,"));
    CHECK_STR(strings(&f, "__tenant_id__"), STR("a,b,nobody,"));
    CHECK_STR(strings(&f, "original___tenant_id__"), STR("old,"));
}

TEST(one_tenant_is_left_as_it_is)
{
    OWNED(fx_fini) struct fixture f = { 0 };
    struct matcher up = { MATCH_EQ, LABEL_NAME, STR("up"), NULL };
    struct err e = { 0 };

    fx_init(&f);
    open_source(&f, (struct tenant_source_options){ .part_count = 1, .floor_ms = INT64_MIN });
    CHECK(f.source == f.parts[0].source);
    open_source(&f, (struct tenant_source_options){ .part_count = 1, .floor_ms = 1500 });
    CHECK_OK(query(&f, &up, 1, &e), &e);
    CHECK_STR(buf_view(&f.text), STR("{__name__=\"up\"} 11\n")); // the older one is not seen
    f.parts[0] = f.parts[2];
    open_source(&f, (struct tenant_source_options){ .part_count = 1, .floor_ms = INT64_MIN });
    CHECK_OK(query(&f, &up, 1, &e), &e);
    CHECK_STR(buf_view(&f.text), STR(""));
    CHECK_STR(strings(&f, "__name__"), STR(""));
}

TEST(series_of_a_query_are_limited)
{
    OWNED(fx_fini) struct fixture f = { 0 };
    struct matcher up = { MATCH_EQ, LABEL_NAME, STR("up"), NULL };
    struct err e = { 0 };

    fx_init(&f);
    open_source(&f, (struct tenant_source_options){
                        .part_count = 2, .series_max = 3, .floor_ms = INT64_MIN });
    CHECK_OK(query(&f, &up, 1, &e), &e);
    CHECK(!query(&f, &up, 1, &e)); // all selections of a view together
    CHECK(e.kind == ERR_LIMIT && strstr(e.text, "max_fetched_series_per_query is 3"));
}
