/*
 * gotemplate.c - parses templates. Source: Go 1.26, text/template/parse.
 *
 * Where a message stands is the line of the token read last, as there: hence the same look-ahead of
 * up to three tokens, pushed back where that parser pushes back.
 */
// SPDX-License-Identifier: Apache-2.0
#include "lang/gotemplate.h"

#include "base/rune.h"
#include "lang/gotemplate_priv.h"

typedef VEC(struct gotemplate_node *) node_vec;

struct parser {
    struct gotemplate_set *set;
    struct arena *arena;
    struct gotemplate_lexer lexer;
    struct gotemplate_token token[3]; // those pushed back; [0] was read last
    unsigned pushed;
    struct str name, text;
    VEC(struct str) variables;   // in scope
    VEC(struct gotemplate) made; // of this text
    uint32_t action_line;        // of the action at hand; 0: outside
    unsigned range_depth, depth;
    struct gotemplate_node end, other; // {{end}} and {{else}}, told by their addresses
    bool failed, too_deep;
};

/* ---- tokens ---- */

static struct gotemplate_token next(struct parser *p)
{
    if (p->pushed)
        p->pushed--;
    else
        p->token[0] = gotemplate_lex(&p->lexer);
    return p->token[p->pushed];
}

static void push_back(struct parser *p)
{
    p->pushed++;
}

static struct gotemplate_token peek(struct parser *p)
{
    if (!p->pushed) {
        p->pushed = 1;
        p->token[0] = gotemplate_lex(&p->lexer);
    }
    return p->token[p->pushed - 1];
}

static struct gotemplate_token next_word(struct parser *p)
{
    struct gotemplate_token t;

    do
        t = next(p);
    while (t.kind == TOKEN_SPACE);
    return t;
}

static struct gotemplate_token peek_word(struct parser *p)
{
    struct gotemplate_token t = next_word(p);

    push_back(p);
    return t;
}

/* ---- messages ---- */

static void *fail(struct parser *p, struct str what)
{
    if (!p->failed)
        p->set->error = arena_printf(p->arena, "template: %.*s:%u: %.*s", STRF(p->name),
                                     p->token[0].line, STRF(what));
    p->failed = true;
    return NULL;
}

// A message with a quoted word at its end.
static void *fail_quoted(struct parser *p, const char *before, struct str word, const char *after)
{
    OWNED(buf_fini) struct buf b = { 0 };

    buf_str(&b, str_c(before));
    buf_quoted(&b, word);
    buf_str(&b, str_c(after));
    return fail(p, arena_str(p->arena, buf_view(&b)));
}

static void *fail_deep(struct parser *p)
{
    p->too_deep = true;
    return fail(p, STR("max expression depth exceeded"));
}

// The first ten code points.
static struct str ten_runes(struct str s)
{
    size_t at = 0;
    uint32_t r;

    for (unsigned i = 0; i < 10 && at < s.n; i++)
        at += rune_decode(str_sub(s, at, s.n), &r);
    return str_sub(s, 0, at);
}

static void print_token(struct buf *b, const struct gotemplate_token *t)
{
    if (t->kind == TOKEN_EOF) {
        buf_lit(b, "EOF");
    } else if (t->kind == TOKEN_ERROR) {
        buf_str(b, t->text);
    } else if (t->kind > TOKEN_KEYWORD) {
        buf_printf(b, "<%.*s>", STRF(t->text));
    } else {
        buf_quoted(b, t->text.n > 10 ? ten_runes(t->text) : t->text);
        buf_str(b, t->text.n > 10 ? STR("...") : STR(""));
    }
}

