#include "wire/record.h"

#include "base/check.h"
#include "base/crc32c.h"

enum { LEN_AT = 0, CRC_AT = 4, LSN_AT = 8, SYNCED_AT = 16 };

static void put_u32(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> (8 * i));
}

static void put_u64(uint8_t *to, uint64_t v)
{
    put_u32(to, (uint32_t)v);
    put_u32(to + 4, (uint32_t)(v >> 32));
}

void record_seal(uint8_t *header, size_t payload_len, uint64_t lsn, uint64_t synced_lsn)
{
    CHECK(payload_len > 0 && payload_len <= RECORD_PAYLOAD_MAX);
    CHECK(synced_lsn <= lsn);
    uint64_t behind = lsn - synced_lsn;
    put_u32(header + LEN_AT, (uint32_t)payload_len);
    put_u64(header + LSN_AT, lsn);
    put_u32(header + SYNCED_AT, behind > UINT32_MAX ? UINT32_MAX : (uint32_t)behind);
    put_u32(header + CRC_AT,
            crc32c(0, span_of(header + LSN_AT, RECORD_HEADER_BYTES - LSN_AT + payload_len)));
}

static enum record_verdict too_short(size_t *need, size_t bytes)
{
    *need = bytes;
    return RECORD_SHORT;
}

enum record_verdict record_read(struct span in, uint64_t lsn, struct record *out, size_t *need)
{
    struct span rest = in;
    uint32_t len, crc, behind;
    uint64_t own_lsn;
    if (!span_take_u32(&rest, &len))
        return too_short(need, sizeof len);
    if (len == 0)
        return RECORD_NONE;
    if (len > RECORD_PAYLOAD_MAX)
        return RECORD_BAD;
    if (!span_take_u32(&rest, &crc) || !span_take_u64(&rest, &own_lsn) ||
        !span_take_u32(&rest, &behind))
        return too_short(need, RECORD_HEADER_BYTES);
    if (own_lsn != lsn || behind > lsn)
        return RECORD_BAD;
    if (rest.len < len)
        return too_short(need, RECORD_HEADER_BYTES + len);
    size_t bytes = RECORD_HEADER_BYTES + len;
    if (crc32c(0, span_of(in.at + LSN_AT, bytes - LSN_AT)) != crc)
        return RECORD_BAD;
    *out = (struct record){
        .lsn = lsn,
        .synced_lsn = lsn - behind,
        .payload = span_of(rest.at, len),
        .bytes = bytes,
    };
    return RECORD_GOOD;
}
