/*
 * audited_commands -- which keyspaces a forwarded command is about, read from its bytes as they travel:
 * so both ends find the same.
 */
#include "base/check.h"
#include "base/memory.h"
#include "cmd/command_keys.h"
#include "cmd/fence.h"
#include "cmd/gather.h"
#include "cmd/handlers.h"
#include "node/audited.h"
#include "node/node.h"

/* One keyspace for each fence: the one that lets least out. */
static void choose(const struct node *n, struct audit_set *set, size_t keyspace)
{
    const struct keyspace *all = n->options.deployment->keyspaces, *k = &all[keyspace];
    if (k->fence == 0)
        return;
    uint16_t *chosen = &set->keyspaces[k->fence];
    if (*chosen == 0 ||
        (k->outside == KEYSPACE_REFUSE && all[*chosen - 1].outside == KEYSPACE_THROUGH))
        *chosen = (uint16_t)(keyspace + 1);
}

static void choose_of_key(const struct node *n, struct audit_set *set, struct span key)
{
    choose(n, set, prefixes_find(&n->server.prefixes, key));
}

/* `region`: which runs it. */
static void choose_of_part(const struct node *n, struct audit_set *set, uint8_t region,
                           const struct span *argv)
{
    int64_t fences;
    if (!span_to_int64(argv[5], &fences))
        return;
    set->part = true;
    for (size_t i = 0; i < n->options.deployment->keyspace_count; i++) {
        if (gather_looks_into(&n->server, region, i, argv[3], (uint64_t)fences))
            choose(n, set, i);
    }
}

/* Behind the options of a WITH. */
static size_t command_in(const struct span *argv, size_t argc)
{
    size_t at = 0;
    if (!span_equal_nocase(argv[0], "with"))
        return 0;
    while (at < argc && !span_equal(argv[at], span_str("--")))
        at++;
    return at + 1 < argc ? at + 1 : 0;
}

static void look_at(const struct node *n, struct audit_set *set, uint8_t region,
                    const struct span *argv, size_t argc)
{
    size_t at = command_in(argv, argc);
    const struct command *command = command_resolve(argv + at, argc - at);
    struct key_range range = { 0 };
    argv += at;
    argc -= at;
    if (command == NULL)
        return;
    if (command->run == cmd_gather && argc == 6 && span_equal_nocase(argv[1], "part"))
        choose_of_part(n, set, region, argv);
    if (!command_has_keys(command) || !command_key_range(command, argv, argc, &range))
        return;
    if (range.before != 0)
        choose_of_key(n, set, argv[range.before]);
    for (size_t i = range.first; i <= range.last; i += range.step)
        choose_of_key(n, set, argv[i]);
}

/* The parser is kept for its memory. What is incomplete or wrong is not looked at further: where it
 * runs it is an error too. */
static void look_at_all(struct node *n, struct audit_set *set, uint8_t region, struct span commands)
{
    struct resp_parser *p = &n->audit.parser;
    while (commands.len > 0) {
        if (resp_parse(p, commands) != RESP_COMMAND) {
            resp_release(p);
            resp_init(p);
            return;
        }
        if (p->argc > 0)
            look_at(n, set, region, p->argv, p->argc);
        commands = span_skip(commands, p->consumed);
    }
}

static uint32_t number_of(struct node *n, const struct audit_set *set)
{
    struct audit *a = &n->audit;
    uint32_t keyspaces = (uint32_t)n->options.deployment->keyspace_count, only = 0, count = 0;
    for (size_t i = 0; i < COUNT_OF(set->keyspaces); i++) {
        count += set->keyspaces[i] != 0;
        only = set->keyspaces[i] != 0 ? set->keyspaces[i] : only;
    }
    if (count == 0 || (count == 1 && !set->part))
        return only;
    for (size_t i = 0; i < a->set_count; i++) {
        if (memcmp(&a->sets[i], set, sizeof(*set)) == 0)
            return keyspaces + 1 + (uint32_t)i;
    }
    if (a->set_count == a->set_cap) {
        a->set_cap = a->set_cap ? 2 * a->set_cap : 4;
        a->sets = mem_realloc(a->sets, a->set_cap * sizeof(*a->sets));
    }
    a->sets[a->set_count] = *set;
    return keyspaces + 1 + (uint32_t)a->set_count++;
}

uint32_t audited_commands(struct node *n, const struct link *l, bool taken, struct span commands)
{
    struct audit_set set;
    if (!n->audit.on)
        return 0;
    memset(&set, 0, sizeof(set)); /* it is compared whole */
    look_at_all(n, &set, taken ? n->options.self->id : l->peer->region->id, commands);
    for (size_t i = 0; !set.part && i < COUNT_OF(set.keyspaces); i++) {
        struct audit_key key = { AUDIT_COMMANDS, taken, l->peer->region->id,
                                 (uint16_t)(set.keyspaces[i] - 1) };
        if (set.keyspaces[i] != 0)
            audit_add(&n->audit, key, l->id,
                      &(struct audit_flow){ .count = 1, .bytes = commands.len }, n->now_us);
    }
    return number_of(n, &set);
}

const char *audited_refusal(const struct node *n, struct span key, bool fenced)
{
    if (!n->audit.broken || (!fenced && (key.at == NULL || fence_of_key(&n->server, key) == 0)))
        return NULL;
    return "NOWRITER that key lies elsewhere, and the audit of what is sent there cannot be "
           "written "
           "here: see the server's log";
}
