#include "host/logthread.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/test.h"
#include "host/disk_posix.h"
#include "store/hold.h"
#include "store/segment.h"

enum { RECORD_BYTES = 40, SEGMENT_BYTES = SEGMENT_HEADER_BYTES + 100 }; /* two to a segment */

static char path[64]; /* a new directory */
static struct disk_posix d;
static struct ceiling_file ceiling;
static struct oplog oplog;
static struct identity identity;
static uv_loop_t loop;
static uv_async_t wake;
static struct logthread thread;
static struct logthread_news news;
static uint8_t records[32 * RECORD_BYTES]; /* the log's, from its beginning */
static uint64_t staged_lsn;
static size_t warnings;

static int ignore_record(void *context, const struct record *record)
{
    (void)context;
    (void)record;
    return E_OK;
}

static void on_wake(uv_async_t *async)
{
    (void)async; /* uv_run returns, and the news are polled */
}

static bool begin(void)
{
    const struct oplog_options options = { .deployment = "shop",
                                           .region = 1,
                                           .segment_bytes = SEGMENT_BYTES };
    struct oplog_report report;
    uint64_t ceiling_ms;

    snprintf(path, sizeof(path), "/tmp/meridian_logthread_XXXXXX");
    staged_lsn = 0;
    warnings = 0;
    news = (struct logthread_news){ 0 };
    return mkdtemp(path) != NULL && disk_posix_open(&d, path) == E_OK &&
           ceiling_open(&ceiling, &d.disk, &ceiling_ms) == E_OK &&
           oplog_open(&oplog, &d.disk, &options, ignore_record, NULL, &report) == E_OK &&
           uv_loop_init(&loop) == 0 && uv_async_init(&loop, &wake, on_wake) == 0 &&
           logthread_start(&thread, &oplog, &ceiling, &identity, &wake) == 0;
}

static void poll_news(void)
{
    logthread_poll(&thread, &news);
    warnings += news.warning[0] != '\0';
}

static void stop(void)
{
    logthread_stop(&thread);
    poll_news();
}

static void remove_name(void *context, const char *name)
{
    (void)context;
    d.disk.ops->remove(&d.disk, name);
}

