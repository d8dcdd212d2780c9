/*
 * The cases of tests/cases/semantics.cases, in the simulator: side by side in worlds of many seeds,
 * with regions that are restarted at different moments, and some in worlds of their own. What the
 * contract declares is computed from the histories besides (oracle.h).
 */
#include <stdio.h>

#include "base/memory.h"
#include "base/test.h"
#include "sim/answer.h"
#include "sim/casefile.h"
#include "sim/quiet.h"

enum {
    WORLDS = 8,
    WORLDS_ALONE = 3,
    APART_US = 300 * 1000, /* more than clocks differ */
    LATE_MS = 30000,       /* more than all commands before take */
    PASS_US = 1000 * 1000, /* heartbeats have told every region's time */
    DOWN_US = 500 * 1000,
    FALL_MAX_US = 50 * 1000, /* of a region that falls after the heal */
    NAME_MAX = 160,
};

/* When one region is restarted. */
enum moment { NEVER, AFTER_BASE, IN_CUT, AFTER_HEAL, MOMENTS };

/* One case in one order, on its own keys. */
struct run {
    const struct conflict_case *c;
    enum case_order order;
    struct sim_client *clients[QUIET_REGIONS], *waits[CASE_COMMANDS];
    char prefix[64], late[16];
    struct buffer value; /* what was kept by a name */
    struct span name;
    char title[NAME_MAX];
};

struct stage {
    struct quiet quiet;
    struct run *runs; /* [count] */
    size_t count;
    uint64_t seed;
    enum moment moment;
};

/* --- commands --- */

static struct answer_names names_of(const struct run *r)
{
    return (struct answer_names){ .prefix = span_str(r->prefix),
                                  .late = span_str(r->late),
                                  .name = r->name,
                                  .value = buffer_span(&r->value) };
}

static void encode(struct buffer *out, const struct run *r, struct span text)
{
    struct answer_names names = names_of(r);
    struct span rest = text, word;
    struct buffer resolved = { 0 };
    unsigned count = 0;
    while (answer_next_word(&rest, &word))
        count++;
    buffer_printf(out, "*%u\r\n", count);
    for (rest = text; answer_next_word(&rest, &word);) {
        buffer_clear(&resolved);
        answer_resolve(&resolved, word, &names);
        buffer_printf(out, "$%zu\r\n", resolved.len);
        buffer_put(out, buffer_span(&resolved));
        buffer_put_text(out, "\r\n");
    }
    buffer_release(&resolved);
}

static void send(struct stage *s, struct run *r, struct sim_client *c,
                 const struct case_command *command)
{
    struct buffer resp = { 0 };
    encode(&resp, r, command->text);
    quiet_send(&s->quiet, c, buffer_span(&resp));
    buffer_release(&resp);
}

static void complain(struct stage *s, const struct run *r, uint32_t region,
                     const struct case_command *command, struct span reply)
{
    test_fail(__FILE__, __LINE__, "%s, world %llu.%d: %c: %.*s: %.*s", r->title,
              (unsigned long long)s->seed, s->moment, "ABC"[region], (int)command -> text.len,
              (const char *)command->text.at, reply.len > 0 ? (int)reply.len : 7,
              reply.len > 0 ? (const char *)reply.at : "nothing");
}

/* Which of the choices fit, as bits; without any, all are fine but an error. */
static uint32_t fitting(const struct run *r, struct span answer, struct span reply)
{
    struct answer_names names = names_of(r);
    struct span choice;
    uint32_t fit = 0, bit = 1;
    if (!answer.at)
        return reply.len > 0 && reply.at[0] != '-';
    for (; answer_next_choice(&answer, &choice); bit <<= 1)
        fit |= answer_fits(reply, choice, &names) ? bit : 0;
    return fit;
}

/* Keeps the reply, where the answer is a name for it. */
static bool keep(struct run *r, const struct case_command *command, struct span reply)
{
    struct span text;
    if (!command->answer.at || command->answer.at[0] != '$' || !answer_text(reply, &text))
        return false;
    r->name = span_skip(command->answer, 1);
    buffer_clear(&r->value);
    buffer_put(&r->value, text);
    return true;
}

