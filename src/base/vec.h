/*
 * vec.h - growing arrays of any type.
 *
 *   VEC(int) v = {0};             // on the heap: vec_push, then vec_fini
 *   *vec_push(&v) = 7;            // room for one more, zeroed
 *   for (size_t i = 0; i < v.n; i++) use(v.v[i]);
 *   vec_fini(&v);
 *
 * With an arena, use vec_push_in(arena, &v): the old room is left to the arena
 * and vec_fini must not be called.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"

#define VEC(T)         \
    struct {           \
        T *v;          \
        size_t n, cap; \
    }

// The functions behind the macros below: new room for n + more elements of `size` bytes, at least
// double the old. Products that overflow stop the process.
void *vec_grow_(void *p, size_t *cap, size_t n, size_t more, size_t size);
// As vec_grow_, in an arena: the old room stays there until the arena is dropped.
void *vec_grow_in_(struct arena *a, void *p, size_t *cap, size_t n, size_t more, size_t size);
// Zeroes one element and returns it.
void *vec_zero_(void *p, size_t size);
// Frees what vec_grow_ returned; NULL is fine.
void vec_free_(void *p);

#define vec_reserve(x, more)                                                             \
    ((x)->cap - (x)->n < (size_t)(more)                                                  \
         ? (void)((x)->v = vec_grow_((x)->v, &(x)->cap, (x)->n, (more), sizeof *(x)->v)) \
         : (void)0)
#define vec_push(x) \
    (vec_reserve((x), 1), (__typeof__((x)->v))vec_zero_((x)->v + (x)->n++, sizeof *(x)->v))
#define vec_reserve_in(a, x, more)                                                               \
    ((x)->cap - (x)->n < (size_t)(more)                                                          \
         ? (void)((x)->v = vec_grow_in_((a), (x)->v, &(x)->cap, (x)->n, (more), sizeof *(x)->v)) \
         : (void)0)
#define vec_push_in(a, x) \
    (vec_reserve_in((a), (x), 1), (__typeof__((x)->v))vec_zero_((x)->v + (x)->n++, sizeof *(x)->v))
#define vec_reset(x) ((void)((x)->n = 0))
#define vec_fini(x)  (vec_free_((x)->v), (x)->v = NULL, (x)->n = (x)->cap = 0, (void)0)
