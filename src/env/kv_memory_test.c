#include "env/kv_memory.h"

#include "env/kv_trial.h"

static struct kv_memory memory;
static char detail[KV_DETAIL_MAX];

TEST(the_contract_of_a_store_is_kept)
{
    kv_memory_init(&memory);
    kv_trial_all(&memory.kv);
    kv_memory_release(&memory);
}

TEST(a_crash_drops_what_is_not_committed_and_every_reader)
{
    struct kv_txn *reader, *writer;
    kv_memory_init(&memory);
    EXPECT(kv_trial_leave(&memory.kv, 77));
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, false, NULL, &reader), E_OK);
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, true, NULL, &writer), E_OK);
    EXPECT_EQ(memory.kv.ops->put(writer, KV_META, span_str("k"), span_str("v")), E_OK);
    kv_memory_crash(&memory);
    EXPECT(kv_trial_found(&memory.kv, 77));
    kv_memory_release(&memory);
}

/* The call of this kind that comes then fails. */
struct plan {
    enum kv_memory_call call;
    int error, after;
};

static int fault(void *context, enum kv_memory_call call, bool write)
{
    struct plan *p = context;
    return write && call == p->call && p->after-- == 0 ? p->error : E_OK;
}

TEST(a_put_that_finds_no_room_leaves_the_transaction_to_be_aborted)
{
    struct plan plan = { KV_MEMORY_PUT, E_FULL, 1 };
    struct kv_txn *writer;
    struct span value;
    kv_memory_init(&memory);
    memory.fault = fault;
    memory.fault_context = &plan;
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, true, detail, &writer), E_OK);
    EXPECT_EQ(memory.kv.ops->put(writer, KV_META, span_str("a"), span_str("v")), E_OK);
    EXPECT_EQ(memory.kv.ops->put(writer, KV_META, span_str("b"), span_str("v")), E_FULL);
    EXPECT_TEXT(span_str(detail), "memory: put: no space left on the disk");
    EXPECT_EQ(memory.kv.ops->get(writer, KV_META, span_str("a"), &value), E_FULL);
    EXPECT_EQ(memory.kv.ops->commit(writer), E_FULL);
    EXPECT_EQ(kv_memory_count(&memory, KV_META), 0);
    EXPECT(kv_trial_leave(&memory.kv, 5) && kv_trial_found(&memory.kv, 5));
    kv_memory_release(&memory);
}

TEST(nothing_is_written_after_a_failed_commit)
{
    struct plan plan = { KV_MEMORY_COMMIT, E_IO, 0 };
    struct kv_txn *writer;
    kv_memory_init(&memory);
    memory.fault = fault;
    memory.fault_context = &plan;
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, true, detail, &writer), E_OK);
    EXPECT_EQ(memory.kv.ops->put(writer, KV_META, span_str("a"), span_str("v")), E_OK);
    EXPECT_EQ(memory.kv.ops->commit(writer), E_IO);
    EXPECT_TEXT(span_str(detail), "memory: commit: input/output error");
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, true, detail, &writer), E_IO);
    EXPECT_TEXT(span_str(detail), "memory: a commit failed before");
    EXPECT_EQ(kv_memory_count(&memory, KV_META), 0);
    kv_memory_release(&memory);
}

static int fail_readers(void *context, enum kv_memory_call call, bool write)
{
    (void)context;
    return !write && call == KV_MEMORY_GET ? E_IO : E_OK;
}

TEST(what_a_reader_meets_is_told_to_it_alone)
{
    char one_detail[KV_DETAIL_MAX] = "", two_detail[KV_DETAIL_MAX] = "";
    struct kv_txn *one, *two, *quiet;
    struct span value;
    kv_memory_init(&memory);
    memory.fault = fail_readers;
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, false, one_detail, &one), E_OK);
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, false, two_detail, &two), E_OK);
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, false, NULL, &quiet), E_OK);
    EXPECT_EQ(memory.kv.ops->get(one, KV_META, span_str("a"), &value), E_IO);
    EXPECT_EQ(memory.kv.ops->get(quiet, KV_META, span_str("a"), &value), E_IO);
    EXPECT_TEXT(span_str(one_detail), "memory: get: input/output error");
    EXPECT_TEXT(span_str(two_detail), "");
    memory.fault = NULL;
    EXPECT_EQ(memory.kv.ops->get(one, KV_META, span_str("a"), &value), E_MISSING);
    kv_memory_crash(&memory);
    kv_memory_release(&memory);
}

TEST(a_copy_goes_its_own_way)
{
    struct kv_memory copy;
    kv_memory_init(&memory);
    kv_memory_init(&copy);
    EXPECT(kv_trial_leave(&memory.kv, 5));
    kv_memory_copy(&copy, &memory);
    EXPECT(kv_trial_leave(&memory.kv, 6));
    EXPECT(kv_trial_found(&copy.kv, 5) && kv_trial_found(&memory.kv, 6));
    EXPECT(kv_trial_leave(&copy.kv, 7));
    EXPECT(kv_trial_found(&copy.kv, 7) && kv_trial_found(&memory.kv, 6));
    kv_memory_release(&memory);
    EXPECT(kv_trial_found(&copy.kv, 7));
    kv_memory_release(&copy);
}

TEST(damage_is_one_bit_and_can_be_undone)
{
    kv_memory_init(&memory);
    EXPECT(!kv_memory_damage(&memory, KV_OBJECTS, 0, 0)); /* there is none */
    EXPECT(kv_trial_leave(&memory.kv, 5));
    EXPECT(kv_memory_damage_key(&memory, KV_OBJECTS, kv_memory_count(&memory, KV_OBJECTS) - 1, 9));
    EXPECT(!kv_trial_found(&memory.kv, 5));
    EXPECT(kv_memory_damage_key(&memory, KV_OBJECTS, kv_memory_count(&memory, KV_OBJECTS) - 1, 9));
    EXPECT(kv_trial_found(&memory.kv, 5));
    kv_memory_release(&memory);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
