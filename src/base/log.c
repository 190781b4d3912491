// log.c - one write per line, so that lines of threads never mix.
// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/thread.h"
#include "base/time.h"

enum { MODULES_MAX = 32, REPEATS = 64, REPEAT_LIMIT = 10 };

struct repeat { // one recently logged sentence
    const char *module, *text;
    int64_t minute;
    unsigned count;
};

// Set up once by app/ before threads start; the rest is under mu.
static struct {
    enum log_level level;
    bool json;
    struct {
        char name[24];
        enum log_level level;
    } module[MODULES_MAX];
    size_t modules;
    void (*sink)(void *ctx, struct str line);
    void *sink_ctx;
    struct mutex mu;
    struct repeat repeat[REPEATS]; // under mu
} logger = { .level = LOG_INFO, .mu = MUTEX_INIT("log", RANK_LEAF + 1) };

static const char *const level_names[] = { "debug", "info", "warn", "error", "off" };

static bool level_of(struct str s, enum log_level *out)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (str_eq_nocase(s, str_c(level_names[i]))) {
            *out = (enum log_level)i;
            return true;
        }
    return false;
}

bool log_configure(struct str levels, struct str format, struct err *e)
{
    if (!str_eq(format, STR("logfmt")) && !str_eq(format, STR("json")) && format.n)
        return err_set(e, ERR_INVALID, "unknown log format \"%.*s\", expected logfmt or json",
                       STRF(format));
    logger.json = str_eq(format, STR("json"));
    logger.modules = 0;
    while (levels.n) {
        struct str value = str_cut(&levels, ','), name = STR_NONE;
        enum log_level level;
        if (str_find_char(value, '=') != STR_NPOS)
            name = str_cut(&value, '=');
        if (!level_of(value, &level))
            return err_set(e, ERR_INVALID,
                           "unknown log level \"%.*s\", expected debug, info, warn or error",
                           STRF(value));
        if (!name.n) {
            logger.level = level;
            continue;
        }
        if (logger.modules == MODULES_MAX || name.n >= sizeof logger.module[0].name)
            return err_set(e, ERR_LIMIT, "too many modules in the log level");
        memcpy(logger.module[logger.modules].name, name.p, name.n);
        logger.module[logger.modules].name[name.n] = 0;
        logger.module[logger.modules++].level = level;
    }
    return true;
}

void log_capture(void (*sink)(void *ctx, struct str line), void *ctx)
{
    logger.sink = sink;
    logger.sink_ctx = ctx;
}

static bool is_wanted(enum log_level level, const char *module)
{
    for (size_t i = 0; i < logger.modules; i++)
        if (strcmp(logger.module[i].name, module) == 0)
            return level >= logger.module[i].level;
    return level >= logger.level;
}

// Counts the sentence; false: it was said often enough this minute. *missed: lines kept back before.
static bool may_say(const char *module, const char *text, unsigned *missed)
{
    int64_t minute = wall_ns() / (60 * NS_SECOND);
    uint64_t h = hash_u64((uint64_t)(uintptr_t)text ^ (uint64_t)(uintptr_t)module);
    LOCKED(&logger.mu);
    struct repeat *r = &logger.repeat[h % REPEATS];

    *missed = 0;
    if (r->text != text || r->module != module || r->minute != minute) {
        if (r->text == text && r->count > REPEAT_LIMIT)
            *missed = r->count - REPEAT_LIMIT;
        *r = (struct repeat){ module, text, minute, 0 };
    }
    return ++r->count <= REPEAT_LIMIT;
}

// Text as a logfmt value or a JSON string: quoted when it must be.
static void value_text(struct buf *b, struct str s, bool quote)
{
    for (size_t i = 0; i < s.n && !quote; i++)
        quote = (unsigned char)s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == 0x7f;
    if (!quote && s.n) {
        buf_str(b, s);
        return;
    }
    buf_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_lit(b, "\\n");
        else if (c < ' ' || c == 0x7f)
            buf_printf(b, "\\u%04x", c);
        else
            buf_char(b, (char)c);
    }
    buf_char(b, '"');
}

static void kv_write(struct buf *b, const struct log_kv *kv, bool json)
{
    if (json)
        buf_printf(b, ",\"%s\":", kv->key);
    else
        buf_printf(b, " %s=", kv->key);
    switch (kv->kind) {
    case LOG_KV_STR:
        value_text(b, kv->s, json);
        break;
    case LOG_KV_I64:
        buf_i64(b, kv->i);
        break;
    case LOG_KV_U64:
        buf_u64(b, kv->u);
        break;
    case LOG_KV_F64:
        buf_double_json(b, kv->f);
        break;
    }
}

static void head_write(struct buf *b, enum log_level level, const char *module, const char *text)
{
    struct log_kv head[] = { KV("level", level_names[level]), KV("module", module),
                             KV("msg", text) };

    buf_str(b, logger.json ? STR("{\"time\":\"") : STR("time="));
    buf_rfc3339_ms(b, wall_ns() / NS_MS);
    if (logger.json)
        buf_char(b, '"');
    for (size_t i = 0; i < ARRAY_LEN(head); i++)
        kv_write(b, &head[i], logger.json);
}

void log_write(enum log_level level, const char *module, const char *text, const struct log_kv *kv,
               size_t n)
{
    OWNED(buf_fini) struct buf b = { 0 };
    unsigned missed;

    if (!is_wanted(level, module) || !may_say(module, text, &missed))
        return;
    head_write(&b, level, module, text);
    for (size_t i = 0; i < n; i++)
        kv_write(&b, &kv[i], logger.json);
    if (missed)
        kv_write(&b, &KV_U64("not_shown", missed), logger.json);
    if (logger.json)
        buf_char(&b, '}');
    buf_char(&b, '\n');
    if (logger.sink)
        logger.sink(logger.sink_ctx, buf_view(&b));
    else
        (void)!write(STDERR_FILENO, b.p, b.n); // nobody is left to tell
}
