#include "node/audit.h"

#include "base/memory.h"

void audit_init(struct audit *a, bool on)
{
    *a = (struct audit){ .on = on, .due_us = UINT64_MAX };
    resp_init(&a->parser);
}

void audit_release(struct audit *a)
{
    mem_free(a->flows);
    mem_free(a->lines);
    mem_free(a->sets);
    resp_release(&a->parser);
    *a = (struct audit){ .on = false };
}

/* --- flows --- */

static bool is_same(const struct audit_key *a, const struct audit_key *b)
{
    return a->item == b->item && a->peer == b->peer && a->what == b->what && a->taken == b->taken;
}

static struct audit_flow *find(struct audit *a, struct audit_key key)
{
    for (size_t i = 0; i < a->flow_count; i++) {
        if (is_same(&a->flows[i].key, &key))
            return &a->flows[i];
    }
    return NULL;
}

static struct audit_flow *flow_of(struct audit *a, struct audit_key key)
{
    struct audit_flow *f = find(a, key);
    if (f != NULL)
        return f;
    if (a->flow_count == a->flow_cap) {
        a->flow_cap = a->flow_cap ? 2 * a->flow_cap : 16;
        a->flows = mem_realloc(a->flows, a->flow_cap * sizeof(*a->flows));
    }
    f = &a->flows[a->flow_count++];
    *f = (struct audit_flow){ .key = key };
    return f;
}

/* --- lines --- */

static struct audit_line *add_line(struct audit *a, struct audit_key key, uint64_t now_us)
{
    if (a->line_count == a->line_cap) {
        a->line_cap = a->line_cap ? 2 * a->line_cap : 16;
        a->lines = mem_realloc(a->lines, a->line_cap * sizeof(*a->lines));
    }
    struct audit_line *line = &a->lines[a->line_count++];
    *line = (struct audit_line){ .key = key, .number = ++a->made, .ms = now_us / 1000 };
    return line;
}

static void close_flow(struct audit *a, struct audit_flow *f, uint64_t now_us)
{
    if (!f->open)
        return;
    struct audit_line *line = add_line(a, f->key, now_us);
    line->event = f->key.taken ? AUDIT_TAKEN : AUDIT_SENT;
    line->from = f->from;
    line->to = f->to;
    line->count = f->count;
    line->bytes = f->bytes;
    f->open = false;
}

bool audit_next(struct audit *a, struct audit_line *line)
{
    if (a->line_head == a->line_count)
        return false;
    *line = a->lines[a->line_head++];
    if (a->line_head == a->line_count)
        a->line_head = a->line_count = 0;
    return true;
}

void audit_written(struct audit *a, uint64_t number)
{
    if (number > a->written)
        a->written = number;
}

/* --- what moves --- */

uint64_t audit_begin(struct audit *a, struct audit_key key, uint64_t link_id, stamp_t from,
                     uint64_t now_us)
{
    struct audit_flow *f = flow_of(a, key);
    close_flow(a, f, now_us);
    struct audit_line *line = add_line(a, key, now_us);
    line->event = AUDIT_BEGINS;
    line->from = from;
    line->again = f->begun != 0 && f->link_id == link_id;
    f->link_id = link_id;
    f->begun = line->number;
    return line->number;
}

bool audit_is_announced(struct audit *a, struct audit_key key, uint64_t link_id)
{
    const struct audit_flow *f = find(a, key);
    return f != NULL && f->begun != 0 && f->link_id == link_id;
}

bool audit_has_begun(struct audit *a, struct audit_key key, uint64_t link_id)
{
    return audit_is_announced(a, key, link_id) && find(a, key)->begun <= a->written;
}

void audit_add(struct audit *a, struct audit_key key, uint64_t link_id,
               const struct audit_flow *moved, uint64_t now_us)
{
    struct audit_flow *f = flow_of(a, key);
    if (f->link_id != link_id || (f->open && moved->from > f->to)) /* it does not join */
        close_flow(a, f, now_us);
    if (f->link_id != link_id) {
        f->link_id = link_id;
        f->begun = 0;
    }
    if (!f->open) {
        f->open = true;
        f->from = moved->from;
        f->to = moved->to;
        f->count = f->bytes = 0;
    }
    f->from = moved->from < f->from ? moved->from : f->from;
    f->to = moved->to > f->to ? moved->to : f->to;
    f->count += moved->count;
    f->bytes += moved->bytes;
    if (a->due_us == UINT64_MAX)
        a->due_us = now_us + AUDIT_LINE_US;
}

void audit_end_link(struct audit *a, uint64_t link_id, uint64_t now_us)
{
    for (size_t i = 0; i < a->flow_count; i++) {
        if (a->flows[i].link_id == link_id)
            close_flow(a, &a->flows[i], now_us);
    }
}

void audit_flush(struct audit *a, uint64_t now_us)
{
    for (size_t i = 0; i < a->flow_count; i++)
        close_flow(a, &a->flows[i], now_us);
    a->due_us = UINT64_MAX;
}

/* While nothing can be written the sums grow on. */
void audit_turn_end(struct audit *a, uint64_t now_us)
{
    if (now_us >= a->due_us && !a->broken)
        audit_flush(a, now_us);
}
