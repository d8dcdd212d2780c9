#include "store/identity_compare.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/error.h"

enum { PROBLEM_BYTES = 320 };

__attribute__((format(printf, 2, 3))) static int refuse(char *problem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(problem, PROBLEM_BYTES, format, args);
    va_end(args);
    return E_FOREIGN;
}

static const struct identity_region *region_with_id(const struct identity *id, uint8_t number)
{
    for (uint32_t i = 0; i < id->region_count; i++) {
        if (id->regions[i].id == number)
            return &id->regions[i];
    }
    return NULL;
}

static const struct identity_region *region_with_name(const struct identity *id, const char *name)
{
    for (uint32_t i = 0; i < id->region_count; i++) {
        if (strcmp(id->regions[i].name, name) == 0)
            return &id->regions[i];
    }
    return NULL;
}

static bool closes(const uint64_t closed[4], uint8_t number)
{
    return bits_have(closed, number);
}

/* --- numbers --- */

/* Every number that was written means the same region now, or is closed: stamps carry these numbers
 * for ever. */
static int compare_numbering(const struct identity *had, const struct identity *want, char *problem)
{
    for (uint32_t i = 0; i < had->region_count; i++) {
        const struct identity_region *region = &had->regions[i];
        const struct identity_region *same = region_with_id(want, region->id);
        if (same != NULL ? strcmp(same->name, region->name) == 0 : closes(want->closed, region->id))
            continue;
        const struct identity_region *moved = region_with_name(want, region->name);
        if (moved != NULL)
            return refuse(problem,
                          "region %s has number %u in the configuration, but this directory was "
                          "written with %u: give it id %u, or, if it gave that number up, list %u "
                          "under closed in the configuration of every region",
                          region->name, moved->id, region->id, region->id, region->id);
        return refuse(problem,
                      "region %s (number %u), which this directory was written with, is not in the "
                      "configuration: if it is gone for good, list %u under closed in the "
                      "configuration of every region",
                      region->name, region->id, region->id);
    }
    return E_OK;
}

static int refuse_reopened(const struct identity *had, const struct identity *want, char *problem)
{
    for (uint32_t i = 0; i < want->region_count; i++) {
        const struct identity_region *region = &want->regions[i];
        if (closes(had->closed, region->id))
            return refuse(problem,
                          "number %u was given up and is never used again: give region %s another "
                          "id, and list %u under closed",
                          region->id, region->name, region->id);
    }
    return E_OK;
}

/* The region itself, maybe under another number: that the old one is closed was seen to before. */
static int compare_self(const struct identity *had, const struct identity *want, char *problem)
{
    const struct identity_region *theirs = region_with_id(had, had->region);
    const struct identity_region *ours = region_with_id(want, want->region);
    if (theirs != NULL && ours != NULL && strcmp(theirs->name, ours->name) == 0)
        return E_OK;
    return refuse(problem, "the data directory belongs to region %s, not to %s",
                  theirs == NULL ? "?" : theirs->name, ours == NULL ? "?" : ours->name);
}

/* --- fences --- */

static uint32_t place_named(const struct residency *r, const char *name)
{
    for (uint32_t place = 1; place <= r->fence_count; place++) {
        if (strcmp(r->fences[place].name, name) == 0)
            return place;
    }
    return 0;
}

/* The number of every stream of a fence says its place. */
static int refuse_moved(const struct residency *want, const char *name, uint32_t place,
                        char *problem)
{
    uint32_t now = place_named(want, name);
    if (now == 0)
        return refuse(
            problem,
            "fence %s, which this directory was written with in place %u, is not in the "
            "configuration: fences are never removed, renamed or moved; put it back there",
            name, place);
    return refuse(
        problem,
        "fence %s is in place %u of the configuration, but this directory was written with "
        "it in place %u: keep the order of fences, and add new ones at the end",
        name, now, place);
}

