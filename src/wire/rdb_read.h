/*
 * rdb_read -- the small parts that a dump file is made of; for rdb.c and its values.
 *
 * Each reads at r->at and moves it on, or says false with a problem there.
 */
#ifndef WIRE_RDB_READ_H
#define WIRE_RDB_READ_H

#include "wire/rdb.h"

/* Always false. */
bool rdb_fail(struct rdb *r, const char *problem);
bool rdb_fail_number(struct rdb *r, const char *format, unsigned number)
    __attribute__((format(printf, 2, 0)));

bool rdb_bytes(struct rdb *r, uint64_t len, struct span *out);
bool rdb_u8(struct rdb *r, uint8_t *out);
bool rdb_u32(struct rdb *r, uint32_t *out);
bool rdb_u64(struct rdb *r, uint64_t *out);
bool rdb_length(struct rdb *r, uint64_t *out);
bool rdb_stream_id(struct rdb *r, struct stream_id *out); /* 16 bytes, big-endian */
bool rdb_length_id(struct rdb *r, struct stream_id *out); /* two lengths */

/* A string: of the file's bytes, or unpacked into `scratch`. */
bool rdb_text(struct rdb *r, struct buffer *scratch, struct span *out);

/* A number as text, or 'inf' and the like by one byte; NaN is refused. */
bool rdb_score_text(struct rdb *r, double *out);
bool rdb_score_binary(struct rdb *r, double *out);

/* The value of a key of that type in the file, and where it is a module's; rdb_module_skip reads until
 * the module's end. */
bool rdb_value_begin(struct rdb *r, enum rdb_type *type);
bool rdb_value_next(struct rdb *r, struct rdb_event *e);
bool rdb_stream_begin(struct rdb *r);
bool rdb_stream_next(struct rdb *r, struct rdb_event *e);
void rdb_stream_release(struct rdb *r);
bool rdb_module_name(struct rdb *r, struct span *out);
bool rdb_module_skip(struct rdb *r);

#endif
