/* What of a log is read at a start, and what of it is kept. */
#include <stdio.h>

#include "base/check.h"
#include "base/prng.h"
#include "sim/disk.h"
#include "store/oplog_trial.h"

static const char *const names[] = {
    "0000000000000000.log",
    "0000000000000050.log",
    "00000000000000a0.log",
    "00000000000000f0.log",
};

/* Three finished segments of two records, 40 bytes each, and a last one with one; then closed. */
static int seven_records(void)
{
    int err = begin(1, HEADER + 100);
    for (int i = 0; i < 7 && err == E_OK; i++)
        err = append(20);
    if (err == E_OK)
        err = oplog_sync(&oplog);
    oplog_close(&oplog);
    return err;
}

static int reopen_from(uint64_t lsn)
{
    options.replay_from = replay_lsn = lsn;
    return reopen();
}

static bool has_file(const char *name)
{
    return sim_disk_bytes(&d, name).len > 0;
}

static bool says(const char *text)
{
    if (strstr(oplog.problem, text) != NULL)
        return true;
    printf("# %s\n", oplog.problem);
    return false;
}

/* --- replaying from a checkpoint --- */

TEST(only_what_the_checkpoint_has_not_is_replayed)
{
    for (uint64_t from = 0; from <= 280; from += 40) {
        EXPECT_EQ(seven_records(), E_OK);
        EXPECT_EQ(reopen_from(from), E_OK);
        EXPECT(recovered_to(280));
        EXPECT_EQ(report.records, (280 - from) / 40);
        EXPECT_EQ(report.bytes, 280 - from);
        EXPECT_EQ(report.total_bytes, 240 + 100 - from);
        EXPECT_EQ(oplog_start_lsn(&oplog), 0);
        EXPECT_EQ(oplog_bytes(&oplog), 4 * (HEADER + 100));
        EXPECT(reads_back(1));
        EXPECT_EQ(append(20), E_OK);
        EXPECT(reads_back(1000));
        end();
    }
}

TEST(earlier_segments_are_not_read_before_somebody_asks_for_them)
{
    struct buffer out = { 0 };
    EXPECT_EQ(seven_records(), E_OK);
    sim_disk_flip(&d, names[0], 3, 1);
    sim_disk_flip(&d, names[1], HEADER + 50, 1);
    EXPECT_EQ(reopen_from(160), E_OK);
    EXPECT(recovered_to(280));
    EXPECT_EQ(oplog_read(&oplog, 0, UINT64_MAX, 1, &out), E_CORRUPT);
    EXPECT(says("0000000000000000.log: damaged at offset 0:"));
    EXPECT_EQ(oplog_read(&oplog, 80, UINT64_MAX, 1, &out), E_OK);
    EXPECT_EQ(oplog_read(&oplog, 120, UINT64_MAX, 1, &out), E_CORRUPT);
    EXPECT(says("0000000000000050.log: damaged at offset 104:"));
    EXPECT_EQ(oplog_read(&oplog, 160, UINT64_MAX, 1, &out), E_OK);
    EXPECT_EQ(out.len, 80);
    buffer_release(&out);
    end();
}

TEST(a_bad_record_before_the_checkpoint_in_its_own_segment_is_rot)
{
    for (uint64_t last = 0; last < 2; last++) {
        EXPECT_EQ(seven_records(), E_OK);
        sim_disk_flip(&d, names[2 + last], HEADER + 30, 1);
        EXPECT_EQ(reopen_from(last ? 280 : 200), E_CORRUPT);
        EXPECT(says(names[2 + last]) && says("damaged at offset 64:"));
        EXPECT(says(last ? "as the checkpoint shows" : "as the next segment"));
        end();
    }
}

