#include "base/bits.h"
#include "wire/message.h"

#include "base/crc32c.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"

static void random_vector(struct prng *rng, struct vector *v)
{
    vector_clear(v);
    for (uint64_t n = prng_below(rng, 6); n > 0; n--)
        vector_raise(v, prng_next(rng) | 1ull << 40);
}

static struct span random_name(struct prng *rng, char *room)
{
    size_t len = (size_t)prng_below(rng, 20);
    for (size_t i = 0; i < len; i++)
        room[i] = (char)('a' + prng_below(rng, 26));
    return span_of(room, len);
}

static struct message_hello random_hello(struct prng *rng, char names[2][20])
{
    struct message_hello hello = {
        .version = MESSAGE_VERSION,
        .role = (enum message_role)(ROLE_INTAKE + prng_below(rng, 3)),
        .region = (uint8_t)prng_next(rng),
        .instance = prng_next(rng),
        .run = prng_next(rng),
        .known_instance = prng_next(rng),
        .receiver = (uint8_t)prng_next(rng),
        .known_run = prng_next(rng),
        .forked = prng_below(rng, 2) == 1,
        .refuses = prng_below(rng, 2) == 1,
        .deployment = random_name(rng, names[0]),
        .region_name = random_name(rng, names[1]),
    };
    hello.fence_count = (uint32_t)prng_below(rng, MESSAGE_FENCES_MAX + 1);
    for (uint32_t i = 0; i < hello.fence_count; i++)
        hello.fences[i] = (struct message_fence){
            .name = hello.region_name,
            .members = (uint32_t)prng_next(rng),
            .digest = prng_next(rng),
        };
    random_vector(rng, &hello.applied);
    random_vector(rng, &hello.last_op);
    return hello;
}

static void random_subscribe(struct prng *rng, struct message_subscribe *m)
{
    memset(m->origins, 0, sizeof m->origins);
    random_vector(rng, &m->have);
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        if (vector_get(&m->have, (uint8_t)o) != 0 || prng_chance(rng, 20000))
            bits_add(m->origins, o);
    }
    for (int i = 0; i < 4; i++)
        m->goes_on[i] = m->origins[i] & prng_next(rng);
}

static void put_random_vector_message(struct prng *rng, struct buffer *out)
{
    uint64_t rows = prng_below(rng, 4);
    size_t place = message_begin(out, MESSAGE_VECTOR);
    buffer_put_varint(out, rows);
    for (; rows > 0; rows--) {
        struct vector applied, durable;
        random_vector(rng, &applied);
        random_vector(rng, &durable);
        message_put_row(out, (uint8_t)prng_next(rng), prng_next(rng), &applied, &durable);
    }
    message_end(out, place);
}

static void random_bootstrap(struct prng *rng, struct message_bootstrap *m, char *name)
{
    *m = (struct message_bootstrap){
        .resumes = prng_below(rng, 2) == 1,
        .lsn = prng_next(rng),
        .credit = prng_next(rng),
        .cursor = random_name(rng, name),
    };
    random_vector(rng, &m->floor);
}

static void put_random_of_bootstrap(struct prng *rng, struct buffer *out)
{
    struct message_behind behind;
    struct message_bootstrap bootstrap;
    struct vector v;
    char name[20];
    random_vector(rng, &v);
    random_vector(rng, &behind.floor);
    random_bootstrap(rng, &bootstrap, name);
    switch (prng_below(rng, 6)) {
    case 0:
        message_put_behind(out, &behind);
        break;
    case 1:
        message_put_bootstrap(out, &bootstrap);
        break;
    case 2:
        message_put_declined(out, "there is no checkpoint yet");
        break;
    case 3:
        message_put_start(out, &(struct message_start){ prng_next(rng), random_name(rng, name) });
        break;
    case 4:
        message_put_written(out, prng_next(rng));
        break;
    default:
        message_put_end(out, &v);
    }
}

