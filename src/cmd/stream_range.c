/*
 * stream_range -- XLEN, XRANGE and XREVRANGE.
 */
#include "cmd/stream_args.h"

void cmd_xlen(struct call *call)
{
    struct stream_view v;

    if (stream_find_seen(call, call->argv[1], &v))
        reply_int(call->reply, (int64_t)v.length);
}

/* COUNT, again and again; *count stays as it is without. */
static bool take_count(struct call *call, int64_t *count)
{
    for (size_t i = 4; i < call->argc; i += 2) {
        if (i + 1 >= call->argc || !call_is(call, i, "count")) {
            call_syntax_error(call);
            return false;
        }
        if (!call_int(call, call->argv[i + 1], count))
            return false;
        if (*count < 0)
            *count = 0;
    }
    return true;
}

static void reply_range(struct call *call, bool backwards)
{
    struct stream_id from, to;
    struct stream_view v;
    int64_t count = INT64_MAX;

    if (!stream_arg_from(call, call->argv[backwards ? 3 : 2], &from) ||
        !stream_arg_to(call, call->argv[backwards ? 2 : 3], &to) || !take_count(call, &count) ||
        !stream_find_seen(call, call->argv[1], &v))
        return;
    if (!v.there)
        reply_array(call->reply, 0);
    else if (count == 0)
        reply_null_array(call->reply);
    else
        stream_reply_range(call, &v, from, to, (uint64_t)count, backwards);
}

void cmd_xrange(struct call *call)
{
    reply_range(call, false);
}

void cmd_xrevrange(struct call *call)
{
    reply_range(call, true);
}
