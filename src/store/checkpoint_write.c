/*
 * checkpoint_write -- a transaction: changes, notes, the start, and what stands beside the records.
 */
#include "base/error.h"
#include "store/checkpoint_writing.h"

enum {
    KEY_BYTES_MAX = 64 << 20,
    CLEAR_ROWS = 10000, /* of one transaction */
    COLD_FLAGS = COLD_GHOST | COLD_DEADLINE | COLD_CONTESTED,
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

static int meta_put(struct writing *g, struct span name, struct buffer *content)
{
    row_seal(content, 0, name);
    return writing_put(g, KV_META, name, buffer_span(content));
}

/* --- changes --- */

static int write_whole(struct writing *g, const struct change *c)
{
    struct checkpoint_record now = {
        .flags = c->flags, .due_ms = c->due_ms, .key = c->key, .piece = c->piece
    };
    bool is_large = c->piece.len > PIECE_INLINE_MAX;
    int error = is_large ? writing_piece(g, c) : writing_discard_image(g);
    if (error != E_OK)
        return error;
    return is_large ? writing_finish_image(g, c) : writing_replace(g, c, &now);
}

static int write_change(struct writing *g, const struct change *c)
{
    int error;
    if (c->key.len > KEY_BYTES_MAX || (c->flags & ~COLD_FLAGS) != 0)
        return writing_malformed(g, "a key that is too long, or unknown flags");
    switch (c->kind) {
    case CHANGE_PUT:
        return write_whole(g, c);
    case CHANGE_PIECE:
        return writing_piece(g, c);
    case CHANGE_DONE:
        return writing_finish_image(g, c);
    case CHANGE_GONE:
        error = writing_discard_image(g);
        return error == E_OK ? writing_replace(g, c, NULL) : error;
    case CHANGE_KIND_END:
        break;
    }
    return writing_malformed(g, "an unknown kind");
}

static int write_changes(struct writing *g, struct span changes)
{
    struct change c;
    int error = E_OK;
    while (changes.len > 0 && error == E_OK) {
        if (!change_take(&changes, &c))
            return writing_malformed(g, "no change");
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
            return writing_malformed(g, "no note");
        name[sizeof(name) - 2] = (char)letter;
        buffer_clear(&g->w->value);
        buffer_put(&g->w->value, content);
        error = content.len > 0 ? meta_put(g, span_str(name), &g->w->value)
                                : writing_del(g, KV_META, span_str(name));
    }
    return error;
}

/* The last of a copy: an image that was not finished will not be. */
static int write_start(struct writing *g, struct span start)
{
    struct copy_start checked;
    struct span in = start;
    if (!copy_start_take(&in, &checked) || in.len > 0)
        return writing_malformed(g, "no start");
    int error = writing_discard_image(g);
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
    return error == E_OK || error == E_MISSING
               ? E_OK
               : writing_damaged(g, KV_META, span_str("image"), error);
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
        return writing_damaged(g, KV_META, span_str("format"), error);
    }
    if (error != E_OK)
        return error;
    error = meta_get_counts(g->ops, g->txn, g->counts);
    return error == E_OK ? load_progress(g)
                         : writing_damaged(g, KV_META, span_str("counts"), error);
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
    w->problem[0] = w->detail[0] = '\0';
    int error = g->ops->begin(w->kv, true, w->detail, &g->txn);
    return error == E_OK ? E_OK : writing_failed(w, error);
}

static int end(struct writing *g, int error)
{
    if (error != E_OK) {
        g->ops->abort(g->txn);
        return error;
    }
    error = g->ops->commit(g->txn);
    return error == E_OK ? E_OK : writing_failed(g->w, error);
}

/* Of the room that a large object took. */
static void keep_little(struct checkpoint_writer *w)
{
    enum { KEEP_BYTES = 1 << 20 };
    buffer_empty(&w->key, KEEP_BYTES);
    buffer_empty(&w->value, KEEP_BYTES);
    buffer_empty(&w->old, KEEP_BYTES);
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
    keep_little(w);
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
        error = writing_del(g, table, buffer_span(copy));
        --*budget;
        if (error == E_OK)
            error = g->ops->next(g->txn, table, &key, &value);
    }
    *empty = error == E_MISSING;
    return error == E_OK || error == E_MISSING ? E_OK : writing_failed(g->w, error);
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
