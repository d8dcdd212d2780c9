/*
 * image -- an object as bytes: for checkpoints, bootstraps and back-ups.
 *
 * An image is one or more pieces. A small object is one piece; a large one is copied in pieces so
 * that no step takes long, and it may change between them: a piece says what its items were when it
 * was copied. Every item that was there all the time is in some piece; where one is in two, the later
 * piece knows it better. Replaying the log from before the copy makes the object exact, for an op may
 * be applied again to a state that has it already (docs/design/checkpoints.md).
 *
 *     piece    u8 format (1)
 *              varint n, n x (u64 stamp, varint deadline, 0: none)     the deadlines, ascending
 *              cell                                                    the string
 *              items up to the end
 *     item     u8 component (1 ...), then of a hyperloglog a generation:
 *                  u64 name   u64 newest   varint n, n x (varint index, u8 value)
 *              else name (varint length, bytes) and a cell
 *     cell     varint registers * 2 + (1 with tallies)
 *              registers x (u64 stamp, varint length * 2 + none, bytes)       ascending by stamp
 *              varint n, n x (u64 last, u64 base_last, amount sum, amount base_sum)
 *
 * Only the first piece has deadlines and a string. Decoding takes hostile bytes: it checks all that
 * applying ops checks, and refuses.
 */
#ifndef CRDT_IMAGE_H
#define CRDT_IMAGE_H

#include "crdt/cold.h"
#include "crdt/object.h"

/* Where the copy of a large object stands; zeroed at the start. */
struct image_cursor {
    bool begun;
    uint8_t component;  /* being copied: 0 before the first */
    uint64_t scan;      /* of its table, */
    struct buffer last; /* or the name of the last item of its tree */
    bool in_tree;
};

void image_cursor_release(struct image_cursor *c);

/* Appends the next piece, which ends at the first item past max_bytes; true when it was the last. The
 * object may have become another one since the piece before. */
bool image_put_piece(struct buffer *out, const struct entry *e, struct image_cursor *c,
                     size_t max_bytes);

/* Makes the object of the first piece, or adds a further piece's items to it, which may give it
 * another place. NULL or false when malformed: then the object is good for object_free only. It belongs
 * to no table yet (crdt/resident.h). */
struct entry *image_load(struct database *d, struct span key, struct span piece);
bool image_add(struct database *d, struct entry **slot, struct span piece);

/* What a record says of an object (crdt/cold.h), and when this region is to reclaim it; 0: never. */
uint8_t image_flags(const struct entry *e);
uint64_t image_due_ms(const struct entry *e);

#endif
