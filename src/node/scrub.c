#include "node/scrub.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/mutation.h"
#include "node/node.h"

enum {
    AGAIN_US = 10 * 1000 * 1000, /* after a full disk; and a file that could not be removed */
    AGAIN_FAILED_US = 60 * 1000 * 1000, /* after anything else */
    AGAIN_TIMES = 10, /* or so many times what it took: a rewrite writes all that there is */
};

/* --- what is asked --- */

uint64_t scrub_ask(struct node *n)
{
    n->resume = true;
    return ++n->scrub.asked;
}

bool scrub_done(const struct node *n, uint64_t number)
{
    return n->scrub.done >= number;
}

const char *scrub_refusal(const struct node *n)
{
    if (n->checkpoint.store == NULL)
        return "there is no disk here";
    if (n->log_broken)
        return "the log failed: see the server's log";
    return n->checkpoint.broken ? n->checkpoint.problem : NULL;
}

/* --- a round --- */

static void begin(struct node *n)
{
    struct node_scrub *s = &n->scrub;
    s->round = (struct scrub_round){ .number = s->asked };
    s->phase = SCRUB_ROLL;
    if (MUTATION(scrub_skips_log)) {
        s->checkpoint = checkpoint_ask(n);
        s->phase = SCRUB_CHECKPOINT;
    }
}

bool node_next_roll(struct node *n)
{
    struct node_scrub *s = &n->scrub;
    if (s->phase != SCRUB_ROLL || s->is_out || n->log_broken || n->now_us < s->retry_us ||
        n->log_taken < n->tail.end_lsn)
        return false;
    s->round.lsn = n->log_taken;
    s->is_out = true;
    return true;
}

void node_rolled(struct node *n, const char *why)
{
    struct node_scrub *s = &n->scrub;
    CHECK(s->phase == SCRUB_ROLL && s->is_out);
    s->is_out = false;
    n->resume = true;
    snprintf(s->problem, sizeof(s->problem), "%s", why != NULL ? why : "");
    if (why == NULL) {
        s->checkpoint = checkpoint_ask(n);
        s->phase = SCRUB_CHECKPOINT;
        return;
    }
    s->retry_us = n->now_us + AGAIN_US;
    node_notice(n, NOTICE_ERROR,
                "ev=log.not_rolled why=\"%s\" what=\"what was removed is still in the log; it is "
                "tried again soon\"",
                why);
}

static void follow_checkpoint(struct node *n)
{
    struct node_scrub *s = &n->scrub;
    if (n->checkpoint.completed >= s->checkpoint)
        s->phase = SCRUB_REWRITE;
    else if (n->checkpoint.failed >= s->checkpoint)
        s->checkpoint = checkpoint_ask(n);
}

bool node_next_rewrite(struct node *n)
{
    struct node_scrub *s = &n->scrub;
    if (s->phase != SCRUB_REWRITE || s->is_out || n->checkpoint.is_out || n->checkpoint.broken ||
        n->now_us < s->retry_us)
        return false;
    s->is_out = true;
    s->began_us = n->now_us;
    return true;
}

static void fail(struct node *n, int error, const char *why)
{
    struct node_scrub *s = &n->scrub;
    uint64_t again_us = error == E_FULL ? AGAIN_US : AGAIN_FAILED_US;
    uint64_t took_us = n->now_us - s->began_us;
    s->retry_us = n->now_us + (took_us * AGAIN_TIMES > again_us ? took_us * AGAIN_TIMES : again_us);
    snprintf(s->problem, sizeof(s->problem), "%s", why);
    if (error != E_BUSY)
        node_notice(n, NOTICE_ERROR,
                    "ev=checkpoint.not_rewritten why=\"%s\" what=\"bytes of what was removed are "
                    "still in its file; it is tried again\"",
                    why);
}

void node_rewritten(struct node *n, int error, const char *why,
                    const struct kv_rewritten *rewritten)
{
    struct node_scrub *s = &n->scrub;
    CHECK(s->is_out);
    s->is_out = false;
    if (error != E_OK) {
        fail(n, error, why);
        return;
    }
    s->problem[0] = '\0';
    s->phase = SCRUB_IDLE;
    *(s->oldest.number == 0 ? &s->oldest : &s->newest) = s->round;
    n->checkpoint.drop_asked = 0;
    n->resume = true;
    node_notice(n, NOTICE_INFO, "ev=checkpoint.rewritten records=%llu bytes=%llu ms=%llu",
                (unsigned long long)rewritten->rows, (unsigned long long)rewritten->bytes,
                (unsigned long long)((n->now_us - s->began_us) / 1000));
}

/* --- the log --- */

static void settle(struct node *n)
{
    struct node_scrub *s = &n->scrub;
    while (s->oldest.number != 0 && n->log_start >= s->oldest.lsn) {
        s->done = s->oldest.number;
        s->oldest = s->newest;
        s->newest = (struct scrub_round){ 0 };
    }
    if (s->oldest.number == 0 || n->now_us < s->drop_us)
        return;
    s->drop_us = n->now_us + AGAIN_US;
    n->checkpoint.drop_asked = 0;
}

void scrub_turn_end(struct node *n)
{
    struct node_scrub *s = &n->scrub;
    if (s->asked == s->done || scrub_refusal(n) != NULL)
        return;
    if (s->phase == SCRUB_IDLE && s->asked > s->round.number && !bootstrap_is_on(n))
        begin(n);
    else if (s->phase == SCRUB_CHECKPOINT)
        follow_checkpoint(n);
    settle(n);
}

/* --- for people --- */

/* "eu-de does not have it yet"; false: every region has. */
static bool name_lacking(const struct node *n, uint64_t lsn, char text[SCRUB_TEXT_MAX])
{
    size_t count = 0;
    int len = snprintf(text, SCRUB_TEXT_MAX, "log: ");
    for (size_t i = 0; i < n->peer_count && len < SCRUB_TEXT_MAX - 100; i++) {
        if (checkpoint_held_by(n, i) < lsn)
            len += snprintf(text + len, SCRUB_TEXT_MAX - (size_t)len, "%s%s", count++ ? ", " : "",
                            n->peers[i].region->name);
    }
    if (len < SCRUB_TEXT_MAX)
        snprintf(text + len, SCRUB_TEXT_MAX - (size_t)len, " %s not have it yet",
                 count == 1 ? "does" : "do");
    return count > 0;
}

static const char *waits_for_log(const struct node *n, char text[SCRUB_TEXT_MAX])
{
    uint64_t lsn = n->scrub.oldest.lsn;
    if (name_lacking(n, lsn, text))
        return text;
    return n->checkpoint.pinned_lsn < lsn ? "log: a bootstrap from here reads it"
                                          : "log: it is about to go";
}

static const char *with_problem(const char *what, const char *problem, char text[SCRUB_TEXT_MAX])
{
    snprintf(text, SCRUB_TEXT_MAX, "%s%s%s", what, problem[0] != '\0' ? ": " : "", problem);
    return text;
}

const char *scrub_waits_for(const struct node *n, char text[SCRUB_TEXT_MAX])
{
    const struct node_scrub *s = &n->scrub;
    const char *refusal = scrub_refusal(n);
    if (s->asked == s->done)
        return "";
    if (refusal != NULL)
        return with_problem("checkpoint", refusal, text);
    if (s->oldest.number != 0)
        return waits_for_log(n, text);
    if (s->phase == SCRUB_ROLL)
        return with_problem("log", s->problem, text);
    if (s->phase == SCRUB_REWRITE)
        return with_problem("rewrite", s->problem, text);
    return with_problem("checkpoint", n->checkpoint.problem, text);
}
