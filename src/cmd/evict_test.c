/* Keys that leave memory: nothing is answered otherwise than if all had stayed; and of caches, who is
 * dropped. */
#include <inttypes.h>

#include "cmd/cold_trial.h"
#include "cmd/evict.h"
#include "cmd/trial.h"

static struct cold_trial disk;

static struct database *db(int i)
{
    return &world.replica.databases[i];
}

static uint64_t in_memory(void)
{
    return evict_resident_keys(&world.server);
}

/* All that may leave do. */
static void evict_all(void)
{
    for (int i = 0; i < 2 * (EVICT_USES_MAX + 1); i++)
        evict_step(&world.server, UINT64_MAX, 100000, false);
}

static void open_cold_world(void)
{
    open_world();
    cold_open(&disk, &world.replica);
}

static void close_cold_world(void)
{
    close_world();
    cold_close(&disk);
}

static bool answers(const char *line, const char *reply)
{
    return run_step(&(struct step){ line, reply });
}

/* --- the same answers --- */

enum { COMMANDS = 6000, KEYS = 24, LINE_MAX_BYTES = 512 };

static const char *const families[][16] = {
    { "SET $ v?", "SET $ ? EX 5", "GET $", "APPEND $ ab", "INCR $", "INCRBYFLOAT $ 0.5", "GETDEL $",
      "SETRANGE $ 70000 x", "STRLEN $", "SETBIT $ 7 1", "BITCOUNT $", "GETEX $ PERSIST",
      "MSET $ 1 $ 2", "MGET $ $", "SETNX $ n", "PFADD $ ?" },
    { "HSET $ f? v?", "HSET $ f? VALUE", "HGET $ f?", "HDEL $ f?", "HINCRBY $ f? 3", "~HGETALL $",
      "HLEN $", "~HKEYS $", "HINCRBYFLOAT $ f? 1.5", "HSETNX $ f? n" },
    { "SADD $ m?", "SREM $ m?", "~SMEMBERS $", "SCARD $", "SISMEMBER $ m?", "~SUNION $ $",
      "SINTERSTORE $ $ $", "SMOVE $ $ m?" },
    { "ZADD $ ? m?", "ZINCRBY $ 2 m?", "ZREM $ m?", "ZRANGE $ 0 -1 WITHSCORES", "ZRANK $ m?",
      "ZRANGEBYSCORE $ 2 30", "ZCARD $", "ZPOPMIN $", "ZUNIONSTORE $ 2 $ $", "ZSCORE $ m?" },
    { "RPUSH $ a? b?", "LPUSH $ c?", "LPOP $", "RPOP $", "LRANGE $ 0 -1", "LLEN $",
      "LINSERT $ BEFORE b? z", "LSET $ 0 s?", "LREM $ 0 a?", "LMOVE $ $ LEFT RIGHT", "SORT $ ALPHA",
      "LTRIM $ 0 20" },
    { "XADD $ * f v?", "XLEN $", "XRANGE $ - + COUNT 5", "XTRIM $ MAXLEN 3", "PFCOUNT $",
      "PFMERGE $ $" },
    { "DEL $", "EXISTS $ $", "TYPE $", "EXPIRE $ 3", "PEXPIRE $ 40", "PTTL $", "PERSIST $",
      "RENAME $ $", "COPY $ $ REPLACE", "OBJECT ENCODING $", "MOVE $ 1", "DBSIZE", "~KEYS *",
      "~KEYS *1*", "SELECT 0", "SELECT 1" },
};

/* $: a key, ?: a small number, VALUE: a long one */
static void fill_in(struct prng *prng, const char *pattern, char *line)
{
    size_t len = 0;

    for (const char *c = pattern; *c != 0; c++) {
        if (*c == '$')
            len += (size_t)sprintf(line + len, "k%d", (int)prng_below(prng, KEYS));
        else if (*c == '?')
            len += (size_t)sprintf(line + len, "%d", (int)prng_below(prng, 40));
        else if (*c == 'V')
            len += (size_t)sprintf(line + len, "%0300d", (int)prng_below(prng, 40)), c += 4;
        else
            line[len++] = *c;
    }
    line[len] = 0;
}

