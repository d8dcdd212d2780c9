/*
 * answer -- replies in RESP2 as clients see them, and whether one is what a case expects.
 *
 * The language of what is expected is explained at the head of tests/cases/semantics.cases, and read
 * in the same way by tests/casefile.py.
 */
#ifndef SIM_ANSWER_H
#define SIM_ANSWER_H

#include "base/buffer.h"

/* The length of the whole reply at the front; 0 when it is not all there; -1 when it is none. */
ptrdiff_t answer_length(struct span in);

/* What the words of a case stand for: @k is `prefix`k, $late a time, and $name the value that was kept
 * under that name. All borrowed. */
struct answer_names {
    struct span prefix, late, name, value;
};

/* Appends what the word stands for. */
void answer_resolve(struct buffer *out, struct span word, const struct answer_names *names);

/* Where `what` stands in the text; the text's length when it does not. */
size_t answer_find(struct span text, struct span what);

/* The next of the texts that are separated by " | "; false when there is none. */
bool answer_next_choice(struct span *text, struct span *choice);

/* The next word, where words are separated by blanks; false when there is none. */
bool answer_next_word(struct span *text, struct span *word);

/* Whether a whole reply (empty: there is none yet) is as one choice says. */
bool answer_fits(struct span reply, struct span choice, const struct answer_names *names);

/* Takes an array's head off, what follows are its items: so many; -1: it is none. And the first of them. */
int64_t answer_open(struct span *reply);
struct span answer_next(struct span *items);

bool answer_begins(struct span text, const char *word);

/* The text of a bulk string, an integer or a status. False for all else. */
bool answer_text(struct span reply, struct span *text);

#endif
