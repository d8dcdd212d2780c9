/*
 * MULTI, EXEC and WATCH as clients see them (cmd/trial.h), a second client, and what becomes a group.
 */
#include "cmd/trial.h"
#include "wire/record.h"

#define ABORTED   "-EXECABORT Transaction discarded because of previous errors."
#define TOO_LARGE "-ERR one transaction may write at most 64 MB (group.max): split it"

STEPS(queued_commands_run_with_exec, { "MULTI", "OK" }, { "SET k v", "QUEUED" },
      { "INCR c", "QUEUED" }, { "GET k", "QUEUED" }, { "EXEC", "[OK 1 \"v\"]" },
      { "GET k", "\"v\"" }, { "MULTI", "OK" }, { "EXEC", "[]" })

STEPS(nothing_of_what_is_discarded_runs, { "MULTI", "OK" }, { "SET k v", "QUEUED" },
      { "DISCARD", "OK" }, { "GET k", "nil" }, { "DISCARD", "-ERR DISCARD without MULTI" },
      { "EXEC", "-ERR EXEC without MULTI" }, { "MULTI", "OK" }, { "SET k v", "QUEUED" },
      { "RESET", "RESET" }, { "GET k", "nil" }, { "EXEC", "-ERR EXEC without MULTI" })

STEPS(a_command_that_cannot_be_queued_aborts, { "MULTI", "OK" }, { "SET k v", "QUEUED" },
      { "NOSUCH a", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' " },
      { "SET k w", "QUEUED" }, { "EXEC", ABORTED }, { "GET k", "nil" }, { "MULTI", "OK" },
      { "GET", "-ERR wrong number of arguments for 'get' command" }, { "EXEC", ABORTED },
      { "MULTI", "OK" }, { "CLIENT NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP." },
      { "EXEC", ABORTED }, { "MULTI", "OK" },
      { "GET", "-ERR wrong number of arguments for 'get' command" }, { "DISCARD", "OK" },
      { "MULTI", "OK" }, { "EXEC", "[]" })

STEPS(a_refused_exec_discards, { "MULTI", "OK" }, { "SET k v", "QUEUED" },
      { "EXEC now", "-EXECABORT Transaction discarded because of: wrong number of arguments for "
                    "'exec' command" },
      { "EXEC", "-ERR EXEC without MULTI" }, { "GET k", "nil" },
      { "EXEC now", "-EXECABORT Transaction discarded because of: wrong number of arguments for "
                    "'exec' command" })

STEPS(a_command_that_fails_fails_alone, { "MULTI", "OK" }, { "SET k v", "QUEUED" },
      { "SADD k a", "QUEUED" }, { "INCR k", "QUEUED" }, { "SET l w", "QUEUED" },
      { "EXEC", "[OK " WRONG_TYPE " " NOT_INTEGER " OK]" }, { "GET l", "\"w\"" })

STEPS(what_is_not_queued, { "MULTI", "OK" }, { "MULTI", "-ERR MULTI calls can not be nested" },
      { "WATCH k", "-ERR WATCH inside MULTI is not allowed" }, { "UNWATCH", "QUEUED" },
      { "EXEC", "[OK]" }, { "WATCH", "-ERR wrong number of arguments for 'watch' command" })

STEPS(select_inside_multi_counts_for_what_follows, { "MULTI", "OK" }, { "SELECT 1", "QUEUED" },
      { "SET k one", "QUEUED" }, { "EXEC", "[OK OK]" }, { "GET k", "\"one\"" },
      { "SELECT 0", "OK" }, { "GET k", "nil" })

STEPS(hello_inside_multi_changes_the_replies_that_follow, { "HSET h f v", "1" }, { "MULTI", "OK" },
      { "HGETALL h", "QUEUED" }, { "HELLO 3", "QUEUED" }, { "HGETALL h", "QUEUED" },
      { "GET none", "QUEUED" },
      { "EXEC", "[[\"f\" \"v\"] {\"server\" \"redis\" \"version\" \"7.0.15\" \"proto\" 3 \"id\" 1 "
                "\"mode\" \"standalone\" \"role\" \"master\" \"modules\" []} {\"f\" \"v\"} nil]" })

STEPS(client_reply_leaves_no_gap, { "MULTI", "OK" }, { "PING", "QUEUED" },
      { "CLIENT REPLY OFF", "QUEUED" }, { "CLIENT REPLY ON", "QUEUED" },
      { "EXEC", "[PONG nil OK]" })

STEPS(own_writes_before_exec_are_changes_too, { "WATCH k", "OK" }, { "SET k v", "OK" },
      { "MULTI", "OK" }, { "SET k w", "QUEUED" }, { "EXEC", "nil-array" }, { "GET k", "\"v\"" },
      { "MULTI", "OK" }, { "SET k w", "QUEUED" }, { "EXEC", "[OK]" }, { "WATCH k", "OK" },
      { "SET k x", "OK" }, { "UNWATCH", "OK" }, { "MULTI", "OK" }, { "EXEC", "[]" },
      { "WATCH k k k", "OK" }, { "MULTI", "OK" }, { "SET k y", "QUEUED" }, { "EXEC", "[OK]" },
      { "WATCH k", "OK" }, { "DEL k", "1" }, { "MULTI", "OK" }, { "EXEC", "nil-array" },
      { "WATCH k", "OK" }, { "SET k y", "OK" }, { "DISCARD", "-ERR DISCARD without MULTI" },
      { "MULTI", "OK" }, { "DISCARD", "OK" }, { "MULTI", "OK" }, { "EXEC", "[]" })

STEPS(watch_is_of_a_database, { "WATCH k", "OK" }, { "SELECT 1", "OK" }, { "SET k v", "OK" },
      { "MULTI", "OK" }, { "EXEC", "[]" }, { "SELECT 0", "OK" }, { "WATCH k", "OK" },
      { "SELECT 1", "OK" }, { "MULTI", "OK" }, { "SELECT 0", "QUEUED" }, { "SET k w", "QUEUED" },
      { "EXEC", "[OK OK]" })

STEPS(a_key_that_expires_while_watched_is_changed, { "SET k v PX 100", "OK" }, { "WATCH k", "OK" },
      { "@50", "" }, { "MULTI", "OK" }, { "EXEC", "[]" }, { "WATCH k", "OK" }, { "@51", "" },
      { "MULTI", "OK" }, { "SET l v", "QUEUED" }, { "EXEC", "nil-array" })

STEPS(flushing_changes_what_was_there, { "SET a v", "OK" }, { "WATCH a", "OK" },
      { "FLUSHALL", "OK" }, { "MULTI", "OK" }, { "EXEC", "nil-array" }, { "WATCH a", "OK" },
      { "FLUSHALL", "OK" }, { "MULTI", "OK" }, { "EXEC", "[]" })

STEPS(errors_inside_exec_are_counted_one_by_one, { "SADD s a", "1" }, { "MULTI", "OK" },
      { "GET s", "QUEUED" }, { "INCR s", "QUEUED" }, { "HSET h f v g", "QUEUED" },
      { "PING", "QUEUED" },
      { "EXEC",
        "[" WRONG_TYPE " " WRONG_TYPE " -ERR wrong number of arguments for 'hset' command PONG]" },
      { "CONFIG RESETSTAT", "OK" })

/* --- with a second client --- */

static struct session second;

static void open_two(void)
{
    open_world();
    server_open_session(&world.server, &second);
}

static void close_two(void)
{
    server_close_session(&world.server, &second);
    close_world();
}

static void execute_as(struct session *session, const char *line)
{
    struct buffer text = { 0 };

    buffer_put_text(&text, line);
    buffer_put_text(&text, "\r\n");
    CHECK(resp_parse(&session->parser, buffer_span(&text)) == RESP_COMMAND);
    buffer_clear(&session->output);
    turn(0);
    command_run(&world.server, session, session->parser.argv, session->parser.argc);
    buffer_release(&text);
}

#define ANSWERS(line, reply) EXPECT(run_step(&(struct step){ line, reply }))

TEST(another_clients_write_is_a_change)
{
    open_two();
    ANSWERS("WATCH k l", "OK");
    execute_as(&second, "SET other v");
    ANSWERS("MULTI", "OK");
    ANSWERS("SET k v", "QUEUED");
    ANSWERS("EXEC", "[OK]");
    ANSWERS("WATCH k l", "OK");
    execute_as(&second, "APPEND l v");
    ANSWERS("MULTI", "OK");
    ANSWERS("SET k w", "QUEUED");
    ANSWERS("EXEC", "nil-array");
    ANSWERS("GET k", "\"v\"");
    close_two();
}

TEST(a_key_made_and_removed_meanwhile_is_a_change)
{
    open_two();
    ANSWERS("WATCH k", "OK");
    execute_as(&second, "MULTI");
    execute_as(&second, "SET k v");
    execute_as(&second, "DEL k");
    execute_as(&second, "EXEC");
    ANSWERS("MULTI", "OK");
    ANSWERS("EXEC", "nil-array");
    close_two();
}

TEST(the_reclaim_of_what_had_expired_when_it_was_watched_is_no_change)
{
    open_two();
    ANSWERS("SET k v PX 10", "OK");
    turn(11);
    ANSWERS("WATCH k", "OK");
    turn(100);
    replica_tick(&world.replica, true);
    EXPECT(database_find(&world.replica.databases[0], span_str("k")) == NULL);
    ANSWERS("MULTI", "OK");
    ANSWERS("EXEC", "[]");

    ANSWERS("SET k v PX 10", "OK");
    turn(11);
    ANSWERS("WATCH k", "OK");
    execute_as(&second, "SET k v");
    ANSWERS("MULTI", "OK");
    ANSWERS("EXEC", "nil-array");

    ANSWERS("SET k v PX 10", "OK");
    turn(11);
    ANSWERS("WATCH k", "OK");
    execute_as(&second, "SET k v");
    execute_as(&second, "DEL k");
    ANSWERS("MULTI", "OK");
    ANSWERS("EXEC", "nil-array");
    close_two();
}

TEST(a_closed_session_watches_no_more)
{
    open_two();
    execute_as(&second, "WATCH a b");
    execute_as(&second, "MULTI");
    execute_as(&second, "SET a v");
    server_close_session(&world.server, &second);
    EXPECT_EQ(world.server.touch.key_count, 0);
    ANSWERS("SET a w", "OK");
    server_open_session(&world.server, &second);
    close_two();
}

TEST(clients_are_listed_with_what_they_queued)
{
    open_two();
    execute_as(&second, "WATCH k");
    execute_as(&second, "MULTI");
    execute_as(&second, "SET k v");
    ANSWERS("SET k w", "OK");
    execute("CLIENT LIST");
    buffer_put_u8(&world.session.output, 0);
    EXPECT(strstr((char *)world.session.output.at, "flags=xd db=0 sub=0 psub=0 ssub=0 multi=1 "));
    EXPECT(strstr((char *)world.session.output.at, "multi=-1 "));
    close_two();
}

/* --- groups --- */

/* The ops of the batches in the log, and how many groups they are. */
static void count_groups(size_t *ops, size_t *groups)
{
    replica_seal(&world.replica);
    struct span log = buffer_span(&world.replica.log_out);
    uint64_t lsn = 0;

    *ops = *groups = 0;
    while (log.len > 0) {
        struct record record;
        struct batch batch;
        size_t need;
        struct op op;
        struct span hashed;

        CHECK(record_read(log, lsn, &record, &need) == RECORD_GOOD);
        CHECK(batch_take(record.payload, &batch));
        struct batch_walk walk = batch_walk(&batch);
        while (batch_next_op(&walk, &op, &hashed)) {
            (*ops)++;
            *groups += !op.more;
        }
        lsn += record.bytes;
        log = span_skip(log, record.bytes);
    }
}

TEST(all_that_exec_writes_is_one_group)
{
    size_t ops, groups;

    open_world();
    ANSWERS("MULTI", "OK");
    ANSWERS("MSET a 1 b 2", "QUEUED");
    ANSWERS("INCR c", "QUEUED");
    ANSWERS("RENAME a d", "QUEUED");
    ANSWERS("GET s", "QUEUED");
    ANSWERS("EXEC", "[OK 1 OK nil]");
    count_groups(&ops, &groups);
    EXPECT_EQ(groups, 1);
    EXPECT_EQ(ops, 5);
    EXPECT(world.session.wrote);
    EXPECT(world.session.last_write == vector_get(&world.replica.last_op, 1));
    close_world();
}

TEST(flushall_inside_multi_is_one_group_too)
{
    enum { KEYS = 3000 }; /* more than the batches of FLUSHALL alone */
    size_t before, ops, groups_before, groups;
    char line[32];

    open_world();
    for (int i = 0; i < KEYS; i++) {
        snprintf(line, sizeof(line), "SET key%d v", i);
        execute(line);
    }
    count_groups(&before, &groups_before);
    ANSWERS("MULTI", "OK");
    ANSWERS("SET a v", "QUEUED");
    ANSWERS("FLUSHALL", "QUEUED");
    ANSWERS("SET b v", "QUEUED");
    ANSWERS("EXEC", "[OK OK OK]");
    ANSWERS("KEYS *", "[\"b\"]");
    count_groups(&ops, &groups);
    EXPECT_EQ(groups - groups_before, 1);
    EXPECT_EQ(ops - before, KEYS + 3);
    close_world();
}

/* "SET name <bytes>", as an array of arguments. */
static void set_large(const char *name, size_t bytes)
{
    struct buffer value = { 0 };
    struct span argv[3] = { span_str("SET"), span_str(name), { NULL, 0 } };

    memset(buffer_room(&value, bytes), 'x', bytes);
    argv[2] = span_of(value.at, bytes);
    buffer_clear(&world.session.output);
    turn(0);
    command_run(&world.server, &world.session, argv, 3);
    buffer_release(&value);
}

TEST(a_transaction_too_large_for_a_group_is_refused_whole)
{
    open_world();
    ANSWERS("MULTI", "OK");
    set_large("a", 40 << 20);
    EXPECT(span_equal(reply_text(false), span_str("QUEUED")));
    set_large("b", 30 << 20);
    EXPECT(span_equal(reply_text(false), span_str(TOO_LARGE)));
    EXPECT_EQ(world.session.transaction.queue.len, 0);
    ANSWERS("EXEC", ABORTED);
    ANSWERS("EXISTS a b", "0");
    close_world();
}

TEST(what_would_pass_the_groups_limit_while_it_runs_is_refused_alone)
{
    size_t ops, groups;

    open_world();
    set_large("a", 30 << 20);
    ANSWERS("MULTI", "OK");
    ANSWERS("COPY a b", "QUEUED");
    ANSWERS("COPY a c", "QUEUED");
    ANSWERS("COPY a d", "QUEUED");
    ANSWERS("SET small v", "QUEUED");
    ANSWERS("EXEC", "[1 1 " TOO_LARGE " OK]");
    ANSWERS("EXISTS b c d small", "3");
    count_groups(&ops, &groups);
    EXPECT_EQ(groups, 2);
    close_world();
}

/* --- refusals --- */

TEST(refused_writes_abort_when_queued_and_when_run)
{
    open_world();
    world.server.refusal = "SKEWED the clock is off";
    ANSWERS("MULTI", "OK");
    ANSWERS("GET k", "QUEUED");
    ANSWERS("EXEC", "[nil]");
    ANSWERS("MULTI", "OK");
    ANSWERS("SET k v", "-SKEWED the clock is off");
    ANSWERS("EXEC", ABORTED);

    world.server.refusal = NULL;
    ANSWERS("MULTI", "OK");
    ANSWERS("SET k v", "QUEUED");
    world.server.refusal = "SKEWED the clock is off";
    ANSWERS("EXEC", "-EXECABORT Transaction discarded because of: SKEWED the clock is off");
    world.server.refusal = NULL;
    ANSWERS("GET k", "nil");
    ANSWERS("EXEC", "-ERR EXEC without MULTI");
    close_world();
}

/* Where writes have to wait for the clock, so do these. */
TEST(a_subcommand_that_writes_writes)
{
    struct span create[] = { span_str("XGROUP"), span_str("create"), span_str("k"), span_str("g"),
                             span_str("$") };
    struct span help[] = { span_str("XGROUP"), span_str("help") };

    open_world();
    EXPECT(command_writes(&world.session, create, COUNT_OF(create)));
    EXPECT(!command_writes(&world.session, help, COUNT_OF(help)));
    close_world();
}

TEST(only_an_exec_with_writes_writes)
{
    struct span exec[] = { span_str("exec") };
    struct span set[] = { span_str("set"), span_str("k"), span_str("v") };

    open_world();
    EXPECT(command_writes(&world.session, set, 3));
    EXPECT(!command_writes(&world.session, exec, 1));
    ANSWERS("MULTI", "OK");
    EXPECT(!command_writes(&world.session, set, 3));
    ANSWERS("GET k", "QUEUED");
    EXPECT(!command_writes(&world.session, exec, 1));
    ANSWERS("SET k v", "QUEUED");
    EXPECT(command_writes(&world.session, exec, 1));
    close_world();
}

/* --- figures --- */

TEST(queued_commands_count_when_they_run)
{
    open_world();
    const struct command_figures *get = &world.server
                                             .figures[command_index(command_find(span_str("get")))];
    ANSWERS("SADD s a", "1");
    ANSWERS("MULTI", "OK");
    ANSWERS("GET s", "QUEUED");
    EXPECT_EQ(get->calls, 0);
    uint64_t errors = world.server.statistics.errors, commands = world.server.statistics.commands;
    ANSWERS("EXEC", "[" WRONG_TYPE "]");
    EXPECT_EQ(get->calls, 1);
    EXPECT_EQ(get->failed, 1);
    EXPECT_EQ(world.server.statistics.errors - errors, 1);
    EXPECT_EQ(world.server.statistics.commands - commands, 2);
    EXPECT_EQ(world.server.figures[command_index(command_find(span_str("exec")))].failed, 0);
    EXPECT_EQ(world.server.error_counts[0].count, 1);
    close_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
