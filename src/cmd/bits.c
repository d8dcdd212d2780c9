/*
 * bits -- strings as arrays of bits. What these commands write is the whole resulting value:
 * concurrent ones do not mix.
 */
#include "cmd/bits.h"
#include "base/memory.h"

bool bits_offset(struct call *call, struct span s, unsigned width, uint64_t *offset)
{
    bool fields = width > 0 && s.len > 0 && s.at[0] == '#';
    int64_t number;

    if (span_to_int64(fields ? span_skip(s, 1) : s, &number) && number >= 0 &&
        (!fields || number <= INT64_MAX / (int64_t)width)) {
        *offset = (uint64_t)number * (fields ? width : 1);
        if (*offset / 8 < STRING_BYTES_MAX)
            return true;
    }
    reply_error(call->reply, "ERR bit offset is not an integer or out of range");
    return false;
}

void bits_copy(struct buffer *out, struct span text, size_t len)
{
    buffer_put(out, text);
    if (text.len < len) {
        memset(buffer_room(out, len - text.len), 0, len - text.len);
        out->len = len;
    }
}

static bool bit_at(struct span text, uint64_t offset)
{
    return offset / 8 < text.len && text.at[offset / 8] >> (7 - offset % 8) & 1;
}

/* --- GETBIT, SETBIT --- */

void cmd_getbit(struct call *call)
{
    char scratch[CELL_SCRATCH_BYTES];
    uint64_t offset;
    struct span text;

    if (bits_offset(call, call->argv[2], 0, &offset) &&
        data_find_text(call, call->argv[1], scratch, &text))
        reply_int(call->reply, bit_at(text, offset));
}

bool bits_fit(struct call *call, struct span text, size_t len)
{
    return call_fits_group(call, len > text.len ? len : text.len);
}

void cmd_setbit(struct call *call)
{
    static const char *const error = "ERR bit is not an integer or out of range";
    char scratch[CELL_SCRATCH_BYTES];
    struct buffer whole = { 0 };
    uint64_t offset;
    int64_t bit;
    struct span text;

    if (!bits_offset(call, call->argv[2], 0, &offset) ||
        !data_int_within(call, call->argv[3], 0, 1, error, &bit) ||
        !data_find_text(call, call->argv[1], scratch, &text) ||
        !bits_fit(call, text, offset / 8 + 1))
        return;
    reply_int(call->reply, bit_at(text, offset));
    bits_copy(&whole, text, offset / 8 + 1);
    uint8_t mask = (uint8_t)(0x80 >> offset % 8);
    whole.at[offset / 8] = (uint8_t)((whole.at[offset / 8] & ~mask) | (bit ? mask : 0));
    emit_string(call->replica, call->db, call->argv[1], buffer_span(&whole), TIME_KEEP, 0);
    buffer_release(&whole);
}

/* --- ranges: BITCOUNT, BITPOS --- */

/* Bits [from, to). */
struct range {
    uint64_t from, to;
};

/* The unit of a range's numbers in bits: BYTE or BIT; 0 with the error replied. */
static int64_t take_unit(struct call *call, size_t index)
{
    if (index >= call->argc || call_is(call, index, "byte"))
        return 8;
    if (call_is(call, index, "bit"))
        return 1;
    call_syntax_error(call);
    return 0;
}

/* `first` and `last` counted in, negative ones from the end. False when nothing is in it. */
static bool clip(int64_t first, int64_t last, int64_t unit, struct span text, struct range *range)
{
    int64_t len = (int64_t)text.len * 8 / unit;

    if (first < 0)
        first = first < -len ? 0 : first + len;
    if (last < 0)
        last = last < -len ? 0 : last + len;
    if (last >= len)
        last = len - 1;
    if (first > last)
        return false;
    *range = (struct range){ (uint64_t)(first * unit), (uint64_t)((last + 1) * unit) };
    return true;
}

static uint64_t count_bits(struct span text, struct range r)
{
    uint64_t count = 0;

    for (; r.from < r.to && r.from % 8 != 0; r.from++)
        count += bit_at(text, r.from);
    for (; r.from + 64 <= r.to; r.from += 64) {
        uint64_t word;

        memcpy(&word, text.at + r.from / 8, sizeof(word));
        count += (uint64_t)__builtin_popcountll(word);
    }
    for (; r.from < r.to; r.from++)
        count += bit_at(text, r.from);
    return count;
}

