#include "store/identity.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
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

static const struct identity_region *region_with_id(const struct identity *id, uint8_t number)
{
    for (uint32_t i = 0; i < id->region_count; i++) {
        if (id->regions[i].id == number)
            return &id->regions[i];
    }
    return NULL;
}

static const struct identity_region *region_with_name(const struct identity *id, const char *name)
{
    for (uint32_t i = 0; i < id->region_count; i++) {
        if (strcmp(id->regions[i].name, name) == 0)
            return &id->regions[i];
    }
    return NULL;
}

static bool closes(const uint64_t closed[4], uint8_t number)
{
    return closed[number / 64] >> (number % 64) & 1;
}

/* Every number that was written means the same region now, or is closed: stamps carry these numbers
 * for ever. */
static int compare_numbering(const struct identity *had, const struct identity *want, char *problem)
{
    for (uint32_t i = 0; i < had->region_count; i++) {
        const struct identity_region *region = &had->regions[i];
        const struct identity_region *same = region_with_id(want, region->id);
        if (same != NULL ? strcmp(same->name, region->name) == 0 : closes(want->closed, region->id))
            continue;
        const struct identity_region *moved = region_with_name(want, region->name);
        if (moved != NULL)
            return refuse(problem, E_FOREIGN,
                          "region %s has number %u in the configuration, but this directory was "
                          "written with %u: give it id %u, or, if it gave that number up, list %u "
                          "under closed in the configuration of every region",
                          region->name, moved->id, region->id, region->id, region->id);
        return refuse(problem, E_FOREIGN,
                      "region %s (number %u), which this directory was written with, is not in the "
                      "configuration: if it is gone for good, list %u under closed in the "
                      "configuration of every region",
                      region->name, region->id, region->id);
    }
    return E_OK;
}

static int refuse_reopened(const struct identity *had, const struct identity *want, char *problem)
{
    for (uint32_t i = 0; i < want->region_count; i++) {
        const struct identity_region *region = &want->regions[i];
        if (closes(had->closed, region->id))
            return refuse(problem, E_FOREIGN,
                          "number %u was given up and is never used again: give region %s another "
                          "id, and list %u under closed",
                          region->id, region->name, region->id);
    }
    return E_OK;
}

/* The region itself, maybe under another number: that the old one is closed was seen to before. */
static int compare_self(const struct identity *had, const struct identity *want, char *problem)
{
    const struct identity_region *theirs = region_with_id(had, had->region);
    const struct identity_region *ours = region_with_id(want, want->region);
    if (theirs != NULL && ours != NULL && strcmp(theirs->name, ours->name) == 0)
        return E_OK;
    return refuse(problem, E_FOREIGN, "the data directory belongs to region %s, not to %s",
                  theirs == NULL ? "?" : theirs->name, ours == NULL ? "?" : ours->name);
}

static uint32_t place_named(const struct residency *r, const char *name)
{
    for (uint32_t place = 1; place <= r->fence_count; place++) {
        if (strcmp(r->fences[place].name, name) == 0)
            return place;
    }
    return 0;
}

/* The number of every stream of a fence says its place. */
static int refuse_moved(const struct residency *want, const char *name, uint32_t place,
                        char *problem)
{
    uint32_t now = place_named(want, name);
    if (now == 0)
        return refuse(
            problem, E_FOREIGN,
            "fence %s, which this directory was written with in place %u, is not in the "
            "configuration: fences are never removed, renamed or moved; put it back there",
            name, place);
    return refuse(
        problem, E_FOREIGN,
        "fence %s is in place %u of the configuration, but this directory was written with "
        "it in place %u: keep the order of fences, and add new ones at the end",
        name, now, place);
}

/* Who left would keep what it may not hold any more. */
static int refuse_left(const struct identity *want, const char *fence, uint8_t id, char *problem)
{
    const struct identity_region *region = region_with_id(want, id);
    return refuse(
        problem, E_FOREIGN,
        "region %s (number %u) is no member of fence %s any more: it may leave only with an "
        "empty data directory, under a new id, with %u listed under closed",
        region == NULL ? "?" : region->name, id, fence, id);
}

