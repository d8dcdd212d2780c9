#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "store/identity.h"

/*
 * The file "clock": two slots, each at the start of its own 4 KiB so that no torn sector or page
 * spans both:
 *
 *     8   ceiling in milliseconds since 1970, little-endian
 *     4   CRC32C of these
 *
 * Ceilings only grow, so the greatest good one is the newest. Its slot is never the next one
 * written.
 */

enum { SLOTS = 2, SLOT_STRIDE = 4096, SLOT_BYTES = 12 };

static const char file_name[] = "clock";

enum slot_state { SLOT_EMPTY, SLOT_GOOD, SLOT_BAD };

static enum slot_state judge_slot(struct span in, uint64_t *ceiling_ms)
{
    static const uint8_t zeros[SLOT_BYTES];
    struct span whole = in;
    uint32_t crc;
    if (in.len == 0 || (in.len <= SLOT_BYTES && memcmp(in.at, zeros, in.len) == 0))
        return SLOT_EMPTY;
    if (!span_take_u64(&in, ceiling_ms) || !span_take_u32(&in, &crc))
        return SLOT_BAD;
    return crc == crc32c(0, span_of(whole.at, 8)) ? SLOT_GOOD : SLOT_BAD;
}

static int read_slots(struct ceiling_file *c, uint64_t *ceiling_ms)
{
    struct buffer bytes = { 0 };
    int err = E_OK;
    uint32_t bad = 0;
    *ceiling_ms = 0;
    for (uint32_t slot = 0; slot < SLOTS && err == E_OK; slot++) {
        uint64_t found = 0;
        buffer_clear(&bytes);
        err = c->disk->ops->read(c->disk, c->file, (uint64_t)slot * SLOT_STRIDE, SLOT_BYTES,
                                 &bytes);
        if (err)
            break;
        enum slot_state state = judge_slot(buffer_span(&bytes), &found);
        bad += state == SLOT_BAD;
        if (state == SLOT_GOOD && found >= *ceiling_ms) {
            *ceiling_ms = found;
            c->next_slot = (slot + 1) % SLOTS;
        }
    }
    buffer_release(&bytes);
    /* A torn write can spoil one slot only. */
    return err == E_OK && bad == SLOTS ? E_CORRUPT : err;
}

int ceiling_open(struct ceiling_file *c, struct disk *disk, uint64_t *ceiling_ms)
{
    *c = (struct ceiling_file){ .disk = disk };
    int err = disk->ops->open(disk, file_name, true, &c->file);
    if (err)
        return err;
    err = read_slots(c, ceiling_ms);
    if (err == E_CORRUPT) {
        static const char detail[] =
            "clock: damaged: neither slot matches its checksum; give the region a new id";
        memcpy(disk->detail, detail, sizeof detail);
    }
    if (err == E_OK)
        err = disk->ops->sync_names(disk);
    if (err)
        ceiling_close(c);
    return err;
}

int ceiling_write(struct ceiling_file *c, uint64_t ceiling_ms)
{
    struct buffer bytes = { 0 };
    CHECK(c->file != NULL);
    buffer_put_u64(&bytes, ceiling_ms);
    buffer_put_u32(&bytes, crc32c(0, buffer_span(&bytes)));
    uint64_t offset = (uint64_t)c->next_slot * SLOT_STRIDE;
    int err = c->disk->ops->write(c->disk, c->file, offset, buffer_span(&bytes));
    if (err == E_OK)
        err = c->disk->ops->sync(c->disk, c->file);
    if (err == E_OK)
        c->next_slot = (c->next_slot + 1) % SLOTS;
    buffer_release(&bytes);
    return err;
}

void ceiling_close(struct ceiling_file *c)
{
    if (c->file != NULL)
        c->disk->ops->close(c->disk, c->file);
    *c = (struct ceiling_file){ 0 };
}
