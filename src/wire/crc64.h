/*
 * crc64 -- the checksum at the end of Redis's dump files.
 *
 * The polynomial 0xad93d23594c935a9 (Jones) over reflected bits, from 0, with nothing flipped at the
 * end. crc64(crc64(0, a), b) is that of a followed by b.
 */
#ifndef WIRE_CRC64_H
#define WIRE_CRC64_H

#include "base/span.h"

uint64_t crc64(uint64_t crc, struct span bytes);

#endif
