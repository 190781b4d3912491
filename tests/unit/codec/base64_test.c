// base64_test.c - RFC 4648 §10 and refusals.
// SPDX-License-Identifier: Apache-2.0
#include "codec/base64.h"

#include "test.h"

static const struct {
    const char *plain, *coded;
} cases[] = { { "", "" },
              { "f", "Zg==" },
              { "fo", "Zm8=" },
              { "foo", "Zm9v" },
              { "foob", "Zm9vYg==" },
              { "fooba", "Zm9vYmE=" },
              { "foobar", "Zm9vYmFy" },
              { "\xff\xfe", "//4=" } };

TEST(round_trip)
{
    FOR_CASES (t, cases) {
        OWNED(buf_fini) struct buf b = { 0 }, back = { 0 };
        buf_base64(&b, str_c(t->plain));
        CHECK_STR(buf_view(&b), str_c(t->coded));
        CHECK(base64_decode(buf_view(&b), &back));
        CHECK_STR(buf_view(&back), str_c(t->plain));
    }
}

TEST(refusals_leave_the_output)
{
    static const char *const bad[] = { "Z", "Zg=", "Zg===", "Z*==", "Zg==Zg", "/w===" };

    FOR_CASES (t, bad) {
        OWNED(buf_fini) struct buf b = { 0 };
        buf_lit(&b, "x");
        CHECK_F(!base64_decode(str_c(*t), &b) && b.n == 1, "%s", *t);
    }
    OWNED(buf_fini) struct buf b = { 0 };
    CHECK(base64_decode(STR("Zg"), &b) && base64_decode(STR("__4"), &b) && b.n == 3);
}
