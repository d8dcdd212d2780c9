/*
 * stream_lag -- how much of its stream a group was delivered, and what it lags behind.
 *
 * Entries are counted when they are delivered, as long as nothing that XDEL removed may lie ahead;
 * where the count was lost, some ids still tell it: that of the first entry, of the last, and what
 * lies before and behind all. These are Redis's rules, step by step (t_stream.c of 7.0).
 */
#include "cmd/stream_group.h"

/* Whether something that was removed may stand at or above an id. */
static bool gaps_from(const struct stream_view *v, struct stream_id id)
{
    if (v->length == 0 || stream_id_compare(v->removed_id, STREAM_ID_MIN) == 0)
        return false;
    return stream_id_compare(v->first_id, v->removed_id) <= 0 &&
           stream_id_compare(id, v->removed_id) <= 0;
}

/* How many entries were ever added up to an id, where that can be told. */
static bool added_up_to(const struct stream_view *v, struct stream_id id, int64_t *count)
{
    int last = stream_id_compare(id, v->last_id), first = stream_id_compare(id, v->first_id);
    bool whole = stream_id_compare(v->removed_id, STREAM_ID_MIN) == 0 ||
                 stream_id_compare(v->removed_id, v->first_id) < 0;

    *count = (int64_t)v->added;
    if (v->added == 0 || last == 0 || (v->length == 0 && last < 0))
        return true;
    if (last > 0 || !whole || first > 0)
        return false;
    *count = (int64_t)(v->added - v->length) + (first == 0);
    return true;
}

void group_advance(const struct stream_view *v, struct stream_group *g, struct stream_id id)
{
    if (stream_id_compare(id, g->last_id) <= 0)
        return;
    if (g->read != GROUP_READ_UNKNOWN && !gaps_from(v, id))
        g->read = (int64_t)((uint64_t)g->read + 1); /* a client may have set it to anything */
    else if (v->added > 0 && !added_up_to(v, id, &g->read))
        g->read = GROUP_READ_UNKNOWN;
    g->last_id = id;
}

bool group_lag(const struct stream_view *v, const struct stream_group *g, int64_t *lag)
{
    int64_t read = 0;
    bool counted = g->read != GROUP_READ_UNKNOWN && !gaps_from(v, g->last_id);

    if (v->added > 0) {
        if (counted)
            read = g->read;
        else if (!added_up_to(v, g->last_id, &read))
            return false;
    }
    *lag = (int64_t)(v->added - (uint64_t)read);
    return true;
}
