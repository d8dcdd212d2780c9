#include "wire/crc64.h"

/* The polynomial, its bits reversed. */
#define POLYNOMIAL UINT64_C(0x95ac9329ac4bc9b5)

/* By eight bytes at a time, as in base/crc32c.c. */
static uint64_t lanes[8][256];

/* Before main, so that every thread finds the tables complete. */
__attribute__((constructor)) static void make_lanes(void)
{
    for (uint64_t b = 0; b < 256; b++) {
        uint64_t crc = b;

        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
        lanes[0][b] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (size_t b = 0; b < 256; b++)
            lanes[k][b] = (lanes[k - 1][b] >> 8) ^ lanes[0][lanes[k - 1][b] & 0xff];
    }
}

static uint64_t eight_bytes(uint64_t crc, const uint8_t *at)
{
    uint64_t sum = 0;

    for (int i = 0; i < 8; i++)
        sum ^= lanes[7 - i][at[i] ^ (crc >> (8 * i) & 0xff)];
    return sum;
}

uint64_t crc64(uint64_t crc, struct span bytes)
{
    for (; bytes.len >= 8; bytes = span_skip(bytes, 8))
        crc = eight_bytes(crc, bytes.at);
    for (size_t i = 0; i < bytes.len; i++)
        crc = (crc >> 8) ^ lanes[0][(crc ^ bytes.at[i]) & 0xff];
    return crc;
}
