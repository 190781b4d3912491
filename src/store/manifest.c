/*
 * manifest.c - printing, parsing and replacing the MANIFEST of a partition.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/manifest.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

void manifest_fini(struct manifest *m)
{
    vec_fini(&m->segments);
    vec_fini(&m->parts);
    for (size_t i = 0; i < m->masks.n; i++)
        xfree(m->masks.v[i].rows);
    vec_fini(&m->masks);
}

void manifest_copy(struct manifest *to, const struct manifest *from)
{
    *to = *from;
    to->segments.v = NULL;
    to->segments.n = to->segments.cap = 0;
    to->parts.v = NULL;
    to->parts.n = to->parts.cap = 0;
    for (size_t i = 0; i < from->segments.n; i++)
        *vec_push(&to->segments) = from->segments.v[i];
    for (size_t i = 0; i < from->parts.n; i++)
        *vec_push(&to->parts) = from->parts.v[i];
    to->masks.v = NULL;
    to->masks.n = to->masks.cap = 0;
    for (size_t i = 0; i < from->masks.n; i++)
        manifest_add_mask(to, &from->masks.v[i]);
}

static bool part_before(const struct manifest_part *x, const struct manifest_part *y)
{
    return x->seq_from != y->seq_from ? x->seq_from < y->seq_from : x->number < y->number;
}

void manifest_add_part(struct manifest *m, const struct manifest_part *p)
{
    size_t i;

    assert(p->seq_from <= p->seq_to);
    (void)vec_push(&m->parts);
    for (i = m->parts.n - 1; i > 0 && part_before(p, &m->parts.v[i - 1]); i--)
        m->parts.v[i] = m->parts.v[i - 1];
    m->parts.v[i] = *p;
}

bool manifest_drop_part(struct manifest *m, uint64_t number)
{
    for (size_t i = 0; i < m->parts.n; i++) {
        if (m->parts.v[i].number != number)
            continue;
        memmove(&m->parts.v[i], &m->parts.v[i + 1], (m->parts.n - i - 1) * sizeof m->parts.v[0]);
        m->parts.n--;
        return true;
    }
    return false;
}

void manifest_add_mask(struct manifest *m, const struct manifest_mask *mask)
{
    struct manifest_mask *x = vec_push(&m->masks);

    assert(m->masks.n == 1 || x[-1].number < mask->number);
    *x = *mask;
    x->rows = xstrdup_str(str_c(mask->rows));
}

void manifest_drop_masks(struct manifest *m)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->masks.n; i++) {
        bool hides = false;

        for (size_t k = 0; k < m->parts.n && !hides; k++)
            hides = manifest_mask_hides(&m->masks.v[i], &m->parts.v[k]);
        if (hides)
            m->masks.v[kept++] = m->masks.v[i];
        else
            xfree(m->masks.v[i].rows);
    }
    m->masks.n = kept;
}

/* ---- printing ---- */

static void print_part(struct buf *b, const struct manifest_part *p)
{
    buf_printf(b, "part %" PRIu64 " shard ", p->number);
    if (p->shard == MANIFEST_SHARD_ALL)
        buf_lit(b, "all");
    else
        buf_u64(b, p->shard);
    buf_printf(b,
               " seq %" PRIu64 " %" PRIu64 " resolution %" PRId64 " time %" PRId64 " %" PRId64
               " rows %" PRIu64 " bytes %" PRIu64 " crc %08" PRIx32 "\n",
               p->seq_from, p->seq_to, p->resolution_ms, p->min_ms, p->max_ms, p->rows, p->bytes,
               p->crc);
}

