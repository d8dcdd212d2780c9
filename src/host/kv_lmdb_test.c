#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "env/kv_trial.h"
#include "host/kv_lmdb_trial.h"

static off_t data_bytes(void)
{
    struct stat status;
    return stat(in(path, "data.mdb"), &status) == 0 ? status.st_size : -1;
}

TEST(it_keeps_the_contract_of_a_store)
{
    EXPECT(begin());
    kv_trial_all(&k.kv);
    end();
}

TEST(it_holds_what_was_committed_when_opened_again)
{
    struct stat status;
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    kv_lmdb_close(&k);
    EXPECT_EQ(stat(path, &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0700);
    EXPECT_EQ(stat(in(path, "data.mdb"), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600);
    EXPECT_EQ(kv_lmdb_open(&k, path, false, problem), E_OK);
    EXPECT(kv_trial_found(&k.kv, 5));
    EXPECT(kv_trial_leave(&k.kv, 6));
    EXPECT(kv_trial_found(&k.kv, 6));
    end();
}

static bool dies_while_it_writes(void)
{
    struct kv_txn *txn;
    if (kv_lmdb_open(&k, path, false, problem) != E_OK ||
        k.kv.ops->begin(&k.kv, true, NULL, &txn) != E_OK)
        return false;
    for (unsigned i = 0; i < KV_TRIAL_KEYS; i++)
        kv_trial_put(&k.kv, txn, KV_OBJECTS, i, 1000 + i);
    _exit(0);
}

TEST(a_transaction_that_its_process_did_not_live_to_commit_is_gone)
{
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    kv_lmdb_close(&k);
    EXPECT(apart(dies_while_it_writes));
    EXPECT_EQ(kv_lmdb_open(&k, path, false, problem), E_OK);
    EXPECT(kv_trial_found(&k.kv, 5));
    EXPECT(kv_trial_leave(&k.kv, 6));
    end();
}

static bool finds_it_read_only(void)
{
    struct kv_lmdb second;
    if (kv_lmdb_open(&second, path, true, problem) != E_OK)
        return false;
    bool found = kv_trial_found(&second.kv, 5);
    kv_lmdb_close(&second);
    return found;
}

static bool finds_it(void)
{
    struct kv_lmdb second;
    if (kv_lmdb_open(&second, path, false, problem) != E_OK)
        return false;
    bool found = kv_trial_found(&second.kv, 5);
    kv_lmdb_close(&second);
    return found;
}

TEST(other_processes_read_it_while_it_is_open)
{
    struct kv_txn *writer;
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    EXPECT_EQ(k.kv.ops->begin(&k.kv, true, NULL, &writer), E_OK);
    EXPECT_EQ(k.kv.ops->put(writer, KV_META, span_str("x"), span_str("y")), E_OK);
    EXPECT(apart(finds_it_read_only));
    k.kv.ops->abort(writer);
    EXPECT(apart(finds_it));
    EXPECT(kv_trial_leave(&k.kv, 6));
    EXPECT(!apart(finds_it_read_only));
    end();
}

static bool dies_while_it_reads(void)
{
    struct kv_lmdb second;
    struct kv_txn *txn;
    struct span key, value;
    bool reads = kv_lmdb_open(&second, path, true, problem) == E_OK &&
                 second.kv.ops->begin(&second.kv, false, NULL, &txn) == E_OK &&
                 second.kv.ops->seek(txn, KV_META, span_of(NULL, 0), &key, &value) == E_OK;
    _exit(reads ? 0 : 1);
}

TEST(a_reader_that_died_does_not_make_the_file_grow)
{
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    EXPECT(apart(dies_while_it_reads));
    EXPECT(kv_trial_leave(&k.kv, 1));
    EXPECT(kv_trial_leave(&k.kv, 1));
    off_t bytes = data_bytes();
    for (int i = 0; i < 20; i++)
        EXPECT(kv_trial_leave(&k.kv, 1));
    EXPECT(data_bytes() < bytes * 3 / 2);
    end();
}

TEST(a_read_only_opening_creates_nothing)
{
    char want[256];
    EXPECT(begin());
    kv_lmdb_close(&k);
    unlink(in(path, "data.mdb"));
    unlink(in(path, "lock.mdb"));
    EXPECT_EQ(kv_lmdb_open(&k, path, true, problem), E_MISSING);
    snprintf(want, sizeof want, "checkpoint/data.mdb: open: No such file or directory");
    EXPECT_TEXT(span_str(problem), want);
    EXPECT_EQ(data_bytes(), -1);
    EXPECT_EQ(kv_lmdb_open(&k, in(root, "nowhere"), true, problem), E_MISSING);
    end();
}

TEST(a_file_that_is_not_a_store_is_refused)
{
    EXPECT(begin());
    kv_lmdb_close(&k);
    FILE *file = fopen(in(path, "data.mdb"), "w");
    EXPECT(file != NULL);
    for (int i = 0; i < 20000; i++)
        fputc('x', file);
    fclose(file);
    EXPECT_EQ(kv_lmdb_open(&k, path, false, problem), E_CORRUPT);
    EXPECT_TEXT(span_of(problem, 27), "checkpoint/data.mdb: open: ");
    EXPECT_EQ(kv_lmdb_open(&k, path, true, problem), E_CORRUPT);
    end();
}

TEST(a_directory_that_cannot_be_made_is_named)
{
    EXPECT(begin());
    EXPECT_EQ(kv_lmdb_open(&(struct kv_lmdb){ 0 }, in(root, "a/b"), false, problem), E_MISSING);
    EXPECT_TEXT(span_str(problem), "b/data.mdb: create the directory: No such file or directory");
    end();
}

/* Commits it, and begins to read. */
static bool begin_with_big(struct kv_txn **reader)
{
    struct kv_txn *txn;
    return begin() && k.kv.ops->begin(&k.kv, true, NULL, &txn) == E_OK &&
           k.kv.ops->put(txn, KV_PIECES, span_str("big"), span_of(large, sizeof large)) == E_OK &&
           k.kv.ops->commit(txn) == E_OK && k.kv.ops->begin(&k.kv, false, detail, reader) == E_OK;
}

/* Reading it, twice, is refused with these words. */
static void expect_unreadable(struct kv_txn *reader, int error, const char *told)
{
    struct span value;
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(k.kv.ops->get(reader, KV_PIECES, span_str("big"), &value), error);
        EXPECT_TEXT(span_of(detail, strlen(told)), told);
    }
}

TEST(a_page_that_cannot_be_read_is_an_error_of_the_call)
{
    struct kv_txn *txn;
    struct span value;
    char told[160];
    EXPECT(begin_with_big(&txn));
    EXPECT_EQ(k.kv.ops->get(txn, KV_PIECES, span_str("big"), &value), E_OK);
    /* In place of a page, one of a file that is empty: the kernel answers as if the disk had failed. */
    uint64_t offset = k.kv.ops->offset(&k.kv, value.at + sizeof large / 2) >> 12 << 12;
    int fd = open(in(path, "data.mdb"), O_RDONLY),
        none = open(in(root, "none"), O_RDWR | O_CREAT, 0600);
    EXPECT(offset < (uint64_t)data_bytes());
    EXPECT(mmap(k.map + offset, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, none, 0) != MAP_FAILED);
    snprintf(told, sizeof told, "checkpoint/data.mdb: get: Input/output error (at offset %llu)",
             (unsigned long long)offset);
    expect_unreadable(txn, E_IO, told);
    EXPECT(mmap(k.map + offset, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, fd, (off_t)offset) !=
           MAP_FAILED);
    EXPECT_EQ(k.kv.ops->get(txn, KV_PIECES, span_str("big"), &value), E_OK);
    EXPECT(span_equal(value, span_of(large, sizeof large)));
    k.kv.ops->abort(txn);
    close(none);
    unlink(in(root, "none"));
    close(fd);
    end();
}

TEST(a_file_that_was_cut_short_is_damaged)
{
    static uint8_t tail[1 << 18];
    struct kv_txn *txn;
    struct span value;
    EXPECT(begin_with_big(&txn));
    int fd = open(in(path, "data.mdb"), O_RDWR);
    off_t from = data_bytes() - (off_t)sizeof tail;
    EXPECT_EQ(pread(fd, tail, sizeof tail, from), sizeof tail);
    EXPECT_EQ(ftruncate(fd, from), 0);
    expect_unreadable(txn, E_CORRUPT,
                      "checkpoint/data.mdb: get: MDB_PAGE_NOTFOUND: Requested page "
                      "not found (at offset ");
    EXPECT_EQ(pwrite(fd, tail, sizeof tail, from), sizeof tail);
    EXPECT_EQ(k.kv.ops->get(txn, KV_PIECES, span_str("big"), &value), E_OK);
    EXPECT(span_equal(value, span_of(large, sizeof large)));
    k.kv.ops->abort(txn);
    close(fd);
    end();
}

/* Nothing was ever committed into it. */
TEST(a_file_whose_first_pages_are_torn_is_begun_anew)
{
    EXPECT(begin());
    for (off_t torn = 0; torn < 8192; torn += 4096) {
        kv_lmdb_close(&k);
        EXPECT_EQ(truncate(in(path, "data.mdb"), torn), 0);
        EXPECT_EQ(truncate(in(path, "data.mdb"), 8192), 0);
        EXPECT_EQ(kv_lmdb_open(&k, path, true, problem), E_CORRUPT);
        EXPECT_EQ(data_bytes(), 8192);
        EXPECT_EQ(kv_lmdb_open(&k, path, false, problem), E_OK);
        EXPECT(kv_trial_leave(&k.kv, 5) && kv_trial_found(&k.kv, 5));
    }
    end();
}

static bool recovers_from_a_full_disk(void)
{
    struct rlimit limit;
    if (kv_lmdb_open(&k, path, false, problem) != E_OK || getrlimit(RLIMIT_FSIZE, &limit) != 0)
        return false;
    rlim_t usual = limit.rlim_cur;
    signal(SIGXFSZ, SIG_IGN);
    limit.rlim_cur = (rlim_t)data_bytes();
    bool full = setrlimit(RLIMIT_FSIZE, &limit) == 0 && commit_big() == E_FULL;
    limit.rlim_cur = usual;
    return full && strcmp(detail, "checkpoint/data.mdb: commit: File too large") == 0 &&
           setrlimit(RLIMIT_FSIZE, &limit) == 0 && kv_trial_found(&k.kv, 5) && commit_big() == E_OK;
}

TEST(a_full_disk_fails_one_commit_and_not_the_next)
{
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    kv_lmdb_close(&k);
    EXPECT(apart(recovers_from_a_full_disk));
    end();
}

TEST(after_a_failed_commit_nothing_is_written)
{
    int fd, kept, none = open("/dev/null", O_RDONLY);
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    EXPECT_EQ(mdb_env_get_fd(k.env, &fd), 0);
    kept = dup(fd);
    EXPECT(dup2(none, fd) == fd);
    EXPECT_EQ(commit_big(), E_IO);
    EXPECT_TEXT(span_str(detail), "checkpoint/data.mdb: commit: Bad file descriptor");
    EXPECT(dup2(kept, fd) == fd);
    EXPECT_EQ(commit_big(), E_IO);
    EXPECT(kv_trial_found(&k.kv, 5));
    close(kept);
    close(none);
    kv_lmdb_close(&k);
    EXPECT_EQ(kv_lmdb_open(&k, path, false, problem), E_OK);
    EXPECT(kv_trial_found(&k.kv, 5));
    EXPECT_EQ(commit_big(), E_OK);
    end();
}

TEST(readers_go_on_when_a_meta_page_could_not_be_written)
{
    struct kv_txn *one, *two, *reader;
    struct kv_trial_state state = { 0 };
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    for (int table = 0; table < KV_TABLES; table++)
        for (unsigned i = 0; i < KV_TRIAL_KEYS; i++)
            state.seeds[table][i] = 5 + i;
    EXPECT_EQ(k.kv.ops->begin(&k.kv, false, NULL, &one), E_OK);
    EXPECT_EQ(k.kv.ops->begin(&k.kv, false, NULL, &two), E_OK);
    k.kv.ops->reset(two);
    EXPECT_EQ(fail_to_commit(), E_IO);
    EXPECT_TEXT(span_str(detail), "checkpoint/data.mdb: commit: Bad file descriptor");

    EXPECT(kv_trial_holds(&k.kv, one, &state)); /* it is in the middle */
    EXPECT_EQ(k.kv.ops->begin(&k.kv, false, NULL, &reader), E_IO);
    EXPECT_EQ(k.kv.ops->renew(two), E_IO);
    k.kv.ops->reset(one);
    EXPECT_EQ(k.kv.ops->renew(two), E_OK);
    EXPECT_EQ(k.kv.ops->renew(one), E_OK);
    EXPECT(kv_trial_holds(&k.kv, two, &state) && kv_trial_holds(&k.kv, one, &state));
    EXPECT(kv_trial_found(&k.kv, 5));
    EXPECT(k.map != NULL && k.kv.ops->bytes(&k.kv) > 0);
    EXPECT_EQ(commit_big(), E_IO);
    EXPECT_TEXT(span_str(detail),
                "checkpoint/data.mdb: nothing is written any more since a commit failed");
    k.kv.ops->abort(one);
    k.kv.ops->abort(two);
    kv_lmdb_close(&k);
    EXPECT_EQ(kv_lmdb_open(&k, path, false, problem), E_OK);
    EXPECT(kv_trial_found(&k.kv, 5));
    EXPECT_EQ(commit_big(), E_OK);
    end();
}

TEST(readers_go_on_as_soon_as_the_store_can_be_opened_anew)
{
    struct kv_txn *reader;
    char away[160];
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    EXPECT_EQ(fail_to_commit(), E_IO);
    snprintf(away, sizeof away, "%s/away", root);
    EXPECT_EQ(rename(in(path, "data.mdb"), away), 0);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(k.kv.ops->begin(&k.kv, false, NULL, &reader), E_MISSING);
    EXPECT_EQ(k.kv.ops->bytes(&k.kv), 0);
    EXPECT_EQ(rename(away, in(path, "data.mdb")), 0);
    EXPECT(kv_trial_found(&k.kv, 5));
    end();
}

#ifndef MERIDIAN_SLOW_CHECKS
static bool opens_in_a_small_address_space(void)
{
    struct rlimit limit = { .rlim_cur = (rlim_t)8 << 30, .rlim_max = (rlim_t)8 << 30 };
    return setrlimit(RLIMIT_AS, &limit) == 0 && finds_it();
}
#endif

TEST(a_small_address_space_makes_a_smaller_map)
{
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 5));
    kv_lmdb_close(&k);
