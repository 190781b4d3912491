/*
 * sort.h - sorting with a context, and a stable radix sort of integer keys.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

typedef int (*sort_cmp_fn)(const void *a, const void *b, void *ctx);

// Stable merge sort of n elements of `size` bytes.
void sort_stable(void *p, size_t n, size_t size, sort_cmp_fn cmp, void *ctx);

struct sort_pair {
    uint64_t key, value;
};

// Stable ascending by key; scratch has room for n. Only bytes that differ are passed over.
void sort_pairs(struct sort_pair *p, size_t n, struct sort_pair *scratch);
// Ascending, in place. Equal numbers cannot be told apart, so stability means nothing.
void sort_u32(uint32_t *p, size_t n);
void sort_strs(struct str *p, size_t n);          // ascending by bytes
size_t sort_strs_unique(struct str *p, size_t n); // sorts, drops repeats, returns the new count