static int compare_members(const struct identity *had, const struct identity *want, uint32_t place,
                           char *problem)
{
    const struct residency_fence *before = &had->residency.fences[place];
    const struct residency_fence *now = &want->residency.fences[place];
    for (uint8_t id = 1; id <= FENCED_REGION_MAX; id++) {
        if ((before->members & ~now->members) >> id & 1 && !closes(want->closed, id))
            return refuse_left(want, before->name, id, problem);
    }
    bool was = residency_is_member(before, had->region);
    if (was && !residency_is_member(now, want->region))
        return refuse(
            problem, E_FOREIGN,
            "this directory holds what fence %s holds, and this region is no member of it "
            "any more: start it with an empty data directory",
            before->name);
    return E_OK;
}

static int compare_fences(const struct identity *had, const struct identity *want, char *problem)
{
    const struct residency *before = &had->residency, *now = &want->residency;
    for (uint32_t place = 1; place <= before->fence_count; place++) {
        const char *name = before->fences[place].name;
        if (place > now->fence_count || strcmp(now->fences[place].name, name) != 0)
            return refuse_moved(now, name, place, problem);
        int err = compare_members(had, want, place, problem);
        if (err)
            return err;
    }
    return E_OK;
}

static int compare(const struct identity *had, const struct identity *want, char *problem)
{
    if (strcmp(had->deployment, want->deployment) != 0)
        return refuse(problem, E_FOREIGN, "the data directory belongs to deployment %s, not to %s",
                      had->deployment, want->deployment);
    int err = compare_numbering(had, want, problem);
    if (err == E_OK)
        err = refuse_reopened(had, want, problem);
    if (err == E_OK)
        err = compare_self(had, want, problem);
    if (err == E_OK)
        err = compare_fences(had, want, problem);
    if (err)
        return err;
    if (had->shards != want->shards)
        return refuse(problem, E_FOREIGN,
                      "the data directory was written with %u shards, the configuration says %u: "
                      "the number is fixed",
                      had->shards, want->shards);
    return E_OK;
}

/* A new directory has nothing to bring along, and one that was written before lacks what the others have. */
static uint32_t joined(const struct identity *out, const struct identity *had)
{
    uint32_t joins = 0;
    for (uint32_t place = 1; place <= had->residency.fence_count; place++) {
        const struct residency_fence *now = &out->residency.fences[place];
        bool alone = now->members == 1u << out->region;
        bool was = residency_is_member(&had->residency.fences[place], had->region);
        joins |= (uint32_t)(!was && !alone && residency_is_member(now, out->region)) << place;
    }
    return joins;
}

static void inherit_residency(struct identity *out, const struct identity *had)
{
    uint32_t joins = joined(out, had);
    out->known.joining |= joins;
    if (joins != 0)
        out->known.joined_instance = out->instance;
    out->residency.prefix_bytes = had->residency.prefix_bytes;
    memcpy(out->residency.prefixes, had->residency.prefixes, sizeof(out->residency.prefixes));
}

/* What stays of what was known: nothing of numbers that were given up, ours among them. */
static void inherit(struct identity *out, const struct identity *had)
{
    out->instance = had->instance + 1;
    out->known = had->known;
    if (had->instance != 0)
        inherit_residency(out, had);
    if (out->region != had->region)
        out->known.amnesiac = false;
    for (size_t i = 0; i < COUNT_OF(out->closed); i++)
        out->closed[i] |= had->closed[i];
    for (unsigned number = 0; number < COUNT_OF(out->known.latest); number++) {
        if (closes(out->closed, (uint8_t)number))
            out->known.latest[number] = (struct identity_run){ 0 };
    }
}

int identity_store(struct disk *disk, const struct identity *id, char *problem)
{
    CHECK(id->instance != 0);
    return write_file(disk, id, problem);
}

int identity_adopt(struct disk *disk, struct identity *claimed, const struct identity *had,
                   char *problem)
{
    int err = compare_fences(had, claimed, problem);
    if (err)
        return err;
    inherit_residency(claimed, had);
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
        err = compare(&had, want, problem);
    else if (err == E_MISSING)
        err = refuse_orphan(disk, problem);
    if (err)
        return err;
    *out = *want;
    inherit(out, &had);
    err = write_file(disk, out, problem);
    if (err == E_OK)
        problem[0] = '\0';
    return err;
}
