#include "node/node.h"
#include "base/bits.h"
#include "node/gather.h"
#include "node/remote.h"
#include "policy/origin.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/logfmt.h"
#include "base/memory.h"
#include "cmd/blocking.h"
#include "cmd/keyspace_setting.h"
#include "cmd/stream_wake.h"
#include "cmd/system.h"
#include "node/audited.h"
#include "node/client.h"
#include "node/closed.h"
#include "node/feed.h"
#include "node/health.h"
#include "node/link_info.h"
#include "node/report.h"
#include "node/runs.h"

enum {
    /* of log in memory: what a peer may lag before it is fed from disk */
    TAIL_KEEP_BYTES = 16 << 20,
    PARK_MAX_BYTES = 64 << 20,
    LOG_OUT_KEEP_BYTES = 64 << 20, /* of a turn's records, once they are in the tail */
    TICK_US = 10 * 1000,           /* expiry, parked batches */
    SWEEP_US = 100 * 1000,         /* clients, the clock's verdict */
    CEILING_AHEAD_MIN_MS = 10,
    /* one write that is on its way already, its own, and twice that for a disk that is slower next time */
    CEILING_WRITES_AHEAD = 4,
    SLOW_DISK_US = 1000 * 1000,
    TELL_SLOW_US = 60 * 1000 * 1000,
};

static void tell_line(void *node, bool warning, const char *line)
{
    node_notice(node, warning ? NOTICE_WARNING : NOTICE_INFO, "%s", line);
}

static const char *merge_source(void *node, const char *file, struct buffer *source)
{
    const struct node_options *o = &((struct node *)node)->options;
    return o->merge_source ? o->merge_source(o->host, file, source) : "there are no files here";
}

static const char *ask_checkpoint(void *node, uint64_t *number)
{
    struct node *n = node;
    if (n->checkpoint.store == NULL)
        return "there is no disk here";
    if (n->log_broken)
        return "the log failed: see the server's log";
    if (n->checkpoint.broken)
        return n->checkpoint.problem;
    *number = checkpoint_ask(n);
    return NULL;
}

static const char *ask_scrub(void *node, uint64_t *number)
{
    const char *refusal = scrub_refusal(node);
    if (refusal == NULL)
        *number = scrub_ask(node);
    return refusal;
}

static uint64_t last_checkpoint_s(void *node)
{
    return ((struct node *)node)->checkpoint.completed_us / 1000000;
}

static uint8_t member_for(void *node, const struct session *session, uint32_t fence)
{
    return forward_member_for(node, session, fence);
}

static const struct server_hooks hooks = {
    .notice = tell_line,
    .merge_source = merge_source,
    .info_replication = node_info_replication,
    .info_persistence = node_info_persistence,
    .link_command = node_link_command,
    .region_command = node_region_command,
    .regions_with = node_regions_with,
    .member_for = member_for,
    .gather = gather_begin,
    .gather_leave = gather_leave,
    .checkpoint = ask_checkpoint,
    .scrub = ask_scrub,
    .last_checkpoint_s = last_checkpoint_s,
    .erase_waits = erase_waits,
};

/* --- life --- */

static void init_streams(struct node *n, struct peer *p, const struct region *region)
{
    const struct deployment *d = n->options.deployment;
    p->region = region;
    origin_foreign(d, region->id, p->foreign);
    memcpy(p->barred, p->foreign, sizeof(p->barred));
    for (uint32_t fence = 0; fence < d->fence_count; fence++) {
        uint8_t origin = origin_of(d, region->id, fence);
        if (origin != 0 && fence_holds(&d->fences[fence], n->options.self->id))
            bits_add(p->origins, origin);
    }
}

static void init_peers(struct node *n)
{
    const struct deployment *d = n->options.deployment;
    n->peers = mem_zalloc(d->region_count * sizeof(*n->peers));
    uint8_t *others = mem_alloc(d->region_count);
    for (size_t i = 0; i < d->region_count; i++) {
        const struct region *region = &d->regions[i];
        if (region == n->options.self)
            continue;
        others[n->peer_count] = region->id;
        init_streams(n, &n->peers[n->peer_count++], region);
    }
    n->writer_count = origin_writers(d, n->options.self->id, n->writers);
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++)
        n->fence_of[o] = (uint8_t)origin_fence(d, (uint8_t)o);
    peers_init(&n->matrix, others, n->peer_count);
    mem_free(others);
}

