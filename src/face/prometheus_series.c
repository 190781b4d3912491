// prometheus_series.c - series, labels, label values.
// SPDX-License-Identifier: Apache-2.0
#include "base/map.h"
#include "base/sort.h"
#include "base/vec.h"
#include "face/prometheus_priv.h"

struct ask {
    struct http_exchange *x;
    struct http_form form;
    struct prom_selectors selectors;
    int64_t min_ms, max_ms;
    size_t limit;
    struct budget budget;
    struct series_view *view;
};

static void ask_fini(struct ask *a)
{
    series_view_put(a->view);
    prom_selectors_fini(&a->selectors);
}
OWN_DEFINE_FINI(struct ask, ask_fini)

static bool ask_begin(struct ask *a, struct http_exchange *x, bool wrapped)
{
    struct prom_time start = PROM_TIME_MIN, end = PROM_TIME_MAX;
    struct err e;

    a->x = x;
    if (prom_refuse_agent(x))
        return false;
    a->form = prom_form(x);
    if (wrapped && !prom_form_strict(x, &a->form))
        return false;
    if (wrapped && !http_form_get(&a->form, STR("match[]")).p) {
        prom_error(x, "bad_data", STR("no match[] parameter provided"));
        return false;
    }
    if (!prom_limit_param(x, &a->form, &a->limit) ||
        !prom_time_param(x, &a->form, "start", &start) ||
        !prom_time_param(x, &a->form, "end", &end) ||
        !prom_selectors(x, &a->form, wrapped ? "match[]" : NULL, &a->selectors))
        return false;
    a->min_ms = prom_time_storage_ms(start);
    a->max_ms = prom_time_storage_ms(end);
    a->budget = prom_budget(x);
    struct series_source *s = prom_source(x);
    if (!s)
        return false;
    if (s->open(s, a->min_ms, a->max_ms, &a->view, &e))
        return true;
    prom_error_of(x, &e);
    return false;
}

static struct select_query select_of(const struct ask *a, size_t i)
{
    struct select_query q = { .min_ms = a->min_ms, .max_ms = a->max_ms };

    if (i < a->selectors.n) {
        q.matchers = a->selectors.v[i].root->selector.matchers;
        q.matcher_count = a->selectors.v[i].root->selector.matcher_count;
    }
    return q;
}

// What the answer lacks: by the limit, or of damaged files.
static struct prom_notes notes_of(struct ask *a, bool cut)
{
    struct str *v, *all;
    size_t n = series_view_warnings(a->view, &a->x->arena, &v);

    all = arena_array(&a->x->arena, n + 1, struct str);
    if (n)
        memcpy(all, v, n * sizeof *v);
    if (cut)
        all[n++] = STR("results truncated due to limit");
    return (struct prom_notes){ .warnings = all, .warning_count = n };
}

/* ---- series ---- */

typedef VEC(struct labels) labels_vec;

static int labels_order(const void *a, const void *b, void *ctx UNUSED)
{
    return labels_cmp(*(const struct labels *)a, *(const struct labels *)b);
}

static bool collect_series(struct ask *a, labels_vec *out, struct err *e)
{
    for (size_t i = 0; i < a->selectors.n; i++) {
        struct select_query q = select_of(a, i);
        struct series_set set;
        // One selector: stop early. Several may overlap, so the cut comes after the union.
        q.limit = a->selectors.n == 1 && a->limit ? a->limit + 1 : 0;
        if (!a->view->ops->select(a->view, &q, &a->x->arena, &a->budget, &set, e))
            return false;
        for (size_t k = 0; k < set.n; k++)
            *vec_push_in(&a->x->arena, out) = set.v[k].labels;
    }
    if (a->selectors.n == 1) // in order of creation, as upstream
        return true;
    sort_stable(out->v, out->n, sizeof *out->v, labels_order, NULL);
    size_t kept = 0;
    for (size_t i = 0; i < out->n; i++)
        if (!kept || !labels_equal(out->v[kept - 1], out->v[i]))
            out->v[kept++] = out->v[i];
    out->n = kept;
    return true;
}

void prom_series(struct http_exchange *x)
{
    OWNED(ask_fini) struct ask a = { 0 };
    labels_vec all = { 0 };
    struct err e;

    if (!ask_begin(&a, x, true))
        return;
    if (a.min_ms <= a.max_ms && !collect_series(&a, &all, &e)) {
        prom_error_of(x, &e);
        return;
    }
    bool cut = a.limit && all.n > a.limit;
    struct prom_notes notes = notes_of(&a, cut);
    struct json_writer w = prom_reply_begin(x);
    json_array(&w);
    for (size_t i = 0; i < (cut ? a.limit : all.n); i++) {
        prom_json_labels(&w, all.v[i]);
        if (!prom_reply_flush(x))
            return;
    }
    json_array_end(&w);
    prom_reply_end(x, &w, &notes);
}

