#include "policy/level.h"

#include "base/check.h"
#include "base/test.h"

static bool is_write_level(const char *text, enum keyspace_acks acks, uint32_t count)
{
    struct write_level level;
    struct buffer word = { 0 };
    bool same = write_level_parse(span_str(text), &level) && level.acks == acks &&
                level.count == count;

    write_level_put(&word, level);
    same = same && span_equal_nocase(span_str(text), (buffer_put_u8(&word, 0), (char *)word.at));
    buffer_release(&word);
    return same;
}

static bool is_read_level(const char *text, enum keyspace_reads reads, uint32_t staleness_ms)
{
    struct read_level level;

    return read_level_parse(span_str(text), &level) && level.reads == reads &&
           level.staleness_ms == staleness_ms;
}

TEST(write_levels_are_words_or_numbers_of_other_regions)
{
    struct write_level level;

    EXPECT(is_write_level("async", KEYSPACE_ASYNC, 0));
    EXPECT(is_write_level("SEMI-SYNC", KEYSPACE_SEMI_SYNC, 0));
    EXPECT(is_write_level("quorum", KEYSPACE_QUORUM, 0));
    EXPECT(is_write_level("sync", KEYSPACE_SYNC, 0));
    EXPECT(is_write_level("0", KEYSPACE_ACK_COUNT, 0));
    EXPECT(is_write_level("254", KEYSPACE_ACK_COUNT, 254));
    EXPECT(!write_level_parse(span_str("255"), &level));
    EXPECT(!write_level_parse(span_str("-1"), &level));
    EXPECT(!write_level_parse(span_str(""), &level));
    EXPECT(!write_level_parse(span_str("quorums"), &level));
}

TEST(read_levels_are_words_and_bounded_has_a_time)
{
    struct read_level level;

    EXPECT(is_read_level("local", KEYSPACE_READ_LOCAL, 0));
    EXPECT(is_read_level("Causal", KEYSPACE_READ_CAUSAL, 0));
    EXPECT(is_read_level("strong", KEYSPACE_READ_STRONG, 0));
    EXPECT(is_read_level("bounded:500", KEYSPACE_READ_BOUNDED, 500));
    EXPECT(is_read_level("bounded 5s", KEYSPACE_READ_BOUNDED, 5000));
    EXPECT(is_read_level("bounded:1h", KEYSPACE_READ_BOUNDED, 3600000));
    EXPECT(is_read_level("bounded:5s", KEYSPACE_READ_BOUNDED, 5000));
    static const char *const bad[] = { "bounded",    "bounded:",     "bounded:0",
                                       "bounded:-1", "bounded:61m",  "bounded:5 s",
                                       "bounded5s",  "bounded:5sec", "",
                                       "eventual",   "bounded: 5",   "bounded 5" };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        EXPECT(!read_level_parse(span_str(bad[i]), &level));
}

TEST(a_bounded_level_is_put_as_it_is_asked_for)
{
    struct buffer word = { 0 };

    read_level_put(&word, (struct read_level){ KEYSPACE_READ_BOUNDED, 250 });
    EXPECT_TEXT(buffer_span(&word), "bounded:250");
    buffer_release(&word);
}

TEST(a_majority_counts_the_writer)
{
    static const uint32_t wanted[] = { 0, 0, 1, 1, 2, 2, 3, 3 };

    for (uint32_t holders = 1; holders < COUNT_OF(wanted); holders++) {
        uint32_t others = write_level_others((struct write_level){ KEYSPACE_QUORUM, 0 }, holders);

        EXPECT_EQ(others, wanted[holders]);
        EXPECT(2 * (others + 1) > holders);
    }
    EXPECT_EQ(write_level_others((struct write_level){ KEYSPACE_SYNC, 0 }, 5), 4);
    EXPECT_EQ(write_level_others((struct write_level){ KEYSPACE_SEMI_SYNC, 0 }, 5), 1);
    EXPECT_EQ(write_level_others((struct write_level){ KEYSPACE_SEMI_SYNC, 0 }, 1), 0);
    EXPECT_EQ(write_level_others((struct write_level){ KEYSPACE_ASYNC, 0 }, 5), 0);
    EXPECT_EQ(write_level_others((struct write_level){ KEYSPACE_ACK_COUNT, 3 }, 2), 3);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
