/*
 * kv_lmdb_page -- for kv_lmdb_txn.c: what a leaf of LMDB's tree says of itself, looked through.
 *
 * LMDB has no checksums of its pages. Ours are in the rows, and the caller looks after their order; but
 * a bit of a page's own header can hide rows at its end, and one of its list of rows can put another
 * row in the place of one. Both leave a page that does not add up:
 *
 *     0 u64 number of the page   10 u16 flags   12 u16 end of the list   14 u16 where the rows begin
 *     16 the list: n x u16 offset of a row, by key     rows, without gaps, to the page's end
 *     row: u32 length of the value   u16 flags   u16 length of the key   key   value, or u64 its page
 *
 * as LMDB 0.9 has them, little-endian; of another version nothing is said. Branches cannot be reached.
 */
#ifndef HOST_KV_LMDB_PAGE_H
#define HOST_KV_LMDB_PAGE_H

#include <lmdb.h>

#include "host/kv_lmdb.h"

/* The page with this key, which LMDB gave out; 0 when it is none of the file. */
uint64_t kv_lmdb_page_of(const struct kv_lmdb *k, const void *key);

/* Whether the page adds up, and its keys ascend. */
bool kv_lmdb_page_adds_up(const struct kv_lmdb *k, uint64_t page);

/* As `around` of env/kv.h, with a cursor of a reader, within a guarded call: 0, or LMDB's cause. What
 * the pages say is believed only if they add up about there. */
int kv_lmdb_look_around(const struct kv_lmdb *k, MDB_cursor *cursor, struct span key,
                        struct span *before, struct span *after);

#endif
