/* Commands about connection and server, byte for byte as Redis 7.0.15 answers them. */
#define _GNU_SOURCE /* memmem */

#include "base/check.h"
#include "base/memory.h"
#include "base/test.h"
#include "cmd/call.h"

enum { ARGS_MAX = 32, NOW_MS = 1000000 };

/* A server with one client, and what its node was asked. */
struct world {
    struct replica replica;
    struct server server;
    struct deployment deployment;
    struct session session;
    struct buffer text; /* of what `run` returned last */
    stamp_t asked_stamp;
    uint32_t regions;
};

static void say_role(void *node, struct buffer *out)
{
    (void)node;
    buffer_put_text(out, "from_node:1\r\n");
}

static void answer(void *node, struct call *call)
{
    (void)node;
    reply_simple(call->reply, call->command->name);
}

static uint32_t regions_with(void *node, stamp_t stamp)
{
    struct world *w = node;

    w->asked_stamp = stamp;
    return w->regions;
}

static const struct server_hooks hooks = {
    .info_replication = say_role,
    .info_persistence = say_role,
    .link_command = answer,
    .region_command = answer,
    .regions_with = regions_with,
};

static void open_session(struct world *w, struct session *session, const char *address)
{
    server_open_session(&w->server, session);
    memcpy(session->address, address, strlen(address) + 1);
    memcpy(session->local_address, "127.0.0.1:7001", 15);
}

static struct world *world_new(void)
{
    struct world *w = mem_zalloc(sizeof(*w));
    struct replica_options options = {
        .region = 1, .instance = 0x2a, .seed = 7, .max_skew_ms = 500
    };

    replica_init(&w->replica, &options);
    hlc_raise_ceiling(&w->replica.hlc, 2 * NOW_MS);
    replica_turn(&w->replica, NOW_MS);
    deployment_init(&w->deployment);
    w->deployment.name = mem_zalloc(5);
    memcpy(w->deployment.name, "shop", 5);
    deployment_finish(&w->deployment);
    server_init(&w->server, &w->replica, &w->deployment);
    server_listen(&w->server);
    w->server.now_us = NOW_MS * 1000ull + 17;
    w->server.hooks = &hooks;
    w->server.node = w;
    w->server.region = "us-east";
    open_session(w, &w->session, "127.0.0.1:4711");
    return w;
}

static void world_free(struct world *w)
{
    server_close_session(&w->server, &w->session);
    server_release(&w->server);
    replica_release(&w->replica);
    deployment_release(&w->deployment);
    buffer_release(&w->text);
    mem_free(w);
}

/* Runs a line of words; '' is an empty one, and ~ in a word stands for a space. */
static void run_line(struct world *w, struct session *session, const char *line)
{
    char text[512];
    struct span argv[ARGS_MAX];
    size_t argc = 0;

    CHECK(strlen(line) < sizeof(text));
    memcpy(text, line, strlen(line) + 1);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        CHECK(argc < ARGS_MAX);
        for (char *c = word; *c != 0; c++)
            *c = *c == '~' ? ' ' : *c;
        argv[argc++] = strcmp(word, "''") == 0 ? span_of(word, 0) : span_str(word);
    }
    command_run(&w->server, session, argv, argc);
}

/* The reply, with | for line ends. */
static struct span run(struct world *w, const char *line)
{
    buffer_clear(&w->session.output);
    run_line(w, &w->session, line);
    buffer_clear(&w->text);
    for (size_t i = 0; i < w->session.output.len; i++) {
        uint8_t c = w->session.output.at[i];

        if (c != '\r')
            buffer_put_u8(&w->text, c == '\n' ? '|' : c);
    }
    return buffer_span(&w->text);
}

static bool holds(struct span text, const char *part)
{
    return text.len > 0 && memmem(text.at, text.len, part, strlen(part)) != NULL;
}

#define EXPECT_REPLY(line, reply) EXPECT_TEXT(run(w, line), reply)
#define WITH_WORLD                struct world *w = world_new()

/* --- refusals --- */

TEST(unknown_commands_are_quoted_with_their_arguments)
{
    WITH_WORLD;

    EXPECT_REPLY("FOO", "-ERR unknown command 'FOO', with args beginning with: |");
    EXPECT_REPLY("FOO a b c~d",
                 "-ERR unknown command 'FOO', with args beginning with: 'a' 'b' 'c d' |");
    EXPECT_REPLY("FOO 0123456789012345678901234567890123456789012345678901234567890123456789"
                 "012345678901234567890123456789012345678901234567890123456789ABCDEF x",
                 "-ERR unknown command 'FOO', with args beginning with: "
                 "'0123456789012345678901234567890123456789012345678901234567890123456789"
                 "0123456789012345678901234567890123456789012345678901234567' |");
    EXPECT_EQ(w->server.statistics.errors, 3);
    world_free(w);
}

