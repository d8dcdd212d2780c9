/*
 * Conflicts as clients of two regions see them: CONFLICT, KEYSPACE, the views and the log. The regions
 * hear of each other only when a test says so.
 */
#include "cmd/trial.h"
#include "merge/merge.h"
#include "wire/record.h"

struct place {
    struct replica replica;
    struct server server;
    struct session session;
    uint64_t heard; /* bytes of its log that the other has */
};

static struct place us, eu;
static struct deployment deployment;
static uint64_t now_ms;
static struct buffer lines;  /* of the server's log */
static const char *function; /* what "merge.lua" holds */

static void keep_line(void *node, bool warning, const char *line)
{
    (void)node;
    buffer_printf(&lines, "%s%s\n", warning ? "! " : "", line);
}

static const char *read_function(void *node, const char *file, struct buffer *source)
{
    (void)node;
    if (strcmp(file, "merge.lua") != 0)
        return "No such file or directory";
    buffer_put_text(source, function);
    return NULL;
}

static const struct server_hooks hooks = { .notice = keep_line, .merge_source = read_function };

static void open_place(struct place *p, uint8_t region)
{
    static const uint8_t writers[] = { 1, 2 };

    *p = (struct place){ 0 };
    replica_init(&p->replica, &(struct replica_options){ .region = region,
                                                         .instance = 1,
                                                         .seed = test_seed() + region,
                                                         .max_skew_ms = 500,
                                                         .park_max_bytes = 1 << 20,
                                                         .writers = writers,
                                                         .writer_count = 2 });
    replica_recovered(&p->replica, 0);
    hlc_raise_ceiling(&p->replica.hlc, UINT64_C(1) << 40);
    server_init(&p->server, &p->replica, &deployment);
    p->server.hooks = &hooks;
    server_listen(&p->server);
    server_open_session(&p->server, &p->session);
}

static void add_region(const char *name, uint8_t id)
{
    struct region *r = deployment_add_region(&deployment);

    r->name = memcpy(mem_alloc(strlen(name) + 1), name, strlen(name) + 1);
    r->id = id;
}

static void add_keyspace(const char *prefix, enum keyspace_conflict conflict)
{
    struct keyspace *k = deployment_add_keyspace(&deployment);

    k->prefix = memcpy(mem_alloc(strlen(prefix) + 1), prefix, strlen(prefix) + 1);
    k->prefix_bytes = strlen(prefix);
    k->promises.conflict = conflict;
}

static void pass(uint64_t ms)
{
    now_ms += ms;
    us.server.now_us = eu.server.now_us = now_ms * 1000;
    replica_turn(&us.replica, now_ms);
    replica_turn(&eu.replica, now_ms);
}

static void open_regions(void)
{
    deployment_init(&deployment);
    add_region("us", 1);
    add_region("eu", 2);
    add_keyspace("all:", KEYSPACE_SIBLINGS);
    deployment_finish(&deployment);
    open_place(&us, 1);
    open_place(&eu, 2);
    now_ms = 1000;
    pass(0);
    buffer_clear(&lines);
}

static void close_place(struct place *p)
{
    server_close_session(&p->server, &p->session);
    server_release(&p->server);
    replica_release(&p->replica);
}

static void close_regions(void)
{
    close_place(&us);
    close_place(&eu);
    deployment_release(&deployment);
    buffer_release(&lines);
}

static void tell_all(struct place *from, struct place *to)
{
    replica_seal(&from->replica);
    struct span log = span_skip(buffer_span(&from->replica.log_out), from->heard);

    while (log.len > 0) {
        struct record record;
        size_t need;

        CHECK(record_read(log, from->heard, &record, &need) == RECORD_GOOD);
        replica_receive(&to->replica, record.payload);
        from->heard += record.bytes;
        log = span_skip(log, record.bytes);
    }
}

static void meet(void)
{
    tell_all(&us, &eu);
    tell_all(&eu, &us);
    tell_all(&us, &eu);
    CHECK(replica_digest(&us.replica) == replica_digest(&eu.replica));
}

/* The reply as text; good until the next. Each command is a millisecond later than the last. */
static struct span ask(struct place *p, const char *line)
{
    static struct buffer text;
    struct buffer input = { 0 };

    buffer_put_text(&input, line);
    buffer_put_text(&input, "\r\n");
    CHECK(resp_parse(&p->session.parser, buffer_span(&input)) == RESP_COMMAND);
    buffer_clear(&p->session.output);
    pass(1);
    command_run(&p->server, &p->session, p->session.parser.argv, p->session.parser.argc);
    struct span reply = buffer_span(&p->session.output);
    buffer_clear(&text);
    render(&text, &reply, false);
    buffer_release(&input);
    return buffer_span(&text);
}

