/* The list commands, as clients see them. */
#include "cmd/trial.h"

#include "base/prng.h"

STEPS(pushing_at_both_ends, { "RPUSH l a b c", "3" }, { "LPUSH l x y", "5" },
      { "LRANGE l 0 -1", "[\"y\" \"x\" \"a\" \"b\" \"c\"]" }, { "LLEN l", "5" },
      { "LLEN nowhere", "0" }, { "TYPE l", "list" },
      { "RPUSH l", "-ERR wrong number of arguments for 'rpush' command" })

STEPS(pushing_only_where_a_list_is, { "LPUSHX l a", "0" }, { "RPUSHX l a", "0" },
      { "EXISTS l", "0" }, { "RPUSH l a", "1" }, { "RPUSHX l b c", "3" }, { "LPUSHX l x y", "5" },
      { "LRANGE l 0 -1", "[\"y\" \"x\" \"a\" \"b\" \"c\"]" })

STEPS(popping_one_or_several, { "RPUSH l a b c d e f", "6" }, { "LPOP l", "\"a\"" },
      { "RPOP l", "\"f\"" }, { "LPOP l 2", "[\"b\" \"c\"]" }, { "RPOP l 0", "[]" },
      { "RPOP l 9", "[\"e\" \"d\"]" }, { "EXISTS l", "0" }, { "LPOP l", "nil" },
      { "LPOP l 1", "nil-array" }, { "LPOP l 0", "nil-array" },
      { "LPOP l -1", "-ERR value is out of range, must be positive" },
      { "LPOP l x", "-ERR value is out of range, must be positive" },
      { "LPOP l 1 2", "-ERR wrong number of arguments for 'lpop' command" }, { "!3", "" },
      { "LPOP l", "nil" }, { "LPOP l 1", "nil" })

STEPS(reading_by_rank, { "RPUSH l a b c d", "4" }, { "LINDEX l 0", "\"a\"" },
      { "LINDEX l -1", "\"d\"" }, { "LINDEX l -4", "\"a\"" }, { "LINDEX l 4", "nil" },
      { "LINDEX l -5", "nil" }, { "LINDEX l -9223372036854775808", "nil" },
      { "LINDEX l x", NOT_INTEGER }, { "LINDEX nowhere x", "nil" },
      { "LRANGE l 1 2", "[\"b\" \"c\"]" }, { "LRANGE l -3 -2", "[\"b\" \"c\"]" },
      { "LRANGE l -100 100", "[\"a\" \"b\" \"c\" \"d\"]" }, { "LRANGE l 3 1", "[]" },
      { "LRANGE l 4 9", "[]" }, { "LRANGE nowhere 0 -1", "[]" },
      { "LRANGE l 9223372036854775807 -9223372036854775808", "[]" },
      { "LRANGE l -9223372036854775808 9223372036854775807", "[\"a\" \"b\" \"c\" \"d\"]" },
      { "LRANGE nowhere x 1", NOT_INTEGER })

STEPS(trimming, { "RPUSH l a b c d e", "5" }, { "LTRIM l 1 -2", "OK" },
      { "LRANGE l 0 -1", "[\"b\" \"c\" \"d\"]" }, { "LTRIM l 0 0", "OK" },
      { "LRANGE l 0 -1", "[\"b\"]" }, { "LTRIM l 0 -1", "OK" }, { "LLEN l", "1" },
      { "LTRIM l 5 9", "OK" }, { "EXISTS l", "0" }, { "LTRIM l 0 0", "OK" },
      { "LTRIM l 0 x", NOT_INTEGER })

STEPS(setting_by_rank, { "LSET l 0 x", "-ERR no such key" }, { "RPUSH l a b c", "3" },
      { "LSET l 1 x", "OK" }, { "LSET l -1 y", "OK" }, { "LRANGE l 0 -1", "[\"a\" \"x\" \"y\"]" },
      { "LSET l 3 z", "-ERR index out of range" }, { "LSET l -4 z", "-ERR index out of range" },
      { "LSET l x z", NOT_INTEGER })