static void choose_line(struct prng *prng, char *line)
{
    size_t family = prng_below(prng, COUNT_OF(families)), choices = 0;

    if (prng_chance(prng, 20000)) {
        sprintf(line, "@%d", (int)prng_below(prng, 2000));
        return;
    }
    if (prng_chance(prng, 1500)) {
        strcpy(line, "FLUSHDB");
        return;
    }
    while (choices < COUNT_OF(families[0]) && families[family][choices] != NULL)
        choices++;
    fill_in(prng, families[family][prng_below(prng, choices)], line);
}

/* What a scan from end to end finds, each key once, in order. */
static void append_scan(struct buffer *out, const char *options)
{
    struct span *names = NULL;
    size_t count = 0;
    struct buffer cursor = { 0 }, kept = { 0 };
    char line[LINE_MAX_BYTES];

    buffer_put_text(&cursor, "0");
    do {
        sprintf(line, "SCAN %.*s %s", (int)cursor.len, (const char *)cursor.at, options);
        execute(line);
        struct span in = buffer_span(&world.session.output), name;
        number(&in);
        buffer_clear(&cursor);
        int64_t len = number(&in);
        buffer_put_bytes(&cursor, in.at, (size_t)len);
        in = span_skip(in, (size_t)len + 2);
        for (int64_t n = number(&in); n > 0; n--) {
            len = number(&in);
            name = span_of(in.at, (size_t)len);
            buffer_put_prefixed(&kept, name);
            in = span_skip(in, (size_t)len + 2);
        }
    } while (!span_equal(buffer_span(&cursor), span_str("0")));

    struct span all = buffer_span(&kept), name;
    while (span_take_prefixed(&all, &name)) {
        names = mem_realloc(names, (count + 1) * sizeof(*names));
        names[count++] = name;
    }
    for (size_t i = 1; i < count; i++) {
        for (size_t k = i; k > 0 && span_compare(names[k], names[k - 1]) < 0; k--) {
            struct span higher = names[k - 1];
            names[k - 1] = names[k];
            names[k] = higher;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !span_equal(names[i], names[i - 1]))
            buffer_put_prefixed(out, names[i]);
    }
    mem_free(names);
    buffer_release(&cursor);
    buffer_release(&kept);
}

static void run_line(const char *line, struct buffer *out)
{
    if (line[0] == '@') {
        turn((uint64_t)atoi(line + 1));
        replica_tick(&world.replica, true);
        buffer_printf(out, "%" PRIu64, replica_digest(&world.replica));
        append_scan(out, "COUNT 3");
        append_scan(out, "TYPE hash COUNT 5");
        return;
    }
    bool sorted = line[0] == '~';
    execute(sorted ? line + 1 : line);
    buffer_put(out, reply_text(sorted));
}

/* Some of a checkpoint, or its end; some keys leave. */
static void disturb(struct prng *prng, bool *copied)
{
    struct copier *c = &world.replica.copier;

    if (!c->running && prng_chance(prng, 100000)) {
        *copied = false;
        if (!cold_begin(&disk))
            copier_tidy(&world.replica);
    } else if (c->running && !*copied && prng_chance(prng, 300000)) {
        *copied = !cold_step(&disk);
    } else if (c->running && prng_chance(prng, 50000)) {
        replica_seal(&world.replica);
        copier_failed(&world.replica);
    } else if (c->running && *copied && prng_chance(prng, 300000)) {
        cold_commit(&disk);
    }
    if (prng_chance(prng, 300000))
        evict_step(&world.server, UINT64_MAX, (uint32_t)prng_below(prng, 100), true);
}

