/*
 * reply -- writes answers to a client, in RESP2 or RESP3.
 *
 * A reply is bytes appended to a buffer that it borrows; `protocol` chooses the shape (maps, sets,
 * nulls, doubles and booleans fall back to their RESP2 forms as in Redis). Counts of aggregates may
 * be left open (reply_array_later) and set when known.
 */
#ifndef WIRE_REPLY_H
#define WIRE_REPLY_H

#include "base/buffer.h"

struct reply {
    struct buffer *out;
    int protocol;    /* 2 or 3 */
    uint64_t errors; /* how many error replies were written: for statistics and EXEC */
};

void reply_ok(struct reply *r);
void reply_simple(struct reply *r, const char *text);
/* `text` begins with its code word ("ERR …", "WRONGTYPE …"); line breaks in it become spaces. */
void reply_error(struct reply *r, const char *text);
void reply_errorf(struct reply *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_int(struct reply *r, int64_t v);
void reply_bulk(struct reply *r, struct span s);
void reply_bulk_text(struct reply *r, const char *text);
void reply_null(struct reply *r);                    /* "$-1" or "_" */
void reply_null_array(struct reply *r);              /* "*-1" or "_" */
void reply_double(struct reply *r, double v);        /* bulk string or "," */
void reply_score(struct reply *r, double v);         /* the same, in 17 digits as Redis 7.0 */
void reply_verbatim(struct reply *r, struct span s); /* bulk string or "=…txt:" */
void reply_array(struct reply *r, uint64_t n);
void reply_map(struct reply *r, uint64_t pairs); /* "*2n" or "%n" */
void reply_set(struct reply *r, uint64_t n);     /* "*n" or "~n" */

/* An aggregate whose count is not known yet: returns its place; `kind` is '*', '%' or '~' (for '%',
 * count pairs). */
size_t reply_later(struct reply *r);
void reply_later_set(struct reply *r, size_t place, char kind, uint64_t n);

#endif
