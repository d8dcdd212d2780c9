#include "wire/rdb.h"

#include <float.h>

#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"
#include "wire/crc64.h"

/* --- files --- */

static void put_header(struct buffer *out, unsigned version)
{
    buffer_printf(out, "REDIS%04u", version);
}

static void put_end(struct buffer *out)
{
    buffer_put_u8(out, 0xff);
    buffer_put_u64(out, crc64(0, buffer_span(out)));
}

/* A string of at most 63 bytes, as in the file. */
static void put_text(struct buffer *out, struct span text)
{
    buffer_put_u8(out, (uint8_t)text.len);
    buffer_put(out, text);
}

static void put_score(struct buffer *out, double score)
{
    uint64_t bits;

    memcpy(&bits, &score, sizeof(bits));
    buffer_put_u64(out, bits);
}

#define BYTES(literal)    span_of(literal, sizeof(literal) - 1)
#define PUT(out, literal) buffer_put_bytes(out, literal, sizeof(literal) - 1)

/* --- events as text --- */

static void put_id(struct buffer *out, struct stream_id id)
{
    buffer_printf(out, " %llu-%llu", (unsigned long long)id.ms, (unsigned long long)id.sequence);
}

static void put_span(struct buffer *out, struct span text)
{
    buffer_printf(out, " %.*s", (int)text.len, (const char *)text.at);
}

static void put_item(struct buffer *out, enum rdb_type type, const struct rdb_event *e)
{
    buffer_put_text(out, "item");
    put_span(out, e->name);
    if (type == RDB_HASH)
        put_span(out, e->value);
    if (type == RDB_ZSET)
        buffer_printf(out, " %g", e->score);
}

static void put_stream(struct buffer *out, const struct rdb_stream *s)
{
    buffer_printf(out, "stream %llu", (unsigned long long)s->length);
    put_id(out, s->last_id);
    if (!s->counted)
        return;
    put_id(out, s->removed_id);
    buffer_printf(out, " %llu", (unsigned long long)s->added);
}

static void put_event(struct buffer *out, enum rdb_type type, const struct rdb_event *e)
{
    switch (e->kind) {
    case RDB_AUX:
        buffer_put_text(out, "aux");
        put_span(out, e->name);
        put_span(out, e->value);
        break;
    case RDB_LIBRARY:
        buffer_put_text(out, "library");
        put_span(out, e->value);
        break;
    case RDB_KEY:
        buffer_printf(out, "%s", rdb_type_name(e->type));
        put_span(out, e->name);
        if (e->db != 0)
            buffer_printf(out, " db=%llu", (unsigned long long)e->db);
        if (e->expires_ms != 0)
            buffer_printf(out, " until=%llu", (unsigned long long)e->expires_ms);
        break;
    case RDB_MODULE:
        buffer_put_text(out, "module");
        put_span(out, e->name);
        put_span(out, e->value);
        break;
    case RDB_ITEM:
        put_item(out, type, e);
        break;
    case RDB_ENTRY:
        buffer_put_text(out, "entry");
        put_id(out, e->id);
        for (size_t i = 0; i < e->field_count; i++)
            put_span(out, e->fields[i]);
        break;
    case RDB_STREAM:
        put_stream(out, &e->stream);
        break;
    case RDB_GROUP:
        buffer_put_text(out, "group");
        put_span(out, e->name);
        put_id(out, e->id);
        buffer_printf(out, " %lld", (long long)e->entries_read);
        break;
    case RDB_CONSUMER:
        buffer_put_text(out, "consumer");
        put_span(out, e->name);
        break;
    case RDB_PENDING:
        buffer_put_text(out, "pending");
        put_id(out, e->id);
        buffer_printf(out, " %llu %llu", (unsigned long long)e->delivered_ms,
                      (unsigned long long)e->deliveries);
        break;
    case RDB_KEY_END:
        buffer_put_text(out, "end");
        break;
    case RDB_FINISHED:
        buffer_put_text(out, "finished");
        break;
    }
    buffer_put_text(out, "\n");
}

/* Reads from memory of exactly the file's size, so that a sanitizer sees what reads on. True
 * when the file is good. */
