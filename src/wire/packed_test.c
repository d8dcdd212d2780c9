#include "wire/packed.h"

#include "base/buffer.h"
#include "base/test.h"

/* The elements, each in angle brackets; "bad" at the end of a malformed blob. */
static void walk(struct buffer *out, enum packed_kind kind, struct span blob)
{
    struct packed p;
    char digits[PACKED_DIGITS];
    struct span element;
    bool good = packed_open(&p, kind, blob);

    buffer_clear(out);
    while (good) {
        enum packed_step step = packed_next(&p, digits, &element);

        if (step == PACKED_END)
            return;
        good = step == PACKED_ITEM;
        if (good)
            buffer_printf(out, "<%.*s>", (int)element.len, (const char *)element.at);
    }
    buffer_put_text(out, "bad");
}

#define BYTES(literal) span_of(literal, sizeof(literal) - 1)

#define EXPECT_WALK(kind, blob, text)                                                              \
    do {                                                                                           \
        struct buffer walked = { 0 };                                                              \
        walk(&walked, kind, blob);                                                                 \
        bool same = test_equal_span(__FILE__, __LINE__, #blob, text, buffer_span(&walked),         \
                                    span_str(text));                                               \
        buffer_release(&walked);                                                                   \
        if (!same)                                                                                 \
            return;                                                                                \
    } while (0)

/* Puts the header of a ziplist or listpack around entries. */
static void frame(struct buffer *out, enum packed_kind kind, struct span entries)
{
    size_t header = kind == PACKED_ZIPLIST ? 10 : 6;

    buffer_clear(out);
    buffer_put_u32(out, (uint32_t)(header + entries.len + 1));
    for (size_t i = 4; i < header; i++)
        buffer_put_u8(out, 0xff);
    buffer_put(out, entries);
    buffer_put_u8(out, 0xff);
}

#define EXPECT_FRAMED(kind, entries, text)                                                         \
    do {                                                                                           \
        struct buffer framed = { 0 };                                                              \
        frame(&framed, kind, entries);                                                             \
        struct span blob = buffer_span(&framed);                                                   \
        EXPECT_WALK(kind, blob, text);                                                             \
        buffer_release(&framed);                                                                   \
    } while (0)

TEST(ziplist_has_strings_of_three_lengths_and_numbers_of_six)
{
    EXPECT_FRAMED(PACKED_ZIPLIST, BYTES(""), "");
    EXPECT_FRAMED(PACKED_ZIPLIST,
                  BYTES("\x00\x02"
                        "ab"
                        "\x04\x40\x03"
                        "cde"
                        "\xfe\x06\x00\x00\x00\x80\x00\x00\x00\x01"
                        "f"),
                  "<ab><cde><f>");
    EXPECT_FRAMED(PACKED_ZIPLIST,
                  BYTES("\x00\xf1"
                        "\x02\xfd"
                        "\x02\xfe\xff"
                        "\x03\xc0\x00\x80"
                        "\x04\xf0\xff\xff\x7f"
                        "\x05\xd0\x00\x00\x00\x80"
                        "\x06\xe0\xff\xff\xff\xff\xff\xff\xff\x7f"),
                  "<0><12><-1><-32768><8388607><-2147483648><9223372036854775807>");
}

TEST(listpack_has_strings_of_three_lengths_and_numbers_of_six)
{
    EXPECT_FRAMED(PACKED_LISTPACK,
                  BYTES("\x82"
                        "ab\x03"
                        "\xe0\x03"
                        "cde\x05"
                        "\xf0\x01\x00\x00\x00"
                        "f\x06"
                        "\x80\x01"),
                  "<ab><cde><f><>");
    EXPECT_FRAMED(PACKED_LISTPACK,
                  BYTES("\x00\x01"
                        "\x7f\x01"
                        "\xdf\xff\x02"
                        "\xd0\x00\x02"
                        "\xcf\xff\x02"
                        "\xf1\x00\x80\x03"
                        "\xf2\x00\x00\x80\x04"
                        "\xf3\xff\xff\xff\x7f\x05"
                        "\xf4\x00\x00\x00\x00\x00\x00\x00\x80\x09"),
                  "<0><127><-1><-4096><4095><-32768><-8388608><2147483647><-9223372036854775808>");
}

/* A string of so many bytes as an entry by itself: what follows it is found only if the length at its
 * end was passed over rightly. */
