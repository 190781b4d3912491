/*
 * mem.h - heap memory that does not fail: out of memory stops the process.
 *
 * The only place that calls malloc and free. Sizes that come from input are
 * charged to a budget first (base/budget.h).
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

// n bytes, not zeroed; freed with xfree(). n 0 gives a pointer that may be freed.
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size); // zeroed, checked product
// As realloc: contents up to the smaller size stay, p is invalid afterwards; p may be NULL.
void *xrealloc(void *p, size_t n);
// A copy of n bytes on the heap; p may be NULL when n is 0.
void *xmemdup(const void *p, size_t n);
char *xstrdup_str(struct str s); // NUL-terminated copy
void xfree(void *p);             // NULL is fine
OWN_DEFINE(void *, xfree);
