/*
 * checkpoint_export -- records in the order of their places, as the changes that would write them.
 *
 *     cursor    nothing: the first
 *               varint length, place: all of it was given
 *               varint length, place, u64 image, u32 row, u32 piece: of that image, what comes next
 */
#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "store/checkpoint_order.h"

struct cursor {
    struct span place;
    uint64_t image; /* 0: the place is done */
    uint32_t row, piece;
};

struct exporting {
    struct checkpoint *c;
    struct buffer *changes;
    size_t end; /* of `changes` */
    struct cursor at;
};

static int fail(struct checkpoint *c, enum kv_table table, struct span row_key, const void *at,
                int error)
{
    if (error == E_CORRUPT)
        checkpoint_complain(c->problem, c->kv, table, row_key, at, error);
    else
        checkpoint_tell(c->problem, c->detail, table, row_key);
    return error;
}

static bool cursor_take(struct span in, struct cursor *at)
{
    *at = (struct cursor){ .image = 0 };
    if (in.len == 0)
        return true;
    if (!span_take_prefixed(&in, &at->place) || at->place.len == 0 || at->place.len > PLACE_MAX)
        return false;
    return in.len == 0 || (span_take_u64(&in, &at->image) && span_take_u32(&in, &at->row) &&
                           span_take_u32(&in, &at->piece) && in.len == 0);
}

static void cursor_put(struct buffer *out, const struct cursor *at)
{
    buffer_clear(out);
    buffer_put_prefixed(out, at->place);
    if (at->image == 0)
        return;
    buffer_put_u64(out, at->image);
    buffer_put_u32(out, at->row);
    buffer_put_u32(out, at->piece);
}

static struct change change_of(const struct checkpoint_record *record, struct span place)
{
    struct change c = { .flags = record->flags, .due_ms = record->due_ms, .piece = record->piece };
    uint64_t position = 0;
    bool has_key;
    place_take(place, &c.db, &position, &has_key, &c.key);
    c.hash = cold_position(position); /* turned round twice, it is itself */
    c.key = record->key;
    return c;
}

bool checkpoint_cursor_key(struct span cursor, struct span *key)
{
    struct cursor at;
    uint8_t db;
    uint64_t position;
    bool has_key;
    return cursor_take(cursor, &at) && at.place.len > 0 &&
           place_take(at.place, &db, &position, &has_key, key) && key->len > 0;
}

void checkpoint_cursor_unnamed(struct span cursor, struct buffer *out)
{
    struct cursor at;
    struct span key;
    uint8_t db = 0;
    uint64_t position = 0;
    bool has_key;
    CHECK(cursor_take(cursor, &at) && place_take(at.place, &db, &position, &has_key, &key));
    struct row_key before = row_key_position(db, position);
    cursor_put(out, &(struct cursor){ .place = row_key_span(&before) });
}

/* Pieces of an image from the cursor on, and its end, as far as there is room. *whole: to the end.
 * */
static int export_image(struct exporting *x, const struct checkpoint_record *record, bool *whole)
{
    struct checkpoint *c = x->c;
    struct change change = change_of(record, x->at.place);
    while (x->at.row < record->rows) {
        *whole = false;
        if (x->changes->len >= x->end)
            return E_OK;
        int error = piece_get(c->kv->ops, c->reader, record, &x->at.row, &c->joined, &change.piece);
        if (error != E_OK) {
            struct row_key key = row_key_piece(record->image, x->at.row);
            return fail(c, KV_PIECES, row_key_span(&key), change.piece.at, error);
        }
        change.kind = CHANGE_PIECE;
        change.number = x->at.piece++;
        change_put(x->changes, &change);
    }
    change.kind = CHANGE_DONE;
    change_put(x->changes, &change);
    x->at.image = 0;
    *whole = true;
    return E_OK;
}

/* Whether an object row still has the image that the cursor is in; then records up to it are
 * skipped. */