#define ASK(place, line, reply) EXPECT_TEXT(ask(&(place), line), reply)
#define BOTH(line, reply)                                                                          \
    do {                                                                                           \
        ASK(us, line, reply);                                                                      \
        ASK(eu, line, reply);                                                                      \
    } while (0)

static bool holds(struct span text, const char *part)
{
    size_t len = strlen(part);

    for (size_t i = 0; i + len <= text.len; i++) {
        if (memcmp(text.at + i, part, len) == 0)
            return true;
    }
    return false;
}

/* us writes first, so that eu's stamps are the larger ones. */
static void collide(const char *at_us, const char *at_eu)
{
    ask(&us, at_us);
    ask(&eu, at_eu);
    meet();
}

/* --- VERSIONS --- */

#define US(ms) "\"region\" \"us\" \"time\" \"1970-01-01T00:00:0" ms "Z\""
#define EU(ms) "\"region\" \"eu\" \"time\" \"1970-01-01T00:00:0" ms "Z\""

TEST(versions_of_a_string_are_told_oldest_first)
{
    open_regions();
    collide("SET k a", "SET k b");
    BOTH("CONFLICT VERSIONS k", "[[\"value\" \"a\" \"type\" \"string\" " US(
                                    "1.001") " \"stamp\" \"000000003e900001\" "
                                             "\"visible\" 0] "
                                             "[\"value\" \"b\" \"type\" \"string\" " EU(
                                                 "1.002") " \"stamp\" \"000000003ea00002\" "
                                                          "\"visible\" 1]]");
    BOTH("GET k", "\"b\"");
    BOTH("CONFLICT VERSIONS nothing", "[]");
    BOTH("CONFLICT VERSIONS k field",
         "-ERR only hashes, sets, sorted sets and lists have items that can be named");
    BOTH("CONFLICT VERSIONS k a b",
         "-ERR wrong number of arguments for 'conflict|versions' command");
    close_regions();
}

TEST(a_value_alone_is_one_version)
{
    open_regions();
    ask(&us, "SET k a");
    meet();
    BOTH("CONFLICT VERSIONS k", "[[\"value\" \"a\" \"type\" \"string\" " US(
                                    "1.001") " \"stamp\" \"000000003e900001\" \"visible\" 1]]");
    ask(&us, "PEXPIRE k 10");
    meet();
    pass(20);
    BOTH("CONFLICT VERSIONS k", "[]");
    close_regions();
}

TEST(increments_are_told_by_region)
{
    open_regions();
    ask(&us, "SET c 10");
    meet();
    collide("INCRBY c 5", "INCRBY c 7");
    struct span reply = ask(&us, "CONFLICT VERSIONS c");
    EXPECT(holds(reply, "[\"increments\" \"5\" \"type\" \"string\" \"region\" \"us\""));
    EXPECT(holds(reply, "[\"increments\" \"7\" \"type\" \"string\" \"region\" \"eu\""));
    EXPECT(holds(reply, "[[\"value\" \"10\""));
    BOTH("GET c", "\"22\"");
    close_regions();
}

TEST(two_types_under_one_key_are_two_versions)
{
    open_regions();
    collide("SET k v", "SADD k m n");
    struct span reply = ask(&us, "CONFLICT VERSIONS k");
    EXPECT(holds(reply, "[[\"value\" \"v\" \"type\" \"string\" \"region\" \"us\""));
    EXPECT(holds(reply, "[\"elements\" 2 \"contested\" [] \"type\" \"set\" \"region\" \"eu\""));
    BOTH("TYPE k", "set");
    BOTH("CONFLICT RESOLVE k w", "OK");
    ask(&us, "CONFLICT RESOLVE k w");
    meet();
    BOTH("TYPE k", "string");
    BOTH("GET k", "\"w\"");
    BOTH("CONFLICT LIST", "[]");
    close_regions();
}

