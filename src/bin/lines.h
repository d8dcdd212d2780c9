/*
 * lines -- facts on standard output, one line each: for people as `what name=value …`, or as JSON
 * objects.
 *
 * Bytes that are no text stand there as \xNN; in JSON, which has no such thing, the field is then
 * called NAME_hex and has them in hexadecimal.
 */
#ifndef BIN_LINES_H
#define BIN_LINES_H

#include "clock/vector.h"

struct lines {
    bool json;
    struct buffer line;
};

enum { LINES_STAMP_MAX = 24 };

void lines_release(struct lines *l);

void lines_begin(struct lines *l, const char *what);
void lines_text(struct lines *l, const char *name, const char *text);
void lines_bytes(struct lines *l, const char *name, struct span bytes);
void lines_number(struct lines *l, const char *name, uint64_t number);
void lines_stamp(struct lines *l, const char *name, stamp_t stamp);
void lines_vector(struct lines *l, const char *name, const struct vector *v);
void lines_time(struct lines *l, const char *name, uint64_t ms);
void lines_flag(struct lines *l, const char *name); /* true; left out when it is not */
bool lines_end(struct lines *l);                    /* false: standard output takes no more */

/* "0x" and hexadecimal digits, as CONFLICT VERSIONS takes it; "0": never. */
const char *lines_stamp_text(stamp_t stamp, char text[LINES_STAMP_MAX]);

#endif
