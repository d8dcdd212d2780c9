/* Keys that leave memory, come back, and are removed. */
#include "crdt/resident_trial.h"

TEST(a_key_that_left_comes_back_as_it_was)
{
    begin();
    set(1, "one");
    EXPECT(!evict(0, 1)); /* the disk has not got it */
    copy_all(0);
    EXPECT(evict(0, 1));
    EXPECT(!is_resident(0, 1));
    EXPECT_EQ(database_size(&databases[0]), 1);
    EXPECT_GET(1, "one");
    EXPECT(is_resident(0, 1));
    EXPECT_EQ(databases[0].colds.keys, 0);
    set(1, "two");
    EXPECT(!evict(0, 1)); /* the disk has an older one */
    EXPECT_GET(2, "(nil)");
    end();
}

TEST(an_op_on_a_cold_key_finds_it)
{
    begin();
    write_by(0, 1, SELF, "one", 0);
    copy_all(0);
    EXPECT(evict(0, 1));
    write_by(0, 1, 2, "of another", 0);
    EXPECT_EQ(database_contested(&databases[0]), 1);
    copy_all(0);
    EXPECT(evict(0, 1));
    EXPECT_EQ(database_contested(&databases[0]), 1);
    del(1);
    EXPECT_EQ(database_contested(&databases[0]), 0);
    EXPECT_GET(1, "of another");
    end();
}

TEST(a_removed_key_stays_removed_whatever_the_disk_has)
{
    begin();
    set(1, "one");
    copy_all(0);
    EXPECT(evict(0, 1));
    del(1);
    EXPECT_EQ(database_size(&databases[0]), 0);
    EXPECT_GET(1, "(nil)");
    set(1, "again");
    EXPECT_GET(1, "again");
    del(1);
    EXPECT_GET(1, "(nil)");
    copy_all(0);
    EXPECT(!disk[0][1].there);
    EXPECT_GET(1, "(nil)");
    set(1, "last");
    copy_all(0);
    EXPECT(evict(0, 1));
    EXPECT_GET(1, "last");
    end();
}

TEST(what_the_disk_does_not_give_is_damage)
{
    begin();
    set(1, "one");
    copy_all(0);
    EXPECT(evict(0, 1));
    broken = true;
    EXPECT_GET(1, "(nil)");
    EXPECT_EQ(databases[0].damage, E_CORRUPT);
    end();
}

TEST(a_record_of_nothing_is_damage)
{
    begin();
    set(1, "one");
    copy_all(0);
    EXPECT(evict(0, 1));
    buffer_clear(&disk[0][1].piece);
    buffer_put_bytes(&disk[0][1].piece, "\1\0\0", 3);
    EXPECT_GET(1, "(nil)");
    EXPECT_EQ(databases[0].damage, E_CORRUPT);
    end();
}

/* An op that comes all the same is not applied to nothing: what is then found would be wrong. */
TEST(a_key_that_an_op_could_not_be_applied_to_is_lost_until_a_restart)
{
    begin();
    set(1, "one");
    set(2, "two");
    copy_all(0);
    EXPECT(evict(0, 1) && evict(0, 2));
    broken = true;
    EXPECT_GET(2, "(nil)"); /* this time */
    write_by(0, 1, 2, "of another", 0);
    EXPECT_EQ(databases[0].lost.count, 1);
    broken = false;
    databases[0].damage = E_OK;
    EXPECT_GET(2, "two");
    EXPECT_EQ(databases[0].damage, E_OK);
    for (int i = 0; i < 2; i++) {
        databases[0].damage = E_OK;
        EXPECT_GET(1, "(nil)");
        EXPECT_EQ(databases[0].damage, E_CORRUPT);
        write_by(0, 1, 2, "and again", 0);
    }
    EXPECT(!is_resident(0, 1));
    EXPECT_EQ(databases[0].lost.count, 1);
    EXPECT_EQ(database_size(&databases[0]), 2);
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
