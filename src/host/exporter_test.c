#include "host/exporter.h"

#include "store/checkpoint_trial.h"

enum { ROWS = 40 };

static uv_loop_t loop;
static uv_async_t wake;
static struct exporter exporter;
static enum kv_memory_call failing; /* of the readers' calls, */
static int failures;                /* so many times */

static void on_wake(uv_async_t *async)
{
    (void)async; /* uv_run returns, and the exporter is polled */
}

static int fault(void *context, enum kv_memory_call call, bool write)
{
    (void)context;
    return !write && call == failing && failures-- > 0 ? E_IO : E_OK;
}

/* The checkpoint has some rows; nobody but the exporter touches it from here on. */
static bool begin_export(enum kv_memory_call call, int times)
{
    char key[24];
    begin();
    for (int i = 0; i < ROWS; i++) {
        snprintf(key, sizeof(key), "key:%d", i);
        put(key, "a value", 0, 0);
    }
    put_start(7);
    bool written = write_all() == E_OK;
    failing = call;
    failures = times;
    memory.fault = fault;
    exporter_init(&exporter, &memory.kv, &wake);
    return written && uv_loop_init(&loop) == 0 && uv_async_init(&loop, &wake, on_wake) == 0;
}

static void end_export(void)
{
    exporter_stop(&exporter);
    uv_close((uv_handle_t *)&wake, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    end();
}

/* From the cursor on, which is moved: E_OK, or the job's error. */
static int export_some(struct buffer *cursor, size_t max_bytes)
{
    CHECK(exporter_submit(&exporter, buffer_span(cursor), max_bytes) == 0);
    CHECK(!exporter_is_free(&exporter));
    while (!exporter_poll(&exporter))
        uv_run(&loop, UV_RUN_ONCE);
    CHECK(exporter_is_free(&exporter) && !exporter_poll(&exporter));
    buffer_clear(cursor);
    buffer_put(cursor, buffer_span(&exporter.cursor));
    return exporter.error;
}

static int count_changes(void)
{
    struct span in = buffer_span(&exporter.changes);
    struct change c;
    int count = 0;
    while (in.len > 0 && change_take(&in, &c))
        count++;
    return count;
}

TEST(all_records_come_piece_by_piece)
{
    struct buffer cursor = { 0 };
    int records = 0, jobs = 0;
    EXPECT(begin_export(KV_MEMORY_GET, 0));
    do {
        EXPECT_EQ(export_some(&cursor, 100), E_OK);
        records += count_changes();
        jobs++;
    } while (!exporter.all);
    EXPECT_EQ(records, ROWS);
    EXPECT(jobs > 4 && jobs <= ROWS + 1);
    buffer_release(&cursor);
    end_export();
}

TEST(a_store_that_could_not_be_opened_may_be_the_next_time)
{
    struct buffer cursor = { 0 };
    EXPECT(begin_export(KV_MEMORY_BEGIN, 2));
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(export_some(&cursor, 1 << 20), E_IO);
        EXPECT_TEXT(span_str(exporter.problem), "memory: begin: input/output error");
        EXPECT(exporter.changes.len == 0 && !exporter.all);
    }
    EXPECT_EQ(export_some(&cursor, 1 << 20), E_OK);
    EXPECT_TEXT(span_str(exporter.problem), "");
    EXPECT_EQ(count_changes(), ROWS);
    EXPECT(exporter.all);
    buffer_release(&cursor);
    end_export();
}

TEST(an_export_that_failed_goes_on_where_it_was)
{
    struct buffer cursor = { 0 };
    EXPECT(begin_export(KV_MEMORY_RENEW, 0));
    EXPECT_EQ(export_some(&cursor, 100), E_OK);
    int records = count_changes();
    EXPECT(records > 0 && records < ROWS);
    failures = 1; /* the thread waits */
    EXPECT_EQ(export_some(&cursor, 1 << 20), E_IO);
    EXPECT_TEXT(span_str(exporter.problem), "memory: renew: input/output error: export");
    EXPECT_EQ(export_some(&cursor, 1 << 20), E_OK);
    EXPECT_EQ(records + count_changes(), ROWS);
    buffer_release(&cursor);
    end_export();
}

TEST(a_job_that_nobody_waits_for_is_finished_at_the_stop)
{
    EXPECT(begin_export(KV_MEMORY_GET, 0));
    EXPECT_EQ(exporter_submit(&exporter, span_of(NULL, 0), 1 << 20), 0);
    end_export();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
