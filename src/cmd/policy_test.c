/* What commands ask for, where they run, and what fences refuse: by keyspace, session and command. */
#include "cmd/fence.h"
#include "cmd/home.h"
#include "cmd/route.h"
#include "cmd/trial.h"

static char *copy(const char *text)
{
    return strcpy(mem_alloc(strlen(text) + 1), text);
}

static struct keyspace *add(struct deployment *d, const char *prefix)
{
    struct keyspace *k = deployment_add_keyspace(d);

    k->prefix = copy(prefix);
    k->prefix_bytes = strlen(prefix);
    return k;
}

static void add_regions(struct deployment *d, uint8_t count)
{
    static const char *const names[] = { "us-east", "eu-de", "eu-gb" };

    d->name = copy("shop");
    for (uint8_t i = 0; i < count; i++) {
        struct region *r = deployment_add_region(d);

        r->name = copy(names[i]);
        r->id = (uint8_t)(i + 1);
    }
}

static void add_hashed(struct deployment *d)
{
    struct keyspace *k = add(d, "hash:");

    k->mode = KEYSPACE_PARTITIONED;
    k->homes = KEYSPACE_HOMES_HASH;
}

/* Regions 1 (we), 2 and 3; the fence europe holds 2 and 3. */
static void prepare(struct deployment *d)
{
    struct keyspace *k;

    add_regions(d, 3);
    struct fence *f = deployment_add_fence(d);
    f->name = copy("europe");
    fence_add(f, 2);
    fence_add(f, 3);
    add(d, "q:")->promises.acks = (struct write_level){ KEYSPACE_QUORUM, 0 };
    k = add(d, "s:");
    k->promises.acks = (struct write_level){ KEYSPACE_SYNC, 0 };
    k->promises.reads = (struct read_level){ KEYSPACE_READ_BOUNDED, 500 };
    k->promises.ack_timeout_ms = 3000;
    add(d, "strong:")->promises.reads = (struct read_level){ KEYSPACE_READ_STRONG, 0 };
    add(d, "eu:")->fence = 1;
    k = add(d, "through:");
    k->fence = 1;
    k->outside = KEYSPACE_THROUGH;
    k = add(d, "p:");
    k->mode = KEYSPACE_PRIMARY;
    k->writer = 2;
    k->promises.acks = (struct write_level){ KEYSPACE_QUORUM, 0 };
    k->promises.reads = (struct read_level){ KEYSPACE_READ_STRONG, 0 };
    add(d, "mine:")->mode = KEYSPACE_PRIMARY;
    d->keyspaces[d->keyspace_count - 1].writer = 1;
    k = add(d, "tag:");
    k->mode = KEYSPACE_PARTITIONED;
    k->readers[0] = 1u << 3;
    add_hashed(d);
    k = add(d, "dir:");
    k->mode = KEYSPACE_PARTITIONED;
    k->homes = KEYSPACE_HOMES_DIRECTORY;
    k->directory = copy("at:");
}

