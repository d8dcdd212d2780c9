#include "cmd/zset_range.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

enum { BOUND_TEXT_MAX = 400 }; /* the longest double written out, and some more */

/* --- as clients write them --- */

/* As strtod reads it, which Redis uses here, and not its stricter reader of floats: leading spaces,
 * hexadecimal digits, and nothing at all for 0 are taken. */
static bool take_score(struct span s, double *score, bool *open)
{
    char text[BOUND_TEXT_MAX], *end;

    *open = s.len > 0 && s.at[0] == '(';
    if (*open)
        s = span_skip(s, 1);
    if (s.len >= sizeof(text))
        return false;
    if (s.len > 0)
        memcpy(text, s.at, s.len);
    text[s.len] = 0;
    *score = strtod(text, &end);
    return *end == 0 && !isnan(*score);
}

bool score_range_take(struct call *call, struct span min, struct span max, struct score_range *r)
{
    if (take_score(min, &r->min, &r->min_open) && take_score(max, &r->max, &r->max_open))
        return true;
    reply_error(call->reply, "ERR min or max is not a float");
    return false;
}

static bool take_bound(struct span s, struct name_bound *b)
{
    uint8_t sign = s.len > 0 ? s.at[0] : 0;

    *b = (struct name_bound){ .kind = NAME_IS, .name = span_skip(s, 1), .open = sign == '(' };
    if (sign == '(' || sign == '[')
        return true;
    b->kind = sign == '-' ? NAME_LEAST : NAME_GREATEST;
    return s.len == 1 && (sign == '-' || sign == '+');
}

bool name_range_take(struct call *call, struct span min, struct span max, struct name_range *r)
{
    if (take_bound(min, &r->min) && take_bound(max, &r->max))
        return true;
    reply_error(call->reply, "ERR min or max not valid string range item");
    return false;
}

bool index_range_take(struct call *call, struct span start, struct span stop, struct index_range *r)
{
    return call_int(call, start, &r->start) && call_int(call, stop, &r->stop);
}

/* --- as ranks --- */

static struct ranks ranks_between(uint64_t first, uint64_t end)
{
    return first < end ? (struct ranks){ first, end } : (struct ranks){ 0, 0 };
}

struct ranks ranks_by_index(const struct part *z, const struct index_range *r)
{
    int64_t count = (int64_t)z->order.count;
    int64_t start = r->start < 0 ? r->start + count : r->start;
    int64_t stop = r->stop < 0 ? r->stop + count : r->stop;

    if (start < 0)
        start = 0;
    if (stop >= count)
        stop = count - 1;
    return start <= stop ? ranks_between((uint64_t)start, (uint64_t)stop + 1) : ranks_between(0, 0);
}

/* How many members stand before (score, name). */
static uint64_t count_before(const struct part *z, double score, struct span name)
{
    struct probe probe;
    bool found;

    probe_by_score(&probe, score, name);
    uint64_t rank = btree_rank(&z->order, probe.entry, &found);
    probe_release(&probe);
    return rank;
}

static uint64_t count_below(const struct part *z, double score)
{
    return count_before(z, score, span_of(NULL, 0));
}

/* How many have at most this score: those below the next double. */
static uint64_t count_up_to(const struct part *z, double score)
{
    if (score == INFINITY)
        return z->order.count;
    return count_below(z, nextafter(score, INFINITY));
}

struct ranks ranks_by_score(const struct part *z, const struct score_range *r)
{
    uint64_t first = r->min_open ? count_up_to(z, r->min) : count_below(z, r->min);
    uint64_t end = r->max_open ? count_below(z, r->max) : count_up_to(z, r->max);

    return ranks_between(first, end);
}

/* How many stand before a bound, or, `past`, before what comes after it. */
static uint64_t count_before_bound(const struct part *z, const struct name_bound *b, bool past)
{
    struct btree_cursor c;
    struct probe probe;
    bool found;

    if (b->kind != NAME_IS)
        return b->kind == NAME_LEAST ? 0 : z->order.count;
    const struct entry *first = btree_seek(&z->order, 0, &c);
    probe_by_score(&probe, entry_score(first), b->name);
    uint64_t rank = btree_rank(&z->order, probe.entry, &found);
    probe_release(&probe);
    return rank + (found && past);
}

struct ranks ranks_by_name(const struct part *z, const struct name_range *r)
{
    return ranks_between(count_before_bound(z, &r->min, r->min.open),
                         count_before_bound(z, &r->max, !r->max.open));
}

/* --- taking away --- */

void zset_take(struct call *call, struct span key, const struct part *z, struct ranks r)
{
    size_t count = ranks_count(r);
    struct btree_cursor c;
    struct emit_fields take;

    if (count == z->order.count) {
        emit_remove(call->replica, call->db, key);
        return;
    }
    /* What is too much for one op changes the tree before the last member was added. */
    const struct entry **members = mem_alloc(count * sizeof(*members));
    const struct entry *e = btree_seek(&z->order, r.first, &c);
    for (size_t i = 0; i < count; i++, e = btree_next(&c))
        members[i] = e;
    emit_fields_begin(&take, call->replica, OP_TAKE, COMPONENT_ZSET, call->db, key);
    for (size_t i = 0; i < count; i++)
        emit_fields_add(&take, entry_name(members[i]), span_of(NULL, 0));
    emit_fields_end(&take);
    mem_free(members);
}
