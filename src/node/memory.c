#include "node/memory.h"

#include "core/copier.h"
#include "node/client.h"
#include "node/node.h"

static const uint64_t MB = 1 << 20;

enum {
    FOLLOW_US = 2 * 1000 * 1000, /* in which holes are filled, where much comes and goes */
    FILL_US = FOLLOW_US / 4,     /* in which it is believed that they are */
    PUSH_US = 50 * 1000,         /* above the last line keys are pushed out so often */
    HOPED_PART = 8,              /* of the holes: one in so many is to be filled next */
    TURN_LOOKS = 400,            /* keys looked at in a turn: about 100 us */
    RETRY_US = 2000,             /* above the line, and nothing could leave */
    WRITTEN_COPIES = 3, /* what is written stands in the object, in the batch, and in the log */
    KEPT_PART =
        8, /* of what there is for all, held by keys that may not leave: then they are why */
    PACE_LOOKS = 24, /* for each key that came from disk: enough for one to leave, mostly */
};

static uint64_t limit(const struct node *n)
{
    return n->server.settings.max_memory_bytes;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* --- the lines --- */

/* The program and its libraries are 8 MB of it, and as much is what LMDB's limit may be passed by; the
 * rest is pages of the checkpoint. Memory is better spent on objects: a page has few that are used, and
 * the kernel has it at hand. */
uint64_t memory_file_bytes(const struct node *n)
{
    return limit(n) == 0 ? UINT64_MAX : 16 * MB + limit(n) / 8;
}

static uint64_t margin(const struct node *n)
{
    uint64_t part = limit(n) / 16;
    return part < 6 * MB ? 6 * MB : smaller(part, 64 * MB);
}

static uint64_t full_line(const struct node *n)
{
    return less(limit(n), memory_file_bytes(n) + margin(n) / 2);
}

static uint64_t stop_line(const struct node *n)
{
    return less(limit(n), memory_file_bytes(n) + margin(n) / 4 * 3);
}

static uint64_t keep_line(const struct node *n)
{
    return less(limit(n), memory_file_bytes(n) + margin(n));
}

uint64_t memory_share(const struct node *n, uint64_t bytes, uint32_t part)
{
    return limit(n) == 0 ? bytes : smaller(bytes, limit(n) / part);
}

/* --- how much may be allocated --- */

static uint64_t positive(int64_t bytes)
{
    return bytes > 0 ? (uint64_t)bytes : 0;
}

/* Above the last line, when all that is not used was given back, so much has to leave as that is passed
 * by, and as much again, since what leaves opens holes first of all. Then there is time: for holes to be
 * filled, for pages to become empty, or for what the disk takes to be freed. Meanwhile writes wait, if it
 * is passed by far; and nothing has time any more if it is passed by half of what is left. */
static void follow_emergency(struct node *n, uint64_t used)
{
    struct node_memory *m = &n->memory;
    uint64_t over = less(m->held_bytes, full_line(n));
    uint64_t needed = less(keep_line(n) + 2 * over, used);
    bool urgent = over > margin(n) / 4, purged = n->server.process.memory_purges != m->purges;
    m->wants_purge = m->held_bytes > stop_line(n);
    if (over == 0 || (!urgent && (!purged || n->now_us - m->pushed_us < PUSH_US)))
        return;
    m->pushed_us = n->now_us;
    if (needed > m->overhead_bytes)
        m->overhead_bytes = smaller(needed, less(m->held_bytes, used));
}

/* What the process holds beside what is allocated: holes among allocations, the allocator's own, stacks.
 * When keys leave it becomes more by as much, until new ones fill the holes, or the pages are given back:
 * so the figure is followed slowly, and never so far that all keys would leave for it. Some of the holes
 * count as filled already: that lets memory grow into them, as long as it is them that are filled. */
static void follow_overhead(struct node *n, uint64_t held, uint64_t used)
{
    struct node_memory *m = &n->memory;
    uint64_t most = keep_line(n) / 2, other = smaller(less(held, used), most);
    int64_t apart = (int64_t)(other - other / HOPED_PART) - (int64_t)m->overhead_bytes;
    uint64_t within_us = apart > 0 ? FOLLOW_US : FILL_US;
    uint64_t passed_us = smaller(n->now_us - m->sampled_us, within_us);
    m->overhead_bytes = positive((int64_t)m->overhead_bytes +
                                 apart * (int64_t)passed_us / (int64_t)within_us);
    m->held_bytes = held;
    follow_emergency(n, used);
    m->overhead_bytes = smaller(m->overhead_bytes, most);
    m->purges = n->server.process.memory_purges;
}

static void take_figures(struct node *n)
{
    struct node_memory *m = &n->memory;
    const struct process *p = &n->server.process;
    uint64_t used = positive((int64_t)p->memory_used_bytes + p->memory_grown_bytes);
    if (p->memory_samples != m->samples) {
        follow_overhead(n, less(p->memory_rss_bytes, p->memory_file_bytes), used);
        m->samples = p->memory_samples;
        m->sampled_us = n->now_us;
    }
    m->level_bytes = used + m->overhead_bytes;
    m->moved_bytes = m->paced_bytes = evict_moved_bytes(&n->server);
    m->log_lsn = n->replica.log_end;
}

/* Of keys that came from disk in this turn, less those that left. */
static int64_t moved_bytes(const struct node *n)
{
    return evict_moved_bytes(&n->server) - n->memory.moved_bytes;
}

/* With what this turn has written so far, and brought in. */
static uint64_t level_now(const struct node *n)
{
    const struct replica *r = &n->replica;
    uint64_t written = r->log_end + r->open.len - n->memory.log_lsn;
    return positive((int64_t)(n->memory.level_bytes + WRITTEN_COPIES * written) + moved_bytes(n));
}

/* The process holds too much, whatever of it is allocated; unless it is so full of holes that nobody can
 * help it. */
static bool is_pressed(const struct node *n)
{
    const struct node_memory *m = &n->memory;
    uint64_t held = m->held_bytes + less(level_now(n), m->level_bytes);
    return held > full_line(n) + margin(n) / 8 && m->overhead_bytes < keep_line(n) / 2;
}

static bool crossed(bool is_over, uint64_t level, uint64_t line, uint64_t back)
{
    return is_over ? level + back > line : level > line;
}

void memory_turn(struct node *n)
{
    struct node_memory *m = &n->memory;
    if (limit(n) == 0) {
        n->server.out_of_memory = m->waits = m->is_full = m->leaving = m->wants_purge = false;
        return;
    }
    take_figures(n);
    m->waits = crossed(m->waits, m->level_bytes, stop_line(n), margin(n) / 4);
    m->is_full = crossed(m->is_full, m->level_bytes, full_line(n), margin(n) / 4);
    n->server.out_of_memory = m->waits && m->is_dry;
}

bool memory_must_wait(const struct node *n)
{
    if (limit(n) == 0 || n->server.out_of_memory)
        return false;
    return n->memory.waits || level_now(n) > stop_line(n) || is_pressed(n);
}

bool memory_is_full(const struct node *n)
{
    return limit(n) != 0 && (n->memory.is_full || level_now(n) > full_line(n) || is_pressed(n));
}

bool memory_turn_is_spent(const struct node *n)
{
    return limit(n) != 0 && moved_bytes(n) > (int64_t)margin(n) / 4 && level_now(n) > stop_line(n);
}

bool memory_bounds_replay(const struct node *n)
{
    return n->replay_durable && limit(n) != 0 && n->bootstrap.phase == BOOTSTRAP_NONE;
}

const char *memory_state(const struct node *n)
{
    return n->server.out_of_memory ? "full" : memory_must_wait(n) ? "writes wait" : "ok";
}

/* --- keys leave --- */

static bool may_write(struct node *n)
{
    return n->server.refusal == NULL && !replica_write_refusal(&n->replica) && !n->loading &&
           !bootstrap_is_on(n) && !node_must_wait(n);
}

static uint64_t bytes_per_key(const struct node *n)
{
    return n->memory.level_bytes / (evict_resident_keys(&n->server) + 1) + 1;
}

/* Enough for so much to leave, mostly. */
static uint32_t looks_for(const struct node *n, uint64_t bytes)
{
    return PACE_LOOKS * (1 + (uint32_t)smaller(bytes / bytes_per_key(n), TURN_LOOKS));
}

void memory_keep_pace(struct node *n)
{
    struct node_memory *m = &n->memory;
    if (limit(n) == 0 || level_now(n) < less(keep_line(n), margin(n)))
        return;
    uint64_t fetched = evict_fetched_keys(&n->server), more = fetched - m->fetched;
    uint64_t bytes = positive(evict_moved_bytes(&n->server) - m->paced_bytes);
    m->fetched = fetched;
    if (more == 0)
        return;
    if (bytes < more * bytes_per_key(n))
        bytes = more * bytes_per_key(n);
    evict_step(&n->server, bytes, looks_for(n, bytes), may_write(n));
    m->paced_bytes = evict_moved_bytes(&n->server);
}

/* --- checkpoints --- */

static bool can_checkpoint(const struct node *n)
{
    const struct node_checkpoint *c = &n->checkpoint;
    return c->store != NULL && !c->broken && !n->log_broken &&
           (!n->loading || (memory_bounds_replay(n) && c->failed == 0));
}

/* A change costs a key about the average of what a key takes. */
static uint64_t dirty_bytes(const struct node *n)
{
    uint64_t keys = evict_resident_keys(&n->server) + 1;
    return copier_dirty(&n->replica) * (n->memory.level_bytes / keys);
}

/* Early enough that most can leave when it must. */
static void ask_checkpoint(struct node *n)
{
    const struct node_checkpoint *c = &n->checkpoint;
    uint64_t keep = keep_line(n), level = n->memory.level_bytes;
    if (c->running || c->asked > c->begun || !can_checkpoint(n))
        return;
    bool near = level > keep / 4 * 3 && dirty_bytes(n) > keep / 8;
    bool over = level > keep && n->server.evict.looked > evict_resident_keys(&n->server) / 4 &&
                copier_has_work(&n->replica);
    if (near || over)
        checkpoint_ask(n);
}

/* On a disk that takes what there is, only caches that may drop nothing can hold memory for good. What else
 * does is on its way: holes, buffers, log, what the disk is not told yet. */
static bool is_stuck(const struct node *n)
{
    if (!can_checkpoint(n))
        return true;
    if (n->checkpoint.running || copier_dirty(&n->replica) > 0)
        return false;
    return evict_kept_bytes(&n->server) > keep_line(n) / KEPT_PART;
}

static void judge_dry(struct node *n)
{
    n->memory.is_dry = evict_is_dry(&n->server) && is_stuck(n);
}

void memory_turn_end(struct node *n)
{
    struct node_memory *m = &n->memory;
    if (limit(n) == 0)
        return;
    uint64_t over = less(level_now(n), keep_line(n));
    m->leaving = over > 0 && evict_step(&n->server, over, TURN_LOOKS, may_write(n)) > 0;
    m->fetched = evict_fetched_keys(&n->server);
    ask_checkpoint(n);
    judge_dry(n);
}

uint64_t memory_deadline_us(const struct node *n)
{
    if (limit(n) == 0 || n->memory.level_bytes <= keep_line(n))
        return UINT64_MAX;
    return n->memory.leaving ? n->now_us : n->now_us + RETRY_US;
}
