/* What was removed vanishes from a node's disk: the log's segments and the checkpoint are played here. */
#include "node/scrub.h"

#include "base/error.h"
#include "env/kv_memory.h"
#include "node/meeting.h"

enum { BOUNDARIES_MAX = 64 };

/* What a machine has beside its log. */
static struct kept {
    struct kv_memory kv;
    struct checkpoint store;
    struct checkpoint_writer writer;
    uint64_t boundaries[BOUNDARIES_MAX]; /* where segments begin */
    size_t count;
    uint64_t log_start;
    int roll_error, write_error, rewrite_error; /* what comes next */
    bool slow;                                  /* nothing is rewritten for now */
    uint64_t rolls, writes, rewrites;
} kept[NODES_MAX];

static struct node *node_at(size_t i)
{
    return &world.machines[i].node;
}

static bool goes_on(void *context)
{
    (void)context;
    return true;
}

static int take(int *error)
{
    int now = *error;
    *error = E_OK;
    return now;
}

static void roll(struct kept *k, struct machine *m)
{
    int error = take(&k->roll_error);
    k->rolls++;
    if (error == E_OK && k->boundaries[k->count - 1] != m->written)
        k->boundaries[k->count++] = m->written;
    CHECK(k->count < BOUNDARIES_MAX);
    node_rolled(&m->node, error == E_OK ? NULL : error_text(error));
}

static void drop(struct kept *k, struct node *n, uint64_t lsn)
{
    for (size_t i = 0; i < k->count; i++) {
        if (k->boundaries[i] <= lsn)
            k->log_start = k->boundaries[i];
    }
    node_log_starts(n, k->log_start);
}

static void rewrite(struct kept *k, struct node *n)
{
    struct kv_rewritten rewritten = { 0 };
    int error = take(&k->rewrite_error);
    k->rewrites++;
    if (error == E_OK)
        error = k->kv.kv.ops->rewrite(&k->kv.kv, goes_on, NULL, NULL, &rewritten);
    node_rewritten(n, error, error == E_OK ? "" : error_text(error), &rewritten);
}

static void turn_ends(size_t i)
{
    struct kept *k = &kept[i];
    struct machine *m = &world.machines[i];
    struct checkpoint_write job;
    uint64_t lsn;
    if (node_next_roll(&m->node))
        roll(k, m);
    if (node_next_write(&m->node, &job)) {
        int error = take(&k->write_error);
        k->writes++;
        if (error == E_OK)
            error = checkpoint_write(&k->writer, &job);
        node_written(&m->node, error, error == E_OK ? "" : error_text(error));
    }
    if (!k->slow && node_next_rewrite(&m->node))
        rewrite(k, &m->node);
    if (node_next_drop(&m->node, &lsn))
        drop(k, &m->node, lsn);
}

static void close_kept(struct kept *k)
{
    if (k->count == 0)
        return;
    checkpoint_close(&k->store);
    checkpoint_writer_release(&k->writer);
    kv_memory_release(&k->kv);
    *k = (struct kept){ 0 };
}

static void open_kept(struct kept *k, struct node *n)
{
    struct checkpoint_found found;
    close_kept(k);
    kv_memory_init(&k->kv);
    k->count = 1;
    CHECK(checkpoint_open(&k->store, &k->kv.kv, &found) == E_OK);
    checkpoint_writer_init(&k->writer, &k->kv.kv);
    CHECK(node_install(n, &k->store, &found) == E_OK);
}

static void end_world(void)
{
    for (size_t i = 0; i < NODES_MAX; i++)
        close_kept(&kept[i]);
    world_end();
}

static void begin_world(size_t count)
{
    world_start(count, test_seed());
    for (size_t i = 0; i < count; i++)
        open_kept(&kept[i], node_at(i));
    world.turn_ends = turn_ends;
    run(20000); /* log is dropped from now on */
}

static void write_some(size_t i)
{
    for (int t = 0; t < 50; t++) {
        write_random(i, 100);
        run(10);
    }
}

static bool wait_done(size_t i, uint64_t number)
{
    for (int t = 0; t < 2000 && !scrub_done(node_at(i), number); t++)
        run(100);
    return scrub_done(node_at(i), number);
}

static bool waits_for(size_t i, const char *expected)
{
    char text[SCRUB_TEXT_MAX];
    return test_equal_span(__FILE__, __LINE__, "scrub_waits_for", "the text",
                           span_str(scrub_waits_for(node_at(i), text)), span_str(expected));
}