TEST(wrong_numbers_of_arguments_name_the_command)
{
    WITH_WORLD;

    EXPECT_REPLY("GET", "-ERR wrong number of arguments for 'get' command|");
    EXPECT_REPLY("Echo", "-ERR wrong number of arguments for 'echo' command|");
    EXPECT_REPLY("PING a b", "-ERR wrong number of arguments for 'ping' command|");
    EXPECT_REPLY("CLIENT", "-ERR wrong number of arguments for 'client' command|");
    EXPECT_REPLY("CLIENT ID 3", "-ERR wrong number of arguments for 'client|id' command|");
    EXPECT_REPLY("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command|");
    EXPECT_REPLY("LINK CUT a", "-ERR wrong number of arguments for 'link|cut' command|");
    world_free(w);
}

TEST(unknown_subcommands_point_to_help)
{
    WITH_WORLD;

    EXPECT_REPLY("CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.|");
    EXPECT_REPLY("config foo bar", "-ERR unknown subcommand 'foo'. Try CONFIG HELP.|");
    EXPECT_REPLY(
        "CONFIG HELP",
        "*9|+CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:|+GET <pattern>|"
        "+    Return parameters matching the glob-like <pattern> and their values.|"
        "+SET <directive> <value>|+    Set the configuration <directive> to <value>.|+RESETSTAT|"
        "+    Reset statistics reported by the INFO command.|+HELP|+    Prints this help.|");
    world_free(w);
}

TEST(refused_writes_say_why_and_reads_go_on)
{
    WITH_WORLD;

    w->server.refusal = "SKEWED this region's clock is off";
    EXPECT_REPLY("SET a 1", "-SKEWED this region's clock is off|");
    EXPECT_REPLY("GET a", "$-1|");
    w->server.refusal = NULL;
    w->replica.amnesiac = true;
    EXPECT(holds(run(w, "SET a 1"), "-AMNESIA "));
    w->replica.amnesiac = false;
    EXPECT_REPLY("SET a 1", "+OK|");
    EXPECT_EQ(w->server.figures[command_index(command_find(span_str("set")))].rejected, 2);
    world_free(w);
}

TEST(only_commands_that_made_ops_have_written)
{
    WITH_WORLD;

    EXPECT_REPLY("SET a 1", "+OK|");
    EXPECT(w->session.wrote);
    EXPECT(w->session.last_write != 0);

    stamp_t first = w->session.last_write;

    EXPECT_REPLY("GET a", "$1|1|");
    EXPECT(!w->session.wrote);
    EXPECT_REPLY("DEL nothing", ":0|");
    EXPECT(!w->session.wrote);
    EXPECT_EQ(w->session.last_write, first);
    EXPECT_REPLY("DEL a", ":1|");
    EXPECT(w->session.last_write > first);
    world_free(w);
}

/* --- connection --- */

TEST(ping_and_echo)
{
    WITH_WORLD;

    EXPECT_REPLY("PING", "+PONG|");
    EXPECT_REPLY("pInG a", "$1|a|");
    EXPECT_REPLY("ECHO ''", "$0||");
    world_free(w);
}

TEST(hello_switches_the_protocol_after_all_its_options_are_good)
{
    WITH_WORLD;

    EXPECT_REPLY(
        "HELLO",
        "*14|$6|server|$5|redis|$7|version|$6|7.0.15|$5|proto|:2|$2|id|:1|$4|mode|$10|standalone|"
        "$4|role|$6|master|$7|modules|*0|");
    EXPECT_REPLY(
        "HELLO 3 AUTH default x SETNAME ab",
        "%7|$6|server|$5|redis|$7|version|$6|7.0.15|$5|proto|:3|$2|id|:1|$4|mode|$10|standalone|"
        "$4|role|$6|master|$7|modules|*0|");
    EXPECT_REPLY("CLIENT GETNAME", "$2|ab|");
    EXPECT_REPLY("HELLO 4", "-NOPROTO unsupported protocol version|");
    EXPECT_REPLY("HELLO x", "-ERR Protocol version is not an integer or out of range|");
    EXPECT_REPLY("HELLO 2 AUTH", "-ERR Syntax error in HELLO option 'AUTH'|");
    EXPECT_REPLY("HELLO 2 FOO", "-ERR Syntax error in HELLO option 'FOO'|");
    EXPECT_REPLY("HELLO 2 AUTH bob x SETNAME cd",
                 "-WRONGPASS invalid username-password pair or user is disabled.|");
    EXPECT_REPLY("HELLO 2 SETNAME a~b",
                 "-ERR Client names cannot contain spaces, newlines or special characters.|");
    EXPECT_EQ(w->session.reply.protocol, 3);
    EXPECT_REPLY("CLIENT GETNAME", "$2|ab|");
    world_free(w);
}

