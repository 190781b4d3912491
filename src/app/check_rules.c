// check_rules.c - `check rules`: rule files, and the lint rules about them.
// SPDX-License-Identifier: Apache-2.0
#include "app/check.h"

#include <stdio.h>
#include <unistd.h>

#include "app/tools_promql.h"
#include "base/sort.h"
#include "base/time.h"

/* ---- options ---- */

static void read_word(struct check_options *o, struct str word, bool config, int64_t lookback_ms)
{
    bool all = str_eq_c(word, "all");

    if (config && (all || str_eq_c(word, "too-long-scrape-interval")))
        o->lookback_ms = lookback_ms;
    if (all || str_eq_c(word, "duplicate-rules"))
        o->lint_duplicates = true;
    else if (word.n && !str_eq_c(word, "none") &&
             !(config && str_eq_c(word, "too-long-scrape-interval")))
        printf("WARNING: unknown lint option: \"%.*s\"\n", STRF(word));
}

void check_options_read(struct check_options *o, const struct cli *c, bool config)
{
    struct str rest = cli_text(c, "lint");
    int64_t lookback_ms = config ? cli_ns(c, "query.lookback-delta") / NS_MS : 0;
    bool none = false;

    o->syntax = tools_promql_syntax(c);
    o->fatal = cli_bool(c, "lint-fatal");
    o->ignore_unknown = cli_bool(c, "ignore-unknown-fields");
    while (rest.p) {
        struct str word = str_cut(&rest, ',');
        none |= str_eq_c(word, "none");
        read_word(o, word, config, lookback_ms);
    }
    if (none && config)
        o->lint_duplicates = false, o->lookback_ms = 0;
}

int check_exit_code(const struct check_options *o, struct check_result r)
{
    if (r.failed && r.is_error)
        return 1;
    return r.failed && o->fatal ? 3 : 0;
}

/* ---- rules that make the same series ---- */

struct made {
    struct str name;
    struct labels labels;
    struct pos pos;
};

static int made_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct made *x = a, *y = b;
    int c = str_cmp(x->name, y->name);

    return c ? c : labels_cmp(x->labels, y->labels);
}

struct made_list {
    struct made *v;
    size_t n;
};

static struct made_list collect(struct arena *a, const struct rule_file *f)
{
    VEC(struct made) all = { 0 };

    for (size_t i = 0; i < f->groups.n; i++) {
        const struct rule_group *g = f->groups.v[i];
        for (size_t k = 0; k < g->rules.n; k++) {
            const struct rule *r = g->rules.v[k];
            *vec_push_in(a, &all) = (struct made){ rule_name(r), rule_labels(a, g, r), r->pos };
        }
    }
    return (struct made_list){ all.v, all.n };
}

// Each series that two or more rules make, once: the place of the second of them.
static struct made_list find_duplicates(struct arena *a, struct made_list all)
{
    struct made_list out = { arena_array(a, all.n, struct made), 0 };

    sort_stable(all.v, all.n, sizeof *all.v, made_order, NULL);
    for (size_t i = 1; i < all.n; i++) {
        bool same = made_order(&all.v[i - 1], &all.v[i], NULL) == 0;
        if (same && (!out.n || made_order(&out.v[out.n - 1], &all.v[i], NULL) != 0))
            out.v[out.n++] = all.v[i];
    }
    return out;
}

static void show_duplicates(const struct check_options *o, const char *path, struct made_list dup)
{
    if (o->promtool)
        fprintf(stderr, "  FAILED:\nlint error %zu duplicate rule(s) found.\n", dup.n);
    for (size_t i = 0; i < dup.n; i++) {
        OWNED(buf_fini) struct buf b = { 0 };
        struct made *m = &dup.v[i];
        if (!o->promtool) {
            if (m->labels.n)
                buf_labels(&b, m->labels);
            fprintf(stderr,
                    "%s:%u:%u: lint: another rule of this file makes %.*s%.*s, too; give one of "
                    "them another label\n",
                    path, m->pos.line, m->pos.col, STRF(m->name), STRF(buf_view(&b)));
            continue;
        }
        fprintf(stderr, "Metric: %.*s\nLabel(s):\n", STRF(m->name));
        for (size_t k = 0; k < m->labels.n; k++)
            fprintf(stderr, "\t%.*s: %.*s\n", STRF(m->labels.v[k].name),
                    STRF(m->labels.v[k].value));
    }
    if (o->promtool)
        fprintf(stderr, "Might cause inconsistency while recording expressions\n");
}

