#include <stdio.h>

#include "base/prng.h"
#include "sim/disk.h"
#include "store/oplog_trial.h"

TEST(records_come_back_after_a_restart)
{
    EXPECT_EQ(begin(1, 4096), E_OK);
    for (size_t i = 1; i <= 20; i++)
        EXPECT_EQ(append(i * 3), E_OK);
    EXPECT_EQ(oplog.durable_lsn, 0);
    EXPECT_EQ(oplog_sync(&oplog), E_OK);
    EXPECT_EQ(oplog.durable_lsn, written.len);
    oplog_close(&oplog);
    EXPECT_EQ(reopen(), E_OK);
    EXPECT(recovered_to(written.len));
    EXPECT_EQ(report.records, 20);
    EXPECT_EQ(report.bytes, written.len);
    EXPECT_EQ(report.cut_bytes, 0);
    EXPECT_EQ(append(10), E_OK);
    EXPECT(reads_back(50));
    end();
}

TEST(segments_roll_over_and_are_named_by_their_first_lsn)
{
    EXPECT_EQ(begin(1, HEADER + 100), E_OK);
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(append(20), E_OK); /* 40 bytes each: two to a segment */
    EXPECT_EQ(oplog.segment_count, 5);
    EXPECT_EQ(oplog.durable_lsn, 320);
    EXPECT_EQ(sim_disk_bytes(&d, "0000000000000050.log").len, HEADER + 100);
    EXPECT_EQ(oplog.segments[3].start_lsn, 240);
    EXPECT_EQ(oplog.segments[3].end_lsn, 320);
    EXPECT(reads_back(1));
    EXPECT(reads_back(1000));
    oplog_close(&oplog);
    EXPECT_EQ(reopen(), E_OK);
    EXPECT(recovered_to(400));
    EXPECT(reads_back(60));
    end();
}

TEST(several_records_in_one_append_are_spread_over_segments)
{
    EXPECT_EQ(begin(1, HEADER + 100), E_OK);
    for (int i = 0; i < 7; i++)
        seal(20);
    EXPECT_EQ(append_sealed(), E_OK);
    EXPECT_EQ(oplog.segment_count, 4);
    oplog_close(&oplog);
    EXPECT_EQ(reopen(), E_OK);
    EXPECT(recovered_to(280));
    end();
}

TEST(a_record_larger_than_a_segment_gets_its_own)
{
    EXPECT_EQ(begin(1, HEADER + 100), E_OK);
    EXPECT_EQ(append(3000000), E_OK); /* into the first, empty one */
    EXPECT_EQ(append(20), E_OK);
    EXPECT_EQ(append(5000), E_OK);
    EXPECT_EQ(append(20), E_OK);
    EXPECT_EQ(oplog.segment_count, 4);
    EXPECT(reads_back(10));
    oplog_close(&oplog);
    EXPECT_EQ(reopen(), E_OK);
    EXPECT(recovered_to(written.len));
    EXPECT_EQ(oplog.segment_count, 4);
    end();
}

TEST(a_log_cut_off_anywhere_keeps_all_whole_records)
{
    for (uint64_t cut = 0;; cut++) {
        uint64_t kept = 0;
        EXPECT_EQ(begin(cut, 2048), E_OK);
        for (size_t i = 0; i < 30; i++) {
            EXPECT_EQ(append(1 + i % 7), E_OK);
            if (HEADER + written.len <= cut)
                kept = written.len;
        }
        if (cut > HEADER + written.len)
            break;
        oplog_close(&oplog);
        sim_disk_cut(&d, "0000000000000000.log", cut);
        EXPECT_EQ(reopen(), E_OK);
        EXPECT(recovered_to(kept));
        uint64_t torn = cut > HEADER + kept ? cut - HEADER - kept : 0;
        while (torn > 0 && written.at[kept + torn - 1] == 0)
            torn--; /* as good as never written */
        EXPECT_EQ(report.cut_bytes, torn);

        written.len = (size_t)kept;
        EXPECT_EQ(append(11), E_OK);
        EXPECT_EQ(oplog_sync(&oplog), E_OK);
        oplog_close(&oplog);
        EXPECT_EQ(reopen(), E_OK);
        EXPECT(recovered_to(written.len));
        EXPECT_EQ(report.cut_bytes, 0);
        end();
    }
    end();
}

