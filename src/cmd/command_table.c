/*
 * The command table: its rows, and an open-addressing index of their names built before main.
 *
 * Names are hashed with FNV-1a over their bytes with the case bit set; a slot holds a row's number
 * + 1. At most half of the slots are taken, and no client chooses what is in there: so a probe ends
 * after one or two steps.
 */
#include "base/check.h"
#include "cmd/handlers.h"

#define COMMAND(name, handler, arity, flags, first, last, step, group, since, complexity, summary) \
    COMMAND_ROW(#name, handler, arity, flags, first, last, step, group, since, complexity, summary),
#define CONTAINER(name, subcommands, arity, flags, group, since, summary)                          \
    { #name,   NULL,       arity, flags, 0, 0, 0, group, since, "Depends on subcommand.",          \
      summary, subcommands },

static const struct command rows[] = {
#include "cmd/table_data.def"
#include "cmd/table_server.def"
};

#undef COMMAND
#undef CONTAINER

enum { SLOTS = 1024, NAME_MAX_BYTES = 24 };

_Static_assert(COUNT_OF(rows) * 2 <= SLOTS, "the index is at most half full");

static struct slot {
    uint16_t row; /* + 1; 0: free */
    uint16_t name_len;
} slots[SLOTS];

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* `name` is lower case already. */
static bool equal_folded(const char *name, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((uint8_t)name[i] != lower(text.at[i]))
            return false;
    }
    return true;
}

/* The slot of a name: its own, or the free one where it would stand. */
static struct slot *probe(struct span name)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (name.at[i] | 0x20u)) * 16777619u;
    for (uint32_t at = hash ^ hash >> 15;; at++) {
        struct slot *slot = &slots[at % SLOTS];

        if (slot->row == 0)
            return slot;
        if (slot->name_len == name.len && equal_folded(rows[slot->row - 1].name, name))
            return slot;
    }
}

/* Before main, so that no thread ever sees it half built. */
__attribute__((constructor)) static void build_index(void)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span name = span_str(rows[i].name);
        struct slot *slot = probe(name);

        CHECK(name.len <= NAME_MAX_BYTES);
        CHECK(slot->row == 0);
        *slot = (struct slot){ (uint16_t)(i + 1), (uint16_t)name.len };
    }
}

const struct command *command_find(struct span name)
{
    if (name.len > NAME_MAX_BYTES)
        return NULL;

    const struct slot *slot = probe(name);

    return slot->row == 0 ? NULL : &rows[slot->row - 1];
}

const struct command *command_at(size_t index)
{
    CHECK(index < COUNT_OF(rows));
    return &rows[index];
}

size_t command_count(void)
{
    return COUNT_OF(rows);
}

size_t command_index(const struct command *command)
{
    CHECK(command >= rows);
    CHECK(command < rows + COUNT_OF(rows));
    return (size_t)(command - rows);
}

const struct command *command_find_sub(const struct command *container, struct span name)
{
    if (container->subcommands == NULL)
        return NULL;

    size_t skip = strlen(container->name) + 1;

    for (const struct command *sub = container->subcommands; sub->name != NULL; sub++) {
        if (span_equal_nocase(name, sub->name + skip))
            return sub;
    }
    return NULL;
}
