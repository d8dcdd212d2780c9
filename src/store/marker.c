#include "store/marker.h"

#include <stdio.h>

#include "base/crc32c.h"
#include "base/error.h"

enum { VERSION = 1, MAGIC_BYTES = 8, FILE_BYTES_MAX = 16 * 1024 };

static const char magic[] = "MRDNBST1";
static const char file_name[] = "bootstrap";
static const char new_name[] = "bootstrap.new";

static int tell(char *problem, const char *cause, int error)
{
    snprintf(problem, MARKER_PROBLEM_MAX, "%s", error == E_OK ? "" : cause);
    return error;
}

static void encode(const struct marker *m, struct buffer *out)
{
    buffer_put_bytes(out, magic, MAGIC_BYTES);
    buffer_put_u32(out, VERSION);
    buffer_put_u64(out, m->instance);
    buffer_put_u64(out, m->began_us);
    buffer_put_u64(out, m->end_lsn);
    vector_put(out, &m->floor);
    vector_put(out, &m->had);
    buffer_put_u8(out, m->tail_of);
    buffer_put_u32(out, crc32c(0, buffer_span(out)));
}

static int decode(struct span in, struct marker *m)
{
    struct span begin, whole = in;
    uint32_t version, crc;
    if (in.len < MAGIC_BYTES + sizeof(crc))
        return E_CORRUPT;
    in.len -= sizeof(crc);
    struct span end = span_skip(whole, in.len);
    if (!span_take_u32(&end, &crc) || crc != crc32c(0, in) ||
        !span_take_bytes(&in, MAGIC_BYTES, &begin) || memcmp(begin.at, magic, MAGIC_BYTES) != 0 ||
        !span_take_u32(&in, &version))
        return E_CORRUPT;
    if (version != VERSION)
        return E_VERSION;
    if (!span_take_u64(&in, &m->instance) || !span_take_u64(&in, &m->began_us) ||
        !span_take_u64(&in, &m->end_lsn) || !vector_take(&in, &m->floor) ||
        !vector_take(&in, &m->had) || !span_take_u8(&in, &m->tail_of) || in.len > 0)
        return E_CORRUPT;
    return E_OK;
}

int marker_read(struct disk *disk, struct marker *m, char *problem)
{
    struct disk_file *file;
    struct buffer bytes = { 0 };
    int error = disk->ops->open(disk, file_name, false, &file);
    if (error != E_OK)
        return tell(problem, disk->detail, error);
    error = disk->ops->read(disk, file, 0, FILE_BYTES_MAX, &bytes);
    disk->ops->close(disk, file);
    if (error != E_OK) {
        buffer_release(&bytes);
        return tell(problem, disk->detail, error);
    }
    error = decode(buffer_span(&bytes), m);
    buffer_release(&bytes);
    return tell(
        problem,
        error == E_VERSION
            ? "bootstrap: written by a newer version of meridian: start that one"
            : "bootstrap: damaged: it does not match its checksum; start with an empty data "
              "directory, under a new id",
        error);
}

int marker_write(struct disk *disk, const struct marker *m, char *problem)
{
    struct disk_file *file = NULL;
    struct buffer bytes = { 0 };
    encode(m, &bytes);
    int error = disk->ops->open(disk, new_name, true, &file);
    if (error == E_OK)
        error = disk->ops->truncate(disk, file, 0);
    if (error == E_OK)
        error = disk->ops->write(disk, file, 0, buffer_span(&bytes));
    if (error == E_OK)
        error = disk->ops->sync(disk, file);
    if (error == E_OK)
        error = disk->ops->rename(disk, new_name, file_name);
    if (error == E_OK)
        error = disk->ops->sync_names(disk);
    if (file != NULL)
        disk->ops->close(disk, file);
    buffer_release(&bytes);
    return tell(problem, disk->detail, error);
}

int marker_remove(struct disk *disk, char *problem)
{
    int error = disk->ops->remove(disk, file_name);
    if (error == E_MISSING)
        error = E_OK;
    if (error == E_OK)
        error = disk->ops->sync_names(disk);
    return tell(problem, disk->detail, error);
}
