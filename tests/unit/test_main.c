// test_main.c - main of every unit test program: runs what TEST() registered, in order of the file.
// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { TESTS_MAX = 512 };
static struct CMUnitTest tests[TESTS_MAX];
static size_t test_count;

void test_register(const char *name, void (*fn)(void **))
{
    assert(test_count < TESTS_MAX);
    tests[test_count++] = (struct CMUnitTest){ name, fn, NULL, NULL, NULL };
}

const char *test_corpus(const char *below)
{
    static char path[1024];
    const char *root = getenv("VIGIE_CORPUS");
    struct stat st;

    if (!root || !*root)
        root = VIGIE_SOURCE_DIR "/../shared/corpus";
    snprintf(path, sizeof path, "%s/%s", root, below);
    return stat(path, &st) == 0 ? path : NULL;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests("unit", tests, test_count, NULL, NULL);
}
