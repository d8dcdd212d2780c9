#include "store/logmake.h"

#include <stdio.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "store/segment.h"

enum { WRITE_BYTES = 1 << 20 };

static int fail(struct logmake *m, const char *problem, int error)
{
    snprintf(m->problem, sizeof(m->problem), "%s", problem);
    return error;
}

/* A log that begins anywhere but at 0 begins with a segment that is there. */
static int make_first_segment(struct disk *disk, const struct oplog_options *options)
{
    const struct segment_header header = {
        .start_lsn = options->replay_from,
        .region = options->region,
        .deployment_crc = crc32c(0, span_str(options->deployment)),
    };
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    char name[SEGMENT_NAME_BYTES];
    struct disk_file *file;
    segment_write_header(&header, bytes);
    segment_name(header.start_lsn, name);
    int error = disk->ops->open(disk, name, true, &file);
    if (error != E_OK)
        return error;
    error = disk->ops->write(disk, file, 0, span_of(bytes, sizeof(bytes)));
    disk->ops->close(disk, file);
    return error;
}

static int replay_nothing(void *context, const struct record *record)
{
    (void)context;
    (void)record;
    return E_CORRUPT; /* there is to be none */
}

int logmake_begin(struct logmake *m, struct disk *disk, const struct oplog_options *options)
{
    struct oplog_report report;
    *m = (struct logmake){ .log.broken = true };
    int error = options->replay_from > 0 ? make_first_segment(disk, options) : E_OK;
    if (error != E_OK)
        return fail(m, disk->detail, error);
    error = oplog_open(&m->log, disk, options, replay_nothing, NULL, &report);
    return error == E_OK ? E_OK : fail(m, m->log.problem, error);
}

static int flush(struct logmake *m)
{
    int error = oplog_append(&m->log, buffer_span(&m->out));
    buffer_clear(&m->out);
    return error == E_OK ? E_OK : fail(m, m->log.problem, error);
}

int logmake_put(struct logmake *m, struct span batch)
{
    uint64_t lsn = m->log.end_lsn + m->out.len;
    uint8_t *to = buffer_room(&m->out, RECORD_HEADER_BYTES + batch.len);
    memcpy(to + RECORD_HEADER_BYTES, batch.at, batch.len);
    record_seal(to, batch.len, lsn, m->log.durable_lsn);
    m->out.len += RECORD_HEADER_BYTES + batch.len;
    return m->out.len < WRITE_BYTES ? E_OK : flush(m);
}

int logmake_end(struct logmake *m, uint64_t *end_lsn)
{
    int error = m->problem[0] == '\0' ? flush(m) : E_IO;
    if (error == E_OK) {
        error = oplog_sync(&m->log);
        if (error != E_OK)
            fail(m, m->log.problem, error);
    }
    *end_lsn = m->log.end_lsn;
    oplog_close(&m->log);
    buffer_release(&m->out);
    return error;
}
