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
/*
 * The records of a type in an answer as it came from the wire; others are left out. ERR_INVALID when
 * it is not a DNS message. Texts in the arena.
 */
MUST_CHECK bool dns_answer_read(struct arena *a, struct str answer, struct str type,
                                struct dns_record **out, size_t *n, struct err *e);
