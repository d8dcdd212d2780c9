/*
 * alone -- for tests: a node that is the only region of its deployment, with an empty log and no
 * limit to its clock.
 */
#ifndef NODE_ALONE_H
#define NODE_ALONE_H

#include "base/memory.h"
#include "node/node.h"

enum { ALONE_START_US = 1000 * 1000 * 1000 };

struct alone {
    struct deployment deployment;
    struct node node;
};

static inline char *alone_text(const char *text)
{
    size_t len = strlen(text) + 1;
    return memcpy(mem_alloc(len), text, len);
}

/* Ready to take records of a log (node_replay), or after node_recovered and a turn, clients. */
static inline void alone_init(struct alone *a, uint8_t id, const char *name)
{
    deployment_init(&a->deployment);
    a->deployment.name = alone_text("shop");
    struct region *self = deployment_add_region(&a->deployment);
    self->name = alone_text(name);
    self->id = id;
    deployment_finish(&a->deployment);
    node_init(&a->node, &(struct node_options){
                            .deployment = &a->deployment,
                            .self = &a->deployment.regions[0],
                            .instance = 1,
                            .seed = 1,
                            .faults = true,
                            .fsync = FSYNC_NO,
                        });
    hlc_raise_ceiling(&a->node.replica.hlc, (uint64_t)1 << 42);
}

static inline void alone_start(struct alone *a, uint8_t id, const char *name)
{
    alone_init(a, id, name);
    node_recovered(&a->node, 0);
    node_turn(&a->node, ALONE_START_US);
}

static inline void alone_release(struct alone *a)
{
    node_release(&a->node);
    deployment_release(&a->deployment);
}

static inline struct session *alone_session(struct alone *a)
{
    return node_session_open(&a->node, NULL, "127.0.0.1:50000", "127.0.0.1:6379");
}

#endif
