/*
 * metadata.h - type, help and unit of metric families of a tenant, kept in metadata.log.
 *
 * The file is a log of frames (store/rowlog.h), one per change; it is rewritten when it is
 * twice as long as needed. What is lost in a crash comes back with the next scrape.
 *
 * Thread-safe.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"
#include "model/sample.h"

struct metadata;

// path: of metadata.log. Damage is skipped.
MUST_CHECK bool metadata_open(struct metadata **out, const char *path, uint64_t owner,
                              struct err *e);
void metadata_close(struct metadata *m); // saves; NULL is fine
OWN_DEFINE(struct metadata *, metadata_close)
void metadata_set(struct metadata *m, const struct metric_meta *meta);
void metadata_each(struct metadata *m, void (*visit)(void *ctx, const struct metric_meta *m),
                   void *ctx);
// Writes what changed. Called in the background.
MUST_CHECK bool metadata_save(struct metadata *m, struct err *e);
