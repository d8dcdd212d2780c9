/*
 * Fuzz: the log's recovery. A log is written, crashed and damaged, and opened again: it is recovered
 * or refused. What was recovered is recovered again, with nothing more to cut, from any of its
 * records on, and can be appended to; after a crash alone it is all that was durable and not
 * dropped, and maybe more of what was written; a flipped bit below what some later record proves
 * durable is refused.
 *
 * Pieces by the low bits of their control byte:
 *
 *     APPEND  a record with these bytes                  SYNC   or (bit 7) a roll, or (bit 6) a drop
 *                                                               of what ends below a place (u16)
 *     CRASH   power is lost                              FLIP   one bit (u32 place) of the last segment,
 *     CUT     the last segment is as long as (u32)              or an earlier one (bit 7)
 *     PATCH   bytes at a place (u32) of a segment        FORGE  a record, sealed for LSN (u64) and synced
 *                                                               (u64), at its place or at place (u32)
 *     FILE    a file named by a u64, of these bytes, with (bit 7) or without a good header
 */
#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/pieces.h"
#include "sim/disk.h"
#include "store/oplog.h"
#include "store/segment.h"

enum {
    PIECE_APPEND,
    PIECE_SYNC,
    PIECE_CRASH,
    PIECE_FLIP,
    PIECE_CUT,
    PIECE_PATCH,
    PIECE_FORGE,
    PIECE_FILE
};

enum { OTHER = 1 << 7, DROP = 1 << 6 };

enum { SEGMENT_BYTES = 512, FILE_BYTES_MAX = 1 << 16, HEADER_CHECKED_BYTES = 32 };

static struct oplog_options options = {
    .deployment = "shop",
    .region = 7,
    .segment_bytes = SEGMENT_BYTES,
};

static struct sim_disk disk;
static struct oplog oplog;
static struct oplog_report report;
static struct buffer written;  /* what was appended, from first_lsn on */
static struct buffer replayed; /* what the last opening handed out */
static uint64_t first_lsn;     /* of the first record that was replayed */
static uint64_t next_lsn;      /* after the last one */

static uint64_t take_number(struct span *in, size_t bytes)
{
    uint64_t v = 0;
    uint8_t byte;
    for (size_t i = 0; i < bytes && span_take_u8(in, &byte); i++)
        v |= (uint64_t)byte << (8 * i);
    return v;
}

/* --- opening --- */

/* Records come in order, and without gaps within the log. */
static int replay(void *context, const struct record *record)
{
    (void)context;
    uint8_t header[RECORD_HEADER_BYTES];
    if (replayed.len == 0)
        first_lsn = record->lsn;
    else
        CHECK(record->lsn == next_lsn);
    next_lsn = record->lsn + record->bytes;
    CHECK(record->synced_lsn <= record->lsn);
    CHECK(record->bytes == record->payload.len + sizeof header);
    buffer_put_bytes(&replayed, record->payload.at - sizeof header, record->bytes);
    return E_OK;
}

static int open_log(void)
{
    buffer_clear(&replayed);
    return oplog_open(&oplog, &disk.disk, &options, replay, NULL, &report);
}

/* All of the log as its readers get it. */
static void check_reads(void)
{
    struct buffer all = { 0 };
    while (first_lsn + all.len < oplog.end_lsn && replayed.len > 0) {
        size_t before = all.len;
        CHECK(oplog_read(&oplog, first_lsn + all.len, UINT64_MAX, 100, &all) == E_OK);
        CHECK(all.len > before);
    }
    CHECK(span_equal(buffer_span(&all), buffer_span(&replayed)));
    buffer_release(&all);
}

