/*
 * checkpoint -- reading: what was found at the start, one object, and heads of records in three
 * orders.
 */
#include <stdio.h>

#include "base/error.h"
#include "store/checkpoint_order.h"

/* --- the reader --- */

/* A row that is not what was written; `at` as in checkpoint_complain. */
static int complain(struct checkpoint *c, enum kv_table table, struct span row_key, const void *at,
                    int error)
{
    checkpoint_complain(c->problem, c->kv, table, row_key, at, error);
    return error;
}

/* What the store could not do. */
static int fail(struct checkpoint *c, int error)
{
    snprintf(c->problem, sizeof(c->problem), "%s", c->detail);
    return error;
}

static int fail_at(struct checkpoint *c, enum kv_table table, struct span row_key, int error)
{
    checkpoint_tell(c->problem, c->detail, table, row_key);
    return error;
}

static int look(struct checkpoint *c)
{
    if (c->fresh)
        return E_OK;
    int error = c->kv->ops->renew(c->reader);
    c->fresh = error == E_OK;
    return c->fresh ? E_OK : fail(c, error);
}

void checkpoint_refresh(struct checkpoint *c)
{
    if (c->fresh)
        c->kv->ops->reset(c->reader);
    c->fresh = false;
}

/* --- one object --- */

/* The record of a key in an object row. */
static bool find_record(struct span row, struct span place, struct span key,
                        struct checkpoint_record *record, bool *damaged)
{
    do {
        *damaged = !checkpoint_record_take(&row, place, record);
        if (!*damaged && span_equal(record->key, key))
            return true;
    } while (row.len > 0 && !*damaged);
    return false;
}

static int give_rows(struct checkpoint *c, const struct checkpoint_record *record,
                     cold_piece_fn take, void *context)
{
    struct span piece;
    int error = E_OK;
    uint32_t row = 0;
    while (error == E_OK && row < record->rows) {
        error = piece_get(c->kv->ops, c->reader, record, &row, &c->joined, &piece);
        if (error == E_OK && !take(context, piece))
            error = E_CORRUPT;
        struct row_key key = row_key_piece(record->image, row);
        if (error == E_CORRUPT)
            complain(c, KV_PIECES, row_key_span(&key), piece.at, error);
        else if (error != E_OK)
            fail_at(c, KV_PIECES, row_key_span(&key), error);
    }
    if (c->joined.cap > PIECE_ROW_BYTES)
        buffer_release(&c->joined);
    return error;
}

static int read_row(struct checkpoint *c, struct span place, struct span *row)
{
    int error = c->kv->ops->get(c->reader, KV_OBJECTS, place, row);
    if (error == E_OK)
        return E_OK;
    if (error != E_MISSING)
        return fail_at(c, KV_OBJECTS, place, error);
    error = order_check_absent(c, KV_OBJECTS, place);
    return error == E_OK ? E_MISSING : error;
}

static int read_object(void *store, uint8_t db, uint64_t hash, struct span key, uint8_t *flags,
                       cold_piece_fn take, void *context)
{
    struct checkpoint *c = store;
    struct row_key row_key = row_key_place(db, hash, key);
    struct span place = row_key_span(&row_key), row = { 0 };
    struct checkpoint_record record;
    bool damaged;
    int error = look(c);
    if (error == E_OK)
        error = read_row(c, place, &row);
    if (error != E_OK)
        return error;
    if (!find_record(row, place, key, &record, &damaged))
        return damaged ? complain(c, KV_OBJECTS, place, row.at, E_CORRUPT) : E_MISSING;
    c->reads++;
    *flags = record.flags;
    if (record.image != 0)
        return give_rows(c, &record, take, context);
    return take(context, record.piece) ? E_OK : complain(c, KV_OBJECTS, place, row.at, E_CORRUPT);
}

/* --- many heads --- */

struct visiting {
    struct checkpoint *c;
    uint64_t due_ms; /* 0: of any time */
    uint8_t flags;   /* that it must have */
    cold_head_fn visit;
    void *context;
    bool found, enough;
};

/* All records of an object row that are meant. */
static int visit_row(struct visiting *v, struct span place, struct span row)
{
    struct checkpoint_record record;
    do {
        if (!checkpoint_record_take(&row, place, &record))
            return complain(v->c, KV_OBJECTS, place, row.at, E_CORRUPT);
        if ((v->due_ms != 0 && record.due_ms != v->due_ms) || (record.flags & v->flags) != v->flags)
            continue;
        v->found = true;
        struct cold_head head = { place.at[0], record.flags, record.due_ms, record.key };
        v->enough = !v->visit(v->context, &head);
    } while (row.len > 0 && !v->enough);
    return E_OK;
}

