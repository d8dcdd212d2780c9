#include "wire/reply.h"

#include "base/test.h"

static struct buffer out;

/* Starts a reply over the emptied buffer. */
static struct reply start(int protocol)
{
    buffer_clear(&out);
    return (struct reply){ .out = &out, .protocol = protocol };
}

TEST(simple_kinds_are_the_same_in_both_protocols)
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct reply r = start(protocol);
        reply_ok(&r);
        reply_simple(&r, "PONG");
        reply_int(&r, 0);
        reply_int(&r, INT64_MIN);
        reply_int(&r, INT64_MAX);
        reply_bulk(&r, span_of("a\0b", 3));
        reply_bulk(&r, span_of(NULL, 0));
        reply_bulk_text(&r, "twelve bytes");
        reply_bulk_text(&r, "-42");
        reply_array(&r, 10);
        static const char want[] =
            "+OK\r\n+PONG\r\n:0\r\n:-9223372036854775808\r\n:9223372036854775807\r\n"
            "$3\r\na\0b\r\n$0\r\n\r\n$12\r\ntwelve bytes\r\n$3\r\n-42\r\n*10\r\n";
        EXPECT_SPAN(buffer_span(&out), span_of(want, sizeof want - 1));
        EXPECT_EQ(r.errors, 0);
    }
    buffer_release(&out);
}

static void put_shapes(struct reply *r)
{
    reply_null(r);
    reply_null_array(r);
    reply_double(r, 0.5);
    reply_verbatim(r, span_str("hi"));
    reply_map(r, 2);
    reply_set(r, 3);
}

TEST(resp2_falls_back_to_its_own_shapes)
{
    struct reply r = start(2);
    put_shapes(&r);
    EXPECT_TEXT(buffer_span(&out), "$-1\r\n*-1\r\n$3\r\n0.5\r\n$2\r\nhi\r\n*4\r\n*3\r\n");
    buffer_release(&out);
}

TEST(resp3_has_its_shapes)
{
    struct reply r = start(3);
    put_shapes(&r);
    EXPECT_TEXT(buffer_span(&out), "_\r\n_\r\n,0.5\r\n=6\r\ntxt:hi\r\n%2\r\n~3\r\n");
    buffer_release(&out);
}

TEST(errors_are_one_line_and_counted)
{
    struct reply r = start(2);
    reply_error(&r, "ERR a\r\nb");
    reply_errorf(&r, "ERR unknown command '%s', %d", "x\n+OK\r", 7);
    EXPECT_TEXT(buffer_span(&out), "-ERR a  b\r\n-ERR unknown command 'x +OK ', 7\r\n");
    EXPECT_EQ(r.errors, 2);
    buffer_release(&out);
}

TEST(counts_can_be_set_later_and_nested)
{
    struct reply r = start(3);
    reply_ok(&r);
    size_t outer = reply_later(&r);
    reply_int(&r, 1);
    size_t inner = reply_later(&r);
    reply_bulk_text(&r, "x");
    reply_later_set(&r, inner, '~', 1);
    size_t empty = reply_later(&r);
    reply_later_set(&r, empty, '*', 0);
    reply_int(&r, 2);
    reply_later_set(&r, outer, '%', 12);
    EXPECT_TEXT(buffer_span(&out), "+OK\r\n%12\r\n:1\r\n~1\r\n$1\r\nx\r\n*0\r\n:2\r\n");
    buffer_release(&out);
}

TEST(a_later_map_counts_double_in_resp2)
{
    struct reply r = start(2);
    size_t map = reply_later(&r);
    size_t set = reply_later(&r);
    reply_int(&r, 1);
    reply_later_set(&r, set, '~', 7);
    reply_later_set(&r, map, '%', 5);
    EXPECT_TEXT(buffer_span(&out), "*10\r\n*7\r\n:1\r\n");
    buffer_release(&out);
}

TEST(a_later_count_longer_than_its_room_fits)
{
    struct reply r = start(2);
    size_t place = reply_later(&r);
    reply_int(&r, 5);
    reply_later_set(&r, place, '*', 123456789012345);
    EXPECT_TEXT(buffer_span(&out), "*123456789012345\r\n:5\r\n");
    buffer_release(&out);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