/* Two finished segments and a last one; the last record bears witness of all before it. */
static int small_synced_log(void)
{
    int err = begin(1, HEADER + 100);
    for (int i = 0; i < 6 && err == E_OK; i++) {
        err = append(20);
        if (err == E_OK)
            err = oplog_sync(&oplog);
    }
    oplog_close(&oplog);
    return err;
}

TEST(every_flipped_bit_of_a_synced_log_is_found_and_named)
{
    for (uint64_t segment = 0; segment < 3; segment++) {
        for (uint64_t bit = 0; bit < (HEADER + 80) * 8; bit++) {
            char name[32], place[96];
            uint64_t offset = bit / 8;
            uint64_t record = segment * 2 + (offset < HEADER ? 0 : (offset - HEADER) / 40);
            snprintf(name, sizeof name, "%016llx.log", (unsigned long long)segment * 80);
            snprintf(place, sizeof place, "%s: damaged at offset %u:", name,
                     offset < HEADER ? 0 : (unsigned)(HEADER + record % 2 * 40));
            EXPECT_EQ(small_synced_log(), E_OK);
            sim_disk_flip(&d, name, offset, (unsigned)(bit % 8));
            bool reserved = offset >= 32 && offset < HEADER;
            bool unpromised = offset >= HEADER && record == 5;
            int err = reopen();
            if (reserved) {
                EXPECT_EQ(err, E_OK);
                EXPECT(recovered_to(240));
            } else if (unpromised) {
                EXPECT_EQ(err, E_OK);
                EXPECT(recovered_to(200));
                EXPECT(report.cut_bytes > 0);
                EXPECT_SPAN(span_str(report.cut_place), span_str("00000000000000a0.log at 104"));
            } else {
                EXPECT_EQ(err, E_CORRUPT);
                EXPECT_SPAN(span_of(oplog.problem, strlen(place)), span_str(place));
                EXPECT(strchr(oplog.problem, '\n') == NULL);
            }
            end();
        }
    }
}

TEST(a_lost_page_before_a_durable_record_is_rot_not_the_end)
{
    EXPECT_EQ(begin(1, 4096), E_OK);
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(append(20), E_OK);
        EXPECT_EQ(oplog_sync(&oplog), E_OK);
    }
    uint8_t zeros[40] = { 0 };
    EXPECT_EQ(d.disk.ops->write(&d.disk, oplog.tail, HEADER + 40, span_of(zeros, 40)), E_OK);
    oplog_close(&oplog);
    EXPECT_EQ(reopen(), E_CORRUPT);
    EXPECT(strstr(oplog.problem, "0000000000000000.log: damaged at offset 104:") == oplog.problem);
    end();
}

TEST(rot_in_the_last_record_of_a_finished_segment_is_never_cut)
{
    EXPECT_EQ(begin(1, HEADER + 100), E_OK);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(append(20), E_OK);
    oplog_close(&oplog);
    sim_disk_cut(&d, "0000000000000050.log", 0); /* nothing left that bears witness but the name */
    sim_disk_flip(&d, "0000000000000000.log", HEADER + 70, 1);
    EXPECT_EQ(reopen(), E_CORRUPT);
    end();
}

TEST(a_missing_segment_is_an_error)
{
    EXPECT_EQ(begin(1, HEADER + 100), E_OK);
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(append(20), E_OK);
    oplog_close(&oplog);
    EXPECT_EQ(d.disk.ops->remove(&d.disk, "0000000000000050.log"), E_OK);
    EXPECT_EQ(reopen(), E_CORRUPT);
    end();
}

