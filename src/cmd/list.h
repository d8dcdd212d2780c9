/*
 * list -- what the list commands share.
 *
 * An element is known by its position (crdt/position.h): what is taken away or replaced is named by
 * it, so that whatever other regions do to the same list, each element is touched once. Ranks are
 * those of the visible list, from 0.
 */
#ifndef CMD_LIST_H
#define CMD_LIST_H

#include "cmd/data.h"

/* call_find for lists: *order is NULL when the key is not there; else it is not empty. */
bool list_find(struct call *call, struct span key, const struct btree **order);

/* How many elements a key has now: to be asked again after an emit. */
uint64_t list_count(const struct call *call, struct span key);

/* The value of an element; `scratch` holds CELL_SCRATCH_BYTES. */
static inline struct span list_value(const struct entry *element, char *scratch)
{
    return data_value(element, scratch);
}

/* "LEFT" or "RIGHT"; replies the error and returns false when argv[index] is neither. */
bool list_side(struct call *call, size_t index, bool *right);

/* emit_list_insert for a command: replies the error and returns false when there is no room. */
bool list_insert(struct call *call, struct span key, uint64_t rank, bool right,
                 const struct span *values, size_t count);

/* Replies `count` elements from one end, as an array unless count is 1 and `bare`, and takes them
 * away. There are as many. */
void list_pop(struct call *call, struct span key, const struct btree *order, bool right,
              uint64_t count, bool bare);

/* Positions to be taken away: gathered, then emitted as one op. */
struct list_taking {
    struct buffer positions;
    uint64_t count;
};

void list_taking_add(struct list_taking *taking, const struct entry *element);
void list_taking_emit(struct list_taking *taking, struct call *call, struct span key);

#endif