static void init_server(struct node *n)
{
    const struct deployment *d = n->options.deployment;
    struct server *server = &n->server;
    server_init(server, &n->replica, n->options.deployment);
    server->settings.max_clients = d->limits.clients;
    server->settings.query_buffer_bytes = d->limits.query_buffer_bytes;
    server->settings.output_buffer_bytes = d->limits.output_buffer_bytes;
    server->settings.fsync = (uint64_t)n->options.fsync;
    server->region = n->options.self->name;
    server->faults = n->options.faults;
    server->hooks = &hooks;
    server->node = n;
}

static void init_replica(struct node *n)
{
    struct replica_options options = {
        .region = n->options.self->id,
        .instance = n->options.instance,
        .seed = n->options.seed,
        .table_seed = n->options.table_seed,
        .ceiling_ms = n->options.ceiling_ms,
        .max_skew_ms = n->options.deployment->max_skew_ms,
        .park_max_bytes = memory_share(n, PARK_MAX_BYTES, 8),
        .writers = n->writers,
        .writer_count = n->writer_count,
        .fence_of = n->fence_of,
    };
    const struct deployment *d = n->options.deployment;
    for (uint32_t fence = 1; fence < d->fence_count; fence++)
        options.own[fence] = origin_of(d, options.region, fence);
    origin_foreign(d, options.region, options.foreign);
    memcpy(options.closed, n->options.deployment->closed, sizeof options.closed);
    replica_init(&n->replica, &options);
}

void node_init(struct node *n, const struct node_options *options)
{
    *n = (struct node){ .options = *options };
    list_init(&n->links);
    list_init(&n->dirty_sessions);
    list_init(&n->dirty_links);
    list_init(&n->waiting);
    list_init(&n->held);
    list_init(&n->wrote);
    list_init(&n->gathers);
    erase_init(n);
    n->hold_due_us = UINT64_MAX;
    forward_init(n);
    remote_init(n);
    audited_init(n);
    init_peers(n);
    init_replica(n);
    agreement_init(n);
    runs_init(n);
    closed_init(n);
    topology_init(n);
    bootstrap_init(n);
    init_server(n);
    tail_init(&n->tail, memory_share(n, TAIL_KEEP_BYTES, 32));
    skew_init(&n->skew, (uint64_t)options->deployment->max_skew_ms * 1000 / 2);
}

void node_release(struct node *n)
{
    remote_release(n);
    list_each(&n->server.sessions, it)
        node_session_close(n, container_of(it, struct session, link));
    forward_release(n);
    gather_release(n);
    list_each(&n->links, it)
        node_link_closed(n, container_of(it, struct link, link), "the server stops");
    server_release(&n->server);
    replica_release(&n->replica);
    tail_release(&n->tail);
    peers_release(&n->matrix);
    topology_release(n);
    erase_release(n);
    feed_release(n);
    checkpoint_node_release(n);
    bootstrap_release(n);
    source_release(n);
    audit_release(&n->audit);
    mem_free(n->peers);
    *n = (struct node){ 0 };
}

int node_replay(struct node *n, const struct record *record)
{
    uint64_t end = record->lsn + record->bytes;
    int error = replica_replay(&n->replica, end, record->payload);
    if (error != E_OK)
        return error;
    tail_mark(&n->tail, end, &n->replica.last_op);
    if (n->replay_durable)
        n->replica.log_durable = end;
    memory_keep_pace(n);
    return E_OK;
}

bool node_replay_waits(const struct node *n)
{
    return memory_bounds_replay(n) && memory_must_wait(n);
}

