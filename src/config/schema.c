// schema.c - reading documents by table.
// SPDX-License-Identifier: Apache-2.0
#include "config/schema.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/sort.h"
#include "base/time.h"

bool conf_fail(struct err *e, const struct yaml_node *node, const char *fmt, ...)
{
    char text[sizeof e->text];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_at(e, node ? node->pos : (struct pos){ 0 }, ERR_INVALID, "%s", text);
}

void conf_warn(struct conf_reader *r, const struct yaml_node *at, struct str text)
{
    *vec_push_in(r->arena, &r->warnings) = (struct conf_problem){ .pos = at->pos, .text = text };
}

/* ---- guesses ---- */

// Edit distance with a bound; words of configuration keys are short.
static size_t distance(struct str a, struct str b)
{
    enum { WORD_MAX = 64 };
    size_t row[WORD_MAX + 1];

    if (a.n > WORD_MAX || b.n > WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t change = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = row[j];
            row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.n];
}

struct str conf_suggest(struct str word, const struct str *names, size_t n)
{
    struct str best = STR_NONE;
    size_t least = word.n / 3 + 2;

    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, names[i]);
        if (d < least) {
            least = d;
            best = names[i];
        }
    }
    return best;
}

static void collect_keys(struct arena *a, const struct conf_type *type, void *out)
{
    VEC(struct str) *keys = out;

    for (size_t i = 0; i < type->field_count; i++) {
        if (type->fields[i].kind == CONF_INLINE)
            collect_keys(a, type->fields[i].type, out);
        else
            *vec_push_in(a, keys) = str_c(type->fields[i].key);
    }
}

static void unknown_key(struct conf_reader *r, const struct conf_type *type,
                        const struct yaml_node *key)
{
    VEC(struct str) keys = { 0 };
    struct conf_problem *p = vec_push_in(r->arena, &r->problems);

    collect_keys(r->arena, type, &keys);
    p->pos = key->pos;
    p->text = arena_printf(r->arena, "line %u: field %.*s not found in type %s", key->pos.line,
                           STRF(key->text), type->name);
    struct str guess = conf_suggest(key->text, keys.v, keys.n);
    if (guess.n)
        p->hint = arena_printf(r->arena, "did you mean \"%.*s\"?", STRF(guess));
}

/* ---- values ---- */

// Adds "line N: cannot unmarshal !!str `abc` into bool" and goes on, as Go does.
static bool wrong_kind(struct conf_reader *r, const struct yaml_node *n, const char *type)
{
    struct conf_problem *p = vec_push_in(r->arena, &r->problems);
    int64_t i;
    bool b;
    double d;
    const char *tag = n->kind == YAML_SEQUENCE  ? "!!seq"
                      : n->kind == YAML_MAPPING ? "!!map"
                      : yaml_to_bool(n, &b)     ? "!!bool"
                      : yaml_to_i64(n, &i)      ? "!!int"
                      : yaml_to_double(n, &d)   ? "!!float"
                                                : "!!str";

    p->pos = n->pos;
    if (n->kind == YAML_SCALAR)
        p->text = arena_printf(r->arena, "line %u: cannot unmarshal %s `%.*s%s` into %s",
                               n->pos.line, tag, (int)MIN(n->text.n, (size_t)10), n->text.p,
                               n->text.n > 10 ? "..." : "", type);
    else
        p->text = arena_printf(r->arena, "line %u: cannot unmarshal %s into %s", n->pos.line, tag,
                               type);
    return true;
}

bool conf_size_parse(struct str s, uint64_t *out)
{
    static const struct {
        const char *name;
        int shift;
    } units[] = { { "EiB", 60 }, { "PiB", 50 }, { "TiB", 40 }, { "GiB", 30 }, { "MiB", 20 },
                  { "KiB", 10 }, { "EB", 60 },  { "PB", 50 },  { "TB", 40 },  { "GB", 30 },
                  { "MB", 20 },  { "KB", 10 },  { "kB", 10 },  { "B", 0 } };
    uint64_t sum = 0;

    if (!s.n)
        return false;
    while (s.n) {
        size_t digits = 0, unit = 0;
        uint64_t v;
        while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
            digits++;
        if (!str_to_u64(str_sub(s, 0, digits), &v))
            return false;
        s = str_sub(s, digits, s.n);
        if (!s.n && v == 0 && sum == 0)
            break; // a plain 0 needs no unit
        while (unit < ARRAY_LEN(units) && !str_starts(s, str_c(units[unit].name)))
            unit++;
        if (unit == ARRAY_LEN(units) ||
            __builtin_mul_overflow(v, UINT64_C(1) << units[unit].shift, &v) ||
            __builtin_add_overflow(sum, v, &sum))
            return false;
        s = str_sub(s, strlen(units[unit].name), s.n);
    }
    *out = sum;
    return true;
}

