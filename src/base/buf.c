// buf.c - growing byte runs.
// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

void buf_fini(struct buf *b)
{
    xfree(b->p);
    *b = (struct buf){ 0 };
}

void buf_grow(struct buf *b, size_t more)
{
    size_t need, cap = b->cap ? b->cap : 64;

    assert(b->n <= b->cap); // whoever writes into buf_room() adds no more than was asked for
    if (__builtin_add_overflow(b->n, more, &need) || need > SIZE_MAX / 2)
        need = SIZE_MAX; // xrealloc stops the process
    while (cap < need && cap <= SIZE_MAX / 2)
        cap += cap < (1 << 20) ? cap : cap / 2;
    b->cap = cap < need ? need : cap;
    b->p = xrealloc(b->p, b->cap);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    char *room = buf_room(b, 128);

    va_start(ap, fmt);
    int n = vsnprintf(room, b->cap - b->n, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    if ((size_t)n >= b->cap - b->n) {
        room = buf_room(b, (size_t)n + 1);
        va_start(ap, fmt);
        vsnprintf(room, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    b->n += (size_t)n;
}

const char *buf_cstr(struct buf *b)
{
    *buf_room(b, 1) = 0;
    return b->p;
}

void buf_u64(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    buf_bytes(b, digits + at, sizeof digits - at);
}

void buf_i64(struct buf *b, int64_t v)
{
    if (v < 0)
        buf_char(b, '-');
    buf_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void buf_varint(struct buf *b, uint64_t v)
{
    char *p = buf_room(b, 10);
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        p[n++] = (char)(v | 0x80);
    p[n++] = (char)v;
    b->n += n;
}
