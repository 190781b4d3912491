// replay_main.c - runs a fuzz target over files or folders given, where libFuzzer is not linked.
// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");

    if (!f)
        return;
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = malloc(n ? n : 1);
    if (p && fread(p, 1, n, f) == n)
        LLVMFuzzerTestOneInput(p, n);
    free(p);
    fclose(f);
}

static void run_path(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return;
    if (!S_ISDIR(st.st_mode)) {
        run_file(path);
        return;
    }
    DIR *d = opendir(path);
    for (struct dirent *de; d && (de = readdir(d));) {
        char below[4096];
        if (de->d_name[0] == '.')
            continue;
        snprintf(below, sizeof below, "%s/%s", path, de->d_name);
        run_path(below);
    }
    if (d)
        closedir(d);
}

int main(int argc, char **argv)
{
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    return 0;
}
