/*
 * ledger -- what callers may be answered, and what must have come of it.
 *
 * A key that one region writes at a time has one order, and every answer a place in it:
 *
 *     counter    each increment that is told comes to another count, above all that were told before it was
 *                sent; in the end the counter is what was told, and what may have happened
 *     register   each value is returned at most once, by the write after it, and not by its own
 *     queue      each element is popped at most once
 *     lock       one is told that he has it
 *     read       at its home at least what anybody was told; elsewhere what its session has seen
 *     GATHER     who does not answer is named; if all do, the sum has all that was told
 *
 * Where acknowledged writes may be lost with the power, only that is left that nothing happened more often
 * than it was asked for; and what ledger_end.c says.
 */
#include <stdlib.h>

#include "base/check.h"
#include "sim/answer.h"
#include "sim/told.h"
#include "sim/world.h"

enum { TEXT_MAX = 160 };

static struct call_key *key_of(struct sim_world *w, const struct call *call)
{
    return &w->calls.keys[call->space][call->tag];
}

/* Nothing that a client was told is lost. */
bool sim_calls_are_kept(const struct sim_world *w)
{
    return !w->counter_lost && !w->history_lost;
}

static bool is_write(enum call_kind kind)
{
    return kind == CALL_COUNT || kind == CALL_BOTH || kind == CALL_SWAP || kind == CALL_LOCK ||
           kind == CALL_PUSH || kind == CALL_POP || kind == CALL_MOVE || kind == CALL_LAG ||
           kind == CALL_LIST;
}

/* --- what may have happened --- */

enum outcome { DONE, MAYBE };

static void enter(struct sim_world *w, const struct call *call, enum outcome outcome)
{
    struct call_key *key = key_of(w, call);
    if (call->kind != CALL_COUNT && call->kind != CALL_BOTH)
        return;
    bool both = call->kind == CALL_BOTH;
    if (outcome == DONE) {
        key->acked++;
        key->both_acked += both;
    } else {
        key->maybe++;
        key->both_maybe += both;
    }
}

void sim_call_lost(struct sim_world *w, struct sim_caller *c)
{
    enter(w, &c->call, MAYBE);
}

/* --- who is named --- */

/* Somebody says that a region is the home. */
static void judge_home(struct sim_world *w, const struct sim_caller *c, uint32_t region)
{
    const struct call *call = &c->call;
    struct call_key *key = key_of(w, call);
    uint32_t known = call->space == CALL_TAG    ? sim_home_named(&w->plan, call->tag) + 1
                     : call->space == CALL_HASH ? key->home
                                                : 0;
    if (!sim_is_home(&w->plan, call->space, region) || (known != 0 && known != region + 1))
        sim_fail(w, "region %u says that region %u writes %sn of tag %u, which it does not",
                 c->region + 1, region + 1, sim_call_prefixes[call->space], call->tag);
    key->home = region + 1;
}

/* "-MOVED 1234 r2:1" */
static void judge_moved(struct sim_world *w, struct sim_caller *c, struct span text)
{
    const struct call *call = &c->call;
    size_t at = answer_find(text, span_str(" r")), end = answer_find(text, span_str(":"));
    uint32_t region;
    if (end <= at || !sim_named_region(w, span_of(text.at + at + 1, end - at - 1), &region)) {
        sim_fail(w, "region %u sends its client nowhere", c->region + 1);
        return;
    }
    if (!w->plan.calls.redirects[call->space])
        sim_fail(w, "region %u sends a client on, and is to forward", c->region + 1);
    if (region == c->region)
        sim_fail(w, "region %u sends a client to itself", c->region + 1);
    judge_home(w, c, region);
    c->next_region = region + 1;
    c->well = true;
}

/* --- the answer of a WITH --- */

static const struct vector *durable_of(const struct sim_region *r)
{
    return r->up ? &r->node.replica.durable : &r->durable;
}

