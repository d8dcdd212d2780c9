/*
 * merge -- the view of a conflict that an operator wrote: a Lua 5.4 function over the versions.
 *
 * A file of source returns a function; merge_run calls it with the concurrent versions of one
 * value and gives what it returned. It only computes what a reader sees and never changes what
 * is stored, so the worst that a faulty function does is to be refused: the reader then gets the
 * lww view.
 *
 * Regions must see the same, so the result is a function of the arguments and of the source,
 * whatever ran before and wherever it runs: no clock, randomness, addresses, hash order or locale
 * shows (library.h says how), the limits are counted and never timed, and each run starts from
 * its own fresh variables.
 * Limits:    below, each with its reason. A run over a limit fails, in every region alike.
 * Memory:    one Lua state a function, some 25 KiB, made anew when a run has left a trace in it.
 * Threads:   one owner. Pure: no clock, no I/O. The process must keep the locale "C".
 * See docs/merge.md for what the author of a function is told.
 */
#ifndef MERGE_MERGE_H
#define MERGE_MERGE_H

#include "base/buffer.h"

enum {
    /* A file is a page or two; this is generous. */
    MERGE_SOURCE_MAX_BYTES = 64 * 1024,
    /* Keys, values and regions of a run together (and MERGE_VERSION_BYTES a version); beyond it
     * readers get lww. */
    MERGE_INPUT_MAX_BYTES = 1024 * 1024,
    MERGE_VERSION_BYTES = 256,
    /* What a run may hold: this, and room to decode its input, whose smallest JSON elements take
     * two bytes and become a slot of sixteen or so. */
    MERGE_MEMORY_BYTES = 1024 * 1024,
    MERGE_MEMORY_PER_INPUT_BYTE = 16,
    /* A step is an instruction of the Lua machine, about 5 ns, or as much work of a function of
     * ours. An instruction may copy or compare a whole string: each costs one step more for every
     * MERGE_STEP_BYTES of the largest string that the run has made. */
    MERGE_STEPS = 1000 * 1000,
    MERGE_STEPS_PER_INPUT_BYTE = 16,
    MERGE_STEP_BYTES = 16 * 1024,
    /* What merge_steps_taken adds to a run's own: for its beginning and end, for every byte of the
     * source when the state is made anew, and for every refused allocation (below). */
    MERGE_RUN_STEPS = 1000,
    MERGE_STEPS_PER_SOURCE_BYTE = 16,
    MERGE_STEPS_PER_REFUSAL = 100 * 1000,
    /* Each refused allocation costs a full collection, so a run at its limit could pass its time
     * collecting: then the next refusal is final. */
    MERGE_REFUSALS_MAX = 64,
    /* What a call may give or take at once: an instruction copies all of them. */
    MERGE_VALUES_MAX = 200,
    MERGE_JSON_DEPTH_MAX = 64,
    MERGE_JSON_MAX_BYTES = 1024 * 1024,
};

struct merge_version {
    struct span value;
    const char *region; /* the name of the region that wrote it */
    uint64_t time_ms;   /* when, since 1970 */
    uint64_t stamp;
};

struct merge_function;

/* Compiles `source` (borrowed) under the name that its error messages bear. On failure returns
 * NULL and puts one line, "name:line: what", into `problem`. */
struct merge_function *merge_compile(const char *name, struct span source, char *problem,
                                     size_t problem_size);
void merge_release(struct merge_function *f); /* NULL is fine */

/* Appends to `out` what the function returns for `versions`, which are in stamp order, the oldest
 * first. `field` is that of a hash; field.at is NULL when the key has none. On false nothing is
 * appended, `problem` says why in one line, and readers get the lww view; the function remains
 * usable. All arguments are borrowed. */
bool merge_run(struct merge_function *f, struct span key, struct span field,
               const struct merge_version *versions, size_t count, struct buffer *out,
               char *problem, size_t problem_size);

/* What the last run cost, in steps, for who makes many runs at a stretch and has to end
 * somewhere. */
uint64_t merge_steps_taken(const struct merge_function *f);

#endif
