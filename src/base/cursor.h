/*
 * cursor.h - walking over text with a position for errors.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

struct cursor {
    const char *p, *end;
    struct pos pos; // of *p
};

static inline struct cursor cursor_of(struct str s)
{
    const char *p = s.p ? s.p : ""; // NULL + 0 is undefined

    return (struct cursor){ p, p + s.n, { 1, 1, 0 } };
}

static inline bool cursor_done(const struct cursor *c)
{
    return c->p == c->end;
}

// The byte `ahead` of the cursor as unsigned char, −1 at or behind the end.
static inline int cursor_peek(const struct cursor *c, size_t ahead)
{
    return (size_t)(c->end - c->p) > ahead ? (unsigned char)c->p[ahead] : -1;
}

// Steps over n ≤ remaining bytes, counting lines.
static inline void cursor_skip(struct cursor *c, size_t n)
{
    for (; n; n--, c->p++, c->pos.offset++) {
        if (*c->p == '\n') {
            c->pos.line++;
            c->pos.col = 1;
        } else {
            c->pos.col++;
        }
    }
}

static inline bool cursor_take(struct cursor *c, char want)
{
    if (cursor_peek(c, 0) != (unsigned char)want)
        return false;
    cursor_skip(c, 1);
    return true;
}

// Line and column of a byte offset in a text: for parsers that carry offsets only.
struct pos pos_of_offset(struct str text, size_t offset);
