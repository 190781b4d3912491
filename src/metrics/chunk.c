/*
 * chunk.c - doubles as integers: decimals, decimals with ulps, bits; and what fits none of them.
 *
 * A chunk of doubles is seen through one domain, and its integers are laid out by chunk_ints.c:
 *
 *   decimal d     value = k / 10^d, one correctly rounded division of exact doubles; so every
 *                 number that was text of up to 15 digits fits. |k| < 2^51 for d > 0, any int64
 *                 that is a double for d = 0
 *   bits          k = the bits of the double, mapped so that their order is that of the numbers
 *   decimal+ulps  k = round(value·10^d) and a second column u = bits(value) − bits(k / 10^d):
 *                 sums and averages are decimals with a rounding error
 *
 * Payload: residuals, patches (both of chunk_ints.c), exceptions, ulps.
 *   exception     varint(gap to the position after the one before), code; code 5: 8 bytes of bits.
 *                 Its k repeats the one before, so that it costs the columns nothing
 *   ulps          u8 mode | zigzag << 3 | scaled << 4, u8 width, varint zigzag(first), varint
 *                 zigzag(base), varint patches, if scaled: u8 shift, varint gcd; then its residuals
 *                 and patches
 *
 * The staleness marker is a signalling NaN: arithmetic would quiet it, so special values are
 * moved as bits only, and exceptions are written after all arithmetic. Every choice is verified
 * by comparing bits while encoding; nothing is accepted as "close".
 */
// SPDX-License-Identifier: Apache-2.0
#include "metrics/chunk_priv.h"

#include <math.h>

#include "model/sample.h"

enum {
    DECIMAL_ROUNDS_MAX = 6, // raises of d
    DECIMAL_SAMPLE = 8,     // failing values that decide the next d
    ULPS_SAMPLE = 48,       // values that decide d of decimal+ulps
    ULPS_DECIMALS_MAX = DOMAIN_MAX - DOMAIN_ULPS,
    CODE_RAW = 5,
};

static const uint64_t special_bits[CODE_RAW] = {
    SAMPLE_STALE_BITS,
    SAMPLE_NAN_BITS,
    UINT64_C(0x7ff0000000000000),
    UINT64_C(0xfff0000000000000),
    UINT64_C(0x8000000000000000),
};

static const double pow10_table[DOMAIN_DECIMAL_MAX + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
};

// Adding it moves an integer below 2^51 into the low bits of the mantissa, rounded to even.
#define ROUND_MAGIC (3.0 * (UINT64_C(1) << 51))
#define ROUND_LIMIT ((double)(UINT64_C(1) << 51))

void chunk_scratch_fini(struct chunk_scratch *s)
{
    for (size_t i = 0; i < ARRAY_LEN(s->payload); i++)
        buf_fini(&s->payload[i]);
}

static unsigned special_code(uint64_t bits)
{
    unsigned code = 0;

    while (code < CODE_RAW && special_bits[code] != bits)
        code++;
    return code;
}

// NaN, Inf and -0.0: no integer shows them.
static bool is_special(uint64_t bits)
{
    return (bits >> 52 & 0x7ff) == 0x7ff || bits == UINT64_C(0x8000000000000000);
}

static uint64_t bits_ordered(uint64_t bits)
{
    return bits ^ ((uint64_t)((int64_t)bits >> 63) | UINT64_C(1) << 63);
}

static uint64_t bits_from_ordered(uint64_t k)
{
    return k ^ (~(uint64_t)((int64_t)k >> 63) | UINT64_C(1) << 63);
}

// Correctly rounded for every int64, without the conversion that SSE2 and AVX2 lack for vectors.
static inline double double_from_int(uint64_t k)
{
    double low = double_from_bits((k & 0xffffffff) | UINT64_C(0x4330000000000000));
    double high = double_from_bits((k >> 32) ^ UINT64_C(0x4530000080000000));

    return (high - double_from_bits(UINT64_C(0x4530000080100000))) + low;
}

/* ---- the first integer, as it stands in the descriptor ---- */

uint64_t chunk_first_pack(uint8_t domain, uint64_t first)
{
    if (domain == DOMAIN_BITS) // round numbers have zeros at the end: make them leading ones
        return __builtin_bswap64(bits_from_ordered(first));
    return domain == DOMAIN_SPECIAL ? first : zigzag((int64_t)first);
}

