/*
 * node_textfile.c - the textfile collector: *.prom files of folders, merged into the page.
 *
 * A file is taken whole or not at all: a syntax error, a time, or a name outside the old alphabet
 * drops it and sets node_textfile_scrape_error. Families of the same name from several files are
 * merged; where their help texts differ the first is kept and the others' series are dropped.
 */
// SPDX-License-Identifier: Apache-2.0
#include <glob.h>
#include <sys/stat.h>

#include "base/log.h"
#include "export/export_priv.h"
#include "model/labels.h"

enum { TEXTFILE_MAX = 64 << 20 };

struct tf_metric {
    struct expo_label *label; // sorted
    size_t labels;
    double value, count;
    VEC(struct expo_bucket) bucket;
    VEC(struct expo_quantile) quantile;
};

struct tf_family {
    struct str name, help; // help.p == NULL: none given
    struct str file;
    enum expo_type type;
    bool typed;
    VEC(struct tf_metric) metric;
};

struct tf {
    struct export_run *r;
    VEC(struct tf_family) all;    // of all files taken
    VEC(struct expo_label) mtime; // file and time, as label and text of a number
    bool errored;
};

// Families of the file in hand.
struct tf_file {
    struct arena *a;
    VEC(struct tf_family) family;
};

static struct tf_family *find_family(struct tf_file *f, struct str name)
{
    for (size_t i = f->family.n; i-- > 0;) // the latest is most likely
        if (str_eq(f->family.v[i].name, name))
            return &f->family.v[i];
    return NULL;
}

static struct tf_family *get_family(struct tf_file *f, struct str name)
{
    struct tf_family *family = find_family(f, name);

    if (family)
        return family;
    family = vec_push_in(f->a, &f->family);
    family->name = arena_str(f->a, name);
    family->type = EXPO_UNKNOWN;
    return family;
}

enum part { PART_VALUE, PART_BUCKET, PART_SUM, PART_COUNT };

// The family a sample belongs to, and which part of it it is.
static struct tf_family *family_of(struct tf_file *f, struct str name, enum part *part)
{
    static const struct {
        struct str suffix;
        enum part part;
    } suffixes[] = { { { "_bucket", 7 }, PART_BUCKET },
                     { { "_sum", 4 }, PART_SUM },
                     { { "_count", 6 }, PART_COUNT } };
    struct tf_family *family = find_family(f, name);

    *part = PART_VALUE;
    for (size_t i = 0; i < ARRAY_LEN(suffixes) && !family; i++) {
        if (!str_ends(name, suffixes[i].suffix))
            continue;
        family = find_family(f, str_sub(name, 0, name.n - suffixes[i].suffix.n));
        if (family && (family->type == EXPO_HISTOGRAM ||
                       (family->type == EXPO_SUMMARY && suffixes[i].part != PART_BUCKET))) {
            *part = suffixes[i].part;
            return family;
        }
        family = NULL;
    }
    return family ? family : get_family(f, name);
}

static bool check_labels(const struct expo_labels *ls, struct err *e)
{
    for (size_t i = 1; i < ls->n; i++) {
        if (!label_name_is_legacy(ls->v[i].name))
            return err_set(e, ERR_INVALID, "invalid label name \"%.*s\"", STRF(ls->v[i].name));
        if (i > 1 && str_eq(ls->v[i].name, ls->v[i - 1].name))
            return err_set(e, ERR_INVALID, "duplicate label name \"%.*s\"", STRF(ls->v[i].name));
    }
    if (!metric_name_is_legacy(ls->v[0].value))
        return err_set(e, ERR_INVALID, "invalid metric name \"%.*s\"", STRF(ls->v[0].value));
    return true;
}

static int cmp_label(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct expo_label *)a)->name, ((const struct expo_label *)b)->name);
}

static struct tf_metric *get_metric(struct tf_file *f, struct tf_family *family,
                                    struct expo_label *label, size_t n)
{
    bool compound = family->type == EXPO_HISTOGRAM || family->type == EXPO_SUMMARY;

    // The parts of one histogram stand together: look at the latest first.
    for (size_t i = family->metric.n; compound && i-- > 0;) {
        struct tf_metric *m = &family->metric.v[i];
        bool same = m->labels == n;

        for (size_t k = 0; k < n && same; k++)
            same = str_eq(m->label[k].name, label[k].name) &&
                   str_eq(m->label[k].value, label[k].value);
        if (same)
            return m;
    }
    struct tf_metric *m = vec_push_in(f->a, &family->metric);
    m->label = label;
    m->labels = n;
    return m;
}

// Takes the label `name` out of the sorted ones; false: absent or no number.
static bool take_number(struct expo_label *v, size_t *n, struct str name, double *out)
{
    for (size_t i = 0; i < *n; i++) {
        if (!str_eq(v[i].name, name))
            continue;
        if (!num_parse_double(v[i].value, out))
            return false;
        memmove(v + i, v + i + 1, (*n - i - 1) * sizeof *v);
        --*n;
        return true;
    }
    return false;
}

