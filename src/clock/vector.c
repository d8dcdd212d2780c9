#include "clock/vector.h"

void vector_clear(struct vector *v)
{
    v->high = 0;
}

void vector_copy(struct vector *to, const struct vector *from)
{
    to->high = from->high;
    memmove(to->at, from->at, from->high * sizeof(from->at[0]));
}

static void trim(struct vector *v)
{
    while (v->high > 0 && v->at[v->high - 1] == 0)
        v->high--;
}

void vector_set(struct vector *v, stamp_t s)
{
    uint8_t origin = stamp_origin(s);

    while (v->high <= origin)
        v->at[v->high++] = 0;
    v->at[origin] = s;
    trim(v);
}

void vector_drop(struct vector *v, uint8_t origin)
{
    if (origin < v->high)
        v->at[origin] = 0;
    trim(v);
}

bool vector_raise(struct vector *v, stamp_t s)
{
    if (s <= vector_get(v, stamp_origin(s)))
        return false;
    vector_set(v, s);
    return true;
}

bool vector_merge(struct vector *v, const struct vector *other)
{
    bool moved = false;

    for (uint32_t o = 0; o < other->high; o++) {
        if (vector_raise(v, other->at[o]))
            moved = true;
    }
    return moved;
}

bool vector_covers(const struct vector *v, const struct vector *other)
{
    for (uint32_t o = 0; o < other->high; o++) {
        if (other->at[o] > vector_get(v, (uint8_t)o))
            return false;
    }
    return true;
}

/* `high` is exact, so equal vectors have equal arrays. */
bool vector_equal(const struct vector *a, const struct vector *b)
{
    return a->high == b->high && memcmp(a->at, b->at, a->high * sizeof(a->at[0])) == 0;
}

void vector_put(struct buffer *out, const struct vector *v)
{
    uint64_t count = 0;

    for (uint32_t o = 0; o < v->high; o++)
        count += v->at[o] != 0;
    buffer_put_varint(out, count);
    for (uint32_t o = 0; o < v->high; o++) {
        if (v->at[o] != 0)
            buffer_put_u64(out, v->at[o]);
    }
}

static bool take_entries(struct span *rest, uint64_t count, struct vector *v)
{
    for (; count > 0; count--) {
        stamp_t s;

        if (!span_take_u64(rest, &s) || s == 0)
            return false;
        if (vector_get(v, stamp_origin(s)) != 0)
            return false;
        vector_set(v, s);
    }
    return true;
}

bool vector_take(struct span *in, struct vector *v)
{
    struct span rest = *in;
    uint64_t count;

    vector_clear(v);
    if (!span_take_varint(&rest, &count) || count > STAMP_ORIGINS)
        return false;
    if (!take_entries(&rest, count, v)) {
        vector_clear(v);
        return false;
    }
    *in = rest;
    return true;
}
