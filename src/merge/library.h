/*
 * library -- what a merge function may use, made from parts of Lua's own libraries.
 *
 * The list is of what is offered, not of what is forbidden. Not offered, and why:
 *   - load, require, io, os, debug, print: they reach outside; load also takes bytecode, which
 *     can crash the machine.
 *   - pcall, xpcall, coroutine: they could swallow the error that ends a run.
 *   - setmetatable, getmetatable, rawset: with metatables come finalizers (__gc), which run when the
 *     collector likes, weak tables (__mode) and writes into the libraries themselves.
 *   - string.find, match, gmatch, gsub: a pattern may take exponential time inside one instruction.
 *   - math.random; exp, log and the like, which differ between C libraries (sqrt is exact).
 *   - the text of a table or function, which is its address.
 * Done anew, as Lua's own take unbounded time or show hashes: pairs, next and table.sort (order.h),
 * string.rep, byte and format, table.insert, remove, concat and unpack. What takes time without
 * taking instructions or memory pays steps for it.
 *
 * Numbers: + - * / // % and sqrt of IEEE doubles are exact to the last bit everywhere, and so is
 * their text; only the sign of a NaN is not, which is why merge_run refuses a run that made one.
 * Text is compared by strcoll, which is bytewise in the locale "C".
 */
#ifndef MERGE_LIBRARY_H
#define MERGE_LIBRARY_H

#include "merge/sandbox.h"

/* Pushes the globals of a merge function: read-only, down to the libraries in them. */
void library_push_globals(lua_State *L);

#endif
