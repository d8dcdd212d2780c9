/*
 * stream_args -- arguments of the stream commands: ids, intervals, and how much XADD and XTRIM
 * remove.
 *
 * Each replies the error, in Redis's words, and returns false when an argument is wrong.
 */
#ifndef CMD_STREAM_ARGS_H
#define CMD_STREAM_ARGS_H

#include "cmd/stream.h"

/* "ms-seq" or "ms", which then has this sequence. */
bool stream_arg_id(struct call *call, struct span s, uint64_t sequence, struct stream_id *id);

/* Whether it is such an id; nothing is replied. */
bool stream_is_id(struct span s, struct stream_id *id);

/* As the first, or "-" and "+" for the smallest and the greatest. */
bool stream_arg_any_id(struct call *call, struct span s, uint64_t sequence, struct stream_id *id);

/* The ends of an interval: as above, or "(" and an id that is not of it. */
bool stream_arg_from(struct call *call, struct span s, struct stream_id *id);
bool stream_arg_to(struct call *call, struct span s, struct stream_id *id);

/* The ids of argv[first, end); *ids is to be freed, also when false is returned. */
bool stream_arg_ids(struct call *call, size_t first, size_t end, struct stream_id **ids);

/* MAXLEN | MINID [= | ~] threshold [LIMIT count]. */
enum stream_trim_by { TRIM_NOT, TRIM_LENGTH, TRIM_ID };

struct stream_trim {
    enum stream_trim_by by;
    bool about; /* ~ */
    uint64_t length;
    struct stream_id id;
    uint64_t limit; /* 0: none */
};

/* XADD's arguments up to its id, or all of XTRIM's. */
struct stream_add_args {
    struct stream_trim trim;
    bool no_stream;      /* NOMKSTREAM */
    bool is_auto;        /* * */
    bool is_partial;     /* ms-* */
    struct stream_id id; /* unless it is * */
    size_t fields;       /* where they begin */
};

bool stream_arg_add(struct call *call, struct stream_add_args *args);
bool stream_arg_trim(struct call *call, struct stream_trim *trim);

#endif
