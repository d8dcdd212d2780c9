#include "base/pieces.h"

#include "base/check.h"
#include "base/prng.h"

bool pieces_next(struct span *in, struct piece *piece)
{
    uint8_t low = 0, high = 0;
    if (!span_take_u8(in, &piece->control))
        return false;
    span_take_u8(in, &low);
    span_take_u8(in, &high);
    size_t len = (size_t)low | (size_t)high << 8;
    if (len > in->len)
        len = in->len;
    CHECK(span_take_bytes(in, len, &piece->bytes));
    return true;
}

void pieces_put(struct buffer *out, uint8_t control, struct span bytes)
{
    CHECK(bytes.len <= PIECE_BYTES_MAX);
    buffer_put_u8(out, control);
    buffer_put_u8(out, (uint8_t)bytes.len);
    buffer_put_u8(out, (uint8_t)(bytes.len >> 8));
    buffer_put(out, bytes);
}

/* --- the mutator: libFuzzer finds it by its name --- */

enum { PIECES_MAX = 256 };

struct list_of_pieces {
    struct piece at[PIECES_MAX];
    size_t count;
};

static void take_apart(struct list_of_pieces *l, struct span in)
{
    l->count = 0;
    while (l->count < PIECES_MAX && pieces_next(&in, &l->at[l->count]))
        l->count++;
}

static void remove_piece(struct list_of_pieces *l, size_t place)
{
    memmove(l->at + place, l->at + place + 1, (--l->count - place) * sizeof(l->at[0]));
}

static void insert_piece(struct list_of_pieces *l, size_t place, struct piece piece)
{
    if (l->count == PIECES_MAX)
        return;
    memmove(l->at + place + 1, l->at + place, (l->count++ - place) * sizeof(l->at[0]));
    l->at[place] = piece;
}

/* The bytes of one piece as libFuzzer would change a whole input. */
static void change_bytes(struct piece *piece, struct buffer *scratch, size_t room)
{
    size_t most = piece->bytes.len + room;
    if (most > PIECE_BYTES_MAX)
        most = PIECE_BYTES_MAX;
    if (most == 0)
        return;
    buffer_room(scratch, most);
    buffer_put(scratch, piece->bytes);
    scratch->len = LLVMFuzzerMutate(scratch->at, scratch->len, most);
    piece->bytes = buffer_span(scratch);
}

static void change_list(struct list_of_pieces *l, struct prng *rng, struct buffer *scratch,
                        size_t room)
{
    size_t place = (size_t)prng_below(rng, l->count);
    struct piece other = l->at[prng_below(rng, l->count)];
    switch (prng_below(rng, 12)) {
    case 0:
        remove_piece(l, place);
        break;
    case 1:
        insert_piece(l, place, other);
        break;
    case 2:
        remove_piece(l, place);
        insert_piece(l, (size_t)prng_below(rng, l->count + 1), other);
        break;
    case 3:
        l->at[place].control = (uint8_t)prng_next(rng);
        break;
    case 4:
        l->at[place].control ^= (uint8_t)(1u << prng_below(rng, 8));
        break;
    case 5:
        insert_piece(l, place, (struct piece){ (uint8_t)prng_next(rng), other.bytes });
        break;
    default:
        change_bytes(&l->at[place], scratch, room);
        break;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t len, size_t max_len, unsigned seed)
{
    struct list_of_pieces l;
    struct buffer out = { 0 }, scratch = { 0 };
    struct prng rng;
    prng_seed(&rng, seed);
    take_apart(&l, span_of(bytes, len));
    if (l.count == 0 || prng_below(&rng, 16) == 0)
        return LLVMFuzzerMutate(bytes, len, max_len);

    size_t room = max_len > len ? max_len - len : 0;
    change_list(&l, &rng, &scratch, room);
    for (size_t i = 0; i < l.count; i++)
        pieces_put(&out, l.at[i].control, l.at[i].bytes);
    size_t done = out.len < max_len ? out.len : max_len;
    if (done > 0)
        memcpy(bytes, out.at, done);
    buffer_release(&out);
    buffer_release(&scratch);
    return done;
}