static bool read_all(struct buffer *out, struct span file)
{
    uint8_t *copy = mem_alloc(file.len);
    enum rdb_type type = RDB_STRING;
    struct rdb_event e = { .kind = RDB_AUX };
    struct rdb r;

    if (file.len > 0)
        memcpy(copy, file.at, file.len);
    buffer_clear(out);
    rdb_init(&r, span_of(copy, file.len));
    while (e.kind != RDB_FINISHED && rdb_next(&r, &e)) {
        if (e.kind == RDB_KEY)
            type = e.type;
        put_event(out, type, &e);
    }
    bool good = r.problem == NULL;
    if (!good)
        buffer_printf(out, "at %zu: %s\n", r.problem_at, r.problem);
    rdb_release(&r);
    mem_free(copy);
    return good;
}

#define EXPECT_READ(file, text)                                                                    \
    do {                                                                                           \
        struct buffer told = { 0 };                                                                \
        read_all(&told, file);                                                                     \
        bool same = test_equal_span(__FILE__, __LINE__, #file, text, buffer_span(&told),           \
                                    span_str(text));                                               \
        buffer_release(&told);                                                                     \
        if (!same)                                                                                 \
            return;                                                                                \
    } while (0)

/* One key k whose type and value are given. */
#define EXPECT_VALUE(type_byte, value, text)                                                       \
    do {                                                                                           \
        struct buffer whole = { 0 };                                                               \
        put_header(&whole, 11);                                                                    \
        buffer_put_u8(&whole, type_byte);                                                          \
        put_text(&whole, span_str("k"));                                                           \
        buffer_put(&whole, value);                                                                 \
        put_end(&whole);                                                                           \
        EXPECT_READ(buffer_span(&whole), text "end\nfinished\n");                                  \
        buffer_release(&whole);                                                                    \
    } while (0)

#define EXPECT_PROBLEM(type_byte, value, text)                                                     \
    do {                                                                                           \
        struct buffer whole = { 0 };                                                               \
        put_header(&whole, 11);                                                                    \
        buffer_put_u8(&whole, type_byte);                                                          \
        put_text(&whole, span_str("k"));                                                           \
        buffer_put(&whole, value);                                                                 \
        put_end(&whole);                                                                           \
        EXPECT_READ(buffer_span(&whole), text "\n");                                               \
        buffer_release(&whole);                                                                    \
    } while (0)

/* --- header and end --- */

TEST(checksum_is_that_of_redis)
{
    EXPECT_EQ(crc64(0, span_str("123456789")), (int64_t)UINT64_C(0xe9c6d914c4b8d9ca));
    EXPECT_EQ(crc64(crc64(0, span_str("1234")), span_str("56789")),
              (int64_t)UINT64_C(0xe9c6d914c4b8d9ca));
}

TEST(old_versions_end_without_a_checksum)
{
    EXPECT_READ(BYTES("REDIS0001\xff"), "finished\n");
    EXPECT_READ(BYTES("REDIS0004\xff"), "finished\n");
    EXPECT_READ(BYTES("REDIS0005\xff"), "at 10: the file ends too early\n");
    EXPECT_READ(BYTES("REDIS0009\xff\0\0\0\0\0\0\0\0"), "finished\n");
    EXPECT_READ(BYTES("REDIS0009\xff\1\0\0\0\0\0\0\0"),
                "at 18: the checksum does not fit: the file is damaged\n");
}

TEST(other_files_are_refused)
{
    EXPECT_READ(BYTES(""), "at 0: this is not a dump file of Redis\n");
    EXPECT_READ(BYTES("REDIS"), "at 0: this is not a dump file of Redis\n");
    EXPECT_READ(BYTES("*3\r\n$3\r\nSET\r\n"), "at 0: this is not a dump file of Redis\n");
    EXPECT_READ(BYTES("REDIS0013\xff"), "at 9: the version of the file is not one of 1 to 12\n");
    EXPECT_READ(BYTES("REDIS0000\xff"), "at 9: the version of the file is not one of 1 to 12\n");
    EXPECT_READ(BYTES("REDIS000x\xff"), "at 9: the version of the file is not one of 1 to 12\n");
    EXPECT_READ(BYTES("REDIS0004\xff*2\r\n"),
                "at 10: something follows the end: is this an append-only file?\n");
}

/* --- what stands between keys --- */

