/*
 * loss -- data directories that are lost, put back as they were earlier, or cloned; and somebody
 * who looks after such regions, as docs/operating.md says.
 *
 * Now and then a copy is taken of some region's directory: what a process that is killed at that
 * moment leaves. Later a region is started with the copy, or with an empty directory, or a second
 * process is started beside it with a copy, lives for a while and may even write. Or the end of its
 * log is damaged, and repaired (repair.c); in some worlds nothing else is lost. The operator
 * waits until a region says that it is amnesiac. Then it gets a number that nobody ever had, the
 * old one is closed, and all regions are restarted with that configuration. Where there are two
 * histories of one number, those regions that hold the rarer one begin with empty directories, and
 * new numbers. The next loss comes when everybody has all that is left of the last one: two at
 * once may lose what others wait for.
 */
#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"
#include "sim/world.h"

enum {
    LOOK_US = 200 * 1000, /* how often somebody looks */
    RESTART_US = 300 * 1000,
    RECOGNIZED_US = 300 * 1000,
    IDS_MAX = ORACLE_ORIGINS - 2,
};

enum { EMPTIED, PUT_BACK, CLONED, REPAIRED, LOSSES };

static struct sim_region *clone_of(struct sim_world *w)
{
    return &w->regions[w->plan.regions];
}

/* --- copies --- */

static void forget_copy(struct sim_copy *c)
{
    if (!c->there)
        return;
    sim_disk_release(&c->disk);
    kv_memory_release(&c->kv);
    buffer_release(&c->dropped);
    *c = (struct sim_copy){ 0 };
}

void sim_loss_release(struct sim_region *r)
{
    forget_copy(&r->copy);
}

static void take_copy(const struct sim_region *r, struct sim_copy *c)
{
    forget_copy(c);
    *c = (struct sim_copy){
        .there = true,
        .leapt = r->store.leapt,
        .durable_lsn = r->durable_lsn,
        .instance = r->instance,
    };
    sim_disk_init(&c->disk, 1);
    sim_disk_copy(&c->disk, &r->disk);
    kv_memory_init(&c->kv);
    kv_memory_copy(&c->kv, &r->store.kv);
    buffer_put(&c->dropped, buffer_span(&r->store.dropped));
}

/* An empty directory, of a region that is down. */
static void wipe(struct sim_region *r)
{
    struct prng prng = r->disk.prng;
    sim_disk_release(&r->disk);
    sim_disk_init(&r->disk, 1);
    r->disk.prng = prng;
    sim_store_forget(r);
    buffer_clear(&r->store.dropped);
    r->store.leapt = false;
    r->durable_lsn = r->instance = 0;
    vector_clear(&r->durable);
}

static void put_copy(struct sim_region *r, const struct sim_copy *c)
{
    wipe(r);
    sim_disk_copy(&r->disk, &c->disk);
    kv_memory_copy(&r->store.kv, &c->kv);
    buffer_put(&r->store.dropped, buffer_span(&c->dropped));
    r->store.leapt = c->leapt;
    r->durable_lsn = c->durable_lsn;
    r->instance = c->instance;
}

static void take_some_copy(struct sim_world *w, struct sim_event *e)
{
    (void)e;
    if (w->healed)
        return;
    struct sim_region *r = &w->regions[prng_below(&w->fault, w->plan.regions)];
    if (!r->copy.there || prng_chance(&w->fault, 300000))
        take_copy(r, &r->copy);
    sim_at(w, w->now_us + sim_around(&w->fault, LOOK_US, 0), take_some_copy);
}

/* --- what is lost --- */

/* What it has written counts all the same, where somebody has it. */
static void keep_history(struct sim_world *w, struct sim_region *r)
{
    struct buffer log = { 0 };
    sim_store_read_log(w, r, &log);
    if (!w->failed && !oracle_add_log(&w->oracle, buffer_span(&log)))
        sim_fail(w, "region %u: its log: %s", r->place + 1, w->oracle.problem);
    buffer_release(&log);
}

