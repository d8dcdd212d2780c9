#include "wire/resp.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"

/* Parses all of `text` from a copy of exactly its size, so that the sanitizer sees a read past the
 * end. */
static enum resp_status parse(struct resp_parser *p, const void *text, size_t len)
{
    static uint8_t *copy;
    free(copy);
    copy = malloc(len > 0 ? len : 1);
    if (len > 0)
        memcpy(copy, text, len);
    return resp_parse(p, span_of(copy, len));
}

static enum resp_status parse_text(struct resp_parser *p, const char *text)
{
    return parse(p, text, strlen(text));
}

TEST(a_command_is_read_in_place)
{
    struct resp_parser p;
    resp_init(&p);
    EXPECT_EQ(parse_text(&p, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\nrest"), RESP_COMMAND);
    EXPECT_EQ(p.argc, 3);
    EXPECT_TEXT(p.argv[0], "SET");
    EXPECT_TEXT(p.argv[1], "k");
    EXPECT_TEXT(p.argv[2], "");
    EXPECT_EQ(p.consumed, 26);
    resp_release(&p);
    resp_release(&p);
}

TEST(a_pipeline_is_read_command_by_command)
{
    const char *text = "*1\r\n$4\r\nPING\r\nGET a\r\n*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n\r\n";
    struct span in = span_str(text);
    static const size_t argcs[] = { 1, 2, 2, 0 };
    struct resp_parser p;
    resp_init(&p);
    for (size_t i = 0; i < 4; i++) {
        EXPECT_EQ(resp_parse(&p, in), RESP_COMMAND);
        EXPECT_EQ(p.argc, argcs[i]);
        in = span_skip(in, p.consumed);
    }
    EXPECT_EQ(in.len, 0);
    EXPECT_EQ(resp_parse(&p, in), RESP_MORE);
    resp_release(&p);
}

TEST(empty_and_negative_counts_are_empty_commands)
{
    static const char *const texts[] = { "*0\r\n", "*-1\r\n", "*-9223372036854775808\r\n",
                                         "\r\n",   "\n",      "  \t\r\n" };
    struct resp_parser p;
    resp_init(&p);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        EXPECT_EQ(parse_text(&p, texts[i]), RESP_COMMAND);
        EXPECT_EQ(p.argc, 0);
        EXPECT_EQ(p.consumed, strlen(texts[i]));
    }
    resp_release(&p);
}

static const struct {
    const char *text;
    const char *error;
} refused[] = {
    { "*x\r\n", "Protocol error: invalid multibulk length" },
    { "*\r\n", "Protocol error: invalid multibulk length" },
    { "*01\r\n", "Protocol error: invalid multibulk length" },
    { "* 1\r\n", "Protocol error: invalid multibulk length" },
    { "*+1\r\n", "Protocol error: invalid multibulk length" },
    { "*1048577\r\n", "Protocol error: invalid multibulk length" },
    { "*99999999999999999999999\r\n", "Protocol error: invalid multibulk length" },
    { "*1\r\nfoo\r\n", "Protocol error: expected '$', got 'f'" },
    { "*1\r\n\r\n", "Protocol error: expected '$', got ' '" },
    { "*1\r\n\n\r\n", "Protocol error: expected '$', got ' '" },
    { "*1\r\n\x01\r\n", "Protocol error: expected '$', got '\x01'" },
    { "*1\r\n\xff\r\n", "Protocol error: expected '$', got '\xff'" },
    { "*2\r\n$1\r\na\r\n:1\r\n", "Protocol error: expected '$', got ':'" },
    { "*1\r\n$-1\r\n", "Protocol error: invalid bulk length" },
    { "*1\r\n$\r\n", "Protocol error: invalid bulk length" },
    { "*1\r\n$x\r\n", "Protocol error: invalid bulk length" },
    { "*1\r\n$00\r\n", "Protocol error: invalid bulk length" },
    { "*1\r\n$536870913\r\n", "Protocol error: invalid bulk length" },
    { "*1\r\n$9223372036854775807\r\n", "Protocol error: invalid bulk length" },
    { "set \"a\r\n", "Protocol error: unbalanced quotes in request" },
    { "set 'a\r\n", "Protocol error: unbalanced quotes in request" },
    { "set \"a\"b\r\n", "Protocol error: unbalanced quotes in request" },
    { "set 'a'b\r\n", "Protocol error: unbalanced quotes in request" },
    { "set \"a\\\"\r\n", "Protocol error: unbalanced quotes in request" },
};

TEST(malformed_commands_are_refused_in_redis_words)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct resp_parser p;
        resp_init(&p);
        EXPECT_EQ(parse_text(&p, refused[i].text), RESP_BAD);
        EXPECT_SPAN(span_str(p.error), span_str(refused[i].error));
        resp_release(&p);
    }
}