TEST(a_log_that_ends_before_the_checkpoint_is_refused)
{
    const char *text = "the log ends at LSN 280, before the checkpoint, which stands at 320: log "
                       "files are missing";
    EXPECT_EQ(seven_records(), E_OK);
    EXPECT_EQ(reopen_from(320), E_CORRUPT);
    EXPECT_SPAN(span_str(oplog.problem), span_str(text));
    EXPECT_EQ(reopen_from(1 << 20), E_CORRUPT);
    EXPECT(says("ends at LSN 280"));
    EXPECT_EQ(reopen_from(280), E_OK); /* and nothing was cut or made */
    EXPECT(recovered_to(280));
    EXPECT_EQ(oplog.segment_count, 4);
    end();
}

TEST(a_last_segment_without_records_ends_where_it_begins)
{
    EXPECT_EQ(seven_records(), E_OK);
    sim_disk_cut(&d, names[3], 0);
    EXPECT_EQ(reopen_from(280), E_CORRUPT);
    EXPECT(says("ends at LSN 240"));
    EXPECT_EQ(reopen_from(240), E_OK);
    EXPECT(recovered_to(240));
    EXPECT_EQ(report.records, 0);
    EXPECT_EQ(oplog.segment_count, 4);
    end();
}

TEST(no_log_is_not_enough_for_a_checkpoint)
{
    EXPECT_EQ(begin(1, 4096), E_OK);
    oplog_close(&oplog);
    EXPECT_EQ(d.disk.ops->remove(&d.disk, names[0]), E_OK);
    EXPECT_EQ(reopen_from(40), E_CORRUPT);
    EXPECT(says("ends at LSN 0, before the checkpoint, which stands at 40: log files are missing"));
    EXPECT(!has_file(names[0]));
    EXPECT_EQ(reopen_from(0), E_OK);
    end();
}

TEST(a_log_that_begins_after_the_checkpoint_is_refused)
{
    EXPECT_EQ(seven_records(), E_OK);
    EXPECT_EQ(d.disk.ops->remove(&d.disk, names[0]), E_OK);
    EXPECT_EQ(reopen_from(40), E_CORRUPT);
    EXPECT(says("the log begins at LSN 80, after the checkpoint, which stands at 40: log files "
                "are missing"));
    EXPECT_EQ(reopen_from(80), E_OK);
    EXPECT(recovered_to(280));
    EXPECT_EQ(oplog_start_lsn(&oplog), 80);
    EXPECT(reads_back(1));
    end();
}

TEST(a_segment_that_is_missing_before_the_checkpoint_is_named)
{
    EXPECT_EQ(seven_records(), E_OK);
    EXPECT_EQ(d.disk.ops->remove(&d.disk, names[1]), E_OK);
    EXPECT_EQ(reopen_from(240), E_CORRUPT);
    EXPECT(says("0000000000000000.log: has no room for the log up to LSN 160"));
    end();
}

TEST(a_checkpoint_stands_where_a_record_begins)
{
    EXPECT_EQ(seven_records(), E_OK);
    EXPECT_EQ(reopen_from(60), E_CORRUPT);
    EXPECT(says("0000000000000000.log: no record begins at LSN 60"));
    end();
}

TEST(what_a_checkpoint_covers_was_durable)
{
    EXPECT_EQ(begin(1, 4096), E_OK);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(append(20), E_OK); /* none of them says that one before was synced */
    EXPECT_EQ(oplog_sync(&oplog), E_OK);
    oplog_close(&oplog);
    sim_disk_flip(&d, names[0], HEADER + 50, 1);
    EXPECT_EQ(reopen_from(120), E_CORRUPT);
    EXPECT(says("damaged at offset 104:") && says("the checkpoint"));
    EXPECT_EQ(reopen_from(40), E_OK); /* to this one the rest is a torn tail */
    EXPECT(recovered_to(40));
    EXPECT_EQ(report.cut_bytes, 120);
    end();
}

/* --- rolling --- */

