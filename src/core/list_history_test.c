/*
 * After any history of a list all regions hold exactly the writes that nobody who had seen them took
 * away: random histories against what clients were told.
 *
 * A write is over as soon as anybody who has seen it writes to its place, or takes it away.
 */
#include "base/test.h"
#include "core/list_trial.h"

struct history_write {
    struct buffer position;
    stamp_t stamp;
    bool over;
};

static struct history {
    struct history_write writes[1200];
    size_t count;
} history;

static void record_over(size_t region, struct span position, stamp_t but)
{
    const struct vector *seen = &trial.regions[region].replica.last_op;
    for (size_t i = 0; i < history.count; i++) {
        struct history_write *w = &history.writes[i];
        if (w->stamp != but && span_equal(buffer_span(&w->position), position) &&
            vector_get(seen, stamp_origin(w->stamp)) >= w->stamp)
            w->over = true;
    }
}

static void record_write(size_t region, struct span position)
{
    CHECK(history.count < COUNT_OF(history.writes));
    struct history_write *w = &history.writes[history.count++];
    *w = (struct history_write){ .stamp = newest_own(region) };
    buffer_put(&w->position, position);
}

static bool history_push(struct prng *p, size_t region)
{
    size_t count = prng_below(p, 3) ? 1 : 3;
    uint64_t rank = 0, before = length(region, "l");
    bool right = prng_below(p, 2);
    if (prng_below(p, 3) == 0)
        rank = prng_below(p, before + 1);
    else if (right)
        rank = before;
    if (!push_checked(region, rank, right, count))
        return false;
    for (uint64_t i = rank; i < rank + count; i++)
        record_write(region, entry_name(element_at(region, "l", i)));
    return true;
}

static void history_change(size_t region, enum op_kind kind, uint64_t rank)
{
    struct buffer position = { 0 };
    buffer_put(&position, entry_name(element_at(region, "l", rank)));
    change(region, "l", kind, rank, "set");
    record_over(region, buffer_span(&position), newest_own(region));
    if (kind == OP_PUT)
        record_write(region, buffer_span(&position));
    buffer_release(&position);
}

static void history_clear(size_t region, bool whole)
{
    for (uint64_t rank = 0; rank < length(region, "l"); rank++)
        record_over(region, entry_name(element_at(region, "l", rank)), 0);
    if (whole)
        del(region, "l");
    else
        take_all(region, "l");
}

static bool history_step(struct prng *p, size_t region)
{
    uint64_t there = length(region, "l");
    switch (prng_below(p, 12)) {
    case 0:
    case 1:
    case 2:
        deliver_next(region, prng_below(p, trial.count));
        return true;
    case 3:
        if (there > 0)
            history_change(region, OP_TAKE, 0);
        return true;
    case 4:
        if (there > 0)
            history_change(region, OP_TAKE, there - 1);
        return true;
    case 5:
        if (there > 0)
            history_change(region, OP_TAKE, prng_below(p, there));
        return true;
    case 6:
        if (there > 0)
            history_change(region, OP_PUT, prng_below(p, there));
        return true;
    case 7:
        if (there > 0 && prng_below(p, 3) == 0)
            history_clear(region, prng_below(p, 2));
        return true;
    default:
        return history_push(p, region);
    }
}

/* Registers of an element; 0 when it is not there. */
static size_t registers_at(size_t region, struct span position)
{
    const struct entry *object = object_at(region, "l");
    const struct part *part = object ? object_part(object, COMPONENT_LIST) : NULL;
    const struct entry *element = part ? part_find(part, position) : NULL;
    if (!element)
        return 0;
    return element->form == ENTRY_INLINE ? 1 : element->cell->reg_count;
}

static bool has_register(size_t region, struct span position, stamp_t stamp)
{
    const struct entry *element = part_find(object_part(object_at(region, "l"), COMPONENT_LIST),
                                            position);
    if (element->form == ENTRY_INLINE)
        return element->stamp == stamp;
    for (size_t i = 0; i < element->cell->reg_count; i++) {
        if (element->cell->regs[i].stamp == stamp)
            return true;
    }
    return false;
}

static bool history_holds(size_t region)
{
    size_t expected = 0, found = 0;
    for (size_t i = 0; i < history.count; i++) {
        const struct history_write *w = &history.writes[i];
        if (w->over)
            continue;
        expected++;
        if (registers_at(region, buffer_span(&w->position)) == 0 ||
            !has_register(region, buffer_span(&w->position), w->stamp))
            return false;
    }
    for (uint64_t rank = 0; rank < length(region, "l"); rank++)
        found += registers_at(region, entry_name(element_at(region, "l", rank)));
    return found == expected;
}

TEST(after_any_history_the_writes_stand_that_nobody_saw_and_took)
{
    struct prng p;
    prng_seed(&p, test_seed());
    for (int round = 0; round < 150; round++) {
        world(2 + prng_below(&p, 3));
        begin_positions();
        bool fine = true;
        for (uint64_t steps = 20 + prng_below(&p, 200); steps > 0 && fine; steps--)
            fine = history_step(&p, prng_below(&p, trial.count));
        synced();
        for (size_t region = 0; region < trial.count && fine; region++)
            fine = history_holds(region);
        fine = fine && all_equal();
        for (size_t i = 0; i < history.count; i++)
            buffer_release(&history.writes[i].position);
        history.count = 0;
        end_positions();
        end_of_world();
        EXPECT(fine);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
