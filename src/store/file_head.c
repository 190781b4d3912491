/*
 * file_head.c - writing and checking the common head of data files.
 */
// SPDX-License-Identifier: Apache-2.0
#include "store/file_head.h"

#include "base/bytes.h"
#include "base/hash.h"

static const char magic[8] = { 'v', 'i', 'g', 'i', 'e', 'd', 'a', 't' };

static uint32_t head_crc(const uint8_t *p)
{
    return crc32c(crc32c(0, p, 12), p + 16, FILE_HEAD_BYTES - 16);
}

void file_head_put(uint8_t out[FILE_HEAD_BYTES], const struct file_head *h)
{
    assert(h->kind > 0 && h->kind <= UINT16_MAX);
    memset(out, 0, FILE_HEAD_BYTES);
    memcpy(out, magic, sizeof magic);
    put_le16(out + 8, FILE_HEAD_VERSION);
    put_le16(out + 10, (uint16_t)h->kind);
    put_le64(out + 16, h->owner);
    put_le64(out + 24, h->number);
    put_le64(out + 32, h->epoch);
    put_le32(out + 40, h->shard);
    put_le32(out + 12, head_crc(out));
}

bool file_head_check(const void *p, size_t n, const struct file_head *want, struct file_head *out,
                     struct err *e)
{
    const uint8_t *b = p;

    if (n < FILE_HEAD_BYTES)
        return err_set(e, ERR_CORRUPT, "file of %zu bytes is shorter than its head", n);
    if (memcmp(b, magic, sizeof magic) != 0)
        return err_set(e, ERR_CORRUPT, "not a data file: wrong magic bytes");
    if (get_le32(b + 12) != head_crc(b))
        return err_set(e, ERR_CORRUPT, "checksum of the file's head does not match");
    if (get_le16(b + 8) != FILE_HEAD_VERSION)
        return err_set(e, ERR_UNSUPPORTED, "file format version %u, this program knows %d",
                       get_le16(b + 8), FILE_HEAD_VERSION);
    if (get_le16(b + 10) != (uint16_t)want->kind)
        return err_set(e, ERR_CONFLICT, "file of kind %u where kind %d belongs", get_le16(b + 10),
                       (int)want->kind);
    if (get_le64(b + 16) != want->owner)
        return err_set(e, ERR_CONFLICT, "file belongs to another tenant, partition or data folder");
    if (get_le64(b + 24) != want->number)
        return err_set(e, ERR_CONFLICT, "file says it is number %llu, expected %llu",
                       (unsigned long long)get_le64(b + 24), (unsigned long long)want->number);
    if (out) {
        *out = *want;
        out->epoch = get_le64(b + 32);
        out->shard = get_le32(b + 40);
    }
    return true;
}
