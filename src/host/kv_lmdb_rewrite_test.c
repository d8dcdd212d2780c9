#define _GNU_SOURCE /* memmem */

/* A store that is written anew: what is gone then, who reads meanwhile, crashes and full disks. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "env/kv_trial.h"
#include "host/kv_lmdb_trial.h"

enum { ROWS = 2000 };

static struct kv_rewritten done;

/* Whether the bytes stand anywhere in a file of the store's. */
static bool has(const char *bytes)
{
    struct buffer content = { 0 };
    FILE *file = fopen(in(path, "data.mdb"), "r");
    size_t len = 1, want = strlen(bytes);
    while (file != NULL && len > 0) {
        len = fread(buffer_room(&content, 1 << 20), 1, 1 << 20, file);
        content.len += len;
    }
    bool found = memmem(content.at, content.len, bytes, want) != NULL;
    buffer_release(&content);
    fclose(file);
    return found;
}

static bool is_there(const char *name)
{
    struct stat status;
    return stat(in(path, name), &status) == 0;
}

static struct span row_of(unsigned i, char *room)
{
    return span_of(room, (size_t)snprintf(room, 16, "row:%05u", i));
}

/* Rows whose values are the word, over and over, of many lengths. */
static bool put_words(const char *word)
{
    struct kv_txn *txn;
    char room[16], value[3000];
    if (k.kv.ops->begin(&k.kv, true, detail, &txn) != E_OK)
        return false;
    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = word[i % strlen(word)];
    for (unsigned i = 0; i < ROWS; i++) {
        struct span words = span_of(value, i * 37 % sizeof(value));
        if (k.kv.ops->put(txn, KV_OBJECTS, row_of(i, room), words) != E_OK)
            return false;
    }
    return k.kv.ops->commit(txn) == E_OK;
}

static int rewrite(void)
{
    return k.kv.ops->rewrite(&k.kv, kv_trial_goes_on, &(bool){ true }, detail, &done);
}

TEST(what_was_removed_is_in_no_byte_of_the_file)
{
    EXPECT(begin());
    EXPECT(put_words("erased") && put_words("stays"));
    EXPECT(has("erased") && has("stays"));
    EXPECT_EQ(rewrite(), E_OK);
    EXPECT_EQ(done.rows, ROWS);
    EXPECT(!has("erased") && has("stays"));
    EXPECT(put_words("later"));
    EXPECT(!has("erased") && has("later"));
    EXPECT(is_there("lock.mdb") && !is_there("next"));
    EXPECT(k.map != NULL && k.kv.ops->bytes(&k.kv) > 0);
    kv_lmdb_close(&k);
    EXPECT_EQ(kv_lmdb_open(&k, path, false, problem), E_OK);
    EXPECT_EQ(rewrite(), E_OK);
    EXPECT(!has("stays") && has("later"));
    EXPECT(kv_trial_leave(&k.kv, 5) && kv_trial_found(&k.kv, 5));
    end();
}

/* Lets go of the reader when it is asked a second time. */
struct letting_go {
    struct kv_txn *reader;
    unsigned asked;
};

static bool let_go(void *context)
{
    struct letting_go *l = context;
    if (++l->asked == 3) /* once it was read, and then while it waits */
        k.kv.ops->reset(l->reader);
    return l->asked < 100;
}

TEST(the_exchange_waits_until_nobody_sees)
{
    struct letting_go l = { 0 };
    struct kv_txn *rests;
    struct kv_trial_state state = { 0 };
    for (int table = 0; table < KV_TABLES; table++)
        for (unsigned i = 0; i < KV_TRIAL_KEYS; i++)
            state.seeds[table][i] = 5 + i;
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    EXPECT_EQ(k.kv.ops->begin(&k.kv, false, NULL, &l.reader), E_OK);
    EXPECT_EQ(k.kv.ops->begin(&k.kv, false, NULL, &rests), E_OK);
    k.kv.ops->reset(rests);
    EXPECT_EQ(k.kv.ops->rewrite(&k.kv, let_go, &l, detail, &done), E_OK);
    EXPECT(l.asked >= 3);
    EXPECT_EQ(k.kv.ops->renew(l.reader), E_OK);
    EXPECT_EQ(k.kv.ops->renew(rests), E_OK);
    EXPECT(kv_trial_holds(&k.kv, l.reader, &state) && kv_trial_holds(&k.kv, rests, &state));
    EXPECT(kv_trial_leave(&k.kv, 6)); /* and what they see stays */
    EXPECT(kv_trial_holds(&k.kv, l.reader, &state) && kv_trial_holds(&k.kv, rests, &state));
    k.kv.ops->abort(l.reader);
    k.kv.ops->abort(rests);
    EXPECT(kv_trial_found(&k.kv, 6));
    end();
}

