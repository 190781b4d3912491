/*
 * promql_priv.h - what the files of the PromQL parser share: tokens, lexer, parser, error recovery.
 *
 * Recovery. Upstream's parser is made by goyacc and its users see which errors that reports, so
 * this one recovers at the same places. A token that fits nowhere goes to promql_miss(). Within
 * three tokens of the last error it is dropped (MISS_DROPPED: look again). Else parsing falls back
 * (MISS_ERROR) to the innermost construct that has a rule for errors: the functions in between
 * return NULL or false, and that construct calls promql_unexpected(), takes what it has for whole
 * and goes on with the same token. Such constructs are: the query, an aggregation, grouping labels,
 * the inside of braces, of a range selector, `offset` and `@`, the values of a series line and a
 * histogram literal. At the end of the tokens all give up (MISS_ABORT).
 */
// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/rune.h"
#include "base/vec.h"
#include "lang/promql.h"

enum tok {
    T_END, // behind the end of input and behind a lexical error
    T_EQL,
    T_BLANK,
    T_COLON,
    T_COMMA,
    T_COMMENT,
    T_DURATION,
    T_EOF,
    T_ERROR,
    T_IDENTIFIER,
    T_LEFT_BRACE,
    T_LEFT_BRACKET,
    T_LEFT_PAREN,
    T_OPEN_HIST,
    T_CLOSE_HIST,
    T_METRIC_IDENTIFIER,
    T_NUMBER,
    T_RIGHT_BRACE,
    T_RIGHT_BRACKET,
    T_RIGHT_PAREN,
    T_SPACE,
    T_STRING,
    T_TIMES,
    // keys of histogram literals
    T_SUM_DESC,
    T_COUNT_DESC,
    T_SCHEMA_DESC,
    T_OFFSET_DESC,
    T_N_OFFSET_DESC,
    T_BUCKETS_DESC,
    T_N_BUCKETS_DESC,
    T_Z_BUCKET_DESC,
    T_Z_BUCKET_W_DESC,
    T_CUSTOM_VALUES_DESC,
    T_RESET_HINT_DESC,
    // operators
    T_ADD,
    T_DIV,
    T_EQLC,
    T_EQL_REGEX,
    T_GTE,
    T_GTR,
    T_TRIM_UPPER,
    T_TRIM_LOWER,
    T_AND,
    T_OR,
    T_LSS,
    T_LTE,
    T_UNLESS,
    T_MOD,
    T_MUL,
    T_NEQ,
    T_NEQ_REGEX,
    T_POW,
    T_SUB,
    T_AT,
    T_ATAN2,
    // aggregations
    T_AVG,
    T_BOTTOMK,
    T_COUNT,
    T_COUNT_VALUES,
    T_GROUP,
    T_MAX,
    T_MIN,
    T_QUANTILE,
    T_STDDEV,
    T_STDVAR,
    T_SUM,
    T_TOPK,
    T_LIMITK,
    T_LIMIT_RATIO,
    // keywords
    T_BOOL,
    T_BY,
    T_GROUP_LEFT,
    T_GROUP_RIGHT,
    T_FILL,
    T_FILL_LEFT,
    T_FILL_RIGHT,
    T_IGNORING,
    T_OFFSET,
    T_SMOOTHED,
    T_ANCHORED,
    T_ON,
    T_WITHOUT,
    // words that are functions, and modifiers elsewhere
    T_START,
    T_STOP,
    T_STEP,
    T_RANGE,
    T_MAX_OF,
    T_MIN_OF,
    // values of counter_reset_hint
    T_RESET_UNKNOWN,
    T_RESET_YES,
    T_RESET_NO,
    T_RESET_GAUGE,
};

static inline bool tok_is_operator(enum tok t)
{
    return t >= T_ADD && t <= T_ATAN2;
}
static inline bool tok_is_aggregator(enum tok t)
{
    return t >= T_AVG && t <= T_LIMIT_RATIO;
}
static inline bool tok_is_keyword(enum tok t)
{
    return t >= T_BOOL && t <= T_WITHOUT;
}

struct token {
    enum tok t;
    uint32_t pos;   // byte offset
    struct str val; // slice of the text; T_ERROR: the message
};

static inline uint32_t token_end(const struct token *t)
{
    return t->pos + (uint32_t)t->val.n;
}

/* ---- lexer ---- */

