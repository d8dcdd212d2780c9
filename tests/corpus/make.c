/*
 * Makes the seeds of the fuzz programs, in the folders beside this file: make_corpus DIRECTORY
 *
 * They come from the encoders themselves: scripts of commands run in a node, and what it seals are
 * the batches, the messages that carry them and the records of a log. A command that this version
 * does not know is an error reply, and no harm. The configuration's seeds are written by hand;
 * those of rdb are dumps that redis-server 7.0 saved, and one in the forms of Redis 2 (`old`).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/pieces.h"
#include "cmd/call.h"
#include "cmd/contents.h"
#include "core/copier.h"
#include "crdt/image.h"
#include "crdt/score.h"
#include "node/alone.h"
#include "wire/frame.h"

/* Lines of commands; "~" is a second that goes by. */
struct script {
    const char *name;
    const char *lines;
};

static const struct script parts = { "parts", "" };

static const struct script scripts[] = {
    { "strings", "SET k v\nSET k w EX 10 GET\nAPPEND k xyz\nSETRANGE k 2 abc\nGETRANGE k 0 -1\n"
                 "MSET a 1 b 2\nMSETNX c 3 d 4\nSETNX a 5\nGETSET a 6\nGETDEL b\nGETEX a PX 500\n"
                 "STRLEN k\nLCS k a IDX\nSUBSTR k 0 1\nPSETEX e 100 v\n~\nMGET a b c d e\n" },
    { "counters", "INCR n\nINCRBY n 10\nDECR n\nDECRBY n -5\nINCRBYFLOAT n 1.5\nSET n 7\nINCR n\n"
                  "DEL n\nINCR n\nHINCRBY h f 3\nHINCRBYFLOAT h f 0.25\nHSET h f 1\nHINCRBY h f 2\n"
                  "HDEL h f\nHINCRBY h f 9\nDEL h\n" },
    { "hashes", "HSET h a 1 b 2 c 3\nHSETNX h a 9\nHMSET h d 4 e 5\nHGET h a\nHMGET h a x\n"
                "HGETALL h\nHKEYS h\nHVALS h\nHLEN h\nHSTRLEN h a\nHRANDFIELD h -3 WITHVALUES\n"
                "HSCAN h 0 MATCH * COUNT 2\nHDEL h a b\nHEXISTS h c\n" },
    { "sets",
      "SADD s a b c d\nSADD t b c x\nSREM s a\nSMEMBERS s\nSISMEMBER s b\nSMISMEMBER s a b\n"
      "SINTER s t\nSUNIONSTORE u s t\nSDIFFSTORE v s t\nSINTERCARD 2 s t LIMIT 1\n"
      "SMOVE s t d\nSPOP u 1\nSRANDMEMBER t -3\nSSCAN t 0\nSCARD t\n" },
    { "zsets",
      "ZADD z 1 a 2 b 3 c\nZADD z XX CH 5 a\nZADD z NX 7 d\nZADD z GT INCR 4 b\n"
      "ZINCRBY z 1.5 b\nZADD y 1 a 9 q\nZRANGE z 0 -1 WITHSCORES\nZRANGEBYSCORE z (1 +inf\n"
      "ZRANGE z [a [c BYLEX REV LIMIT 0 1\nZRANK z b\nZCOUNT z -inf 3\nZUNIONSTORE o 2 z y "
      "WEIGHTS 2 3 AGGREGATE MAX\nZINTER 2 z y\nZDIFFSTORE p 2 z y\nZREM z a\nZPOPMIN z\n"
      "ZPOPMAX y 2\nZREMRANGEBYRANK o 0 0\nZREMRANGEBYSCORE o 1 2\nZMSCORE z a b\n"
      "ZRANDMEMBER z -2 WITHSCORES\nZSCAN z 0\nZMPOP 2 z y MIN\nZRANGESTORE w z 0 1\n"
      "DEL z\nZADD z 3 a\n" },
    { "geo", "GEOADD g 13.36 38.11 Palermo 15.08 37.50 Catania\nGEODIST g Palermo Catania km\n"
             "GEOPOS g Palermo x\nGEOHASH g Catania\nGEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km "
             "ASC WITHCOORD WITHDIST\nGEOSEARCHSTORE d g FROMMEMBER Palermo BYBOX 400 400 km\n"
             "GEORADIUS g 15 37 100 km\n" },
    { "lists",
      "RPUSH l a b c\nLPUSH l z y\nRPUSHX l d\nLPUSHX no x\nLINSERT l BEFORE b m\n"
      "LINSERT l AFTER b n\nLSET l 1 w\nLRANGE l 0 -1\nLINDEX l -1\nLLEN l\nLPOS l b RANK 1\n"
      "LREM l 1 a\nLTRIM l 1 4\nLPOP l\nRPOP l 2\nRPUSH o 1\nLMOVE l o LEFT RIGHT\n"
      "RPOPLPUSH o l\nLMPOP 2 l o LEFT COUNT 2\nDEL l\nRPUSH l e\n" },
    { "blocking",
      "BLPOP q 1\n~\n~\nRPUSH q a\nBLPOP q 0\nBRPOP q 0.5\n~\nBLMOVE q p LEFT RIGHT 1\n~\n~\n"
      "BZPOPMIN z 1\n~\n~\nBZMPOP 1 1 z MIN\n~\n~\nXREAD BLOCK 500 STREAMS x $\n~\nWAIT 1 "
      "100\n~\n" },
    { "streams",
      "XADD x 1-1 f v g w\nXADD x * f v\nXADD x NOMKSTREAM MAXLEN ~ 100 * a b\nXLEN x\n"
      "XRANGE x - + COUNT 2\nXREVRANGE x + (1-1\nXREAD COUNT 2 STREAMS x 0\nXDEL x 1-1\n"
      "XTRIM x MAXLEN 1\nXSETID x 999999999999-0\nXINFO STREAM x FULL\nXGROUP CREATE x g 0\n"
      "XREADGROUP GROUP g c STREAMS x >\nXACK x g 1-1\nDEL x\nXADD x 2-2 f v\n" },
    { "hll", "PFADD p a b c\nPFADD q c d\nPFCOUNT p q\nPFMERGE r p q\nPFCOUNT r\nPFADD p\nDEL p\n"
             "PFADD p x\nGET q\n" },
    { "bits", "SETBIT b 7 1\nSETBIT b 100 1\nGETBIT b 7\nBITCOUNT b 0 -1 BIT\nBITPOS b 1\n"
              "BITOP OR c b b\nBITOP NOT d b\nBITFIELD b SET u8 0 255 INCRBY i5 3 1 OVERFLOW SAT "
              "INCRBY u2 9 3 GET u4 0\nBITFIELD_RO b GET u8 0\n" },
    { "keys",
      "SET a 1\nHSET h f v\nSADD s m\nRENAME a b\nRENAMENX b c\nCOPY c d DB 1\nCOPY h i REPLACE\n"
      "MOVE s 2\nSELECT 2\nKEYS *\nSELECT 0\nSCAN 0 MATCH * COUNT 2 TYPE hash\nTYPE h\nEXISTS a c\n"
      "TOUCH c\nOBJECT ENCODING c\nRANDOMKEY\nDBSIZE\nUNLINK c\nDEL h i\nFLUSHDB\nFLUSHALL\n"
      "SORT s ALPHA DESC LIMIT 0 1 STORE t\n" },
    { "expiry",
      "SET k v PX 500\nEXPIRE k 100 NX\nPEXPIRE k 700 LT\nTTL k\n~\nGET k\nHSET h f v\n"
      "PEXPIRE h 1500\nPERSIST h\nEXPIREAT h 2000 GT\nPEXPIREAT h 1002500 XX\n~\nHGET h f\n~\n"
      "PEXPIRETIME h\nHSET h g w\nSET e v EXAT 1\nGET e\nGETEX k PERSIST\n~\n" },
    { "types",
      "SET k v\nDEL k\nHSET k f v\nDEL k\nSADD k m\nEXPIRE k 5\nSET k w KEEPTTL\nGET k\nLPUSH k a\n"
      "ZADD k 1 a\nXADD k * a b\nDEL k\nLPUSH k a\nDEL k\nZADD k 1 a\nSET k x\n" },
    { "groups",
      "MULTI\nSET a 1\nINCR a\nHSET h f v\nEXEC\nWATCH a\nMULTI\nSET a 2\nDISCARD\nUNWATCH\nMULTI\n"
      "FOO\nEXEC\nEXEC\n" },
    { "server",
      "HELLO 3 SETNAME me\nPING\nECHO hi\nINFO\nINFO replication\nCOMMAND COUNT\nCOMMAND INFO get\n"
      "COMMAND GETKEYS MSET a 1 b 2\nCOMMAND DOCS set\nCONFIG GET *\nCONFIG SET timeout 1\n"
      "CLIENT LIST\nCLIENT ID\nCLIENT REPLY SKIP\nPING\nCLIENT INFO\nTIME\nROLE\nREGION LIST\n"
      "REGION LAG\nLINK LIST\nHELLO 2\nRESET\nAUTH x\nQUIT\n" },
    { "conflict",
      "SET k v\nHSET h f v\nCONFLICT VERSIONS k\nCONFLICT VERSIONS h f\nCONFLICT RESOLVE k w\n"
      "CONFLICT LIST\nKEYSPACE LIST\nKEYSPACE SET \"\" conflict siblings\nKEYSPACE FOR k\nDUMP k\n"
      "DUMP h\nRESTORE j 0 \"\\x00\" REPLACE\n" },
};

