/*
 * bitfield -- BITFIELD: integers of 1 to 64 bits anywhere in a string.
 *
 * All subcommands are checked before the first one runs; then they run over a copy of the value,
 * which is written as a whole when any of them may write.
 */
#include "base/memory.h"
#include "cmd/bits.h"

enum overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };
enum field_action { FIELD_GET, FIELD_SET, FIELD_INCRBY };

struct field_step {
    enum field_action action;
    enum overflow overflow;
    bool is_signed;
    unsigned width;
    uint64_t offset;
    int64_t value;
};

struct steps {
    struct field_step *at;
    size_t count;
    size_t bytes; /* that the string must have for what is written; 0: nothing is */
};

/* --- arguments --- */

static bool take_type(struct call *call, struct span s, struct field_step *step)
{
    int64_t width;
    bool known = s.len > 1 && (s.at[0] == 'i' || s.at[0] == 'u') &&
                 span_to_int64(span_skip(s, 1), &width) && width >= 1 &&
                 width <= (s.at[0] == 'i' ? 64 : 63);

    if (!known) {
        reply_error(call->reply, "ERR Invalid bitfield type. Use something like i16 u8. Note that "
                                 "u64 is not supported but i64 is.");
        return false;
    }
    step->is_signed = s.at[0] == 'i';
    step->width = (unsigned)width;
    return true;
}

static bool take_overflow(struct call *call, size_t index, enum overflow *overflow)
{
    static const char *const names[] = { "wrap", "sat", "fail" };

    for (unsigned i = 0; i < COUNT_OF(names); i++) {
        if (call_is(call, index, names[i])) {
            *overflow = (enum overflow)i;
            return true;
        }
    }
    reply_error(call->reply, "ERR Invalid OVERFLOW type specified");
    return false;
}

static size_t action_of(const struct call *call, size_t index, enum field_action *action)
{
    static const char *const names[] = { "get", "set", "incrby" };
    size_t left = call->argc - index - 1;

    for (unsigned i = 0; i < COUNT_OF(names); i++) {
        size_t wants = i == FIELD_GET ? 2 : 3;

        if (call_is(call, index, names[i]) && left >= wants) {
            *action = (enum field_action)i;
            return wants;
        }
    }
    return 0;
}

/* One subcommand at argv[index]; returns how many arguments it has, 0 with the error replied. */
static size_t take_step(struct call *call, size_t index, struct field_step *step)
{
    size_t wants = action_of(call, index, &step->action);

    if (wants == 0) {
        call_syntax_error(call);
        return 0;
    }
    if (!take_type(call, call->argv[index + 1], step) ||
        !bits_offset(call, call->argv[index + 2], step->width, &step->offset) ||
        (wants == 3 && !call_int(call, call->argv[index + 3], &step->value)))
        return 0;
    return wants;
}

static bool take_steps(struct call *call, bool read_only, struct steps *steps)
{
    enum overflow overflow = OVERFLOW_WRAP;

    for (size_t i = 2; i < call->argc; i++) {
        struct field_step step = { .overflow = overflow };

        if (call_is(call, i, "overflow") && i + 1 < call->argc) {
            if (!take_overflow(call, ++i, &overflow))
                return false;
            continue;
        }
        size_t wants = take_step(call, i, &step);
        if (wants == 0)
            return false;
        size_t end = (size_t)((step.offset + step.width + 7) / 8);
        if (step.action != FIELD_GET && end > steps->bytes)
            steps->bytes = end;
        steps->at[steps->count++] = step;
        i += wants;
    }
    if (read_only && steps->bytes > 0) {
        reply_error(call->reply, "ERR BITFIELD_RO only supports the GET subcommand");
        return false;
    }
    return true;
}

/* --- fields --- */

static uint64_t field_get(struct span text, uint64_t offset, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++, offset++) {
        bool bit = offset / 8 < text.len && text.at[offset / 8] >> (7 - offset % 8) & 1;

        value = value << 1 | bit;
    }
    return value;
}

static void field_set(struct buffer *whole, uint64_t offset, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++, offset++) {
        uint8_t mask = (uint8_t)(0x80 >> offset % 8);
        bool bit = value >> (width - 1 - i) & 1;
        uint8_t *byte = &whole->at[offset / 8];

        *byte = (uint8_t)((*byte & ~mask) | (bit ? mask : 0));
    }
}

/* What `width` bits mean. */
static int64_t meaning(const struct field_step *step, uint64_t bits)
{
    if (step->is_signed && step->width < 64 && bits >> (step->width - 1) & 1)
        bits |= UINT64_MAX << step->width;
    return (int64_t)bits;
}

/* Puts a value into the field's range by the rule; false where the rule is to fail. */
static bool fit(const struct field_step *step, int128_t value, int64_t *out)
{
    int128_t max = ((int128_t)1 << (step->width - step->is_signed)) - 1;
    int128_t min = step->is_signed ? -max - 1 : 0;

    if (value < min || value > max) {
        if (step->overflow == OVERFLOW_FAIL)
            return false;
        if (step->overflow == OVERFLOW_SAT) {
            value = value < min ? min : max;
        } else {
            uint64_t low = (uint64_t)value;
            value = meaning(step, step->width < 64 ? low & ((1ull << step->width) - 1) : low);
        }
    }
    *out = (int64_t)value;
    return true;
}

/* An unsigned SET takes the bits of a negative number as a large one, as Redis does. */
static int128_t wanted(const struct field_step *step, int64_t old)
{
    if (step->action == FIELD_INCRBY)
        return (int128_t)old + step->value;
    return step->is_signed ? (int128_t)step->value : (int128_t)(uint64_t)step->value;
}

static void run_step(struct call *call, const struct field_step *step, struct span text,
                     struct buffer *whole)
{
    int64_t old = meaning(step, field_get(text, step->offset, step->width)), value;

    if (step->action == FIELD_GET) {
        reply_int(call->reply, old);
        return;
    }
    if (!fit(step, wanted(step, old), &value)) {
        reply_null(call->reply);
        return;
    }
    field_set(whole, step->offset, step->width, (uint64_t)value);
    reply_int(call->reply, step->action == FIELD_SET ? old : value);
}

static void run_steps(struct call *call, const struct steps *steps)
{
    char scratch[CELL_SCRATCH_BYTES];
    struct buffer whole = { 0 };
    struct span text;

    if (!data_find_text(call, call->argv[1], scratch, &text) ||
        (steps->bytes > 0 && !bits_fit(call, text, steps->bytes)))
        return;
    if (steps->bytes > 0) {
        bits_copy(&whole, text, steps->bytes);
        text = buffer_span(&whole); /* each step sees what those before it wrote */
    }
    reply_array(call->reply, steps->count);
    for (size_t i = 0; i < steps->count; i++)
        run_step(call, &steps->at[i], text, &whole);
    if (steps->bytes > 0)
        emit_string(call->replica, call->db, call->argv[1], buffer_span(&whole), TIME_KEEP, 0);
    buffer_release(&whole);
}

static void bitfield(struct call *call, bool read_only)
{
    struct steps steps = { .at = mem_alloc(call->argc * sizeof(*steps.at)) };

    if (take_steps(call, read_only, &steps))
        run_steps(call, &steps);
    mem_free(steps.at);
}

void cmd_bitfield(struct call *call)
{
    bitfield(call, false);
}

void cmd_bitfield_ro(struct call *call)
{
    bitfield(call, true);
}
