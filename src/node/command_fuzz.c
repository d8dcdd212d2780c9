/*
 * Fuzz: a client of a node, with every command. Replies are well formed; what the log holds makes
 * the same state in a second node.
 *
 * The input is the client's bytes. A byte 0xff among them is not: a turn ends there, and the byte
 * after it says by how much time goes on (2^n milliseconds).
 */
#include "base/check.h"
#include "base/memory.h"
#include "node/alone.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum {
    MARK = 0xff,
    POWERS = 24, /* up to hours at once: what expires does, and it stays below the ceiling */
    DEPTH_MAX = 16,
    LOG_MAX = 64 << 20, /* then the client goes: each command may write as much */
};

static struct buffer disk; /* the log as written */
static struct buffer replies;
static uint64_t now_us;

/* --- replies --- */

static struct span take_line(struct span *in)
{
    const uint8_t *end = in->len > 0 ? memchr(in->at, '\r', in->len) : NULL;
    CHECK(end != NULL && end + 1 < in->at + in->len && end[1] == '\n');
    struct span line = span_of(in->at, (size_t)(end - in->at));
    CHECK(memchr(line.at, '\n', line.len) == NULL);
    *in = span_skip(*in, line.len + 2);
    return line;
}

static int64_t take_count(struct span line, int64_t least)
{
    int64_t count;
    CHECK(span_to_int64(line, &count) && count >= least);
    return count;
}

static void take_bulk(struct span *in, struct span line)
{
    struct span bytes;
    int64_t len = take_count(line, -1);
    if (len < 0)
        return;
    CHECK(span_take_bytes(in, (size_t)len + 2, &bytes));
    CHECK(bytes.at[len] == '\r' && bytes.at[len + 1] == '\n');
}

/* One reply of any kind, with all that it holds. */
static void take_reply(struct span *in, int depth)
{
    CHECK(in->len > 0 && depth < DEPTH_MAX);
    uint8_t kind = in->at[0];
    *in = span_skip(*in, 1);
    struct span line = take_line(in);
    int64_t parts = 0;
    double number;
    switch (kind) {
    case '+':
    case '-':
        CHECK(line.len > 0);
        break;
    case ':':
        take_count(line, INT64_MIN);
        break;
    case ',':
        CHECK(span_to_double(line, &number) || span_equal(line, span_str("nan")));
        break;
    case '#':
        CHECK(span_equal(line, span_str("t")) || span_equal(line, span_str("f")));
        break;
    case '_':
        CHECK(line.len == 0);
        break;
    case '$':
    case '=':
        take_bulk(in, line);
        break;
    case '*':
    case '~':
    case '>':
        parts = take_count(line, -1);
        break;
    case '%':
        parts = 2 * take_count(line, 0);
        break;
    default:
        check_failed(__FILE__, __LINE__, "no reply begins with that");
    }
    for (; parts > 0; parts--)
        take_reply(in, depth + 1);
}

static void check_replies(void)
{
    struct span rest = buffer_span(&replies);
    while (rest.len > 0)
        take_reply(&rest, 0);
}

/* --- the client --- */

static void take_output(struct node *n, struct session *s)
{
    struct span out = node_session_output(s);
    buffer_put(&replies, out);
    node_session_sent(n, s, out.len);
}

static void end_turn(struct node *n, struct session *s)
{
    struct span records;
    uint64_t end_lsn;
    struct notice notice;
    node_turn_end(n);
    while (node_take_log(n, &records, &end_lsn)) {
        buffer_put(&disk, records);
        node_durable(n, end_lsn);
    }
    while (node_next_dirty_session(n) != NULL || node_next_notice(n, &notice))
        continue;
    take_output(n, s);
}

/* Bytes up to the next mark, of exactly their size; then time goes on. */
static void feed(struct node *n, struct session *s, struct span *in)
{
    const uint8_t *mark = in->len > 0 ? memchr(in->at, MARK, in->len) : NULL;
    size_t len = mark != NULL ? (size_t)(mark - in->at) : in->len;
    uint8_t *copy = mem_alloc(len);
    memcpy(copy, in->at, len);
    node_session_input(n, s, span_of(copy, len));
    mem_free(copy);
    *in = span_skip(*in, len + 1);
    end_turn(n, s);
    uint8_t power = 0;
    span_take_u8(in, &power);
    now_us += (uint64_t)1000 << power % POWERS;
    node_turn(n, now_us);
}

static void run_client(struct alone *a, struct span in)
{
    struct node *n = &a->node;
    struct session *s = alone_session(a);
    while (in.len > 0 && !s->killed && !s->closing && disk.len < LOG_MAX)
        feed(n, s, &in);
    end_turn(n, s);
    node_session_close(n, s);
    check_replies();
}

/* --- the log --- */

static void check_replay(const struct node *n)
{
    struct alone again;
    struct span log = buffer_span(&disk);
    struct record record;
    size_t need;
    alone_init(&again, 1, "eu-de");
    for (uint64_t at = 0; log.len > 0; at += record.bytes) {
        CHECK(record_read(log, at, &record, &need) == RECORD_GOOD);
        CHECK(node_replay(&again.node, &record) == 0);
        log = span_skip(log, record.bytes);
    }
    node_recovered(&again.node, disk.len);
    CHECK(vector_equal(&n->replica.last_op, &again.node.replica.last_op));
    CHECK(replica_digest(&n->replica) == replica_digest(&again.node.replica));
    alone_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct alone alone;
    now_us = ALONE_START_US;
    alone_start(&alone, 1, "eu-de");
    run_client(&alone, span_of(bytes, len));
    check_replay(&alone.node);
    alone_release(&alone);
    buffer_release(&disk);
    buffer_release(&replies);
    return 0;
}
