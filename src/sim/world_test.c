#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/test.h"

static struct sim_outcome run(uint64_t seed)
{
    struct sim_options options = { .seed = seed };
    struct sim_outcome outcome;
    sim_run(&options, &outcome);
    return outcome;
}

TEST(thirty_worlds_hold)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct sim_outcome outcome = run(seed);
        if (!outcome.held)
            test_fail(__FILE__, __LINE__, "seed %d: %s", (int)seed, outcome.reason);
    }
}

TEST(a_seed_reruns_bit_for_bit)
{
    for (uint64_t seed = 101; seed <= 104; seed++) {
        struct sim_outcome once = run(seed), again = run(seed);
        EXPECT_EQ(once.trace_hash, again.trace_hash);
        EXPECT_EQ(once.events, again.events);
        EXPECT(once.trace_hash != run(seed + 1000).trace_hash);
    }
}

static struct selection all_of(const struct sim_outcome *o)
{
    struct selection all = { { .chosen = true }, { .chosen = true } };
    for (uint32_t n = 1; n <= o->faults; n++)
        selection_add(&all.faults, n);
    for (uint32_t r = 0; r < SIM_ROWS_MAX; r++) {
        for (uint32_t c = 0; c < SIM_CLIENTS_MAX; c++) {
            for (uint32_t n = 1; n <= o->drawn[r][c]; n++)
                selection_add(&all.commands, selection_command(r, c, n));
        }
    }
    return all;
}

TEST(a_world_of_all_its_commands_and_faults_is_the_same_world)
{
    for (uint64_t seed = 201; seed <= 206; seed++) {
        struct sim_outcome once = run(seed), again;
        struct sim_options listed = { .seed = seed, .only = all_of(&once) };
        sim_run(&listed, &again);
        selection_release(&listed.only.commands);
        selection_release(&listed.only.faults);
        EXPECT_EQ(once.trace_hash, again.trace_hash);
        EXPECT(again.commands > 0);
    }
}

TEST(a_world_of_no_commands_and_no_faults_is_quiet)
{
    struct sim_options options = { .seed = 204,
                                   .only = { { .chosen = true }, { .chosen = true } } };
    struct sim_outcome quiet;
    sim_run(&options, &quiet);
    EXPECT(quiet.held);
    EXPECT(quiet.steps > 0);
    EXPECT_EQ(quiet.crashes, 0);
}

/* The lines of a world; the caller frees them. */
static char *trace_of(uint64_t seed)
{
    char *text = NULL;
    size_t len = 0;
    FILE *trace = open_memstream(&text, &len);
    struct sim_options options = { .seed = seed, .trace = trace };
    struct sim_outcome outcome;
    sim_run(&options, &outcome);
    fclose(trace);
    return text;
}

TEST(a_trace_shows_a_group_in_one_line_with_the_answer_to_all_of_it)
{
    size_t groups = 0;
    for (uint64_t seed = 301; groups == 0 && seed < 400; seed++) {
        char *text = trace_of(seed);
        EXPECT(!strstr(text, "QUEUED"));
        EXPECT(!strstr(text, "EXEC -> OK"));
        for (const char *at = text; (at = strstr(at, "; EXEC -> [")) != NULL; at++)
            groups++;
        free(text);
    }
    EXPECT(groups > 0);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
