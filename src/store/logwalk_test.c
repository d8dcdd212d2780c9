/* Reading logs that somebody else owns: whole, growing, shrinking, damaged; and what is examined of
 * them. */
#include <stdio.h>

#include "base/check.h"
#include "base/prng.h"
#include "sim/disk.h"
#include "store/examine.h"
#include "store/logmake.h"
#include "store/logwalk.h"
#include "store/oplog_trial.h"

static struct logwalk walk;

/* Records of 40 bytes each, two to a segment. */
static int begin_log(int records)
{
    int err = begin(1, HEADER + 100);
    for (int i = 0; i < records && err == E_OK; i++)
        err = append(20);
    return err == E_OK ? oplog_sync(&oplog) : err;
}

static void end_walk(void)
{
    logwalk_close(&walk);
    end();
}

/* Reads good records as long as there are any; how many. */
static int read_all(enum logwalk_found *found)
{
    struct record record;
    int count = 0;
    while ((*found = logwalk_next(&walk, &record)) == LOGWALK_RECORD) {
        struct span wanted = span_of(written.at + record.lsn, record.bytes);
        if (!span_equal(logwalk_bytes(&record), wanted))
            return -1;
        count++;
    }
    return count;
}

static bool says(const char *text)
{
    if (strstr(walk.problem, text) != NULL)
        return true;
    printf("# %s\n", walk.problem);
    return false;
}

TEST(a_log_is_read_while_it_grows)
{
    enum logwalk_found found;
    EXPECT_EQ(begin_log(0), E_OK);
    EXPECT(recovered_to(0));
    EXPECT_EQ(logwalk_open(&walk, &d.disk), E_OK);
    EXPECT_EQ(read_all(&found), 0);
    for (int more = 0; more < 7; more++) {
        for (int i = 0; i < more; i++)
            EXPECT_EQ(append(20), E_OK);
        EXPECT_EQ(read_all(&found), more);
        EXPECT_EQ(found, LOGWALK_END);
        EXPECT_EQ(walk.lsn, written.len);
        EXPECT_EQ(walk.torn_bytes, 0);
    }
    EXPECT(reads_back(100)); /* nothing was changed */
    end_walk();
}

TEST(log_that_the_owner_has_dropped_is_gone)
{
    enum logwalk_found found;
    EXPECT_EQ(begin_log(7), E_OK);
    EXPECT_EQ(logwalk_open(&walk, &d.disk), E_OK);
    EXPECT_EQ(oplog_drop(&oplog, 160), E_OK);
    EXPECT_EQ(read_all(&found), 0);
    EXPECT_EQ(found, LOGWALK_GONE);
    EXPECT_EQ(logwalk_begin(&walk), 160);
    logwalk_seek(&walk, 160);
    EXPECT_EQ(read_all(&found), 3);
    EXPECT_EQ(found, LOGWALK_END);
    end_walk();
}

TEST(a_torn_tail_is_the_end_and_rot_is_damage)
{
    enum logwalk_found found;
    /* What was written in one go, before a sync: nothing proves that it was ever durable. */
    EXPECT_EQ(begin(1, HEADER + 400), E_OK);
    for (int i = 0; i < 3; i++)
        seal(20);
    EXPECT_EQ(append_sealed(), E_OK);
    sim_disk_flip(&d, "0000000000000000.log", HEADER + 45, 0);
    EXPECT_EQ(logwalk_open(&walk, &d.disk), E_OK);
    EXPECT_EQ(read_all(&found), 1);
    EXPECT_EQ(found, LOGWALK_END);
    EXPECT_EQ(walk.torn_bytes, 80);
    logwalk_close(&walk);
    sim_disk_flip(&d, "0000000000000000.log", HEADER + 45, 0);

    EXPECT_EQ(oplog_sync(&oplog), E_OK);
    EXPECT_EQ(append(20), E_OK);
    sim_disk_flip(&d, "0000000000000000.log", HEADER + 45, 0);
    EXPECT_EQ(logwalk_open(&walk, &d.disk), E_OK);
    EXPECT_EQ(read_all(&found), 1);
    EXPECT_EQ(found, LOGWALK_DAMAGED);
    EXPECT(says("0000000000000000.log: damaged at offset 104:"));
    EXPECT_EQ(logwalk_resync(&walk), LOGWALK_RECORD);
    EXPECT_EQ(walk.lsn, 80);
    EXPECT_EQ(read_all(&found), 2);
    EXPECT_EQ(found, LOGWALK_END);
    end_walk();
}

