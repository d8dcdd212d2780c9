#include "wire/message.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/crc32c.h"

static void store_u32(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> (8 * i));
}

static enum message_verdict too_short(size_t *need, size_t bytes)
{
    *need = bytes;
    return MESSAGE_SHORT;
}

enum message_verdict message_read(struct span in, size_t max_bytes, struct message *out,
                                  size_t *need)
{
    struct span rest = in;
    uint32_t len, crc;
    if (!span_take_u32(&rest, &len))
        return too_short(need, MESSAGE_HEADER_BYTES);
    if (len == 0 || len > MESSAGE_MAX || len > max_bytes)
        return MESSAGE_BAD;
    if (!span_take_u32(&rest, &crc))
        return too_short(need, MESSAGE_HEADER_BYTES);
    if (rest.len < len)
        return too_short(need, MESSAGE_HEADER_BYTES + (size_t)len);
    rest.len = len;
    if (crc32c(0, rest) != crc)
        return MESSAGE_BAD;
    if (rest.at[0] == 0 || rest.at[0] >= MESSAGE_TYPE_END)
        return MESSAGE_BAD;
    *out = (struct message){
        .type = (enum message_type)rest.at[0],
        .body = span_skip(rest, 1),
        .bytes = MESSAGE_HEADER_BYTES + (size_t)len,
    };
    return MESSAGE_GOOD;
}

size_t message_begin(struct buffer *out, enum message_type type)
{
    size_t place = out->len;
    buffer_put_u32(out, 0);
    buffer_put_u32(out, 0);
    buffer_put_u8(out, (uint8_t)type);
    return place;
}

void message_end(struct buffer *out, size_t place)
{
    CHECK(out->len > place + MESSAGE_HEADER_BYTES);
    uint8_t *header = out->at + place;
    size_t len = out->len - place - MESSAGE_HEADER_BYTES;
    CHECK(len <= MESSAGE_MAX);
    store_u32(header, (uint32_t)len);
    store_u32(header + 4, crc32c(0, span_of(header + MESSAGE_HEADER_BYTES, len)));
}

/* --- HELLO --- */

static void put_fences(struct buffer *out, const struct message_hello *m)
{
    buffer_put_varint(out, m->fence_count);
    for (uint32_t i = 0; i < m->fence_count; i++) {
        buffer_put_prefixed(out, m->fences[i].name);
        buffer_put_u32(out, m->fences[i].members);
        buffer_put_u64(out, m->fences[i].digest);
    }
}

void message_put_hello(struct buffer *out, const struct message_hello *m)
{
    size_t place = message_begin(out, MESSAGE_HELLO);
    buffer_put_u32(out, m->version);
    buffer_put_u8(out, (uint8_t)m->role);
    buffer_put_u8(out, m->region);
    buffer_put_u8(out, m->receiver);
    buffer_put_u64(out, m->instance);
    buffer_put_u64(out, m->run);
    buffer_put_u64(out, m->known_instance);
    buffer_put_u64(out, m->known_run);
    buffer_put_u8(out, (uint8_t)(m->forked | m->refuses << 1));
    buffer_put_prefixed(out, m->deployment);
    buffer_put_prefixed(out, m->region_name);
    put_fences(out, m);
    vector_put(out, &m->applied);
    vector_put(out, &m->last_op);
    message_end(out, place);
}

static bool take_name(struct span *in, struct span *name)
{
    return span_take_prefixed(in, name) && name->len <= MESSAGE_NAME_MAX;
}

static bool take_fences(struct span *in, struct message_hello *m)
{
    uint64_t count;
    if (!span_take_varint(in, &count) || count > MESSAGE_FENCES_MAX)
        return false;
    m->fence_count = (uint32_t)count;
    for (uint64_t i = 0; i < count; i++) {
        struct message_fence *f = &m->fences[i];
        if (!take_name(in, &f->name) || !span_take_u32(in, &f->members) ||
            !span_take_u64(in, &f->digest))
            return false;
    }
    return true;
}

