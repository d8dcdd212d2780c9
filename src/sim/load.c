/*
 * load -- clients: random commands on few keys, answers counted.
 *
 * A command is a template: K and J are keys of its family, F a field, V a value, N a small number,
 * X a quarter, T a time to live in milliseconds, S one in seconds, A a time since 1970. A client
 * sends one command or a few at once, in one piece or two, waits for all answers, thinks, and goes
 * on. The first client of each region only counts, in a database of its own.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "sim/world.h"

enum {
    COUNTER_DB = 2,
    CONNECT_MAX_US = 2000,
};

struct template
{
    char family; /* its keys: s, h, m */
    const char *text;
};

static const struct template STRINGS[] = {
    { 's', "SET K V" },   { 's', "SET K V" },    { 's', "SET K V NX" }, { 's', "SET K V XX GET" },
    { 's', "SETNX K V" }, { 's', "GETSET K V" }, { 's', "APPEND K V" }, { 's', "SETRANGE K N V" },
    { 's', "GETDEL K" },  { 's', "GET K" },      { 's', "MGET K J" },   { 's', "STRLEN K" },
    { 's', "SET K 5" },   { 0, NULL },
};
static const struct template NUMBERS[] = {
    { 's', "INCR K" },     { 's', "DECR K" },          { 's', "INCRBY K N" },
    { 's', "DECRBY K N" }, { 's', "INCRBYFLOAT K X" }, { 's', "SET K N" },
    { 's', "GET K" },      { 'h', "HINCRBY K F N" },   { 'h', "HINCRBYFLOAT K F X" },
    { 'h', "HSET K F N" }, { 's', "DEL K" },           { 'h', "HDEL K F" },
    { 0, NULL },
};
static const struct template HASHES[] = {
    { 'h', "HSET K F V" },
    { 'h', "HSET K F V F V F V" },
    { 'h', "HMSET K F V F V" },
    { 'h', "HSETNX K F V" },
    { 'h', "HDEL K F" },
    { 'h', "HDEL K F F" },
    { 'h', "HINCRBY K F N" },
    { 'h', "HGETALL K" },
    { 'h', "HGET K F" },
    { 'h', "HRANDFIELD K N" },
    { 0, NULL },
};
static const struct template SETS[] = {
    { 'm', "SADD K F" },
    { 'm', "SADD K F F F" },
    { 'm', "SREM K F" },
    { 'm', "SREM K F F" },
    { 'm', "SPOP K" },
    { 'm', "SPOP K 2" },
    { 'm', "SMOVE K J F" },
    { 'm', "SINTERSTORE K J K" },
    { 'm', "SUNIONSTORE K J K" },
    { 'm', "SDIFFSTORE K J K" },
    { 'm', "SMEMBERS K" },
    { 'm', "SRANDMEMBER K" },
    { 0, NULL },
};
static const struct template TIMES[] = {
    { 's', "SET K V PX T" },   { 's', "SET K V KEEPTTL" }, { 's', "PSETEX K T V" },
    { 's', "GETEX K PX T" },   { 's', "GETEX K PERSIST" }, { 's', "APPEND K V" },
    { 's', "PEXPIRE K T" },    { 'h', "PEXPIRE K T" },     { 'm', "PEXPIRE K T" },
    { 's', "EXPIRE K S" },     { 'm', "EXPIRE K S NX" },   { 'h', "PEXPIRE K T GT" },
    { 's', "PEXPIRE K T LT" }, { 's', "PEXPIREAT K A" },   { 's', "PERSIST K" },
    { 'h', "PERSIST K" },      { 'm', "PERSIST K" },       { 's', "TTL K" },
    { 's', "EXPIRETIME K" },   { 'm', "PEXPIRE K -1" },    { 0, NULL },
};
static const struct template KEYS[] = {
    { 's', "DEL K" },        { 'h', "DEL K" },
    { 'm', "DEL K J" },      { 's', "UNLINK K" },
    { 's', "RENAME K J" },   { 'h', "RENAME K J" },
    { 'm', "RENAMENX K J" }, { 's', "COPY K J REPLACE" },
    { 'h', "COPY K J" },     { 'm', "COPY K K DB 1 REPLACE" },
    { 's', "MOVE K 1" },     { 's', "EXISTS K J" },
    { 'h', "TYPE K" },       { 0, NULL },
};
static const struct template GROUPS[] = {
    { 's', "MSET K V J V" },   { 's', "MSET K V K V" },
    { 's', "MSETNX K V J V" }, { 's', "RENAME K J" },
    { 'm', "SMOVE K J F" },    { 'm', "SUNIONSTORE K J K" },
    { 'h', "HSET K F V F V" }, { 0, NULL },
};
static const struct template RARE[] = {
    { 's', "FLUSHDB" },  { 's', "WAIT 1 T" },  { 's', "WAIT 1 T" }, { 's', "SCAN 0" },
    { 's', "DBSIZE" },   { 's', "RANDOMKEY" }, { 's', "KEYS *" },   { 's', "PING" },
    { 's', "NOSUCH K" }, { 's', "SET K" },     { 's', "INFO" },     { 0, NULL },
};

