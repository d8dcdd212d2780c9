#include "crdt/cell.h"

#include <assert.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/mutation.h"

static_assert(offsetof(struct entry, bytes) == ENTRY_HEADER_BYTES,
              "the name follows the header without a gap");

/* --- a cell: registers --- */

/* The defect prunes_loser. */
static void keep_newest(struct cell *c)
{
    for (; c->reg_count > 1; c->reg_count--) {
        mem_free(c->regs[0].value);
        memmove(c->regs, c->regs + 1, (size_t)(c->reg_count - 1) * sizeof(*c->regs));
    }
}

void cell_add_reg(struct cell *c, const struct write *w)
{
    c->regs = mem_realloc(c->regs, (size_t)(c->reg_count + 1) * sizeof(*c->regs));
    size_t at = c->reg_count;
    while (at > 0 && c->regs[at - 1].stamp > w->rank) {
        c->regs[at] = c->regs[at - 1];
        at--;
    }
    struct reg *reg = &c->regs[at];
    reg->stamp = w->rank;
    reg->none = w->none;
    reg->len = (uint32_t)w->value.len;
    reg->value = mem_alloc(w->value.len);
    if (w->value.len > 0)
        memcpy(reg->value, w->value.at, w->value.len);
    c->reg_count++;
    if (MUTATION(prunes_loser))
        keep_newest(c);
}

static void drop_regs(struct cell *c, const struct observer *by,
                      void (*dropped)(void *context, const struct reg *reg), void *context)
{
    uint16_t kept = 0;
    for (uint16_t i = 0; i < c->reg_count; i++) {
        if (!observes(by, c->regs[i].stamp)) {
            c->regs[kept++] = c->regs[i];
            continue;
        }
        if (dropped)
            dropped(context, &c->regs[i]);
        mem_free(c->regs[i].value);
    }
    c->reg_count = kept;
    if (kept == 0) {
        mem_free(c->regs);
        c->regs = NULL;
    }
}

/* --- a cell: tallies --- */

static struct tally *find_tally(const struct cell *c, uint8_t origin, bool is_float)
{
    for (uint16_t i = 0; i < c->tally_count; i++) {
        if (c->tallies[i].origin == origin && c->tallies[i].sum.is_float == is_float)
            return &c->tallies[i];
    }
    return NULL;
}

const struct tally *cell_tally(const struct cell *c, uint8_t origin, bool is_float)
{
    return find_tally(c, origin, is_float);
}

static void remove_tally(struct cell *c, struct tally *t)
{
    size_t after = (size_t)(c->tallies + c->tally_count - (t + 1));
    memmove(t, t + 1, after * sizeof(*t));
    if (--c->tally_count == 0) {
        mem_free(c->tallies);
        c->tallies = NULL;
    }
}

static struct tally *add_tally(struct cell *c, uint8_t origin, bool is_float)
{
    c->tallies = mem_realloc(c->tallies, (size_t)(c->tally_count + 1) * sizeof(*c->tallies));
    size_t at = c->tally_count++;
    while (at > 0 &&
           (c->tallies[at - 1].origin > origin ||
            (c->tallies[at - 1].origin == origin && c->tallies[at - 1].sum.is_float > is_float))) {
        c->tallies[at] = c->tallies[at - 1];
        at--;
    }
    c->tallies[at].origin = origin;
    return &c->tallies[at];
}

void cell_bump(struct cell *c, stamp_t stamp, stamp_t previous, struct amount before,
               struct amount after)
{
    struct tally *t = find_tally(c, stamp_origin(stamp), after.is_float);
    if (!t) {
        t = add_tally(c, stamp_origin(stamp), after.is_float);
        t->base_last = previous;
        t->base_sum = before;
    }
    t->last = stamp;
    t->sum = after;
}

/* A tally resets to what the write saw of it: by stamp, never by size. */
static void reset_tallies(struct cell *c, struct span observed)
{
    struct observed o;
    while (observed.len > 0) {
        CHECK(observed_take(&observed, &o));
        struct tally *t = find_tally(c, o.origin, o.sum.is_float);
        if (!t || o.last <= t->base_last)
            continue;
        if (MUTATION(base_by_size) && !o.sum.is_float && o.sum.i < t->base_sum.i)
            continue;
        t->base_last = o.last;
        t->base_sum = o.sum;
        if (o.last >= t->last)
            remove_tally(c, t);
    }
}

