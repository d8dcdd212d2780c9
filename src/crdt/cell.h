/*
 * cell -- concurrent registers and tallies: the building block of every type.
 *
 * An effect lasts until some later write has observed it:
 *   put     drops the registers it observed, resets the tallies it observed, adds its own register.
 *   take    drops and resets the same, adds nothing.
 *   bump    moves the tally of its origin.
 * Concurrent registers are all kept (at most one per origin); that the largest stamp wins is only
 * how they are read. A tally resets to the (last, sum) that the write says it saw, if that is later
 * than the tally's base: ordered by stamp and never by size, for sums go down too. A tally whose
 * base reached its last is dropped. Integer and floating increments of one origin are two tallies,
 * so that integers stay exact.
 *
 * An entry is a named cell in one allocation. The common one, a single register and nothing else,
 * keeps its value inline behind the name; anything more moves to a struct cell (or, for a key, a
 * struct body: object.h).
 */
#ifndef CRDT_CELL_H
#define CRDT_CELL_H

#include "crdt/op.h"

struct reg {
    stamp_t stamp;
    uint8_t *value; /* owned */
    uint32_t len;
    /* written without a deadline: counts as "none" among the deadlines */
    bool none;
};

struct tally {
    uint8_t origin;
    stamp_t last, base_last;
    struct amount sum, base_sum;
};

struct cell {
    struct reg *regs;      /* ascending by stamp */
    struct tally *tallies; /* ascending by origin, the integer one first */
    uint16_t reg_count, tally_count;
};

enum entry_form {
    ENTRY_INLINE, /* one register: `stamp`, the value behind the name */
    ENTRY_CELL,
    ENTRY_BODY, /* of a key only */
};

struct body;

struct entry {
    union {
        stamp_t stamp;
        struct cell *cell;
        struct body *body;
    };
    uint32_t name_len;
    uint32_t value_len; /* 0 unless inline */
    uint8_t form;
    bool none : 1; /* of the inline register */
    /* of a key: crdt/resident.h */
    bool dirty : 1;    /* changed since it was copied for a checkpoint */
    bool stored : 1;   /* the checkpoint has, or will have, a record of it */
    uint8_t epoch : 5; /* the copy that it was last part of; 0: none */
    uint16_t heat;     /* how it was used: cmd/evict.h */
    uint8_t bytes[];   /* name, then the inline value */
};

enum { ENTRY_HEADER_BYTES = 20 };

static inline struct span entry_name(const struct entry *e)
{
    return span_of(e->bytes, e->name_len);
}

static inline struct span entry_inline_value(const struct entry *e)
{
    return span_of(e->bytes + e->name_len, e->value_len);
}

struct span entry_key_of(const void *entry); /* for table_init */

struct entry *entry_new(struct span name, stamp_t stamp, struct span value, bool none);
/* with an empty cell, to be filled at once */
struct entry *entry_new_wide(struct span name);
void entry_free(struct entry *e); /* inline and cell forms */

/* The cell of a field, made from the inline register when it was inline. */
struct cell *entry_widen(struct entry **slot);
/* Back to the inline form when one register is all that is left. */
void entry_narrow(struct entry **slot);

/* A register of an op that reached a cell: what put adds. */
struct write {
    stamp_t rank;
    struct span value;
    bool none;
};

/* Field-level effects. `observed` is the encoded list's entries. The slot may be replaced.
 * take returns true when nothing is left: the caller removes and frees the entry. */
void entry_put(struct entry **slot, const struct observer *by, const struct write *w,
               struct span observed);
bool entry_take(struct entry **slot, const struct observer *by, struct span observed);
void entry_bump(struct entry **slot, stamp_t stamp, stamp_t previous, struct amount before,
                struct amount after);

void cell_add_reg(struct cell *c, const struct write *w);
/* Drops what was observed; every dropped register is shown to `dropped` first when that is not
 * NULL. */
void cell_drop(struct cell *c, const struct observer *by, struct span observed,
               void (*dropped)(void *context, const struct reg *reg), void *context);
void cell_bump(struct cell *c, stamp_t stamp, stamp_t previous, struct amount before,
               struct amount after);
void cell_release(struct cell *c);
static inline bool cell_empty(const struct cell *c)
{
    return c->reg_count == 0 && c->tally_count == 0;
}
const struct tally *cell_tally(const struct cell *c, uint8_t origin, bool is_float);
stamp_t cell_newest(const struct cell *c); /* 0 when empty */

/* --- what readers see ("lww") --- */

enum { CELL_SCRATCH_BYTES = 48 };

/* The value: the newest register's, or with tallies its number plus their sums, written to
 * scratch[CELL_SCRATCH_BYTES]. Tallies on a register that is no number stay hidden. False when the
 * cell is empty. */
bool cell_read(const struct cell *c, char *scratch, struct span *value);
bool entry_read(const struct entry *e, char *scratch, struct span *value);

/* The same of a cell that has registers, read as if `text` were the newest one's value. */
struct span cell_read_over(const struct cell *c, struct span text, char *scratch);

/* The encoded list (count and entries) of the tallies now in the cell: what a write here has
 * observed. */
void cell_put_observed(struct buffer *out, const struct cell *c);
/* e may be NULL: an empty list */
void entry_put_observed(struct buffer *out, const struct entry *e);

/* The tally an increment of `origin` goes on from: (previous, before); starts at `latest` and 0
 * when there is none. */
void cell_tally_base(const struct cell *c, uint8_t origin, bool is_float, stamp_t latest,
                     stamp_t *previous, struct amount *before);

/* memory, allocator rounding not counted */
static inline bool entry_has_tallies(const struct entry *e)
{
    return e->form == ENTRY_CELL && e->cell->tally_count > 0;
}

size_t entry_bytes(const struct entry *e);

#endif