static void put_random_of_promise(struct prng *rng, struct buffer *out)
{
    struct message_passed passed = { .number = prng_next(rng) };
    random_vector(rng, &passed.last_op);
    struct message_forward forward = { .session = prng_next(rng), .commands = span_str("*1") };
    struct message_answer answer = { .number = prng_next(rng), .reply = span_str("+OK") };
    switch (prng_below(rng, 6)) {
    case 3:
        message_put_forward(out, &forward);
        break;
    case 4:
        message_put_answer(out, &answer);
        break;
    case 5:
        message_put_forget(out, prng_next(rng));
        break;
    case 0:
        message_put_barrier(out, prng_next(rng));
        break;
    case 1:
        message_put_wanted(out, prng_next(rng));
        break;
    default:
        message_put_passed(out, &passed);
    }
}

/* Appends one message of any type that this file encodes. */
static void put_random(struct prng *rng, struct buffer *out)
{
    char names[2][20];
    struct message_subscribe subscribe;
    struct message_hello hello;
    switch (prng_below(rng, 9)) {
    case 8:
        put_random_of_promise(rng, out);
        break;
    case 7:
        put_random_of_bootstrap(rng, out);
        break;
    case 0:
        hello = random_hello(rng, names);
        message_put_hello(out, &hello);
        break;
    case 1:
        message_put_refused(out, "of another deployment: shop, this one is bank");
        break;
    case 2:
        random_subscribe(rng, &subscribe);
        message_put_subscribe(out, &subscribe);
        break;
    case 3:
        put_random_vector_message(rng, out);
        break;
    case 4:
        message_put_ping(out, prng_next(rng));
        break;
    case 5:
        message_put_pong(out,
                         &(struct message_pong){ prng_next(rng), prng_next(rng), prng_next(rng) });
        break;
    default:
        message_put_fault(out, &(struct message_fault){ FAULT_SLOW, 1, 2, 30 });
    }
}

static bool decode_rows(struct span body)
{
    struct span rows;
    struct message_row row;
    if (!message_take_rows(body, &rows))
        return false;
    while (message_next_row(&rows, &row))
        ;
    return true;
}

static bool decode_round_trips(struct span body)
{
    struct message_round_trips row;
    struct span rows;
    if (!message_take_round_trips(body, &rows))
        return false;
    while (message_next_round_trips(&rows, &row))
        ;
    return rows.len == 0;
}

/* Calls the decoder of a type; true when the body is well formed. */
static bool decode(enum message_type type, struct span body)
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
    struct vector last_op;
    char text[MESSAGE_TEXT_MAX + 1];
    uint64_t t0_us;
    switch (type) {
    case MESSAGE_HELLO:
        return message_take_hello(body, &hello);
    case MESSAGE_REFUSED:
        return message_take_refused(body, text);
    case MESSAGE_SUBSCRIBE:
        return message_take_subscribe(body, &subscribe);
    case MESSAGE_VECTOR:
        return decode_rows(body);
    case MESSAGE_ROUND_TRIPS:
        return decode_round_trips(body);
    case MESSAGE_PING:
        return message_take_ping(body, &t0_us);
    case MESSAGE_PONG:
        return message_take_pong(body, &pong);
    case MESSAGE_FAULT:
        return message_take_fault(body, &fault);
    case MESSAGE_BEHIND:
        return message_take_behind(body, &behind);
    case MESSAGE_BOOTSTRAP:
        return message_take_bootstrap(body, &bootstrap);
    case MESSAGE_DECLINED:
        return message_take_declined(body, text);
    case MESSAGE_START:
        return message_take_start(body, &start);
    case MESSAGE_WRITTEN:
        return message_take_written(body, &t0_us);
    case MESSAGE_END:
        return message_take_end(body, &last_op);
    case MESSAGE_BARRIER:
        return message_take_barrier(body, &t0_us);
    case MESSAGE_WANTED:
        return message_take_wanted(body, &t0_us);
    case MESSAGE_PASSED:
        return message_take_passed(body, &passed);
    case MESSAGE_FORWARD:
        return message_take_forward(body, &forward);
    case MESSAGE_ANSWER:
        return message_take_answer(body, &answer);
    case MESSAGE_FORGET:
        return message_take_forget(body, &t0_us);
    case MESSAGE_IMAGE:
    case MESSAGE_BATCHES:
    case MESSAGE_TYPE_END:
        return false;
    }
    return false;
}