/* The same, from a row of an index, which promises that there is one. */
static int visit_indexed(struct visiting *v, enum kv_table table, struct span row_key,
                         struct span sum, struct span place)
{
    struct span row;
    if (!row_unseal(&sum, row_key))
        return complain(v->c, table, row_key, sum.at, E_CORRUPT);
    int error = v->c->kv->ops->get(v->c->reader, KV_OBJECTS, place, &row);
    v->found = false;
    if (error == E_OK)
        error = visit_row(v, place, row);
    else if (error != E_MISSING)
        return fail_at(v->c, KV_OBJECTS, place, error);
    if (error == E_MISSING || (error == E_OK && !v->found && !v->enough))
        error = complain(v->c, table, row_key, sum.at, E_CORRUPT);
    return error;
}

/* A walk through a table, in order. */
struct walk {
    struct checkpoint *c;
    enum kv_table table;
    struct span key, value; /* the row where it is */
    struct span before;     /* the key of the one before; empty: this is the first */
};

/* E_MISSING: there is none from there on. */
static int walk_begin(struct walk *w, struct checkpoint *c, enum kv_table table, struct span from)
{
    *w = (struct walk){ .c = c, .table = table };
    int error = look(c);
    if (error == E_OK)
        error = order_check_before(c, table, from);
    if (error != E_OK)
        return error;
    error = c->kv->ops->seek(c->reader, table, from, &w->key, &w->value);
    return error == E_OK || error == E_MISSING ? error : fail_at(c, table, from, error);
}

static int walk_next(struct walk *w)
{
    w->before = w->key;
    int error = w->c->kv->ops->next(w->c->reader, w->table, &w->key, &w->value);
    if (error == E_OK)
        return order_check_step(w->c, w->table, w->before, w->key);
    return error == E_MISSING ? error : fail_at(w->c, w->table, w->before, error);
}

static bool place_within(struct span place, uint8_t db, uint64_t last)
{
    uint8_t its;
    uint64_t position;
    bool has_key;
    struct span key;
    /* What is no place is for the reading of its row to refuse. */
    return !place_take(place, &its, &position, &has_key, &key) || (its == db && position <= last);
}

static int scan_heads(void *store, uint8_t db, uint64_t first, uint64_t last, cold_head_fn visit,
                      void *context)
{
    struct visiting v = { .c = store, .visit = visit, .context = context };
    struct row_key from = row_key_position(db, first);
    struct walk w;
    int error = walk_begin(&w, v.c, KV_OBJECTS, row_key_span(&from));
    for (; error == E_OK; error = walk_next(&w)) {
        if (!place_within(w.key, db, last))
            return order_check_end(v.c, KV_OBJECTS, db, w.before, w.key);
        error = visit_row(&v, w.key, w.value);
        if (error != E_OK || v.enough)
            return error;
    }
    return error == E_MISSING ? E_OK : error;
}

static int due_heads(void *store, const struct cold_due *due, uint64_t to_ms, cold_head_fn visit,
                     void *context)
{
    struct visiting v = { .c = store, .visit = visit, .context = context };
    struct row_key position = row_key_position(due->db, due->position);
    struct row_key from = row_key_due(due->ms, row_key_span(&position));
    struct span place;
    struct walk w;
    int error = walk_begin(&w, v.c, KV_DUE, row_key_span(&from));
    for (; error == E_OK; error = walk_next(&w)) {
        if (!due_take(w.key, &v.due_ms, &place))
            return complain(v.c, KV_DUE, w.key, w.key.at, E_CORRUPT);
        if (v.due_ms > to_ms)
            return order_check_end(v.c, KV_DUE, 0, w.before, w.key);
        error = visit_indexed(&v, KV_DUE, w.key, w.value, place);
        if (error != E_OK || v.enough)
            return error;
    }
    return error == E_MISSING ? E_OK : error;
}

