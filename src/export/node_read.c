// node_read.c - reading the small files of /proc and /sys.
// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>

#include "export/export_priv.h"

static const char *format(struct arena *a, const char *before, const char *fmt, va_list args)
{
    char text[1024];
    int n = vsnprintf(text, sizeof text, fmt, args);

    assert(n >= 0);
    if (!before)
        return arena_cstr(a, str_c(text));
    return arena_printf(a, "%s/%s", before, text).p;
}

const char *node_path(struct export_run *r, const char *root, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    const char *path = format(r->a, root, fmt, args);
    va_end(args);
    return path;
}

const char *node_text(struct export_run *r, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    const char *text = format(r->a, NULL, fmt, args);
    va_end(args);
    return text;
}

bool node_read(struct export_run *r, const char *path, struct str *out, struct err *e)
{
    return file_read(r->a, path, NODE_FILE_MAX, out, e);
}

struct str node_read_word(struct export_run *r, const char *path)
{
    struct str s;

    if (!node_read(r, path, &s, &(struct err){ 0 })) // absent is an answer
        return STR_NONE;
    s = str_trim(s);
    return s.n ? s : STR("");
}

bool node_read_number(struct export_run *r, const char *path, double *out)
{
    struct str s = node_read_word(r, path);

    return s.p && num_parse_double(s, out);
}

struct file_list node_list(struct export_run *r, const char *path)
{
    struct file_list list = { 0 };

    if (!file_list(r->a, path, &list, &(struct err){ 0 })) // absent is an answer
        list = (struct file_list){ 0 };
    return list;
}

bool node_line(struct str *rest, struct str *line)
{
    if (rest->n == 0)
        return false;
    *line = str_cut(rest, '\n');
    return true;
}

size_t node_fields(struct str line, struct str *field, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < line.n && n < max;) {
        size_t from = i;

        while (i < line.n && line.p[i] != ' ' && line.p[i] != '\t')
            i++;
        if (i > from)
            field[n++] = str_sub(line, from, i);
        else
            i++;
    }
    return n;
}

double node_number(struct str s)
{
    double v;

    return num_parse_double(s, &v) ? v : 0;
}
