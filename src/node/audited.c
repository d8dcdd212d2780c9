#include "node/audited.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/mutation.h"
#include "cmd/fence.h"
#include "core/copier.h"
#include "node/forward.h"
#include "node/node.h"
#include "node/remote.h"

void audited_init(struct node *n)
{
    audit_init(&n->audit, n->options.audits && n->options.deployment->fence_count > 1);
}

void audited_turn_end(struct node *n)
{
    if (n->audit.on)
        audit_turn_end(&n->audit, n->now_us);
}

void audited_link_ended(struct node *n, const struct link *l)
{
    if (n->audit.on)
        audit_end_link(&n->audit, l->id, n->now_us);
}

static struct audit_key key_of(const struct link *l, enum audit_what what, bool taken,
                               uint32_t item)
{
    return (struct audit_key){ what, taken, l->peer->region->id, (uint16_t)item };
}

static bool holds(const struct node *n, const struct link *l, uint32_t fence)
{
    return fence_holds(&n->options.deployment->fences[fence], l->peer->region->id);
}

/* --- the owner's side --- */

bool node_next_audit(struct node *n, struct audit_line *line)
{
    return audit_next(&n->audit, line);
}

void node_audit_flush(struct node *n)
{
    if (n->audit.on)
        audit_flush(&n->audit, n->now_us);
}

static void close_paused(struct node *n)
{
    list_each(&n->links, it)
    {
        struct link *l = container_of(it, struct link, link);
        if (l->audit_paused)
            link_close(n, l, "its streams go on: the audit can be written again");
    }
}

void node_audit_written(struct node *n, uint64_t number)
{
    audit_written(&n->audit, number);
    if (n->audit.broken) {
        n->audit.broken = false;
        close_paused(n);
        node_notice(n, NOTICE_INFO, "ev=audit.ok");
    }
    list_each(&n->remotes, it)
    {
        struct remote *r = container_of(it, struct remote, link);
        if (r->commands.count > 0)
            remote_mark_due(n, r);
    }
}

static bool pause_fenced(const struct node *n, uint64_t origins[4])
{
    bool any = false;
    for (uint32_t o = 0; bits_next(origins, STAMP_ORIGINS, &o); o++) {
        if (n->fence_of[o] == 0)
            continue;
        bits_remove(origins, (uint8_t)o);
        any = true;
    }
    return any;
}

void node_audit_failed(struct node *n, const char *why)
{
    if (n->audit.broken)
        return;
    n->audit.broken = true;
    node_notice(
        n, NOTICE_ERROR,
        "ev=audit.failed why=\"%s\" what=\"nothing more of what fences hold is sent to other "
        "regions until it can be written\"",
        why);
    list_each(&n->links, it)
    {
        struct link *l = container_of(it, struct link, link);
        if (!l->is_intake && !l->close)
            l->audit_paused |= pause_fenced(n, l->origins);
    }
}

/* --- streams --- */

void audited_subscribe(struct node *n, struct link *l, uint64_t origins[4],
                       const struct vector *have)
{
    if (!n->audit.on)
        return;
    if (n->audit.broken) {
        l->audit_paused |= pause_fenced(n, origins);
        return;
    }
    for (uint32_t o = 0; bits_next(origins, STAMP_ORIGINS, &o); o++) {
        if (n->fence_of[o] != 0)
            l->audit_line = audit_begin(&n->audit, key_of(l, AUDIT_LOG, false, o), l->id,
                                        vector_get(have, (uint8_t)o), n->now_us);
    }
}

bool audited_holds_log(const struct node *n, const struct link *l)
{
    return n->audit.on && !n->audit.broken && l->audit_line > n->audit.written &&
           !MUTATION(sends_unannounced);
}

void audited_frame_begins(const struct node *n, struct feed_frame *f)
{
    if (!n->audit.on)
        return;
    vector_clear(&f->audit.from);
    memset(f->audit.count, 0, sizeof(f->audit.count));
    memset(f->audit.bytes, 0, sizeof(f->audit.bytes));
}

/* Before f->last has it. The batch is of our log: it is well formed. */
void audited_frame_adds(const struct node *n, struct feed_frame *f, struct span batch)
{
    struct batch b;
    uint8_t origin;
    stamp_t to;
    if (!n->audit.on || !batch_peek(batch, &origin, &to) || n->fence_of[origin] == 0)
        return;
    if (f->audit.count[origin]++ == 0 && batch_take(batch, &b) && b.prev != 0)
        vector_set(&f->audit.from, b.prev);
    f->audit.bytes[origin] += (uint32_t)batch.len;
}

