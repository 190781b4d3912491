// check_alertmanager.c - `check alertmanager`: alertmanager.yml and the templates that it names.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "app/check.h"
#include "base/file.h"
#include "config/alertmanager.h"
#include "lang/gotemplate.h"

static void show(const char *path, const struct conf_problem *p, const char *kind)
{
    fprintf(stderr, "%s:%u:%u: %s%.*s%s%.*s\n", path, p->pos.line, p->pos.col, kind, STRF(p->text),
            p->hint.n ? "; " : "", STRF(p->hint));
}

static void show_error(const char *path, const struct am_config *c, const struct err *e)
{
    for (size_t i = 0; c && i < c->problem_count; i++)
        show(path, &c->problems[i], "");
    if (c && c->problem_count)
        return;
    if (e->pos.line)
        fprintf(stderr, "%s:%u:%u: %s\n", path, e->pos.line, e->pos.col, e->text);
    else
        fprintf(stderr, "%s: %s\n", path, e->text);
}

// Parses the template files of all patterns into one set, as the server does. *count: files.
static bool check_templates(const struct am_config *c, size_t *count)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(gotemplate_set_fini) struct gotemplate_set set = { 0 };
    bool ok = true;

    for (size_t i = 0; i < c->doc.templates.n; i++) {
        struct cli_list files = check_glob(&a, c->doc.templates.v[i]);

        for (size_t k = 0; k < files.n; k++, ++*count) {
            const char *path = arena_cstr(&a, files.v[k]), *slash = strrchr(path, '/');
            struct str text;
            struct err e;

            if (file_read(&a, path, GOTEMPLATE_TEXT_MAX, &text, &e) &&
                gotemplate_parse(&set, str_c(slash ? slash + 1 : path), text, &e))
                continue;
            fprintf(stderr, "%s: %s\n", path, e.text);
            ok = false;
        }
    }
    return ok;
}

static bool check_one(const char *path, bool strict)
{
    OWNED(am_config_put) struct am_config *c = NULL;
    size_t templates = 0;
    struct err e;

    if (!am_config_load(path, &c, &e)) {
        show_error(path, c, &e);
        return false;
    }
    for (size_t i = 0; i < c->warning_count; i++)
        show(path, &c->warnings[i], strict ? "" : "warning: ");
    if (!check_templates(c, &templates) || (strict && c->warning_count))
        return false;
    printf("%s: ok, %zu routes, %zu receivers, %zu inhibit rules, %zu templates\n", path,
           c->route_count, c->doc.receivers.n, c->doc.inhibit_rules.n, templates);
    return true;
}

int check_alertmanager(struct cli_list files, bool strict)
{
    bool ok = true;

    for (size_t i = 0; i < files.n; i++)
        ok &= check_one(files.v[i].p, strict);
    return ok ? 0 : 1;
}