static bool finds_what_follows(size_t bytes, size_t length_bytes)
{
    struct buffer entries = { 0 }, framed = { 0 };
    char digits[PACKED_DIGITS];
    struct packed p;
    struct span element;

    buffer_put_u8(&entries, 0xf0);
    buffer_put_u32(&entries, (uint32_t)bytes);
    memset(buffer_room(&entries, bytes + length_bytes), 'x', bytes + length_bytes);
    entries.len += bytes + length_bytes;
    buffer_put_bytes(&entries, "\x05\x01", 2);
    frame(&framed, PACKED_LISTPACK, buffer_span(&entries));
    bool found = packed_open(&p, PACKED_LISTPACK, buffer_span(&framed)) &&
                 packed_next(&p, digits, &element) == PACKED_ITEM && element.len == bytes &&
                 packed_next(&p, digits, &element) == PACKED_ITEM &&
                 span_equal(element, span_str("5")) &&
                 packed_next(&p, digits, &element) == PACKED_END;
    buffer_release(&entries);
    buffer_release(&framed);
    return found;
}

TEST(listpack_entries_end_with_their_length_as_redis_writes_it)
{
    EXPECT(finds_what_follows(127 - 5, 1));
    EXPECT(finds_what_follows(128 - 5, 2));
    EXPECT(finds_what_follows(16382 - 5, 2));
    EXPECT(finds_what_follows(16383 - 5, 3));
    EXPECT(finds_what_follows(2097150 - 5, 3));
    EXPECT(finds_what_follows(2097151 - 5, 4));
}

TEST(intset_has_numbers_of_one_width)
{
    EXPECT_WALK(PACKED_INTSET, BYTES("\x02\x00\x00\x00\x02\x00\x00\x00\xff\xff\x05\x00"),
                "<-1><5>");
    EXPECT_WALK(PACKED_INTSET, BYTES("\x04\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x80"),
                "<-2147483648>");
    EXPECT_WALK(PACKED_INTSET,
                BYTES("\x08\x00\x00\x00\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f"),
                "<9223372036854775807>");
    EXPECT_WALK(PACKED_INTSET, BYTES("\x03\x00\x00\x00\x01\x00\x00\x00\x01\x02\x03"), "bad");
    EXPECT_WALK(PACKED_INTSET, BYTES("\x02\x00\x00\x00\x02\x00\x00\x00\xff\xff"), "bad");
    EXPECT_WALK(PACKED_INTSET, BYTES("\x02\x00\x00"), "bad");
}

TEST(zipmap_has_names_and_padded_values)
{
    EXPECT_WALK(PACKED_ZIPMAP, BYTES("\x00\xff"), "");
    EXPECT_WALK(PACKED_ZIPMAP,
                BYTES("\x02\x01"
                      "f\x01\x00"
                      "v\x02"
                      "gg\x01\x03"
                      "w...\xff"),
                "<f><v><gg><w>");
    EXPECT_WALK(PACKED_ZIPMAP,
                BYTES("\x01\xfe\x01\x00\x00\x00"
                      "f\xfe\x02\x00\x00\x00\x00"
                      "vv\xff"),
                "<f><vv>");
    EXPECT_WALK(PACKED_ZIPMAP,
                BYTES("\x01\x01"
                      "f\xff"),
                "<f>bad");
    EXPECT_WALK(PACKED_ZIPMAP,
                BYTES("\x01\x01"
                      "f\x01\x09"
                      "v\xff"),
                "<f>bad");
}

TEST(blob_that_does_not_end_where_it_says_is_bad)
{
    EXPECT_FRAMED(PACKED_LISTPACK, BYTES("\x82"), "bad");
    EXPECT_FRAMED(PACKED_LISTPACK, BYTES("\xf0\xff\xff\xff\xff"), "bad");
    EXPECT_FRAMED(PACKED_LISTPACK, BYTES("\x05\x01\xff\x05\x01"), "<5>bad");
    EXPECT_FRAMED(PACKED_LISTPACK, BYTES("\xf5\x01"), "bad");
    EXPECT_FRAMED(PACKED_ZIPLIST, BYTES("\x00\xf0\x01"), "bad");
    EXPECT_FRAMED(PACKED_ZIPLIST, BYTES("\x00\x80\xff\xff\xff\xff"), "bad");
    EXPECT_WALK(PACKED_LISTPACK, BYTES("\x08\x00\x00\x00\x00\x00\xff"), "bad");
    EXPECT_WALK(PACKED_LISTPACK, BYTES("\x06\x00\x00\x00\x00\x00"), "bad");
    EXPECT_WALK(PACKED_ZIPLIST, BYTES(""), "bad");
    EXPECT_WALK(PACKED_ZIPMAP, BYTES("\x00"), "bad");
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
