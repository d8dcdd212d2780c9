/* COMMAND: the command table, told to clients in the shapes of Redis 7.0. */
#include "base/check.h"
#include "cmd/command_keys.h"
#include "cmd/data.h"
#include "cmd/handlers.h"

/* --- names --- */

/* "get", or "client|list". */
static const struct command *find_full(struct span name)
{
    const uint8_t *bar = name.len > 0 ? memchr(name.at, '|', name.len) : NULL;

    if (bar == NULL)
        return command_find(name);

    size_t len = (size_t)(bar - name.at);
    const struct command *container = command_find(span_of(name.at, len));

    return container != NULL ? command_find_sub(container, span_skip(name, len + 1)) : NULL;
}

static uint64_t count_subcommands(const struct command *command)
{
    uint64_t count = 0;

    while (command->subcommands != NULL && command->subcommands[count].name != NULL)
        count++;
    return count;
}

static void count(struct call *call)
{
    reply_int(call->reply, (int64_t)command_count());
}

/* --- INFO --- */

static void put_flags(struct reply *r, const struct command *command)
{
    /* In Redis's order. */
    static const struct {
        uint32_t flag;
        const char *name;
    } names[] = {
        { CMD_WRITE, "write" },
        { CMD_READONLY, "readonly" },
        { CMD_DENYOOM, "denyoom" },
        { CMD_ADMIN, "admin" },
        { CMD_NOSCRIPT, "noscript" },
        { CMD_BLOCKING, "blocking" },
        { CMD_LOADING, "loading" },
        { CMD_STALE, "stale" },
        { CMD_FAST, "fast" },
        { CMD_NO_AUTH, "no_auth" },
        { CMD_MOVABLE_KEYS, "movablekeys" },
    };
    size_t place = reply_later(r);
    uint64_t found = 0;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (command->flags & names[i].flag) {
            reply_simple(r, names[i].name);
            found++;
        }
    }
    reply_later_set(r, place, '~', found);
}

/* Redis's categories, in its order: they follow from the group or from flags, except where names are
 * told. A container has none of its group, for its subcommands have; but COMMAND is one itself. */
static const struct category {
    const char *name;
    const char *group;        /* NULL: none */
    uint32_t flag;            /* 0: none */
    const char *also, *never; /* names */
} categories[] = {
    { "@keyspace", "generic", 0, "dbsize flushall flushdb", "sort sort_ro wait" },
    { "@read", NULL, CMD_READONLY, "", "" },
    { "@write", NULL, CMD_WRITE, "", "" },
    { "@set", "set", 0, "sort sort_ro", "" },
    { "@sortedset", "sorted-set", 0, "sort sort_ro", "" },
    { "@list", "list", 0, "sort sort_ro", "" },
    { "@hash", "hash", 0, "", "" },
    { "@string", "string", 0, "", "" },
    { "@bitmap", "bitmap", 0, "", "" },
    { "@hyperloglog", "hyperloglog", 0, "", "" },
    { "@geo", "geo", 0, "", "" },
    { "@stream", "stream", 0, "", "" },
    { "@admin", NULL, CMD_ADMIN, "", "" },
    { "@fast", NULL, CMD_FAST, "", "" },
    { "@slow", NULL, 0, "", "" },
    { "@blocking", NULL, CMD_BLOCKING, "", "" },
    { "@dangerous", NULL, CMD_ADMIN, "flushall flushdb info keys restore sort sort_ro", "" },
    { "@connection", "connection", 0,
      "command command|count command|docs command|getkeys command|getkeysandflags command|help "
      "command|info command|list readonly readwrite wait",
      "" },
    { "@transaction", "transactions", 0, "", "" },
};

static bool is_in(const struct command *command, const struct category *c)
{
    bool container = command->subcommands != NULL && strcmp(command->name, "command") != 0;

    if (c->group == NULL && c->flag == 0)
        return (command->flags & CMD_FAST) == 0;
    if (command->flags & c->flag || command_listed(c->also, command->name))
        return true;
    return c->group != NULL && strcmp(command->group, c->group) == 0 && !container &&
           !command_listed(c->never, command->name);
}

static void put_categories(struct reply *r, const struct command *command)
{
    size_t place = reply_later(r);
    uint64_t found = 0;

    for (size_t i = 0; i < COUNT_OF(categories); i++) {
        if (!is_in(command, &categories[i]))
            continue;
        reply_simple(r, categories[i].name);
        found++;
    }
    reply_later_set(r, place, '~', found);
}

