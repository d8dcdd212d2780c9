/*
 * oracle_list -- whether the positions that an op names could have been made as the design says.
 *
 * Nothing of crdt/position is used: a position's last level is read from its end, where the stamps of
 * its run and of the op that pushed it have fixed places before the index.
 */
#include "sim/effects.h"

enum { STAMP_BYTES = 8 };

static uint64_t big_endian(const uint8_t *at)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < STAMP_BYTES; i++)
        v = v << 8 | at[i];
    return v;
}

/* A signed number's length, by its first byte. */
static size_t number_bytes(uint8_t lead)
{
    if (lead >= 0x48 && lead < 0xb8)
        return 1;
    return lead >= 0xb8 ? 2u + lead - 0xb8 : 2u + 0x47 - lead;
}

/* The stamps of the last level. */
static void last_level(struct span p, stamp_t *run, stamp_t *pushed)
{
    while (p.len > 0) {
        p = span_skip(p, number_bytes(p.at[0]));
        *run = big_endian(p.at);
        uint64_t u = big_endian(p.at + STAMP_BYTES) ^ (1ull << 63);
        *pushed = u >> 63 ? 0 - u : u;
        p = span_skip(p, 2 * STAMP_BYTES);
        p = span_skip(p, number_bytes(p.at[0]));
    }
}

/* A new element is in a run of its writer's own, under its own stamp; any other stood there before. */
static bool position_good(const struct oracle_op *by, struct span position)
{
    stamp_t run = 0, pushed = 0;
    last_level(position, &run, &pushed);
    if (pushed != by->op.stamp)
        return pushed <= by->seen[stamp_origin(pushed)];
    return stamp_origin(run) == stamp_origin(pushed) && run <= pushed;
}

bool oracle_positions_good(const struct oracle_op *by)
{
    struct span p = by->op.payload, position, value;
    uint64_t n;
    if (by->op.kind != OP_PUT || by->op.component != COMPONENT_LIST)
        return true;
    if (!span_take_varint(&p, &n))
        return false;
    for (; n > 0; n--) {
        if (!span_take_prefixed(&p, &position) || !span_take_prefixed(&p, &value) ||
            !position_good(by, position))
            return false;
    }
    return true;
}