TEST(what_was_dropped_after_a_roll_is_in_no_file)
{
    EXPECT_EQ(begin(1, 4096), E_OK);
    EXPECT_EQ(append(20), E_OK);
    struct buffer bytes = { 0 };
    EXPECT_EQ(oplog_read(&oplog, 0, 40, 100, &bytes), E_OK);
    EXPECT_EQ(oplog_roll(&oplog), E_OK);
    EXPECT_EQ(append(20), E_OK);
    EXPECT(sim_disk_has(&d, buffer_span(&bytes)));
    EXPECT_EQ(oplog_drop(&oplog, 40), E_OK);
    EXPECT(!sim_disk_has(&d, buffer_span(&bytes)));
    for (int i = 0; i < 300; i++)
        EXPECT_EQ(append(20), E_OK);
    EXPECT(oplog.segment_count > 2 && !sim_disk_has(&d, buffer_span(&bytes)));
    buffer_release(&bytes);
    end();
}

TEST(after_a_roll_the_next_record_begins_a_segment)
{
    EXPECT_EQ(begin(1, 4096), E_OK);
    EXPECT_EQ(oplog_roll(&oplog), E_OK); /* it begins one already */
    EXPECT_EQ(oplog.segment_count, 1);
    EXPECT_EQ(append(20), E_OK);
    EXPECT_EQ(oplog_roll(&oplog), E_OK);
    EXPECT_EQ(oplog.durable_lsn, 40);
    EXPECT_EQ(oplog_roll(&oplog), E_OK);
    EXPECT_EQ(oplog.segment_count, 2);
    EXPECT_EQ(append(20), E_OK);
    EXPECT_EQ(oplog.segments[1].start_lsn, 40);
    EXPECT_EQ(oplog.segments[1].end_lsn, 80);
    EXPECT(reads_back(1000));
    EXPECT_EQ(oplog_roll(&oplog), E_OK);
    oplog_close(&oplog);
    EXPECT_EQ(reopen_from(80), E_OK);
    EXPECT(recovered_to(80));
    EXPECT_EQ(oplog.segment_count, 3);
    EXPECT_EQ(oplog_drop(&oplog, 80), E_OK);
    EXPECT_EQ(oplog_start_lsn(&oplog), 80);
    end();
}

TEST(a_roll_that_finds_no_room_leaves_the_log_as_it_was)
{
    EXPECT_EQ(begin(1, 4096), E_OK);
    EXPECT_EQ(append(20), E_OK);
    sim_disk_fail(&d, SIM_DISK_ALLOCATE, 1, E_FULL);
    EXPECT_EQ(oplog_roll(&oplog), E_FULL);
    EXPECT(says("no space left"));
    EXPECT_EQ(oplog.segment_count, 1);
    EXPECT_EQ(append(20), E_OK);
    EXPECT_EQ(oplog_sync(&oplog), E_OK);
    sim_disk_crash(&d);
    oplog_close(&oplog);
    EXPECT_EQ(reopen_from(0), E_OK);
    EXPECT(recovered_to(80));
    EXPECT_EQ(oplog_roll(&oplog), E_OK);
    EXPECT_EQ(oplog.segment_count, 2);
    end();
}

TEST(a_roll_that_fails_breaks_the_log)
{
    EXPECT_EQ(begin(1, 4096), E_OK);
    EXPECT_EQ(append(20), E_OK);
    EXPECT_EQ(oplog_sync(&oplog), E_OK);
    sim_disk_fail(&d, SIM_DISK_ALLOCATE, 1, E_IO);
    EXPECT_EQ(oplog_roll(&oplog), E_IO);
    EXPECT(says("input/output"));
    EXPECT_EQ(oplog_roll(&oplog), E_IO);
    EXPECT_EQ(append(20), E_IO);
    EXPECT_EQ(oplog_drop(&oplog, 40), E_IO);
    EXPECT(oplog_start_lsn(&oplog) == 0 && oplog.durable_lsn == 40);
    end();
}

/* --- dropping --- */

