#include "host/loop.h"

#include <signal.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "host/clocks.h"
#include "host/conn.h"
#include "host/descriptors.h"
#include "host/figures.h"
#include "host/http.h"
#include "host/kv_lmdb.h"
#include "host/logger.h"
#include "host/peerconn.h"
#include "node/health.h"

enum { OWN_READ = 0 }; /* instead of a link's id, which is never 0 */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* --- a turn --- */

/* CONFIG SET may have changed what is allowed. */
static void limit_files(struct loop *l)
{
    struct kv_lmdb *files = container_of(l->options.kv, struct kv_lmdb, kv);
    uint64_t bytes = memory_file_bytes(l->node);

    kv_lmdb_limit(files, bytes == UINT64_MAX ? 0 : bytes - LOOP_FILES_OVER);
}

/* Pages that the allocator does not use shall not push out what is used. */
static void purge(struct loop *l)
{
    const struct node_memory *m = &l->node->memory;

    if ((!m->waits && !m->wants_purge) || l->now_us - l->purged_us < LOOP_PURGE_US)
        return;
    l->purged_us = l->now_us;
    figures_purge(&l->figures, &l->node->server.process, l->now_us);
}

static void read_figures(struct loop *l)
{
    struct process *p = &l->node->server.process;

    if (l->now_us - l->figures_us >= FIGURES_AGE_US) {
        l->figures_us = l->now_us;
        figures_read(&l->figures, p, l->now_us);
        if (l->options.kv != NULL)
            limit_files(l);
    }
    if (l->node->server.settings.max_memory_bytes != 0)
        figures_sample(&l->figures, p, l->now_us);
    purge(l);
}

void loop_touch(struct loop *l)
{
    if (l->turn_open)
        return;
    l->turn_open = true;
    l->now_us = steady_now_us(&l->options.clock, clocks_boottime_us(), clocks_wall_us());
    read_figures(l);
    node_turn(l->node, l->now_us);
}

/* How long what is in the log now may wait for its sync. */
static uint64_t pace_us(const struct loop *l)
{
    if (l->node->server.settings.fsync == FSYNC_ALWAYS)
        return 0;
    return node_owes_peers(l->node) ? LOGTHREAD_PACE_US : LOGTHREAD_LAZY_US;
}

static void hand_to_log_thread(struct loop *l)
{
    struct span records;
    uint64_t end_lsn, lsn, limit_lsn, ceiling_ms = node_want_ceiling(l->node);
    const struct identity_known *known = node_want_known(l->node);
    struct link *link;
    size_t want;

    while (node_take_log(l->node, &records, &end_lsn)) {
        logthread_stage_records(&l->logthread, records);
        l->taken_lsn = end_lsn;
    }
    if (node_next_roll(l->node))
        logthread_stage_roll(&l->logthread);
    if (ceiling_ms != 0)
        logthread_stage_ceiling(&l->logthread, ceiling_ms);
    if (known != NULL)
        logthread_stage_known(&l->logthread, known);
    if (node_next_drop(l->node, &lsn))
        logthread_stage_drop(&l->logthread, lsn);
    while (node_next_read(l->node, &link, &lsn, &limit_lsn, &want))
        logthread_stage_read(&l->logthread, link->id, lsn, limit_lsn, want);
    if (node_next_own_read(l->node, &lsn, &limit_lsn, &want))
        logthread_stage_read(&l->logthread, OWN_READ, lsn, limit_lsn, want);
    if (node_next_unmark(l->node))
        logthread_stage_unmark(&l->logthread);
    logthread_submit(&l->logthread, pace_us(l));
}

static void hand_to_checkpointer(struct loop *l)
{
    struct checkpoint_write job;

    if (!l->checkpointing || !checkpointer_is_free(&l->checkpointer))
        return;
    if (node_next_write(l->node, &job))
        checkpointer_submit(&l->checkpointer, &job);
    else if (!l->stopping && node_next_rewrite(l->node))
        checkpointer_submit_rewrite(&l->checkpointer);
}

