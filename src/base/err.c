// err.c - filling the error record; see err.h for the idiom.
// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

// Formats into e->text; a text that does not fit ends in "…".
static void text_vset(struct err *e, const char *fmt, va_list ap)
{
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);

    if (n >= (int)sizeof e->text) {
        size_t cut = sizeof e->text - 4;
        while (cut && ((unsigned char)e->text[cut] & 0xc0) == 0x80)
            cut--; // not inside a UTF-8 sequence
        memcpy(e->text + cut, "\xe2\x80\xa6", 4);
    }
}

bool err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
    va_list ap;

    *e = (struct err){ .kind = kind };
    va_start(ap, fmt);
    text_vset(e, fmt, ap);
    va_end(ap);
    return false;
}

bool err_at(struct err *e, struct pos pos, enum err_kind kind, const char *fmt, ...)
{
    va_list ap;

    *e = (struct err){ .kind = kind, .pos = pos };
    va_start(ap, fmt);
    text_vset(e, fmt, ap);
    va_end(ap);
    return false;
}

bool err_os(struct err *e, const char *fmt, ...)
{
    int os = errno;
    char head[sizeof e->text];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(head, sizeof head, fmt, ap);
    va_end(ap);
    err_set(e, os == ENOSPC || os == EDQUOT ? ERR_UNAVAILABLE : ERR_IO, "%s: %s", head,
            strerrordesc_np(os) ? strerrordesc_np(os) : "unknown error");
    e->os = os;
    return false;
}

bool err_wrap(struct err *e, const char *fmt, ...)
{
    struct err old = *e;
    char head[sizeof e->text];
    va_list ap;

    assert(old.kind != ERR_NONE);
    va_start(ap, fmt);
    vsnprintf(head, sizeof head, fmt, ap);
    va_end(ap);
    err_set(e, old.kind, "%s: %s", head, old.text);
    e->os = old.os;
    e->pos = old.pos;
    return false;
}

const char *err_kind_name(enum err_kind kind)
{
    static const char *const names[] = { "none",      "invalid",     "unsupported", "not found",
                                         "conflict",  "denied",      "limit",       "timeout",
                                         "cancelled", "unavailable", "io",          "corrupt" };

    assert((size_t)kind < ARRAY_LEN(names));
    return names[kind];
}
