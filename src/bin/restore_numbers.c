#include "bin/restore_numbers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"

struct fitting {
    const struct manifest *m;
    const char *config_file;
    const struct deployment *d;
    const struct region *self;
    uint64_t used[4]; /* by the back-up, of regions: their streams of fences are known with them */
    char *problem;
};

__attribute__((format(printf, 2, 3))) static bool refuse(struct fitting *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(f->problem, FILES_PROBLEM_MAX, format, args);
    va_end(args);
    return false;
}

static bool has(const uint64_t numbers[4], unsigned number)
{
    return bits_have(numbers, number);
}

/* "4 to 255", "2, 5 to 7". */
static void put_ranges(struct buffer *out, const uint64_t numbers[4])
{
    const char *between = "";
    for (unsigned n = 0; n < STAMP_ORIGINS; n++) {
        if (!has(numbers, n))
            continue;
        unsigned last = n;
        while (last + 1 < STAMP_ORIGINS && has(numbers, last + 1))
            last++;
        buffer_printf(out, last > n ? "%s%u to %u" : "%s%u", between, n, last);
        between = ", ";
        n = last;
    }
    if (between[0] == '\0')
        buffer_put_text(out, "none");
}

static const char *name_in_backup(const struct fitting *f, unsigned number)
{
    const struct identity *id = &f->m->identity;
    for (uint32_t i = 0; i < id->region_count; i++) {
        if (id->regions[i].id == number)
            return id->regions[i].name;
    }
    return NULL;
}

static void add(uint64_t numbers[4], unsigned number)
{
    bits_add(numbers, number);
}

/* The region that wrote under a number of the back-up: its own, or of its stream of a fence. */
static unsigned writer_of(const struct fitting *f, unsigned number)
{
    const struct identity *id = &f->m->identity;
    unsigned inner_of = origin_inner_of((uint8_t)number, id->residency.fence_count + 1);
    bool is_region = name_in_backup(f, number) != NULL ||
                     (has(id->closed, number) && !has(id->closed, inner_of));
    return inner_of != 0 && !is_region ? inner_of : number;
}

static void find_used(struct fitting *f)
{
    uint64_t numbers[4];
    manifest_numbers(f->m, numbers);
    for (unsigned n = 1; n < STAMP_ORIGINS; n++) {
        if (has(numbers, n))
            add(f->used, writer_of(f, n));
    }
}

/* A member of a fence has a low number, and nobody has one that a stream of a fence may have. */
static bool may_be_given(const struct fitting *f, unsigned number)
{
    for (uint32_t fence = 1; fence < f->d->fence_count; fence++) {
        if (number > FENCED_REGION_MAX && fence_holds(&f->d->fences[fence], f->self->id))
            return false;
    }
    return origin_inner_of((uint8_t)number, f->d->fence_count) == 0;
}

/* Neither in the back-up, nor closed, nor another region's. */
static void free_numbers(const struct fitting *f, uint64_t numbers[4])
{
    memset(numbers, 0, 4 * sizeof(numbers[0]));
    for (unsigned n = 1; n <= REGION_ID_MAX; n++) {
        const struct region *r = deployment_region_with_id(f->d, (uint8_t)n);
        if (!has(f->used, n) && !deployment_closes(f->d, (uint8_t)n) &&
            (r == NULL || r == f->self) && may_be_given(f, n))
            add(numbers, n);
    }
}

static bool same_deployment(const struct fitting *f)
{
    return strcmp(f->m->identity.deployment, f->d->name) == 0;
}

/* In its own deployment the other regions go on under their numbers. */
static bool goes_on(const struct fitting *f, unsigned number)
{
    const struct region *r = deployment_region_with_id(f->d, (uint8_t)number);
    const char *name = name_in_backup(f, number);
    return same_deployment(f) && r != NULL && r != f->self && name != NULL &&
           strcmp(name, r->name) == 0;
}

/* Numbers of the back-up that `closed` has to list. */
static void numbers_to_close(const struct fitting *f, uint64_t numbers[4])
{
    memset(numbers, 0, 4 * sizeof(numbers[0]));
    for (unsigned n = 1; n < STAMP_ORIGINS; n++) {
        if (has(f->used, n) && !goes_on(f, n))
            add(numbers, n);
    }
}

/* "…: give it another id (free: 4 to 255), and list under closed: 1 to 3" */
static bool refuse_number(struct fitting *f, const struct region *r)
{
    struct buffer free = { 0 }, closed = { 0 };
    uint64_t numbers[4];
    free_numbers(f, numbers);
    put_ranges(&free, numbers);
    numbers_to_close(f, numbers);
    put_ranges(&closed, numbers);
    refuse(f,
           "%s: region %s has number %u, which the back-up has writes of: give %s an id that was "
           "never used (free: %.*s), and list under closed: %.*s",
           f->config_file, r->name, r->id, r == f->self ? "it" : "every region", (int)free.len,
           (const char *)free.at, (int)closed.len, (const char *)closed.at);
    buffer_release(&free);
    buffer_release(&closed);
    return false;
}

static bool refuse_open(struct fitting *f, const uint64_t open[4])
{
    struct buffer text = { 0 };
    put_ranges(&text, open);
    refuse(
        f,
        "%s: the back-up has writes of numbers that no region has now: list under closed, in the "
        "configuration of every region: %.*s",
        f->config_file, (int)text.len, (const char *)text.at);
    buffer_release(&text);
    return false;
}

static bool fits(struct fitting *f)
{
    uint64_t close[4];
    bool open = false;
    if (has(f->used, f->self->id))
        return refuse_number(f, f->self);
    for (size_t i = 0; i < f->d->region_count; i++) {
        const struct region *r = &f->d->regions[i];
        if (has(f->used, r->id) && !goes_on(f, r->id))
            return refuse_number(f, r);
    }
    numbers_to_close(f, close);
    for (unsigned n = 0; n < STAMP_ORIGINS; n++) {
        if (has(close, n) && deployment_closes(f->d, (uint8_t)n))
            bits_remove(close, n);
        open |= has(close, n);
    }
    if (open)
        return refuse_open(f, close);
    if (f->d->shards != f->m->identity.shards)
        return refuse(f, "%s: has %u shards, but the back-up has %u: the number is fixed",
                      f->config_file, f->d->shards, f->m->identity.shards);
    return true;
}

bool restore_numbers_fit(const struct manifest *m, const char *config_file,
                         const struct deployment *d, const struct region *self, char *problem)
{
    struct fitting f = {
        .m = m,
        .config_file = config_file,
        .d = d,
        .self = self,
        .problem = problem,
    };
    find_used(&f);
    return fits(&f);
}