TEST(auth_answers_like_a_redis_without_passwords)
{
    WITH_WORLD;

    EXPECT_REPLY(
        "AUTH x",
        "-ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?|");
    EXPECT_REPLY("AUTH default x", "+OK|");
    EXPECT_REPLY("AUTH bob x", "-WRONGPASS invalid username-password pair or user is disabled.|");
    EXPECT_REPLY("AUTH a b c", "-ERR syntax error|");
    world_free(w);
}

TEST(select_takes_sixteen_databases)
{
    WITH_WORLD;

    EXPECT_REPLY("SELECT 15", "+OK|");
    EXPECT_REPLY("SET a 1", "+OK|");
    EXPECT_REPLY("SELECT 0", "+OK|");
    EXPECT_REPLY("GET a", "$-1|");
    EXPECT_REPLY("SELECT 16", "-ERR DB index is out of range|");
    EXPECT_REPLY("SELECT -1", "-ERR DB index is out of range|");
    EXPECT_REPLY("SELECT abc", "-ERR value is not an integer or out of range|");
    EXPECT_EQ(w->session.db, 0);
    world_free(w);
}

TEST(reset_forgets_the_state_and_quit_closes)
{
    WITH_WORLD;

    run(w, "HELLO 3 SETNAME me");
    run(w, "SELECT 3");
    EXPECT_REPLY("RESET", "+RESET|");
    EXPECT_REPLY("CLIENT GETNAME", "$-1|");
    EXPECT_EQ(w->session.db, 0);
    EXPECT_EQ(w->session.reply.protocol, 2);
    EXPECT(!w->session.closing);
    EXPECT_REPLY("QUIT", "+OK|");
    EXPECT(w->session.closing);
    world_free(w);
}

/* --- CLIENT --- */

TEST(client_names_are_set_checked_and_removed)
{
    WITH_WORLD;

    EXPECT_REPLY("CLIENT ID", ":1|");
    EXPECT_REPLY("CLIENT SETNAME a~b",
                 "-ERR Client names cannot contain spaces, newlines or special characters.|");
    EXPECT_REPLY("CLIENT SETNAME foo", "+OK|");
    EXPECT_REPLY("CLIENT GETNAME", "$3|foo|");
    EXPECT_REPLY("CLIENT SETNAME ''", "+OK|");
    EXPECT_REPLY("CLIENT GETNAME", "$-1|");
    EXPECT_REPLY("CLIENT SETINFO lib-name redis-py", "+OK|");
    EXPECT_REPLY("CLIENT SETINFO LIB-VER 1~2",
                 "-ERR lib-ver cannot contain spaces, newlines or special characters.|");
    EXPECT_REPLY("CLIENT SETINFO foo x", "-ERR Unrecognized option 'foo'|");
    EXPECT(holds(run(w, "CLIENT INFO"),
                 " cmd=client|info user=default redir=-1 resp=2 lib-name=redis-py lib-ver=||"));
    world_free(w);
}

TEST(client_list_filters_by_type_and_id)
{
    WITH_WORLD;
    struct session *other = mem_zalloc(sizeof(*other));

    open_session(w, other, "10.0.0.1:99");
    EXPECT(holds(run(w, "CLIENT LIST"),
                 "id=1 addr=127.0.0.1:4711 laddr=127.0.0.1:7001 name= age=0 idle=0 flags=N"));
    EXPECT(holds(run(w, "CLIENT LIST"), "|id=2 addr=10.0.0.1:99 "));
    EXPECT(holds(run(w, "CLIENT LIST TYPE normal"), "|id=2 "));
    EXPECT_REPLY("CLIENT LIST TYPE pubsub", "$0||");
    EXPECT_REPLY("CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'|");
    EXPECT(holds(run(w, "CLIENT LIST ID 2 77"), "|id=2 "));
    EXPECT(!holds(run(w, "CLIENT LIST ID 2 77"), "|id=1 "));
    EXPECT_REPLY("CLIENT LIST ID 999", "$0||");
    EXPECT_REPLY("CLIENT LIST ID x", "-ERR Invalid client ID|");
    EXPECT_REPLY("CLIENT LIST ID", "-ERR syntax error|");
    EXPECT_REPLY("CLIENT LIST FOO", "-ERR syntax error|");
    run(w, "HELLO 3");
    EXPECT(holds(run(w, "CLIENT LIST ID 1"), "|txt:id=1 "));
    server_close_session(&w->server, other);
    mem_free(other);
    world_free(w);
}

