/*
 * checkpoint_replace -- one record in place of another: the object row, before and after, and what
 * follows from it in counts and indexes. Every image in rows goes with its record.
 */
#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "store/checkpoint_writing.h"

/* --- the store's calls; what they cannot do is told in the store's words --- */

int writing_failed(struct checkpoint_writer *w, int error)
{
    const char *detail = w->detail[0] ? w->detail : error_text(error);
    snprintf(w->problem, sizeof(w->problem), "%s", detail);
    return error;
}

int writing_damaged(struct writing *g, enum kv_table table, struct span row_key, int error)
{
    if (error != E_CORRUPT && error != E_VERSION)
        return writing_failed(g->w, error);
    checkpoint_complain(g->w->problem, g->w->kv, table, row_key, NULL, error);
    return error;
}

int writing_malformed(struct writing *g, const char *what)
{
    snprintf(g->w->problem, sizeof(g->w->problem), "checkpoint: changes are malformed: %s", what);
    return E_FORMAT;
}

int writing_put(struct writing *g, enum kv_table table, struct span key, struct span value)
{
    int error = g->ops->put(g->txn, table, key, value);
    g->bytes += key.len + value.len;
    return error == E_OK ? E_OK : writing_failed(g->w, error);
}

int writing_del(struct writing *g, enum kv_table table, struct span key)
{
    int error = g->ops->del(g->txn, table, key);
    return error == E_OK || error == E_MISSING ? E_OK : writing_failed(g->w, error);
}

/* --- records: an object row, before and after --- */

static void count(struct writing *g, uint8_t db, uint8_t flags, uint64_t by)
{
    struct cold_counts *c = &g->counts[db];
    c->keys += by;
    c->ghosts += flags & COLD_GHOST ? by : 0;
    c->with_deadline += flags & COLD_DEADLINE ? by : 0;
    c->contested += flags & COLD_CONTESTED ? by : 0;
    g->counts_changed = true;
}

/* Whether a record of an object row, which is good, is due at a time; or contested. */
static bool row_has(struct span row, struct span place, uint64_t due_ms, uint8_t flag)
{
    struct checkpoint_record r;
    while (row.len > 0) {
        CHECK(checkpoint_record_take(&row, place, &r));
        if ((due_ms != 0 && r.due_ms == due_ms) || (r.flags & flag))
            return true;
    }
    return false;
}

static int put_index(struct writing *g, enum kv_table table, struct span row_key)
{
    struct row_sum sum = row_sum(row_key);
    return writing_put(g, table, row_key, span_of(sum.bytes, sizeof(sum.bytes)));
}

/* Index rows for the times that `rows` has and `others` has not: removed, or put. */
static int index_due(struct writing *g, struct span place, struct span row, struct span other,
                     bool add)
{
    struct checkpoint_record r;
    int error = E_OK;
    while (row.len > 0 && error == E_OK) {
        CHECK(checkpoint_record_take(&row, place, &r));
        if (r.due_ms == 0 || row_has(other, place, r.due_ms, 0))
            continue;
        struct row_key key = row_key_due(r.due_ms, place);
        error = add ? put_index(g, KV_DUE, row_key_span(&key))
                    : writing_del(g, KV_DUE, row_key_span(&key));
    }
    return error;
}

static int index_contested(struct writing *g, struct span place, struct span old, struct span now)
{
    bool was = row_has(old, place, 0, COLD_CONTESTED), is = row_has(now, place, 0, COLD_CONTESTED);
    if (was == is)
        return E_OK;
    return is ? put_index(g, KV_CONTESTED, place) : writing_del(g, KV_CONTESTED, place);
}

static int remove_rows(struct writing *g, uint64_t image, uint32_t rows)
{
    int error = E_OK;
    for (uint32_t row = 0; row < rows && error == E_OK; row++) {
        struct row_key key = row_key_piece(image, row);
        error = writing_del(g, KV_PIECES, row_key_span(&key));
    }
    return error;
}

/* What stands at the place goes to w->old: the store's memory is good until the next call only. */
static int read_old(struct writing *g, struct span place)
{
    struct span row;
    int error = g->ops->get(g->txn, KV_OBJECTS, place, &row);
    buffer_clear(&g->w->old);
    if (error == E_OK)
        buffer_put(&g->w->old, row);
    return error == E_OK || error == E_MISSING ? E_OK : writing_failed(g->w, error);
}

/* Makes w->value of w->old, with the key's record replaced: `now` NULL: left out. *was is what the
 * key had: no bytes: nothing. False: damaged. */
