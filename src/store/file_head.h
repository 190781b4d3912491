/*
 * file_head.h - the first 64 bytes of every file of a data directory.
 *
 * They say what the file is, to which tenant and partition it belongs, and its own
 * number, so that a file in the wrong place or of another data directory is refused.
 *
 *   0  magic    8  "vigiedat"
 *   8  version  u16, 1
 *   10 kind     u16, enum file_kind
 *   12 crc      u32, CRC-32C of the other 60 bytes
 *   16 owner    u64, keyed hash of tenant and partition
 *   24 number   u64, the file's number in its partition
 *   32 epoch    u64, the writer's epoch
 *   40 shard    u32, of a row log; else 0
 *   44 zero     20
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

enum { FILE_HEAD_BYTES = 64, FILE_HEAD_VERSION = 1 };

enum file_kind {
    FILE_ROW_LOG = 1,
    FILE_CATALOG_LOG = 2,
    FILE_SEGMENT = 3,
    FILE_PART = 4,
    FILE_META_LOG = 5,
};

struct file_head {
    enum file_kind kind;
    uint64_t owner, number, epoch;
    uint32_t shard; // of a row log
};

// Writes the 64 bytes, checksum included.
void file_head_put(uint8_t out[FILE_HEAD_BYTES], const struct file_head *h);
/*
 * Checks n bytes read from the start of a file: ERR_CORRUPT when they are no head or damaged,
 * ERR_UNSUPPORTED for a newer version, ERR_CONFLICT when kind, owner or number differ from want.
 * Epoch and shard are not compared; *out (may be NULL) receives what is there.
 */
MUST_CHECK bool file_head_check(const void *p, size_t n, const struct file_head *want,
                                struct file_head *out, struct err *e);