/* Who left would keep what it may not hold any more. */
static int refuse_left(const struct identity *want, const char *fence, uint8_t id, char *problem)
{
    const struct identity_region *region = region_with_id(want, id);
    return refuse(
        problem,
        "region %s (number %u) is no member of fence %s any more: it may leave only with an "
        "empty data directory, under a new id, with %u listed under closed",
        region == NULL ? "?" : region->name, id, fence, id);
}

static int compare_members(const struct identity *had, const struct identity *want, uint32_t place,
                           char *problem)
{
    const struct residency_fence *before = &had->residency.fences[place];
    const struct residency_fence *now = &want->residency.fences[place];
    for (uint8_t id = 1; id <= FENCED_REGION_MAX; id++) {
        if ((before->members & ~now->members) >> id & 1 && !closes(want->closed, id))
            return refuse_left(want, before->name, id, problem);
    }
    bool was = residency_is_member(before, had->region);
    if (was && !residency_is_member(now, want->region))
        return refuse(
            problem,
            "this directory holds what fence %s holds, and this region is no member of it "
            "any more: start it with an empty data directory",
            before->name);
    return E_OK;
}

int identity_compare_fences(const struct identity *had, const struct identity *want, char *problem)
{
    const struct residency *before = &had->residency, *now = &want->residency;
    for (uint32_t place = 1; place <= before->fence_count; place++) {
        const char *name = before->fences[place].name;
        if (place > now->fence_count || strcmp(now->fences[place].name, name) != 0)
            return refuse_moved(now, name, place, problem);
        int err = compare_members(had, want, place, problem);
        if (err)
            return err;
    }
    return E_OK;
}

/* --- all of it --- */

int identity_compare(const struct identity *had, const struct identity *want, char *problem)
{
    if (strcmp(had->deployment, want->deployment) != 0)
        return refuse(problem, "the data directory belongs to deployment %s, not to %s",
                      had->deployment, want->deployment);
    int err = compare_numbering(had, want, problem);
    if (err == E_OK)
        err = refuse_reopened(had, want, problem);
    if (err == E_OK)
        err = compare_self(had, want, problem);
    if (err == E_OK)
        err = identity_compare_fences(had, want, problem);
    if (err)
        return err;
    if (had->shards != want->shards)
        return refuse(problem,
                      "the data directory was written with %u shards, the configuration says %u: "
                      "the number is fixed",
                      had->shards, want->shards);
    return E_OK;
}

/* --- what is brought along --- */

/* A new directory has nothing to bring along, and one that was written before lacks what the others have. */
static uint32_t joined(const struct identity *out, const struct identity *had)
{
    uint32_t joins = 0;
    for (uint32_t place = 1; place <= had->residency.fence_count; place++) {
        const struct residency_fence *now = &out->residency.fences[place];
        bool alone = now->members == 1u << out->region;
        bool was = residency_is_member(&had->residency.fences[place], had->region);
        joins |= (uint32_t)(!was && !alone && residency_is_member(now, out->region)) << place;
    }
    return joins;
}

void identity_inherit_fences(struct identity *out, const struct identity *had)
{
    uint32_t joins = joined(out, had);
    out->known.joining |= joins;
    if (joins != 0)
        out->known.joined_instance = out->instance;
    out->residency.prefix_bytes = had->residency.prefix_bytes;
    memcpy(out->residency.prefixes, had->residency.prefixes, sizeof(out->residency.prefixes));
}

void identity_inherit(struct identity *out, const struct identity *had)
{
    out->instance = had->instance + 1;
    out->known = had->known;
    if (had->instance != 0)
        identity_inherit_fences(out, had);
    if (out->region != had->region)
        out->known.amnesiac = false;
    for (size_t i = 0; i < COUNT_OF(out->closed); i++)
        out->closed[i] |= had->closed[i];
    for (unsigned number = 0; number < COUNT_OF(out->known.latest); number++) {
        if (closes(out->closed, (uint8_t)number))
            out->known.latest[number] = (struct identity_run){ 0 };
    }
}
