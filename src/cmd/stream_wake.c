#include "cmd/stream_wake.h"

#include "base/memory.h"
#include "cmd/stream.h"

struct note {
    uint8_t db;
    size_t len;
    uint8_t key[];
};

struct stream_wake {
    struct table notes[OP_DATABASES];
    /* as they were when we last looked */
    struct stream_id bound;
    size_t closed_count;
};

/* Keyspaces: KEYSPACE SET may open them. */
static size_t count_closed(const struct server *server)
{
    size_t count = 0;

    for (size_t i = 0; i < server->deployment->keyspace_count; i++)
        count += server->keyspaces[i].promises.streams == KEYSPACE_STREAMS_CLOSED;
    return count;
}

static struct span name_of(const void *item)
{
    const struct note *n = item;

    return span_of(n->key, n->len);
}

static struct note *new_note(uint8_t db, struct span key)
{
    struct note *n = mem_alloc(sizeof(*n) + key.len);

    n->db = db;
    n->len = key.len;
    if (key.len > 0)
        memcpy(n->key, key.at, key.len);
    return n;
}

void stream_wake_later(struct server *server, uint8_t db, struct span key)
{
    struct stream_wake *w = server->stream_wake;

    if (w == NULL) {
        w = server->stream_wake = mem_zalloc(sizeof(*w));
        w->bound = stream_bound(server->replica);
        w->closed_count = count_closed(server);
        for (int i = 0; i < OP_DATABASES; i++)
            table_init(&w->notes[i], name_of, server->replica->databases[i].keys.seed);
    }
    void **slot = table_find_or_add(&w->notes[db], key);
    if (*slot == NULL)
        *slot = new_note(db, key);
}

/* Entries with ids in (from, to]. */
static bool any_between(const struct server *server, const struct note *n, struct stream_id from,
                        struct stream_id to)
{
    const struct entry *e = database_find(&server->replica->databases[n->db], name_of(n));
    const struct btree *entries = e != NULL ? object_order(e, COMPONENT_STREAM) : NULL;
    struct stream_view v = { .entries = entries, .length = entries != NULL ? entries->count : 0 };

    return stream_id_next(&from) &&
           stream_rank(&v, from) < (stream_id_next(&to) ? stream_rank(&v, to) : v.length);
}

static void look_at_notes(struct server *server, struct table *notes, bool opened,
                          struct stream_id from, struct stream_id to)
{
    struct table_iter it;

    table_iter_init(&it, notes);
    for (void **slot; (slot = table_iter_next(&it)) != NULL;) {
        struct note *n = *slot;

        if (table_find(&server->touch.keys[n->db], name_of(n)) == NULL) {
            table_iter_remove(&it);
            mem_free(n);
        } else if (opened || any_between(server, n, from, to)) {
            server->watch.touched(server->watch.context, n->db, name_of(n));
        }
    }
}

void stream_wake_moved(struct server *server)
{
    struct stream_wake *w = server->stream_wake;

    if (w == NULL)
        return;
    struct stream_id from = w->bound, to = stream_bound(server->replica);
    size_t closed_count = count_closed(server);
    bool opened = closed_count != w->closed_count;
    if (!opened && stream_id_compare(from, to) == 0)
        return;
    w->bound = to;
    w->closed_count = closed_count;
    for (int db = 0; db < OP_DATABASES; db++)
        look_at_notes(server, &w->notes[db], opened, from, to);
}

void stream_wake_release(struct server *server)
{
    struct stream_wake *w = server->stream_wake;
    struct table_iter it;

    for (int db = 0; w != NULL && db < OP_DATABASES; db++) {
        table_iter_init(&it, &w->notes[db]);
        for (void **slot; (slot = table_iter_next(&it)) != NULL;)
            mem_free(*slot);
        table_release(&w->notes[db]);
    }
    mem_free(w);
    server->stream_wake = NULL;
}
