#include "host/figures.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

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

static uint64_t resident_bytes(void)
{
    char text[128];
    unsigned long size = 0, resident = 0;
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (file < 0)
        return 0;
    got = read(file, text, sizeof(text) - 1);
    close(file);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    if (sscanf(text, "%lu %lu", &size, &resident) != 2)
        return 0;
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t microseconds(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

void figures_read(struct process *p)
{
    struct rusage usage;

    p->memory_used_bytes = allocated_bytes();
    p->memory_rss_bytes = resident_bytes();
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        p->cpu_user_us = microseconds(usage.ru_utime);
        p->cpu_system_us = microseconds(usage.ru_stime);
    }
}