void cell_drop(struct cell *c, const struct observer *by, struct span observed,
               void (*dropped)(void *context, const struct reg *reg), void *context)
{
    drop_regs(c, by, dropped, context);
    reset_tallies(c, observed);
}

void cell_release(struct cell *c)
{
    for (uint16_t i = 0; i < c->reg_count; i++)
        mem_free(c->regs[i].value);
    mem_free(c->regs);
    mem_free(c->tallies);
    *c = (struct cell){ 0 };
}

stamp_t cell_newest(const struct cell *c)
{
    stamp_t newest = c->reg_count > 0 ? c->regs[c->reg_count - 1].stamp : 0;
    for (uint16_t i = 0; i < c->tally_count; i++) {
        if (c->tallies[i].last > newest)
            newest = c->tallies[i].last;
    }
    return newest;
}

/* --- reading --- */

static size_t write_integer(int128_t sum, char *scratch)
{
    if (sum > INT64_MAX)
        sum = INT64_MAX; /* reads stop at the limit; what is stored does not wrap */
    if (sum < INT64_MIN)
        sum = INT64_MIN;
    return decimal_of_int64((int64_t)sum, scratch);
}

/* The floats in origin order, so that the same doubles come out everywhere; the integers, exact,
 * last. */
static double float_sum(const struct cell *c, double start, int128_t whole)
{
    for (uint16_t i = 0; i < c->tally_count; i++) {
        const struct tally *t = &c->tallies[i];
        if (t->sum.is_float)
            start += amount_subtract(t->sum, t->base_sum).f;
    }
    return start + (double)whole;
}

struct span cell_read_over(const struct cell *c, struct span text, char *scratch)
{
    int64_t whole = 0;
    double real = 0;
    if (c->tally_count == 0)
        return text;
    bool has_integer = c->reg_count == 0 || span_to_int64(text, &whole);
    if (!has_integer && !span_to_double(text, &real))
        return text; /* no number: the increments stay hidden */
    bool floats = !has_integer;
    int128_t sum = whole;
    for (uint16_t i = 0; i < c->tally_count; i++) {
        const struct tally *t = &c->tallies[i];
        if (t->sum.is_float)
            floats = true;
        else
            sum += t->sum.i - t->base_sum.i;
    }
    size_t len = floats ? decimal_of_double(float_sum(c, real, sum), scratch)
                        : write_integer(sum, scratch);
    return span_of(scratch, len);
}

bool cell_read(const struct cell *c, char *scratch, struct span *value)
{
    if (cell_empty(c))
        return false;
    struct span text = { NULL, 0 };
    if (c->reg_count > 0)
        text = span_of(c->regs[c->reg_count - 1].value, c->regs[c->reg_count - 1].len);
    *value = cell_read_over(c, text, scratch);
    return true;
}

void cell_put_observed(struct buffer *out, const struct cell *c)
{
    buffer_put_varint(out, c->tally_count);
    for (uint16_t i = 0; i < c->tally_count; i++) {
        const struct tally *t = &c->tallies[i];
        observed_put(out, &(struct observed){ t->origin, t->last, t->sum });
    }
}

void cell_tally_base(const struct cell *c, uint8_t origin, bool is_float, stamp_t latest,
                     stamp_t *previous, struct amount *before)
{
    const struct tally *t = c ? find_tally(c, origin, is_float) : NULL;
    *previous = t ? t->last : latest;
    *before = t ? t->sum : (struct amount){ .is_float = is_float };
}

/* --- entries --- */

struct span entry_key_of(const void *entry)
{
    return entry_name(entry);
}

/* What an entry with so many bytes behind its header takes; never less than the struct itself. */
static size_t entry_size(size_t bytes)
{
    size_t size = ENTRY_HEADER_BYTES + bytes;
    return size < sizeof(struct entry) ? sizeof(struct entry) : size;
}

struct entry *entry_new(struct span name, stamp_t stamp, struct span value, bool none)
{
    struct entry *e = mem_alloc(entry_size(name.len + value.len));
    e->stamp = stamp;
    e->name_len = (uint32_t)name.len;
    e->value_len = (uint32_t)value.len;
    e->form = ENTRY_INLINE;
    e->none = none;
    e->dirty = e->stored = false;
    e->epoch = 0;
    e->heat = 0;
    if (name.len > 0)
        memcpy(e->bytes, name.at, name.len);
    if (value.len > 0)
        memcpy(e->bytes + name.len, value.at, value.len);
    return e;
}