void node_loading(struct node *n, uint64_t done_bytes, uint64_t total_bytes)
{
    n->loading = true;
    n->loading_done_bytes = done_bytes;
    n->loading_total_bytes = total_bytes;
    snprintf(n->loading_text, sizeof(n->loading_text),
             "LOADING Meridian is loading the dataset in memory, %d%% done",
             (int)node_loaded_percent(n));
    n->server.loading = n->loading_text;
}

void node_recovered(struct node *n, uint64_t end_lsn)
{
    n->loading = false;
    n->server.loading = NULL;
    replica_recovered(&n->replica, end_lsn);
    tail_start(&n->tail, end_lsn);
    n->log_taken = end_lsn;
    closed_note(n, &n->replica.last_op);
    server_listen(&n->server);
    n->replica.databases[SYSTEM_DATABASE].changed = true;
    newcomer_recovered(n);
    bootstrap_recovered(n);
}

const struct region *node_writer_of(const struct node *n, uint8_t origin)
{
    const struct deployment *d = n->options.deployment;
    return deployment_region_with_id(d, origin_region(d, origin));
}

/* --- notices --- */

void node_notice(struct node *n, enum notice_level level, const char *format, ...)
{
    if (n->notice_count == COUNT_OF(n->notices))
        /* the owner takes them every turn: this many in one turn say enough */
        return;
    struct notice
        *notice = &n->notices[(n->notice_head + n->notice_count++) % COUNT_OF(n->notices)];
    notice->level = level;
    va_list args;
    va_start(args, format);
    logfmt_print(notice->text, sizeof(notice->text), format, args);
    va_end(args);
}

bool node_next_notice(struct node *n, struct notice *notice)
{
    if (n->notice_count == 0)
        return false;
    *notice = n->notices[n->notice_head];
    n->notice_head = (n->notice_head + 1) % COUNT_OF(n->notices);
    n->notice_count--;
    return true;
}

/* Two histories of one origin, of which only one can be true: its owner hears of it from our next
 * HELLO. What is here of an origin without an owner can only be compared with what others hold. */
static void tell_fork(struct node *n, uint8_t origin, stamp_t stamp)
{
    const struct region *region = node_writer_of(n, origin);
    const char
        *what = region ? "nothing more is taken from it: its data directory was cloned, or "
                         "restored from an old copy, and wrote since; stop it, give it a new id "
                         "and list this number under closed, in the configuration of every "
                         "region, and start it with an empty data directory"
                       : "another region holds another history of this closed number: one of "
                         "the two must be started with an empty data directory";
    node_notice(n, NOTICE_ERROR, "ev=fork origin=%s number=%u ms=%llu what=\"%s\"",
                region ? region->name : "closed", origin_region(n->options.deployment, origin),
                (unsigned long long)stamp_ms(stamp), what);
    for (size_t i = 0; i < n->peer_count; i++) {
        if (n->peers[i].region == region && n->peers[i].intake != NULL)
            link_close(n, n->peers[i].intake, "its stream disagrees with what we hold");
    }
}

static void tell_ahead(struct node *n, uint8_t origin, stamp_t stamp)
{
    const struct region *region = node_writer_of(n, origin);
    node_notice(
        n, NOTICE_WARNING,
        "ev=clock.ahead origin=%s ahead_ms=%lld what=\"its writes wait here until our time has "
        "come to them; check its clock\"",
        region ? region->name : "unknown", (long long)(stamp_ms(stamp) - n->now_us / 1000));
}

static void tell_events(struct node *n)
{
    struct replica_event e;
    while (replica_next_event(&n->replica, &e)) {
        switch (e.kind) {
        case EVENT_FORK:
            tell_fork(n, e.origin, e.stamp);
            break;
        case EVENT_AHEAD:
            tell_ahead(n, e.origin, e.stamp);
            break;
        case EVENT_AMNESIA:
            runs_lose(n, "unknown", "writes of this region came back that its log has not");
            break;
        case EVENT_NONE:
            break;
        }
    }
}

/* --- the disk --- */

