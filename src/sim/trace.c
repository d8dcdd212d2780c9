/*
 * trace -- what happens in a world, in columns: time in milliseconds, region, who or what, the rest.
 *
 *      12.345  r1  c2:7      SET s0 5 -> OK                the 7th command of client 2
 *      12.345  r1  batch r1  sealed  12..12, 1 op: put s0; after r2 11
 *      12.391  r2  c1:3      MULTI; INCR s1; DEL s2; EXEC  not answered at once,
 *      14.001  r2  batch r1  applied 12..12, 1 op: put s0
 *      14.120  r2  batch r2  sealed  13..13+1, 2 ops: bump s1 & drop s2; after r1 12
 *      15.002  r2  c1:3      -> [6 1]                      but here, as EXEC is
 *      20.000      fault 3   cuts r1 and r2 for 300.000 ms
 *
 * Stamps are milliseconds of their origin's clock since the world began, with +N for the counter
 * when it is not 0. 2/left is a key of database 2; & stands between the ops of one group. Batches are
 * read from the log, where they stand in the order in which they were applied.
 */
#include <stdarg.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "sim/world.h"

enum { OPS_BYTES = 120, VALUE_BYTES = 60 }; /* of one line */

/* --- lines --- */

static void print(struct sim_world *w, const char *line)
{
    fprintf(w->trace, "%s\n", line);
}

/* A command waits here for a moment: its answer belongs on its line if nothing happens between. */
static void release_held(struct sim_world *w)
{
    if (w->held[0] != 0)
        print(w, w->held);
    w->held[0] = 0;
}

static void format_line(const struct sim_world *w, char line[SIM_LINE_BYTES],
                        const struct sim_region *r, const char *who, const char *format,
                        va_list args)
{
    char region[8] = "";
    if (r)
        snprintf(region, sizeof(region), "r%u%s", r->place + 1, r->index != r->place ? "'" : "");
    int start = snprintf(line, SIM_LINE_BYTES, "%11.3f  %-3s %-9s ",
                         (double)(w->now_us - SIM_START_US) / 1000, region, who);
    vsnprintf(line + start, SIM_LINE_BYTES - (size_t)start, format, args);
    for (char *at = line; *at != 0; at++) {
        if ((unsigned char)*at < ' ')
            *at = ' ';
    }
}

static void hash(struct sim_world *w, const char *line)
{
    w->trace_hash = XXH3_64bits_withSeed(line, strlen(line), w->trace_hash);
}

void sim_tell(struct sim_world *w, const struct sim_region *r, const char *who, const char *format,
              ...)
{
    char line[SIM_LINE_BYTES];
    va_list args;
    va_start(args, format);
    format_line(w, line, r, who, format, args);
    va_end(args);
    hash(w, line);
    if (!w->trace)
        return;
    release_held(w);
    print(w, line);
}

void sim_trace(struct sim_world *w, const char *format, ...)
{
    char line[SIM_LINE_BYTES];
    va_list args;
    va_start(args, format);
    format_line(w, line, NULL, ".", format, args);
    va_end(args);
    hash(w, line);
    if (!w->trace || !w->details)
        return;
    release_held(w);
    print(w, line);
}