STEPS(removing_by_value, { "RPUSH l a b a c a", "5" }, { "LREM l 1 a", "1" },
      { "LRANGE l 0 -1", "[\"b\" \"a\" \"c\" \"a\"]" }, { "LREM l -1 a", "1" },
      { "LRANGE l 0 -1", "[\"b\" \"a\" \"c\"]" }, { "LREM l 0 z", "0" }, { "LPUSH l a a", "5" },
      { "LREM l 0 a", "3" }, { "LRANGE l 0 -1", "[\"b\" \"c\"]" },
      { "LREM l -9223372036854775808 b", "1" }, { "LREM l 5 c", "1" }, { "EXISTS l", "0" },
      { "LREM l 0 c", "0" }, { "LREM l x c", NOT_INTEGER })

STEPS(inserting_beside_a_value, { "LINSERT l BEFORE a x", "0" }, { "RPUSH l a b a", "3" },
      { "LINSERT l before a x", "4" }, { "LINSERT l AFTER a y", "5" },
      { "LRANGE l 0 -1", "[\"x\" \"a\" \"y\" \"b\" \"a\"]" }, { "LINSERT l AFTER z y", "-1" },
      { "LINSERT l BESIDE a y", SYNTAX })

STEPS(looking_for_a_value, { "RPUSH l a b c 1 2 3 c c", "8" }, { "LPOS l c", "2" },
      { "LPOS l z", "nil" }, { "LPOS l c RANK 2", "6" }, { "LPOS l c RANK -1", "7" },
      { "LPOS l c RANK 4", "nil" }, { "LPOS l c COUNT 2", "[2 6]" },
      { "LPOS l c COUNT 0", "[2 6 7]" }, { "LPOS l c RANK -1 COUNT 2", "[7 6]" },
      { "LPOS l c RANK 2 COUNT 0", "[6 7]" }, { "LPOS l c MAXLEN 2", "nil" },
      { "LPOS l c MAXLEN 3 COUNT 0", "[2]" }, { "LPOS l c RANK -1 MAXLEN 2 COUNT 0", "[7 6]" },
      { "LPOS l z COUNT 1", "[]" }, { "LPOS nowhere a", "nil" }, { "LPOS nowhere a COUNT 0", "[]" },
      { "LPOS l c RANK 0",
        "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or "
        "use negative to start from the end of the list" },
      { "LPOS l c COUNT -1", "-ERR COUNT can't be negative" },
      { "LPOS l c MAXLEN -1", "-ERR MAXLEN can't be negative" }, { "LPOS l c COUNT", SYNTAX },
      { "LPOS l c BAD 1", SYNTAX }, { "LPOS l c RANK x", NOT_INTEGER },
      { "LPOS l c RANK -9223372036854775808", "7" })

STEPS(moving_between_lists, { "LMOVE from to LEFT RIGHT", "nil" }, { "RPUSH from a b c", "3" },
      { "LMOVE from to LEFT RIGHT", "\"a\"" }, { "LMOVE from to RIGHT LEFT", "\"c\"" },
      { "LRANGE to 0 -1", "[\"c\" \"a\"]" }, { "RPOPLPUSH from to", "\"b\"" },
      { "EXISTS from", "0" }, { "LRANGE to 0 -1", "[\"b\" \"c\" \"a\"]" },
      { "LMOVE to to LEFT UP", SYNTAX }, { "LMOVE to to UP LEFT", SYNTAX },
      { "RPOPLPUSH from to", "nil" })

STEPS(moving_within_one_list, { "RPUSH l a b c", "3" }, { "LMOVE l l LEFT RIGHT", "\"a\"" },
      { "LRANGE l 0 -1", "[\"b\" \"c\" \"a\"]" }, { "RPOPLPUSH l l", "\"a\"" },
      { "LMOVE l l LEFT LEFT", "\"a\"" }, { "LRANGE l 0 -1", "[\"a\" \"b\" \"c\"]" },
      { "RPUSH one x", "1" }, { "EXPIRE one 100", "1" }, { "RPOPLPUSH one one", "\"x\"" },
      { "TTL one", "100" }, { "LLEN one", "1" })

