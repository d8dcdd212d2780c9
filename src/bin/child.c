#define _GNU_SOURCE /* MAP_ANONYMOUS, strsignal */

#include "bin/child.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

void *child_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void child_memory_free(void *memory, size_t bytes)
{
    if (memory != NULL)
        munmap(memory, bytes);
}

/* A crash that is expected leaves no core behind. */
static void run_here(void (*work)(void *memory), void *memory)
{
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    work(memory);
    fflush(stdout);
    _exit(0);
}

pid_t child_begin(void (*work)(void *memory), void *memory)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        run_here(work, memory);
    return child;
}

bool child_ended(pid_t child, bool wait, char problem[CHILD_PROBLEM_MAX])
{
    int status;
    pid_t ended;
    do
        ended = waitpid(child, &status, wait ? 0 : WNOHANG);
    while (ended < 0 && errno == EINTR);
    problem[0] = '\0';
    if (ended == 0)
        return false;
    if (ended < 0)
        snprintf(problem, CHILD_PROBLEM_MAX, "the process was lost: %s", strerror(errno));
    else if (WIFSIGNALED(status))
        snprintf(problem, CHILD_PROBLEM_MAX, "damaged: reading it ended in a crash (%s)",
                 strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        snprintf(problem, CHILD_PROBLEM_MAX, "damaged: reading it ended with status %d",
                 WEXITSTATUS(status));
    return true;
}

void child_run(void (*work)(void *memory), void *memory, char problem[CHILD_PROBLEM_MAX])
{
    pid_t child = child_begin(work, memory);
    if (child < 0)
        snprintf(problem, CHILD_PROBLEM_MAX, "no process could be made: %s", strerror(errno));
    else
        child_ended(child, true, problem);
}