TEST(items_of_every_type_have_versions)
{
    open_regions();
    ask(&us, "RPUSH l x y z");
    meet();
    collide("HSET h f a g same", "HSET h f b g same");
    collide("ZADD z 1.5 m", "ZADD z 2 m");
    collide("LSET l 1 a", "LSET l 1 b");
    collide("SADD s m", "SADD s m");
    EXPECT(holds(ask(&us, "CONFLICT VERSIONS h f"), "[[\"value\" \"a\" \"type\" \"hash\""));
    EXPECT(holds(ask(&us, "CONFLICT VERSIONS h"),
                 "[[\"elements\" 2 \"contested\" [\"f\"] \"type\" \"hash\""));
    EXPECT(holds(ask(&eu, "CONFLICT VERSIONS z m"), "[[\"value\" \"1.5\" \"type\" \"zset\""));
    EXPECT(holds(ask(&eu, "CONFLICT VERSIONS z m"), "[\"value\" \"2\" \"type\" \"zset\""));
    EXPECT(holds(ask(&us, "CONFLICT VERSIONS l -2"), "[[\"value\" \"a\" \"type\" \"list\""));
    EXPECT(holds(ask(&us, "CONFLICT VERSIONS l"), "\"elements\" 3 \"contested\" [1] \"type\""));
    EXPECT(holds(ask(&us, "CONFLICT VERSIONS s m"), "[[\"value\" \"m\" \"type\" \"set\""));
    BOTH("CONFLICT VERSIONS h none", "[]");
    BOTH("CONFLICT VERSIONS l 3", "[]");
    BOTH("CONFLICT VERSIONS l x", "-ERR value is not an integer or out of range");
    close_regions();
}

/* --- RESOLVE --- */

TEST(resolving_replaces_all_versions_and_keeps_the_time)
{
    open_regions();
    ask(&us, "SET k old EX 100");
    meet();
    collide("SET k a KEEPTTL", "SET k b KEEPTTL");
    ASK(us, "CONFLICT RESOLVE k both", "OK");
    meet();
    BOTH("GET k", "\"both\"");
    BOTH("TTL k", "100");
    EXPECT(!holds(ask(&eu, "CONFLICT VERSIONS k"), "\"a\""));
    BOTH("CONFLICT LIST", "[]");
    BOTH("CONFLICT RESOLVE none v", "-ERR no such key");
    close_regions();
}

TEST(resolving_an_item_writes_it)
{
    open_regions();
    ask(&us, "RPUSH l x y");
    meet();
    collide("HSET h f a", "HSET h f b");
    collide("ZADD z 1 m", "ZADD z 2 m");
    collide("LSET l 1 a", "LSET l 1 b");
    ASK(us, "CONFLICT RESOLVE h f c", "OK");
    ASK(us, "CONFLICT RESOLVE z m 3.5", "OK");
    ASK(us, "CONFLICT RESOLVE l -1 c", "OK");
    meet();
    BOTH("HGET h f", "\"c\"");
    BOTH("ZSCORE z m", "\"3.5\"");
    BOTH("LRANGE l 0 -1", "[\"x\" \"c\"]");
    BOTH("CONFLICT LIST", "[]");
    ASK(us, "CONFLICT RESOLVE h none c", "-ERR no such item");
    ASK(us, "CONFLICT RESOLVE z m x", "-ERR value is not a valid float");
    ASK(us, "CONFLICT RESOLVE l 7 c", "-ERR no such item");
    ASK(us, "SADD s m", "1");
    ASK(us, "CONFLICT RESOLVE s m v", "-ERR a member of a set has no value: use SADD or SREM");
    close_regions();
}

/* --- LIST and LOG --- */

TEST(contested_keys_are_listed)
{
    open_regions();
    collide("SET a 1", "SET a 2");
    collide("HSET b f 1 g 1", "HSET b f 2 g 2");
    collide("SET c v", "SADD c m");
    collide("SET same v", "SET same v");
    EXPECT(holds(ask(&us, "CONFLICT LIST a"),
                 "[[\"key\" \"a\" \"types\" [\"string\"] \"versions\" 2 \"contested\" 0 \"region\" "
                 "\"eu\""));
    EXPECT(holds(ask(&us, "CONFLICT LIST b"),
                 "[\"key\" \"b\" \"types\" [\"hash\"] \"versions\" 1 \"contested\" 2 \"region\""));
    EXPECT(holds(ask(&us, "CONFLICT LIST c"),
                 "[\"key\" \"c\" \"types\" [\"string\" \"set\"] \"versions\" 2 \"contested\" 0"));
    EXPECT(!holds(ask(&us, "CONFLICT LIST"), "same"));
    EXPECT(!holds(ask(&us, "CONFLICT LIST COUNT 2"), "\"c\""));
    EXPECT(!holds(ask(&us, "CONFLICT LIST c COUNT 1"), "\"a\""));
    BOTH("CONFLICT LIST x", "[]");
    BOTH("CONFLICT LIST COUNT 0", "-ERR COUNT must be a positive integer");
    BOTH("CONFLICT LIST a b", SYNTAX);
    BOTH("CONFLICT LIST a COUNT", SYNTAX);
    close_regions();
}