static int contested_heads(void *store, uint8_t db, cold_head_fn visit, void *context)
{
    struct visiting v = { .c = store, .flags = COLD_CONTESTED, .visit = visit, .context = context };
    struct row_key from = row_key_position(db, 0);
    struct walk w;
    int error = walk_begin(&w, v.c, KV_CONTESTED, row_key_span(&from));
    for (; error == E_OK; error = walk_next(&w)) {
        if (!place_within(w.key, db, UINT64_MAX))
            return order_check_end(v.c, KV_CONTESTED, db, w.before, w.key);
        error = visit_indexed(&v, KV_CONTESTED, w.key, w.value, w.key);
        if (error != E_OK || v.enough)
            return error;
    }
    return error == E_MISSING ? E_OK : error;
}

static const struct cold_ops cold_ops = {
    .read = read_object,
    .scan = scan_heads,
    .due = due_heads,
    .contested = contested_heads,
};

/* --- what there is at the start --- */

/* All of the table: a row that is not found there must not be taken for one that was never written. */
static int check_meta(struct checkpoint *c)
{
    const struct kv_ops *ops = c->kv->ops;
    struct span key, value, before = { 0 };
    int error = ops->seek(c->reader, KV_META, before, &key, &value);
    for (; error == E_OK; error = ops->next(c->reader, KV_META, &key, &value)) {
        error = order_check_step(c, KV_META, before, key);
        if (error != E_OK)
            return error;
        if (!row_unseal(&value, key))
            return complain(c, KV_META, key, value.at, E_CORRUPT);
        before = key;
    }
    return error == E_MISSING ? E_OK : fail(c, error);
}

/* What an error of a meta row comes to. */
static int meta_failed(struct checkpoint *c, struct span name, int error)
{
    if (error == E_CORRUPT || error == E_VERSION)
        return complain(c, KV_META, name, NULL, error);
    return fail_at(c, KV_META, name, error);
}

static int find_start(struct checkpoint *c, struct checkpoint_found *found)
{
    struct span content;
    int error = meta_get(c->kv->ops, c->reader, span_str("start"), &content);
    if (error == E_MISSING)
        return E_OK;
    if (error == E_OK && !copy_start_take(&content, &found->start))
        error = E_CORRUPT;
    found->start_known = error == E_OK;
    return error == E_OK ? E_OK : meta_failed(c, span_str("start"), error);
}

static bool has_keys(const struct checkpoint_found *found)
{
    uint64_t keys = 0;
    for (int db = 0; db < OP_DATABASES; db++)
        keys += found->counts[db].keys;
    return keys > 0;
}

static int find_all(struct checkpoint *c, struct checkpoint_found *found)
{
    const struct kv_ops *ops = c->kv->ops;
    struct span key, value;
    int error = ops->seek(c->reader, KV_OBJECTS, span_of(NULL, 0), &key, &value);
    found->empty = error == E_MISSING;
    if (error != E_OK && error != E_MISSING)
        return fail(c, error);
    error = check_meta(c);
    if (error != E_OK)
        return error;
    error = meta_check_format(ops, c->reader);
    if (error == E_MISSING)
        return E_OK;
    if (error != E_OK)
        return meta_failed(c, span_str("format"), error);
    error = meta_get_counts(ops, c->reader, found->counts);
    if (error == E_OK && found->empty && has_keys(found))
        error = E_CORRUPT;
    return error == E_OK ? find_start(c, found) : meta_failed(c, span_str("counts"), error);
}

int checkpoint_open(struct checkpoint *c, struct kv *kv, struct checkpoint_found *found)
{
    *found = (struct checkpoint_found){ .empty = true };
    *c = (struct checkpoint){ .kv = kv, .cold = { &cold_ops, c } };
    int error = kv->ops->begin(kv, false, c->detail, &c->reader);
    if (error != E_OK)
        return fail(c, error);
    c->fresh = true;
    error = find_all(c, found);
    if (error != E_OK)
        checkpoint_close(c);
    else
        checkpoint_refresh(c);
    return error;
}

void checkpoint_close(struct checkpoint *c)
{
    if (c->reader)
        c->kv->ops->abort(c->reader);
    c->reader = NULL;
    c->fresh = false;
    buffer_release(&c->joined);
}

int checkpoint_note(struct checkpoint *c, char name, struct buffer *out)
{
    char row[] = { 'n', 'o', 't', 'e', '.', name };
    struct span content, key = span_of(row, sizeof(row));
    int error = look(c);
    if (error != E_OK)
        return error;
    error = meta_get(c->kv->ops, c->reader, key, &content);
    if (error == E_OK)
        buffer_put(out, content);
    return error == E_OK || error == E_MISSING ? error : meta_failed(c, key, error);
}
