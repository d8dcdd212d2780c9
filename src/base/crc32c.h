/*
 * crc32c -- the Castagnoli checksum (RFC 3720, B.4), as iSCSI, ext4 and SSE4.2 compute it.
 *
 * crc32c(0, bytes) is the checksum of bytes; crc32c(crc32c(0, a), b) that of a followed by b.
 * Uses the processor's instruction where there is one; both ways give the same number.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include "base/span.h"

uint32_t crc32c(uint32_t crc, struct span bytes);
uint32_t crc32c_portable(uint32_t crc, struct span bytes); /* the table form, for tests */

#endif
