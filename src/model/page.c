// page.c - reading the text format as the client library does. Source: expfmt/text_parse.go.
// SPDX-License-Identifier: Apache-2.0
#include "model/page.h"

#include <ctype.h>
#include <math.h>

#include "base/map.h"
#include "base/num.h"
#include "base/sort.h"

enum page_role { ROLE_VALUE, ROLE_COUNT, ROLE_SUM };

struct reader {
    struct arena *arena;
    const char *p, *end;
    int c; // the byte at hand; −1 behind the end
    uint32_t line;
    bool failed; // *e is set
    struct err *e;
    struct buf token;
    VEC(struct page_family *) families;
    struct map by_name;
    VEC(struct page_metric *) grouped; // metrics of histograms and summaries
    VEC(struct page_family *) grouped_family;
    struct map by_labels;
    struct page_family *family; // of the line
    enum page_role role;
    VEC(struct label) labels; // of the line
    double special;           // le or quantile of the line; NaN: none
};

static const char *const type_names[] = { "",        "counter",   "gauge",          "summary",
                                          "untyped", "histogram", "gauge_histogram" };

const char *page_type_name(enum page_type t)
{
    return type_names[t];
}

/* ---- bytes ---- */

static bool step(struct reader *r)
{
    r->c = r->p < r->end ? (unsigned char)*r->p++ : -1;
    return r->c >= 0;
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t';
}

static bool skip_blanks(struct reader *r)
{
    do {
        if (!step(r))
            return false;
    } while (is_blank(r->c));
    return true;
}

static bool skip_blanks_here(struct reader *r)
{
    return !is_blank(r->c) || skip_blanks(r);
}

#define FAIL(r, ...)                                                                   \
    ((r)->failed = true, err_at((r)->e, (struct pos){ (r)->line, 0, 0 }, ERR_INVALID,  \
                                "text format parsing error in line %u: %s", (r)->line, \
                                arena_printf((r)->arena, __VA_ARGS__).p))

// s in quotes as Go's %q.
static const char *quoted(struct reader *r, struct str s)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_quoted(&b, s);
    return arena_cstr(r->arena, buf_view(&b));
}

static const char *quoted_byte(struct reader *r)
{
    if (r->c == '\n')
        return "'\\n'";
    return arena_printf(r->arena, "'%c'", r->c).p;
}

/* ---- tokens ---- */

static bool token_until_blank(struct reader *r)
{
    buf_reset(&r->token);
    while (r->c >= 0 && !is_blank(r->c) && r->c != '\n') {
        buf_char(&r->token, (char)r->c);
        step(r);
    }
    return r->c >= 0;
}

static bool bad_escape(struct reader *r)
{
    return FAIL(r, "invalid escape sequence '\\%c'", r->c);
}

static bool token_until_newline(struct reader *r, bool escapes)
{
    buf_reset(&r->token);
    for (; r->c >= 0; step(r)) {
        if (r->c == '\n')
            return true;
        if (r->c != '\\') {
            buf_char(&r->token, (char)r->c);
            continue;
        }
        if (!step(r))
            return false;
        if (!escapes && r->c == '\n')
            return true;
        if (escapes && r->c != '\\' && r->c != 'n' && r->c != '"')
            return bad_escape(r);
        buf_char(&r->token, escapes && r->c == 'n' ? '\n' : (char)r->c);
    }
    return false;
}

static bool is_name_byte(int c, bool first, bool colon)
{
    return isalpha(c) || c == '_' || (colon && c == ':') || (!first && isdigit(c));
}

// The rest of a quoted name or value, behind the quote; the byte behind the closing quote is at hand.
static bool quoted_token(struct reader *r, const char *what)
{
    for (;;) {
        if (!step(r))
            return false;
        if (r->c == '"')
            return true;
        if (r->c == '\n')
            return FAIL(r, "%s %s contains unescaped new-line", what,
                        quoted(r, buf_view(&r->token)));
        if (r->c != '\\') {
            buf_char(&r->token, (char)r->c);
            continue;
        }
        if (!step(r))
            return false;
        if (r->c != '\\' && r->c != 'n' && r->c != '"')
            return bad_escape(r);
        buf_char(&r->token, r->c == 'n' ? '\n' : (char)r->c);
    }
}