const char *const sim_family_names[SIM_FAMILIES] = { "strings", "numbers", "hashes", "sets",
                                                     "times",   "keys",    "groups", "rare" };
static const struct template *const FAMILIES[SIM_FAMILIES] = { STRINGS, NUMBERS, HASHES, SETS,
                                                               TIMES,   KEYS,    GROUPS, RARE };

/* --- making a command --- */

static const struct template *choose(struct sim_world *w, struct prng *p)
{
    uint32_t sum = 0, family = 0;
    for (uint32_t i = 0; i < SIM_FAMILIES; i++)
        sum += w->plan.families[i];
    for (uint64_t at = prng_below(p, sum); at >= w->plan.families[family]; family++)
        at -= w->plan.families[family];
    const struct template *list = FAMILIES[family];
    uint32_t count = 0;
    while (list[count].text)
        count++;
    return &list[prng_below(p, count)];
}

static void put_key(struct sim_world *w, struct prng *p, struct buffer *out, char family,
                    bool mixed)
{
    buffer_printf(out, "%c%u", mixed ? 'x' : family, (unsigned)prng_below(p, w->plan.keys));
}

static void put_value(struct prng *p, struct buffer *out)
{
    static const char *const ODD[] = { "", "text", "-7", "2.5",
                                       "a somewhat longer value, to be moved about" };
    if (prng_below(p, 5) == 0)
        buffer_put_text(out, ODD[prng_below(p, COUNT_OF(ODD))]);
    else
        buffer_printf(out, "%u", (unsigned)prng_below(p, 100));
}

static void put_word(struct sim_world *w, struct prng *p, struct buffer *out,
                     const struct template *t, struct span word, bool mixed)
{
    switch (word.len == 1 ? word.at[0] : 0) {
    case 'K':
    case 'J':
        put_key(w, p, out, t->family, mixed);
        break;
    case 'F':
        buffer_printf(out, "f%u", (unsigned)prng_below(p, w->plan.fields));
        break;
    case 'V':
        put_value(p, out);
        break;
    case 'N':
        buffer_printf(out, "%d", (int)prng_below(p, 12));
        break;
    case 'X':
        buffer_printf(out, "%g", ((double)prng_below(p, 40) - 16) / 4);
        break;
    case 'T':
        buffer_printf(out, "%llu", (unsigned long long)(1 + prng_below(p, w->plan.ttl_max_ms)));
        break;
    case 'S':
        buffer_put_text(out, prng_below(p, 4) ? "1" : "1000000");
        break;
    case 'A':
        buffer_printf(out, "%llu",
                      (unsigned long long)(w->now_us / 1000 + prng_below(p, w->plan.ttl_max_ms)));
        break;
    default:
        buffer_put(out, word);
    }
}

/* The next word of a text that is separated by blanks. */
static bool next_word(const char **text, struct span *word)
{
    if (**text == 0)
        return false;
    const char *end = *text;
    while (*end != 0 && *end != ' ')
        end++;
    *word = span_of(*text, (size_t)(end - *text));
    *text = *end == ' ' ? end + 1 : end;
    return true;
}