void node_log_failed(struct node *n, const char *why)
{
    if (n->log_broken)
        return;
    n->log_broken = true;
    snprintf(n->refusal, sizeof(n->refusal), "ERR no writes are taken, the log failed: %s", why);
    node_notice(
        n, NOTICE_ERROR,
        "ev=log.failed why=\"%s\" what=\"no more writes are taken; reads go on; mend the disk "
        "and restart\"",
        why);
    health_judge(n);
}

/* --- turns --- */

/* While nothing happens turns are as far apart as sweeps. What is more, this process did not run, and that
 * is not the disk's time: after a pause of seconds a ceiling would be asked for far ahead, and the next run
 * would wait for it. */
static void forgive_pause(struct node *n, uint64_t now_us)
{
    if (n->ceiling_since_us != 0 && now_us > n->now_us + SWEEP_US)
        n->ceiling_since_us += now_us - n->now_us - SWEEP_US;
}

void node_turn(struct node *n, uint64_t now_us)
{
    forgive_pause(n, now_us);
    if (now_us > n->now_us)
        n->now_us = now_us;
    n->server.now_us = n->now_us;
    if (n->loading) {
        memory_turn(n);
        return;
    }
    if (n->start_us == 0) {
        n->start_us = n->now_us;
        checkpoint_begin_turns(n);
    }
    health_begin(n);
    replica_turn(&n->replica, health_time_ms(n));
    memory_turn(n);
}

static void tick(struct node *n)
{
    if (n->now_us >= n->sweep_at_us) {
        n->sweep_at_us = n->now_us + SWEEP_US;
        health_judge(n);
        client_sweep(n);
    }
    if (n->now_us >= n->tick_at_us && !n->loading && !bootstrap_is_frozen(n)) {
        n->tick_at_us = n->now_us + TICK_US;
        replica_tick(&n->replica, n->server.refusal == NULL && !node_must_wait(n) &&
                                      !bootstrap_is_on(n) && closed_settled(n));
        health_look_for_damage(n);
    }
}

/* What was written goes into the log's tail, where the log writer and the feeds read it. */
static void seal(struct node *n)
{
    struct replica *r = &n->replica;
    uint64_t lsn = replica_seal(r);
    if (r->log_out.len > 0) {
        tail_append(&n->tail, buffer_span(&r->log_out));
        tail_mark(&n->tail, r->log_end, &r->last_op);
        buffer_clear(&r->log_out);
        if (r->log_out.cap > memory_share(n, LOG_OUT_KEEP_BYTES, 64))
            buffer_release(&r->log_out);
    }
    hold_seal(n, lsn);
    if (n->log_broken)
        hold_fail(n);
}

/* What the replay changed is written down where memory is short. */
static void replay_turn_end(struct node *n)
{
    health_look_for_damage(n);
    memory_turn_end(n);
    if (memory_bounds_replay(n))
        checkpoint_turn_end(n);
}

/* What regions tell each other beside data (cmd/system.h). */
static void look_at_system(struct node *n)
{
    struct database *system = &n->replica.databases[SYSTEM_DATABASE];
    if (!system->changed || !system_is_read(&n->server))
        return; /* what the disk does not give now is looked at in a later turn */
    system->changed = false;
    keyspace_setting_apply_all(&n->server);
    erase_changed(n);
}

void node_turn_end(struct node *n)
{
    tick(n);
    if (n->loading) {
        client_resume_waiting(n);
        replay_turn_end(n);
        return;
    }
    list_each(&n->links, it) link_go_on(n, container_of(it, struct link, link));
    stream_wake_moved(&n->server);
    client_serve(n);
    client_expire(n);
    client_resume_waiting(n);
    health_look_for_damage(n);
    memory_turn_end(n);
    look_at_system(n);
    erase_turn_end(n);
    health_look_for_damage(n); /* what these met is no command's of the next turn */
    seal(n);
    if (n->matrix_changed || n->holds_applied || n->now_us >= hold_deadline_us(n))
        hold_release(n);
    forward_turn_end(n);
    remote_turn_end(n);
    gather_turn_end(n);
    n->matrix_changed = false;
    topology_turn(n);
    list_each(&n->links, it) link_turn_end(n, container_of(it, struct link, link));
    bootstrap_turn_end(n);
    newcomer_turn_end(n);
    source_hold_log(n);
    scrub_turn_end(n);
    checkpoint_turn_end(n);
    audited_turn_end(n);
    tell_events(n);
}

