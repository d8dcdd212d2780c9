/*
 * checkpoint_write -- changes into the store: one transaction, in which counts and indexes follow the
 * records.
 */
#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "store/checkpoint.h"
#include "store/checkpoint_record.h"

enum {
    KEY_BYTES_MAX = 64 << 20,
    CLEAR_ROWS = 10000, /* of one transaction */
    COLD_FLAGS = COLD_GHOST | COLD_DEADLINE | COLD_CONTESTED,
};

/* The image that is being written: the row "image". Its key is in w->key. */
struct progress {
    uint64_t next;    /* image's number */
    uint64_t current; /* 0: none */
    uint8_t db;
    uint64_t hash;
    uint32_t pieces, rows; /* so far */
};

/* One transaction. */
struct writing {
    struct checkpoint_writer *w;
    const struct kv_ops *ops;
    struct kv_txn *txn;
    struct cold_counts counts[OP_DATABASES];
    bool counts_changed;
    struct progress image;
    bool image_changed;
    uint64_t records, pieces, bytes;
};

void checkpoint_writer_init(struct checkpoint_writer *w, struct kv *kv)
{
    *w = (struct checkpoint_writer){ .kv = kv };
}

void checkpoint_writer_release(struct checkpoint_writer *w)
{
    buffer_release(&w->key);
    buffer_release(&w->value);
    buffer_release(&w->old);
    *w = (struct checkpoint_writer){ 0 };
}

/* --- the store's calls; what they cannot do is told in the store's words --- */

static int store_failed(struct checkpoint_writer *w, int error)
{
    const char *detail = w->kv->detail[0] ? w->kv->detail : error_text(error);
    snprintf(w->problem, sizeof(w->problem), "%s", detail);
    return error;
}

static int damaged(struct writing *g, enum kv_table table, struct span row_key, int error)
{
    if (error != E_CORRUPT && error != E_VERSION)
        return store_failed(g->w, error);
    checkpoint_complain(g->w->problem, table, row_key, error);
    return error;
}

static int malformed(struct writing *g, const char *what)
{
    snprintf(g->w->problem, sizeof(g->w->problem), "checkpoint: changes are malformed: %s", what);
    return E_FORMAT;
}

static int put(struct writing *g, enum kv_table table, struct span key, struct span value)
{
    int error = g->ops->put(g->txn, table, key, value);
    g->bytes += key.len + value.len;
    return error == E_OK ? E_OK : store_failed(g->w, error);
}

static int del(struct writing *g, enum kv_table table, struct span key)
{
    int error = g->ops->del(g->txn, table, key);
    return error == E_OK || error == E_MISSING ? E_OK : store_failed(g->w, error);
}

static int meta_put(struct writing *g, struct span name, struct buffer *content)
{
    row_seal(content, 0, name);
    return put(g, KV_META, name, buffer_span(content));
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
        error = add ? put(g, KV_DUE, row_key_span(&key), span_of(NULL, 0))
                    : del(g, KV_DUE, row_key_span(&key));
    }
    return error;
}

static int index_contested(struct writing *g, struct span place, struct span old, struct span now)
{
    bool was = row_has(old, place, 0, COLD_CONTESTED), is = row_has(now, place, 0, COLD_CONTESTED);
    if (was == is)
        return E_OK;
    return is ? put(g, KV_CONTESTED, place, span_of(NULL, 0)) : del(g, KV_CONTESTED, place);
}

static int remove_rows(struct writing *g, uint64_t image, uint32_t rows)
{
    int error = E_OK;
    for (uint32_t row = 0; row < rows && error == E_OK; row++) {
        struct row_key key = row_key_piece(image, row);
        error = del(g, KV_PIECES, row_key_span(&key));
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
    return error == E_OK || error == E_MISSING ? E_OK : store_failed(g->w, error);
}

/* Makes w->value of w->old, with the key's record replaced: `now` NULL: left out. *was is what the key
 * had: no bytes: nothing. False: damaged. */
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
        return malformed(g, "too many long keys of one hash");
    int error = index_due(g, place, old, now, false);
    if (error == E_OK)
        error = index_due(g, place, now, old, true);
    if (error == E_OK)
        error = index_contested(g, place, old, now);
    if (error != E_OK)
        return error;
    return now.len > 0 ? put(g, KV_OBJECTS, place, now) : del(g, KV_OBJECTS, place);
}