static bool add_sample(struct tf_file *f, const struct expo_event *ev, struct err *e)
{
    struct expo_labels ls;
    enum part part;
    double at = 0;

    if (!expo_series_decode(EXPO_TEXT, EXPO_UNKNOWN, ev->series, f->a, &ls, e))
        return false;
    sort_stable(ls.v + 1, ls.n - 1, sizeof *ls.v, cmp_label, NULL);
    if (!check_labels(&ls, e))
        return false;
    struct tf_family *family = family_of(f, ls.v[0].value, &part);
    size_t n = ls.n - 1;
    bool is_quantile = family->type == EXPO_SUMMARY && part == PART_VALUE;
    if ((part == PART_BUCKET && !take_number(ls.v + 1, &n, STR("le"), &at)) ||
        (is_quantile && !take_number(ls.v + 1, &n, STR("quantile"), &at)))
        return err_set(e, ERR_INVALID, "expected float as value for 'le' or 'quantile' label");
    struct tf_metric *m = get_metric(f, family, ls.v + 1, n);
    if (is_quantile)
        *vec_push_in(f->a, &m->quantile) = (struct expo_quantile){ at, ev->value };
    else if (part == PART_BUCKET)
        *vec_push_in(f->a, &m->bucket) = (struct expo_bucket){ .upper = at, .count = ev->value };
    else if (part == PART_COUNT)
        m->count = ev->value;
    else
        m->value = ev->value;
    return true;
}

static bool add_meta(struct tf_file *f, const struct expo_event *ev, struct err *e)
{
    struct tf_family *family = get_family(f, ev->name);

    if (ev->kind == EXPO_META_HELP) {
        if (family->help.p)
            return err_set(e, ERR_INVALID, "second HELP line for metric name \"%.*s\"",
                           STRF(ev->name));
        if (ev->text.n) // an empty one is none
            family->help = arena_str(f->a, ev->text);
        return true;
    }
    if (family->typed || family->metric.n)
        return err_set(e, ERR_INVALID,
                       "second TYPE line for metric name \"%.*s\", or TYPE reported after samples",
                       STRF(ev->name));
    family->typed = true;
    family->type = ev->type;
    return true;
}

static bool parse_file(struct tf_file *f, struct str body, struct err *e)
{
    OWNED(expo_free) struct expo *x = expo_new();
    struct expo_event ev;
    bool timed = false;
    int got;

    expo_start(x, &(struct expo_options){ .format = EXPO_TEXT }, body);
    while ((got = expo_next(x, &ev, e)) > 0) {
        if (ev.kind != EXPO_SAMPLE) {
            if (!add_meta(f, &ev, e))
                return false;
            continue;
        }
        if (!add_sample(f, &ev, e))
            return false;
        timed = timed || ev.has_time;
    }
    if (got < 0)
        return false;
    if (timed)
        return err_set(e, ERR_INVALID,
                       "contains unsupported client-side timestamps, skipping entire file");
    return true;
}

/* ---- merging ---- */

static void take_family(struct tf *t, const struct tf_family *family)
{
    for (size_t i = 0; i < t->all.n; i++) {
        const struct tf_family *old = &t->all.v[i];
        bool clash = old->help.p && family->help.p && !str_eq(old->help, family->help);

        if (!str_eq(old->name, family->name) || (!clash && old->type == family->type))
            continue;
        log_warn("export", "textfile families disagree", KV_STR("metric", family->name),
                 KV_STR("file", family->file), KV_STR("first", old->file));
        t->errored = true;
        return;
    }
    if (family->metric.n)
        *vec_push_in(t->r->a, &t->all) = *family;
}

static void take_file(struct tf *t, const char *path)
{
    struct tf_file f = { .a = t->r->a };
    struct err e = { 0 };
    struct str body;
    struct stat st;

    if (!file_read(t->r->a, path, TEXTFILE_MAX, &body, &e) || !parse_file(&f, body, &e)) {
        log_warn("export", "textfile not taken", KV("file", path), KV_ERR(&e));
        t->errored = true;
        return;
    }
    for (size_t i = 0; i < f.family.n; i++) {
        f.family.v[i].file = str_c(path);
        take_family(t, &f.family.v[i]);
    }
    if (stat(path, &st) < 0) {
        t->errored = true;
        return;
    }
    const char *mtime = node_text(t->r, "%lld", (long long)st.st_mtim.tv_sec);
    *vec_push_in(t->r->a, &t->mtime) = (struct expo_label){ str_c(path), str_c(mtime) };
}

