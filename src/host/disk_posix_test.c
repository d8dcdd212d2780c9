#include "host/disk_posix.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/test.h"
#include "store/oplog.h"

static char root[64]; /* a new, empty directory */
static char path[96]; /* root/data, not there yet */
static struct disk_posix d;

static bool begin(void)
{
    snprintf(root, sizeof root, "/tmp/meridian_disk_XXXXXX");
    bool made = mkdtemp(root) != NULL;
    snprintf(path, sizeof path, "%s/data", root);
    return made;
}

static void remove_name(void *context, const char *name)
{
    (void)context;
    d.disk.ops->remove(&d.disk, name);
}

/* Closes the disk and takes its directory away. */
static void end(void)
{
    char lock[128];
    if (d.directory < 0)
        disk_posix_open(&d, path);
    d.disk.ops->list(&d.disk, remove_name, NULL);
    disk_posix_close(&d);
    snprintf(lock, sizeof lock, "%s/lock", path);
    unlink(lock);
    rmdir(path);
    rmdir(root);
}

static void count_names(void *context, const char *name)
{
    (void)name;
    ++*(int *)context;
}

static int name_count(void)
{
    int count = 0;
    return d.disk.ops->list(&d.disk, count_names, &count) == E_OK ? count : -1;
}

TEST(files_hold_what_was_written)
{
    struct disk_file *file;
    struct buffer out = { 0 };
    uint64_t bytes;
    EXPECT(begin());
    EXPECT_EQ(disk_posix_open(&d, path), E_OK);
    EXPECT_EQ(d.disk.ops->open(&d.disk, "a", false, &file), E_MISSING);
    EXPECT_SPAN(span_str(d.disk.detail), span_str("a: open: No such file or directory"));
    EXPECT_EQ(d.disk.ops->open(&d.disk, "a", true, &file), E_OK);
    EXPECT_EQ(d.disk.ops->allocate(&d.disk, file, 10000), E_OK);
    EXPECT_EQ(d.disk.ops->allocate(&d.disk, file, 100), E_OK);
    EXPECT_EQ(d.disk.ops->size(&d.disk, file, &bytes), E_OK);
    EXPECT_EQ(bytes, 10000);
    EXPECT_EQ(d.disk.ops->write(&d.disk, file, 3, span_str("hello")), E_OK);
    EXPECT_EQ(d.disk.ops->sync(&d.disk, file), E_OK);
    EXPECT_EQ(d.disk.ops->sync_names(&d.disk), E_OK);
    EXPECT_EQ(d.disk.ops->read(&d.disk, file, 1, 8, &out), E_OK);
    EXPECT_SPAN(buffer_span(&out), span_of("\0\0hello\0", 8));
    EXPECT_EQ(d.disk.ops->read(&d.disk, file, 9999, 100, &out), E_OK);
    EXPECT_EQ(out.len, 9);
    EXPECT_EQ(d.disk.ops->truncate(&d.disk, file, 4), E_OK);
    EXPECT_EQ(d.disk.ops->allocate(&d.disk, file, 6), E_OK);
    buffer_clear(&out);
    EXPECT_EQ(d.disk.ops->read(&d.disk, file, 0, 100, &out), E_OK);
    EXPECT_SPAN(buffer_span(&out), span_of("\0\0\0h\0\0", 6));
    d.disk.ops->close(&d.disk, file);
    buffer_release(&out);
    end();
}

TEST(names_are_renamed_removed_and_listed)
{
    struct disk_file *file;
    EXPECT(begin());
    EXPECT_EQ(disk_posix_open(&d, path), E_OK);
    EXPECT_EQ(name_count(), 0);
    EXPECT_EQ(d.disk.ops->open(&d.disk, "a", true, &file), E_OK);
    d.disk.ops->close(&d.disk, file);
    EXPECT_EQ(d.disk.ops->open(&d.disk, "b", true, &file), E_OK);
    d.disk.ops->close(&d.disk, file);
    EXPECT_EQ(name_count(), 2);
    EXPECT_EQ(d.disk.ops->rename(&d.disk, "a", "b"), E_OK);
    EXPECT_EQ(name_count(), 1);
    EXPECT_EQ(d.disk.ops->rename(&d.disk, "a", "b"), E_MISSING);
    EXPECT_EQ(d.disk.ops->remove(&d.disk, "b"), E_OK);
    EXPECT_EQ(d.disk.ops->remove(&d.disk, "b"), E_MISSING);
    EXPECT_EQ(name_count(), 0);
    end();
}

