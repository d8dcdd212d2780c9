/*
 * conflict -- CONFLICT: the values that concurrent writes left side by side, looked at and ended.
 */
#include "cmd/conflict.h"

#include <stdio.h>

#include "crdt/resident.h"
#include "crdt/score.h"

enum { LIST_COUNT = 100, LOG_COUNT = 10 }; /* told where no COUNT is given */

/* --- pairs of maps --- */

/* Days since 1970 as a date: after Howard Hinnant, "chrono-compatible low-level date algorithms". */
static void date_of(uint64_t days, int *year, unsigned *month, unsigned *day)
{
    uint64_t z = days + 719468;
    uint64_t era = z / 146097, of_era = z % 146097;
    uint64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t from_march = (5 * of_year + 2) / 153;

    *day = (unsigned)(of_year - (153 * from_march + 2) / 5 + 1);
    *month = (unsigned)(from_march < 10 ? from_march + 3 : from_march - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

/* A pair of a map: the time since 1970 as "2026-11-21T13:16:28.042Z". */
static void put_time(struct call *call, const char *name, uint64_t ms)
{
    uint64_t s = ms / 1000;
    unsigned month, day;
    char text[64];
    int year;

    date_of(s / 86400, &year, &month, &day);
    snprintf(text, sizeof(text), "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, day,
             (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60), (unsigned)(s % 60),
             (unsigned)(ms % 1000));
    reply_bulk_text(call->reply, name);
    reply_bulk_text(call->reply, text);
}

void conflict_put_origin(struct call *call, stamp_t stamp)
{
    char text[24];

    reply_bulk_text(call->reply, "region");
    reply_bulk_text(call->reply, server_region_of(call->server, stamp));
    put_time(call, "time", stamp_ms(stamp));
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)stamp);
    reply_bulk_text(call->reply, "stamp");
    reply_bulk_text(call->reply, text);
}

static void put_int(struct call *call, const char *name, uint64_t value)
{
    reply_bulk_text(call->reply, name);
    reply_int(call->reply, (int64_t)value);
}

static void put_text(struct call *call, const char *name, const char *text)
{
    reply_bulk_text(call->reply, name);
    reply_bulk_text(call->reply, text);
}

/* --- items --- */

static const struct entry *find_element(const struct entry *object, struct span at,
                                        const char **error)
{
    const struct btree *order = object_order(object, COMPONENT_LIST);
    int64_t index;

    if (!span_to_int64(at, &index)) {
        *error = "ERR value is not an integer or out of range";
        return NULL;
    }
    if (index < 0)
        index += (int64_t)order->count;
    return index < 0 ? NULL : btree_at(order, (uint64_t)index);
}

const struct entry *conflict_find_item(struct call *call, const struct entry *object,
                                       const char **error)
{
    enum component visible = object_visible(object);

    if (component_in_table((uint8_t)visible))
        return data_field(object_fields(object, visible), call->argv[3]);
    if (visible == COMPONENT_LIST)
        return find_element(object, call->argv[3], error);
    *error = "ERR only hashes, sets, sorted sets and lists have items that can be named";
    return NULL;
}

/* --- RESOLVE --- */

/* A collection alone is not to be lost to a forgotten argument. */
static void resolve_string(struct call *call, const struct entry *object)
{
    uint32_t components = object_components(object);
    enum component visible = object_visible(object);

    if ((components & ~component_family(visible)) == 0 && visible != COMPONENT_STRING) {
        reply_errorf(call->reply, "ERR the key holds a %s: name an item, or use SET to replace it",
                     conflict_type_name(visible));
        return;
    }
    emit_string(call->replica, call->db, call->argv[2], call->argv[3], TIME_KEEP, 0);
    reply_ok(call->reply);
}

