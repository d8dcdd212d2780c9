/*
 * main -- finds the subcommand that was asked for.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "bin/bin.h"
#include "host/suggest.h"

static int version_main(int argc, char **argv);
static int help_main(int argc, char **argv);

static const char version_help[] = "usage: meridian version\n"
                                   "\n"
                                   "Prints the name and version of this program.\n";

static const char help_help[] =
    "usage: meridian help [COMMAND]\n"
    "\n"
    "Lists the commands, or says what one does and which options it has.\n";

static const struct subcommand {
    const char *name;
    const char *summary;
    const char *help;
    int (*run)(int argc, char **argv);
} SUBCOMMANDS[] = {
    { "serve", "run one region", serve_help, serve_main },
    { "demo", "run a world of regions on this machine", demo_help, demo_main },
    { "status", "show what a region is doing", status_help, status_main },
    { "link", "cut, heal or slow a link between two regions", link_help, link_main },
    { "import", "move the data of a Redis in", import_help, import_main },
    { "export", "move all data out, as commands", export_help, export_main },
    { "backup", "copy a region into a back-up", backup_help, backup_main },
    { "restore", "a region as it was at a moment", restore_help, restore_main },
    { "inspect", "show a log, a checkpoint or a back-up", inspect_help, inspect_main },
    { "repair", "put damaged files aside", repair_help, repair_main },
    { "audit", "check that nothing left its fence", audit_help, audit_main },
    { "sim", "try simulated worlds with faults", sim_help, sim_main },
    { "check", "validate a configuration file", check_help, check_main },
    { "version", "print the version", version_help, version_main },
    { "help", "list the commands, or explain one", help_help, help_main },
};

/* NULL, and a line on standard error, when there is none of that name. */
static const struct subcommand *find(const char *name)
{
    struct suggest meant = suggest_for(name);
    for (size_t i = 0; i < COUNT_OF(SUBCOMMANDS); i++) {
        if (strcmp(SUBCOMMANDS[i].name, name) == 0)
            return &SUBCOMMANDS[i];
        suggest_offer(&meant, SUBCOMMANDS[i].name);
    }
    if (meant.best)
        fprintf(stderr, "meridian: unknown command \"%s\"; did you mean \"%s\"?\n", name,
                meant.best);
    else
        fprintf(stderr, "meridian: unknown command \"%s\"; see 'meridian help'\n", name);
    return NULL;
}

static void print_commands(FILE *to)
{
    fprintf(to, "usage: meridian COMMAND [OPTION...]\n\n");
    for (size_t i = 0; i < COUNT_OF(SUBCOMMANDS); i++)
        fprintf(to, "  %-9s %s\n", SUBCOMMANDS[i].name, SUBCOMMANDS[i].summary);
    fprintf(to, "\nmeridian help COMMAND says more.\n");
}

static int version_main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return usage_error("version", "takes no arguments");
    printf("meridian %s\n", MERIDIAN_VERSION);
    return EXIT_DONE;
}

static int help_main(int argc, char **argv)
{
    if (argc > 2)
        return usage_error("help", "explains one COMMAND at a time");
    if (argc < 2) {
        print_commands(stdout);
        return EXIT_DONE;
    }
    const struct subcommand *command = find(argv[1]);
    if (!command)
        return EXIT_USAGE;
    fputs(command->help, stdout);
    return EXIT_DONE;
}

static void complain(const char *command, const char *format, va_list args)
{
    fprintf(stderr, "meridian %s: ", command);
    vfprintf(stderr, format, args);
}

int usage_error(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(command, format, args);
    va_end(args);
    fprintf(stderr, "; see 'meridian help %s'\n", command);
    return EXIT_USAGE;
}

int command_failed(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(command, format, args);
    va_end(args);
    fputc('\n', stderr);
    return EXIT_FAILED;
}

static bool asks_for(const char *argument, const char *option, const char *letter)
{
    return strcmp(argument, option) == 0 || strcmp(argument, letter) == 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_commands(stderr);
        return EXIT_USAGE;
    }
    if (asks_for(argv[1], "--help", "-h"))
        return help_main(1, argv);
    if (asks_for(argv[1], "--version", "-V"))
        return version_main(1, argv);

    const struct subcommand *command = find(argv[1]);
    if (!command)
        return EXIT_USAGE;
    if (argc > 2 && asks_for(argv[2], "--help", "-h")) {
        fputs(command->help, stdout);
        return EXIT_DONE;
    }
    return command->run(argc - 1, argv + 1);
}