TEST(opcodes_between_keys)
{
    struct buffer file = { 0 };

    put_header(&file, 11);
    PUT(&file, "\xfa\x03ver\x03"
               "7.2");
    PUT(&file, "\xf5\x04"
               "code");
    PUT(&file, "\xf6\x01n\x03LUA\x01\x01"
               "d\x04more");
    PUT(&file, "\xf7\x41\x02\x02\x02\x05\x02xy\x03"
               "1234\x04"
               "12345678\x01\x07\x00");
    PUT(&file, "\xfe\x03\xfb\x01\x00");
    PUT(&file, "\xfc\x40\x42\x0f\x00\x00\x00\x00\x00\xf8\x05\x00\x01k\x01v");
    PUT(&file, "\xfd\x10\x00\x00\x00\xf9\xff\x00\x01l\x01w");
    PUT(&file, "\x00\x01m\x01x");
    put_end(&file);
    EXPECT_READ(buffer_span(&file), "aux ver 7.2\nlibrary code\nlibrary more\n"
                                    "string k db=3 until=1000000\nitem v\nend\n"
                                    "string l db=3 until=16000\nitem w\nend\n"
                                    "string m db=3\nitem x\nend\nfinished\n");
    buffer_release(&file);
}

TEST(value_of_a_module_is_passed_over_and_named)
{
    struct buffer file = { 0 };
    uint64_t id = 0;

    for (const char *c = "ReJSON-RL"; *c != 0; c++) {
        const char *letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        id = id << 6 | (uint64_t)(strchr(letters, *c) - letters);
    }
    id = id << 10 | 3;
    put_header(&file, 9);
    PUT(&file, "\x07\x01j\x81");
    for (int i = 7; i >= 0; i--)
        buffer_put_u8(&file, (uint8_t)(id >> 8 * i));
    PUT(&file, "\x02\x05\x05\x02xy\x00\x00\x01k\x01v");
    put_end(&file);
    EXPECT_READ(buffer_span(&file), "module j ReJSON-RL\nstring k\nitem v\nend\nfinished\n");
    buffer_release(&file);
    EXPECT_PROBLEM(7, BYTES("\x01\x09"), "at 14: a module's value is malformed");
    EXPECT_PROBLEM(6, BYTES("\x01"),
                   "at 12: here is a value of a module of before Redis 4.0, which nothing but that "
                   "module can read");
    EXPECT_PROBLEM(22, BYTES("\x01"),
                   "at 12: there is no type or opcode 22 in files of Redis up to 7.2");
    EXPECT_PROBLEM(8, BYTES("\x01"),
                   "at 12: there is no type or opcode 8 in files of Redis up to 7.2");
}

/* --- strings --- */

TEST(lengths_of_strings_have_four_forms)
{
    EXPECT_VALUE(0, BYTES("\x00"), "string k\nitem \n");
    EXPECT_VALUE(0, BYTES("\x03xyz"), "string k\nitem xyz\n");
    EXPECT_VALUE(0, BYTES("\x40\x03xyz"), "string k\nitem xyz\n");
    EXPECT_VALUE(0, BYTES("\x80\x00\x00\x00\x03xyz"), "string k\nitem xyz\n");
    EXPECT_VALUE(0, BYTES("\x81\x00\x00\x00\x00\x00\x00\x00\x03xyz"), "string k\nitem xyz\n");
    EXPECT_PROBLEM(0, BYTES("\x82\x03xyz"), "string k\nat 12: there is no length");
    EXPECT_PROBLEM(0, BYTES("\x81\xff\xff\xff\xff\xff\xff\xff\xff"),
                   "string k\nat 21: the file ends too early");
}

TEST(strings_may_be_numbers)
{
    EXPECT_VALUE(0, BYTES("\xc0\x80"), "string k\nitem -128\n");
    EXPECT_VALUE(0, BYTES("\xc1\xff\x7f"), "string k\nitem 32767\n");
    EXPECT_VALUE(0, BYTES("\xc2\x00\x00\x00\x80"), "string k\nitem -2147483648\n");
    EXPECT_PROBLEM(0, BYTES("\xc4"), "string k\nat 12: there is no length");
}