TEST(the_log_keeps_both_values)
{
    open_regions();
    collide("SET k mine", "SET k yours");
    collide("HSET h f a", "HSET h f b");
    struct span reply = ask(&us, "CONFLICT LOG COUNT 1");
    EXPECT(holds(reply, "\"keyspace\" \"\" \"db\" 0 \"key\" \"h\" \"item\" \"f\" \"versions\" "
                        "[[\"value\" \"a\" \"bytes\" 1 \"type\" \"hash\" \"region\" \"us\""));
    EXPECT(!holds(reply, "mine"));
    reply = ask(&eu, "CONFLICT LOG");
    EXPECT(holds(reply, "[\"value\" \"mine\" \"bytes\" 4 \"type\" \"string\" \"region\" \"us\""));
    EXPECT(holds(reply, "[\"value\" \"yours\" \"bytes\" 5 \"type\" \"string\" \"region\" \"eu\""));
    EXPECT(holds(buffer_span(&lines),
                 "ev=conflict keyspace=\"\" db=0 key=\"k\" older=us/string was=\"mine\" "
                 "newer=eu/string is=\"yours\" skipped=0\n"));
    BOTH("CONFLICT LOG 5", SYNTAX);
    close_regions();
}

TEST(many_conflicts_are_counted_and_few_are_kept)
{
    enum { KEYS = 20 };
    char line[32];

    open_regions();
    for (int i = 0; i < KEYS; i++) {
        snprintf(line, sizeof(line), "SET all:%d a", i);
        ask(&us, line);
        snprintf(line, sizeof(line), "SET all:%d b", i);
        ask(&eu, line);
    }
    meet();
    EXPECT_EQ(us.server.keyspaces[0].conflicts[COMPONENT_STRING], KEYS);
    EXPECT_EQ(us.server.conflicts.count, CONFLICT_LOG_PER_SECOND);
    pass(1000);
    collide("SET all:last a", "SET all:last b");
    EXPECT_EQ(us.server.conflicts.count, CONFLICT_LOG_PER_SECOND + 1);
    EXPECT_EQ(conflict_log_at(&us.server.conflicts, 0)->skipped, KEYS - CONFLICT_LOG_PER_SECOND);
    EXPECT(
        holds(ask(&us, "INFO conflicts"), "contested_keys:21\r\nkeyspace0:prefix=all:,string=21"));
    close_regions();
}

TEST(long_texts_are_cut_in_the_log_and_it_says_so)
{
    struct buffer line = { 0 };

    open_regions();
    ask(&us, "SET k a");
    buffer_put_text(&line, "SET k ");
    for (int i = 0; i < 1000; i++)
        buffer_put_u8(&line, 'x');
    buffer_put_u8(&line, 0);
    ask(&eu, (char *)line.at);
    meet();
    const struct conflict_record *r = conflict_log_at(&us.server.conflicts, 0);
    EXPECT(r != NULL);
    EXPECT_EQ(r->sides[1].value.text.len, CONFLICT_TEXT_MAX);
    EXPECT_EQ(r->sides[1].value.bytes, 1000);
    buffer_release(&line);
    close_regions();
}

/* --- views --- */

TEST(siblings_are_an_array_where_there_are_several)
{
    open_regions();
    collide("SET all:k a", "SET all:k b");
    collide("HSET all:h f a g x", "HSET all:h f b");
    BOTH("GET all:k", "[\"a\" \"b\"]");
    BOTH("MGET all:k all:no all:k", "[[\"a\" \"b\"] nil [\"a\" \"b\"]]");
    BOTH("HGET all:h f", "[\"a\" \"b\"]");
    BOTH("HMGET all:h f g", "[[\"a\" \"b\"] \"x\"]");
    BOTH("GETEX all:k", "[\"a\" \"b\"]");
    BOTH("STRLEN all:k", "1");
    ASK(us, "GETSET all:k c", "[\"a\" \"b\"]");
    ASK(us, "GET all:k", "\"c\"");
    meet();
    collide("SET all:c 10", "SET all:c 20");
    collide("INCRBY all:c 1", "INCRBY all:c 2");
    BOTH("GET all:c", "[\"13\" \"23\"]");
    collide("SET all:k same", "SET all:k same");
    BOTH("GET all:k", "\"same\"");
    close_regions();
}

