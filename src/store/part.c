/*
 * part.c - the container of a part on disk.
 *
 *   head      64 bytes, file_head.h, kind FILE_PART (FILE_SEGMENT for a catalog segment)
 *   pages     payload bytes, u32 checksum (page_cache.h; seed below); nothing between them
 *   footer    fields and section table, below
 *   tail      u32 footer bytes (with the tail), u32 CRC-32C of the footer up to here (seeded as
 *             the pages), 8 bytes "vigiepar"
 *
 * Footer: u16 version (1), u16 part kind, u32 shard, u64 seq_from, u64 seq_to, u64 resolution_ms,
 * i64 min_ms, i64 max_ms, u64 rows, u64 series, u64 bytes of the file, u32 checksum of checksums
 * (CRC-32C over the checksum of every page in the order of the file), u32 sections; per section:
 *   u32 number, u32 levels, u64 pages, u64 payload bytes, u32 entries, entries of 40 bytes,
 *   u32 root bytes, root
 *
 * An entry: u64 key, i64 min_ms, i64 max_ms, u64 offset, u32 bytes, u32 rows. With levels 1 the
 * entries in the footer name the pages of the section. With levels 2 they name index pages,
 * which hold INDEX_FANOUT entries each but for the last: entry i of the section is entry
 * i % INDEX_FANOUT of index page i / INDEX_FANOUT.
 *
 * Seed of all checksums: hash of owner and number of the head.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/part.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"
#include "store/file_head.h"

enum {
    FOOTER_VERSION = 1,
    FOOTER_FIXED = 80,
    TAIL_BYTES = 16,
    ENTRY_BYTES = 40,
    INDEX_FANOUT = 800, // entries of an index page: just below 32 KiB
    DIRECT_MAX = 64,    // entries kept in the footer before a second level is made
    FOOTER_BYTES_MAX = 16 << 20,
    WRITE_BYTES = 256 << 10, // buffered between writes
    SYNC_BYTES = 1 << 20,    // handed to the disk at once
};

static const char tail_magic[8] = { 'v', 'i', 'g', 'i', 'e', 'p', 'a', 'r' };

static uint64_t seed_of(const struct part_id *id)
{
    return hash_u64(id->owner) ^ id->number;
}

static void put_entry(struct buf *b, const struct part_entry *n)
{
    buf_le64(b, n->key);
    buf_le64(b, (uint64_t)n->min_ms);
    buf_le64(b, (uint64_t)n->max_ms);
    buf_le64(b, n->offset);
    buf_le32(b, n->bytes);
    buf_le32(b, n->rows);
}

static struct part_entry get_entry(const uint8_t *p)
{
    return (struct part_entry){
        .key = get_le64(p),
        .min_ms = (int64_t)get_le64(p + 8),
        .max_ms = (int64_t)get_le64(p + 16),
        .offset = get_le64(p + 24),
        .bytes = get_le32(p + 32),
        .rows = get_le32(p + 36),
    };
}

static enum file_kind head_kind(enum part_kind kind)
{
    return kind == PART_SEGMENT ? FILE_SEGMENT : FILE_PART;
}

/* ---- writing ---- */

struct section_writer {
    uint64_t pages, bytes;
    struct buf entries; // of the index page being filled
    struct buf upper;   // of index pages written
    uint64_t key_first, key_last;
    struct part_entry sum; // over `entries`
    struct buf root;
};

struct part_writer {
    int fd;
    char *path;
    struct part_id id;
    uint64_t seed;
    uint64_t written; // handed to the kernel
    uint64_t synced;  // handed to the disk
    struct buf pending;
    uint32_t checksums; // CRC of all page checksums so far
    bool finished, failed;
    struct section_writer section[PART_SECTIONS_MAX];
};