static void hand_to_exporter(struct loop *l)
{
    struct span cursor, nothing = { 0 };
    size_t max_bytes;
    int error;

    if (l->options.kv == NULL || l->stopping || !exporter_is_free(&l->exporter) ||
        !node_next_export(l->node, &cursor, &max_bytes))
        return;
    error = exporter_submit(&l->exporter, cursor, max_bytes);
    if (error != 0)
        node_exported(l->node, E_IO, nothing, nothing, false, uv_strerror(error));
}

/* All is closed and opened again, in this process. */
static void judge_restart(struct loop *l)
{
    if (l->stopping || !node_next_restart(l->node, &l->restart))
        return;
    l->restarting = l->stopping = true;
    uv_stop(&l->uv);
}

static void tell_serves(struct loop *l)
{
    if (l->serves_told || l->options.serves == NULL || l->stopping ||
        l->node->server.loading != NULL)
        return;
    l->serves_told = true;
    l->options.serves(l->options.context);
}

static void send_outputs(struct loop *l)
{
    struct session *session;
    struct link *link;

    while ((session = node_next_dirty_session(l->node)) != NULL)
        conn_flush(session->host);
    while ((link = node_next_dirty_link(l->node)) != NULL)
        peerconn_flush(link->host);
    peerconn_depart(l);
}

static void start_dials(struct loop *l)
{
    struct peer *peer;

    while (node_next_dial(l->node, &peer))
        if (!l->stopping)
            peerconn_dial(l, peer);
}

static void print_notices(struct loop *l)
{
    struct notice notice;

    while (node_next_notice(l->node, &notice))
        logger_line(notice.level == NOTICE_INFO      ? LOGGER_INFO
                    : notice.level == NOTICE_WARNING ? LOGGER_WARNING
                                                     : LOGGER_ERROR,
                    "%s", notice.text);
}

/* Under everysec replies do not wait for the disk, so that clients could run away from one that
 * stands still. */
static void judge_disk(struct loop *l)
{
    bool behind;

    if (l->mark_lsn <= l->durable_lsn) {
        l->mark_lsn = l->taken_lsn;
        l->mark_us = l->now_us;
    }
    behind = l->mark_lsn > l->durable_lsn && l->now_us - l->mark_us > LOOP_LOG_LAG_US &&
             !l->log_failed && l->node->server.settings.fsync == FSYNC_EVERYSEC;
    if (behind == l->stalled)
        return;
    l->stalled = behind;
    if (behind)
        logger_line(LOGGER_WARNING, "ev=log.behind ms=%llu unsynced_bytes=%llu",
                    (unsigned long long)((l->now_us - l->mark_us) / 1000),
                    (unsigned long long)(l->taken_lsn - l->durable_lsn));
    else
        logger_line(LOGGER_INFO, "ev=log.caught_up");
    conn_adjust_all(l);
}

void loop_judge_room(struct loop *l)
{
    bool full = !health_has_room_for_batches(l->node);

    if (full == l->full)
        return;
    l->full = full;
    peerconn_adjust_all(l);
}

static void on_timer(uv_timer_t *timer)
{
    struct loop *l = container_of(timer, struct loop, timer);

    l->armed_us = UINT64_MAX;
    loop_touch(l);
}

/* Sets the timer only when it must ring earlier: one that rings too early costs an empty turn,
 * setting it costs every turn. */
static void arm_timer(struct loop *l)
{
    uint64_t due = earlier(node_next_deadline(l->node), peerconn_deadline_us(l));

    if (l->mark_lsn > l->durable_lsn && !l->log_failed && !l->stalled)
        due = earlier(due, l->mark_us + LOOP_LOG_LAG_US + 1000);
    if (l->again)
        due = l->now_us;
    l->again = false;
    if (due >= l->armed_us)
        return;
    l->armed_us = due;
    uv_timer_start(&l->timer, on_timer, due <= l->now_us ? 0 : (due - l->now_us + 999) / 1000, 0);
}