TEST(who_sees_for_ever_is_told_of_by_giving_up)
{
    struct kv_txn *reader;
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    EXPECT_EQ(k.kv.ops->begin(&k.kv, false, NULL, &reader), E_OK);
    EXPECT_EQ(k.kv.ops->rewrite(&k.kv, kv_trial_goes_on, &(bool){ false }, detail, &done), E_BUSY);
    EXPECT_TEXT(span_str(detail), "checkpoint/data.mdb: the rewrite was given up");
    EXPECT(!is_there("next"));
    k.kv.ops->abort(reader);
    EXPECT(kv_trial_found(&k.kv, 5) && kv_trial_leave(&k.kv, 6));
    EXPECT_EQ(rewrite(), E_OK);
    EXPECT(kv_trial_found(&k.kv, 6));
    end();
}

/* --- another process --- */

static int told[2], asked[2]; /* pipes */

static bool reads_over_an_exchange(void)
{
    struct kv_lmdb second;
    struct kv_trial_state state;
    struct kv_txn *txn;
    char byte = 0;
    for (int table = 0; table < KV_TABLES; table++)
        for (unsigned i = 0; i < KV_TRIAL_KEYS; i++)
            state.seeds[table][i] = 5 + i;
    if (kv_lmdb_open(&second, path, true, problem) != E_OK ||
        second.kv.ops->begin(&second.kv, false, NULL, &txn) != E_OK)
        return false;
    bool good = write(told[1], &byte, 1) == 1 && read(asked[0], &byte, 1) == 1 &&
                kv_trial_holds(&second.kv, txn, &state);
    second.kv.ops->abort(txn);
    good = good && kv_trial_found(&second.kv, 5); /* the old file, which nobody writes */
    kv_lmdb_close(&second);
    return good && kv_lmdb_open(&second, path, true, problem) == E_OK &&
           kv_trial_found(&second.kv, 8);
}