static size_t split(const char *line, char *text, struct span argv[16])
{
    size_t argc = 0;

    strcpy(text, line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = span_str(word);
    return argc;
}

static struct demand demand(const char *line)
{
    char text[200];
    struct span argv[16];
    struct demand d;
    size_t argc = split(line, text, argv);

    demand_of(&world.server, &world.session, argv, argc, &d);
    return d;
}

static struct route route(const char *line)
{
    char text[200];
    struct span argv[16];
    size_t argc = split(line, text, argv);

    return route_of(&world.server, &world.session, argv, argc);
}

TEST(a_command_asks_for_what_the_strictest_of_its_keys_does)
{
    open_world_with(prepare);
    EXPECT(!world.server.plain && world.server.fenced && world.server.routed);
    EXPECT_EQ(demand("SET k v").others, 0);
    EXPECT_EQ(demand("SET q:k v").others, 1);
    EXPECT_EQ(demand("MSET k v q:k v s:k v").others, 2);
    EXPECT_EQ(demand("MSET k v s:k v").timeout_ms, 3000);
    EXPECT_EQ(demand("GET q:k").others, 0);
    EXPECT_EQ(demand("GET k").staleness_ms, STALENESS_ANY);
    EXPECT_EQ(demand("MGET k s:k").staleness_ms, 500);
    EXPECT(demand("MGET s:k strong:k").strong);
    EXPECT(!demand("SET strong:k v").strong);
    EXPECT_EQ(demand("FLUSHALL").others, 2);
    EXPECT_EQ(demand("PING").others, 0);
    EXPECT_EQ(demand("SET q:k").others, 0); /* it will be refused */
    EXPECT_EQ(demand("GET eu:k").members[0], 1u << 2 | 1u << 3);
    close_world();
}

TEST(sessions_speak_before_keyspaces)
{
    open_world_with(prepare);
    world.session.levels.has_write = true;
    world.session.levels.write = (struct write_level){ KEYSPACE_ASYNC, 0 };
    EXPECT_EQ(demand("SET q:k v").others, 0);
    world.session.levels.write = (struct write_level){ KEYSPACE_ACK_COUNT, 2 };
    EXPECT_EQ(demand("SET k v").others, 2);
    world.session.levels.has_read = true;
    world.session.levels.read = (struct read_level){ KEYSPACE_READ_LOCAL, 0 };
    EXPECT_EQ(demand("GET s:k").staleness_ms, STALENESS_ANY);
    close_world();
}

TEST(who_follows_a_token_waits_for_it_where_it_writes_or_reads_causally)
{
    open_world_with(prepare);
    world.session.token = mem_zalloc(sizeof(struct token));
    EXPECT(demand("SET k v").causal);
    EXPECT(!demand("GET k").causal);
    EXPECT(demand("GET strong:k").causal);
    EXPECT(!demand("PING").causal);
    close_world();
}

TEST(the_token_of_a_with_is_waited_for_whatever_the_level)
{
    open_world_with(prepare);
    world.session.with.token = mem_zalloc(sizeof(struct token));
    EXPECT(demand("GET k").causal);
    EXPECT(demand("DBSIZE").causal);
    EXPECT(demand("GET s:k").causal);
    EXPECT(demand("SET k v").causal);
    EXPECT(!demand("PING").causal);
    EXPECT_REPLY("MULTI", "OK");
    EXPECT_REPLY("GET k", "QUEUED");
    EXPECT(demand("EXEC").causal);
    EXPECT_REPLY("DISCARD", "OK");
    close_world();
}

/* Else the client would not find it where it takes the token, for all that the token says. */
TEST(a_token_names_what_its_session_has_written_elsewhere_though_it_has_not_come)
{
    struct token *t = mem_alloc(sizeof(*t));
    struct buffer text = { 0 };
    open_world_with(prepare);
    session_wrote_elsewhere(&world.session, stamp_make(5000, 0, 2), 7);
    session_wrote_elsewhere(&world.session, stamp_make(4000, 0, 3), 1);
    session_wrote_elsewhere(&world.session, stamp_make(6000, 0, 3), 2);
    session_token_put(&world.server, &world.session, &text);
    EXPECT(token_take(buffer_span(&text), t, world.server.deployment->name));
    EXPECT_EQ(vector_get(&t->seen, 2), stamp_make(5000, 0, 2));
    EXPECT_EQ(t->instance[2], 7);
    EXPECT_EQ(vector_get(&t->seen, 3), stamp_make(6000, 0, 3));
    EXPECT_EQ(t->instance[3], 2);
    buffer_release(&text);
    mem_free(t);
    close_world();
}

TEST(a_strong_read_of_one_writer_settles_there_and_asks_nobody_else)
{
    open_world_with(prepare);
    struct demand d = demand("GET p:k");
    EXPECT(!d.strong && d.settles);
    EXPECT_EQ(d.others, 1);
    EXPECT_EQ(d.writers[0], 1u << 2);
    EXPECT_EQ(route("GET p:k").region, 2);
    EXPECT_EQ(route("GET mine:k").region, 1);
    close_world();
}

static uint8_t first_member(void *node, const struct session *session, uint32_t fence)
{
    (void)node;
    (void)session;
    return (uint8_t)(fence + 1);
}

TEST(writes_go_home)
{
    static const struct server_hooks hooks = { .member_for = first_member };

    open_world_with(prepare);
    world.server.hooks = &hooks;
    EXPECT_EQ(route("SET k v").region, 1);
    EXPECT_EQ(route("SET p:k v").region, 2);
    EXPECT_EQ(route("SET mine:k v").region, 1);
    EXPECT_EQ(route("SET tag:{eu-de}:1 v").region, 2);
    EXPECT(route("SET tag:{eu-gb}:1 v").error != NULL); /* it only reads */
    EXPECT(route("SET tag:1 v").error != NULL);
    EXPECT_EQ(route("GET tag:{eu-de}:1").region, 1);
    EXPECT_EQ(route("WATCH p:k").region, 2);
    EXPECT(route("MSET p:k v mine:k v").error != NULL);
    EXPECT(route("MSET p:k v k v").error != NULL);
    EXPECT(route("MSET p:a v p:b v").error == NULL);
    EXPECT_EQ(route("GET through:k").region, 2);
    EXPECT_EQ(route("GET eu:k").region, 1); /* to be refused here */
    close_world();
}

TEST(a_directory_is_a_string_with_the_regions_name)
{
    open_world_with(prepare);
    EXPECT(route("SET dir:{7} v").error != NULL);
    EXPECT_REPLY("SET at:7 eu-gb", "OK");
    EXPECT_EQ(route("SET dir:{7} v").region, 3);
    EXPECT(route("SET dir:{7} v").listed != 0);
    EXPECT_REPLY("SET at:7 nowhere", "OK");
    EXPECT_TEXT(span_str(route("SET dir:{7} v").error),
                "NOWRITER the key has no home: the directory's entry, directory + tag, names no "
                "region");
    EXPECT_TEXT(span_str(route("SET tag:{7} v").error),
                "NOWRITER the key has no home: its tag names no region, as in user:{eu-gb}:42");
    close_world();
}

/* After eu-gb has gone. */
static void prepare_two(struct deployment *d)
{
    add_regions(d, 2);
    add_hashed(d);
}

enum { HASHED = 3000 };

/* Of many keys: how many homes each region is. */
static void find_homes(uint8_t homes[HASHED], size_t at[4])
{
    memset(at, 0, 4 * sizeof(at[0]));
    for (int i = 0; i < HASHED; i++) {
        char key[32];
        snprintf(key, sizeof(key), "hash:%d", i);
        homes[i] = home_of_key(&world.server, 0, span_str(key)).region;
        at[homes[i]]++;
    }
}

TEST(hashed_homes_are_even_and_move_little_when_a_region_goes)
{
    static uint8_t before[HASHED], after[HASHED];
    size_t at[4];

    open_world_with(prepare);
    find_homes(before, at);
    for (int i = 1; i <= 3; i++)
        EXPECT(at[i] > 800 && at[i] < 1200);
    EXPECT_EQ(home_of_key(&world.server, 0, span_str("hash:{a}1")).region,
              home_of_key(&world.server, 0, span_str("hash:{a}2")).region);
    close_world();
    open_world_with(prepare_two);
    find_homes(after, at);
    for (int i = 0; i < HASHED; i++)
        EXPECT(before[i] == 3 || after[i] == before[i]);
    EXPECT_EQ(at[3], 0);
    EXPECT(at[1] > 1300 && at[2] > 1300);
    close_world();
}

TEST(slots_are_those_of_redis_cluster)
{
    EXPECT_EQ(route_slot(span_str("123456789")), 0x31c3);
    EXPECT_EQ(route_slot(span_str("foo{bar}")), route_slot(span_str("bar")));
    EXPECT_EQ(route_slot(span_str("foo{}{bar}")), 8363);
}

TEST(keys_that_this_region_may_not_hold_are_refused_by_the_names_of_those_that_may)
{
    open_world_with(prepare);
    EXPECT_REPLY("GET eu:k",
                 "-FENCED this region may not hold that key: fence europe is eu-de, eu-gb");
    EXPECT_REPLY("MGET k eu:k", "-CROSSSLOT Keys in request lie in different fences");
    EXPECT_REPLY("COPY k eu:k", "-FENCED the result would leave the fence of its source");
    EXPECT_REPLY("MULTI", "OK");
    EXPECT_REPLY("SET k v", "QUEUED");
    EXPECT_REPLY("GET eu:k",
                 "-FENCED this region may not hold that key: fence europe is eu-de, eu-gb");
    EXPECT_REPLY("EXEC", "-EXECABORT Transaction discarded because of previous errors.");
    close_world();
}

TEST(what_is_not_for_multi_says_so)
{
    open_world_with(prepare);
    EXPECT_REPLY("MULTI", "OK");
    EXPECT_REPLY("ERASE user:", "-ERR 'erase' is not for MULTI where there are fences");
    EXPECT_REPLY("KEYSPACE SET q: acks sync",
                 "-ERR 'keyspace|set' is not for MULTI where there are fences");
    EXPECT_REPLY("FLUSHALL", "-CROSSSLOT flushall inside MULTI would span all fences");
    EXPECT_REPLY("DISCARD", "OK");
    close_world();
}

TEST(sort_looks_up_keys_only_where_the_sorted_one_lies_and_is_written)
{
    static const char crossed[] =
        "-CROSSSLOT BY or GET of SORT names keys of another fence or home",
                      fenced[] = "-FENCED this region may not hold that key: fence europe is "
                                 "eu-de, eu-gb";
    open_world_with(prepare);
    EXPECT_REPLY("RPUSH k 2 1", "2");
    EXPECT_REPLY("MSET w1 9 w2 1", "OK");
    EXPECT_REPLY("SORT k BY w* GET #", "[\"2\" \"1\"]");
    EXPECT_REPLY("SORT k BY nosort GET #", "[\"2\" \"1\"]");
    EXPECT_REPLY("SORT k BY eu:*", fenced);
    EXPECT_REPLY("SORT k BY eu:w*", fenced);
    EXPECT_REPLY("SORT k BY w* GET e*", fenced); /* may be one of eu: */
    EXPECT_REPLY("SORT_RO k GET *", crossed);
    EXPECT_REPLY("SORT k GET p:*", crossed);
    EXPECT_REPLY("SORT k GET mine:*", crossed);
    EXPECT_REPLY("SORT mine:k GET mine:w*", "[]");
    EXPECT_REPLY("SORT mine:k GET p:*", crossed);
    EXPECT_REPLY("SORT tag:{us-east}:k GET tag:{us-east}:*", "[]");
    EXPECT_REPLY("SORT tag:{us-east}:k GET tag:{eu-de}:*", crossed);
    EXPECT_REPLY("SORT tag:{us-east}:k GET tag:*", crossed);
    EXPECT_REPLY("MULTI", "OK");
    EXPECT_REPLY("SORT k GET eu:*", "QUEUED");
    EXPECT_REPLY("EXEC",
                 "[-FENCED this region may not hold that key: fence europe is eu-de, eu-gb]");
    close_world();
}

static bool says(const char *line, const char *want)
{
    static char text[2000];

    execute(line);
    struct span reply = reply_text(false);
    snprintf(text, sizeof(text), "%.*s", (int)reply.len, (const char *)reply.at);
    return strstr(text, want) != NULL;
}

TEST(keyspaces_tell_who_writes_and_who_holds_them)
{
    open_world_with(prepare);
    EXPECT(says("KEYSPACE FOR p:k", "\"outside\" \"\" \"writer\" \"eu-de\" \"homes\" \"\""));
    EXPECT(
        says("KEYSPACE FOR tag:k", "\"homes\" \"tag\" \"directory\" \"\" \"readers\" \"eu-gb\"]"));
    EXPECT(says("KEYSPACE FOR dir:k",
                "\"homes\" \"directory\" \"directory\" \"at:\" \"readers\" \"\"]"));
    /* what this region may not hold, or shows only through another, it knows the policy of */
    EXPECT(says("KEYSPACE FOR eu:k", "\"fence\" \"europe\""));
    EXPECT(says("KEYSPACE FOR eu:k", "\"outside\" \"refuse\""));
    EXPECT(says("KEYSPACE FOR through:k", "\"outside\" \"forward\""));
    EXPECT_EQ(route("KEYSPACE FOR through:k").region, 1);
    close_world();
}

TEST(a_with_inside_multi_spoils_it)
{
    open_world_with(prepare);
    EXPECT_REPLY("MULTI", "OK");
    EXPECT_REPLY("WITH acks=1 -- SET k v",
                 "-ERR WITH inside MULTI is not allowed: give it to EXEC");
    EXPECT_REPLY("EXEC", "-EXECABORT Transaction discarded because of previous errors.");
    EXPECT_REPLY("MULTI", "OK");
    EXPECT_REPLY("WITH acks=1 -- NOSUCH", "-ERR WITH inside MULTI is not allowed: give it to EXEC");
    EXPECT_REPLY("DISCARD", "OK");
    close_world();
}

TEST(more_acknowledgements_than_regions_are_refused_at_once)
{
    open_world_with(prepare);
    EXPECT_REPLY("SESSION WRITE 2", "OK");
    EXPECT_REPLY("SESSION WRITE 3", "-ERR acks 3 cannot be: only 2 other regions are there");
    EXPECT_EQ(demand("SET k v").others, 2);
    EXPECT_REPLY("WITH acks=2 -- SET k v", "OK");
    with_release(&world.session.with);
    EXPECT_REPLY("WITH acks=9 -- SET k v",
                 "-ERR acks 9 cannot be: only 2 other regions hold that key");
    with_release(&world.session.with);
    EXPECT_REPLY("WITH acks=2 -- SET eu:k v",
                 "-ERR acks 2 cannot be: only 1 other regions hold that key");
    with_release(&world.session.with);
    EXPECT_REPLY("WITH acks=9 -- FLUSHALL",
                 "-ERR acks 9 cannot be: only 2 other regions hold that key");
    with_release(&world.session.with);
    EXPECT_REPLY("MULTI", "OK");
    EXPECT_REPLY("SET k v", "QUEUED");
    EXPECT_REPLY("WITH acks=9 -- EXEC",
                 "-ERR acks 9 cannot be: only 2 other regions hold that key");
    with_release(&world.session.with);
    EXPECT_REPLY("EXEC", "-EXECABORT Transaction discarded because of previous errors.");
    close_world();
}

/* As host/config_test.c has it. */
TEST(keyspace_set_takes_what_the_configuration_does_and_says_why_not_with_its_words)
{
    static const struct step steps[] = {
        { "KEYSPACE SET q: ack_timeout 2",
          "-ERR ack_timeout: \"2\" has no unit; a duration ends in ms, s, m or h" },
        { "KEYSPACE SET q: ack_timeout 0", "-ERR ack_timeout: 0 is out of range 1ms..1h" },
        { "KEYSPACE SET q: max_lag 5ms", "-ERR max_lag: 5ms is out of range 100ms..1h" },
        { "KEYSPACE SET q: max_lag soon",
          "-ERR max_lag: expected a duration such as 500ms, got \"soon\"" },
        { "KEYSPACE SET q: acks 0", "-ERR acks: 0 is out of range 1..2" },
        { "KEYSPACE SET q: acks 3", "-ERR acks: 3 is out of range 1..2" },
        { "KEYSPACE SET q: acks quorum ACKS sync", "-ERR \"ACKS\" is given twice" },
        { "KEYSPACE SET q: reads bounded:0", "-ERR reads is one of: " READ_LEVEL_WORDS },
        { "KEYSPACE SET q: ack_timeout 2s reads bounded:5000 acks 2 max_lag none", "OK" },
        { "KEYSPACE SET q: reads bounded:5s", "OK" },
    };
    open_world_with(prepare);
    for (size_t i = 0; i < COUNT_OF(steps) && run_step(&steps[i]); i++)
        ;
    EXPECT(says("KEYSPACE FOR q:k",
                "\"acks\" \"2\" \"ack_timeout\" \"2000ms\" \"reads\" \"bounded:5000\""));
    close_world();
}

TEST(options_of_a_with_are_read_strictly)
{
    static const char acks[] = "-ERR acks= is one of: " WRITE_LEVEL_WORDS,
                      reads[] = "-ERR read= is one of: " READ_LEVEL_WORDS,
                      timeout[] = "-ERR ack_timeout= is a number of milliseconds, 1 to 3600000",
                      twice[] = "-ERR WITH takes each option once",
                      kind[] = "-ERR WITH is for a command that reads or writes keys, or EXEC";
    static const struct step steps[] = {
        { "WITH acks=-1 -- GET k", acks },
        { "WITH acks=255 -- GET k", acks },
        { "WITH acks=99999999999999999999 -- GET k", acks },
        { "WITH acks= -- GET k", acks },
        { "WITH ack_timeout=0 -- GET k", timeout },
        { "WITH ack_timeout=-5 -- GET k", timeout },
        { "WITH ack_timeout=3600001 -- GET k", timeout },
        { "WITH ack_timeout=18446744073709551616 -- GET k", timeout },
        { "WITH read=bounded -- GET k", reads },
        { "WITH read=bounded:0 -- GET k", reads },
        { "WITH read=bounded:4294967297 -- GET k", reads },
        { "WITH acks=1 acks=2 -- GET k", twice },
        { "WITH ack_timeout=1 ACK_TIMEOUT=1 -- GET k", twice },
        { "WITH read=local read=local -- GET k", twice },
        { "WITH token=AQAAAAAA -- GET k", "-ERR token= is no token of this deployment" },
        { "WITH -- WITH -- GET k", kind },
        { "WITH -- SESSION FOLLOW AQAA", kind },
        { "WITH -- CLIENT REPLY OFF", kind },
        { "WITH -- MULTI", kind },
        { "WITH -- WAIT 1 1", kind },
        { "WITH -- GATHER count k", kind },
        { "WITH -- SAVE", kind },
        { "WITH acks=1 --",
          "-ERR WITH option [option ...] -- COMMAND ...: there is no command after --" },
    };
    open_world_with(prepare);
    for (size_t i = 0; i < COUNT_OF(steps) && run_step(&steps[i]); i++)
        with_release(&world.session.with);
    close_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
