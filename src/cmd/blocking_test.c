/* Clients that wait for keys: who is served, in what order, with what, and how a wait ends. */
#include "cmd/waiter_trial.h"

TEST(a_push_serves_who_waits)
{
    open_clients();
    ask(0, "BLPOP a l 0");
    EXPECT_WAITS(0);
    run_line("SET other v");
    EXPECT_WAITS(0);
    run_line("RPUSH l x y");
    EXPECT_TEXT(reply_text(false), "2"); /* as it was when it was pushed */
    EXPECT_ANSWER(0, "[\"l\" \"x\"]");
    EXPECT_REPLY("LRANGE l 0 -1", "[\"y\"]");
    EXPECT_EQ(world.server.blocking.count, 0);
    close_clients();
}

TEST(nobody_listens_to_writes_while_nobody_waits)
{
    open_clients();
    EXPECT(world.server.watch.touched == NULL);
    ask(0, "BLPOP l 0");
    EXPECT(world.server.watch.touched != NULL);
    run_line("RPUSH l x");
    EXPECT(world.server.watch.touched == NULL);
    close_clients();
}

TEST(who_waited_longest_is_served_first)
{
    open_clients();
    ask(2, "BLPOP l 0");
    ask(0, "BRPOP l 0");
    ask(1, "BLMPOP 0 1 l LEFT COUNT 5");
    run_line("RPUSH l a b c d");
    EXPECT_TEXT(buffer_span(&served), "2 0 1");
    EXPECT_ANSWER(2, "[\"l\" \"a\"]");
    EXPECT_ANSWER(0, "[\"l\" \"d\"]");
    EXPECT_ANSWER(1, "[\"l\" [\"b\" \"c\"]]");
    EXPECT_REPLY("EXISTS l", "0");
    close_clients();
}

TEST(one_element_serves_one_client_and_the_others_keep_their_place)
{
    open_clients();
    ask(0, "BLPOP l 0");
    ask(1, "BLPOP l 0");
    run_line("RPUSH l a");
    EXPECT_ANSWER(0, "[\"l\" \"a\"]");
    EXPECT_WAITS(1);
    ask(0, "BLPOP l 0");
    run_line("RPUSH l b");
    EXPECT_ANSWER(1, "[\"l\" \"b\"]");
    EXPECT_WAITS(0);
    close_clients();
}

TEST(keys_are_served_in_the_order_in_which_they_were_touched)
{
    open_clients();
    ask(0, "BLPOP a b 0");
    execute("RPUSH b 1");
    execute("RPUSH a 2");
    serve();
    EXPECT_ANSWER(0, "[\"b\" \"1\"]");
    EXPECT_REPLY("LLEN a", "1");
    close_clients();
}

TEST(what_a_retry_pushes_serves_others)
{
    open_clients();
    ask(0, "BLPOP c 0");
    ask(1, "BLMOVE b c LEFT RIGHT 0");
    ask(2, "BRPOPLPUSH a b 0");
    run_line("RPUSH a x");
    EXPECT_TEXT(buffer_span(&served), "2 1 0");
    EXPECT_ANSWER(2, "\"x\"");
    EXPECT_ANSWER(1, "\"x\"");
    EXPECT_ANSWER(0, "[\"c\" \"x\"]");
    EXPECT_EQ(database_size(&world.replica.databases[0]), 0);
    close_clients();
}

TEST(any_way_in_which_a_list_comes_to_be_serves)
{
    static const char *const ways[] = { "RENAME from l", "COPY from l", "LMOVE from l LEFT RIGHT",
                                        "SORT from BY nosort STORE l" };

    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        open_clients();
        execute("RPUSH from x");
        ask(0, "BLPOP l 0");
        run_line(ways[i]);
        EXPECT_ANSWER(0, "[\"l\" \"x\"]");
        close_clients();
    }
}

TEST(a_move_between_databases_serves_there)
{
    open_clients();
    ask(0, "SELECT 1");
    EXPECT_ANSWER(0, "OK");
    ask(0, "BLPOP l 0");
    run_line("RPUSH l x");
    EXPECT_WAITS(0);
    run_line("MOVE l 1");
    EXPECT_ANSWER(0, "[\"l\" \"x\"]");
    close_clients();
}

