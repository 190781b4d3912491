/*
 * err.h - the one error record and the functions that fill it.
 *
 * A function that can fail returns bool and takes `struct err *e` last. On
 * success *e is untouched; on failure outputs are untouched and *e says what.
 * All setters return false, so that a failure is one `return err_set(…)`.
 * Texts are phrases without capital or full stop; values are quoted.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum err_kind {
    ERR_NONE,
    ERR_INVALID,     // the input is wrong
    ERR_UNSUPPORTED, // understood, not done here
    ERR_NOT_FOUND,
    ERR_CONFLICT, // out of order, duplicate, already exists
    ERR_DENIED,
    ERR_LIMIT, // a limit of a tenant, a query or a parser
    ERR_TIMEOUT,
    ERR_CANCELLED,
    ERR_UNAVAILABLE, // overload, full disk, not ready: try again
    ERR_IO,
    ERR_CORRUPT,
};

struct pos {
    uint32_t line, col; // from 1; 0: none. col counts bytes
    uint64_t offset;    // bytes from the start of the input
};

struct err {
    enum err_kind kind;
    int os; // errno, 0: none
    struct pos pos;
    char text[232]; // cut with "…" when longer
};

// Fills *e with a kind, the formatted text and no position; returns false. What *e held is lost.
bool err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// As err_set, with the place in the input that the text is about.
bool err_at(struct err *e, struct pos pos, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
// As err_set with ERR_IO (ERR_UNAVAILABLE for ENOSPC and EDQUOT), plus ": " and errno's text.
bool err_os(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Puts "<fmt>: " before the text of a filled record; kind and position stay.
bool err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// "ERR_INVALID" → "invalid" and so on: a constant string, for logs.
const char *err_kind_name(enum err_kind kind);
