/*
 * string_lcs -- LCS: the longest common subsequence of two strings.
 *
 * The classic table of dynamic programming (Wagner and Fischer 1974): cell (i, j) is the length for
 * the first i bytes of one and the first j of the other. Walking back from its end gives the bytes
 * and the ranges that match, the last first; where both ways are as long the walk moves in the
 * second string, as Redis's does. The length alone needs one row.
 */
#include "base/memory.h"
#include "cmd/data.h"

struct lcs_options {
    bool length, ranges, with_lengths;
    int64_t shortest; /* shorter matches are not told */
};

struct lcs {
    struct span a, b;
    uint32_t *lengths; /* [(a.len + 1) * (b.len + 1)], or one row of b.len + 1 */
};

/* A run of bytes that match: a[a_from..a_from + len), b[b_from..b_from + len). */
struct match {
    size_t a_from, b_from, len;
};

static bool take_options(struct call *call, struct lcs_options *o)
{
    for (size_t i = 3; i < call->argc; i++) {
        if (call_is(call, i, "idx")) {
            o->ranges = true;
        } else if (call_is(call, i, "len")) {
            o->length = true;
        } else if (call_is(call, i, "withmatchlen")) {
            o->with_lengths = true;
        } else if (call_is(call, i, "minmatchlen") && i + 1 < call->argc) {
            if (!call_int(call, call->argv[++i], &o->shortest))
                return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    if (o->length && o->ranges) {
        reply_error(call->reply,
                    "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

/* The string of a key, empty when there is none; false when it is of another type. */
static bool find_text(struct call *call, struct span key, char *scratch, struct span *text)
{
    struct entry *e;

    call_find(call, key, COMPONENT_NONE, &e);
    if (e != NULL && object_visible(e) != COMPONENT_STRING)
        return false;
    *text = e != NULL ? data_string(e, scratch) : span_of("", 0);
    return true;
}

static bool table_allowed(struct call *call, const struct lcs *l, bool one_row)
{
    uint64_t rows = one_row ? 1 : l->a.len + 1;

    if (rows <= STRING_BYTES_MAX / sizeof(uint32_t) / (l->b.len + 1))
        return true;
    reply_error(call->reply,
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    return false;
}

static uint32_t *row(const struct lcs *l, size_t i)
{
    return l->lengths + i * (l->b.len + 1);
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void fill_table(struct lcs *l)
{
    memset(l->lengths, 0, (l->b.len + 1) * sizeof(uint32_t));
    for (size_t i = 1; i <= l->a.len; i++) {
        const uint32_t *above = row(l, i - 1);
        uint32_t *here = row(l, i);

        here[0] = 0;
        for (size_t j = 1; j <= l->b.len; j++) {
            bool same = l->a.at[i - 1] == l->b.at[j - 1];
            here[j] = same ? above[j - 1] + 1 : larger(above[j], here[j - 1]);
        }
    }
}

/* The same, each row written over the one before it. */
static uint32_t length_by_row(struct lcs *l)
{
    uint32_t *here = l->lengths;

    memset(here, 0, (l->b.len + 1) * sizeof(uint32_t));
    for (size_t i = 1; i <= l->a.len; i++) {
        uint32_t corner = 0; /* above and to the left, as it was */

        for (size_t j = 1; j <= l->b.len; j++) {
            uint32_t above = here[j];
            bool same = l->a.at[i - 1] == l->b.at[j - 1];
            here[j] = same ? corner + 1 : larger(above, here[j - 1]);
            corner = above;
        }
    }
    return here[l->b.len];
}

/* Walks back from (*i, *j) over the next run that matches; false when there is none left. */
static bool previous_match(const struct lcs *l, size_t *i, size_t *j, struct match *m)
{
    while (*i > 0 && *j > 0 && l->a.at[*i - 1] != l->b.at[*j - 1]) {
        if (row(l, *i - 1)[*j] > row(l, *i)[*j - 1])
            (*i)--;
        else
            (*j)--;
    }
    m->len = 0;
    while (*i > 0 && *j > 0 && l->a.at[*i - 1] == l->b.at[*j - 1]) {
        (*i)--;
        (*j)--;
        m->len++;
    }
    m->a_from = *i;
    m->b_from = *j;
    return m->len > 0;
}

static void reply_range(struct reply *r, size_t from, size_t len)
{
    reply_array(r, 2);
    reply_int(r, (int64_t)from);
    reply_int(r, (int64_t)(from + len - 1));
}

static void reply_ranges(struct call *call, const struct lcs *l, const struct lcs_options *o)
{
    struct reply *r = call->reply;
    size_t i = l->a.len, j = l->b.len;
    uint64_t count = 0;
    struct match m;

    reply_map(r, 2);
    reply_bulk_text(r, "matches");
    size_t place = reply_later(r);
    while (previous_match(l, &i, &j, &m)) {
        if ((int64_t)m.len < o->shortest)
            continue;
        reply_array(r, o->with_lengths ? 3 : 2);
        reply_range(r, m.a_from, m.len);
        reply_range(r, m.b_from, m.len);
        if (o->with_lengths)
            reply_int(r, (int64_t)m.len);
        count++;
    }
    reply_later_set(r, place, '*', count);
    reply_bulk_text(r, "len");
    reply_int(r, row(l, l->a.len)[l->b.len]);
}

static void reply_text(struct call *call, const struct lcs *l)
{
    size_t i = l->a.len, j = l->b.len;
    size_t len = row(l, i)[j], at = len;
    uint8_t *text = mem_alloc(len);
    struct match m;

    while (previous_match(l, &i, &j, &m)) {
        at -= m.len;
        memcpy(text + at, l->a.at + m.a_from, m.len);
    }
    reply_bulk(call->reply, span_of(text, len));
    mem_free(text);
}

void cmd_lcs(struct call *call)
{
    char scratch[2][CELL_SCRATCH_BYTES];
    struct lcs_options o = { 0 };
    struct lcs l;

    if (!find_text(call, call->argv[1], scratch[0], &l.a) ||
        !find_text(call, call->argv[2], scratch[1], &l.b)) {
        reply_error(call->reply, "ERR The specified keys must contain string values");
        return;
    }
    if (!take_options(call, &o) || !table_allowed(call, &l, o.length))
        return;
    size_t rows = o.length ? 1 : l.a.len + 1;
    l.lengths = mem_alloc(rows * (l.b.len + 1) * sizeof(uint32_t));
    if (o.length) {
        reply_int(call->reply, length_by_row(&l));
    } else {
        fill_table(&l);
        if (o.ranges)
            reply_ranges(call, &l, &o);
        else
            reply_text(call, &l);
    }
    mem_free(l.lengths);
}
