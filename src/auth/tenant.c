// tenant.c - names of tenants in requests.
// SPDX-License-Identifier: Apache-2.0
#include "auth/tenant.h"

#include "base/sort.h"
#include "net/http.h"

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!-_.*'()", c));
}

bool tenant_name_check(struct str name, struct err *e)
{
    for (size_t i = 0; i < name.n; i++)
        if (!is_name_char(name.p[i]))
            return err_set(e, ERR_INVALID, "tenant ID '%.*s' contains unsupported character '%c'",
                           STRF(name), name.p[i]);
    if (!name.n)
        return err_set(e, ERR_INVALID, "tenant ID is empty");
    if (name.n > TENANT_NAME_MAX)
        return err_set(e, ERR_INVALID, "tenant ID is too long: max %d characters", TENANT_NAME_MAX);
    if (str_eq(name, STR(".")) || str_eq(name, STR("..")))
        return err_set(e, ERR_INVALID, "tenant ID is '.' or '..'");
    return true;
}

static bool header_of(const struct http_request *r, struct str *out, struct err *e)
{
    *out = str_trim(http_header_get(r, TENANT_HEADER));
    return out->n || err_set(e, ERR_DENIED, "no org id");
}

bool tenant_of_request(const struct http_request *r, bool tenancy, struct str *out, struct err *e)
{
    struct str name;

    if (!tenancy) {
        *out = TENANT_ANONYMOUS;
        return true;
    }
    if (!header_of(r, &name, e))
        return false;
    if (str_find_char(name, '|') != STR_NPOS)
        return err_set(e, ERR_INVALID, "multiple org IDs present");
    if (!tenant_name_check(name, e))
        return false;
    *out = name;
    return true;
}

bool tenants_of_request(const struct http_request *r, bool tenancy, struct arena *a,
                        struct tenant_names *out, struct err *e)
{
    struct tenant_names t = { arena_array(a, TENANTS_OF_QUERY_MAX, struct str), 0 };
    struct str rest = TENANT_ANONYMOUS;

    if (tenancy && !header_of(r, &rest, e))
        return false;
    while (rest.p) {
        struct str name = str_cut(&rest, '|');

        if (!tenant_name_check(name, e))
            return false;
        if (t.n == TENANTS_OF_QUERY_MAX)
            return err_set(e, ERR_INVALID, "a query may name %d tenants at most",
                           TENANTS_OF_QUERY_MAX);
        t.v[t.n++] = name;
    }
    t.n = sort_strs_unique(t.v, t.n);
    *out = t;
    return true;
}

int tenant_error_status(const struct err *e)
{
    return e->kind == ERR_DENIED ? 401 : 400;
}