uint64_t chunk_first_unpack(uint8_t domain, uint64_t stored)
{
    if (domain == DOMAIN_BITS)
        return bits_ordered(__builtin_bswap64(stored));
    return domain == DOMAIN_SPECIAL ? stored : (uint64_t)unzigzag(stored);
}

/* ---- encoding: finding a domain ---- */

HOT_CLONES
static uint64_t bits_differ(const double *v, size_t n)
{
    uint64_t first = double_bits(v[0]), any = 0;

    for (size_t i = 1; i < n; i++)
        any |= double_bits(v[i]) ^ first;
    return any;
}

// k of every value; fail[i] != 0 where k / 10^d is not it. Returns the OR of fail.
HOT_CLONES
static uint64_t to_integers(const double *v, size_t n, uint64_t *k, uint64_t *fail)
{
    uint64_t any = 0;

    for (size_t i = 0; i < n; i++) {
        double moved = v[i] + ROUND_MAGIC;
        uint64_t bad = double_bits(moved - ROUND_MAGIC) ^ double_bits(v[i]);

        bad |= fabs(v[i]) < ROUND_LIMIT ? 0 : 1;
        k[i] = double_bits(moved) - double_bits(ROUND_MAGIC);
        fail[i] = bad;
        any |= bad;
    }
    return any;
}

HOT_CLONES
static uint64_t to_decimals(const double *v, size_t n, double p, uint64_t *k, uint64_t *fail)
{
    uint64_t any = 0;

    for (size_t i = 0; i < n; i++) {
        double scaled = v[i] * p;
        double moved = scaled + ROUND_MAGIC;
        uint64_t bad = double_bits((moved - ROUND_MAGIC) / p) ^ double_bits(v[i]);

        bad |= fabs(scaled) < ROUND_LIMIT ? 0 : 1;
        k[i] = double_bits(moved) - double_bits(ROUND_MAGIC);
        fail[i] = bad;
        any |= bad;
    }
    return any;
}

static bool is_big_integer(double v, uint64_t *k)
{
    if (!(fabs(v) < 0x1p63))
        return false;
    int64_t i = (int64_t)v;
    if (double_bits((double)i) != double_bits(v))
        return false;
    *k = (uint64_t)i;
    return true;
}

static void attempt_decimal(struct chunk_attempt *a, const double *v, size_t n, unsigned d)
{
    uint64_t fail[CHUNK_VALUES_MAX];
    uint64_t any = d ? to_decimals(v, n, pow10_table[d], a->k, fail)
                     : to_integers(v, n, a->k, fail);

    a->domain = (uint8_t)d;
    a->bad_n = a->raw_n = 0;
    for (size_t i = 0; any && i < n; i++) {
        if (!fail[i] || (d == 0 && is_big_integer(v[i], &a->k[i])))
            continue;
        a->bad[a->bad_n++] = (uint16_t)i;
        a->raw_n = (uint16_t)(a->raw_n + !is_special(double_bits(v[i])));
    }
}

static bool is_decimal(double v, unsigned d)
{
    double scaled = v * pow10_table[d];

    return fabs(scaled) < ROUND_LIMIT &&
           double_bits(((scaled + ROUND_MAGIC) - ROUND_MAGIC) / pow10_table[d]) == double_bits(v);
}

// The greatest of the least d above a->domain that a few failing values want; 0: none.
static unsigned next_decimal(const struct chunk_attempt *a, const double *v)
{
    unsigned want = 0;

    for (size_t i = 0, seen = 0; i < a->bad_n && seen < DECIMAL_SAMPLE; i++) {
        double x = v[a->bad[i]];

        if (is_special(double_bits(x)))
            continue;
        seen++;
        for (unsigned d = a->domain + 1u; d <= DOMAIN_DECIMAL_MAX; d++) {
            if (is_decimal(x, d)) {
                want = MAX(want, d);
                break;
            }
        }
    }
    return want;
}

// The best decimal view, in one of the first two attempts.
static struct chunk_attempt *find_decimal(struct chunk_scratch *s, const double *v, size_t n,
                                          unsigned hint)
{
    struct chunk_attempt *best = &s->attempt[0], *other = &s->attempt[1];

    attempt_decimal(best, v, n, hint <= DOMAIN_DECIMAL_MAX ? hint : 0);
    for (int round = 0; round < DECIMAL_ROUNDS_MAX && best->raw_n; round++) {
        unsigned d = next_decimal(best, v);

        if (!d)
            break;
        attempt_decimal(other, v, n, d);
        if (other->raw_n >= best->raw_n)
            break;
        struct chunk_attempt *t = best;
        best = other;
        other = t;
    }
    return best;
}