TEST(client_kill_takes_whom_all_filters_match)
{
    WITH_WORLD;
    struct session *other = mem_zalloc(sizeof(*other));

    open_session(w, other, "10.0.0.1:99");
    EXPECT_REPLY("CLIENT KILL 1.2.3.4:5", "-ERR No such client|");
    EXPECT_REPLY("CLIENT KILL ID x", "-ERR client-id should be greater than 0|");
    EXPECT_REPLY("CLIENT KILL ID 0", "-ERR client-id should be greater than 0|");
    EXPECT_REPLY("CLIENT KILL ID 99999", ":0|");
    EXPECT_REPLY("CLIENT KILL TYPE foo", "-ERR Unknown client type 'foo'|");
    EXPECT_REPLY("CLIENT KILL TYPE pubsub", ":0|");
    EXPECT_REPLY("CLIENT KILL USER foo", "-ERR No such user 'foo'|");
    EXPECT_REPLY("CLIENT KILL USER default SKIPME maybe", "-ERR syntax error|");
    EXPECT_REPLY("CLIENT KILL FOO bar", "-ERR syntax error|");
    EXPECT_REPLY("CLIENT KILL ID 1 2", "-ERR syntax error|");
    EXPECT_REPLY("CLIENT KILL ID 2 ADDR 10.0.0.1:98", ":0|");
    EXPECT(!other->killed);
    EXPECT_REPLY("CLIENT KILL LADDR 127.0.0.1:7001 TYPE normal", ":1|");
    EXPECT(other->killed);
    EXPECT(!w->session.closing);
    EXPECT_REPLY("CLIENT KILL ID 2", ":0|");
    other->killed = false;
    EXPECT_REPLY("CLIENT KILL 10.0.0.1:99", "+OK|");
    EXPECT(other->killed);
    EXPECT_REPLY("CLIENT KILL ID 1", ":0|");
    EXPECT_REPLY("CLIENT KILL ID 1 SKIPME no", ":1|");
    EXPECT(w->session.closing && !w->session.killed);
    server_close_session(&w->server, other);
    mem_free(other);
    world_free(w);
}

TEST(client_reply_takes_replies_back)
{
    WITH_WORLD;

    EXPECT_REPLY("CLIENT REPLY FOO", "-ERR syntax error|");
    EXPECT_REPLY("CLIENT REPLY ON", "+OK|");
    EXPECT_REPLY("CLIENT REPLY SKIP", "");
    EXPECT_REPLY("PING", "");
    EXPECT_REPLY("PING", "+PONG|");
    EXPECT_REPLY("CLIENT REPLY SKIP", "");
    EXPECT_REPLY("CLIENT REPLY SKIP", "");
    EXPECT_REPLY("NOTHING", "");
    EXPECT_REPLY("PING", "+PONG|");
    EXPECT_REPLY("CLIENT REPLY OFF", "");
    EXPECT_REPLY("PING", "");
    EXPECT_REPLY("CLIENT REPLY SKIP", "");
    EXPECT_REPLY("PING", "");
    EXPECT_REPLY("PING", "");
    EXPECT_REPLY("CLIENT REPLY ON", "+OK|");
    EXPECT_REPLY("PING", "+PONG|");
    world_free(w);
}

TEST(a_reply_taken_back_leaves_what_stood_before_it)
{
    WITH_WORLD;

    run_line(w, &w->session, "PING");
    run_line(w, &w->session, "CLIENT REPLY SKIP");
    run_line(w, &w->session, "ECHO gone");
    run_line(w, &w->session, "ECHO back");
    EXPECT_TEXT(buffer_span(&w->session.output), "+PONG\r\n$4\r\nback\r\n");
    world_free(w);
}

TEST(client_switches)
{
    WITH_WORLD;

    EXPECT_REPLY("CLIENT NO-EVICT on", "+OK|");
    EXPECT_REPLY("CLIENT NO-TOUCH ON", "+OK|");
    EXPECT(holds(run(w, "CLIENT INFO"), " flags=eT "));
    EXPECT_REPLY("CLIENT NO-EVICT foo", "-ERR syntax error|");
    EXPECT_REPLY("CLIENT NO-EVICT off", "+OK|");
    EXPECT(!w->session.no_evict);
    world_free(w);
}

