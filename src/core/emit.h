/*
 * emit -- how command handlers change the world: by ops.
 *
 * Each call makes one op: gives it the next stamp, encodes it into the open batch, and applies it
 * by the same function that applies remote ops. Ops of one command (or of one MULTI) are a group:
 * seen whole or not at all, in every region. A write to a key first makes way, in the same group:
 * an expired object is removed whole, leftovers of a ghost too, and the hidden components that the
 * writer has observed are dropped. Handlers need not care. Spans given here may point into the
 * objects they change: everything is copied before it is applied.
 */
#ifndef CORE_EMIT_H
#define CORE_EMIT_H

#include "crdt/object.h"
#include "crdt/stream.h"

struct replica;

/* What one group may write, about: larger commands are refused before they emit anything. What becomes
 * more all the same (DEL of a hash of a million counters, LTRIM of millions, a list of empty elements
 * restored) is split into several groups here, so that a record always holds its batch. */
enum { GROUP_MAX_BYTES = 64 << 20 };

/* Writes a string. TIME_DEADLINE takes deadline_ms (> 0, milliseconds since 1970). */
void emit_string(struct replica *r, uint8_t db, struct span key, struct span value,
                 enum time_rule rule, uint64_t deadline_ms);

/* Adds to a counter: a string's, or a field's. */
void emit_bump(struct replica *r, uint8_t db, struct span key, struct amount by);
void emit_field_bump(struct replica *r, uint8_t db, enum component c, struct span key,
                     struct span field, struct amount by);

/* One op over many items (part.h says how they are named): OP_PUT (the value counts for nothing in
 * a set) or OP_TAKE. With no items nothing is emitted. */
struct emit_fields {
    struct replica *replica;
    enum op_kind kind;
    enum component component;
    uint8_t db;
    struct span key;
    uint64_t count;             /* private: items since the last cut, */
    size_t cut;                 /* and where that was */
    bool opened;                /* private: way was made */
    const struct entry *object; /* private: as it was then */
};

/* Nothing is emitted before the end, but what makes way: until then spans into the object stay good.
 * Where items are more than GROUP_MAX_BYTES they are several ops, and several groups. In a group that
 * is not to be split nothing is emitted then, and replica.group_refused is set. */
void emit_fields_begin(struct emit_fields *e, struct replica *r, enum op_kind kind,
                       enum component c, uint8_t db, struct span key);
void emit_fields_add(struct emit_fields *e, struct span name, struct span value);
void emit_fields_end(struct emit_fields *e);

/* Pushes elements to where `rank` elements of the visible list stand before them: a run that grows
 * right, or left: then each stands before the one given before it (LPUSH a b: b a). False, and
 * nothing emitted, where there is no place between the neighbours (crdt/position.h). More than
 * GROUP_MAX_BYTES are several ops, and several groups. */
bool emit_list_insert(struct replica *r, uint8_t db, struct span key, uint64_t rank, bool right,
                      const struct span *values, size_t count);

/* An entry whose id is the op's stamp, or, where that is not above `after`, one after it; the fields
 * as crdt/stream.h has them. Returns the id. */
struct stream_id emit_stream_add(struct replica *r, uint8_t db, struct span key,
                                 struct stream_id after, struct span fields);

/* Raises registers of a hyperloglog; with count 0 it is made where there is none. */
struct hll_register {
    uint16_t index;
    uint8_t value;
};
void emit_hll(struct replica *r, uint8_t db, struct span key, const struct hll_register *registers,
              size_t count);

/* Removes all of a key that is there (DEL). Nothing when the key is unknown. */
void emit_remove(struct replica *r, uint8_t db, struct span key);

/* About how much a removal of an object writes, and what makes way for a write to another type. */
size_t emit_remove_bytes(const struct entry *e);

/* EXPIRE (deadline_ms > 0) or PERSIST (0). */
void emit_deadline(struct replica *r, uint8_t db, struct span key, uint64_t deadline_ms);

#endif
