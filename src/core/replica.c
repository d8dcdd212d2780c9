#include "core/replica.h"

#include <stdio.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutation.h"
#include "core/emit.h"
#include "core/internal.h"
#include "crdt/resident.h"
#include "wire/record.h"

/* Reclaiming works in small steps, so that a million keys expiring together do not stop the
 * loop. */
enum { RECLAIM_PER_TICK = 2000, FETCH_PER_TICK = 50 }; /* about a millisecond each */

/* A batch is closed at the first group's end past this size: peers apply a turn piece by piece, and
 * buffers stay small. */
enum {
    BATCH_BYTES = 1 << 20,
    KEEP_BYTES = 2 * BATCH_BYTES, /* of room, after a batch of a large value */
};

enum { SNAPSHOTS_MIN = 64 };

static uint8_t own_origin(const struct replica_options *o, uint32_t fence)
{
    return fence == 0 ? o->region : o->own[fence];
}

/* What an origin that is gone leaves to be reclaimed is the lowest-numbered writer's of its fence. */
static bool stands_in_for(const struct replica *r, uint8_t closed)
{
    const struct replica_options *o = &r->options;
    uint32_t fence = replica_fence_of(r, closed);
    uint8_t own = own_origin(o, fence);
    for (size_t i = 0; i < o->writer_count; i++) {
        if (o->writers[i] < own && replica_fence_of(r, o->writers[i]) == fence)
            return false;
    }
    return own != 0;
}

static void reclaim_for(struct replica *r, uint8_t origin)
{
    for (int i = 0; i < OP_DATABASES; i++)
        bits_add(r->databases[i].reclaims, origin);
}

static void reclaim_for_closed(struct replica *r)
{
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        if (bits_have(r->options.closed, o) && stands_in_for(r, (uint8_t)o))
            reclaim_for(r, (uint8_t)o);
    }
}

/* Under each of them we write, and reclaim what expires of it. */
static void take_own_origins(struct replica *r)
{
    for (uint32_t fence = 0; fence < REPLICA_FENCES; fence++) {
        uint8_t origin = own_origin(&r->options, fence);
        if (origin == 0)
            continue;
        bits_add(r->own, origin);
        reclaim_for(r, origin);
    }
}

size_t replica_writers_of(const struct replica *r, uint32_t fence)
{
    size_t count = 0;
    for (size_t i = 0; i < r->options.writer_count; i++)
        count += replica_fence_of(r, r->options.writers[i]) == fence;
    return count;
}

void replica_init(struct replica *r, const struct replica_options *options)
{
    *r = (struct replica){ .options = *options };
    hlc_init(&r->hlc, options->ceiling_ms);
    prng_seed(&r->prng, options->seed);
    prng_seed(&r->copier.prng, options->seed);
    uint64_t table_seed = prng_next(&r->prng);
    if (options->table_seed != 0)
        table_seed = options->table_seed;
    for (uint8_t i = 0; i < OP_DATABASES; i++)
        database_init(&r->databases[i], i, options->region, table_seed, &r->reclaim);
    take_own_origins(r);
    reclaim_for_closed(r);
    for (int o = 0; o < STAMP_ORIGINS; o++)
        list_init(&r->streams[o].parked);
}

void replica_release(struct replica *r)
{
    for (int i = 0; i < OP_DATABASES; i++)
        database_release(&r->databases[i]);
    heap_release(&r->reclaim);
    copier_release(&r->copier);
    for (int o = 0; o < STAMP_ORIGINS; o++) {
        list_each(&r->streams[o].parked, it) mem_free(container_of(it, struct parked, link));
    }
    mem_free(r->snapshots);
    buffer_release(&r->open);
    buffer_release(&r->log_out);
    buffer_release(&r->payload);
    buffer_release(&r->items);
    buffer_release(&r->cuts);
    *r = (struct replica){ 0 };
}

void replica_turn(struct replica *r, uint64_t now_ms)
{
    r->now_ms = now_ms;
}

/* --- events --- */

void replica_raise(struct replica *r, enum replica_event_kind kind, uint8_t origin, stamp_t stamp)
{
    if (r->event_count < COUNT_OF(r->events)) /* more are more of the same */
        r->events[r->event_count++] = (struct replica_event){ kind, origin, stamp };
}

bool replica_next_event(struct replica *r, struct replica_event *event)
{
    if (r->event_count == 0)
        return false;
    *event = r->events[0];
    memmove(r->events, r->events + 1, --r->event_count * sizeof(r->events[0]));
    return true;
}

/* --- own writes --- */

const char *replica_write_refusal(const struct replica *r)
{
    if (r->amnesiac)
        return "AMNESIA this region has lost log that others hold; it needs a new id before it may "
               "write";
    if (r->tail_unknown)
        return "AMNESIA this region's log was damaged and may lack writes that others hold; own "
               "writes wait until it has met every other region";
    return NULL;
}