static void *unexpected(struct parser *p, struct gotemplate_token t, const char *context)
{
    OWNED(buf_fini) struct buf b = { 0 };

    if (t.kind != TOKEN_ERROR)
        buf_lit(&b, "unexpected ");
    print_token(&b, &t);
    if (t.kind != TOKEN_ERROR)
        buf_printf(&b, " in %s", context);
    else if (p->action_line && p->action_line != t.line)
        buf_printf(&b, "%s started at %.*s:%u",
                   str_ends(t.text, STR(" action")) ? "" : " in action", STRF(p->name),
                   p->action_line);
    return fail(p, arena_str(p->arena, buf_view(&b)));
}

static bool expect(struct parser *p, enum gotemplate_token_kind kind, const char *context)
{
    struct gotemplate_token t = next_word(p);

    return t.kind == kind || unexpected(p, t, context);
}

/* ---- nodes ---- */

static struct gotemplate_node *new_node(struct parser *p, enum gotemplate_kind kind,
                                        uint32_t offset)
{
    struct gotemplate_node *n = arena_new(p->arena, struct gotemplate_node);

    n->kind = kind;
    n->offset = offset;
    return n;
}

static void set_kids(struct gotemplate_node *n, const node_vec *v)
{
    n->kid = v->v;
    n->kid_count = v->n;
}

// "$x.y" or "x.y" as names between dots.
static void split_names(struct parser *p, struct gotemplate_node *n, struct str text)
{
    VEC(struct str) v = { 0 };

    while (text.p)
        *vec_push_in(p->arena, &v) = str_cut(&text, '.');
    n->ident = v.v;
    n->ident_count = v.n;
}

static struct gotemplate_node *new_variable(struct parser *p, const struct gotemplate_token *t)
{
    struct gotemplate_node *n = new_node(p, GOTEMPLATE_VARIABLE, t->offset);

    split_names(p, n, t->text);
    return n;
}

/* ---- expressions ---- */

static struct gotemplate_node *parse_pipe(struct parser *p, const char *context,
                                          enum gotemplate_token_kind end);

static struct gotemplate_node *parse_string(struct parser *p, const struct gotemplate_token *t)
{
    struct gotemplate_node *n = new_node(p, GOTEMPLATE_STRING, t->offset);

    n->source = t->text;
    if (!gotemplate_unquote(p->arena, t->text, &n->text))
        return fail(p, STR("invalid syntax"));
    return n;
}

static struct gotemplate_node *parse_number(struct parser *p, const struct gotemplate_token *t)
{
    struct gotemplate_node *n = new_node(p, GOTEMPLATE_NUMBER, t->offset);
    struct str why = { 0 };

    n->source = t->text;
    if (!gotemplate_number(p->arena, t, &n->number, &why))
        return fail(p, why);
    return n;
}

static struct gotemplate_node *parse_function(struct parser *p, const struct gotemplate_token *t)
{
    struct gotemplate_node *n = new_node(p, GOTEMPLATE_FUNCTION, t->offset);

    n->text = t->text;
    if (p->set->has_function && !p->set->has_function(p->set->ctx, t->text))
        return fail_quoted(p, "function ", t->text, " not defined");
    return n;
}

static struct gotemplate_node *parse_use(struct parser *p, const struct gotemplate_token *t)
{
    for (size_t i = 0; i < p->variables.n; i++)
        if (str_eq(p->variables.v[i], t->text))
            return new_variable(p, t);
    return fail_quoted(p, "undefined variable ", t->text, "");
}

static struct gotemplate_node *parse_parens(struct parser *p)
{
    if (p->depth >= GOTEMPLATE_DEPTH_MAX)
        return fail_deep(p);
    p->depth++;
    struct gotemplate_node *n = parse_pipe(p, "parenthesized pipeline", TOKEN_RIGHT_PAREN);
    p->depth--;
    return n;
}

// NULL without failure: the next token begins no operand.
static struct gotemplate_node *parse_term(struct parser *p)
{
    struct gotemplate_token t = next_word(p);
    struct gotemplate_node *n;

