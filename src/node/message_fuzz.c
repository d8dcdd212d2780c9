/*
 * Fuzz: what a peer sends. Decoded and encoded again a message means the same; a node that is sent
 * anything at all, as feed or as intake, stays within its bounds and goes on.
 *
 * The node is region 1 of three, the peer region 2. It has one link that it dialled and one that it
 * accepted. Pieces by the low bits of their control byte:
 *
 *     RAW     bytes as they are                         1 .. 15 a message of that type, framed
 *     HELLO   the right one for this link               BATCH   a message of one batch, made the next
 *     TURN    time goes on by 2^n ms, n the first byte          of its stream (REPAIR) or as it is
 *     WRITE   the node writes a key                     REPEAT  the last bytes, 256 times
 *     CLOSE   the link is lost, and another comes       MARKED  it begins again, as one that is being
 *                                                               bootstrapped
 *
 * OF_INTAKE: on the link that was dialled. SLOWLY: in pieces of seven bytes.
 */
#include "base/check.h"
#include "base/memory.h"
#include "base/pieces.h"
#include "core/emit.h"
#include "env/kv_memory.h"
#include "node/node.h"
#include "wire/frame.h"

enum {
    PIECE_RAW,
    PIECE_HELLO = MESSAGE_TYPE_END,
    PIECE_BATCH,
    PIECE_TURN,
    PIECE_WRITE,
    PIECE_REPEAT,
    PIECE_CLOSE,
    PIECE_MARKED,
    PIECE_KINDS = 32,
};

enum { OF_INTAKE = 1 << 5, SLOWLY = 1 << 6, REPAIR = 1 << 7 };

enum {
    START_US = 1000 * 1000 * 1000,
    REPEATS = 256,
    FED_MAX = 8 << 20, /* bytes of one run: repetitions of repetitions would go on for ever */
};

static const char *const names[] = { "eu-de", "us-east", "ap-jp" };

static struct deployment deployment;
static struct node node;
static struct link *links[2]; /* accepted, dialled */
static struct buffer disk;    /* the log as written */
static struct buffer last;    /* what was fed last */
static size_t fed;
static uint64_t now_us;

/* its objects on disk */
static struct kv_memory kv;
static struct checkpoint store;
static struct checkpoint_writer writer;
static const struct marker marker = { .instance = 1, .began_us = START_US };
static bool restarts; /* it wants to begin again: nothing more is done with it */

/* --- codecs --- */

