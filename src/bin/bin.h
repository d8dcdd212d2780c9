/*
 * bin -- the subcommands: one file each, all listed in main.c.
 *
 * A subcommand is called with its own name as argv[0] and returns the process's exit status. Its
 * help says, after the first line (its usage), what it does and every option it has.
 */
#ifndef BIN_BIN_H
#define BIN_BIN_H

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1, /* one line on standard error says why and what to do */
    EXIT_USAGE = 2,
};

extern const char audit_help[], backup_help[], check_help[], demo_help[], export_help[],
    import_help[], inspect_help[], link_help[], repair_help[], restore_help[], serve_help[],
    sim_help[], status_help[];

int audit_main(int argc, char **argv);
int backup_main(int argc, char **argv);
int check_main(int argc, char **argv);
int demo_main(int argc, char **argv);
int export_main(int argc, char **argv);
int import_main(int argc, char **argv);
int inspect_main(int argc, char **argv);
int link_main(int argc, char **argv);
int repair_main(int argc, char **argv);
int restore_main(int argc, char **argv);
int serve_main(int argc, char **argv);
int sim_main(int argc, char **argv);
int status_main(int argc, char **argv);

/* Prints `meridian COMMAND: message; see 'meridian help COMMAND'` and returns EXIT_USAGE. */
int usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints `meridian COMMAND: message` and returns EXIT_FAILED. */
int command_failed(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