static bool build_row(struct writing *g, struct span place, struct span key,
                      const struct checkpoint_record *now, struct checkpoint_record *was)
{
    struct span row = buffer_span(&g->w->old);
    struct checkpoint_record r;
    *was = (struct checkpoint_record){ .flags = 0 };
    buffer_clear(&g->w->value);
    while (row.len > 0) {
        if (!checkpoint_record_take(&row, place, &r))
            return false;
        if (span_equal(r.key, key))
            *was = r;
        else
            buffer_put(&g->w->value, r.bytes);
    }
    if (now)
        checkpoint_record_put(&g->w->value, place, now);
    return true;
}

static int write_row(struct writing *g, struct span place)
{
    struct span old = buffer_span(&g->w->old), now = buffer_span(&g->w->value);
    if (now.len > KV_VALUE_MAX)
        return writing_malformed(g, "too many long keys of one hash");
    int error = index_due(g, place, old, now, false);
    if (error == E_OK)
        error = index_due(g, place, now, old, true);
    if (error == E_OK)
        error = index_contested(g, place, old, now);
    if (error != E_OK)
        return error;
    return now.len > 0 ? writing_put(g, KV_OBJECTS, place, now) : writing_del(g, KV_OBJECTS, place);
}

int writing_replace(struct writing *g, const struct change *change,
                    const struct checkpoint_record *now)
{
    struct row_key row_key = row_key_place(change->db, change->hash, change->key);
    struct span place = row_key_span(&row_key);
    struct checkpoint_record was;
    int error = read_old(g, place);
    if (error != E_OK)
        return error;
    if (!build_row(g, place, change->key, now, &was))
        return writing_damaged(g, KV_OBJECTS, place, E_CORRUPT);
    if (!now && was.bytes.len == 0)
        return E_OK;
    if (was.bytes.len > 0)
        count(g, change->db, was.flags, UINT64_MAX);
    if (now)
        count(g, change->db, now->flags, 1);
    g->records++;
    error = write_row(g, place);
    return error == E_OK ? remove_rows(g, was.image, was.rows) : error;
}

/* --- images in rows --- */

static int put_rows(struct writing *g, struct span piece)
{
    struct buffer *row = &g->w->value;
    do {
        size_t len = piece.len < PIECE_ROW_BYTES ? piece.len : PIECE_ROW_BYTES;
        struct row_key key = row_key_piece(g->image.current, g->image.rows);
        buffer_clear(row);
        buffer_put_u8(row, len == piece.len);
        buffer_put(row, span_of(piece.at, len));
        row_seal(row, 0, row_key_span(&key));
        int error = writing_put(g, KV_PIECES, row_key_span(&key), buffer_span(row));
        if (error != E_OK)
            return error;
        g->image.rows++;
        piece = span_skip(piece, len);
    } while (piece.len > 0);
    g->image.pieces++;
    g->image_changed = true;
    g->pieces++;
    return E_OK;
}

/* The image that was being written is not finished any more. */
int writing_discard_image(struct writing *g)
{
    if (g->image.current == 0)
        return E_OK;
    int error = remove_rows(g, g->image.current, g->image.rows);
    g->image = (struct progress){ .next = g->image.next };
    g->image_changed = true;
    return error;
}

static void begin_image(struct writing *g, const struct change *c)
{
    CHECK(g->image.current == 0);
    uint64_t number = g->image.next++;
    g->image = (struct progress){ g->image.next, number, c->db, c->hash, 0, 0 };
    g->image_changed = true;
    buffer_clear(&g->w->key);
    buffer_put(&g->w->key, c->key);
}

static bool goes_on(const struct writing *g, const struct change *c)
{
    return g->image.current != 0 && g->image.db == c->db && g->image.hash == c->hash &&
           span_equal(buffer_span(&g->w->key), c->key);
}

int writing_piece(struct writing *g, const struct change *c)
{
    if (c->number == 0) {
        int error = writing_discard_image(g);
        if (error != E_OK)
            return error;
        begin_image(g, c);
    } else if (!goes_on(g, c) || c->number != g->image.pieces) {
        return writing_malformed(g, "a piece that does not follow the one before it");
    }
    return put_rows(g, c->piece);
}

int writing_finish_image(struct writing *g, const struct change *c)
{
    if (!goes_on(g, c))
        return writing_malformed(g, "the end of an object that was not begun");
    struct checkpoint_record now = { .flags = c->flags,
                                     .due_ms = c->due_ms,
                                     .key = c->key,
                                     .image = g->image.current,
                                     .rows = g->image.rows };
    g->image = (struct progress){ .next = g->image.next };
    g->image_changed = true;
    return writing_replace(g, c, &now);
}
