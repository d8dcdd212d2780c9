#include "sim/shrink.h"

#include <string.h>

#include "base/check.h"

enum {
    ROUNDS = 4,    /* each begins with other delays, if it fails with those too */
    LONG = 8,      /* when so many commands are left after a round, */
    MANY_TRIES = 4 /* each part is tried with so many different delays in the next */
};

/* Everything that was drawn up to the failure, as lists. */
static void list_all(struct selection *all, const struct selection *only,
                     const struct sim_outcome *failed)
{
    *all = (struct selection){ { .chosen = true }, { .chosen = true } };
    for (uint32_t n = 1; n <= failed->faults; n++) {
        if (selection_has(&only->faults, n))
            selection_add(&all->faults, n);
    }
    for (uint32_t r = 0; r < SIM_ROWS_MAX; r++) {
        for (uint32_t c = 0; c < SIM_CLIENTS_MAX; c++) {
            for (uint32_t n = 1; n <= failed->drawn[r][c]; n++) {
                if (selection_has(&only->commands, selection_command(r, c, n)))
                    selection_add(&all->commands, selection_command(r, c, n));
            }
        }
    }
}

void shrink_init(struct shrink *s, const struct sim_options *options,
                 const struct sim_outcome *failed, shrink_attempt_fn attempt, void *context)
{
    *s = (struct shrink){
        .options = *options,
        .outcome = *failed,
        .tries = 1,
        .attempt = attempt,
        .context = context,
    };
    s->options.trace = NULL;
    list_all(&s->options.only, &options->only, failed);
}

void shrink_release(struct shrink *s)
{
    selection_release(&s->options.only.commands);
    selection_release(&s->options.only.faults);
    *s = (struct shrink){ 0 };
}

/* True when `options` fails in the same way; its counts are then those of the shortest. */
static bool still_fails(struct shrink *s, const struct sim_options *options)
{
    struct sim_outcome outcome;
    if (s->over || s->runs >= SHRINK_RUNS_MAX)
        return false;
    s->runs++;
    s->over = !s->attempt(s->context, options, &outcome);
    if (outcome.held || strcmp(outcome.kind, s->outcome.kind) != 0)
        return false;
    s->outcome = outcome;
    return true;
}

/* With other delays, if need be: where a failure hangs on these, leaving out anything shifts them. */
static bool still_fails_somehow(struct shrink *s, uint32_t tries)
{
    uint32_t before = s->options.noise;
    if (still_fails(s, &s->options))
        return true;
    for (uint32_t i = 1; i < tries; i++) {
        s->options.noise = before + i;
        if (still_fails(s, &s->options))
            return true;
    }
    s->options.noise = before;
    return false;
}

/* --- lists --- */

/* Without those from `from` to `to`; true when that was enough. */
static bool leave_out(struct shrink *s, struct selection_list *list, size_t from, size_t to)
{
    struct selection_list whole = *list;
    *list = (struct selection_list){ .chosen = true };
    for (size_t i = 0; i < whole.count; i++) {
        if (i < from || i >= to)
            selection_add(list, whole.at[i]);
    }
    bool enough = still_fails_somehow(s, s->tries);
    selection_release(enough ? &whole : list);
    if (!enough)
        *list = whole;
    return enough;
}

/* Leaves out parts of half the list, then of a quarter, down to single ones. */
static void shrink_list(struct shrink *s, struct selection_list *list)
{
    if (list->count == 0 || leave_out(s, list, 0, list->count))
        return;
    for (size_t part = (list->count + 1) / 2; list->count > 0; part = (part + 1) / 2) {
        for (size_t from = 0; from < list->count;) {
            size_t to = from + part < list->count ? from + part : list->count;
            if (!leave_out(s, list, from, to))
                from = to;
        }
        if (part <= 1)
            return;
    }
}

/* All commands of one client at once. */
static void shrink_clients(struct shrink *s)
{
    struct selection_list *list = &s->options.only.commands;
    for (size_t from = 0; from < list->count;) {
        size_t to = from;
        while (to < list->count && list->at[to] >> 32 == list->at[from] >> 32)
            to++;
        if (!leave_out(s, list, from, to))
            from = to;
    }
}

static void shrink_lists(struct shrink *s)
{
    size_t before;
    do {
        before = s->options.only.commands.count + s->options.only.faults.count;
        shrink_list(s, &s->options.only.faults);
        shrink_clients(s);
        shrink_list(s, &s->options.only.commands);
    } while (s->options.only.commands.count + s->options.only.faults.count < before);
}

/* --- the size of the world --- */

static bool try_number(struct shrink *s, uint32_t *number, uint32_t value)
{
    uint32_t before = *number;
    *number = value;
    if (still_fails(s, &s->options))
        return true;
    *number = before;
    return false;
}

static void shrink_regions(struct shrink *s)
{
    while (s->outcome.regions > 2 && try_number(s, &s->options.regions, s->outcome.regions - 1)) {
    }
}

/* The clients that are needed are the first ones of each region. */
static void shrink_client_count(struct shrink *s)
{
    while (s->outcome.clients > 1 && try_number(s, &s->options.clients, s->outcome.clients - 1)) {
    }
}

/* Fewer steps end the faults and the waiting sooner. */
static void shrink_steps(struct shrink *s)
{
    if (s->outcome.steps > 0)
        try_number(s, &s->options.steps, s->outcome.steps);
    for (uint32_t part = s->options.steps / 2; part > 0; part /= 2) {
        while (s->options.steps > part &&
               try_number(s, &s->options.steps, s->options.steps - part)) {
        }
    }
}

/* Numbers that were in the lists and are in nobody's stream any more. */
static void forget_unreached(struct shrink *s)
{
    struct selection old = s->options.only;
    list_all(&s->options.only, &old, &s->outcome);
    selection_release(&old.commands);
    selection_release(&old.faults);
}

void shrink_run(struct shrink *s)
{
    struct sim_options whole = s->options;
    if (!still_fails(s, &whole))
        return; /* it does not even fail twice */
    shrink_lists(s);
    shrink_regions(s);
    shrink_client_count(s);
    shrink_steps(s);
    for (uint32_t i = 1; i < ROUNDS; i++) {
        s->tries = s->options.only.commands.count > LONG ? MANY_TRIES : 1;
        try_number(s, &s->options.noise, s->options.noise + 1);
        forget_unreached(s);
        shrink_lists(s);
    }
    forget_unreached(s);
}
