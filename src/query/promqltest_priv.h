/*
 * promqltest_priv.h - commands of a script, shared by reading, running and comparing.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/regex.h"
#include "base/vec.h"
#include "lang/promql.h"
#include "query/memory_source.h"
#include "query/promqltest.h"
#include "query/query.h"

enum expect_kind {
    EXPECT_ORDERED,
    EXPECT_FAIL,
    EXPECT_WARN,
    EXPECT_NO_WARN,
    EXPECT_INFO,
    EXPECT_NO_INFO,
    EXPECT_COUNT,
};

struct expect {
    enum expect_kind kind;
    struct str message;
    struct regex *re; // NULL with has_message false: anything
    bool has_message;
};

struct expect_series {
    struct labels labels;
    size_t pos; // line of the body, from 1
    struct promql_seq_value *v;
    size_t n;
};

struct test_eval {
    uint32_t line;
    struct str expr;
    bool range;
    int64_t eval_ms, start_ms, end_ms, step_ms;
    bool fail, warn, ordered, info; // old spellings
    bool scalar, string_expected, no_range_check;
    double scalar_value;
    struct str string;
    VEC(struct expect) expects;
    VEC(struct expect_series) series;
};

struct script {
    const char *name;
    struct str *lines; // trimmed; comments are empty
    size_t line_count;
    struct arena arena; // of the whole script
    struct memory_source *data;
    VEC(struct regex *) regexes;
};

// Reads the command at line *at (0-based) and leaves *at at its last line. Errors name the line.
MUST_CHECK bool script_load(struct script *s, size_t *at, struct err *e);
MUST_CHECK bool script_eval(struct script *s, size_t *at, struct test_eval *out, struct err *e);
bool script_fail(struct script *s, size_t line, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

// True when the result is as expected; else *why says what differs.
bool compare_result(struct arena *a, const struct test_eval *t, const struct query_result *r,
                    struct str *why);
bool compare_notes(struct arena *a, const struct test_eval *t, const struct query_result *r,
                   struct str *why);
bool compare_failure(struct arena *a, const struct test_eval *t, struct str error, struct str *why);
bool eval_should_fail(const struct test_eval *t);
bool eval_is_ordered(const struct test_eval *t);
