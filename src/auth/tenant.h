/*
 * tenant.h - whose data a request is about: the header X-Scope-OrgID, as Mimir, Loki and Tempo read it.
 *
 * With tenancy off everybody is "anonymous" and the header is not looked at. With it on the header
 * must be there; what asks questions may name several tenants, `a|b`. Names have 1 to 150 bytes of
 * letters, digits and !-_.*'() and are neither "." nor "..".
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"

struct http_request;

enum { TENANT_NAME_MAX = 150, TENANTS_OF_QUERY_MAX = 64 };
#define TENANT_HEADER    STR("X-Scope-OrgID")
#define TENANT_ANONYMOUS STR("anonymous")

// Whether a name can be one tenant's. ERR_INVALID in Mimir's words.
MUST_CHECK bool tenant_name_check(struct str name, struct err *e);
/*
 * The one tenant of a request that stores something; borrowed from the request. Errors: ERR_DENIED
 * (401): none is named; ERR_INVALID (400): several are, or the name cannot be one.
 */
MUST_CHECK bool tenant_of_request(const struct http_request *r, bool tenancy, struct str *out,
                                  struct err *e);

struct tenant_names { // sorted, each once; at least one
    struct str *v;
    size_t n;
};
// The tenants of a request that asks something; the array is in the arena. Errors as above.
MUST_CHECK bool tenants_of_request(const struct http_request *r, bool tenancy, struct arena *a,
                                   struct tenant_names *out, struct err *e);
int tenant_error_status(const struct err *e); // 401 or 400