/* Puts a body through its decoder and encoder; false when it is refused. */
static bool recode(enum message_type type, struct span body, struct buffer *out)
{
    struct message_hello hello;
    struct message_subscribe subscribe;
    struct message_pong pong;
    struct message_fault fault;
    struct message_behind behind;
    struct message_bootstrap bootstrap;
    struct message_start start;
    struct message_passed passed;
    struct message_forward forward;
    struct message_answer answer;
    struct message_round_trips round_trips;
    struct vector last_op;
    struct message_row row;
    struct span rows;
    char text[MESSAGE_TEXT_MAX + 1];
    uint64_t count = 0, t0_us;
    switch (type) {
    case MESSAGE_HELLO:
        if (!message_take_hello(body, &hello) || hello.version != MESSAGE_VERSION)
            return false;
        message_put_hello(out, &hello);
        return true;
    case MESSAGE_REFUSED:
        if (!message_take_refused(body, text))
            return false;
        message_put_refused(out, text);
        return true;
    case MESSAGE_SUBSCRIBE:
        if (!message_take_subscribe(body, &subscribe))
            return false;
        message_put_subscribe(out, &subscribe);
        return true;
    case MESSAGE_VECTOR: {
        if (!message_take_rows(body, &rows))
            return false;
        CHECK(span_take_varint(&body, &count));
        size_t place = message_begin(out, MESSAGE_VECTOR);
        buffer_put_varint(out, count);
        while (message_next_row(&rows, &row)) {
            message_put_row(out, row.region, row.instance, &row.applied, &row.durable);
            count--;
        }
        message_end(out, place);
        CHECK(count == 0);
        return true;
    }
    case MESSAGE_PING:
        if (!message_take_ping(body, &t0_us))
            return false;
        message_put_ping(out, t0_us);
        return true;
    case MESSAGE_PONG:
        if (!message_take_pong(body, &pong))
            return false;
        message_put_pong(out, &pong);
        return true;
    case MESSAGE_FAULT:
        if (!message_take_fault(body, &fault))
            return false;
        message_put_fault(out, &fault);
        return true;
    case MESSAGE_BEHIND:
        if (!message_take_behind(body, &behind))
            return false;
        message_put_behind(out, &behind);
        return true;
    case MESSAGE_BOOTSTRAP:
        if (!message_take_bootstrap(body, &bootstrap))
            return false;
        message_put_bootstrap(out, &bootstrap);
        return true;
    case MESSAGE_DECLINED:
        if (!message_take_declined(body, text))
            return false;
        message_put_declined(out, text);
        return true;
    case MESSAGE_START:
        if (!message_take_start(body, &start))
            return false;
        message_put_start(out, &start);
        return true;
    case MESSAGE_WRITTEN:
        if (!message_take_written(body, &count))
            return false;
        message_put_written(out, count);
        return true;
    case MESSAGE_END:
        if (!message_take_end(body, &last_op))
            return false;
        message_put_end(out, &last_op);
        return true;
    case MESSAGE_ROUND_TRIPS: {
        if (!message_take_round_trips(body, &rows))
            return false;
        CHECK(span_take_varint(&body, &count));
        size_t place = message_begin(out, MESSAGE_ROUND_TRIPS);
        buffer_put_varint(out, count);
        while (message_next_round_trips(&rows, &round_trips)) {
            message_put_round_trips(out, &round_trips);
            count--;
        }
        message_end(out, place);
        CHECK(count == 0);
        return true;
    }
    case MESSAGE_BARRIER:
        if (!message_take_barrier(body, &count))
            return false;
        message_put_barrier(out, count);
        return true;
    case MESSAGE_PASSED:
        if (!message_take_passed(body, &passed))
            return false;
        message_put_passed(out, &passed);
        return true;
    case MESSAGE_WANTED:
        if (!message_take_wanted(body, &count))
            return false;
        message_put_wanted(out, count);
        return true;
    case MESSAGE_FORWARD:
        if (!message_take_forward(body, &forward))
            return false;
        message_put_forward(out, &forward);
        return true;
    case MESSAGE_ANSWER:
        if (!message_take_answer(body, &answer))
            return false;
        message_put_answer(out, &answer);
        return true;
    case MESSAGE_FORGET:
        if (!message_take_forget(body, &count))
            return false;
        message_put_forget(out, count);
        return true;
    case MESSAGE_IMAGE:
    case MESSAGE_BATCHES:
    case MESSAGE_TYPE_END:
        return false;
    }
    return false;
}

/* The body in a message that an encoder made. */
static struct span body_of(const struct buffer *message, enum message_type type)
{
    struct message m;
    size_t need;
    CHECK(message_read(buffer_span(message), MESSAGE_MAX, &m, &need) == MESSAGE_GOOD);
    CHECK(m.type == type && m.bytes == message->len);
    return m.body;
}

static void check_codec(enum message_type type, struct span body)
{
    struct buffer once = { 0 }, twice = { 0 };
    if (recode(type, body, &once)) {
        CHECK(recode(type, body_of(&once, type), &twice));
        CHECK(span_equal(buffer_span(&once), buffer_span(&twice)));
    }
    buffer_release(&once);
    buffer_release(&twice);
}

static void check_frame(struct span body)
{
    struct frame_codec codec = { 0 }, other = { 0 };
    struct buffer out = { 0 };
    struct span content, again;
    if (frame_take(&codec, body, &content)) {
        frame_put(&other, &out, content);
        CHECK(frame_take(&other, body_of(&out, MESSAGE_BATCHES), &again));
        CHECK(span_equal(content, again));
    }
    buffer_release(&out);
    frame_codec_release(&codec);
    frame_codec_release(&other);
}

/* --- the world around the node --- */

static char *text_of(const char *text)
{
    size_t len = strlen(text) + 1;
    return memcpy(mem_alloc(len), text, len);
}

static void open_objects(struct checkpoint_found *found)
{
    kv_memory_init(&kv);
    CHECK(checkpoint_open(&store, &kv.kv, found) == 0);
    checkpoint_writer_init(&writer, &kv.kv);
}

static void start(bool marked)
{
    struct checkpoint_found found;
    now_us = START_US;
    restarts = false;
    deployment_init(&deployment);
    deployment.name = text_of("shop");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct region *r = deployment_add_region(&deployment);
        r->name = text_of(names[i]);
        r->id = (uint8_t)(i + 1);
    }
    deployment_close(&deployment, 9);
    deployment_finish(&deployment);
    node_init(&node, &(struct node_options){
                         .deployment = &deployment,
                         .self = &deployment.regions[0],
                         .instance = 1,
                         .run = 1,
                         .seed = 1,
                         .marker = marked ? &marker : NULL,
                         .faults = true,
                         .fsync = FSYNC_NO,
                     });
    hlc_raise_ceiling(&node.replica.hlc, (uint64_t)1 << 42);
    open_objects(&found);
    CHECK(node_install(&node, &store, &found) == 0);
    node_recovered(&node, 0);
    node_turn(&node, now_us);
}

