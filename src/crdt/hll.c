#include "crdt/hll.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/mutation.h"

static bool take_register(struct span *in, uint32_t *index, uint8_t *value)
{
    uint64_t i;
    if (!span_take_varint(in, &i) || i >= HLL_REGISTERS || !span_take_u8(in, value) ||
        *value == 0 || *value > HLL_VALUE_MAX)
        return false;
    *index = (uint32_t)i;
    return true;
}

bool hll_put_valid(struct span p)
{
    uint64_t generation, n;
    uint32_t index;
    uint8_t value;
    if (!span_take_u64(&p, &generation) || !span_take_varint(&p, &n))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!take_register(&p, &index, &value))
            return false;
    }
    return p.len == 0;
}

/* --- one generation --- */

static void make_dense(struct generation *g)
{
    g->dense = mem_zalloc(HLL_REGISTERS);
    for (uint32_t i = 0; i < g->count; i++)
        g->dense[g->sparse[i] >> 8] = (uint8_t)g->sparse[i];
    mem_free(g->sparse);
    g->sparse = NULL;
}

/* The first place whose index is not below. */
static uint32_t place_of(const struct generation *g, uint32_t index)
{
    uint32_t low = 0, high = g->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (g->sparse[middle] >> 8 < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void raise_sparse(struct generation *g, uint32_t index, uint8_t value)
{
    uint32_t at = place_of(g, index);
    if (at < g->count && g->sparse[at] >> 8 == index) {
        if (value > (uint8_t)g->sparse[at])
            g->sparse[at] = index << 8 | value;
        return;
    }
    g->sparse = mem_realloc(g->sparse, (g->count + 1) * sizeof(*g->sparse));
    memmove(g->sparse + at + 1, g->sparse + at, (g->count - at) * sizeof(*g->sparse));
    g->sparse[at] = index << 8 | value;
    if (++g->count > HLL_SPARSE_MAX)
        make_dense(g);
}

static void raise(struct generation *g, uint32_t index, uint8_t value)
{
    if (!g->dense)
        raise_sparse(g, index, value);
    else if (g->dense[index] < value)
        g->dense[index] = value;
}

static void generation_free(struct generation *g)
{
    mem_free(g->sparse);
    mem_free(g->dense);
}

/* --- all of them --- */

static struct generation *find(const struct hll *h, stamp_t name)
{
    for (uint32_t i = 0; i < h->count; i++) {
        if (h->generations[i].name == name)
            return &h->generations[i];
    }
    return NULL;
}

static struct generation *open_generation(struct hll *h, stamp_t name)
{
    uint32_t at = h->count;
    h->generations = mem_realloc(h->generations, (h->count + 1) * sizeof(*h->generations));
    while (at > 0 && h->generations[at - 1].name > name) {
        h->generations[at] = h->generations[at - 1];
        at--;
    }
    h->count++;
    h->generations[at] = (struct generation){ .name = name };
    return &h->generations[at];
}

void hll_put(struct hll *h, stamp_t rank, struct span p)
{
    stamp_t name;
    uint64_t n;
    uint32_t index;
    uint8_t value;
    CHECK(span_take_u64(&p, &name) && span_take_varint(&p, &n));
    struct generation *g = find(h, name ? name : rank);
    if (!g && name != 0 && !MUTATION(reopens_generation))
        return; /* a removal took it */
    if (!g)
        g = open_generation(h, name ? name : rank);
    if (rank > g->newest)
        g->newest = rank;
    for (; n > 0; n--) {
        CHECK(take_register(&p, &index, &value));
        raise(g, index, value);
    }
}

void hll_put_generation(struct buffer *out, const struct generation *g)
{
    uint32_t count = g->sparse ? g->count : 0;
    for (uint32_t i = 0; g->dense && i < HLL_REGISTERS; i++)
        count += g->dense[i] != 0;
    buffer_put_u64(out, g->name);
    buffer_put_u64(out, g->newest);
    buffer_put_varint(out, count);
    for (uint32_t i = 0; g->sparse && i < g->count; i++) {
        buffer_put_varint(out, g->sparse[i] >> 8);
        buffer_put_u8(out, (uint8_t)g->sparse[i]);
    }
    for (uint32_t i = 0; g->dense && i < HLL_REGISTERS; i++) {
        if (g->dense[i] == 0)
            continue;
        buffer_put_varint(out, i);
        buffer_put_u8(out, g->dense[i]);
    }
}

bool hll_take_generation(struct hll *h, struct span *in)
{
    uint64_t name, newest, n;
    uint32_t index;
    uint8_t value;
    if (!span_take_u64(in, &name) || !span_take_u64(in, &newest) || !span_take_varint(in, &n) ||
        name == 0 || newest < name)
        return false;
    struct generation *g = find(h, name);
    if (!g)
        g = open_generation(h, name);
    if (newest > g->newest)
        g->newest = newest;
    for (; n > 0; n--) {
        if (!take_register(in, &index, &value))
            return false;
        raise(g, index, value);
    }
    return true;
}

void hll_drop(struct hll *h, const struct observer *by)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        if (observes(by, h->generations[i].name) || MUTATION(wipes_generations))
            generation_free(&h->generations[i]);
        else
            h->generations[kept++] = h->generations[i];
    }
    h->count = kept;
}

void hll_release(struct hll *h)
{
    for (uint32_t i = 0; i < h->count; i++)
        generation_free(&h->generations[i]);
    mem_free(h->generations);
    *h = (struct hll){ 0 };
}

stamp_t hll_newest(const struct hll *h)
{
    stamp_t newest = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        if (h->generations[i].newest > newest)
            newest = h->generations[i].newest;
    }
    return newest;
}

stamp_t hll_generation(const struct hll *h)
{
    return h->count > 0 ? h->generations[h->count - 1].name : 0;
}

void hll_maxima(const struct hll *h, uint8_t *out)
{
    for (uint32_t i = 0; i < h->count; i++) {
        const struct generation *g = &h->generations[i];
        for (uint32_t k = 0; g->sparse && k < g->count; k++) {
            if ((uint8_t)g->sparse[k] > out[g->sparse[k] >> 8])
                out[g->sparse[k] >> 8] = (uint8_t)g->sparse[k];
        }
        for (uint32_t k = 0; g->dense && k < HLL_REGISTERS; k++) {
            if (g->dense[k] > out[k])
                out[k] = g->dense[k];
        }
    }
}

size_t hll_bytes(const struct hll *h)
{
    size_t bytes = h->count * sizeof(*h->generations);
    for (uint32_t i = 0; i < h->count; i++) {
        const struct generation *g = &h->generations[i];
        bytes += g->dense ? HLL_REGISTERS : g->count * sizeof(*g->sparse);
    }
    return bytes;
}