/* "RO access" as a set of two. */
static void put_words(struct reply *r, const char *words)
{
    size_t place = reply_later(r);
    uint64_t found = 0;

    while (*words != 0) {
        char word[24];
        size_t len = strcspn(words, " ");

        CHECK(len < sizeof(word));
        memcpy(word, words, len);
        word[len] = 0;
        reply_simple(r, word);
        words += len + (words[len] == ' ');
        found++;
    }
    reply_later_set(r, place, '~', found);
}

static void put_pair(struct reply *r, const char *name, int64_t value)
{
    reply_bulk_text(r, name);
    reply_int(r, value);
}

/* The head of a key specification: what is done, and the argument where the search begins. */
static void put_spec_begin(struct reply *r, const char *use, int index)
{
    reply_map(r, 3);
    reply_bulk_text(r, "flags");
    put_words(r, use);
    reply_bulk_text(r, "begin_search");
    reply_map(r, 2);
    reply_bulk_text(r, "type");
    reply_bulk_text(r, "index");
    reply_bulk_text(r, "spec");
    reply_map(r, 1);
    put_pair(r, "index", index);
    reply_bulk_text(r, "find_keys");
    reply_map(r, 2);
    reply_bulk_text(r, "type");
}

/* `last` as in the table: an index, or from the end when negative. */
static void put_range_spec(struct reply *r, const char *use, int first, int last, int step)
{
    put_spec_begin(r, use, first);
    reply_bulk_text(r, "range");
    reply_bulk_text(r, "spec");
    reply_map(r, 3);
    put_pair(r, "lastkey", last < 0 ? last : last - first);
    put_pair(r, "keystep", step);
    put_pair(r, "limit", 0);
}

static void put_counted_spec(struct reply *r, const char *use, size_t index)
{
    put_spec_begin(r, use, (int)index);
    reply_bulk_text(r, "keynum");
    reply_bulk_text(r, "spec");
    reply_map(r, 3);
    put_pair(r, "keynumidx", 0);
    put_pair(r, "firstkey", 1);
    put_pair(r, "keystep", 1);
}

/* Keys behind a word: `last` from the end when negative, then of so many parts of the rest. */
struct word_spec {
    const char *word;
    size_t from;
    int last, parts;
};

static void put_word_spec(struct reply *r, const char *use, struct word_spec spec)
{
    reply_map(r, 3);
    reply_bulk_text(r, "flags");
    put_words(r, use);
    reply_bulk_text(r, "begin_search");
    reply_map(r, 2);
    reply_bulk_text(r, "type");
    reply_bulk_text(r, "keyword");
    reply_bulk_text(r, "spec");
    reply_map(r, 2);
    reply_bulk_text(r, "keyword");
    reply_bulk_text(r, spec.word);
    put_pair(r, "startfrom", (int64_t)spec.from);
    reply_bulk_text(r, "find_keys");
    reply_map(r, 2);
    reply_bulk_text(r, "type");
    reply_bulk_text(r, "range");
    reply_bulk_text(r, "spec");
    reply_map(r, 3);
    put_pair(r, "lastkey", spec.last);
    put_pair(r, "keystep", 1);
    put_pair(r, "limit", spec.parts);
}

static void put_store_specs(struct reply *r, const struct command *command, struct key_use use)
{
    bool distance = strncmp(command->name, "geo", 3) == 0;
    size_t from = command_store_index(command);

    reply_set(r, distance ? 3 : 2);
    put_range_spec(r, use.first, 1, 1, 1);
    put_word_spec(r, use.rest, (struct word_spec){ "STORE", from, 0, 0 });
    if (distance)
        put_word_spec(r, use.rest, (struct word_spec){ "STOREDIST", from, 0, 0 });
}

static void put_key_specs(struct reply *r, const struct command *command)
{
    if (!command_has_keys(command)) {
        reply_set(r, 0);
        return;
    }

    struct key_use use = command_key_use(command);
    int first = command->first_key, step = command->key_step;
    size_t count_at = command_count_index(command);

    if (count_at != 0) {
        reply_set(r, first > 0 ? 2 : 1);
        if (first > 0)
            put_range_spec(r, use.first, first, first, step);
        put_counted_spec(r, first > 0 ? use.rest : use.first, count_at);
    } else if (command_streams_index(command) != 0) {
        reply_set(r, 1);
        put_word_spec(r, use.first,
                      (struct word_spec){ "STREAMS", command_streams_index(command), -1, 2 });
    } else if (command_store_index(command) != 0) {
        put_store_specs(r, command, use);
    } else if (use.rest == NULL) {
        reply_set(r, 1);
        put_range_spec(r, use.first, first, command->last_key, step);
    } else {
        reply_set(r, 2);
        put_range_spec(r, use.first, first, first, step);
        put_range_spec(r, use.rest, first + step, command->last_key, step);
    }
}

