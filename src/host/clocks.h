/*
 * clocks -- the machine's clocks, and times as people read them.
 */
#ifndef HOST_CLOCKS_H
#define HOST_CLOCKS_H

#include <stdbool.h>
#include <stdint.h>

enum { CLOCKS_TEXT_MAX = 32 };

uint64_t clocks_monotonic_us(void);
uint64_t clocks_wall_us(void); /* since 1970 */

/* Whether the kernel says that nothing disciplines its clock. Inside a container it often cannot
 * know: information, no verdict. */
bool clocks_unsynchronised(void);

/* "2026-11-21T10:00:00.123Z", in UTC. */
void clocks_text(uint64_t wall_us, char text[CLOCKS_TEXT_MAX]);

#endif