TEST(a_log_that_begins_later_is_read_from_there)
{
    struct buffer out = { 0 };
    EXPECT_EQ(begin(1, HEADER + 100), E_OK);
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(append(20), E_OK);
    oplog_close(&oplog);
    EXPECT_EQ(d.disk.ops->remove(&d.disk, "0000000000000000.log"), E_OK);
    EXPECT_EQ(oplog_open(&oplog, &d.disk, &options, check_replay, NULL, &report), E_OK);
    EXPECT_EQ(report.records, 3);
    EXPECT_EQ(oplog_read(&oplog, 40, UINT64_MAX, 100, &out), E_MISSING);
    EXPECT_EQ(oplog_read(&oplog, 80, UINT64_MAX, 100, &out), E_OK);
    EXPECT_EQ(out.len, 80);
    buffer_release(&out);
    end();
}

TEST(stale_records_after_a_cut_never_come_back)
{
    EXPECT_EQ(begin(1, 4096), E_OK);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(append(20), E_OK);
    oplog_close(&oplog);
    sim_disk_flip(&d, "0000000000000000.log", HEADER + 40 + 25, 0);
    EXPECT_EQ(reopen(), E_OK);
    EXPECT(recovered_to(40));
    EXPECT_EQ(report.cut_bytes, 120);
    EXPECT_SPAN(span_str(report.cut_place), span_str("0000000000000000.log at 104"));
    written.len = 40;
    EXPECT_EQ(append(20), E_OK); /* ends where the old third record began */
    oplog_close(&oplog);
    EXPECT_EQ(reopen(), E_OK);
    EXPECT(recovered_to(80));
    EXPECT_EQ(report.cut_bytes, 0);
    end();
}

TEST(a_full_disk_in_a_roll_breaks_the_log_and_loses_nothing)
{
    static const enum sim_disk_call calls[] = { SIM_DISK_ALLOCATE, SIM_DISK_WRITE,
                                                SIM_DISK_SYNC_NAMES };
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(begin(i, HEADER + 100), E_OK);
        EXPECT_EQ(append(20), E_OK);
        EXPECT_EQ(append(20), E_OK);
        sim_disk_fail(&d, calls[i], 1, E_FULL);
        EXPECT_EQ(append(20), E_FULL);
        EXPECT(oplog.broken);
        EXPECT(strstr(oplog.problem, "no space left") != NULL);
        EXPECT_EQ(oplog.durable_lsn, 80);
        EXPECT_EQ(append_sealed(), E_IO);
        EXPECT_EQ(oplog_sync(&oplog), E_IO);
        oplog_close(&oplog);
        if (i % 2 == 0)
            sim_disk_crash(&d);
        EXPECT_EQ(reopen(), E_OK);
        EXPECT(recovered_to(80));
        EXPECT_EQ(append_sealed(), E_OK);
        oplog_close(&oplog);
        EXPECT_EQ(reopen(), E_OK);
        EXPECT(recovered_to(120));
        end();
    }
}

TEST(a_full_disk_is_told_from_a_broken_one_and_neither_is_tried_again)
{
    static const int codes[] = { E_FULL, E_IO };
    for (size_t i = 0; i < 2; i++) {
        EXPECT_EQ(begin(i, 4096), E_OK);
        EXPECT_EQ(append(20), E_OK);
        sim_disk_fail(&d, SIM_DISK_WRITE, 1, codes[i]);
        EXPECT_EQ(append(20), codes[i]);
        EXPECT(strstr(oplog.problem, "0000000000000000.log: write") == oplog.problem);
        EXPECT(strstr(oplog.problem, error_text(codes[i])) != NULL);
        EXPECT_EQ(append_sealed(), E_IO);
        EXPECT_EQ(oplog_sync(&oplog), E_IO);
        EXPECT(strstr(oplog.problem, error_text(codes[i])) != NULL); /* the cause stays */
        end();
    }
}

TEST(a_segment_that_cannot_be_made_leaves_the_one_before_readable)
{
    static const enum sim_disk_call calls[] = { SIM_DISK_ALLOCATE, SIM_DISK_WRITE,
                                                SIM_DISK_SYNC_NAMES };
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(begin(i, HEADER + 100), E_OK);
        EXPECT_EQ(append(20), E_OK);
        EXPECT_EQ(append(20), E_OK);
        sim_disk_fail(&d, calls[i], 1, E_FULL);
        EXPECT_EQ(append(20), E_FULL);
        EXPECT(reads_back(1000)); /* peers are still fed what was promised */
        end();
    }
}

