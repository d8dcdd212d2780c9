/* Log that is kept for the next back-up, and when it is not. */
#include "store/hold.h"

#include "base/error.h"
#include "base/test.h"
#include "sim/disk.h"
#include "store/marker.h"

static struct sim_disk d;

TEST(log_from_the_hold_on_stays)
{
    sim_disk_init(&d, 1);
    EXPECT_EQ(hold_limit(&d.disk, 100, 1000), 100);
    EXPECT_EQ(hold_write(&d.disk, &(struct hold){ .lsn = 50, .most_bytes = 2000 }), E_OK);
    EXPECT_EQ(hold_limit(&d.disk, 100, 1000), 50);
    EXPECT_EQ(hold_limit(&d.disk, 40, 1000), 40);
    EXPECT_EQ(hold_write(&d.disk, &(struct hold){ .lsn = 90, .most_bytes = 2000 }), E_OK);
    EXPECT_EQ(hold_limit(&d.disk, 100, 1000), 90);
    sim_disk_release(&d);
}

TEST(a_hold_that_costs_too_much_is_void)
{
    sim_disk_init(&d, 1);
    EXPECT_EQ(hold_write(&d.disk, &(struct hold){ .lsn = 50, .most_bytes = 2000 }), E_OK);
    EXPECT_EQ(hold_limit(&d.disk, 100, 2050), 50);
    EXPECT_EQ(hold_limit(&d.disk, 100, 2051), 100);
    sim_disk_release(&d);
}

TEST(a_damaged_hold_holds_nothing)
{
    for (uint64_t offset = 0; offset < 20; offset++) {
        sim_disk_init(&d, 1);
        EXPECT_EQ(hold_write(&d.disk, &(struct hold){ .lsn = 50, .most_bytes = 2000 }), E_OK);
        sim_disk_flip(&d, "hold", offset, 3);
        EXPECT_EQ(hold_limit(&d.disk, 100, 1000), 100);
        sim_disk_release(&d);
    }
    sim_disk_init(&d, 1);
    EXPECT_EQ(hold_write(&d.disk, &(struct hold){ .lsn = 50, .most_bytes = 2000 }), E_OK);
    sim_disk_cut(&d, "hold", 19);
    EXPECT_EQ(hold_limit(&d.disk, 100, 1000), 100);
    sim_disk_release(&d);
}

TEST(the_old_log_of_a_bootstrapped_region_goes)
{
    struct marker marker = { .end_lsn = 80 };
    char problem[MARKER_PROBLEM_MAX];
    sim_disk_init(&d, 1);
    EXPECT_EQ(hold_write(&d.disk, &(struct hold){ .lsn = 50, .most_bytes = 2000 }), E_OK);
    EXPECT_EQ(marker_write(&d.disk, &marker, problem), E_OK);
    EXPECT_EQ(hold_limit(&d.disk, 100, 1000), 100);
    EXPECT_EQ(marker_remove(&d.disk, problem), E_OK);
    EXPECT_EQ(hold_limit(&d.disk, 100, 1000), 50);
    sim_disk_release(&d);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
