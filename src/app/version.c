// version.c - --version.
// SPDX-License-Identifier: Apache-2.0
#include "app/version.h"

#include <stdio.h>

void version_print(const char *program)
{
    if (strcmp(program, "vigie") == 0)
        printf("vigie %s (compatible with Prometheus %s)\n", VIGIE_VERSION, VERSION_PROMETHEUS);
    else
        printf("%s, version %s (vigie %s)\n", program, VERSION_PROMETHEUS, VIGIE_VERSION);
}
