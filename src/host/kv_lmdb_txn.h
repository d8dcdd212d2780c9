/*
 * kv_lmdb_txn -- for kv_lmdb.c: LMDB's calls, guarded and with their errors in our words, and the
 * functions of env/kv.h on top of them.
 */
#ifndef HOST_KV_LMDB_TXN_H
#define HOST_KV_LMDB_TXN_H

#include "host/kv_lmdb.h"

extern const struct kv_ops kv_lmdb_ops;

/* The E_* code of LMDB's `cause`, an errno or an MDB_ code; `detail` (KV_DETAIL_MAX bytes, or NULL)
 * then reads "NAME: ACTION: cause". */
int kv_lmdb_fail(const struct kv_lmdb *k, char *detail, const char *action, int cause);

/* Where in the file something stands; UINT64_MAX: nowhere. */
uint64_t kv_lmdb_offset(const struct kv_lmdb *k, const void *at);

/* With the lock, which is free in between: waits for `changed`, so long at most. */
void kv_lmdb_wait(struct kv_lmdb *k, unsigned ms);

/* With the lock: ends LMDB's part of all readers, none of which may see now: false when one does. */
bool kv_lmdb_end_readers(struct kv_lmdb *k);

/* A writer's put of a key that is greater than all in the table: its pages become full. */
int kv_lmdb_append(struct kv_txn *t, enum kv_table table, struct span key, struct span value);

/* How many the table has, by its own count. */
int kv_lmdb_rows(struct kv_txn *t, enum kv_table table, uint64_t *rows);

/* env/kv.h: kv_lmdb_rewrite.c. */
int kv_lmdb_rewrite(struct kv *kv, bool (*go_on)(void *context), void *context, char *detail,
                    struct kv_rewritten *done);

/* What a rewrite that a crash ended has left in the directory. */
void kv_lmdb_remove_rewrite(const char *directory);

/* The names in the directory are made durable. */
int kv_lmdb_sync_directory(const struct kv_lmdb *k, const char *path, char *problem);

/* For a reader that LMDB refused, and that sees nothing: opens the store anew, unless another one
 * has done so. */
int kv_lmdb_reopen(struct kv_lmdb *k, char *detail);

/* Where the store is mapped; NULL when that cannot be found out. */
uint8_t *kv_lmdb_find_map(struct MDB_env *env);

/* After a call that may have brought pages into memory, `bytes` of a value among them. */
void kv_lmdb_count(struct kv_lmdb *k, size_t bytes);

#endif