static bool read_duration(const struct yaml_node *n, int64_t *out, struct err *e)
{
    struct err inner = { 0 };

    if (duration_parse(n->text, out, &inner))
        return true;
    return conf_fail(e, n, "%s", inner.text);
}

static bool read_uint(struct conf_reader *r, const struct yaml_node *n, uint64_t *out)
{
    int64_t v;

    if (!yaml_to_i64(n, &v) || v < 0)
        return wrong_kind(r, n, "uint");
    *out = (uint64_t)v;
    return true;
}

static bool read_scalar(struct conf_reader *r, const struct conf_field *f,
                        const struct yaml_node *n, void *at, struct err *e)
{
    static const char *const types[] = { "bool",   "bool",          "int",    "uint",   "float64",
                                         "string", "config.Secret", "string", "string", "string" };
    bool flag;

    if (n->kind != YAML_SCALAR)
        return n->kind == YAML_NULL ? true : wrong_kind(r, n, types[f->kind]);
    switch (f->kind) {
    case CONF_BOOL:
        return yaml_to_bool(n, at) ? true : wrong_kind(r, n, "bool");
    case CONF_TRI:
        if (!yaml_to_bool(n, &flag))
            return wrong_kind(r, n, "bool");
        *(enum conf_tri *)at = flag ? CONF_TRUE : CONF_FALSE;
        return true;
    case CONF_INT:
        return yaml_to_i64(n, at) ? true : wrong_kind(r, n, "int");
    case CONF_UINT:
        return read_uint(r, n, at);
    case CONF_DOUBLE:
        return yaml_to_double(n, at) ? true : wrong_kind(r, n, "float64");
    case CONF_DURATION:
        return read_duration(n, at, e);
    case CONF_SIZE:
        if (!conf_size_parse(n->text, at))
            return conf_fail(e, n, "units: unknown unit %.*s in %.*s", STRF(n->text),
                             STRF(n->text));
        return true;
    default:
        *(struct str *)at = n->text;
        return true;
    }
}

static bool read_strs(struct conf_reader *r, const struct yaml_node *n, struct conf_strs *out)
{
    VEC(struct str) v = { 0 };

    if (n->kind == YAML_SCALAR) { // Go's library takes one word for a list of one
        *vec_push_in(r->arena, &v) = n->text;
    } else if (n->kind == YAML_MAPPING) {
        return wrong_kind(r, n, "[]string");
    } else if (n->kind == YAML_SEQUENCE) {
        for (size_t i = 0; i < n->n; i++) {
            if (n->items[i]->kind == YAML_SEQUENCE || n->items[i]->kind == YAML_MAPPING)
                wrong_kind(r, n->items[i], "string");
            else
                *vec_push_in(r->arena, &v) = n->items[i]->kind == YAML_NULL ? STR_NONE
                                                                            : n->items[i]->text;
        }
    }
    *out = (struct conf_strs){ v.v, v.n, true };
    return true;
}

static int pair_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct conf_pair *)a)->key, ((const struct conf_pair *)b)->key);
}

static int multi_order(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct conf_multi *)a)->key, ((const struct conf_multi *)b)->key);
}

static bool read_map(struct conf_reader *r, const struct yaml_node *n, struct conf_map *out)
{
    if (n->kind == YAML_NULL)
        return true;
    if (n->kind != YAML_MAPPING)
        return wrong_kind(r, n, "map[string]string");
    out->v = arena_array(r->arena, n->n, struct conf_pair);
    out->n = 0;
    for (size_t i = 0; i < n->n; i++) {
        const struct yaml_node *value = n->pairs[i].value;
        if (value->kind == YAML_SEQUENCE || value->kind == YAML_MAPPING)
            wrong_kind(r, value, "string");
        else
            out->v[out->n++] = (struct conf_pair){ n->pairs[i].key->text, value->kind == YAML_NULL
                                                                              ? STR_NONE
                                                                              : value->text };
    }
    sort_stable(out->v, out->n, sizeof *out->v, pair_order, NULL);
    return true;
}

static bool read_multimap(struct conf_reader *r, const struct yaml_node *n,
                          struct conf_multimap *out)
{
    if (n->kind == YAML_NULL)
        return true;
    if (n->kind != YAML_MAPPING)
        return wrong_kind(r, n, "url.Values");
    out->v = arena_array(r->arena, n->n, struct conf_multi);
    out->n = n->n;
    for (size_t i = 0; i < n->n; i++) {
        out->v[i].key = n->pairs[i].key->text;
        read_strs(r, n->pairs[i].value, &out->v[i].values);
    }
    sort_stable(out->v, out->n, sizeof *out->v, multi_order, NULL);
    return true;
}

/* ---- structs ---- */