/* What a region holds durably is not lost with another's disk. */
static void must_stay(struct sim_world *w, const struct sim_region *r)
{
    const struct replica *replica = &r->node.replica;
    for (uint8_t o = 0; o < ORACLE_ORIGINS; o++) {
        stamp_t last = vector_get(&replica->last_op, o);
        if (last != 0 && vector_get(&replica->durable, o) >= last)
            vector_raise(&w->must_stay, last);
    }
}

static void note_lost(struct sim_world *w, struct sim_region *r)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (&w->regions[i] != r && w->regions[i].up)
            must_stay(w, &w->regions[i]);
    }
    bits_add(w->given_up, r->id);
    w->lost_us = w->now_us;
    w->counter_lost = true;
    r->lost = r->was_lost = w->history_lost = true;
    r->acknowledged = 0;
    r->reader.acknowledged = 0;
}

static void start_later(struct sim_world *w, struct sim_region *r, uint64_t after_us)
{
    sim_region_start_after(w, r, prng_below(&w->fault, after_us));
}

static bool lose(struct sim_world *w, struct sim_region *r, struct prng *p, uint64_t for_us,
                 bool whole)
{
    if (!whole && !r->copy.there)
        return false;
    sim_tell(w, r, "loss", whole ? "its disk is lost" : "its disk is put back as it was earlier");
    keep_history(w, r);
    note_lost(w, r);
    sim_region_crash(w, r, p);
    if (whole)
        wipe(r);
    else
        put_copy(r, &r->copy);
    start_later(w, r, for_us / 2 + 1);
    return true;
}

static bool repair(struct sim_world *w, struct sim_region *r, struct prng *p, uint64_t for_us)
{
    if (r->store.marked || bootstrap_is_on(&r->node))
        return false;
    keep_history(w, r);
    note_lost(w, r);
    sim_repair(w, r, p);
    start_later(w, r, for_us / 2 + 1);
    return true;
}

/* --- a clone --- */

static void stop_clone(struct sim_world *w)
{
    struct sim_region *c = clone_of(w);
    if (!c->up)
        return;
    keep_history(w, c);
    sim_tell(w, c, "loss", "the clone is gone");
    sim_region_crash_by(w, c, false, &w->fault);
}

static void clone_ends(struct sim_world *w, struct sim_event *e)
{
    if (clone_of(w)->epoch == e->number)
        stop_clone(w);
}

static bool clone(struct sim_world *w, struct sim_region *r, struct prng *p, uint64_t for_us)
{
    struct sim_region *c = clone_of(w);
    uint32_t epoch = c->epoch;
    sim_region_release(w, c);
    *c = (struct sim_region){ .epoch = epoch, .prng = prng_split(p) };
    sim_region_init(c, w->plan.regions, r->place);
    for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++) {
        c->clients[i].commands = prng_split(p);
        c->clients[i].pace = prng_split(p);
    }
    struct sim_copy now = { 0 };
    take_copy(r, &now);
    put_copy(c, &now);
    forget_copy(&now);
    sim_clock_set(w, c, sim_clock_offset(p, w->plan.clock_range_us));
    note_lost(w, r);
    sim_tell(w, r, "loss", "a clone of it begins");
    if (sim_region_start(w, c))
        sim_at(w, w->now_us + for_us, clone_ends)->number = c->epoch;
    return true;
}

/* --- which, and when --- */

static bool all_up(const struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (!w->regions[i].up || w->regions[i].log_broken || w->regions[i].node.log_broken)
            return false;
    }
    return true;
}

struct sim_region *sim_loss(struct sim_world *w, struct prng *p, uint64_t for_us)
{
    struct sim_region *r = &w->regions[prng_below(p, w->plan.regions)];
    uint64_t which = w->plan.repairs ? REPAIRED : prng_below(p, LOSSES);
    if (w->lost_us != 0 || w->next_id + w->plan.regions > IDS_MAX || !all_up(w) ||
        w->deployment_count + 4 > SIM_DEPLOYMENTS_MAX || clone_of(w)->up)
        return NULL;
    bool done = which == CLONED     ? clone(w, r, p, for_us)
                : which == REPAIRED ? repair(w, r, p, for_us)
                                    : lose(w, r, p, for_us, which == EMPTIED);
    return done ? r : NULL;
}