TEST(malformed_commands_are_refused_in_pieces_too)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct resp_parser p;
        resp_init(&p);
        size_t len = strlen(refused[i].text);
        enum resp_status status = RESP_MORE;
        for (size_t have = 0; have <= len && status == RESP_MORE; have++)
            status = parse(&p, refused[i].text, have);
        EXPECT_EQ(status, RESP_BAD);
        EXPECT_SPAN(span_str(p.error), span_str(refused[i].error));
        resp_release(&p);
    }
}

/* `head`, then `fill` times 'x', byte by byte as 1,000-byte pieces come; the status after all. */
static enum resp_status flood(struct resp_parser *p, const char *head, size_t fill)
{
    struct buffer b = { 0 };
    enum resp_status status = RESP_MORE;
    buffer_put_text(&b, head);
    while (fill > 0 && status == RESP_MORE) {
        size_t piece = fill < 1000 ? fill : 1000;
        memset(buffer_room(&b, piece), '1', piece);
        b.len += piece;
        fill -= piece;
        status = resp_parse(p, buffer_span(&b));
    }
    buffer_release(&b);
    return status;
}

TEST(lines_without_end_are_refused_at_64_kb)
{
    static const struct {
        const char *head;
        const char *error;
    } floods[] = {
        { "", "Protocol error: too big inline request" },
        { "*", "Protocol error: too big mbulk count string" },
        { "*1\r\n$", "Protocol error: too big bulk count string" },
    };
    for (size_t i = 0; i < 3; i++) {
        struct resp_parser p;
        resp_init(&p);
        EXPECT_EQ(flood(&p, floods[i].head, 65535), RESP_MORE);
        resp_release(&p);
        EXPECT_EQ(flood(&p, floods[i].head, 65537), RESP_BAD);
        EXPECT_SPAN(span_str(p.error), span_str(floods[i].error));
        resp_release(&p);
    }
}

TEST(huge_announced_lengths_allocate_nothing)
{
    struct resp_parser p;
    resp_init(&p);
    EXPECT_EQ(parse_text(&p, "*1048576\r\n$67108864\r\n"), RESP_MORE);
    EXPECT_EQ(p.argv_cap, 0);
    EXPECT_EQ(p.offsets_cap, 0);
    EXPECT_EQ(p.need, 21 + 67108864 + 2);
    resp_release(&p);
}

TEST(a_large_command_leaves_no_large_array_behind)
{
    struct resp_parser p;
    struct buffer b = { 0 };
    resp_init(&p);
    buffer_put_text(&b, "*5000\r\n");
    for (int i = 0; i < 5000; i++)
        buffer_put_text(&b, "$1\r\na\r\n");
    EXPECT_EQ(resp_parse(&p, buffer_span(&b)), RESP_COMMAND);
    EXPECT_EQ(p.argc, 5000);
    EXPECT_EQ(parse_text(&p, "*1\r\n$4\r\nPING\r\n"), RESP_COMMAND);
    EXPECT(p.argv_cap <= 256);
    buffer_release(&b);
    resp_release(&p);
}

TEST(before_authentication_limits_are_small)
{
    struct resp_parser p;
    resp_init(&p);
    p.password_stage = true;
    EXPECT_EQ(parse_text(&p, "*10\r\n"), RESP_MORE);
    resp_init(&p);
    p.password_stage = true;
    EXPECT_EQ(parse_text(&p, "*11\r\n"), RESP_BAD);
    EXPECT_SPAN(span_str(p.error), span_str("Protocol error: unauthenticated multibulk length"));
    resp_init(&p);
    p.password_stage = true;
    EXPECT_EQ(parse_text(&p, "*1\r\n$16385\r\n"), RESP_BAD);
    EXPECT_SPAN(span_str(p.error), span_str("Protocol error: unauthenticated bulk length"));
    resp_release(&p);
}

TEST(inline_commands_are_unquoted_as_redis_does)
{
    static const struct {
        const char *text;
        const char *args[4];
    } lines[] = {
        { "PING\n", { "PING" } },
        { "  set  a\tb \r\n", { "set", "a", "b" } },
        { "set \"a b\" 'c d'\r\n", { "set", "a b", "c d" } },
        { "set \"\" ''\r\n", { "set", "", "" } },
        { "\"\\x41\\x4a\\n\\r\\t\\b\\a\\\\\\\"\\q\"\r\n", { "AJ\n\r\t\b\a\\\"q" } },
        { "'\\n\\'x\\x41'\r\n", { "\\n'x\\x41" } },
        { "foo\"bar\" b\r\n", { "foobar", "b" } },
        { "a\\x41 \"\\xg1\\x4\"\r\n", { "a\\x41", "xg1x4" } },
        { "$3\r\n", { "$3" } },
        { "a\vb\v\f c\r\n", { "a\vb\v\f", "c" } },
        { "\va\r\n", { "a" } },
        { "a'b'\vc\r\n", { "ab", "c" } },
    };
    struct resp_parser p;
    resp_init(&p);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        EXPECT_EQ(parse_text(&p, lines[i].text), RESP_COMMAND);
        EXPECT_EQ(p.consumed, strlen(lines[i].text));
        size_t argc = 0;
        for (; argc < 4 && lines[i].args[argc] != NULL; argc++) {
            EXPECT(argc < p.argc);
            EXPECT_TEXT(p.argv[argc], lines[i].args[argc]);
        }
        EXPECT_EQ(p.argc, argc);
    }
    resp_release(&p);
}