static void stop(void)
{
    node_release(&node);
    checkpoint_close(&store);
    checkpoint_writer_release(&writer);
    kv_memory_release(&kv);
    deployment_release(&deployment);
    buffer_release(&disk);
    buffer_release(&last);
    links[0] = links[1] = NULL;
}

/* Links that should be there and are not; a peer that was cut is not dialled. */
static void connect(void)
{
    struct peer *peer;
    if (links[0] == NULL)
        links[0] = node_link_open(&node, NULL, NULL, "127.0.0.1:50000");
    while (node_next_dial(&node, &peer)) {
        if (peer->region->id == 2 && links[1] == NULL)
            links[1] = node_link_open(&node, peer, NULL, "127.0.0.1:6380");
        else
            node_dial_failed(&node, peer, "connection refused");
    }
}

static void write_log(void)
{
    struct span records;
    uint64_t end_lsn;
    while (node_take_log(&node, &records, &end_lsn)) {
        buffer_put(&disk, records);
        node_durable(&node, end_lsn);
    }
}

static void read_log(void)
{
    struct link *l;
    uint64_t lsn, limit_lsn;
    size_t want;
    while (node_next_read(&node, &l, &lsn, &limit_lsn, &want)) {
        CHECK(lsn <= limit_lsn && limit_lsn <= disk.len);
        node_read_done(&node, l, lsn, span_of(disk.at + lsn, (size_t)(limit_lsn - lsn)), NULL);
    }
}

static void write_objects(void)
{
    struct checkpoint_write job;
    while (node_next_write(&node, &job)) {
        int error = checkpoint_write(&writer, &job);
        node_written(&node, error, writer.problem);
    }
}

static void read_objects(void)
{
    struct span at;
    size_t max_bytes;
    while (node_next_export(&node, &at, &max_bytes)) {
        struct buffer cursor = { 0 }, changes = { 0 };
        bool all;
        buffer_put(&cursor, at);
        int error = checkpoint_export(&store, &cursor, max_bytes, &changes, &all);
        node_exported(&node, error, buffer_span(&cursor), buffer_span(&changes), all,
                      store.problem);
        buffer_release(&cursor);
        buffer_release(&changes);
    }
}

/* What a peer can make a node keep is bounded, whatever it sends and however little it reads. */
static void check_bounds(const struct link *l)
{
    CHECK(l->output.len <= 2 * LINK_OUTPUT_MAX);
    CHECK(l->input.len <= fed);
    CHECK(node.replica.parked_bytes <= node.replica.options.park_max_bytes);
}

static void end_turn(void)
{
    struct notice notice;
    node_turn_end(&node);
    write_log();
    read_log();
    write_objects();
    read_objects();
    struct node_restart restart;
    restarts |= node_next_restart(&node, &restart);
    while (node_next_dirty_link(&node) != NULL)
        continue;
    for (size_t i = 0; i < COUNT_OF(links); i++) {
        if (links[i] != NULL)
            check_bounds(links[i]);
        if (links[i] != NULL && links[i]->close) {
            node_link_closed(&node, links[i], NULL);
            links[i] = NULL;
        }
    }
    while (node_next_notice(&node, &notice))
        CHECK(strchr(notice.text, '\n') == NULL);
    connect();
    CHECK(node_next_deadline(&node) > 0);
}

static void go_on(unsigned power)
{
    now_us += (uint64_t)1000 << power;
    node_turn(&node, now_us);
}

/* --- what is sent --- */

static void feed(struct link *l, struct span bytes, bool slowly)
{
    size_t step = slowly ? 7 : bytes.len;
    fed += bytes.len;
    while (bytes.len > 0 && !l->close) {
        size_t now = step < bytes.len ? step : bytes.len;
        uint8_t *copy = mem_alloc(now);
        memcpy(copy, bytes.at, now);
        node_link_input(&node, l, span_of(copy, now));
        mem_free(copy);
        bytes = span_skip(bytes, now);
    }
}

static void put_framed(struct buffer *out, enum message_type type, struct span body)
{
    size_t place = message_begin(out, type);
    buffer_put(out, body);
    message_end(out, place);
}

