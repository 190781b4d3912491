// proto_test.c - the wire cursor and writer agree, and nothing malformed gets through.
// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include "codec/proto.h"

TEST(written_fields_read_back)
{
    OWNED(buf_fini) struct buf b = { 0 };
    struct proto_field f;

    proto_put_varint(&b, 1, UINT64_MAX);
    proto_put_sint(&b, 2, INT64_MIN);
    proto_put_double(&b, 3, -0.5);
    proto_put_bytes(&b, 536870911, STR("x"));
    struct proto c = proto_of(buf_view(&b));
    CHECK(proto_next(&c, &f) == 1 && f.key == PROTO_KEY(1, PROTO_VARINT));
    CHECK(f.value == UINT64_MAX);
    CHECK(proto_next(&c, &f) == 1 && proto_number(&f) == 2 && proto_sint(&f) == INT64_MIN);
    CHECK(proto_next(&c, &f) == 1 && f.key == PROTO_KEY(3, PROTO_FIXED64));
    CHECK(proto_double(&f) == -0.5);
    CHECK(proto_next(&c, &f) == 1 && proto_number(&f) == 536870911);
    CHECK_STR(f.bytes, STR("x"));
    CHECK(proto_next(&c, &f) == 0);
}

TEST(nested_bodies_of_any_length)
{
    static const size_t lengths[] = { 0, 1, 127, 128, 16383, 16384, 70000 };

    FOR_CASES (n, lengths) {
        OWNED(buf_fini) struct buf b = { 0 };
        struct proto_field f, in;

        buf_lit(&b, "before");
        size_t outer = proto_begin_delimited(&b);
        size_t mark = proto_begin(&b, 4);
        for (size_t i = 0; i < *n; i++)
            buf_char(&b, (char)i);
        proto_end(&b, mark);
        proto_put_varint(&b, 5, 7);
        proto_end(&b, outer);
        struct proto c = proto_of(str_sub(buf_view(&b), 6, b.n));
        uint64_t length;
        CHECK(proto_varint(&c, &length) && length == (uint64_t)(c.end - c.p));
        CHECK(proto_next(&c, &f) == 1 && f.bytes.n == *n);
        for (size_t i = 0; i < *n; i++)
            CHECK(f.bytes.p[i] == (char)i);
        CHECK(proto_next(&c, &in) == 1 && in.value == 7);
    }
}

TEST(malformed_is_refused_where_it_stands)
{
    static const struct {
        struct str in;
        size_t ok; // fields before
    } cases[] = {
        { STR("\x08"), 0 },                                         // no value
        { STR("\x08\x80"), 0 },                                     // cut varint
        { STR("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02"), 0 }, // 65 bits
        { STR("\x08\x01\x12\x05xxxx"), 1 },                         // length beyond the end
        { STR("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0 }, // a huge length
        { STR("\x09\x01\x02\x03"), 0 },                             // short fixed64
        { STR("\x0d\x01\x02\x03"), 0 },                             // short fixed32
        { STR("\x00\x01"), 0 },                                     // field 0
        { STR("\x0b"), 0 },                                         // a group
        { STR("\x0f\x01"), 0 },                                     // wire type 7
        { STR("\x80\x80\x80\x80\x80\x01\x01"), 0 },                 // field number too large
    };

    FOR_CASES (t, cases) {
        struct proto c = proto_of(t->in);
        struct proto_field f;
        size_t ok = 0;
        int got;

        while ((got = proto_next(&c, &f)) > 0)
            ok++;
        CHECK_F(got == -1 && ok == t->ok, "case %zu: %d after %zu", (size_t)(t - cases), got, ok);
        CHECK(c.p < c.end);
    }
}

TEST(packed_count_counts_last_bytes)
{
    CHECK(proto_packed_count(STR("\x01\x80\x01\x7f")) == 3);
    CHECK(proto_packed_count(STR("\x80\x80")) == 0);
    CHECK(proto_packed_count(STR_NONE) == 0);
}