/* Opens a log that was accepted once more: nothing is cut, and `expected` is replayed. */
static void check_opens(uint64_t from_lsn, uint64_t end_lsn, struct span expected)
{
    options.replay_from = from_lsn;
    CHECK(open_log() == E_OK);
    CHECK(report.cut_bytes == 0 && oplog.end_lsn == end_lsn && oplog.durable_lsn == end_lsn);
    CHECK(report.total_bytes >= expected.len);
    CHECK(span_equal(expected, buffer_span(&replayed)));
    oplog_close(&oplog);
    options.replay_from = 0;
}

/* What one opening has accepted, the next accepts too, the same, and from each of some places on. */
static void check_stands(void)
{
    struct buffer before = { 0 };
    uint64_t start_lsn = first_lsn, end_lsn = oplog.end_lsn;
    check_reads();
    buffer_put(&before, buffer_span(&replayed));
    oplog_close(&oplog);
    struct span all = buffer_span(&before), rest = all;
    size_t need, skip = 0;
    struct record record;
    while (rest.len > 0 && record_read(rest, end_lsn - rest.len, &record, &need) == RECORD_GOOD) {
        skip++;
        rest = span_skip(rest, record.bytes);
        if ((skip & (skip - 1)) == 0)
            check_opens(end_lsn - rest.len, end_lsn, rest);
    }
    CHECK(rest.len == 0);
    check_opens(0, end_lsn, all);
    CHECK(open_log() == E_OK);
    CHECK(replayed.len == 0 || first_lsn == start_lsn);
    buffer_release(&before);
}

/* The log as it now stands is the model of what follows. */
static void accept_log(void)
{
    CHECK(replayed.len == 0 || next_lsn == oplog.end_lsn);
    check_stands();
    buffer_clear(&written);
    buffer_put(&written, buffer_span(&replayed));
    if (replayed.len == 0)
        first_lsn = oplog.end_lsn;
    CHECK(first_lsn + written.len == oplog.end_lsn);
}

/* --- writing --- */

static void append(struct span payload)
{
    static const uint8_t nothing[1];
    if (payload.len == 0)
        payload = span_of(nothing, 1);
    size_t start = written.len, bytes = RECORD_HEADER_BYTES + payload.len;
    uint8_t *to = buffer_room(&written, bytes);
    memcpy(to + RECORD_HEADER_BYTES, payload.at, payload.len);
    record_seal(to, payload.len, oplog.end_lsn, oplog.durable_lsn);
    written.len += bytes;
    CHECK(oplog_append(&oplog, span_skip(buffer_span(&written), start)) == E_OK);
}

/* Drops what ends below a place in the log, and forgets it. */
static void drop(struct span in)
{
    CHECK(oplog_sync(&oplog) == E_OK);
    uint64_t lsn = first_lsn + take_number(&in, 2) % (written.len + 1);
    CHECK(oplog_drop(&oplog, lsn) == E_OK);
    CHECK(oplog_start_lsn(&oplog) <= lsn || oplog.segment_count == 1);
    if (oplog_start_lsn(&oplog) <= first_lsn)
        return;
    buffer_consume(&written, (size_t)(oplog_start_lsn(&oplog) - first_lsn));
    first_lsn = oplog_start_lsn(&oplog);
}

static void crash(void)
{
    uint64_t durable_lsn = oplog.durable_lsn;
    oplog_close(&oplog);
    sim_disk_crash(&disk);
    CHECK(open_log() == E_OK);
    CHECK(oplog.end_lsn >= durable_lsn && replayed.len <= written.len);
    CHECK(span_equal(buffer_span(&replayed), span_of(written.at, replayed.len)));
    CHECK(first_lsn + replayed.len == oplog.end_lsn || replayed.len == 0);
    accept_log();
}

/* --- damage --- */

/* The last segment, or some earlier one. */
static size_t choose_segment(uint8_t control)
{
    size_t last = oplog.segment_count - 1;
    return control & OTHER && last > 0 ? (size_t)(control >> 3 & 15) % last : last;
}

/* True when the record at `lsn` is proved to have been durable: by a later segment, or by what a
 * later record of its own says. */
