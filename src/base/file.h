/*
 * file.h - files and folders, with errors that name the path, and faults for tests.
 *
 * Every function here passes a named fault point ("file.write", "file.sync",
 * "file.rename", …, or the name given), see fault.h.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"

void file_close(int fd); // −1 is fine
static inline void file_close_owned_(int *fd)
{
    file_close(*fd);
}

// Whole content into the arena; ERR_LIMIT beyond size_max, ERR_NOT_FOUND when absent.
MUST_CHECK bool file_read(struct arena *a, const char *path, size_t size_max, struct str *out,
                          struct err *e);
// Writes n bytes at the position of fd, in as many calls as it takes. On failure a part of them
// may have been written. ERR_IO; ERR_UNAVAILABLE when the disk is full.
MUST_CHECK bool file_write_all(int fd, const void *p, size_t n, struct err *e);
// Reads exactly n bytes at offset. ERR_CORRUPT when the file ends before, ERR_IO otherwise; p may
// then be filled in part.
MUST_CHECK bool file_pread_all(int fd, void *p, size_t n, uint64_t offset, struct err *e);
// As file_write_all, at an offset; the position of fd is neither used nor moved.
MUST_CHECK bool file_pwrite_all(int fd, const void *p, size_t n, uint64_t offset, struct err *e);
MUST_CHECK bool file_sync(int fd, struct err *e); // fdatasync
// Syncs a folder: names created, renamed or removed in it survive a power cut afterwards.
MUST_CHECK bool file_sync_dir(const char *path, struct err *e);
// Renames within one file system, replacing `to`. Durable only after file_sync_dir().
MUST_CHECK bool file_rename(const char *from, const char *to, struct err *e);
// Writes path.new, syncs, renames to path, syncs the folder: whole or not at all.
MUST_CHECK bool file_replace(const char *path, struct str content, struct err *e);
MUST_CHECK bool file_mkdirs(const char *path, struct err *e); // mode 0750; existing is fine
MUST_CHECK bool file_remove(const char *path, struct err *e); // absent is fine
// Removes a folder and all below it, following no symbolic link; absent is fine. On failure some
// of it may be gone.
MUST_CHECK bool file_remove_tree(const char *path, struct err *e);
// Size in bytes of the file at path. ERR_IO also when it is absent.
MUST_CHECK bool file_size(const char *path, uint64_t *out, struct err *e);
// Whether something is at path: also a folder; false where it may not be looked at.
bool file_exists(const char *path);

struct file_list {
    struct str *v; // names (not paths), NUL-terminated, sorted
    size_t n;
};
// Names in a folder without "." and "..", sorted by bytes. ERR_NOT_FOUND when it is absent.
MUST_CHECK bool file_list(struct arena *a, const char *dir, struct file_list *out, struct err *e);
// Bytes that an ordinary user may still write, and the size of the file system, at path.
MUST_CHECK bool file_disk_free(const char *path, uint64_t *free_bytes, uint64_t *total_bytes,
                               struct err *e);
// A fresh private folder below $TMPDIR, for tests. The arena owns the text.
const char *file_temp_dir(struct arena *a);