static int replace(struct writing *g, const struct change *change,
                   const struct checkpoint_record *now)
{
    struct row_key row_key = row_key_place(change->db, change->hash, change->key);
    struct span place = row_key_span(&row_key);
    struct checkpoint_record was;
    int error = read_old(g, place);
    if (error != E_OK)
        return error;
    if (!build_row(g, place, change->key, now, &was))
        return damaged(g, KV_OBJECTS, place, E_CORRUPT);
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
        int error = put(g, KV_PIECES, row_key_span(&key), buffer_span(row));
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
static int discard_image(struct writing *g)
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

static int write_piece(struct writing *g, const struct change *c)
{
    if (c->number == 0) {
        int error = discard_image(g);
        if (error != E_OK)
            return error;
        begin_image(g, c);
    } else if (!goes_on(g, c) || c->number != g->image.pieces) {
        return malformed(g, "a piece that does not follow the one before it");
    }
    return put_rows(g, c->piece);
}

static int finish_image(struct writing *g, const struct change *c)
{
    if (!goes_on(g, c))
        return malformed(g, "the end of an object that was not begun");
    struct checkpoint_record now = { .flags = c->flags,
                                     .due_ms = c->due_ms,
                                     .key = c->key,
                                     .image = g->image.current,
                                     .rows = g->image.rows };
    g->image = (struct progress){ .next = g->image.next };
    g->image_changed = true;
    return replace(g, c, &now);
}

/* --- changes --- */

static int write_whole(struct writing *g, const struct change *c)
{
    struct checkpoint_record now = { .flags = c->flags,
                                     .due_ms = c->due_ms,
                                     .key = c->key,
                                     .piece = c->piece };
    int error = discard_image(g);
    if (error != E_OK)
        return error;
    if (c->piece.len <= PIECE_INLINE_MAX)
        return replace(g, c, &now);
    begin_image(g, c);
    error = put_rows(g, c->piece);
    return error == E_OK ? finish_image(g, c) : error;
}

static int write_change(struct writing *g, const struct change *c)
{
    int error;
    if (c->key.len > KEY_BYTES_MAX || (c->flags & ~COLD_FLAGS) != 0)
        return malformed(g, "a key that is too long, or unknown flags");
    switch (c->kind) {
    case CHANGE_PUT:
        return write_whole(g, c);
    case CHANGE_PIECE:
        return write_piece(g, c);
    case CHANGE_DONE:
        return finish_image(g, c);
    case CHANGE_GONE:
        error = discard_image(g);
        return error == E_OK ? replace(g, c, NULL) : error;
    case CHANGE_KIND_END:
        break;
    }
    return malformed(g, "an unknown kind");
}

static int write_changes(struct writing *g, struct span changes)
{
    struct change c;
    int error = E_OK;
    while (changes.len > 0 && error == E_OK) {
        if (!change_take(&changes, &c))
            return malformed(g, "no change");
        error = write_change(g, &c);
    }
    return error;
}

static int write_notes(struct writing *g, struct span notes)
{
    char name[] = "note.?";
    uint8_t letter;
    struct span content;
    int error = E_OK;
    while (notes.len > 0 && error == E_OK) {
        if (!span_take_u8(&notes, &letter) || !span_take_prefixed(&notes, &content))
            return malformed(g, "no note");
        name[sizeof(name) - 2] = (char)letter;
        buffer_clear(&g->w->value);
        buffer_put(&g->w->value, content);
        error = content.len > 0 ? meta_put(g, span_str(name), &g->w->value)
                                : del(g, KV_META, span_str(name));
    }
    return error;
}

/* The last of a copy: an image that was not finished will not be. */
static int write_start(struct writing *g, struct span start)
{
    struct copy_start checked;
    struct span in = start;
    if (!copy_start_take(&in, &checked) || in.len > 0)
        return malformed(g, "no start");
    int error = discard_image(g);
    if (error != E_OK)
        return error;
    buffer_clear(&g->w->value);
    buffer_put(&g->w->value, start);
    return meta_put(g, span_str("start"), &g->w->value);
}

/* --- what stands beside the records --- */

static bool take_progress(struct span in, struct progress *p, struct buffer *key)
{
    struct span name;
    if (!span_take_u64(&in, &p->next) || p->next == 0 || !span_take_u64(&in, &p->current) ||
        !span_take_u8(&in, &p->db) || p->db >= OP_DATABASES || !span_take_u64(&in, &p->hash) ||
        !span_take_u32(&in, &p->pieces) || !span_take_u32(&in, &p->rows) ||
        !span_take_prefixed(&in, &name))
        return false;
    buffer_clear(key);
    buffer_put(key, name);
    return true;
}

static int load_progress(struct writing *g)
{
    struct span content;
    int error = meta_get(g->ops, g->txn, span_str("image"), &content);
    g->image = (struct progress){ .next = 1 };
    if (error == E_OK && !take_progress(content, &g->image, &g->w->key))
        error = E_CORRUPT;
    return error == E_OK || error == E_MISSING ? E_OK
                                               : damaged(g, KV_META, span_str("image"), error);
}

static int save_progress(struct writing *g)
{
    struct buffer *out = &g->w->value;
    const struct progress *p = &g->image;
    buffer_clear(out);
    buffer_put_u64(out, p->next);
    buffer_put_u64(out, p->current);
    buffer_put_u8(out, p->db);
    buffer_put_u64(out, p->hash);
    buffer_put_u32(out, p->pieces);
    buffer_put_u32(out, p->rows);
    buffer_put_prefixed(out, p->current != 0 ? buffer_span(&g->w->key) : span_of(NULL, 0));
    return meta_put(g, span_str("image"), out);
}

static int save_counts(struct writing *g)
{
    struct buffer *out = &g->w->value;
    buffer_clear(out);
    for (int db = 0; db < OP_DATABASES; db++) {
        const struct cold_counts *c = &g->counts[db];
        buffer_put_varint(out, c->keys);
        buffer_put_varint(out, c->ghosts);
        buffer_put_varint(out, c->with_deadline);
        buffer_put_varint(out, c->contested);
    }
    return meta_put(g, span_str("counts"), out);
}

/* Also writes the format into a store that is new. */
static int load(struct writing *g)
{
    struct buffer *out = &g->w->value;
    int error = meta_check_format(g->ops, g->txn);
    if (error == E_MISSING) {
        buffer_clear(out);
        buffer_put_u32(out, CHECKPOINT_VERSION);
        error = meta_put(g, span_str("format"), out);
    } else if (error != E_OK) {
        return damaged(g, KV_META, span_str("format"), error);
    }
    if (error != E_OK)
        return error;
    error = meta_get_counts(g->ops, g->txn, g->counts);
    return error == E_OK ? load_progress(g) : damaged(g, KV_META, span_str("counts"), error);
}

static int save(struct writing *g)
{
    int error = g->counts_changed ? save_counts(g) : E_OK;
    return error == E_OK && g->image_changed ? save_progress(g) : error;
}

/* --- the transaction --- */

static int begin(struct writing *g, struct checkpoint_writer *w)
{
    *g = (struct writing){ .w = w, .ops = w->kv->ops };
    w->problem[0] = w->kv->detail[0] = '\0';
    int error = g->ops->begin(w->kv, true, &g->txn);
    return error == E_OK ? E_OK : store_failed(w, error);
}

static int end(struct writing *g, int error)
{
    if (error != E_OK) {
        g->ops->abort(g->txn);
        return error;
    }
    error = g->ops->commit(g->txn);
    return error == E_OK ? E_OK : store_failed(g->w, error);
}

int checkpoint_write(struct checkpoint_writer *w, const struct checkpoint_write *job)
{
    struct writing g;
    int error = begin(&g, w);
    if (error != E_OK)
        return error;
    error = load(&g);
    if (error == E_OK)
        error = write_changes(&g, job->changes);
    if (error == E_OK)
        error = write_notes(&g, job->notes);
    if (error == E_OK && job->start.len > 0)
        error = write_start(&g, job->start);
    if (error == E_OK)
        error = save(&g);
    error = end(&g, error);
    if (error != E_OK)
        return error;
    w->records += g.records;
    w->pieces += g.pieces;
    w->bytes += g.bytes;
    return E_OK;
}

/* --- removing everything --- */

/* Removes up to *budget rows of a table; *empty: that was all. */
static int clear_table(struct writing *g, enum kv_table table, int *budget, bool *empty)
{
    struct span key, value;
    int error = g->ops->seek(g->txn, table, span_of(NULL, 0), &key, &value);
    while (error == E_OK && *budget > 0) {
        struct buffer *copy = &g->w->key;
        buffer_clear(copy);
        buffer_put(copy, key);
        error = del(g, table, buffer_span(copy));
        --*budget;
        if (error == E_OK)
            error = g->ops->next(g->txn, table, &key, &value);
    }
    *empty = error == E_MISSING;
    return error == E_OK || error == E_MISSING ? E_OK : store_failed(g->w, error);
}

int checkpoint_clear(struct checkpoint_writer *w, bool *done)
{
    struct writing g;
    int budget = CLEAR_ROWS, error = begin(&g, w);
    if (error != E_OK)
        return error;
    *done = true;
    for (int table = 0; table < KV_TABLES && error == E_OK && *done; table++) /* KV_META first */
        error = clear_table(&g, (enum kv_table)table, &budget, done);
    return end(&g, error);
}