bool replica_must_wait(const struct replica *r)
{
    return hlc_ahead_ms(&r->hlc, r->now_ms) > r->options.max_skew_ms / 2 ||
           hlc_needs_ceiling(&r->hlc, r->now_ms);
}

void replica_group_begin(struct replica *r)
{
    CHECK(r->group_first == 0);
    r->group_stamp = 0;
    r->group_start = r->open.len;
    r->group_kept = false;
    r->group_origin = r->options.region;
}

void replica_group_fence(struct replica *r, uint32_t fence)
{
    CHECK(r->group_first == 0 && fence < REPLICA_FENCES);
    r->group_origin = own_origin(&r->options, fence);
    CHECK(r->group_origin != 0);
}

void replica_keep_group(struct replica *r)
{
    r->group_kept = true;
}

stamp_t replica_group_end(struct replica *r)
{
    r->group_first = 0;
    r->group_kept = false;
    if (r->open.len >= BATCH_BYTES)
        replica_seal(r);
    r->group_start = r->open.len;
    return r->group_stamp;
}

void replica_split_group(struct replica *r)
{
    if (r->group_kept)
        return;
    r->group_first = 0;
    replica_seal(r);
}

/* --- the log --- */

uint8_t *replica_log_room(struct replica *r, size_t payload_len)
{
    return buffer_room(&r->log_out, RECORD_HEADER_BYTES + payload_len) + RECORD_HEADER_BYTES;
}

void replica_log_seal(struct replica *r, size_t payload_len)
{
    record_seal(r->log_out.at + r->log_out.len, payload_len, r->log_end, r->log_durable);
    r->log_out.len += RECORD_HEADER_BYTES + payload_len;
    r->log_end += RECORD_HEADER_BYTES + payload_len;
}

static void write_open_batch(struct replica *r)
{
    struct batch b = {
        .origin = r->open_origin,
        .instance = r->options.instance,
        .from = r->open_from,
        .to = r->open_last,
        .prev = r->open_prev,
        .check = r->open_check,
        .op_count = r->open_ops,
    };
    vector_copy(&b.context, &r->open_context);
    struct buffer *header = &r->payload;
    buffer_clear(header);
    batch_put_header(header, &b);
    size_t len = header->len + r->open.len;
    CHECK(len <= RECORD_PAYLOAD_MAX);
    uint8_t *room = replica_log_room(r, len);
    memcpy(room, header->at, header->len);
    memcpy(room + header->len, r->open.at, r->open.len);
    replica_log_seal(r, len);
    buffer_empty(header, KEEP_BYTES);
}

static void grow_snapshots(struct replica *r)
{
    size_t cap = r->snapshot_cap ? 2 * r->snapshot_cap : SNAPSHOTS_MIN;
    struct snapshot *grown = mem_alloc(cap * sizeof(*grown));
    for (size_t i = 0; i < r->snapshot_count; i++)
        grown[i] = r->snapshots[(r->snapshot_head + i) % r->snapshot_cap];
    mem_free(r->snapshots);
    r->snapshots = grown;
    r->snapshot_cap = cap;
    r->snapshot_head = 0;
}

/* Remembers what the vector became at an LSN, until that is durable. */
static void push_snapshots(struct replica *r)
{
    if (r->snapshot_lsn == r->log_end)
        return;
    r->snapshot_lsn = r->log_end;
    for (uint32_t o = 0; o < r->applied.high; o++) {
        stamp_t s = r->applied.at[o];
        if (s == vector_get(&r->snapshot_vector, (uint8_t)o) || s == 0)
            continue;
        if (r->snapshot_count == r->snapshot_cap)
            grow_snapshots(r);
        size_t at = (r->snapshot_head + r->snapshot_count++) % r->snapshot_cap;
        r->snapshots[at] = (struct snapshot){ r->log_end, s };
        vector_set(&r->snapshot_vector, s);
    }
}

uint64_t replica_seal(struct replica *r)
{
    if (r->open_ops > 0) {
        CHECK(r->group_first == 0);
        replica_hash_last(r);
        write_open_batch(r);
        r->open_ops = 0;
        buffer_empty(&r->open, KEEP_BYTES);
        r->group_start = 0;
    }
    push_snapshots(r);
    return r->log_end;
}

void replica_settle_durable(struct replica *r)
{
    if (r->log_durable == r->log_end && r->open_ops == 0)
        vector_merge(&r->durable, &r->applied);
}

void replica_durable(struct replica *r, uint64_t lsn)
{
    CHECK(lsn >= r->log_durable && lsn <= r->log_end);
    r->log_durable = lsn;
    while (r->snapshot_count > 0 && r->snapshots[r->snapshot_head].lsn <= lsn) {
        vector_raise(&r->durable, r->snapshots[r->snapshot_head].stamp);
        r->snapshot_head = (r->snapshot_head + 1) % r->snapshot_cap;
        r->snapshot_count--;
    }
    replica_settle_durable(r);
}