/* What the item's register is to hold, from argv[4]; false when it replied an error. */
static bool item_value(struct call *call, enum component c, uint8_t *scratch, struct span *value)
{
    double score;

    *value = call->argv[4];
    if (c == COMPONENT_ZSET) {
        if (!call_double(call, call->argv[4], &score))
            return false;
        *value = score_encode(score, scratch);
    } else if (c == COMPONENT_SET) {
        reply_error(call->reply, "ERR a member of a set has no value: use SADD or SREM");
        return false;
    }
    return true;
}

static void resolve_item(struct call *call, const struct entry *object)
{
    enum component visible = object_visible(object);
    uint8_t scratch[SCORE_BYTES];
    const char *error = "ERR no such item";
    const struct entry *item = conflict_find_item(call, object, &error);
    struct buffer name = { 0 };
    struct emit_fields put;
    struct span value;

    if (item == NULL) {
        reply_error(call->reply, error);
        return;
    }
    if (!item_value(call, visible, scratch, &value))
        return;
    buffer_put(&name, entry_name(item));
    emit_fields_begin(&put, call->replica, OP_PUT, visible, call->db, call->argv[2]);
    emit_fields_add(&put, buffer_span(&name), value);
    emit_fields_end(&put);
    buffer_release(&name);
    reply_ok(call->reply);
}

/* A write like any other: it has observed every version that is here, and drops them. */
static void resolve(struct call *call)
{
    const struct entry *e = data_live(call, call->db, call->argv[2]);

    if (call->argc > 5)
        data_wrong_arity(call);
    else if (e == NULL)
        reply_error(call->reply, "ERR no such key");
    else if (call->argc == 4)
        resolve_string(call, e);
    else
        resolve_item(call, e);
}

/* --- LIST --- */

/* [COUNT n] as the last two arguments, from argv[from] on. */
static bool take_count(struct call *call, size_t from, int64_t *count)
{
    if (call->argc == from)
        return true;
    if (call->argc != from + 2 || !call_is(call, from, "COUNT")) {
        call_syntax_error(call);
        return false;
    }
    return data_int_within(call, call->argv[from + 1], 1, INT64_MAX,
                           "ERR COUNT must be a positive integer", count);
}

static uint64_t contested_items(const struct entry *e)
{
    uint64_t count = 0;

    for (const struct part *p = e->body->parts; p != NULL; p = p->next)
        count += p->contested;
    return count;
}

static void put_types(struct call *call, const struct entry *e)
{
    uint32_t components = object_components(e);

    reply_bulk_text(call->reply, "types");
    reply_array(call->reply, (uint64_t)__builtin_popcount(components));
    for (int c = 0; c < COMPONENT_COUNT; c++) {
        if (components >> c & 1)
            reply_bulk_text(call->reply, conflict_type_name((enum component)c));
    }
}

static void put_contested(struct call *call, const struct entry *e)
{
    uint32_t components = object_components(e);
    uint32_t collections = components & ~(1u << COMPONENT_STRING);
    stamp_t newest = 0;

    for (int c = 0; c < COMPONENT_COUNT; c++) {
        stamp_t stamp = components >> c & 1 ? object_newest(e, (enum component)c) : 0;

        newest = stamp > newest ? stamp : newest;
    }
    reply_map(call->reply, 7);
    reply_bulk_text(call->reply, "key");
    reply_bulk(call->reply, entry_name(e));
    put_types(call, e);
    put_int(call, "versions",
            e->body->string.reg_count + (uint64_t)__builtin_popcount(collections));
    put_int(call, "contested", contested_items(e));
    conflict_put_origin(call, newest);
}

static bool begins(struct span text, struct span prefix)
{
    return text.len >= prefix.len && span_equal(span_of(text.at, prefix.len), prefix);
}