bool part_writer_open(struct part_writer **out, const struct part_writer_options *o, struct err *e)
{
    uint8_t head[FILE_HEAD_BYTES];
    int fd = open(o->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

    if (fd < 0)
        return err_os(e, "create part %s", o->path);
    struct part_writer *w = xcalloc(1, sizeof *w);
    w->fd = fd;
    w->path = xstrdup_str(str_c(o->path));
    w->id = o->id;
    w->seed = seed_of(&o->id);
    file_head_put(head, &(struct file_head){
                            .kind = head_kind(o->id.kind),
                            .owner = o->id.owner,
                            .number = o->id.number,
                            .epoch = o->id.epoch,
                        });
    buf_bytes(&w->pending, head, sizeof head);
    *out = w;
    return true;
}

void part_writer_close(struct part_writer *w)
{
    if (!w)
        return;
    file_close(w->fd);
    if (!w->finished)
        unlink(w->path); // best effort: files that no manifest lists are removed at start-up
    buf_fini(&w->pending);
    for (unsigned i = 0; i < PART_SECTIONS_MAX; i++) {
        buf_fini(&w->section[i].entries);
        buf_fini(&w->section[i].upper);
        buf_fini(&w->section[i].root);
    }
    xfree(w->path);
    xfree(w);
}

uint64_t part_writer_bytes(const struct part_writer *w)
{
    return w->written + w->pending.n;
}

static bool write_pending(struct part_writer *w, struct err *e)
{
    if (w->failed)
        return err_set(e, ERR_IO, "part %s failed before", w->path);
    if (!file_write_all(w->fd, w->pending.p, w->pending.n, e)) {
        w->failed = true;
        return err_wrap(e, "part %s", w->path);
    }
    w->written += w->pending.n;
    buf_reset(&w->pending);
    if (w->written - w->synced >= SYNC_BYTES) {
        // Only starts the transfer, so that the final sync has little to do; failures show there.
        (void)sync_file_range(w->fd, (off_t)w->synced, (off_t)(w->written - w->synced),
                              SYNC_FILE_RANGE_WRITE);
        w->synced = w->written;
    }
    return true;
}

// Appends a page to the file; *at says where it is.
static bool write_page(struct part_writer *w, struct str payload, struct part_entry *at,
                       struct err *e)
{
    at->offset = part_writer_bytes(w);
    at->bytes = (uint32_t)payload.n;
    uint32_t crc = page_checksum(w->seed, at->offset, payload.p, payload.n);
    w->checksums = crc32c(w->checksums, &crc, sizeof crc);
    buf_str(&w->pending, payload);
    buf_le32(&w->pending, crc);
    return w->pending.n < WRITE_BYTES || write_pending(w, e);
}

static bool flush_index(struct part_writer *w, struct section_writer *s, struct err *e)
{
    struct part_entry at = s->sum;

    if (!write_page(w, buf_view(&s->entries), &at, e))
        return false;
    put_entry(&s->upper, &at);
    buf_reset(&s->entries);
    return true;
}

static void sum_entry(struct part_entry *sum, const struct part_entry *n, bool first)
{
    if (first) {
        *sum = *n;
        return;
    }
    sum->min_ms = MIN(sum->min_ms, n->min_ms);
    sum->max_ms = MAX(sum->max_ms, n->max_ms);
    sum->rows = UINT32_MAX - sum->rows < n->rows ? UINT32_MAX : sum->rows + n->rows;
}

bool part_writer_page(struct part_writer *w, unsigned section, const struct part_page_key *key,
                      struct str payload, struct err *e)
{
    struct section_writer *s = &w->section[section];
    struct part_entry at = {
        .key = key->key,
        .min_ms = key->min_ms,
        .max_ms = key->max_ms,
        .rows = key->rows,
    };

    assert(section < PART_SECTIONS_MAX && payload.n >= 1 && payload.n <= PAGE_BYTES_MAX);
    assert(s->pages == 0 || key->key >= s->key_last);
    if (s->entries.n == INDEX_FANOUT * ENTRY_BYTES && !flush_index(w, s, e))
        return false;
    if (!write_page(w, payload, &at, e))
        return false;
    sum_entry(&s->sum, &at, s->entries.n == 0);
    put_entry(&s->entries, &at);
    s->key_last = key->key;
    s->pages++;
    s->bytes += payload.n;
    return true;
}

void part_writer_root(struct part_writer *w, unsigned section, struct str root)
{
    assert(section < PART_SECTIONS_MAX && root.n <= PART_ROOT_BYTES_MAX);
    buf_reset(&w->section[section].root);
    buf_str(&w->section[section].root, root);
}

static bool section_is_used(const struct section_writer *s)
{
    return s->pages || s->root.n;
}

static void put_section(struct buf *b, unsigned number, const struct section_writer *s)
{
    const struct buf *entries = s->upper.n ? &s->upper : &s->entries;

    buf_le32(b, number);
    buf_le32(b, s->upper.n ? 2 : 1);
    buf_le64(b, s->pages);
    buf_le64(b, s->bytes);
    buf_le32(b, (uint32_t)(entries->n / ENTRY_BYTES));
    buf_str(b, buf_view(entries));
    buf_le32(b, (uint32_t)s->root.n);
    buf_str(b, buf_view(&s->root));
}

static void put_footer(const struct part_writer *w, const struct part_info *info, uint64_t bytes,
                       struct buf *b)
{
    uint32_t sections = 0;

    buf_le16(b, FOOTER_VERSION);
    buf_le16(b, (uint16_t)w->id.kind);
    buf_le32(b, info->shard);
    buf_le64(b, info->seq_from);
    buf_le64(b, info->seq_to);
    buf_le64(b, info->resolution_ms);
    buf_le64(b, (uint64_t)info->min_ms);
    buf_le64(b, (uint64_t)info->max_ms);
    buf_le64(b, info->rows);
    buf_le64(b, info->series);
    buf_le64(b, bytes);
    buf_le32(b, w->checksums);
    for (unsigned i = 0; i < PART_SECTIONS_MAX; i++)
        sections += section_is_used(&w->section[i]);
    buf_le32(b, sections);
    for (unsigned i = 0; i < PART_SECTIONS_MAX; i++)
        if (section_is_used(&w->section[i]))
            put_section(b, i, &w->section[i]);
}

bool part_writer_finish(struct part_writer *w, struct part_info *info, struct err *e)
{
    OWNED(buf_fini) struct buf footer = { 0 };

    assert(!w->finished);
    for (unsigned i = 0; i < PART_SECTIONS_MAX; i++) {
        struct section_writer *s = &w->section[i];

        if (s->entries.n && (s->upper.n || s->entries.n > DIRECT_MAX * ENTRY_BYTES) &&
            !flush_index(w, s, e))
            return false;
    }
    // The footer states the size of the file, which depends on its own: lay it out twice.
    put_footer(w, info, 0, &footer);
    uint64_t bytes = part_writer_bytes(w) + footer.n + TAIL_BYTES;
    buf_reset(&footer);
    put_footer(w, info, bytes, &footer);
    buf_le32(&footer, (uint32_t)(footer.n + TAIL_BYTES));
    assert(footer.n + TAIL_BYTES <= FOOTER_BYTES_MAX);
    uint32_t crc = page_checksum(w->seed, 0, footer.p, footer.n);
    buf_le32(&footer, crc);
    buf_bytes(&footer, tail_magic, sizeof tail_magic);
    buf_str(&w->pending, buf_view(&footer));
    if (!write_pending(w, e))
        return false;
    if (!file_sync(w->fd, e)) {
        w->failed = true;
        return err_wrap(e, "part %s", w->path);
    }
    assert(w->written == bytes);
    info->bytes = bytes;
    info->crc = crc;
    w->finished = true;
    return true;
}

/* ---- opening ---- */

struct section {
    uint64_t pages, bytes;
    uint32_t levels, entries; // entries in the footer
    const uint8_t *entry;     // in the footer
    struct str root;          // in the footer
};

struct part {
    struct page_file *file;
    struct part_id id;
    struct part_info info;
    uint64_t pages_end; // where the footer begins
    uint8_t *footer;
    struct section section[PART_SECTIONS_MAX];
};

void part_close(struct part *p)
{
    if (!p)
        return;
    page_file_close(p->file);
    xfree(p->footer);
    xfree(p);
}

static bool corrupt(const struct part *p, const char *what, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "part %s: %s", page_file_path(p->file), what);
}

