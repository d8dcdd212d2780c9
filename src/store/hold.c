#include "store/hold.h"

#include "base/crc32c.h"
#include "base/error.h"
#include "store/marker.h"

enum { HOLD_BYTES = 8 + 8 + 4 };

static const char file_name[] = "hold", new_name[] = "hold.new";

int hold_write(struct disk *disk, const struct hold *h)
{
    struct disk_file *file;
    struct buffer bytes = { 0 };
    int error = disk->ops->open(disk, new_name, true, &file);
    if (error != E_OK)
        return error;
    buffer_put_u64(&bytes, h->lsn);
    buffer_put_u64(&bytes, h->most_bytes);
    buffer_put_u32(&bytes, crc32c(0, buffer_span(&bytes)));
    error = disk->ops->write(disk, file, 0, buffer_span(&bytes));
    disk->ops->close(disk, file);
    buffer_release(&bytes);
    return error == E_OK ? disk->ops->rename(disk, new_name, file_name) : error;
}

static bool decode(struct span in, struct hold *h)
{
    uint32_t crc;
    struct span whole = in;
    return span_take_u64(&in, &h->lsn) && span_take_u64(&in, &h->most_bytes) &&
           span_take_u32(&in, &crc) && in.len == 0 &&
           crc == crc32c(0, span_of(whole.at, HOLD_BYTES - sizeof(crc)));
}

static bool read_file(struct disk *disk, struct hold *h)
{
    struct disk_file *file;
    struct buffer bytes = { 0 };
    if (disk->ops->open(disk, file_name, false, &file) != E_OK)
        return false;
    bool good = disk->ops->read(disk, file, 0, HOLD_BYTES + 1, &bytes) == E_OK &&
                decode(buffer_span(&bytes), h);
    disk->ops->close(disk, file);
    buffer_release(&bytes);
    return good;
}

static bool is_marked(struct disk *disk)
{
    struct marker marker;
    char problem[MARKER_PROBLEM_MAX];
    return marker_read(disk, &marker, problem) != E_MISSING;
}

uint64_t hold_limit(struct disk *disk, uint64_t drop_lsn, uint64_t end_lsn)
{
    struct hold h;
    if (!read_file(disk, &h) || h.lsn >= drop_lsn || is_marked(disk))
        return drop_lsn;
    return end_lsn - h.lsn > h.most_bytes ? drop_lsn : h.lsn;
}