/* Every kind of part, straight through emit: what a script's commands are made of. */
static void emit_parts(struct replica *r)
{
    const struct span values[] = { span_str("a"), span_str("b"), span_str("c") };
    const struct hll_register registers[] = { { 1, 2 }, { 16383, 51 } };
    const struct span key = span_str("k");
    uint8_t score[SCORE_BYTES];
    struct emit_fields e;
    replica_group_begin(r);
    emit_fields_begin(&e, r, OP_PUT, COMPONENT_ZSET, 0, key);
    emit_fields_add(&e, values[0], score_encode(1.5, score));
    emit_fields_add(&e, values[1], score_encode(-3, score));
    emit_fields_end(&e);
    emit_field_bump(r, 0, COMPONENT_ZSET, key, values[0],
                    (struct amount){ .is_float = true, .f = 2.5 });
    replica_group_end(r);
    replica_group_begin(r);
    emit_list_insert(r, 1, key, 0, true, values, COUNT_OF(values));
    emit_list_insert(r, 1, key, 0, false, values, COUNT_OF(values));
    emit_list_insert(r, 1, key, 2, true, values, 1);
    replica_group_end(r);
    replica_group_begin(r);
    emit_hll(r, 2, key, registers, COUNT_OF(registers));
    emit_hll(r, 2, key, registers, 1);
    replica_group_end(r);
    replica_group_begin(r);
    emit_stream_add(r, 3, key, (struct stream_id){ 0, 0 }, span_of("\1\1f\1v", 5));
    emit_fields_begin(&e, r, OP_PUT, COMPONENT_GROUPS, 3, key);
    emit_fields_add(&e, values[0], values[1]);
    emit_fields_end(&e);
    replica_group_end(r);
    for (uint8_t db = 0; db < 4; db++) {
        replica_group_begin(r);
        emit_remove(r, db, key);
        replica_group_end(r);
    }
}