/* --- heartbeats --- */

bool replica_heartbeat(struct replica *r, uint8_t self, struct buffer *out)
{
    CHECK(replica_owns(r, self));
    if (r->open_ops > 0 || vector_get(&r->durable, self) < vector_get(&r->last_op, self) ||
        replica_must_wait(r))
        return false; /* as own writes do */
    struct batch b = {
        .origin = self,
        .instance = r->options.instance,
        .from = vector_get(&r->applied, self),
        .to = hlc_heartbeat(&r->hlc, r->now_ms, self),
        .prev = vector_get(&r->last_op, self),
        .check = r->streams[self].check,
    };
    if (b.to <= b.from)
        return false;
    batch_put_header(out, &b);
    vector_raise(&r->applied, b.to);
    replica_settle_durable(r);
    return true;
}

/* Everything up to the durable vector is in the durable log, and no op is between the last one and
 * it. */
bool replica_pass_heartbeat(const struct replica *r, uint8_t origin, struct buffer *out)
{
    CHECK(!replica_owns(r, origin));
    struct batch b = {
        .origin = origin,
        .instance = r->streams[origin].instance,
        .from = vector_get(&r->last_op, origin),
        .to = vector_get(&r->durable, origin),
        .prev = vector_get(&r->last_op, origin),
        .check = r->streams[origin].check,
    };
    if (b.to <= b.from)
        return false;
    if (MUTATION(passes_too_much))
        b.to = stamp_make(stamp_ms(b.to) + 10, 0, origin);
    batch_put_header(out, &b);
    return true;
}

/* --- time --- */

/* The time up to which every writer has been heard: nobody can have extended unseen what ended
 * before it. */
static uint64_t heard_ms(const struct replica *r)
{
    uint64_t heard = replica_hlc_ms(r);
    for (size_t i = 0; i < r->options.writer_count; i++) {
        uint8_t origin = r->options.writers[i];
        uint64_t ms = stamp_ms(vector_get(&r->applied, origin));
        if (!replica_owns(r, origin) && ms < heard && !MUTATION(reclaims_unheard))
            heard = ms;
    }
    return heard;
}

static void reclaim(struct replica *r)
{
    uint64_t heard = heard_ms(r);
    for (int i = 0; i < RECLAIM_PER_TICK; i++) {
        struct heap_node *top = heap_top(&r->reclaim);
        if (!top || top->key >= heard)
            return;
        struct body *body = container_of(top, struct body, reclaim);
        uint8_t who;
        object_reclaim_ms(body, &who);
        replica_group_begin(r);
        replica_group_fence(r, replica_fence_of(r, who));
        emit_remove(r, body->db, entry_name(body->entry));
        replica_group_end(r);
        r->reclaimed++;
    }
}

void replica_tick(struct replica *r, bool may_write)
{
    replica_drain_parked(r);
    copier_tidy(r);
    if (!may_write || replica_write_refusal(r) || replica_must_wait(r))
        return;
    resident_fetch_due(r->databases, heard_ms(r), FETCH_PER_TICK);
    reclaim(r);
}

/* --- recovery --- */

/* Of an origin that is closed only ops are told: a heartbeat that some had heard, and others not, would
 * look for ever as if they lacked something. */
static void forget_heartbeats(struct replica *r)
{
    for (uint32_t o = 0; o < r->applied.high; o++) {
        if (bits_have(r->options.closed, o))
            r->applied.at[o] = vector_get(&r->last_op, (uint8_t)o);
    }
}

static void install_start(struct replica *r, const struct copy_start *start)
{
    vector_copy(&r->applied, &start->applied);
    vector_copy(&r->last_op, &start->last_op);
    forget_heartbeats(r);
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        r->streams[o].instance = start->instance[o];
        r->streams[o].check = start->check[o];
        memcpy(r->streams[o].takeovers, start->takeovers[o], sizeof(start->takeovers[o]));
        hlc_see(&r->hlc, vector_get(&start->applied, (uint8_t)o));
    }
    r->log_end = start->lsn;
    r->copier.start = *start;
}

void replica_install(struct replica *r, const struct cold *cold, const struct copy_start *start,
                     const struct cold_counts counts[OP_DATABASES])
{
    CHECK(!start || start->table_seed == r->databases[0].keys.seed);
    for (int i = 0; i < OP_DATABASES; i++)
        resident_start(&r->databases[i], cold, &counts[i]);
    if (start)
        install_start(r, start);
}

uint64_t replica_digest(const struct replica *r)
{
    uint64_t digest = 0;
    for (int i = 0; i < OP_DATABASES; i++)
        digest += database_digest(&r->databases[i]);
    return digest;
}