/* It ran at the key's home, and those who acknowledged it have it on their disks. */
static void judge_with(struct sim_world *w, const struct sim_caller *c, const struct told *told)
{
    const struct call *call = &c->call;
    uint32_t others = write_level_others(call->acks, w->plan.regions);
    if (told->region >= w->plan.regions) {
        sim_fail(w, "region %u does not say where a command ran", c->region + 1);
        return;
    }
    if (!is_write(call->kind))
        return;
    judge_home(w, c, told->region);
    if (told->stamp != 0 && told->ack_count < others)
        sim_fail(w, "region %u: %u regions acknowledged a forwarded write, %u were to",
                 c->region + 1, told->ack_count, others);
    for (uint32_t i = 0; i < w->plan.regions && sim_calls_are_kept(w); i++) {
        const struct sim_region *r = &w->regions[i];
        if ((told->acked >> i & 1) && !r->store.marked &&
            vector_get(durable_of(r), stamp_origin(told->stamp)) < told->stamp)
            sim_fail(w, "region %u is named as having a forwarded write on disk, and has not",
                     i + 1);
    }
}

/* --- numbers --- */

static bool number_of(struct span reply, int64_t *number)
{
    struct span text;
    *number = 0;
    return answer_text(reply, &text) && span_to_int64(text, number);
}

static void learn(struct sim_caller *c, int64_t count)
{
    int64_t *seen = &c->seen[c->call.space][c->call.tag];
    if (count > *seen)
        *seen = count;
}

/* Where the disk may lag, what another region has told may be lost with its power, and come never. */
static bool is_seen_for_good(const struct sim_world *w, const struct sim_caller *c)
{
    const struct replica *here = &w->regions[c->region].node.replica;
    return w->plan.fsync == FSYNC_ALWAYS ||
           replica_owns(here, stamp_origin(c->session->last_write));
}

static void judge_count(struct sim_world *w, struct sim_caller *c, struct span reply)
{
    const struct call *call = &c->call;
    struct call_key *key = key_of(w, call);
    int64_t count;
    if (!number_of(reply, &count) || count < 1 || count > key->sent) {
        sim_fail(w, "region %u: %sn of tag %u is told to be %lld, and was sent %u increments",
                 c->region + 1, sim_call_prefixes[call->space], call->tag, (long long)count,
                 key->sent);
        return;
    }
    key->acked++;
    if (sim_calls_are_kept(w) && count <= call->told)
        sim_fail(w,
                 "region %u: %sn of tag %u comes to %lld, and somebody was told %lld before that "
                 "was asked for",
                 c->region + 1, sim_call_prefixes[call->space], call->tag, (long long)count,
                 (long long)call->told);
    if (sim_calls_are_kept(w) && call_bits_has(&key->counts, (uint32_t)count))
        sim_fail(w, "region %u: %sn of tag %u comes to %lld twice", c->region + 1,
                 sim_call_prefixes[call->space], call->tag, (long long)count);
    call_bits_add(&key->counts, (uint32_t)count);
    key->told = count > key->told ? count : key->told;
    if (is_seen_for_good(w, c))
        learn(c, count);
}

/* A key that a disk does not give is one command's error, and not the other's. */
static void judge_both(struct sim_world *w, struct sim_caller *c, struct span reply)
{
    struct call_key *key = key_of(w, &c->call);
    int64_t both;
    if (answer_open(&reply) != 2) {
        sim_fail(w, "region %u: a transaction has no two answers", c->region + 1);
        return;
    }
    struct span first = answer_next(&reply), second = answer_next(&reply);
    if (first.at[0] != '-')
        judge_count(w, c, first);
    if (second.at[0] == '-')
        return;
    key->both_acked++;
    if (!number_of(second, &both) || both < 1 || both > key->sent)
        sim_fail(w, "region %u: %sm of tag %u is told to be %lld", c->region + 1,
                 sim_call_prefixes[c->call.space], c->call.tag, (long long)both);
}

