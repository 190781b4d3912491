/*
 * check_metrics.c - `check metrics`: names, units and types as the naming guide wants them, and
 * how many series each metric has. Source of the rules: client_golang, testutil/promlint.
 */
// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

#include "app/check.h"
#include "base/sort.h"
#include "model/page.h"

enum { PAGE_BYTES_MAX = 1 << 30 };

struct lint_problem {
    struct str metric, text;
};

struct linter {
    struct arena *arena;
    const struct page_family *family;
    VEC(struct lint_problem) problems;
};

static void say(struct linter *l, struct str text)
{
    *vec_push_in(l->arena, &l->problems) = (struct lint_problem){ l->family->name, text };
}

/* ---- units ---- */

static const struct {
    const char *unit, *base;
} units[] = {
    { "amperes", "amperes" },    { "bytes", "bytes" },     { "celsius", "celsius" },
    { "grams", "grams" },        { "joules", "joules" },   { "kelvin", "kelvin" },
    { "meters", "meters" },      { "metres", "metres" },   { "seconds", "seconds" },
    { "volts", "volts" },        { "minutes", "seconds" }, { "hours", "seconds" },
    { "days", "seconds" },       { "weeks", "seconds" },   { "kelvins", "kelvin" },
    { "fahrenheit", "celsius" }, { "rankine", "celsius" }, { "inches", "meters" },
    { "yards", "meters" },       { "miles", "meters" },    { "bits", "bytes" },
    { "calories", "joules" },    { "pounds", "grams" },    { "ounces", "grams" },
};
static const char *const prefixes[] = {
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo",
    "kibi", "mega", "mibi",  "giga",  "gibi",  "tera", "tebi", "peta",  "pebi",
};
static const char *const abbreviations[] = { "s",  "ms", "us", "ns", "sec", "b", "kb",
                                             "mb", "gb", "tb", "pb", "m",   "h", "d" };

static const char *base_of(struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq_c(word, units[i].unit))
            return units[i].base;
    return NULL;
}

static void lint_units(struct linter *l)
{
    struct str rest = l->family->name;

    while (rest.p) {
        struct str word = str_cut(&rest, '_');
        const char *base = base_of(word);
        for (size_t i = 0; !base && i < ARRAY_LEN(prefixes); i++)
            if (str_starts(word, str_c(prefixes[i])))
                base = base_of(str_sub(word, strlen(prefixes[i]), word.n));
        if (!base)
            continue;
        if (!str_eq_c(word, base))
            say(l, arena_printf(l->arena, "use base unit \"%s\" instead of \"%.*s\"", base,
                                STRF(word)));
        return;
    }
}

/* ---- names ---- */

// "_word_" inside or "_word" at the end.
static bool has_word(struct linter *l, struct str lower, const char *word)
{
    return str_find(lower, arena_printf(l->arena, "_%s_", word)) != STR_NPOS ||
           str_ends(lower, arena_printf(l->arena, "_%s", word));
}

static bool is_camel(struct str s)
{
    for (size_t i = 1; i < s.n; i++)
        if (islower((unsigned char)s.p[i - 1]) && isupper((unsigned char)s.p[i]))
            return true;
    return false;
}

static void lint_name(struct linter *l)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct str name = l->family->name;

    buf_lower(&b, name);
    for (int t = PAGE_COUNTER; t <= PAGE_GAUGE_HISTOGRAM; t++)
        if (t != PAGE_UNTYPED && has_word(l, buf_view(&b), page_type_name((enum page_type)t)))
            say(l, arena_printf(l->arena, "metric name should not include type '%s'",
                                page_type_name((enum page_type)t)));
    if (str_find_char(name, ':') != STR_NPOS)
        say(l, STR("metric names should not contain ':'"));
    if (is_camel(name))
        say(l, STR("metric names should be written in 'snake_case' not 'camelCase'"));
    for (size_t i = 0; i < ARRAY_LEN(abbreviations); i++)
        if (has_word(l, buf_view(&b), abbreviations[i]))
            say(l, STR("metric names should not contain abbreviated units"));
}

static void lint_labels(struct linter *l)
{
    const struct page_family *f = l->family;
    bool typed = f->type != PAGE_UNTYPED;

    for (size_t i = 0; i < f->metrics.n; i++) {
        const struct page_metric *m = f->metrics.v[i];
        for (size_t k = 0; k < m->label_count; k++) {
            struct str name = m->labels[k].name;
            if (is_camel(name))
                say(l, STR("label names should be written in 'snake_case' not 'camelCase'"));
            if (typed && f->type != PAGE_HISTOGRAM && str_eq(name, STR("le")))
                say(l, STR("non-histogram metrics should not have \"le\" label"));
            if (typed && f->type != PAGE_SUMMARY && str_eq(name, STR("quantile")))
                say(l, STR("non-summary metrics should not have \"quantile\" label"));
        }
    }
}

