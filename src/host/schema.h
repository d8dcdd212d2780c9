/*
 * schema -- reads a tree into structs by tables: one row a field.
 *
 * A row names a field, how it is read, where its value goes and what it may be. Readers for common
 * kinds are here; a field with rules of its own brings its own reader. Fields are read in the order
 * of the table, not of the file, so that a row may rely on the rows above it. Every problem is
 * reported with its line and the path of its field (`regions[0].id: ...`); reading goes on after
 * each.
 */
#ifndef HOST_SCHEMA_H
#define HOST_SCHEMA_H

#include "host/yamltree.h"

enum { SCHEMA_PATH_MAX = 256 };

struct schema_reader {
    struct problems *problems;
    void *context;              /* for the fields' own readers */
    char path[SCHEMA_PATH_MAX]; /* of the field being read */
};

struct schema_field;
typedef void (*schema_read)(struct schema_reader *r, const struct schema_field *field,
                            const struct yamltree *node, void *to);

/* A word that a field may be. */
struct schema_choice {
    const char *word; /* NULL ends a table */
    int value;
    bool later; /* understood, but beyond this version */
};

struct schema_field {
    const char *name; /* NULL ends a table */
    schema_read read;
    size_t offset; /* of the value, from the struct that the table fills */
    bool required;
    int64_t low, high; /* of a number, a duration in ms or a size in bytes */
    const struct schema_choice *choices;
    const struct schema_field
        *fields; /* of a map within the map; offsets count from the outer struct */
};

/* Reads a map by its table into `to`, and reports what is unknown or missing. */
void schema_read_fields(struct schema_reader *r, const struct schema_field *fields,
                        const struct yamltree *map, void *to);

/* Readers. Each stores at `to`, which must hold what its name says. */
void schema_read_map(struct schema_reader *r, const struct schema_field *f,
                     const struct yamltree *node, void *to);
void schema_read_text(struct schema_reader *r, const struct schema_field *f,
                      const struct yamltree *node, void *to);
void schema_read_name(struct schema_reader *r, const struct schema_field *f,
                      const struct yamltree *node, void *to);
void schema_read_u32(struct schema_reader *r, const struct schema_field *f,
                     const struct yamltree *node, void *to);
void schema_read_duration_ms(struct schema_reader *r, const struct schema_field *f,
                             const struct yamltree *node, void *to);
void schema_read_size(struct schema_reader *r, const struct schema_field *f,
                      const struct yamltree *node, void *to);
void schema_read_choice(struct schema_reader *r, const struct schema_field *f,
                        const struct yamltree *node, void *to);

/* For a field's own reader. A problem at `line`, with the path before it. */
void schema_problem(struct schema_reader *r, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends to the path; returns what schema_leave needs to take it off again. */
size_t schema_enter(struct schema_reader *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void schema_leave(struct schema_reader *r, size_t length);

/* True when the node is of that kind; else reports what was expected. A refused node is not
 * reported again. */
bool schema_is(struct schema_reader *r, const struct yamltree *node, enum yamltree_kind kind,
               const char *expected);

/* True, and *value set, for a whole number within low..high; else reports. */
bool schema_whole(struct schema_reader *r, int line, const char *text, int64_t low, int64_t high,
                  int64_t *value);

/* True, and *ms set, for a duration such as 500ms within low..high milliseconds; else reports. */
bool schema_duration(struct schema_reader *r, int line, const char *text, int64_t low, int64_t high,
                     int64_t *ms);

/* True, and *value set, for one of the words; else reports, with the words. */
bool schema_choose(struct schema_reader *r, int line, const char *text,
                   const struct schema_choice *choices, int *value);

/* Reports `text` as a value that is understood but beyond this version. */
void schema_refuse_later(struct schema_reader *r, int line, const char *text,
                         const struct schema_choice *choices);

/* Whether a text can name something: letters, digits, '-', '_' and '.', 1 to 63 of them; else
 * reports. */
bool schema_is_name(struct schema_reader *r, int line, const char *text);

/* A copy, the caller's to free with mem_free. */
char *schema_copy(const char *text);

#endif