static bool read_head(const char *path, const struct part_id *expect, struct part_id *id,
                      struct err *e)
{
    uint8_t bytes[FILE_HEAD_BYTES];
    struct file_head head, want = { .kind = FILE_PART };
    __attribute__((cleanup(file_close_owned_))) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, "part %s does not exist", path);
    if (fd < 0)
        return err_os(e, "open part %s", path);
    if (!file_pread_all(fd, bytes, sizeof bytes, 0, e))
        return err_wrap(e, "part %s", path);
    if (expect)
        want.kind = head_kind(expect->kind);
    // Who expects nothing takes what the head says, if the head is sound.
    want.owner = expect ? expect->owner : get_le64(bytes + 16);
    want.number = expect ? expect->number : get_le64(bytes + 24);
    if (!file_head_check(bytes, sizeof bytes, &want, &head, e))
        return err_wrap(e, "part %s", path);
    *id = (struct part_id){ head.owner, head.number, head.epoch, expect ? expect->kind : 0 };
    return true;
}

static bool read_footer(struct part *p, size_t *n, struct err *e)
{
    uint8_t tail[TAIL_BYTES];
    uint64_t size = page_file_bytes(p->file);

    if (size < FILE_HEAD_BYTES + FOOTER_FIXED + TAIL_BYTES)
        return corrupt(p, "shorter than head and footer", e);
    if (!page_file_pread(p->file, tail, sizeof tail, size - TAIL_BYTES, e))
        return false;
    uint32_t bytes = get_le32(tail);
    if (memcmp(tail + 8, tail_magic, sizeof tail_magic) != 0)
        return corrupt(p, "the end of the file is missing", e);
    if (bytes < FOOTER_FIXED + TAIL_BYTES || bytes > FOOTER_BYTES_MAX ||
        bytes > size - FILE_HEAD_BYTES)
        return corrupt(p, "impossible size of the footer", e);
    p->footer = xmalloc(bytes);
    p->pages_end = size - bytes;
    if (!page_file_pread(p->file, p->footer, bytes, p->pages_end, e))
        return false;
    p->info.crc = get_le32(tail + 4);
#ifndef VIGIE_NO_CHECKSUMS
    if (page_checksum(seed_of(&p->id), 0, p->footer, bytes - TAIL_BYTES + 4) != p->info.crc)
        return corrupt(p, "checksum of the footer does not match", e);
#endif
    *n = bytes - TAIL_BYTES;
    return true;
}