STEPS(popping_from_the_first_list_that_has_something, { "LMPOP 2 a b LEFT", "nil-array" },
      { "RPUSH b 1 2 3 4", "4" }, { "LMPOP 2 a b LEFT", "[\"b\" [\"1\"]]" },
      { "LMPOP 2 a b RIGHT COUNT 2", "[\"b\" [\"4\" \"3\"]]" },
      { "LMPOP 2 a b left count 10", "[\"b\" [\"2\"]]" }, { "EXISTS b", "0" },
      { "LMPOP 0 a LEFT", "-ERR numkeys should be greater than 0" },
      { "LMPOP x a LEFT", "-ERR numkeys should be greater than 0" },
      { "LMPOP 1 a LEFT COUNT 0", "-ERR count should be greater than 0" },
      { "LMPOP 2 a LEFT", SYNTAX }, { "LMPOP 1 a UP", SYNTAX }, { "LMPOP 1 a LEFT COUNT", SYNTAX },
      { "LMPOP 1 a LEFT COUNT 1 COUNT 1", SYNTAX }, { "LMPOP 9223372036854775807 a LEFT", SYNTAX })

STEPS(blocking_commands_answer_at_once_where_there_is_something, { "RPUSH l a b c d e", "5" },
      { "BLPOP nowhere l 0", "[\"l\" \"a\"]" }, { "BRPOP l 0", "[\"l\" \"e\"]" },
      { "BLMOVE l to LEFT LEFT 0", "\"b\"" }, { "BRPOPLPUSH l to 0", "\"d\"" },
      { "BLMPOP 0 2 nowhere l RIGHT COUNT 5", "[\"l\" [\"c\"]]" },
      { "LRANGE to 0 -1", "[\"d\" \"b\"]" })

STEPS(bad_timeouts, { "BLPOP l x", "-ERR timeout is not a float or out of range" },
      { "BLPOP l -1", "-ERR timeout is negative" }, { "BLPOP l inf", "-ERR timeout is negative" },
      { "BLMPOP -1 0 l LEFT", "-ERR numkeys should be greater than 0" },
      { "BLMOVE l l UP LEFT -1", SYNTAX },
      { "BLMOVE l l LEFT LEFT -1", "-ERR timeout is negative" })

STEPS(other_types_are_refused, { "SET s v", "OK" }, { "RPUSH l a", "1" },
      { "LPUSH s a", WRONG_TYPE }, { "LPUSHX s a", WRONG_TYPE }, { "LPOP s", WRONG_TYPE },
      { "LPOP s 1", WRONG_TYPE }, { "LLEN s", WRONG_TYPE }, { "LINDEX s 0", WRONG_TYPE },
      { "LRANGE s 0 -1", WRONG_TYPE }, { "LTRIM s 0 1", WRONG_TYPE }, { "LSET s 0 a", WRONG_TYPE },
      { "LREM s 0 a", WRONG_TYPE }, { "LINSERT s BEFORE a b", WRONG_TYPE },
      { "LPOS s a", WRONG_TYPE }, { "LMOVE s l LEFT LEFT", WRONG_TYPE },
      { "LMOVE l s LEFT LEFT", WRONG_TYPE }, { "LMOVE nowhere s LEFT LEFT", "nil" },
      { "RPOPLPUSH l s", WRONG_TYPE }, { "LMPOP 2 nowhere s LEFT", WRONG_TYPE },
      { "BLPOP s 0", WRONG_TYPE }, { "BLMOVE l s LEFT LEFT 0", WRONG_TYPE },
      { "GET l", WRONG_TYPE }, { "LLEN l", "1" })

STEPS(a_list_past_its_deadline_is_gone, { "RPUSH l a b", "2" }, { "PEXPIRE l 50", "1" },
      { "@100", "" }, { "LLEN l", "0" }, { "LPOP l", "nil" }, { "RPUSHX l c", "0" },
      { "RPUSH l c", "1" }, { "LRANGE l 0 -1", "[\"c\"]" }, { "TTL l", "-1" })

/* --- long lists --- */

enum { LONG = 20000 };

static void push_many(uint64_t count)
{
    char line[64];

    for (uint64_t i = 0; i < count; i++) {
        snprintf(line, sizeof(line), "RPUSH l %u", (unsigned)i);
        execute(line);
    }
}