TEST(strings_may_be_compressed)
{
    EXPECT_VALUE(0, BYTES("\xc3\x05\x0a\x00x\xe0\x00\x00"), "string k\nitem xxxxxxxxxx\n");
    EXPECT_VALUE(0, BYTES("\xc3\x06\x06\x02xyz\x20\x02"), "string k\nitem xyzxyz\n");
}

TEST(compressed_strings_that_lie_are_refused)
{
    EXPECT_PROBLEM(0, BYTES("\xc3\x05\x0b\x00x\xe0\x00\x00"),
                   "string k\nat 20: a compressed string is malformed");
    EXPECT_PROBLEM(0, BYTES("\xc3\x05\x09\x00x\xe0\x00\x00"),
                   "string k\nat 20: a compressed string is malformed");
    EXPECT_PROBLEM(0, BYTES("\xc3\x02\x03\x20\x05"),
                   "string k\nat 17: a compressed string is malformed");
    EXPECT_PROBLEM(0, BYTES("\xc3\x00\x00"),
                   "string k\nat 15: a compressed string claims an impossible length");
    EXPECT_PROBLEM(0, BYTES("\xc3\x02\x80\x3f\xff\xff\xff\x00x"),
                   "string k\nat 21: a compressed string claims an impossible length");
}

/* --- collections --- */

TEST(lists_in_four_forms)
{
    EXPECT_VALUE(1, BYTES("\x02\x01x\xc0\x05"), "list k\nitem x\nitem 5\n");
    EXPECT_VALUE(10, BYTES("\x10\x10\0\0\0\xff\xff\xff\xff\xff\xff\0\x01x\x03\xf6\xff"),
                 "list k\nitem x\nitem 5\n");
    EXPECT_VALUE(14,
                 BYTES("\x02\x0e\x0e\0\0\0\xff\xff\xff\xff\xff\xff\0\x01x\xff"
                       "\x0d\x0d\0\0\0\xff\xff\xff\xff\xff\xff\0\xf6\xff"),
                 "list k\nitem x\nitem 5\n");
    EXPECT_VALUE(18, BYTES("\x03\x01\x01x\x02\x09\x09\0\0\0\x01\0\x05\x01\xff\x01\x01z"),
                 "list k\nitem x\nitem 5\nitem z\n");
    EXPECT_PROBLEM(18, BYTES("\x01\x03\x01x"),
                   "list k\nat 14: a node of a list is of no known kind");
    EXPECT_PROBLEM(10, BYTES("\x02xx"), "list k\nat 15: the blob before this place is malformed");
}

TEST(sets_in_three_forms)
{
    EXPECT_VALUE(2, BYTES("\x02\x01x\x01y"), "set k\nitem x\nitem y\n");
    EXPECT_VALUE(11, BYTES("\x0c\x02\0\0\0\x02\0\0\0\x01\x00\x02\x00"), "set k\nitem 1\nitem 2\n");
    EXPECT_VALUE(20, BYTES("\x0c\x0c\0\0\0\x02\0\x05\x01\x81x\x02\xff"), "set k\nitem 5\nitem x\n");
}

TEST(hashes_in_four_forms)
{
    EXPECT_VALUE(4, BYTES("\x01\x01x\x01y"), "hash k\nitem x y\n");
    EXPECT_VALUE(9, BYTES("\x08\x01\x01x\x01\x01y.\xff"), "hash k\nitem x y\n");
    EXPECT_VALUE(13, BYTES("\x10\x10\0\0\0\xff\xff\xff\xff\xff\xff\0\x01x\x03\xf6\xff"),
                 "hash k\nitem x 5\n");
    EXPECT_VALUE(16, BYTES("\x0c\x0c\0\0\0\x02\0\x05\x01\x81x\x02\xff"), "hash k\nitem 5 x\n");
    EXPECT_PROBLEM(16, BYTES("\x09\x09\0\0\0\x01\0\x05\x01\xff"),
                   "hash k\nat 22: the blob before this place is malformed");
}

