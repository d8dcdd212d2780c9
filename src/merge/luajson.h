/*
 * luajson -- the json table of merge functions: decode, encode, array, null.
 *
 * Read straight into Lua's values, so that every byte counts against the run's memory and the
 * names of fields, which come from clients, meet Lua's own seeded hashing. (A parser with a tree
 * of its own does neither: jansson under the fixed seed that repeatable runs want takes 18 s for
 * one megabyte of names chosen to collide.)
 * RFC 8259, strictly: UTF-8, no double names, nothing after the value. A number without fraction
 * or exponent is an integer of 64 bits, else a double; null is json.null. Written compact, with
 * names sorted by bytes and doubles in the fewest of 15 to 17 digits that read back as the same.
 * A list is an array, a table of named fields an object. The empty table is an object unless it was
 * decoded from [] or made by json.array: both mark their table by a metatable, which has no effect.
 */
#ifndef MERGE_LUAJSON_H
#define MERGE_LUAJSON_H

#include "merge/sandbox.h"

void luajson_push_library(lua_State *L);

int luajson_decode(lua_State *L); /* decode(text) */
int luajson_encode(lua_State *L); /* encode(value) */

void luajson_push_null(lua_State *L);
bool luajson_is_null(lua_State *L, int index);
void luajson_mark_array(lua_State *L); /* the table on top */
bool luajson_is_array(lua_State *L, int index);

/* Whether the text is UTF-8 as RFC 3629 has it: shortest forms, no surrogates. */
bool luajson_valid_utf8(struct span text);

#endif