static bool proved_durable(size_t segment, uint64_t lsn)
{
    size_t need;
    struct record record;
    if (segment + 1 < oplog.segment_count)
        return true;
    for (uint64_t at = lsn; at < oplog.end_lsn; at += record.bytes) {
        struct span rest = span_skip(buffer_span(&written), (size_t)(at - first_lsn));
        CHECK(record_read(rest, at, &record, &need) == RECORD_GOOD);
        if (record.synced_lsn > lsn)
            return true;
    }
    return false;
}

/* The LSN of the record in which a byte of the log lies. */
static uint64_t record_around(uint64_t lsn)
{
    size_t need;
    struct record record;
    uint64_t at = first_lsn;
    for (;;) {
        struct span rest = span_skip(buffer_span(&written), (size_t)(at - first_lsn));
        CHECK(record_read(rest, at, &record, &need) == RECORD_GOOD);
        if (at + record.bytes > lsn)
            return at;
        at += record.bytes;
    }
}

enum { OPEN_AS_BEFORE, OPEN_CUT, OPEN_REFUSED };

/* What must come of a bit that flips at `offset` of a segment; *cut_lsn is where a cut log ends. */
static int judge_flip(size_t index, uint64_t offset, uint64_t *cut_lsn)
{
    const struct oplog_segment *segment = &oplog.segments[index];
    bool last = index + 1 == oplog.segment_count;
    bool empty = segment->start_lsn == segment->end_lsn;
    uint64_t lsn = segment->start_lsn + offset - SEGMENT_HEADER_BYTES;
    *cut_lsn = oplog.end_lsn;
    if (offset < HEADER_CHECKED_BYTES)
        return last && empty ? OPEN_AS_BEFORE : OPEN_REFUSED;
    if (offset < SEGMENT_HEADER_BYTES || lsn >= segment->end_lsn)
        return OPEN_AS_BEFORE;
    *cut_lsn = record_around(lsn);
    return proved_durable(index, *cut_lsn) ? OPEN_REFUSED : OPEN_CUT;
}

/* True when the log is open again. */
static bool flip(struct span in, uint8_t control)
{
    size_t index = choose_segment(control);
    char name[SEGMENT_NAME_BYTES];
    uint64_t cut_lsn;
    segment_name(oplog.segments[index].start_lsn, name);
    uint64_t offset = take_number(&in, 4) % sim_disk_bytes(&disk, name).len;
    unsigned bit = (unsigned)take_number(&in, 1) % 8;
    int expected = judge_flip(index, offset, &cut_lsn);
    oplog_close(&oplog);
    sim_disk_flip(&disk, name, offset, bit);
    int err = open_log();
    if (expected == OPEN_REFUSED) {
        CHECK(err == E_CORRUPT || err == E_FOREIGN || err == E_VERSION);
        CHECK(strlen(oplog.problem) > 0);
        return false;
    }
    CHECK(err == E_OK && oplog.end_lsn == cut_lsn);
    CHECK(span_equal(buffer_span(&replayed), span_of(written.at, (size_t)(cut_lsn - first_lsn))));
    accept_log();
    return true;
}

/* Opened after damage of any kind: recovered, and then it stands; or refused, and then again. */
static bool open_damaged(void)
{
    int err = open_log();
    if (err == E_OK) {
        accept_log();
        return true;
    }
    CHECK(strlen(oplog.problem) > 0);
    CHECK(open_log() == err);
    return false;
}

static void write_file(const char *name, uint64_t offset, struct span bytes)
{
    struct disk_file *file;
    CHECK(disk.disk.ops->open(&disk.disk, name, true, &file) == E_OK);
    CHECK(disk.disk.ops->write(&disk.disk, file, offset, bytes) == E_OK);
    CHECK(disk.disk.ops->sync(&disk.disk, file) == E_OK);
    CHECK(disk.disk.ops->sync_names(&disk.disk) == E_OK);
    disk.disk.ops->close(&disk.disk, file);
}

