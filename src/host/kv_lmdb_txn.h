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

/* With the lock: ends LMDB's part of all readers, none of which may see now: false when one does. */
bool kv_lmdb_end_readers(struct kv_lmdb *k);

/* For a reader that LMDB refused, and that sees nothing: opens the store anew, unless another one
 * has done so. */
int kv_lmdb_reopen(struct kv_lmdb *k, char *detail);

/* Where the store is mapped; NULL when that cannot be found out. */
uint8_t *kv_lmdb_find_map(struct MDB_env *env);

/* After a call that may have brought pages into memory, `bytes` of a value among them. */
void kv_lmdb_count(struct kv_lmdb *k, size_t bytes);

#endif
