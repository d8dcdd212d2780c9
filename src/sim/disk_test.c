#include "sim/disk.h"

#include "base/error.h"
#include "base/test.h"

static struct sim_disk d;

static struct disk_file *open_file(const char *name)
{
    struct disk_file *file = NULL;
    int err = d.disk.ops->open(&d.disk, name, true, &file);
    return err ? NULL : file;
}

static int write_text(struct disk_file *file, uint64_t offset, const char *text)
{
    return d.disk.ops->write(&d.disk, file, offset, span_str(text));
}

static void close_file(struct disk_file *file)
{
    d.disk.ops->close(&d.disk, file);
}

TEST(what_is_synced_survives_a_crash)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        sim_disk_init(&d, seed);
        struct disk_file *file = open_file("a");
        EXPECT_EQ(write_text(file, 3, "hello"), E_OK);
        EXPECT_EQ(d.disk.ops->sync(&d.disk, file), E_OK);
        EXPECT_EQ(d.disk.ops->sync_names(&d.disk), E_OK);
        sim_disk_crash(&d);
        EXPECT_SPAN(sim_disk_bytes(&d, "a"), span_of("\0\0\0hello", 8));
        EXPECT_EQ(write_text(file, 0, "x"), E_IO);
        close_file(file);
        sim_disk_release(&d);
    }
}

TEST(what_is_not_synced_survives_whole_torn_or_not)
{
    int whole = 0, none = 0, head = 0, tail = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        sim_disk_init(&d, seed);
        struct disk_file *file = open_file("a");
        d.disk.ops->allocate(&d.disk, file, 4);
        d.disk.ops->sync(&d.disk, file);
        d.disk.ops->sync_names(&d.disk);
        write_text(file, 0, "abcd");
        sim_disk_crash(&d);
        struct span left = sim_disk_bytes(&d, "a");
        EXPECT_EQ(left.len, 4);
        whole += memcmp(left.at, "abcd", 4) == 0;
        none += memcmp(left.at, "\0\0\0\0", 4) == 0;
        head += left.at[0] == 'a' && left.at[3] == 0;
        tail += left.at[0] == 0 && left.at[3] == 'd';
        close_file(file);
        sim_disk_release(&d);
    }
    EXPECT(whole > 40 && none > 40 && head > 10 && tail > 10);
    EXPECT_EQ(whole + none + head + tail, 400);
}

TEST(names_survive_only_when_synced)
{
    int created = 0, renamed = 0, removed = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        sim_disk_init(&d, seed);
        close_file(open_file("old"));
        close_file(open_file("gone"));
        d.disk.ops->sync_names(&d.disk);
        close_file(open_file("new"));
        d.disk.ops->rename(&d.disk, "old", "moved");
        d.disk.ops->remove(&d.disk, "gone");
        EXPECT(d.names != NULL);
        sim_disk_crash(&d);
        struct disk_file *file = NULL;
        created += d.disk.ops->open(&d.disk, "new", false, &file) == E_OK;
        if (file != NULL)
            close_file(file);
        file = NULL;
        int moved = d.disk.ops->open(&d.disk, "moved", false, &file) == E_OK;
        if (file != NULL)
            close_file(file);
        file = NULL;
        int old = d.disk.ops->open(&d.disk, "old", false, &file) == E_OK;
        if (file != NULL)
            close_file(file);
        EXPECT_EQ(moved + old, 1);
        renamed += moved;
        file = NULL;
        removed += d.disk.ops->open(&d.disk, "gone", false, &file) == E_MISSING;
        if (file != NULL)
            close_file(file);
        sim_disk_release(&d);
    }
    EXPECT(created > 20 && created < 80);
    EXPECT(renamed > 20 && renamed < 80);
    EXPECT(removed > 20 && removed < 80);
}

TEST(the_chosen_call_fails_once)
{
    sim_disk_init(&d, 1);
    struct disk_file *file = open_file("a");
    sim_disk_fail(&d, SIM_DISK_WRITE, 2, E_FULL);
    EXPECT_EQ(write_text(file, 0, "1"), E_OK);
    EXPECT_EQ(write_text(file, 1, "2"), E_FULL);
    EXPECT_SPAN(span_str(d.disk.detail), span_str("a: write: no space left on the disk"));
    EXPECT_EQ(write_text(file, 1, "3"), E_OK);
    close_file(file);
    sim_disk_release(&d);
}

TEST(a_failed_sync_is_not_made_good_by_the_next)
{
    int lost = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        sim_disk_init(&d, seed);
        struct disk_file *file = open_file("a");
        d.disk.ops->sync_names(&d.disk);
        write_text(file, 0, "x");
        sim_disk_fail(&d, SIM_DISK_SYNC, 1, E_IO);
        EXPECT_EQ(d.disk.ops->sync(&d.disk, file), E_IO);
        EXPECT_EQ(d.disk.ops->sync(&d.disk, file), E_OK);
        EXPECT_TEXT(sim_disk_bytes(&d, "a"), "x");
        sim_disk_crash(&d);
        lost += sim_disk_bytes(&d, "a").len == 0;
        close_file(file);
        sim_disk_release(&d);
    }
    EXPECT(lost > 20 && lost < 95);
}

TEST(a_dying_disk_takes_nothing_until_the_crash)
{
    sim_disk_init(&d, 1);
    struct disk_file *file = open_file("a");
    d.die_at = d.calls + 1;
    EXPECT_EQ(d.disk.ops->sync(&d.disk, file), E_IO);
    EXPECT_EQ(d.disk.ops->sync_names(&d.disk), E_IO);
    EXPECT_EQ(d.disk.ops->remove(&d.disk, "a"), E_IO);
    close_file(file);
    sim_disk_crash(&d);
    file = open_file("a");
    EXPECT(file != NULL);
    EXPECT_EQ(write_text(file, 0, "1"), E_OK);
    close_file(file);
    sim_disk_release(&d);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
