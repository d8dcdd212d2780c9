/* Regions that begin with an empty directory: what they answer before they know what others hold. */
#include "node/meeting.h"

static bool loads(size_t i)
{
    return world.machines[i].node.server.loading != NULL;
}

static void run_for(uint64_t us)
{
    uint64_t until = world.now_us + us;
    while (world.now_us < until)
        run(1);
}

TEST(regions_of_a_new_deployment_serve_when_they_have_met)
{
    world_start(3, test_seed());
    for (size_t i = 0; i < 3; i++)
        EXPECT(loads(i));
    for (int t = 0; t < 20000 && !all_up(); t++)
        run(1);
    EXPECT(all_up());
    run(30); /* a turn of each */
    for (size_t i = 0; i < 3; i++)
        EXPECT(!loads(i));
    EXPECT(world.now_us < START_US + NEWCOMER_US);
    world_end();
}

TEST(a_region_whose_peers_are_not_there_serves_at_once)
{
    world_start(3, test_seed());
    world.machines[1].dead = world.machines[2].dead = true;
    run(30);
    EXPECT(!loads(0));
    world_end();
}

TEST(a_region_alone_in_its_deployment_serves_at_once)
{
    world_start(1, test_seed());
    EXPECT(!loads(0));
    world_end();
}

TEST(peers_that_do_not_answer_are_waited_for_a_while)
{
    world_start(2, test_seed());
    world.held_up[0][1] = world.held_up[1][0] = 1000000;
    run_for(NEWCOMER_US - 200 * 1000);
    EXPECT(loads(0) && loads(1));
    run_for(400 * 1000);
    EXPECT(!loads(0) && !loads(1));
    world_end();
}

/* A region that joins, or whose disk was lost, never answers as if nothing had been written. */
TEST(an_empty_region_serves_when_it_has_what_its_peers_hold)
{
    world_start(3, test_seed());
    world.machines[2].dead = true;
    run_writing(3000, 300);
    for (int t = 0; t < 60000 && !vector_equal(&world.machines[0].node.replica.last_op,
                                               &world.machines[1].node.replica.last_op);
         t++)
        run(1);
    struct vector held;
    vector_copy(&held, &world.machines[0].node.replica.last_op);
    world.machines[2].dead = false;
    restart(2, 2, false);
    EXPECT(loads(2));
    for (int t = 0; t < 60000 && loads(2); t++)
        run(1);
    EXPECT(!loads(2));
    EXPECT(vector_covers(&world.machines[2].node.replica.last_op, &held));
    world_end();
}

TEST(who_holds_something_serves_at_once)
{
    world_start(2, test_seed());
    connect_all();
    run_writing(100, 100);
    EXPECT(converge());
    run(100);
    restart(1, 2, true);
    EXPECT(!loads(1));
    world_end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
