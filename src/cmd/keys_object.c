/*
 * keys_object -- OBJECT: what Redis tells about a value's inside.
 *
 * ENCODING says what Redis would use for such a value with its default settings: tools choose by
 * it. There is no such choice here, nor a reference count. FREQ and IDLETIME tell what cmd/evict.h
 * remembers.
 */
#include "cmd/data.h"

enum {
    EMBEDDED_BYTES_MAX = 44, /* Redis's defaults */
    LISTPACK_FIELDS_MAX = 128,
    LISTPACK_VALUE_MAX = 64,
    INTSET_MEMBERS_MAX = 512,
};

static const char *string_encoding(const struct entry *e)
{
    char scratch[CELL_SCRATCH_BYTES];
    struct span value = data_string(e, scratch);
    int64_t number;

    if (span_to_int64(value, &number))
        return "int";
    return value.len <= EMBEDDED_BYTES_MAX ? "embstr" : "raw";
}

static const char *hash_encoding(const struct table *fields)
{
    char scratch[CELL_SCRATCH_BYTES];
    struct table_iter it;
    void **slot;

    if (fields->count > LISTPACK_FIELDS_MAX)
        return "hashtable";
    table_iter_init(&it, fields);
    while ((slot = table_iter_next(&it)) != NULL) {
        if (entry_name(*slot).len > LISTPACK_VALUE_MAX ||
            data_value(*slot, scratch).len > LISTPACK_VALUE_MAX)
            return "hashtable";
    }
    return "listpack";
}

static const char *set_encoding(const struct table *members)
{
    struct table_iter it;
    int64_t number;
    void **slot;

    if (members->count > INTSET_MEMBERS_MAX)
        return "hashtable";
    table_iter_init(&it, members);
    while ((slot = table_iter_next(&it)) != NULL) {
        if (!span_to_int64(entry_name(*slot), &number))
            return "hashtable";
    }
    return "intset";
}

static const char *zset_encoding(const struct table *members)
{
    struct table_iter it;
    void **slot;

    if (members->count > LISTPACK_FIELDS_MAX)
        return "skiplist";
    table_iter_init(&it, members);
    while ((slot = table_iter_next(&it)) != NULL) {
        if (entry_name(*slot).len > LISTPACK_VALUE_MAX)
            return "skiplist";
    }
    return "listpack";
}

static const char *encoding(const struct entry *e)
{
    enum component c = object_visible(e);

    switch (c) {
    case COMPONENT_STRING:
        return string_encoding(e);
    case COMPONENT_HASH:
        return hash_encoding(object_fields(e, c));
    case COMPONENT_SET:
        return set_encoding(object_fields(e, c));
    case COMPONENT_ZSET:
        return zset_encoding(object_fields(e, c));
    case COMPONENT_LIST:
        return "quicklist";
    case COMPONENT_STREAM:
        return "stream";
    case COMPONENT_HLL:
    case COMPONENT_GROUPS:
    case COMPONENT_COUNT:
    case COMPONENT_NONE:
        break;
    }
    return "raw";
}

/* The key that is asked about, or NULL with null replied. Asking is no use. */
static const struct entry *find_key(struct call *call)
{
    const struct entry *e = database_find(&call->replica->databases[call->db], call->argv[2]);

    if (e == NULL || object_visible(e) == COMPONENT_NONE || object_expired(e, call->now_ms)) {
        reply_null(call->reply);
        return NULL;
    }
    return e;
}

static void object_encoding(struct call *call)
{
    const struct entry *e = find_key(call);

    if (e != NULL)
        reply_bulk_text(call->reply, encoding(e));
}

static void object_freq(struct call *call)
{
    const struct entry *e = find_key(call);

    if (e == NULL)
        return;
    if (call->server->evict.counts)
        reply_int(call->reply, evict_frequency(call->server, e));
    else
        reply_error(call->reply,
                    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
                    "Please note that when switching between policies at runtime LRU and LFU data "
                    "will take some time to adjust.");
}

static void object_idletime(struct call *call)
{
    const struct entry *e = find_key(call);

    if (e == NULL)
        return;
    if (!call->server->evict.counts)
        reply_int(call->reply, (int64_t)evict_idle_s(call->server, e));
    else
        reply_error(call->reply,
                    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note "
                    "that when switching between policies at runtime LRU and LFU data will take "
                    "some time to adjust.");
}

static void object_refcount(struct call *call)
{
    if (find_key(call) != NULL)
        reply_int(call->reply, 1);
}

static void object_help(struct call *call)
{
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
        NULL,
    };

    call_help(call, lines);
}

const struct command object_subcommands[] = {
    COMMAND_ROW("object|encoding", object_encoding, 3, CMD_READONLY, 2, 2, 1, "generic", "2.2.3",
                "O(1)", "Inspect the internal encoding of a Redis object"),
    COMMAND_ROW("object|freq", object_freq, 3, CMD_READONLY, 2, 2, 1, "generic", "4.0.0", "O(1)",
                "Get the logarithmic access frequency counter of a Redis object"),
    COMMAND_ROW("object|help", object_help, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "generic", "6.2.0",
                "O(1)", "Show helpful text about the different subcommands"),
    COMMAND_ROW("object|idletime", object_idletime, 3, CMD_READONLY, 2, 2, 1, "generic", "2.2.3",
                "O(1)", "Get the time since a Redis object was last accessed"),
    COMMAND_ROW("object|refcount", object_refcount, 3, CMD_READONLY, 2, 2, 1, "generic", "2.2.3",
                "O(1)", "Get the number of references to the value of the key"),
    COMMAND_END,
};
