/*
 * child -- work in a process of its own, because what it reads may be damaged in any way, or to
 * have it done beside.
 *
 * LMDB follows what stands in its pages: damage can end the process that reads it. Here it ends the
 * child only.
 */
#ifndef BIN_CHILD_H
#define BIN_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { CHILD_PROBLEM_MAX = 160 };

/* Zeroed memory that a child shares; NULL: there is none. */
void *child_memory(size_t bytes);
void child_memory_free(void *memory, size_t bytes);

/* Runs `work` with memory that is shared. -1: no process could be made; errno says why. */
pid_t child_begin(void (*work)(void *memory), void *memory);

/* Whether it has ended; with `wait` it has. *problem says how, "" when it did its work. */
bool child_ended(pid_t child, bool wait, char problem[CHILD_PROBLEM_MAX]);

/* Begin and wait. */
void child_run(void (*work)(void *memory), void *memory, char problem[CHILD_PROBLEM_MAX]);

#endif