    switch (t.kind) {
    case TOKEN_NAME:
        return parse_function(p, &t);
    case TOKEN_DOT:
        return new_node(p, GOTEMPLATE_DOT, t.offset);
    case TOKEN_NIL:
        return new_node(p, GOTEMPLATE_NIL, t.offset);
    case TOKEN_VARIABLE:
        return parse_use(p, &t);
    case TOKEN_FIELD:
        n = new_node(p, GOTEMPLATE_FIELD, t.offset);
        split_names(p, n, str_sub(t.text, 1, t.text.n));
        return n;
    case TOKEN_BOOL:
        n = new_node(p, GOTEMPLATE_BOOL, t.offset);
        n->truth = str_eq(t.text, STR("true"));
        return n;
    case TOKEN_RUNE:
    case TOKEN_COMPLEX:
    case TOKEN_NUMBER:
        return parse_number(p, &t);
    case TOKEN_LEFT_PAREN:
        return parse_parens(p);
    case TOKEN_STRING:
    case TOKEN_RAW_STRING:
        return parse_string(p, &t);
    default:
        push_back(p);
        return NULL;
    }
}

// A literal with a dot behind it.
static void *fail_dot(struct parser *p, const struct gotemplate_node *n)
{
    OWNED(buf_fini) struct buf b = { 0 };

    gotemplate_print(&b, n);
    return fail_quoted(p, "unexpected . after term ", buf_view(&b), "");
}

static struct gotemplate_node *parse_operand(struct parser *p)
{
    struct gotemplate_node *n = parse_term(p), *out;
    VEC(struct str) v = { 0 };

    if (!n || peek(p).kind != TOKEN_FIELD)
        return n;
    uint32_t offset = peek(p).offset;
    for (size_t i = 0; i < n->ident_count; i++)
        *vec_push_in(p->arena, &v) = n->ident[i];
    while (peek(p).kind == TOKEN_FIELD) {
        struct str field = next(p).text;
        *vec_push_in(p->arena, &v) = str_sub(field, 1, field.n);
    }
    switch (n->kind) {
    case GOTEMPLATE_FIELD:
    case GOTEMPLATE_VARIABLE:
        out = new_node(p, n->kind, offset); // where the last part of the name begins
        break;
    case GOTEMPLATE_BOOL:
    case GOTEMPLATE_STRING:
    case GOTEMPLATE_NUMBER:
    case GOTEMPLATE_NIL:
    case GOTEMPLATE_DOT:
        return fail_dot(p, n);
    default:
        out = new_node(p, GOTEMPLATE_CHAIN, offset);
        out->kid = arena_copy(p->arena, &n, sizeof n);
        out->kid_count = 1;
    }
    out->ident = v.v;
    out->ident_count = v.n;
    return out;
}

static struct gotemplate_node *parse_command(struct parser *p)
{
    struct gotemplate_node *n = new_node(p, GOTEMPLATE_COMMAND, peek_word(p).offset);
    node_vec v = { 0 };

    for (;;) {
        (void)peek_word(p);
        struct gotemplate_node *operand = parse_operand(p);
        if (p->failed)
            return NULL;
        if (operand)
            *vec_push_in(p->arena, &v) = operand;
        struct gotemplate_token t = next(p);
        if (t.kind == TOKEN_SPACE)
            continue;
        if (t.kind == TOKEN_CLOSE || t.kind == TOKEN_RIGHT_PAREN)
            push_back(p);
        else if (t.kind != TOKEN_PIPE)
            return unexpected(p, t, "operand");
        break;
    }
    if (!v.n)
        return fail(p, STR("empty command"));
    set_kids(n, &v);
    return n;
}

