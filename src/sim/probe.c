/*
 * probe -- a client of each region that knows what it must read.
 *
 * It alone writes its region's key, one number after the other, and reads it back, and then the key
 * of another region's probe. In one session at one region its own write is there once it is
 * answered, and no key goes back. After a crash others' writes may be missing for a while, as they
 * come again; its own acknowledged ones may not, with fsync always. When all faults have ended, each
 * must be able to write once more.
 */
#include "sim/world.h"

enum { PROBE_DB = 3, FIRST_MAX_US = 2000, LAST_RETRY_US = 20000 };

static void act(struct sim_world *w, struct sim_event *e);

static void act_after(struct sim_world *w, struct sim_probe *p, uint64_t after_us)
{
    sim_for_region(w, &w->regions[p->region], after_us, act)->what = p;
}

static void connect(struct sim_world *w, struct sim_probe *p)
{
    struct sim_region *r = &w->regions[p->region];
    char text[40];
    sim_turn_begin(w, r);
    p->session = node_session_open(&r->node, p, "sim", "sim");
    int len = snprintf(text, sizeof(text), "SELECT %d\r\n", PROBE_DB);
    p->awaited = 1;
    node_session_input(&r->node, p->session, span_of(text, (size_t)len));
    sim_turn_end(w, r);
}

static void ask(struct sim_world *w, struct sim_probe *p)
{
    struct sim_region *r = &w->regions[p->region];
    char text[100];
    p->asked = (uint32_t)prng_below(&p->prng, w->plan.regions);
    p->failed = false;
    p->awaited = 3;
    int len = snprintf(text, sizeof(text), "SET own:%u %llu\r\nGET own:%u\r\nGET own:%u\r\n",
                       p->region, (unsigned long long)++p->written, p->region, p->asked);
    sim_turn_begin(w, r);
    node_session_input(&r->node, p->session, span_of(text, (size_t)len));
    sim_turn_end(w, r);
}

static void act(struct sim_world *w, struct sim_event *e)
{
    struct sim_probe *p = e->what;
    if ((w->healed && !p->last) || p->awaited > 0)
        return;
    if (p->session)
        ask(w, p);
    else
        connect(w, p);
}

void sim_probe_start(struct sim_world *w, struct sim_region *r)
{
    if (w->plan.probe_us != 0)
        act_after(w, &r->probe, prng_below(&r->probe.prng, FIRST_MAX_US));
}

/* --- answers --- */

/* What a reply says, and the number in it; 0: none. */
enum answer { ANSWER_PART, ANSWER_OK, ANSWER_ERROR, ANSWER_NUMBER, ANSWER_ODD };

static enum answer take_answer(struct buffer *in, int64_t *number)
{
    struct span all = buffer_span(in), line;
    *number = 0;
    if (!memchr(all.len ? (const void *)all.at : "", '\n', all.len))
        return ANSWER_PART;
    size_t len = (size_t)((const uint8_t *)memchr(all.at, '\n', all.len) - all.at) + 1;
    enum answer answer = all.at[0] == '+'   ? ANSWER_OK
                         : all.at[0] == '-' ? ANSWER_ERROR
                         : all.at[0] == '$' ? ANSWER_NUMBER
                                            : ANSWER_ODD;
    if (answer == ANSWER_NUMBER && all.at[1] != '-') {
        line = span_skip(all, len);
        const uint8_t *end = line.len > 0 ? memchr(line.at, '\n', line.len) : NULL;
        if (!end)
            return ANSWER_PART;
        if (!span_to_int64(span_of(line.at, (size_t)(end - line.at) - 1), number))
            answer = ANSWER_ODD;
        len += (size_t)(end - line.at) + 1;
    }
    buffer_consume(in, len);
    return answer;
}

static void read_back(struct sim_world *w, struct sim_probe *p, uint32_t whose, uint64_t value)
{
    bool own = whose == p->region;
    if (own && !p->failed && value != p->written)
        sim_fail(w, "region %u: its client wrote %llu and reads %llu", p->region + 1,
                 (unsigned long long)p->written, (unsigned long long)value);
    if (value < p->seen[whose] || (own && value < p->acknowledged))
        sim_fail(w, "region %u: its client has seen %llu of region %u, and now reads %llu",
                 p->region + 1,
                 (unsigned long long)(own && p->acknowledged > p->seen[whose] ? p->acknowledged
                                                                              : p->seen[whose]),
                 whose + 1, (unsigned long long)value);
    if (value > w->regions[whose].probe.written)
        sim_fail(w, "region %u: its client reads %llu of region %u, where nobody wrote it",
                 p->region + 1, (unsigned long long)value, whose + 1);
    p->seen[whose] = value;
}

/* The round's answers come in order: of the write, the own key, the other one. */
static void take(struct sim_world *w, struct sim_probe *p, enum answer answer, uint64_t value)
{
    if (answer == ANSWER_ODD || p->awaited == 0) {
        sim_fail(w, "region %u: its probe gets an answer to nothing", p->region + 1);
    } else if (answer == ANSWER_ERROR) {
        p->failed = true;
    } else if (answer == ANSWER_OK) {
        if (p->awaited == 3)
            p->acknowledged = p->written;
    } else {
        read_back(w, p, p->awaited == 2 ? p->region : p->asked, value);
    }
    p->awaited--;
}

static void end_round(struct sim_world *w, struct sim_probe *p)
{
    if (p->acknowledged == p->written && p->written > 0)
        p->last = false;
    uint64_t after_us = p->last ? LAST_RETRY_US : sim_around(&p->prng, w->plan.probe_us, 50000);
    if (p->last || (w->plan.probe_us != 0 && !w->healed))
        act_after(w, p, after_us);
}

/* Where the log failed, a write's answer is UNKNOWN, and the session ends. */
static void session_ended(struct sim_world *w, struct sim_probe *p)
{
    struct sim_region *r = &w->regions[p->region];
    if (!r->node.log_broken)
        sim_fail(w, "region %u: its probe's session ends", p->region + 1);
    node_session_close(&r->node, p->session);
    p->session = NULL;
    p->awaited = 0;
    buffer_clear(&p->answers);
    end_round(w, p);
}

void sim_probe_answers(struct sim_world *w, struct sim_probe *p)
{
    struct sim_region *r = &w->regions[p->region];
    struct span out = node_session_output(p->session);
    int64_t value;
    uint32_t before = p->awaited;
    buffer_put(&p->answers, out);
    node_session_sent(&r->node, p->session, out.len);
    for (enum answer a; (a = take_answer(&p->answers, &value)) != ANSWER_PART && !w->failed;)
        take(w, p, a, (uint64_t)value);
    if (p->session->closing || p->session->killed)
        session_ended(w, p);
    else if (p->awaited == 0 && before > 0)
        end_round(w, p);
}

/* What a later run must still have. */
void sim_probe_region_down(struct sim_world *w, struct sim_region *r)
{
    struct sim_probe *p = &r->probe;
    p->session = NULL;
    p->awaited = 0;
    buffer_clear(&p->answers);
    for (uint32_t i = 0; i < SIM_REGIONS_MAX; i++)
        p->seen[i] = 0;
    if (w->plan.fsync != FSYNC_ALWAYS)
        p->acknowledged = 0;
}

void sim_probe_once_more(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        struct sim_probe *p = &w->regions[i].probe;
        p->last = true;
        act_after(w, p, 0);
    }
}

bool sim_probe_done(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (w->regions[i].probe.last)
            return false;
    }
    return true;
}