static void end_turn(struct loop *l)
{
    if (!l->turn_open)
        return;
    peerconn_arrive(l);
    node_turn_end(l->node);
    if (l->started)
        hand_to_log_thread(l);
    hand_to_checkpointer(l);
    if (l->started) {
        hand_to_exporter(l);
        judge_restart(l);
        tell_serves(l);
    }
    auditor_take(l);
    send_outputs(l);
    start_dials(l);
    print_notices(l);
    judge_disk(l);
    loop_judge_room(l);
    arm_timer(l);
    l->turn_open = false;
}

/* Poll found events: their turn ends here. */
static void on_after_poll(uv_check_t *check)
{
    end_turn(container_of(check, struct loop, after_poll));
}

/* What began elsewhere in the round (timer) must end before the poll sleeps. */
static void on_before_poll(uv_prepare_t *prepare)
{
    end_turn(container_of(prepare, struct loop, before_poll));
}

/* --- answers of the log thread and of the checkpointer --- */

static void give_read(struct loop *l, const struct logthread_read *r)
{
    if (r->link_id == OWN_READ) {
        node_own_read_done(l->node, r->lsn, buffer_span(&r->records),
                           r->why[0] != '\0' ? r->why : NULL);
        return;
    }
    list_each(&l->node->links, at)
    {
        struct link *link = container_of(at, struct link, link);

        if (link->id != r->link_id)
            continue;
        node_read_done(l->node, link, r->lsn, buffer_span(&r->records),
                       r->why[0] != '\0' ? r->why : NULL);
        return;
    }
}

static void take_log_news(struct loop *l)
{
    struct logthread_news news;

    logthread_poll(&l->logthread, &news);
    if (news.durable_lsn > l->durable_lsn) {
        l->durable_lsn = news.durable_lsn;
        node_durable(l->node, news.durable_lsn);
    }
    if (news.ceiling_ms != 0)
        node_ceiling_durable(l->node, news.ceiling_ms);
    if (news.failed) {
        l->log_failed = true;
        node_log_failed(l->node, news.problem);
    }
    if (news.start_lsn > l->start_lsn) {
        l->start_lsn = news.start_lsn;
        node_log_starts(l->node, news.start_lsn);
    }
    if (news.unmarked)
        node_unmarked(l->node);
    if (news.rolled)
        node_rolled(l->node, news.not_rolled[0] != '\0' ? news.not_rolled : NULL);
    if (news.warning[0] != '\0')
        logger_line(LOGGER_WARNING, "ev=log.not_dropped why=\"%s\"", news.warning);
    for (struct logthread_read *r = news.reads, *next; r != NULL; r = next) {
        next = r->next;
        give_read(l, r);
        logthread_read_free(r);
    }
}

static void take_checkpoint_news(struct loop *l)
{
    struct checkpointer_news news;

    if (!l->checkpointing || !checkpointer_poll(&l->checkpointer, &news))
        return;
    if (news.is_rewrite)
        node_rewritten(l->node, news.error, news.problem, &news.rewritten);
    else
        node_written(l->node, news.error, news.problem);
}

static void take_exported(struct loop *l)
{
    struct exporter *e = &l->exporter;

    if (l->options.kv != NULL && exporter_poll(e))
        node_exported(l->node, e->error, buffer_span(&e->cursor), buffer_span(&e->changes), e->all,
                      e->problem);
}

static void on_news(uv_async_t *async)
{
    struct loop *l = container_of(async, struct loop, news);

    loop_touch(l);
    take_checkpoint_news(l);
    if (!l->started)
        return;
    take_log_news(l);
    take_exported(l);
}

/* --- the end --- */