static bool parse_section(struct part *p, struct bytes *b)
{
    uint32_t number = bytes_le32(b);
    struct section s = { 0 };

    s.levels = bytes_le32(b);
    s.pages = bytes_le64(b);
    s.bytes = bytes_le64(b);
    s.entries = bytes_le32(b);
    if (b->bad || number >= PART_SECTIONS_MAX || p->section[number].levels)
        return false;
    if (s.levels < 1 || s.levels > 2 || s.entries > bytes_left(b) / ENTRY_BYTES)
        return false;
    s.entry = (const uint8_t *)bytes_take(b, (size_t)s.entries * ENTRY_BYTES).p;
    uint32_t root_bytes = bytes_le32(b);
    s.root = bytes_take(b, root_bytes);
    if (b->bad)
        return false;
    uint64_t want = s.levels == 1 ? s.pages : s.pages / INDEX_FANOUT + !!(s.pages % INDEX_FANOUT);
    if (s.entries != want)
        return false;
    p->section[number] = s;
    return true;
}

static bool parse_footer(struct part *p, size_t n, struct err *e)
{
    struct bytes b = bytes_of(str_of((const char *)p->footer, n));
    struct part_info *i = &p->info;

    unsigned version = bytes_le16(&b);
    if (version != FOOTER_VERSION)
        return err_set(e, ERR_UNSUPPORTED, "part %s: format version %u, this program knows %d",
                       page_file_path(p->file), version, FOOTER_VERSION);
    p->id.kind = (enum part_kind)bytes_le16(&b);
    i->shard = bytes_le32(&b);
    i->seq_from = bytes_le64(&b);
    i->seq_to = bytes_le64(&b);
    i->resolution_ms = bytes_le64(&b);
    i->min_ms = (int64_t)bytes_le64(&b);
    i->max_ms = (int64_t)bytes_le64(&b);
    i->rows = bytes_le64(&b);
    i->series = bytes_le64(&b);
    i->bytes = bytes_le64(&b);
    bytes_le32(&b); // of checksums: makes the footer's own speak for every page
    uint32_t sections = bytes_le32(&b);
    if (i->bytes != page_file_bytes(p->file))
        return corrupt(p, "size of the file differs from what its footer says", e);
    if (sections > PART_SECTIONS_MAX)
        return corrupt(p, "too many sections", e);
    while (sections--)
        if (!parse_section(p, &b))
            return corrupt(p, "damaged section table", e);
    if (b.bad || bytes_left(&b))
        return corrupt(p, "footer of odd length", e);
    return true;
}

bool part_open(struct part **out, struct page_cache *c, const char *path,
               const struct part_id *expect, struct err *e)
{
    struct part_id id;
    size_t n;

    if (!read_head(path, expect, &id, e))
        return false;
    OWNED(part_close) struct part *p = xcalloc(1, sizeof *p);
    p->id = id;
    if (!page_file_open(&p->file, c, path, seed_of(&id), e))
        return false;
    if (!read_footer(p, &n, e) || !parse_footer(p, n, e))
        return false;
    if (expect && p->id.kind != expect->kind)
        return err_set(e, ERR_CONFLICT, "part %s: of kind %d, expected %d", path, (int)p->id.kind,
                       (int)expect->kind);
    *out = TAKE(p);
    return true;
}

const struct part_id *part_id(const struct part *p)
{
    return &p->id;
}

