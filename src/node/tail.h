/*
 * tail -- the newest part of the log in memory, and an index of all of it.
 *
 * Records are appended once, into pages that never move, so the log writer and every feed read them
 * in place. Old durable pages are dropped above `keep_bytes`: who needs them reads the log on disk.
 * The index has, about every megabyte, the LSN and the vector of last ops before it: where to start
 * for a peer that has a given vector.
 */
#ifndef NODE_TAIL_H
#define NODE_TAIL_H

#include "base/buffer.h"
#include "clock/vector.h"

enum { TAIL_MARK_EVERY_BYTES = 1 << 20 }; /* how coarse the index is */

struct tail_page {
    uint8_t *bytes;
    size_t len, cap;
    uint64_t start_lsn;
};

struct tail_mark {
    uint64_t lsn;
    stamp_t *stamps; /* [count]: last op before lsn, of each origin that has one */
    uint32_t count;
};

struct tail {
    struct tail_page *pages; /* ascending, contiguous */
    size_t page_count, page_cap;
    uint64_t end_lsn;
    size_t keep_bytes;
    struct tail_mark *marks; /* ascending */
    size_t mark_count, mark_cap;
    uint64_t marked_lsn; /* of the newest mark */
    /* The log is kept from here on. Above 0 there is a mark at or after it: so the first one tells from
     * which vectors on peers can be fed. A region that was bootstrapped has one where its log begins,
     * also at 0. */
    uint64_t start_lsn;
};

void tail_init(struct tail *t, size_t keep_bytes);
void tail_release(struct tail *t);

/* Recovery: the log goes up to here on disk, nothing of it is in memory. */
void tail_start(struct tail *t, uint64_t end_lsn);

/* Notes the vector at `lsn`, if it is far enough from the last mark. */
void tail_mark(struct tail *t, uint64_t lsn, const struct vector *last_ops);

/* Copies sealed records in; they stand at end_lsn on. */
void tail_append(struct tail *t, struct span records);

/* The longest run of bytes from lsn on that lies in one page, up to limit; false when lsn is no
 * longer (or not yet) in memory. */
bool tail_read(const struct tail *t, uint64_t lsn, uint64_t limit_lsn, struct span *out);

/* Drops old pages that are durable. */
void tail_trim(struct tail *t, uint64_t durable_lsn);

/* The same, however near the last one is. */
void tail_mark_here(struct tail *t, uint64_t lsn, const struct vector *last_ops);
uint64_t tail_mark_before(const struct tail *t,
                          uint64_t lsn); /* the last one at or below; 0: none */

/* The log before lsn is no longer kept: at most up to a mark. */
void tail_forget(struct tail *t, uint64_t lsn);

/* Last ops before the log that is kept: what it has nothing of. */
void tail_floor(const struct tail *t, struct vector *floor);

/* The wanted origins of which the log that is kept lacks ops above `have`; false: none. */
bool tail_lacks(const struct tail *t, const struct vector *have, const uint64_t origins[4],
                uint64_t lacking[4]);

/* An LSN below which nothing stands that `have` does not cover. */
uint64_t tail_covered(const struct tail *t, const struct vector *have);

/* Marks as bytes, for the checkpoint; taken before any other is made. False: malformed. */
void tail_put_mark(const struct tail *t, size_t index, struct buffer *out);
bool tail_take_marks(struct tail *t, struct span in);

/* A place to start from so that no op of the wanted origins above `have` is missed. */
uint64_t tail_start_for(const struct tail *t, const struct vector *have, const uint64_t origins[4]);

#endif
