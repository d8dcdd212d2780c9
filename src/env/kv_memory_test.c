#include "env/kv_memory.h"

#include "env/kv_trial.h"

static struct kv_memory memory;

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
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, false, &reader), E_OK);
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, true, &writer), E_OK);
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
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, true, &writer), E_OK);
    EXPECT_EQ(memory.kv.ops->put(writer, KV_META, span_str("a"), span_str("v")), E_OK);
    EXPECT_EQ(memory.kv.ops->put(writer, KV_META, span_str("b"), span_str("v")), E_FULL);
    EXPECT_TEXT(span_str(memory.kv.detail), "memory: put: no space left on the disk");
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
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, true, &writer), E_OK);
    EXPECT_EQ(memory.kv.ops->put(writer, KV_META, span_str("a"), span_str("v")), E_OK);
    EXPECT_EQ(memory.kv.ops->commit(writer), E_IO);
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, true, &writer), E_IO);
    EXPECT_EQ(kv_memory_count(&memory, KV_META), 0);
    kv_memory_release(&memory);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
