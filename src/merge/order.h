/*
 * order -- what Lua leaves to hashes, clocks and addresses, done in one order.
 *
 * The keys of a table: numbers by value, then strings by their bytes, then false, then true. Other
 * keys (tables, functions, null) have no order that two regions would agree on: an error.
 * Sorting is a stable merge sort, so that even a comparison that contradicts itself gives one
 * result in bounded time. (Lua's own table.sort picks pivots by the clock.)
 */
#ifndef MERGE_ORDER_H
#define MERGE_ORDER_H

#include "merge/sandbox.h"

/* Pushes a list of the keys of the table at `table` in order; returns how many. */
lua_Integer order_push_keys(lua_State *L, int table);

int order_pairs(lua_State *L); /* pairs(t): keys that appear meanwhile are not visited */
int order_next(lua_State *L);  /* next(t [, key]): the first key after `key`, by looking at all */
int order_sort(lua_State *L);  /* table.sort(list [, comes_before]) */

#endif