static void put_hello(struct buffer *out, bool of_intake)
{
    struct message_hello hello = {
        .version = MESSAGE_VERSION,
        .role = of_intake ? ROLE_FEED : ROLE_INTAKE,
        .region = 2,
        .instance = 1,
        .run = 2,
        .deployment = span_str(deployment.name),
        .region_name = span_str(names[1]),
    };
    message_put_hello(out, &hello);
}

/* As the replica would take it next, so that its ops are looked at. */
static void repair(struct buffer *out, struct span batch)
{
    const struct replica *r = &node.replica;
    struct batch b;
    if (!batch_take(batch, &b)) {
        buffer_put(out, batch);
        return;
    }
    stamp_t before = vector_get(&r->last_op, b.origin);
    uint64_t later = b.from < before ? stamp_time(before) - stamp_time(b.from) : 0;
    if (later <= (UINT64_MAX >> STAMP_ORIGIN_BITS) - stamp_time(b.to))
        b.to += later << STAMP_ORIGIN_BITS;
    if (b.from < before)
        b.from = before;
    b.prev = before;
    b.check = r->streams[b.origin].check;
    for (uint32_t o = 0; o < b.context.high; o++) {
        stamp_t have = vector_get(&r->applied, (uint8_t)o);
        if (b.context.at[o] > have)
            b.context.at[o] = have;
    }
    batch_put_header(out, &b);
    buffer_put(out, b.ops);
}

static void put_batch(struct buffer *out, struct span bytes, bool repaired)
{
    struct buffer batch = { 0 }, content = { 0 };
    struct frame_codec codec = { 0 };
    if (repaired)
        repair(&batch, bytes);
    else
        buffer_put(&batch, bytes);
    frame_add_batch(&content, buffer_span(&batch));
    frame_put(&codec, out, buffer_span(&content));
    buffer_release(&batch);
    buffer_release(&content);
    frame_codec_release(&codec);
}

static void write_one(struct span in)
{
    struct replica *r = &node.replica;
    if (node_must_wait(&node) || node.server.refusal || node.server.loading ||
        replica_write_refusal(r))
        return;
    replica_group_begin(r);
    emit_string(r, 0, span_of(in.at, in.len > 0), span_skip(in, 1), TIME_NONE, 0);
    replica_group_end(r);
}

static void close_link(size_t which)
{
    if (links[which] != NULL)
        node_link_closed(&node, links[which], "closed by the peer");
    links[which] = NULL;
}

static void send(const struct piece *piece, int kind)
{
    struct link *l = links[(piece->control & OF_INTAKE) != 0];
    buffer_clear(&last);
    if (kind == PIECE_RAW)
        buffer_put(&last, piece->bytes);
    else if (kind == PIECE_HELLO)
        put_hello(&last, piece->control & OF_INTAKE);
    else if (kind == PIECE_BATCH)
        put_batch(&last, piece->bytes, piece->control & REPAIR);
    else
        put_framed(&last, (enum message_type)kind, piece->bytes);
    if (kind == MESSAGE_BATCHES || kind == MESSAGE_IMAGE)
        check_frame(piece->bytes);
    else if (kind != PIECE_RAW && kind < MESSAGE_TYPE_END)
        check_codec((enum message_type)kind, piece->bytes);
    if (l != NULL)
        feed(l, buffer_span(&last), piece->control & SLOWLY);
}

static void run_piece(const struct piece *piece)
{
    int kind = piece->control % PIECE_KINDS;
    size_t which = (piece->control & OF_INTAKE) != 0;
    switch (kind) {
    case PIECE_TURN:
        go_on(piece->bytes.len > 0 ? piece->bytes.at[0] % 16 : 0);
        break;
    case PIECE_WRITE:
        write_one(piece->bytes);
        break;
    case PIECE_REPEAT:
        for (int i = 0; i < REPEATS && links[which] != NULL && fed < FED_MAX; i++)
            feed(links[which], buffer_span(&last), false);
        break;
    case PIECE_CLOSE:
        close_link(which);
        break;
    case PIECE_MARKED:
        stop();
        start(true);
        break;
    default:
        send(piece, kind);
        break;
    }
    end_turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span in = span_of(bytes, len);
    struct piece piece;
    struct buffer report = { 0 };
    fed = 0;
    start(false);
    end_turn();
    while (!restarts && pieces_next(&in, &piece) && fed < FED_MAX)
        run_piece(&piece);
    node_status_json(&node, &report);
    node_metrics(&node, &report);
    buffer_release(&report);
    stop();
    return 0;
}
