/* LINK and REGION, as a client of one of several nodes asks for them. */
#include "node/meeting.h"

/* What a client of a region is told. */
static const char *ask(size_t i, const char *command)
{
    static char text[2000];
    struct node *n = &world.machines[i].node;
    node_turn(n, world.now_us);
    struct session *s = node_session_open(n, NULL, "127.0.0.1:1", "127.0.0.1:2");
    node_session_input(n, s, span_str(command));
    node_turn_end(n);
    struct span out = node_session_output(s);
    CHECK(out.len < sizeof text);
    memcpy(text, out.at, out.len);
    text[out.len] = '\0';
    node_session_close(n, s);
    return text;
}

TEST(a_fault_asked_for_at_any_region_reaches_an_end_of_the_link)
{
    world_start(3, test_seed());
    connect_all();
    EXPECT_TEXT(span_str(ask(2, "LINK CUT eu-de us-east\r\n")), "+OK\r\n");
    run_writing(300, 100);
    EXPECT(peer_of(0, 1)->intake == NULL && peer_of(0, 1)->feed == NULL);
    EXPECT(peer_of(0, 1)->cut != peer_of(1, 0)->cut);
    EXPECT_TEXT(span_str(ask(1, "LINK HEAL us-east eu-de\r\n")), "+OK\r\n");
    EXPECT(converge());
    connect_all();
    EXPECT(!peer_of(0, 1)->cut && !peer_of(1, 0)->cut);
    EXPECT_TEXT(span_str(ask(2, "LINK SLOW eu-de us-east 70\r\n")), "+OK\r\n");
    run(200);
    EXPECT_EQ(peer_of(0, 1)->slow_ms + peer_of(1, 0)->slow_ms, 70);
    EXPECT_TEXT(span_str(ask(1, "LINK SLOW us-east eu-de 20\r\n")), "+OK\r\n");
    run(200);
    EXPECT_EQ(peer_of(0, 1)->slow_ms + peer_of(1, 0)->slow_ms, 20);
    EXPECT_TEXT(span_str(ask(2, "LINK HEAL eu-de us-east\r\n")), "+OK\r\n");
    run(200);
    EXPECT_EQ(peer_of(0, 1)->slow_ms + peer_of(1, 0)->slow_ms, 0);
    world_end();
}

TEST(a_cut_at_both_ends_is_healed_from_one)
{
    world_start(2, test_seed());
    connect_all();
    ask(0, "LINK CUT eu-de us-east\r\n");
    ask(1, "LINK CUT eu-de us-east\r\n");
    run_writing(300, 100);
    EXPECT(peer_of(0, 1)->cut && peer_of(1, 0)->cut);
    ask(0, "LINK HEAL eu-de us-east\r\n");
    EXPECT(converge());
    connect_all();
    world_end();
}

TEST(a_fault_that_makes_no_sense_is_refused)
{
    world_start(3, test_seed());
    world.machines[0].dead = world.machines[1].dead = true;
    run(100);
    EXPECT_TEXT(span_str(ask(2, "LINK CUT eu-de us-east\r\n")),
                "-ERR neither eu-de nor us-east can be reached from here: ask one of them (--port "
                "7001 or --port 7002)\r\n");
    world.machines[0].dead = world.machines[1].dead = false;
    connect_all();
    run(100);
    EXPECT_TEXT(span_str(ask(0, "LINK CUT eu-de mars\r\n")), "-ERR no region named 'mars'\r\n");
    EXPECT_TEXT(span_str(ask(0, "LINK CUT eu-de eu-de\r\n")),
                "-ERR a link is between two different regions\r\n");
    EXPECT_TEXT(span_str(ask(0, "LINK SLOW eu-de us-east -1\r\n")),
                "-ERR LINK SLOW takes 0 to 60000 milliseconds\r\n");
    world_end();
}

TEST(links_and_regions_are_listed)
{
    world_start(2, test_seed());
    connect_all();
    run_writing(500, 500);
    run(1000);
    const char *list = ask(0, "LINK LIST\r\n");
    EXPECT(strstr(list, "us-east") != NULL && strstr(list, "up") != NULL);
    EXPECT(strstr(list, "rtt_ms") != NULL && strstr(list, "lag_ms") != NULL &&
           strstr(list, "compression") != NULL);
    EXPECT(strstr(list, "problem") == NULL);
    EXPECT_TEXT(span_str(ask(0, "REGION SELF\r\n")), "$5\r\neu-de\r\n");
    EXPECT_TEXT(span_str(ask(0, "REGION LAG eu-de\r\n")), ":0\r\n");
    EXPECT(ask(0, "REGION LAG us-east\r\n")[0] == ':');
    EXPECT(strstr(ask(0, "REGION LIST\r\n"), "us-east") != NULL);
    EXPECT(strstr(ask(0, "INFO replication\r\n"),
                  "peer0:region=us-east,intake=up,feed=up,lag_ms=") != NULL);
    ask(0, "LINK CUT eu-de us-east\r\n");
    list = ask(0, "LINK LIST\r\n");
    EXPECT(strstr(list, "cut by LINK CUT") != NULL);
    world_end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
