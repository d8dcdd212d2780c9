#include "bin/audit_judge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "policy/origin.h"

void audit_judge_init(struct audit_judge *j, const struct deployment *d)
{
    *j = (struct audit_judge){ .deployment = d, .gaps_to = stdout };
}

void audit_judge_release(struct audit_judge *j)
{
    for (size_t i = 0; i < j->count; i++) {
        audit_ranges_release(&j->tallies[i].ranges);
        audit_ranges_release(&j->tallies[i].unknown);
    }
    mem_free(j->tallies);
    j->tallies = NULL;
}

/* --- telling --- */

static void tell(FILE *to, const char *path, uint64_t line, const char *kind, const char *format,
                 va_list args)
{
    fprintf(to, "%s:%" PRIu64 ": %s", path, line, kind);
    vfprintf(to, format, args);
    fputc('\n', to);
}

void audit_finding(struct audit_judge *j, const char *path, uint64_t line, const char *format, ...)
{
    va_list args;

    j->findings++;
    va_start(args, format);
    tell(stderr, path, line, "", format, args);
    va_end(args);
}

void audit_gap(struct audit_judge *j, const char *path, uint64_t line, const char *format, ...)
{
    va_list args;

    j->gaps++;
    va_start(args, format);
    tell(j->gaps_to, path, line, "not known: ", format, args);
    va_end(args);
}

/* --- what a line names --- */

struct named {
    const struct region *self, *peer;
    struct audit_key key;
    uint32_t fence;
    const struct keyspace *keyspace; /* NULL: of log and objects */
};

static bool find_fence(const struct deployment *d, const char *name, uint32_t *fence)
{
    for (*fence = 1; *fence < d->fence_count; (*fence)++) {
        if (strcmp(d->fences[*fence].name, name) == 0)
            return true;
    }
    return false;
}

static const struct keyspace *find_keyspace(const struct deployment *d, const char *prefix)
{
    for (size_t i = 0; i < d->keyspace_count; i++) {
        if (strcmp(d->keyspaces[i].prefix, prefix) == 0)
            return &d->keyspaces[i];
    }
    return NULL;
}

static bool find_what(const char *text, enum audit_what *what)
{
    static const char *const WHATS[] = { "log", "objects", "commands", "answers", "parts" };

    for (size_t i = 0; i < COUNT_OF(WHATS); i++) {
        *what = (enum audit_what)i;
        if (strcmp(text, WHATS[i]) == 0)
            return true;
    }
    return false;
}

/* NULL, or what of the line is not as the configuration has it. */
static const char *take_names(const struct deployment *d, const struct audit_fields *f,
                              struct named *n)
{
    n->key.taken = f->kind == AUDIT_IS_TAKEN;
    n->peer = deployment_region_named(d, f->peer);
    if (n->peer == NULL)
        return "it names a region that is not in the configuration";
    n->key.peer = n->peer->id;
    if (!find_fence(d, f->fence, &n->fence))
        return "it names a fence that is not in the configuration";
    if (!find_what(f->what, &n->key.what))
        return "it is no line of an audit";
    if (n->key.what == AUDIT_LOG) {
        n->key.item = (uint16_t)f->origin;
        return f->origin < STAMP_ORIGINS && origin_fence(d, (uint8_t)f->origin) == n->fence
                   ? NULL
                   : "by the configuration its origin is not of its fence";
    }
    if (n->key.what == AUDIT_OBJECTS) {
        n->key.item = (uint16_t)n->fence;
        return NULL;
    }
    n->keyspace = find_keyspace(d, f->keyspace);
    if (n->keyspace == NULL)
        return "it names a keyspace that is not in the configuration";
    n->key.item = (uint16_t)(n->keyspace - d->keyspaces);
    return n->keyspace->fence == n->fence ? NULL
                                          : "by the configuration its keyspace is not of its fence";
}

/* --- tallies --- */

static struct audit_tally *find_tally(const struct audit_judge *j, uint8_t self,
                                      struct audit_key key)
{
    for (size_t i = 0; i < j->count; i++) {
        struct audit_tally *t = &j->tallies[i];

        if (t->self == self && t->key.what == key.what && t->key.taken == key.taken &&
            t->key.peer == key.peer && t->key.item == key.item)
            return t;
    }
    return NULL;
}

static struct audit_tally *tally_of(struct audit_judge *j, const struct named *n)
{
    struct audit_tally *t = find_tally(j, n->self->id, n->key);

    if (t != NULL)
        return t;
    if (j->count == j->cap) {
        j->cap = j->cap ? 2 * j->cap : 16;
        j->tallies = mem_realloc(j->tallies, j->cap * sizeof(*j->tallies));
    }
    t = &j->tallies[j->count++];
    *t = (struct audit_tally){ .self = n->self->id, .key = n->key, .fence = n->fence };
    return t;
}