TEST(the_view_is_switched_live)
{
    open_regions();
    function = "return function(v) local s = '' for _, x in ipairs(v) do "
               "s = s .. x.region .. '=' .. x.value .. ' ' end return s end";
    collide("SET all:k a", "SET all:k b");
    BOTH("KEYSPACE SET all: conflict lww", "OK");
    BOTH("GET all:k", "\"b\"");
    BOTH("KEYSPACE SET all: conflict merge", "-ERR conflict merge needs a function: merge FILE");
    BOTH("KEYSPACE SET all: conflict merge merge merge.lua", "OK");
    BOTH("GET all:k", "\"us=a eu=b \"");
    BOTH("KEYSPACE SET all: conflict siblings", "OK");
    BOTH("GET all:k", "[\"a\" \"b\"]");
    BOTH("KEYSPACE SET all: conflict merge", "OK");
    BOTH("GET all:k", "\"us=a eu=b \"");
    close_regions();
}

TEST(a_merged_number_takes_the_increments_on_top)
{
    open_regions();
    function = "return function(v) return tonumber(v[1].value) + tonumber(v[2].value) end";
    BOTH("KEYSPACE SET all: conflict merge merge merge.lua", "OK");
    collide("SET all:c 10", "SET all:c 20");
    BOTH("GET all:c", "\"30\"");
    collide("INCRBY all:c 1", "INCRBY all:c 2");
    BOTH("GET all:c", "\"33\"");
    close_regions();
}

TEST(a_faulty_function_shows_the_newest_and_is_counted)
{
    open_regions();
    function = "return function(v) error('no') end";
    BOTH("KEYSPACE SET all: conflict merge merge merge.lua", "OK");
    collide("SET all:k a", "SET all:k b");
    buffer_clear(&lines);
    ASK(us, "GET all:k", "\"b\"");
    ASK(us, "GET all:k", "\"b\"");
    EXPECT_EQ(us.server.keyspaces[0].merge_failures, 2);
    EXPECT(
        holds(buffer_span(&lines),
              "! ev=merge.failed keyspace=\"all:\" key=\"all:k\" failures=1 why=\"merge.lua:1:"));
    EXPECT(memchr(lines.at, '\n', lines.len) == lines.at + lines.len - 1);
    close_regions();
}

TEST(the_functions_of_one_command_have_a_budget_together)
{
    enum { FIELDS = 60 };
    char both[2][FIELDS * 8 + 16];

    open_regions();
    function = "return function(v, key, field) while field ~= 'f7' do end return 'merged' end";
    BOTH("KEYSPACE SET all: conflict merge merge merge.lua", "OK");
    for (int side = 0; side < 2; side++) {
        size_t len = (size_t)snprintf(both[side], sizeof(both[side]), "HSET all:h");
        for (int i = 0; i < FIELDS; i++)
            len += (size_t)snprintf(both[side] + len, sizeof(both[side]) - len, " f%d %c", i,
                                    'a' + side);
    }
    collide(both[0], both[1]);
    EXPECT(holds(ask(&us, "HVALS all:h"), "\"b\" \"b\""));
    EXPECT(us.server.keyspaces[0].merge_failures >= FIELDS - 1);
    EXPECT(us.session.merge_steps >= 8 * MERGE_STEPS && us.session.merge_steps < 10 * MERGE_STEPS);
    ASK(us, "HGET all:h f7", "\"merged\"");
    EXPECT(us.session.merge_steps < MERGE_STEPS);
    ASK(us, "MULTI", "OK");
    for (int i = 0; i < 20; i++)
        ASK(us, "HGET all:h f8", "QUEUED");
    ask(&us, "EXEC");
    EXPECT(us.session.merge_steps < 10 * MERGE_STEPS);
    close_regions();
}

TEST(many_small_merges_fit_into_one_command)
{
    char both[2][8000];

    open_regions();
    function = "return function(v) return v[1].value .. v[2].value end";
    BOTH("KEYSPACE SET all: conflict merge merge merge.lua", "OK");
    for (int side = 0; side < 2; side++) {
        size_t len = (size_t)snprintf(both[side], sizeof(both[side]), "HSET all:h");
        for (int i = 0; i < 500; i++)
            len += (size_t)snprintf(both[side] + len, sizeof(both[side]) - len, " f%d %c", i,
                                    'a' + side);
    }
    collide(both[0], both[1]);
    EXPECT(!holds(ask(&us, "HVALS all:h"), "\"b\""));
    EXPECT_EQ(us.server.keyspaces[0].merge_failures, 0);
    close_regions();
}