void manifest_print(struct buf *b, const struct manifest *m)
{
    size_t from = b->n;

    assert(m->shards >= 1 && m->shards <= MANIFEST_SHARDS_MAX);
    assert(m->kind[0] && m->span_min < m->span_max);
    buf_printf(b,
               "vigie partition 1 kind %s span %" PRId64 " %" PRId64 " shards %" PRIu32
               " epoch %" PRIu64 " generation %" PRIu64 "\n",
               m->kind, m->span_min, m->span_max, m->shards, m->epoch, m->generation);
    buf_printf(b, "next file %" PRIu64 " id %" PRIu32 "\n", m->next_file, m->next_id);
    buf_lit(b, "log_first");
    for (uint32_t i = 0; i < m->shards; i++)
        buf_printf(b, " %" PRIu64, m->log_first[i]);
    buf_printf(b, "\ncatalog_first %" PRIu64 "\n", m->catalog_first);
    for (size_t i = 0; i < m->segments.n; i++) {
        const struct manifest_segment *s = &m->segments.v[i];

        buf_printf(b,
                   "segment %" PRIu64 " ids %" PRIu32 " %" PRIu32 " bytes %" PRIu64
                   " crc %08" PRIx32 "\n",
                   s->number, s->id_from, s->id_to, s->bytes, s->crc);
    }
    for (size_t i = 0; i < m->parts.n; i++)
        print_part(b, &m->parts.v[i]);
    for (size_t i = 0; i < m->masks.n; i++) {
        const struct manifest_mask *k = &m->masks.v[i];

        buf_printf(b, "mask %" PRIu64 " time %" PRId64 " %" PRId64 " rows %s\n", k->number,
                   k->min_ms, k->max_ms, k->rows);
    }
    buf_printf(b, "end crc32c %08" PRIx32 "\n", crc32c(0, b->p + from, b->n - from));
}

/* ---- parsing ---- */

// Words of one line; the first mistake sets bad, later reads give zero.
struct line {
    struct str rest;
    bool bad;
};

static struct str line_word(struct line *l)
{
    struct str w = str_cut(&l->rest, ' ');

    if (w.n == 0)
        l->bad = true;
    return w;
}

static void line_expect(struct line *l, const char *word)
{
    if (!str_eq_c(line_word(l), word))
        l->bad = true;
}

static uint64_t line_u64(struct line *l)
{
    uint64_t v = 0;

    if (!str_to_u64(line_word(l), &v))
        l->bad = true;
    return v;
}

static uint32_t line_u32(struct line *l)
{
    uint64_t v = line_u64(l);

    if (v > UINT32_MAX)
        l->bad = true;
    return (uint32_t)v;
}

static int64_t line_i64(struct line *l)
{
    int64_t v = 0;

    if (!str_to_i64(line_word(l), &v))
        l->bad = true;
    return v;
}

static uint32_t line_hex(struct line *l)
{
    struct str w = line_word(l);
    uint32_t v = 0;

    if (w.n != 8)
        l->bad = true;
    for (size_t i = 0; i < w.n; i++) {
        unsigned c = (unsigned char)w.p[i];
        unsigned d = c - '0' < 10 ? c - '0' : c - 'a' < 6 ? c - 'a' + 10 : 16;

        if (d == 16)
            l->bad = true;
        v = v << 4 | (d & 15);
    }
    return v;
}

static bool parse_head(struct line *l, struct manifest *m, struct err *e)
{
    struct str kind;

    line_expect(l, "vigie");
    line_expect(l, "partition");
    if (l->bad)
        return err_set(e, ERR_CORRUPT, "not a partition manifest");
    if (line_u64(l) != 1 || l->bad)
        return err_set(e, ERR_UNSUPPORTED, "partition format is newer than this program");
    line_expect(l, "kind");
    kind = line_word(l);
    if (kind.n == 0 || kind.n >= sizeof m->kind || memchr(kind.p, 0, kind.n))
        l->bad = true;
    else
        memcpy(m->kind, kind.p, kind.n);
    line_expect(l, "span");
    m->span_min = line_i64(l);
    m->span_max = line_i64(l);
    line_expect(l, "shards");
    m->shards = line_u32(l);
    line_expect(l, "epoch");
    m->epoch = line_u64(l);
    line_expect(l, "generation");
    m->generation = line_u64(l);
    if (m->span_min >= m->span_max || m->shards == 0 || m->shards > MANIFEST_SHARDS_MAX)
        l->bad = true;
    return true;
}

static void parse_segment(struct line *l, struct manifest *m)
{
    struct manifest_segment s = { .number = line_u64(l) };

    line_expect(l, "ids");
    s.id_from = line_u32(l);
    s.id_to = line_u32(l);
    line_expect(l, "bytes");
    s.bytes = line_u64(l);
    line_expect(l, "crc");
    s.crc = line_hex(l);
    if (s.id_from > s.id_to)
        l->bad = true;
    *vec_push(&m->segments) = s;
}

