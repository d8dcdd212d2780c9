#include "node/health.h"

#include <stdio.h>

#include "base/error.h"
#include "node/link_info.h"
#include "node/node.h"

enum {
    JUDGE_CLOCK_US = 1000 * 1000,   /* so long a start waits for peers to compare clocks with */
    AHEAD_WAIT_MS = 10 * 1000,      /* writes wait for so much; more is a clock that went back */
    UNSYNCED_MAX_BYTES = 256 << 20, /* of log that the disk has not taken */
    TELL_UNREADABLE_US = 10 * 1000 * 1000,
    LOST_KEYS_MAX = 1000, /* of a disk that gives nothing any more */
};

/* --- the clock --- */

static long long median_ms(const struct node *n)
{
    return (long long)(skew_median_us(&n->skew) / 1000);
}

static void judge_clock(struct node *n)
{
    bool off = skew_is_off(&n->skew);
    if (off == n->was_skewed)
        return;
    n->was_skewed = off;
    if (off)
        node_notice(n, NOTICE_ERROR,
                    "ev=clock.skewed median_ms=%lld what=\"this region's clock is too far from the "
                    "others': own writes are refused; set it right and restart\"",
                    median_ms(n));
    else
        node_notice(n, NOTICE_INFO, "ev=clock.ok median_ms=%lld", median_ms(n));
}

static bool is_clock_judged(const struct node *n)
{
    if (n->now_us - n->start_us > JUDGE_CLOCK_US)
        return true;
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];
        int64_t offset_us;
        uint64_t rtt_us;
        if (!p->cut && p->failures == 0 && !link_info_rtt_us(n, p, &offset_us, &rtt_us))
            return false;
    }
    return true;
}

uint64_t health_time_ms(const struct node *n)
{
    int64_t median_us = n->was_skewed ? skew_median_us(&n->skew) : 0;
    return (uint64_t)((int64_t)n->now_us + median_us) / 1000;
}

bool health_speaks(const struct node *n)
{
    return n->clock_judged && !n->was_skewed;
}

/* --- what the disk does not give --- */

/* The worst error of a read since the last look. */
static int take_damage(struct node *n)
{
    int error = n->server.damaged;
    for (int i = 0; i < OP_DATABASES; i++) {
        struct database *d = &n->replica.databases[i];
        error = d->damage != E_OK && error != E_CORRUPT ? d->damage : error;
        d->damage = E_OK;
    }
    n->server.damaged = error == E_CORRUPT ? E_CORRUPT : E_OK;
    return error;
}

static uint64_t lost_keys(const struct node *n)
{
    uint64_t count = 0;
    for (int i = 0; i < OP_DATABASES; i++)
        count += n->replica.databases[i].lost.count;
    return count;
}

/* What is known of any key here may be wrong: nothing is taken, or copied, that goes by it. Reads go
 * on; each that meets a damaged key says so. */
static void refuse_writes(struct node *n, const char *why)
{
    n->damaged = true;
    checkpoint_break(n, why);
    snprintf(n->refusal, sizeof(n->refusal),
             "ERR no writes are taken, what is on disk is damaged (%s): run meridian repair", why);
    node_notice(n, NOTICE_ERROR,
                "ev=checkpoint.damaged why=\"%s\" what=\"no more writes are taken; reads of "
                "what is sound go on; stop the region and run meridian repair\"",
                why);
    health_judge(n);
}

/* What needed the object was refused, so nothing is wrong by that. Told now and then: it may be asked
 * for all the time. */
static void tell_unreadable(struct node *n, const char *why)
{
    if (n->unreadable_us != 0 && n->now_us - n->unreadable_us < TELL_UNREADABLE_US)
        return;
    n->unreadable_us = n->now_us;
    node_notice(n, NOTICE_ERROR,
                "ev=checkpoint.unreadable why=\"%s\" what=\"what needs it is refused; all else "
                "goes on\"",
                why);
}

