#include "core/copier.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/mutation.h"
#include "core/replica.h"
#include "crdt/resident.h"

enum {
    STEP_BYTES = 256 << 10,
    STEP_LOOKS = 500,       /* keys looked at: each a miss of the cache or two */
    STEP_SORTS = 4096,      /* places put in order, twice a step */
    PIECE_BYTES = 16 << 10, /* of an object that is copied in several: some hundred items, */
    PIECE_LOOKS = 250,      /* which count as so many keys */
    KEEP_BYTES = 1 << 20,   /* of room, after a large string */
    EPOCHS = 31,
    KEEP_PLACES = 8 << 10, /* room for so many is kept, whatever was needed last */
};

/* --- changes as bytes --- */

void change_put(struct buffer *out, const struct change *c)
{
    buffer_put_u8(out, (uint8_t)c->kind);
    buffer_put_u8(out, c->db);
    buffer_put_u64(out, c->hash);
    buffer_put_prefixed(out, c->key);
    if (c->kind == CHANGE_PUT || c->kind == CHANGE_DONE) {
        buffer_put_u8(out, c->flags);
        buffer_put_varint(out, c->due_ms);
    }
    if (c->kind == CHANGE_PIECE)
        buffer_put_varint(out, c->number);
    if (c->kind == CHANGE_PUT || c->kind == CHANGE_PIECE)
        buffer_put_prefixed(out, c->piece);
}

bool change_take(struct span *in, struct change *c)
{
    uint8_t kind;
    *c = (struct change){ 0 };
    if (!span_take_u8(in, &kind) || kind == 0 || kind >= CHANGE_KIND_END ||
        !span_take_u8(in, &c->db) || c->db >= OP_DATABASES || !span_take_u64(in, &c->hash) ||
        !span_take_prefixed(in, &c->key) || c->key.len > UINT32_MAX)
        return false;
    c->kind = (enum change_kind)kind;
    bool ends = c->kind == CHANGE_PUT || c->kind == CHANGE_DONE;
    bool has_piece = c->kind == CHANGE_PUT || c->kind == CHANGE_PIECE;
    return (!ends || (span_take_u8(in, &c->flags) && span_take_varint(in, &c->due_ms))) &&
           (c->kind != CHANGE_PIECE || span_take_varint(in, &c->number)) &&
           (!has_piece || span_take_prefixed(in, &c->piece));
}

/* --- the start as bytes --- */

static void put_takeovers(struct buffer *out, const struct takeover *t)
{
    uint8_t count = 0;
    while (count < STREAM_TAKEOVERS && t[count].instance != 0)
        count++;
    buffer_put_u8(out, count);
    for (uint8_t i = 0; i < count; i++) {
        buffer_put_varint(out, t[i].instance);
        buffer_put_u64(out, t[i].last);
    }
}

/* Each stands before the newer one, in a stream that has come as far as `last_op`. */
static bool take_takeovers(struct span *in, stamp_t last_op, struct takeover *t)
{
    stamp_t below = last_op + 1;
    uint8_t count;
    if (!span_take_u8(in, &count) || count > STREAM_TAKEOVERS)
        return false;
    for (uint8_t i = 0; i < count; i++) {
        if (!span_take_varint(in, &t[i].instance) || t[i].instance == 0 ||
            !span_take_u64(in, &t[i].last) || t[i].last >= below ||
            (t[i].last != 0 && stamp_origin(t[i].last) != stamp_origin(last_op)))
            return false;
        below = t[i].last;
    }
    return true;
}

void copy_start_put(struct buffer *out, const struct copy_start *s)
{
    buffer_put_u64(out, s->lsn);
    buffer_put_u64(out, s->table_seed);
    vector_put(out, &s->applied);
    vector_put(out, &s->last_op);
    for (uint32_t o = 0; o < s->last_op.high; o++) {
        if (s->last_op.at[o] == 0)
            continue;
        buffer_put_varint(out, s->instance[o]);
        buffer_put_u32(out, s->check[o]);
    }
    for (uint32_t o = 0; o < s->last_op.high; o++) {
        if (s->last_op.at[o] != 0)
            put_takeovers(out, s->takeovers[o]);
    }
}