// A name, bare or quoted; empty when there is none.
static bool token_name(struct reader *r, bool metric)
{
    buf_reset(&r->token);
    if (r->c == '"')
        return quoted_token(r, metric ? "metric name" : "label name") && step(r);
    for (bool first = true; r->c >= 0 && is_name_byte(r->c, first, metric); first = false) {
        buf_char(&r->token, (char)r->c);
        step(r);
    }
    return r->c >= 0;
}

static struct str token_copy(struct reader *r)
{
    return arena_str(r->arena, buf_view(&r->token));
}

static bool parse_float(struct str s, double *out)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == 'p' || s.p[i] == 'P' || s.p[i] == '_')
            return false;
    return num_parse_double(s, out);
}

/* ---- families ---- */

static struct page_family *find_family(struct reader *r, struct str name)
{
    uint64_t hash = hash_keyed(name);
    uint32_t i;

    for (size_t at = map_first(&r->by_name, hash);
         (i = map_at(&r->by_name, hash, &at)) != MAP_NONE;)
        if (str_eq(r->families.v[i]->name, name))
            return r->families.v[i];
    return NULL;
}

// The family of type `type` that name without the suffix names.
static struct page_family *find_base(struct reader *r, struct str name, struct str suffix,
                                     enum page_type type)
{
    if (name.n <= suffix.n || !str_ends(name, suffix))
        return NULL;
    struct page_family *f = find_family(r, str_sub(name, 0, name.n - suffix.n));
    return f && f->type == type ? f : NULL;
}

static void set_family(struct reader *r)
{
    static const struct {
        struct str suffix;
        enum page_type type;
        enum page_role role;
    } parts[] = {
        { { "_count", 6 }, PAGE_SUMMARY, ROLE_COUNT },
        { { "_sum", 4 }, PAGE_SUMMARY, ROLE_SUM },
        { { "_count", 6 }, PAGE_HISTOGRAM, ROLE_COUNT },
        { { "_sum", 4 }, PAGE_HISTOGRAM, ROLE_SUM },
        { { "_bucket", 7 }, PAGE_HISTOGRAM, ROLE_VALUE },
    };
    struct str name = token_copy(r);

    r->role = ROLE_VALUE;
    r->family = find_family(r, name);
    for (size_t i = 0; !r->family && i < ARRAY_LEN(parts); i++) {
        r->family = find_base(r, name, parts[i].suffix, parts[i].type);
        r->role = r->family ? parts[i].role : ROLE_VALUE;
    }
    if (r->family)
        return;
    r->family = arena_new(r->arena, struct page_family);
    r->family->name = name;
    map_add(&r->by_name, hash_keyed(name), (uint32_t)r->families.n);
    *vec_push_in(r->arena, &r->families) = r->family;
}

/* ---- comments ---- */

static bool read_help(struct reader *r)
{
    if (r->family->has_help)
        return FAIL(r, "second HELP line for metric name %s", quoted(r, r->family->name));
    if (!token_until_newline(r, true))
        return false;
    r->family->help = token_copy(r);
    r->family->has_help = true;
    return true;
}

static bool read_type(struct reader *r)
{
    if (r->family->type != PAGE_NO_TYPE)
        return FAIL(r, "second TYPE line for metric name %s, or TYPE reported after samples",
                    quoted(r, r->family->name));
    if (!token_until_newline(r, false))
        return false;
    for (size_t i = 1; i < ARRAY_LEN(type_names); i++)
        if (str_eq_nocase(buf_view(&r->token), str_c(type_names[i])))
            r->family->type = (enum page_type)i;
    if (r->family->type == PAGE_NO_TYPE)
        return FAIL(r, "unknown metric type %s", quoted(r, buf_view(&r->token)));
    return true;
}

static bool skip_line(struct reader *r)
{
    while (r->c != '\n')
        if (!step(r))
            return false;
    return true;
}