static void run_history(uint64_t seed, bool cold, struct buffer *replies)
{
    struct prng prng, disturbing;
    char line[LINE_MAX_BYTES];
    bool copied = false;

    prng_seed(&prng, seed);
    prng_seed(&disturbing, seed + 1);
    open_world();
    if (cold)
        cold_open(&disk, &world.replica);
    for (int i = 0; i < COMMANDS; i++) {
        choose_line(&prng, line);
        if (cold)
            disturb(&disturbing, &copied);
        run_line(line, &replies[i]);
    }
    close_world();
    if (cold)
        cold_close(&disk);
}

TEST(keys_that_leave_and_come_back_answer_as_those_that_stayed)
{
    struct buffer *stayed = mem_zalloc(COMMANDS * sizeof(*stayed));
    struct buffer *left = mem_zalloc(COMMANDS * sizeof(*left));
    char line[LINE_MAX_BYTES];
    struct prng prng;
    bool same = true;

    run_history(test_seed(), false, stayed);
    run_history(test_seed(), true, left);
    prng_seed(&prng, test_seed());
    for (int i = 0; i < COMMANDS; i++) {
        choose_line(&prng, line);
        same = same && test_equal_span(__FILE__, i, line, "the reply where all stayed",
                                       buffer_span(&left[i]), buffer_span(&stayed[i]));
        buffer_release(&stayed[i]);
        buffer_release(&left[i]);
    }
    mem_free(stayed);
    mem_free(left);
    EXPECT(disk.reads > 100);
}

/* --- demotion --- */

TEST(only_what_the_disk_has_leaves_memory)
{
    open_cold_world();
    execute("MSET a 1 b 2");
    evict_all();
    EXPECT_EQ(in_memory(), 2);
    cold_copy(&disk);
    execute("SET b 3");
    evict_all();
    EXPECT_EQ(in_memory(), 1);
    EXPECT(answers("GET a", "\"1\""));
    EXPECT_EQ(in_memory(), 2);
    EXPECT_EQ(evict_fetched_keys(&world.server), 1);
    EXPECT_EQ(world.server.evict.demoted, 1);
    EXPECT(answers("DBSIZE", "2"));
    close_cold_world();
}

TEST(what_is_used_stays_longer)
{
    char line[64];

    open_cold_world();
    for (int i = 0; i < 1000; i++) {
        sprintf(line, "SET k%d v", i);
        execute(line);
    }
    cold_copy(&disk);
    for (int i = 0; i < 100; i++) {
        sprintf(line, "GET k%d", i);
        execute(line);
    }
    /* the table shrinks under the hand: it comes by some keys twice */
    evict_step(&world.server, UINT64_MAX, 950, false);
    EXPECT(in_memory() >= 90 && in_memory() <= 150);
    close_cold_world();
}

TEST(a_step_looks_at_no_more_than_it_may_and_frees_no_more_than_it_is_asked)
{
    char line[160];

    open_cold_world();
    for (int i = 0; i < 1000; i++) {
        sprintf(line, "SET k%d %0100d", i, i);
        execute(line);
    }
    cold_copy(&disk);
    evict_step(&world.server, UINT64_MAX, 100, false);
    EXPECT(in_memory() >= 1000 - 100 - 20 && in_memory() < 1000);
    uint64_t before = in_memory();
    evict_step(&world.server, 1000, 10000, false);
    EXPECT(before - in_memory() >= 1000 / 200 && before - in_memory() < 1000 / 100 + 20);
    close_cold_world();
}

TEST(the_hand_says_when_nothing_more_can_leave)
{
    open_cold_world();
    EXPECT(evict_is_dry(&world.server));
    execute("MSET a 1 b 2 c 3");
    cold_copy(&disk);
    execute("SET c 4");
    execute("GET a");
    EXPECT(evict_step(&world.server, UINT64_MAX, 3, false) > 0);
    EXPECT(!evict_is_dry(&world.server));
    evict_all();
    EXPECT_EQ(in_memory(), 1);
    EXPECT(evict_is_dry(&world.server));
    close_cold_world();
}

/* --- caches --- */