static void attempt_bits(struct chunk_attempt *a, const double *v, size_t n)
{
    a->domain = DOMAIN_BITS;
    a->bad_n = a->raw_n = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = double_bits(v[i]);

        a->k[i] = bits_ordered(bits);
        if ((bits >> 52 & 0x7ff) == 0x7ff)
            a->bad[a->bad_n++] = (uint16_t)i;
    }
}

// k and u of one value; false where |k| passes the limit or v is special.
static inline bool to_ulps(double v, double p, uint64_t *k, uint64_t *u)
{
    double scaled = v * p;

    if (!(fabs(scaled) < ROUND_LIMIT))
        return false;
    double rounded = (scaled + ROUND_MAGIC) - ROUND_MAGIC;
    *k = (uint64_t)(int64_t)rounded;
    *u = double_bits(v) - double_bits(double_from_int(*k) / p);
    return true;
}

// Bits that a sample of values would take with d; failing values count as raw.
static unsigned ulps_cost(const double *v, size_t n, unsigned d)
{
    uint64_t k_last = 0, u_last = 0, k, u;
    unsigned cost_k = 0, cost_u = 0, cost_du = 0;

    for (size_t i = 0; i < n; i++) {
        if (!to_ulps(v[i], pow10_table[d], &k, &u)) {
            cost_k += is_special(double_bits(v[i])) ? 0 : 80;
            continue;
        }
        if (i) {
            cost_k += bit_length(zigzag((int64_t)(k - k_last)));
            cost_u += bit_length(zigzag((int64_t)u));
            cost_du += bit_length(zigzag((int64_t)(u - u_last)));
        }
        k_last = k;
        u_last = u;
    }
    return cost_k + MIN(cost_u, cost_du);
}

static unsigned ulps_decimals(const double *v, size_t n, unsigned hint)
{
    unsigned best = 0, least = UINT32_MAX;
    size_t sample = MIN(n, (size_t)ULPS_SAMPLE);

    if (hint >= DOMAIN_ULPS && hint <= DOMAIN_MAX)
        return hint - DOMAIN_ULPS;
    for (unsigned d = 0; d <= ULPS_DECIMALS_MAX; d++) {
        unsigned cost = ulps_cost(v, sample, d);

        if (cost < least) {
            least = cost;
            best = d;
        }
    }
    return best;
}

// False: too many values do not fit, bits are better.
static bool attempt_ulps(struct chunk_attempt *a, uint64_t *ulps, const double *v, size_t n,
                         unsigned hint)
{
    unsigned d = ulps_decimals(v, n, hint);

    a->domain = (uint8_t)(DOMAIN_ULPS + d);
    a->bad_n = a->raw_n = 0;
    for (size_t i = 0; i < n; i++) {
        a->k[i] = ulps[i] = 0;
        if (to_ulps(v[i], pow10_table[d], &a->k[i], &ulps[i]))
            continue;
        a->bad[a->bad_n++] = (uint16_t)i;
        a->raw_n = (uint16_t)(a->raw_n + !is_special(double_bits(v[i])));
    }
    return a->raw_n <= n / 8;
}

/* ---- encoding: laying it out ---- */

// Values that are not shown repeat the integer before them, the first ones that of the next good.
static void fill_bad(const uint16_t *bad, size_t bad_n, uint64_t *k, size_t n)
{
    size_t good = 0;

    if (!bad_n)
        return;
    while (good < bad_n && bad[good] == good)
        good++;
    for (size_t i = 0; i < good; i++)
        k[i] = good < n ? k[good] : 0;
    for (size_t i = good; i < bad_n; i++)
        k[bad[i]] = k[bad[i] - 1];
}

static void put_exceptions(struct buf *out, const struct chunk_attempt *a, const double *v)
{
    size_t next = 0;

    for (size_t i = 0; i < a->bad_n; i++) {
        uint64_t bits = double_bits(v[a->bad[i]]);
        unsigned code = special_code(bits);

        buf_varint(out, a->bad[i] - next);
        buf_char(out, (char)code);
        if (code == CODE_RAW)
            buf_le64(out, bits);
        next = a->bad[i] + 1u;
    }
}