/* --- who holds what --- */

static stamp_t last_of(const struct sim_region *r, uint8_t origin)
{
    return vector_get(&r->node.replica.last_op, origin);
}

/* Whether one of them has what the other has, and maybe more. */
static bool agree(struct sim_world *w, const struct sim_region *a, const struct sim_region *b,
                  uint8_t origin)
{
    const struct sim_region *less = last_of(a, origin) <= last_of(b, origin) ? a : b;
    const struct sim_region *more = less == a ? b : a;
    return oracle_is_past(&w->oracle, last_of(less, origin),
                          less->node.replica.streams[origin].check, last_of(more, origin),
                          more->node.replica.streams[origin].check);
}

static uint32_t count_agreeing(struct sim_world *w, const struct sim_region *r, uint8_t origin)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->plan.regions; i++)
        count += agree(w, r, &w->regions[i], origin);
    return count;
}

/* Those that hold another history of the origin than most begin anew. */
static void choose_history(struct sim_world *w, uint8_t origin, bool begins_anew[SIM_REGIONS_MAX])
{
    const struct sim_region *keeper = NULL;
    uint32_t most = 0;
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *r = &w->regions[i];
        uint32_t count = 2 * count_agreeing(w, r, origin) + !r->lost;
        if (count < most ||
            (keeper && count == most && last_of(r, origin) <= last_of(keeper, origin)))
            continue;
        keeper = r;
        most = count;
    }
    for (uint32_t i = 0; i < w->plan.regions; i++)
        begins_anew[i] |= !agree(w, keeper, &w->regions[i], origin);
}

/* --- the operator --- */

static bool is_amnesiac(const struct sim_region *r)
{
    return r->node.known.amnesiac;
}

static void restart_all(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        struct sim_region *r = &w->regions[i];
        if (r->up)
            sim_region_crash_by(w, r, false, &w->fault);
        start_later(w, r, w->healed ? 2 : RESTART_US);
    }
}

static void give_new_number(struct sim_world *w, struct sim_region *r)
{
    uint8_t old = w->ids[r->place];
    if (w->plan.repairs && r->acknowledged != 0)
        sim_fail(w, "region %u has acknowledged writes since it was repaired, and is amnesiac",
                 r->place + 1);
    r->acknowledged = 0;
    bits_add(w->closed, old);
    bits_add(w->given_up, old);
    w->ids[r->place] = w->next_id++;
    sim_tell(w, r, "operator", "gives it the number %u, and closes %u", w->ids[r->place], old);
}

/* What was held may have been of a history that goes: only what the others hold must stay. */
static void forget_what_goes(struct sim_world *w, const bool begins_anew[SIM_REGIONS_MAX])
{
    bool any = false;
    for (uint32_t i = 0; i < w->plan.regions; i++)
        any |= begins_anew[i];
    w->two_histories |= any;
    if (any)
        vector_clear(&w->must_stay);
    for (uint32_t i = 0; i < w->plan.regions && any; i++) {
        if (!begins_anew[i])
            must_stay(w, &w->regions[i]);
    }
}

static void renumber(struct sim_world *w)
{
    bool begins_anew[SIM_REGIONS_MAX] = { false };
    if (w->deployment_count == SIM_DEPLOYMENTS_MAX ||
        w->next_id + w->plan.regions > ORACLE_ORIGINS) {
        sim_fail(w, "there is no end to new numbers");
        return;
    }
    for (uint32_t i = 0; i < w->plan.regions; i++)
        keep_history(w, &w->regions[i]);
    for (uint32_t o = 0; bits_next(w->given_up, STAMP_ORIGINS, &o); o++)
        choose_history(w, (uint8_t)o, begins_anew);
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        struct sim_region *r = &w->regions[i];
        if (!begins_anew[i] && !is_amnesiac(r))
            continue;
        if (begins_anew[i]) {
            sim_tell(w, r, "operator", "empties its directory");
            sim_region_crash_by(w, r, false, &w->fault);
            note_lost(w, r);
            wipe(r);
        }
        give_new_number(w, r);
    }
    forget_what_goes(w, begins_anew);
    sim_world_configure(w);
    restart_all(w);
}

