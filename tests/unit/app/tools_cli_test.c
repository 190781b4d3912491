// tools_cli_test.c - command lines: flags anywhere, kingpin's errors, durations, usage text.
// SPDX-License-Identifier: Apache-2.0
#include "app/tools_cli.h"

#include "test.h"

static const struct {
    const char *in;
    int64_t ns;
    const char *err;
} durations[] = {
    { "1h30m", INT64_C(5400000000000), NULL },
    { "-1.5s", -1500000000, NULL },
    { "2d", INT64_C(172800000000000), NULL },
    { "0", 0, NULL },
    { "5", 0, "time: missing unit in duration \"5\"" },
    { "5q", 0, "time: unknown unit \"q\" in duration \"5q\"" },
    { "", 0, "time: invalid duration \"\"" },
    { "x", 0, "time: invalid duration \"x\"" },
};

TEST(duration_table)
{
    FOR_CASES (t, durations) {
        struct err e = { 0 };
        int64_t ns = 7;
        bool ok = cli_duration_parse(str_c(t->in), &ns, &e);
        CHECK_F(ok == !t->err, "%s: %s", t->in, e.text);
        CHECK(ns == (ok ? t->ns : 7));
        CHECK_F(ok || strcmp(e.text, t->err) == 0, "%s: %s", t->in, e.text);
    }
}

static int run_all(const struct cli *c)
{
    struct cli_list all = cli_all(c, "tag"), files = cli_all(c, "file");

    return (int)(all.n * 100 + files.n * 10) + cli_bool(c, "fast") + (int)cli_int(c, "size");
}

static const struct cli_option flags[] = {
    CLI_OPTION("tag", CLI_MAP, NULL, "a tag", .many = true, .short_name = 't'),
    CLI_OPTION("fast", CLI_BOOL, NULL, "go fast"),
    CLI_OPTION("size", CLI_INT, "3", "a number"),
};
static const struct cli_option args[] = {
    CLI_OPTION("file", CLI_TEXT, NULL, "files", .many = true, .required = true),
};
static const struct cli_command commands[] = {
    { "do", "Does things.", NULL, 0, NULL, 0, false, NULL },
    { "do it", "Does it.", CLI_OPTIONS(flags), CLI_OPTIONS(args), false, run_all },
};
static const struct cli_app app = { .name = "prog",
                                    .help = "A program.",
                                    .kingpin = true,
                                    .commands = commands,
                                    .command_count = ARRAY_LEN(commands) };

#define RUN(...)                                                          \
    ({                                                                    \
        const char *argv_[] = { "prog", __VA_ARGS__ };                    \
        cli_main(&app, (int)ARRAY_LEN(argv_), (char **)(uintptr_t)argv_); \
    })

TEST(flags_and_arguments_may_mix)
{
    CHECK(RUN("do", "it", "f") == 13);
    CHECK(RUN("do", "it", "f", "--tag=a=b", "-tc=d", "g", "--fast", "--size", "5") == 226);
    CHECK(RUN("do", "it", "--fast", "--no-fast", "--", "--fast") == 13);
}

TEST(wrong_lines_are_refused)
{
    CHECK(RUN("do") == 1);
    CHECK(RUN("do", "it") == 1);
    CHECK(RUN("do", "that") == 1);
    CHECK(RUN("do", "it", "f", "--nosuch") == 1);
    CHECK(RUN("do", "it", "f", "--tag=x") == 1);
    CHECK(RUN("do", "it", "f", "--size=x") == 1);
    CHECK(RUN("do", "it", "f", "--size") == 1);
}

TEST(usage_names_commands_and_wraps)
{
    OWNED(buf_fini) struct buf b = { 0 };

    cli_usage(&b, &app, &commands[1]);
    CHECK(strstr(buf_cstr(&b), "usage: prog do it [<flags>] <file>...\n"));
    CHECK(strstr(b.p, "  -t, --tag=TAG ...") && strstr(b.p, "--[no-]fast"));
    for (const char *line = b.p; line; line = strchr(line + 1, '\n'))
        CHECK(strcspn(line + 1, "\n") <= 80);
}
