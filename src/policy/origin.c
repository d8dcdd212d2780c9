#include "policy/origin.h"

#include "base/bits.h"

enum { FENCE_SHIFT = 4 };

uint8_t origin_of(const struct deployment *d, uint8_t region_id, uint32_t fence)
{
    if (!fence_holds(&d->fences[fence], region_id))
        return 0;
    if (fence == 0)
        return region_id;
    return region_id <= FENCED_REGION_MAX && fence < FENCE_PLACES
               ? (uint8_t)(region_id | fence << FENCE_SHIFT)
               : 0;
}

uint8_t origin_inner_of(uint8_t origin, size_t fence_count)
{
    uint32_t fence = origin >> FENCE_SHIFT;

    return fence > 0 && fence < fence_count ? origin & FENCED_REGION_MAX : 0;
}

uint32_t origin_fence(const struct deployment *d, uint8_t origin)
{
    uint8_t inner_of = origin_inner_of(origin, d->fence_count);
    bool is_region = deployment_region_with_id(d, origin) != NULL ||
                     (deployment_closes(d, origin) && !deployment_closes(d, inner_of));

    return inner_of != 0 && !is_region ? origin >> FENCE_SHIFT : 0;
}

uint8_t origin_region(const struct deployment *d, uint8_t origin)
{
    return origin_fence(d, origin) == 0 ? origin : origin & FENCED_REGION_MAX;
}

void origin_foreign(const struct deployment *d, uint8_t region_id, uint64_t foreign[4])
{
    memset(foreign, 0, 4 * sizeof(foreign[0]));
    for (uint32_t o = 1; o < 256; o++) {
        if (!fence_holds(&d->fences[origin_fence(d, (uint8_t)o)], region_id))
            bits_add(foreign, o);
    }
}

size_t origin_writers(const struct deployment *d, uint8_t region_id, uint8_t writers[256])
{
    size_t count = 0;

    for (uint32_t fence = 0; fence < d->fence_count; fence++) {
        if (!fence_holds(&d->fences[fence], region_id))
            continue;
        for (size_t i = 0; i < d->region_count; i++) {
            uint8_t origin = origin_of(d, d->regions[i].id, fence);

            if (origin != 0)
                writers[count++] = origin;
        }
    }
    return count;
}