/* --- one line --- */

/* Where it went, and whence; a command is what goes the other way than data. */
static void judge_places(struct audit_judge *j, const struct named *n, const char *path,
                         uint64_t line)
{
    const struct fence *fence = &j->deployment->fences[n->fence];
    const struct region *from = n->key.taken ? n->peer : n->self;
    const struct region *to = n->key.taken ? n->self : n->peer;
    bool from_member = fence_holds(fence, from->id), to_member = fence_holds(fence, to->id);
    bool answer = n->key.what == AUDIT_ANSWERS || n->key.what == AUDIT_PARTS;

    if (!to_member && !answer)
        audit_finding(j, path, line, "%s is not in fence %s, and %s", to->name, fence->name,
                      n->key.taken ? "took what it holds" : "was sent what it holds");
    else if (!to_member && n->keyspace->outside == KEYSPACE_REFUSE)
        audit_finding(j, path, line,
                      "%s is not in fence %s and was answered from keyspace \"%s\", which has no "
                      "outside: forward",
                      to->name, fence->name, n->keyspace->prefix);
    if (!from_member && n->key.what != AUDIT_COMMANDS)
        audit_finding(j, path, line, "%s is not in fence %s, and %s", from->name, fence->name,
                      n->key.taken ? "this was taken from it" : "had what it holds, to send");
}

static void judge_join(struct audit_judge *j, struct audit_tally *t, const char *path,
                       uint64_t line, const struct audit_fields *f)
{
    if (!t->began)
        audit_finding(j, path, line, "this had not been announced");
    else if (t->key.what == AUDIT_LOG && !t->renewed && f->from > t->last)
        audit_finding(j, path, line, "it does not join: before, it was sent up to 0x%" PRIx64,
                      t->last);
}

static void count(struct audit_judge *j, struct audit_tally *t, const char *path, uint64_t line,
                  const struct audit_fields *f)
{
    bool joins = t->key.what != AUDIT_COMMANDS && !t->key.taken;

    t->path = path;
    t->line = line;
    if (f->kind == AUDIT_IS_BEGINS) {
        t->began = t->renewed = true;
        t->last = f->from;
        return;
    }
    if (joins)
        judge_join(j, t, path, line, f);
    t->count += f->count;
    t->bytes += f->bytes;
    t->renewed = false;
    t->last = t->sent = f->to;
    audit_ranges_add(&t->ranges, (struct audit_range){ f->from, f->to });
}

/* A run ended without saying so: what it sent last is not there. It can have sent only what was
 * written before the next began. */
static void end_run(struct audit_judge *j, const struct region *self, stamp_t until)
{
    for (size_t i = 0; i < j->count; i++) {
        struct audit_tally *t = &j->tallies[i];

        if (t->self != self->id)
            continue;
        if (until != 0 && t->began && t->key.what == AUDIT_LOG)
            audit_ranges_add(&t->unknown,
                             (struct audit_range){ t->sent < t->last ? t->sent : t->last, until });
        t->began = t->renewed = false;
    }
    j->books[self->id].any_unknown |= until != 0;
}

static void judge_start(struct audit_judge *j, const struct region *self, const char *path,
                        uint64_t line, const struct audit_fields *f)
{
    struct audit_book *b = &j->books[self->id];
    stamp_t now = stamp_make(f->ms + j->deployment->max_skew_ms, 0, STAMP_ORIGINS - 1);

    if (strcmp(f->deployment, j->deployment->name) != 0)
        audit_finding(j, path, line, "it is of deployment %s", f->deployment);
    if (!b->given && f->number > 1) {
        b->unknown_before = now;
        b->any_unknown = true;
        audit_gap(j, path, line,
                  "lines 1 to %" PRIu64 " of %s: they stand in a file that is not given",
                  f->number - 1, self->name);
    }
    if (b->open)
        audit_gap(j, path, line, "what %s did last in run %" PRIu64 ", which did not stop cleanly",
                  self->name, b->run);
    end_run(j, self, b->open ? now : 0);
    b->given = b->open = true;
    b->run = f->run;
}

void audit_judge_line(struct audit_judge *j, const struct region *self, const char *path,
                      uint64_t line, const struct audit_fields *f)
{
    struct named n = { .self = self };
    const char *problem = f->problem;

    j->lines++;
    if (problem == NULL && f->kind == AUDIT_IS_START) {
        judge_start(j, self, path, line, f);
        return;
    }
    if (problem == NULL && f->kind == AUDIT_IS_STOP) {
        end_run(j, self, 0);
        j->books[self->id].open = false;
        return;
    }
    if (problem == NULL)
        problem = take_names(j->deployment, f, &n);
    if (problem != NULL) {
        audit_finding(j, path, line, "%s", problem);
        return;
    }
    judge_places(j, &n, path, line);
    count(j, tally_of(j, &n), path, line, f);
}