static void describe(struct reply *r, const struct command *command)
{
    uint64_t subcommands = count_subcommands(command);

    reply_array(r, 10);
    reply_bulk_text(r, command->name);
    reply_int(r, command->arity);
    put_flags(r, command);
    reply_int(r, command->first_key);
    reply_int(r, command->last_key);
    reply_int(r, command->key_step);
    put_categories(r, command);
    reply_set(r, 0); /* tips for proxies: none */
    put_key_specs(r, command);
    if (subcommands == 0)
        reply_set(r, 0);
    else
        reply_array(r, subcommands);
    for (uint64_t i = 0; i < subcommands; i++)
        describe(r, &command->subcommands[i]);
}

/* The first subcommand: COMMAND alone is this one too. */
static void info(struct call *call)
{
    if (call->argc <= 2) {
        reply_array(call->reply, command_count());
        for (size_t i = 0; i < command_count(); i++)
            describe(call->reply, command_at(i));
        return;
    }
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc && !data_reply_too_long(call); i++) {
        const struct command *command = find_full(call->argv[i]);

        if (command == NULL)
            reply_null_array(call->reply);
        else
            describe(call->reply, command);
    }
}

/* --- DOCS --- */

static void put_text(struct reply *r, const char *name, const char *text)
{
    reply_bulk_text(r, name);
    reply_bulk_text(r, text);
}

static void put_docs(struct reply *r, const struct command *command)
{
    uint64_t subcommands = count_subcommands(command);

    reply_bulk_text(r, command->name);
    reply_map(r, subcommands > 0 ? 5 : 4);
    put_text(r, "summary", command->summary);
    put_text(r, "since", command->since);
    put_text(r, "group", command->group);
    put_text(r, "complexity", command->complexity);
    if (subcommands == 0)
        return;
    reply_bulk_text(r, "subcommands");
    reply_map(r, subcommands);
    for (uint64_t i = 0; i < subcommands; i++)
        put_docs(r, &command->subcommands[i]);
}

static void docs(struct call *call)
{
    if (call->argc == 2) {
        reply_map(call->reply, command_count());
        for (size_t i = 0; i < command_count(); i++)
            put_docs(call->reply, command_at(i));
        return;
    }

    size_t place = reply_later(call->reply);
    uint64_t found = 0;

    for (size_t i = 2; i < call->argc && !data_reply_too_long(call); i++) {
        const struct command *command = find_full(call->argv[i]);

        if (command == NULL)
            continue;
        put_docs(call->reply, command);
        found++;
    }
    reply_later_set(call->reply, place, '%', found);
}

/* --- GETKEYS --- */

/* The keys of the command that starts at argv[2]; false when an error was replied. */
static bool find_keys(struct call *call, const struct command **found, struct key_range *range)
{
    const struct span *argv = call->argv + 2;
    size_t argc = call->argc - 2;
    const struct command *command = command_find(argv[0]);

    if (command != NULL && command->subcommands != NULL && argc > 1)
        command = command_find_sub(command, argv[1]);
    if (command == NULL) {
        reply_error(call->reply, "ERR Invalid command specified");
        return false;
    }
    if (!command_has_keys(command)) {
        reply_error(call->reply, "ERR The command has no key arguments");
        return false;
    }
    if (command->arity >= 0 ? argc != (size_t)command->arity : argc < (size_t)-command->arity) {
        reply_error(call->reply, "ERR Invalid number of arguments specified for command");
        return false;
    }
    if (!command_key_range(command, argv, argc, range)) {
        reply_error(call->reply, "ERR Invalid arguments specified for command");
        return false;
    }
    *found = command;
    return true;
}

static size_t count_keys(const struct key_range *range)
{
    return (range->last - range->first) / range->step + 1 + (range->before != 0);
}

static void get_keys(struct call *call)
{
    const struct command *command;
    struct key_range range;

    if (!find_keys(call, &command, &range))
        return;
    reply_array(call->reply, count_keys(&range));
    if (range.before != 0)
        reply_bulk(call->reply, call->argv[2 + range.before]);
    for (size_t i = range.first; i <= range.last; i += range.step)
        reply_bulk(call->reply, call->argv[2 + i]);
}

static void put_key_and_use(struct call *call, size_t index, const char *use)
{
    reply_array(call->reply, 2);
    reply_bulk(call->reply, call->argv[2 + index]);
    put_words(call->reply, use);
}

static void get_keys_and_flags(struct call *call)
{
    const struct command *command;
    struct key_range range;

    if (!find_keys(call, &command, &range))
        return;

    struct key_use use = command_key_use(command);

    size_t first = range.before != 0 ? range.before : range.first;

    reply_array(call->reply, count_keys(&range));
    if (range.before != 0)
        put_key_and_use(call, range.before, use.first);
    for (size_t i = range.first; i <= range.last; i += range.step)
        put_key_and_use(call, i, i == first || use.rest == NULL ? use.first : use.rest);
}

