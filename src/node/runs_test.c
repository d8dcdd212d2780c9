/* Directories that were restored or cloned: who finds it out, and that it is kept. */
#include "node/meeting.h"

static struct node *node_at(size_t i)
{
    return &world.machines[i].node;
}

/* All that was said in the last turns. */
static bool was_said(const char *text)
{
    return strstr(world.last_warning, text) != NULL;
}

static void run_until_amnesiac(size_t i)
{
    for (int turns = 0; !node_at(i)->replica.amnesiac && turns < 20000; turns++)
        run(1);
}

TEST(a_run_that_wrote_nothing_is_known_after_a_restart_of_who_met_it)
{
    world_start(2, test_seed());
    connect_all();
    restart(1, 5, true);
    connect_all();
    restart(0, 2, true);
    restart(1, 3, true); /* its directory is an old copy */
    run_until_amnesiac(1);
    EXPECT(node_at(1)->replica.amnesiac);
    EXPECT(was_said("list 2 under closed"));
    world_end();
}

TEST(amnesia_is_kept_until_the_number_changes)
{
    world_start(2, test_seed());
    restart(1, 5, true);
    connect_all();
    restart(1, 2, true);
    run_until_amnesiac(1);
    run(10);
    EXPECT(world.machines[1].known.amnesiac);
    restart(1, 90, true); /* later than any that was ever met */
    EXPECT(node_at(1)->replica.amnesiac);
    connect_all();
    EXPECT(replica_write_refusal(&node_at(1)->replica) != NULL);
    EXPECT(!node_at(0)->replica.amnesiac);
    world_end();
}

TEST(a_clone_learns_that_it_is_one_and_both_say_so)
{
    world_start(2, test_seed());
    run_writing(300, 100);
    EXPECT(converge());
    restart(1, 5, true);
    connect_all();
    world.machines[1].clone = 500;
    restart(1, 5, true);
    bool told_here = false;
    for (int turns = 0; turns < 20000 && !(told_here && node_at(1)->replica.amnesiac); turns++) {
        run(1);
        told_here |= was_said("a clone of us-east");
    }
    EXPECT(told_here);
    EXPECT(node_at(1)->replica.amnesiac && !node_at(0)->replica.amnesiac);
    run(20000);
    EXPECT(!all_up());
    world_end();
}

/* Restored from a copy, and so often restarted that no run number tells: it writes before it meets
 * anybody. The peer holds another history; nothing of the new one is taken. */
TEST(a_restored_region_that_wrote_before_it_met_anybody_is_told)
{
    world_start(2, test_seed());
    run_writing(300, 100);
    EXPECT(converge());
    size_t copy = world.machines[1].synced;
    run_writing(300, 100);
    EXPECT(converge());
    stamp_t had = vector_get(&node_at(0)->replica.last_op, 2);
    world.machines[0].dead = true;
    restart_with(1, 90, copy);
    run_writing(500, 100);
    EXPECT(vector_get(&node_at(1)->replica.last_op, 2) > had);
    EXPECT(!node_at(1)->replica.amnesiac);
    world.machines[0].dead = false;
    run_until_amnesiac(1);
    EXPECT(node_at(1)->replica.amnesiac);
    EXPECT_EQ(vector_get(&node_at(0)->replica.last_op, 2), had);
    connect_all();
    run(3000);
    EXPECT(all_up()); /* vectors travel on */
    EXPECT(!node_at(0)->replica.amnesiac);
    world_end();
}

/* The peer knows a later run than the one that it meets: what that one wrote meanwhile is not
 * taken, though it fits what is here. */
TEST(what_an_old_copy_wrote_is_not_taken_even_where_it_fits)
{
    world_start(2, test_seed());
    run_writing(300, 100);
    EXPECT(converge());
    size_t copy = world.machines[1].synced;
    restart(1, 9, true);
    connect_all();
    stamp_t had = vector_get(&node_at(0)->replica.last_op, 2);
    world.machines[0].dead = true;
    restart_with(1, 4, copy);
    run_writing(500, 100);
    EXPECT(vector_get(&node_at(1)->replica.last_op, 2) > had);
    world.machines[0].dead = false;
    connect_all();
    run(3000);
    EXPECT(node_at(1)->replica.amnesiac);
    EXPECT_EQ(vector_get(&node_at(0)->replica.last_op, 2), had);
    EXPECT(!node_at(0)->replica.streams[2].forked);
    world_end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
