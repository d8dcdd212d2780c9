/*
 * Fuzz: images from a disk or a peer. One is refused, or makes an object that has the same image
 * again, in pieces of any size, and that lives on like any other: the object and its copy bear the
 * same ops and stay the same.
 *
 * Input: pieces. Images come first; a control byte with its high bit set is an op: u8 kind, u8
 * component, payload; without the next bit it has seen everything.
 */
#include "base/check.h"
#include "base/pieces.h"
#include "crdt/image.h"

enum { IS_OP = 1 << 7, BLIND = 1 << 6, SELF = 1 };

static struct heap reclaim;
static struct database first, second;
static uint64_t now_ms;

static void enter(struct database *d, struct entry *e)
{
    object_narrow(&e);
    table_insert(&d->keys, e);
    object_entered(d, e);
}

static const struct entry *object_of(const struct database *d)
{
    return database_find(d, span_str("k"));
}

static void describe(struct buffer *out, const struct database *d)
{
    const struct entry *e = object_of(d);
    buffer_clear(out);
    if (!e)
        return;
    object_describe(out, e);
    buffer_printf(out, "%d %llu %llu %d", image_flags(e), (unsigned long long)image_due_ms(e),
                  (unsigned long long)object_deadline_ms(e), (int)object_visible(e));
}

static void check_same(void)
{
    struct buffer a = { 0 }, b = { 0 };
    describe(&a, &first);
    describe(&b, &second);
    CHECK(span_equal(buffer_span(&a), buffer_span(&b)));
    CHECK(database_size(&first) == database_size(&second));
    CHECK(first.contested_count == second.contested_count);
    CHECK(first.with_deadline == second.with_deadline);
    buffer_release(&a);
    buffer_release(&b);
}

/* The whole image of the input, from its pieces; NULL: refused. */
static struct entry *load(struct span *in, size_t *max_bytes)
{
    struct piece piece;
    struct span rest = *in;
    struct entry *e = NULL;
    while (pieces_next(&rest, &piece) && !(piece.control & IS_OP)) {
        *in = rest;
        *max_bytes = 1u + piece.control;
        if (!e) {
            e = image_load(&first, span_str("k"), piece.bytes);
            if (!e)
                return NULL;
        } else if (!image_add(&first, &e, piece.bytes)) {
            object_free(e);
            return NULL;
        }
    }
    return e;
}

/* A body of nothing is no object (crdt/resident.c). */
static bool is_nothing(const struct entry *e)
{
    return e->form == ENTRY_BODY && e->body->deadline_count == 0 && object_components(e) == 0;
}

static void copy(size_t max_bytes)
{
    const struct entry *e = object_of(&first);
    struct image_cursor cursor = { 0 };
    struct buffer piece = { 0 };
    struct entry *made = NULL;
    bool last = false;
    while (!last) {
        buffer_clear(&piece);
        last = image_put_piece(&piece, e, &cursor, max_bytes);
        if (!made)
            CHECK((made = image_load(&second, span_str("k"), buffer_span(&piece))) != NULL);
        else
            CHECK(image_add(&second, &made, buffer_span(&piece)));
    }
    image_cursor_release(&cursor);
    buffer_release(&piece);
    enter(&second, made);
}

static void apply(const struct piece *piece)
{
    struct vector seen = { 0 };
    struct span in = piece->bytes;
    uint8_t kind;
    struct op op = { .stamp = stamp_make(++now_ms, 0, SELF), .key = span_str("k") };
    if (!span_take_u8(&in, &kind) || !span_take_u8(&in, &op.component))
        return;
    op.kind = (enum op_kind)(kind % OP_KIND_END);
    op.rank = op.stamp;
    op.payload = in;
    if (op.kind == 0 || op.component >= COMPONENT_COUNT || !op_valid(&op))
        return;
    for (unsigned origin = 1; !(piece->control & BLIND) && origin < STAMP_ORIGINS; origin++)
        vector_set(&seen, stamp_make(now_ms, 0, (uint8_t)origin));
    database_apply(&first, &op, &seen);
    database_apply(&second, &op, &seen);
    check_same();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span in = span_of(bytes, len);
    struct piece piece;
    size_t max_bytes = 1;
    now_ms = (uint64_t)1 << 40;
    database_init(&first, 0, SELF, 7, &reclaim);
    database_init(&second, 0, SELF, 8, &reclaim);
    struct entry *e = load(&in, &max_bytes);
    if (e && is_nothing(e)) {
        object_free(e);
    } else if (e) {
        enter(&first, e);
        copy(max_bytes);
        check_same();
        while (pieces_next(&in, &piece)) {
            if (piece.control & IS_OP)
                apply(&piece);
        }
    }
    database_release(&first);
    database_release(&second);
    heap_release(&reclaim);
    return 0;
}
