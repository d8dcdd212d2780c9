#include "node/tail.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"

enum {
    PAGE_BYTES = 1 << 20,
};

void tail_init(struct tail *t, size_t keep_bytes)
{
    *t = (struct tail){ .keep_bytes = keep_bytes };
}

void tail_release(struct tail *t)
{
    for (size_t i = 0; i < t->page_count; i++)
        mem_free(t->pages[i].bytes);
    for (size_t i = 0; i < t->mark_count; i++)
        mem_free(t->marks[i].stamps);
    mem_free(t->pages);
    mem_free(t->marks);
    *t = (struct tail){ 0 };
}

void tail_start(struct tail *t, uint64_t end_lsn)
{
    CHECK(t->page_count == 0);
    t->end_lsn = end_lsn;
}

/* --- the index --- */

static struct tail_mark *add_mark(struct tail *t)
{
    if (t->mark_count == t->mark_cap) {
        t->mark_cap = t->mark_cap == 0 ? 64 : t->mark_cap * 2;
        t->marks = mem_realloc(t->marks, t->mark_cap * sizeof(t->marks[0]));
    }
    return &t->marks[t->mark_count++];
}

void tail_mark(struct tail *t, uint64_t lsn, const struct vector *last_ops)
{
    CHECK(t->mark_count == 0 || lsn >= t->marked_lsn);
    if (t->mark_count == 0 || lsn - t->marked_lsn >= TAIL_MARK_EVERY_BYTES)
        tail_mark_here(t, lsn, last_ops);
}

void tail_mark_here(struct tail *t, uint64_t lsn, const struct vector *last_ops)
{
    if (t->mark_count > 0 && lsn == t->marked_lsn)
        return;
    struct tail_mark *mark = add_mark(t);
    *mark = (struct tail_mark){ .lsn = lsn, .stamps = mem_alloc(last_ops->high * sizeof(stamp_t)) };
    for (uint32_t o = 0; o < last_ops->high; o++) {
        if (last_ops->at[o] != 0)
            mark->stamps[mark->count++] = last_ops->at[o];
    }
    t->marked_lsn = lsn;
}

/* True when nothing wanted above `have` stands before the mark. */
static bool may_start_at(const struct tail_mark *mark, const struct vector *have,
                         const uint64_t origins[4])
{
    for (uint32_t i = 0; i < mark->count; i++) {
        uint8_t o = stamp_origin(mark->stamps[i]);
        if (bits_have(origins, o) && mark->stamps[i] > vector_get(have, o))
            return false;
    }
    return true;
}

/* Marks only grow from one to the next, so the ones that may be started at come first. */
uint64_t tail_start_for(const struct tail *t, const struct vector *have, const uint64_t origins[4])
{
    size_t low = 0, high = t->mark_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (may_start_at(&t->marks[middle], have, origins))
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? t->start_lsn : t->marks[low - 1].lsn;
}

/* Nothing came before the log: else, after a bootstrap, there is a mark where it begins. */
static bool is_whole(const struct tail *t)
{
    return t->start_lsn == 0 &&
           (t->mark_count == 0 || t->marks[0].lsn > 0 || t->marks[0].count == 0);
}

void tail_floor(const struct tail *t, struct vector *floor)
{
    vector_clear(floor);
    if (is_whole(t) || t->mark_count == 0)
        return;
    for (uint32_t i = 0; i < t->marks[0].count; i++)
        vector_set(floor, t->marks[0].stamps[i]);
}

bool tail_lacks(const struct tail *t, const struct vector *have, const uint64_t origins[4],
                uint64_t lacking[4])
{
    struct vector floor;
    bool any = false;
    memset(lacking, 0, 4 * sizeof(lacking[0]));
    tail_floor(t, &floor);
    for (uint32_t o = 0; o < floor.high; o++) {
        if (!bits_have(origins, o) || floor.at[o] <= vector_get(have, (uint8_t)o))
            continue;
        bits_add(lacking, o);
        any = true;
    }
    return any;
}

uint64_t tail_covered(const struct tail *t, const struct vector *have)
{
    static const uint64_t all[4] = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
    return tail_start_for(t, have, all);
}

uint64_t tail_mark_before(const struct tail *t, uint64_t lsn)
{
    size_t i = t->mark_count;
    while (i > 0 && t->marks[i - 1].lsn > lsn)
        i--;
    return i == 0 ? 0 : t->marks[i - 1].lsn;
}

