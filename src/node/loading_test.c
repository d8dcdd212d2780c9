/* A node whose owner serves while it replays the log. */
#include <stdio.h>

#include "base/test.h"
#include "node/alone.h"

#define LOADING(percent) "-LOADING Meridian is loading the dataset in memory, " percent "% done\r\n"

static struct alone alone;
static struct buffer output; /* what the client of `ask` was sent */

static void take_output(struct session *s)
{
    struct span out = node_session_output(s);
    buffer_put(&output, out);
    node_session_sent(&alone.node, s, out.len);
}

/* One turn with these bytes from a client; what it was sent in it stands in `output`. */
static void turn(struct session *s, struct span in)
{
    buffer_clear(&output);
    node_turn(&alone.node, alone.node.now_us + 200 * 1000);
    node_session_input(&alone.node, s, in);
    take_output(s);
    node_turn_end(&alone.node);
    take_output(s);
}

static bool answers(struct session *s, const char *in, const char *expected)
{
    turn(s, span_str(in));
    if (span_equal(buffer_span(&output), span_str(expected)))
        return true;
    printf("# %s: %.*s\n", in, (int)output.len, (const char *)output.at);
    return false;
}

static bool output_has(const char *text)
{
    buffer_put_u8(&output, 0);
    output.len--;
    return strstr((const char *)output.at, text) != NULL;
}

static struct session *start(void)
{
    alone_init(&alone, 1, "eu-de");
    node_loading(&alone.node, 37, 99);
    node_turn(&alone.node, ALONE_START_US);
    return alone_session(&alone);
}

static void end(void)
{
    buffer_release(&output);
    alone_release(&alone);
}

TEST(commands_without_the_loading_flag_are_refused_with_the_percentage)
{
    struct session *s = start();
    EXPECT(answers(s, "GET k\n", LOADING("37")));
    EXPECT(answers(s, "SET k v\n", LOADING("37"))); /* and do not wait for the clock either */
    EXPECT(answers(s, "PING\n", LOADING("37")));
    EXPECT(answers(s, "CONFIG GET nonsense\n", "*0\r\n"));
    EXPECT(answers(s, "ECHO e\n", "$1\r\ne\r\n"));
    node_loading(&alone.node, 99, 99);
    EXPECT(answers(s, "GET k\n", LOADING("100")));
    EXPECT(answers(s, "GET k k\n", "-ERR wrong number of arguments for 'get' command\r\n"));
    end();
}

TEST(a_transaction_cannot_hold_what_is_refused)
{
    struct session *s = start();
    EXPECT(answers(s, "MULTI\n", "+OK\r\n"));
    EXPECT(answers(s, "SET k v\n", LOADING("37")));
    turn(s, span_str("EXEC\n"));
    EXPECT(output_has("-EXECABORT"));
    end();
}

TEST(info_status_and_metrics_say_how_far_it_is)
{
    struct session *s = start();
    turn(s, span_str("INFO persistence\n"));
    EXPECT(output_has("\r\nloading:1\r\n") && output_has("\r\nloading_total_bytes:99\r\n"));
    EXPECT(output_has("\r\nloading_loaded_bytes:37\r\nloading_loaded_perc:37.37\r\n"));
    buffer_clear(&output);
    node_status_json(&alone.node, &output);
    EXPECT(output_has("\"loading\":{\"done_bytes\":37,\"total_bytes\":99,\"percent\":37}"));
    EXPECT(output_has("\"writes\":\"LOADING ") && output_has("\"uptime_seconds\":0,"));
    buffer_clear(&output);
    node_metrics(&alone.node, &output);
    EXPECT(output_has("\nmeridian_loading 1\n") && output_has("\nmeridian_writes_allowed 0\n"));
    end();
}

TEST(nothing_is_written)
{
    struct session *s = start();
    struct span records;
    uint64_t end_lsn;
    EXPECT(answers(s, "SET k v\n", LOADING("37")));
    EXPECT(!node_take_log(&alone.node, &records, &end_lsn));
    EXPECT_EQ(node_want_ceiling(&alone.node), 0);
    end();
}

TEST(no_peer_is_dialled_before_the_end)
{
    static const char *const names[] = { "eu-de", "us-east" };
    struct peer *peer = NULL;
    deployment_init(&alone.deployment);
    alone.deployment.name = alone_text("shop");
    for (uint8_t i = 0; i < 2; i++) {
        struct region *region = deployment_add_region(&alone.deployment);
        region->name = alone_text(names[i]);
        region->id = (uint8_t)(i + 1);
    }
    deployment_finish(&alone.deployment);
    node_init(&alone.node, &(struct node_options){ .deployment = &alone.deployment,
                                                   .self = &alone.deployment.regions[0],
                                                   .instance = 1 });
    node_loading(&alone.node, 0, 1);
    node_turn(&alone.node, ALONE_START_US);
    EXPECT(!node_next_dial(&alone.node, &peer));
    node_turn_end(&alone.node);
    node_recovered(&alone.node, 0);
    node_turn(&alone.node, ALONE_START_US + 1);
    EXPECT(node_next_dial(&alone.node, &peer));
    EXPECT(peer == &alone.node.peers[0]);
    end();
}

TEST(a_client_that_does_not_read_goes_on_when_it_does)
{
    enum { COMMANDS = 40000 }; /* their replies are more than may wait for a client */
    struct session *s = start();
    struct buffer in = { 0 };
    for (int i = 0; i < COMMANDS; i++)
        buffer_put_text(&in, "PING\n");
    node_session_input(&alone.node, s, buffer_span(&in));
    EXPECT(s->output.len < COMMANDS * (sizeof LOADING("37") - 1));
    buffer_release(&in);
    size_t got = 0;
    for (int i = 0; i < 10; i++) {
        turn(s, span_str(""));
        got += output.len;
    }
    EXPECT_EQ(got, COMMANDS * (sizeof LOADING("37") - 1));
    end();
}

TEST(afterwards_it_serves_and_its_clock_is_judged_from_then_on)
{
    struct session *s = start();
    EXPECT(answers(s, "SET k v\n", LOADING("37")));
    node_recovered(&alone.node, 0);
    EXPECT(answers(s, "SET k v\nGET k\n", "+OK\r\n$1\r\nv\r\n"));
    EXPECT_EQ(alone.node.start_us, alone.node.now_us);
    turn(s, span_str("INFO persistence\n"));
    EXPECT(output_has("\r\nloading:0\r\n") && !output_has("loading_"));
    buffer_clear(&output);
    node_status_json(&alone.node, &output);
    EXPECT(output_has("\"writes\":\"ok\"") && !output_has("\"loading\""));
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