static void add_keyspace(struct deployment *d, const char *prefix, enum keyspace_evict evict)
{
    struct keyspace *k = deployment_add_keyspace(d);

    k->prefix_bytes = strlen(prefix);
    k->prefix = memcpy(mem_alloc(k->prefix_bytes + 1), prefix, k->prefix_bytes + 1);
    k->evict = evict;
}

static void add_caches(struct deployment *d)
{
    add_keyspace(d, "drop:", KEYSPACE_EVICT_DROP);
    add_keyspace(d, "local:", KEYSPACE_EVICT_LOCAL);
}

static void open_cache_world(const char *policy)
{
    char line[64];

    open_world_with(add_caches);
    cold_open(&disk, &world.replica);
    sprintf(line, "CONFIG SET maxmemory-policy %s", policy);
    execute(line);
}

static void fill(const char *prefix, int count, const char *options)
{
    char line[128];

    for (int i = 0; i < count; i++) {
        sprintf(line, "SET %s%d v %s", prefix, i, options);
        execute(line);
    }
}

static uint64_t drop_until(uint64_t keys)
{
    for (int i = 0; i < 10000 && database_size(db(0)) > keys; i++)
        evict_step(&world.server, 1, 100, true);
    return database_size(db(0));
}

static uint64_t count_keys(const char *pattern)
{
    char line[64];
    struct span in;

    sprintf(line, "KEYS %s", pattern);
    execute(line);
    in = buffer_span(&world.session.output);
    return (uint64_t)number(&in);
}

TEST(a_cache_is_dropped_by_ordinary_removals)
{
    open_cache_world("allkeys-lru");
    fill("drop:", 100, "");
    fill("keep:", 10, "");
    replica_seal(&world.replica);
    uint64_t log_end = world.replica.log_end;
    uint64_t left = drop_until(60);
    EXPECT(left <= 60 && left > 10); /* a step may drop more than one */
    replica_seal(&world.replica);
    EXPECT(world.replica.log_end > log_end);
    EXPECT_EQ(count_keys("keep:*"), 10);
    EXPECT_EQ(count_keys("drop:*"), left - 10);
    EXPECT_EQ(world.server.statistics.evicted_keys, 110 - left);
    close_cold_world();
}

TEST(nothing_is_dropped_where_writes_are_not_allowed)
{
    open_cache_world("allkeys-lru");
    fill("drop:", 100, "");
    evict_all();
    EXPECT_EQ(database_size(db(0)), 100);
    close_cold_world();
}

TEST(a_local_cache_is_forgotten_without_an_op_and_on_disk_too)
{
    open_cache_world("allkeys-random");
    fill("local:", 100, "");
    cold_copy(&disk);
    uint64_t log_end = world.replica.log_end;
    uint64_t left = drop_until(20);
    EXPECT(left <= 20);
    replica_seal(&world.replica);
    EXPECT_EQ(world.replica.log_end, log_end);
    EXPECT_EQ(count_keys("*"), left);
    cold_copy(&disk);
    EXPECT_EQ(disk.count, left);
    fill("local:", 100, "");
    EXPECT_EQ(count_keys("*"), 100);
    close_cold_world();
}

TEST(what_changes_in_part_is_demoted_where_whole_values_are_forgotten)
{
    open_cache_world("allkeys-lru");
    execute("HSET local:h a 1 b 2");
    execute("INCR local:n");
    execute("PFADD local:p x");
    execute("SET local:s v");
    execute("SET local:t v EX 100");
    cold_copy(&disk);
    for (int i = 0; i < 10; i++)
        evict_step(&world.server, UINT64_MAX, 100, true);
    EXPECT_EQ(in_memory(), 0);
    EXPECT(answers("KEYS *", "~[\"local:h\" \"local:n\" \"local:p\"]"));
    EXPECT(answers("HGETALL local:h", "~[\"1\" \"2\" \"a\" \"b\"]"));
    EXPECT(answers("INCR local:n", "2"));
    close_cold_world();
}

