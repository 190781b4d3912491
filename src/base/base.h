/*
 * base.h - the words every file uses: attributes, ownership, slices, errors.
 *
 * Ownership: OWNED(release) on a variable calls release(variable) on every way
 * out of its scope; TAKE(p) hands the value over and leaves NULL behind. A type
 * becomes usable with OWNED by one OWN_DEFINE next to its release function.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/param.h> // has a MIN and a MAX of its own: first theirs, then ours

#include "base/err.h"
#include "base/str.h"

#define MUST_CHECK                    __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a)             __attribute__((format(printf, f, a)))
#define NORETURN                      __attribute__((noreturn))
#define NOINLINE                      __attribute__((noinline))
#define UNUSED                        __attribute__((unused))
#define LIKELY(x)                     __builtin_expect(!!(x), 1)
#define UNLIKELY(x)                   __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a)                  (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

// Each argument is evaluated once; the counter keeps nested uses apart.
#define CHOOSE_2_(a, b, op, id)                                         \
    ({                                                                  \
        __typeof__(a) choose_a_##id = (a);                              \
        __typeof__(b) choose_b_##id = (b);                              \
        choose_a_##id op choose_b_##id ? choose_a_##id : choose_b_##id; \
    })
#define CHOOSE_1_(a, b, op, id) CHOOSE_2_(a, b, op, id)
#undef MIN
#undef MAX
#define MIN(a, b) CHOOSE_1_(a, b, <, __COUNTER__)
#define MAX(a, b) CHOOSE_1_(a, b, >, __COUNTER__)

#define OWNED(release) __attribute__((cleanup(release##_owned_)))
#define OWN_DEFINE(type, release)                                  \
    static inline void release##_owned_(__typeof__(type) *owned_p) \
    {                                                              \
        release(*owned_p);                                         \
    }
// For plain structs with x_fini(struct x *): OWNED(x_fini) struct x v = {0};
#define OWN_DEFINE_FINI(type, fini)                             \
    static inline void fini##_owned_(__typeof__(type) *owned_p) \
    {                                                           \
        fini(owned_p);                                          \
    }
#define TAKE(p)                      \
    ({                               \
        __typeof__(p) take_p_ = (p); \
        (p) = NULL;                  \
        take_p_;                     \
    })

// Whole-structure checks, too slow for a release: only in builds with -DVIGIE_SLOW_ASSERTS.
#ifdef VIGIE_SLOW_ASSERTS
#define assert_slow(x) assert(x)
#else
#define assert_slow(x) ((void)sizeof(x))
#endif
