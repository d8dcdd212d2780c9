/*
 * op -- one effect on one key: what happened, never what was asked.
 *
 *     kind        does                                             payload
 *     OP_PUT      writes registers, dropping what was observed     string: time, value, observed
 *                                                                  items: n x (name, [value],
 *                                                                      [observed])
 *                                                                  hyperloglog: generation,
 *                                                                      n x (index, value)
 *     OP_TAKE     removes what it observed of items                n x (name, [observed])
 *     OP_BUMP     moves this origin's tally                        [name,] amounts
 *     OP_DEADLINE writes the deadline (0: none)                    deadline
 *     OP_DROP     removes what it observed of components           mask, n x (component, name,
 *                                                                      observed)
 *
 * `observed` lists the tallies that a write or removal resets, as (origin, kind, last, sum); only
 * items of hashes and sorted sets have any. Items are named by component (part.h): a field, a
 * member, a position in a list, an id in a stream. Encoding of an op inside a batch (wire/batch.h),
 * integers as varints unless said otherwise:
 *
 *     delta of the stamp to the one before it (time part: milliseconds and counter)
 *     u8 kind | OP_MORE when its group goes on      u8 component      u8 database
 *     key length, key      u32 payload length      payload
 *
 * Everything here is decoded from disk or wire: op_take checks lengths and ranges; the payload is
 * checked by op_valid before it is applied, so that applying cannot fail half-way.
 */
#ifndef CRDT_OP_H
#define CRDT_OP_H

#include "base/buffer.h"
#include "clock/vector.h"

enum op_kind { OP_PUT = 1, OP_TAKE, OP_BUMP, OP_DEADLINE, OP_DROP, OP_KIND_END };

/* The last database is the system's own: no client can select it (cmd/system.h). */
enum { OP_MORE = 0x80, USER_DATABASES = 16, SYSTEM_DATABASE = USER_DATABASES, OP_DATABASES };

/* The parts an object may have side by side; what readers see is the one with the largest stamp. */
enum component {
    COMPONENT_STRING,
    COMPONENT_HASH,
    COMPONENT_SET,
    COMPONENT_ZSET,
    COMPONENT_LIST,
    COMPONENT_HLL,
    COMPONENT_STREAM,
    COMPONENT_GROUPS, /* consumer groups and the like: belongs to the stream beside it */
    COMPONENT_COUNT,
    COMPONENT_NONE = 15,
};

/* Components whose items can be incremented. */
static inline bool component_counts(uint8_t c)
{
    return c == COMPONENT_STRING || c == COMPONENT_HASH || c == COMPONENT_ZSET;
}

/* Components whose items have a value: a member of a set is only there. */
static inline bool component_has_values(uint8_t c)
{
    return c != COMPONENT_SET;
}

/* Masks for OP_DROP. */
enum {
    MASK_DEADLINES = 1 << 15,
    MASK_ALL = (1 << COMPONENT_COUNT) - 1 + MASK_DEADLINES,
};

/* What a write of a string says about the key's deadline. */
enum time_rule {
    TIME_NONE, /* none: the register says so itself */
    TIME_DEADLINE,
    TIME_KEEP,
};

/* A counter's amount: exact integers, or IEEE doubles. */
__extension__ typedef __int128 int128_t;

struct amount {
    bool is_float;
    union {
        int128_t i;
        double f;
    };
};

struct op {
    stamp_t stamp;
    stamp_t rank; /* of its group: the first op's stamp; registers and dots bear it */
    enum op_kind kind;
    uint8_t component;
    uint8_t db;
    bool more; /* the group goes on with the next op */
    struct span key;
    struct span payload;
};

/* What an op has seen: everything at or below its context, and of its own origin all up to itself:
 * it may name a field twice. */
struct observer {
    stamp_t stamp;
    const struct vector *context;
};

static inline bool observes(const struct observer *by, stamp_t dot)
{
    if (stamp_origin(dot) == stamp_origin(by->stamp))
        return dot <= by->stamp;
    return dot <= vector_get(by->context, stamp_origin(dot));
}

/* Starts an op in `out`: everything but the payload, whose length op_end fills in. Returns the
 * place that op_end wants. */
size_t op_begin(struct buffer *out, stamp_t before, const struct op *op);
void op_end(struct buffer *out, size_t place);

/* Marks the op that starts at `offset` in `out` as one whose group goes on. */
void op_mark_more(struct buffer *out, size_t offset);

/* Decodes the next op; `before` is the stamp before it. Leaves rank to the caller. The op's bytes
 * after its delta are *hashed: what the stream's running checksum covers, together with the
 * stamp. */
bool op_take(struct span *in, stamp_t before, struct op *op, struct span *hashed);

/* True when the payload has the form that its kind and component demand. */
bool op_valid(const struct op *op);

/* The same for one item's name and value. */
bool op_name_valid(uint8_t component, struct span name);
bool op_value_valid(uint8_t component, struct span value);

void amount_put(struct buffer *out, struct amount a);
bool amount_take(struct span *in, struct amount *a);
struct amount amount_add(struct amount a, struct amount b); /* of one kind */
struct amount amount_subtract(struct amount a, struct amount b);

/* One observed tally. */
struct observed {
    uint8_t origin;
    stamp_t last;
    struct amount sum;
};

void observed_put(struct buffer *out, const struct observed *o);
bool observed_take(struct span *in, struct observed *o);

/* Reads past a whole list (varint count, then entries), giving the entries' bytes and number. */
bool observed_list_take(struct span *in, struct span *entries, uint64_t *count);

#endif
