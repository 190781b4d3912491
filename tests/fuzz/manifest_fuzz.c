// manifest_fuzz.c - any text as a MANIFEST: what is accepted prints to a text with the same meaning.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/hash.h"
#include "store/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

// The input is the text without its last line, which is put right here.
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(manifest_fini) struct manifest m = { 0 }, again = { 0 };
    OWNED(buf_fini) struct buf text = { 0 };
    OWNED(buf_fini) struct buf printed = { 0 };
    OWNED(buf_fini) struct buf twice = { 0 };
    struct err e = { 0 };

    buf_bytes(&text, p, n);
    buf_printf(&text, "end crc32c %08x\n", crc32c(0, p, n));
    if (!manifest_parse(buf_view(&text), &m, &e)) {
        if (e.kind == ERR_NONE)
            abort();
        return 0;
    }
    manifest_print(&printed, &m);
    if (!manifest_parse(buf_view(&printed), &again, &e))
        abort();
    manifest_print(&twice, &again);
    if (!str_eq(buf_view(&printed), buf_view(&twice)))
        abort();
    return 0;
}