TEST(after_a_failed_sync_the_log_is_broken_and_a_restart_writes_again)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        EXPECT_EQ(begin(seed, 4096), E_OK);
        EXPECT_EQ(append(20), E_OK);
        EXPECT_EQ(oplog_sync(&oplog), E_OK);
        EXPECT_EQ(append(20), E_OK);
        sim_disk_fail(&d, SIM_DISK_SYNC, 1, E_IO);
        EXPECT_EQ(oplog_sync(&oplog), E_IO);
        EXPECT_EQ(oplog_sync(&oplog), E_IO);
        EXPECT_EQ(append(20), E_IO);
        EXPECT_EQ(oplog.durable_lsn, 40);
        oplog_close(&oplog);

        EXPECT_EQ(reopen(), E_OK); /* the kernel still shows the second record */
        EXPECT(recovered_to(80));
        oplog_close(&oplog);
        sim_disk_crash(&d);
        EXPECT_EQ(reopen(), E_OK);
        EXPECT(recovered_to(80));
        end();
    }
}

TEST(logs_of_others_are_refused)
{
    EXPECT_EQ(small_synced_log(), E_OK);
    options.region = 8;
    EXPECT_EQ(reopen(), E_FOREIGN);
    EXPECT(strstr(oplog.problem, "region number 7 of this deployment") != NULL);
    options.region = 7;
    options.deployment = "bank";
    EXPECT_EQ(reopen(), E_FOREIGN);
    EXPECT(strstr(oplog.problem, "another deployment") != NULL);
    end();
}

TEST(a_renamed_segment_is_noticed)
{
    EXPECT_EQ(small_synced_log(), E_OK);
    EXPECT_EQ(d.disk.ops->rename(&d.disk, "0000000000000000.log", "0000000000000001.log"), E_OK);
    EXPECT_EQ(reopen(), E_CORRUPT);
    EXPECT(strstr(oplog.problem, "renamed") != NULL);
    end();
}

static int stop_at_second(void *context, const struct record *record)
{
    (void)context;
    return record->lsn > 0 ? E_LIMIT : E_OK;
}

TEST(the_replay_may_stop_the_recovery)
{
    EXPECT_EQ(small_synced_log(), E_OK);
    EXPECT_EQ(oplog_open(&oplog, &d.disk, &options, stop_at_second, NULL, &report), E_LIMIT);
    EXPECT_EQ(report.records, 1);
    end();
}

TEST(reading_stays_below_the_limit_and_near_what_is_wanted)
{
    struct buffer out = { 0 };
    EXPECT_EQ(begin(1, 4096), E_OK);
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(append(20), E_OK);
    static const struct {
        uint64_t lsn, limit;
        size_t want, got;
    } reads[] = {
        { 0, 400, 0, 40 },   { 0, 400, 39, 40 },   { 0, 400, 100, 80 }, { 0, 400, 9999, 400 },
        { 40, 80, 999, 40 }, { 40, 120, 999, 80 }, { 40, 79, 999, 0 },  { 40, 45, 999, 0 },
        { 40, 40, 999, 0 },  { 400, 999, 10, 0 },  { 500, 999, 10, 0 },
    };
    for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++) {
        buffer_clear(&out);
        buffer_put_text(&out, "kept");
        EXPECT_EQ(oplog_read(&oplog, reads[i].lsn, reads[i].limit, reads[i].want, &out), E_OK);
        EXPECT_EQ(out.len, 4 + reads[i].got);
        EXPECT_SPAN(span_skip(buffer_span(&out), 4),
                    span_of(written.at + reads[i].lsn, reads[i].got));
    }
    EXPECT_EQ(oplog_read(&oplog, 41, UINT64_MAX, 100, &out), E_CORRUPT);
    sim_disk_flip(&d, "0000000000000000.log", HEADER + 90, 3);
    buffer_clear(&out);
    EXPECT_EQ(oplog_read(&oplog, 0, UINT64_MAX, 1000, &out), E_OK);
    EXPECT_EQ(out.len, 80);
    EXPECT_EQ(oplog_read(&oplog, 80, UINT64_MAX, 1000, &out), E_CORRUPT);
    EXPECT(strstr(oplog.problem, "0000000000000000.log: damaged at offset 144") == oplog.problem);
    EXPECT_EQ(out.len, 80);
    buffer_release(&out);
    end();
}

