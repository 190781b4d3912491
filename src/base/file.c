// file.c - files and folders; each call passes its fault point first.
// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/sort.h"
#include "base/vec.h"

void file_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

bool file_read(struct arena *a, const char *path, size_t size_max, struct str *out, struct err *e)
{
    __attribute__((cleanup(file_close_owned_))) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, "%s does not exist", path);
    if (fd < 0 || fstat(fd, &st) < 0 || fault_hit("file.read"))
        return err_os(e, "open %s", path);
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_INVALID, "%s is a folder", path);
    // Files of /proc have size 0: read until the end in any case.
    OWNED(buf_fini) struct buf b = { 0 };
    for (;;) {
        ssize_t got = read(fd, buf_room(&b, 65536), 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_os(e, "read %s", path);
        if (got == 0)
            break;
        b.n += (size_t)got;
        if (b.n > size_max)
            return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", path, size_max);
    }
    *out = arena_str(a, buf_view(&b));
    return true;
}

bool file_write_all(int fd, const void *p, size_t n, struct err *e)
{
    for (size_t done = 0; done < n;) {
        ssize_t put = fault_hit("file.write") ? -1 : write(fd, (const char *)p + done, n - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_os(e, "write");
        done += (size_t)put;
    }
    return true;
}

bool file_pwrite_all(int fd, const void *p, size_t n, uint64_t offset, struct err *e)
{
    for (size_t done = 0; done < n;) {
        ssize_t put = fault_hit("file.write")
                          ? -1
                          : pwrite(fd, (const char *)p + done, n - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_os(e, "write at %llu", (unsigned long long)offset);
        done += (size_t)put;
    }
    return true;
}

bool file_pread_all(int fd, void *p, size_t n, uint64_t offset, struct err *e)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = fault_hit("file.read")
                          ? -1
                          : pread(fd, (char *)p + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_os(e, "read at %llu", (unsigned long long)offset);
        if (got == 0)
            return err_set(e, ERR_CORRUPT, "file ends at %llu, %zu bytes were expected at %llu",
                           (unsigned long long)(offset + done), n, (unsigned long long)offset);
        done += (size_t)got;
    }
    return true;
}

bool file_sync(int fd, struct err *e)
{
    if (fault_hit("file.sync") || fdatasync(fd) < 0)
        return err_os(e, "sync");
    return true;
}

bool file_sync_dir(const char *path, struct err *e)
{
    __attribute__((cleanup(file_close_owned_))) int fd = open(path,
                                                              O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fault_hit("file.sync_dir") || fsync(fd) < 0)
        return err_os(e, "sync folder %s", path);
    return true;
}

bool file_rename(const char *from, const char *to, struct err *e)
{
    if (fault_hit("file.rename") || rename(from, to) < 0)
        return err_os(e, "rename %s to %s", from, to);
    return true;
}

// Syncs the folder that path is in.
static bool sync_parent(const char *path, struct err *e)
{
    OWNED(buf_fini) struct buf dir = { 0 };
    size_t slash = str_rfind_char(str_c(path), '/');

    if (slash == STR_NPOS)
        return file_sync_dir(".", e);
    buf_str(&dir, str_of(path, slash ? slash : 1));
    return file_sync_dir(buf_cstr(&dir), e);
}

static bool write_synced(const char *path, struct str content, struct err *e)
{
    __attribute__((cleanup(file_close_owned_))) int fd = open(
        path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    if (fd < 0 || fault_hit("file.create"))
        return err_os(e, "create %s", path);
    if (!file_write_all(fd, content.p, content.n, e) || !file_sync(fd, e))
        return err_wrap(e, "%s", path);
    return true;
}

bool file_replace(const char *path, struct str content, struct err *e)
{
    OWNED(buf_fini) struct buf tmp = { 0 };

    buf_printf(&tmp, "%s.new", path);
    if (!write_synced(buf_cstr(&tmp), content, e)) {
        unlink(buf_cstr(&tmp));
        return false;
    }
    return file_rename(buf_cstr(&tmp), path, e) && sync_parent(path, e);
}

bool file_mkdirs(const char *path, struct err *e)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_str(&b, str_c(path));
    buf_cstr(&b);
    for (size_t i = 1; i <= b.n; i++) {
        char old = b.p[i];
        if (old != '/' && old != 0)
            continue;
        b.p[i] = 0;
        bool ok = !fault_hit("file.mkdir") && (mkdir(b.p, 0750) == 0 || errno == EEXIST);
        b.p[i] = old;
        if (!ok)
            return err_os(e, "create folder %s", path);
    }
    struct stat st;
    if (stat(path, &st) < 0)
        return err_os(e, "create folder %s", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_IO, "%s is not a folder", path);
    return true;
}

bool file_remove(const char *path, struct err *e)
{
    if (fault_hit("file.remove") || (unlink(path) < 0 && errno != ENOENT))
        return err_os(e, "remove %s", path);
    return true;
}

static int remove_one(const char *path, const struct stat *st UNUSED, int flag UNUSED,
                      struct FTW *ftw UNUSED)
{
    return remove(path);
}

bool file_remove_tree(const char *path, struct err *e)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
        return err_os(e, "remove folder %s", path);
    return true;
}

bool file_size(const char *path, uint64_t *out, struct err *e)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return err_os(e, "look at %s", path);
    *out = (uint64_t)st.st_size;
    return true;
}

bool file_exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

bool file_list(struct arena *a, const char *dir, struct file_list *out, struct err *e)
{
    DIR *d = opendir(dir);
    VEC(struct str) names = { 0 };

    if (!d && errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, "folder %s does not exist", dir);
    if (!d)
        return err_os(e, "list folder %s", dir);
    errno = 0;
    for (struct dirent *de; (de = readdir(d));)
        if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
            *vec_push_in(a, &names) = arena_str(a, str_c(de->d_name));
    int os = errno;
    closedir(d);
    if (os) {
        errno = os;
        return err_os(e, "list folder %s", dir);
    }
    sort_strs(names.v, names.n);
    *out = (struct file_list){ names.v, names.n };
    return true;
}

bool file_disk_free(const char *path, uint64_t *free_bytes, uint64_t *total_bytes, struct err *e)
{
    struct statvfs st;

    if (statvfs(path, &st) < 0)
        return err_os(e, "look at the disk of %s", path);
    *free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    *total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    return true;
}

const char *file_temp_dir(struct arena *a)
{
    const char *base = getenv("TMPDIR");
    struct str path = arena_printf(a, "%s/vigie.XXXXXX", base && *base ? base : "/tmp");

    if (!mkdtemp((char *)(uintptr_t)path.p))
        abort(); // tests only
    return path.p;
}