void audit_judge_end(struct audit_judge *j, const struct region *self, const char *path,
                     uint64_t line)
{
    struct audit_book *b = &j->books[self->id];

    if (!b->open)
        return;
    audit_gap(j, path, line,
              "what %s did last in run %" PRIu64 ": it goes on, or did not stop cleanly",
              self->name, b->run);
    end_run(j, self, UINT64_MAX);
}

/* --- all of them --- */

static struct audit_key other_side(const struct region *self, struct audit_key key)
{
    return (struct audit_key){ key.what, !key.taken, self->id, key.item };
}

/* What it took, the other must have sent. */
void audit_compare_line(struct audit_judge *j, const struct region *self, const char *path,
                        uint64_t line, const struct audit_fields *f)
{
    struct named n = { .self = self };

    if (f->kind != AUDIT_IS_TAKEN || take_names(j->deployment, f, &n) != NULL ||
        n.key.what != AUDIT_LOG || !j->books[n.peer->id].given)
        return;
    const struct audit_tally *sent = find_tally(j, n.peer->id, other_side(self, n.key));
    struct audit_range all = { f->from, f->to }, part, open;
    const struct audit_ranges none = { 0 };
    if (all.from < j->books[n.peer->id].unknown_before)
        all.from = j->books[n.peer->id].unknown_before;
    for (; audit_ranges_lacks(sent != NULL ? &sent->ranges : &none, all, &part);
         all.from = part.to) {
        for (stamp_t end = part.to;
             audit_ranges_lacks(sent != NULL ? &sent->unknown : &none, part, &open);
             part = (struct audit_range){ open.to, end })
            audit_finding(j, path, line,
                          "%s took (0x%" PRIx64 ", 0x%" PRIx64
                          "] of origin %u from %s, whose audit "
                          "has not sent it",
                          self->name, open.from, open.to, n.key.item, n.peer->name);
    }
}

/* Of log the ranges are looked at. */
static void compare_sums(struct audit_judge *j, const struct audit_tally *t)
{
    const struct deployment *d = j->deployment;
    const struct region *self = deployment_region_with_id(d, t->self);
    const struct region *peer = deployment_region_with_id(d, t->key.peer);
    const struct audit_tally *sent = find_tally(j, peer->id, other_side(self, t->key));

    if (!j->books[peer->id].given || j->books[peer->id].any_unknown ||
        (sent != NULL && t->count <= sent->count && t->bytes <= sent->bytes))
        return;
    audit_finding(j, t->path, t->line,
                  "%s took %" PRIu64 " with %" PRIu64 " bytes from %s up to here, whose audit has "
                  "sent only %" PRIu64 " with %" PRIu64,
                  self->name, t->count, t->bytes, peer->name, sent != NULL ? sent->count : 0,
                  sent != NULL ? sent->bytes : 0);
}

/* What was sent and did not come: the link ended while it was on its way, and it came later, by this
 * way or another; or the other's last lines are missing. */
static void compare_arrival(struct audit_judge *j, const struct audit_tally *sent)
{
    const struct region *self = deployment_region_with_id(j->deployment, sent->self);
    const struct region *peer = deployment_region_with_id(j->deployment, sent->key.peer);
    struct audit_ranges came = { 0 };
    struct audit_range part;

    if (!j->books[peer->id].given)
        return;
    for (size_t i = 0; i < j->count; i++) {
        const struct audit_tally *t = &j->tallies[i];

        for (size_t k = 0; t->self == peer->id && t->key.taken && t->key.what == AUDIT_LOG &&
                           t->key.item == sent->key.item && k < t->ranges.count;
             k++)
            audit_ranges_add(&came, t->ranges.at[k]);
    }
    for (size_t i = 0; i < sent->ranges.count; i++) {
        if (audit_ranges_lacks(&came, sent->ranges.at[i], &part))
            audit_gap(j, sent->path, sent->line,
                      "whether origin %u came to %s from 0x%" PRIx64 " to 0x%" PRIx64
                      ", which %s sent it up to here",
                      sent->key.item, peer->name, part.from, part.to, self->name);
    }
    audit_ranges_release(&came);
}

void audit_compare(struct audit_judge *j)
{
    for (size_t i = 0; i < j->count; i++) {
        const struct audit_tally *t = &j->tallies[i];

        if (t->key.taken && t->key.what != AUDIT_LOG)
            compare_sums(j, t);
        else if (!t->key.taken && t->key.what == AUDIT_LOG)
            compare_arrival(j, t);
    }
}
