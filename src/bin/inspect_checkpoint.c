/*
 * inspect_checkpoint -- what a checkpoint says of itself, and its records. In a child: what is
 * damaged may end who reads it.
 */
#include <stdio.h>

#include "base/error.h"
#include "bin/child.h"
#include "bin/inspect.h"
#include "crdt/op_name.h"
#include "host/kv_lmdb.h"
#include "store/examine.h"

struct showing {
    struct inspect x; /* the child's own */
    char directory[FILES_PATH_MAX];
    bool good;
    char problem[FILES_PROBLEM_MAX];
};

static bool show_start(struct inspect *x, const struct checkpoint_found *found)
{
    struct lines *l = &x->lines;
    lines_begin(l, "checkpoint");
    if (found->start_known) {
        lines_number(l, "start_lsn", found->start.lsn);
        lines_vector(l, "last_op", &found->start.last_op);
        lines_vector(l, "applied", &found->start.applied);
    } else {
        lines_flag(l, "incomplete");
    }
    return lines_end(l);
}

static bool show_counts(struct inspect *x, const struct checkpoint_found *found)
{
    bool good = true;
    for (unsigned db = 0; db < OP_DATABASES && good; db++) {
        const struct cold_counts *c = &found->counts[db];
        if (c->keys == 0)
            continue;
        lines_begin(&x->lines, "database");
        lines_number(&x->lines, "db", db);
        lines_number(&x->lines, "records", c->keys);
        lines_number(&x->lines, "ghosts", c->ghosts);
        lines_number(&x->lines, "with_deadline", c->with_deadline);
        lines_number(&x->lines, "contested", c->contested);
        good = lines_end(&x->lines);
    }
    return good;
}

static void show_object(void *context, const struct examined_object *o)
{
    struct showing *s = context;
    struct lines *l = &s->x.lines;
    if (!s->x.keys || !s->good)
        return;
    lines_begin(l, "key");
    lines_number(l, "db", o->db);
    lines_bytes(l, "name", o->key);
    lines_text(l, "type", op_component_name(o->type));
    if (o->due_ms != 0)
        lines_time(l, "due", o->due_ms);
    if (o->flags & COLD_DEADLINE)
        lines_flag(l, "deadline");
    if (o->flags & COLD_GHOST)
        lines_flag(l, "ghost");
    if (o->flags & COLD_CONTESTED)
        lines_flag(l, "contested");
    lines_number(l, "bytes", o->bytes);
    lines_number(l, "pieces", o->pieces);
    s->good = lines_end(l);
}

static void show_store(struct showing *s, struct checkpoint *c,
                       const struct checkpoint_found *found)
{
    struct examined_checkpoint examined;
    struct lines *l = &s->x.lines;
    s->good = show_start(&s->x, found) && show_counts(&s->x, found);
    if (!s->good)
        return;
    if (examine_checkpoint(c, show_object, s, &examined) != E_OK) {
        snprintf(s->problem, sizeof(s->problem), "%s", c->problem);
        return;
    }
    lines_begin(l, "checked");
    lines_number(l, "records", examined.objects);
    lines_number(l, "bytes", examined.bytes);
    s->good = s->good && lines_end(l);
}

static void show_now(void *memory)
{
    struct showing *s = memory;
    char cause[KV_LMDB_PROBLEM_MAX];
    static struct checkpoint_found found;
    struct kv_lmdb kv;
    struct checkpoint c;
    s->good = true;
    if (kv_lmdb_open(&kv, s->directory, true, cause) != E_OK) {
        snprintf(s->problem, sizeof(s->problem), "%s", cause);
        return;
    }
    if (checkpoint_open(&c, &kv.kv, &found) != E_OK) {
        snprintf(s->problem, sizeof(s->problem), "%s", c.problem);
    } else {
        show_store(s, &c, &found);
        checkpoint_close(&c);
    }
    kv_lmdb_close(&kv);
    lines_release(&s->x.lines);
}

/* A back-up is not left with a file that LMDB has made to read it. */
static bool show(struct inspect *x, struct showing *s)
{
    char crash[CHILD_PROBLEM_MAX], lock[FILES_PATH_MAX], problem[FILES_PROBLEM_MAX];
    bool made = files_join(lock, s->directory, "lock.mdb", problem) && !files_exists(lock);
    child_run(show_now, s, crash);
    if (made)
        files_remove(lock, problem);
    if (crash[0] != '\0')
        inspect_damage(x, s->directory, crash);
    else if (s->problem[0] != '\0')
        inspect_damage(x, s->directory, s->problem);
    return crash[0] != '\0' || s->good;
}

bool inspect_checkpoint(struct inspect *x, const char *directory)
{
    struct showing *s = child_memory(sizeof(*s));
    if (s == NULL) {
        inspect_damage(x, directory, "no memory");
        return true;
    }
    s->x = *x;
    s->x.lines.line = (struct buffer){ 0 };
    snprintf(s->directory, sizeof(s->directory), "%s", directory);
    bool good = show(x, s);
    child_memory_free(s, sizeof(*s));
    return good;
}
