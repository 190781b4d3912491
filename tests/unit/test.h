/*
 * test.h - unit tests: TEST(name) registers itself, CHECK stops at the first failure.
 *
 * Built on cmocka; one program per *_test.c, whose main is test_main.c.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"

void test_register(const char *name, void (*fn)(void **));

#define TEST(name)                                                      \
    static void test_##name(void **state);                              \
    __attribute__((constructor)) static void test_register_##name(void) \
    {                                                                   \
        test_register(#name, test_##name);                              \
    }                                                                   \
    static void test_##name(void **state UNUSED)

#define CHECK(x) _assert_true((uintptr_t)(x) != 0, #x, __FILE__, __LINE__)
// As CHECK, with what was got: CHECK_F(a == b, "a=%d", a)
#define CHECK_F(x, ...)                \
    do {                               \
        if (!(x)) {                    \
            print_error(__VA_ARGS__);  \
            print_error("\n");         \
            _fail(__FILE__, __LINE__); \
        }                              \
    } while (0)
#define CHECK_STR(got, want)                                                                  \
    do {                                                                                      \
        struct str got_ = (got), want_ = (want);                                              \
        CHECK_F(str_eq(got_, want_), "got \"%.*s\", want \"%.*s\"", STRF(got_), STRF(want_)); \
    } while (0)
// Runs the call and fails with the error's text.
#define CHECK_OK(call, e) CHECK_F((call), "%s: %s", #call, (e)->text)
#define FOR_CASES(t, table) \
    for (__typeof__(&(table)[0]) t = (table); t < (table) + ARRAY_LEN(table); t++)

// $VIGIE_CORPUS/<below>, or NULL when the corpus is absent: then SKIP_WITHOUT_CORPUS notes it.
const char *test_corpus(const char *below);
#define SKIP_WITHOUT_CORPUS(path)                                     \
    do {                                                              \
        if (!(path)) {                                                \
            print_message("skipped: no corpus (set VIGIE_CORPUS)\n"); \
            skip();                                                   \
        }                                                             \
    } while (0)
