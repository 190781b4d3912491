/*
 * segment_fuzz.c - a catalog over a segment whose pages are the input's.
 *
 * The input is a run of pages: u8 section, u16 key step, u16 length, bytes. They are put into a
 * sound container, so that checksums do not stand in the way, and everything is read.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/segment.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/file.h"
#include "store/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool write_pages(const char *path, struct bytes in, struct err *e)
{
    OWNED(part_writer_close) struct part_writer *w = NULL;
    struct part_writer_options o = { .path = path, .id = { .number = 1, .kind = PART_SEGMENT } };
    struct part_info info = { 0 };
    uint64_t key[PART_SECTIONS_MAX] = { 0 };

    if (!part_writer_open(&w, &o, e))
        return false;
    while (bytes_left(&in) > 5) {
        unsigned section = bytes_u8(&in) % PART_SECTIONS_MAX;
        key[section] += bytes_le16(&in);
        struct str body = bytes_take(&in, MIN((size_t)bytes_le16(&in), bytes_left(&in)));
        struct part_page_key k = { .key = key[section] };
        if (section == SEGMENT_PRINTS) // these keys are in the upper bits
            k.key = MIN(key[section], (uint64_t)UINT16_MAX) << 48;
        if (body.n && !part_writer_page(w, section, &k, body, e))
            return false;
        key[section]++;
    }
    return part_writer_finish(w, &info, e);
}

static void ask(struct catalog *c, struct matcher *m, size_t n)
{
    struct arena a = { 0 };
    struct budget b = { .bytes_max = 64 << 20 };
    struct catalog_damage damage = { 0 };
    struct catalog_read r = { &a, &b, &damage };
    struct catalog_view *v = catalog_view_get(c);
    struct catalog_ids ids = { 0 };
    struct catalog_strs strs;
    struct catalog_figures figures;
    struct err e;
    bool ok = catalog_select(v, &(struct catalog_query){ m, n, 6 }, &r, &ids, &e);

    if (ok && ids.n && ids.n < 100000) {
        struct labels *ls = arena_array(&a, ids.n, struct labels);
        struct catalog_key *keys = arena_array(&a, ids.n, struct catalog_key);
        uint32_t *order = arena_array(&a, ids.n, uint32_t), found[CATALOG_FIND_MAX];
        ok = catalog_labels(v, ids, &r, ls, &e) && catalog_keys(v, ids, &r, keys, &e) &&
             catalog_order(v, ids, &r, order, &e);
        if (ok)
            catalog_find(c, keys[0].fingerprint, found);
    }
    ok = ok && catalog_label_names(v, &(struct catalog_query){ m, n, 0 }, 5, &r, &strs, &e);
    for (int i = 0; ok && i < 2; i++) {
        struct catalog_values_query q = { { m, n, 0 }, STR("a"), i ? 0 : 3 };
        ok = catalog_label_values(v, &q, &r, &strs, &e);
        n = 0;
    }
    ok = ok && catalog_figures(v, 3, &r, &figures, &e);
    catalog_view_put(v);
    arena_fini(&a);
}

static void everything(struct catalog *c)
{
    struct regex *re = NULL;
    struct err e;
    struct matcher m[] = {
        { MATCH_NE, LABEL_NAME, STR("m1"), NULL },
        { MATCH_RE, STR("a"), STR("v.*1.*"), NULL },
        { MATCH_EQ, STR("a"), STR("value-12"), NULL },
        { MATCH_EQ, STR("b"), STR(""), NULL },
    };
    struct catalog_build *build = NULL;

    if (!regex_new(&re, m[1].value, REGEX_ANCHORED, &e))
        abort();
    m[1].re = re;
    for (size_t i = 0; i < ARRAY_LEN(m); i++)
        ask(c, &m[i], 1);
    ask(c, m, 2);
    ask(c, NULL, 0);
    if (catalog_merge(c, 2, true, &build, &e))
        catalog_build_free(build);
    regex_free(re);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena a = { 0 };
    const char *dir = file_temp_dir(&a), *path = arena_printf(&a, "%s/00000001.seg", dir).p;
    struct page_cache *pages = page_cache_new(&(struct page_cache_options){ .bytes_max = 1 << 20 });
    struct catalog_segment expect = { .number = 1, .id_end = UINT32_MAX - 1 };
    struct catalog_options o = {
        .dir = dir, .cache = pages, .segments = &expect, .segment_count = 1
    };
    struct catalog_damage damage = { 0 };
    struct catalog *c;
    struct segment *s;
    struct err e;

    if (!write_pages(path, (struct bytes){ p, p + n, false }, &e))
        abort();
    struct segment_options so = { .path = path, .cache = pages, .expect = &expect };
    if (segment_open(&s, &so, &e)) {
        if (segment_count(s) < 1 << 20 && segment_verify(s, &e) && segment_pair_count(s))
            segment_name_of_pair(s, segment_pair_count(s) - 1);
        bool small = segment_count(s) < 1 << 20;
        segment_put(s);
        if (small && catalog_open(&c, &o, &damage, &e)) {
            catalog_start(c, 3, 0);
            everything(c);
            catalog_close(c);
        }
    }
    page_cache_free(pages);
    if (!file_remove_tree(dir, &e))
        abort();
    arena_fini(&a);
    return 0;
}