static int stop_replay(void *context, const struct record *record)
{
    (void)context;
    (void)record;
    return E_BUSY;
}

TEST(what_is_replayed_can_be_asked_to_be_durable_before)
{
    for (int asked = 0; asked < 2; asked++) {
        uint64_t kept = 0;
        for (uint64_t seed = 1; seed <= 20; seed++) {
            EXPECT_EQ(begin(seed, 512), E_OK);
            for (int i = 0; i < 10; i++)
                EXPECT_EQ(append(50), E_OK);
            oplog_close(&oplog); /* the process died; the kernel has everything */
            options.durable_first = asked;
            EXPECT_EQ(oplog_open(&oplog, &d.disk, &options, stop_replay, NULL, &report), E_BUSY);
            sim_disk_crash(&d);
            EXPECT_EQ(reopen(), E_OK);
            EXPECT(recovered_to(oplog.end_lsn));
            kept += oplog.end_lsn == written.len;
            end();
        }
        EXPECT(asked ? kept == 20 : kept < 20);
    }
}

/* Random appends and syncs until a call fails or enough is done. */
static void random_work(struct prng *r)
{
    int err = E_OK;
    for (uint64_t steps = prng_below(r, 30); steps > 0 && err == E_OK; steps--) {
        if (prng_below(r, 3) == 0) {
            err = oplog_sync(&oplog);
            continue;
        }
        for (uint64_t records = 1 + prng_below(r, 3); records > 0; records--)
            seal(1 + (size_t)prng_below(r, prng_below(r, 10) == 0 ? 900 : 60));
        err = append_sealed();
    }
}

TEST(after_any_crash_all_that_was_synced_and_a_prefix_of_the_rest_is_there)
{
    struct prng r;
    uint64_t cuts = 0, deaths = 0;
    prng_seed(&r, test_seed());
    EXPECT_EQ(begin(prng_next(&r), 512), E_OK);
    for (int round = 0; round < 500; round++) {
        if (prng_below(&r, 3) > 0)
            d.die_at = d.calls + 1 + prng_below(&r, 40);
        else if (prng_below(&r, 4) == 0)
            sim_disk_fail(&d, SIM_DISK_SYNC, 1 + prng_below(&r, 5), E_IO);
        random_work(&r);
        deaths += oplog.broken;
        uint64_t promised_lsn = oplog.durable_lsn, least_lsn = oplog.end_lsn;
        oplog_close(&oplog);
        d.fail_in[SIM_DISK_SYNC] = 0;
        if (d.die_at != 0 || prng_below(&r, 3) > 0) {
            sim_disk_crash(&d);
            least_lsn = promised_lsn;
        } /* else only the process died: the kernel has everything */

        /* The recovery may die as well; the next one must still do. */
        while (prng_below(&r, 4) == 0) {
            d.die_at = d.calls + 1 + prng_below(&r, 8);
            if (reopen() == E_OK)
                promised_lsn = oplog.durable_lsn;
            else
                EXPECT(strstr(oplog.problem, "damaged") == NULL);
            oplog_close(&oplog);
            sim_disk_crash(&d);
            least_lsn = promised_lsn;
        }
        options.durable_first = prng_below(&r, 2);
        EXPECT_EQ(reopen(), E_OK);
        cuts += report.cut_bytes > 0;
        EXPECT(!replay_wrong);
        EXPECT_EQ(replayed_lsn, oplog.end_lsn);
        EXPECT(oplog.end_lsn >= least_lsn);
        EXPECT_EQ(oplog.durable_lsn, oplog.end_lsn);
        written.len = (size_t)oplog.end_lsn;
        EXPECT(round % 50 != 0 || reads_back(300));
    }
    EXPECT(cuts > 20 && deaths > 100);
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
