/*
 * arena.h - memory of one request or evaluation, freed all at once.
 *
 * Zero is a valid empty arena; nothing is taken before the first allocation.
 * Allocation never fails (out of memory stops the process) and is zeroed unless
 * said otherwise. One thread at a time.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

struct arena_block;

struct arena {
    struct arena_block *block; // newest first
    char *p, *end;             // free room in the newest block
    size_t taken_bytes;        // taken from the heap so far
};

struct arena_mark {
    struct arena_block *block;
    char *p;
};

void arena_fini(struct arena *a); // frees all; the arena is empty and usable again
OWN_DEFINE_FINI(struct arena, arena_fini);
// Empties the arena but keeps its newest block, so that the next request of the same size takes
// nothing from the heap. Everything handed out before is invalid.
void arena_reset(struct arena *a); // empties, keeps the newest block for reuse
// The slow path of arena_raw(): takes a block of at least n bytes (doubling, 4 KiB to 1 MiB) from
// the heap. n below SIZE_MAX / 4, else the process stops.
void *arena_alloc_slow(struct arena *a, size_t n);

// n bytes, 16-aligned, not zeroed.
static inline void *arena_raw(struct arena *a, size_t n)
{
    size_t need = (n + 15) & ~(size_t)15;

    if (LIKELY(need >= n && (size_t)(a->end - a->p) >= need && a->p)) {
        void *out = a->p;
        a->p += need;
        return out;
    }
    return arena_alloc_slow(a, n);
}

void *arena_alloc(struct arena *a, size_t n);               // zeroed
void *arena_calloc(struct arena *a, size_t n, size_t size); // zeroed, checked product
#define arena_new(a, T)      ((T *)arena_alloc((a), sizeof(T)))
#define arena_array(a, n, T) ((T *)arena_calloc((a), (n), sizeof(T)))

struct str arena_str(struct arena *a, struct str s); // a copy, with a NUL behind it
// A copy of s with a NUL behind it; a NUL inside s stays and ends the text for libc.
char *arena_cstr(struct arena *a, struct str s);
// The formatted text, NUL-terminated; n does not count the NUL.
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
// A copy of n bytes, 16-aligned; p may be NULL when n is 0.
void *arena_copy(struct arena *a, const void *p, size_t n);

// Everything allocated after the mark is given back by the release. Marks nest.
struct arena_mark arena_mark(const struct arena *a);
// Gives back what was allocated since the mark, blocks included. Marks are released newest first;
// pointers into what is given back are invalid.
void arena_release(struct arena *a, struct arena_mark m);