TEST(segments_are_dropped_whole_and_never_the_last)
{
    static const struct {
        uint64_t lsn, start_lsn;
    } drops[] = { { 0, 0 }, { 79, 0 }, { 80, 80 }, { 80, 80 }, { 239, 160 }, { 9999, 240 } };
    struct buffer out = { 0 };
    EXPECT_EQ(seven_records(), E_OK);
    EXPECT_EQ(reopen(), E_OK);
    for (size_t i = 0; i < sizeof drops / sizeof drops[0]; i++) {
        EXPECT_EQ(oplog_drop(&oplog, drops[i].lsn), E_OK);
        EXPECT_EQ(oplog_start_lsn(&oplog), drops[i].start_lsn);
        EXPECT_EQ(oplog_bytes(&oplog), (4 - drops[i].start_lsn / 80) * (HEADER + 100));
        for (size_t n = 0; n < 4; n++)
            EXPECT_EQ(has_file(names[n]), n >= drops[i].start_lsn / 80);
        EXPECT(reads_back(1));
    }
    EXPECT_EQ(oplog_read(&oplog, 200, UINT64_MAX, 1, &out), E_MISSING);
    EXPECT(says("the log before LSN 240 is no longer kept"));
    buffer_release(&out);
    oplog_close(&oplog);
    EXPECT_EQ(reopen_from(240), E_OK);
    EXPECT(recovered_to(280));
    end();
}

TEST(the_segment_that_was_read_last_can_go_too)
{
    struct buffer out = { 0 };
    EXPECT_EQ(seven_records(), E_OK);
    EXPECT_EQ(reopen(), E_OK);
    EXPECT_EQ(oplog_read(&oplog, 0, UINT64_MAX, 1, &out), E_OK);
    EXPECT_EQ(oplog_drop(&oplog, 80), E_OK);
    EXPECT_EQ(oplog_read(&oplog, 0, UINT64_MAX, 1, &out), E_MISSING);
    EXPECT_EQ(oplog_read(&oplog, 80, UINT64_MAX, 1, &out), E_OK);
    EXPECT_EQ(oplog_drop(&oplog, 80), E_OK); /* while the next one is open */
    EXPECT(reads_back(1));
    buffer_release(&out);
    end();
}

TEST(a_drop_that_fails_is_tried_again_and_breaks_nothing)
{
    EXPECT_EQ(seven_records(), E_OK);
    EXPECT_EQ(reopen(), E_OK);
    d.die_at = d.calls + 1;
    EXPECT_EQ(oplog_drop(&oplog, 240), E_IO);
    EXPECT(says(names[0]) && says("remove"));
    d.die_at = 0;
    EXPECT_EQ(oplog_start_lsn(&oplog), 0);
    EXPECT_EQ(append(20), E_OK);

    sim_disk_fail(&d, SIM_DISK_SYNC_NAMES, 2, E_IO);
    EXPECT_EQ(oplog_drop(&oplog, 240), E_IO);
    EXPECT(says("sync"));
    EXPECT_EQ(oplog_start_lsn(&oplog), 160);
    EXPECT_EQ(append(20), E_OK);
    EXPECT_EQ(oplog_sync(&oplog), E_OK);
    EXPECT(reads_back(1));
    sim_disk_fail(&d, SIM_DISK_SYNC_NAMES, 1, E_IO);
    EXPECT_EQ(oplog_drop(&oplog, 240), E_IO); /* what is gone comes first */
    EXPECT_EQ(oplog_start_lsn(&oplog), 160);
    EXPECT_EQ(oplog_drop(&oplog, 240), E_OK);
    EXPECT_EQ(oplog_start_lsn(&oplog), 240);
    end();
}

TEST(a_name_that_is_gone_already_is_no_obstacle)
{
    EXPECT_EQ(seven_records(), E_OK);
    EXPECT_EQ(reopen(), E_OK);
    EXPECT_EQ(d.disk.ops->remove(&d.disk, names[0]), E_OK);
    EXPECT_EQ(oplog_drop(&oplog, 160), E_OK);
    EXPECT_EQ(oplog_start_lsn(&oplog), 160);
    end();
}

/* --- numbers that the region bore before --- */

