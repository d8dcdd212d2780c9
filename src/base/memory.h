/*
 * memory -- allocation that does not fail.
 *
 * Out of memory ends the process with one line (as Valkey does): limits are
 * enforced by admission before allocating, so no caller has an error branch.
 * The host links jemalloc; these call plain malloc so that the pure half stays pure.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

void *mem_alloc(size_t bytes);  /* uninitialised; bytes may be 0 */
void *mem_zalloc(size_t bytes); /* zeroed */
/* uninitialised; bytes: a multiple of alignment */
void *mem_alloc_aligned(size_t alignment, size_t bytes);
void *mem_realloc(void *old, size_t bytes);
void mem_free(void *old); /* NULL is fine */

#endif
