#include "policy/keyspace.h"

const char *const keyspace_mode_words[] = {
    [KEYSPACE_ACTIVE_ACTIVE] = "active-active",   [KEYSPACE_PRIMARY] = "primary",
    [KEYSPACE_FOLLOW_THE_SUN] = "follow-the-sun", [KEYSPACE_PARTITIONED] = "partitioned",
    [KEYSPACE_CONSENSUS] = "consensus",
};
const char *const keyspace_conflict_words[] = {
    [KEYSPACE_LWW] = "lww",
    [KEYSPACE_SIBLINGS] = "siblings",
    [KEYSPACE_MERGE] = "merge",
};
const char *const keyspace_streams_words[] = {
    [KEYSPACE_STREAMS_LATEST] = "latest",
    [KEYSPACE_STREAMS_CLOSED] = "closed",
};
const char *const keyspace_evict_words[] = {
    [KEYSPACE_EVICT_DEMOTE] = "demote",
    [KEYSPACE_EVICT_DROP] = "drop",
    [KEYSPACE_EVICT_LOCAL] = "local",
};
const char *const keyspace_elsewhere_words[] = {
    [KEYSPACE_FORWARD] = "forward",
    [KEYSPACE_REDIRECT] = "redirect",
};
const char *const keyspace_then_words[] = {
    [KEYSPACE_SLOW] = "slow",
    [KEYSPACE_REFUSE_WRITES] = "refuse",
};
const char *const keyspace_outside_words[] = {
    [KEYSPACE_REFUSE] = "refuse",
    [KEYSPACE_THROUGH] = "forward",
};
const char *const keyspace_homes_words[] = {
    [KEYSPACE_HOMES_TAG] = "tag",
    [KEYSPACE_HOMES_HASH] = "hash",
    [KEYSPACE_HOMES_DIRECTORY] = "directory",
};

bool keyspace_promises_equal(const struct keyspace_promises *a, const struct keyspace_promises *b)
{
    return a->conflict == b->conflict && a->streams == b->streams && a->acks.acks == b->acks.acks &&
           a->acks.count == b->acks.count && a->reads.reads == b->reads.reads &&
           a->reads.staleness_ms == b->reads.staleness_ms &&
           a->ack_timeout_ms == b->ack_timeout_ms && a->max_lag_ms == b->max_lag_ms &&
           a->then == b->then && a->elsewhere == b->elsewhere;
}