static bool needs_number(const struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct replica *r = &w->regions[i].node.replica;
        for (uint32_t o = 0; o < ORACLE_ORIGINS; o++) {
            if (r->streams[o].forked)
                return true;
        }
        if (is_amnesiac(&w->regions[i]))
            return true;
    }
    return false;
}

/* It has compared with everybody what they know of each other. */
static bool has_met_all(const struct sim_world *w, const struct sim_region *r)
{
    bool all = w->now_us >= r->watch.start_us + RECOGNIZED_US;
    for (size_t i = 0; i < r->node.peer_count; i++) {
        const struct link *l = r->node.peers[i].intake;
        all &= l && l->ready;
    }
    return all;
}

/* Everybody has what is left of origins that lost a disk, and those know that they lost nothing
 * more. */
static bool is_whole(const struct sim_world *w)
{
    if (w->regions[w->plan.regions].up)
        return false;
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *r = &w->regions[i];
        if (bootstrap_is_on(&r->node) || r->id != w->ids[i] || !has_met_all(w, r))
            return false;
        for (uint32_t k = 0; k < w->plan.regions; k++) {
            if (last_of(&w->regions[k], r->id) > last_of(r, r->id))
                return false;
        }
        for (uint32_t o = 0; bits_next(w->given_up, STAMP_ORIGINS, &o); o++) {
            bool closed = bits_have(w->closed, o);
            if (closed && last_of(r, (uint8_t)o) != last_of(&w->regions[0], (uint8_t)o))
                return false;
        }
    }
    return true;
}

/* What they wrote since may contradict what others hold, which shows when the first of it comes. */
static bool all_agree(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++)
        keep_history(w, &w->regions[i]);
    for (uint32_t o = 0; bits_next(w->given_up, STAMP_ORIGINS, &o); o++) {
        for (uint32_t i = 0; i < w->plan.regions * w->plan.regions; i++) {
            if (!agree(w, &w->regions[i / w->plan.regions], &w->regions[i % w->plan.regions],
                       (uint8_t)o))
                return false;
        }
    }
    return true;
}

static void all_is_whole(struct sim_world *w)
{
    sim_tell(w, NULL, "operator", "all is whole again");
    w->lost_us = 0;
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        w->regions[i].lost = false;
        w->regions[i].reader.acknowledged = 0;
    }
}

/* It met somebody only now who knows more of it than it does. */
static void look_again(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (!is_amnesiac(&w->regions[i]))
            continue;
        w->regions[i].lost = true;
        w->lost_us = w->now_us;
    }
}

static void look_after(struct sim_world *w, struct sim_event *e)
{
    (void)e;
    if (w->lost_us == 0 && all_up(w))
        look_again(w);
    if (w->lost_us != 0 && all_up(w)) {
        bool now = w->healed || prng_chance(&w->fault, 300000);
        if (!needs_number(w) && is_whole(w) && all_agree(w))
            all_is_whole(w);
        else if (needs_number(w) && now && !clone_of(w)->up)
            renumber(w);
    }
    sim_at(w, w->now_us + LOOK_US, look_after);
}

void sim_loss_begin(struct sim_world *w)
{
    if (!w->plan.losses)
        return;
    sim_at(w, w->now_us + LOOK_US, take_some_copy);
    sim_at(w, w->now_us + LOOK_US, look_after);
}

void sim_loss_end(struct sim_world *w)
{
    stop_clone(w);
}

bool sim_loss_is_over(const struct sim_world *w)
{
    return w->lost_us == 0;
}
