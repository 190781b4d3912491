/*
 * gotemplate_print.c - trees back to text: in messages, and to check the parser.
 */
// SPDX-License-Identifier: Apache-2.0
#include "base/rune.h"
#include "lang/gotemplate.h"

static void print_list(struct buf *b, const struct gotemplate_node *n)
{
    for (size_t i = 0; i < n->kid_count; i++)
        gotemplate_print(b, n->kid[i]);
}

static void print_branch(struct buf *b, const char *word, const struct gotemplate_node *n)
{
    buf_printf(b, "{{%s ", word);
    gotemplate_print(b, n->pipe);
    buf_lit(b, "}}");
    print_list(b, n->list);
    if (n->else_list) {
        buf_lit(b, "{{else}}");
        print_list(b, n->else_list);
    }
    buf_lit(b, "{{end}}");
}

static void print_pipe(struct buf *b, const struct gotemplate_node *n)
{
    for (size_t i = 0; i < n->variable_count; i++) {
        buf_str(b, i ? STR(", ") : STR(""));
        gotemplate_print(b, n->variable[i]);
    }
    if (n->variable_count)
        buf_str(b, n->truth ? STR(" = ") : STR(" := "));
    for (size_t i = 0; i < n->kid_count; i++) {
        buf_str(b, i ? STR(" | ") : STR(""));
        gotemplate_print(b, n->kid[i]);
    }
}

static void print_operand(struct buf *b, const struct gotemplate_node *n)
{
    bool parens = n->kind == GOTEMPLATE_PIPE;

    if (parens)
        buf_char(b, '(');
    gotemplate_print(b, n);
    if (parens)
        buf_char(b, ')');
}

static void print_command(struct buf *b, const struct gotemplate_node *n)
{
    for (size_t i = 0; i < n->kid_count; i++) {
        buf_str(b, i ? STR(" ") : STR(""));
        print_operand(b, n->kid[i]);
    }
}

static void print_names(struct buf *b, const struct gotemplate_node *n)
{
    for (size_t i = 0; i < n->ident_count; i++) {
        if (i || n->kind != GOTEMPLATE_VARIABLE)
            buf_char(b, '.');
        buf_str(b, n->ident[i]);
    }
}

static void print_call(struct buf *b, const struct gotemplate_node *n)
{
    buf_lit(b, "{{template ");
    buf_quoted(b, n->text);
    if (n->pipe) {
        buf_char(b, ' ');
        gotemplate_print(b, n->pipe);
    }
    buf_lit(b, "}}");
}

static void print_control(struct buf *b, const struct gotemplate_node *n)
{
    switch (n->kind) {
    case GOTEMPLATE_IF:
        print_branch(b, "if", n);
        return;
    case GOTEMPLATE_RANGE:
        print_branch(b, "range", n);
        return;
    case GOTEMPLATE_WITH:
        print_branch(b, "with", n);
        return;
    case GOTEMPLATE_CALL:
        print_call(b, n);
        return;
    case GOTEMPLATE_BREAK:
        buf_lit(b, "{{break}}");
        return;
    case GOTEMPLATE_CONTINUE:
        buf_lit(b, "{{continue}}");
        return;
    default: // GOTEMPLATE_ACTION
        buf_lit(b, "{{");
        gotemplate_print(b, n->pipe);
        buf_lit(b, "}}");
    }
}

// Long because it names every kind of operand.
void gotemplate_print(struct buf *b, const struct gotemplate_node *n)
{
    switch (n->kind) {
    case GOTEMPLATE_LIST:
        print_list(b, n);
        return;
    case GOTEMPLATE_TEXT:
    case GOTEMPLATE_FUNCTION:
        buf_str(b, n->text);
        return;
    case GOTEMPLATE_PIPE:
        print_pipe(b, n);
        return;
    case GOTEMPLATE_COMMAND:
        print_command(b, n);
        return;
    case GOTEMPLATE_CHAIN:
        print_operand(b, n->kid[0]);
        print_names(b, n);
        return;
    case GOTEMPLATE_VARIABLE:
    case GOTEMPLATE_FIELD:
        print_names(b, n);
        return;
    case GOTEMPLATE_DOT:
        buf_char(b, '.');
        return;
    case GOTEMPLATE_NIL:
        buf_lit(b, "nil");
        return;
    case GOTEMPLATE_BOOL:
        buf_str(b, n->truth ? STR("true") : STR("false"));
        return;
    case GOTEMPLATE_NUMBER:
    case GOTEMPLATE_STRING:
        buf_str(b, n->source);
        return;
    default:
        print_control(b, n);
    }
}

void gotemplate_place(const struct gotemplate *t, uint32_t offset, unsigned *line, unsigned *col)
{
    struct str before = str_sub(t->text, 0, offset);
    size_t last = str_rfind_char(before, '\n');

    *line = 1;
    for (size_t i = 0; i < before.n; i++)
        *line += before.p[i] == '\n';
    *col = (unsigned)(last == STR_NPOS ? before.n : before.n - last - 1);
}
