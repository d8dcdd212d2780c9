#include "cmd/gather.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "cmd/data.h"
#include "cmd/fence.h"
#include "cmd/handlers.h"
#include "cmd/home.h"
#include "crdt/resident.h"

/* --- what was found --- */

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

static void add_group(struct gathered *g, struct span value, uint64_t count)
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

static void add_number(struct gathered *g, struct span text)
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
        add_group(g, value, count);
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

/* --- who looks at what --- */

static bool is_below(const struct keyspace *k, struct span prefix)
{
    return k->prefix_bytes >= prefix.len && span_equal(span_of(k->prefix, prefix.len), prefix);
}

/* Who asks may not hold it, and is not to be told of it. */
static bool is_refused(const struct keyspace *k, uint64_t outside)
{
    return k->outside == KEYSPACE_REFUSE && (outside >> k->fence & 1);
}

static uint32_t fences_without_us(const struct server *server)
{
    uint32_t outside = 0;

    for (uint32_t fence = 1; fence < server->deployment->fence_count; fence++)
        outside |= (uint32_t)(server->replica->options.own[fence] == 0) << fence;
    return outside;
}

bool gather_looks_into(const struct server *server, uint8_t region, size_t keyspace,
                       struct span prefix, uint64_t fences)
{
    const struct keyspace *k = &server->deployment->keyspaces[keyspace];

    return fence_holds(&server->deployment->fences[k->fence], region) &&
           (keyspace == prefixes_find(&server->prefixes, prefix) || is_below(k, prefix)) &&
           (home_is_single(k) || fences >> k->fence & 1) && !is_refused(k, fences >> 32);
}

static void plan_add(struct gather_plan *plan, uint8_t region)
{
    plan->regions[region / 64] |= 1ull << (region % 64);
}

/* The nearest member looks at what all members may write. */
static void plan_shared(const struct deployment *d, uint32_t fence,
                        uint32_t (*distance)(const void *, uint8_t), const void *context,
                        struct gather_plan *plan)
{
    uint32_t best = UINT32_MAX;

    if (plan->of_fence[fence] != 0)
        return;
    for (size_t i = 0; i < d->region_count; i++) {
        uint8_t id = d->regions[i].id;
        uint32_t far = distance(context, id);

        if (!fence_holds(&d->fences[fence], id) || (plan->of_fence[fence] != 0 && far >= best))
            continue;
        plan->of_fence[fence] = id;
        best = far;
    }
    plan_add(plan, plan->of_fence[fence]);
}

static void plan_homes(const struct deployment *d, const struct keyspace *k,
                       struct gather_plan *plan)
{
    for (size_t i = 0; i < d->region_count; i++) {
        uint8_t id = d->regions[i].id;
        bool home = k->mode == KEYSPACE_PRIMARY ? id == k->writer
                                                : fence_holds(&d->fences[k->fence], id) &&
                                                      !(k->readers[id / 64] >> (id % 64) & 1);

        if (home)
            plan_add(plan, id);
    }
}

void gather_plan(const struct server *server, struct span prefix,
                 uint32_t (*distance)(const void *context, uint8_t region), const void *context,
                 struct gather_plan *plan)
{
    const struct deployment *d = server->deployment;
    size_t above = prefixes_find(&server->prefixes, prefix);

    *plan = (struct gather_plan){ .outside = fences_without_us(server) };
    for (size_t i = 0; i < d->keyspace_count; i++) {
        const struct keyspace *k = &d->keyspaces[i];

        if ((i != above && !is_below(k, prefix)) || is_refused(k, plan->outside))
            continue;
        if (home_is_single(k))
            plan_homes(d, k, plan);
        else
            plan_shared(d, k->fence, distance, context, plan);
    }
}

/* --- a part --- */

enum { TURN_KEYS = 2000, COLD_WORK = 10 };

struct looking {
    struct call *call;
    struct span prefix;
    uint64_t fences;
    struct buffer keys; /* of the step, with their lengths */
    uint64_t work;
};

static bool is_ours(const struct looking *l, struct span key)
{
    const struct server *server = l->call->server;
    const struct keyspace *k = &server->deployment
                                    ->keyspaces[prefixes_find(&server->prefixes, key)];

    if (is_refused(k, l->fences >> 32))
        return false;
    if (!home_is_single(k))
        return l->fences >> k->fence & 1;
    return home_of_key(server, l->call->db, key).region == l->call->replica->options.region;
}

/* Nothing may be fetched meanwhile: neither the key, nor what a directory says of it. */
static void look(void *context, const struct scanned *s)
{
    struct looking *l = context;

    l->work++;
    if (s->key.len < l->prefix.len || !span_equal(span_of(s->key.at, l->prefix.len), l->prefix))
        return;
    buffer_put_prefixed(&l->keys, s->key);
    l->work += s->entry == NULL ? COLD_WORK : 0;
}