static void end(void)
{
    char lock[96];

    uv_close((uv_handle_t *)&wake, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    oplog_close(&oplog);
    ceiling_close(&ceiling);
    d.disk.ops->list(&d.disk, remove_name, NULL);
    disk_posix_close(&d);
    snprintf(lock, sizeof(lock), "%s/lock", path);
    unlink(lock);
    rmdir(path);
}

static void stage(int count)
{
    for (int i = 0; i < count; i++) {
        uint8_t *to = records + staged_lsn;

        memset(to + RECORD_HEADER_BYTES, 1, RECORD_BYTES - RECORD_HEADER_BYTES);
        record_seal(to, RECORD_BYTES - RECORD_HEADER_BYTES, staged_lsn, 0);
        logthread_stage_records(&thread, span_of(to, RECORD_BYTES));
        staged_lsn += RECORD_BYTES;
    }
}

static void wait_durable(void)
{
    while (news.durable_lsn < staged_lsn && !news.failed) {
        uv_run(&loop, UV_RUN_ONCE);
        poll_news();
    }
}

TEST(what_is_staged_becomes_durable)
{
    EXPECT(begin());
    poll_news();
    EXPECT(news.durable_lsn == 0 && news.start_lsn == 0);
    EXPECT_EQ(news.log_bytes, SEGMENT_BYTES);
    stage(5);
    logthread_submit(&thread, 0);
    wait_durable();
    EXPECT_EQ(news.durable_lsn, 5 * RECORD_BYTES);
    EXPECT_EQ(news.log_bytes, 3 * SEGMENT_BYTES);
    stage(3);
    stop(); /* writes that too */
    EXPECT_EQ(news.durable_lsn, 8 * RECORD_BYTES);
    EXPECT(!news.failed);
    end();
}

TEST(a_roll_stands_between_the_records_before_and_after_it)
{
    EXPECT(begin());
    stage(1);
    logthread_stage_roll(&thread);
    stage(1); /* follows in memory too */
    logthread_submit(&thread, 0);
    stage(1);
    logthread_stage_roll(&thread);
    logthread_submit(&thread, LOGTHREAD_LAZY_US);
    stop();
    EXPECT_EQ(news.durable_lsn, 3 * RECORD_BYTES);
    EXPECT_EQ(oplog.segment_count, 3);
    EXPECT_EQ(oplog.segments[1].start_lsn, 1 * RECORD_BYTES);
    EXPECT_EQ(oplog.segments[2].start_lsn, 3 * RECORD_BYTES);
    end();
}

static void wait_dropped(uint64_t start_lsn)
{
    size_t before = warnings;

    while (news.start_lsn < start_lsn && warnings == before) {
        uv_run(&loop, UV_RUN_ONCE);
        poll_news();
    }
}

TEST(a_drop_removes_all_that_it_may_and_says_what_is_left)
{
    EXPECT(begin());
    stage(20);
    logthread_submit(&thread, 0);
    wait_durable();
    logthread_stage_drop(&thread, 15 * RECORD_BYTES);
    logthread_submit(&thread, 0);
    wait_dropped(14 * RECORD_BYTES);
    EXPECT_EQ(news.start_lsn, 14 * RECORD_BYTES);
    EXPECT_EQ(news.log_bytes, 3 * SEGMENT_BYTES);
    logthread_stage_drop(&thread, UINT64_MAX);
    logthread_submit(&thread, 0);
    wait_dropped(18 * RECORD_BYTES); /* the last stays */
    stage(1);
    stop();
    EXPECT_EQ(oplog_start_lsn(&oplog), 18 * RECORD_BYTES);
    EXPECT_EQ(news.durable_lsn, 21 * RECORD_BYTES);
    EXPECT_EQ(news.log_bytes, 2 * SEGMENT_BYTES);
    EXPECT_EQ(warnings, 0);
    end();
}

/* A back-up has asked for all of it, and a roll says that what stands before must go. */
TEST(what_stands_before_a_roll_is_held_for_nobody)
{
    EXPECT(begin());
    EXPECT_EQ(hold_write(&d.disk, &(struct hold){ .lsn = 0, .most_bytes = 1 << 20 }), E_OK);
    stage(4);
    logthread_stage_drop(&thread, 4 * RECORD_BYTES);
    logthread_submit(&thread, 0);
    wait_durable();
    stage(1);
    logthread_submit(&thread, 0);
    wait_durable(); /* the drop came before */
    EXPECT(!news.rolled && news.start_lsn == 0);
    logthread_stage_roll(&thread);
    logthread_submit(&thread, 0);
    while (!news.rolled) {
        uv_run(&loop, UV_RUN_ONCE);
        poll_news();
    }
    EXPECT_TEXT(span_str(news.not_rolled), "");
    stage(4);
    logthread_stage_drop(&thread, 9 * RECORD_BYTES);
    logthread_submit(&thread, 0);
    wait_dropped(5 * RECORD_BYTES);
    EXPECT_EQ(news.start_lsn, 5 * RECORD_BYTES);
    stop();
    EXPECT_EQ(oplog_start_lsn(&oplog), 5 * RECORD_BYTES); /* and what came after it is */
    end();
}

TEST(a_drop_that_fails_is_told_once_and_all_else_goes_on)
{
    char name[SEGMENT_NAME_BYTES], first[96];

    EXPECT(begin());
    segment_name(0, name);
    snprintf(first, sizeof(first), "%s/%s", path, name);
    stage(5);
    logthread_submit(&thread, 0);
    wait_durable();
    EXPECT(unlink(first) == 0 && mkdir(first, 0700) == 0); /* not to be removed as a file */
    logthread_stage_drop(&thread, 5 * RECORD_BYTES);
    logthread_submit(&thread, 0);
    wait_dropped(4 * RECORD_BYTES);
    EXPECT_EQ(warnings, 1);
    EXPECT(strstr(news.warning, name) == news.warning);
    EXPECT(!news.failed && news.start_lsn == 0);
    stage(1);
    logthread_submit(&thread, 0);
    wait_durable();
    EXPECT(!news.failed);

    EXPECT_EQ(rmdir(first), 0);
    logthread_stage_drop(&thread, 5 * RECORD_BYTES);
    logthread_submit(&thread, 0);
    wait_dropped(4 * RECORD_BYTES);
    EXPECT_EQ(news.start_lsn, 4 * RECORD_BYTES);
    stop();
    EXPECT_EQ(warnings, 1);
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
