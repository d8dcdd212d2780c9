#include "store/identity.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "store/identity_compare.h"
#include "store/segment.h"

/*
 * The file "identity", little-endian:
 *
 *     8   magic "MRDNIDN1"
 *     4   format version (3)
 *     8   instance
 *     8   run
 *     4   shards
 *     1   region
 *     1   amnesiac (0 or 1)
 *     v   deployment (varint length, bytes)
 *     v   number of regions, then for each: 1 number, v name
 *     32  closed numbers: bitmap
 *     v   fences, and prefixes that lie in them (policy/residency.h)
 *     4   fences that were joined, and not taken yet: bitmap by place
 *     8   instance that joined the last of them
 *     v   number of runs that are known, then for each: 1 region, 8 instance, 8 run
 *     4   CRC32C of all before
 *
 * It is replaced as a whole: a new file, synced, renamed over the old one.
 */

enum { VERSION = 3, PROBLEM_BYTES = 320, FILE_BYTES_MAX = 128 * 1024, MAGIC_BYTES = 8 };

static const char magic[] = "MRDNIDN1";
static const char file_name[] = "identity";
static const char new_name[] = "identity.new";

__attribute__((format(printf, 3, 4))) static int refuse(char *problem, int err, const char *format,
                                                        ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(problem, PROBLEM_BYTES, format, args);
    va_end(args);
    return err;
}

static void put_known(const struct identity_known *known, struct buffer *out)
{
    uint64_t count = 0;
    for (size_t i = 0; i < COUNT_OF(known->latest); i++)
        count += known->latest[i].instance != 0;
    buffer_put_varint(out, count);
    for (size_t i = 0; i < COUNT_OF(known->latest); i++) {
        if (known->latest[i].instance == 0)
            continue;
        buffer_put_u8(out, (uint8_t)i);
        buffer_put_u64(out, known->latest[i].instance);
        buffer_put_u64(out, known->latest[i].run);
    }
}

static void encode(const struct identity *id, struct buffer *out)
{
    buffer_put_bytes(out, magic, MAGIC_BYTES);
    buffer_put_u32(out, VERSION);
    buffer_put_u64(out, id->instance);
    buffer_put_u64(out, id->run);
    buffer_put_u32(out, id->shards);
    buffer_put_u8(out, id->region);
    buffer_put_u8(out, id->known.amnesiac);
    buffer_put_prefixed(out, span_str(id->deployment));
    buffer_put_varint(out, id->region_count);
    for (uint32_t i = 0; i < id->region_count; i++) {
        buffer_put_u8(out, id->regions[i].id);
        buffer_put_prefixed(out, span_str(id->regions[i].name));
    }
    for (size_t i = 0; i < COUNT_OF(id->closed); i++)
        buffer_put_u64(out, id->closed[i]);
    residency_put(&id->residency, out);
    buffer_put_u32(out, id->known.joining);
    buffer_put_u64(out, id->known.joined_instance);
    put_known(&id->known, out);
    buffer_put_u32(out, crc32c(0, buffer_span(out)));
}

static bool take_name(struct span *in, char name[IDENTITY_NAME_MAX])
{
    struct span s;
    if (!span_take_prefixed(in, &s) || s.len == 0 || s.len >= IDENTITY_NAME_MAX)
        return false;
    memcpy(name, s.at, s.len);
    name[s.len] = '\0';
    return strlen(name) == s.len;
}

static bool take_regions(struct span *in, struct identity *out)
{
    uint64_t count;
    if (!span_take_varint(in, &count) || count > IDENTITY_REGIONS_MAX)
        return false;
    out->region_count = (uint32_t)count;
    for (uint64_t i = 0; i < count; i++) {
        if (!span_take_u8(in, &out->regions[i].id) || !take_name(in, out->regions[i].name))
            return false;
    }
    return true;
}

static bool take_closed(struct span *in, uint64_t closed[4])
{
    for (size_t i = 0; i < 4; i++) {
        if (!span_take_u64(in, &closed[i]))
            return false;
    }
    return true;
}

static bool take_known(struct span *in, struct identity_known *known)
{
    uint64_t count;
    if (!span_take_varint(in, &count) || count > COUNT_OF(known->latest))
        return false;
    for (; count > 0; count--) {
        uint8_t region;
        if (!span_take_u8(in, &region) || !span_take_u64(in, &known->latest[region].instance) ||
            !span_take_u64(in, &known->latest[region].run))
            return false;
    }
    return true;
}