static void put_ulps(struct buf *out, const uint64_t *ulps, size_t n)
{
    struct ints_form f;
    OWNED(buf_fini) struct buf packed = { 0 };

    ints_encode(ulps, n, NULL, &f, &packed);
    bool scaled = f.shift || f.gcd != 1;
    buf_char(out, (char)(f.mode | f.zigzag << 3 | scaled << 4));
    buf_char(out, (char)f.width);
    buf_varint(out, zigzag((int64_t)f.first));
    buf_varint(out, zigzag((int64_t)f.base));
    buf_varint(out, f.patches);
    if (scaled) {
        buf_char(out, (char)f.shift);
        buf_varint(out, f.gcd);
    }
    buf_str(out, buf_view(&packed));
}

static void encode_attempt(const struct chunk_input *in, struct chunk_attempt *a, uint64_t *ulps,
                           struct chunk_desc *d, struct buf *out)
{
    const struct chunk_ref *ref = &in->ref;
    const double *v = in->v;
    size_t n = in->n;

    fill_bad(a->bad, a->bad_n, a->k, n);
    ints_encode(a->k, n, ref->k && ref->domain == a->domain ? ref->k : NULL, &d->ints, out);
    d->domain = a->domain;
    d->exceptions = a->bad_n;
    if (d->ints.mode == MODE_CONST && (a->bad_n || ulps))
        d->ints.mode = MODE_D1; // of width 0: a constant has no payload
    put_exceptions(out, a, v);
    if (ulps) {
        fill_bad(a->bad, a->bad_n, ulps, n);
        put_ulps(out, ulps, n);
    }
}

static size_t attempt_bytes(const struct chunk_desc *d, const struct buf *payload)
{
    uint64_t first = chunk_first_pack(d->domain, d->ints.first);

    return payload->n + (bit_length(first) + bit_length(zigzag((int64_t)d->ints.base))) / 7;
}

// Several views are worth encoding in full; the smallest is kept.
static void encode_smallest(struct chunk_scratch *s, const struct chunk_input *in,
                            struct chunk_attempt *decimal, struct chunk_desc *d, uint64_t *k,
                            struct buf *payload)
{
    struct chunk_desc tried[3] = { *d, *d, *d };
    struct chunk_attempt *a[3] = { decimal, NULL, NULL };
    size_t best = SIZE_MAX, best_bytes = SIZE_MAX;

    for (size_t i = 0, next = 1; i < ARRAY_LEN(s->attempt); i++)
        if (&s->attempt[i] != decimal)
            a[next++] = &s->attempt[i];
    for (size_t i = 0; i < ARRAY_LEN(a); i++) {
        uint64_t *ulps = NULL;

        buf_reset(&s->payload[i]);
        if (i == 0 && decimal->raw_n > in->n / 8)
            continue;
        if (i == 1 && !attempt_ulps(a[1], ulps = s->ulps, in->v, in->n, in->domain_hint))
            continue;
        if (i == 2)
            attempt_bits(a[2], in->v, in->n);
        encode_attempt(in, a[i], ulps, &tried[i], &s->payload[i]);
        size_t bytes = attempt_bytes(&tried[i], &s->payload[i]);
        if (bytes < best_bytes) {
            best_bytes = bytes;
            best = i;
        }
    }
    *d = tried[best];
    memcpy(k, a[best]->k, in->n * sizeof *k);
    buf_str(payload, buf_view(&s->payload[best]));
}

static void encode_constant(double v, struct chunk_desc *d)
{
    uint64_t bits = double_bits(v), big;
    unsigned code = special_code(bits), dec = 0;

    d->ints = (struct ints_form){ .gcd = 1, .mode = MODE_CONST };
    d->exceptions = 0;
    if (code < CODE_RAW) {
        d->domain = DOMAIN_SPECIAL;
        d->ints.first = code;
        return;
    }
    while (dec <= DOMAIN_DECIMAL_MAX && !is_decimal(v, dec))
        dec++;
    d->domain = (uint8_t)dec;
    if (dec <= DOMAIN_DECIMAL_MAX) {
        d->ints.first = (uint64_t)(int64_t)((v * pow10_table[dec] + ROUND_MAGIC) - ROUND_MAGIC);
    } else if (is_big_integer(v, &big)) {
        d->domain = 0;
        d->ints.first = big;
    } else {
        d->domain = DOMAIN_BITS;
        d->ints.first = bits_ordered(bits);
    }
}