/* What its session has seen here is there, and at the home all that anybody was told. */
static void judge_read(struct sim_world *w, struct sim_caller *c, struct span reply)
{
    const struct call *call = &c->call;
    const struct call_key *key = key_of(w, call);
    bool strong = call->with
                      ? call->strong
                      : w->plan.calls.promises[call->space].reads.reads == KEYSPACE_READ_STRONG;
    int64_t count, seen = c->seen[call->space][call->tag];
    number_of(reply, &count);
    if (count > key->sent)
        sim_fail(w, "region %u: %sn of tag %u reads %lld, and was sent %u increments",
                 c->region + 1, sim_call_prefixes[call->space], call->tag, (long long)count,
                 key->sent);
    if (count < seen && (!strong || sim_calls_are_kept(w)))
        sim_fail(w, "region %u: %sn of tag %u reads %lld, and its session has seen %lld",
                 c->region + 1, sim_call_prefixes[call->space], call->tag, (long long)count,
                 (long long)seen);
    if (strong && sim_calls_are_kept(w) && count < call->told)
        sim_fail(w, "region %u: a strong read of %sn of tag %u is %lld, somebody was told %lld",
                 c->region + 1, sim_call_prefixes[call->space], call->tag, (long long)count,
                 (long long)call->told);
    if (!strong)
        learn(c, count); /* elsewhere it may be ahead of what is here, and not on disk */
}

static void judge_swap(struct sim_world *w, struct sim_caller *c, struct span reply)
{
    struct call_key *key = key_of(w, &c->call);
    int64_t before;
    bool none = !number_of(reply, &before);
    if (none ? key->began && sim_calls_are_kept(w) : before < 1 || before > w->calls.numbers)
        sim_fail(w, "region %u: %ss of tag %u was %lld, which nobody has written", c->region + 1,
                 sim_call_prefixes[c->call.space], c->call.tag, (long long)before);
    key->began |= none;
    if (none || w->failed)
        return;
    if (before == c->call.number ||
        (sim_calls_are_kept(w) && call_bits_has(&w->calls.taken, (uint32_t)before)))
        sim_fail(w, "region %u: value %lld of %ss of tag %u is overwritten twice", c->region + 1,
                 (long long)before, sim_call_prefixes[c->call.space], c->call.tag);
    call_bits_add(&w->calls.taken, (uint32_t)before);
}

/* Nothing, when the time was over. */
static void judge_pop(struct sim_world *w, struct sim_caller *c, struct span reply)
{
    int64_t value;
    if (answer_open(&reply) != 2)
        return;
    answer_next(&reply);
    if (!number_of(answer_next(&reply), &value) || value < 1 || value > w->calls.numbers)
        sim_fail(w, "region %u: what was popped of %sq of tag %u was never pushed", c->region + 1,
                 sim_call_prefixes[c->call.space], c->call.tag);
    else if (sim_calls_are_kept(w) && call_bits_has(&w->calls.taken, (uint32_t)value))
        sim_fail(w, "region %u: value %lld of %sq of tag %u is popped twice", c->region + 1,
                 (long long)value, sim_call_prefixes[c->call.space], c->call.tag);
    else
        call_bits_add(&w->calls.taken, (uint32_t)value);
}

static void judge_lock(struct sim_world *w, struct sim_caller *c, struct span reply)
{
    struct call_key *key = key_of(w, &c->call);
    uint32_t lock = c->call.number;
    bool won = reply.at[0] == '+';
    if (sim_calls_are_kept(w) && (won ? key->won[lock] : key->asked[lock] == 1))
        sim_fail(w, "region %u: lock %u of %s, tag %u, is %s", c->region + 1, lock,
                 sim_call_prefixes[c->call.space], c->call.tag,
                 won ? "taken twice" : "refused to the only one who asked");
    key->won[lock] |= won;
}

/* --- GATHER --- */

