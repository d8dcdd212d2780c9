/*
 * persons -- what was written of somebody, who is then erased.
 *
 * Words that stand nowhere else are written under the keys of some persons, in all regions, and at some time
 * one of them asks that the first of these persons be erased, then the next. Others may go on to write: what
 * a region takes before it has heard of that goes too; what it takes later may stay. When all regions say
 * that they have finished, no word that must be gone may stand on any disk.
 */
#include "base/check.h"
#include "base/memory.h"
#include "cmd/erasure.h"
#include "sim/answer.h"
#include "sim/world.h"

enum {
    PERSONS_AT_ONCE = 3,
    ERASED_MAX = 6, /* of a world */
    PERSON_DBS = 2,
    ERASE_IN = 12, /* of so many commands one */
};

/* --- what a seed's world has of it --- */

/* A directory that is lost may be all that had an erasure. */
void sim_plan_persons(struct sim_plan *plan, struct prng p)
{
    bool has = prng_percent(&p, 20) && !plan->losses;
    uint64_t every_us = 2000 + prng_below(&p, 40000) + plan->think_us / 4;
    plan->person_us = has ? every_us : 0;
}

void sim_plan_print_persons(const struct sim_plan *plan, FILE *to)
{
    if (plan->person_us != 0)
        fprintf(to, "plan: persons are written of every %llu us, and erased\n",
                (unsigned long long)plan->person_us);
}

/* --- erasures --- */

struct looked_for {
    struct span name;
    bool found;
};

static void look_at(void *context, const struct erasure *e)
{
    struct looked_for *l = context;
    l->found |= span_equal(e->name, l->name);
}

/* "person:3:" */
static struct span name_of(uint32_t person, char text[24])
{
    return span_of(text, (size_t)snprintf(text, 24, "person:%u:", person));
}

/* Whether a region has heard that the person is to be erased. */
static bool has_heard(struct sim_region *r, uint32_t person)
{
    char text[24];
    struct looked_for l = { .name = name_of(person, text) };
    bool looked_at = r->store.looked_at;
    r->store.looked_at = true; /* a disk that gives nothing has not made it forget */
    erasure_each(&r->node.server, look_at, &l);
    r->store.looked_at = looked_at;
    return l.found;
}

struct finishing {
    const struct server *server;
    bool all;
};

static void look_whether_done(void *context, const struct erasure *e)
{
    struct finishing *f = context;
    uint64_t last_ms;
    f->all &= erasure_all_are(f->server, e, ERASURE_DONE, &last_ms);
}

/* --- what is written --- */

static struct sim_word *word_of(struct sim_world *w, const struct sim_person_writer *c)
{
    return c->word == 0 ? NULL : &w->persons.words[c->word - 1];
}

/* Nothing more comes of what was asked. */
static void settle(struct sim_world *w, struct sim_person_writer *c, struct sim_region *r)
{
    struct sim_word *word = word_of(w, c);
    if (word && has_heard(r, word->person))
        word->may_stay = true;
    c->word = 0;
    c->asking = false;
}

static uint32_t add_word(struct sim_world *w, uint32_t person)
{
    struct sim_persons *all = &w->persons;
    all->words = mem_realloc(all->words, (all->word_count + 1) * sizeof(*all->words));
    all->words[all->word_count++] = (struct sim_word){ .person = person };
    return all->word_count;
}

/* The numbers are in brackets: none begins another. */
static void put_write(struct buffer *out, struct prng *p, uint32_t person, uint32_t word)
{
    char text[40];
    snprintf(text, sizeof(text), "GONE[%u][%u]", person, word);
    switch (prng_below(p, 4)) {
    case 0:
        buffer_printf(out, "SET person:%u:a %s\r\n", person, text);
        break;
    case 1:
        buffer_printf(out, "HSET person:%u:b f%u %s\r\n", person, word % 3, text);
        break;
    case 2:
        buffer_printf(out, "RPUSH person:%u:c %s\r\n", person, text);
        break;
    default:
        buffer_printf(out, "SET person:%u:%u %s\r\n", person, word % 5, text);
    }
}

static void say(struct sim_world *w, struct sim_person_writer *c, struct prng *p)
{
    struct sim_persons *all = &w->persons;
    struct sim_region *r = &w->regions[c->region];
    struct buffer out = { 0 };
    uint32_t first = all->erased > 0 ? all->erased - 1 : 0;
    uint32_t person = first + (uint32_t)prng_below(p, PERSONS_AT_ONCE);
    c->erases = prng_below(p, ERASE_IN) == 0 && all->erased < ERASED_MAX;
    if (c->erases) {
        c->person = all->erased++;
        buffer_printf(&out, "ERASE PREFIX person:%u:\r\n", c->person);
    } else {
        c->word = add_word(w, person);
        put_write(&out, p, person, c->word);
    }
    sim_tell(w, r, "person", "%.*s", (int)out.len - 2, (const char *)out.at);
    c->asking = true;
    sim_turn_begin(w, r);
    node_session_input(&r->node, c->session, buffer_span(&out));
    sim_turn_end(w, r);
    buffer_release(&out);
}

static void connect(struct sim_world *w, struct sim_person_writer *c, struct prng *p)
{
    struct sim_region *r = &w->regions[c->region];
    char text[40];
    int len = snprintf(text, sizeof(text), "SELECT %u\r\n", (unsigned)prng_below(p, PERSON_DBS));
    sim_turn_begin(w, r);
    c->session = node_session_open(&r->node, c, "sim", "sim");
    if (!c->session)
        sim_fail(w, "region %u takes nobody who writes of persons", r->index + 1);
    else
        node_session_input(&r->node, c->session, span_of(text, (size_t)len));
    c->asking = c->session != NULL;
    sim_turn_end(w, r);
}