TEST(a_log_of_former_numbers_is_ours_and_goes_on_under_the_new_one)
{
    EXPECT_EQ(seven_records(), E_OK);
    options.region = 200;
    EXPECT_EQ(reopen(), E_FOREIGN);
    options.regions[0] = 1ull << 6 | 1ull << 8;
    options.regions[3] = ~0ull;
    EXPECT_EQ(reopen(), E_FOREIGN);
    options.regions[0] = 1ull << 7;
    EXPECT_EQ(reopen(), E_OK);
    EXPECT(recovered_to(280));
    EXPECT_EQ(oplog_roll(&oplog), E_OK);
    EXPECT_EQ(append(20), E_OK);
    EXPECT(reads_back(1));
    oplog_close(&oplog);

    options
        .regions[0] = 0; /* of a foreign segment that is not replayed one hears when it is read */
    EXPECT_EQ(reopen_from(280), E_OK);
    EXPECT(recovered_to(320));
    EXPECT(!reads_back(1));
    EXPECT(says("0000000000000000.log: belongs to region number 7 of this deployment"));
    end();
}

/* --- all of it, against the model --- */

/* A random place where a record of the model begins, at or after `lsn`, up to `limit_lsn`. */
static uint64_t some_place(struct prng *r, uint64_t lsn, uint64_t limit_lsn)
{
    uint64_t place = lsn;
    size_t need;
    struct record record;
    while (lsn < limit_lsn) {
        struct span rest = span_skip(buffer_span(&written), (size_t)lsn);
        CHECK(record_read(rest, lsn, &record, &need) == RECORD_GOOD);
        lsn += record.bytes;
        if (prng_below(r, 4) == 0)
            place = lsn;
    }
    return place;
}

/* Random appends, syncs, rolls, checkpoints and drops behind them, until a call fails or enough is
 * done; *checkpoint_lsn is where the last checkpoint stands. */
static void random_work(struct prng *r, uint64_t *checkpoint_lsn)
{
    int err = E_OK;
    for (uint64_t steps = prng_below(r, 30); steps > 0 && err == E_OK; steps--) {
        switch (prng_below(r, 6)) {
        case 0:
            err = oplog_sync(&oplog);
            break;
        case 1:
            err = prng_below(r, 3) == 0 ? oplog_roll(&oplog) : E_OK;
            break;
        case 2:
            *checkpoint_lsn = some_place(r, *checkpoint_lsn, oplog.durable_lsn);
            err = oplog_drop(&oplog, *checkpoint_lsn);
            EXPECT(oplog_start_lsn(&oplog) <= *checkpoint_lsn);
            break;
        default:
            for (uint64_t records = 1 + prng_below(r, 3); records > 0; records--)
                seal(1 + (size_t)prng_below(r, prng_below(r, 10) == 0 ? 900 : 60));
            err = append_sealed();
        }
    }
}

TEST(after_any_crash_the_log_goes_on_from_the_checkpoint)
{
    struct prng r;
    uint64_t checkpoint_lsn = 0, dropped = 0, deaths = 0;
    prng_seed(&r, test_seed());
    EXPECT_EQ(begin(prng_next(&r), 512), E_OK);
    for (int round = 0; round < 500; round++) {
        uint64_t start_lsn = oplog_start_lsn(&oplog);
        if (prng_below(&r, 3) > 0)
            d.die_at = d.calls + 1 + prng_below(&r, 40);
        random_work(&r, &checkpoint_lsn);
        deaths += oplog.broken;
        dropped += oplog_start_lsn(&oplog) > start_lsn;
        uint64_t least_lsn = oplog.durable_lsn;
        oplog_close(&oplog);
        sim_disk_crash(&d);
        EXPECT_EQ(reopen_from(checkpoint_lsn), E_OK);
        EXPECT(recovered_to(oplog.end_lsn));
        EXPECT(oplog.end_lsn >= least_lsn && oplog_start_lsn(&oplog) <= checkpoint_lsn);
        written.len = (size_t)oplog.end_lsn;
        EXPECT(round % 20 != 0 || reads_back(300));
    }
    EXPECT(dropped > 50 && deaths > 100);
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