struct gathering {
    int64_t result;
    uint32_t answered, missing; /* by place, as bits */
};

static uint32_t take_names(const struct sim_world *w, struct span in, bool pairs)
{
    uint32_t named = 0, region;
    struct span name;
    for (int64_t count = answer_open(&in); count > 0; count--) {
        struct span item = answer_next(&in);
        if (pairs && answer_open(&item) == 3)
            item = answer_next(&item);
        if (answer_text(item, &name) && sim_named_region(w, name, &region))
            named |= 1u << region;
    }
    return named;
}

static void take_gathering(const struct sim_world *w, struct span in, struct gathering *g)
{
    struct span name;
    for (int64_t count = answer_open(&in); count > 1; count -= 2) {
        bool named = answer_text(answer_next(&in), &name);
        struct span value = answer_next(&in);
        if (named && answer_begins(name, "result"))
            number_of(value, &g->result);
        else if (named && answer_begins(name, "regions"))
            g->answered = take_names(w, value, true);
        else if (named && answer_begins(name, "unreachable"))
            g->missing = take_names(w, value, false);
    }
}

/* Regions that were down from when it was asked until now. */
static uint32_t still_down(const struct sim_world *w, const struct call *call)
{
    uint32_t down = 0;
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *r = &w->regions[i];
        down |= (uint32_t)(!r->up && r->epoch == call->epochs[i]) << i;
    }
    return down & call->down;
}

/* While a home moves neither the old nor the new one may count a key, or both. */
static void judge_gather(struct sim_world *w, struct sim_caller *c, struct span reply)
{
    const struct call *call = &c->call;
    struct gathering g = { 0 };
    uint32_t homes = 0, sent = 0;
    take_gathering(w, reply, &g);
    for (uint32_t i = 0; i < w->plan.regions; i++)
        homes |= (uint32_t)sim_is_home(&w->plan, call->space, i) << i;
    for (uint32_t i = 0; i < CALL_TAGS; i++)
        sent += w->calls.keys[call->space][i].sent;
    if ((g.answered | g.missing) != homes || (g.answered & g.missing) != 0)
        sim_fail(w, "region %u: GATHER names regions %x and %x, and %x hold the keys",
                 c->region + 1, g.answered, g.missing, homes);
    if ((still_down(w, call) & homes & ~g.missing) != 0)
        sim_fail(w, "region %u: GATHER has an answer of a region that is down", c->region + 1);
    if (call->space == CALL_DIRECTORY && !c->asks_all)
        sent *= w->plan.regions;
    if (g.result < 0 ||
        g.result > (call->kind == CALL_SUM ? (int64_t)sent : CALL_TAGS * w->plan.regions))
        sim_fail(w, "region %u: GATHER finds %lld, and %u increments were sent", c->region + 1,
                 (long long)g.result, sent);
    if (g.missing == 0 && call->space != CALL_DIRECTORY && sim_calls_are_kept(w) &&
        call->kind == CALL_SUM && g.result < call->told)
        sim_fail(w, "region %u: GATHER finds %lld, clients were told %lld", c->region + 1,
                 (long long)g.result, (long long)call->told);
    c->well = !c->asks_all || g.missing == 0;
    if (!c->asks_all || g.missing != 0)
        return;
    uint64_t log_bytes;
    if (!sim_verify_alike(w, &log_bytes) || log_bytes != call->log_bytes) {
        c->well = false; /* a command that was told to be UNKNOWN ran late: it is asked again */
        return;
    }
    int64_t all = sim_calls_sum(w, call->space, call->kind == CALL_NUMBER);
    if (g.result != all)
        sim_fail(w, "region %u: GATHER over %sn finds %lld where all is at rest, and there is %lld",
                 c->region + 1, sim_call_prefixes[call->space], (long long)g.result,
                 (long long)all);
}

/* --- answers --- */

