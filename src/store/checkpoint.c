/*
 * checkpoint -- reading: what was found at the start, one object, and heads of records in three orders.
 */
#include "store/checkpoint.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "store/checkpoint_record.h"

/* --- the reader --- */

static int complain(struct checkpoint *c, enum kv_table table, struct span row_key, int error)
{
    checkpoint_complain(c->problem, table, row_key, error);
    return error;
}

static int fail(struct checkpoint *c, const char *action, int error)
{
    snprintf(c->problem, sizeof(c->problem), "checkpoint: %s: %s", action, error_text(error));
    return error;
}

static int look(struct checkpoint *c)
{
    if (c->fresh)
        return E_OK;
    int error = c->kv->ops->renew(c->reader);
    c->fresh = error == E_OK;
    return c->fresh ? E_OK : fail(c, "begin to read", error);
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
        if (error != E_OK) {
            struct row_key key = row_key_piece(record->image, row);
            complain(c, KV_PIECES, row_key_span(&key), error);
        }
    }
    if (c->joined.cap > PIECE_ROW_BYTES)
        buffer_release(&c->joined);
    return error;
}

static int read_object(void *store, uint8_t db, uint64_t hash, struct span key, uint8_t *flags,
                       cold_piece_fn take, void *context)
{
    struct checkpoint *c = store;
    struct row_key row_key = row_key_place(db, hash, key);
    struct span place = row_key_span(&row_key), row;
    struct checkpoint_record record;
    bool damaged;
    int error = look(c);
    if (error != E_OK)
        return error;
    error = c->kv->ops->get(c->reader, KV_OBJECTS, place, &row);
    if (error != E_OK)
        return error == E_MISSING ? error : complain(c, KV_OBJECTS, place, error);
    if (!find_record(row, place, key, &record, &damaged))
        return damaged ? complain(c, KV_OBJECTS, place, E_CORRUPT) : E_MISSING;
    c->reads++;
    *flags = record.flags;
    if (record.image != 0)
        return give_rows(c, &record, take, context);
    return take(context, record.piece) ? E_OK : complain(c, KV_OBJECTS, place, E_CORRUPT);
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
            return complain(v->c, KV_OBJECTS, place, E_CORRUPT);
        if ((v->due_ms != 0 && record.due_ms != v->due_ms) ||
            (record.flags & v->flags) != v->flags)
            continue;
        v->found = true;
        struct cold_head head = { place.at[0], record.flags, record.due_ms, record.key };
        v->enough = !v->visit(v->context, &head);
    } while (row.len > 0 && !v->enough);
    return E_OK;
}

/* The same, from a row of an index, which promises that there is one. */
static int visit_indexed(struct visiting *v, enum kv_table table, struct span row_key,
                         struct span place)
{
    struct span row;
    int error = v->c->kv->ops->get(v->c->reader, KV_OBJECTS, place, &row);
    v->found = false;
    if (error == E_OK)
        error = visit_row(v, place, row);
    if (error == E_MISSING || (error == E_OK && !v->found && !v->enough))
        error = complain(v->c, table, row_key, E_CORRUPT);
    return error;
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
    const struct kv_ops *ops = v.c->kv->ops;
    struct row_key from = row_key_position(db, first);
    struct span place, row;
    int error = look(v.c);
    if (error != E_OK)
        return error;
    error = ops->seek(v.c->reader, KV_OBJECTS, row_key_span(&from), &place, &row);
    while (error == E_OK && place_within(place, db, last)) {
        error = visit_row(&v, place, row);
        if (error != E_OK || v.enough)
            return error;
        error = ops->next(v.c->reader, KV_OBJECTS, &place, &row);
    }
    return error == E_OK || error == E_MISSING ? E_OK : fail(v.c, "scan objects", error);
}

static int due_heads(void *store, uint64_t from_ms, uint64_t to_ms, cold_head_fn visit,
                     void *context)
{
    struct visiting v = { .c = store, .visit = visit, .context = context };
    const struct kv_ops *ops = v.c->kv->ops;
    struct row_key from = row_key_due(from_ms, span_of(NULL, 0));
    struct span row_key, nothing, place;
    int error = look(v.c);
    if (error != E_OK)
        return error;
    error = ops->seek(v.c->reader, KV_DUE, row_key_span(&from), &row_key, &nothing);
    while (error == E_OK) {
        if (!due_take(row_key, &v.due_ms, &place))
            return complain(v.c, KV_DUE, row_key, E_CORRUPT);
        if (v.due_ms > to_ms)
            return E_OK;
        error = visit_indexed(&v, KV_DUE, row_key, place);
        if (error != E_OK || v.enough)
            return error;
        error = ops->next(v.c->reader, KV_DUE, &row_key, &nothing);
    }
    return error == E_MISSING ? E_OK : fail(v.c, "scan what is due", error);
}

static int contested_heads(void *store, uint8_t db, cold_head_fn visit, void *context)
{
    struct visiting v = { .c = store, .flags = COLD_CONTESTED, .visit = visit, .context = context };
    const struct kv_ops *ops = v.c->kv->ops;
    struct row_key from = row_key_position(db, 0);
    struct span place, nothing;
    int error = look(v.c);
    if (error != E_OK)
        return error;
    error = ops->seek(v.c->reader, KV_CONTESTED, row_key_span(&from), &place, &nothing);
    while (error == E_OK && place_within(place, db, UINT64_MAX)) {
        error = visit_indexed(&v, KV_CONTESTED, place, place);
        if (error != E_OK || v.enough)
            return error;
        error = ops->next(v.c->reader, KV_CONTESTED, &place, &nothing);
    }
    return error == E_OK || error == E_MISSING ? E_OK : fail(v.c, "scan what is contested", error);
}

static const struct cold_ops cold_ops = {
    .read = read_object,
    .scan = scan_heads,
    .due = due_heads,
    .contested = contested_heads,
};

/* --- what there is at the start --- */

static int find_start(struct checkpoint *c, struct checkpoint_found *found)
{
    struct span content;
    int error = meta_get(c->kv->ops, c->reader, span_str("start"), &content);
    if (error == E_MISSING)
        return E_OK;
    if (error == E_OK && !copy_start_take(&content, &found->start))
        error = E_CORRUPT;
    found->start_known = error == E_OK;
    return error == E_OK ? E_OK : complain(c, KV_META, span_str("start"), error);
}

static int find_all(struct checkpoint *c, struct checkpoint_found *found)
{
    const struct kv_ops *ops = c->kv->ops;
    struct span key, value;
    int error = ops->seek(c->reader, KV_OBJECTS, span_of(NULL, 0), &key, &value);
    found->empty = error == E_MISSING;
    if (error != E_OK && error != E_MISSING)
        return fail(c, "read objects", error);
    error = meta_check_format(ops, c->reader);
    if (error == E_MISSING)
        return E_OK;
    if (error != E_OK)
        return complain(c, KV_META, span_str("format"), error);
    error = meta_get_counts(ops, c->reader, found->counts);
    return error == E_OK ? find_start(c, found) : complain(c, KV_META, span_str("counts"), error);
}

int checkpoint_open(struct checkpoint *c, struct kv *kv, struct checkpoint_found *found)
{
    *found = (struct checkpoint_found){ .empty = true };
    *c = (struct checkpoint){ .kv = kv, .cold = { &cold_ops, c } };
    int error = kv->ops->begin(kv, false, &c->reader);
    if (error != E_OK)
        return fail(c, "open", error);
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
    return error == E_OK || error == E_MISSING ? error : complain(c, KV_META, key, error);
}