bool copy_start_take(struct span *in, struct copy_start *s)
{
    *s = (struct copy_start){ 0 };
    if (!span_take_u64(in, &s->lsn) || !span_take_u64(in, &s->table_seed) || s->table_seed == 0 ||
        !vector_take(in, &s->applied) || !vector_take(in, &s->last_op) ||
        !vector_covers(&s->applied, &s->last_op))
        return false;
    for (uint32_t o = 0; o < s->last_op.high; o++) {
        if (s->last_op.at[o] != 0 &&
            (!span_take_varint(in, &s->instance[o]) || !span_take_u32(in, &s->check[o])))
            return false;
    }
    bool has_takeovers = in->len > 0;
    for (uint32_t o = 0; has_takeovers && o < s->last_op.high; o++) {
        if (s->last_op.at[o] != 0 && !take_takeovers(in, s->last_op.at[o], s->takeovers[o]))
            return false;
    }
    return true;
}

static void fix_start(const struct replica *r, struct copy_start *s)
{
    s->lsn = r->log_end;
    s->table_seed = r->databases[0].keys.seed;
    vector_copy(&s->applied, &r->applied);
    vector_copy(&s->last_op, &r->last_op);
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        s->instance[o] = r->streams[o].instance;
        s->check[o] = r->streams[o].check;
        if (!MUTATION(forgets_runs))
            memcpy(s->takeovers[o], r->streams[o].takeovers, sizeof(s->takeovers[o]));
    }
}

/* --- what is to be done --- */

void copier_release(struct copier *c)
{
    radix_release(&c->order); /* it still writes to the places */
    for (int i = 0; i < OP_DATABASES; i++)
        mem_free(c->places[i]);
    image_cursor_release(&c->cursor);
    buffer_release(&c->key);
}

uint64_t copier_dirty(const struct replica *r)
{
    const struct copier *c = &r->copier;
    uint64_t dirty = 0;
    for (int i = 0; i < OP_DATABASES; i++) {
        dirty += r->databases[i].dirty_count + r->databases[i].gone[0].count;
        dirty += c->failed ? c->place_counts[i] + r->databases[i].gone[1].count : 0;
    }
    return dirty;
}

bool copier_is_tidy(const struct replica *r)
{
    const struct copier *c = &r->copier;
    bool tidy = c->running || !c->failed;
    for (int i = 0; i < OP_DATABASES && tidy; i++)
        tidy = c->running || r->databases[i].gone[1].count == 0;
    return tidy;
}

bool copier_has_work(const struct replica *r)
{
    return r->log_end != r->copier.start.lsn || copier_dirty(r) > 0;
}

static bool is_far_larger(size_t cap, size_t count)
{
    return cap > KEEP_PLACES && count < cap / 4;
}

static void drop_places(struct copier *c, int i)
{
    mem_free(c->places[i]);
    c->places[i] = NULL;
    c->place_caps[i] = 0;
}

/* The database's list becomes the copier's, and the copier's empty one the database's, unless it is far
 * larger than what was needed this time. */
static void take_places(struct copier *c, struct database *d, int i)
{
    CHECK(c->place_counts[i] == 0);
    if (is_far_larger(c->place_caps[i], d->dirty_count))
        drop_places(c, i);
    uint64_t *empty = c->places[i];
    size_t cap = c->place_caps[i];
    c->places[i] = d->dirty;
    c->place_counts[i] = d->dirty_count;
    c->place_caps[i] = d->dirty_cap;
    d->dirty = empty;
    d->dirty_count = 0;
    d->dirty_cap = cap;
}

/* What was removed since the last copy began. */
static void take_gone(struct database *d)
{
    struct table empty = d->gone[1];
    CHECK(empty.count == 0);
    d->gone[1] = d->gone[0];
    d->gone[0] = empty;
    d->gone_committed = false;
}

static void begin_database(struct copier *c, struct replica *r)
{
    c->next = 0;
    c->gone_done = false;
    table_iter_init(&c->gone, &r->databases[c->db].gone[1]);
    radix_begin(&c->order, c->places[c->db], c->place_counts[c->db]);
}

bool copier_begin(struct replica *r)
{
    struct copier *c = &r->copier;
    CHECK(!c->running && r->open_ops == 0);
    for (int i = 0; i < OP_DATABASES; i++) {
        if (c->failed || r->databases[i].gone[1].count > 0)
            return false;
    }
    c->running = true;
    c->epoch = (uint8_t)(c->epoch % EPOCHS + 1);
    fix_start(r, &c->start);
    for (int i = 0; i < OP_DATABASES; i++) {
        struct database *d = &r->databases[i];
        d->uncommitted = UINT32_C(1) << c->epoch;
        take_places(c, d, i);
        take_gone(d);
    }
    c->db = 0;
    c->objects = c->bytes = 0;
    c->in_pieces = false;
    begin_database(c, r);
    return true;
}

/* --- one slice --- */

struct slice {
    struct replica *r;
    struct database *d;
    struct buffer *out;
    uint64_t hash;
    int looks;
};

