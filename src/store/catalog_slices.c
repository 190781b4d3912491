/*
 * catalog_slices.c - which 1/32 parts of the span each live series has rows in.
 *
 * A sparse array over ids in three levels (1024 × 1024 × 4096), so that a gap of
 * ids costs nothing and nothing ever moves. Appenders set bits without a lock. Of ids
 * from before the start (`first`) only what came since is known here: the rest is in
 * their segments, if these are final.
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
    uint32_t first;    // ids from here on are kept whole; constant once series are added
    atomic_bool extra; // bits were set for ids before it
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

bool catalog_slices_has_all(const struct catalog_slices *s, uint32_t id)
{
    return id >= s->first;
}

uint32_t catalog_slices_of(const struct catalog_slices *s, uint32_t id)
{
    struct leaf *l = leaf_of(s, id);

    // Relaxed: a row's bits were set before its batch became visible through a lock.
    return l ? atomic_load_explicit(&l->bits[id & (LEAF - 1)], memory_order_relaxed) : 0;
}

bool catalog_slices_mark(struct catalog_slices *s, uint32_t id, uint32_t bits)
{
    struct leaf *l = leaf_of(s, id);

    if (!l)
        return false;
    if ((atomic_load_explicit(&l->bits[id & (LEAF - 1)], memory_order_relaxed) & bits) == bits)
        return true;
    atomic_fetch_or_explicit(&l->bits[id & (LEAF - 1)], bits, memory_order_relaxed);
    if (id < s->first)
        atomic_store_explicit(&s->extra, true, memory_order_release); // take_extra acquires
    return true;
}

bool catalog_slices_take_extra(struct catalog_slices *s)
{
    return atomic_exchange_explicit(&s->extra, false, memory_order_acq_rel);
}

void catalog_slices_give_extra(struct catalog_slices *s)
{
    atomic_store_explicit(&s->extra, true, memory_order_release);
}

uint64_t catalog_slices_bytes(const struct catalog_slices *s)
{
    return s->bytes;
}