static void act(struct sim_world *w, struct sim_event *e)
{
    (void)e;
    struct sim_persons *all = &w->persons;
    struct prng p = prng_split(&all->prng);
    struct sim_region *r = &w->regions[prng_below(&p, w->plan.regions)];
    struct sim_person_writer *c = &all->writers[r->index];
    if (w->healed || w->sent >= w->plan.steps)
        return;
    bool serves = sim_region_serves(r) && !sim_region_is_asleep(w, r);
    if (serves && !c->session)
        connect(w, c, &p);
    else if (serves && !c->asking)
        say(w, c, &p);
    sim_at(w, w->now_us + sim_around(&p, w->plan.person_us, 50000), act);
}

void sim_persons_start(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++)
        w->persons.writers[i].region = i;
    if (w->plan.person_us != 0)
        sim_at(w, w->now_us + w->plan.person_us, act);
}

/* --- answers --- */

static void forget_session(struct sim_person_writer *c)
{
    c->session = NULL;
    c->asking = c->erases = false;
    c->word = 0;
    buffer_clear(&c->answers);
}

static void take_answer(struct sim_world *w, struct sim_person_writer *c, struct span reply)
{
    struct sim_region *r = &w->regions[c->region];
    if (!c->asking)
        sim_fail(w, "region %u: who writes of persons gets an answer to nothing", r->index + 1);
    if (c->erases && reply.at[0] == '+')
        w->persons.told |= 1u << c->person;
    c->erases = false;
    settle(w, c, r);
}

void sim_person_answers(struct sim_world *w, struct sim_person_writer *c)
{
    struct sim_region *r = &w->regions[c->region];
    struct span out = node_session_output(c->session);
    ptrdiff_t len;
    buffer_put(&c->answers, out);
    node_session_sent(&r->node, c->session, out.len);
    while (!w->failed && (len = answer_length(buffer_span(&c->answers))) > 0) {
        take_answer(w, c, span_of(c->answers.at, (size_t)len));
        buffer_consume(&c->answers, (size_t)len);
    }
    if (!c->session->killed && !c->session->closing)
        return;
    if (!r->node.log_broken)
        sim_fail(w, "region %u: the session of who writes of persons ends", r->index + 1);
    settle(w, c, r);
    node_session_close(&r->node, c->session);
    forget_session(c);
}

void sim_persons_region_down(struct sim_world *w, struct sim_region *r)
{
    struct sim_person_writer *c = &w->persons.writers[r->index];
    if (!c->session)
        return;
    settle(w, c, r);
    forget_session(c);
}

/* --- when all is well --- */

bool sim_persons_done(struct sim_world *w)
{
    bool done = true;
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        struct sim_region *r = &w->regions[i];
        struct finishing f = { .server = &r->node.server, .all = true };
        done &= r->up && !w->persons.writers[i].asking;
        if (done)
            erasure_each(f.server, look_whether_done, &f);
        done &= f.all;
    }
    return done;
}

void sim_persons_fail(struct sim_world *w, int seconds)
{
    struct buffer waits = { 0 };
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        buffer_printf(&waits, "; r%u: ", i + 1);
        if (w->regions[i].up)
            erase_waits(&w->regions[i].node, &waits);
    }
    sim_fail(w, "somebody is not erased everywhere %d s after all is well%.*s", seconds,
             (int)waits.len, (const char *)waits.at);
    buffer_release(&waits);
}

/* What was told to be durable is known. */
static void judge_told(struct sim_world *w, uint32_t person)
{
    if ((w->persons.told >> person & 1) && sim_calls_are_kept(w))
        sim_fail(w, "person %u was to be erased, and nobody knows of it", person);
}

static void judge_word(struct sim_world *w, const struct sim_word *word, uint32_t number)
{
    char text[40];
    int len = snprintf(text, sizeof(text), "GONE[%u][%u]", word->person, number);
    for (uint32_t i = 0; i < w->plan.regions && !word->may_stay; i++) {
        const char *where = sim_word_stands(&w->regions[i], span_of(text, (size_t)len));
        if (where)
            sim_fail(w, "person %u was erased, and region %u has word %u of him %s", word->person,
                     i + 1, number, where);
    }
}

/* Few words are looked for one by one: none, where nothing of the person stands anywhere. */
static bool stands_anywhere(struct sim_world *w, uint32_t person)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "GONE[%u]", person);
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (sim_word_stands(&w->regions[i], span_of(text, (size_t)len)))
            return true;
    }
    return false;
}

void sim_persons_judge(struct sim_world *w)
{
    for (uint32_t person = 0; person < w->persons.erased && !w->failed; person++) {
        if (!has_heard(&w->regions[0], person)) {
            judge_told(w, person);
            continue;
        }
        if (!stands_anywhere(w, person))
            continue;
        for (uint32_t i = 0; i < w->persons.word_count && !w->failed; i++) {
            if (w->persons.words[i].person == person)
                judge_word(w, &w->persons.words[i], i + 1);
        }
    }
}

void sim_persons_release(struct sim_world *w)
{
    for (uint32_t i = 0; i < SIM_REGIONS_MAX; i++)
        buffer_release(&w->persons.writers[i].answers);
    mem_free(w->persons.words);
}
