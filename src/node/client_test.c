/* Sessions in a whole node, without a network. */
#include "node/client.h"

#include "base/test.h"
#include "node/alone.h"

static struct alone alone;

/* The disk has all that was written. */
static void sync_log(void)
{
    struct span records;
    uint64_t end_lsn;
    struct node *n = &alone.node;
    node_turn_end(n);
    while (node_take_log(n, &records, &end_lsn))
        node_durable(n, end_lsn);
}

/* Found by node/command_fuzz.c: a few bytes each, sixty megabytes of log. */
TEST(commands_of_one_read_wait_when_they_have_written_more_than_the_disk_may_lag)
{
    enum { COMMANDS = 8, VALUE_BYTES = 60 * 1000 * 1000, LOG_MAX = 400 << 20 };
    alone_start(&alone, 1, "eu-de");
    struct session *s = alone_session(&alone);
    struct buffer in = { 0 };
    for (int i = 0; i < COMMANDS; i++)
        buffer_printf(&in, "SETRANGE k %d x\n", VALUE_BYTES - 1);
    node_session_input(&alone.node, s, buffer_span(&in));
    buffer_release(&in);
    EXPECT(alone.node.replica.log_end < LOG_MAX);
    EXPECT(s->commands < COMMANDS);
    sync_log();
    node_turn(&alone.node, ALONE_START_US);
    sync_log();
    EXPECT_EQ(s->commands, COMMANDS);
    alone_release(&alone);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