/* An op that is in the log is missing in its object: the log must be replayed from before it. */
static void keep_log(struct node *n, const char *why)
{
    n->lost = true;
    checkpoint_break(n, why);
    node_notice(n, NOTICE_ERROR,
                "ev=checkpoint.behind why=\"%s\" what=\"a write to an object that cannot be "
                "read is in the log only: the object is refused, and the log grows, until a "
                "restart that can read it\"",
                why);
}

void health_look_for_damage(struct node *n)
{
    if (n->damaged || n->checkpoint.store == NULL)
        return;
    const char *why = n->checkpoint.store->problem;
    int error = take_damage(n);
    if (error == E_CORRUPT)
        refuse_writes(n, why);
    else if (error != E_OK)
        tell_unreadable(n, why);
    if (!n->lost && lost_keys(n) > 0)
        keep_log(n, why);
}

/* --- refusals --- */

/* The clock began where the last run's ceiling was, which a slow disk had asked for far ahead: no stamp was
 * made there, and our time will come to it. */
static bool is_ahead_by_ceiling(const struct node *n, uint64_t ahead_ms)
{
    uint64_t at_ms = hlc_now_ms(&n->replica.hlc, n->replica.now_ms);
    return at_ms <= n->options.ceiling_ms && ahead_ms <= CEILING_AHEAD_MAX_MS;
}

static void set_refusal(struct node *n)
{
    struct server *server = &n->server;
    uint64_t ahead_ms = hlc_ahead_ms(&n->replica.hlc, health_time_ms(n));
    uint64_t limit_ms = n->options.deployment->max_skew_ms / 2; /* up to here they do not wait */
    server->refusal = NULL;
    if (n->log_broken || n->damaged) {
        server->refusal = n->refusal;
    } else if (n->was_skewed) {
        snprintf(n->refusal, sizeof(n->refusal),
                 "SKEWED this region's clock is %lld ms from the others': set it right and restart",
                 median_ms(n));
        server->refusal = n->refusal;
    } else if (ahead_ms > limit_ms + AHEAD_WAIT_MS && !is_ahead_by_ceiling(n, ahead_ms)) {
        snprintf(n->refusal, sizeof(n->refusal),
                 "SKEWED the newest write here is %llu ms ahead of this region's clock: set the "
                 "clock right and restart, or wait so long",
                 (unsigned long long)ahead_ms);
        server->refusal = n->refusal;
    }
}

void health_judge(struct node *n)
{
    if (!n->clock_judged)
        return;
    const char *before = n->server.refusal;
    judge_clock(n);
    set_refusal(n);
    if (before == NULL && n->server.refusal != NULL && !n->was_skewed && !n->log_broken &&
        !n->damaged)
        node_notice(n, NOTICE_ERROR, "ev=writes.refused why=\"%s\"", n->server.refusal);
}

void health_begin(struct node *n)
{
    if (n->clock_judged || !is_clock_judged(n))
        return;
    n->clock_judged = true;
    health_judge(n);
}

static uint64_t unsynced_bytes(const struct node *n)
{
    return n->replica.log_end - n->replica.log_durable;
}

/* What this turn has sealed counts too: a client may send thousands of commands at once that each
 * write a string of 64 MB. */
static bool is_disk_behind(const struct node *n)
{
    return unsynced_bytes(n) > memory_share(n, UNSYNCED_MAX_BYTES, 8);
}

bool node_must_wait(struct node *n)
{
    if (n->loading)
        return false; /* an answer at once, and no */
    if (!n->clock_judged)
        return true;
    if (n->server.refusal || replica_write_refusal(&n->replica))
        return false;
    return replica_must_wait(&n->replica) || is_disk_behind(n);
}

bool health_takes_batches(const struct node *n)
{
    return !n->loading && !n->log_broken && !n->damaged &&
           unsynced_bytes(n) <= UNSYNCED_MAX_BYTES && (!n->lost || lost_keys(n) < LOST_KEYS_MAX);
}

bool health_has_room_for_batches(const struct node *n)
{
    return !memory_is_full(n) && unsynced_bytes(n) <= memory_share(n, UNSYNCED_MAX_BYTES, 16);
}
