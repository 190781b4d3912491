/*
 * labels.c - label sets: order, text, canonical bytes, hashes, and the builder.
 *
 * Sets are small (about ten labels), so that a linear search that compares
 * lengths first beats a binary one over scattered names.
 */
// SPDX-License-Identifier: Apache-2.0
#include "model/labels.h"

#include "base/mem.h"
#include "base/sort.h"

enum { STACK_BYTES = 1024 }; // of a set's bytes before the heap is used

struct str labels_get(struct labels ls, struct str name)
{
    for (size_t i = 0; i < ls.n; i++) {
        if (str_eq(ls.v[i].name, name))
            return ls.v[i].value;
    }
    return STR_NONE;
}

bool labels_equal(struct labels a, struct labels b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (!str_eq(a.v[i].value, b.v[i].value) || !str_eq(a.v[i].name, b.v[i].name))
            return false;
    }
    return true;
}

int labels_cmp(struct labels a, struct labels b)
{
    size_t n = MIN(a.n, b.n);

    for (size_t i = 0; i < n; i++) {
        int c = str_cmp(a.v[i].name, b.v[i].name);

        if (c == 0)
            c = str_cmp(a.v[i].value, b.v[i].value);
        if (c != 0)
            return c;
    }
    return (a.n > b.n) - (a.n < b.n);
}

static struct str append_bytes(char **to, struct str s)
{
    struct str out = { *to, s.n };

    if (s.n)
        memcpy(*to, s.p, s.n);
    *to += s.n;
    return out;
}

struct labels labels_copy(struct arena *a, struct labels ls)
{
    size_t total = 0;
    struct label *v;
    char *p;

    if (ls.n == 0)
        return (struct labels){ NULL, 0 };
    for (size_t i = 0; i < ls.n; i++)
        total += ls.v[i].name.n + ls.v[i].value.n;
    v = arena_raw(a, ls.n * sizeof *v);
    p = arena_raw(a, total);
    for (size_t i = 0; i < ls.n; i++) {
        v[i].name = append_bytes(&p, ls.v[i].name);
        v[i].value = append_bytes(&p, ls.v[i].value);
    }
    return (struct labels){ v, ls.n };
}

/* ---- text ---- */

