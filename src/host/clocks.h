/*
 * clocks -- the machine's clocks, and times as people read them.
 */
#ifndef HOST_CLOCKS_H
#define HOST_CLOCKS_H

#include <stdbool.h>
#include <stdint.h>

enum { CLOCKS_TEXT_MAX = 32 };

uint64_t clocks_monotonic_us(void);
uint64_t clocks_boottime_us(void); /* goes on while the machine is suspended */
uint64_t clocks_wall_us(void);     /* since 1970 */

/* "2026-11-21T10:00:00.123Z", in UTC. */
void clocks_text(uint64_t wall_us, char text[CLOCKS_TEXT_MAX]);

#endif