/* --- CONFIG --- */

TEST(config_get_takes_several_patterns)
{
    WITH_WORLD;

    EXPECT_REPLY("CONFIG GET save", "*2|$4|save|$0||");
    EXPECT_REPLY("CONFIG GET appendonly SAVE", "*4|$10|appendonly|$3|yes|$4|save|$0||");
    EXPECT_REPLY("CONFIG GET Max[mc]* timeout timeout",
                 "*8|$10|maxclients|$5|10000|$9|maxmemory|$1|0|$16|maxmemory-policy|$10|noeviction|"
                 "$7|timeout|$1|0|");
    EXPECT_REPLY("CONFIG GET nothere", "*0|");
    run(w, "HELLO 3");
    EXPECT_REPLY("CONFIG GET databases", "%1|$9|databases|$2|16|");
    world_free(w);
}

TEST(config_set_is_all_or_nothing)
{
    WITH_WORLD;

    EXPECT_REPLY("CONFIG SET timeout 5 appendfsync ALWAYS client-query-buffer-limit 10mb", "+OK|");
    EXPECT_EQ(w->server.settings.timeout_s, 5);
    EXPECT_EQ(w->server.settings.fsync, FSYNC_ALWAYS);
    EXPECT_EQ(w->server.settings.query_buffer_bytes, 10 << 20);
    EXPECT_REPLY("CONFIG SET timeout 6 appendfsync foo",
                 "-ERR CONFIG SET failed (possibly related to argument 'appendfsync') - "
                 "argument(s) must be one of the "
                 "following: everysec, always, no|");
    EXPECT_REPLY("CONFIG SET timeout 6 foo foo",
                 "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'|");
    EXPECT_EQ(w->server.settings.timeout_s, 5);
    EXPECT_REPLY("CONFIG SET client-output-buffer-limit normal~1kb~0~0", "+OK|");
    EXPECT_REPLY("CONFIG GET client-output-buffer-limit",
                 "*2|$26|client-output-buffer-limit|$15|normal 1024 0 0|");
    world_free(w);
}

TEST(config_set_says_what_is_wrong)
{
    WITH_WORLD;

    EXPECT_REPLY("CONFIG SET a", "-ERR wrong number of arguments for 'config|set' command|");
    EXPECT_REPLY("CONFIG SET a b",
                 "-ERR Unknown option or number of arguments for CONFIG SET - 'a'|");
    EXPECT_REPLY("CONFIG SET a b c", "-ERR syntax error|");
    EXPECT_REPLY("CONFIG SET timeout x",
                 "-ERR CONFIG SET failed (possibly related to argument 'timeout') - argument "
                 "couldn't be parsed into an integer|");
    EXPECT_REPLY("CONFIG SET timeout -1",
                 "-ERR CONFIG SET failed (possibly related to argument 'timeout') - argument "
                 "must be between 0 and 2147483647 inclusive|");
    EXPECT_REPLY(
        "CONFIG SET timeout 3 timeout 4",
        "-ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter|");
    EXPECT_REPLY("CONFIG SET databases 16", "-ERR CONFIG SET failed (possibly related to argument "
                                            "'databases') - can't set immutable config|");
    EXPECT_REPLY("CONFIG SET maxclients 0",
                 "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - "
                 "argument must be between 1 and 4294967295 inclusive|");
    EXPECT_REPLY("CONFIG SET client-query-buffer-limit 1",
                 "-ERR CONFIG SET failed (possibly related to argument "
                 "'client-query-buffer-limit') - argument must be "
                 "between 1048576 and 9223372036854775807 inclusive|");
    EXPECT_REPLY("CONFIG SET client-query-buffer-limit 1gbx",
                 "-ERR CONFIG SET failed (possibly related to argument "
                 "'client-query-buffer-limit') - argument must be "
                 "a memory value|");
    EXPECT_REPLY("CONFIG SET client-output-buffer-limit normal~1",
                 "-ERR CONFIG SET failed (possibly related to argument "
                 "'client-output-buffer-limit') - Wrong number of "
                 "arguments in buffer limit configuration.|");
    EXPECT_EQ(w->server.settings.timeout_s, 0);
    world_free(w);
}