/* Any one bit of any file: all records but those that it touches are found. */
TEST(after_damage_everything_else_is_found)
{
    struct prng prng;
    prng_seed(&prng, test_seed());
    for (int round = 0; round < 200; round++) {
        EXPECT_EQ(begin_log(8), E_OK); /* four segments */
        uint64_t start_lsn = prng_below(&prng, 3) * 80;
        uint64_t offset = prng_below(&prng, 2) ? prng_below(&prng, 32)
                                               : HEADER + prng_below(&prng, 80);
        char name[SEGMENT_NAME_BYTES];
        segment_name(start_lsn, name);
        sim_disk_flip(&d, name, offset, (unsigned)prng_below(&prng, 8));
        EXPECT_EQ(logwalk_open(&walk, &d.disk), E_OK);
        enum logwalk_found found = LOGWALK_RECORD;
        int good = 0, damages = 0;
        while (found != LOGWALK_END) {
            int some = read_all(&found);
            EXPECT(some >= 0);
            good += some;
            if (found == LOGWALK_DAMAGED) {
                EXPECT(says(name));
                damages++;
                found = logwalk_resync(&walk);
            }
        }
        EXPECT_EQ(damages, 1);
        EXPECT_EQ(good, offset < HEADER ? 8 : 7);
        end_walk();
    }
}

TEST(a_missing_file_is_damage_where_the_log_breaks_off)
{
    enum logwalk_found found;
    EXPECT_EQ(begin_log(7), E_OK);
    EXPECT_EQ(d.disk.ops->remove(&d.disk, "0000000000000050.log"), E_OK);
    EXPECT_EQ(logwalk_open(&walk, &d.disk), E_OK);
    EXPECT_EQ(read_all(&found), 2);
    EXPECT_EQ(found, LOGWALK_DAMAGED);
    EXPECT(says("0000000000000000.log: damaged at offset 144: no good record is there"));
    EXPECT_EQ(logwalk_resync(&walk), LOGWALK_RECORD);
    EXPECT_EQ(walk.lsn, 160);
    EXPECT_EQ(read_all(&found), 3);
    EXPECT_EQ(found, LOGWALK_END);
    end_walk();
}

/* --- batches --- */

static struct buffer batch;

static struct span make_batch(uint8_t origin, uint64_t from, uint64_t to, uint32_t check,
                              uint32_t *next_check)
{
    struct batch b = { .origin = origin,
                       .instance = 1,
                       .from = from == 0 ? 0 : stamp_make(from, 0, origin),
                       .to = stamp_make(to, 0, origin),
                       .check = check,
                       .op_count = to - from };
    struct buffer ops = { 0 };
    stamp_t before = (stamp_time(b.from) << STAMP_ORIGIN_BITS) | origin;
    b.prev = b.from;
    for (uint64_t ms = from + 1; ms <= to; ms++) {
        struct op op = { .stamp = stamp_make(ms, 0, origin),
                         .kind = OP_DEADLINE,
                         .key = span_str("k") };
        size_t place = op_begin(&ops, before, &op);
        buffer_put_u8(&ops, 0);
        op_end(&ops, place);
        before = op.stamp;
    }
    buffer_clear(&batch);
    batch_put_header(&batch, &b);
    buffer_put(&batch, buffer_span(&ops));
    buffer_release(&ops);

    struct batch taken;
    struct op op;
    struct span hashed;
    CHECK(batch_take(buffer_span(&batch), &taken) && batch_valid(&taken));
    struct batch_walk w = batch_walk(&taken);
    *next_check = check;
    while (batch_next_op(&w, &op, &hashed))
        *next_check = batch_check(*next_check, op.stamp, hashed);
    return buffer_span(&batch);
}

TEST(a_chain_takes_what_continues_it_and_nothing_else)
{
    struct chain c;
    struct copy_start start = { .lsn = 0 };
    uint32_t check, later, other;
    chain_begin(&c, NULL);
    EXPECT(chain_follow(&c, make_batch(1, 0, 3, 0, &check)));
    EXPECT_EQ(c.last.at[1], stamp_make(3, 0, 1));
    EXPECT_EQ(c.newest, stamp_make(3, 0, 1));
    EXPECT(chain_follow(&c, buffer_span(&batch)));                     /* it has it */
    EXPECT(!chain_follow(&c, make_batch(1, 4, 6, check, &later)));     /* a hole */
    EXPECT(!chain_follow(&c, make_batch(1, 3, 6, check + 1, &later))); /* another history */
    EXPECT(!chain_follow(&c, make_batch(2, 5, 6, 0, &later)));         /* not from its beginning */
    EXPECT(chain_follow(&c, make_batch(1, 0, 5, 0, &later)));          /* a part is known */
    EXPECT_EQ(c.check[1], later);
    EXPECT(chain_follow(&c, make_batch(2, 0, 9, 0, &other)));

    vector_copy(&start.last_op, &c.last);
    memcpy(start.check, c.check, sizeof(start.check));
    EXPECT(chain_meets(&c, &start));
    start.check[2]++;
    EXPECT(!chain_meets(&c, &start));
    start.check[2]--;
    vector_set(&start.last_op, stamp_make(1, 0, 3));
    EXPECT(!chain_meets(&c, &start));
    EXPECT(!chain_follow(&c, span_str("no batch")));
    buffer_release(&batch);
}

/* --- made and examined --- */