TEST(sorted_sets_in_four_forms)
{
    struct buffer value = { 0 };

    EXPECT_VALUE(3,
                 BYTES("\x03\x01x\x03"
                       "1.5\x01y\xfe\x01z\xff"),
                 "sorted set k\nitem x 1.5\nitem y inf\nitem z -inf\n");
    PUT(&value, "\x01\x01x");
    put_score(&value, -DBL_MAX);
    EXPECT_VALUE(5, buffer_span(&value), "sorted set k\nitem x -1.79769e+308\n");
    buffer_release(&value);
    EXPECT_VALUE(12, BYTES("\x10\x10\0\0\0\xff\xff\xff\xff\xff\xff\0\x01x\x03\xf6\xff"),
                 "sorted set k\nitem x 5\n");
    EXPECT_VALUE(17, BYTES("\x10\x10\0\0\0\x02\0\x81x\x02\x84-inf\x05\xff"),
                 "sorted set k\nitem x -inf\n");
}

TEST(scores_that_are_no_numbers_are_refused)
{
    EXPECT_PROBLEM(3, BYTES("\x01\x01x\xfd"), "sorted set k\nat 16: a score is not a number");
    EXPECT_PROBLEM(3, BYTES("\x01\x01x\x01y"), "sorted set k\nat 17: a score is not a number");
    EXPECT_PROBLEM(5, BYTES("\x01\x01x\0\0\0\0\0\0\xf8\x7f"),
                   "sorted set k\nat 23: a score is not a number");
    EXPECT_PROBLEM(17, BYTES("\x0c\x0c\0\0\0\x02\0\x05\x01\x81x\x02\xff"),
                   "sorted set k\nat 25: a score in the blob before this place is not a number");
}

/* --- streams --- */

/* Entries 5-1 {a: 1}, 5-2 (removed), 6-0 {b: x}, 7-0 {a: 9}. */
static void put_nodes(struct buffer *out)
{
    struct buffer pack = { 0 };

    PUT(&pack, "....\xff\xff"
               "\x03\x01\x01\x01\x01\x01\x81"
               "a\x02\x00\x01"                            /* 3, 1 removed; a */
               "\x02\x01\x00\x01\x00\x01\x01\x01\x04\x01" /* like it: 1 */
               "\x03\x01\x00\x01\x01\x01\x02\x01\x04\x01" /* removed */
               "\x00\x01\x01\x01\xdf\xff\x02\x01\x01\x81"
               "b\x02\x81x\x02\x06\x01" /* b: x */
               "\x02\x01\x02\x01\xdf\xff\x02\x09\x01\x04\x01\xff");
    pack.at[0] = (uint8_t)pack.len;
    pack.at[1] = pack.at[2] = pack.at[3] = 0;
    PUT(out, "\x01\x10\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01\x40");
    put_text(out, buffer_span(&pack));
    buffer_release(&pack);
}

#define ENTRIES "stream k\nentry 5-1 a 1\nentry 6-0 b x\nentry 7-0 a 9\n"

/* A group g with two consumers: c, which has 5-1, and d, which has nothing. */
static void put_group(struct buffer *out, bool counted, bool active)
{
    PUT(out, "\x01\x01g\x06\x00");
    if (counted)
        PUT(out, "\x02");
    PUT(out, "\x01\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01\x64\0\0\0\0\0\0\0\x03");
    PUT(out, "\x02\x01"
             "c\x65\0\0\0\0\0\0\0");
    if (active)
        PUT(out, "\x65\0\0\0\0\0\0\0");
    PUT(out, "\x01\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01");
    PUT(out, "\x01"
             "d\x65\0\0\0\0\0\0\0");
    if (active)
        PUT(out, "\x65\0\0\0\0\0\0\0");
    PUT(out, "\0");
}

static void put_stream_value(struct buffer *out, bool counted, bool active)
{
    put_nodes(out);
    PUT(out, "\x03\x07\x00");
    if (counted)
        PUT(out, "\x05\x01\x05\x02\x04");
    put_group(out, counted, active);
}

#define GROUP "consumer c\npending 5-1 100 3\nconsumer d\n"

TEST(streams_in_three_forms)
{
    struct buffer value = { 0 };

    put_stream_value(&value, false, false);
    EXPECT_VALUE(15, buffer_span(&value), ENTRIES "stream 3 7-0\ngroup g 6-0 -1\n" GROUP);
    buffer_clear(&value);
    put_stream_value(&value, true, false);
    EXPECT_VALUE(19, buffer_span(&value), ENTRIES "stream 3 7-0 5-2 4\ngroup g 6-0 2\n" GROUP);
    buffer_clear(&value);
    put_stream_value(&value, true, true);
    EXPECT_VALUE(21, buffer_span(&value), ENTRIES "stream 3 7-0 5-2 4\ngroup g 6-0 2\n" GROUP);
    buffer_release(&value);
}

