/* Sessions in a whole node, without a network. */
#include "node/client.h"

#include "base/memory.h"
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

TEST(a_token_from_far_ahead_takes_the_clock_along_no_further_than_clocks_may_differ)
{
    enum { AHEAD_MS = 3600 * 1000 };
    alone_start(&alone, 1, "eu-de");
    struct session *s = alone_session(&alone);
    struct node *n = &alone.node;
    struct token *token = mem_zalloc(sizeof(*token));
    struct buffer in = { 0 };
    token->time_ms = ALONE_START_US / 1000 + AHEAD_MS;
    buffer_put_text(&in, "SESSION FOLLOW ");
    token_put(&in, token, "shop");
    buffer_put_text(&in, "\r\nSET k v\r\n");
    node_session_input(n, s, buffer_span(&in));
    sync_log();
    EXPECT(hlc_ahead_ms(&n->replica.hlc, ALONE_START_US / 1000) <= n->replica.options.max_skew_ms);
    mem_free(token);
    buffer_release(&in);
    alone_release(&alone);
}

TEST(the_token_of_a_with_goes_on_in_its_answer)
{
    enum { ELSEWHERE = 9, RUN = 3 };
    alone_start(&alone, 1, "eu-de");
    struct session *s = alone_session(&alone);
    struct token *token = mem_zalloc(sizeof(*token));
    stamp_t seen = stamp_make(ALONE_START_US / 1000, 0, ELSEWHERE);
    struct buffer in = { 0 };
    token_see(token, seen, RUN);
    alone.node.replica.options.foreign[0] = 1u << ELSEWHERE; /* which never comes here */
    buffer_put_text(&in, "WITH token=");
    token_put(&in, token, "shop");
    buffer_put_text(&in, " -- GET k\r\n");
    node_session_input(&alone.node, s, buffer_span(&in));
    sync_log();
    buffer_clear(&in);
    buffer_put(&in, node_session_output(s));
    buffer_put_u8(&in, 0);
    const char *text = strstr((char *)in.at, "token\r\n$");
    EXPECT(text != NULL);
    text = strchr(text + strlen("token\r\n$"), '\n') + 1;
    EXPECT(token_take(span_of(text, strcspn(text, "\r")), token, "shop"));
    EXPECT_EQ(vector_get(&token->seen, ELSEWHERE), seen);
    mem_free(token);
    buffer_release(&in);
    alone_release(&alone);
}

/* Gives a token that names one op of our own, and returns what comes back. */
static struct span told_of(struct session *s, const char *before, stamp_t op, uint64_t run,
                           const char *after)
{
    static struct buffer text;
    struct token *token = mem_zalloc(sizeof(*token));
    token_see(token, op, run);
    buffer_clear(&text);
    buffer_put_text(&text, before);
    token_put(&text, token, "shop");
    buffer_put_text(&text, after);
    mem_free(token);
    node_session_input(&alone.node, s, buffer_span(&text));
    sync_log();
    buffer_clear(&text);
    buffer_put(&text, node_session_output(s));
    node_session_sent(&alone.node, s, text.len);
    buffer_put_u8(&text, 0);
    return span_str((char *)text.at);
}

static bool ends_with(struct span text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && span_equal(span_skip(text, text.len - len), span_str(end));
}

/* A crash took it before it was on disk: nobody has it, and no later write need come for anybody to go on. */
TEST(what_an_earlier_run_made_and_lost_is_not_waited_for_and_warned_of)
{
    static const char lost[] = "warning\r\n$4\r\nLOST\r\n", none[] = "warning\r\n$-1\r\n";
    alone_start(&alone, 1, "eu-de");
    struct session *s = alone_session(&alone);
    stamp_t op = stamp_make(ALONE_START_US / 1000 - 9, 0, 1);
    EXPECT_TEXT(told_of(s, "SESSION FOLLOW ", op, 0, "\r\n"), "+OK\r\n");
    struct session *other = alone_session(&alone);
    EXPECT(ends_with(told_of(other, "WITH token=", op, 0, " -- GET k\r\n"), lost));
    EXPECT(ends_with(told_of(other, "WITH token=", op, 0, " -- SET k v\r\n"), lost));
    /* also now that the stream has gone on, and as long as a session follows it */
    EXPECT(ends_with(told_of(other, "WITH token=", op, 0, " -- GET k\r\n"), lost));
    EXPECT(ends_with(told_of(s, "WITH read=causal token=", 0, 0, " -- GET k\r\n"), lost));
    EXPECT(ends_with(told_of(other, "WITH token=", 0, 0, " -- GET k\r\n"), none));
    stamp_t here = vector_get(&alone.node.replica.last_op, 1);
    EXPECT(ends_with(told_of(other, "WITH token=", here, 1, " -- GET k\r\n"), none));
    alone_release(&alone);
}

