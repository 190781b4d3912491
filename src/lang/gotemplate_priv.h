/*
 * gotemplate_priv.h - what the files of lang/gotemplate share: tokens, literals.
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "lang/gotemplate.h"

enum gotemplate_token_kind {
    TOKEN_ERROR, // text: what is wrong
    TOKEN_EOF,
    TOKEN_TEXT,
    TOKEN_OPEN,  // {{ with its trim marker
    TOKEN_CLOSE, // }}
    TOKEN_SPACE,
    TOKEN_ASSIGN,
    TOKEN_DECLARE,
    TOKEN_PIPE,
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_CHAR, // any other printable character, such as a comma
    TOKEN_STRING,
    TOKEN_RAW_STRING,
    TOKEN_RUNE,
    TOKEN_NUMBER,
    TOKEN_COMPLEX,
    TOKEN_BOOL,
    TOKEN_NAME,
    TOKEN_VARIABLE,
    TOKEN_FIELD,
    TOKEN_KEYWORD, // from here on words of the language
    TOKEN_BLOCK,
    TOKEN_BREAK,
    TOKEN_CONTINUE,
    TOKEN_DEFINE,
    TOKEN_DOT,
    TOKEN_ELSE,
    TOKEN_END,
    TOKEN_IF,
    TOKEN_NIL,
    TOKEN_RANGE,
    TOKEN_TEMPLATE,
    TOKEN_WITH,
};

struct gotemplate_token {
    enum gotemplate_token_kind kind;
    uint32_t offset, line;
    struct str text;
};

struct gotemplate_lexer {
    struct arena *arena; // for messages
    struct str text;
    size_t pos, start;
    uint32_t line, start_line;
    unsigned parens;
    bool inside; // an action
};
struct gotemplate_token gotemplate_lex(struct gotemplate_lexer *l);

// Reads a quoted string or raw string with its quotes; false: its escapes are wrong.
bool gotemplate_unquote(struct arena *a, struct str quoted, struct str *out);
// Reads a numeral, a complex one or a rune in quotes; false: *why says what is wrong.
bool gotemplate_number(struct arena *a, const struct gotemplate_token *t,
                       struct gotemplate_number *out, struct str *why);