bool message_take_hello(struct span body, struct message_hello *m)
{
    uint8_t role, flags;
    if (!span_take_u32(&body, &m->version))
        return false;
    if (m->version != MESSAGE_VERSION)
        return true;
    if (!span_take_u8(&body, &role) || role < ROLE_INTAKE || role > ROLE_INTAKE_HEALING)
        return false;
    m->role = (enum message_role)role;
    if (!span_take_u8(&body, &m->region) || !span_take_u8(&body, &m->receiver) ||
        !span_take_u64(&body, &m->instance) || !span_take_u64(&body, &m->run) ||
        !span_take_u64(&body, &m->known_instance) || !span_take_u64(&body, &m->known_run) ||
        !span_take_u8(&body, &flags) || flags > 3)
        return false;
    m->forked = flags & 1;
    m->refuses = flags >> 1;
    if (!take_name(&body, &m->deployment) || !take_name(&body, &m->region_name) ||
        !take_fences(&body, m))
        return false;
    return vector_take(&body, &m->applied) && vector_take(&body, &m->last_op) && body.len == 0;
}

/* --- REFUSED, DECLINED --- */

static void put_text(struct buffer *out, enum message_type type, const char *text)
{
    struct span line = span_str(text);
    if (line.len > MESSAGE_TEXT_MAX)
        line.len = MESSAGE_TEXT_MAX;
    size_t place = message_begin(out, type);
    buffer_put(out, line);
    message_end(out, place);
}

void message_put_refused(struct buffer *out, const char *text)
{
    put_text(out, MESSAGE_REFUSED, text);
}

void message_put_declined(struct buffer *out, const char *text)
{
    put_text(out, MESSAGE_DECLINED, text);
}

/* It goes into a log line, inside double quotes. */
bool message_take_refused(struct span body, char text[MESSAGE_TEXT_MAX + 1])
{
    if (body.len > MESSAGE_TEXT_MAX)
        return false;
    for (size_t i = 0; i < body.len; i++) {
        uint8_t c = body.at[i];
        text[i] = c < ' ' || c > '~' || c == '"' ? '?' : (char)c;
    }
    text[body.len] = '\0';
    return true;
}

bool message_take_declined(struct span body, char text[MESSAGE_TEXT_MAX + 1])
{
    return message_take_refused(body, text);
}

/* --- SUBSCRIBE --- */

static bool wants(const struct message_subscribe *m, uint32_t origin)
{
    return bits_have(m->origins, origin);
}

void message_put_subscribe(struct buffer *out, const struct message_subscribe *m)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < COUNT_OF(m->origins); i++)
        count += (uint64_t)__builtin_popcountll(m->origins[i]);
    size_t place = message_begin(out, MESSAGE_SUBSCRIBE);
    buffer_put_varint(out, count);
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        if (!wants(m, o))
            continue;
        buffer_put_u8(out, (uint8_t)o);
        buffer_put_u64(out, vector_get(&m->have, (uint8_t)o));
        buffer_put_u8(out, bits_have(m->goes_on, o));
    }
    message_end(out, place);
}

static bool take_wanted(struct span *in, struct message_subscribe *m)
{
    uint8_t origin, goes_on;
    stamp_t have;
    if (!span_take_u8(in, &origin) || !span_take_u64(in, &have) || !span_take_u8(in, &goes_on) ||
        goes_on > 1)
        return false;
    if (wants(m, origin) || (have != 0 && stamp_origin(have) != origin))
        return false;
    bits_add(m->origins, origin);
    if (goes_on)
        bits_add(m->goes_on, origin);
    if (have != 0)
        vector_set(&m->have, have);
    return true;
}

bool message_take_subscribe(struct span body, struct message_subscribe *m)
{
    uint64_t count;
    memset(m->origins, 0, sizeof m->origins);
    memset(m->goes_on, 0, sizeof m->goes_on);
    vector_clear(&m->have);
    if (!span_take_varint(&body, &count) || count > STAMP_ORIGINS)
        return false;
    for (; count > 0; count--) {
        if (!take_wanted(&body, m))
            return false;
    }
    return body.len == 0;
}

/* --- PING, PONG --- */

void message_put_ping(struct buffer *out, uint64_t t0_us)
{
    size_t place = message_begin(out, MESSAGE_PING);
    buffer_put_u64(out, t0_us);
    message_end(out, place);
}

bool message_take_ping(struct span body, uint64_t *t0_us)
{
    return span_take_u64(&body, t0_us) && body.len == 0;
}

void message_put_pong(struct buffer *out, const struct message_pong *m)
{
    size_t place = message_begin(out, MESSAGE_PONG);
    buffer_put_u64(out, m->t0_us);
    buffer_put_u64(out, m->t1_us);
    buffer_put_u64(out, m->t2_us);
    message_end(out, place);
}