// Only the first command may be a value.
static bool check_pipe(struct parser *p, const struct gotemplate_node *n, const char *context)
{
    if (!n->kid_count)
        return fail(p, arena_printf(p->arena, "missing value for %s", context));
    for (size_t i = 1; i < n->kid_count; i++)
        switch (n->kid[i]->kid[0]->kind) {
        case GOTEMPLATE_BOOL:
        case GOTEMPLATE_DOT:
        case GOTEMPLATE_NIL:
        case GOTEMPLATE_NUMBER:
        case GOTEMPLATE_STRING:
            return fail(
                p, arena_printf(p->arena, "non executable command in pipeline stage %zu", i + 1));
        default:
            break;
        }
    return true;
}

static void declare(struct parser *p, node_vec *v, const struct gotemplate_token *t)
{
    *vec_push_in(p->arena, v) = new_variable(p, t);
    *vec_push_in(p->arena, &p->variables) = t->text;
}

// Variables before := or =. *more: a second one of a range may follow.
static bool parse_declaration(struct parser *p, struct gotemplate_node *n, node_vec *v,
                              const char *context, bool *more)
{
    struct gotemplate_token name = peek_word(p);

    *more = false;
    if (name.kind != TOKEN_VARIABLE)
        return true;
    (void)next(p);
    struct gotemplate_token after = peek(p), word = peek_word(p);
    if (word.kind == TOKEN_ASSIGN || word.kind == TOKEN_DECLARE) {
        n->truth = word.kind == TOKEN_ASSIGN;
        (void)next_word(p);
        declare(p, v, &name);
    } else if (word.kind == TOKEN_CHAR && str_eq(word.text, STR(","))) {
        (void)next_word(p);
        declare(p, v, &name);
        if (strcmp(context, "range") != 0 || v->n >= 2)
            return fail(p, arena_printf(p->arena, "too many declarations in %s", context));
        enum gotemplate_token_kind kind = peek_word(p).kind;
        *more = true;
        if (kind != TOKEN_VARIABLE && kind != TOKEN_CLOSE && kind != TOKEN_RIGHT_PAREN)
            return fail(p, STR("range can only initialize variables"));
    } else if (after.kind == TOKEN_SPACE) {
        p->token[1] = after;
        p->token[2] = name;
        p->pushed = 3;
    } else {
        p->token[1] = name;
        p->pushed = 2;
    }
    return true;
}

static struct gotemplate_node *parse_pipe(struct parser *p, const char *context,
                                          enum gotemplate_token_kind end)
{
    struct gotemplate_node *n = new_node(p, GOTEMPLATE_PIPE, peek_word(p).offset);
    node_vec variables = { 0 }, commands = { 0 };
    bool more;

    do
        if (!parse_declaration(p, n, &variables, context, &more))
            return NULL;
    while (more);
    n->variable = variables.v;
    n->variable_count = variables.n;
    for (;;) {
        struct gotemplate_token t = next_word(p);
        if (t.kind == end) {
            set_kids(n, &commands);
            return check_pipe(p, n, context) ? n : NULL;
        }
        if (t.kind != TOKEN_DOT && t.kind != TOKEN_NIL && t.kind != TOKEN_LEFT_PAREN &&
            (t.kind < TOKEN_STRING || t.kind > TOKEN_FIELD))
            return unexpected(p, t, context);
        push_back(p);
        struct gotemplate_node *command = parse_command(p);
        if (!command)
            return NULL;
        *vec_push_in(p->arena, &commands) = command;
    }
}

/* ---- actions ---- */

static struct gotemplate_node *parse_item(struct parser *p);

// Items up to {{end}} or {{else}}, which *stop points to then.
static struct gotemplate_node *parse_items(struct parser *p, const struct gotemplate_node **stop)
{
    struct gotemplate_node *n = new_node(p, GOTEMPLATE_LIST, peek_word(p).offset);
    node_vec v = { 0 };

    while (peek_word(p).kind != TOKEN_EOF) {
        struct gotemplate_node *item = parse_item(p);
        if (!item)
            return NULL;
        if (item == &p->end || item == &p->other) {
            *stop = item;
            set_kids(n, &v);
            return n;
        }
        *vec_push_in(p->arena, &v) = item;
    }
    return fail(p, STR("unexpected EOF"));
}