struct entry *entry_new_wide(struct span name)
{
    struct entry *e = entry_new(name, 0, span_of(NULL, 0), false);
    e->cell = mem_zalloc(sizeof(*e->cell));
    e->form = ENTRY_CELL;
    return e;
}

void entry_free(struct entry *e)
{
    CHECK(e->form != ENTRY_BODY);
    if (e->form == ENTRY_CELL) {
        cell_release(e->cell);
        mem_free(e->cell);
    }
    mem_free(e);
}

struct cell *entry_widen(struct entry **slot)
{
    struct entry *e = *slot;
    if (e->form == ENTRY_CELL)
        return e->cell;
    CHECK(e->form == ENTRY_INLINE);
    struct cell *c = mem_zalloc(sizeof(*c));
    cell_add_reg(c, &(struct write){ e->stamp, entry_inline_value(e), e->none });
    e = mem_realloc(e, entry_size(e->name_len));
    e->value_len = 0;
    e->form = ENTRY_CELL;
    e->none = false;
    e->cell = c;
    *slot = e;
    return c;
}

void entry_narrow(struct entry **slot)
{
    struct entry *e = *slot;
    if (e->form != ENTRY_CELL || e->cell->reg_count != 1 || e->cell->tally_count != 0)
        return;
    const struct reg *reg = &e->cell->regs[0];
    struct entry *narrow = entry_new(entry_name(e), reg->stamp, span_of(reg->value, reg->len),
                                     reg->none);
    entry_free(e);
    *slot = narrow;
}

/* The inline register's value is overwritten in place when the sizes are close enough. */
static void overwrite(struct entry **slot, const struct write *w)
{
    struct entry *e = *slot;
    if (w->value.len != e->value_len) {
        e = mem_realloc(e, entry_size(e->name_len + w->value.len));
        e->value_len = (uint32_t)w->value.len;
        *slot = e;
    }
    e->stamp = w->rank;
    e->none = w->none;
    if (w->value.len > 0)
        memcpy(e->bytes + e->name_len, w->value.at, w->value.len);
}

void entry_put(struct entry **slot, const struct observer *by, const struct write *w,
               struct span observed)
{
    struct entry *e = *slot;
    if (e->form == ENTRY_INLINE && observes(by, e->stamp)) {
        overwrite(slot, w);
        return;
    }
    struct cell *c = entry_widen(slot);
    cell_drop(c, by, observed, NULL, NULL);
    cell_add_reg(c, w);
    entry_narrow(slot);
}

bool entry_take(struct entry **slot, const struct observer *by, struct span observed)
{
    struct entry *e = *slot;
    if (MUTATION(take_is_blind))
        return true;
    if (e->form == ENTRY_INLINE)
        return observes(by, e->stamp);
    cell_drop(e->cell, by, observed, NULL, NULL);
    if (cell_empty(e->cell))
        return true;
    entry_narrow(slot);
    return false;
}

void entry_bump(struct entry **slot, stamp_t stamp, stamp_t previous, struct amount before,
                struct amount after)
{
    cell_bump(entry_widen(slot), stamp, previous, before, after);
}

bool entry_read(const struct entry *e, char *scratch, struct span *value)
{
    if (e->form == ENTRY_INLINE) {
        *value = entry_inline_value(e);
        return true;
    }
    CHECK(e->form == ENTRY_CELL);
    return cell_read(e->cell, scratch, value);
}

void entry_put_observed(struct buffer *out, const struct entry *e)
{
    if (e && e->form == ENTRY_CELL)
        cell_put_observed(out, e->cell);
    else
        buffer_put_varint(out, 0);
}

size_t entry_bytes(const struct entry *e)
{
    size_t bytes = ENTRY_HEADER_BYTES + e->name_len + e->value_len;
    if (e->form != ENTRY_CELL)
        return bytes;
    bytes += sizeof(struct cell) + e->cell->tally_count * sizeof(struct tally);
    for (uint16_t i = 0; i < e->cell->reg_count; i++)
        bytes += sizeof(struct reg) + e->cell->regs[i].len;
    return bytes;
}
