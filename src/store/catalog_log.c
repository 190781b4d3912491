/*
 * catalog_log.c - records of the catalog log.
 *
 * The payload of a catalog frame is a run of records, numbers as LEB128:
 *
 *   PAIR    0x01, pair id, bytes of name, name, bytes of value, value
 *   SERIES  0x02, id, fingerprint (16 bytes: lo, hi), shard u8, count, pair ids
 *           ascending by label name
 *
 * Pair ids count from 0 within one log. A PAIR comes before the first SERIES that
 * names it. Series ids ascend through all logs of a partition.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"
#include "store/catalog_priv.h"

enum { RECORD_PAIR = 1, RECORD_SERIES = 2, PAIR_GAP_MAX = 1 << 20 };

void catalog_log_pairs(struct buf *b, const struct live *s, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        struct str name = live_pair_name(s, i), value = live_pair_value(s, i);
        buf_char(b, RECORD_PAIR);
        buf_varint(b, i);
        buf_varint(b, name.n);
        buf_str(b, name);
        buf_varint(b, value.n);
        buf_str(b, value);
    }
}

void catalog_log_series(struct buf *b, const struct live *s, uint32_t position)
{
    struct hash128 f = live_fingerprint(s, position);
    struct live_record r = live_record(s, position);

    buf_char(b, RECORD_SERIES);
    buf_varint(b, live_id(s, position));
    buf_le64(b, f.lo);
    buf_le64(b, f.hi);
    buf_char(b, (char)live_shard(s, position));
    buf_varint(b, r.left);
    while (r.left)
        buf_varint(b, live_record_next(&r));
}

void catalog_replay_log(struct catalog *c)
{
    vec_reset(&c->replay_pair);
}

static bool replay_pair(struct catalog *c, struct bytes *in)
{
    uint64_t id = bytes_varint(in);
    struct str name = bytes_take(in, bytes_varint(in));
    struct str value = bytes_take(in, bytes_varint(in));

    if (in->bad || name.n == 0 || value.n == 0 || name.n > CATALOG_LABEL_BYTES_MAX ||
        value.n > CATALOG_LABEL_BYTES_MAX || id > 4 * (uint64_t)c->replay_pair.n + PAIR_GAP_MAX ||
        !live_has_room(c->open))
        return false;
    while (c->replay_pair.n <= id) // pairs that were lost
        *vec_push(&c->replay_pair) = LIVE_NONE;
    if (c->replay_pair.v[id] == LIVE_NONE)
        c->replay_pair.v[id] = live_intern(c->open, name, value);
    return true;
}

enum series_state { SERIES_GOOD, SERIES_LOST, SERIES_WRONG };

// The pairs of a series into open->next: good, one of them lost, or not ascending by name.
static bool replay_pairs(struct catalog *c, struct bytes *in, enum series_state *state)
{
    uint64_t n = bytes_varint(in);
    struct live *s = c->open;

    *state = SERIES_GOOD;
    vec_reset(&s->next);
    if (in->bad || n > CATALOG_LABELS_MAX || n > bytes_left(in))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t id = bytes_varint(in);
        uint32_t pair = id < c->replay_pair.n ? c->replay_pair.v[id] : LIVE_NONE;
        if (in->bad)
            return false;
        if (pair == LIVE_NONE)
            *state = SERIES_LOST;
        else if (s->next.n &&
                 str_cmp(live_pair_name(s, s->next.v[s->next.n - 1]), live_pair_name(s, pair)) >= 0)
            *state = SERIES_WRONG;
        else
            *vec_push(&s->next) = pair;
    }
    return true;
}

static bool replay_series(struct catalog *c, struct bytes *in, uint64_t *dropped)
{
    uint64_t id = bytes_varint(in);
    struct live_key key = { .fingerprint = { 0 } };
    enum series_state state;

    key.fingerprint.lo = bytes_le64(in);
    key.fingerprint.hi = bytes_le64(in);
    key.shard = bytes_u8(in);
    if (!replay_pairs(c, in, &state) || in->bad || id >= UINT32_MAX || !live_has_room(c->open))
        return false;
    if (id < c->id_next) // replayed before, or sealed already
        return true;
    if (state == SERIES_WRONG)
        return false;
    key.id = (uint32_t)id;
    c->id_next = key.id + 1; // also of a lost one: its rows must not land on another series
    if (state == SERIES_LOST)
        (*dropped)++;
    else
        live_add(c->open, &key);
    return true;
}

bool catalog_replay(struct catalog *c, struct str payload, uint64_t *dropped, struct err *e)
{
    struct bytes in = bytes_of(payload);

    assert(c->log_number == 0);
    while (bytes_left(&in) > 0) {
        size_t at = payload.n - bytes_left(&in);
        uint8_t kind = bytes_u8(&in);
        bool ok = kind == RECORD_PAIR     ? replay_pair(c, &in)
                  : kind == RECORD_SERIES ? replay_series(c, &in, dropped)
                                          : false;
        if (!ok)
            return err_at(e, (struct pos){ .offset = at }, ERR_CORRUPT,
                          "catalog record at byte %zu of its frame is not understood", at);
    }
    return true;
}
