#include "sim/shrink.h"

#include "base/test.h"

/* Worlds that fail by a rule instead of being run: six commands of each of two clients in three
 * regions, and five faults. */
struct rule {
    uint64_t commands[3]; /* all of these, 0: none, */
    uint64_t fault;       /* and this one */
    uint32_t regions;     /* at least */
    uint32_t other_kind;  /* with this fault it fails in another way */
    uint32_t runs, runs_max;
};

static bool happens(const struct sim_options *o, uint64_t command)
{
    return selection_has(&o->only.commands, command) &&
           (o->regions == 0 || command >> 40 < o->regions) &&
           (o->clients == 0 || (command >> 32 & 0xff) < o->clients);
}

static bool attempt(void *context, const struct sim_options *o, struct sim_outcome *outcome)
{
    struct rule *rule = context;
    bool fails = o->regions == 0 || o->regions >= rule->regions;
    for (int i = 0; i < 3; i++)
        fails = fails && (rule->commands[i] == 0 || happens(o, rule->commands[i]));
    fails = fails && (rule->fault == 0 || selection_has(&o->only.faults, rule->fault));
    *outcome = (struct sim_outcome){ .held = !fails, .steps = 36, .faults = 5 };
    outcome->regions = o->regions ? o->regions : 3;
    outcome->clients = o->clients ? o->clients : 2;
    bool other = rule->other_kind != 0 && !selection_has(&o->only.faults, rule->other_kind);
    snprintf(outcome->kind, sizeof(outcome->kind), "%s", other ? "another" : "one");
    for (uint32_t r = 0; r < outcome->regions; r++) {
        for (uint32_t c = 0; c < outcome->clients; c++)
            outcome->drawn[r][c] = 6;
    }
    return ++rule->runs < rule->runs_max;
}

/* What is left, as "commands / faults / regions". */
static void expect_left(struct rule *rule, const char *expected)
{
    struct sim_options options = { .seed = 1 };
    struct sim_outcome failed;
    struct shrink s;
    struct buffer left = { 0 };
    if (rule->runs_max == 0)
        rule->runs_max = UINT32_MAX;
    attempt(rule, &options, &failed);
    shrink_init(&s, &options, &failed, attempt, rule);
    shrink_run(&s);
    selection_put_commands(&left, &s.options.only.commands);
    buffer_put_text(&left, " / ");
    selection_put_faults(&left, &s.options.only.faults);
    buffer_printf(&left, " / %u", s.outcome.regions);
    test_equal_span(__FILE__, __LINE__, "left", "expected", buffer_span(&left), span_str(expected));
    buffer_release(&left);
    shrink_release(&s);
}

TEST(only_what_is_needed_is_left)
{
    struct rule rule = {
        .commands = { selection_command(0, 0, 3), selection_command(0, 1, 6),
                      selection_command(1, 1, 1) },
        .fault = 4,
    };
    expect_left(&rule, "1.0:3,1.1:6,2.1:1 / 4 / 2");
}

TEST(regions_that_are_needed_stay)
{
    struct rule rule = { .commands = { selection_command(2, 0, 2) }, .regions = 3 };
    expect_left(&rule, "3.0:2 / none / 3");
}

TEST(a_failure_of_another_kind_is_not_followed)
{
    struct rule rule = { .commands = { selection_command(0, 0, 1) }, .other_kind = 2 };
    expect_left(&rule, "1.0:1 / 2 / 2");
}

TEST(when_time_is_over_the_shortest_so_far_is_kept)
{
    struct rule rule = { .commands = { selection_command(0, 0, 1) }, .runs_max = 3 };
    expect_left(&rule, "1.0:1-6,1.1:1-6,2.0:1-6,2.1:1-6,3.0:1-6,3.1:1-6 / none / 3");
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
