/*
 * log.h - the program's own log: a constant sentence plus keys, logfmt or JSON, on stderr.
 *
 *   log_warn("store", "torn tail cut", KV("path", path), KV_U64("kept_bytes", n));
 *
 * error: a person must act; warn: the service is worse; info: a state changed;
 * debug: free. The same sentence of one module is written at most 10 times a
 * minute, then counted. Never a secret, never a body. Thread-safe.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };

enum log_kind { LOG_KV_STR, LOG_KV_I64, LOG_KV_U64, LOG_KV_F64 };
struct log_kv {
    const char *key;
    enum log_kind kind;
    union {
        struct str s;
        int64_t i;
        uint64_t u;
        double f;
    };
};

#define KV(k, c)     ((struct log_kv){ .key = (k), .kind = LOG_KV_STR, .s = str_c(c) })
#define KV_STR(k, v) ((struct log_kv){ .key = (k), .kind = LOG_KV_STR, .s = (v) })
#define KV_I64(k, v) ((struct log_kv){ .key = (k), .kind = LOG_KV_I64, .i = (v) })
#define KV_U64(k, v) ((struct log_kv){ .key = (k), .kind = LOG_KV_U64, .u = (v) })
#define KV_F64(k, v) ((struct log_kv){ .key = (k), .kind = LOG_KV_F64, .f = (v) })
#define KV_ERR(e)    ((struct log_kv){ .key = "err", .kind = LOG_KV_STR, .s = str_c((e)->text) })

// Writes one line when the module's level allows it; called through the log_… macros. text and the
// keys are constants, values are copied. Never fails: what cannot be written is dropped.
void log_write(enum log_level level, const char *module, const char *text, const struct log_kv *kv,
               size_t n);
#define LOG_(level, module, text, ...)                                                         \
    log_write(level, module, text, (const struct log_kv[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } }, \
              sizeof((const struct log_kv[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } }) /             \
                      sizeof(struct log_kv) -                                                  \
                  1)
#define log_debug(module, text, ...) LOG_(LOG_DEBUG, module, text __VA_OPT__(, ) __VA_ARGS__)
#define log_info(module, text, ...)  LOG_(LOG_INFO, module, text __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(module, text, ...)  LOG_(LOG_WARN, module, text __VA_OPT__(, ) __VA_ARGS__)
#define log_error(module, text, ...) LOG_(LOG_ERROR, module, text __VA_OPT__(, ) __VA_ARGS__)

// "info" or "store=debug,info". Format: "logfmt" or "json". Call before threads start.
MUST_CHECK bool log_configure(struct str levels, struct str format, struct err *e);
// Where lines go; NULL: standard error. For tests.
void log_capture(void (*sink)(void *ctx, struct str line), void *ctx);