static void put_whole(struct slice *s, const struct entry *e, const struct buffer *piece)
{
    uint8_t who;
    struct change change = {
        .kind = CHANGE_PUT,
        .db = s->d->number,
        .hash = s->hash,
        .key = entry_name(e),
        .flags = image_flags(e),
        .due_ms = e->form == ENTRY_BODY ? object_reclaim_ms(e->body, &who) : 0,
        .piece = buffer_span(piece),
    };
    change_put(s->out, &change);
}

static void put_piece(struct slice *s, struct span key, const struct buffer *piece)
{
    struct copier *c = &s->r->copier;
    change_put(s->out, &(struct change){ .kind = CHANGE_PIECE,
                                         .db = s->d->number,
                                         .hash = c->key_hash,
                                         .key = key,
                                         .number = c->piece_number++,
                                         .piece = buffer_span(piece) });
}

static size_t piece_bytes(const struct copier *c)
{
    return c->piece_bytes ? c->piece_bytes : PIECE_BYTES;
}

/* A key that has changed: marks it as copied, and copies it, or the first piece of it. */
static void copy_object(struct slice *s, struct entry *e)
{
    struct copier *c = &s->r->copier;
    struct buffer *piece = &s->r->payload;
    CHECK(!c->in_pieces);
    e->dirty = false;
    e->stored = true;
    e->epoch = (uint8_t)c->epoch & 31u;
    c->objects++;
    buffer_clear(piece);
    image_cursor_release(&c->cursor);
    if (image_put_piece(piece, e, &c->cursor, piece_bytes(c))) {
        put_whole(s, e, piece);
        return;
    }
    c->in_pieces = true;
    c->key_hash = s->hash;
    c->piece_number = 0;
    buffer_clear(&c->key);
    buffer_put(&c->key, entry_name(e));
    put_piece(s, entry_name(e), piece);
}

/* Of the items that may bear the hash, the one that does. */
struct lookup {
    struct database *d;
    uint64_t hash;
    struct entry *found;
};

static void look(void *context, void *item)
{
    struct lookup *l = context;
    struct entry *e = item;
    if (e->dirty && table_hash(&l->d->keys, entry_name(e)) == l->hash)
        l->found = e;
}

static void put_gone(struct slice *s, const struct gone *g)
{
    struct span key = span_of(g->bytes, g->len);
    change_put(s->out, &(struct change){ .kind = CHANGE_GONE,
                                         .db = s->d->number,
                                         .hash = table_hash(&s->d->keys, key),
                                         .key = key });
}

/* A key that had changed before the copy began, and was removed before its turn: what the disk has of it
 * is older than the start. */
static void put_if_gone(void *context, void *item)
{
    struct slice *s = context;
    const struct gone *g = item;
    if (table_hash(&s->d->keys, span_of(g->bytes, g->len)) == s->hash)
        put_gone(s, g);
}

/* More pieces of the object in hand; what it has become meanwhile is in the log. */
static void copy_pieces(struct slice *s)
{
    struct copier *c = &s->r->copier;
    struct buffer *piece = &s->r->payload;
    void **slot = table_find_hashed(&s->d->keys, buffer_span(&c->key), c->key_hash);
    if (!slot) {
        c->in_pieces = false; /* it is gone */
        return;
    }
    const struct entry *e = *slot;
    uint8_t who;
    buffer_clear(piece);
    bool last = image_put_piece(piece, e, &c->cursor, piece_bytes(c));
    put_piece(s, entry_name(e), piece);
    if (!last)
        return;
    c->in_pieces = false;
    struct change done = {
        .kind = CHANGE_DONE,
        .db = s->d->number,
        .hash = c->key_hash,
        .key = entry_name(e),
        .flags = image_flags(e),
        .due_ms = e->form == ENTRY_BODY ? object_reclaim_ms(e->body, &who) : 0,
    };
    change_put(s->out, &done);
}

static bool is_full(const struct slice *s, size_t end)
{
    return s->out->len >= end || s->looks >= STEP_LOOKS;
}

/* Also of a key that was made again meanwhile: what the disk has is from before its removal, which the
 * replay will not see. */
static void copy_gone(struct slice *s, size_t end)
{
    struct copier *c = &s->r->copier;
    while (!is_full(s, end)) {
        void **slot = table_iter_next(&c->gone);
        if (!slot) {
            c->gone_done = true;
            return;
        }
        s->looks++;
        put_gone(s, *slot);
    }
}

/* A hash is done with when there is nothing dirty to be found by it: two keys of one hash are both
 * found, and an object that goes while it is in pieces is looked for once more. */