static bool read_comment(struct reader *r)
{
    if (!skip_blanks(r))
        return false;
    if (r->c == '\n')
        return true;
    if (!token_until_blank(r))
        return false;
    if (r->c == '\n')
        return true;
    bool help = str_eq(buf_view(&r->token), STR("HELP"));
    if (!help && !str_eq(buf_view(&r->token), STR("TYPE")))
        return skip_line(r);
    if (!skip_blanks(r) || !token_name(r, true))
        return false;
    if (r->c == '\n')
        return true;
    if (!is_blank(r->c))
        return FAIL(r, "invalid metric name in comment");
    set_family(r);
    if (!skip_blanks(r))
        return false;
    if (r->c == '\n')
        return true;
    return help ? read_help(r) : read_type(r);
}

/* ---- labels ---- */

static bool is_special(const struct reader *r, struct str name)
{
    return (r->family->type == PAGE_SUMMARY && str_eq(name, STR("quantile"))) ||
           (r->family->type == PAGE_HISTOGRAM && str_eq(name, STR("le")));
}

static bool read_label_value(struct reader *r, struct str name)
{
    if (!skip_blanks(r))
        return false;
    if (r->c != '"')
        return FAIL(r, "expected '\"' at start of label value, found %s", quoted_byte(r));
    buf_reset(&r->token);
    if (!quoted_token(r, "label value"))
        return false;
    struct str value = token_copy(r);
    if (!str_is_utf8(value))
        return FAIL(r, "invalid label value %s", quoted(r, value));
    if (!is_special(r, name)) {
        *vec_push_in(r->arena, &r->labels) = (struct label){ name, value };
    } else if (!parse_float(value, &r->special)) {
        return FAIL(r, "expected float as value for '%.*s' label, got %s", STRF(name),
                    quoted(r, value));
    }
    if (!skip_blanks(r))
        return false;
    if (r->c != ',' && r->c != '}')
        return FAIL(r, "unexpected end of label value %s", quoted(r, value));
    return true;
}

static bool read_label(struct reader *r)
{
    struct str name = token_copy(r);

    if (str_eq(name, LABEL_NAME))
        return FAIL(r, "label name \"__name__\" is reserved");
    for (size_t i = 0; i < r->labels.n; i++)
        if (str_eq(r->labels.v[i].name, name))
            return FAIL(r, "duplicate label names for metric %s", quoted(r, r->family->name));
    return read_label_value(r, name);
}

// What stands between braces; the '{' is at hand. `inside`: the metric's name stands there, too.
static bool read_labels(struct reader *r, bool inside)
{
    do {
        if (!skip_blanks(r))
            return false;
        if (r->c == '}')
            break;
        if (!token_name(r, false))
            return false;
        if (!r->token.n)
            return FAIL(r, "invalid label name for metric %s",
                        quoted(r, r->family ? r->family->name : STR_NONE));
        if (!skip_blanks_here(r))
            return false;
        if (r->c == '=' && r->family) {
            if (!read_label(r))
                return false;
        } else if (!inside) {
            return FAIL(r, "expected '=' after label name, found %s", quoted_byte(r));
        } else if (r->c == ',' || r->c == '}') {
            set_family(r);
        } else if (!r->family) {
            return FAIL(r, "invalid metric name");
        } else {
            return FAIL(r, "unexpected end of metric value %s", quoted_byte(r));
        }
    } while (r->c != '}');
    return r->family ? skip_blanks(r) : FAIL(r, "invalid metric name");
}

/* ---- samples ---- */

static int label_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static struct page_metric *new_metric(struct reader *r)
{
    struct page_metric *m = arena_new(r->arena, struct page_metric);

    m->labels = arena_array(r->arena, r->labels.n, struct label);
    m->label_count = r->labels.n;
    for (size_t i = 0; i < r->labels.n; i++)
        m->labels[i] = r->labels.v[i];
    *vec_push_in(r->arena, &r->family->metrics) = m;
    return m;
}

static bool same_labels(const struct page_metric *a, struct labels b)
{
    return labels_equal((struct labels){ a->labels, a->label_count }, b);
}

// Lines of one histogram or summary make one metric: that of the same labels.
static struct page_metric *grouped_metric(struct reader *r)
{
    sort_stable(r->labels.v, r->labels.n, sizeof *r->labels.v, label_order, NULL);
    struct labels key = { r->labels.v, r->labels.n };
    uint64_t hash = labels_hash(key) ^ hash_keyed(r->family->name);
    uint32_t i;