#ifndef MERIDIAN_SLOW_CHECKS /* a sanitizer has taken terabytes for itself */
    EXPECT(apart(opens_in_a_small_address_space));
#endif
    end();
}

/* Of files, in this process's memory. */
static long resident_pages(void)
{
    long pages = -1;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*d %*d %ld", &pages) != 1)
        pages = -1;
    if (file != NULL)
        fclose(file);
    return pages;
}

TEST(trimming_frees_memory_and_takes_nothing_from_readers)
{
    enum { BIG = 16 << 20 };
    uint8_t *big = mem_zalloc(BIG);
    struct kv_txn *txn;
    struct span value, again;
    EXPECT(begin());
    EXPECT(k.map != NULL);
    EXPECT_EQ(k.kv.ops->begin(&k.kv, true, NULL, &txn), E_OK);
    EXPECT_EQ(k.kv.ops->put(txn, KV_PIECES, span_str("big"), span_of(big, BIG)), E_OK);
    EXPECT_EQ(k.kv.ops->commit(txn), E_OK);
    EXPECT_EQ(k.kv.ops->begin(&k.kv, false, NULL, &txn), E_OK);
    EXPECT_EQ(k.kv.ops->get(txn, KV_PIECES, span_str("big"), &value), E_OK);
    EXPECT(value.at >= k.map && value.at < k.map + k.kv.ops->bytes(&k.kv));
    long before = resident_pages();
    kv_lmdb_trim(&k, 0);
    EXPECT(resident_pages() <= before - (BIG >> 12));
    EXPECT_EQ(k.kv.ops->get(txn, KV_PIECES, span_str("big"), &again), E_OK);
    EXPECT(again.at == value.at && span_equal(again, span_of(big, BIG)));
    k.kv.ops->abort(txn);
    mem_free(big);
    end();
}

TEST(a_store_that_trims_all_the_time_keeps_the_contract)
{
    EXPECT(begin());
    kv_lmdb_limit(&k, 1);
    kv_trial_all(&k.kv);
    end();
}

TEST(a_copy_is_a_store_without_the_free_space)
{
    char copy[96];
    EXPECT(begin());
    EXPECT(kv_trial_leave(&k.kv, 4) && kv_trial_leave(&k.kv, 5));
    off_t bytes = data_bytes();
    snprintf(copy, sizeof copy, "%s/copy.mdb", root);
    EXPECT_EQ(kv_lmdb_copy(&k, copy, problem), E_OK);
    EXPECT_EQ(kv_lmdb_copy(&k, copy, problem), E_IO);
    EXPECT_TEXT(span_str(problem), "checkpoint/data.mdb: create the copy: File exists");
    EXPECT(kv_trial_leave(&k.kv, 6));
    kv_lmdb_close(&k);
    EXPECT_EQ(rename(copy, in(path, "data.mdb")), 0);
    EXPECT(data_bytes() < bytes);
    EXPECT_EQ(kv_lmdb_open(&k, path, true, problem), E_OK);
    EXPECT(kv_trial_found(&k.kv, 5));
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
