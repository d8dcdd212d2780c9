#include "cmd/gathered.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

struct gather_group {
    uint64_t count;
    size_t len;
    uint8_t value[];
};

static struct span group_value(const void *item)
{
    const struct gather_group *g = item;

    return span_of(g->value, g->len);
}

void gathered_init(struct gathered *g, uint64_t seed)
{
    *g = (struct gathered){ .whole = true, .min = INFINITY, .max = -INFINITY };
    table_init(&g->groups, group_value, seed);
}

void gathered_release(struct gathered *g)
{
    struct table_iter it;

    table_iter_init(&it, &g->groups);
    for (void **slot; (slot = table_iter_next(&it));)
        mem_free(*slot);
    table_release(&g->groups);
}

void gathered_add_group(struct gathered *g, struct span value, uint64_t count)
{
    void **slot = table_find(&g->groups, value);

    if (slot == NULL && g->groups.count >= GATHER_GROUPS_MAX) {
        g->left_out += count;
        return;
    }
    if (slot == NULL) {
        struct gather_group *group = mem_alloc(sizeof(*group) + value.len);

        *group = (struct gather_group){ .len = value.len };
        memcpy(group->value, value.at, value.len);
        table_insert(&g->groups, group);
        slot = table_find(&g->groups, value);
    }
    ((struct gather_group *)*slot)->count += count;
}

/* Doubles hold what is not whole, and sums that have grown too large. */
static void add_sum(struct gathered *g, bool whole, int64_t sum, double real_sum)
{
    int64_t both;

    g->real_sum += real_sum;
    if (g->whole && whole && !__builtin_add_overflow(g->sum, sum, &both))
        g->sum = both;
    else
        g->whole = false;
}

