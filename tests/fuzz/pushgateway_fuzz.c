// pushgateway_fuzz.c - the file of groups with any bytes behind a right checksum; pages pushed as text.
// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "face/pushgateway_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct clock clock = clock_fake(1500);
    OWNED(pushgateway_free) struct pushgateway *g = NULL;
    OWNED(buf_fini) struct buf file = { 0 }, page = { 0 };
    struct err e = { 0 };

    if (!pushgateway_new(&g, &(struct pushgateway_options){ .clock = &clock, .unchecked = true },
                         &e))
        return 0;
    buf_lit(&file, "vigiepg1");
    buf_bytes(&file, p, n);
    buf_le32(&file, crc32c(0, file.p, file.n));
    (void)!push_file_read(g, buf_view(&file), &e);                   // survival is all
    (void)!push_gob_read(g, (struct str){ (const char *)p, n }, &e); // the same
    OWNED(push_batch_put) struct push_batch *b = push_batch_new();
    struct page text;
    if (push_path(g, STR("/job/fuzz"), b, &e) &&
        page_read(&b->arena, (struct str){ (const char *)p, n }, &text, &e)) {
        push_decode_page(&text, b, 1);
        (void)!push_store_push(g, b, PUSH_UPDATE, &e);
    }
    pushgateway_page(g, &page);
    return 0;
}
