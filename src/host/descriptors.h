/*
 * descriptors -- how many files and sockets this process may have open.
 */
#ifndef HOST_DESCRIPTORS_H
#define HOST_DESCRIPTORS_H

#include <stdint.h>

/* Raises the limit to the highest allowed, and beyond if we may and it is less than `wanted`.
 * Returns what it is now. */
uint64_t descriptors_raise(uint64_t wanted);

#endif
