#include "node/health.h"

#include <stdio.h>

#include "base/error.h"
#include "node/link_info.h"
#include "node/node.h"

enum {
    JUDGE_CLOCK_US = 1000 * 1000,   /* so long a start waits for peers to compare clocks with */
    AHEAD_WAIT_MS = 10 * 1000,      /* writes wait for so much; more is a clock that went back */
    UNSYNCED_MAX_BYTES = 256 << 20, /* of log that the disk has not taken */
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

static bool meets_damage(struct node *n)
{
    bool meets = n->server.damaged;
    for (int i = 0; i < OP_DATABASES; i++)
        meets |= n->replica.databases[i].damage != E_OK;
    return meets;
}

/* What is known of a key here may be wrong from now on: nothing is taken, or copied, that goes by it.
 * Reads go on; each that meets a damaged key says so. */
void health_look_for_damage(struct node *n)
{
    if (n->damaged || n->checkpoint.store == NULL || !meets_damage(n))
        return;
    const char *why = n->checkpoint.store->problem;
    n->damaged = true;
    checkpoint_break(n, why);
    snprintf(n->refusal, sizeof(n->refusal),
             "ERR no writes are taken, what is on disk is damaged (%.100s): run meridian repair", why);
    node_notice(n, NOTICE_ERROR,
                "ev=checkpoint.damaged why=\"%.200s\" what=\"no more writes are taken; reads of "
                "what is sound go on; stop the region and run meridian repair\"",
                why);
    health_judge(n);
}

/* --- refusals --- */

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
    } else if (ahead_ms > limit_ms + AHEAD_WAIT_MS) {
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

/* What this turn has sealed counts too: a client may send thousands of commands at once that each
 * write a string of 64 MB. */
static bool is_disk_behind(const struct node *n)
{
    return n->replica.log_end - n->replica.log_durable > memory_share(n, UNSYNCED_MAX_BYTES, 8);
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
    return !n->loading && !n->log_broken && !n->damaged && !n->memory.is_full && !is_disk_behind(n);
}
