/*
 * checkpoint_record -- a checkpoint's rows as bytes: for the files of store/checkpoint.h only.
 *
 *     place         u8 database, u64 position (crdt/cold.h), u8 0, key     up to PLACE_KEY_MAX bytes
 *                   u8 database, u64 position, u8 1, XXH3-128 of the key   above
 *     record        u8 flags (crdt/cold.h; 0x80: in rows of its own)   varint due_ms
 *                   [varint key length, key, when the place does not say it]
 *                   [u64 image number, u32 rows | varint piece length, piece]
 *                   u32 CRC32C of the place and all that
 *     object row    place -> records: of one key, but where several have one place
 *     piece row     u64 image number, u32 row -> u8 (1: a piece ends here), bytes, u32 CRC32C
 *     meta row      name -> content, u32 CRC32C
 *     due row       u64 due_ms, place -> u32 CRC32C
 *     contested row place -> u32 CRC32C
 *
 * What sorts is big-endian. Every checksum covers the row's own key, so that a row is good at its
 * place only. A piece is cut into rows of at most PIECE_ROW_BYTES: a store needs room in one
 * stretch for each.
 */
#ifndef STORE_CHECKPOINT_RECORD_H
#define STORE_CHECKPOINT_RECORD_H

#include "base/buffer.h"
#include "crdt/cold.h"
#include "crdt/op.h"
#include "env/kv.h"

enum {
    PLACE_KEY_MAX = 255,
    PLACE_HEAD_BYTES = 1 + 8 + 1,
    PLACE_MAX = PLACE_HEAD_BYTES + PLACE_KEY_MAX,
    PIECE_ROW_BYTES = 4 << 20,
    /* A PUT of a larger piece goes into rows. */
    PIECE_INLINE_MAX = 1 << 20,
};

/* A row's key, made on the stack. */
struct row_key {
    uint8_t bytes[8 + PLACE_MAX];
    size_t len;
};

static inline struct span row_key_span(const struct row_key *k)
{
    return span_of(k->bytes, k->len);
}

struct row_key row_key_place(uint8_t db, uint64_t hash, struct span key);
struct row_key row_key_position(uint8_t db, uint64_t position); /* not after any place there */
struct row_key row_key_due(uint64_t due_ms, struct span place); /* place may be empty */
struct row_key row_key_piece(uint64_t image, uint32_t row);

/* What a row's key says; false when it is none. *key is empty when the place does not say it. */
bool place_take(struct span place, uint8_t *db, uint64_t *position, bool *has_key,
                struct span *key);
bool due_take(struct span row_key, uint64_t *due_ms, struct span *place);

struct checkpoint_record {
    uint8_t flags; /* crdt/cold.h */
    uint64_t due_ms;
    struct span key;
    uint64_t image; /* 0: the piece is here */
    uint32_t rows;  /* of the image */
    struct span piece;
    struct span bytes; /* all of the record as it stands there */
};

void checkpoint_record_put(struct buffer *row, struct span place,
                           const struct checkpoint_record *record);
/* The next record of an object row; false when damaged. */
bool checkpoint_record_take(struct span *row, struct span place, struct checkpoint_record *record);

/* Appends the checksum of the row's key and of what `row` holds from `from` on; checks it and takes
 * it off. */
void row_seal(struct buffer *row, size_t from, struct span row_key);
bool row_unseal(struct span *row, struct span row_key);

/* The content of a row that says all it has to say by its key. */
struct row_sum {
    uint8_t bytes[4];
};
struct row_sum row_sum(struct span row_key);

/* --- rows of a transaction --- */

/* A meta row's content, good until the transaction's next call; E_MISSING, E_CORRUPT, errors of the
 * store. */
int meta_get(const struct kv_ops *ops, struct kv_txn *txn, struct span name, struct span *content);

/* The format, E_MISSING when nothing was ever written; E_VERSION, E_CORRUPT. */
int meta_check_format(const struct kv_ops *ops, struct kv_txn *txn);

/* Zeroes where there are none. */
int meta_get_counts(const struct kv_ops *ops, struct kv_txn *txn,
                    struct cold_counts counts[OP_DATABASES]);

/* The piece that begins in row *row of an image of so many rows, which moves past it: in the
 * store's memory, or in `joined`. E_CORRUPT: *row is the bad one, and *piece its bytes, if any. */
int piece_get(const struct kv_ops *ops, struct kv_txn *txn, const struct checkpoint_record *record,
              uint32_t *row, struct buffer *joined, struct span *piece);

/* What went wrong, as one line: "checkpoint/data.mdb: objects of database 3, "user:1", at offset
 * 4242: damaged: …". The key is a row's: its place, when it has one, is made readable. `at` is what is
 * damaged, in the store's memory; NULL: that is not known. */
void checkpoint_complain(char *problem, struct kv *kv, enum kv_table table, struct span row_key,
                         const void *at, int error);

/* The same of what the store said to a reader. */
void checkpoint_tell(char *problem, const char *detail, enum kv_table table, struct span row_key);

#endif
