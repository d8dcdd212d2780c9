/*
 * pieces -- for fuzz programs whose input is a list of steps: how it is taken apart, and mutated.
 *
 *     n x (u8 control, u16 length, bytes); the last may be cut short
 *
 * What a control byte means is the program's own. A program that reads pieces also gets a mutator
 * that knows them: it changes the bytes of one, or drops, repeats and moves whole ones, so that a
 * change in one step leaves the others as they were.
 */
#ifndef BASE_PIECES_H
#define BASE_PIECES_H

#include "base/buffer.h"

enum { PIECE_HEADER_BYTES = 3, PIECE_BYTES_MAX = UINT16_MAX };

struct piece {
    uint8_t control;
    struct span bytes; /* borrowed */
};

/* The next piece; false at the end. Any bytes are a list of pieces. */
bool pieces_next(struct span *in, struct piece *piece);

/* Appends a piece: for who makes a corpus. */
void pieces_put(struct buffer *out, uint8_t control, struct span bytes);

/* What libFuzzer calls, and offers. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t len, size_t max_len, unsigned seed);
/* Only in fuzz programs. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *bytes, size_t len, size_t max_len);

#endif
