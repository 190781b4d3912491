// promql_fuzz.c - any text: an error, or a tree that prints and reads back the same.
// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>
#include <string.h>

#include "codec/json.h"
#include "lang/promql.h"

struct quirk {
    bool found;
};

// Ranges under a millisecond print as 0s, which does not read back: as upstream.
static void find_quirk(void *ctx, struct promql_node *n)
{
    struct quirk *k = ctx;

    if (n->kind == PROMQL_RANGE && !n->range.range_ms && !n->range.range_expr)
        k->found = true;
    if (n->kind == PROMQL_SUBQUERY && !n->subquery.range_ms && !n->subquery.range_expr)
        k->found = true;
}

static void check_errors(const struct promql *q, struct str text)
{
    for (size_t i = 0; i < q->error_count; i++) {
        OWNED(buf_fini) struct buf b = { 0 };
        promql_print_error(&b, q, i);
        assert(b.n > 0);
        assert(q->errors[i].end <= text.n + 1);
    }
    assert(q->error_count > 0 && !q->root);
}

static void check_reads_back(struct str printed, struct str want)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(promql_fini) struct promql q = { 0 };
    OWNED(buf_fini) struct buf b = { 0 };
    struct err e = { 0 };

    if (!promql_parse(&a, printed, &q, &e)) {
        // A printed form may be longer or deeper than what it came from, and nothing else.
        assert(strstr(e.text, "nested deeper") || strstr(e.text, "is longer than"));
        return;
    }
    promql_print(&b, q.root);
    assert(str_eq(buf_view(&b), want));
}

static void check_tree(struct promql *q)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf line = { 0 };
    OWNED(buf_fini) struct buf pretty = { 0 };
    OWNED(buf_fini) struct buf json = { 0 };
    struct err e = { 0 };
    struct quirk k = { 0 };
    struct json_writer w = json_writer(&json);
    struct json_value *doc;

    assert(q->root->type != PROMQL_NONE && q->root->height <= PROMQL_HEIGHT_MAX);
    promql_print(&line, q->root);
    promql_pretty(&pretty, q->root);
    promql_json(&w, q->root);
    if (!json_parse(&a, buf_view(&json), &doc, &e))
        assert(e.kind == ERR_LIMIT); // deeper than the reader goes
    promql_walk(q->root, find_quirk, &k);
    if (k.found)
        return;
    check_reads_back(buf_view(&line), buf_view(&line));
    check_reads_back(buf_view(&pretty), buf_view(&line));
    bool ok = promql_resolve_durations(q, 0, 3600000, 15000, &e);
    assert(ok || e.kind == ERR_INVALID);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    struct str text = { (const char *)p, n };
    struct err e = { 0 };

    OWNED(promql_fini) struct promql q = { 0 };
    if (promql_parse(&a, text, &q, &e))
        check_tree(&q);
    else
        check_errors(&q, text);
    OWNED(promql_fini) struct promql selector = { 0 };
    if (!promql_parse_selector(&a, text, &selector, &e))
        check_errors(&selector, text);
    return 0;
}