/* ---- names and values ---- */

typedef VEC(struct str) str_vec;

static bool collect_strings(struct ask *a, struct str name, str_vec *out, struct err *e)
{
    size_t n = MAX(a->selectors.n, (size_t)1);

    for (size_t i = 0; i < n; i++) {
        struct select_query q = select_of(a, i);
        struct str *v;
        size_t count;
        q.limit = a->limit;
        q.label = name;
        if (!a->view->ops->label_strings(a->view, &q, &a->x->arena, &a->budget, &v, &count, e))
            return false;
        for (size_t k = 0; k < count; k++)
            *vec_push_in(&a->x->arena, out) = v[k];
    }
    if (n > 1)
        out->n = sort_strs_unique(out->v, out->n);
    return true;
}

static void send_strings(struct ask *a, struct str name)
{
    str_vec all = { 0 };
    struct err e;

    if (a->min_ms <= a->max_ms && !collect_strings(a, name, &all, &e)) {
        prom_error_of(a->x, &e);
        return;
    }
    bool cut = a->limit && all.n > a->limit;
    struct prom_notes notes = notes_of(a, cut);
    struct json_writer w = prom_reply_begin(a->x);
    json_array(&w);
    for (size_t i = 0; i < (cut ? a->limit : all.n); i++) {
        json_str(&w, all.v[i]);
        if (!prom_reply_flush(a->x))
            return;
    }
    json_array_end(&w);
    prom_reply_end(a->x, &w, &notes);
}

void prom_labels(struct http_exchange *x)
{
    OWNED(ask_fini) struct ask a = { 0 };

    if (ask_begin(&a, x, false))
        send_strings(&a, STR_NONE);
}

// U__my_2e_name → my.name: upstream's escaping of names in paths.
static struct str unescape_name(struct arena *a, struct str s)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (!str_starts(s, STR("U__")))
        return s;
    for (size_t i = 3; i < s.n; i++) {
        uint32_t code = 0;
        if (s.p[i] != '_') {
            buf_char(&b, s.p[i]);
            continue;
        }
        if (i + 1 < s.n && s.p[i + 1] == '_') {
            buf_char(&b, '_');
            i++;
            continue;
        }
        size_t k = i + 1;
        for (; k < s.n && s.p[k] != '_' && k < i + 8; k++) {
            int c = s.p[k] | 32, d = s.p[k] >= '0' && s.p[k] <= '9' ? s.p[k] - '0' : c - 'a' + 10;
            if (d < 0 || d > 15)
                return s;
            code = code * 16 + (uint32_t)d;
        }
        if (k == s.n || s.p[k] != '_' || k == i + 1)
            return s;
        if (code < 0x80)
            buf_char(&b, (char)code);
        else if (code < 0x800)
            buf_printf(&b, "%c%c", (int)(0xc0 | code >> 6), (int)(0x80 | (code & 63)));
        else
            buf_printf(&b, "%c%c%c", (int)(0xe0 | code >> 12), (int)(0x80 | (code >> 6 & 63)),
                       (int)(0x80 | (code & 63)));
        i = k;
    }
    return arena_str(a, buf_view(&b));
}

void prom_label_values(struct http_exchange *x)
{
    OWNED(ask_fini) struct ask a = { 0 };
    struct str path = x->req.raw_path, label = STR("/label/"), tail = STR("/values");
    size_t at = str_find(path, label);

    bool fits = at != STR_NPOS && str_ends(path, tail) && path.n > at + label.n + tail.n;
    struct str raw = fits ? str_sub(path, at + label.n, path.n - tail.n) : STR_NONE;
    struct str name = http_url_decode(&x->arena, raw, false);
    if (!fits || !name.p || str_find_char(name, '/') != STR_NPOS) {
        prom_face_fallback(x, NULL);
        return;
    }
    name = unescape_name(&x->arena, name);
    if (!str_is_utf8(name)) {
        name = prom_quote(&x->arena, name);
        prom_error(x, "bad_data", arena_printf(&x->arena, "invalid label name: %.*s", STRF(name)));
        return;
    }
    if (ask_begin(&a, x, false))
        send_strings(&a, name);
}