TEST(stream_without_entries_and_groups)
{
    EXPECT_VALUE(15, BYTES("\0\0\x09\x08\0"), "stream k\nstream 0 9-8\n");
}

TEST(malformed_streams_are_refused)
{
    EXPECT_PROBLEM(15, BYTES("\x01\x03xyz"), "stream k\nat 17: a stream's node has no id");
    EXPECT_PROBLEM(15, BYTES("\x01\x10................\x02xx"),
                   "stream k\nat 33: the entries of a stream before this place are malformed");
    /* more field names than the blob could have */
    EXPECT_PROBLEM(15,
                   BYTES("\x01\x10................\x0f\x0f\0\0\0\xff\xff\x01\x01\0\x01\xc7\xff\x02"
                         "\xff"),
                   "stream k\nat 46: the entries of a stream before this place are malformed");
    EXPECT_PROBLEM(15,
                   BYTES("\0\0\x09\x08\x01\x01g\0\0\0\x01\x01"
                         "c\0\0\0\0\0\0\0\0\x01................"),
                   "stream k\nstream 0 9-8\ngroup g 0-0 -1\nconsumer c\n"
                   "at 50: a consumer has an entry that is not pending in its group");
    EXPECT_PROBLEM(
        15,
        BYTES("\0\0\x09\x08\x01\x01g\0\0\x02................\0\0\0\0\0\0\0\0\x01"
              "................\0\0\0\0\0\0\0\0\x01"),
        "stream k\nstream 0 9-8\nat 72: the pending entries of a group are out of order");
}

/* --- damage --- */

static void put_everything(struct buffer *out)
{
    put_header(out, 11);
    PUT(out, "\xfa\x03ver\x03"
             "7.2\xfe\x01\xfb\x05\x01");
    PUT(out, "\x00\x01s\xc3\x05\x0a\x00x\xe0\x00\x00");
    PUT(out, "\x12\x01l\x02\x01\x01x\x02\x09\x09\0\0\0\x01\0\x05\x01\xff");
    PUT(out, "\x0b\x01i\x0c\x02\0\0\0\x02\0\0\0\x01\x00\x02\x00");
    PUT(out, "\x09\x01h\x08\x01\x01x\x01\x01y.\xff");
    PUT(out, "\xfc\0\0\0\0\0\0\x01\0\x0c\x01z\x10\x10\0\0\0\xff\xff\xff\xff\xff\xff\0\x01x\x03\xf6"
             "\xff");
    PUT(out, "\x15\x01t");
    put_stream_value(out, true, true);
    put_end(out);
}

static bool is_refused(struct span file)
{
    struct buffer told = { 0 };
    bool good = read_all(&told, file);

    buffer_release(&told);
    return !good;
}

TEST(every_shorter_file_is_refused)
{
    struct buffer file = { 0 };

    put_everything(&file);
    EXPECT(!is_refused(buffer_span(&file)));
    for (size_t len = 0; len < file.len; len++)
        EXPECT(is_refused(span_of(file.at, len)));
    buffer_release(&file);
}

TEST(every_changed_bit_is_found)
{
    struct buffer file = { 0 };

    put_everything(&file);
    for (size_t bit = 0; bit < 8 * file.len; bit++) {
        file.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        EXPECT(is_refused(buffer_span(&file)));
        file.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buffer_release(&file);
}

/* Without a checksum any answer will do, and the sanitizers watch. */
TEST(random_damage_is_survived)
{
    struct buffer file = { 0 }, told = { 0 };
    struct prng rng;

    prng_seed(&rng, test_seed());
    for (int round = 0; round < 20000; round++) {
        buffer_clear(&file);
        put_everything(&file);
        memset(file.at + file.len - 8, 0, 8);
        for (uint64_t n = 1 + prng_below(&rng, 4); n > 0; n--)
            file.at[9 + prng_below(&rng, file.len - 9)] = (uint8_t)prng_next(&rng);
        read_all(&told, buffer_span(&file));
    }
    buffer_release(&file);
    buffer_release(&told);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