TEST(another_process_that_reads_the_old_file_is_not_disturbed)
{
    char byte = 0;
    int status = -1;
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    EXPECT(pipe(told) == 0 && pipe(asked) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(reads_over_an_exchange() ? 0 : 1);
    EXPECT_EQ(read(told[0], &byte, 1), 1);
    EXPECT_EQ(rewrite(), E_OK);
    for (uint32_t seed = 6; seed <= 8; seed++)
        EXPECT(kv_trial_leave(&k.kv, seed));
    EXPECT_EQ(write(asked[1], &byte, 1), 1);
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    for (int i = 0; i < 2; i++) {
        close(told[i]);
        close(asked[i]);
    }
    end();
}

/* --- crashes --- */

static bool dies(void *context)
{
    unsigned *after = context;
    if ((*after)-- == 0)
        _exit(0);
    return true;
}

static unsigned batches;

static bool dies_in_a_rewrite(void)
{
    struct kv_lmdb second;
    struct kv_txn *txn;
    if (kv_lmdb_open(&second, path, false, problem) != E_OK ||
        second.kv.ops->begin(&second.kv, false, NULL, &txn) != E_OK)
        return false;
    second.kv.ops->rewrite(&second.kv, dies, &batches, NULL, &done); /* at last while it waits */
    return false;
}

TEST(a_crash_during_a_rewrite_leaves_the_old_file)
{
    EXPECT(begin());
    for (char c = '0'; c < '9'; c++) { /* 9 MB, and so some batches */
        struct kv_txn *txn;
        char name[] = { 'b', 'i', 'g', c, 0 };
        EXPECT_EQ(k.kv.ops->begin(&k.kv, true, detail, &txn), E_OK);
        EXPECT_EQ(k.kv.ops->put(txn, KV_PIECES, span_str(name), span_of(large, sizeof(large))),
                  E_OK);
        EXPECT_EQ(k.kv.ops->commit(txn), E_OK);
    }
    for (batches = 0; batches < 5; batches++) {
        struct kv_txn *txn;
        struct span value;
        kv_lmdb_close(&k);
        EXPECT(apart(dies_in_a_rewrite));
        EXPECT(is_there("next"));
        EXPECT_EQ(kv_lmdb_open(&k, path, false, problem), E_OK);
        EXPECT(!is_there("next"));
        EXPECT_EQ(k.kv.ops->begin(&k.kv, false, NULL, &txn), E_OK);
        EXPECT_EQ(k.kv.ops->get(txn, KV_PIECES, span_str("big8"), &value), E_OK);
        EXPECT(span_equal(value, span_of(large, sizeof(large))));
        k.kv.ops->abort(txn);
    }
    EXPECT_EQ(rewrite(), E_OK);
    end();
}

/* As a crash between the renames, and after them, would leave it. */
TEST(a_crash_during_the_exchange_leaves_one_of_them)
{
    char lock[160], data[160];
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    for (int renamed = 0; renamed <= 2; renamed++) {
        kv_lmdb_close(&k);
        snprintf(lock, sizeof(lock), "%s/next/lock.mdb", path);
        snprintf(data, sizeof(data), "%s/next/data.mdb", path);
        EXPECT_EQ(mkdir(in(path, "next"), 0700), 0);
        EXPECT_EQ(rename(in(path, "data.mdb"), data), 0);
        EXPECT_EQ(rename(in(path, "lock.mdb"), lock), 0);
        EXPECT_EQ(kv_lmdb_open(&k, in(path, "next"), false, problem), E_OK); /* the same, to copy */
        EXPECT_EQ(kv_lmdb_copy(&k, in(path, "data.mdb"), problem), E_OK);
        kv_lmdb_close(&k);
        if (renamed > 0)
            EXPECT_EQ(rename(lock, in(path, "lock.mdb")), 0);
        if (renamed > 1)
            EXPECT_EQ(rename(data, in(path, "data.mdb")), 0);
        EXPECT_EQ(kv_lmdb_open(&k, path, false, problem), E_OK);
        EXPECT(!is_there("next"));
        EXPECT(kv_trial_found(&k.kv, 5) && kv_trial_leave(&k.kv, 5));
    }
    end();
}

static bool put_file(const char *from, const char *name)
{
    char file[160];
    snprintf(file, sizeof(file), "%s", in(root, from));
    return rename(file, in(path, name)) == 0;
}

static bool make_file(const char *name)
{
    FILE *file = fopen(in(root, name), "w");
    return file != NULL && fclose(file) == 0;
}

static bool copies_what_a_crash_left(void)
{
    struct kv_lmdb second;
    struct stat status;
    if (kv_lmdb_open(&second, path, true, problem) != E_OK ||
        kv_lmdb_copy(&second, in(root, "data"), problem) != E_OK || !make_file("lock") ||
        !put_file("lock", "lock.mdb"))
        return false;
    bool refused = kv_lmdb_copy(&second, in(root, "copy"), problem) == E_BUSY &&
                   stat(in(root, "copy"), &status) != 0;
    bool good = put_file("data", "data.mdb") && /* as after the second rename */
                kv_lmdb_copy(&second, in(root, "copy"), problem) == E_OK;
    kv_lmdb_close(&second);
    return refused && good && unlink(in(root, "copy")) == 0;
}

TEST(a_copy_of_data_whose_lock_was_replaced_alone_is_refused)
{
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    kv_lmdb_close(&k);
    EXPECT(apart(copies_what_a_crash_left));
    EXPECT_EQ(kv_lmdb_open(&k, path, false, problem), E_OK);
    EXPECT(kv_trial_found(&k.kv, 5));
    end();
}

/* --- disks --- */

static bool survives_a_full_disk(void)
{
    struct rlimit limit;
    struct stat fresh;
    if (kv_lmdb_open(&k, in(root, "fresh"), false, problem) != E_OK ||
        stat(in(root, "fresh/data.mdb"), &fresh) != 0)
        return false;
    kv_lmdb_close(&k);
    if (kv_lmdb_open(&k, path, false, problem) != E_OK || getrlimit(RLIMIT_FSIZE, &limit) != 0)
        return false;
    rlim_t usual = limit.rlim_cur;
    signal(SIGXFSZ, SIG_IGN);
    limit.rlim_cur = (rlim_t)fresh.st_size; /* nothing more fits */
    bool full = setrlimit(RLIMIT_FSIZE, &limit) == 0 && rewrite() == E_FULL && !is_there("next") &&
                strcmp(detail, "next/data.mdb: commit: File too large") == 0;
    limit.rlim_cur = usual;
    return full && setrlimit(RLIMIT_FSIZE, &limit) == 0 && has("erased") && put_words("later") &&
           rewrite() == E_OK && !has("erased") && has("later");
}

TEST(a_full_disk_leaves_the_old_file_and_no_other)
{
    EXPECT(begin());
    EXPECT(put_words("erased") && put_words("stays"));
    kv_lmdb_close(&k);
    EXPECT(apart(survives_a_full_disk));
    unlink(in(root, "fresh/data.mdb"));
    unlink(in(root, "fresh/lock.mdb"));
    rmdir(in(root, "fresh"));
    end();
}

TEST(a_damaged_store_is_not_written_anew)
{
    struct kv_txn *txn;
    struct span key = { 0 }, value;
    EXPECT(begin());
    EXPECT(put_words("stays"));
    EXPECT_EQ(k.kv.ops->begin(&k.kv, false, NULL, &txn), E_OK);
    EXPECT_EQ(k.kv.ops->seek(txn, KV_OBJECTS, span_str("row:00700"), &key, &value), E_OK);
    uint64_t offset = k.kv.ops->offset(&k.kv, key.at);
    k.kv.ops->abort(txn);
    kv_lmdb_close(&k);
    int fd = open(in(path, "data.mdb"), O_RDWR);
    EXPECT_EQ(pwrite(fd, "a", 1, (off_t)offset), 1);
    EXPECT_EQ(kv_lmdb_open(&k, path, false, problem), E_OK);
    EXPECT_EQ(rewrite(), E_CORRUPT);
    EXPECT(strstr(detail, "checkpoint/data.mdb: ") == detail);
    EXPECT(!is_there("next") && is_there("data.mdb"));
    EXPECT_EQ(pwrite(fd, "r", 1, (off_t)offset), 1);
    EXPECT_EQ(rewrite(), E_OK);
    close(fd);
    end();
}

TEST(after_a_failed_commit_nothing_is_written_anew)
{
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    EXPECT_EQ(fail_to_commit(), E_IO);
    EXPECT_EQ(rewrite(), E_IO);
    EXPECT(kv_trial_found(&k.kv, 5));
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