static void list(struct call *call)
{
    struct database *d = &call->replica->databases[call->db];
    bool prefixed = call->argc == 3 || call->argc == 5;
    struct span prefix = prefixed ? call->argv[2] : span_of(NULL, 0);
    int64_t count = LIST_COUNT;
    uint64_t told = 0;

    if (!take_count(call, prefixed ? 3 : 2, &count))
        return;
    resident_fetch_contested(d, prefix, (size_t)count);
    size_t place = reply_later(call->reply);
    list_each(&d->contested, it)
    {
        const struct entry *e = container_of(it, struct body, contested)->entry;

        if (told == (uint64_t)count || data_reply_too_long(call))
            break;
        if (object_expired(e, call->now_ms) || !begins(entry_name(e), prefix))
            continue;
        put_contested(call, e);
        told++;
    }
    reply_later_set(call->reply, place, '*', told);
}

/* --- LOG --- */

static void put_cut(struct call *call, const char *name, struct cut_text t)
{
    reply_bulk_text(call->reply, name);
    reply_bulk(call->reply, t.text);
}

static void put_side(struct call *call, const struct conflict_side *side)
{
    reply_map(call->reply, 6);
    put_cut(call, "value", side->value);
    put_int(call, "bytes", side->value.bytes);
    put_text(call, "type", conflict_type_name(side->type));
    conflict_put_origin(call, side->stamp);
}

static void put_record(struct call *call, const struct conflict_record *r)
{
    reply_map(call->reply, 7);
    put_time(call, "seen", r->seen_ms);
    put_text(call, "keyspace", server_prefix(call->server, r->keyspace));
    put_int(call, "db", r->db);
    put_cut(call, "key", r->key);
    put_cut(call, "item", r->item);
    reply_bulk_text(call->reply, "versions");
    reply_array(call->reply, 2);
    put_side(call, &r->sides[0]);
    put_side(call, &r->sides[1]);
    put_int(call, "skipped", r->skipped);
}

static void log_command(struct call *call)
{
    const struct conflict_log *log = &call->server->conflicts;
    const struct conflict_record *r;
    int64_t count = LOG_COUNT;
    uint64_t told = 0;

    if (!take_count(call, 2, &count))
        return;
    size_t place = reply_later(call->reply);
    while (told < (uint64_t)count && (r = conflict_log_at(log, told)) != NULL) {
        put_record(call, r);
        told++;
    }
    reply_later_set(call->reply, place, '*', told);
}

/* --- the table --- */

static void help(struct call *call)
{
    static const char *const lines[] = {
        "LIST [prefix] [COUNT <count>]",
        "    Return keys of this database in which concurrent values stand side by side.",
        "LOG [COUNT <count>]",
        "    Return the newest conflicts that this region saw: a sample, with both values.",
        "RESOLVE <key> <value>",
        "    Write a value in place of all versions of a key; its time to live stays.",
        "RESOLVE <key> <item> <value>",
        "    The same for a field of a hash, a member of a sorted set, an index of a list.",
        "VERSIONS <key> [item]",
        "    Return all versions of a key, or of one of its items, oldest first.",
        NULL,
    };

    call_help(call, lines);
}

const struct command conflict_subcommands[] = {
    COMMAND_ROW("conflict|help", help, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "conflict", "0.1.0",
                "O(1)", "Show helpful text about the different subcommands"),
    COMMAND_ROW("conflict|list", list, -2, CMD_READONLY, 0, 0, 0, "conflict", "0.1.0",
                "O(N) where N is the number of keys with concurrent values",
                "Get the keys in which concurrent values stand side by side"),
    COMMAND_ROW("conflict|log", log_command, -2, CMD_LOADING | CMD_STALE, 0, 0, 0, "conflict",
                "0.1.0", "O(N) where N is the number of conflicts returned",
                "Get a sample of the conflicts that this region saw"),
    COMMAND_ROW("conflict|resolve", resolve, -4, CMD_WRITE | CMD_DENYOOM, 2, 2, 1, "conflict",
                "0.1.0", "O(1)", "Write a value in place of all versions"),
    COMMAND_ROW(
        "conflict|versions", conflict_versions, -3, CMD_READONLY, 2, 2, 1, "conflict", "0.1.0",
        "O(N) where N is the number of versions, and of elements of what stands beside them",
        "Get all versions of a key or of one of its items"),
    COMMAND_END,
};