TEST(resetstat_clears_the_figures)
{
    WITH_WORLD;

    run(w, "GET nokey");
    run(w, "SET a 1");
    run(w, "GET a");
    run(w, "FOO");
    EXPECT_EQ(w->server.statistics.keyspace_hits, 1);
    EXPECT_EQ(w->server.statistics.keyspace_misses, 1);
    EXPECT(holds(run(w, "INFO commandstats"),
                 "|cmdstat_get:calls=2,rejected_calls=0,failed_calls=0|"));
    EXPECT_REPLY("INFO errorstats", "$37|# Errorstats|errorstat_ERR:count=1||");
    EXPECT_REPLY("CONFIG RESETSTAT", "+OK|");
    EXPECT_EQ(w->server.statistics.keyspace_hits, 0);
    EXPECT(!holds(run(w, "INFO commandstats"), "cmdstat_get"));
    EXPECT_REPLY("INFO errorstats", "$14|# Errorstats||");
    world_free(w);
}

/* --- COMMAND --- */

#define GET_SPEC2                                                                                  \
    "*6|$5|flags|*2|+RO|+access|$12|begin_search|*4|$4|type|$5|index|$4|spec|*2|$5|index|:1|"      \
    "$9|find_keys|*4|$4|type|$5|range|$4|spec|*6|$7|lastkey|:0|$7|keystep|:1|$5|limit|:0|"
#define GET_SPEC3                                                                                  \
    "%3|$5|flags|~2|+RO|+access|$12|begin_search|%2|$4|type|$5|index|$4|spec|%1|$5|index|:1|"      \
    "$9|find_keys|%2|$4|type|$5|range|$4|spec|%3|$7|lastkey|:0|$7|keystep|:1|$5|limit|:0|"

TEST(command_info_has_the_shape_of_redis)
{
    WITH_WORLD;

    EXPECT_REPLY(
        "COMMAND INFO get foo",
        "*2|*10|$3|get|:2|*2|+readonly|+fast|:1|:1|:1|*3|+@read|+@string|+@fast|*0|*1|" GET_SPEC2
        "*0|*-1|");
    EXPECT_REPLY("COMMAND INFO CONFIG|get",
                 "*1|*10|$10|config|get|:-3|*4|+admin|+noscript|+loading|+stale|:0|:0|:0|*3|"
                 "+@admin|+@slow|+@dangerous|*0|*0|*0|");
    run(w, "HELLO 3");
    EXPECT_REPLY(
        "COMMAND INFO get foo",
        "*2|*10|$3|get|:2|~2|+readonly|+fast|:1|:1|:1|~3|+@read|+@string|+@fast|~0|~1|" GET_SPEC3
        "~0|_|");
    world_free(w);
}

TEST(command_info_tells_several_keys_and_subcommands)
{
    WITH_WORLD;

    EXPECT(holds(run(w, "COMMAND INFO mset"), "|*2|+OW|+update|"));
    EXPECT(holds(run(w, "COMMAND INFO mset"), "|$7|lastkey|:-1|$7|keystep|:2|$5|limit|:0|"));
    EXPECT(holds(run(w, "COMMAND INFO sunionstore"), "|$5|index|:2|"));
    EXPECT(holds(run(w, "COMMAND INFO sintercard"),
                 "|$6|keynum|$4|spec|*6|$9|keynumidx|:0|$8|firstkey|:1|$7|keystep|:1|"));
    EXPECT(holds(run(w, "COMMAND INFO memory"),
                 "*1|*10|$6|memory|:-2|*0|:0|:0|:0|*1|+@slow|*0|*0|*2|*10|$11|memory|help|"));
    world_free(w);
}

TEST(command_docs_has_the_shape_of_redis)
{
    WITH_WORLD;

    EXPECT_REPLY("COMMAND DOCS get foo",
                 "*2|$3|get|*8|$7|summary|$22|Get the value of a key|$5|since|$5|1.0.0|"
                 "$5|group|$6|string|$10|complexity|$4|O(1)|");
    EXPECT_REPLY("COMMAND DOCS foo", "*0|");
    EXPECT_REPLY("COMMAND DOCS client|id", "*2|$9|client|id|*8|$7|summary|$48|Returns the client "
                                           "ID for the current connection|$5|since|$5|5.0.0|"
                                           "$5|group|$10|connection|$10|complexity|$4|O(1)|");
    run(w, "HELLO 3");
    EXPECT(holds(run(w, "COMMAND DOCS memory"),
                 "%1|$6|memory|%5|$7|summary|$43|A container for memory diagnostics "
                 "commands|$5|since|$5|4.0.0|"
                 "$5|group|$6|server|$10|complexity|$22|Depends on "
                 "subcommand.|$11|subcommands|%2|$11|memory|help|%4|"));
    world_free(w);
}