enum { REGIONS = 2, SEED_MAX = 12000 };

static const char *directory;

/* --- nodes that run scripts --- */

struct region_of_corpus {
    struct alone alone;
    struct buffer batches; /* sealed of its own: varint length, batch */
};

static struct region_of_corpus regions[REGIONS];
static uint64_t now_us;

static void start(void)
{
    now_us = ALONE_START_US;
    for (size_t i = 0; i < REGIONS; i++)
        alone_start(&regions[i].alone, (uint8_t)(i + 1), i == 0 ? "eu-de" : "us-east");
}

static void stop(void)
{
    for (size_t i = 0; i < REGIONS; i++) {
        alone_release(&regions[i].alone);
        buffer_release(&regions[i].batches);
    }
}

static void take_log(struct region_of_corpus *r)
{
    struct span log;
    uint64_t end_lsn;
    while (node_take_log(&r->alone.node, &log, &end_lsn)) {
        struct record record;
        size_t need;
        for (uint64_t at = end_lsn - log.len; log.len > 0; at += record.bytes) {
            uint8_t origin;
            stamp_t to;
            CHECK(record_read(log, at, &record, &need) == RECORD_GOOD);
            CHECK(batch_peek(record.payload, &origin, &to));
            if (origin == r->alone.node.options.self->id)
                buffer_put_prefixed(&r->batches, record.payload);
            log = span_skip(log, record.bytes);
        }
        node_durable(&r->alone.node, end_lsn);
    }
}

