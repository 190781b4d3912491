/*
 * str.h - a slice of bytes, passed by value, never NUL-terminated by promise.
 *
 * A str borrows; whoever made the bytes says how long they live. Comparison is
 * by unsigned bytes, a shorter prefix first: the order of Go's strings.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p; // may be NULL when n is 0
    size_t n;      // bytes
};

#define STR(lit) ((struct str){ "" lit, sizeof(lit) - 1 })
#define STR_NONE ((struct str){ NULL, 0 })
#define STRF(s)  (int)(s).n, (s).p ? (s).p : "" // for "%.*s"

static inline struct str str_of(const char *p, size_t n)
{
    return (struct str){ p, n };
}

static inline struct str str_c(const char *c)
{
    return (struct str){ c, c ? strlen(c) : 0 };
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_eq_c(struct str a, const char *c)
{
    return str_eq(a, str_c(c));
}

static inline int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

// Bytes [from, to) of s; both are clamped to s.n.
static inline struct str str_sub(struct str s, size_t from, size_t to)
{
    to = to < s.n ? to : s.n;
    from = from < to ? from : to;
    return (struct str){ s.p ? s.p + from : NULL, to - from };
}

#define STR_NPOS SIZE_MAX
size_t str_find(struct str s, struct str needle); // first index, STR_NPOS: absent
size_t str_find_char(struct str s, char c);       // first index, STR_NPOS: absent
size_t str_rfind_char(struct str s, char c);      // last index, STR_NPOS: absent
struct str str_trim(struct str s);                // ASCII white space off both ends
bool str_eq_nocase(struct str a, struct str b);   // ASCII case folding
// Cuts *rest at the first sep: the part before it is returned, *rest is what follows. Without sep
// all of *rest is returned and *rest becomes STR_NONE (p == NULL).
struct str str_cut(struct str *rest, char sep);
bool str_is_utf8(struct str s); // no surrogates, no overlong forms
// Whole of s as a decimal number with optional sign; false on anything else or overflow.
bool str_to_i64(struct str s, int64_t *out);
// As str_to_i64 without a sign. *out is untouched on failure.
bool str_to_u64(struct str s, uint64_t *out);