static struct gotemplate_node *parse_branch(struct parser *p, enum gotemplate_kind kind,
                                            const char *context);

// What follows {{else}}, or the `if` of {{else if}}, whose {{end}} is that of the whole.
static bool parse_else(struct parser *p, struct gotemplate_node *n)
{
    const struct gotemplate_node *stop;
    enum gotemplate_token_kind kind = peek(p).kind;

    if ((n->kind == GOTEMPLATE_IF && kind == TOKEN_IF) ||
        (n->kind == GOTEMPLATE_WITH && kind == TOKEN_WITH)) {
        node_vec v = { 0 };
        (void)next(p);
        n->else_list = new_node(p, GOTEMPLATE_LIST, p->other.offset);
        struct gotemplate_node *branch = parse_branch(p, n->kind,
                                                      n->kind == GOTEMPLATE_IF ? "if" : "with");
        if (!branch)
            return false;
        *vec_push_in(p->arena, &v) = branch;
        set_kids(n->else_list, &v);
        return true;
    }
    n->else_list = parse_items(p, &stop);
    if (n->else_list && stop != &p->end)
        fail(p, STR("expected end; found {{else}}"));
    return !p->failed;
}

static bool parse_bodies(struct parser *p, struct gotemplate_node *n, const char *context)
{
    const struct gotemplate_node *stop = NULL;

    n->pipe = parse_pipe(p, context, TOKEN_CLOSE);
    if (!n->pipe)
        return false;
    n->offset = n->pipe->offset;
    p->range_depth += n->kind == GOTEMPLATE_RANGE;
    n->list = parse_items(p, &stop);
    p->range_depth -= n->kind == GOTEMPLATE_RANGE;
    return n->list && (stop == &p->end || parse_else(p, n));
}

static struct gotemplate_node *parse_branch(struct parser *p, enum gotemplate_kind kind,
                                            const char *context)
{
    struct gotemplate_node *n = new_node(p, kind, 0);
    size_t in_scope = p->variables.n;

    if (p->depth >= GOTEMPLATE_DEPTH_MAX)
        return fail_deep(p);
    p->depth++;
    bool ok = parse_bodies(p, n, context);
    p->depth--;
    p->variables.n = in_scope;
    return ok ? n : NULL;
}

static struct gotemplate_node *parse_jump(struct parser *p, const struct gotemplate_token *t)
{
    bool is_break = t->kind == TOKEN_BREAK;
    const char *name = is_break ? "{{break}}" : "{{continue}}";
    struct gotemplate_token close = next_word(p);

    if (close.kind != TOKEN_CLOSE)
        return unexpected(p, close, name);
    if (!p->range_depth)
        return fail(p, arena_printf(p->arena, "%s outside {{range}}", name));
    return new_node(p, is_break ? GOTEMPLATE_BREAK : GOTEMPLATE_CONTINUE, t->offset);
}

static struct gotemplate_node *parse_else_word(struct parser *p)
{
    struct gotemplate_token t = peek_word(p);

    if (t.kind != TOKEN_IF && t.kind != TOKEN_WITH) {
        t = next_word(p);
        if (t.kind != TOKEN_CLOSE)
            return unexpected(p, t, "else");
    }
    p->other.offset = t.offset;
    return &p->other;
}

static bool parse_name(struct parser *p, const struct gotemplate_token *t, const char *context,
                       struct str *out)
{
    if (t->kind != TOKEN_STRING && t->kind != TOKEN_RAW_STRING)
        return unexpected(p, *t, context);
    if (!gotemplate_unquote(p->arena, t->text, out))
        return fail(p, STR("invalid syntax"));
    return true;
}

static bool is_empty(const struct gotemplate_node *list)
{
    for (size_t i = 0; i < list->kid_count; i++)
        if (list->kid[i]->kind != GOTEMPLATE_TEXT || str_trim(list->kid[i]->text).n)
            return false;
    return true;
}

