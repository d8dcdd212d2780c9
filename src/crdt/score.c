#include "crdt/score.h"

#include <endian.h>
#include <math.h>

#include "base/check.h"
#include "base/mutation.h"

struct span score_encode(double score, uint8_t *bytes)
{
    if (score == 0)
        score = 0; /* one zero: -0 would be another value with the same order */
    uint64_t bits;
    memcpy(&bits, &score, sizeof(bits));
    bits = htole64(bits);
    memcpy(bytes, &bits, sizeof(bits));
    return span_of(bytes, SCORE_BYTES);
}

double score_decode(struct span bytes)
{
    uint64_t bits;
    double score;
    CHECK(bytes.len == SCORE_BYTES);
    memcpy(&bits, bytes.at, sizeof(bits));
    bits = le64toh(bits);
    memcpy(&score, &bits, sizeof(score));
    return score;
}

bool score_valid(struct span bytes)
{
    return bytes.len == SCORE_BYTES && !isnan(score_decode(bytes));
}

static double cell_score(const struct cell *c)
{
    double sum = 0;
    if (c->reg_count > 0) {
        const struct reg *newest = &c->regs[c->reg_count - 1];
        sum = score_decode(span_of(newest->value, newest->len));
    }
    for (uint16_t i = 0; i < c->tally_count && !MUTATION(scores_alone); i++)
        sum += amount_subtract(c->tallies[i].sum, c->tallies[i].base_sum).f;
    return isnan(sum) ? 0 : sum;
}

double entry_score(const struct entry *e)
{
    if (e->form == ENTRY_INLINE)
        return score_decode(entry_inline_value(e));
    CHECK(e->form == ENTRY_CELL);
    return cell_score(e->cell);
}

int score_compare(const void *a, const void *b)
{
    double x = entry_score(a), y = entry_score(b);
    if (x != y)
        return x < y ? -1 : 1;
    return span_compare(entry_name(a), entry_name(b));
}