/* --- LIST --- */

enum name_filter { ALL_NAMES, BY_PATTERN, BY_CATEGORY, BY_MODULE };

static bool has_category(const struct command *command, struct span wanted)
{
    for (size_t i = 0; i < COUNT_OF(categories); i++) {
        if (span_equal_nocase(wanted, categories[i].name + 1))
            return is_in(command, &categories[i]);
    }
    return false;
}

/* LIST FILTERBY PATTERN|ACLCAT|MODULE value: the value is argv[4]. There are no modules. */
static bool passes(const struct call *call, const struct command *command, enum name_filter filter)
{
    switch (filter) {
    case ALL_NAMES:
        return true;
    case BY_PATTERN:
        return call_matches(call, 4, command->name);
    case BY_CATEGORY:
        return has_category(command, call->argv[4]);
    case BY_MODULE:
        return false;
    }
    return false;
}

static uint64_t put_names(struct call *call, const struct command *command, enum name_filter filter)
{
    uint64_t found = 0;

    if (passes(call, command, filter)) {
        reply_bulk_text(call->reply, command->name);
        found++;
    }
    for (uint64_t i = 0; i < count_subcommands(command); i++)
        found += put_names(call, &command->subcommands[i], filter);
    return found;
}

static bool take_filter(const struct call *call, enum name_filter *filter)
{
    if (call->argc == 2)
        *filter = ALL_NAMES;
    else if (call->argc != 5 || !call_is(call, 2, "FILTERBY"))
        return false;
    else if (call_is(call, 3, "PATTERN"))
        *filter = BY_PATTERN;
    else if (call_is(call, 3, "ACLCAT"))
        *filter = BY_CATEGORY;
    else if (call_is(call, 3, "MODULE"))
        *filter = BY_MODULE;
    else
        return false;
    return true;
}

static void list(struct call *call)
{
    enum name_filter filter;

    if (!take_filter(call, &filter)) {
        call_syntax_error(call);
        return;
    }

    size_t place = reply_later(call->reply);
    uint64_t found = 0;

    for (size_t i = 0; i < command_count(); i++)
        found += put_names(call, command_at(i), filter);
    reply_later_set(call->reply, place, '*', found);
}

static void help(struct call *call)
{
    static const char *const lines[] = {
        "(no subcommand)",
        "    Return details about all Redis commands.",
        "COUNT",
        "    Return the total number of commands in this Redis server.",
        "LIST [FILTERBY (PATTERN|ACLCAT|MODULE) <value>]",
        "    Return a list of all commands in this Redis server.",
        "INFO [<command-name> ...]",
        "    Return details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "DOCS [<command-name> ...]",
        "    Return documentation details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "GETKEYS <full-command>",
        "    Return the keys from a full Redis command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full Redis command.",
        NULL,
    };

    call_help(call, lines);
}

enum { PLAIN = CMD_LOADING | CMD_STALE };

const struct command command_subcommands[] = {
    COMMAND_ROW("command|info", info, -2, PLAIN, 0, 0, 0, "server", "2.8.13",
                "O(N) where N is the number of commands to look up",
                "Get array of specific Redis command details, or all when no argument is given."),
    COMMAND_ROW("command|count", count, 2, PLAIN, 0, 0, 0, "server", "2.8.13", "O(1)",
                "Get total number of Redis commands"),
    COMMAND_ROW("command|docs", docs, -2, PLAIN, 0, 0, 0, "server", "7.0.0",
                "O(N) where N is the number of commands to look up",
                "Get array of specific Redis command documentation"),
    COMMAND_ROW("command|getkeys", get_keys, -4, PLAIN, 0, 0, 0, "server", "2.8.13",
                "O(N) where N is the number of arguments to the command",
                "Extract keys given a full Redis command"),
    COMMAND_ROW("command|getkeysandflags", get_keys_and_flags, -4, PLAIN, 0, 0, 0, "server",
                "7.0.0", "O(N) where N is the number of arguments to the command",
                "Extract keys and access flags given a full Redis command"),
    COMMAND_ROW("command|help", help, 2, PLAIN, 0, 0, 0, "server", "5.0.0", "O(1)",
                "Show helpful text about the different subcommands"),
    COMMAND_ROW("command|list", list, -2, PLAIN, 0, 0, 0, "server", "7.0.0",
                "O(N) where N is the total number of Redis commands",
                "Get an array of Redis command names"),
    COMMAND_END,
};
