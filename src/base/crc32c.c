#include "base/crc32c.h"

/* The polynomial 0x1edc6f41, its bits reversed. */
#define POLYNOMIAL 0x82f63b78u

/* lanes[k][b]: the checksum of byte b followed by k zero bytes ("slicing by eight", Kounavis and
 * Berry 2005). */
static uint32_t lanes[8][256];

/* Before main, so that every thread finds the tables complete. */
__attribute__((constructor)) static void make_lanes(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;

        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
        lanes[0][b] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (uint32_t b = 0; b < 256; b++)
            lanes[k][b] = (lanes[k - 1][b] >> 8) ^ lanes[0][lanes[k - 1][b] & 0xff];
    }
}

static uint32_t eight_bytes(uint32_t crc, const uint8_t *at)
{
    return lanes[7][at[0] ^ (crc & 0xff)] ^ lanes[6][at[1] ^ ((crc >> 8) & 0xff)] ^
           lanes[5][at[2] ^ ((crc >> 16) & 0xff)] ^ lanes[4][at[3] ^ (crc >> 24)] ^
           lanes[3][at[4]] ^ lanes[2][at[5]] ^ lanes[1][at[6]] ^ lanes[0][at[7]];
}

uint32_t crc32c_portable(uint32_t crc, struct span bytes)
{
    crc = ~crc;
    for (; bytes.len >= 8; bytes = span_skip(bytes, 8))
        crc = eight_bytes(crc, bytes.at);
    for (size_t i = 0; i < bytes.len; i++)
        crc = (crc >> 8) ^ lanes[0][(crc ^ bytes.at[i]) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, struct span bytes)
{
    uint64_t sum = ~crc;

    for (; bytes.len >= 8; bytes = span_skip(bytes, 8)) {
        uint64_t word;

        memcpy(&word, bytes.at, 8);
        sum = __builtin_ia32_crc32di(sum, word);
    }
    crc = (uint32_t)sum;
    for (size_t i = 0; i < bytes.len; i++)
        crc = __builtin_ia32_crc32qi(crc, bytes.at[i]);
    return ~crc;
}

uint32_t crc32c(uint32_t crc, struct span bytes)
{
    if (__builtin_cpu_supports("sse4.2"))
        return by_instruction(crc, bytes);
    return crc32c_portable(crc, bytes);
}

#else

uint32_t crc32c(uint32_t crc, struct span bytes)
{
    return crc32c_portable(crc, bytes);
}

#endif