TEST(a_follow_in_a_transaction_is_refused_and_leaves_one_answer)
{
    alone_start(&alone, 1, "eu-de");
    struct session *s = alone_session(&alone);
    EXPECT_TEXT(told_of(s, "MULTI\r\nSESSION FOLLOW ", stamp_make(5, 0, 9), 1, "\r\nEXEC\r\n"),
                "+OK\r\n+QUEUED\r\n*1\r\n-ERR SESSION FOLLOW inside MULTI is not allowed\r\n");
    alone_release(&alone);
}

/* A token read is 4 KB; as many as a session may have waiting are some hundred bytes each. */
TEST(tokens_of_a_pipeline_of_withs_take_no_more_than_a_backlog)
{
    enum { COMMANDS = 20000, HOLD_MAX_BYTES = 3 << 20 };
    alone_start(&alone, 1, "eu-de");
    struct session *s = alone_session(&alone);
    struct token *token = mem_zalloc(sizeof(*token));
    struct buffer in = { 0 };
    alone.node.replica.options.foreign[0] = ~(uint64_t)3; /* of all others nothing is waited for */
    for (uint8_t o = 2; o < 60; o++)
        token_see(token, stamp_make(ALONE_START_US / 1000, 0, o), 1);
    for (int i = 0; i < COMMANDS; i++) {
        buffer_put_text(&in, "WITH token=");
        token_put(&in, token, "shop");
        buffer_put_text(&in, " -- GET k\r\n");
    }
    node_session_input(&alone.node, s, buffer_span(&in));
    EXPECT(client_of(s)->hold_bytes < HOLD_MAX_BYTES);
    EXPECT(s->commands < COMMANDS);
    mem_free(token);
    buffer_release(&in);
    alone_release(&alone);
}

/* The session's output when the log fails behind a write, and a reply that `then` puts behind it. */
static void expect_log_failure_told(const char *commands, void (*then)(struct session *s))
{
    struct node *n = &alone.node;
    alone_start(&alone, 1, "eu-de");
    n->server.settings.fsync = FSYNC_ALWAYS;
    struct session *s = alone_session(&alone);
    node_session_input(n, s, span_str(commands));
    if (then != NULL)
        then(s);
    node_turn_end(n);
    EXPECT_EQ(node_session_output(s).len, 0);
    node_log_failed(n, "the disk is gone");
    node_turn(n, ALONE_START_US + 1);
    node_turn_end(n);
    EXPECT_TEXT(node_session_output(s),
                "-UNKNOWN the log failed before this was durable: a restart may lose it\r\n");
    EXPECT(s->closing);
    alone_release(&alone);
}

/* Its own hold does not wait for the log, but it stands behind one that does. */
static void answer_from_elsewhere(struct session *s)
{
    struct node *n = &alone.node;
    size_t start = s->output.len;
    buffer_put_text(&s->output, "+OK\r\n");
    hold_until_applied(n, client_of(s), start, stamp_make(ALONE_START_US / 1000, 0, 9));
    EXPECT_EQ(client_of(s)->hold_count, 2);
}

TEST(a_client_is_told_that_the_log_failed_whatever_it_asked_for_behind_its_write)
{
    expect_log_failure_told("SET k v\r\n", NULL);
    expect_log_failure_told("SET k v\r\nWITH read=local -- GET k\r\n", NULL);
    expect_log_failure_told("SET k v\r\n", answer_from_elsewhere);
}

TEST(what_waits_for_other_regions_or_the_disk_counts_as_output_that_is_not_read)
{
    alone_start(&alone, 1, "eu-de");
    alone.node.server.settings.fsync = FSYNC_ALWAYS;
    struct session *s = alone_session(&alone);
    struct client *c = client_of(s);
    node_session_input(&alone.node, s, span_str("SET k v\r\n"));
    EXPECT_EQ(c->hold_bytes, sizeof(struct hold));
    answer_from_elsewhere(s);
    EXPECT_EQ(c->hold_bytes, 2 * sizeof(struct hold));
    node_session_input(&alone.node, s, span_str("WITH read=local -- GET k\r\n"));
    EXPECT(c->hold_bytes > 3 * sizeof(struct hold));
    sync_log();
    node_turn(&alone.node, ALONE_START_US + FORWARD_SETTLE_MS * 1000);
    sync_log();
    EXPECT_EQ(c->hold_count, 0);
    EXPECT_EQ(c->hold_bytes, 0);
    alone_release(&alone);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
