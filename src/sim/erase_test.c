/* A person is erased in three simulated regions that are cut off, crash and lose power meanwhile: in the
 * end no disk holds a byte of what was written. */
#include "base/test.h"
#include "sim/answer.h"
#include "sim/quiet.h"

enum { KEYS = 12, SEEDS = 12, LOOKS_MAX = 4000, LOOK_US = 50000 };

#define WORD "ERASED-PERSON"

static struct quiet q;
static struct sim_client *clients[QUIET_REGIONS];

static struct span say(int region, const char *command)
{
    struct span reply;
    quiet_send(&q, clients[region], span_str(command));
    reply = quiet_await(&q, clients[region]);
    return reply;
}

/* True when the answer begins so. Who was killed before anything of it was durable asks others first. */
static bool told(int region, const char *command, const char *begins)
{
    struct span reply = say(region, command);
    for (int i = 0; i < 100 && answer_find(reply, span_str("-LOADING")) == 0; i++) {
        quiet_taken(clients[region], reply);
        quiet_run_for(&q, 50000);
        reply = say(region, command);
    }
    bool good = reply.len > 0 && answer_find(reply, span_str(begins)) == 0;
    quiet_taken(clients[region], reply);
    return good;
}

static void write_person(int region, int round)
{
    char text[200];
    for (int i = 0; i < KEYS; i++) {
        snprintf(text, sizeof(text), "SET person:%d:%d " WORD "-%d\r\n", i, region, round);
        EXPECT(told(region, text, "+OK") || q.world.failed);
        snprintf(text, sizeof(text), "HSET person:hash:%d " WORD "%d " WORD "\r\n", i, region);
        EXPECT(told(region, text, ":") || q.world.failed);
        snprintf(text, sizeof(text), "INCR other:%d\r\n", i);
        EXPECT(told(region, text, ":") || q.world.failed);
    }
}

/* How often the word is in what STATUS answers; -1: not answered now. */
static int count_done(int region)
{
    struct span reply = say(region, "ERASE STATUS\r\n"), rest = reply;
    int count = 0;
    if (reply.len == 0 || reply.at[0] == '-')
        count = -1;
    while (count >= 0 && rest.len > 0) {
        size_t at = answer_find(rest, span_str("done"));
        if (at == rest.len)
            break;
        count++;
        rest = span_skip(rest, at + 1);
    }
    quiet_taken(clients[region], reply);
    return count;
}

/* What may happen between: a region dies and comes back, or all links are cut for a while. */
static void disturb(void)
{
    uint32_t region = (uint32_t)prng_below(&q.prng, QUIET_REGIONS);
    uint64_t kind = prng_below(&q.prng, 4);
    if (kind == 0) {
        quiet_crash(&q, region);
        quiet_run_for(&q, prng_below(&q.prng, 2000000));
        quiet_start(&q, region);
    } else if (kind == 1) {
        quiet_cut(&q);
        quiet_run_for(&q, prng_below(&q.prng, 2000000));
        quiet_heal(&q);
    }
    quiet_run_for(&q, 1 + prng_below(&q.prng, 300000));
}

static bool is_finished(void)
{
    for (int i = 0; i < QUIET_REGIONS; i++) {
        if (count_done(i) != QUIET_REGIONS)
            return false;
    }
    return true;
}

static void erase_person(void)
{
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < QUIET_REGIONS; i++)
            write_person(i, round);
        disturb();
    }
    quiet_settle(&q);
    for (int i = 0; i < QUIET_REGIONS; i++)
        EXPECT(sim_word_stands(&q.world.regions[i], span_str(WORD)) != NULL);
    int by = (int)prng_below(&q.prng, QUIET_REGIONS);
    quiet_cut(&q);
    EXPECT(told(by, "ERASE person:\r\n", "+OK"));
    write_person((by + 1) % QUIET_REGIONS, 3); /* it has not heard of it */
    quiet_await_durable(&q, (uint32_t)by);
    quiet_await_durable(&q, (uint32_t)(by + 1) % QUIET_REGIONS);
    quiet_run_for(&q, prng_below(&q.prng, 2000000));
    quiet_heal(&q);
    for (int i = 0; i < 4; i++)
        disturb();
}

TEST(what_was_erased_stands_on_no_disk_whatever_happens_meanwhile)
{
    for (uint64_t seed = test_seed(); seed < test_seed() + SEEDS; seed++) {
        quiet_open(&q, &(struct quiet_options){ .seed = seed });
        for (int i = 0; i < QUIET_REGIONS; i++)
            clients[i] = quiet_client(&q, (uint32_t)i);
        erase_person();
        bool finished = false;
        for (int i = 0; i < LOOKS_MAX && !finished && !q.world.failed; i++) {
            quiet_run_for(&q, LOOK_US);
            finished = is_finished();
        }
        EXPECT(finished);
        for (int i = 0; i < QUIET_REGIONS; i++) {
            const char *where = sim_word_stands(&q.world.regions[i], span_str(WORD));
            EXPECT_SPAN(span_str(where != NULL ? where : "nowhere"), span_str("nowhere"));
            EXPECT(told(i, "GET other:3\r\n", "$1") ||
                   told(i, "GET other:3\r\n", "$2")); /* other keys stay */
        }
        EXPECT(!q.world.failed);
        quiet_settle(&q);
        quiet_close(&q);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