void tail_forget(struct tail *t, uint64_t lsn)
{
    size_t dropped = 0;
    t->start_lsn = lsn;
    while (dropped + 1 < t->mark_count && t->marks[dropped].lsn < lsn)
        mem_free(t->marks[dropped++].stamps);
    if (dropped == 0)
        return;
    t->mark_count -= dropped;
    memmove(t->marks, t->marks + dropped, t->mark_count * sizeof(t->marks[0]));
}

void tail_put_mark(const struct tail *t, size_t index, struct buffer *out)
{
    const struct tail_mark *mark = &t->marks[index];
    buffer_put_u64(out, mark->lsn);
    buffer_put_varint(out, mark->count);
    for (uint32_t i = 0; i < mark->count; i++)
        buffer_put_u64(out, mark->stamps[i]);
}

static bool take_mark(struct tail *t, struct span *in)
{
    uint64_t lsn, count;
    if (!span_take_u64(in, &lsn) || !span_take_varint(in, &count) || count > STAMP_ORIGINS ||
        (t->mark_count > 0 && lsn < t->marked_lsn))
        return false;
    struct tail_mark *mark = add_mark(t);
    *mark = (struct tail_mark){ .lsn = lsn, .stamps = mem_alloc((size_t)count * sizeof(stamp_t)) };
    for (; mark->count < count; mark->count++) {
        if (!span_take_u64(in, &mark->stamps[mark->count]))
            return false;
    }
    t->marked_lsn = lsn;
    return true;
}

bool tail_take_marks(struct tail *t, struct span in)
{
    while (in.len > 0) {
        if (!take_mark(t, &in))
            return false;
    }
    return true;
}

/* --- the bytes --- */

static struct tail_page *add_page(struct tail *t, size_t cap)
{
    if (t->page_count == t->page_cap) {
        t->page_cap = t->page_cap == 0 ? 16 : t->page_cap * 2;
        t->pages = mem_realloc(t->pages, t->page_cap * sizeof(t->pages[0]));
    }
    struct tail_page *page = &t->pages[t->page_count++];
    *page = (struct tail_page){ .bytes = mem_alloc(cap), .cap = cap, .start_lsn = t->end_lsn };
    return page;
}

/* What was sealed together stays together: a page ends with a whole record. */
void tail_append(struct tail *t, struct span records)
{
    if (records.len == 0)
        return;
    struct tail_page *page = t->page_count == 0 ? NULL : &t->pages[t->page_count - 1];
    if (page == NULL || page->cap - page->len < records.len)
        page = add_page(t, records.len > PAGE_BYTES ? records.len : PAGE_BYTES);
    memcpy(page->bytes + page->len, records.at, records.len);
    page->len += records.len;
    t->end_lsn += records.len;
}

/* The newest page that starts at or before lsn; the caller knows that there is one. */
static const struct tail_page *page_of(const struct tail *t, uint64_t lsn)
{
    size_t low = 0, high = t->page_count - 1;
    while (low < high) {
        size_t middle = high - (high - low) / 2;
        if (t->pages[middle].start_lsn <= lsn)
            low = middle;
        else
            high = middle - 1;
    }
    return &t->pages[low];
}

bool tail_read(const struct tail *t, uint64_t lsn, uint64_t limit_lsn, struct span *out)
{
    if (limit_lsn > t->end_lsn)
        limit_lsn = t->end_lsn;
    if (lsn >= limit_lsn || t->page_count == 0 || lsn < t->pages[0].start_lsn)
        return false;
    const struct tail_page *page = page_of(t, lsn);
    uint64_t from = lsn - page->start_lsn;
    uint64_t to = limit_lsn - page->start_lsn;
    if (to > page->len)
        to = page->len;
    CHECK(from < to);
    *out = span_of(page->bytes + from, to - from);
    return true;
}

/* The last page goes too when it is of a large record, and full. */
void tail_trim(struct tail *t, uint64_t durable_lsn)
{
    size_t dropped = 0;
    while (dropped < t->page_count) {
        const struct tail_page *page = &t->pages[dropped];
        uint64_t after = page->start_lsn + page->len;
        if (after > durable_lsn || t->end_lsn - page->start_lsn <= t->keep_bytes ||
            (dropped + 1 == t->page_count && page->cap <= PAGE_BYTES))
            break;
        mem_free(page->bytes);
        dropped++;
    }
    if (dropped == 0)
        return;
    t->page_count -= dropped;
    memmove(t->pages, t->pages + dropped, t->page_count * sizeof(t->pages[0]));
}