static void copy_changed(struct slice *s, size_t end)
{
    struct copier *c = &s->r->copier;
    while (!is_full(s, end)) {
        if (c->in_pieces) {
            copy_pieces(s);
            s->looks += PIECE_LOOKS;
            continue;
        }
        s->looks++;
        if (c->next == c->place_counts[c->db])
            return;
        struct lookup l = { s->d, cold_position(c->places[c->db][c->next]), NULL };
        s->hash = l.hash;
        table_visit_hash(&s->d->keys, l.hash, look, &l);
        if (l.found) {
            copy_object(s, l.found);
        } else {
            table_visit_hash(&s->d->gone[0], l.hash, put_if_gone, s);
            c->next++;
        }
    }
}

bool copier_step(struct replica *r, struct buffer *changes, uint64_t *lsn)
{
    struct copier *c = &r->copier;
    struct slice s = { .r = r, .out = changes };
    size_t before = changes->len, end = before + (c->step_bytes ? c->step_bytes : STEP_BYTES);
    CHECK(c->running && r->open_ops == 0);
    *lsn = r->log_end;
    while (c->db < OP_DATABASES && !is_full(&s, end)) {
        s.d = &r->databases[c->db];
        if (!radix_step(&c->order, STEP_SORTS)) {
            s.looks += STEP_LOOKS / 2;
            continue;
        }
        if (!c->gone_done)
            copy_gone(&s, end);
        if (c->gone_done)
            copy_changed(&s, end);
        if (!c->gone_done || c->in_pieces || c->next < c->place_counts[c->db])
            continue;
        if (++c->db < OP_DATABASES)
            begin_database(c, r);
    }
    c->bytes += changes->len - before;
    buffer_empty(&r->payload, KEEP_BYTES);
    if (c->db == OP_DATABASES && MUTATION(starts_late))
        fix_start(r, &c->start);
    return c->db < OP_DATABASES;
}

/* --- its end --- */

void copier_committed(struct replica *r)
{
    struct copier *c = &r->copier;
    CHECK(c->running && c->db == OP_DATABASES);
    c->running = false;
    for (int i = 0; i < OP_DATABASES; i++) {
        struct database *d = &r->databases[i];
        if (is_far_larger(c->place_caps[i], c->place_counts[i]))
            drop_places(c, i);
        c->place_counts[i] = 0;
        d->uncommitted = 0;
        d->gone_committed = true;
    }
}

void copier_failed(struct replica *r)
{
    struct copier *c = &r->copier;
    CHECK(c->running);
    c->running = c->in_pieces = false;
    radix_release(&c->order);
    c->failed = true;
}

/* --- putting away, a little at a time --- */

struct taking_back {
    struct database *d;
    uint64_t hash;
    uint8_t epoch; /* of the copy that failed */
};

static void take_back(void *context, void *item)
{
    const struct taking_back *t = context;
    struct entry *e = item;
    if (e->epoch == t->epoch && table_hash(&t->d->keys, entry_name(e)) == t->hash)
        e->dirty = true;
}

/* What a failed copy took counts as changed again. */
static void take_back_places(struct copier *c, struct database *d, int i, int *budget)
{
    for (; *budget > 0 && c->place_counts[i] > 0; --*budget) {
        struct taking_back t = { d, cold_position(c->places[i][--c->place_counts[i]]), c->epoch };
        table_visit_hash(&d->keys, t.hash, take_back, &t);
        resident_note_dirty(d, t.hash);
    }
}

/* Removed keys are forgotten when the disk knows; after a failure they are to be removed once more. */
static void put_away_gone(struct copier *c, struct database *d, int *budget)
{
    struct gone *g;
    /* Any of them, so that the table gives its memory back step by step. */
    while (*budget > 0 && (g = table_random(&d->gone[1], &c->prng))) {
        table_remove(&d->gone[1], span_of(g->bytes, g->len));
        if (c->failed && !g->back)
            *table_find_or_add(&d->gone[0], span_of(g->bytes, g->len)) = g;
        else
            mem_free(g);
        --*budget;
    }
}

void copier_tidy(struct replica *r)
{
    struct copier *c = &r->copier;
    int budget = STEP_LOOKS;
    if (c->running)
        return;
    for (int i = 0; i < OP_DATABASES && budget > 0; i++) {
        struct database *d = &r->databases[i];
        if (c->failed)
            take_back_places(c, d, i, &budget);
        if (d->gone[1].count > 0)
            put_away_gone(c, d, &budget);
        if (c->place_counts[i] == 0)
            d->uncommitted = 0;
    }
    if (budget > 0)
        c->failed = false;
}