/* --- KEYSPACE --- */

TEST(keyspaces_are_listed_with_all_fields)
{
    open_regions();
    BOTH("KEYSPACE FOR all:x",
         "[\"prefix\" \"all:\" \"mode\" \"active-active\" \"conflict\" \"siblings\" \"merge\" \"\" "
         "\"acks\" \"async\" \"ack_timeout\" \"1000ms\" \"reads\" \"local\" \"max_lag\" "
         "\"\" \"then\" \"slow\" \"elsewhere\" \"forward\" \"fence\" \"global\" \"streams\" "
         "\"latest\" \"evict\" \"demote\" \"outside\" \"\" \"writer\" \"\" \"homes\" \"\" "
         "\"directory\" \"\" \"readers\" \"\"]");
    EXPECT(holds(ask(&us, "KEYSPACE FOR other"), "[\"prefix\" \"\" "));
    BOTH("KEYSPACE SET all: streams closed conflict lww", "OK");
    EXPECT(holds(ask(&us, "KEYSPACE LIST"), "\"conflict\" \"lww\""));
    EXPECT(holds(ask(&us, "KEYSPACE LIST"), "\"streams\" \"closed\""));
    EXPECT(holds(ask(&us, "KEYSPACE LIST"), "\"evict\" \"demote\""));
    close_regions();
}

static size_t count(const char *text)
{
    size_t count = 0;

    buffer_put_u8(&lines, 0);
    for (const char *at = (char *)lines.at; (at = strstr(at, text)) != NULL; at++)
        count++;
    buffer_clear(&lines);
    return count;
}

TEST(each_setting_that_changed_is_told_once_and_nothing_else)
{
    static const char *const pairs[] = {
        "streams closed",     "acks 1",          "acks sync",
        "ack_timeout 5s",     "reads strong",    "max_lag 9s",
        "reads bounded:7",    "reads bounded:8", "then refuse",
        "elsewhere redirect", "conflict lww",    "merge merge.lua",
    };
    char line[100];

    open_regions();
    function = "return function(v) end";
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        snprintf(line, sizeof(line), "KEYSPACE SET all: %s", pairs[i]);
        ASK(us, line, "OK");
        EXPECT_EQ(count("ev=keyspace.set"), 1);
        ASK(us, line, "OK");
        EXPECT_EQ(count("ev="), 0);
    }
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        snprintf(line, sizeof(line), "KEYSPACE SET all: %.*s default", (int)strcspn(pairs[i], " "),
                 pairs[i]);
        ASK(us, line, "OK");
    }
    EXPECT_EQ(count("ev=keyspace.set"), 9);
    EXPECT(keyspace_promises_equal(&us.server.keyspaces[0].promises,
                                   &deployment.keyspaces[0].promises));
    EXPECT(us.server.keyspaces[0].merge == NULL);
    close_regions();
}

TEST(what_cannot_be_set_is_refused_whole)
{
    open_regions();
    function = "return function(v) end";
    BOTH("KEYSPACE SET none conflict lww", "-ERR no keyspace has that prefix: see KEYSPACE LIST");
    BOTH("KEYSPACE SET all: conflict most", "-ERR conflict is one of: lww, siblings, merge");
    BOTH("KEYSPACE SET all: streams closed mode primary",
         "-ERR mode cannot be changed while regions run: acks, ack_timeout, reads, max_lag, then, "
         "elsewhere, conflict, merge and streams can");
    BOTH("KEYSPACE SET all: streams closed colour red", "-ERR a keyspace has no field 'colour'");
    BOTH("KEYSPACE SET all: streams", "-ERR wrong number of arguments for 'keyspace|set' command");
    BOTH("KEYSPACE SET all: streams closed conflict",
         "-ERR wrong number of arguments for 'keyspace|set' command");
    BOTH("KEYSPACE SET all: streams closed merge none.lua",
         "-ERR none.lua: No such file or directory");
    function = "return 5";
    EXPECT(holds(ask(&us, "KEYSPACE SET all: streams closed merge merge.lua"), "-ERR merge.lua:"));
    EXPECT(!holds(ask(&us, "KEYSPACE LIST"), "closed"));
    EXPECT(holds(ask(&us, "KEYSPACE MOVE all: r"), "-ERR KEYSPACE MOVE moves a key"));
    close_regions();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