TEST(a_scrub_leaves_no_log_before_it_and_a_store_written_after_its_checkpoint)
{
    begin_world(1);
    write_random(0, 100);
    run(200);
    uint64_t end_lsn = node_at(0)->replica.log_end;
    EXPECT(end_lsn > 0);
    EXPECT(waits_for(0, ""));
    uint64_t number = scrub_ask(node_at(0));
    EXPECT(!scrub_done(node_at(0), number));
    EXPECT(wait_done(0, number));
    EXPECT(kept[0].log_start >= end_lsn);
    EXPECT(node_at(0)->checkpoint.start_lsn >= end_lsn);
    EXPECT_EQ(kept[0].rewrites, 1);
    EXPECT(waits_for(0, ""));
    end_world();
}

TEST(a_scrub_of_a_log_that_is_clean_already_ends_too)
{
    begin_world(1);
    EXPECT(wait_done(0, scrub_ask(node_at(0))));
    write_random(0, 100);
    EXPECT(wait_done(0, scrub_ask(node_at(0))));
    EXPECT(wait_done(0, scrub_ask(node_at(0))));
    EXPECT_EQ(kept[0].rewrites, 3);
    end_world();
}

TEST(what_is_asked_during_a_round_is_done_by_the_next_and_by_one_only)
{
    begin_world(1);
    write_random(0, 100);
    kept[0].slow = true;
    uint64_t first = scrub_ask(node_at(0));
    for (int t = 0; t < 1000 && node_at(0)->scrub.phase != SCRUB_REWRITE; t++)
        run(10);
    EXPECT(waits_for(0, "rewrite"));
    uint64_t second = scrub_ask(node_at(0)), third = scrub_ask(node_at(0));
    kept[0].slow = false;
    for (int t = 0; t < 100000 && !scrub_done(node_at(0), first); t++)
        run(1);
    EXPECT(scrub_done(node_at(0), first) && !scrub_done(node_at(0), second));
    EXPECT(wait_done(0, third));
    EXPECT(scrub_done(node_at(0), second));
    EXPECT_EQ(kept[0].rewrites, 2);
    end_world();
}

TEST(a_roll_a_checkpoint_and_a_rewrite_without_room_are_tried_again)
{
    begin_world(1);
    write_random(0, 100);
    kept[0].roll_error = kept[0].write_error = kept[0].rewrite_error = E_FULL;
    uint64_t number = scrub_ask(node_at(0));
    run(200);
    EXPECT(waits_for(0, "log: no space left on the disk"));
    EXPECT(strstr(world.last_warning, "ev=log.not_rolled"));
    for (int t = 0; t < 2000 && node_at(0)->scrub.phase == SCRUB_ROLL; t++)
        run(100);
    for (int t = 0; t < 2000 && node_at(0)->checkpoint.failed == 0; t++)
        run(1);
    EXPECT(waits_for(0, "checkpoint: no space left on the disk"));
    for (int t = 0; t < 2000 && node_at(0)->scrub.phase == SCRUB_CHECKPOINT; t++)
        run(100);
    run(200);
    EXPECT(waits_for(0, "rewrite: no space left on the disk"));
    EXPECT(strstr(world.last_warning, "ev=checkpoint.not_rewritten"));
    EXPECT(wait_done(0, number));
    EXPECT_EQ(kept[0].rolls, 2);
    EXPECT_EQ(kept[0].rewrites, 2);
    end_world();
}

TEST(a_checkpoint_that_broke_ends_the_hope_of_this_run)
{
    begin_world(1);
    write_random(0, 100);
    kept[0].write_error = E_IO;
    uint64_t number = scrub_ask(node_at(0));
    EXPECT(!wait_done(0, number));
    EXPECT(scrub_refusal(node_at(0)) != NULL);
    EXPECT(waits_for(0, "checkpoint: input/output error"));
    end_world();
}

TEST(log_that_a_region_lacks_is_waited_for_by_its_name)
{
    begin_world(3);
    connect_all();
    write_some(0);
    EXPECT(converge());
    for (size_t i = 1; i < 3; i++) {
        stop(i, false);
        world.machines[i].dead = true;
    }
    write_some(0);
    uint64_t end_lsn = node_at(0)->replica.log_end;
    uint64_t first = scrub_ask(node_at(0));
    EXPECT(!wait_done(0, first));
    EXPECT_EQ(kept[0].rewrites, 1); /* that waits for nobody */
    EXPECT(waits_for(0, "log: us-east, ap-jp do not have it yet"));
    write_random(0, 100);
    uint64_t second = scrub_ask(node_at(0));
    EXPECT(!wait_done(0, second));
    EXPECT_EQ(kept[0].rewrites, 2);
    world.machines[2].dead = false;
    for (int t = 0; t < 2000 && checkpoint_held_by(node_at(0), 1) < end_lsn; t++)
        run(100);
    EXPECT(waits_for(0, "log: us-east does not have it yet"));
    EXPECT(kept[0].log_start < end_lsn);
    world.machines[1].dead = false;
    EXPECT(wait_done(0, first) && wait_done(0, second));
    EXPECT(kept[0].log_start >= end_lsn);
    EXPECT_EQ(kept[0].rewrites, 2);
    end_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
