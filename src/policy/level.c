#include "policy/level.h"

#include "base/check.h"

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

bool level_take_ms(struct span text, uint32_t *ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
    size_t digits = 0;
    int64_t number, times = 0;

    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    if (!span_to_int64(span_of(text.at, digits), &number))
        return false;
    if (digits == text.len)
        times = 1;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (span_equal_nocase(span_skip(text, digits), units[i].unit))
            times = units[i].ms;
    }
    if (times == 0 || number < 1 || number > LEVEL_STALENESS_MAX_MS / times)
        return false;
    *ms = (uint32_t)(number * times);
    return true;
}

bool read_level_parse(struct span text, struct read_level *level)
{
    size_t len = strlen(reads_words[KEYSPACE_READ_BOUNDED]);
    uint32_t ms;

    if (text.len > len && span_equal_nocase(span_of(text.at, len), "bounded") &&
        (text.at[len] == ':' || text.at[len] == ' ')) {
        if (!level_take_ms(span_skip(text, len + 1), &ms))
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
