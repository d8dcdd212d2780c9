/*
 * sandbox -- what the parts of this folder share: the state of a function and its budget of work.
 * Nothing outside src/merge includes it.
 */
#ifndef MERGE_SANDBOX_H
#define MERGE_SANDBOX_H

#include <lauxlib.h>
#include <lua.h>

#include "merge/merge.h"

struct merge_function {
    lua_State *lua; /* NULL: the last run left a trace in it; the next one makes it anew */
    char *chunk;    /* "@" and the name, as Lua names the source of a file */
    struct buffer source;
    struct buffer text;  /* what json.encode writes; here, so that an error does not lose it */
    size_t used;         /* bytes that Lua holds now */
    size_t used_fresh;   /* and held before the first run */
    size_t used_max;     /* what it may hold */
    size_t string_max;   /* the largest string that this run has made */
    size_t block_max;    /* and the largest block of any kind */
    uint32_t refusals;   /* of allocations, in this run */
    uint64_t steps_left; /* of this run */
    uint64_t granted;    /* steps, to this run */
    uint64_t taken;      /* by the last run, or what it is charged with */
};

struct merge_function *sandbox_of(lua_State *L);

/* Takes `steps` from the run's budget; raises the error that ends the run when they are too
 * many. Whatever a C function does that is not of constant cost, it pays for first: the count of
 * instructions does not see it. */
void sandbox_charge(lua_State *L, uint64_t steps);

/* The same for moving or comparing so many elements of a table. */
void sandbox_charge_elements(lua_State *L, uint64_t count);

/* The same for looking at all of a table, which may be large and yet empty. */
void sandbox_charge_walk(lua_State *L);

#endif