static void take(struct stage *s, struct run *r, const struct case_command *command)
{
    struct sim_client *c = r->clients[command->region];
    struct span reply = quiet_await(&s->quiet, c);
    if (!keep(r, command, reply) && fitting(r, command->answer, reply) == 0)
        complain(s, r, command->region, command, reply);
    quiet_taken(c, reply);
}

static void ask(struct stage *s, struct run *r, const struct case_command *command)
{
    if (s->quiet.world.failed)
        return;
    send(s, r, r->clients[command->region], command);
    take(s, r, command);
}

/* --- steps --- */

/* The commands of a step, those at one region if `region` is not negative. */
static void run_step(struct stage *s, enum case_step step, int region)
{
    for (size_t i = 0; i < s->count; i++) {
        struct run *r = &s->runs[i];
        for (size_t k = 0; k < r->c->count; k++) {
            const struct case_command *command = &r->c->commands[k];
            if (command->step == step && (region < 0 || command->region == (uint32_t)region))
                ask(s, r, command);
        }
    }
}

/* A's or B's: in every run the one whose turn it is. */
static void run_turn(struct stage *s, bool first)
{
    for (size_t i = 0; i < s->count; i++) {
        struct run *r = &s->runs[i];
        uint32_t region = (r->order == CASE_AB) == first ? 0 : 1;
        for (size_t k = 0; k < r->c->count && r->order != CASE_EQUAL; k++) {
            if (r->c->commands[k].step == CASE_CONCURRENT && r->c->commands[k].region == region)
                ask(s, r, &r->c->commands[k]);
        }
    }
    quiet_run_for(&s->quiet, APART_US);
}

/* At one moment of the world, and of clocks that are right. */
static void run_equal(struct stage *s, struct run *r)
{
    const struct sim_region *regions = s->quiet.world.regions;
    for (size_t k = 0; k < r->c->count; k++) {
        if (r->c->commands[k].step == CASE_CONCURRENT)
            send(s, r, r->clients[r->c->commands[k].region], &r->c->commands[k]);
    }
    for (size_t k = 0; k < r->c->count; k++) {
        if (r->c->commands[k].step == CASE_CONCURRENT)
            take(s, r, &r->c->commands[k]);
    }
    EXPECT_EQ(vector_get(&regions[0].node.replica.last_op, 1) >> STAMP_ORIGIN_BITS,
              vector_get(&regions[1].node.replica.last_op, 2) >> STAMP_ORIGIN_BITS);
}

static void run_concurrent(struct stage *s)
{
    run_turn(s, true);
    run_turn(s, false);
    run_step(s, CASE_CONCURRENT, 2);
    for (size_t i = 0; i < s->count; i++) {
        if (s->runs[i].order == CASE_EQUAL)
            run_equal(s, &s->runs[i]);
    }
}

static void begin_waits(struct stage *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct run *r = &s->runs[i];
        for (size_t k = 0; k < r->c->count; k++) {
            const struct case_command *command = &r->c->commands[k];
            if (command->step != CASE_WAITS)
                continue;
            r->waits[k] = quiet_client(&s->quiet, command->region);
            send(s, r, r->waits[k], command);
        }
    }
}

static void end_waits(struct stage *s, struct run *r)
{
    for (size_t k = 0; k < r->c->count; k++) {
        if (!r->waits[k])
            continue;
        struct span reply = quiet_reply(r->waits[k]);
        if (fitting(r, r->c->commands[k].answer, reply) == 0)
            complain(s, r, r->waits[k]->region, &r->c->commands[k], reply);
        quiet_hang_up(&s->quiet, r->waits[k]);
    }
}

/* What a command writes is everywhere before the next one of its case is run. */
static void run_then(struct stage *s)
{
    for (size_t at = 0; at < CASE_COMMANDS; at++) {
        bool any = false;
        for (size_t i = 0; i < s->count; i++) {
            size_t n = 0;
            for (size_t k = 0; k < s->runs[i].c->count; k++) {
                if (s->runs[i].c->commands[k].step != CASE_THEN || n++ != at)
                    continue;
                ask(s, &s->runs[i], &s->runs[i].c->commands[k]);
                any = true;
            }
        }
        if (any)
            quiet_settle(&s->quiet);
    }
}