TEST(hello_comes_back_as_it_went)
{
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int round = 0; round < 500; round++) {
        char names[2][20];
        struct buffer out = { 0 };
        struct message m;
        struct message_hello sent = random_hello(&rng, names), got;
        size_t need;
        message_put_hello(&out, &sent);
        EXPECT_EQ(message_read(buffer_span(&out), MESSAGE_HELLO_MAX, &m, &need), MESSAGE_GOOD);
        EXPECT_EQ(m.bytes, out.len);
        EXPECT_EQ(m.type, MESSAGE_HELLO);
        EXPECT(message_take_hello(m.body, &got));
        EXPECT_EQ(got.role, sent.role);
        EXPECT_EQ(got.region, sent.region);
        EXPECT_EQ(got.instance, sent.instance);
        EXPECT_EQ(got.run, sent.run);
        EXPECT_EQ(got.known_instance, sent.known_instance);
        EXPECT_EQ(got.receiver, sent.receiver);
        EXPECT_EQ(got.known_run, sent.known_run);
        EXPECT_EQ(got.forked, sent.forked);
        EXPECT_EQ(got.refuses, sent.refuses);
        EXPECT_SPAN(got.deployment, sent.deployment);
        EXPECT_SPAN(got.region_name, sent.region_name);
        EXPECT_EQ(got.fence_count, sent.fence_count);
        for (uint32_t i = 0; i < sent.fence_count; i++) {
            EXPECT_SPAN(got.fences[i].name, sent.fences[i].name);
            EXPECT_EQ(got.fences[i].members, sent.fences[i].members);
            EXPECT_EQ(got.fences[i].digest, sent.fences[i].digest);
        }
        EXPECT(vector_equal(&got.applied, &sent.applied));
        EXPECT(vector_equal(&got.last_op, &sent.last_op));
        buffer_release(&out);
    }
}

TEST(hello_of_another_version_tells_its_version)
{
    struct buffer body = { 0 };
    struct message_hello got;
    buffer_put_u32(&body, 7);
    buffer_put_text(&body, "whatever that version says");
    EXPECT(message_take_hello(buffer_span(&body), &got));
    EXPECT_EQ(got.version, 7);
    buffer_release(&body);
}

TEST(hello_of_the_most_origins_fits_its_limit)
{
    struct message_hello hello = { .version = MESSAGE_VERSION, .role = ROLE_FEED };
    struct buffer out = { 0 };
    struct message m;
    size_t need;
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++)
        vector_set(&hello.applied, stamp_make(1000, 0, (uint8_t)o));
    vector_copy(&hello.last_op, &hello.applied);
    hello.fence_count = MESSAGE_FENCES_MAX;
    for (uint32_t i = 0; i < MESSAGE_FENCES_MAX; i++)
        hello.fences[i].name = span_str(
            "a-fence-with-a-name-that-is-as-long-as-names-of-fences-may-be-63");
    message_put_hello(&out, &hello);
    EXPECT_EQ(message_read(buffer_span(&out), MESSAGE_HELLO_MAX, &m, &need), MESSAGE_GOOD);
    buffer_release(&out);
}