TEST(noeviction_drops_nothing)
{
    open_cache_world("noeviction");
    fill("drop:", 50, "EX 100");
    for (int i = 0; i < 20; i++)
        evict_step(&world.server, UINT64_MAX, 100, true);
    EXPECT_EQ(database_size(db(0)), 50);
    EXPECT(evict_is_dry(&world.server));
    close_cold_world();
}

TEST(volatile_policies_drop_only_keys_with_a_time_to_live)
{
    static const char *const policies[] = { "volatile-lru", "volatile-lfu", "volatile-ttl",
                                            "volatile-random" };

    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        open_cache_world(policies[i]);
        fill("drop:", 50, "");
        fill("drop:timed", 50, "EX 100");
        EXPECT_EQ(drop_until(50), 50);
        EXPECT_EQ(count_keys("drop:timed*"), 0);
        EXPECT_EQ(drop_until(40), 50);
        close_cold_world();
    }
}

/* How many of the first half are left when 150 of all 400 are dropped: some 125 if it were by chance. */
static uint64_t left_of_first_half(const char *policy, const char *use)
{
    char line[64];

    open_cache_world(policy);
    fill("drop:a", 200, "EX 1000");
    turn(10 * 1000);
    fill("drop:b", 200, "EX 500");
    for (int round = 0; round < 20; round++) {
        turn(2000);
        for (int i = 0; i < 200; i++) {
            sprintf(line, "%s drop:a%d", use, i);
            execute(line);
        }
    }
    drop_until(250);
    uint64_t left = count_keys("drop:a*");
    close_cold_world();
    return left;
}

TEST(who_was_used_last_stays)
{
    EXPECT(left_of_first_half("allkeys-lru", "GET") > 165);
    EXPECT(left_of_first_half("allkeys-lru", "OBJECT IDLETIME") < 70); /* asking is no use */
}

TEST(who_is_used_often_stays)
{
    EXPECT(left_of_first_half("allkeys-lfu", "GET") > 165);
    EXPECT(left_of_first_half("volatile-lfu", "GET") > 165);
}

TEST(who_expires_last_stays)
{
    EXPECT(left_of_first_half("volatile-ttl", "OBJECT FREQ") > 160);
}

TEST(random_is_neither)
{
    uint64_t left = left_of_first_half("allkeys-random", "GET");

    EXPECT(left > 90 && left < 160);
}

/* --- what is told --- */

STEPS(idle_time_grows_until_a_key_is_used, { "SET k v", "OK" }, { "@30000", "" },
      { "OBJECT IDLETIME k", "29" }, { "OBJECT IDLETIME k", "29" }, { "GET k", "\"v\"" },
      { "OBJECT IDLETIME k", "0" }, { "@10000", "" },
      { "OBJECT IDLETIME k", "9" }, /* in ticks of 1.05 s */
      { "TOUCH k", "1" }, { "OBJECT IDLETIME k", "0" }, { "OBJECT IDLETIME no", "nil" })

STEPS(frequency_is_told_with_an_lfu_policy, { "CONFIG SET maxmemory-policy allkeys-lfu", "OK" },
      { "SET k v", "OK" }, { "OBJECT FREQ k", "5" }, { "GET k", "\"v\"" }, { "OBJECT FREQ k", "6" },
      { "@600000", "" }, { "OBJECT FREQ k", "1" },
      { "OBJECT IDLETIME k",
        "-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
        "switching between policies at runtime LRU and LFU data will take some time to adjust." },
      { "CONFIG SET maxmemory-policy noeviction", "OK" },
      { "OBJECT FREQ k",
        "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "
        "that when switching between policies at runtime LRU and LFU data will take some time to "
        "adjust." })

STEPS(limits_are_settings,
      { "CONFIG GET maxmemory*", "[\"maxmemory\" \"0\" \"maxmemory-policy\" \"noeviction\"]" },
      { "CONFIG SET maxmemory 100mb maxmemory-policy VOLATILE-ttl", "OK" },
      { "CONFIG GET maxmemory*",
        "[\"maxmemory\" \"104857600\" \"maxmemory-policy\" \"volatile-ttl\"]" },
      { "CONFIG SET maxmemory-policy foo",
        "-ERR CONFIG SET failed (possibly related to argument 'maxmemory-policy') - argument(s) "
        "must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, "
        "allkeys-lru, allkeys-lfu, allkeys-random, noeviction" })

