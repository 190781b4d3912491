/*
 * partition.h - the folder of one partition: its manifest, file numbers, orphans, life and death.
 *
 * What rows and catalogs mean is the caller's; here is only which files there are. A
 * number of the partition's one counter names a log, segment or part and is never used
 * again. Opening deletes what a killed process left behind: files that the
 * manifest does not list and logs below log_first.
 *
 * Threads: all functions from any thread. Commits are serial.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "store/file_head.h"
#include "store/manifest.h"

struct partition;

enum partition_file { PARTITION_ROWS, PARTITION_CATALOG_LOG, PARTITION_SEGMENT, PARTITION_PART };

// Builds parent/.new-name, syncs, renames to parent/name. m: the first manifest.
MUST_CHECK bool partition_create(const char *parent, const char *name, const struct manifest *m,
                                 struct err *e);
/*
 * Opens by reading the manifest and clearing orphans. owner_key: the tenant's; it is hashed with
 * the span into partition_owner. Errors: ERR_IO, ERR_CORRUPT, ERR_UNSUPPORTED.
 */
MUST_CHECK bool partition_open(struct partition **out, const char *path, uint64_t owner_key,
                               struct err *e);
// Frees what partition_open() made and touches no file; NULL is fine.
void partition_close(struct partition *p);
OWN_DEFINE(struct partition *, partition_close);
// Renames parent/name to parent/.drop-name, syncs the parent, deletes. Nothing of it is open.
MUST_CHECK bool partition_drop(const char *parent, const char *name, struct err *e);
// Deletes .new-… and .drop-… folders that a kill left.
MUST_CHECK bool partition_clean_parent(const char *parent, struct err *e);

// The folder's path as given; borrowed from p.
const char *partition_path(const struct partition *p);
// The keyed hash of tenant and span that heads of this partition's files carry.
uint64_t partition_owner(const struct partition *p);
uint64_t partition_number(struct partition *p); // a new one
// The head that a file of this kind and number must have.
struct file_head partition_head(const struct partition *p, enum partition_file kind,
                                uint64_t number);
// Path of a file, e.g. …/rows/00000017.log; NUL-terminated in *b, which is emptied first.
const char *partition_file_path(const struct partition *p, enum partition_file kind,
                                uint64_t number, struct buf *b);
// Creates the folder of a kind of files if absent.
MUST_CHECK bool partition_mkdir(struct partition *p, enum partition_file kind, struct err *e);
// Syncs the folder of a kind of files: names made in it survive a power cut.
MUST_CHECK bool partition_sync_dir(struct partition *p, enum partition_file kind, struct err *e);
// Numbers of files of that kind, ascending.
struct partition_numbers {
    uint64_t *v;
    size_t n;
};
// What lies in the folder, listed or not by the manifest, in the arena; none when there is no
// folder. Names that are no numbers are left out.
MUST_CHECK bool partition_files(const struct partition *p, enum partition_file kind,
                                struct arena *a, struct partition_numbers *out, struct err *e);

// A copy of the manifest as of now: manifest_fini() it.
void partition_manifest(struct partition *p, struct manifest *out);
typedef void (*partition_edit_fn)(void *ctx, struct manifest *m);
/*
 * Commits an edited copy of the manifest. On failure nothing has changed. A failed sync of the
 * folder after the rename is logged and is no failure: the new manifest is in place.
 */
MUST_CHECK bool partition_commit(struct partition *p, partition_edit_fn edit, void *ctx,
                                 struct err *e);