TEST(many_elements_go_by_one_op)
{
    open_world();
    push_many(LONG);
    replica_seal(&world.replica);
    buffer_clear(&world.replica.log_out);
    stamp_t before = vector_get(&world.replica.last_op, 1);
    execute("LTRIM l -10 -1");
    stamp_t after = vector_get(&world.replica.last_op, 1);
    EXPECT_EQ(world.replica.open_ops, 1);
    EXPECT(after > before);
    EXPECT_REPLY("LRANGE l 0 -1", "[\"19990\" \"19991\" \"19992\" \"19993\" \"19994\" \"19995\" "
                                  "\"19996\" \"19997\" \"19998\" \"19999\"]");
    execute("LPUSH l 1 2 1 2 1");
    EXPECT_EQ(world.replica.open_ops, 2);
    execute("LREM l 0 1");
    EXPECT_EQ(world.replica.open_ops, 3);
    EXPECT_TEXT(reply_text(false), "3");
    close_world();
}

/* --- random commands against an array --- */

struct model {
    int items[2000];
    size_t count;
};

static void model_insert(struct model *m, size_t at, int value)
{
    memmove(&m->items[at + 1], &m->items[at], (m->count - at) * sizeof(m->items[0]));
    m->items[at] = value;
    m->count++;
}

static int model_take(struct model *m, size_t at)
{
    int value = m->items[at];

    m->count--;
    memmove(&m->items[at], &m->items[at + 1], (m->count - at) * sizeof(m->items[0]));
    return value;
}

static size_t model_find(const struct model *m, int value)
{
    size_t at = 0;
    while (at < m->count && m->items[at] != value)
        at++;
    return at;
}

static void random_command(struct prng *p, struct model *m, char *line, size_t size)
{
    int value = (int)prng_below(p, 30);
    size_t at = m->count > 0 ? prng_below(p, m->count) : 0;

    switch (m->count > 0 ? prng_below(p, 7) : prng_below(p, 2)) {
    case 0:
        snprintf(line, size, "RPUSH l %d %d", value, value + 1);
        model_insert(m, m->count, value);
        model_insert(m, m->count, value + 1);
        break;
    case 1:
        snprintf(line, size, "LPUSH l %d %d", value, value + 1);
        model_insert(m, 0, value);
        model_insert(m, 0, value + 1);
        break;
    case 2:
        snprintf(line, size, "LPOP l");
        model_take(m, 0);
        break;
    case 3:
        snprintf(line, size, "LSET l %zu %d", at, value);
        m->items[at] = value;
        break;
    case 4:
        snprintf(line, size, "LINSERT l %s %d %d", value % 2 ? "AFTER" : "BEFORE", m->items[at],
                 value);
        model_insert(m, model_find(m, m->items[at]) + (value % 2 ? 1 : 0), value);
        break;
    case 5:
        snprintf(line, size, "RPOPLPUSH l l");
        model_insert(m, 0, model_take(m, m->count - 1));
        break;
    default:
        snprintf(line, size, "LREM l 1 %d", value);
        if (model_find(m, value) < m->count)
            model_take(m, model_find(m, value));
        break;
    }
}

static bool holds(const struct model *m)
{
    struct buffer expected = { 0 };

    execute("LRANGE l 0 -1");
    buffer_put_u8(&expected, '[');
    for (size_t i = 0; i < m->count; i++)
        buffer_printf(&expected, "%s\"%d\"", i > 0 ? " " : "", m->items[i]);
    buffer_put_u8(&expected, ']');
    bool equal = test_equal_span(__FILE__, __LINE__, "the list", "the model", reply_text(false),
                                 buffer_span(&expected));
    buffer_release(&expected);
    return equal;
}

TEST(random_commands_do_as_to_an_array)
{
    struct prng p;
    static struct model m;
    char line[100];

    prng_seed(&p, test_seed());
    open_world();
    m.count = 0;
    for (int i = 0; i < 3000 && m.count < 1900; i++) {
        random_command(&p, &m, line, sizeof(line));
        execute(line);
        if (i % 20 == 0)
            EXPECT(holds(&m));
    }
    EXPECT(holds(&m));
    close_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