TEST(without_memory_what_needs_some_is_refused)
{
    static const char oom[] = "-OOM command not allowed when used memory > 'maxmemory'.";

    open_world();
    execute("SET a 1");
    world.server.out_of_memory = true;
    EXPECT(answers("SET b 1", oom));
    EXPECT(answers("GET a", "\"1\""));
    EXPECT(answers("DEL a", "1"));
    EXPECT(answers("MULTI", "OK"));
    EXPECT(answers("GET a", oom));
    EXPECT(answers("EXEC", "-EXECABORT Transaction discarded because of previous errors."));
    world.server.out_of_memory = false;
    EXPECT(answers("SET b 1", "OK"));
    close_world();
}

/* --- what the disk does not give --- */

#define DAMAGED                                                                                    \
    "-ERR a key that this command needs is damaged on disk: see the server's log, and run "        \
    "meridian repair"

TEST(a_damaged_key_is_answered_with_an_error_each_time)
{
    open_cold_world();
    execute("MSET a 1 b 2");
    execute("HSET h f v");
    cold_copy(&disk);
    evict_all();
    disk.broken = "a";
    EXPECT(answers("GET b", "\"2\""));
    EXPECT(!world.server.damaged);
    EXPECT(answers("MGET b a", DAMAGED));
    EXPECT(answers("GET a", DAMAGED));
    EXPECT(world.server.damaged);
    EXPECT(answers("GET b", "\"2\""));
    close_cold_world();
}

TEST(a_write_that_cannot_read_its_keys_writes_nothing)
{
    open_cold_world();
    execute("MSET a 1 b 2");
    cold_copy(&disk);
    evict_all();
    uint64_t log_end = world.replica.log_end;
    disk.broken = "a";
    EXPECT(answers("INCR a", DAMAGED));
    EXPECT(answers("MSET b 3 a 4", DAMAGED));
    EXPECT(answers("FLUSHALL", DAMAGED));
    execute("MULTI");
    execute("INCR a");
    EXPECT(answers("EXEC", "[" DAMAGED "]"));
    replica_seal(&world.replica);
    EXPECT_EQ(world.replica.log_end, log_end);
    disk.broken = NULL;
    EXPECT(answers("MGET a b", "[\"1\" \"2\"]"));
    close_cold_world();
}

/* What was found not to be there when the command began cannot be looked for any more when the op is
 * applied. */
TEST(a_disk_that_fails_within_a_command_that_adds_is_an_error_and_no_more)
{
    static const char *const lines[] = {
        "ZINCRBY k 2 m",
        "ZADD k INCR 2 m",
        "ZADD k 1 a 2 b",
        "HINCRBY k f 2",
        "HINCRBYFLOAT k f 0.5",
        "HSET k f v",
        "INCRBYFLOAT k 2",
        "INCR k",
        "INCRBY k 9007199254740993",
        "APPEND k a",
        "SETRANGE k 9 x",
        "SETBIT k 7 1",
        "SET k v GET",
        "GETSET k v",
        "PFADD k a",
        "PFMERGE k k2",
        "SADD k m",
        "LPUSH k a b",
        "RPUSH k a",
        "XADD k * f v",
        "XGROUP CREATE k g 0 MKSTREAM",
        "GEOADD k 13 38 Palermo",
        "COPY other k",
        "RENAME other k",
        "BITOP NOT k other",
        "BITFIELD k INCRBY u8 0 3",
        "MSET k 1 k2 2",
        "SETEX k 9 v",
        "SORT k STORE k2",
    };
    int lost = 0;

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        for (uint32_t reads = 1; reads < 8; reads++) {
            open_cold_world();
            execute("SET other 1");
            cold_copy(&disk);
            evict_all();
            disk.fails_in = reads;
            execute(lines[i]);
            EXPECT(world.session.output.len > 0);
            if (db(0)->lost.count > 0)
                EXPECT_EQ(world.session.output.at[0], '-');
            lost += db(0)->lost.count > 0;
            close_cold_world();
        }
    }
    EXPECT(lost >= 6);
}