static uint64_t make_log(uint64_t from_lsn, int batches)
{
    struct oplog_options to = {
        .deployment = "shop", .region = 1, .segment_bytes = 300, .replay_from = from_lsn
    };
    struct logmake m;
    uint32_t check = 0;
    uint64_t end_lsn = 0;
    sim_disk_init(&d, 1);
    CHECK(logmake_begin(&m, &d.disk, &to) == E_OK);
    for (int i = 0; i < batches; i++) {
        struct span made = make_batch(1, (uint64_t)i * 2, (uint64_t)i * 2 + 2, check, &check);
        CHECK(logmake_put(&m, made) == E_OK);
    }
    CHECK(logmake_end(&m, &end_lsn) == E_OK);
    buffer_release(&batch);
    return end_lsn;
}

static int replay_any(void *context, const struct record *record)
{
    (void)record;
    ++*(int *)context;
    return E_OK;
}

TEST(a_log_may_be_made_from_any_place_on)
{
    const uint64_t places[] = { 0, 1, 12345678901 };
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        for (int batches = 0; batches < 20; batches += 5) {
            uint64_t end_lsn = make_log(places[i], batches);
            struct oplog_options from = {
                .deployment = "shop", .region = 1, .segment_bytes = 300, .replay_from = places[i]
            };
            int count = 0;
            EXPECT_EQ(oplog_open(&oplog, &d.disk, &from, replay_any, &count, &report), E_OK);
            EXPECT_EQ(count, batches);
            EXPECT_EQ(oplog.end_lsn, end_lsn);
            EXPECT_EQ(oplog_start_lsn(&oplog), places[i]);
            oplog_close(&oplog);
            sim_disk_release(&d);
        }
    }
}

TEST(an_examined_log_tells_its_good_runs)
{
    struct examined_log log;
    char problem[LOGWALK_PROBLEM_MAX], name[SEGMENT_NAME_BYTES];
    uint64_t end_lsn = make_log(1000, 20);
    EXPECT_EQ(examine_log(&d.disk, &log, problem), E_OK);
    EXPECT(examined_log_is_good(&log));
    EXPECT_EQ(log.begin_lsn, 1000);
    EXPECT_EQ(log.records, 20);
    EXPECT_EQ(examined_log_last(&log)->to_lsn, end_lsn);
    EXPECT_EQ(log.last.at[1], stamp_make(40, 0, 1));
    EXPECT_EQ(log.before.high, 0);
    examined_log_release(&log);

    /* The first record of the second segment. */
    EXPECT_EQ(logwalk_open(&walk, &d.disk), E_OK);
    uint64_t second = walk.segments[1].start_lsn;
    logwalk_close(&walk);
    segment_name(second, name);
    sim_disk_flip(&d, name, HEADER + 30, 1);
    EXPECT_EQ(examine_log(&d.disk, &log, problem), E_OK);
    EXPECT_EQ(log.count, 2);
    EXPECT_EQ(log.records, 19);
    EXPECT_EQ(log.runs[0].to_lsn, second);
    EXPECT(strstr(log.runs[0].problem, name) != NULL);
    EXPECT_EQ(log.runs[1].to_lsn, end_lsn);
    EXPECT(log.runs[1].from_lsn > second);
    EXPECT_EQ(log.runs[1].problem[0], '\0');
    examined_log_release(&log);
    sim_disk_release(&d);
}

TEST(where_only_headers_are_damaged_no_record_is_lost)
{
    struct examined_log log;
    char problem[LOGWALK_PROBLEM_MAX], first[SEGMENT_NAME_BYTES], last[SEGMENT_NAME_BYTES];
    uint64_t end_lsn = make_log(1000, 20);
    EXPECT_EQ(logwalk_open(&walk, &d.disk), E_OK);
    segment_name(walk.segments[0].start_lsn, first);
    segment_name(walk.segments[walk.count - 1].start_lsn, last);
    logwalk_close(&walk);

    sim_disk_flip(&d, first, 10, 1);
    sim_disk_flip(&d, last, 10, 1);
    EXPECT_EQ(examine_log(&d.disk, &log, problem), E_OK);
    EXPECT_EQ(log.records, 20);
    EXPECT(!examined_log_is_good(&log) && !log.none);
    EXPECT(examined_log_lacks_headers_only(&log) && !examined_log_is_cut(&log));
    EXPECT_EQ(examined_log_last(&log)->to_lsn, end_lsn);
    examined_log_release(&log);

    /* And all records of the last one. */
    EXPECT_EQ(logwalk_open(&walk, &d.disk), E_OK);
    uint64_t last_lsn = walk.segments[walk.count - 1].start_lsn;
    logwalk_close(&walk);
    for (uint64_t at = HEADER; at < HEADER + end_lsn - last_lsn; at++)
        sim_disk_flip(&d, last, at, 1);
    EXPECT_EQ(examine_log(&d.disk, &log, problem), E_OK);
    EXPECT(!examined_log_lacks_headers_only(&log) && examined_log_is_cut(&log));
    examined_log_release(&log);
    sim_disk_release(&d);

    sim_disk_init(&d, 1);
    EXPECT_EQ(examine_log(&d.disk, &log, problem), E_OK);
    EXPECT(log.none && !examined_log_is_cut(&log) && !examined_log_lacks_headers_only(&log));
    examined_log_release(&log);
    sim_disk_release(&d);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