static void turn(uint64_t us)
{
    now_us += us;
    for (size_t i = 0; i < REGIONS; i++) {
        node_turn_end(&regions[i].alone.node);
        take_log(&regions[i]);
        node_turn(&regions[i].alone.node, now_us);
    }
}

static struct span take_line(struct span *in)
{
    const uint8_t *end = memchr(in->at, '\n', in->len);
    struct span line = span_of(in->at, (size_t)(end - in->at) + 1);
    *in = span_skip(*in, line.len);
    return line;
}

static void run(struct region_of_corpus *r, const char *lines)
{
    struct span in = span_str(lines);
    struct session *s = alone_session(&r->alone);
    while (in.len > 0) {
        struct span line = take_line(&in);
        if (line.at[0] == '~')
            turn(1000 * 1000);
        else
            node_session_input(&r->alone.node, s, line);
        turn(1000);
        node_session_sent(&r->alone.node, s, node_session_output(s).len);
    }
    node_session_close(&r->alone.node, s);
}

/* --- files --- */

static void write_seed(const char *target, const char *name, struct span bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s/%s", directory, target, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes.at, 1, bytes.len, file) != bytes.len || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

/* --- seeds of clients --- */

/* Commands as arrays of bulk strings. */
static void seed_resp(const struct script *script)
{
    struct buffer out = { 0 };
    struct resp_parser p;
    struct span in = span_str(script->lines);
    resp_init(&p);
    while (in.len > 0) {
        CHECK(resp_parse(&p, in) == RESP_COMMAND);
        buffer_printf(&out, "*%zu\r\n", p.argc);
        for (size_t i = 0; i < p.argc; i++) {
            buffer_printf(&out, "$%zu\r\n", p.argv[i].len);
            buffer_put(&out, p.argv[i]);
            buffer_put_text(&out, "\r\n");
        }
        in = span_skip(in, p.consumed);
    }
    write_seed("resp", script->name, buffer_span(&out));
    resp_release(&p);
    buffer_release(&out);
}

/* The lines; a second that goes by is the end of a turn and 2^10 milliseconds (node/command_fuzz.c). */
static void seed_command(const struct script *script)
{
    struct buffer out = { 0 };
    for (const char *c = script->lines; *c; c++) {
        if (*c == '~' && c[1] == '\n' && (c == script->lines || c[-1] == '\n')) {
            buffer_put_bytes(&out, "\xff\x0a", 2);
            c++;
        } else {
            buffer_put_u8(&out, (uint8_t)*c);
        }
    }
    write_seed("command", script->name, buffer_span(&out));
    buffer_release(&out);
}

/* The contents of a key of every type (cmd/dump_fuzz.c). */
static void seed_dumps(void)
{
    static const char
        *const lines = "SET string value\nHSET hash a 1 b 2\nSADD set a b\nZADD zset 1 a 2 b\n"
                       "RPUSH list a b c\nPFADD hll a b\nXADD stream 1-1 f v\n"
                       "XADD stream 1-2 f v g w\nXGROUP CREATE stream g 0\n"
                       "XREADGROUP GROUP g c STREAMS stream >\nINCRBY counter 5\n";
    const struct database *d = &regions[0].alone.node.replica.databases[0];
    struct table_iter it;
    start();
    run(&regions[0], lines);
    table_iter_init(&it, &d->keys);
    for (void **slot; (slot = table_iter_next(&it));) {
        struct buffer out = { 0 };
        struct span name = entry_name(*slot);
        char text[64];
        snprintf(text, sizeof text, "%.*s", (int)name.len, (const char *)name.at);
        contents_put(&out, *slot);
        write_seed("dump", text, buffer_span(&out));
        buffer_release(&out);
    }
    stop();
}

static void write_dictionary(void)
{
    struct buffer out = { 0 };
    for (size_t i = 0; i < command_count(); i++)
        buffer_printf(&out, "\"%s \"\n", command_at(i)->name);
    write_seed(".", "command.dict", buffer_span(&out));
    buffer_release(&out);
}

/* --- seeds of peers and disks --- */

/* The ops of a batch as OPS of core/batch_fuzz.c. */
static void put_ops(struct buffer *out, struct span batch)
{
    struct batch b;
    CHECK(batch_take(batch, &b));
    struct batch_walk w = batch_walk(&b);
    struct op op;
    struct span hashed;
    while (batch_next_op(&w, &op, &hashed)) {
        buffer_put_u8(out, (uint8_t)(op.kind | (op.more ? OP_MORE : 0)));
        buffer_put_u8(out, op.component);
        buffer_put_u8(out, op.db);
        buffer_put_prefixed(out, op.key);
        buffer_put_u8(out, (uint8_t)op.payload.len);
        buffer_put_u8(out, (uint8_t)(op.payload.len >> 8));
        buffer_put(out, op.payload);
    }
}

static void put_piece(struct buffer *out, uint8_t control, struct span bytes)
{
    if (bytes.len <= PIECE_BYTES_MAX && out->len + bytes.len < SEED_MAX)
        pieces_put(out, control, bytes);
}

/* Two regions write the same keys unseen, then one takes what the other wrote and goes on. */
static void run_both(const struct script *script)
{
    start();
    run(&regions[0], script->lines);
    run(&regions[1], script->lines);
    struct span all = buffer_span(&regions[0].batches), batch;
    while (span_take_prefixed(&all, &batch))
        replica_receive(&regions[1].alone.node.replica, batch);
    run(&regions[1], script->lines);
}

static void emit_at_both(void)
{
    start();
    for (size_t i = 0; i < REGIONS; i++) {
        emit_parts(&regions[i].alone.node.replica);
        turn(1000);
    }
}

static void seed_batches(const struct script *script)
{
    struct buffer whole = { 0 }, ops = { 0 }, taken = { 0 };
    struct span batch;
    for (size_t i = 0; i < REGIONS; i++) {
        struct span all = buffer_span(&regions[i].batches);
        while (span_take_prefixed(&all, &batch)) {
            put_piece(&whole, 1, batch);
            buffer_clear(&taken);
            put_ops(&taken, batch);
            if (taken.len <= PIECE_BYTES_MAX)
                put_piece(&ops, (uint8_t)(1 << 6 | i), buffer_span(&taken));
        }
        pieces_put(&ops, 2 << 6, span_str("k"));
        pieces_put(&ops, 3 << 6 | 10, span_of(NULL, 0));
    }
    char name[64];
    write_seed("batch", script->name, buffer_span(&whole));
    snprintf(name, sizeof name, "%s-ops", script->name);
    write_seed("batch", name, buffer_span(&ops));
    buffer_release(&whole);
    buffer_release(&ops);
    buffer_release(&taken);
}

/* One key as crdt/image_fuzz.c has it: its image in pieces, then ops on it. */
static void seed_image(const char *script, const struct entry *e)
{
    struct buffer out = { 0 }, bytes = { 0 };
    struct image_cursor cursor = { 0 };
    struct span all = buffer_span(&regions[1].batches), batch;
    char name[96];
    for (bool last = false; !last;) {
        buffer_clear(&bytes);
        last = image_put_piece(&bytes, e, &cursor, 40);
        put_piece(&out, 40, buffer_span(&bytes));
    }
    while (span_take_prefixed(&all, &batch)) {
        struct batch b;
        struct op op;
        struct span hashed;
        CHECK(batch_take(batch, &b));
        for (struct batch_walk w = batch_walk(&b); batch_next_op(&w, &op, &hashed);) {
            buffer_clear(&bytes);
            buffer_put_u8(&bytes, (uint8_t)op.kind);
            buffer_put_u8(&bytes, op.component);
            buffer_put(&bytes, op.payload);
            if (span_equal(op.key, entry_name(e)) && out.len < SEED_MAX / 4)
                put_piece(&out, 1 << 7, buffer_span(&bytes));
        }
    }
    snprintf(name, sizeof name, "%s-%.*s", script, (int)e->name_len,
             (const char *)entry_name(e).at);
    write_seed("image", name, buffer_span(&out));
    image_cursor_release(&cursor);
    buffer_release(&out);
    buffer_release(&bytes);
}

/* Those of the second region, which has what both wrote, that are more than plain strings. */
static void seed_images(const struct script *script)
{
    struct table_iter it;
    table_iter_init(&it, &regions[1].alone.node.replica.databases[0].keys);
    for (void **slot; (slot = table_iter_next(&it));) {
        const struct entry *e = *slot;
        if (e->form == ENTRY_BODY)
            seed_image(script->name, e);
    }
}

/* Control bytes of node/message_fuzz.c. */
enum { HELLO = 16, BATCH, TURN, WRITE, MARKED = 22, OF_INTAKE = 1 << 5, REPAIR = 1 << 7 };

static void put_message(struct buffer *out, uint8_t flags, const struct buffer *message)
{
    put_piece(out, (uint8_t)(flags | message->at[MESSAGE_HEADER_BYTES]),
              span_skip(buffer_span(message), MESSAGE_HEADER_BYTES + 1));
}

/* What a bootstrap is made of, on the link where each has its place. */
static void put_bootstrap(struct buffer *out)
{
    struct replica *r = &regions[1].alone.node.replica;
    struct buffer m = { 0 }, start = { 0 };
    struct frame_codec codec = { 0 };
    struct message_behind behind = { 0 };
    struct message_bootstrap bootstrap = { .credit = 1 << 20 };
    vector_set(&behind.floor, stamp_make(5, 0, 1));
    message_put_behind(&m, &behind);
    put_message(out, OF_INTAKE, &m);
    buffer_clear(&m);
    vector_copy(&bootstrap.floor, &r->last_op);
    message_put_bootstrap(&m, &bootstrap);
    put_message(out, 0, &m);
    buffer_clear(&m);
    copy_start_put(&start, &r->copier.start);
    message_put_start(&m, &(struct message_start){ 7, buffer_span(&start) });
    put_message(out, OF_INTAKE, &m);
    buffer_clear(&m);
    struct change change = { .kind = CHANGE_PUT,
                             .key = span_str("key"),
                             .piece = span_str("piece") };
    buffer_clear(&start);
    buffer_put_prefixed(&start, span_str("cursor"));
    change_put(&start, &change);
    frame_put_as(&codec, &m, MESSAGE_IMAGE, buffer_span(&start));
    put_message(out, OF_INTAKE, &m);
    buffer_clear(&m);
    message_put_written(&m, 1000);
    put_message(out, 0, &m);
    buffer_clear(&m);
    message_put_end(&m, &r->last_op);
    put_message(out, OF_INTAKE, &m);
    buffer_release(&m);
    buffer_release(&start);
    frame_codec_release(&codec);
}

/* A message of every other kind, on the link where it has its place. */
static void put_messages(struct buffer *out)
{
    struct replica *r = &regions[1].alone.node.replica;
    struct buffer m = { 0 };
    struct message_subscribe subscribe = { .origins = { 2 } };
    message_put_subscribe(&m, &subscribe);
    put_message(out, 0, &m);
    buffer_clear(&m);
    size_t place = message_begin(&m, MESSAGE_VECTOR);
    buffer_put_varint(&m, 1);
    message_put_row(&m, 2, 1, &r->applied, &r->durable);
    message_end(&m, place);
    put_message(out, 0, &m);
    buffer_clear(&m);
    message_put_ping(&m, now_us);
    put_message(out, 0, &m);
    buffer_clear(&m);
    message_put_pong(&m, &(struct message_pong){ now_us, now_us, now_us });
    put_message(out, OF_INTAKE, &m);
    buffer_clear(&m);
    message_put_fault(&m, &(struct message_fault){ FAULT_SLOW, 1, 2, 10 });
    put_message(out, 0, &m);
    buffer_release(&m);
    put_bootstrap(out);
}

static void seed_message(const struct script *script)
{
    struct buffer out = { 0 };
    struct span all = buffer_span(&regions[1].batches), batch;
    uint8_t second = 10;
    pieces_put(&out, TURN, span_of(&second, 1));
    pieces_put(&out, HELLO, span_of(NULL, 0));
    pieces_put(&out, HELLO | OF_INTAKE, span_of(NULL, 0));
    put_messages(&out);
    pieces_put(&out, WRITE, span_str("key"));
    while (span_take_prefixed(&all, &batch)) {
        if (out.len < SEED_MAX / 2)
            put_piece(&out, BATCH | OF_INTAKE | REPAIR, batch);
    }
    pieces_put(&out, TURN, span_of(&second, 1));
    pieces_put(&out, MARKED, span_of(NULL, 0));
    pieces_put(&out, TURN, span_of(&second, 1));
    pieces_put(&out, HELLO | OF_INTAKE, span_of(NULL, 0));
    pieces_put(&out, TURN, span_of(&second, 1));
    put_bootstrap(&out);
    write_seed("message", script->name, buffer_span(&out));
    buffer_release(&out);
}

/* Control bytes of store/log_fuzz.c, one damage each. */
static void seed_log(const char *name, uint8_t damage, struct span bytes)
{
    struct buffer out = { 0 };
    struct span all = buffer_span(&regions[0].batches), batch;
    for (unsigned i = 0; i < 12 && span_take_prefixed(&all, &batch); i++) {
        put_piece(&out, 0, batch);
        if (i % 3 == 1)
            pieces_put(&out, 1, span_of(NULL, 0));
    }
    pieces_put(&out, damage, bytes);
    pieces_put(&out, 0, span_str("after"));
    pieces_put(&out, 2, span_of(NULL, 0));
    write_seed("log", name, buffer_span(&out));
    buffer_release(&out);
}

static void seed_logs(void)
{
    start();
    run(&regions[0], scripts[0].lines);
    seed_log("crash", 2, span_of(NULL, 0));
    seed_log("flip-durable", 3 | 1 << 7, span_of("\x80\0\0\0\3", 5));
    seed_log("flip-last", 3, span_of("\x50\0\0\0\0", 5));
    seed_log("flip-tail", 3, span_of("\xf0\1\0\0\0", 5));
    seed_log("cut", 4, span_of("\x60\0\0\0", 4));
    seed_log("patch", 5, span_of("\x44\0\0\0damage", 10));
    seed_log("forge", 6, span_of("\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0record", 22));
    seed_log("file", 7 | 1 << 7, span_of("\xff\xff\0\0\0\0\0\0", 8));
    stop();
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_corpus DIRECTORY\n");
        return 2;
    }
    directory = argv[1];
    write_dictionary();
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        seed_resp(&scripts[i]);
        seed_command(&scripts[i]);
        run_both(&scripts[i]);
        seed_batches(&scripts[i]);
        seed_message(&scripts[i]);
        seed_images(&scripts[i]);
        stop();
    }
    emit_at_both();
    seed_batches(&parts);
    seed_message(&parts);
    stop();
    seed_logs();
    seed_dumps();
    return 0;
}
