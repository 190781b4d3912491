// line.c - lines and words. See line.h.
// SPDX-License-Identifier: Apache-2.0
#include "codec/line.h"

bool line_walk_next(struct line_walk *w, struct str *out, struct pos *at)
{
    while (w->rest.n) {
        const char *end = memchr(w->rest.p, '\n', w->rest.n);
        size_t n = end ? (size_t)(end - w->rest.p) : w->rest.n, used = n + (end != NULL);
        struct str line = str_of(w->rest.p, n);

        *at = w->pos;
        w->rest = str_of(w->rest.p + used, w->rest.n - used);
        w->pos.line++;
        w->pos.offset += used;
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (!line.n)
            continue;
        *out = line;
        return true;
    }
    return false;
}

struct str line_word(struct str *rest)
{
    size_t i = 0, from;

    while (i < rest->n && (rest->p[i] == ' ' || rest->p[i] == '\t'))
        i++;
    for (from = i; i < rest->n && rest->p[i] != ' ' && rest->p[i] != '\t';)
        i++;
    struct str word = str_sub(*rest, from, i);
    *rest = str_sub(*rest, i, rest->n);
    return word;
}
