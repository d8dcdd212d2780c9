/*
 * counter -- increments, of strings and of hash fields.
 *
 * An increment is emitted as what it adds, so that concurrent ones add up; the handler only sees to
 * it that what is visible is a number and stays one. Floats are doubles, and their reply is read
 * back: the sum's order is the cell's.
 */
#include <math.h>

#include "cmd/data.h"

/* Up to here doubles hold every integer. */
#define EXACT_MAX (INT64_C(1) << 53)

/* Above this a float is written as a result: increments that large could take their own sum, which
 * outlives what they cancel out with, to infinity. */
#define FLOAT_BUMP_MAX 1e300

static struct amount whole(int64_t by)
{
    return (struct amount){ .is_float = false, .i = by };
}

static struct amount fraction(double by)
{
    return (struct amount){ .is_float = true, .f = by };
}

/* The sum, or false with the error replied. */
static bool add_within(struct call *call, int64_t value, int64_t by, int64_t *sum)
{
    if (!__builtin_add_overflow(value, by, sum))
        return true;
    reply_error(call->reply, "ERR increment or decrement would overflow");
    return false;
}

static bool finite_sum(struct call *call, double value, double by)
{
    if (isfinite(value + by))
        return true;
    reply_error(call->reply, "ERR increment would produce NaN or Infinity");
    return false;
}

static bool too_large_to_bump(double value, double by)
{
    return fabs(value) > FLOAT_BUMP_MAX || fabs(by) > FLOAT_BUMP_MAX;
}

static struct span float_text(double value, char *scratch)
{
    return span_of(scratch, decimal_of_double(value, scratch));
}

/* What stands in argv[1] now, after an emit. Where the disk does not say any more whether the key is there,
 * the reply is an error whatever this is. */
static struct span string_now(struct call *call, char *scratch)
{
    const struct entry *e = data_live(call, call->db, call->argv[1]);

    return e != NULL ? data_string(e, scratch) : span_str("0");
}

static struct span field_now(struct call *call, char *scratch)
{
    const struct entry *e = data_live(call, call->db, call->argv[1]);
    const struct entry *field = e != NULL
                                    ? data_field(object_fields(e, COMPONENT_HASH), call->argv[2])
                                    : NULL;

    return field != NULL ? data_value(field, scratch) : span_str("0");
}

static bool beyond_exact(int64_t sum)
{
    return sum > EXACT_MAX || sum < -EXACT_MAX;
}

/* True when the cell is read by adding doubles; NULL is a plain register. */
static bool adds_doubles(const struct cell *c)
{
    const struct reg *newest = c != NULL && c->reg_count > 0 ? &c->regs[c->reg_count - 1] : NULL;
    int64_t number;

    if (newest != NULL && !span_to_int64(span_of(newest->value, newest->len), &number))
        return true;
    for (uint16_t i = 0; c != NULL && i < c->tally_count; i++) {
        if (c->tallies[i].sum.is_float)
            return true;
    }
    return false;
}

/* Far out, concurrent increments may have taken a counter past the limit that it shows: then what
 * it shows now is the answer. */
static void reply_sum(struct call *call, int64_t sum, struct span (*now)(struct call *, char *))
{
    char scratch[CELL_SCRATCH_BYTES];

    if (beyond_exact(sum))
        span_to_int64(now(call, scratch), &sum);
    reply_int(call->reply, sum);
}

/* --- strings --- */

static const struct cell *string_cell(const struct entry *e)
{
    return e != NULL && e->form == ENTRY_BODY ? &e->body->string : NULL;
}

/* A result in place of an increment, where a sum of doubles would not hold it. */
static void put_string(struct call *call, struct span value)
{
    emit_string(call->replica, call->db, call->argv[1], value, TIME_KEEP, 0);
}