/* One random command as bytes; its arguments go to `args` as a plain list: length, bytes, length,
 * ... */
static size_t random_command(struct prng *r, struct buffer *bytes, struct buffer *args)
{
    size_t argc = prng_below(r, 20) == 0 ? prng_below(r, 600) : prng_below(r, 6);
    buffer_printf(bytes, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc; i++) {
        size_t len = prng_below(r, 30) == 0 ? prng_below(r, 5000) : prng_below(r, 12);
        buffer_printf(bytes, "$%zu\r\n", len);
        buffer_put_u64(args, len);
        for (size_t at = 0; at < len; at++) {
            uint8_t byte = (uint8_t) "\r\n$*0 ab"[prng_below(r, 8)];
            buffer_put_u8(bytes, byte);
            buffer_put_u8(args, byte);
        }
        buffer_put_text(bytes, "\r\n");
    }
    return argc;
}

static bool same_arguments(const struct resp_parser *p, struct span args)
{
    for (size_t i = 0; i < p->argc; i++) {
        uint64_t len;
        struct span want;
        if (!span_take_u64(&args, &len) || !span_take_bytes(&args, (size_t)len, &want))
            return false;
        if (!span_equal(p->argv[i], want))
            return false;
    }
    return args.len == 0;
}

TEST(random_commands_in_random_pieces_are_read_whole)
{
    struct prng r;
    struct resp_parser p;
    struct buffer bytes = { 0 };
    struct buffer args = { 0 };
    prng_seed(&r, test_seed());
    resp_init(&p);
    for (int round = 0; round < 2000; round++) {
        buffer_clear(&bytes);
        buffer_clear(&args);
        size_t argc = random_command(&r, &bytes, &args);
        size_t total = bytes.len;
        size_t have = prng_below(&r, 2) == 0 ? total : prng_below(&r, total);
        size_t step = 1 + prng_below(&r, total < 40 ? 3 : total / 3);
        enum resp_status status;
        while ((status = parse(&p, bytes.at, have)) == RESP_MORE) {
            EXPECT(p.need > have && p.need <= total);
            have = have + step < total ? have + step : total;
        }
        EXPECT_EQ(status, RESP_COMMAND);
        EXPECT_EQ(have, total);
        EXPECT_EQ(p.consumed, total);
        EXPECT_EQ(p.argc, argc);
        EXPECT(same_arguments(&p, buffer_span(&args)));
    }
    buffer_release(&bytes);
    buffer_release(&args);
    resp_release(&p);
}

TEST(random_bytes_never_hurt)
{
    struct prng r;
    prng_seed(&r, test_seed());
    for (int round = 0; round < 20000; round++) {
        uint8_t noise[64];
        size_t len = prng_below(&r, sizeof noise);
        for (size_t i = 0; i < len; i++)
            noise[i] = (uint8_t) "*$\r\n0123-\"' \\xa"[prng_below(&r, 16)];
        struct resp_parser p;
        resp_init(&p);
        struct span in = span_of(noise, len);
        while (in.len > 0 && parse(&p, in.at, in.len) == RESP_COMMAND) {
            EXPECT(p.consumed > 0 && p.consumed <= in.len);
            in = span_skip(in, p.consumed);
        }
        resp_release(&p);
    }
}

TEST(what_is_put_is_read_back)
{
    struct span argv[3] = { span_str("SET"), span_of((const uint8_t *)"\r\n\0$", 4), span_str("") };
    struct resp_parser p;
    struct buffer out = { 0 };

    resp_init(&p);
    resp_put_command(&out, argv, 3);
    EXPECT_EQ(resp_parse(&p, buffer_span(&out)), RESP_COMMAND);
    EXPECT_EQ(p.consumed, out.len);
    EXPECT_EQ(p.argc, 3);
    for (size_t i = 0; i < 3; i++)
        EXPECT(span_equal(p.argv[i], argv[i]));
    buffer_release(&out);
    resp_release(&p);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