TEST(another_type_leaves_it_waiting)
{
    open_clients();
    ask(0, "BLPOP l 0");
    run_line("SET l v");
    EXPECT_WAITS(0);
    run_line("DEL l");
    EXPECT_WAITS(0);
    EXPECT_EQ(world.server.statistics.errors, 0);
    EXPECT_EQ(world.server.statistics.keyspace_misses, 0);
    run_line("RPUSH l x");
    EXPECT_ANSWER(0, "[\"l\" \"x\"]");
    close_clients();
}

TEST(a_target_of_another_type_ends_the_wait_with_an_error)
{
    open_clients();
    ask(0, "BLMOVE l s LEFT LEFT 0");
    execute("SET s v");
    run_line("RPUSH l x");
    EXPECT_ANSWER(0, WRONG_TYPE);
    EXPECT_REPLY("LLEN l", "1");
    close_clients();
}

TEST(a_list_that_is_its_own_target_is_served_once)
{
    open_clients();
    ask(0, "BLMOVE l l LEFT RIGHT 0");
    run_line("RPUSH l x y");
    EXPECT_ANSWER(0, "\"x\"");
    EXPECT_REPLY("LRANGE l 0 -1", "[\"y\" \"x\"]");
    close_clients();
}

TEST(a_timeout_answers_a_null_array)
{
    open_clients();
    ask(0, "BLPOP l 0.5");
    ask(1, "BLMOVE l to LEFT LEFT 0.2");
    ask(2, "BLPOP l 0");
    uint64_t now_us = world.server.now_us;
    EXPECT_EQ(blocking_deadline_us(&world.server), now_us + 200 * 1000);
    pass(199);
    EXPECT_EQ(served.len, 0);
    pass(1);
    EXPECT_ANSWER(1, "nil-array");
    clients[0].reply.protocol = 3;
    pass(400);
    EXPECT_ANSWER(0, "nil");
    EXPECT_WAITS(2);
    EXPECT_EQ(blocking_deadline_us(&world.server), UINT64_MAX);
    run_line("RPUSH l x");
    EXPECT_ANSWER(2, "[\"l\" \"x\"]");
    close_clients();
}

TEST(the_smallest_timeout_is_a_millisecond_and_the_longest_does_not_wrap)
{
    open_clients();
    ask(0, "BLPOP l 0.0000001");
    EXPECT_EQ(blocking_deadline_us(&world.server), world.server.now_us + 1000);
    pass(1);
    EXPECT_ANSWER(0, "nil-array");
    ask(0, "BLPOP l 9e15");
    EXPECT(blocking_deadline_us(&world.server) > world.server.now_us + (UINT64_C(1) << 61));
    close_clients();
}

TEST(inside_a_transaction_nothing_waits)
{
    open_clients();
    ask(0, "MULTI");
    ask(0, "BLPOP l 0");
    ask(0, "BLMOVE l to LEFT LEFT 0");
    ask(0, "BLMPOP 0 1 l LEFT");
    answers(0);
    ask(0, "EXEC");
    EXPECT_ANSWER(0, "[nil-array nil nil-array]");
    EXPECT(clients[0].blocked == NULL);
    close_clients();
}

TEST(a_transaction_serves_when_it_is_whole)
{
    open_clients();
    ask(0, "BLPOP l 0");
    ask(1, "MULTI");
    ask(1, "RPUSH l a");
    ask(1, "LPUSH l b");
    serve();
    EXPECT_WAITS(0);
    ask(1, "EXEC");
    serve();
    EXPECT_ANSWER(0, "[\"l\" \"b\"]");
    close_clients();
}

TEST(what_a_transaction_took_back_serves_nobody)
{
    open_clients();
    ask(0, "BLPOP l 0");
    ask(1, "MULTI");
    ask(1, "RPUSH l a");
    ask(1, "LPOP l");
    ask(1, "EXEC");
    serve();
    EXPECT_WAITS(0);
    close_clients();
}

