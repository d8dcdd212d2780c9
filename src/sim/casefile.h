/*
 * casefile -- the cases of tests/cases as they are written. The language is explained there.
 *
 * Memory:    the text of the file and the lists; all spans lie in the text.
 */
#ifndef SIM_CASEFILE_H
#define SIM_CASEFILE_H

#include "base/buffer.h"

enum { CASE_REGIONS = 3, CASE_COMMANDS = 24 };

enum case_step { CASE_BASE, CASE_CONCURRENT, CASE_WAITS, CASE_LATE, CASE_THEN, CASE_EXPECT };

enum case_order { CASE_AB = 1, CASE_BA = 2, CASE_EQUAL = 4 };

struct case_command {
    enum case_step step;
    uint32_t region;          /* an index; nothing in CASE_EXPECT, which is asked in all */
    struct span text, answer; /* answer.at NULL: anything but an error */
};

struct conflict_case {
    struct span name;
    struct case_command commands[CASE_COMMANDS];
    size_t count;
    unsigned orders; /* to be tried: of enum case_order */
    bool alone;
    struct span prefix;
    int down, crash; /* a region's index; -1: none */
    int64_t clock_us[CASE_REGIONS];
};

struct casefile {
    struct buffer text;
    struct conflict_case *cases; /* [count] */
    size_t count;
    char problem[200];
};

/* False with a problem: no such file, or not the language. */
bool casefile_read(struct casefile *f, const char *path);
void casefile_release(struct casefile *f);

/* Whether some command of the case begins with this word. */
bool case_uses(const struct conflict_case *c, const char *word);

#endif