static int decode(struct span in, struct identity *out)
{
    struct span begin, whole = in;
    uint32_t version, crc;
    uint8_t amnesiac;
    if (in.len < MAGIC_BYTES + sizeof crc)
        return E_CORRUPT;
    struct span end = span_skip(whole, whole.len - sizeof crc);
    span_take_u32(&end, &crc);
    in.len -= sizeof crc;
    if (crc != crc32c(0, in))
        return E_CORRUPT;
    if (!span_take_bytes(&in, MAGIC_BYTES, &begin) || memcmp(begin.at, magic, MAGIC_BYTES) != 0)
        return E_CORRUPT;
    if (!span_take_u32(&in, &version))
        return E_CORRUPT;
    if (version != VERSION)
        return E_VERSION;
    if (!span_take_u64(&in, &out->instance) || !span_take_u64(&in, &out->run) ||
        !span_take_u32(&in, &out->shards) || !span_take_u8(&in, &out->region) ||
        !span_take_u8(&in, &amnesiac) || amnesiac > 1 || !take_name(&in, out->deployment) ||
        !take_regions(&in, out) || !take_closed(&in, out->closed) ||
        !residency_take(&in, &out->residency) || !span_take_u32(&in, &out->known.joining) ||
        !span_take_u64(&in, &out->known.joined_instance) || !take_known(&in, &out->known) ||
        in.len > 0)
        return E_CORRUPT;
    out->known.amnesiac = amnesiac == 1;
    return E_OK;
}

int identity_read(struct disk *disk, struct identity *out, char *problem)
{
    struct disk_file *file;
    struct buffer bytes = { 0 };
    int err = disk->ops->open(disk, file_name, false, &file);
    if (err)
        return refuse(problem, err, "%s", disk->detail);
    err = disk->ops->read(disk, file, 0, FILE_BYTES_MAX, &bytes);
    disk->ops->close(disk, file);
    if (err)
        refuse(problem, err, "%s", disk->detail);
    else
        err = decode(buffer_span(&bytes), out);
    if (err == E_CORRUPT)
        refuse(problem, err,
               "%s: damaged: it does not match its checksum, and nobody else can say what stood "
               "there; start with an empty data directory, under a new id",
               file_name);
    if (err == E_VERSION)
        refuse(problem, err, "%s: written by another version of meridian: start that one",
               file_name);
    buffer_release(&bytes);
    return err;
}

static int write_file(struct disk *disk, const struct identity *id, char *problem)
{
    struct disk_file *file = NULL;
    struct buffer bytes = { 0 };
    encode(id, &bytes);
    int err = disk->ops->open(disk, new_name, true, &file);
    if (err == E_OK)
        err = disk->ops->truncate(disk, file, 0);
    if (err == E_OK)
        err = disk->ops->write(disk, file, 0, buffer_span(&bytes));
    if (err == E_OK)
        err = disk->ops->sync(disk, file);
    if (err == E_OK)
        err = disk->ops->rename(disk, new_name, file_name);
    if (err == E_OK)
        err = disk->ops->sync_names(disk);
    if (file != NULL)
        disk->ops->close(disk, file);
    buffer_release(&bytes);
    return err ? refuse(problem, err, "%s", disk->detail) : E_OK;
}

static void note_log(void *context, const char *name)
{
    uint64_t start_lsn;
    if (segment_parse_name(name, &start_lsn))
        *(bool *)context = true;
}

/* The identity is durable before a log is begun: a log without one was left by a loss. */
static int refuse_orphan(struct disk *disk, char *problem)
{
    bool has_log = false;
    int err = disk->ops->list(disk, note_log, &has_log);
    if (err)
        return refuse(problem, err, "%s", disk->detail);
    if (!has_log)
        return E_OK;
    return refuse(problem, E_CORRUPT,
                  "%s: missing, but the directory holds a log; start with an empty data directory, "
                  "under a new id",
                  file_name);
}

int identity_store(struct disk *disk, const struct identity *id, char *problem)
{
    CHECK(id->instance != 0);
    return write_file(disk, id, problem);
}

int identity_adopt(struct disk *disk, struct identity *claimed, const struct identity *had,
                   char *problem)
{
    int err = identity_compare_fences(had, claimed, problem);
    if (err)
        return err;
    identity_inherit_fences(claimed, had);
    return identity_store(disk, claimed, problem);
}

int identity_claim(struct disk *disk, const struct identity *want, struct identity *out,
                   char *problem)
{
    struct identity had = { 0 };
    CHECK(want->region_count <= IDENTITY_REGIONS_MAX);
    CHECK(want->deployment[0] != '\0' && want->run != 0);
    problem[0] = '\0';
    int err = identity_read(disk, &had, problem);
    if (err == E_OK)
        err = identity_compare(&had, want, problem);
    else if (err == E_MISSING)
        err = refuse_orphan(disk, problem);
    if (err)
        return err;
    *out = *want;
    identity_inherit(out, &had);
    err = write_file(disk, out, problem);
    if (err == E_OK)
        problem[0] = '\0';
    return err;
}
