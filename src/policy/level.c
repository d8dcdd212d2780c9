#include "policy/level.h"

#include "base/check.h"
#include "base/quantity.h"

static const char *const acks_words[] = {
    [KEYSPACE_ASYNC] = "async",
    [KEYSPACE_SEMI_SYNC] = "semi-sync",
    [KEYSPACE_QUORUM] = "quorum",
    [KEYSPACE_SYNC] = "sync",
};

static const char *const reads_words[] = {
    [KEYSPACE_READ_LOCAL] = "local",
    [KEYSPACE_READ_BOUNDED] = "bounded",
    [KEYSPACE_READ_CAUSAL] = "causal",
    [KEYSPACE_READ_STRONG] = "strong",
};

bool write_level_parse(struct span text, struct write_level *level)
{
    int64_t count;

    for (size_t i = 0; i < COUNT_OF(acks_words); i++) {
        if (span_equal_nocase(text, acks_words[i])) {
            *level = (struct write_level){ (enum keyspace_acks)i, 0 };
            return true;
        }
    }
    if (!span_to_int64(text, &count) || count < 0 || count > LEVEL_COUNT_MAX)
        return false;
    *level = (struct write_level){ KEYSPACE_ACK_COUNT, (uint32_t)count };
    return true;
}

/* What follows the word: ':' and milliseconds, or a time with its unit. */
static bool take_staleness(struct span text, uint32_t *ms)
{
    char problem[QUANTITY_PROBLEM_MAX];
    struct span rest = span_skip(text, 1);
    int64_t number;
    bool plain = text.at[0] == ':' && span_to_int64(rest, &number);

    if (plain ? number < 1 || number > LEVEL_STALENESS_MAX_MS
              : !quantity_duration_ms(rest, 1, LEVEL_STALENESS_MAX_MS, &number, problem))
        return false;
    *ms = (uint32_t)number;
    return true;
}

bool read_level_parse(struct span text, struct read_level *level)
{
    size_t len = strlen(reads_words[KEYSPACE_READ_BOUNDED]);
    uint32_t ms;

    if (text.len > len && span_equal_nocase(span_of(text.at, len), "bounded") &&
        (text.at[len] == ':' || text.at[len] == ' ')) {
        if (!take_staleness(span_skip(text, len), &ms))
            return false;
        *level = (struct read_level){ KEYSPACE_READ_BOUNDED, ms };
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(reads_words); i++) {
        if (i == KEYSPACE_READ_BOUNDED || !span_equal_nocase(text, reads_words[i]))
            continue;
        *level = (struct read_level){ (enum keyspace_reads)i, 0 };
        return true;
    }
    return false;
}

void write_level_put(struct buffer *out, struct write_level level)
{
    if (level.acks == KEYSPACE_ACK_COUNT)
        buffer_printf(out, "%u", level.count);
    else
        buffer_printf(out, "%s", acks_words[level.acks]);
}

void read_level_put(struct buffer *out, struct read_level level)
{
    buffer_printf(out, "%s", reads_words[level.reads]);
    if (level.reads == KEYSPACE_READ_BOUNDED)
        buffer_printf(out, ":%u", level.staleness_ms);
}

uint32_t write_level_others(struct write_level level, uint32_t holders)
{
    uint32_t others = holders > 0 ? holders - 1 : 0;

    switch (level.acks) {
    case KEYSPACE_ASYNC:
        return 0;
    case KEYSPACE_SEMI_SYNC:
        return others > 0 ? 1 : 0;
    case KEYSPACE_QUORUM:
        return holders / 2; /* a majority is one more, and we are one */
    case KEYSPACE_SYNC:
        return others;
    case KEYSPACE_ACK_COUNT:
        return level.count;
    }
    return 0;
}
