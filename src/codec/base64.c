// base64.c - three bytes to four letters and back.
// SPDX-License-Identifier: Apache-2.0
#include "codec/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void buf_base64(struct buf *b, struct str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;

    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = MIN(bytes.n - i, (size_t)3);
        unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                     (left > 2 ? p[i + 2] : 0);
        buf_char(b, letters[v >> 18]);
        buf_char(b, letters[v >> 12 & 63]);
        buf_char(b, left > 1 ? letters[v >> 6 & 63] : '=');
        buf_char(b, left > 2 ? letters[v & 63] : '=');
    }
}

static int letter_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool base64_decode(struct str text, struct buf *out)
{
    size_t before = out->n, count = 0, padding = 0;
    unsigned v = 0;
    bool ok = true;

    for (size_t i = 0; i < text.n && ok; i++) {
        char c = text.p[i];
        int d = letter_value(c);
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
            continue;
        if (c == '=') {
            padding++;
            continue;
        }
        ok = d >= 0 && !padding;
        v = v << 6 | ((unsigned)d & 63);
        if (++count % 4 == 0) {
            const char three[] = { (char)(v >> 16), (char)(v >> 8), (char)v };
            buf_bytes(out, three, 3);
        }
    }
    size_t rest = count % 4;
    ok = ok && rest != 1 && padding <= 2 && (!padding || (rest + padding) % 4 == 0);
    if (!ok) {
        out->n = before;
        return false;
    }
    if (rest == 2)
        buf_char(out, (char)(v >> 4));
    if (rest == 3) {
        buf_char(out, (char)(v >> 10));
        buf_char(out, (char)(v >> 2));
    }
    return true;
}
