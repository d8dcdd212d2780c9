/*
 * post -- what travellers (traveller.c) write, and what whoever sees it must see as well.
 *
 * A post is a member that is added once to one of many sets, and never removed: a board. So a read that
 * shows the board shows which posts are there, and no rule of conflicts stands between. Each post knows its
 * past: all posts that its writer is sure to have had before it. A photo and the comment on it are two posts
 * on two boards.
 * Limits:    POSTS_MAX of them in a world; a board has POSTS_OF_BOARD.
 */
#ifndef SIM_POST_H
#define SIM_POST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "clock/stamp.h"

struct sim_world;
struct sim_region;

enum { POSTS_MAX = 1024, POSTS_OF_BOARD = 12, POST_KEYSPACES = 3 };

struct post_set {
    uint64_t words[POSTS_MAX / 64];
};

struct post {
    uint32_t keyspace, board; /* on which it stands */
    uint32_t region;          /* where it was written */
    stamp_t stamp;            /* 0: it was not written, as far as is known */
    uint64_t written_us;
    uint64_t told_us; /* its writer was told that it stands; 0: not yet */
    uint32_t kept;    /* regions that had it on disk then, by index, as bits */
    bool lost;        /* in a crash before it was durable */
    struct post_set past;
};

struct posts {
    struct post *at; /* [count] */
    uint32_t count;
    uint32_t on[POST_KEYSPACES]; /* of each keyspace */
};

static inline bool post_set_has(const struct post_set *s, uint32_t post)
{
    return bits_have(s->words, post);
}

static inline void post_set_add(struct post_set *s, uint32_t post)
{
    bits_add(s->words, post);
}

static inline void post_set_merge(struct post_set *s, const struct post_set *other)
{
    for (uint32_t i = 0; i < POSTS_MAX / 64; i++)
        s->words[i] |= other->words[i];
}

void posts_release(struct posts *p);

/* One that is about to be sent. */
uint32_t posts_add(struct posts *p, uint32_t keyspace, uint32_t region);

/* A region that was restarted, or has ended its bootstrap, has all there will ever be of what it wrote:
 * posts above that are lost. What it had on disk when a client was told so it has again. */
void sim_posts_recovered(struct sim_world *w, const struct sim_region *r);

/* The client of a post is told that it stands, and that `others` regions more have it on disk: so it must
 * be. */
void sim_post_told(struct sim_world *w, uint32_t post, uint32_t others);

/* Whether a region has it on disk; the answer may have been on its way while the region restarted. */
bool sim_post_is_kept(const struct sim_world *w, const struct sim_region *r, uint32_t post);

#endif
