#include "sim/post.h"

#include "base/check.h"
#include "base/memory.h"
#include "sim/world.h"

void posts_release(struct posts *p)
{
    mem_free(p->at);
    *p = (struct posts){ 0 };
}

uint32_t posts_add(struct posts *p, uint32_t keyspace, uint32_t region)
{
    CHECK(p->count < POSTS_MAX);
    if (p->at == NULL)
        p->at = mem_alloc(POSTS_MAX * sizeof(*p->at));
    p->at[p->count] = (struct post){
        .keyspace = keyspace,
        .board = p->on[keyspace]++ / POSTS_OF_BOARD,
        .region = region,
    };
    return p->count++;
}

/* --- what is on disk --- */

/* What a region that is down has, it has when it comes back. */
static const struct vector *durable_of(const struct sim_region *r)
{
    return r->up ? &r->node.replica.durable : &r->durable;
}

static bool is_durable(const struct sim_region *r, const struct post *post)
{
    return vector_get(durable_of(r), stamp_origin(post->stamp)) >= post->stamp;
}

bool sim_post_is_kept(const struct sim_world *w, const struct sim_region *r, uint32_t post)
{
    return is_durable(r, &w->posts.at[post]) || r->store.marked;
}

static uint32_t count_kept(struct sim_world *w, uint32_t post, uint32_t *kept)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *r = &w->regions[i];
        if (is_durable(r, &w->posts.at[post]))
            *kept |= 1u << i;
        count += i != w->posts.at[post].region && sim_post_is_kept(w, r, post);
    }
    return count;
}

void sim_post_told(struct sim_world *w, uint32_t number, uint32_t others)
{
    struct post *post = &w->posts.at[number];
    uint32_t kept = 0, count = count_kept(w, number, &kept);
    bool sync = w->plan.fsync == FSYNC_ALWAYS || others > 0;
    post->told_us = w->now_us;
    if (w->history_lost)
        return;
    if (count < others)
        sim_fail(w, "post %u: %u other regions were to have it on disk, and %u have, of %u", number,
                 others, count, w->plan.regions);
    if (sync && !(kept >> post->region & 1))
        sim_fail(w,
                 "post %u: its client is told that it stands, and it is not on disk in region %u",
                 number, post->region + 1);
    post->kept = others > 0 || sync ? kept : 0;
}

void sim_posts_recovered(struct sim_world *w, const struct sim_region *r)
{
    const struct vector *has = &r->node.replica.last_op;
    for (uint32_t i = 0; i < w->posts.count && !w->history_lost; i++) {
        struct post *post = &w->posts.at[i];
        bool there = post->stamp != 0 && vector_get(has, stamp_origin(post->stamp)) >= post->stamp;
        if (post->region == r->index && post->stamp != 0 && !there)
            post->lost = true;
        if ((post->kept >> r->index & 1) && !there)
            sim_fail(w, "region %u had post %u on disk when its client was told, and has lost it",
                     r->index + 1, i);
    }
}