static void exit_at_once(int signal)
{
    (void)signal;
    _exit(1);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct loop *l = handle->data;
    struct sigaction second = { .sa_handler = exit_at_once };

    if (l->stopping && !l->restarting)
        return;
    l->restarting = false; /* it ends instead */
    logger_line(LOGGER_INFO, "ev=stopping signal=%s", number == SIGINT ? "SIGINT" : "SIGTERM");
    l->stopping = true;
    uv_signal_stop(&l->terminate);
    uv_signal_stop(&l->interrupt);
    sigaction(SIGTERM, &second, NULL);
    sigaction(SIGINT, &second, NULL);
    loop_touch(l);
    uv_stop(&l->uv);
}

/* What was taken in so far is made durable and answered. */
static void settle(struct loop *l)
{
    uint64_t end_lsn;

    loop_touch(l);
    end_turn(l);
    end_lsn = l->taken_lsn;
    while (l->durable_lsn < end_lsn && !l->log_failed)
        uv_run(&l->uv, UV_RUN_ONCE);
    loop_touch(l);
    end_turn(l);
}

/* One that begins now; after a failure there is no waiting for the next try. */
static void write_last_checkpoint(struct loop *l)
{
    const struct node_checkpoint *c = &l->node->checkpoint;
    uint64_t number, failed = c->failed;

    if (l->options.kv == NULL || l->log_failed || l->node->loading || c->broken ||
        l->now_us < c->retry_us || c->store == NULL || l->restarting)
        return;
    loop_touch(l);
    number = checkpoint_ask(l->node);
    end_turn(l);
    while (c->completed < number && c->failed == failed && !l->log_failed)
        uv_run(&l->uv, UV_RUN_ONCE);
}

/* Nothing more is handed over. */
static void stop_checkpointer(struct loop *l)
{
    if (!l->checkpointing)
        return;
    checkpointer_stop(&l->checkpointer);
    take_checkpoint_news(l);
    l->checkpointing = false;
}

static void stop_threads(struct loop *l)
{
    loop_touch(l);
    stop_checkpointer(l);
    if (l->options.kv != NULL) {
        exporter_stop(&l->exporter);
        l->options.kv = NULL;
    }
    end_turn(l);
    logthread_stop(&l->logthread);
    loop_touch(l);
    take_log_news(l);
    end_turn(l);
}

static void finish(struct loop *l)
{
    listener_close(&l->clients);
    listener_close(&l->peers);
    if (!l->started && l->options.peers_fd >= 0)
        close(l->options.peers_fd);
    if (l->http != NULL)
        http_stop(l->http);
    if (l->checkpointing)
        checkpointer_give_up(&l->checkpointer);
    conn_adjust_all(l);
    settle(l);
    conn_close_all(l);
    peerconn_close_all(l);
    auditor_finish(l);
    if (l->started) {
        write_last_checkpoint(l);
        stop_threads(l);
    } else {
        stop_checkpointer(l);
    }
    print_notices(l);
}

static void close_handles(struct loop *l)
{
    uv_handle_t *handles[] = {
        (uv_handle_t *)&l->before_poll, (uv_handle_t *)&l->after_poll, (uv_handle_t *)&l->timer,
        (uv_handle_t *)&l->news,        (uv_handle_t *)&l->terminate,  (uv_handle_t *)&l->interrupt,
    };

    for (size_t i = 0; i < COUNT_OF(handles); i++)
        uv_close(handles[i], NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    if (l->http != NULL)
        http_free(l->http);
    uv_loop_close(&l->uv);
    figures_close(&l->figures);
    mem_free(l->read_buffer);
}

/* Who stops a server while it closes and opens again is heard when it has. */
static void hold_signals(int how)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(how, &signals, NULL);
}

void loop_close(struct loop *l)
{
    l->stopping = true;
    finish(l);
    if (l->restarting)
        hold_signals(SIG_BLOCK);
    close_handles(l);
}

/* --- the rounds --- */

bool loop_pump(struct loop *l)
{
    if (!l->stopping)
        uv_run(&l->uv, UV_RUN_NOWAIT);
    end_turn(l);
    return !l->stopping;
}

