/*
 * commands -- writes Redis commands as RESP, those of large keys in pieces.
 *
 * A piece is a command of the form VERB KEY ITEM...; it is closed when it has PIECE_ARGUMENTS or
 * PIECE_BYTES, and the next item opens another. What is written stands in `out`, whole commands only,
 * for the owner to send and clear.
 */
#ifndef BIN_COMMANDS_H
#define BIN_COMMANDS_H

#include "base/buffer.h"

enum { PIECE_ARGUMENTS = 1000, PIECE_BYTES = 256 << 10 };

struct commands {
    struct buffer out;
    uint64_t count; /* of commands ever written */
    struct buffer piece;
    size_t piece_arguments; /* 0: none is open */
};

void commands_release(struct commands *c);

/* A whole command. No piece may be open. */
void commands_put(struct commands *c, const struct span *argv, size_t argc);

/* One item, of one or more arguments, for the piece that is open, which has the same verb and key. */
void commands_add(struct commands *c, const char *verb, struct span key, const struct span *item,
                  size_t argument_count);

/* Closes the piece, if one is open. */
void commands_close(struct commands *c);

/* An argument that is a number: its digits are in `text`, which holds NUMBER_TEXT_MAX. */
enum { NUMBER_TEXT_MAX = 48 };
struct span commands_number(uint64_t number, char *text);

#endif