static struct gotemplate *find_made(struct gotemplate *v, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i].name, name))
            return &v[i];
    return NULL;
}

static bool add_template(struct parser *p, struct str name, struct gotemplate_node *root)
{
    struct gotemplate t = { name, p->name, p->text, root };
    struct gotemplate *old = find_made(p->made.v, p->made.n, name);

    if (!old)
        *vec_push_in(p->arena, &p->made) = t;
    else if (is_empty(old->root))
        *old = t;
    else if (!is_empty(root))
        return fail_quoted(p, "template: multiple definition of template ", name, "");
    return true;
}

// The body of a define or a block: a template of its own, with variables of its own.
static bool parse_body(struct parser *p, struct str name, const char *context)
{
    struct parser saved = *p;
    const struct gotemplate_node *stop = NULL;

    if (p->depth >= GOTEMPLATE_DEPTH_MAX)
        return fail_deep(p);
    p->depth++;
    memset(&p->variables, 0, sizeof p->variables);
    *vec_push_in(p->arena, &p->variables) = STR("$");
    p->range_depth = p->action_line = 0;
    struct gotemplate_node *root = parse_items(p, &stop);
    if (root && stop != &p->end)
        fail(p, arena_printf(p->arena, "unexpected {{else}} in %s", context));
    p->depth = saved.depth;
    p->variables.v = saved.variables.v;
    p->variables.n = saved.variables.n;
    p->variables.cap = saved.variables.cap;
    p->range_depth = saved.range_depth;
    p->action_line = saved.action_line;
    return !p->failed && add_template(p, name, root);
}

static struct gotemplate_node *parse_block(struct parser *p)
{
    static const char context[] = "block clause";
    struct gotemplate_token t = next_word(p);
    struct gotemplate_node *n = new_node(p, GOTEMPLATE_CALL, t.offset);

    if (!parse_name(p, &t, context, &n->text))
        return NULL;
    n->pipe = parse_pipe(p, context, TOKEN_CLOSE);
    return n->pipe && parse_body(p, n->text, context) ? n : NULL;
}

static struct gotemplate_node *parse_call(struct parser *p)
{
    static const char context[] = "template clause";
    struct gotemplate_token t = next_word(p);
    struct gotemplate_node *n = new_node(p, GOTEMPLATE_CALL, t.offset);

    if (!parse_name(p, &t, context, &n->text))
        return NULL;
    if (next_word(p).kind == TOKEN_CLOSE)
        return n;
    push_back(p);
    n->pipe = parse_pipe(p, context, TOKEN_CLOSE);
    return n->pipe ? n : NULL;
}

static struct gotemplate_node *parse_action(struct parser *p)
{
    struct gotemplate_token t = next_word(p);

    switch (t.kind) {
    case TOKEN_BLOCK:
        return parse_block(p);
    case TOKEN_BREAK:
    case TOKEN_CONTINUE:
        return parse_jump(p, &t);
    case TOKEN_ELSE:
        return parse_else_word(p);
    case TOKEN_END:
        return expect(p, TOKEN_CLOSE, "end") ? &p->end : NULL;
    case TOKEN_IF:
        return parse_branch(p, GOTEMPLATE_IF, "if");
    case TOKEN_RANGE:
        return parse_branch(p, GOTEMPLATE_RANGE, "range");
    case TOKEN_TEMPLATE:
        return parse_call(p);
    case TOKEN_WITH:
        return parse_branch(p, GOTEMPLATE_WITH, "with");
    default:
        push_back(p);
        struct gotemplate_node *n = new_node(p, GOTEMPLATE_ACTION, peek(p).offset);
        n->pipe = parse_pipe(p, "command", TOKEN_CLOSE);
        return n->pipe ? n : NULL;
    }
}