void audited_frame_sent(struct node *n, const struct link *l, const struct feed_frame *f)
{
    if (!n->audit.on)
        return;
    for (uint32_t o = 0; o < f->last.high; o++) {
        if (n->fence_of[o] == 0 || f->audit.count[o] == 0)
            continue;
        audit_add(&n->audit, key_of(l, AUDIT_LOG, false, o), l->id,
                  &(struct audit_flow){ .from = vector_get(&f->audit.from, (uint8_t)o),
                                        .to = vector_get(&f->last, (uint8_t)o),
                                        .count = f->audit.count[o],
                                        .bytes = f->audit.bytes[o] },
                  n->now_us);
    }
}

void audited_batch_came(struct node *n, const struct link *l, struct span batch)
{
    struct batch b;
    uint8_t origin;
    stamp_t to;
    if (!n->audit.on || !batch_peek(batch, &origin, &to) || n->fence_of[origin] == 0 ||
        !batch_take(batch, &b) || b.op_count == 0)
        return;
    audit_add(&n->audit, key_of(l, AUDIT_LOG, true, origin), l->id,
              &(struct audit_flow){ .from = b.prev, .to = b.to, .count = 1, .bytes = batch.len },
              n->now_us);
}

/* --- bootstraps --- */

void audited_image_begins(struct node *n, struct link *l)
{
    for (uint32_t fence = 1; n->audit.on && fence < n->options.deployment->fence_count; fence++) {
        if (holds(n, l, fence))
            l->audit_line = audit_begin(&n->audit, key_of(l, AUDIT_OBJECTS, false, fence), l->id, 0,
                                        n->now_us);
    }
}

/* l->audit_line is 0 when the other region is a member of no fence. */
bool audited_holds_image(const struct node *n, const struct link *l)
{
    return n->audit.on && l->audit_line != 0 &&
           (n->audit.broken || l->audit_line > n->audit.written);
}

void audited_objects(struct node *n, const struct link *l, bool taken, struct span changes)
{
    struct change c;
    if (!n->audit.on)
        return;
    while (changes.len > 0) {
        size_t before = changes.len;
        if (!change_take(&changes, &c))
            return;
        uint32_t fence = fence_of_key(&n->server, c.key);
        if (fence != 0)
            audit_add(&n->audit, key_of(l, AUDIT_OBJECTS, taken, fence), l->id,
                      &(struct audit_flow){ .count = c.kind != CHANGE_PIECE,
                                            .bytes = before - changes.len },
                      n->now_us);
    }
}

/* --- what an answer is about --- */

/* 0: nothing. Up to keyspace_count: that keyspace, plus one. Above: a set. */
static size_t items_of(const struct node *n, uint32_t about, enum audit_what *what,
                       uint16_t items[16])
{
    size_t keyspaces = n->options.deployment->keyspace_count, count = 0;
    *what = AUDIT_ANSWERS;
    if (about <= keyspaces) {
        items[0] = (uint16_t)(about - 1);
        return about != 0;
    }
    const struct audit_set *set = &n->audit.sets[about - keyspaces - 1];
    *what = set->part ? AUDIT_PARTS : AUDIT_ANSWERS;
    for (size_t i = 0; i < COUNT_OF(set->keyspaces); i++) {
        if (set->keyspaces[i] != 0)
            items[count++] = (uint16_t)(set->keyspaces[i] - 1);
    }
    return count;
}

bool audited_may_answer(struct node *n, const struct link *l, uint32_t about)
{
    enum audit_what what;
    uint16_t items[16];
    size_t count = about != 0 ? items_of(n, about, &what, items) : 0;
    bool may = true;
    for (size_t i = 0; i < count; i++) {
        struct audit_key key = key_of(l, what, false, items[i]);
        if (n->audit.broken || !audit_has_begun(&n->audit, key, l->id))
            may = false;
        if (!n->audit.broken && !audit_is_announced(&n->audit, key, l->id))
            audit_begin(&n->audit, key, l->id, 0, n->now_us);
    }
    return may || MUTATION(answers_unannounced);
}

void audited_answer(struct node *n, const struct link *l, bool taken, uint32_t about, size_t bytes)
{
    enum audit_what what;
    uint16_t items[16];
    size_t count = about != 0 ? items_of(n, about, &what, items) : 0;
    for (size_t i = 0; i < count; i++)
        audit_add(&n->audit, key_of(l, what, taken, items[i]), l->id,
                  &(struct audit_flow){ .count = 1, .bytes = bytes }, n->now_us);
}
