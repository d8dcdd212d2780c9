/*
 * checkpoint_writing -- one transaction of a checkpoint's writer: for the files of
 * store/checkpoint.h only.
 *
 * Functions give E_OK or an error, and then w->problem says why.
 */
#ifndef STORE_CHECKPOINT_WRITING_H
#define STORE_CHECKPOINT_WRITING_H

#include "store/checkpoint.h"
#include "store/checkpoint_record.h"

/* The image that is being written: the row "image". Its key is in w->key. */
struct progress {
    uint64_t next;    /* image's number */
    uint64_t current; /* 0: none */
    uint8_t db;
    uint64_t hash;
    uint32_t pieces, rows; /* so far */
};

/* One transaction. */
struct writing {
    struct checkpoint_writer *w;
    const struct kv_ops *ops;
    struct kv_txn *txn;
    struct cold_counts counts[OP_DATABASES];
    bool counts_changed;
    struct progress image;
    bool image_changed;
    uint64_t records, pieces, bytes;
};

int writing_failed(struct checkpoint_writer *w, int error); /* what the store could not do */
int writing_damaged(struct writing *g, enum kv_table table, struct span row_key, int error);
int writing_malformed(struct writing *g, const char *what); /* E_FORMAT */

int writing_put(struct writing *g, enum kv_table table, struct span key, struct span value);
int writing_del(struct writing *g, enum kv_table table, struct span key);

/* The key's record in place of what it had; counts and indexes follow. NULL: it has none any more.
 * */
int writing_replace(struct writing *g, const struct change *change,
                    const struct checkpoint_record *now);

/* --- images in rows of their own: from a PIECE 0 to the DONE, or until discarded --- */
int writing_piece(struct writing *g, const struct change *c);
int writing_finish_image(struct writing *g, const struct change *c);
int writing_discard_image(struct writing *g);

#endif
