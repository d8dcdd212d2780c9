#include "host/figures.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    SAMPLE_US = 2000, /* two system calls' worth of time in a thousand */
    COUNT_US = 5000,  /* what other threads allocate is seen so late; 10 us each time */
    DECAY_MS = 100,   /* jemalloc's own is 10 s: as long it keeps pages that it does not use */
};

/* jemalloc's, when it is linked: the sanitizers bring an allocator of their own. */
extern int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
    __attribute__((weak));

static uint64_t allocated_bytes(void)
{
    uint64_t epoch = 1;
    size_t allocated = 0, len = sizeof(allocated);

    if (mallctl == NULL)
        return mallinfo2().uordblks;
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    if (mallctl("stats.allocated", &allocated, &len, NULL, 0) != 0)
        return 0;
    return allocated;
}

static const uint64_t *thread_counter(const char *name)
{
    const uint64_t *at = NULL;
    size_t len = sizeof(at);

    if (mallctl == NULL || mallctl(name, (void *)&at, &len, NULL, 0) != 0)
        return NULL;
    return at;
}

void figures_open(struct figures *f)
{
    *f = (struct figures){
        .statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC),
        .allocated = thread_counter("thread.allocatedp"),
        .freed = thread_counter("thread.deallocatedp"),
    };
}

void figures_close(struct figures *f)
{
    if (f->statm >= 0)
        close(f->statm);
    f->statm = -1;
}

static uint64_t held_bytes(const struct figures *f)
{
    return f->allocated != NULL && f->freed != NULL ? *f->allocated - *f->freed : 0;
}

static void read_statm(struct figures *f, struct process *p, uint64_t now_us)
{
    char text[128];
    unsigned long resident = 0, files = 0;
    ssize_t got = f->statm < 0 ? -1 : pread(f->statm, text, sizeof(text) - 1, 0);

    text[got > 0 ? got : 0] = '\0';
    if (sscanf(text, "%*u %lu %lu", &resident, &files) != 2)
        return;
    p->memory_rss_bytes = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
    p->memory_file_bytes = (uint64_t)files * (uint64_t)sysconf(_SC_PAGESIZE);
    p->memory_samples++;
    f->sampled_us = now_us;
}

static void count(struct figures *f, struct process *p, uint64_t now_us)
{
    p->memory_used_bytes = allocated_bytes();
    f->held_bytes = held_bytes(f);
    f->counted_us = now_us;
}

static uint64_t microseconds(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

void figures_read(struct figures *f, struct process *p, uint64_t now_us)
{
    struct rusage usage;

    count(f, p, now_us);
    read_statm(f, p, now_us);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        p->cpu_user_us = microseconds(usage.ru_utime);
        p->cpu_system_us = microseconds(usage.ru_stime);
    }
}

/* Arenas that are not in use yet refuse, and take what is set for new ones. */
static void set_decay(ssize_t decay_ms)
{
    char name[48];
    unsigned count = 0;
    size_t len = sizeof(count);

    mallctl("arenas.dirty_decay_ms", NULL, NULL, &decay_ms, sizeof(decay_ms));
    mallctl("arenas.narenas", &count, &len, NULL, 0);
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "arena.%u.dirty_decay_ms", i);
        mallctl(name, NULL, NULL, &decay_ms, sizeof(decay_ms));
    }
}

/* A thread of the allocator's gives back, so that the loop need not. */
static void tune(struct figures *f)
{
    bool yes = true;

    f->tuned = true;
    if (mallctl == NULL)
        return;
    set_decay(DECAY_MS);
    mallctl("background_thread", NULL, NULL, &yes, sizeof(yes));
}

void figures_sample(struct figures *f, struct process *p, uint64_t now_us)
{
    if (!f->tuned)
        tune(f);
    if (now_us - f->sampled_us >= SAMPLE_US)
        read_statm(f, p, now_us);
    if (now_us - f->counted_us >= COUNT_US)
        count(f, p, now_us);
    p->memory_grown_bytes = (int64_t)(held_bytes(f) - f->held_bytes);
}

void figures_purge(struct figures *f, struct process *p, uint64_t now_us)
{
    if (mallctl != NULL)
        mallctl("arena.4096.purge", NULL, NULL, NULL, 0); /* MALLCTL_ARENAS_ALL */
    p->memory_purges++;
    count(f, p, now_us);
    p->memory_grown_bytes = 0;
    read_statm(f, p, now_us);
}