    for (size_t at = map_first(&r->by_labels, hash);
         (i = map_at(&r->by_labels, hash, &at)) != MAP_NONE;)
        if (r->grouped_family.v[i] == r->family && same_labels(r->grouped.v[i], key))
            return r->grouped.v[i];
    map_add(&r->by_labels, hash, (uint32_t)r->grouped.n);
    struct page_metric *m = new_metric(r);
    *vec_push_in(r->arena, &r->grouped) = m;
    *vec_push_in(r->arena, &r->grouped_family) = r->family;
    return m;
}

static bool read_time(struct reader *r, struct page_metric *m)
{
    if (r->c == '\n')
        return true;
    if (!skip_blanks(r) || !token_until_blank(r))
        return false;
    if (!str_to_i64(buf_view(&r->token), &m->t_ms))
        return FAIL(r, "expected integer as timestamp, got %s", quoted(r, buf_view(&r->token)));
    m->has_time = true;
    if (!token_until_newline(r, false))
        return false;
    if (r->token.n)
        return FAIL(r, "spurious string after timestamp: %s", quoted(r, buf_view(&r->token)));
    return true;
}

static bool read_value(struct reader *r)
{
    enum page_type type = r->family->type;
    bool grouped = type == PAGE_SUMMARY || type == PAGE_HISTOGRAM;
    struct page_metric *m = grouped ? grouped_metric(r) : new_metric(r);
    double value;

    if (!token_until_blank(r))
        return false;
    if (!parse_float(buf_view(&r->token), &value))
        return FAIL(r, "expected float as value, got %s", quoted(r, buf_view(&r->token)));
    if (type == PAGE_GAUGE_HISTOGRAM)
        return r->failed = true, err_set(r->e, ERR_INVALID, "unexpected type for metric name %s",
                                         quoted(r, r->family->name));
    if (!grouped)
        m->value = value;
    else if (r->role == ROLE_COUNT)
        m->count = value;
    else if (r->role == ROLE_SUM)
        m->sum = value;
    else if (!isnan(r->special))
        *vec_push_in(r->arena, &m->parts) = (struct page_part){ r->special, value };
    return read_time(r, m);
}

static bool read_sample(struct reader *r)
{
    bool inside = r->c == '{';

    r->labels.n = 0;
    r->special = NAN;
    r->family = NULL;
    if (!inside) {
        if (!token_name(r, true))
            return false;
        if (!r->token.n)
            return FAIL(r, "invalid metric name");
        set_family(r);
    }
    if (r->family && r->family->type == PAGE_NO_TYPE)
        r->family->type = PAGE_UNTYPED;
    if (!skip_blanks_here(r))
        return false;
    if (r->c == '{' && !read_labels(r, inside))
        return false;
    if (r->family->type == PAGE_NO_TYPE)
        r->family->type = PAGE_UNTYPED;
    return read_value(r);
}

static bool read_page(struct reader *r)
{
    for (;;) {
        r->line++;
        if (!skip_blanks(r))
            return true; // the only place where a page may end
        if (r->c == '\n')
            continue;
        if (r->c == '#' ? !read_comment(r) : !read_sample(r))
            return false;
    }
}

static int family_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp((*(struct page_family *const *)a)->name,
                   (*(struct page_family *const *)b)->name);
}

bool page_read(struct arena *a, struct str text, struct page *out, struct err *e)
{
    struct reader r = { .arena = a, .p = text.p, .end = text.p + text.n, .e = e };

    bool ok = read_page(&r);
    if (!ok && !r.failed)
        FAIL(&r, "unexpected end of input stream");
    map_fini(&r.by_name);
    map_fini(&r.by_labels);
    buf_fini(&r.token);
    if (!ok)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < r.families.n; i++)
        if (r.families.v[i]->metrics.n)
            r.families.v[n++] = r.families.v[i];
    sort_stable(r.families.v, n, sizeof *r.families.v, family_order, NULL);
    *out = (struct page){ r.families.v, n };
    return true;
}
