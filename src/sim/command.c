/*
 * command -- what random clients say: templates of commands on few keys.
 *
 * K and J are keys of the template's family, F a field, V a value, N a small number, X a quarter, T
 * a time to live in milliseconds, S one in seconds, A a time since 1970. A semicolon stands between
 * commands that are sent together: a MULTI with what is in it.
 */
#include "base/check.h"
#include "sim/world.h"

struct template
{
    char family; /* the letter of its keys */
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
    { 's', "SET K V PX T" },
    { 's', "SET K V KEEPTTL" },
    { 's', "PSETEX K T V" },
    { 's', "GETEX K PX T" },
    { 's', "GETEX K PERSIST" },
    { 's', "APPEND K V" },
    { 's', "PEXPIRE K T" },
    { 'h', "PEXPIRE K T" },
    { 'm', "PEXPIRE K T" },
    { 's', "EXPIRE K S" },
    { 'm', "EXPIRE K S NX" },
    { 'h', "PEXPIRE K T GT" },
    { 's', "PEXPIRE K T LT" },
    { 's', "PEXPIREAT K A" },
    { 's', "PERSIST K" },
    { 'h', "PERSIST K" },
    { 'm', "PERSIST K" },
    { 's', "TTL K" },
    { 's', "EXPIRETIME K" },
    { 'm', "PEXPIRE K -1" },
    { 'z', "PEXPIRE K T" },
    { 'l', "PEXPIRE K T" },
    { 'e', "PEXPIRE K T" },
    { 'l', "PERSIST K" },
    { 0, NULL },
};
static const struct template KEYS[] = {
    { 's', "DEL K" },
    { 'h', "DEL K" },
    { 'm', "DEL K J" },
    { 's', "UNLINK K" },
    { 's', "RENAME K J" },
    { 'h', "RENAME K J" },
    { 'm', "RENAMENX K J" },
    { 's', "COPY K J REPLACE" },
    { 'h', "COPY K J" },
    { 'm', "COPY K K DB 1 REPLACE" },
    { 's', "MOVE K 1" },
    { 's', "EXISTS K J" },
    { 'h', "TYPE K" },
    { 'z', "DEL K" },
    { 'l', "DEL K" },
    { 'z', "RENAME K J" },
    { 'l', "RENAME K J" },
    { 'l', "COPY K J REPLACE" },
    { 'z', "COPY K J" },
    { 'l', "MOVE K 1" },
    { 0, NULL },
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
    { 's', "NOSUCH K" }, { 's', "SET K" },     { 's', "INFO" },     { 's', "SAVE" },
    { 's', "BGSAVE" },   { 's', "LASTSAVE" },  { 0, NULL },
};