static bool read_struct(struct conf_reader *r, const struct conf_type *type,
                        const struct yaml_node *n, void *obj, struct err *e);

static bool read_list(struct conf_reader *r, const struct conf_field *f, const struct yaml_node *n,
                      struct conf_list *out, struct err *e)
{
    if (n->kind == YAML_NULL)
        return true;
    if (n->kind != YAML_SEQUENCE)
        return wrong_kind(r, n, "[]struct");
    out->v = arena_array(r->arena, n->n, void *);
    out->n = n->n;
    for (size_t i = 0; i < n->n; i++) {
        if (n->items[i]->kind == YAML_NULL && (f->flags & CONF_NULL_ITEM))
            continue;
        out->v[i] = arena_alloc(r->arena, f->type->size);
        if (!read_struct(r, f->type, n->items[i], out->v[i], e))
            return false;
    }
    return true;
}

static bool read_field(struct conf_reader *r, const struct conf_field *f, const struct yaml_node *n,
                       void *obj, struct err *e)
{
    void *at = (char *)obj + f->offset;

    switch (f->kind) {
    case CONF_STRUCT:
        return read_struct(r, f->type, n, at, e);
    case CONF_PTR:
        if (n->kind == YAML_NULL)
            return true;
        *(void **)at = arena_alloc(r->arena, f->type->size);
        return read_struct(r, f->type, n, *(void **)at, e);
    case CONF_LIST:
        return read_list(r, f, n, at, e);
    case CONF_STRS:
        return read_strs(r, n, at);
    case CONF_MAP:
        return read_map(r, n, at);
    case CONF_MULTIMAP:
        return read_multimap(r, n, at);
    case CONF_NODE:
        *(const struct yaml_node **)at = n;
        return true;
    case CONF_INLINE:
        return true;
    default:
        return read_scalar(r, f, n, at, e);
    }
}

// The field of a key, searching inline structs; *base is moved to the struct that holds it.
static const struct conf_field *find_field(const struct conf_type *type, struct str key,
                                           char **base)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct conf_field *f = &type->fields[i];
        if (f->kind != CONF_INLINE) {
            if (str_eq_c(key, f->key))
                return f;
            continue;
        }
        char *inner = *base + f->offset;
        const struct conf_field *found = find_field(f->type, key, &inner);
        if (found) {
            *base = inner;
            return found;
        }
    }
    return NULL;
}

static void set_defaults(const struct conf_type *type, void *obj)
{
    if (type->defaults)
        memcpy(obj, type->defaults, type->size);
    else
        memset(obj, 0, type->size);
    for (size_t i = 0; i < type->field_count; i++)
        if (type->fields[i].kind == CONF_STRUCT || type->fields[i].kind == CONF_INLINE)
            set_defaults(type->fields[i].type, (char *)obj + type->fields[i].offset);
}

// Checks of inline structs run before the check of what holds them.
static bool run_checks(struct conf_reader *r, const struct conf_type *type,
                       const struct yaml_node *n, void *obj, struct err *e)
{
    for (size_t i = 0; i < type->field_count; i++)
        if (type->fields[i].kind == CONF_INLINE &&
            !run_checks(r, type->fields[i].type, n, (char *)obj + type->fields[i].offset, e))
            return false;
    return !type->check || type->check(r, n, obj, e);
}

static bool read_struct(struct conf_reader *r, const struct conf_type *type,
                        const struct yaml_node *n, void *obj, struct err *e)
{
    set_defaults(type, obj);
    if (n->kind != YAML_MAPPING && n->kind != YAML_NULL)
        return wrong_kind(r, n, type->name);
    for (size_t i = 0; n->kind == YAML_MAPPING && i < n->n; i++) {
        char *base = obj;
        const struct conf_field *f = find_field(type, n->pairs[i].key->text, &base);
        if (!f && r->ignore_unknown)
            continue;
        if (!f)
            unknown_key(r, type, n->pairs[i].key);
        else if (!read_field(r, f, n->pairs[i].value, base, e))
            return false;
    }
    return run_checks(r, type, n, obj, e);
}

bool conf_read(struct conf_reader *r, const struct conf_type *type, const struct yaml_node *node,
               void *obj, struct err *e)
{
    struct err first = { 0 };
    bool ok = read_struct(r, type, node, obj, &first);

    if (r->problems.n) {
        OWNED(buf_fini) struct buf b = { 0 };
        buf_lit(&b, "yaml: unmarshal errors:");
        for (size_t i = 0; i < r->problems.n; i++)
            buf_printf(&b, "\n  %.*s", STRF(r->problems.v[i].text));
        return err_at(e, r->problems.v[0].pos, ERR_INVALID, "%s", buf_cstr(&b));
    }
    if (!ok)
        *e = first;
    return ok;
}
