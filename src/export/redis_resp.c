// redis_resp.c - RESP 2 and the parts of RESP 3 that servers send unasked (redis.io, protocol-spec).
// SPDX-License-Identifier: Apache-2.0
#include "export/redis_priv.h"

enum { ITEMS_MAX = 1 << 20 };

struct parse {
    struct arena *a;
    struct str *in;
    struct err *e;
};

// The line behind the type byte, without CRLF; 0: not whole yet.
static int line_of(struct parse *p, struct str *line)
{
    size_t nl = str_find_char(*p->in, '\n');

    if (nl == STR_NPOS) {
        if (p->in->n > RESP_BYTES_MAX)
            return err_set(p->e, ERR_LIMIT, "redis: answer is too big"), -1;
        return 0;
    }
    if (nl < 2 || p->in->p[nl - 1] != '\r')
        return err_set(p->e, ERR_INVALID, "redis: malformed line in the answer"), -1;
    *line = str_sub(*p->in, 1, nl - 1);
    *p->in = str_sub(*p->in, nl + 1, p->in->n);
    return 1;
}

static int bulk(struct parse *p, struct str head, struct resp *out)
{
    int64_t n;

    if (!str_to_i64(head, &n) || n < -1 || n > RESP_BYTES_MAX)
        return err_set(p->e, ERR_INVALID, "redis: malformed length in the answer"), -1;
    if (n < 0)
        return 1; // null
    if (p->in->n < (size_t)n + 2)
        return 0;
    *out = (struct resp){ .kind = RESP_TEXT, .s = str_sub(*p->in, 0, (size_t)n) };
    *p->in = str_sub(*p->in, (size_t)n + 2, p->in->n);
    return 1;
}

static int value(struct parse *p, struct resp *out, int depth);

static int array(struct parse *p, struct str head, struct resp *out, int depth, int64_t per)
{
    int64_t n;

    if (!str_to_i64(head, &n) || n < -1 || n > ITEMS_MAX / per || depth >= RESP_DEPTH_MAX)
        return err_set(p->e, ERR_INVALID, "redis: malformed array in the answer"), -1;
    if (n < 0)
        return 1;
    n *= per;
    if (p->in->n < (size_t)n) // each item takes bytes: no memory for what cannot be there
        return 0;
    struct resp *items = arena_array(p->a, (size_t)n, struct resp);
    for (int64_t i = 0; i < n; i++) {
        int r = value(p, &items[i], depth + 1);
        if (r <= 0)
            return r;
    }
    *out = (struct resp){ .kind = RESP_ARRAY, .items = items, .n = (size_t)n };
    return 1;
}

static int value(struct parse *p, struct resp *out, int depth)
{
    struct str line;

    *out = (struct resp){ .kind = RESP_NULL };
    if (!p->in->n)
        return 0;
    char type = p->in->p[0];
    int r = line_of(p, &line);
    if (r <= 0)
        return r;
    switch (type) {
    case '+':
    case ',':
    case '#':
    case '(':
        *out = (struct resp){ .kind = RESP_TEXT, .s = line };
        return 1;
    case '-':
        *out = (struct resp){ .kind = RESP_ERROR, .s = line };
        return 1;
    case ':':
        out->kind = RESP_INT;
        if (str_to_i64(line, &out->i))
            return 1;
        return err_set(p->e, ERR_INVALID, "redis: malformed number in the answer"), -1;
    case '_':
        return 1;
    case '$':
        return bulk(p, line, out);
    case '*':
    case '~':
    case '>':
        return array(p, line, out, depth, 1);
    case '%':
        return array(p, line, out, depth, 2);
    default:
        return err_set(p->e, ERR_INVALID, "redis: the answer is not of this protocol"), -1;
    }
}

int resp_parse(struct arena *a, struct str *in, struct resp *out, struct err *e)
{
    struct str rest = *in;
    struct parse p = { a, &rest, e };
    struct arena_mark mark = arena_mark(a);
    struct resp v;
    int r = value(&p, &v, 0);

    if (r <= 0) {
        arena_release(a, mark);
        return r;
    }
    *in = rest;
    *out = v;
    return 1;
}

void resp_put(struct buf *b, const struct str *word, size_t n)
{
    buf_printf(b, "*%zu\r\n", n);
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "$%zu\r\n", word[i].n);
        buf_str(b, word[i]);
        buf_lit(b, "\r\n");
    }
}

static void own(struct arena *a, struct resp *v)
{
    v->s = arena_str(a, v->s);
    for (size_t i = 0; i < v->n; i++)
        own(a, &v->items[i]);
}

bool resp_read(struct resp_stream *s, struct resp *out, struct err *e)
{
    for (;;) {
        struct str in = str_sub(buf_view(&s->in), s->at, s->in.n);
        size_t got;
        int r = resp_parse(s->a, &in, out, e);

        if (r < 0)
            return false;
        if (r > 0) {
            own(s->a, out);
            s->at = s->in.n - in.n;
            return true;
        }
        char *room = buf_room(&s->in, 16 << 10);
        if (!dial_read(s->d, room, 16 << 10, &got, e))
            return err_wrap(e, "redis");
        if (!got)
            return err_set(e, ERR_IO, "redis: EOF");
        s->in.n += got;
        s->total += got;
        if (s->total > RESP_BYTES_MAX)
            return err_set(e, ERR_LIMIT, "redis: answers are too big");
    }
}

bool resp_call(struct resp_stream *s, const struct str *word, size_t n, struct resp *out,
               struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    resp_put(&b, word, n);
    if (s->at == s->in.n)
        s->at = s->in.n = 0;
    return dial_write(s->d, buf_view(&b), e) && resp_read(s, out, e);
}

bool resp_ask(struct resp_stream *s, const char *command, struct resp *out, struct err *e)
{
    struct str word[8], rest = str_c(command);
    size_t n = 0;

    while (rest.n && n < ARRAY_LEN(word))
        word[n++] = str_cut(&rest, ' ');
    return resp_call(s, word, n, out, e);
}