static void take_dir(struct tf *t, const char *dir)
{
    struct file_list list;
    struct err e = { 0 };
    struct str clean = str_c(dir);

    if (!*dir)
        return;
    if (!file_list(t->r->a, dir, &list, &e)) {
        log_warn("export", "textfile folder not read", KV("path", dir), KV_ERR(&e));
        t->errored = true;
        return;
    }
    while (clean.n > 1 && clean.p[clean.n - 1] == '/')
        clean.n--;
    for (size_t i = 0; i < list.n; i++)
        if (str_ends(list.v[i], STR(".prom")))
            take_file(t, node_text(t->r, "%.*s/%.*s", STRF(clean), STRF(list.v[i])));
}

static void take_pattern(struct tf *t, const char *pattern)
{
    glob_t g = { 0 };

    if (glob(pattern, 0, NULL, &g) != 0 || g.gl_pathc == 0)
        take_dir(t, pattern);
    else
        for (size_t i = 0; i < g.gl_pathc; i++)
            take_dir(t, arena_cstr(t->r->a, str_c(g.gl_pathv[i])));
    globfree(&g);
}

/* ---- what comes out ---- */

// Help of a family that has none: the files it was read from.
static struct str help_of(struct tf *t, struct str name)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_lit(&b, "Metric read from ");
    for (size_t i = 0, n = 0; i < t->all.n; i++)
        if (str_eq(t->all.v[i].name, name))
            buf_printf(&b, "%s%.*s", n++ ? ", " : "", STRF(t->all.v[i].file));
    return arena_str(t->r->a, buf_view(&b));
}

static int cmp_double(double a, double b)
{
    return (a > b) - (a < b);
}

static int cmp_bucket(const void *a, const void *b, void *ctx UNUSED)
{
    return cmp_double(((const struct expo_bucket *)a)->upper,
                      ((const struct expo_bucket *)b)->upper);
}

static int cmp_quantile(const void *a, const void *b, void *ctx UNUSED)
{
    return cmp_double(((const struct expo_quantile *)a)->quantile,
                      ((const struct expo_quantile *)b)->quantile);
}

// All label names of the family's metrics, sorted, once each.
static size_t names_of(struct arena *a, const struct tf_family *f, struct str **out)
{
    VEC(struct str) names = { 0 };

    for (size_t i = 0; i < f->metric.n; i++)
        for (size_t k = 0; k < f->metric.v[i].labels; k++)
            *vec_push_in(a, &names) = f->metric.v[i].label[k].name;
    *out = names.v;
    return names.n ? sort_strs_unique(names.v, names.n) : 0;
}

static void export_metric(struct tf *t, const struct expo_family *f, struct tf_metric *m,
                          const struct str *name, size_t names)
{
    struct expo_label *label = arena_array(t->r->a, names, struct expo_label);

    for (size_t i = 0, k = 0; i < names; i++) {
        bool has = k < m->labels && str_eq(m->label[k].name, name[i]);
        label[i] = (struct expo_label){ name[i], has ? m->label[k].value : STR("") };
        k += has;
    }
    sort_stable(m->bucket.v, m->bucket.n, sizeof *m->bucket.v, cmp_bucket, NULL);
    sort_stable(m->quantile.v, m->quantile.n, sizeof *m->quantile.v, cmp_quantile, NULL);
    export_add_metric(t->r->set, f,
                      &(struct expo_metric){ .label = label,
                                             .labels = names,
                                             .value = m->value,
                                             .count = m->count,
                                             .bucket = m->bucket.v,
                                             .buckets = m->bucket.n,
                                             .quantile = m->quantile.v,
                                             .quantiles = m->quantile.n });
}

bool node_textfile(struct export_run *r, struct err *e UNUSED)
{
    static const struct export_desc mtime = { "node_textfile_mtime_seconds",
                                              "Unixtime mtime of textfiles successfully read.",
                                              EXPO_GAUGE };
    static const struct export_desc error = {
        "node_textfile_scrape_error",
        "1 if there was an error opening or reading a file, 0 otherwise", EXPO_GAUGE
    };
    struct tf t = { .r = r };

    for (size_t i = 0; i < r->node->o.textfile_dir_count; i++)
        take_pattern(&t, r->node->o.textfile_dirs[i]);
    for (size_t i = 0; i < t.all.n; i++) {
        struct tf_family *in = &t.all.v[i];
        struct expo_family f = { .name = in->name, .help = in->help, .type = in->type };
        struct str *name;

        if (!f.help.p)
            f.help = help_of(&t, f.name);
        size_t names = names_of(r->a, in, &name);
        for (size_t k = 0; k < in->metric.n; k++)
            export_metric(&t, &f, &in->metric.v[k], name, names);
    }
    for (size_t i = 0; i < t.mtime.n; i++) {
        struct expo_label l = { STR("file"), t.mtime.v[i].name };
        export_add(r->set, &mtime, node_number(t.mtime.v[i].value), &l, 1);
    }
    export_add(r->set, &error, t.errored, NULL, 0);
    return true;
}
