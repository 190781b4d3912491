/*
 * flags.h - command lines by table, in the manner of the programs replaced (kingpin).
 *
 * --name=v and --name v; booleans --name and --no-name; one dash works too; values may
 * repeat where the table says so. The table also makes the help.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/vec.h"

enum flag_kind { FLAG_BOOL, FLAG_TEXT, FLAG_DURATION, FLAG_SIZE, FLAG_INT, FLAG_LIST };

enum flag_note {
    FLAG_ACTS,    // does what it says
    FLAG_IGNORED, // accepted: has no meaning here
    FLAG_HIDDEN,  // acts, not in the short help
};

struct flag {
    const char *name;
    enum flag_kind kind;
    const char *value; // default as text; NULL: empty
    const char *help;  // one phrase; NULL: not in the help
    const char *group; // heading in the help
    enum flag_note note;
};

struct flag_value {
    const struct flag *flag;
    struct str text; // the last one given, or the default
    bool given;
    VEC(struct str) all; // FLAG_LIST: as given
};

struct flags {
    struct arena arena;
    struct flag_value *v; // one per row of the table
    size_t n;
    VEC(struct str) args; // what is no flag
};

/*
 * Reads argv[1..]. ERR_INVALID in kingpin's words: "unknown long flag '--x'", with a guess.
 */
MUST_CHECK bool flags_parse(struct flags *f, const struct flag *table, size_t n, int argc,
                            char **argv, struct err *e);
void flags_fini(struct flags *f);
OWN_DEFINE_FINI(struct flags, flags_fini)
const struct flag_value *flags_get(const struct flags *f, const char *name); // must be in the table
struct str flags_text(const struct flags *f, const char *name);
bool flags_bool(const struct flags *f, const char *name);
int64_t flags_ms(const struct flags *f, const char *name); // durations, checked when parsed
int64_t flags_int(const struct flags *f, const char *name);
uint64_t flags_size(const struct flags *f, const char *name);
// Help by groups: flags that act, with their defaults.
void flags_help(struct buf *b, const struct flag *table, size_t n);