/* What is in the log anyway is not hashed, and not made unless it is printed. */
static void tell_seen(struct sim_world *w, const struct sim_region *r, const char *who,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

static void tell_seen(struct sim_world *w, const struct sim_region *r, const char *who,
                      const char *format, ...)
{
    char line[SIM_LINE_BYTES];
    va_list args;
    va_start(args, format);
    format_line(w, line, r, who, format, args);
    va_end(args);
    release_held(w);
    print(w, line);
}

/* --- commands and replies --- */

static void hold(struct sim_world *w, const struct sim_client *c, const char *who,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void hold(struct sim_world *w, const struct sim_client *c, const char *who,
                 const char *format, ...)
{
    va_list args;
    release_held(w);
    va_start(args, format);
    format_line(w, w->held, &w->regions[c->region], who, format, args);
    va_end(args);
}

static struct span take_line(struct span *in)
{
    const uint8_t *end = in->len > 0 ? memchr(in->at, '\r', in->len) : NULL;
    struct span line = span_of(in->at, end ? (size_t)(end - in->at) : in->len);
    *in = span_skip(*in, line.len + 2);
    return line;
}

static void put_value(struct buffer *out, struct span value)
{
    bool quoted = value.len == 0 || memchr(value.at, ' ', value.len) != NULL;
    bool cut = value.len > VALUE_BYTES;
    if (quoted)
        buffer_put_u8(out, '"');
    buffer_put(out, span_of(value.at, cut ? VALUE_BYTES : value.len));
    buffer_put_text(out, cut ? "..." : "");
    if (quoted)
        buffer_put_u8(out, '"');
}

/* One RESP2 value: a reply, or a command, whose words stand without brackets. */
static void put_resp(struct buffer *out, struct span *in, bool command)
{
    struct span line = take_line(in);
    int64_t count = 0;
    if (line.len == 0)
        return;
    bool counted = line.at[0] == '$' || line.at[0] == '*';
    if (!counted || !span_to_int64(span_skip(line, 1), &count)) {
        buffer_put(out, command || line.at[0] == '-' ? line : span_skip(line, 1));
    } else if (count < 0) {
        buffer_put_text(out, "(nil)");
    } else if (line.at[0] == '$') {
        size_t len = in->len < (size_t)count ? in->len : (size_t)count;
        put_value(out, span_of(in->at, len));
        *in = span_skip(*in, len + 2);
    } else {
        buffer_put_text(out, command ? "" : "[");
        for (int64_t i = 0; i < count && in->len > 0; i++) {
            buffer_put_text(out, i > 0 ? " " : "");
            put_resp(out, in, false);
        }
        buffer_put_text(out, command ? "" : "]");
    }
}

void sim_tell_answer(struct sim_world *w, const struct sim_region *r, const char *who,
                     struct span reply)
{
    struct buffer text = { 0 };
    sim_put_reply(&text, reply);
    sim_tell(w, r, who, "-> %.*s", (int)text.len, (const char *)text.at);
    buffer_release(&text);
}

void sim_tell_end(struct sim_world *w)
{
    if (w->trace)
        release_held(w);
}

static void name_command(char name[24], const struct sim_client *c, uint32_t n)
{
    snprintf(name, 24, "c%u:%u", c->index, n);
}

void sim_tell_command(struct sim_world *w, const struct sim_client *c, uint32_t n, struct span resp)
{
    struct buffer text = { 0 };
    char name[24];
    if (!w->trace)
        return;
    while (resp.len > 0) {
        put_resp(&text, &resp, true);
        buffer_put_text(&text, resp.len > 0 ? "; " : "");
    }
    buffer_put_u8(&text, 0);
    name_command(name, c, n);
    hold(w, c, name, "%s", (const char *)text.at);
    w->held_client = c;
    w->held_n = n;
    buffer_release(&text);
}

/* What each command of a MULTI is answered before its EXEC, if nothing is wrong. */
static bool is_dull(struct span resp)
{
    return span_equal(resp, span_str("+OK\r\n")) || span_equal(resp, span_str("+QUEUED\r\n"));
}

void sim_put_reply(struct buffer *out, struct span resp)
{
    put_resp(out, &resp, false);
}

void sim_tell_reply(struct sim_world *w, const struct sim_client *c, const struct sim_pending *to,
                    struct span resp)
{
    struct buffer text = { 0 };
    char name[24];
    sim_trace(w, "c%u.%u:%u gets %.*s", c->region + 1, c->index, to->n, (int)resp.len,
              (const char *)resp.at);
    if (!w->trace || to->n == 0 || (to->more && is_dull(resp)))
        return;
    sim_put_reply(&text, resp);
    buffer_put_u8(&text, 0);
    name_command(name, c, to->n);
    if (w->held[0] != 0 && w->held_client == c && w->held_n == to->n && !to->more) {
        fprintf(w->trace, "%s -> %s\n", w->held, (const char *)text.at);
        w->held[0] = 0;
    } else {
        tell_seen(w, &w->regions[c->region], name, "-> %s", (const char *)text.at);
    }
    buffer_release(&text);
}

/* --- batches, from the log --- */

const char *sim_stamp_text(stamp_t s, char text[SIM_STAMP_BYTES])
{
    long long ms = s == 0 ? 0 : (long long)(stamp_ms(s) - SIM_START_US / 1000);
    int len = snprintf(text, SIM_STAMP_BYTES, "%lld", ms);
    if (stamp_counter(s) != 0)
        snprintf(text + len, SIM_STAMP_BYTES - (size_t)len, "+%u", stamp_counter(s));
    return text;
}

static void put_stamp(struct buffer *out, stamp_t s)
{
    char text[SIM_STAMP_BYTES];
    buffer_put_text(out, sim_stamp_text(s, text));
}

/* Kinds that are not named here are told by their number. */
static void put_op(struct buffer *out, const struct op *op)
{
    static const char *const KINDS[] = {
        [OP_PUT] = "put",           [OP_TAKE] = "take", [OP_BUMP] = "bump",
        [OP_DEADLINE] = "deadline", [OP_DROP] = "drop",
    };
    const char *kind = (size_t)op->kind < COUNT_OF(KINDS) ? KINDS[op->kind] : NULL;
    if (kind)
        buffer_put_text(out, kind);
    else
        buffer_printf(out, "op%u", (unsigned)op->kind);
    buffer_put_u8(out, ' ');
    if (op->db != 0)
        buffer_printf(out, "%u/", op->db);
    buffer_put(out, op->key);
}

static void put_ops(struct buffer *out, const struct batch *b)
{
    struct batch_walk walk = batch_walk(b);
    struct op op;
    struct span hashed;
    const char *between = "";
    for (uint64_t i = 0; batch_next_op(&walk, &op, &hashed); i++) {
        buffer_put_text(out, between);
        if (out->len >= OPS_BYTES) {
            buffer_printf(out, "and %llu more", (unsigned long long)(b->op_count - i));
            return;
        }
        put_op(out, &op);
        between = op.more ? " & " : ", ";
    }
}

static void put_context(struct buffer *out, const struct vector *context)
{
    const char *before = "; after";
    for (uint32_t o = 0; o < context->high; o++) {
        if (context->at[o] == 0)
            continue;
        buffer_printf(out, "%s r%u ", before, o);
        put_stamp(out, context->at[o]);
        before = ",";
    }
}

static void tell_batch(struct sim_world *w, const struct sim_region *r, const struct batch *b)
{
    char who[16];
    struct buffer text = { 0 };
    bool own = replica_owns(&r->node.replica, b->origin);
    put_stamp(&text, b->from);
    buffer_put_text(&text, "..");
    put_stamp(&text, b->to);
    buffer_printf(&text, ", %llu op%s: ", (unsigned long long)b->op_count,
                  b->op_count == 1 ? "" : "s");
    put_ops(&text, b);
    if (own)
        put_context(&text, &b->context);
    snprintf(who, sizeof(who), "batch r%u", b->origin);
    tell_seen(w, r, who, "%s %.*s", own ? "sealed " : "applied", (int)text.len,
              (const char *)text.at);
    buffer_release(&text);
}

void sim_tell_log(struct sim_world *w, struct sim_region *r)
{
    struct span run;
    struct record record;
    struct batch b;
    size_t need;
    if (!w->trace)
        return;
    while (tail_read(&r->node.tail, r->told.lsn, UINT64_MAX, &run)) {
        if (record_read(run, r->told.lsn, &record, &need) != RECORD_GOOD ||
            !batch_take(record.payload, &b))
            return;
        tell_batch(w, r, &b);
        r->told.lsn += record.bytes;
    }
}

/* --- what waits --- */

static void tell_waiting(struct sim_world *w, const struct sim_region *r, uint8_t origin,
                         const char *what, stamp_t up_to, stamp_t awaited)
{
    char who[16];
    struct buffer text = { 0 };
    snprintf(who, sizeof(who), "batch r%u", origin);
    put_stamp(&text, up_to);
    buffer_printf(&text, ", waits for r%u ", stamp_origin(awaited));
    put_stamp(&text, awaited);
    tell_seen(w, r, who, "%s %.*s", what, (int)text.len, (const char *)text.at);
    buffer_release(&text);
}

void sim_tell_parked(struct sim_world *w, struct sim_region *r)
{
    const struct replica *replica = &r->node.replica;
    if (!w->trace)
        return;
    for (uint8_t origin = 1; origin < ORACLE_ORIGINS; origin++) {
        stamp_t known = replica_known(replica, origin);
        if (known > vector_get(&replica->applied, origin) && known != r->told.known[origin])
            tell_waiting(w, r, origin, "parked  up to", known, replica_awaited(replica, origin));
        if (replica->dropped[origin] != 0 && r->told.dropped[origin] == 0)
            tell_waiting(w, r, origin, "dropped after", known, replica->dropped[origin]);
        r->told.known[origin] = known;
        r->told.dropped[origin] = replica->dropped[origin];
    }
}