static void parse_part(struct line *l, struct manifest *m)
{
    struct manifest_part p = { .number = line_u64(l) };
    struct line shard;

    line_expect(l, "shard");
    shard = (struct line){ line_word(l), false };
    p.shard = str_eq_c(shard.rest, "all") ? MANIFEST_SHARD_ALL : line_u32(&shard);
    line_expect(l, "seq");
    p.seq_from = line_u64(l);
    p.seq_to = line_u64(l);
    line_expect(l, "resolution");
    p.resolution_ms = line_i64(l);
    line_expect(l, "time");
    p.min_ms = line_i64(l);
    p.max_ms = line_i64(l);
    line_expect(l, "rows");
    p.rows = line_u64(l);
    line_expect(l, "bytes");
    p.bytes = line_u64(l);
    line_expect(l, "crc");
    p.crc = line_hex(l);
    l->bad |= shard.bad || p.seq_from > p.seq_to || p.min_ms > p.max_ms;
    manifest_add_part(m, &p);
}

static void parse_mask(struct line *l, struct manifest *m)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct manifest_mask k = { .number = line_u64(l) };

    line_expect(l, "time");
    k.min_ms = line_i64(l);
    k.max_ms = line_i64(l);
    line_expect(l, "rows");
    struct str rows = line_word(l);
    if (k.min_ms > k.max_ms || memchr(rows.p, 0, rows.n) ||
        (m->masks.n && m->masks.v[m->masks.n - 1].number >= k.number))
        l->bad = true;
    if (l->bad)
        return;
    k.rows = arena_cstr(&a, rows);
    manifest_add_mask(m, &k);
}

static bool parse_line(struct str text, unsigned number, struct manifest *m, struct err *e)
{
    struct line l = { text, false };
    struct str word;

    if (number == 1) {
        if (!parse_head(&l, m, e))
            return false;
    } else if (word = line_word(&l), str_eq_c(word, "next")) {
        line_expect(&l, "file");
        m->next_file = line_u64(&l);
        line_expect(&l, "id");
        m->next_id = line_u32(&l);
    } else if (str_eq_c(word, "log_first")) {
        for (uint32_t i = 0; i < m->shards; i++)
            m->log_first[i] = line_u64(&l);
    } else if (str_eq_c(word, "catalog_first")) {
        m->catalog_first = line_u64(&l);
    } else if (str_eq_c(word, "segment")) {
        parse_segment(&l, m);
    } else if (str_eq_c(word, "part")) {
        parse_part(&l, m);
    } else if (str_eq_c(word, "mask")) {
        parse_mask(&l, m);
    } else {
        return err_set(e, ERR_UNSUPPORTED, "line %u: unknown word \"%.*s\"", number, STRF(word));
    }
    if (l.bad || l.rest.n)
        return err_set(e, ERR_CORRUPT, "line %u is malformed", number);
    return true;
}

// Checks the last line and takes it off.
static bool check_end(struct str *text, struct err *e)
{
    static const char end[] = "end crc32c ";
    size_t tail = sizeof end - 1 + 8 + 1;
    struct line l;

    if (text->n < tail || memcmp(text->p + text->n - tail, end, sizeof end - 1) != 0 ||
        text->p[text->n - 1] != '\n')
        return err_set(e, ERR_CORRUPT, "manifest is cut: no line \"end crc32c\"");
    text->n -= tail;
    l.rest = str_of(text->p + text->n + sizeof end - 1, 8);
    l.bad = false;
    if (line_hex(&l) != crc32c(0, text->p, text->n) || l.bad)
        return err_set(e, ERR_CORRUPT, "checksum of the manifest does not match");
    return true;
}

bool manifest_parse(struct str text, struct manifest *out, struct err *e)
{
    OWNED(manifest_fini) struct manifest m = { 0 };

    if (!check_end(&text, e))
        return false;
    for (unsigned number = 1; text.n; number++) {
        if (!parse_line(str_cut(&text, '\n'), number, &m, e))
            return false;
    }
    if (m.shards == 0)
        return err_set(e, ERR_CORRUPT, "manifest is empty");
    *out = m;
    m = (struct manifest){ 0 };
    return true;
}

bool manifest_read(const char *path, struct manifest *out, struct err *e)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct str text;

    if (!file_read(&a, path, MANIFEST_BYTES_MAX, &text, e))
        return false;
    return manifest_parse(text, out, e) || err_wrap(e, "%s", path);
}

bool manifest_write(const char *path, const struct manifest *m, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (fault_hit("manifest.commit"))
        return err_os(e, "write %s", path);
    manifest_print(&b, m);
    return file_replace(path, buf_view(&b), e);
}
