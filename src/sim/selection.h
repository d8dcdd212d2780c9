/*
 * selection -- which commands and faults of a seed's world happen.
 *
 * Every command and every fault has a number in its own stream of random numbers: the nth command
 * of a client, the nth fault of the world. One that is left out is drawn like any other and then
 * not sent, or not caused: so the others stay what they are, and a history can be made shorter
 * without becoming another one. As text:
 *
 *     commands   1.2:7,1.2:9-12     the 7th and the 9th to 12th of client 2 of region 1
 *     faults     3,5-6              the 3rd, 5th and 6th
 *     none                          an empty list
 */
#ifndef SIM_SELECTION_H
#define SIM_SELECTION_H

#include "base/buffer.h"

/* Ascending numbers. Owned by whoever made it. */
struct selection_list {
    bool chosen; /* false: there is no list, everything happens */
    uint64_t *at;
    size_t count;
};

struct selection {
    struct selection_list commands, faults;
};

/* A command as a number: region and client count from 0, `n` from 1. */
static inline uint64_t selection_command(uint32_t region, uint32_t client, uint32_t n)
{
    return (uint64_t)region << 40 | (uint64_t)client << 32 | n;
}

bool selection_has(const struct selection_list *l, uint64_t number);
void selection_add(struct selection_list *l, uint64_t number); /* above all that are there */
void selection_release(struct selection_list *l);

void selection_put_commands(struct buffer *out, const struct selection_list *l);
void selection_put_faults(struct buffer *out, const struct selection_list *l);

/* False when the text is none, or not in ascending order; the list is to be released all the
 * same. */
bool selection_take_commands(struct span text, struct selection_list *l);
bool selection_take_faults(struct span text, struct selection_list *l);

#endif
