/*
 * check -- assertions that stay on in production.
 *
 * CHECK states what the code relies on; a false one is a defect of this program,
 * never of its input, and ends the process where a debugger finds it.
 * CHECK_SLOW is for costly facts and is compiled into test builds only.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

/* Prints one line naming the place and the fact, then aborts. */
_Noreturn void check_failed(const char *file, int line, const char *fact);

#define CHECK(fact) ((fact) ? (void)0 : check_failed(__FILE__, __LINE__, #fact))

#ifdef MERIDIAN_SLOW_CHECKS
#define CHECK_SLOW(fact) CHECK(fact)
#else
#define CHECK_SLOW(fact) ((void)0)
#endif

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define COUNT_OF(array)                 (sizeof(array) / sizeof((array)[0]))

#endif
