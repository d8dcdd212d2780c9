/*
 * data -- what the data commands share: finding what readers see, checking arguments.
 *
 * Contracts are those of call.h: nothing here changes state, and spans into objects die at the next
 * emit.
 */
#ifndef CMD_DATA_H
#define CMD_DATA_H

#include "base/check.h"
#include "cmd/handlers.h"

/* The longest string, as Redis's proto-max-bulk-len. */
enum { STRING_BYTES_MAX = GROUP_MAX_BYTES };

/* The object of a key that readers see, in any database, or NULL. Counts no hit and no miss. */
struct entry *data_live(const struct call *call, uint8_t db, struct span key);

/* The same of a key that was scanned, also where it is only on disk. */
struct scanned;
bool data_is_live(const struct call *call, const struct scanned *s);

/* The number of fields that a key has now: to be asked again after an emit. */
uint64_t data_fields_count(const struct call *call, enum component c, struct span key);

/* call_find for hashes and sets: *fields is NULL when the key is not there. */
bool data_find_fields(struct call *call, struct span key, enum component c,
                      const struct table **fields);

/* The entry of a field, or NULL. `fields` may be NULL. */
static inline struct entry *data_field(const struct table *fields, struct span name)
{
    void **slot = fields != NULL ? table_find(fields, name) : NULL;
    return slot != NULL ? *slot : NULL;
}

/* The visible value of a string that is there, of a field that is there. `scratch` holds
 * CELL_SCRATCH_BYTES. */
struct span data_string(const struct entry *e, char *scratch);
struct span data_value(const struct entry *field, char *scratch);

/* The visible string of a key, empty when there is none; false when it replied WRONGTYPE. */
bool data_find_text(struct call *call, struct span key, char *scratch, struct span *text);

/* HDEL and SREM: takes away the fields named from argv[2] on; replies how many were there. */
void data_take_fields(struct call *call, enum component c);

/* The database of an argument; replies the error and returns false when it is none. */
bool data_database(struct call *call, struct span s, uint8_t *db);

/* An integer of [min, max]. `error` is the text for anything else; NULL: the usual ones, of which
 * one names the limits. */
bool data_int_within(struct call *call, struct span s, int64_t min, int64_t max, const char *error,
                     int64_t *out);

/* The name of a type, as TYPE says it; "none" for COMPONENT_NONE. */
const char *data_type_name(enum component c);

void data_wrong_arity(struct call *call);

/* True when the session's replies have grown past what it may leave unread: it is told to close.
 * For commands whose reply is longer than what they read. */
bool data_reply_too_long(struct call *call);

#endif
