/*
 * Fuzz: what RESTORE is given. A payload is refused, or makes a key that every reader bears, whose
 * own DUMP makes the same key again, and that DEL removes.
 *
 * The input stands between header and checksum of a payload (cmd/dump.h); as it is, too, it must not
 * confuse anybody.
 */
#include "base/check.h"
#include "base/crc32c.h"
#include "cmd/contents.h"
#include "cmd/dump.h"
#include "node/alone.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* What anybody may ask of a key of whatever type. */
static const char readers[] =
    "TYPE k\nGET k\nOBJECT ENCODING k\nHGETALL k\nSMEMBERS k\nSORT k ALPHA\n"
    "ZRANGE k 0 -1 WITHSCORES\nZRANGEBYLEX k - +\nLRANGE k 0 -1\nPFCOUNT k\n"
    "XRANGE k - +\nXINFO STREAM k FULL\nBITCOUNT k\nGEOPOS k a\nCOPY k c\n"
    "INCR k\nHINCRBY k f 1\nZINCRBY k 1 a\nLPUSH k a\nSADD k a\nPFADD k a\n"
    "XADD k * f v\n";

static struct alone alone;
static struct session *session;

/* Runs commands; what they answered stands in the session until the next. */
static struct span ask(struct span commands)
{
    node_session_sent(&alone.node, session, node_session_output(session).len);
    node_session_input(&alone.node, session, commands);
    return node_session_output(session);
}

static bool is_ok(struct span reply)
{
    CHECK(reply.len > 0 && (reply.at[0] == '+' || reply.at[0] == '-'));
    return reply.at[0] == '+';
}

static bool restore(const char *key, struct span payload)
{
    struct buffer command = { 0 };
    buffer_printf(&command, "*4\r\n$7\r\nRESTORE\r\n$1\r\n%s\r\n$1\r\n0\r\n$%zu\r\n", key,
                  payload.len);
    buffer_put(&command, payload);
    buffer_put_text(&command, "\r\n");
    bool ok = is_ok(ask(buffer_span(&command)));
    buffer_release(&command);
    return ok;
}

static void put_payload(struct buffer *out, struct span contents)
{
    buffer_put_text(out, "M\1");
    buffer_put(out, contents);
    buffer_put_u32(out, crc32c(0, buffer_span(out)));
}

static void dump(struct buffer *out, const char *key)
{
    const struct entry *e = database_find(&alone.node.replica.databases[0], span_str(key));
    CHECK(e && object_visible(e) != COMPONENT_NONE);
    dump_put(out, e);
}

/* The key that the payload made is the key that its own DUMP makes; hashes may come in another
 * order. */
static void check_copy(void)
{
    struct buffer first = { 0 }, second = { 0 };
    struct span contents;
    dump(&first, "k");
    CHECK(dump_open(buffer_span(&first), &contents) && contents_valid(contents));
    CHECK(restore("j", buffer_span(&first)));
    dump(&second, "j");
    CHECK(first.len == second.len);
    const struct database *d = &alone.node.replica.databases[0];
    CHECK(object_visible(database_find(d, span_str("k"))) ==
          object_visible(database_find(d, span_str("j"))));
    buffer_release(&first);
    buffer_release(&second);
}

/* A key without anything in it (an empty hash) is none. */
static bool is_there(const char *key)
{
    return database_find(&alone.node.replica.databases[0], span_str(key)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span in = span_of(bytes, len), contents;
    struct buffer payload = { 0 };
    alone_start(&alone, 1, "eu-de");
    session = alone_session(&alone);
    if (dump_open(in, &contents))
        contents_valid(contents);
    put_payload(&payload, in);
    CHECK(restore("k", buffer_span(&payload)) == contents_valid(in));
    if (is_there("k")) {
        check_copy();
        ask(span_str(readers));
        CHECK(!session->closing && !session->killed);
        ask(span_str("DEL k j c\n"));
        CHECK(database_size(&alone.node.replica.databases[0]) == 0);
    }
    buffer_release(&payload);
    alone_release(&alone);
    return 0;
}