void gathered_add_number(struct gathered *g, struct span text)
{
    int64_t whole = 0;
    double number;
    char copy[64], *end;

    if (text.len == 0 || text.len >= sizeof(copy)) {
        g->skipped++;
        return;
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = 0;
    number = strtod(copy, &end);
    if (*end != 0 || !isfinite(number)) {
        g->skipped++;
        return;
    }
    bool is_whole = span_to_int64(text, &whole);
    add_sum(g, is_whole, whole, number);
    g->numbers++;
    g->min = number < g->min ? number : g->min;
    g->max = number > g->max ? number : g->max;
}

/* --- a part, as it travels --- */

enum { PART_NUMBERS = 9 }; /* before the groups */

static void put_real(struct reply *reply, double number)
{
    char text[40];

    snprintf(text, sizeof(text), "%.17g", number);
    reply_bulk_text(reply, text);
}

void gathered_put(const struct gathered *g, struct reply *reply)
{
    struct table_iter it;

    reply_array(reply, PART_NUMBERS + 2 * g->groups.count);
    reply_int(reply, (int64_t)g->keys);
    reply_int(reply, (int64_t)g->numbers);
    reply_int(reply, (int64_t)g->skipped);
    reply_int(reply, g->whole);
    reply_int(reply, g->whole ? g->sum : 0);
    put_real(reply, g->real_sum);
    put_real(reply, g->min);
    put_real(reply, g->max);
    reply_int(reply, (int64_t)g->left_out);
    table_iter_init(&it, &g->groups);
    for (void **slot; (slot = table_iter_next(&it));) {
        const struct gather_group *group = *slot;

        reply_bulk(reply, group_value(group));
        reply_int(reply, (int64_t)group->count);
    }
}

/* A line of RESP and its type. */
static bool take_line(struct span *in, uint8_t type, struct span *text)
{
    const uint8_t *end = in->len > 0 ? memchr(in->at, '\r', in->len) : NULL;

    if (end == NULL || in->at[0] != type || (size_t)(end - in->at) + 2 > in->len)
        return false;
    *text = span_of(in->at + 1, (size_t)(end - in->at) - 1);
    *in = span_skip(*in, (size_t)(end - in->at) + 2);
    return true;
}

static bool take_int(struct span *in, int64_t *number)
{
    struct span text;

    return take_line(in, ':', &text) && span_to_int64(text, number);
}

static bool take_bulk(struct span *in, struct span *bulk)
{
    struct span text;
    int64_t len;

    if (!take_line(in, '$', &text) || !span_to_int64(text, &len) || len < 0 ||
        (uint64_t)len + 2 > in->len)
        return false;
    *bulk = span_of(in->at, (size_t)len);
    *in = span_skip(*in, (size_t)len + 2);
    return true;
}

static bool take_real(struct span *in, double *number)
{
    struct span bulk;
    char copy[64];

    if (!take_bulk(in, &bulk) || bulk.len >= sizeof(copy))
        return false;
    memcpy(copy, bulk.at, bulk.len);
    copy[bulk.len] = 0;
    *number = strtod(copy, NULL);
    return true;
}

/* A number of something. */
static bool take_count(struct span *in, uint64_t *count)
{
    int64_t number;

    if (!take_int(in, &number) || number < 0)
        return false;
    *count = (uint64_t)number;
    return true;
}

static bool take_group(struct span *in, struct span *value, uint64_t *count)
{
    return take_bulk(in, value) && take_count(in, count);
}

static bool are_groups(struct span in, int64_t groups)
{
    struct span value;
    uint64_t count;

    for (; groups > 0; groups--) {
        if (!take_group(&in, &value, &count))
            return false;
    }
    return in.len == 0;
}

/* `part` is left at the groups. */
static bool take_numbers(struct span *part, struct gathered *g)
{
    struct span text;
    int64_t elements, whole;

    if (!take_line(part, '*', &text) || !span_to_int64(text, &elements) ||
        elements < PART_NUMBERS || (elements - PART_NUMBERS) % 2 != 0 ||
        !take_count(part, &g->keys) || !take_count(part, &g->numbers) ||
        !take_count(part, &g->skipped) || !take_int(part, &whole) || !take_int(part, &g->sum) ||
        !take_real(part, &g->real_sum) || !take_real(part, &g->min) || !take_real(part, &g->max) ||
        !take_count(part, &g->left_out))
        return false;
    g->whole = whole != 0;
    return are_groups(*part, (elements - PART_NUMBERS) / 2);
}

bool gathered_add(struct gathered *g, struct span part)
{
    struct gathered more; /* without its groups */
    struct span value;
    uint64_t count;

    if (!take_numbers(&part, &more))
        return false;
    g->keys += more.keys;
    g->numbers += more.numbers;
    g->skipped += more.skipped;
    add_sum(g, more.whole, more.sum, more.real_sum);
    g->min = more.min < g->min ? more.min : g->min;
    g->max = more.max > g->max ? more.max : g->max;
    g->left_out += more.left_out;
    while (take_group(&part, &value, &count))
        gathered_add_group(g, value, count);
    return true;
}

/* --- the result --- */

static void reply_number(struct reply *reply, double number)
{
    char text[32];

    reply_bulk(reply, span_of(text, decimal_of_double(number, text)));
}

static int by_count(const void *a, const void *b)
{
    const struct gather_group *x = *(struct gather_group *const *)a;
    const struct gather_group *y = *(struct gather_group *const *)b;

    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->value, y->value, len);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* The largest first. */
static void reply_groups(const struct gathered *g, struct reply *reply)
{
    struct gather_group **all = mem_alloc((g->groups.count + 1) * sizeof(*all));
    struct table_iter it;
    size_t count = 0;

    table_iter_init(&it, &g->groups);
    for (void **slot; (slot = table_iter_next(&it));)
        all[count++] = *slot;
    qsort(all, count, sizeof(*all), by_count);
    reply_map(reply, count);
    for (size_t i = 0; i < count; i++) {
        reply_bulk(reply, group_value(all[i]));
        reply_int(reply, (int64_t)all[i]->count);
    }
    mem_free(all);
}

void gathered_reply(const struct gathered *g, enum gather_kind kind, struct reply *reply)
{
    if (kind == GATHER_COUNT)
        reply_int(reply, (int64_t)g->keys);
    else if (kind == GATHER_GROUP)
        reply_groups(g, reply);
    else if (kind == GATHER_SUM && g->whole)
        reply_int(reply, g->sum);
    else if (kind == GATHER_SUM)
        reply_number(reply, g->real_sum);
    else if (g->numbers == 0)
        reply_null(reply);
    else if (kind == GATHER_AVG)
        reply_number(reply, (g->whole ? (double)g->sum : g->real_sum) / (double)g->numbers);
    else
        reply_number(reply, kind == GATHER_MIN ? g->min : g->max);
}
