#include "wire/resp_skip.h"

#include "base/buffer.h"
#include "base/test.h"
#include "wire/reply.h"

/* A reply with something of every kind, nested. */
static void put_all(struct buffer *out, int protocol)
{
    struct reply r = { .out = out, .protocol = protocol };

    reply_array(&r, 10);
    reply_ok(&r);
    reply_error(&r, "ERR no");
    reply_int(&r, -5);
    reply_bulk(&r, span_of((const uint8_t *)"a\r\nb\0c", 6));
    reply_null(&r);
    reply_null_array(&r);
    reply_map(&r, 1);
    reply_bulk_text(&r, "k");
    reply_set(&r, 2);
    reply_double(&r, 1.5);
    reply_verbatim(&r, span_str("text"));
    reply_array(&r, 0);
    reply_bulk_text(&r, "");
    reply_int(&r, 7);
}

TEST(a_reply_ends_where_it_ends)
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct buffer out = { 0 };

        put_all(&out, protocol);
        size_t len = out.len;
        buffer_put_text(&out, "+OK\r\n:5");
        EXPECT_EQ(resp_skip(buffer_span(&out)), len);
        for (size_t cut = 0; cut < len; cut++)
            EXPECT_EQ(resp_skip(span_of(out.at, cut)), 0);
        EXPECT_EQ(resp_skip(span_of(out.at + len, 7)), 5);
        EXPECT_EQ(resp_skip(span_of(out.at + len + 5, 2)), 0);
        buffer_release(&out);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