const struct part_info *part_info(const struct part *p)
{
    return &p->info;
}

const char *part_path(const struct part *p)
{
    return page_file_path(p->file);
}

struct str part_root(const struct part *p, unsigned section)
{
    return p->section[section].root;
}

uint64_t part_section_pages(const struct part *p, unsigned section)
{
    return p->section[section].pages;
}

uint64_t part_section_bytes(const struct part *p, unsigned section)
{
    return p->section[section].bytes;
}

/* ---- walking ---- */

void part_walk_init(struct part_walk *w, struct part *p, unsigned section, enum page_use use)
{
    assert(section < PART_SECTIONS_MAX);
    *w = (struct part_walk){ .part = p, .section = section, .use = use };
}

void part_walk_fini(struct part_walk *w)
{
    page_put(w->index);
    w->index = NULL;
}

static bool page_of(struct part *p, const struct part_entry *n, enum page_use use,
                    const struct page **out, struct err *e)
{
    if (n->offset < FILE_HEAD_BYTES || n->offset >= p->pages_end ||
        n->bytes + PAGE_TRAILER > p->pages_end - n->offset || n->bytes == 0)
        return corrupt(p, "an index names a page beyond the pages", e);
    return page_get(p->file, n->offset, n->bytes, use, out, e);
}

// Last of n entries with a key <= key; 0 when there is none.
static size_t search(const uint8_t *entry, size_t n, uint64_t key)
{
    size_t low = 0, high = n;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (get_le64(entry + middle * ENTRY_BYTES) <= key)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static bool load_index(struct part_walk *w, size_t number, struct err *e)
{
    const struct section *s = &w->part->section[w->section];
    uint64_t first = (uint64_t)number * INDEX_FANOUT;
    size_t want = (size_t)MIN(s->pages - first, (uint64_t)INDEX_FANOUT) * ENTRY_BYTES;
    struct part_entry at = get_entry(s->entry + number * ENTRY_BYTES);
    const struct page *page;

    if (w->index && w->index_first == first)
        return true;
    // Index pages are worth keeping even when the data is read once.
    if (!page_of(w->part, &at, PAGE_KEEP, &page, e))
        return false;
    if (page->n != want) {
        page_put(page);
        return corrupt(w->part, "index page of odd length", e);
    }
    page_put(w->index);
    w->index = page;
    w->index_first = first;
    return true;
}

static bool go_to(struct part_walk *w, uint64_t at, struct err *e)
{
    const struct section *s = &w->part->section[w->section];

    if (s->levels == 1) {
        w->entry = get_entry(s->entry + at * ENTRY_BYTES);
    } else {
        if (!load_index(w, (size_t)(at / INDEX_FANOUT), e))
            return false;
        w->entry = get_entry(w->index->p + at % INDEX_FANOUT * ENTRY_BYTES);
    }
    w->at = at;
    return true;
}

int part_walk_find(struct part_walk *w, uint64_t key, struct err *e)
{
    const struct section *s = &w->part->section[w->section];

    if (s->pages == 0)
        return 0;
    uint64_t at = search(s->entry, s->entries, key);
    if (s->levels == 2) {
        if (!load_index(w, (size_t)at, e))
            return -1;
        at = w->index_first + search(w->index->p, w->index->n / ENTRY_BYTES, key);
    }
    return go_to(w, at, e) ? 1 : -1;
}

int part_walk_next(struct part_walk *w, struct err *e)
{
    if (w->at + 1 >= w->part->section[w->section].pages)
        return 0;
    return go_to(w, w->at + 1, e) ? 1 : -1;
}

bool part_walk_page(const struct part_walk *w, const struct page **out, struct err *e)
{
    return page_of(w->part, &w->entry, w->use, out, e);
}

bool part_verify(struct part *p, struct err *e)
{
    for (unsigned i = 0; i < PART_SECTIONS_MAX; i++) {
        struct part_walk w;
        uint64_t bytes = 0;
        int r;

        part_walk_init(&w, p, i, PAGE_ONCE);
        for (r = part_walk_find(&w, 0, e); r > 0; r = part_walk_next(&w, e)) {
            const struct page *page;

            if (!part_walk_page(&w, &page, e)) {
                r = -1;
                break;
            }
            bytes += page->n;
            page_put(page);
        }
        part_walk_fini(&w);
        if (r < 0)
            return false;
        if (bytes != p->section[i].bytes)
            return corrupt(p, "a section has not the bytes its footer says", e);
    }
    return true;
}