static void put_command(struct sim_world *w, struct prng *p, struct buffer *out,
                        const struct template *t)
{
    struct span word;
    struct buffer text = { 0 };
    uint32_t words = 0;
    bool mixed = prng_chance(p, w->plan.mixed);
    for (const char *at = t->text; next_word(&at, &word);)
        words++;
    buffer_printf(out, "*%u\r\n", words);
    for (const char *at = t->text; next_word(&at, &word);) {
        buffer_clear(&text);
        put_word(w, p, &text, t, word, mixed);
        buffer_printf(out, "$%zu\r\n", text.len);
        buffer_put(out, buffer_span(&text));
        buffer_put_text(out, "\r\n");
    }
    buffer_release(&text);
}

/* --- sending --- */

static bool counts(const struct sim_client *c)
{
    return c->index == 0;
}

/* Draws the client's next command, and lines it up unless it is left out. */
static void add_command(struct sim_world *w, struct sim_client *c)
{
    size_t before = c->unsent.len;
    struct sim_pending pending = { .n = ++c->drawn };
    w->sent++;
    if (counts(c)) {
        pending.counter_by = (int64_t)prng_below(&c->commands, 100) - 30;
        buffer_printf(&c->unsent, "%s sum %lld\r\n", pending.counter_by < 0 ? "DECRBY" : "INCRBY",
                      llabs(pending.counter_by));
    } else {
        put_command(w, &c->commands, &c->unsent, choose(w, &c->commands));
    }
    if (!selection_has(&w->only.commands, selection_command(c->region, c->index, c->drawn))) {
        c->unsent.len = before;
        return;
    }
    c->pending[c->pending_count++] = pending;
    sim_tell_command(w, c, pending.n, span_skip(buffer_span(&c->unsent), before));
}

/* Hands in some of what is to be sent, or all. */
static void send_part(struct sim_world *w, struct sim_client *c, size_t bytes)
{
    struct sim_region *r = &w->regions[c->region];
    struct buffer part = { 0 };
    buffer_put_bytes(&part, c->unsent.at, bytes);
    buffer_consume(&c->unsent, bytes);
    sim_trace(w, "r%u client %u sends %.*s", r->index + 1, c->index, (int)part.len,
              (const char *)part.at);
    sim_turn_begin(w, r);
    node_session_input(&r->node, c->session, buffer_span(&part));
    sim_turn_end(w, r);
    buffer_release(&part);
}

static void connect(struct sim_world *w, struct sim_client *c)
{
    struct sim_region *r = &w->regions[c->region];
    sim_turn_begin(w, r);
    c->session = node_session_open(&r->node, c, "sim", "sim");
    if (!c->session)
        sim_fail(w, "region %u takes no client", r->index + 1);
    sim_turn_end(w, r);
    if (!counts(c) || !c->session)
        return;
    buffer_printf(&c->unsent, "SELECT %d\r\n", COUNTER_DB);
    c->pending[c->pending_count++] = (struct sim_pending){ 0 };
}

static void act(struct sim_world *w, struct sim_event *e);

static void act_after(struct sim_world *w, struct sim_client *c, uint64_t after_us)
{
    if (c->thinking)
        return;
    c->thinking = true;
    sim_for_region(w, &w->regions[c->region], after_us, act)->what = c;
}

static void think(struct sim_world *w, struct sim_client *c)
{
    act_after(w, c, sim_around(&c->pace, w->plan.think_us, 50000));
}

static void act(struct sim_world *w, struct sim_event *e)
{
    struct sim_client *c = e->what;
    c->thinking = false;
    if (c->unsent.len == 0 && c->pending_count == 0) {
        if (w->sent >= w->plan.steps || w->healed)
            return;
        if (!c->session)
            connect(w, c);
        uint64_t count = 1 + prng_below(&c->commands, w->plan.pipeline);
        while (count-- > 0)
            add_command(w, c);
    }
    if (!c->session)
        return;
    if (c->unsent.len == 0) {
        think(w, c); /* all were left out */
        return;
    }
    size_t bytes = c->unsent.len;
    if (prng_chance(&c->pace, 100000))
        bytes = 1 + (size_t)prng_below(&c->pace, bytes);
    bool more = bytes < c->unsent.len;
    if (more)
        act_after(w, c, 1 + prng_below(&c->pace, 2000));
    send_part(w, c, bytes);
}

