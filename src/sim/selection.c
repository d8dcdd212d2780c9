#include "sim/selection.h"

#include "base/check.h"
#include "base/memory.h"

bool selection_has(const struct selection_list *l, uint64_t number)
{
    size_t low = 0, high = l->count;
    if (!l->chosen)
        return true;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->at[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < l->count && l->at[low] == number;
}

void selection_add(struct selection_list *l, uint64_t number)
{
    CHECK(l->count == 0 || l->at[l->count - 1] < number);
    if ((l->count & (l->count - 1)) == 0)
        l->at = mem_realloc(l->at, (l->count ? 2 * l->count : 1) * sizeof(l->at[0]));
    l->at[l->count++] = number;
    l->chosen = true;
}

void selection_release(struct selection_list *l)
{
    mem_free(l->at);
    *l = (struct selection_list){ 0 };
}

/* --- as text --- */

static void put_number(struct buffer *out, uint64_t number, bool command)
{
    if (command)
        buffer_printf(out, "%u.%u:", (unsigned)(number >> 40) + 1, (unsigned)(number >> 32 & 0xff));
    buffer_printf(out, "%u", (unsigned)number);
}

static void put_list(struct buffer *out, const struct selection_list *l, bool commands)
{
    if (l->count == 0)
        buffer_put_text(out, "none");
    for (size_t i = 0; i < l->count;) {
        size_t last = i;
        while (last + 1 < l->count && l->at[last + 1] == l->at[last] + 1)
            last++;
        if (i > 0)
            buffer_put_u8(out, ',');
        put_number(out, l->at[i], commands);
        if (last > i)
            buffer_printf(out, "-%u", (unsigned)l->at[last]);
        i = last + 1;
    }
}

void selection_put_commands(struct buffer *out, const struct selection_list *l)
{
    put_list(out, l, true);
}

void selection_put_faults(struct buffer *out, const struct selection_list *l)
{
    put_list(out, l, false);
}

/* Up to the next `end`, which is skipped; or all. */
static struct span take_until(struct span *in, char end)
{
    const uint8_t *found = in->len > 0 ? memchr(in->at, end, in->len) : NULL;
    struct span part = span_of(in->at, found ? (size_t)(found - in->at) : in->len);
    *in = span_skip(*in, part.len + (found != NULL));
    return part;
}

static bool has(struct span s, char c)
{
    return s.len > 0 && memchr(s.at, c, s.len) != NULL;
}

static bool to_number(struct span s, int64_t low, int64_t high, int64_t *out)
{
    return span_to_int64(s, out) && *out >= low && *out <= high;
}

/* "7" or "9-12", on top of what names the client. */
static bool take_range(struct span text, uint64_t base, struct selection_list *l)
{
    enum { NUMBER_MAX = 10 * 1000 * 1000 };
    int64_t first, last;
    bool range = has(text, '-');
    if (!to_number(take_until(&text, '-'), 1, NUMBER_MAX, &first))
        return false;
    last = first;
    if (range && !to_number(text, first, NUMBER_MAX, &last))
        return false;
    if (l->count > 0 && l->at[l->count - 1] >= (base | (uint64_t)first))
        return false;
    for (; first <= last; first++)
        selection_add(l, base | (uint64_t)first);
    return true;
}

static bool take_item(struct span item, bool commands, struct selection_list *l)
{
    int64_t region, client;
    if (!commands)
        return take_range(item, 0, l);
    if (!has(item, '.') || !has(item, ':') || !to_number(take_until(&item, '.'), 1, 255, &region) ||
        !to_number(take_until(&item, ':'), 0, 255, &client))
        return false;
    return take_range(item, selection_command((uint32_t)region - 1, (uint32_t)client, 0), l);
}

static bool take_list(struct span text, bool commands, struct selection_list *l)
{
    *l = (struct selection_list){ .chosen = true };
    if (span_equal(text, span_str("none")))
        return true;
    if (text.len == 0)
        return false;
    while (text.len > 0) {
        if (!take_item(take_until(&text, ','), commands, l))
            return false;
    }
    return true;
}

bool selection_take_commands(struct span text, struct selection_list *l)
{
    return take_list(text, true, l);
}

bool selection_take_faults(struct span text, struct selection_list *l)
{
    return take_list(text, false, l);
}
