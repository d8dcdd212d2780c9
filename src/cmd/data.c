#include "cmd/data.h"

#include <inttypes.h>

#include "crdt/resident.h"

struct entry *data_live(const struct call *call, uint8_t db, struct span key)
{
    struct entry *e = database_find(&call->replica->databases[db], key);

    if (e == NULL || object_visible(e) == COMPONENT_NONE || object_expired(e, call->now_ms))
        return NULL;
    evict_note(call->server, e);
    return e;
}

bool data_is_live(const struct call *call, const struct scanned *s)
{
    if (s->entry != NULL)
        return object_visible(s->entry) != COMPONENT_NONE &&
               !object_expired(s->entry, call->now_ms);
    return !(s->flags & COLD_GHOST) && (s->deadline_ms == 0 || call->now_ms <= s->deadline_ms);
}

uint64_t data_fields_count(const struct call *call, enum component c, struct span key)
{
    const struct entry *e = data_live(call, call->db, key);
    const struct table *fields = e != NULL ? object_fields(e, c) : NULL;

    return fields != NULL ? fields->count : 0;
}

bool data_find_fields(struct call *call, struct span key, enum component c,
                      const struct table **fields)
{
    struct entry *e;

    if (!call_find(call, key, c, &e))
        return false;
    *fields = e != NULL ? object_fields(e, c) : NULL;
    return true;
}

struct span data_string(const struct entry *e, char *scratch)
{
    struct span value;
    bool there = object_string(e, scratch, &value);

    CHECK(there);
    return value;
}

struct span data_value(const struct entry *field, char *scratch)
{
    struct span value;
    bool there = entry_read(field, scratch, &value);

    CHECK(there);
    return value;
}

bool data_find_text(struct call *call, struct span key, char *scratch, struct span *text)
{
    struct entry *e;

    if (!call_find(call, key, COMPONENT_STRING, &e))
        return false;
    *text = e != NULL ? data_string(e, scratch) : span_of("", 0);
    return true;
}

static bool names_any_field(const struct call *call, const struct table *fields)
{
    for (size_t i = 2; i < call->argc; i++) {
        if (data_field(fields, call->argv[i]) != NULL)
            return true;
    }
    return false;
}

void data_take_fields(struct call *call, enum component c)
{
    struct span key = call->argv[1];
    const struct table *fields;
    struct emit_fields take;

    if (!data_find_fields(call, key, c, &fields))
        return;
    if (!names_any_field(call, fields)) {
        reply_int(call->reply, 0);
        return;
    }
    uint64_t before = fields->count;
    emit_fields_begin(&take, call->replica, OP_TAKE, c, call->db, key);
    for (size_t i = 2; i < call->argc; i++) {
        if (data_field(fields, call->argv[i]) != NULL)
            emit_fields_add(&take, call->argv[i], span_of(NULL, 0));
    }
    emit_fields_end(&take);
    reply_int(call->reply, (int64_t)(before - data_fields_count(call, c, key)));
}

bool data_int_within(struct call *call, struct span s, int64_t min, int64_t max, const char *error,
                     int64_t *out)
{
    bool is_int = span_to_int64(s, out);

    if (is_int && *out >= min && *out <= max)
        return true;
    if (error != NULL)
        reply_error(call->reply, error);
    else if (!is_int)
        call_int(call, s, out);
    else
        reply_errorf(call->reply,
                     "ERR value is out of range, value must between %" PRId64 " and %" PRId64, min,
                     max);
    return false;
}

bool data_database(struct call *call, struct span s, uint8_t *db)
{
    int64_t number;

    if (!data_int_within(call, s, INT32_MIN, INT32_MAX, NULL, &number))
        return false;
    if (number < 0 || number >= USER_DATABASES) {
        reply_error(call->reply, "ERR DB index is out of range");
        return false;
    }
    *db = (uint8_t)number;
    return true;
}

void data_wrong_arity(struct call *call)
{
    reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command",
                 call->command->name);
}

bool data_reply_too_long(struct call *call)
{
    uint64_t limit = call->server->settings.output_buffer_bytes;

    if (limit == 0 || call->reply->out->len <= limit)
        return false;
    call->session->killed = true;
    return true;
}
