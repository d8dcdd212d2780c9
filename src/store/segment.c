#include "store/segment.h"

#include <stdio.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"

enum {
    VERSION = 1,
    HEADER_CHECKED_BYTES = 28,
    HEADER_USED_BYTES = 32,
    READ_BYTES = 1 << 20, /* per disk call: large enough that the call does not count */
};

static const char magic[] = "MRDNLOG1";

void segment_name(uint64_t start_lsn, char name[SEGMENT_NAME_BYTES])
{
    snprintf(name, SEGMENT_NAME_BYTES, "%016llx.log", (unsigned long long)start_lsn);
}

bool segment_parse_name(const char *name, uint64_t *start_lsn)
{
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *start_lsn = value;
    return strcmp(name + 16, ".log") == 0;
}

void segment_write_header(const struct segment_header *header, uint8_t out[SEGMENT_HEADER_BYTES])
{
    struct buffer b = { 0 };
    buffer_put_bytes(&b, magic, 8);
    buffer_put_u64(&b, header->start_lsn);
    buffer_put_u32(&b, header->region);
    buffer_put_u32(&b, header->deployment_crc);
    buffer_put_u32(&b, VERSION);
    CHECK(b.len == HEADER_CHECKED_BYTES);
    buffer_put_u32(&b, crc32c(0, buffer_span(&b)));
    memset(out, 0, SEGMENT_HEADER_BYTES);
    memcpy(out, b.at, b.len);
    buffer_release(&b);
}

int segment_read_header(struct span in, struct segment_header *out)
{
    struct span begin, whole = in;
    uint32_t version, crc;
    if (!span_take_bytes(&in, 8, &begin) || memcmp(begin.at, magic, 8) != 0)
        return E_CORRUPT;
    if (!span_take_u64(&in, &out->start_lsn) || !span_take_u32(&in, &out->region) ||
        !span_take_u32(&in, &out->deployment_crc) || !span_take_u32(&in, &version) ||
        !span_take_u32(&in, &crc))
        return E_CORRUPT;
    if (crc != crc32c(0, span_of(whole.at, HEADER_CHECKED_BYTES)))
        return E_CORRUPT;
    return version == VERSION ? E_OK : E_VERSION;
}

void segment_reader_init(struct segment_reader *r, struct disk *disk, struct disk_file *file,
                         uint64_t start_lsn)
{
    *r = (struct segment_reader){ .disk = disk, .file = file, .start_lsn = start_lsn };
}

void segment_reader_release(struct segment_reader *r)
{
    buffer_release(&r->window);
    *r = (struct segment_reader){ 0 };
}

int segment_bytes(struct segment_reader *r, uint64_t offset, size_t want, struct span *out)
{
    CHECK(offset >= r->window_offset || r->window.len == 0);
    uint64_t window_end = r->window_offset + r->window.len;
    if (offset + want > window_end) {
        uint64_t kept = offset < window_end ? window_end - offset : 0;
        buffer_consume(&r->window, r->window.len - (size_t)kept);
        r->window_offset = offset;
        size_t missing = want - (size_t)kept;
        size_t read_bytes = missing > READ_BYTES ? missing : READ_BYTES;
        int err = r->disk->ops->read(r->disk, r->file, offset + kept, read_bytes, &r->window);
        if (err)
            return err;
    }
    *out = span_skip(buffer_span(&r->window), (size_t)(offset - r->window_offset));
    return E_OK;
}

int segment_record(struct segment_reader *r, uint64_t lsn, enum record_verdict *verdict,
                   struct record *out)
{
    uint64_t offset = segment_offset(r->start_lsn, lsn);
    size_t need = RECORD_HEADER_BYTES;
    for (;;) {
        struct span bytes;
        int err = segment_bytes(r, offset, need, &bytes);
        if (err)
            return err;
        size_t asked = need;
        *verdict = record_read(bytes, lsn, out, &need);
        if (*verdict != RECORD_SHORT)
            return E_OK;
        if (bytes.len >= asked)
            continue;
        *verdict = bytes.len < sizeof(uint32_t) ? RECORD_NONE : RECORD_BAD;
        return E_OK;
    }
}

/* The length of the run of zeros at the front. */
static size_t zeros_at_front(struct span s)
{
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        uint64_t word;
        memcpy(&word, s.at + i, sizeof word);
        if (word != 0)
            break;
    }
    while (i < s.len && s.at[i] == 0)
        i++;
    return i;
}

int segment_nonzero(struct segment_reader *r, uint64_t offset, uint64_t *first, uint64_t *last)
{
    *first = *last = UINT64_MAX;
    for (;;) {
        struct span bytes;
        int err = segment_bytes(r, offset, READ_BYTES, &bytes);
        if (err || bytes.len == 0)
            return err;
        size_t zeros = zeros_at_front(bytes);
        if (zeros < bytes.len) {
            size_t end = bytes.len;
            while (bytes.at[end - 1] == 0)
                end--;
            *first = *first == UINT64_MAX ? offset + zeros : *first;
            *last = offset + end - 1;
        }
        offset += bytes.len;
    }
}

int segment_search(struct segment_reader *r, uint64_t lsn, enum record_verdict *verdict,
                   struct record *out)
{
    for (;; lsn++) {
        struct span bytes;
        int err = segment_bytes(r, segment_offset(r->start_lsn, lsn), RECORD_HEADER_BYTES, &bytes);
        if (err)
            return err;
        if (bytes.len < RECORD_HEADER_BYTES) {
            *verdict = RECORD_NONE;
            return E_OK;
        }
        err = segment_record(r, lsn, verdict, out);
        if (err || *verdict == RECORD_GOOD)
            return err;
    }
}
