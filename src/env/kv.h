/*
 * kv -- an ordered store of keys and values with transactions, as the checkpoint needs one.
 *
 * Two implementations: host/kv_lmdb.c over LMDB, env/kv_memory.c with faults. Another engine is
 * another set of these functions. Keys are 1 .. KV_KEY_MAX bytes and compare as bytes; a value is at
 * most KV_VALUE_MAX bytes.
 * One write transaction at a time; any number of read transactions beside it, each seeing what was
 * committed when it began. A committed transaction is durable when commit returns; one that was not
 * is gone after a crash, whole. Errors are negative E_* codes (base/error.h), the transaction's
 * `detail` then says more for people. E_FULL from put leaves the transaction only to be aborted;
 * after E_FULL, from put or commit, a later transaction may succeed. After a commit that failed
 * otherwise the store takes no further write transactions (E_IO): what the disk says next is not to
 * be believed. Readers go on whatever becomes of a commit. E_IO from a reader: the disk did not give
 * what was asked for, and may the next time; E_CORRUPT: what it gave is not what was written.
 * Spans given out point into the store: good until the transaction's next call (a writer), or its
 * end (a reader).
 * Threads: one that writes, and any that read. A transaction is its thread's, with its detail.
 *          `bytes` may be asked by any; `offset` of what a transaction gave, by that one's.
 */
#ifndef ENV_KV_H
#define ENV_KV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum { KV_KEY_MAX = 500, KV_VALUE_MAX = 256 << 20, KV_DETAIL_MAX = 256 };

enum kv_table { KV_META, KV_OBJECTS, KV_PIECES, KV_DUE, KV_CONTESTED, KV_TABLES };

struct kv_txn; /* of the implementation */

struct kv_rewritten {
    uint64_t rows, bytes; /* of keys and values */
};

struct kv {
    const struct kv_ops *ops;
    const char *name; /* of its file: "checkpoint/data.mdb" */
};

struct kv_ops {
    /* What goes wrong in a call, this one and the transaction's, is written to `detail`, which has
     * KV_DETAIL_MAX bytes and is borrowed until the transaction ends; NULL: nobody asks. It reads
     * "checkpoint/data.mdb: commit: No space left on device". */
    int (*begin)(struct kv *kv, bool write, char *detail, struct kv_txn **txn);
    int (*commit)(struct kv_txn *txn); /* ends it, whatever it answers */
    void (*abort)(struct kv_txn *txn);
    /* For a reader that is used again and again: reset lets go of what it sees (long readers keep old
     * pages alive), renew sees what is committed now. */
    void (*reset)(struct kv_txn *txn);
    int (*renew)(struct kv_txn *txn);

    int (*get)(struct kv_txn *txn, enum kv_table table, struct span key, struct span *value);
    int (*put)(struct kv_txn *txn, enum kv_table table, struct span key, struct span value);
    int (*del)(struct kv_txn *txn, enum kv_table table, struct span key); /* E_MISSING: fine */
    /* The first pair at or after `from` (empty: the first of all), or after the one that was given
     * last by seek or next on this table in this transaction. E_MISSING at the end. */
    int (*seek)(struct kv_txn *txn, enum kv_table table, struct span from, struct span *key,
                struct span *value);
    int (*next)(struct kv_txn *txn, enum kv_table table, struct span *key, struct span *value);
    /* Readers only: the keys around a key, the last before it, and the first at or after it; empty where
     * the table ends. It reads no values, which may be large, and does not disturb seek and next. */
    int (*around)(struct kv_txn *txn, enum kv_table table, struct span key, struct span *before,
                  struct span *after);

    /* Writes all that is committed anew, in order, into a file that then takes the old one's place: bytes
     * of what was removed stand in neither free space nor gaps of it. The writer's, between its
     * transactions; readers go on, and the exchange waits for a moment when none sees: until then they need
     * what the file takes twice. `go_on` is asked every few megabytes, at their end, and while that moment
     * does not come: false gives up (E_BUSY). A crash at any time leaves one of the two files, whole; an
     * error leaves the old one, and E_FULL and E_BUSY leave it as good as it was. */
    int (*rewrite)(struct kv *kv, bool (*go_on)(void *context), void *context, char *detail,
                   struct kv_rewritten *done);

    uint64_t (*bytes)(struct kv *kv); /* on disk, about */
    /* Where in the file something stands that was given out; UINT64_MAX when that is not known. */
    uint64_t (*offset)(struct kv *kv, const void *at);
};

#endif
