/* A writer and two readers at once, over commits that fail and a store that is opened anew. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "host/kv_lmdb_trial.h"

enum { ROUNDS = 10, READERS = 2, ROWS = 200, COMMITS = 20, LOOKS_AFTER = 20 };

/* Every commit writes the same number into all rows. */
struct reading {
    pthread_t thread;
    char detail[KV_DETAIL_MAX];
    atomic_uint seen;          /* the last number */
    atomic_uint looks;         /* that saw it */
    const char *_Atomic wrong; /* NULL: nothing */
};

static atomic_bool over;

static struct span row_of(unsigned i, char *room)
{
    return span_of(room, (size_t)snprintf(room, 16, "row:%04u", i));
}

static int write_all(unsigned number)
{
    struct kv_txn *txn;
    char room[16];
    int error = k.kv.ops->begin(&k.kv, true, detail, &txn);
    for (unsigned i = 0; i < ROWS && error == E_OK; i++)
        error = k.kv.ops->put(txn, KV_OBJECTS, row_of(i, room), span_of(&number, sizeof number));
    return error == E_OK ? k.kv.ops->commit(txn) : error;
}

static const char *check_row(struct span value, unsigned *number, bool first)
{
    unsigned its;
    if (value.len != sizeof its)
        return "a value is not as long as it was";
    memcpy(&its, value.at, sizeof its);
    if (!first && its != *number)
        return "two commits were seen at once";
    *number = its;
    return NULL;
}

/* All rows, one after the other and by name. */
static const char *look_at_all(struct kv_txn *txn, unsigned *number)
{
    struct span key, value;
    const char *wrong = NULL;
    char room[16];
    unsigned count = 0;
    int error = k.kv.ops->seek(txn, KV_OBJECTS, span_of(NULL, 0), &key, &value);
    for (; error == E_OK && wrong == NULL; count++) {
        wrong = check_row(value, number, count == 0);
        if (wrong == NULL && k.kv.ops->get(txn, KV_OBJECTS, row_of(count, room), &value) != E_OK)
            return "a row was not found";
        if (wrong == NULL)
            wrong = check_row(value, number, false);
        if (wrong == NULL && k.kv.ops->offset(&k.kv, value.at) == UINT64_MAX)
            return "a value is not in the file";
        error = k.kv.ops->next(txn, KV_OBJECTS, &key, &value);
    }
    if (wrong != NULL)
        return wrong;
    return error == E_MISSING && count == ROWS ? NULL : "rows are missing";
}

static void note(struct reading *r, unsigned number)
{
    if (number < r->seen)
        r->wrong = "an older commit was seen after a newer one";
    if (number != r->seen)
        r->looks = 0;
    r->seen = number;
    r->looks++;
}

/* E_IO is for one that was refused while the other sees; then its own detail says so. */
static void look_once(struct reading *r, struct kv_txn *txn)
{
    unsigned number = 0;
    r->detail[0] = '\0';
    int error = k.kv.ops->renew(txn);
    if (error == E_IO && strstr(r->detail, "checkpoint/data.mdb: begin: MDB_PANIC") == r->detail)
        return;
    if (error != E_OK || r->detail[0] != '\0') {
        r->wrong = "a renewal failed otherwise";
        return;
    }
    r->wrong = look_at_all(txn, &number);
    k.kv.ops->reset(txn);
    if (r->wrong == NULL)
        note(r, number);
    if (k.kv.ops->bytes(&k.kv) == 0)
        r->wrong = "the store has no bytes";
}

static void *read_on(void *context)
{
    struct reading *r = context;
    struct kv_txn *txn;
    if (k.kv.ops->begin(&k.kv, false, r->detail, &txn) != E_OK) {
        r->wrong = "a reader did not begin";
        return NULL;
    }
    k.kv.ops->reset(txn);
    while (!over && r->wrong == NULL)
        look_once(r, txn);
    k.kv.ops->abort(txn);
    return NULL;
}

/* Until every reader has seen this number often. */
static void wait_for(struct reading *readings, unsigned number)
{
    for (int i = 0; i < READERS; i++)
        while (readings[i].wrong == NULL &&
               (readings[i].seen != number || readings[i].looks < LOOKS_AFTER))
            sched_yield();
}

static void stop(struct reading *readings)
{
    over = true;
    for (int i = 0; i < READERS; i++)
        pthread_join(readings[i].thread, NULL);
}

static void start(struct reading *readings)
{
    over = false;
    for (int i = 0; i < READERS; i++) {
        readings[i] = (struct reading){ .wrong = NULL };
        pthread_create(&readings[i].thread, NULL, read_on, &readings[i]);
    }
}

/* Its readers see every commit whole, and go on after one that LMDB does not get over. */
static void try_store(struct reading *readings, unsigned *failures)
{
    for (unsigned number = 2; number <= COMMITS; number++)
        *failures += write_all(number) != E_OK;
    *failures += fail_to_commit() != E_IO;
    for (int i = 0; i < READERS; i++)
        readings[i].looks = 0;
    wait_for(readings, COMMITS);
    *failures += write_all(COMMITS + 1) != E_IO;
}

TEST(threads_read_while_one_writes_and_a_commit_fails)
{
    struct reading readings[READERS];
    for (int round = 0; round < ROUNDS; round++) {
        unsigned failures = 0;
        EXPECT(begin());
        kv_lmdb_limit(&k, round % 2 == 0 ? 0 : 1); /* and all of them trim */
        EXPECT_EQ(write_all(1), E_OK);
        start(readings);
        try_store(readings, &failures);
        stop(readings);
        for (int i = 0; i < READERS; i++) {
            const char *wrong = readings[i].wrong;
            EXPECT_TEXT(span_str(wrong == NULL ? "" : wrong), "");
        }
        EXPECT_EQ(failures, 0);
        end();
    }
}

static bool goes_on(void *context)
{
    (void)context;
    return true;
}

/* Its readers go on over files that take the place of each other. */
TEST(threads_read_while_the_store_is_written_anew)
{
    struct reading readings[READERS];
    struct kv_rewritten done;
    unsigned failures = 0;
    EXPECT(begin());
    EXPECT_EQ(write_all(1), E_OK);
    start(readings);
    for (unsigned number = 2; number <= COMMITS; number++) {
        failures += k.kv.ops->rewrite(&k.kv, goes_on, NULL, detail, &done) != E_OK;
        failures += done.rows != ROWS;
        failures += write_all(number) != E_OK;
    }
    wait_for(readings, COMMITS);
    stop(readings);
    for (int i = 0; i < READERS; i++) {
        const char *wrong = readings[i].wrong;
        EXPECT_TEXT(span_str(wrong == NULL ? "" : wrong), "");
    }
    EXPECT_EQ(failures, 0);
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