TEST(command_getkeys_finds_keys)
{
    WITH_WORLD;

    EXPECT_REPLY("COMMAND GETKEYS",
                 "-ERR wrong number of arguments for 'command|getkeys' command|");
    EXPECT_REPLY("COMMAND GETKEYS get a", "*1|$1|a|");
    EXPECT_REPLY("COMMAND GETKEYS get a b",
                 "-ERR Invalid number of arguments specified for command|");
    EXPECT_REPLY("COMMAND GETKEYS foo a", "-ERR Invalid command specified|");
    EXPECT_REPLY("COMMAND GETKEYS mset a b c d", "*2|$1|a|$1|c|");
    EXPECT_REPLY("COMMAND GETKEYS mset a b c", "*2|$1|a|$1|c|");
    EXPECT_REPLY("COMMAND GETKEYS sintercard 2 a b limit 1", "*2|$1|a|$1|b|");
    EXPECT_REPLY("COMMAND GETKEYS sintercard 5 a b limit 1",
                 "-ERR Invalid arguments specified for command|");
    EXPECT_REPLY("COMMAND GETKEYS memory usage foo", "*1|$3|foo|");
    EXPECT_REPLY("COMMAND GETKEYS config get x", "-ERR The command has no key arguments|");
    EXPECT_REPLY("COMMAND GETKEYSANDFLAGS sunionstore d b c",
                 "*3|*2|$1|d|*2|+OW|+update|*2|$1|b|*2|+RO|+access|*2|$1|c|*2|+RO|+access|");
    EXPECT_REPLY("COMMAND GETKEYSANDFLAGS del d", "*1|*2|$1|d|*2|+RM|+delete|");
    EXPECT_REPLY("COMMAND GETKEYSANDFLAGS incr d", "*1|*2|$1|d|*3|+RW|+access|+update|");
    EXPECT_REPLY("COMMAND GETKEYSANDFLAGS hset d e f", "*1|*2|$1|d|*2|+RW|+update|");
    world_free(w);
}

TEST(command_list_filters)
{
    WITH_WORLD;

    EXPECT_REPLY("COMMAND LIST FILTERBY PATTERN PIN?", "*1|$4|ping|");
    EXPECT_REPLY("COMMAND LIST FILTERBY PATTERN client|i*", "*2|$9|client|id|$11|client|info|");
    EXPECT(holds(run(w, "COMMAND LIST FILTERBY ACLCAT Connection"), "|$9|client|id|"));
    EXPECT(!holds(run(w, "COMMAND LIST FILTERBY ACLCAT connection"), "|$3|get|"));
    EXPECT_REPLY("COMMAND LIST FILTERBY ACLCAT foo", "*0|");
    EXPECT_REPLY("COMMAND LIST FILTERBY MODULE foo", "*0|");
    EXPECT_REPLY("COMMAND LIST FILTERBY FOO bar", "-ERR syntax error|");
    EXPECT_REPLY("COMMAND LIST FOO", "-ERR syntax error|");
    world_free(w);
}

TEST(every_command_is_found_in_any_case)
{
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *command = command_at(i);
        char upper[64];
        size_t len = strlen(command->name);

        for (size_t k = 0; k <= len; k++) {
            char c = command->name[k];

            upper[k] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
        }
        EXPECT(command_find(span_str(command->name)) == command);
        EXPECT(command_find(span_str(upper)) == command);
        EXPECT(command_find(span_of(upper, len - 1)) != command);
        EXPECT_EQ(command_index(command), i);
        EXPECT((command->run != NULL) != (command->subcommands != NULL));
    }
    EXPECT(command_find(span_str("")) == NULL);
    EXPECT(command_find(span_str("a name that is longer than any command's")) == NULL);
}

/* --- INFO --- */

TEST(info_shows_the_sections_asked_for)
{
    WITH_WORLD;

    EXPECT_REPLY("INFO foo", "$0||");
    EXPECT_REPLY("INFO CLUSTER", "$30|# Cluster|cluster_enabled:0||");
    EXPECT_REPLY("INFO replication", "$41|# Replication|role:master|from_node:1||");
    run(w, "SET a 1");
    run(w, "SET b 1 EX 100");
    EXPECT_REPLY("INFO keyspace cluster",
                 "$76|# Cluster|cluster_enabled:0||# Keyspace|db0:keys=2,expires=1,avg_ttl=0||");
    EXPECT(holds(run(w, "INFO"), "|# Server|redis_version:7.0.15|"));
    EXPECT(holds(run(w, "INFO"), "|deployment:shop|region:us-east|"));
    EXPECT(!holds(run(w, "INFO default"), "# Commandstats"));
    EXPECT(holds(run(w, "INFO all"), "||# Commandstats|"));
    EXPECT(
        holds(run(w, "INFO everything"), "|cmdstat_set:calls=2,rejected_calls=0,failed_calls=0|"));
    run(w, "HELLO 3");
    EXPECT_REPLY("INFO cluster", "=34|txt:# Cluster|cluster_enabled:0||");
    world_free(w);
}

