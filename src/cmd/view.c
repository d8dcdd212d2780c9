#include "cmd/view.h"

#include <stdio.h>

#include "base/memory.h"
#include "cmd/data.h"
#include "merge/merge.h"

/* Merge functions together, in one command: a few runs at their limit, or thousands of small ones.
 * A run that was begun is finished. */
static const uint64_t COMMAND_MERGE_STEPS = 8 * MERGE_STEPS;

/* NULL where there is one value to see. */
static const struct cell *contested(const struct cell *c)
{
    return c->reg_count > 1 && cell_contested(c) ? c : NULL;
}

static struct span reg_value(const struct reg *reg)
{
    return span_of(reg->value, reg->len);
}

static void reply_siblings(struct call *call, const struct cell *c)
{
    char scratch[CELL_SCRATCH_BYTES];

    reply_array(call->reply, c->reg_count);
    for (uint16_t i = 0; i < c->reg_count; i++)
        reply_bulk(call->reply, cell_read_over(c, reg_value(&c->regs[i]), scratch));
}

static void reply_newest(struct call *call, const struct cell *c)
{
    char scratch[CELL_SCRATCH_BYTES];

    reply_bulk(call->reply, cell_read_over(c, reg_value(&c->regs[c->reg_count - 1]), scratch));
}

/* --- merge --- */

static bool run(struct call *call, struct keyspace_live *k, struct span key, struct span field,
                const struct cell *c, struct buffer *merged, char *problem, size_t problem_size)
{
    struct merge_version *versions = mem_alloc(c->reg_count * sizeof(*versions));

    for (uint16_t i = 0; i < c->reg_count; i++)
        versions[i] = (struct merge_version){
            .value = reg_value(&c->regs[i]),
            .region = server_region_of(call->server, c->regs[i].stamp),
            .time_ms = stamp_ms(c->regs[i].stamp),
            .stamp = c->regs[i].stamp,
        };
    bool good = merge_run(k->merge, key, field, versions, c->reg_count, merged, problem,
                          problem_size);
    call->session->merge_steps += merge_steps_taken(k->merge);
    mem_free(versions);
    return good;
}

/* False when readers get the lww view. */
static bool merge(struct call *call, struct keyspace_live *k, struct span key, struct span field,
                  const struct cell *c, struct buffer *merged)
{
    char problem[256] = "the keyspace has no merge function";
    bool good = false;

    if (call->session->merge_steps >= COMMAND_MERGE_STEPS)
        snprintf(problem, sizeof(problem), "the command's merges take too many steps together");
    else if (k->merge != NULL)
        good = run(call, k, key, field, c, merged, problem, sizeof(problem));
    if (!good)
        conflict_log_failure(call->server, k, key, problem);
    return good;
}

static void reply_merged(struct call *call, struct keyspace_live *k, struct span key,
                         struct span field, const struct cell *c)
{
    char scratch[CELL_SCRATCH_BYTES];
    struct buffer merged = { 0 };

    if (merge(call, k, key, field, c, &merged))
        reply_bulk(call->reply, cell_read_over(c, buffer_span(&merged), scratch));
    else
        reply_newest(call, c);
    buffer_release(&merged);
}

/* --- entry points --- */

static void reply_contested(struct call *call, struct span key, struct span field,
                            const struct cell *c)
{
    struct keyspace_live *k = server_keyspace(call->server, key);

    switch (k->promises.conflict) {
    case KEYSPACE_LWW:
        reply_newest(call, c);
        return;
    case KEYSPACE_SIBLINGS:
        reply_siblings(call, c);
        return;
    case KEYSPACE_MERGE:
        reply_merged(call, k, key, field, c);
        return;
    }
}

void view_reply_string(struct call *call, const struct entry *object)
{
    const struct cell *c = object->form == ENTRY_BODY ? contested(&object->body->string) : NULL;
    char scratch[CELL_SCRATCH_BYTES];

    if (c == NULL)
        reply_bulk(call->reply, data_string(object, scratch));
    else
        reply_contested(call, entry_name(object), span_of(NULL, 0), c);
}

void view_reply_field(struct call *call, struct span key, const struct entry *field)
{
    const struct cell *c = field->form == ENTRY_CELL ? contested(field->cell) : NULL;
    char scratch[CELL_SCRATCH_BYTES];

    if (c == NULL)
        reply_bulk(call->reply, data_value(field, scratch));
    else
        reply_contested(call, key, entry_name(field), c);
}
