/*
 * resp -- reads commands from a client's bytes (RESP2/RESP3 arrays of bulk strings, and inline
 * commands), and writes such as another server reads.
 *
 * Incremental: the parser remembers how far it came in a command that is not complete, so a command
 * that arrives in a thousand pieces is still read once. Zero copy: arguments are spans into the
 * caller's bytes.
 * Limits:  1,048,576 arguments, 64 MB each (Redis with proto-max-bulk-len 64mb), 64 KB for an
 *          inline line.
 * Owner:   one parser per connection; resp_release frees its argument array.
 */
#ifndef WIRE_RESP_H
#define WIRE_RESP_H

#include "base/buffer.h"

enum resp_status {
    /* argv/argc are set; `consumed` bytes belong to it (argc may be 0: an empty line) */
    RESP_COMMAND,
    /* not complete yet; nothing is consumed; `need` is how many bytes the whole has at least */
    RESP_MORE,
    RESP_BAD, /* `error` is the text after "-ERR "; close after sending it */
};

struct resp_parser {
    struct span *argv; /* of the complete command; valid while the bytes are */
    size_t argc;
    size_t consumed;
    size_t need;
    const char *error;
    char error_text[64];
    size_t argv_cap;
    /* progress inside an incomplete command; private */
    size_t position;     /* bytes understood so far; 0 = at the start of a command */
    size_t searched;     /* bytes after `position` that are known to hold no line end */
    int64_t args_wanted; /* 0 = no header read yet */
    int64_t bulk_len;    /* of the argument whose header is read; -1 = none */
    size_t placed;       /* arguments whose place is in `offsets`: read in an earlier call */
    size_t *offsets;
    size_t offsets_cap;
    struct buffer inline_text; /* unquoted inline arguments */
    bool password_stage;       /* limits 10 args, 16 KB each: not yet authenticated (as Redis) */
};

void resp_init(struct resp_parser *p);
void resp_release(struct resp_parser *p);

/* `in` starts at the same byte as at the last call that said RESP_MORE. */
enum resp_status resp_parse(struct resp_parser *p, struct span in);

/* Appends a whole command; or its header, to be followed by as many arguments. */
void resp_put_command(struct buffer *out, const struct span *argv, size_t argc);
void resp_put_header(struct buffer *out, size_t argc);
void resp_put_argument(struct buffer *out, struct span argument);

#endif