static bool cut(struct span in, uint8_t control)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(oplog.segments[choose_segment(control)].start_lsn, name);
    oplog_close(&oplog);
    sim_disk_cut(&disk, name, take_number(&in, 4) % FILE_BYTES_MAX);
    return open_damaged();
}

static bool patch(struct span in, uint8_t control)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(oplog.segments[choose_segment(control)].start_lsn, name);
    uint64_t offset = take_number(&in, 4) % FILE_BYTES_MAX;
    oplog_close(&oplog);
    write_file(name, offset, in);
    return open_damaged();
}

static bool forge(struct span in, uint8_t control)
{
    const struct oplog_segment *segment = &oplog.segments[oplog.segment_count - 1];
    char name[SEGMENT_NAME_BYTES];
    segment_name(segment->start_lsn, name);
    uint64_t lsn = take_number(&in, 8), synced_lsn = take_number(&in, 8);
    uint64_t offset = take_number(&in, 4);
    if (!(control & OTHER)) {
        lsn = segment->start_lsn + lsn % FILE_BYTES_MAX;
        offset = segment_offset(segment->start_lsn, lsn);
    }
    if (synced_lsn > lsn)
        synced_lsn = lsn;
    struct buffer record = { 0 };
    buffer_room(&record, RECORD_HEADER_BYTES);
    record.len = RECORD_HEADER_BYTES;
    buffer_put(&record, in);
    buffer_put_u8(&record, 1);
    record_seal(record.at, record.len - RECORD_HEADER_BYTES, lsn, synced_lsn);
    oplog_close(&oplog);
    write_file(name, offset % FILE_BYTES_MAX, buffer_span(&record));
    buffer_release(&record);
    return open_damaged();
}

static bool add_file(struct span in, uint8_t control)
{
    struct segment_header header = {
        .start_lsn = take_number(&in, 8),
        .region = options.region,
        .deployment_crc = crc32c(0, span_str(options.deployment)),
    };
    char name[SEGMENT_NAME_BYTES];
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    segment_name(header.start_lsn, name);
    segment_write_header(&header, bytes);
    oplog_close(&oplog);
    if (control & OTHER) {
        write_file(name, 0, span_of(bytes, sizeof bytes));
        write_file(name, sizeof bytes, in);
    } else {
        write_file(name, 0, in);
    }
    return open_damaged();
}

/* False when the log was refused: it is closed, and that was it. */
static bool run_piece(const struct piece *piece)
{
    switch (piece->control & 7) {
    case PIECE_APPEND:
        append(piece->bytes);
        return true;
    case PIECE_SYNC:
        if (piece->control & DROP)
            drop(piece->bytes);
        else
            CHECK((piece->control & OTHER ? oplog_roll(&oplog) : oplog_sync(&oplog)) == E_OK);
        return true;
    case PIECE_CRASH:
        crash();
        return true;
    case PIECE_FLIP:
        return flip(piece->bytes, piece->control);
    case PIECE_CUT:
        return cut(piece->bytes, piece->control);
    case PIECE_PATCH:
        return patch(piece->bytes, piece->control);
    case PIECE_FORGE:
        return forge(piece->bytes, piece->control);
    case PIECE_FILE:
        return add_file(piece->bytes, piece->control);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span in = span_of(bytes, len);
    struct piece piece;
    bool open = true;
    sim_disk_init(&disk, len);
    CHECK(open_log() == E_OK);
    accept_log();
    while (open && pieces_next(&in, &piece))
        open = run_piece(&piece);
    if (open) {
        CHECK(oplog_sync(&oplog) == E_OK);
        oplog_close(&oplog);
        CHECK(open_log() == E_OK);
        CHECK(span_equal(buffer_span(&replayed), buffer_span(&written)));
        oplog_close(&oplog);
    }
    sim_disk_release(&disk);
    buffer_release(&written);
    buffer_release(&replayed);
    return 0;
}
