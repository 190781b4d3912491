/*
 * dns.h - DNS records for service discovery, asked of the system's name servers.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"

struct dns_record {
    struct str host; // address for A and AAAA, else the name pointed to, without the last dot
    uint16_t port;   // SRV
};

// type: A AAAA SRV MX NS in any case. No records is success with *n 0. Blocks for some seconds at most.
MUST_CHECK bool dns_lookup(struct arena *a, struct str name, struct str type,
                           struct dns_record **out, size_t *n, struct err *e);
