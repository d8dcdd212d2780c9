#include "store/checkpoint_order.h"

#include "base/error.h"

static int damaged(struct checkpoint *c, enum kv_table table, struct span key)
{
    checkpoint_complain(c->problem, c->kv, table, key, key.at, E_CORRUPT);
    return E_CORRUPT;
}

static int failed(struct checkpoint *c, enum kv_table table, struct span key, int error)
{
    checkpoint_tell(c->problem, c->detail, table, key);
    return error;
}

/* --- one row --- */

/* The seed of the hashes in places, once a copy is complete: it is asked for when it is needed. */
static bool know_seed(struct checkpoint *c)
{
    struct span content;
    struct copy_start start;
    if (!c->seed_known && meta_get(c->kv->ops, c->reader, span_str("start"), &content) == E_OK &&
        copy_start_take(&content, &start)) {
        c->seed = start.table_seed;
        c->seed_known = true;
    }
    return c->seed_known;
}

/* Whether the key of an object row shows by itself that it is what was written. */
static bool proves_itself(struct checkpoint *c, uint8_t db, struct span place)
{
    uint8_t its;
    uint64_t position;
    bool has_key;
    struct span key;
    if (!place_take(place, &its, &position, &has_key, &key) || its != db || !has_key ||
        !know_seed(c))
        return false;
    struct table t;
    table_init(&t, NULL, c->seed);
    return cold_position(table_hash(&t, key)) == position;
}

static bool is_good(enum kv_table table, struct span key, struct span row)
{
    struct checkpoint_record record;
    if (table != KV_OBJECTS)
        return row_unseal(&row, key) && row.len == 0;
    do {
        if (!checkpoint_record_take(&row, key, &record))
            return false;
    } while (row.len > 0);
    return true;
}

static int check_row(struct checkpoint *c, enum kv_table table, struct span key)
{
    struct span row;
    int error = c->kv->ops->get(c->reader, table, key, &row);
    if (error != E_OK && error != E_MISSING)
        return failed(c, table, key, error);
    return error == E_OK && is_good(table, key, row) ? E_OK : damaged(c, table, key);
}

/* --- two rows, and what is between --- */

/* An empty table must be meant. */
static int check_empty(struct checkpoint *c, enum kv_table table)
{
    struct cold_counts counts[OP_DATABASES];
    int error = meta_get_counts(c->kv->ops, c->reader, counts);
    uint64_t keys = 0;
    if (error != E_OK)
        return failed(c, KV_META, span_str("counts"), error);
    for (int db = 0; db < OP_DATABASES; db++)
        keys += counts[db].keys;
    return keys == 0 || table != KV_OBJECTS ? E_OK : damaged(c, KV_META, span_str("counts"));
}

static bool is_of(struct span key, uint8_t db)
{
    return key.len > 0 && key.at[0] == db;
}

static int check_around(struct checkpoint *c, enum kv_table table, struct span key, bool absent)
{
    struct span before, after;
    int error = c->kv->ops->around(c->reader, table, key, &before, &after);
    if (error != E_OK)
        return failed(c, table, key, error);
    if (before.len == 0 && after.len == 0)
        return check_empty(c, table);
    if (before.len > 0 && span_compare(before, key) >= 0)
        return damaged(c, table, before);
    if (after.len > 0 && span_compare(after, key) < (absent ? 1 : 0))
        return damaged(c, table, after);
    /* Where another database begins, a row of that one may be damaged to look like one of ours. */
    uint8_t db = key.at[0];
    bool within = table == KV_OBJECTS && is_of(before, db) && is_of(after, db);
    if (before.len > 0 && !(within && proves_itself(c, db, before)))
        error = check_row(c, table, before);
    if (error != E_OK || after.len == 0 || (within && !absent)) /* a walk will see it */
        return error;
    return within && proves_itself(c, db, after) ? E_OK : check_row(c, table, after);
}

int order_check_absent(struct checkpoint *c, enum kv_table table, struct span key)
{
    return check_around(c, table, key, true);
}

int order_check_before(struct checkpoint *c, enum kv_table table, struct span from)
{
    return check_around(c, table, from, false);
}

int order_check_step(struct checkpoint *c, enum kv_table table, struct span before, struct span key)
{
    return span_compare(before, key) < 0 ? E_OK : damaged(c, table, key);
}

int order_check_end(struct checkpoint *c, enum kv_table table, uint8_t db, struct span before,
                    struct span key)
{
    struct span last, end;
    if (!(table == KV_OBJECTS && proves_itself(c, db, key))) {
        int error = check_row(c, table, key);
        if (error != E_OK)
            return error;
    }
    if (before.len == 0)
        return E_OK; /* they were found beside each other */
    int error = c->kv->ops->around(c->reader, table, key, &last, &end);
    if (error != E_OK)
        return failed(c, table, key, error);
    return span_equal(last, before) && span_equal(end, key) ? E_OK : damaged(c, table, key);
}