bool label_name_is_legacy(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!(c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return s.n > 0;
}

bool metric_name_is_legacy(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!(c == '_' || c == ':' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return s.n > 0;
}

bool labels_are_valid(struct labels ls, bool legacy)
{
    for (size_t i = 0; i < ls.n; i++) {
        struct str name = ls.v[i].name, value = ls.v[i].value;

        if (legacy ? !label_name_is_legacy(name) : !name.n || !str_is_utf8(name))
            return false;
        if (!str_is_utf8(value))
            return false;
        if (str_eq(name, LABEL_NAME) && (legacy ? !metric_name_is_legacy(value) : !value.n))
            return false;
    }
    return true;
}

void buf_label_name(struct buf *b, struct str name)
{
    if (label_name_is_legacy(name))
        buf_str(b, name);
    else
        buf_quoted(b, name);
}

static void buf_pair(struct buf *b, const struct label *l)
{
    buf_label_name(b, l->name);
    buf_char(b, '=');
    buf_quoted(b, l->value);
}

void buf_labels(struct buf *b, struct labels ls)
{
    buf_char(b, '{');
    for (size_t i = 0; i < ls.n; i++) {
        if (i > 0)
            buf_lit(b, ", ");
        buf_pair(b, &ls.v[i]);
    }
    buf_char(b, '}');
}

void buf_series(struct buf *b, struct labels ls)
{
    struct str metric = labels_get(ls, LABEL_NAME);
    bool bare = metric_name_is_legacy(metric);
    size_t rest = ls.n - (metric.n > 0);
    size_t written = 0;

    if (bare)
        buf_str(b, metric);
    if (bare && rest == 0)
        return;
    buf_char(b, '{');
    if (!bare && metric.n) {
        buf_quoted(b, metric);
        written++;
    }
    for (size_t i = 0; i < ls.n; i++) {
        if (str_eq(ls.v[i].name, LABEL_NAME))
            continue;
        if (written++)
            buf_lit(b, ", ");
        buf_pair(b, &ls.v[i]);
    }
    buf_char(b, '}');
}

/* ---- bytes and hashes ---- */

static void buf_sized(struct buf *b, struct str s)
{
    buf_varint(b, s.n);
    buf_str(b, s);
}

void buf_labels_canonical(struct buf *b, struct labels ls)
{
    for (size_t i = 0; i < ls.n; i++) {
        buf_sized(b, ls.v[i].name);
        buf_sized(b, ls.v[i].value);
    }
}

static char *put_sized(char *p, struct str s)
{
    size_t n = s.n;

    for (; n >= 0x80; n >>= 7)
        *p++ = (char)(n | 0x80);
    *p++ = (char)n;
    append_bytes(&p, s);
    return p;
}

struct hash128 labels_fingerprint(struct labels ls, uint64_t key)
{
    char stack[STACK_BYTES];
    OWNED(buf_fini) struct buf heap = { 0 };
    size_t need = 0;
    char *p = stack;

    for (size_t i = 0; i < ls.n; i++)
        need += ls.v[i].name.n + ls.v[i].value.n + 20; // two varints of at most ten bytes
    if (need > sizeof stack) {
        buf_labels_canonical(&heap, ls);
        return hash128_seeded(buf_view(&heap), key);
    }
    for (size_t i = 0; i < ls.n; i++)
        p = put_sized(put_sized(p, ls.v[i].name), ls.v[i].value);
    assert((size_t)(p - stack) <= need);
    return hash128_seeded(str_of(stack, (size_t)(p - stack)), key);
}

uint64_t labels_hash(struct labels ls)
{
    char stack[STACK_BYTES];
    OWNED(buf_fini) struct buf heap = { 0 };
    size_t need = 0;
    char *start = stack, *p;

    for (size_t i = 0; i < ls.n; i++)
        need += ls.v[i].name.n + ls.v[i].value.n + 2;
    if (need > sizeof stack)
        start = buf_room(&heap, need);
    p = start;
    for (size_t i = 0; i < ls.n; i++) {
        append_bytes(&p, ls.v[i].name);
        *p++ = (char)0xff;
        append_bytes(&p, ls.v[i].value);
        *p++ = (char)0xff;
    }
    assert((size_t)(p - start) == need); // or the room was wrong
    return hash_xxh64(str_of(start, need));
}

/* ---- building ---- */

void labels_builder_fini(struct labels_builder *b)
{
    xfree(b->v);
    *b = (struct labels_builder){ 0 };
}

static void builder_reserve(struct labels_builder *b, size_t n)
{
    if (b->cap >= n)
        return;
    b->cap = MAX(b->cap * 2, (size_t)16);
    b->cap = MAX(b->cap, n);
    b->v = xrealloc(b->v, b->cap * sizeof *b->v);
}

void labels_builder_reset(struct labels_builder *b, struct labels base)
{
    builder_reserve(b, base.n);
    if (base.n && base.v != b->v)
        memcpy(b->v, base.v, base.n * sizeof *base.v);
    b->n = base.n;
}

// Index of the name, or where it belongs (*found false).
static size_t builder_seek(const struct labels_builder *b, struct str name, bool *found)
{
    size_t from = 0, to = b->n;

    *found = false;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int c = str_cmp(b->v[mid].name, name);

        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

void labels_builder_set(struct labels_builder *b, struct str name, struct str value)
{
    bool found;
    size_t at;

    if (value.n == 0) {
        labels_builder_del(b, name);
        return;
    }
    at = builder_seek(b, name, &found);
    if (!found) {
        builder_reserve(b, b->n + 1);
        memmove(b->v + at + 1, b->v + at, (b->n - at) * sizeof *b->v);
        b->n++;
    }
    assert(b->n <= b->cap && at < b->n);
    b->v[at] = (struct label){ name, value };
}

void labels_builder_del(struct labels_builder *b, struct str name)
{
    bool found;
    size_t at = builder_seek(b, name, &found);

    if (!found)
        return;
    b->n--;
    assert(at <= b->n);
    memmove(b->v + at, b->v + at + 1, (b->n - at) * sizeof *b->v);
}

struct str labels_builder_get(const struct labels_builder *b, struct str name)
{
    bool found;
    size_t at = builder_seek(b, name, &found);

    return found ? b->v[at].value : STR_NONE;
}

static int cmp_label_name(const void *a, const void *b, void *ctx UNUSED)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

bool labels_normalize(struct label *v, size_t *n, struct str *dup)
{
    size_t kept = 0;
    bool sorted = true;

    for (size_t i = 1; i < *n && sorted; i++)
        sorted = str_cmp(v[i - 1].name, v[i].name) <= 0;
    if (!sorted)
        sort_stable(v, *n, sizeof *v, cmp_label_name, NULL);
    for (size_t i = 1; i < *n; i++) {
        if (str_eq(v[i - 1].name, v[i].name)) {
            *dup = v[i].name;
            return false;
        }
    }
    for (size_t i = 0; i < *n; i++) {
        if (v[i].value.n)
            v[kept++] = v[i];
    }
    *n = kept;
    return true;
}