/* --- the rest --- */

TEST(time_is_the_turns)
{
    WITH_WORLD;

    EXPECT_REPLY("TIME", "*2|$4|1000|$2|17|");
    world_free(w);
}

TEST(wait_without_writes_answers_at_once)
{
    WITH_WORLD;

    w->regions = 2;
    EXPECT_REPLY("WAIT 5 0", ":2|");
    EXPECT_EQ(w->asked_stamp, 0);
    EXPECT_REPLY("WAIT x 0", "-ERR value is not an integer or out of range|");
    EXPECT_REPLY("WAIT 0 x", "-ERR timeout is not an integer or out of range|");
    EXPECT_REPLY("WAIT 0 -1", "-ERR timeout is negative|");
    run(w, "SET a 1");
    EXPECT_REPLY("WAIT 0 0", ":2|");
    EXPECT_REPLY("WAIT -1 0", ":2|");
    EXPECT_REPLY("WAIT 2 0", ":2|");
    EXPECT_EQ(w->asked_stamp, w->session.last_write);
    EXPECT(!w->session.waiting);
    world_free(w);
}

TEST(wait_after_a_write_waits_for_the_node)
{
    WITH_WORLD;

    w->regions = 1;
    run(w, "SET a 1");
    EXPECT_REPLY("WAIT 2 100", "");
    EXPECT(w->session.waiting);
    EXPECT_EQ(w->session.wait_regions, 2);
    EXPECT_EQ(w->session.wait_deadline_us, w->server.now_us + 100000);
    command_wait_end(&w->session, 2);
    EXPECT(!w->session.waiting);
    EXPECT_TEXT(buffer_span(&w->session.output), ":2\r\n");
    EXPECT_REPLY("WAIT 99999999999 0", "");
    EXPECT_EQ(w->session.wait_regions, UINT32_MAX);
    EXPECT_EQ(w->session.wait_deadline_us, 0);
    command_wait_end(&w->session, 1);
    run(w, "CLIENT REPLY SKIP");
    EXPECT_REPLY("WAIT 2 0", "");
    command_wait_end(&w->session, 2);
    EXPECT_EQ(w->session.output.len, 0);
    EXPECT_REPLY("PING", "+PONG|");
    world_free(w);
}

TEST(memory_usage_counts_the_key)
{
    WITH_WORLD;

    EXPECT_REPLY("MEMORY USAGE a", "$-1|");
    EXPECT_REPLY("MEMORY USAGE a SAMPLES x", "-ERR value is not an integer or out of range|");
    EXPECT_REPLY("MEMORY USAGE a SAMPLES -1", "-ERR syntax error|");
    EXPECT_REPLY("MEMORY USAGE a FOO", "-ERR syntax error|");
    run(w, "SET a 0123456789012345678901234567890123456789");

    struct span reply = run(w, "MEMORY USAGE a SAMPLES 0");
    int64_t bytes;

    EXPECT(reply.len > 2 && reply.at[0] == ':');
    EXPECT(span_to_int64(span_of(reply.at + 1, reply.len - 2), &bytes));
    EXPECT(bytes >= ENTRY_HEADER_BYTES + 41);
    world_free(w);
}

TEST(links_and_regions_are_asked_of_the_node)
{
    WITH_WORLD;

    EXPECT_REPLY("LINK LIST", "+link|list|");
    EXPECT_REPLY("REGION LAG eu", "+region|lag|");
    EXPECT_REPLY("LINK CUT a b",
                 "-ERR faults are not allowed here: start the server with --faults|");
    w->server.faults = true;
    EXPECT_REPLY("LINK CUT a b", "+link|cut|");
    world_free(w);
}

TEST(there_is_no_cluster_mode)
{
    WITH_WORLD;

    EXPECT_REPLY("CLUSTER SLOTS", "-ERR This instance has cluster support disabled|");
    EXPECT_REPLY("CLUSTER INFO", "-ERR This instance has cluster support disabled|");
    EXPECT_REPLY("READONLY", "-ERR This instance has cluster support disabled|");
    world_free(w);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