TEST(a_refusal_of_writes_ends_a_wait_when_its_key_is_touched)
{
    open_clients();
    ask(0, "BLPOP l 0");
    execute("RPUSH l x");
    world.server.refusal = "SKEWED this region's clock is off";
    serve();
    EXPECT_ANSWER(0, "-SKEWED this region's clock is off");
    EXPECT(clients[0].blocked == NULL);
    EXPECT_REPLY("LLEN l", "1");
    close_clients();
}

TEST(while_writes_must_wait_so_do_the_retries)
{
    open_clients();
    ask(0, "BLPOP l 0");
    execute("RPUSH l x");
    blocking_serve(&world.server, false, answered, &world);
    EXPECT_WAITS(0);
    EXPECT(blocking_pending(&world.server));
    serve();
    EXPECT_ANSWER(0, "[\"l\" \"x\"]");
    EXPECT(!blocking_pending(&world.server));
    close_clients();
}

TEST(a_client_that_goes_away_takes_nothing)
{
    open_clients();
    ask(0, "BLPOP l 0");
    ask(1, "BLPOP l 0");
    execute("RPUSH l x");
    server_close_session(&world.server, &clients[0]);
    server_open_session(&world.server, &clients[0]);
    serve();
    EXPECT_ANSWER(1, "[\"l\" \"x\"]");
    close_clients();
}

TEST(a_killed_client_takes_nothing)
{
    open_clients();
    ask(0, "BLPOP l 0");
    clients[0].killed = true;
    run_line("RPUSH l x");
    EXPECT_EQ(clients[0].output.len, 0);
    EXPECT_REPLY("LLEN l", "1");
    close_clients();
}

TEST(replies_that_are_not_wanted_are_not_given)
{
    open_clients();
    ask(0, "CLIENT REPLY SKIP");
    ask(0, "BLPOP l 0");
    run_line("RPUSH l x");
    EXPECT_TEXT(buffer_span(&served), "0");
    EXPECT_EQ(clients[0].output.len, 0);
    ask(0, "LLEN l");
    EXPECT_ANSWER(0, "0");
    ask(0, "CLIENT REPLY OFF");
    ask(0, "BLPOP l 0.1");
    pass(100);
    EXPECT_EQ(clients[0].output.len, 0);
    EXPECT(clients[0].blocked == NULL);
    close_clients();
}