TEST(subscription_comes_back_as_it_went)
{
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int round = 0; round < 500; round++) {
        struct buffer out = { 0 };
        struct message m;
        struct message_subscribe sent, got;
        size_t need;
        random_subscribe(&rng, &sent);
        message_put_subscribe(&out, &sent);
        EXPECT_EQ(message_read(buffer_span(&out), MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
        EXPECT(message_take_subscribe(m.body, &got));
        EXPECT(memcmp(got.origins, sent.origins, sizeof got.origins) == 0);
        EXPECT(memcmp(got.goes_on, sent.goes_on, sizeof got.goes_on) == 0);
        EXPECT(vector_equal(&got.have, &sent.have));
        buffer_release(&out);
    }
}

TEST(subscription_that_names_an_origin_twice_is_refused)
{
    struct buffer body = { 0 };
    struct message_subscribe got;
    buffer_put_varint(&body, 2);
    for (int i = 0; i < 2; i++) {
        buffer_put_u8(&body, 3);
        buffer_put_u64(&body, 0);
        buffer_put_u8(&body, 0);
    }
    EXPECT(!message_take_subscribe(buffer_span(&body), &got));
    buffer_release(&body);
}

TEST(subscription_with_a_stamp_of_another_origin_is_refused)
{
    struct buffer body = { 0 };
    struct message_subscribe got;
    buffer_put_varint(&body, 1);
    buffer_put_u8(&body, 3);
    buffer_put_u64(&body, stamp_make(5, 0, 4));
    buffer_put_u8(&body, 0);
    EXPECT(!message_take_subscribe(buffer_span(&body), &got));
    buffer_release(&body);
}

TEST(rows_come_back_as_they_went)
{
    struct message_row sent[2] = { { .region = 1, .instance = 8 },
                                   { .region = 200, .instance = 1 } };
    struct buffer out = { 0 };
    struct message m;
    struct message_row got;
    struct span rows;
    size_t need, place = message_begin(&out, MESSAGE_VECTOR);
    vector_set(&sent[0].applied, stamp_make(9, 1, 1));
    vector_set(&sent[1].durable, stamp_make(9, 1, 200));
    buffer_put_varint(&out, 2);
    for (int i = 0; i < 2; i++)
        message_put_row(&out, sent[i].region, sent[i].instance, &sent[i].applied, &sent[i].durable);
    message_end(&out, place);
    EXPECT_EQ(message_read(buffer_span(&out), MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
    EXPECT(message_take_rows(m.body, &rows));
    for (int i = 0; i < 2; i++) {
        EXPECT(message_next_row(&rows, &got));
        EXPECT_EQ(got.region, sent[i].region);
        EXPECT_EQ(got.instance, sent[i].instance);
        EXPECT(vector_equal(&got.applied, &sent[i].applied));
        EXPECT(vector_equal(&got.durable, &sent[i].durable));
    }
    EXPECT(!message_next_row(&rows, &got));
    buffer_release(&out);
}

static void random_round_trips(struct prng *rng, struct message_round_trips *m)
{
    *m = (struct message_round_trips){ .region = (uint8_t)prng_next(rng),
                                       .instance = prng_next(rng),
                                       .sequence = prng_next(rng) };
    for (uint64_t i = prng_below(rng, 20); i > 0; i--)
        m->us[prng_below(rng, STAMP_ORIGINS)] = (uint32_t)prng_next(rng);
}

TEST(round_trips_come_back_as_they_went)
{
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int round = 0; round < 200; round++) {
        struct message_round_trips sent[3], got;
        struct buffer body = { 0 };
        struct span rows;
        buffer_put_varint(&body, 3);
        for (int i = 0; i < 3; i++) {
            random_round_trips(&rng, &sent[i]);
            message_put_round_trips(&body, &sent[i]);
        }
        EXPECT(message_take_round_trips(buffer_span(&body), &rows));
        for (int i = 0; i < 3; i++) {
            EXPECT(message_next_round_trips(&rows, &got));
            EXPECT(got.region == sent[i].region && got.instance == sent[i].instance &&
                   got.sequence == sent[i].sequence);
            EXPECT(memcmp(got.us, sent[i].us, sizeof got.us) == 0);
        }
        EXPECT(!message_next_round_trips(&rows, &got));
        buffer_release(&body);
    }
}

/* 1: the same region twice; 0: a time that says nothing. */
TEST(round_trips_out_of_order_or_without_a_time_are_refused)
{
    for (uint32_t second = 0; second < 2; second++) {
        struct buffer body = { 0 };
        struct span rows;
        buffer_put_varint(&body, 1);
        buffer_put_u8(&body, 3);
        buffer_put_u64(&body, 1);
        buffer_put_u64(&body, 1);
        buffer_put_varint(&body, 2);
        buffer_put_u8(&body, 7);
        buffer_put_u32(&body, 1);
        buffer_put_u8(&body, second == 1 ? 7 : 8);
        buffer_put_u32(&body, second);
        EXPECT(!message_take_round_trips(buffer_span(&body), &rows));
        buffer_release(&body);
    }
}

TEST(small_messages_come_back_as_they_went)
{
    struct buffer out = { 0 };
    struct message m;
    struct message_pong pong;
    struct message_fault fault;
    uint64_t t0_us;
    size_t need;
    message_put_ping(&out, 77);
    message_put_pong(&out, &(struct message_pong){ 1, 2, 3 });
    message_put_fault(&out, &(struct message_fault){ FAULT_HEAL, 4, 5, 6 });
    struct span in = buffer_span(&out);
    EXPECT_EQ(message_read(in, MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
    EXPECT(message_take_ping(m.body, &t0_us) && t0_us == 77);
    in = span_skip(in, m.bytes);
    EXPECT_EQ(message_read(in, MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
    EXPECT(message_take_pong(m.body, &pong) && pong.t0_us == 1 && pong.t1_us == 2 &&
           pong.t2_us == 3);
    in = span_skip(in, m.bytes);
    EXPECT_EQ(message_read(in, MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
    EXPECT(message_take_fault(m.body, &fault));
    EXPECT(fault.verb == FAULT_HEAL && fault.a == 4 && fault.b == 5 && fault.ms == 6);
    EXPECT_EQ(m.bytes, in.len);
    buffer_release(&out);
}

TEST(messages_of_a_bootstrap_come_back_as_they_went)
{
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int round = 0; round < 300; round++) {
        struct buffer out = { 0 };
        struct message_behind behind, behind_got;
        struct message_bootstrap bootstrap, bootstrap_got;
        struct message_start start_got;
        struct message m;
        struct vector v, end;
        char name[20];
        uint64_t written, bytes = prng_next(&rng);
        size_t need;
        random_vector(&rng, &behind.floor);
        random_vector(&rng, &v);
        random_bootstrap(&rng, &bootstrap, name);
        message_put_behind(&out, &behind);
        message_put_bootstrap(&out, &bootstrap);
        message_put_start(&out, &(struct message_start){ bytes, span_str("here") });
        message_put_written(&out, bytes);
        message_put_end(&out, &v);
        struct span in = buffer_span(&out);
        EXPECT_EQ(message_read(in, MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
        EXPECT(message_take_behind(m.body, &behind_got));
        EXPECT(vector_equal(&behind_got.floor, &behind.floor));
        in = span_skip(in, m.bytes);
        EXPECT_EQ(message_read(in, MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
        EXPECT(message_take_bootstrap(m.body, &bootstrap_got));
        EXPECT_EQ(bootstrap_got.resumes, bootstrap.resumes);
        EXPECT_EQ(bootstrap_got.lsn, bootstrap.lsn);
        EXPECT_EQ(bootstrap_got.credit, bootstrap.credit);
        EXPECT_SPAN(bootstrap_got.cursor, bootstrap.cursor);
        EXPECT(vector_equal(&bootstrap_got.floor, &bootstrap.floor));
        in = span_skip(in, m.bytes);
        EXPECT_EQ(message_read(in, MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
        EXPECT(message_take_start(m.body, &start_got));
        EXPECT_EQ(start_got.keys, bytes);
        EXPECT_TEXT(start_got.start, "here");
        in = span_skip(in, m.bytes);
        EXPECT_EQ(message_read(in, MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
        EXPECT(message_take_written(m.body, &written));
        EXPECT_EQ(written, bytes);
        in = span_skip(in, m.bytes);
        EXPECT_EQ(message_read(in, MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
        EXPECT(message_take_end(m.body, &end));
        EXPECT(vector_equal(&end, &v));
        EXPECT_EQ(m.bytes, in.len);
        buffer_release(&out);
    }
}

TEST(a_cursor_that_is_too_long_and_an_origin_that_is_named_twice_are_refused)
{
    static const uint8_t large[MESSAGE_CURSOR_MAX + 1];
    struct message_bootstrap bootstrap = { .cursor = span_of(large, sizeof large) };
    struct message_behind behind;
    struct buffer out = { 0 }, body = { 0 };
    struct message m;
    size_t need;
    message_put_bootstrap(&out, &bootstrap);
    EXPECT_EQ(message_read(buffer_span(&out), MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
    EXPECT(!message_take_bootstrap(m.body, &bootstrap));
    buffer_put_varint(&body, 2);
    buffer_put_u64(&body, stamp_make(1, 0, 3));
    buffer_put_u64(&body, stamp_make(2, 0, 3));
    EXPECT(!message_take_behind(buffer_span(&body), &behind));
    buffer_release(&out);
    buffer_release(&body);
}

TEST(refusal_is_one_printable_line_whatever_was_sent)
{
    char text[MESSAGE_TEXT_MAX + 1], large[400];
    struct buffer out = { 0 };
    struct message m;
    size_t need;
    EXPECT(message_take_refused(span_str("a\nb\"c\x1b[0m"), text));
    EXPECT_TEXT(span_str(text), "a?b?c?[0m");
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    EXPECT(!message_take_refused(span_str(large), text));
    message_put_refused(&out, large);
    EXPECT_EQ(message_read(buffer_span(&out), MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
    EXPECT(message_take_refused(m.body, text));
    EXPECT_EQ(strlen(text), MESSAGE_TEXT_MAX);
    buffer_release(&out);
}

/* Every prefix asks for more, never for more than there is in the end; at the end it is good. */
TEST(an_incomplete_message_asks_for_the_rest)
{
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int round = 0; round < 200; round++) {
        struct buffer out = { 0 };
        struct message m;
        size_t need = 0;
        put_random(&rng, &out);
        for (size_t len = 0; len < out.len; len++) {
            EXPECT_EQ(message_read(span_of(out.at, len), MESSAGE_MAX, &m, &need), MESSAGE_SHORT);
            EXPECT(need > len && need <= out.len);
        }
        EXPECT_EQ(message_read(buffer_span(&out), MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
        buffer_release(&out);
    }
}

TEST(a_changed_byte_is_never_taken_for_good)
{
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int round = 0; round < 2000; round++) {
        struct buffer out = { 0 };
        struct message m;
        size_t need;
        put_random(&rng, &out);
        out.at[prng_below(&rng, out.len)] ^= (uint8_t)(1 + prng_below(&rng, 255));
        EXPECT(message_read(buffer_span(&out), MESSAGE_MAX, &m, &need) != MESSAGE_GOOD);
        buffer_release(&out);
    }
}

TEST(a_message_over_the_limit_is_refused_before_its_bytes_come)
{
    struct buffer out = { 0 };
    struct message m;
    size_t need;
    buffer_put_u32(&out, MESSAGE_MAX + 1);
    EXPECT_EQ(message_read(buffer_span(&out), SIZE_MAX, &m, &need), MESSAGE_BAD);
    buffer_clear(&out);
    buffer_put_u32(&out, 101);
    EXPECT_EQ(message_read(buffer_span(&out), 100, &m, &need), MESSAGE_BAD);
    EXPECT_EQ(message_read(buffer_span(&out), 101, &m, &need), MESSAGE_SHORT);
    buffer_clear(&out);
    buffer_put_u32(&out, 0);
    EXPECT_EQ(message_read(buffer_span(&out), SIZE_MAX, &m, &need), MESSAGE_BAD);
    buffer_release(&out);
}

/* A copy of exactly its size, so that the sanitizer sees every step beyond. */
static bool decode_exact(enum message_type type, struct span body)
{
    uint8_t *copy = mem_alloc(body.len);
    if (body.len > 0)
        memcpy(copy, body.at, body.len);
    bool good = decode(type, span_of(copy, body.len));
    mem_free(copy);
    return good;
}

TEST(a_shortened_body_is_refused)
{
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int round = 0; round < 500; round++) {
        struct buffer out = { 0 };
        struct message m;
        size_t need;
        put_random(&rng, &out);
        EXPECT_EQ(message_read(buffer_span(&out), MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
        EXPECT(decode_exact(m.type, m.body));
        bool text = m.type == MESSAGE_REFUSED || m.type == MESSAGE_DECLINED; /* of any length */
        for (size_t len = 0; len < m.body.len && !text; len++)
            EXPECT(!decode_exact(m.type, span_of(m.body.at, len)));
        buffer_put_u8(&out, 0);
        EXPECT(text ||
               !decode_exact(m.type, span_of(out.at + m.bytes - m.body.len, m.body.len + 1)));
        buffer_release(&out);
    }
}

TEST(hostile_bodies_are_decoded_or_refused_without_harm)
{
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int round = 0; round < 20000; round++) {
        struct buffer out = { 0 };
        struct message m;
        size_t need;
        put_random(&rng, &out);
        EXPECT_EQ(message_read(buffer_span(&out), MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
        uint8_t *body = out.at + m.bytes - m.body.len;
        for (uint64_t n = 1 + prng_below(&rng, 4); n > 0 && m.body.len > 0; n--)
            body[prng_below(&rng, m.body.len)] = (uint8_t)prng_next(&rng);
        decode_exact((enum message_type)(1 + prng_below(&rng, MESSAGE_TYPE_END - 1)), m.body);
        buffer_release(&out);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