enum lex_mode {
    LEX_STATEMENTS,
    LEX_BRACES,
    LEX_DURATION,
    LEX_NUMBER,
    LEX_VALUES,
    LEX_HISTOGRAM,
    LEX_BUCKETS,
    LEX_DONE, // after the end or an error
};

enum lex_hist { HIST_OUTSIDE, HIST_OPEN, HIST_TIMES, HIST_ADD, HIST_SUB };

struct lexer {
    struct arena *a; // messages
    const char *text;
    uint32_t n;
    uint32_t pos, start; // of the next byte; of the token being read
    struct token *out;
    enum lex_mode mode;
    bool scanned;
    bool series; // a series line: values behind the braces
    bool brace_open, bracket_open, got_colon, got_duration;
    char quote; // of the string being read
    enum lex_hist hist;
    int paren_depth;
};

// Reads the next token, comments included. After T_EOF or T_ERROR: T_EOF for ever.
void promql_lex_next(struct lexer *l, struct token *out);
// The token of a keyword in any case of letters; T_IDENTIFIER when it is none. inf, nan: T_NUMBER.
enum tok promql_lex_keyword(struct str word);
// The token as upstream writes it; NULL for one whose text varies.
const char *promql_tok_text(enum tok t);

// Appends the token as messages show it: identifier "x", <op:+>, end of input, ….
void promql_buf_token(struct buf *b, const struct token *t);

/*
 * The lexer's own: each function of a mode reads on from pos, emits at most one token and returns
 * the mode to go on with. A token is what lies between start and pos.
 */
#define LEX_EOF UINT32_MAX

// Emits T_ERROR with a message that lives in the arena; nothing is read after it.
enum lex_mode promql_lex_fail(struct lexer *l, struct str message);
#define lex_error(l, ...) promql_lex_fail((l), arena_printf((l)->a, __VA_ARGS__))
// Go's %q of a code point: 'x'. LEX_EOF shows as U+FFFD. The text is a constant or in the arena.
struct str promql_lex_quoted_rune(struct lexer *l, uint32_t r);
// Emits what was read as a token of this kind.
void promql_lex_emit(struct lexer *l, enum tok t);
// Consumes a code point; LEX_EOF at the end, RUNE_BAD for a byte that is no UTF-8.
uint32_t promql_lex_rune(struct lexer *l);
// A number without a unit, as in series lines.
enum lex_mode promql_lex_number(struct lexer *l);
// A keyword or a name; a letter or a colon is next.
enum lex_mode promql_lex_word(struct lexer *l);
// Skips white space: emits nothing.
enum lex_mode promql_lex_space(struct lexer *l);
// The values of a series line.
enum lex_mode promql_lex_values(struct lexer *l);
// Inside {{…}}, and the operator right behind it.
enum lex_mode promql_lex_histogram(struct lexer *l);
// Inside the brackets of a histogram literal.
enum lex_mode promql_lex_buckets(struct lexer *l);

static inline int lex_peek(const struct lexer *l)
{
    return l->pos < l->n ? (unsigned char)l->text[l->pos] : -1;
}
static inline struct str lex_word_so_far(const struct lexer *l)
{
    return str_of(l->text + l->start, l->pos - l->start);
}
static inline bool byte_is_digit(int c)
{
    return c >= '0' && c <= '9';
}
static inline bool byte_is_alpha(int c)
{
    return c == '_' || ((unsigned)c | 32u) - 'a' < 26u;
}
static inline bool byte_is_alnum(int c)
{
    return byte_is_alpha(c) || byte_is_digit(c);
}
static inline bool byte_is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* ---- parser ---- */

struct parser {
    struct arena *a;
    struct str text;
    struct lexer lex;
    struct token tok;      // the newest token lexed
    enum tok look;         // tok.t, or T_END after an error or the end
    bool have;             // tok is still to be taken
    bool aborted;          // nothing more can be parsed
    int recovering;        // 3 after an error, one less per token taken
    uint32_t last_closing; // end of the newest closing bracket, number or duration lexed
    uint32_t depth;
    uint32_t duration_nodes; // of the duration being parsed
    bool too_high;           // the limit of the tree's height was reported
    struct promql_options options;
    VEC(struct promql_error) errors;
    VEC(struct regex *) regexes;
};

enum miss { MISS_DROPPED, MISS_ERROR, MISS_ABORT };

