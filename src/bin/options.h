/*
 * options -- reads a subcommand's arguments by a table.
 *
 *     --name VALUE, --name=VALUE, --flag; what does not begin with "-" is an argument; after "--"
 *     everything is.
 *
 * What is wrong is printed at once, by usage_error; the command then ends with EXIT_USAGE.
 */
#ifndef BIN_OPTIONS_H
#define BIN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct option {
    const char *name; /* "--data"; NULL ends the table */
    bool takes_value;
};

struct options {
    const char *command;
    int argc; /* what is left */
    char **argv;
    bool only_arguments; /* "--" was seen */
    const char *value;   /* of the option just read; or the argument */
};

enum { OPTIONS_END = -1, OPTIONS_WRONG = -2, OPTIONS_ARGUMENT = -3 };

/* argv[0] is the command's name. */
struct options options_of(int argc, char **argv);

/* The index of the next option in `table`, or one of the above. */
int options_next(struct options *o, const struct option *table);

/* The value as a whole number within low..high; false, and it was said, when it is not one. */
bool options_number(const struct options *o, const char *name, uint64_t low, uint64_t high,
                    uint64_t *out);

#endif
