/*
 * string_range -- commands on parts of strings. What they write is the whole resulting value:
 * concurrent ones do not mix.
 */
#include "cmd/data.h"

static bool length_allowed(struct call *call, uint64_t offset, size_t len)
{
    if (offset <= STRING_BYTES_MAX && len <= STRING_BYTES_MAX - offset)
        return true;
    reply_error(call->reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

/* Writes `old` with `piece` laid over it from `offset` on, zero bytes between; replies the new
 * length, or that it is too much. */
static void overlay(struct call *call, struct span old, uint64_t offset, struct span piece)
{
    size_t end = (size_t)offset + piece.len;
    size_t len = end > old.len ? end : old.len;
    struct buffer whole = { 0 };

    if (!call_fits_group(call, len))
        return;
    buffer_room(&whole, len);
    buffer_put(&whole, old);
    if (len > old.len)
        memset(whole.at + old.len, 0, len - old.len);
    if (piece.len > 0)
        memcpy(whole.at + offset, piece.at, piece.len);
    emit_string(call->replica, call->db, call->argv[1], span_of(whole.at, len), TIME_KEEP, 0);
    buffer_release(&whole);
    reply_int(call->reply, (int64_t)len);
}

void cmd_append(struct call *call)
{
    char scratch[CELL_SCRATCH_BYTES];
    struct span old;

    if (!data_find_text(call, call->argv[1], scratch, &old) ||
        !length_allowed(call, old.len, call->argv[2].len))
        return;
    overlay(call, old, old.len, call->argv[2]);
}

void cmd_setrange(struct call *call)
{
    struct span piece = call->argv[3];
    char scratch[CELL_SCRATCH_BYTES];
    int64_t offset;
    struct span old;

    if (!call_int(call, call->argv[2], &offset))
        return;
    if (offset < 0) {
        reply_error(call->reply, "ERR offset is out of range");
        return;
    }
    if (!data_find_text(call, call->argv[1], scratch, &old))
        return;
    if (piece.len == 0)
        reply_int(call->reply, (int64_t)old.len);
    else if (length_allowed(call, (uint64_t)offset, piece.len))
        overlay(call, old, (uint64_t)offset, piece);
}

void cmd_strlen(struct call *call)
{
    char scratch[CELL_SCRATCH_BYTES];
    struct span text;

    if (data_find_text(call, call->argv[1], scratch, &text))
        reply_int(call->reply, (int64_t)text.len);
}

/* The part from `start` to `end`, both counted in; negative ones count from the end. */
static struct span part(struct span text, int64_t start, int64_t end)
{
    int64_t len = (int64_t)text.len;

    if (start < 0 && end < 0 && start > end)
        return span_of("", 0);
    if (start < 0)
        start = start < -len ? 0 : start + len;
    if (end < 0)
        end = end < -len ? 0 : end + len;
    if (end >= len)
        end = len - 1;
    if (start > end)
        return span_of("", 0);
    return span_of(text.at + start, (size_t)(end - start + 1));
}

void cmd_getrange(struct call *call)
{
    char scratch[CELL_SCRATCH_BYTES];
    int64_t start, end;
    struct span text;

    if (!call_int(call, call->argv[2], &start) || !call_int(call, call->argv[3], &end))
        return;
    if (data_find_text(call, call->argv[1], scratch, &text))
        reply_bulk(call->reply, part(text, start, end));
}

void cmd_substr(struct call *call)
{
    cmd_getrange(call);
}