static bool skip_to_image(struct exporting *x, struct span *row)
{
    struct span in = *row;
    struct checkpoint_record record;
    for (struct span before = in; in.len > 0; before = in) {
        if (!checkpoint_record_take(&in, x->at.place, &record))
            return false;
        if (record.image == x->at.image) {
            *row = before;
            return true;
        }
    }
    return false;
}

/* All records of a row; *whole: to the end. */
static int export_row(struct exporting *x, struct span row, bool *whole)
{
    struct checkpoint_record record;
    if (x->at.image != 0 && !skip_to_image(x, &row))
        x->at.image = 0;
    *whole = true;
    while (row.len > 0 && *whole) {
        if (!checkpoint_record_take(&row, x->at.place, &record))
            return fail(x->c, KV_OBJECTS, x->at.place, row.at, E_CORRUPT);
        if (record.image == 0) {
            struct change change = change_of(&record, x->at.place);
            change.kind = CHANGE_PUT;
            change_put(x->changes, &change);
            continue;
        }
        if (x->at.image != record.image)
            x->at = (struct cursor){ x->at.place, record.image, 0, 0 };
        int error = export_image(x, &record, whole);
        if (error != E_OK)
            return error;
    }
    return E_OK;
}

static int store_failed(struct checkpoint *c, int error)
{
    snprintf(c->problem, sizeof(c->problem), "%.250s: export", c->detail);
    return error;
}

/* The row after this one. */
static int next_row(struct exporting *x, struct span *row)
{
    struct span before = x->at.place;
    int error = x->c->kv->ops->next(x->c->reader, KV_OBJECTS, &x->at.place, row);
    if (error != E_OK)
        return error == E_MISSING ? error : store_failed(x->c, error);
    return order_check_step(x->c, KV_OBJECTS, before, x->at.place);
}

/* The row where the cursor is, or the first one after it. */
static int find_row(struct exporting *x, struct span *row)
{
    const struct kv_ops *ops = x->c->kv->ops;
    struct span from = x->at.place;
    int error = from.len > 0 ? order_check_before(x->c, KV_OBJECTS, from) : E_OK;
    if (error != E_OK)
        return error;
    error = ops->seek(x->c->reader, KV_OBJECTS, from, &x->at.place, row);
    if (error != E_OK)
        return error == E_MISSING ? error : store_failed(x->c, error);
    bool same = span_equal(x->at.place, from);
    if (same && x->at.image == 0)
        return next_row(x, row);
    if (!same)
        x->at.image = 0;
    return E_OK;
}

static int export_rows(struct exporting *x, struct buffer *cursor, bool *end)
{
    struct span row;
    bool whole = true;
    int error = find_row(x, &row);
    while (error == E_OK && whole) {
        error = export_row(x, row, &whole);
        if (error != E_OK)
            return error;
        cursor_put(cursor, &x->at);
        if (x->changes->len >= x->end)
            return E_OK;
        error = next_row(x, &row);
    }
    *end = error == E_MISSING;
    return error == E_MISSING ? E_OK : error;
}

int checkpoint_export(struct checkpoint *c, struct buffer *cursor, size_t max_bytes,
                      struct buffer *changes, bool *end)
{
    struct exporting x = { .c = c, .changes = changes, .end = changes->len + max_bytes };
    struct buffer before = { 0 }; /* the cursor is read while it is written */
    *end = false;
    buffer_put(&before, buffer_span(cursor));
    checkpoint_refresh(c);
    int error = c->kv->ops->renew(c->reader);
    c->fresh = error == E_OK;
    if (error != E_OK) {
        store_failed(c, error);
    } else if (!cursor_take(buffer_span(&before), &x.at)) {
        error = E_FORMAT;
        snprintf(c->problem, sizeof(c->problem), "checkpoint: export: the cursor is malformed");
    } else {
        error = export_rows(&x, cursor, end);
    }
    buffer_release(&before);
    return error;
}
