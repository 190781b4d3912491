// gotemplate_fuzz.c - any template: an error, or a tree that prints and reads back; it runs in bounds.
// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

#include "template/tmpl_prometheus.h"

static void check_reads_back(const struct gotemplate *t)
{
    OWNED(gotemplate_set_fini) struct gotemplate_set again = { 0 };
    OWNED(buf_fini) struct buf line = { 0 }, second = { 0 };
    struct err e = { 0 };

    gotemplate_print(&line, t->root);
    // A brace before an action, and text around a comment, do not read back: as there.
    if (str_find(buf_view(&line), STR("{{{")) != STR_NPOS ||
        str_find(t->text, STR("/*")) != STR_NPOS)
        return;
    // Variables of an outer scope, blocks and jumps may be out of place on their own.
    if (!gotemplate_parse(&again, t->name, buf_view(&line), &e)) {
        assert(again.error.n);
        return;
    }
    gotemplate_print(&second, gotemplate_find(&again, t->name)->root);
    assert(str_eq(buf_view(&line), buf_view(&second)));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(gotemplate_set_fini) struct gotemplate_set set = { 0 };
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf out = { 0 };
    struct label own[] = { { STR("instance"), STR("a:1") }, { STR("job"), STR("api") } };
    struct tmpl_prometheus env = { .external_url = STR("http://x/y"), .set = &set };
    struct tmpl_options o = { .functions = tmpl_prometheus_functions,
                              .function_count = tmpl_prometheus_function_count,
                              .ctx = &env,
                              .html = n && p[0] % 2,
                              .output_max = 1 << 16,
                              .memory_max = 1 << 20,
                              .steps_max = 2000 };
    struct str error = { 0 };
    struct err e = { 0 };

    set.has_function = tmpl_prometheus_has_function;
    if (!gotemplate_parse(&set, STR("test"), str_of((const char *)p, n), &e)) {
        assert(e.kind && !set.v.n);
        return 0;
    }
    for (size_t i = 0; i < set.v.n; i++)
        check_reads_back(&set.v.v[i]);
    if (!tmpl_run(&set, STR("test"), tmpl_of_labels(&a, (struct labels){ own, 2 }), &o, &a, &out,
                  &error, &e))
        assert(error.n && e.kind);
    assert(out.n <= (1 << 16) + (2 << 20));
    return 0;
}
