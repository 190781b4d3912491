/*
 * labels.h - label sets: sorted by name, each name once, no empty values.
 *
 * A `struct labels` borrows; the array and the bytes live where the maker says
 * (an arena, a catalog segment held by a view). "__name__" is a label like any
 * other. Order and equality are those of Prometheus: by (name, value) pairs in
 * byte order, shorter set first where one is a prefix of the other.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/rune.h" // buf_quoted() is at hand wherever labels are

struct label {
    struct str name, value;
};

struct labels {
    const struct label *v;
    size_t n;
};

#define LABEL_NAME STR("__name__")

// The value of a label, empty (n == 0) when absent.
struct str labels_get(struct labels ls, struct str name);
// The same names with the same values.
bool labels_equal(struct labels a, struct labels b);
// Upstream's order of series: see the head of this file. Below, at or above 0.
int labels_cmp(struct labels a, struct labels b);
// A copy in the arena, deep: bytes too.
struct labels labels_copy(struct arena *a, struct labels ls);
// {__name__="up", a="b"} as Prometheus's String(): name inside the braces, values quoted as Go %q.
void buf_labels(struct buf *b, struct labels ls);
// up{a="b"} as series are written in expressions; {"a.b", c="d"} where the name is not legacy.
void buf_series(struct buf *b, struct labels ls);
// A label name as text: bare when legacy, else quoted.
void buf_label_name(struct buf *b, struct str name);

/*
 * Canonical bytes: for each label varint length and bytes of name, then of value. Equal sets have
 * equal bytes and the other way round. What a fingerprint is a hash of.
 */
void buf_labels_canonical(struct buf *b, struct labels ls);
// The 128-bit identity of a set within a tenant: a keyed hash of its canonical bytes.
struct hash128 labels_fingerprint(struct labels ls, uint64_t key); // key: the tenant's
// XXH64 over name 0xff value 0xff …, as upstream's Labels.Hash: for hashmod and group signatures.
uint64_t labels_hash(struct labels ls);

// [a-zA-Z_][a-zA-Z0-9_]*
bool label_name_is_legacy(struct str s);
// Names are not empty, all is UTF-8; with legacy, names are of the old alphabet. A metric name is
// checked when there is one.
bool labels_are_valid(struct labels ls, bool legacy);
// [a-zA-Z_:][a-zA-Z0-9_:]*
bool metric_name_is_legacy(struct str s);

/*
 * Builds a set from another by setting and deleting; reusable. The result shares bytes with what
 * was given; setting an empty value deletes.
 */
struct labels_builder {
    struct label *v; // sorted
    size_t n, cap;
};
// Frees the array; the builder is empty and usable again.
void labels_builder_fini(struct labels_builder *b);
OWN_DEFINE_FINI(struct labels_builder, labels_builder_fini);
// Starts again from base, whose bytes and not its array are borrowed from here on.
void labels_builder_reset(struct labels_builder *b, struct labels base);
// Sets, replaces or, with an empty value, deletes.
void labels_builder_set(struct labels_builder *b, struct str name, struct str value);
// Deletes; an absent name is fine.
void labels_builder_del(struct labels_builder *b, struct str name);
// Empty (n == 0) when absent.
struct str labels_builder_get(const struct labels_builder *b, struct str name);
static inline struct labels labels_builder_view(const struct labels_builder *b)
{
    return (struct labels){ b->v, b->n };
}
// Sorts in place, drops empty values. False when a name occurs twice (*dup: that name).
bool labels_normalize(struct label *v, size_t *n, struct str *dup);
