// tenant_test.c - the tenants that requests name.
// SPDX-License-Identifier: Apache-2.0
#include "auth/tenant.h"

#include "net/http.h"
#include "test.h"

static struct http_request request(struct http_header *h, const char *value)
{
    *h = (struct http_header){ STR("x-scope-orgid"), str_c(value) };
    return (struct http_request){ .headers = h, .header_count = value ? 1 : 0 };
}

static const struct {
    const char *header;
    bool tenancy;
    const char *one, *many; // NULL: refused
    int status;             // of the refusal of many, or of one when many is fine
    const char *problem;
} cases[] = {
    { "pods", false, "anonymous", "anonymous", 0, NULL },
    { NULL, false, "anonymous", "anonymous", 0, NULL },
    { NULL, true, NULL, NULL, 401, "no org id" },
    { "", true, NULL, NULL, 401, "no org id" },
    { "pods", true, "pods", "pods", 0, NULL },
    { "a!-_.*'()9Z", true, "a!-_.*'()9Z", "a!-_.*'()9Z", 0, NULL },
    { "b|a|b", true, NULL, "a,b", 400, "multiple org IDs present" },
    { "a b", true, NULL, NULL, 400, "contains unsupported character ' '" },
    { "a/b", true, NULL, NULL, 400, "contains unsupported character '/'" },
    { "..", true, NULL, NULL, 400, "is '.' or '..'" },
    { "a|", true, NULL, NULL, 400, NULL },
    { "|", true, NULL, NULL, 400, NULL },
};

TEST(tenants_of_requests)
{
    OWNED(arena_fini) struct arena a = { 0 };

    FOR_CASES (t, cases) {
        struct http_header h;
        struct http_request r = request(&h, t->header);
        struct err e = { 0 }, e2 = { 0 };
        struct tenant_names names;
        struct str one = STR("untouched");

        bool ok = tenant_of_request(&r, t->tenancy, &one, &e);
        CHECK_F(ok == (t->one != NULL), "%s", t->header);
        CHECK_STR(one, str_c(ok ? t->one : "untouched"));
        CHECK(ok || tenant_error_status(&e) == t->status);
        CHECK(ok || !t->problem || strstr(e.text, t->problem));
        ok = tenants_of_request(&r, t->tenancy, &a, &names, &e2);
        CHECK_F(ok == (t->many != NULL), "%s", t->header);
        if (!ok) {
            CHECK(tenant_error_status(&e2) == t->status);
            continue;
        }
        struct str rest = str_c(t->many);
        for (size_t i = 0; i < names.n; i++)
            CHECK_STR(names.v[i], str_cut(&rest, ','));
        CHECK(!rest.p);
    }
}

TEST(names_have_a_length)
{
    char name[TENANT_NAME_MAX + 2];
    struct err e;

    memset(name, 'a', sizeof name);
    CHECK(tenant_name_check(str_of(name, TENANT_NAME_MAX), &e));
    CHECK(!tenant_name_check(str_of(name, TENANT_NAME_MAX + 1), &e));
    CHECK(strstr(e.text, "max 150 characters"));
}