/* One choice must fit in every region. */
static void judge(struct stage *s, struct run *r)
{
    for (size_t k = 0; k < r->c->count; k++) {
        const struct case_command *command = &r->c->commands[k];
        uint32_t fit = UINT32_MAX;
        for (uint32_t i = 0; i < QUIET_REGIONS && command->step == CASE_EXPECT; i++) {
            if (s->quiet.world.failed)
                return;
            send(s, r, r->clients[i], command);
            struct span reply = quiet_await(&s->quiet, r->clients[i]);
            fit &= fitting(r, command->answer, reply);
            if (fit == 0) {
                complain(s, r, i, command, reply);
                fit = UINT32_MAX;
            }
            quiet_taken(r->clients[i], reply);
        }
    }
}

/* --- what happens to regions --- */

static uint32_t some_region(struct stage *s)
{
    return (uint32_t)prng_below(&s->quiet.prng, QUIET_REGIONS);
}

/* What it has said to its clients is on its disk. */
static void restart(struct stage *s, enum moment moment)
{
    uint32_t region = some_region(s);
    if (s->moment != moment)
        return;
    if (moment == AFTER_HEAL)
        quiet_run_for(&s->quiet, prng_below(&s->quiet.prng, FALL_MAX_US));
    quiet_await_durable(&s->quiet, region);
    if (s->quiet.world.failed)
        return;
    quiet_crash(&s->quiet, region);
    quiet_run_for(&s->quiet, DOWN_US);
    quiet_start(&s->quiet, region);
}

/* The regions that cases want down; in a world of one case. */
static void stop_down(struct stage *s)
{
    int down = s->runs[0].c->down;
    if (down < 0)
        return;
    quiet_await_durable(&s->quiet, (uint32_t)down);
    quiet_crash(&s->quiet, (uint32_t)down);
}

static void start_down(struct stage *s)
{
    if (s->runs[0].c->down >= 0)
        quiet_start(&s->quiet, (uint32_t)s->runs[0].c->down);
}

static void crash(struct stage *s)
{
    int region = s->runs[0].c->crash;
    if (region < 0)
        return;
    quiet_crash(&s->quiet, (uint32_t)region);
    quiet_start(&s->quiet, (uint32_t)region);
}

/* --- a world --- */

/* Past the deadlines of the base, none of which has passed yet. */
static void await_late(struct stage *s, uint64_t begun_us, uint64_t based_us)
{
    uint64_t late_us = LATE_MS * 1000;
    if (s->quiet.world.now_us >= begun_us + late_us)
        test_fail(__FILE__, __LINE__, "the deadlines had passed before they could be extended");
    else
        quiet_run_for(&s->quiet, based_us + late_us + APART_US - s->quiet.world.now_us);
}

static bool any_late(const struct stage *s)
{
    for (size_t i = 0; i < s->count; i++) {
        for (size_t k = 0; k < s->runs[i].c->count; k++) {
            struct span text = s->runs[i].c->commands[k].text;
            if (answer_find(text, span_str("$late")) < text.len)
                return true;
        }
    }
    return false;
}

static void play_parted(struct stage *s)
{
    uint64_t begun_us = s->quiet.world.now_us, based_us;
    run_step(s, CASE_BASE, -1);
    based_us = s->quiet.world.now_us;
    quiet_settle(&s->quiet);
    restart(s, AFTER_BASE);
    quiet_settle(&s->quiet);
    begin_waits(s);
    quiet_cut(&s->quiet);
    stop_down(s);
    run_concurrent(s);
    crash(s);
    if (any_late(s))
        await_late(s, begun_us, based_us);
    restart(s, IN_CUT);
    run_step(s, CASE_LATE, -1);
}

static void play_healed(struct stage *s)
{
    start_down(s);
    quiet_heal(&s->quiet);
    restart(s, AFTER_HEAL);
    quiet_settle(&s->quiet);
    run_then(s);
    quiet_run_for(&s->quiet, PASS_US);
    for (size_t i = 0; i < s->count; i++)
        judge(s, &s->runs[i]);
    for (size_t i = 0; i < s->count; i++)
        end_waits(s, &s->runs[i]);
    quiet_settle(&s->quiet);
    if (!s->quiet.world.failed)
        sim_verify_end(&s->quiet.world);
}