/* ---- one file ---- */

static void show_problems(const struct check_options *o, const char *path, bool named,
                          const struct rule_file *f)
{
    if (o->promtool)
        fprintf(stderr, "  FAILED:\n");
    for (size_t i = 0; i < f->problem_count; i++) {
        const struct rule_problem *p = &f->problems[i];
        if (o->promtool && p->upstream.n)
            fprintf(stderr, "%s%s%.*s\n", named ? path : "", named ? ": " : "", STRF(p->upstream));
        if (o->promtool || !p->text.n)
            continue;
        if (p->pos.line)
            fprintf(stderr, "%s:%u:%u: ", path, p->pos.line, p->pos.col);
        else
            fprintf(stderr, "%s: ", path);
        fprintf(stderr, "%.*s%s%.*s%s%.*s\n", STRF(p->where), p->where.n ? ": " : "", STRF(p->text),
                p->hint.n ? "; " : "", STRF(p->hint));
    }
}

static size_t count_rules(const struct rule_file *f)
{
    size_t n = 0;

    for (size_t i = 0; i < f->groups.n; i++)
        n += ((const struct rule_group *)f->groups.v[i])->rules.n;
    return n;
}

static struct check_result check_lint(const struct check_options *o, const char *path,
                                      const struct rule_file *f)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct made_list dup = { 0 };

    if (o->lint_duplicates)
        dup = find_duplicates(&a, collect(&a, f));
    if (dup.n)
        show_duplicates(o, path, dup);
    else if (o->promtool)
        printf("  SUCCESS: %zu rules found\n", count_rules(f));
    if (o->promtool)
        printf("\n");
    else if (!dup.n)
        printf("%s: ok, %zu rules in %zu groups\n", path, count_rules(f), f->groups.n);
    return (struct check_result){ .failed = dup.n > 0 };
}

static struct check_result check_parsed(const struct check_options *o, const char *path, bool named,
                                        const struct rule_file *f, bool ok)
{
    if (ok)
        return check_lint(o, path, f);
    show_problems(o, path, named, f);
    return (struct check_result){ true, true };
}

struct check_result check_rule_files(const struct check_options *o, struct cli_list files)
{
    struct rule_file_options options = { .ignore_unknown = o->ignore_unknown, .syntax = o->syntax };
    struct check_result all = { 0 };

    for (size_t i = 0; i < files.n; i++) {
        OWNED(rule_file_free) struct rule_file *f = NULL;
        struct err e = { 0 };
        if (o->promtool)
            printf("Checking %s\n", files.v[i].p);
        bool ok = rule_file_load(files.v[i].p, &options, &f, &e);
        struct check_result one = check_parsed(o, files.v[i].p, true, f, ok);
        all.failed |= one.failed;
        all.is_error |= one.is_error;
    }
    return all;
}

static int check_stdin(const struct check_options *o)
{
    OWNED(rule_file_free) struct rule_file *f = NULL;
    struct rule_file_options options = { .ignore_unknown = o->ignore_unknown, .syntax = o->syntax };
    OWNED(buf_fini) struct buf text = { 0 };
    struct err e = { 0 };
    ssize_t n;

    if (o->promtool)
        printf("Checking standard input\n");
    while (text.n < RULE_FILE_BYTES_MAX && (n = read(0, buf_room(&text, 1 << 16), 1 << 16)) > 0)
        text.n += (size_t)n;
    bool ok = rule_file_parse(buf_view(&text), &options, &f, &e);
    return check_exit_code(o, check_parsed(o, "standard input", false, f, ok));
}

int check_rules(const struct check_options *o, struct cli_list files)
{
    if (!files.n)
        return check_stdin(o);
    return check_exit_code(o, check_rule_files(o, files));
}