// The text must live as long as the tree. At most 2 GiB, which the entry points see to.
void promql_parser_init(struct parser *p, struct arena *a, struct str text);
// Frees the regexes, unless promql_result() has passed them on.
void promql_parser_fini(struct parser *p);
// The kind of the next token, read if it was not yet; p->tok is the token itself.
enum tok promql_peek(struct parser *p);
// The token peeked at is used up.
struct token promql_take(struct parser *p);
// The token peeked at does not fit here: see the head of this file.
enum miss promql_miss(struct parser *p);
// Takes a token of this kind; false: falls back.
bool promql_expect(struct parser *p, enum tok t, struct token *out);
// Adds "unexpected <token> in <context>, expected <expected>"; either may be NULL.
void promql_unexpected(struct parser *p, const char *context, const char *expected);
// Adds an error with this span; the text lives in the arena. Beyond a limit errors are dropped.
void promql_report_text(struct parser *p, uint32_t start, uint32_t end, struct str message);
#define promql_report(p, start, end, ...) \
    promql_report_text((p), (start), (end), arena_printf((p)->a, __VA_ARGS__))
// As promql_report, at the newest token lexed.
#define promql_report_here(p, ...) \
    promql_report((p), (p)->tok.pos, token_end(&(p)->tok), __VA_ARGS__)
// %q of Go as an argument of promql_report: quoted in the arena.
struct str promql_quoted(struct parser *p, struct str s);
// False, with an error and the parse aborted, when constructs are nested too deeply.
bool promql_enter(struct parser *p);
// Undoes a promql_enter() that gave true.
void promql_leave(struct parser *p);
// Drops what follows a whole query, adding its lexical errors. True when nothing was wrong.
bool promql_finish(struct parser *p);
// What the result is: fills *e from the first error. True when there is none.
MUST_CHECK bool promql_result(struct parser *p, struct promql *q, struct err *e);
// Appends "1:7: parse error: …" with the position in text.
void promql_buf_error(struct buf *b, struct str text, const struct promql_error *pe);

/* ---- literals ---- */

// What a string token stands for, in the text itself or in the arena. The lexer has checked it.
struct str promql_unquote(struct parser *p, struct str quoted);
// The value of a T_NUMBER, or of a T_DURATION in seconds; reports what is none.
double promql_number_value(struct parser *p, const struct token *t);
// Whole seconds plus the fraction, rounded as Go's Duration.Seconds.
double promql_seconds_of_ms(int64_t ms);

/* ---- rules ---- */

// An expression of operators that bind at least so tightly; 0: any. NULL: falls back.
struct promql_node *promql_rule_expr(struct parser *p, int precedence_min);
// A zeroed node of height 1.
struct promql_node *promql_node_new(struct parser *p, enum promql_kind kind, uint32_t start,
                                    uint32_t end);
// A tree over `below` (may be NULL) grows by one level.
void promql_node_raise(struct parser *p, struct promql_node *n, const struct promql_node *below);
struct strs {
    struct str *v;
    size_t n;
};
// `(a, "b", c)` behind by, without, on, …: false only when aborted.
bool promql_rule_grouping(struct parser *p, struct strs *out);
// A metric name, already taken, and braces, if they follow; or braces alone (name NULL).
struct promql_node *promql_rule_selector(struct parser *p, const struct token *name);
// Words that may be metric names, resp. labels of a grouping: most keywords are.
bool promql_tok_is_metric(enum tok t);
// See above.
bool promql_tok_is_label(enum tok t);
// What follows an expression: [range], [range:step], offset, @, anchored, smoothed.
bool promql_tok_is_postfix(enum tok t);
// One of them; the word or bracket is next. What it applies to, or a node over it; NULL: falls back.
struct promql_node *promql_rule_postfix(struct parser *p, struct promql_node *n);
// Starts to count the parts of another duration.
void promql_duration_begin(struct parser *p);
// A duration inside brackets, resp. behind `offset`; NULL: falls back.
struct promql_duration *promql_rule_duration(struct parser *p, int precedence_min);
// Fewer operators belong to it than inside brackets: see its definition.
struct promql_duration *promql_rule_offset_duration(struct parser *p);
// Milliseconds of a literal, saturating.
int64_t promql_duration_literal_ms(const struct promql_duration *d);
// A number or a duration without operators, whose value is known before evaluation.
bool promql_duration_is_literal(const struct promql_duration *d);

// Sets the type of n and of all below it; reports what does not fit. Only after a clean parse.
enum promql_type promql_check(struct parser *p, struct promql_node *n);
