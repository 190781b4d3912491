/*
 * discover_priv.h - providers: one entry of a configuration each; shared by discover*.c.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdatomic.h>

#include "base/metric.h"
#include "base/thread.h"
#include "base/vec.h"
#include "discover/discover.h"

enum provider_kind { PROVIDER_STATIC, PROVIDER_FILE, PROVIDER_HTTP, PROVIDER_DNS };

struct provider {
    struct discover *d;
    size_t set;
    struct str name; // of the set; borrowed with it
    enum provider_kind kind;
    const void *conf; // of its kind; static: struct conf_sd
    int64_t interval_ms, due_mono_ns;
    atomic_bool running;
    bool asked;                   // refreshed at least once, or taken over
    uint64_t file_stamp;          // of names, sizes and times: files are read when it changes
    struct str error;             // heap: of the last failure; said once
    struct arena arena;           // under d->mu: holds targets
    struct labels *targets;       // under d->mu; the provider's own run reads them without
    size_t target_count;          // under d->mu
    uint64_t hash;                // under d->mu: of targets
    bool answered;                // under d->mu: asked, with whatever outcome
    struct discover_token *token; // of oauth2; NULL: none
};

struct discover_metrics {
    struct metric_family *targets, *failures, *seconds, *last_update;
    struct metric *updates, *received, *file_errors, *dns_lookups, *dns_failures, *http_failures;
};

// What a refresh makes.
struct made {
    struct arena arena;
    VEC(struct labels) targets;
};
void made_fini(struct made *m);
OWN_DEFINE_FINI(struct made, made_fini)

/* ---- discover_refresh.c ---- */

// Makes the provider's targets anew. May block. False: what was known stays.
bool provider_refresh(struct provider *p, struct http_client *client,
                      const struct discover_metrics *m, struct made *out, struct err *e);
// A stamp of names, sizes and times of the files of a file provider.
uint64_t provider_file_stamp(const struct conf_file_sd *c);
const char *provider_mechanism(enum provider_kind k);