/* --- much at once --- */

enum { LARGE_KEYS = 24, LARGE_BYTES = 1 << 20, FITTING_KEYS = 4 };

/* Cold keys of a megabyte. */
static void open_large_world(void)
{
    char line[64];

    open_cold_world();
    for (int i = 0; i < LARGE_KEYS; i++) {
        snprintf(line, sizeof(line), "SETRANGE k%d %d x", i, LARGE_BYTES - 1);
        execute(line);
    }
    cold_copy(&disk);
    evict_all();
    disk.reads = 0;
}

TEST(large_keys_of_one_command_are_not_in_memory_together)
{
    struct buffer line = { 0 };

    open_large_world();
    buffer_put_text(&line, "DEL");
    for (int i = 0; i < LARGE_KEYS; i++)
        buffer_printf(&line, " k%d", i);
    buffer_put_u8(&line, 0);
    EXPECT(answers((const char *)line.at, "24"));
    buffer_release(&line);
    EXPECT_EQ(disk.reads, FITTING_KEYS + 2 * (LARGE_KEYS - FITTING_KEYS));
    EXPECT_EQ(in_memory(), 0);
    close_cold_world();
}

TEST(large_keys_that_are_only_counted_leave_again)
{
    open_large_world();
    EXPECT(answers("EXISTS k0 k1 k2 k3 k4 k5 k6 k7 k8 k9", "10"));
    EXPECT_EQ(in_memory(), FITTING_KEYS);
    EXPECT_EQ(disk.reads, 10);
    close_cold_world();
}

TEST(a_flush_of_large_keys_goes_by_their_bytes)
{
    struct span flush = span_str("FLUSHALL");
    int turns = 0;

    open_large_world();
    do {
        command_run(&world.server, &world.session, &flush, 1);
        turns++;
    } while (world.session.unfinished);
    EXPECT(turns >= 3);
    EXPECT(answers("DBSIZE", "0"));
    close_cold_world();
}

TEST(what_came_and_left_is_counted_in_bytes)
{
    open_large_world();
    int64_t before = evict_moved_bytes(&world.server);
    execute("STRLEN k0");
    EXPECT(evict_moved_bytes(&world.server) - before >= LARGE_BYTES);
    evict_all();
    EXPECT_EQ(evict_moved_bytes(&world.server), before);
    EXPECT_EQ(evict_missed_keys(&world.server), 0);
    execute("GET nothing");
    EXPECT_EQ(evict_missed_keys(&world.server), 1);
    close_cold_world();
}

/* --- all of them --- */

TEST(a_flush_removes_what_is_on_disk_over_many_turns)
{
    open_cold_world();
    fill("k", 3000, "");
    cold_copy(&disk);
    evict_all();
    fill("more", 500, "");
    EXPECT_EQ(database_size(db(0)), 3500);
    EXPECT(answers("FLUSHALL", "OK"));
    EXPECT(answers("DBSIZE", "0"));
    EXPECT(answers("KEYS *", "[]"));
    cold_copy(&disk);
    EXPECT_EQ(disk.count, 0);
    close_cold_world();
}

TEST(a_random_key_may_be_one_on_disk)
{
    bool seen[20] = { false };
    int count = 0;

    open_cold_world();
    fill("k", 20, "");
    cold_copy(&disk);
    evict_all();
    for (int i = 0; i < 10000; i++) {
        execute("RANDOMKEY");
        int which = atoi(strchr((const char *)world.session.output.at, 'k') + 1);
        CHECK(which >= 0 && which < 20);
        count += !seen[which];
        seen[which] = true;
        if (i % 10 == 0)
            evict_all();
    }
    EXPECT_EQ(count, 20);
    close_cold_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
