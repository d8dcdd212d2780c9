#include "host/datadir_fences.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "crdt/resident.h"
#include "host/logger.h"

/* --- the search --- */

struct search {
    struct residency_index before, now;
    bool (*go_on)(void *context);
    void *context;
    struct span prefix; /* of a key that would change its fence; the longer of both rules */
    uint32_t from, to;
    bool system; /* what is found is no key of clients: cmd/system.h */
    bool found;
};

static void look(void *context, const struct scanned *scanned)
{
    struct search *s = context;
    struct residency_place before = residency_find(&s->before, scanned->key);
    struct residency_place now = residency_find(&s->now, scanned->key);

    if (before.fence == now.fence || s->found)
        return;
    s->prefix = before.prefix.len > now.prefix.len ? before.prefix : now.prefix;
    s->from = before.fence;
    s->to = now.fence;
    s->found = true;
}

/* What the disk did not give; it is told once, by who asks. */
static int take_damage(struct database *d)
{
    int error = d->damage;

    d->damage = E_OK;
    return error;
}

/* E_BUSY: the server is to stop. Damage is looked for before the loop has a round: the node would take it. */
static int search_database(struct search *s, struct database *d)
{
    uint64_t cursor = 0;

    do {
        cursor = resident_scan(d, cursor, look, s);
        int error = take_damage(d);
        if (error != E_OK)
            return error;
        if (!s->go_on(s->context))
            return E_BUSY;
    } while (cursor != 0 && !s->found);
    return E_OK;
}

static int search_all(struct search *s, struct database *databases)
{
    int error = E_OK;

    for (int db = 0; db < OP_DATABASES && error == E_OK && !s->found; db++) {
        s->system = db == SYSTEM_DATABASE;
        error = search_database(s, &databases[db]);
    }
    return error;
}

/* --- what is refused --- */

static bool refuse_found(const struct search *s, const struct fence *fences, char *problem)
{
    snprintf(problem, DATADIR_PROBLEM_MAX,
             "%s of the prefix \"%.*s\" lie in fence %s, and would lie in fence %s by this "
             "configuration%s",
             s->system ? "settings or erasures" : "keys", (int)s->prefix.len,
             (const char *)s->prefix.at, fences[s->from].name, fences[s->to].name,
             s->system
                 ? ". Go back to the former configuration; KEYSPACE SET takes a setting back with "
                   "'default', and an erasure is forgotten a day after it has finished"
                 : ": a key keeps its fence. Go back to the former configuration; to move them, "
                   "copy them to a new prefix with that fence, and remove them");
    return false;
}

static bool refuse_unread(struct datadir *d, int error, char *problem)
{
    d->damaged = error == E_CORRUPT;
    snprintf(problem, DATADIR_PROBLEM_MAX,
             "%s: so nobody can say whether keys would change their fence, for the configuration "
             "puts prefixes into others; go back to the former configuration%s",
             d->checkpoint.problem, d->damaged ? "" : ", or start it again when that can be read");
    return false;
}

static bool refuse_bootstrap(char *problem)
{
    snprintf(problem, DATADIR_PROBLEM_MAX,
             "the configuration puts other prefixes into fences, while this region is being "
             "bootstrapped: start it with the former one until that is done");
    return false;
}

/* --- all of it --- */

static uint64_t key_count(const struct database *databases)
{
    uint64_t count = 0;

    for (int db = 0; db < OP_DATABASES; db++)
        count += databases[db].keys.count + databases[db].colds.keys;
    return count;
}

static bool no_key_moves(struct datadir *d, struct node *n, struct search *s, char *problem)
{
    struct database *databases = n->replica.databases;
    int error;

    logger_line(LOGGER_INFO,
                "ev=fences.search keys=%llu what=\"the configuration puts prefixes into other "
                "fences: no key may change its own\"",
                (unsigned long long)key_count(databases));
    error = search_all(s, databases);
    if (s->found)
        return refuse_found(s, n->options.deployment->fences, problem);
    if (error != E_OK && error != E_BUSY)
        return refuse_unread(d, error, problem);
    return error == E_OK;
}

static bool may_adopt(struct datadir *d, struct node *n, struct search *s,
                      const struct residency *now, char *problem)
{
    bool good;

    if (d->marked)
        return refuse_bootstrap(problem);
    residency_index_init(&s->before, &d->identity.residency);
    residency_index_init(&s->now, now);
    good = no_key_moves(d, n, s, problem);
    residency_index_release(&s->before);
    residency_index_release(&s->now);
    return good;
}

static bool adopt(struct datadir *d, const struct residency *now, char *problem)
{
    char cause[320];

    d->identity.residency = *now;
    if (identity_store(&d->disk.disk, &d->identity, cause) == E_OK)
        return true;
    snprintf(problem, DATADIR_PROBLEM_MAX, "%s", cause);
    return false;
}

bool datadir_adopt_prefixes(struct datadir *d, struct node *n, bool (*go_on)(void *context),
                            void *context, char *problem)
{
    struct residency *now = mem_alloc(sizeof(*now));
    struct search search = { .go_on = go_on, .context = context };
    bool good;

    CHECK(residency_of(n->options.deployment, now)); /* host/config.c sees to it */
    good = residency_same_prefixes(&d->identity.residency, now) ||
           (may_adopt(d, n, &search, now, problem) && adopt(d, now, problem));
    mem_free(now);
    return good;
}