/* Something here goes on by time alone: else the ticks can be as rare as the sweeps. */
static bool needs_ticks(const struct node *n)
{
    return n->replica.parked_count > 0 || heap_top(&n->replica.reclaim) ||
           !list_empty(&n->waiting) || blocking_pending(&n->server);
}

uint64_t node_next_deadline(const struct node *n)
{
    if (n->resume || checkpoint_is_busy(n))
        return n->now_us;
    uint64_t at = needs_ticks(n) && n->tick_at_us < n->sweep_at_us ? n->tick_at_us : n->sweep_at_us;
    uint64_t memory = memory_deadline_us(n);
    if (memory < at)
        at = memory;
    if (erase_deadline_us(n) < at)
        at = erase_deadline_us(n);
    uint64_t dial = link_dial_deadline(n);
    if (dial < at)
        at = dial;
    uint64_t held = hold_deadline_us(n), forwarded = forward_deadline_us(n);
    if (held < at)
        at = held;
    if (forwarded < at)
        at = forwarded;
    if (gather_deadline_us(n) < at)
        at = gather_deadline_us(n);
    uint64_t timeout = blocking_deadline_us(&n->server);
    if (timeout < at)
        at = timeout;
    if (n->audit.due_us < at && !n->audit.broken)
        at = n->audit.due_us;
    list_each(&n->links, it)
    {
        uint64_t due = link_next_deadline(n, container_of(it, struct link, link));
        if (due < at)
            at = due;
    }
    return at;
}

/* --- the log --- */

bool node_take_log(struct node *n, struct span *records, uint64_t *end_lsn)
{
    if (n->log_broken || !tail_read(&n->tail, n->log_taken, n->tail.end_lsn, records) ||
        records->len == 0)
        return false;
    n->log_taken += records->len;
    *end_lsn = n->log_taken;
    return true;
}

void node_durable(struct node *n, uint64_t lsn)
{
    replica_durable(&n->replica, lsn);
    tail_trim(&n->tail, lsn);
    hold_release(n);
}

/* A peer waits for us to have what it wrote. */
static bool owes_acks(const struct node *n)
{
    for (uint32_t o = 0; o < n->wanted.high; o++) {
        if (n->wanted.at[o] > vector_get(&n->replica.durable, (uint8_t)o) &&
            vector_get(&n->replica.last_op, (uint8_t)o) >
                vector_get(&n->replica.durable, (uint8_t)o))
            return true;
    }
    return false;
}

static bool owes_writes(const struct node *n)
{
    const struct replica *r = &n->replica;
    for (uint32_t o = 0; bits_next(r->own, STAMP_ORIGINS, &o); o++) {
        if (vector_get(&r->durable, (uint8_t)o) < vector_get(&r->last_op, (uint8_t)o))
            return true;
    }
    return false;
}

/* A peer takes others' writes at us: they go on once they are on our disk. */
static bool owes_relays(const struct node *n)
{
    const struct replica *r = &n->replica;
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct link *l = n->peers[i].feed;
        for (uint32_t o = 0; l != NULL && l->subscribed && bits_next(l->origins, STAMP_ORIGINS, &o);
             o++) {
            if (vector_get(&r->durable, (uint8_t)o) < vector_get(&r->last_op, (uint8_t)o))
                return true;
        }
    }
    return false;
}

bool node_owes_peers(const struct node *n)
{
    return n->peer_count > 0 && (owes_writes(n) || owes_acks(n) || owes_relays(n));
}

/* A ceiling has to be on disk before the clock comes to it: where the disk is slow, it is asked for further
 * ahead. The next run begins there, and waits for as long as that is too far ahead. */
