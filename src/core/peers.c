#include "core/peers.h"

#include "base/memory.h"

void peers_init(struct peers *p, const uint8_t *regions, size_t count)
{
    p->rows = mem_zalloc(count * sizeof(p->rows[0]));
    p->count = count;
    for (size_t i = 0; i < count; i++)
        p->rows[i].region = regions[i];
}

void peers_release(struct peers *p)
{
    mem_free(p->rows);
    *p = (struct peers){ 0 };
}

struct peers_row *peers_row(struct peers *p, uint8_t region)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->rows[i].region == region)
            return &p->rows[i];
    }
    return NULL;
}

static bool merge(struct peers_row *row, const struct vector *applied, const struct vector *durable)
{
    bool moved = vector_merge(&row->applied, applied);
    return vector_merge(&row->durable, durable) || moved;
}

bool peers_learn(struct peers *p, uint8_t region, uint64_t instance, const struct vector *applied,
                 const struct vector *durable, uint64_t now_us)
{
    struct peers_row *row = peers_row(p, region);
    if (row == NULL || instance == 0 || instance < row->instance)
        return false;
    if (instance > row->instance) {
        row->instance = instance;
        vector_copy(&row->applied, applied);
        vector_copy(&row->durable, durable);
    } else if (!merge(row, applied, durable)) {
        return false;
    }
    row->heard_us = now_us;
    return true;
}

uint32_t peers_acknowledged(const struct peers *p, stamp_t stamp)
{
    uint32_t count = 0;
    for (size_t i = 0; i < p->count; i++)
        count += vector_get(&p->rows[i].durable, stamp_origin(stamp)) >= stamp;
    return count;
}

/* What every region that is asked for it has of one origin. */
static stamp_t least(const struct peers *p, stamp_t own, uint8_t origin, peers_exempt exempt,
                     const void *context)
{
    stamp_t low = own;
    for (size_t i = 0; i < p->count; i++) {
        stamp_t theirs = vector_get(&p->rows[i].durable, origin);
        if (theirs < low && (exempt == NULL || !exempt(context, i, origin)))
            low = theirs;
    }
    return low;
}

void peers_stable(const struct peers *p, const struct vector *own_durable, struct vector *out,
                  peers_exempt exempt, const void *context)
{
    vector_clear(out);
    for (uint32_t o = 0; o < own_durable->high; o++) {
        stamp_t low = least(p, own_durable->at[o], (uint8_t)o, exempt, context);
        if (low != 0)
            vector_set(out, low);
    }
}