/* The text that is counted; false: there is none. */
static bool value_of(const struct entry *e, struct span field, char *scratch, struct span *value)
{
    if (field.len == 0)
        return object_visible(e) == COMPONENT_STRING && object_string(e, scratch, value);
    const struct part *p = object_visible(e) == COMPONENT_HASH ? object_part(e, COMPONENT_HASH)
                                                               : NULL;
    const struct entry *item = p != NULL ? part_find(p, field) : NULL;
    if (item == NULL)
        return false;
    *value = data_value(item, scratch);
    return true;
}

static void count_key(struct call *call, struct gathered *g, enum gather_kind kind,
                      struct span field, struct span key)
{
    struct entry *e = database_find(&call->replica->databases[call->db], key);
    char scratch[CELL_SCRATCH_BYTES];
    struct span value;

    if (e == NULL || object_visible(e) == COMPONENT_NONE || object_expired(e, call->now_ms))
        return;
    g->keys++;
    if (kind == GATHER_COUNT)
        return;
    if (!value_of(e, field, scratch, &value))
        g->skipped++;
    else if (kind == GATHER_GROUP)
        add_group(g, value, 1);
    else
        add_number(g, value);
}

static const char *const kinds[GATHER_KINDS] = { "count", "sum", "min", "max", "avg", "group" };

static bool take_kind(struct call *call, size_t at, enum gather_kind *kind)
{
    for (int i = 0; i < GATHER_KINDS; i++) {
        if (call_is(call, at, kinds[i])) {
            *kind = (enum gather_kind)i;
            return true;
        }
    }
    reply_error(call->reply, "ERR GATHER is one of: count, sum, min, max, avg, group");
    return false;
}

static void forget_part(struct session *s)
{
    if (s->gathered == NULL)
        return;
    gathered_release(s->gathered);
    mem_free(s->gathered);
    s->gathered = NULL;
}

/* Goes on over as many turns as it needs: GATHER PART kind prefix field fences. */
static void gather_part(struct call *call)
{
    struct session *s = call->session;
    struct looking l = { .call = call };
    enum gather_kind kind;
    struct span key, rest;
    int64_t fences;

    if (call->argc != 6) {
        call_syntax_error(call);
        return;
    }
    if (!take_kind(call, 2, &kind) || !call_int(call, call->argv[5], &fences))
        return;
    l.prefix = call->argv[3];
    if (s->gathered == NULL) {
        s->gathered = mem_alloc(sizeof(*s->gathered));
        gathered_init(s->gathered, call->replica->databases[0].keys.seed);
        s->gather_cursor = 0;
    }
    l.fences = (uint64_t)fences;
    do {
        s->gather_cursor = resident_scan(&call->replica->databases[call->db], s->gather_cursor,
                                         look, &l);
    } while (s->gather_cursor != 0 && l.work < TURN_KEYS);
    rest = buffer_span(&l.keys);
    while (span_take_prefixed(&rest, &key)) {
        if (is_ours(&l, key))
            count_key(call, s->gathered, kind, call->argv[4], key);
    }
    buffer_release(&l.keys);
    s->unfinished = s->gather_cursor != 0;
    if (s->unfinished)
        return;
    gathered_put(s->gathered, call->reply);
    forget_part(s);
}

void session_forget_gather(struct session *s)
{
    forget_part(s);
}

static bool take_options(struct call *call, struct gather_question *q)
{
    int64_t ms;

    for (size_t i = 3; i + 1 < call->argc; i += 2) {
        if (call_is(call, i, "FIELD")) {
            q->field = call->argv[i + 1];
        } else if (call_is(call, i, "TIMEOUT")) {
            if (!call_int(call, call->argv[i + 1], &ms))
                return false;
            q->timeout_ms = ms < 1 ? 1 : ms > 3600000 ? 3600000 : (uint32_t)ms;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    if (call->argc % 2 == 0) {
        call_syntax_error(call);
        return false;
    }
    return true;
}

/* All of the prefix may be kept from us: then it is not as if there were nothing. */
static bool judge_prefix(struct call *call, struct span prefix)
{
    const struct server *server = call->server;
    const struct keyspace *k = &server->deployment
                                    ->keyspaces[prefixes_find(&server->prefixes, prefix)];

    if (!is_refused(k, fences_without_us(server)))
        return true;
    fence_refuse(call, k->fence);
    return false;
}

/* The node asks the regions, and ends the wait. */
void cmd_gather(struct call *call)
{
    struct gather_question q = { .timeout_ms = GATHER_TIMEOUT_MS };

    if (call->nested) { /* it takes more than one turn */
        reply_error(call->reply, "ERR GATHER inside MULTI is not allowed");
        return;
    }
    if (call_is(call, 1, "part")) {
        gather_part(call);
        return;
    }
    if (!take_kind(call, 1, &q.kind) || !take_options(call, &q))
        return;
    q.prefix = call->argv[2];
    if (!judge_prefix(call, q.prefix))
        return;
    call->server->hooks->gather(call->server->node, call->session, &q);
}
