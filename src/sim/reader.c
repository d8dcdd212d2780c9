/*
 * reader -- a client of each region that knows what it must read.
 *
 * It alone writes its region's key, one number after the other, and reads it back, and then the key
 * of another region's reader. In one session at one region its own write is there once it is
 * answered, and no key goes back. After a crash others' writes may be missing for a while, as they
 * come again; its own acknowledged ones may not, with fsync always. When all faults have ended, each
 * must be able to write once more.
 */
#include "sim/world.h"

enum { READER_DB = 3, FIRST_MAX_US = 2000, LAST_RETRY_US = 20000 };

static void act(struct sim_world *w, struct sim_event *e);

static void act_after(struct sim_world *w, struct sim_reader *c, uint64_t after_us)
{
    sim_for_region(w, &w->regions[c->region], after_us, act)->what = c;
}

static void connect(struct sim_world *w, struct sim_reader *c)
{
    struct sim_region *r = &w->regions[c->region];
    char text[40];
    sim_turn_begin(w, r);
    c->session = node_session_open(&r->node, c, "sim", "sim");
    int len = snprintf(text, sizeof(text), "SELECT %d\r\n", READER_DB);
    c->awaited = 1;
    node_session_input(&r->node, c->session, span_of(text, (size_t)len));
    sim_turn_end(w, r);
}

static void ask(struct sim_world *w, struct sim_reader *c)
{
    struct sim_region *r = &w->regions[c->region];
    char text[100];
    c->asked = (uint32_t)prng_below(&c->prng, w->plan.regions);
    c->failed = false;
    c->awaited = 3;
    int len = snprintf(text, sizeof(text), "SET own:%u %llu\r\nGET own:%u\r\nGET own:%u\r\n",
                       c->region, (unsigned long long)++c->written, c->region, c->asked);
    sim_turn_begin(w, r);
    node_session_input(&r->node, c->session, span_of(text, (size_t)len));
    sim_turn_end(w, r);
}

static void act(struct sim_world *w, struct sim_event *e)
{
    struct sim_reader *c = e->what;
    if ((w->healed && !c->last) || c->awaited > 0)
        return;
    if (c->session)
        ask(w, c);
    else if (w->regions[c->region].node.server.loading)
        act_after(w, c, LAST_RETRY_US);
    else
        connect(w, c);
}

void sim_reader_start(struct sim_world *w, struct sim_region *r)
{
    if (w->plan.reader_us != 0)
        act_after(w, &r->reader, prng_below(&r->reader.prng, FIRST_MAX_US));
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

static void read_back(struct sim_world *w, struct sim_reader *c, uint32_t whose, uint64_t value)
{
    bool own = whose == c->region;
    bool lost = w->regions[whose].was_lost; /* then nobody knows what it wrote under which number */
    if (own && !lost && !c->failed && value != c->written)
        sim_fail(w, "region %u: its client wrote %llu and reads %llu", c->region + 1,
                 (unsigned long long)c->written, (unsigned long long)value);
    if (!lost && (value < c->seen[whose] || (own && value < c->acknowledged)))
        sim_fail(w, "region %u: its client has seen %llu of region %u, and now reads %llu",
                 c->region + 1,
                 (unsigned long long)(own && c->acknowledged > c->seen[whose] ? c->acknowledged
                                                                              : c->seen[whose]),
                 whose + 1, (unsigned long long)value);
    if (value > w->regions[whose].reader.written)
        sim_fail(w, "region %u: its client reads %llu of region %u, where nobody wrote it",
                 c->region + 1, (unsigned long long)value, whose + 1);
    c->seen[whose] = value;
}

/* The round's answers come in order: of the write, the own key, the other one. */
static void take(struct sim_world *w, struct sim_reader *c, enum answer answer, uint64_t value)
{
    if (answer == ANSWER_ODD || c->awaited == 0) {
        sim_fail(w, "region %u: its reader gets an answer to nothing", c->region + 1);
    } else if (answer == ANSWER_ERROR) {
        c->failed = true;
    } else if (answer == ANSWER_OK) {
        if (c->awaited == 3)
            c->acknowledged = c->written;
    } else {
        read_back(w, c, c->awaited == 2 ? c->region : c->asked, value);
    }
    c->awaited--;
}

static void end_round(struct sim_world *w, struct sim_reader *c)
{
    if (c->acknowledged == c->written && c->written > 0)
        c->last = false;
    uint64_t after_us = c->last ? LAST_RETRY_US : sim_around(&c->prng, w->plan.reader_us, 50000);
    if (c->last || (w->plan.reader_us != 0 && !w->healed))
        act_after(w, c, after_us);
}

/* Where the log failed, a write's answer is UNKNOWN, and the session ends. */
static void session_ended(struct sim_world *w, struct sim_reader *c)
{
    struct sim_region *r = &w->regions[c->region];
    if (!r->node.log_broken)
        sim_fail(w, "region %u: its reader's session ends", c->region + 1);
    node_session_close(&r->node, c->session);
    c->session = NULL;
    c->awaited = 0;
    buffer_clear(&c->answers);
    end_round(w, c);
}

void sim_reader_answers(struct sim_world *w, struct sim_reader *c)
{
    struct sim_region *r = &w->regions[c->region];
    struct span out = node_session_output(c->session);
    int64_t value;
    uint32_t before = c->awaited;
    buffer_put(&c->answers, out);
    node_session_sent(&r->node, c->session, out.len);
    for (enum answer a; (a = take_answer(&c->answers, &value)) != ANSWER_PART && !w->failed;)
        take(w, c, a, (uint64_t)value);
    if (c->session->closing || c->session->killed)
        session_ended(w, c);
    else if (c->awaited == 0 && before > 0)
        end_round(w, c);
}

/* What a later run must still have. */
void sim_reader_region_down(struct sim_world *w, struct sim_region *r)
{
    struct sim_reader *c = &r->reader;
    c->session = NULL;
    c->awaited = 0;
    buffer_clear(&c->answers);
    for (uint32_t i = 0; i < SIM_REGIONS_MAX; i++)
        c->seen[i] = 0;
    if (w->plan.fsync != FSYNC_ALWAYS)
        c->acknowledged = 0;
}

void sim_reader_once_more(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        struct sim_reader *c = &w->regions[i].reader;
        c->last = true;
        act_after(w, c, 0);
    }
}

bool sim_reader_done(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (w->regions[i].reader.last)
            return false;
    }
    return true;
}