static uint64_t ceiling_ahead_ms(const struct node *n)
{
    uint64_t ahead_ms = n->options.deployment->max_skew_ms / 2;
    uint64_t waits_us = n->ceiling_since_us != 0 ? n->now_us - n->ceiling_since_us : 0;
    uint64_t took_us = n->ceiling_took_us > waits_us ? n->ceiling_took_us : waits_us;
    uint64_t slow_ms = took_us / 1000 * CEILING_WRITES_AHEAD;
    if (slow_ms > CEILING_AHEAD_MAX_MS)
        slow_ms = CEILING_AHEAD_MAX_MS;
    if (ahead_ms < CEILING_AHEAD_MIN_MS)
        ahead_ms = CEILING_AHEAD_MIN_MS;
    return ahead_ms > slow_ms ? ahead_ms : slow_ms;
}

uint64_t node_want_ceiling(struct node *n)
{
    if (n->log_broken || !health_speaks(n))
        return 0;
    uint64_t ahead = ceiling_ahead_ms(n);
    uint64_t next = hlc_next_ceiling(&n->replica.hlc, n->replica.now_ms, ahead);
    if (next <= n->ceiling_asked_ms)
        return 0; /* none is due, or it is on its way */
    n->ceiling_asked_ms = next;
    if (n->ceiling_since_us == 0)
        n->ceiling_since_us = n->now_us;
    return next;
}

/* Told now and then: it may go on for hours. */
static void tell_slow_disk(struct node *n, uint64_t took_us)
{
    if (took_us < SLOW_DISK_US ||
        (n->slow_told_us != 0 && n->now_us - n->slow_told_us < TELL_SLOW_US))
        return;
    n->slow_told_us = n->now_us;
    node_notice(
        n, NOTICE_WARNING,
        "ev=disk.slow ms=%llu what=\"so long a small write took to be synced: clients that wait "
        "for the disk, and all other regions, wait as long\"",
        (unsigned long long)(took_us / 1000));
}

void node_ceiling_durable(struct node *n, uint64_t ceiling_ms)
{
    uint64_t took_us = n->ceiling_since_us != 0 ? n->now_us - n->ceiling_since_us : 0;
    uint64_t before_us = n->ceiling_took_us - n->ceiling_took_us / 8;
    n->ceiling_took_us = took_us > before_us ? took_us : before_us;
    tell_slow_disk(n, took_us);
    n->ceiling_since_us = ceiling_ms < n->ceiling_asked_ms ? n->now_us : 0;
    hlc_raise_ceiling(&n->replica.hlc, ceiling_ms);
}

/* --- what the owner drives: sessions and links --- */

struct session *node_session_open(struct node *n, void *host, const char *address,
                                  const char *local_address)
{
    return client_open(n, host, address, local_address);
}

void node_session_input(struct node *n, struct session *s, struct span bytes)
{
    client_input(n, s, bytes);
}

void node_session_close(struct node *n, struct session *s)
{
    client_close(n, s);
}

struct span node_session_output(const struct session *s)
{
    return client_output(s);
}

void node_session_sent(struct node *n, struct session *s, size_t bytes)
{
    client_sent(n, s, bytes);
}

struct session *node_next_dirty_session(struct node *n)
{
    return client_next_dirty(n);
}

struct link *node_link_open(struct node *n, struct peer *peer, void *host, const char *address)
{
    return link_open(n, peer, host, address);
}

void node_link_input(struct node *n, struct link *l, struct span bytes)
{
    link_input(n, l, bytes);
    client_serve(n);
}

void node_link_closed(struct node *n, struct link *l, const char *why)
{
    link_closed(n, l, why);
}

void node_link_sent(struct node *n, struct link *l, size_t bytes)
{
    link_sent(n, l, bytes);
}

struct link *node_next_dirty_link(struct node *n)
{
    if (list_empty(&n->dirty_links))
        return NULL;
    struct link *l = container_of(n->dirty_links.next, struct link, dirty);
    list_remove(&l->dirty);
    return l;
}

bool node_next_dial(struct node *n, struct peer **peer)
{
    return link_next_dial(n, peer);
}

void node_dial_failed(struct node *n, struct peer *peer, const char *why)
{
    link_dial_failed(n, peer, why);
}
