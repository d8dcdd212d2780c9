/*
 * link -- cuts, heals and slows the links of a running world.
 */
#include <stdio.h>
#include <string.h>

#include "bin/ask.h"
#include "bin/bin.h"
#include "bin/options.h"
#include "host/endpoint.h"

const char link_help[] =
    "usage: meridian link cut|heal|slow A B [MS] [--port PORT | --at HOST:PORT]\n"
    "\n"
    "Faults between two regions of a world that was started with --faults, as demo does.\n"
    "\n"
    "  cut A B         nothing goes between A and B any more\n"
    "  heal A B        it does again, at full speed\n"
    "  slow A B MS     adds MS milliseconds to each direction; 0 takes them away\n"
    "\n"
    "  --port PORT     the client port of any region on this machine; 7001, where demo has its "
    "first\n"
    "  --at HOST:PORT  the same on another machine\n";

enum { OPTION_PORT, OPTION_AT };

static const struct option OPTIONS[] = {
    [OPTION_PORT] = { "--port", true },
    [OPTION_AT] = { "--at", true },
    { NULL, false },
};

enum { ANSWER_MS = 5000, ARGUMENTS_MAX = 4 };

struct link_command {
    struct endpoint at;
    const char *arguments[ARGUMENTS_MAX]; /* cut A B, or slow A B MS */
    size_t count;
};

static bool take_address(struct link_command *l, const struct options *o)
{
    const char *wrong = endpoint_parse(o->value, &l->at);

    if (wrong == NULL)
        return true;
    usage_error("link", "--at: \"%s\" %s", o->value, wrong);
    return false;
}

static bool read_options(struct link_command *l, int argc, char **argv)
{
    struct options o = options_of(argc, argv);
    uint64_t port = 7001;

    for (;;) {
        switch (options_next(&o, OPTIONS)) {
        case OPTIONS_END:
            if (l->at.port == 0) {
                snprintf(l->at.host, sizeof(l->at.host), "127.0.0.1");
                l->at.port = (uint16_t)port;
            }
            return true;
        case OPTIONS_WRONG:
            return false;
        case OPTIONS_ARGUMENT:
            if (l->count == ARGUMENTS_MAX) {
                usage_error("link", "has no place for \"%s\"", o.value);
                return false;
            }
            l->arguments[l->count++] = o.value;
            break;
        case OPTION_PORT:
            if (!options_number(&o, "--port", 1, 65535, &port))
                return false;
            break;
        case OPTION_AT:
            if (!take_address(l, &o))
                return false;
        }
    }
}

static bool is_well_formed(const struct link_command *l)
{
    const char *verb = l->count > 0 ? l->arguments[0] : "";

    if (strcmp(verb, "cut") != 0 && strcmp(verb, "heal") != 0 && strcmp(verb, "slow") != 0)
        usage_error("link", "needs cut, heal or slow, and two regions");
    else if (l->count < 3)
        usage_error("link", "%s needs two regions", verb);
    else if ((strcmp(verb, "slow") == 0) != (l->count == 4))
        usage_error(
            "link",
            l->count == 4 ? "%s takes two regions and no more" : "%s needs milliseconds too", verb);
    else
        return true;
    return false;
}

int link_main(int argc, char **argv)
{
    struct link_command l = { 0 };
    struct span words[ARGUMENTS_MAX + 1] = { span_str("LINK") };
    struct buffer answer = { 0 };
    char problem[ASK_PROBLEM_MAX];
    int status = EXIT_DONE;

    if (!read_options(&l, argc, argv) || !is_well_formed(&l))
        return EXIT_USAGE;
    for (size_t i = 0; i < l.count; i++)
        words[i + 1] = span_str(l.arguments[i]);
    if (!ask_resp(&l.at, words, l.count + 1, ANSWER_MS, &answer, problem))
        status = command_failed("link", "%s; is a world running there? (--port chooses another)",
                                problem);
    else if (answer.at[0] == '-')
        status = command_failed("link", "%.*s", (int)answer.len - 1, (const char *)answer.at + 1);
    buffer_release(&answer);
    return status;
}
