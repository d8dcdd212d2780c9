/*
 * CONFIG: the settings that Redis clients and tools ask for, by Redis's names.
 *
 * What may be set stands in struct settings. The rest is shown only: what is fixed by the design
 * (databases, save, …), and what the process was started with.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "cmd/handlers.h"

enum kind {
    KIND_FIXED,  /* `text` */
    KIND_SHOWN,  /* show() */
    KIND_NUMBER, /* within [min, max] */
    KIND_MEMORY, /* the same, with a unit */
    KIND_FSYNC,
    KIND_MEMORY_POLICY,
    KIND_OUTPUT_LIMIT,
};

struct setting {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct settings, of those that may be set */
    uint64_t min, max;
    const char *text;
    void (*show)(const struct server *server, struct buffer *out);
};

static void show_directory(const struct server *server, struct buffer *out)
{
    buffer_put_text(out, server->process.data_dir != NULL ? server->process.data_dir : "");
}

static void show_port(const struct server *server, struct buffer *out)
{
    buffer_printf(out, "%d", server->process.client_port);
}

#define FIXED(setting_name, value)                                                                 \
    {                                                                                              \
        .name = setting_name, .kind = KIND_FIXED, .text = value                                    \
    }
#define SHOWN(setting_name, function)                                                              \
    {                                                                                              \
        .name = setting_name, .kind = KIND_SHOWN, .show = function                                 \
    }
#define SET(setting_name, setting_kind, field, least, most)                                        \
    {                                                                                              \
        .name = setting_name, .kind = setting_kind, .offset = offsetof(struct settings, field),    \
        .min = least, .max = most                                                                  \
    }

static const struct setting settings[] = {
    FIXED("appenddirname", ""),
    FIXED("appendfilename", ""),
    SET("appendfsync", KIND_FSYNC, fsync, FSYNC_ALWAYS, FSYNC_NO),
    FIXED("appendonly", "yes"),
    SET("client-output-buffer-limit", KIND_OUTPUT_LIMIT, output_buffer_bytes, 0, INT64_MAX),
    SET("client-query-buffer-limit", KIND_MEMORY, query_buffer_bytes, 1048576, INT64_MAX),
    FIXED("cluster-enabled", "no"),
    FIXED("databases", "16"),
    SHOWN("dir", show_directory),
    FIXED("io-threads", "1"),
    SET("maxclients", KIND_NUMBER, max_clients, 1, UINT32_MAX),
    SET("maxmemory", KIND_MEMORY, max_memory_bytes, 0, INT64_MAX),
    SET("maxmemory-policy", KIND_MEMORY_POLICY, memory_policy, 0, 0),
    SHOWN("port", show_port),
    FIXED("proto-max-bulk-len", "67108864"),
    FIXED("requirepass", ""),
    FIXED("save", ""),
    SET("timeout", KIND_NUMBER, timeout_s, 0, INT32_MAX),
};

static const char *const fsync_names[] = {
    [FSYNC_ALWAYS] = "always",
    [FSYNC_EVERYSEC] = "everysec",
    [FSYNC_NO] = "no",
};

/* --- GET --- */

static uint64_t *value_of(struct server *server, const struct setting *setting)
{
    return (uint64_t *)((char *)&server->settings + setting->offset);
}

static void show(struct server *server, const struct setting *setting, struct buffer *out)
{
    switch (setting->kind) {
    case KIND_FIXED:
        buffer_put_text(out, setting->text);
        break;
    case KIND_SHOWN:
        setting->show(server, out);
        break;
    case KIND_NUMBER:
    case KIND_MEMORY:
        buffer_printf(out, "%" PRIu64, *value_of(server, setting));
        break;
    case KIND_FSYNC:
        buffer_put_text(out, fsync_names[*value_of(server, setting)]);
        break;
    case KIND_MEMORY_POLICY:
        buffer_put_text(out, evict_policy_name(*value_of(server, setting)));
        break;
    case KIND_OUTPUT_LIMIT:
        buffer_printf(out, "normal %" PRIu64 " 0 0", *value_of(server, setting));
        break;
    }
}

static bool asked_for(const struct call *call, const struct setting *setting)
{
    for (size_t i = 2; i < call->argc; i++) {
        if (call_matches(call, i, setting->name))
            return true;
    }
    return false;
}