static struct gotemplate_node *parse_item(struct parser *p)
{
    struct gotemplate_token t = next_word(p);

    if (t.kind == TOKEN_TEXT) {
        struct gotemplate_node *n = new_node(p, GOTEMPLATE_TEXT, t.offset);
        n->text = t.text;
        return n;
    }
    if (t.kind != TOKEN_OPEN)
        return unexpected(p, t, "input");
    p->action_line = t.line;
    struct gotemplate_node *n = parse_action(p);
    p->action_line = 0;
    return n;
}

static bool parse_define(struct parser *p)
{
    static const char context[] = "define clause";
    struct gotemplate_token t = next_word(p);
    struct str name;

    return parse_name(p, &t, context, &name) && expect(p, TOKEN_CLOSE, context) &&
           parse_body(p, name, context);
}

static bool parse_text(struct parser *p)
{
    struct gotemplate_node *root = new_node(p, GOTEMPLATE_LIST, peek(p).offset);
    node_vec v = { 0 };

    while (peek(p).kind != TOKEN_EOF) {
        if (peek(p).kind == TOKEN_OPEN) {
            struct gotemplate_token open = next(p);
            if (next_word(p).kind == TOKEN_DEFINE) {
                if (!parse_define(p))
                    return false;
                continue;
            }
            p->token[1] = open;
            p->pushed = 2;
        }
        struct gotemplate_node *n = parse_item(p);
        if (n == &p->end || n == &p->other)
            fail(p, n == &p->end ? STR("unexpected {{end}}") : STR("unexpected {{else}}"));
        if (p->failed)
            return false;
        *vec_push_in(p->arena, &v) = n;
    }
    set_kids(root, &v);
    return add_template(p, p->name, root);
}

/* ---- sets ---- */

static struct arena *arena_of(struct gotemplate_set *s)
{
    return s->arena ? s->arena : &s->own;
}

static void merge(struct gotemplate_set *s, const struct gotemplate *t)
{
    struct gotemplate *old = find_made(s->v.v, s->v.n, t->name);

    if (!old)
        *vec_push_in(arena_of(s), &s->v) = *t;
    else if (!is_empty(t->root) || is_empty(old->root))
        *old = *t;
}

bool gotemplate_parse(struct gotemplate_set *s, struct str name, struct str text, struct err *e)
{
    if (text.n > GOTEMPLATE_TEXT_MAX)
        s->error = arena_printf(arena_of(s), "template: %.*s: longer than %d bytes", STRF(name),
                                GOTEMPLATE_TEXT_MAX);
    if (text.n > GOTEMPLATE_TEXT_MAX)
        return err_set(e, ERR_LIMIT, "%.*s", STRF(s->error));
    struct parser p = { .set = s, .arena = arena_of(s) };
    p.name = arena_str(p.arena, name);
    p.text = arena_str(p.arena, text);
    p.lexer = (struct gotemplate_lexer){
        .arena = p.arena, .text = p.text, .line = 1, .start_line = 1
    };
    *vec_push_in(p.arena, &p.variables) = STR("$");
    if (!parse_text(&p)) {
        struct pos at = { p.token[0].line, 0, p.token[0].offset };
        return err_at(e, at, p.too_deep ? ERR_LIMIT : ERR_INVALID, "%.*s", STRF(s->error));
    }
    for (size_t i = 0; i < p.made.n; i++)
        merge(s, &p.made.v[i]);
    return true;
}

const struct gotemplate *gotemplate_find(const struct gotemplate_set *s, struct str name)
{
    for (; s; s = s->base) {
        const struct gotemplate *t = find_made(s->v.v, s->v.n, name);
        if (t)
            return t;
    }
    return NULL;
}

void gotemplate_set_fini(struct gotemplate_set *s)
{
    arena_fini(&s->own);
    memset(&s->v, 0, sizeof s->v);
    s->error = STR_NONE;
}