/* Clients come at once: before a region that was restarted has heard of the others. */
void sim_load_start(struct sim_world *w, struct sim_region *r)
{
    for (uint32_t i = 0; i < w->plan.clients; i++)
        act_after(w, &r->clients[i], prng_below(&r->clients[i].pace, CONNECT_MAX_US));
}

/* --- answers --- */

/* The length of the whole reply at the front, RESP2; 0 when it is not all there; -1 when it is
 * none. */
static ptrdiff_t reply_length(struct span in)
{
    const uint8_t *end = in.len > 0 ? memchr(in.at, '\n', in.len) : NULL;
    if (!end)
        return 0;
    ptrdiff_t line = end - in.at + 1;
    int64_t number;
    bool counted = in.at[0] == '$' || in.at[0] == '*';
    if (in.at[0] == '+' || in.at[0] == '-')
        return line;
    if (line < 4 || !span_to_int64(span_of(in.at + 1, (size_t)line - 3), &number))
        return -1;
    if (!counted)
        return in.at[0] == ':' ? line : -1;
    if (in.at[0] == '$')
        return number < 0 ? line : (ptrdiff_t)in.len >= line + number + 2 ? line + number + 2 : 0;
    for (; number > 0; number--) {
        ptrdiff_t item = reply_length(span_skip(in, (size_t)line));
        if (item <= 0)
            return item;
        line += item;
    }
    return line;
}

static void take_answer(struct sim_world *w, struct sim_client *c, struct span reply)
{
    if (c->pending_count == 0) {
        sim_fail(w, "region %u client %u: an answer to nothing", c->region + 1, c->index);
        return;
    }
    sim_tell_reply(w, c, c->pending[0].n, reply);
    w->answered++;
    if (reply.at[0] == '-')
        w->errors++;
    else
        w->counter_acknowledged += c->pending[0].counter_by;
    memmove(c->pending, c->pending + 1, --c->pending_count * sizeof(c->pending[0]));
}

static void take_answers(struct sim_world *w, struct sim_client *c)
{
    ptrdiff_t len;
    while ((len = reply_length(buffer_span(&c->answers))) > 0) {
        take_answer(w, c, span_of(c->answers.at, (size_t)len));
        buffer_consume(&c->answers, (size_t)len);
    }
    if (len < 0)
        sim_fail(w, "region %u client %u: not a reply: %.*s", c->region + 1, c->index,
                 (int)c->answers.len, (const char *)c->answers.at);
}

void sim_load_answers(struct sim_world *w, struct sim_client *c)
{
    struct sim_region *r = &w->regions[c->region];
    struct span out = node_session_output(c->session);
    buffer_put(&c->answers, out);
    node_session_sent(&r->node, c->session, out.len);
    take_answers(w, c);
    if (c->session->killed || c->session->closing)
        sim_fail(w, "region %u client %u: its session ends", c->region + 1, c->index);
    if (c->pending_count > 0 || c->unsent.len > 0)
        return;
    /* Every answer is here: each of this session's writes is acknowledged. */
    if (w->plan.fsync == FSYNC_ALWAYS && c->session->last_write > r->acknowledged)
        r->acknowledged = c->session->last_write;
    think(w, c);
}

/* What was sent and not answered may have happened or not. */
void sim_load_region_down(struct sim_world *w, struct sim_region *r)
{
    for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++) {
        struct sim_client *c = &r->clients[i];
        for (uint32_t k = 0; k < c->pending_count; k++) {
            int64_t by = c->pending[k].counter_by;
            if (by > 0)
                w->counter_maybe_up += by;
            else
                w->counter_maybe_down += by;
        }
        c->pending_count = 0;
        c->thinking = false;
        c->session = NULL;
        buffer_clear(&c->answers);
        buffer_clear(&c->unsent);
    }
    if (w->plan.fsync != FSYNC_ALWAYS)
        w->counter_lost = true;
}

bool sim_load_idle(const struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        for (uint32_t k = 0; k < SIM_CLIENTS_MAX; k++) {
            if (w->regions[i].clients[k].pending_count > 0)
                return false;
        }
    }
    return true;
}