static void prepare(struct stage *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct run *r = &s->runs[i];
        snprintf(r->prefix, sizeof(r->prefix), "%.*scase%zu:", (int)r->c->prefix.len,
                 (const char *)r->c->prefix.at, i);
        snprintf(r->late, sizeof(r->late), "%d", LATE_MS);
        snprintf(r->title, sizeof(r->title), "%.*s (%s)", (int)r->c->name.len,
                 (const char *)r->c->name.at,
                 r->order == CASE_AB   ? "ab"
                 : r->order == CASE_BA ? "ba"
                                       : "equal");
        for (uint32_t k = 0; k < QUIET_REGIONS; k++)
            r->clients[k] = quiet_client(&s->quiet, k);
    }
}

static void play(struct stage *s, const struct quiet_options *options)
{
    s->seed = options->seed;
    quiet_open(&s->quiet, options);
    prepare(s);
    play_parted(s);
    play_healed(s);
    if (s->quiet.world.failed)
        test_fail(__FILE__, __LINE__, "world %llu.%d: %s", (unsigned long long)s->seed, s->moment,
                  s->quiet.world.reason);
    quiet_close(&s->quiet);
    for (size_t i = 0; i < s->count; i++)
        buffer_release(&s->runs[i].value);
    mem_free(s->runs);
}

/* --- which cases, in which worlds --- */

static void add_run(struct stage *s, const struct conflict_case *c, enum case_order order)
{
    s->runs = mem_realloc(s->runs, (s->count + 1) * sizeof(s->runs[0]));
    s->runs[s->count++] = (struct run){ .c = c, .order = order };
}

static bool needs_own_world(const struct conflict_case *c)
{
    bool clocks = false;
    for (uint32_t i = 0; i < CASE_REGIONS; i++)
        clocks |= c->clock_us[i] != 0;
    return c->alone || clocks || c->down >= 0 || c->crash >= 0 || c->orders == CASE_EQUAL;
}

/* A restart takes the sessions of clients, with what they wait for and watch. */
static bool outlives(const struct conflict_case *c, enum moment moment)
{
    bool waits = case_uses(c, "WATCH");
    for (size_t i = 0; i < c->count; i++)
        waits |= c->commands[i].step == CASE_WAITS;
    return !waits || moment == NEVER || moment == AFTER_BASE;
}

static void play_together(const struct casefile *f, uint64_t seed, enum moment moment)
{
    struct stage s = { .moment = moment };
    for (size_t i = 0; i < f->count; i++) {
        for (enum case_order order = CASE_AB; order <= CASE_BA; order <<= 1) {
            if ((f->cases[i].orders & order) && !needs_own_world(&f->cases[i]) &&
                outlives(&f->cases[i], moment))
                add_run(&s, &f->cases[i], order);
        }
    }
    play(&s, &(struct quiet_options){ .seed = seed });
}

static void play_alone(const struct conflict_case *c, uint64_t seed)
{
    for (enum case_order order = CASE_AB; order <= CASE_EQUAL; order <<= 1) {
        struct stage s = { 0 };
        struct quiet_options options = { .seed = seed,
                                         .clocks_right = true,
                                         .everysec = c->crash >= 0 };
        if (!(c->orders & order))
            continue;
        memcpy(options.clock_us, c->clock_us, sizeof(options.clock_us));
        add_run(&s, c, order);
        play(&s, &options);
    }
}

static bool open_cases(struct casefile *f)
{
    bool good = casefile_read(f, SEMANTICS_CASES);
    if (!good)
        test_fail(__FILE__, __LINE__, "%s", f->problem);
    return good;
}

TEST(cases_side_by_side_end_as_declared)
{
    struct casefile f;
    if (open_cases(&f)) {
        for (unsigned i = 0; i < WORLDS; i++)
            play_together(&f, i < WORLDS / 2 ? i : test_seed() + i, (enum moment)(i % MOMENTS));
    }
    casefile_release(&f);
}

TEST(cases_in_a_world_of_their_own_end_as_declared)
{
    struct casefile f;
    if (open_cases(&f)) {
        for (size_t i = 0; i < f.count; i++) {
            for (unsigned k = 0; k < WORLDS_ALONE && needs_own_world(&f.cases[i]); k++)
                play_alone(&f.cases[i], k == 0 ? 1 : test_seed() + k);
        }
    }
    casefile_release(&f);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