TEST(client_unblock_ends_a_wait)
{
    char line[100];

    open_clients();
    ask(0, "BLPOP l 0");
    ask(1, "BLPOP l 0");
    snprintf(line, sizeof(line), "CLIENT UNBLOCK %u", (unsigned)clients[0].id);
    EXPECT_REPLY(line, "1");
    EXPECT_REPLY(line, "0"); /* once is enough */
    serve();
    EXPECT_ANSWER(0, "nil-array");
    run_line(line);
    EXPECT_TEXT(reply_text(false), "0");
    snprintf(line, sizeof(line), "CLIENT UNBLOCK %u error", (unsigned)clients[1].id);
    run_line(line);
    EXPECT_TEXT(reply_text(false), "1");
    EXPECT_ANSWER(1, "-UNBLOCKED client unblocked via CLIENT UNBLOCK");
    run_line("CLIENT UNBLOCK 4711");
    EXPECT_TEXT(reply_text(false), "0");
    run_line("CLIENT UNBLOCK x");
    EXPECT_TEXT(reply_text(false), NOT_INTEGER);
    run_line("CLIENT UNBLOCK x y");
    EXPECT_TEXT(reply_text(false), "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    close_clients();
}

/* A SAVE, as it waits. */
TEST(what_has_no_timeout_is_not_unblocked_as_if_it_were_over)
{
    char line[100];

    open_clients();
    clients[0].waiting = true;
    clients[0].wait_checkpoint = 1;
    snprintf(line, sizeof(line), "CLIENT UNBLOCK %u TIMEOUT", (unsigned)clients[0].id);
    EXPECT_REPLY(line, "0");
    EXPECT(clients[0].waiting);
    snprintf(line, sizeof(line), "CLIENT UNBLOCK %u ERROR", (unsigned)clients[0].id);
    EXPECT_REPLY(line, "1");
    EXPECT_ANSWER(0, "-UNBLOCKED client unblocked via CLIENT UNBLOCK");
    EXPECT(!clients[0].waiting && clients[0].wait_checkpoint == 0);
    close_clients();
}

static bool says(const char *line, const char *what)
{
    execute(line);
    buffer_put_u8(&world.session.output, 0);
    return strstr((const char *)world.session.output.at, what) != NULL;
}

TEST(who_waits_is_told_by_info_and_client_list)
{
    open_clients();
    EXPECT(says("INFO clients", "blocked_clients:0\r\n"));
    ask(0, "BLPOP l 0");
    EXPECT(says("INFO clients", "blocked_clients:1\r\n"));
    EXPECT(says("CLIENT LIST", " flags=b "));
    run_line("RPUSH l x");
    EXPECT(says("INFO clients", "blocked_clients:0\r\n"));
    EXPECT(!says("CLIENT LIST", " flags=b "));
    close_clients();
}

TEST(a_call_is_counted_once_however_often_it_is_tried)
{
    open_clients();
    ask(0, "BLPOP l 0");
    run_line("SET l v");
    run_line("DEL l");
    run_line("RPUSH l x");
    EXPECT_ANSWER(0, "[\"l\" \"x\"]");
    EXPECT_EQ(world.server.figures[command_index(command_find(span_str("blpop")))].calls, 1);
    close_clients();
}

TEST(where_one_finds_nothing_the_others_are_left_alone)
{
    open_clients();
    for (int i = 0; i < CLIENTS; i++)
        ask(i, "BLPOP l 0");
    clients[2].wrote = clients[3].wrote = true; /* a retry would take it back */
    run_line("RPUSH l a");
    EXPECT_TEXT(buffer_span(&served), "0");
    EXPECT(clients[2].wrote && clients[3].wrote);
    run_line("SET l v");
    run_line("DEL l");
    EXPECT(clients[2].wrote && clients[3].wrote);
    run_line("RPUSH l b c d");
    EXPECT_TEXT(buffer_span(&served), "0 1 2 3");
    EXPECT_ANSWER(3, "[\"l\" \"d\"]");
    close_clients();
}

TEST(who_waits_for_another_type_or_is_killed_stands_in_nobodys_way)
{
    open_clients();
    ask(0, "BZPOPMIN k 0");
    ask(1, "XREAD BLOCK 0 STREAMS k 9-0");
    ask(2, "XREAD BLOCK 0 STREAMS k 0-0");
    ask(3, "BLPOP k 0");
    run_line("RPUSH k x");
    EXPECT_TEXT(buffer_span(&served), "3");
    run_line("XADD k 1-0 f v");
    EXPECT_TEXT(buffer_span(&served), "3 2");
    run_line("DEL k");
    ask(2, "BRPOP k 0");
    ask(3, "BLMPOP 0 1 k RIGHT");
    clients[2].killed = true;
    run_line("ZADD k 1 m");
    EXPECT_TEXT(buffer_span(&served), "3 2 0");
    run_line("RPUSH k x");
    EXPECT_TEXT(buffer_span(&served), "3 2 0 3");
    EXPECT_WAITS(1);
    close_clients();
}

TEST(a_key_named_twice_is_waited_for_once)
{
    open_clients();
    ask(0, "BLPOP l other l 0");
    ask(1, "BLPOP l l 0");
    run_line("LPUSH other x");
    EXPECT_ANSWER(0, "[\"other\" \"x\"]");
    ask(0, "BLPOP other l l 0");
    run_line("RPUSH l a b c");
    EXPECT_TEXT(buffer_span(&served), "0 1 0");
    EXPECT_ANSWER(1, "[\"l\" \"a\"]");
    EXPECT(world.server.watch.touched == NULL);
    close_clients();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
