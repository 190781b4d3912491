/*
 * catalog_slices.c - which 1/32 parts of the span each live series has rows in.
 *
 * A sparse array over ids in three levels (1024 × 1024 × 4096), so that a gap of
 * ids costs nothing and nothing ever moves. Appenders set bits without a lock. Of ids
 * from before the start nothing is known: the rows they had may be in parts.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "store/catalog_priv.h"

enum { TOP = 1024, MID = 1024, LEAF = 4096 };

struct leaf {
    _Atomic uint32_t bits[LEAF];
};
struct mid {
    _Atomic(struct leaf *) leaf[MID];
};
struct catalog_slices {
    atomic_uint refs;
    uint32_t first; // ids below it are not kept; constant once series are added
    _Atomic uint64_t bytes;
    _Atomic(struct mid *) mid[TOP];
};

struct catalog_slices *catalog_slices_new(void)
{
    struct catalog_slices *s = xcalloc(1, sizeof *s);

    atomic_init(&s->refs, 1);
    atomic_init(&s->bytes, sizeof *s);
    return s;
}

struct catalog_slices *catalog_slices_ref(struct catalog_slices *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void catalog_slices_put(struct catalog_slices *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < TOP; i++) {
        struct mid *m = s->mid[i];
        for (size_t k = 0; m && k < MID; k++)
            xfree(m->leaf[k]);
        xfree(m);
    }
    xfree(s);
}

void catalog_slices_begin(struct catalog_slices *s, uint32_t first)
{
    s->first = first;
}

void catalog_slices_grow(struct catalog_slices *s, uint32_t id)
{
    struct mid *m = s->mid[id >> 22];

    if (!m) {
        m = xcalloc(1, sizeof *m);
        s->bytes += sizeof *m;
        atomic_store_explicit(&s->mid[id >> 22], m, memory_order_release); // leaf_of acquires
    }
    if (!m->leaf[id >> 12 & (MID - 1)]) {
        struct leaf *l = xcalloc(1, sizeof *l);
        s->bytes += sizeof *l;
        // release; pairs with the acquire in leaf_of()
        atomic_store_explicit(&m->leaf[id >> 12 & (MID - 1)], l, memory_order_release);
    }
}

static struct leaf *leaf_of(const struct catalog_slices *s, uint32_t id)
{
    struct mid *m = atomic_load_explicit(&s->mid[id >> 22], memory_order_acquire);

    return m ? atomic_load_explicit(&m->leaf[id >> 12 & (MID - 1)], memory_order_acquire) : NULL;
}

uint32_t catalog_slices_of(const struct catalog_slices *s, uint32_t id)
{
    struct leaf *l = id < s->first ? NULL : leaf_of(s, id);

    // Relaxed: a row's bits were set before its batch became visible through a lock.
    return l ? atomic_load_explicit(&l->bits[id & (LEAF - 1)], memory_order_relaxed) : UINT32_MAX;
}

void catalog_slices_mark(struct catalog_slices *s, uint32_t id, uint32_t bits)
{
    struct leaf *l = id < s->first ? NULL : leaf_of(s, id);

    if (l && (atomic_load_explicit(&l->bits[id & (LEAF - 1)], memory_order_relaxed) & bits) != bits)
        atomic_fetch_or_explicit(&l->bits[id & (LEAF - 1)], bits, memory_order_relaxed);
}

uint64_t catalog_slices_bytes(const struct catalog_slices *s)
{
    return s->bytes;
}