bool loop_round(struct loop *l)
{
    if (l->stopping)
        return false;
    loop_touch(l);
    uv_run(&l->uv, UV_RUN_ONCE);
    end_turn(l);
    return !l->stopping;
}

void loop_run(struct loop *l)
{
    loop_touch(l);
    if (!l->stopping)
        uv_run(&l->uv, UV_RUN_DEFAULT);
}

/* --- the beginning --- */

/* As Redis: what the descriptors do not suffice for is not promised. */
static void fit_clients(struct loop *l)
{
    uint64_t *clients = &l->node->server.settings.max_clients;
    uint64_t files = descriptors_raise(*clients + LOOP_SPARE_FILES);

    if (files >= *clients + LOOP_SPARE_FILES)
        return;
    files = files > LOOP_SPARE_FILES ? files - LOOP_SPARE_FILES : 1;
    logger_line(
        LOGGER_WARNING,
        "ev=clients.lowered from=%llu to=%llu cause=\"the limit on open files (ulimit -n)\"",
        (unsigned long long)*clients, (unsigned long long)files);
    *clients = files;
}

static void watch_signals(struct loop *l)
{
    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(&l->uv, &l->terminate);
    uv_signal_init(&l->uv, &l->interrupt);
    l->terminate.data = l->interrupt.data = l;
    uv_signal_start(&l->terminate, on_signal, SIGTERM);
    uv_signal_start(&l->interrupt, on_signal, SIGINT);
    hold_signals(SIG_UNBLOCK);
}

static int watch_clients(struct loop *l)
{
    const struct loop_options *o = &l->options;
    int error = 0;

    if (o->clients_fd >= 0)
        error = listener_watch(&l->clients, &l->uv, "clients", o->clients_fd, conn_accept, l);
    if (error == 0 && o->http_fd >= 0) {
        l->http = http_start(l, o->http_fd);
        if (l->http == NULL)
            error = UV_EAGAIN;
    }
    return error;
}

static int start_checkpointer(struct loop *l)
{
    int error;

    if (l->options.kv == NULL)
        return 0;
    error = checkpointer_start(&l->checkpointer, l->options.kv, &l->news);
    l->checkpointing = error == 0;
    return error;
}

int loop_open(struct loop *l, const struct loop_options *options)
{
    int error;

    *l = (struct loop){ .options = *options, .node = options->node, .armed_us = UINT64_MAX };
    l->auditor.file = options->audit;
    figures_open(&l->figures);
    list_init(&l->conns);
    list_init(&l->peerconns);
    l->read_buffer = mem_alloc(LOOP_READ_BYTES);
    error = uv_loop_init(&l->uv);
    if (error != 0)
        return error;
    uv_prepare_init(&l->uv, &l->before_poll);
    uv_prepare_start(&l->before_poll, on_before_poll);
    uv_check_init(&l->uv, &l->after_poll);
    uv_check_start(&l->after_poll, on_after_poll);
    uv_timer_init(&l->uv, &l->timer);
    uv_async_init(&l->uv, &l->news, on_news);
    watch_signals(l);
    fit_clients(l);
    error = start_checkpointer(l);
    return error != 0 ? error : watch_clients(l);
}

static int start_threads(struct loop *l)
{
    const struct loop_options *o = &l->options;
    int error = logthread_start(&l->logthread, o->log, o->ceiling, o->identity, &l->news);

    if (error == 0 && o->kv != NULL)
        exporter_init(&l->exporter, o->kv, &l->news);
    return error;
}

int loop_start(struct loop *l)
{
    const struct loop_options *o = &l->options;
    int error = start_threads(l);

    if (error != 0)
        return error;
    l->started = true;
    l->taken_lsn = l->durable_lsn = l->mark_lsn = o->log->durable_lsn;
    l->start_lsn = oplog_start_lsn(o->log);
    if (o->peers_fd < 0)
        return 0;
    return listener_watch(&l->peers, &l->uv, "peers", o->peers_fd, peerconn_accept, l);
}