static const struct template ZSETS[] = {
    { 'z', "ZADD K N F" },
    { 'z', "ZADD K X F N F" },
    { 'z', "ZADD K NX N F" },
    { 'z', "ZADD K GT CH X F" },
    { 'z', "ZINCRBY K X F" },
    { 'z', "ZINCRBY K X F" },
    { 'z', "ZREM K F" },
    { 'z', "ZREM K F F" },
    { 'z', "ZPOPMIN K" },
    { 'z', "ZPOPMAX K 2" },
    { 'z', "BZPOPMIN K J 0.02" },
    { 'z', "ZREMRANGEBYSCORE K -inf N" },
    { 'z', "ZREMRANGEBYRANK K 0 0" },
    { 'z', "ZUNIONSTORE K 2 J K" },
    { 'z', "ZINTERSTORE K 2 J K AGGREGATE MAX" },
    { 'z', "ZDIFFSTORE K 2 J K" },
    { 'z', "ZRANGESTORE K J 0 1" },
    { 'z', "ZRANGE K 0 -1 WITHSCORES" },
    { 'z', "GEOADD K X X F" },
    { 'z', "GEOSEARCHSTORE K J FROMLONLAT 1 1 BYRADIUS 400 km" },
    { 0, NULL },
};
static const struct template LISTS[] = {
    { 'l', "RPUSH K V" },
    { 'l', "RPUSH K V V V" },
    { 'l', "LPUSH K V V" },
    { 'l', "LPUSHX K V" },
    { 'l', "LPOP K" },
    { 'l', "RPOP K 2" },
    { 'l', "LINSERT K BEFORE 5 V" },
    { 'l', "LINSERT K AFTER 5 5" },
    { 'l', "RPUSH K 5" },
    { 'l', "LSET K 0 V" },
    { 'l', "LSET K -1 5" },
    { 'l', "LREM K 0 5" },
    { 'l', "LREM K 1 V" },
    { 'l', "LTRIM K 0 N" },
    { 'l', "LMOVE K J LEFT RIGHT" },
    { 'l', "RPOPLPUSH K K" },
    { 'l', "BLPOP K J 0.02" },
    { 'l', "BLMOVE K J RIGHT LEFT 0.01" },
    { 'l', "LMPOP 2 K J LEFT COUNT 2" },
    { 'l', "SORT J ALPHA STORE K" },
    { 'l', "LRANGE K 0 -1" },
    { 0, NULL },
};
static const struct template BITS[] = {
    { 's', "SETBIT K N 1" },
    { 's', "SETBIT K N 0" },
    { 's', "BITOP OR K J K" },
    { 's', "BITOP NOT K J" },
    { 's', "BITFIELD K SET u8 N 77" },
    { 's', "BITFIELD K OVERFLOW FAIL INCRBY i5 N 3" },
    { 's', "BITCOUNT K" },
    { 's', "BITPOS K 1" },
    { 's', "SETRANGE K N V" },
    { 's', "DEL K" },
    { 0, NULL },
};
static const struct template LOGS[] = {
    { 'p', "PFADD K F" },   { 'p', "PFADD K F F V" }, { 'p', "PFADD K" },
    { 'p', "PFMERGE K J" }, { 'p', "PFMERGE K J K" }, { 'p', "PFCOUNT K J" },
    { 'p', "DEL K" },       { 'p', "DEL K" },         { 'p', "RENAME K J" },
    { 'p', "COPY K J" },    { 'p', "PEXPIRE K T" },   { 0, NULL },
};
static const struct template STREAMS[] = {
    { 'e', "XADD K * F V" },
    { 'e', "XADD K * F V F V" },
    { 'e', "XADD K NOMKSTREAM * F V" },
    { 'e', "XADD K MAXLEN 3 * F V" },
    { 'e', "XADD K MAXLEN ~ 2 * F V" },
    { 'e', "XTRIM K MAXLEN N" },
    { 'e', "XREAD COUNT 5 STREAMS K J 0 0" },
    { 'e', "XREAD BLOCK 20 STREAMS K $" },
    { 'e', "XRANGE K - +" },
    { 'e', "XREVRANGE K + - COUNT 2" },
    { 'e', "DEL K" },
    { 'e', "XADD K 1-1 F V" },
    { 'e', "COPY K J REPLACE" },
    { 0, NULL },
};
static const struct template TRANSACTIONS[] = {
    { 's', "MULTI;SET K V;SET J V;EXEC" },
    { 's', "MULTI;INCR K;APPEND J V;DEL K;EXEC" },
    { 's', "WATCH K J;GET K;MULTI;SET K V;SET J V;EXEC" },
    { 's', "WATCH K;UNWATCH;MULTI;SET K V PX T;EXEC" },
    { 'm', "MULTI;SADD K F;SREM J F;DEL K;SADD K F;EXEC" },
    { 'h', "MULTI;HSET K F V;HINCRBY K F N;HDEL J F;EXEC" },
    { 'l', "MULTI;RPUSH K V;LPUSH K V;LPOP J;BLPOP J 1;EXEC" },
    { 'z', "MULTI;ZADD K N F;ZINCRBY K X F;ZREM J F;EXEC" },
    { 'p', "MULTI;PFADD K F;DEL K;PFADD K V;EXEC" },
    { 'e', "MULTI;XADD K * F V;XADD K * F V;EXEC" },
    { 's', "MULTI;SET K V;NOSUCH K;EXEC" },
    { 's', "MULTI;SET K V;DISCARD" },
    { 0, NULL },
};

const char *const sim_family_names[SIM_FAMILIES] = {
    "strings", "numbers", "hashes", "sets", "times", "keys",    "groups",
    "rare",    "zsets",   "lists",  "bits", "logs",  "streams", "transactions",
};
static const struct template *const FAMILIES[SIM_FAMILIES] = {
    STRINGS, NUMBERS, HASHES, SETS, TIMES, KEYS,    GROUPS,
    RARE,    ZSETS,   LISTS,  BITS, LOGS,  STREAMS, TRANSACTIONS,
};

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
    buffer_printf(out, "%s%c%u", w->key_prefix ? w->key_prefix : "", mixed ? 'x' : family,
                  (unsigned)prng_below(p, w->plan.keys));
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

/* The next word of one command, which ends at the end or at a semicolon. */
static bool next_word(const char **text, struct span *word)
{
    if (**text == 0 || **text == ';')
        return false;
    const char *end = *text;
    while (*end != 0 && *end != ' ' && *end != ';')
        end++;
    *word = span_of(*text, (size_t)(end - *text));
    *text = *end == ' ' ? end + 1 : end;
    return true;
}

/* One command of a template, which begins at `from`; returns where it ends. */
static const char *put_command(struct sim_world *w, struct prng *p, struct buffer *out,
                               const struct template *t, const char *from, bool mixed)
{
    struct span word;
    struct buffer text = { 0 };
    uint32_t words = 0;
    const char *at = from;
    while (next_word(&at, &word))
        words++;
    buffer_printf(out, "*%u\r\n", words);
    for (at = from; next_word(&at, &word);) {
        buffer_clear(&text);
        put_word(w, p, &text, t, word, mixed);
        buffer_printf(out, "$%zu\r\n", text.len);
        buffer_put(out, buffer_span(&text));
        buffer_put_text(out, "\r\n");
    }
    buffer_release(&text);
    return at;
}

uint32_t sim_command_make(struct sim_world *w, struct prng *p, struct buffer *out)
{
    const struct template *t = choose(w, p);
    bool mixed = prng_chance(p, w->plan.mixed);
    const char *at = put_command(w, p, out, t, t->text, mixed);
    uint32_t count = 1;
    for (; *at == ';'; count++)
        at = put_command(w, p, out, t, at + 1, mixed);
    return count;
}
