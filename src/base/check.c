#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *file, int line, const char *fact)
{
    fprintf(stderr, "%s:%d: check failed: %s\n", file, line, fact);
    fflush(stderr);
    abort();
}