TEST(a_full_disk_is_named)
{
    struct disk_file *file;
    char link[128];
    EXPECT(begin());
    EXPECT_EQ(disk_posix_open(&d, path), E_OK);
    snprintf(link, sizeof link, "%s/full", path);
    EXPECT_EQ(symlink("/dev/full", link), 0);
    EXPECT_EQ(d.disk.ops->open(&d.disk, "full", false, &file), E_OK);
    EXPECT_EQ(d.disk.ops->write(&d.disk, file, 8192, span_str("x")), E_FULL);
    EXPECT_SPAN(span_str(d.disk.detail), span_str("full: write at 8192: No space left on device"));
    d.disk.ops->close(&d.disk, file);
    end();
}

TEST(a_directory_has_one_owner_at_a_time)
{
    struct disk_posix second;
    char want[256];
    struct stat status;
    EXPECT(begin());
    EXPECT_EQ(disk_posix_open(&d, path), E_OK);
    EXPECT_EQ(stat(path, &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0700);
    EXPECT_EQ(disk_posix_open(&second, path), E_BUSY);
    snprintf(want, sizeof want,
             "%s: in use by process %ld: stop that one, or name another data directory", path,
             (long)getpid());
    EXPECT_SPAN(span_str(second.disk.detail), span_str(want));
    disk_posix_close(&d);
    EXPECT_EQ(disk_posix_open(&second, path), E_OK);
    disk_posix_close(&second);
    disk_posix_close(&second);
    end();
}

TEST(the_lock_of_a_killed_process_is_free)
{
    EXPECT(begin());
    pid_t child = fork();
    if (child == 0)
        _exit(disk_posix_open(&d, path) == E_OK ? 0 : 1); /* without closing */
    int status;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(disk_posix_open(&d, path), E_OK);
    end();
}

TEST(what_is_no_directory_is_refused_in_one_line)
{
    char want[256];
    EXPECT(begin());
    FILE *file = fopen(path, "w");
    EXPECT(file != NULL);
    fclose(file);
    EXPECT_EQ(disk_posix_open(&d, path), E_FORMAT);
    snprintf(want, sizeof want, "%s: not a directory: name another place for the data", path);
    EXPECT_SPAN(span_str(d.disk.detail), span_str(want));
    unlink(path);
    snprintf(path, sizeof path, "%s/no/data", root);
    EXPECT_EQ(disk_posix_open(&d, path), E_MISSING);
    EXPECT(strstr(d.disk.detail, "create the data directory: No such file") != NULL);
    rmdir(root);
}

static int count_record(void *context, const struct record *record)
{
    (void)record;
    ++*(int *)context;
    return E_OK;
}

TEST(a_log_lives_in_real_files)
{
    struct oplog oplog;
    struct oplog_report report;
    const struct oplog_options options = { .deployment = "shop",
                                           .region = 1,
                                           .segment_bytes = 16384 };
    int replayed = 0;
    EXPECT(begin());
    EXPECT_EQ(disk_posix_open(&d, path), E_OK);
    EXPECT_EQ(oplog_open(&oplog, &d.disk, &options, count_record, &replayed, &report), E_OK);
    uint8_t record[RECORD_HEADER_BYTES + 1000] = { 0 };
    for (int i = 0; i < 50; i++) {
        record_seal(record, 1000, oplog.end_lsn, oplog.durable_lsn);
        EXPECT_EQ(oplog_append(&oplog, span_of(record, sizeof record)), E_OK);
    }
    EXPECT_EQ(oplog_sync(&oplog), E_OK);
    oplog_close(&oplog);
    EXPECT_EQ(replayed, 0);
    EXPECT_EQ(name_count(), 4);
    EXPECT_EQ(oplog_open(&oplog, &d.disk, &options, count_record, &replayed, &report), E_OK);
    EXPECT_EQ(replayed, 50);
    EXPECT_EQ(report.cut_bytes, 0);
    EXPECT_EQ(oplog.durable_lsn, 50 * 1020);
    oplog_close(&oplog);
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
