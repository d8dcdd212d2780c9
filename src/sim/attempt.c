#include "sim/attempt.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

enum { WORDS_BYTES = 4096 };

_Noreturn static void run_here(const struct sim_options *options, struct sim_outcome *shared,
                               const int out[2])
{
    struct rlimit limit = { ATTEMPT_CPU_S, ATTEMPT_CPU_S + 5 }, no_core = { 0, 0 };
    setrlimit(RLIMIT_CPU, &limit);
    setrlimit(RLIMIT_CORE, &no_core);
    close(out[0]);
    dup2(out[1], STDERR_FILENO);
    sim_run(options, shared);
    fflush(NULL);
    _exit(0);
}

/* The first bytes of what is written there, until all ends are closed. */
static void read_words(int from, char words[WORDS_BYTES])
{
    char rest[512];
    size_t len = 0;
    ssize_t got;
    while (len < WORDS_BYTES - 1 && (got = read(from, words + len, WORDS_BYTES - 1 - len)) > 0)
        len += (size_t)got;
    words[len] = 0;
    while (read(from, rest, sizeof(rest)) > 0) {
    }
}

/* The line that says most: a failed CHECK's, a sanitizer's, or else the first. */
static struct span telling_line(const char *words)
{
    static const char *const SIGNS[] = { "check failed", "runtime error", "ERROR" };
    const char *at = NULL;
    for (size_t i = 0; i < COUNT_OF(SIGNS) && !at; i++)
        at = strstr(words, SIGNS[i]);
    if (!at)
        at = words;
    while (at > words && at[-1] != '\n')
        at--;
    return span_of(at, strcspn(at, "\n"));
}

/* The kind of a failed CHECK is where it stands and what it says. */
static void say_death(struct sim_outcome *o, int status, const char *words)
{
    struct span line = telling_line(words);
    o->held = false;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) {
        snprintf(o->reason, sizeof(o->reason), "no end after %d s of computing", ATTEMPT_CPU_S);
        snprintf(o->kind, sizeof(o->kind), "hangs");
        return;
    }
    snprintf(o->reason, sizeof(o->reason), "the process died: %.*s", (int)line.len,
             (const char *)line.at);
    snprintf(o->kind, sizeof(o->kind), "died: %.100s", o->reason + strlen("the process died: "));
}

static void say_no_process(struct sim_outcome *o)
{
    *o = (struct sim_outcome){ 0 };
    snprintf(o->reason, sizeof(o->reason), "no process or memory for it");
    snprintf(o->kind, sizeof(o->kind), "no process");
}

void sim_attempt(const struct sim_options *options, struct sim_outcome *outcome)
{
    char words[WORDS_BYTES];
    int out[2], status = 0;
    struct sim_outcome *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = -1;
    fflush(NULL);
    if (shared != MAP_FAILED && pipe(out) == 0) {
        pid = fork();
        if (pid == 0)
            run_here(options, shared, out);
        close(out[1]);
        if (pid > 0) {
            read_words(out[0], words);
            waitpid(pid, &status, 0);
        }
        close(out[0]);
    }
    if (pid > 0) {
        *outcome = *shared;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            say_death(outcome, status, words);
    } else {
        say_no_process(outcome);
    }
    if (shared != MAP_FAILED)
        munmap(shared, sizeof(*shared));
}