void chunk_encode_doubles(struct chunk_scratch *s, const struct chunk_input *in,
                          struct chunk_desc *d, uint64_t *k, struct buf *payload)
{
    const double *v = in->v;
    size_t n = in->n;

    assert(n >= 1 && n <= CHUNK_VALUES_MAX);
    if (!bits_differ(v, n)) {
        encode_constant(v[0], d);
        return;
    }
    struct chunk_attempt *a = find_decimal(s, v, n, in->domain_hint);
    if (a->raw_n * 50 > n) {
        encode_smallest(s, in, a, d, k, payload);
        return;
    }
    encode_attempt(in, a, NULL, d, payload);
    memcpy(k, a->k, n * sizeof *k);
}

/* ---- decoding ---- */

HOT_CLONES
static void from_integers(const uint64_t *k, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = double_from_int(k[i]);
}

HOT_CLONES
static void from_decimals(const uint64_t *k, size_t n, double p, double *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = double_from_int(k[i]) / p;
}

// Bits are moved with memcpy: an sNaN may pass through.
HOT_CLONES
static void from_bits(const uint64_t *k, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = bits_from_ordered(k[i]);
        memcpy(&out[i], &bits, sizeof bits);
    }
}

HOT_CLONES
static void add_ulps(const uint64_t *ulps, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = double_bits(out[i]) + ulps[i];
        memcpy(&out[i], &bits, sizeof bits);
    }
}

static bool get_exceptions(struct bytes *b, unsigned count, size_t n, double *out)
{
    size_t at = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t gap = bytes_varint(b);
        unsigned code = bytes_u8(b);
        uint64_t bits = code < CODE_RAW ? special_bits[code] : bytes_le64(b);

        if (b->bad || code > CODE_RAW || at >= n || gap >= n - at)
            return false;
        at += gap;
        memcpy(&out[at++], &bits, sizeof bits);
    }
    return true;
}

// Steps over exceptions: the ulps lie behind them but are wanted first.
static bool skip_exceptions(struct bytes *b, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        bytes_varint(b);
        if (bytes_u8(b) == CODE_RAW)
            bytes_le64(b);
    }
    return !b->bad;
}

static bool get_ulps(struct bytes *b, size_t n, double *out)
{
    uint64_t ulps[CHUNK_VALUES_MAX];
    unsigned head = bytes_u8(b);
    struct ints_form f = {
        .mode = head & 7, .zigzag = head >> 3 & 1, .width = bytes_u8(b), .gcd = 1
    };

    f.first = (uint64_t)unzigzag(bytes_varint(b));
    f.base = (uint64_t)unzigzag(bytes_varint(b));
    uint64_t patches = bytes_varint(b);
    if (head & 16) {
        f.shift = bytes_u8(b);
        f.gcd = bytes_varint(b);
    }
    if (b->bad || head > 31 || patches >= CHUNK_VALUES_MAX || f.mode > MODE_D2)
        return false;
    f.patches = (uint16_t)patches;
    if (!ints_form_is_valid(&f, n))
        return false;
    if (ints_decode(&f, n, b->p, bytes_left(b), NULL, ulps) == SIZE_MAX)
        return false;
    add_ulps(ulps, n, out);
    return true;
}

bool chunk_decode_doubles(const struct chunk_desc *d, const uint8_t *rest, size_t n_bytes,
                          const uint64_t *k, double *out)
{
    struct bytes b = bytes_of(str_of((const char *)rest, n_bytes));

    if (d->domain == 0)
        from_integers(k, d->n, out);
    else if (d->domain <= DOMAIN_DECIMAL_MAX)
        from_decimals(k, d->n, pow10_table[d->domain], out);
    else if (d->domain == DOMAIN_BITS)
        from_bits(k, d->n, out);
    else if (d->domain == DOMAIN_SPECIAL) {
        uint64_t bits = special_bits[MIN(k[0], (uint64_t)CODE_RAW - 1)];
        for (size_t i = 0; i < d->n; i++)
            memcpy(&out[i], &bits, sizeof bits);
    } else {
        struct bytes behind = b;

        from_decimals(k, d->n, pow10_table[d->domain - DOMAIN_ULPS], out);
        if (!skip_exceptions(&behind, d->exceptions) || !get_ulps(&behind, d->n, out))
            return false;
    }
    return get_exceptions(&b, d->exceptions, d->n, out);
}
