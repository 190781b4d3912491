// url_fuzz.c - URLs and forms: what is accepted prints and parses again to the same.
// SPDX-License-Identifier: Apache-2.0
#include "net/url.h"

#include "net/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    OWNED(arena_fini) struct arena a = { 0 };
    OWNED(buf_fini) struct buf once = { 0 }, twice = { 0 };
    struct str in = { (const char *)p, n };
    struct http_form form;
    struct url u, again, to;
    struct err e = { 0 };

    bool form_ok = http_form_parse(&a, &(struct http_request){ .method = STR("GET"), .query = in },
                                   &form, &e);
    assert(form_ok || e.kind == ERR_INVALID);
    struct str cut = in, first = str_cut(&cut, '\n');
    if (!url_parse(&a, first, &u, &e))
        return 0;
    u.has_user = u.has_password = false; // is not printed as it was
    buf_url(&once, &u);
    bool ok = url_parse(&a, buf_view(&once), &again, &e);
    // A host may hold decoded bytes that do not stand in a URL.
    if (ok && str_is_utf8(u.host) && str_find_char(u.host, '%') == STR_NPOS) {
        buf_url(&twice, &again);
        assert(str_eq(buf_view(&once), buf_view(&twice)));
    }
    if (cut.p && url_resolve(&a, &u, cut, &to, &e))
        assert(to.path.n && to.path.p[0] == '/');
    return 0;
}