static void lint_suffixes(struct linter *l)
{
    enum page_type type = l->family->type;
    struct str name = l->family->name;
    bool grouped = type == PAGE_HISTOGRAM || type == PAGE_SUMMARY;
    bool total = str_ends(name, STR("_total"));

    if (type == PAGE_COUNTER && !total)
        say(l, STR("counter metrics should have \"_total\" suffix"));
    if (type == PAGE_UNTYPED)
        return;
    if (type != PAGE_COUNTER && total)
        say(l, STR("non-counter metrics should not have \"_total\" suffix"));
    if (type != PAGE_GAUGE && str_ends(name, STR("_timestamp_seconds")))
        say(l, STR("non-gauge metrics should not have \"_timestamp_seconds\" suffix"));
    if (type != PAGE_HISTOGRAM && str_ends(name, STR("_bucket")))
        say(l, STR("non-histogram metrics should not have \"_bucket\" suffix"));
    if (!grouped && str_ends(name, STR("_count")))
        say(l, STR("non-histogram and non-summary metrics should not have \"_count\" suffix"));
    if (!grouped && str_ends(name, STR("_sum")))
        say(l, STR("non-histogram and non-summary metrics should not have \"_sum\" suffix"));
}

static int metric_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct page_metric *x = *(struct page_metric *const *)a,
                             *y = *(struct page_metric *const *)b;

    return labels_cmp((struct labels){ x->labels, x->label_count },
                      (struct labels){ y->labels, y->label_count });
}

// Metrics with the same labels in the same order.
static void lint_repeats(struct linter *l)
{
    size_t n = l->family->metrics.n;
    struct page_metric **v = arena_copy(l->arena, l->family->metrics.v, n * sizeof *v);

    sort_stable(v, n, sizeof *v, metric_order, NULL);
    for (size_t i = 1; i < n; i++)
        if (metric_order(&v[i - 1], &v[i], NULL) == 0)
            say(l, STR("metric not unique"));
}

static int problem_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct lint_problem *x = a, *y = b;
    int c = str_cmp(x->metric, y->metric);

    return c ? c : str_cmp(x->text, y->text);
}

static size_t lint_page(struct arena *a, const struct page *page)
{
    struct linter l = { .arena = a };

    for (size_t i = 0; i < page->n; i++) {
        l.family = page->families[i];
        if (!l.family->has_help)
            say(&l, STR("no help text"));
        lint_units(&l);
        lint_suffixes(&l);
        lint_name(&l);
        lint_labels(&l);
        lint_repeats(&l);
    }
    sort_stable(l.problems.v, l.problems.n, sizeof *l.problems.v, problem_order, NULL);
    for (size_t i = 0; i < l.problems.n; i++)
        fprintf(stderr, "%.*s %.*s\n", STRF(l.problems.v[i].metric), STRF(l.problems.v[i].text));
    return l.problems.n;
}

/* ---- counts ---- */

struct count {
    struct str name;
    size_t series;
};

static int count_order(const void *a, const void *b, void *ctx UNUSED)
{
    const struct count *x = a, *y = b;

    return (x->series < y->series) - (x->series > y->series);
}

static size_t series_of(const struct page_family *f)
{
    if (f->type == PAGE_HISTOGRAM || f->type == PAGE_SUMMARY)
        return f->metrics.n * (2 + f->metrics.v[0]->parts.n);
    return f->metrics.n;
}

// Columns as wide as their widest cell and four blanks.
static void print_counts(const struct count *v, size_t n, size_t total)
{
    int wide = 6, digits = 11;

    for (size_t i = 0; i < n; i++)
        wide = MAX(wide, (int)v[i].name.n);
    printf("%-*s    %-*s    %-14s\n", wide, "Metric", digits, "Cardinality", "Percentage");
    for (size_t i = 0; i < n; i++) {
        char share[32];
        snprintf(share, sizeof share, "%.2f%%", 100 * (double)v[i].series / (double)total);
        printf("%-*.*s    %-*zu    %-14s\n", wide, STRF(v[i].name), digits, v[i].series, share);
    }
    printf("%-*s    %-*zu    %-14s\n", wide, "Total", digits, total, "100%");
}

static void count_page(struct arena *a, const struct page *page)
{
    struct count *v = arena_array(a, page->n, struct count);
    size_t total = 0;

    for (size_t i = 0; i < page->n; i++) {
        v[i] = (struct count){ page->families[i]->name, series_of(page->families[i]) };
        total += v[i].series;
    }
    sort_stable(v, page->n, sizeof *v, count_order, NULL);
    print_counts(v, page->n, total);
}

int check_metrics(const struct check_options *o, bool extended, bool lint)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf text = { 0 };
    struct page page = { 0 };
    struct err e = { 0 };
    size_t problems = 0;
    ssize_t n;

    if (!extended && !lint) {
        fprintf(stderr, "error: at least one of --extended or linting must be enabled\n"
                        "Use --extended for cardinality analysis, or remove --lint=none to enable "
                        "linting\n");
        return 1;
    }
    while (text.n < PAGE_BYTES_MAX && (n = read(0, buf_room(&text, 1 << 16), 1 << 16)) > 0)
        text.n += (size_t)n;
    if (!page_read(&a, buf_view(&text), &page, &e)) {
        fprintf(stderr, "%s: %s\n",
                !o->promtool ? "standard input"
                : lint       ? "error while linting"
                             : "error while parsing text to metric families",
                e.text);
        return 1;
    }
    if (lint)
        problems = lint_page(&a, &page);
    if (extended)
        count_page(&a, &page);
    if (!o->promtool && !problems)
        printf("standard input: ok, %zu metrics\n", page.n);
    return problems ? 3 : 0;
}