bool message_take_pong(struct span body, struct message_pong *m)
{
    return span_take_u64(&body, &m->t0_us) && span_take_u64(&body, &m->t1_us) &&
           span_take_u64(&body, &m->t2_us) && body.len == 0;
}

/* --- FAULT --- */

void message_put_fault(struct buffer *out, const struct message_fault *m)
{
    size_t place = message_begin(out, MESSAGE_FAULT);
    buffer_put_u8(out, (uint8_t)m->verb);
    buffer_put_u8(out, m->a);
    buffer_put_u8(out, m->b);
    buffer_put_u32(out, m->ms);
    message_end(out, place);
}

bool message_take_fault(struct span body, struct message_fault *m)
{
    uint8_t verb;
    if (!span_take_u8(&body, &verb) || verb < FAULT_CUT || verb > FAULT_SLOW)
        return false;
    m->verb = (enum fault_verb)verb;
    return span_take_u8(&body, &m->a) && span_take_u8(&body, &m->b) &&
           span_take_u32(&body, &m->ms) && body.len == 0;
}

/* --- bootstraps --- */

void message_put_behind(struct buffer *out, const struct message_behind *m)
{
    size_t place = message_begin(out, MESSAGE_BEHIND);
    vector_put(out, &m->floor);
    message_end(out, place);
}

bool message_take_behind(struct span body, struct message_behind *m)
{
    return vector_take(&body, &m->floor) && body.len == 0;
}

void message_put_bootstrap(struct buffer *out, const struct message_bootstrap *m)
{
    size_t place = message_begin(out, MESSAGE_BOOTSTRAP);
    buffer_put_u8(out, m->resumes);
    buffer_put_u64(out, m->lsn);
    buffer_put_varint(out, m->credit);
    vector_put(out, &m->floor);
    buffer_put_prefixed(out, m->cursor);
    message_end(out, place);
}

bool message_take_bootstrap(struct span body, struct message_bootstrap *m)
{
    uint8_t resumes;
    if (!span_take_u8(&body, &resumes) || resumes > 1)
        return false;
    m->resumes = resumes;
    return span_take_u64(&body, &m->lsn) && span_take_varint(&body, &m->credit) &&
           vector_take(&body, &m->floor) && span_take_prefixed(&body, &m->cursor) &&
           m->cursor.len <= MESSAGE_CURSOR_MAX && body.len == 0;
}

void message_put_start(struct buffer *out, const struct message_start *m)
{
    size_t place = message_begin(out, MESSAGE_START);
    buffer_put_varint(out, m->keys);
    buffer_put_prefixed(out, m->start);
    message_end(out, place);
}

bool message_take_start(struct span body, struct message_start *m)
{
    return span_take_varint(&body, &m->keys) && span_take_prefixed(&body, &m->start) &&
           body.len == 0;
}

/* Most bodies of one number are alike. */
static void put_number(struct buffer *out, enum message_type type, uint64_t number)
{
    size_t place = message_begin(out, type);
    buffer_put_u64(out, number);
    message_end(out, place);
}

static bool take_number(struct span body, uint64_t *number)
{
    return span_take_u64(&body, number) && body.len == 0;
}

void message_put_written(struct buffer *out, uint64_t bytes)
{
    put_number(out, MESSAGE_WRITTEN, bytes);
}

bool message_take_written(struct span body, uint64_t *bytes)
{
    return take_number(body, bytes);
}

void message_put_barrier(struct buffer *out, uint64_t number)
{
    put_number(out, MESSAGE_BARRIER, number);
}

bool message_take_barrier(struct span body, uint64_t *number)
{
    return take_number(body, number);
}

void message_put_wanted(struct buffer *out, stamp_t stamp)
{
    put_number(out, MESSAGE_WANTED, stamp);
}

bool message_take_wanted(struct span body, stamp_t *stamp)
{
    return take_number(body, stamp);
}

void message_put_forget(struct buffer *out, uint64_t session)
{
    put_number(out, MESSAGE_FORGET, session);
}

bool message_take_forget(struct span body, uint64_t *session)
{
    return take_number(body, session);
}

void message_put_forward(struct buffer *out, const struct message_forward *m)
{
    size_t place = message_begin(out, MESSAGE_FORWARD);
    buffer_put_u64(out, m->session);
    buffer_put_u64(out, m->number);
    buffer_put_u8(out, m->hops);
    buffer_put_u64(out, m->after);
    buffer_put_varint(out, m->before);
    buffer_put_prefixed(out, m->commands);
    message_end(out, place);
}

