#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

/* malloc(0) may answer NULL, which must stay the sign of failure: so nothing is asked as one
 * byte. */
static size_t at_least_one(size_t bytes)
{
    return bytes > 0 ? bytes : 1;
}

static void *not_null(void *got, size_t bytes)
{
    if (got != NULL)
        return got;
    fprintf(stderr, "out of memory: %zu bytes were asked for\n", bytes);
    fflush(stderr);
    abort();
}

void *mem_alloc(size_t bytes)
{
    return not_null(malloc(at_least_one(bytes)), bytes);
}

void *mem_zalloc(size_t bytes)
{
    return not_null(calloc(1, at_least_one(bytes)), bytes);
}

void *mem_alloc_aligned(size_t alignment, size_t bytes)
{
    return not_null(aligned_alloc(alignment, bytes), bytes);
}

void *mem_realloc(void *old, size_t bytes)
{
    return not_null(realloc(old, at_least_one(bytes)), bytes);
}

void mem_free(void *old)
{
    free(old);
}
