#include "cmd/gather.h"

#include <stdio.h>

#include "base/bits.h"
#include "base/memory.h"
#include "cmd/data.h"
#include "cmd/fence.h"
#include "cmd/handlers.h"
#include "cmd/home.h"
#include "crdt/resident.h"

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
    bits_add(plan->regions, region);
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
        bool home = k->mode == KEYSPACE_PRIMARY
                        ? id == k->writer
                        : fence_holds(&d->fences[k->fence], id) && !bits_have(k->readers, id);

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
    const struct keyspace *k = server_declared(server, server_keyspace(server, key));

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
        gathered_add_group(g, value, 1);
    else
        gathered_add_number(g, value);
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

void gather_question_put(struct buffer *out, const struct gather_question *q, uint8_t db,
                         uint64_t fences)
{
    char number[24];

    snprintf(number, sizeof(number), "%u", db);
    buffer_put_text(out, "*2\r\n$6\r\nSELECT\r\n");
    resp_put_argument(out, span_str(number));
    buffer_put_text(out, "*6\r\n$6\r\nGATHER\r\n$4\r\nPART\r\n");
    resp_put_argument(out, span_str(kinds[q->kind]));
    resp_put_argument(out, q->prefix);
    resp_put_argument(out, q->field.at != NULL ? q->field : span_str(""));
    snprintf(number, sizeof(number), "%llu", (unsigned long long)fences);
    resp_put_argument(out, span_str(number));
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
static void look_on(struct call *call)
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
    const struct keyspace *k = server_declared(server, server_keyspace(server, prefix));

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
        look_on(call);
        return;
    }
    if (!take_kind(call, 1, &q.kind) || !take_options(call, &q))
        return;
    q.prefix = call->argv[2];
    if (!judge_prefix(call, q.prefix))
        return;
    call->server->hooks->gather(call->server->node, call->session, &q);
}