static void get(struct call *call)
{
    size_t place = reply_later(call->reply);
    struct buffer text = { 0 };
    uint64_t count = 0;

    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        if (!asked_for(call, &settings[i]))
            continue;
        buffer_clear(&text);
        show(call->server, &settings[i], &text);
        reply_bulk_text(call->reply, settings[i].name);
        reply_bulk(call->reply, buffer_span(&text));
        count++;
    }
    reply_later_set(call->reply, place, '%', count);
    buffer_release(&text);
}

/* --- SET --- */

enum { WHY_MAX = 200 };

struct setting_change {
    const struct setting *setting;
    uint64_t value;
    char why[WHY_MAX]; /* why it cannot be */
};

/* "100mb", "64k", "12": as Redis's memtoull, k is 1000 and kb is 1024. */
static bool parse_memory(struct span text, uint64_t *value)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {
        { "", 1 },
        { "b", 1 },
        { "k", 1000 },
        { "kb", 1 << 10 },
        { "m", 1000 * 1000 },
        { "mb", 1 << 20 },
        { "g", 1000 * 1000 * 1000 },
        { "gb", 1 << 30 },
    };
    size_t digits = 0;
    int64_t number;

    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    if (!span_to_int64(span_of(text.at, digits), &number))
        return false;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (span_equal_nocase(span_skip(text, digits), units[i].name))
            return !__builtin_mul_overflow((uint64_t)number, units[i].factor, value);
    }
    return false;
}

static bool in_range(struct setting_change *change)
{
    const struct setting *setting = change->setting;

    if (change->value >= setting->min && change->value <= setting->max)
        return true;
    snprintf(change->why, WHY_MAX, "argument must be between %" PRIu64 " and %" PRIu64 " inclusive",
             setting->min, setting->max);
    return false;
}

/* A negative number is out of every range: as the largest one is. */
static bool parse_number(struct setting_change *change, struct span text)
{
    int64_t number;

    if (!span_to_int64(text, &number)) {
        snprintf(change->why, WHY_MAX, "argument couldn't be parsed into an integer");
        return false;
    }
    change->value = number < 0 ? UINT64_MAX : (uint64_t)number;
    return in_range(change);
}

static bool parse_fsync(struct setting_change *change, struct span text)
{
    for (size_t i = 0; i < COUNT_OF(fsync_names); i++) {
        if (span_equal_nocase(text, fsync_names[i])) {
            change->value = i;
            return true;
        }
    }
    snprintf(change->why, WHY_MAX,
             "argument(s) must be one of the following: everysec, always, no");
    return false;
}

static bool parse_memory_policy(struct setting_change *change, struct span text)
{
    for (uint64_t i = 0; evict_policy_name(i) != NULL; i++) {
        if (span_equal_nocase(text, evict_policy_name(i))) {
            change->value = i;
            return true;
        }
    }
    snprintf(change->why, WHY_MAX,
             "argument(s) must be one of the following: volatile-lru, volatile-lfu, "
             "volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction");
    return false;
}

static struct span next_word(struct span *text)
{
    size_t start = 0, end;

    while (start < text->len && text->at[start] == ' ')
        start++;
    for (end = start; end < text->len && text->at[end] != ' ';)
        end++;

    struct span word = span_of(text->at + start, end - start);

    *text = span_skip(*text, end);
    return word;
}