/* What it names was told to somebody, so it is on a disk. */
static void take_token(struct sim_world *w, struct sim_caller *c, struct span text)
{
    for (uint32_t i = 0; i < CALL_SPACES; i++) {
        for (uint32_t k = 0; k < CALL_TAGS; k++) {
            int64_t told = w->calls.keys[i][k].told, seen = c->seen[i][k];
            c->held[i][k] = seen < told ? seen : told;
        }
    }
    buffer_clear(&c->token);
    buffer_put(&c->token, text);
}

static void followed(struct sim_world *w, struct sim_caller *c)
{
    for (uint32_t i = 0; i < CALL_SPACES && sim_calls_are_kept(w); i++) {
        for (uint32_t k = 0; k < CALL_TAGS; k++) {
            if (c->held[i][k] > c->seen[i][k])
                c->seen[i][k] = c->held[i][k];
        }
    }
}

static void judge_error(struct sim_world *w, struct sim_caller *c, struct span text)
{
    static const char *const REFUSALS[] = { "-NOWRITER",
                                            "-STALE",
                                            "-BUSY",
                                            "-SKEWED",
                                            "-LOADING",
                                            "-EXECABORT",
                                            "-OOM",
                                            "-ERR no writes are taken",
                                            "-ERR a key that this command needs" };
    const struct call *call = &c->call;
    bool refused = false;
    for (size_t i = 0; i < COUNT_OF(REFUSALS); i++)
        refused |= answer_begins(text, REFUSALS[i]);
    if (answer_begins(text, "-MOVED")) {
        judge_moved(w, c, text);
    } else if (answer_begins(text, "-UNKNOWN")) {
        enter(w, call, MAYBE);
        c->well = true; /* some links are slower than what is waited for */
    } else if (answer_begins(text, "-NOACKS")) {
        enter(w, call, DONE);
        c->well = true;
    } else if (!refused) {
        sim_fail(w, "region %u: a caller is told %.*s", c->region + 1,
                 (int)(text.len < TEXT_MAX ? text.len : TEXT_MAX), (const char *)text.at);
    }
    c->well |= answer_find(text, span_str("no answer has come in time")) < text.len;
    if (answer_find(text, span_str("does not list it")) < text.len)
        key_of(w, call)->listed = false;
}

static void judge_good(struct sim_world *w, struct sim_caller *c, struct span reply)
{
    struct span text;
    c->well = true;
    switch (c->call.kind) {
    case CALL_COUNT:
        judge_count(w, c, reply);
        break;
    case CALL_BOTH:
        judge_both(w, c, reply);
        break;
    case CALL_SWAP:
        judge_swap(w, c, reply);
        break;
    case CALL_LOCK:
        judge_lock(w, c, reply);
        break;
    case CALL_READ:
        judge_read(w, c, reply);
        break;
    case CALL_POP:
        judge_pop(w, c, reply);
        break;
    case CALL_SUM:
    case CALL_NUMBER:
        judge_gather(w, c, reply);
        break;
    case CALL_LIST:
        key_of(w, &c->call)->listed = true;
        break;
    case CALL_TOKEN:
        if (answer_text(reply, &text))
            take_token(w, c, text);
        break;
    case CALL_FOLLOW:
        followed(w, c);
        break;
    case CALL_SELECT:
    case CALL_MOVE:
    case CALL_PUSH:
    case CALL_LAG:
        break;
    }
}

void sim_call_judge(struct sim_world *w, struct sim_caller *c, struct span reply)
{
    struct told told = { .reply = reply, .region = UINT32_MAX };
    char name[24];
    snprintf(name, sizeof(name), "h%u:%u", c->index, c->drawn);
    sim_tell_answer(w, &w->regions[c->region], name, reply);
    if (reply.at[0] == '-') {
        judge_error(w, c, reply);
        return;
    }
    if (c->call.with) {
        told_take(w, reply, &told);
        judge_with(w, c, &told);
    }
    judge_good(w, c, told.reply);
}
