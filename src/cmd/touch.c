#include "cmd/touch.h"

#include "base/check.h"
#include "base/memory.h"
#include "cmd/server.h"

static struct span name_of(const void *item)
{
    const struct touch_key *key = item;

    return span_of(key->name, key->len);
}

void touch_init(struct touch *t, struct database_watch *watch, uint64_t seed)
{
    *t = (struct touch){ .watch = watch };
    for (int db = 0; db < OP_DATABASES; db++)
        table_init(&t->keys[db], name_of, seed);
}

void touch_release(struct touch *t)
{
    CHECK(t->key_count == 0);
    for (int db = 0; db < OP_DATABASES; db++)
        table_release(&t->keys[db]);
    *t = (struct touch){ 0 };
}

/* The database's hook. */
static void touched(void *context, uint8_t db, struct span name)
{
    struct server *server = context;
    void **slot = table_find(&server->touch.keys[db], name);

    if (slot == NULL)
        return;
    struct touch_key *key = *slot;
    list_each(&key->waiters, it)
    {
        struct touch_waiter *w = container_of(it, struct touch_waiter, link);

        w->touched(w);
    }
}

static struct touch_key *new_key(uint8_t db, struct span name)
{
    struct touch_key *key = mem_alloc(sizeof(*key) + name.len);

    list_init(&key->waiters);
    key->db = db;
    key->len = name.len;
    if (name.len > 0)
        memcpy(key->name, name.at, name.len);
    return key;
}

void touch_wait(struct touch *t, uint8_t db, struct span key, struct touch_waiter *w)
{
    CHECK(w->key == NULL && w->touched != NULL);
    void **slot = table_find_or_add(&t->keys[db], key);

    if (*slot == NULL) {
        *slot = new_key(db, key);
        t->key_count++;
        t->watch->touched = touched;
    }
    w->key = *slot;
    list_add_tail(&w->key->waiters, &w->link);
}

void touch_end(struct touch *t, struct touch_waiter *w)
{
    struct touch_key *key = w->key;

    if (key == NULL)
        return;
    list_remove(&w->link);
    w->key = NULL;
    if (!list_empty(&key->waiters))
        return;
    table_remove(&t->keys[key->db], name_of(key));
    mem_free(key);
    if (--t->key_count == 0)
        t->watch->touched = NULL;
}