/* "normal <bytes> 0 0": the other classes of clients and the soft limit of Redis do not exist here. */
static bool parse_output_limit(struct setting_change *change, struct span text)
{
    struct span class = next_word(&text);
    struct span hard = next_word(&text);
    struct span soft = next_word(&text);
    struct span seconds = next_word(&text);

    if (seconds.len == 0 || next_word(&text).len > 0)
        snprintf(change->why, WHY_MAX, "Wrong number of arguments in buffer limit configuration.");
    else if (!span_equal_nocase(class, "normal"))
        snprintf(change->why, WHY_MAX,
                 "Invalid client class specified in buffer limit configuration.");
    else if (!parse_memory(hard, &change->value) || change->value > INT64_MAX)
        snprintf(change->why, WHY_MAX,
                 "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    else if (!span_equal(soft, span_str("0")) || !span_equal(seconds, span_str("0")))
        snprintf(change->why, WHY_MAX, "there is no soft limit: both must be 0");
    else
        return true;
    return false;
}

static bool parse(struct setting_change *change, struct span text)
{
    switch (change->setting->kind) {
    case KIND_FIXED:
    case KIND_SHOWN:
        snprintf(change->why, WHY_MAX, "can't set immutable config");
        return false;
    case KIND_NUMBER:
        return parse_number(change, text);
    case KIND_MEMORY:
        if (parse_memory(text, &change->value))
            return in_range(change);
        snprintf(change->why, WHY_MAX, "argument must be a memory value");
        return false;
    case KIND_FSYNC:
        return parse_fsync(change, text);
    case KIND_MEMORY_POLICY:
        return parse_memory_policy(change, text);
    case KIND_OUTPUT_LIMIT:
        return parse_output_limit(change, text);
    }
    return false;
}

static const struct setting *find(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        if (span_equal_nocase(name, settings[i].name))
            return &settings[i];
    }
    return NULL;
}

/* The change of one pair; false when an error was replied. `before` are the pairs that came
 * earlier. */
static bool take_change(struct call *call, size_t i, struct setting_change *change,
                        const struct setting_change *before, size_t count)
{
    change->setting = find(call->argv[i]);
    if (change->setting == NULL) {
        reply_errorf(call->reply,
                     "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                     (int)call->argv[i].len, (const char *)call->argv[i].at);
        return false;
    }

    bool twice = false;

    for (size_t k = 0; k < count; k++)
        twice = twice || before[k].setting == change->setting;
    if (twice)
        snprintf(change->why, WHY_MAX, "duplicate parameter");
    if (!twice && parse(change, call->argv[i + 1]))
        return true;
    reply_errorf(call->reply, "ERR CONFIG SET failed (possibly related to argument '%s') - %s",
                 change->setting->name, change->why);
    return false;
}

/* All or nothing: everything is judged before the first is set. */
static void set(struct call *call)
{
    /* one more than differ: the last would be a duplicate */
    struct setting_change changes[COUNT_OF(settings) + 1];
    size_t count = 0;

    if (call->argc % 2 != 0) {
        call_syntax_error(call);
        return;
    }
    for (size_t i = 2; i < call->argc; i += 2) {
        if (!take_change(call, i, &changes[count], changes, count))
            return;
        count++;
    }
    for (size_t i = 0; i < count; i++)
        *value_of(call->server, changes[i].setting) = changes[i].value;
    evict_set_policy(call->server);
    reply_ok(call->reply);
}

/* --- the rest --- */

static void reset_statistics(struct call *call)
{
    server_reset_statistics(call->server);
    reply_ok(call->reply);
}

/* The configuration is one file for all regions: no region rewrites it. */
static void rewrite(struct call *call)
{
    reply_error(
        call->reply,
        "ERR the configuration file belongs to the whole deployment and is never rewritten: "
        "edit it where it is kept");
}

static void help(struct call *call)
{
    static const char *const lines[] = {
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        NULL,
    };

    call_help(call, lines);
}

enum { ADMIN = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE };

const struct command config_subcommands[] = {
    COMMAND_ROW("config|get", get, -3, ADMIN, 0, 0, 0, "server", "2.0.0",
                "O(N) when N is the number of configuration parameters provided",
                "Get the values of configuration parameters"),
    COMMAND_ROW("config|help", help, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "server", "5.0.0", "O(1)",
                "Show helpful text about the different subcommands"),
    COMMAND_ROW("config|resetstat", reset_statistics, 2, ADMIN, 0, 0, 0, "server", "2.0.0", "O(1)",
                "Reset the stats returned by INFO"),
    COMMAND_ROW("config|rewrite", rewrite, 2, ADMIN, 0, 0, 0, "server", "2.8.0", "O(1)",
                "Rewrite the configuration file with the in memory configuration"),
    COMMAND_ROW("config|set", set, -4, ADMIN, 0, 0, 0, "server", "2.0.0",
                "O(N) when N is the number of configuration parameters provided",
                "Set configuration parameters to the given values"),
    COMMAND_END,
};