static void add_to_string(struct call *call, int64_t by)
{
    char scratch[CELL_SCRATCH_BYTES];
    int64_t value = 0, sum;
    struct entry *e;

    if (!call_find(call, call->argv[1], COMPONENT_STRING, &e))
        return;
    if (e != NULL && !call_int(call, data_string(e, scratch), &value))
        return;
    if (!add_within(call, value, by, &sum))
        return;
    if (beyond_exact(sum) && adds_doubles(string_cell(e)))
        put_string(call, span_of(scratch, decimal_of_int64(sum, scratch)));
    else
        emit_bump(call->replica, call->db, call->argv[1], whole(by));
    reply_sum(call, sum, string_now);
}

void cmd_incr(struct call *call)
{
    add_to_string(call, 1);
}

void cmd_decr(struct call *call)
{
    add_to_string(call, -1);
}

void cmd_incrby(struct call *call)
{
    int64_t by;

    if (call_int(call, call->argv[2], &by))
        add_to_string(call, by);
}

void cmd_decrby(struct call *call)
{
    int64_t by;

    if (!call_int(call, call->argv[2], &by))
        return;
    if (by == INT64_MIN)
        reply_error(call->reply, "ERR decrement would overflow");
    else
        add_to_string(call, -by);
}

void cmd_incrbyfloat(struct call *call)
{
    char scratch[CELL_SCRATCH_BYTES];
    double value = 0, by;
    struct entry *e;

    if (!call_find(call, call->argv[1], COMPONENT_STRING, &e))
        return;
    if (e != NULL && !call_double(call, data_string(e, scratch), &value))
        return;
    if (!call_double(call, call->argv[2], &by) || !finite_sum(call, value, by))
        return;
    if (too_large_to_bump(value, by))
        put_string(call, float_text(value + by, scratch));
    else
        emit_bump(call->replica, call->db, call->argv[1], fraction(by));
    reply_bulk(call->reply, string_now(call, scratch));
}

/* --- hash fields --- */

static void put_field(struct call *call, struct span value)
{
    struct emit_fields put;

    emit_fields_begin(&put, call->replica, OP_PUT, COMPONENT_HASH, call->db, call->argv[1]);
    emit_fields_add(&put, call->argv[2], value);
    emit_fields_end(&put);
}

void cmd_hincrby(struct call *call)
{
    char scratch[CELL_SCRATCH_BYTES];
    int64_t value = 0, by, sum;
    const struct table *fields;

    if (!call_int(call, call->argv[3], &by) ||
        !data_find_fields(call, call->argv[1], COMPONENT_HASH, &fields))
        return;
    const struct entry *field = data_field(fields, call->argv[2]);
    if (field != NULL && !span_to_int64(data_value(field, scratch), &value)) {
        reply_error(call->reply, "ERR hash value is not an integer");
        return;
    }
    if (!add_within(call, value, by, &sum))
        return;
    if (beyond_exact(sum) && field != NULL && field->form == ENTRY_CELL &&
        adds_doubles(field->cell))
        put_field(call, span_of(scratch, decimal_of_int64(sum, scratch)));
    else
        emit_field_bump(call->replica, call->db, COMPONENT_HASH, call->argv[1], call->argv[2],
                        whole(by));
    reply_sum(call, sum, field_now);
}

void cmd_hincrbyfloat(struct call *call)
{
    char scratch[CELL_SCRATCH_BYTES];
    const struct table *fields;
    double value = 0, by;

    if (!call_double(call, call->argv[3], &by))
        return;
    if (!isfinite(by)) {
        reply_error(call->reply, "ERR value is NaN or Infinity");
        return;
    }
    if (!data_find_fields(call, call->argv[1], COMPONENT_HASH, &fields))
        return;
    const struct entry *field = data_field(fields, call->argv[2]);
    if (field != NULL && !span_to_double(data_value(field, scratch), &value)) {
        reply_error(call->reply, "ERR hash value is not a float");
        return;
    }
    if (!finite_sum(call, value, by))
        return;
    if (too_large_to_bump(value, by))
        put_field(call, float_text(value + by, scratch));
    else
        emit_field_bump(call->replica, call->db, COMPONENT_HASH, call->argv[1], call->argv[2],
                        fraction(by));
    reply_bulk(call->reply, field_now(call, scratch));
}