/* Looks at the other arguments only when the key is there, as Redis does. */
void cmd_bitcount(struct call *call)
{
    char scratch[CELL_SCRATCH_BYTES];
    int64_t first = 0, last = -1, unit;
    struct range range;
    struct entry *e;

    if (!call_find(call, call->argv[1], COMPONENT_STRING, &e))
        return;
    if (e == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    if (call->argc == 3 || call->argc > 5) {
        call_syntax_error(call);
        return;
    }
    if (call->argc > 3 &&
        (!call_int(call, call->argv[2], &first) || !call_int(call, call->argv[3], &last)))
        return;
    if (first < 0 && last < 0 && first > last) {
        reply_int(call->reply, 0);
        return;
    }
    unit = take_unit(call, 4);
    if (unit == 0)
        return;
    struct span text = data_string(e, scratch);
    bool any = clip(first, last, unit, text, &range);
    reply_int(call->reply, any ? (int64_t)count_bits(text, range) : 0);
}

static int64_t find_bit(struct span text, struct range r, bool bit)
{
    uint8_t skipped = bit ? 0x00 : 0xff;

    for (; r.from < r.to; r.from++) {
        while (r.from % 8 == 0 && r.from + 8 <= r.to && text.at[r.from / 8] == skipped)
            r.from += 8;
        if (r.from < r.to && bit_at(text, r.from) == bit)
            return (int64_t)r.from;
    }
    return -1;
}

static bool take_positions(struct call *call, int64_t *first, int64_t *last, int64_t *unit)
{
    if (call->argc > 6) {
        call_syntax_error(call);
        return false;
    }
    if (call->argc > 3 && !call_int(call, call->argv[3], first))
        return false;
    *unit = take_unit(call, 5);
    return *unit != 0 && (call->argc < 5 || call_int(call, call->argv[4], last));
}

/* A clear bit is found behind the end of the string, unless the range has an end of its own. */
void cmd_bitpos(struct call *call)
{
    char scratch[CELL_SCRATCH_BYTES];
    int64_t bit, first = 0, last = -1, unit, at = -1;
    struct range range;
    struct entry *e;

    if (!call_int(call, call->argv[2], &bit))
        return;
    if (bit != 0 && bit != 1) {
        reply_error(call->reply, "ERR The bit argument must be 1 or 0.");
        return;
    }
    if (!call_find(call, call->argv[1], COMPONENT_STRING, &e))
        return;
    if (e == NULL) {
        reply_int(call->reply, bit ? -1 : 0);
        return;
    }
    if (!take_positions(call, &first, &last, &unit))
        return;
    struct span text = data_string(e, scratch);
    if (clip(first, last, unit, text, &range)) {
        at = find_bit(text, range, bit);
        if (at < 0 && bit == 0 && call->argc < 5)
            at = (int64_t)range.to;
    }
    reply_int(call->reply, at);
}

/* --- BITOP --- */

enum bit_operation { BIT_AND, BIT_OR, BIT_XOR, BIT_NOT };

static bool take_operation(struct call *call, enum bit_operation *operation)
{
    static const char *const names[] = { "and", "or", "xor", "not" };

    for (unsigned i = 0; i < COUNT_OF(names); i++) {
        if (call_is(call, 1, names[i])) {
            *operation = (enum bit_operation)i;
            if (*operation == BIT_NOT && call->argc != 4) {
                reply_error(call->reply, "ERR BITOP NOT must be called with a single source key.");
                return false;
            }
            return true;
        }
    }
    call_syntax_error(call);
    return false;
}

/* Lays one source over the result so far; what it lacks at its end is zero. */
static void combine(struct buffer *result, struct span source, enum bit_operation operation)
{
    for (size_t i = 0; i < result->len; i++) {
        uint8_t byte = i < source.len ? source.at[i] : 0;

        if (operation == BIT_AND)
            result->at[i] &= byte;
        else if (operation == BIT_OR)
            result->at[i] |= byte;
        else if (operation == BIT_XOR)
            result->at[i] ^= byte;
        else
            result->at[i] = (uint8_t)~byte;
    }
}

static bool longest_source(struct call *call, size_t *len)
{
    char scratch[CELL_SCRATCH_BYTES];
    struct span text;

    *len = 0;
    for (size_t i = 3; i < call->argc; i++) {
        if (!data_find_text(call, call->argv[i], scratch, &text))
            return false;
        if (text.len > *len)
            *len = text.len;
    }
    return true;
}

void cmd_bitop(struct call *call)
{
    char scratch[CELL_SCRATCH_BYTES];
    enum bit_operation operation;
    struct buffer result = { 0 };
    struct span text;
    size_t len;

    if (!take_operation(call, &operation) || !longest_source(call, &len) ||
        !call_fits_group(call, len))
        return;
    reply_int(call->reply, (int64_t)len);
    if (len == 0) {
        if (data_live(call, call->db, call->argv[2]) != NULL)
            emit_remove(call->replica, call->db, call->argv[2]);
        return;
    }
    for (size_t i = 3; i < call->argc; i++) {
        CHECK(data_find_text(call, call->argv[i], scratch, &text));
        if (i == 3)
            bits_copy(&result, text, len);
        if (i > 3 || operation == BIT_NOT)
            combine(&result, text, operation);
    }
    emit_string(call->replica, call->db, call->argv[2], buffer_span(&result), TIME_NONE, 0);
    buffer_release(&result);
}
