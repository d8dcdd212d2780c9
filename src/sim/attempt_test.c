#define _GNU_SOURCE

#include "sim/attempt.h"

#include <string.h>

#include "base/check.h"
#include "base/test.h"

TEST(a_world_in_a_process_of_its_own_is_the_same_world)
{
    struct sim_options options = { .seed = 11, .steps = 60 };
    struct sim_outcome here, there;
    sim_run(&options, &here);
    sim_attempt(&options, &there);
    EXPECT(there.held);
    EXPECT_EQ(here.trace_hash, there.trace_hash);
    EXPECT_EQ(here.steps, there.steps);
    EXPECT_EQ(here.faults, there.faults);
}

/* A trace that nobody can write to, in the process of the world only. */
static ssize_t die(void *cookie, const char *bytes, size_t count)
{
    (void)cookie;
    CHECK(count == 0 || bytes == NULL);
    return 0;
}

TEST(a_failed_check_is_an_outcome)
{
    FILE *trace = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = die });
    struct sim_options options = { .seed = 11, .trace = trace };
    struct sim_outcome outcome;
    setvbuf(trace, NULL, _IONBF, 0);
    sim_attempt(&options, &outcome);
    fclose(trace);
    EXPECT(!outcome.held);
    EXPECT(strncmp(outcome.kind, "died: ", strlen("died: ")) == 0);
    EXPECT(strstr(outcome.reason, "check failed: count == 0 || bytes == NULL") != NULL);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
