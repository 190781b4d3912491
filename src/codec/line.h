/*
 * line.h - what the parsers of line protocols share: tags, and walking over lines.
 *
 * All of them are pull parsers over a complete body: 1 a record, 0 the end, −1 this record is
 * malformed (*e says where) and the next call goes on behind it. Texts are slices of the body, or of
 * the arena where escapes had to be taken out. They know nothing of labels: names and values are as sent.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "base/base.h"
#include "base/vec.h"

enum {
    LINE_TAGS_MAX = 256,   // of one record
    LINE_FIELDS_MAX = 4096 // values of one record
};

struct line_tag {
    struct str name, value;
};
typedef VEC(struct line_tag) line_tags; // in an arena

struct line_walk {
    struct str rest;
    struct pos pos; // of rest
};

static inline struct line_walk line_walk_of(struct str text)
{
    return (struct line_walk){ text, { 1, 1, 0 } };
}
// The next line that is not empty, without its end; *at: where it begins. False: the end.
bool line_walk_next(struct line_walk *w, struct str *out, struct pos *at);
// The next word of *rest, which ends at blanks; empty at the end.
struct str line_word(struct str *rest);
// A position inside a line.
static inline struct pos line_pos(struct pos line, struct str text, const char *p)
{
    size_t n = p ? (size_t)(p - text.p) : 0;

    return (struct pos){ line.line, line.col + (uint32_t)n, line.offset + n };
}