bool message_take_forward(struct span body, struct message_forward *m)
{
    return span_take_u64(&body, &m->session) && span_take_u64(&body, &m->number) &&
           span_take_u8(&body, &m->hops) && span_take_u64(&body, &m->after) &&
           span_take_varint(&body, &m->before) && span_take_prefixed(&body, &m->commands) &&
           body.len == 0 && m->commands.len > 0;
}

void message_put_answer(struct buffer *out, const struct message_answer *m)
{
    size_t place = message_begin(out, MESSAGE_ANSWER);
    buffer_put_u64(out, m->session);
    buffer_put_u64(out, m->number);
    buffer_put_u64(out, m->stamp);
    buffer_put_u64(out, m->instance);
    buffer_put_prefixed(out, m->reply);
    message_end(out, place);
}

bool message_take_answer(struct span body, struct message_answer *m)
{
    return span_take_u64(&body, &m->session) && span_take_u64(&body, &m->number) &&
           span_take_u64(&body, &m->stamp) && span_take_u64(&body, &m->instance) &&
           span_take_prefixed(&body, &m->reply) && body.len == 0 && m->reply.len > 0;
}

void message_put_passed(struct buffer *out, const struct message_passed *m)
{
    size_t place = message_begin(out, MESSAGE_PASSED);
    buffer_put_u64(out, m->number);
    vector_put(out, &m->last_op);
    message_end(out, place);
}

bool message_take_passed(struct span body, struct message_passed *m)
{
    return span_take_u64(&body, &m->number) && vector_take(&body, &m->last_op) && body.len == 0;
}

void message_put_end(struct buffer *out, const struct vector *last_op)
{
    size_t place = message_begin(out, MESSAGE_END);
    vector_put(out, last_op);
    message_end(out, place);
}

bool message_take_end(struct span body, struct vector *last_op)
{
    return vector_take(&body, last_op) && body.len == 0;
}

/* --- VECTOR --- */

void message_put_row(struct buffer *out, uint8_t region, uint64_t instance,
                     const struct vector *applied, const struct vector *durable)
{
    buffer_put_u8(out, region);
    buffer_put_u64(out, instance);
    vector_put(out, applied);
    vector_put(out, durable);
}

bool message_next_row(struct span *rows, struct message_row *row)
{
    return span_take_u8(rows, &row->region) && span_take_u64(rows, &row->instance) &&
           vector_take(rows, &row->applied) && vector_take(rows, &row->durable);
}

bool message_take_rows(struct span body, struct span *rows)
{
    struct message_row row;
    uint64_t count;
    if (!span_take_varint(&body, &count) || count > STAMP_ORIGINS)
        return false;
    *rows = body;
    for (; count > 0; count--) {
        if (!message_next_row(&body, &row))
            return false;
    }
    return body.len == 0;
}

/* --- ROUND_TRIPS --- */

void message_put_round_trips(struct buffer *out, const struct message_round_trips *row)
{
    uint64_t count = 0;
    for (int i = 0; i < STAMP_ORIGINS; i++)
        count += row->us[i] != 0;
    buffer_put_u8(out, row->region);
    buffer_put_u64(out, row->instance);
    buffer_put_u64(out, row->sequence);
    buffer_put_varint(out, count);
    for (int i = 0; i < STAMP_ORIGINS; i++) {
        if (row->us[i] == 0)
            continue;
        buffer_put_u8(out, (uint8_t)i);
        buffer_put_u32(out, row->us[i]);
    }
}

bool message_next_round_trips(struct span *rows, struct message_round_trips *row)
{
    uint64_t count;
    int last = -1;
    memset(row, 0, sizeof *row);
    if (!span_take_u8(rows, &row->region) || !span_take_u64(rows, &row->instance) ||
        !span_take_u64(rows, &row->sequence) || !span_take_varint(rows, &count))
        return false;
    for (; count > 0; count--) {
        uint8_t region;
        uint32_t us;
        if (!span_take_u8(rows, &region) || !span_take_u32(rows, &us) || region <= last || us == 0)
            return false;
        row->us[region] = us;
        last = region;
    }
    return true;
}

bool message_take_round_trips(struct span body, struct span *rows)
{
    struct message_round_trips row;
    uint64_t count;
    if (!span_take_varint(&body, &count) || count > STAMP_ORIGINS)
        return false;
    *rows = body;
    for (; count > 0; count--) {
        if (!message_next_round_trips(&body, &row))
            return false;
    }
    return body.len == 0;
}
