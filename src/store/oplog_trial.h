/*
 * oplog_trial -- a log on a simulated disk beside a model of its bytes, for the log's tests.
 *
 * Who includes it includes sim/disk.h before: only tests may reach that far up.
 */
#ifndef STORE_OPLOG_TRIAL_H
#define STORE_OPLOG_TRIAL_H

#include "base/error.h"
#include "base/test.h"
#include "store/oplog.h"

enum { HEADER = 64 }; /* where a segment's records begin */

static struct sim_disk d;
static struct oplog oplog;
static struct oplog_report report;
static struct oplog_options options;

static struct buffer written; /* the model: every byte of the log, by LSN */
static uint64_t replay_lsn;   /* where the next replay has to begin */
static uint64_t replayed_lsn; /* all up to here was handed to it, in order and as written */
static bool replay_wrong;

static int check_replay(void *context, const struct record *record)
{
    (void)context;
    uint64_t payload_at = record->lsn + RECORD_HEADER_BYTES;
    bool same = record->lsn == replayed_lsn && record->lsn + record->bytes <= written.len &&
                span_equal(record->payload, span_of(written.at + payload_at, record->payload.len));
    replay_wrong |= !same;
    replayed_lsn = record->lsn + record->bytes;
    return E_OK;
}

static int reopen(void)
{
    replayed_lsn = replay_lsn;
    replay_wrong = false;
    return oplog_open(&oplog, &d.disk, &options, check_replay, NULL, &report);
}

static int begin(uint64_t seed, uint64_t segment_bytes)
{
    options = (struct oplog_options){ .deployment = "shop",
                                      .region = 7,
                                      .segment_bytes = segment_bytes };
    replay_lsn = 0;
    buffer_clear(&written);
    sim_disk_init(&d, seed);
    return reopen();
}

static void end(void)
{
    oplog_close(&oplog);
    sim_disk_release(&d);
    buffer_release(&written);
}

/* Seals a record at the end of the model, to be appended. */
static void seal(size_t payload_bytes)
{
    uint64_t lsn = written.len;
    uint8_t *to = buffer_room(&written, RECORD_HEADER_BYTES + payload_bytes);
    for (size_t i = 0; i < payload_bytes; i++)
        to[RECORD_HEADER_BYTES + i] = (uint8_t)(lsn * 31 + i * 7 + 1);
    record_seal(to, payload_bytes, lsn, oplog.durable_lsn);
    written.len += RECORD_HEADER_BYTES + payload_bytes;
}

/* Appends what the model has and the log has not. */
static int append_sealed(void)
{
    return oplog_append(&oplog, span_skip(buffer_span(&written), (size_t)oplog.end_lsn));
}

static int append(size_t payload_bytes)
{
    seal(payload_bytes);
    return append_sealed();
}

static bool recovered_to(uint64_t lsn)
{
    return !replay_wrong && replayed_lsn == lsn && oplog.end_lsn == lsn && oplog.durable_lsn == lsn;
}

/* Reads the whole log piece by piece and compares it with the model. */
static bool reads_back(size_t want)
{
    struct buffer all = { 0 };
    uint64_t lsn = oplog_start_lsn(&oplog);
    struct span wanted = span_skip(span_of(written.at, (size_t)oplog.end_lsn), (size_t)lsn);
    int err = E_OK;
    while (err == E_OK && all.len < wanted.len) {
        size_t before = all.len;
        err = oplog_read(&oplog, lsn + all.len, UINT64_MAX, want, &all);
        if (all.len == before)
            break;
    }
    bool same = err == E_OK && span_equal(buffer_span(&all), wanted);
    buffer_release(&all);
    return same;
}

#endif
