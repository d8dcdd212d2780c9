/*
 * topology_trial -- deployments and measured worlds for the tests of graph and routes.
 */
#ifndef POLICY_TOPOLOGY_TRIAL_H
#define POLICY_TOPOLOGY_TRIAL_H

#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "policy/routes.h"

static inline char *trial_text(const char *s)
{
    return memcpy(mem_alloc(strlen(s) + 1), s, strlen(s) + 1);
}

/* Regions a, b, c … in the order of the file. Their ids run the other way: a place is no id. */
static inline void trial_init(struct deployment *d, enum topology topology, size_t region_count)
{
    deployment_init(d);
    d->topology = topology;
    for (size_t place = 0; place < region_count; place++) {
        struct region *r = deployment_add_region(d);
        char name[2] = { (char)('a' + place % 26), '\0' };
        r->name = trial_text(name);
        r->id = (uint8_t)(region_count - place);
    }
    deployment_finish(d);
}

/* The place of a region that is named by one letter. */
static inline size_t trial_place(char letter)
{
    return (size_t)(letter - 'a');
}

static inline uint8_t trial_id(const struct deployment *d, char letter)
{
    CHECK(trial_place(letter) < d->region_count);
    return d->regions[trial_place(letter)].id;
}

static inline void trial_parent(struct deployment *d, char below, char above)
{
    d->regions[trial_place(below)].parent = trial_id(d, above);
}

/* A fence of the regions that the letters name; its index. */
static inline uint32_t trial_fence(struct deployment *d, const char *letters)
{
    struct fence *f = deployment_add_fence(d);
    f->name = trial_text("some");
    for (; *letters; letters++)
        fence_add(f, trial_id(d, *letters));
    return (uint32_t)(d->fence_count - 1);
}

/* What both ends measure between two regions. */
static inline void trial_measure(struct round_trips *t, char a, char b, uint64_t ms)
{
    round_trips_measure(t, trial_place(a), trial_place(b), ms * 1000);
    round_trips_measure(t, trial_place(b), trial_place(a), ms * 1000);
}

/* A link is cut: one end noticing is enough. */
static inline void trial_cut(struct round_trips *t, char a, char b)
{
    round_trips_lose(t, trial_place(a), trial_place(b));
}

/* --- a world as it was measured: the first rows of data/wan.csv --- */

enum trial_place {
    US_SOUTH,
    CA_TOR,
    US_EAST,
    EU_DE,
    EU_GB,
    EU_ES,
    JP_OSA,
    AU_SYD,
    JP_TOK,
    BR_SAO,
    TRIAL_WORLD
};

static const uint16_t TRIAL_WORLD_MS[TRIAL_WORLD][TRIAL_WORLD] = {
    { 0, 34, 31, 123, 113, 119, 150, 186, 143, 146 },
    { 34, 0, 19, 93, 82, 108, 168, 215, 162, 129 },
    { 31, 19, 0, 91, 75, 87, 172, 214, 164, 118 },
    { 123, 93, 91, 0, 13, 29, 232, 250, 233, 198 },
    { 113, 83, 75, 13, 0, 27, 244, 261, 243, 188 },
    { 122, 106, 88, 29, 27, 0, 257, 275, 258, 209 },
    { 150, 169, 172, 231, 243, 257, 0, 122, 9, 293 },
    { 186, 214, 214, 249, 261, 275, 122, 0, 115, 328 },
    { 143, 162, 166, 233, 244, 256, 9, 115, 0, 284 },
    { 144, 128, 119, 196, 187, 208, 291, 328, 283, 0 },
};

static inline void trial_measure_world(struct round_trips *t)
{
    round_trips_init(t, TRIAL_WORLD);
    for (size_t from = 0; from < TRIAL_WORLD; from++) {
        for (size_t to = 0; to < TRIAL_WORLD; to++) {
            if (from != to)
                round_trips_measure(t, from, to, TRIAL_WORLD_MS[from][to] * 1000u);
        }
    }
}

#endif
