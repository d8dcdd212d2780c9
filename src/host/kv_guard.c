#include "host/kv_guard.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "base/check.h"

struct guard {
    sigjmp_buf home;
};

static _Thread_local struct guard *guard;
static _Thread_local const void *fault;
static struct sigaction before_bus, before_segment;

void kv_guard_leave(int result)
{
    if (guard != NULL)
        siglongjmp(guard->home, result);
}

/* Unguarded: says why, and lets it happen again to whoever handled it before. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    static const char line[] =
        "meridian: a file that is mapped into memory cannot be read (an error "
        "of the disk, or the file was cut short): the kernel's log has more\n";

    (void)context;
    fault = info->si_addr;
    kv_guard_leave(EIO);
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
        _exit(1);
    sigaction(number, &before_bus, NULL);
    if (info->si_code <= 0)
        raise(number); /* it was sent, and would not come again */
}

static void on_segment_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    kv_guard_leave(EFAULT);
    sigaction(number, &before_segment, NULL);
    if (info->si_code <= 0)
        raise(number);
}

static void install(void)
{
    /* The handlers are left by a jump: the signals must not stay blocked. */
    struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_NODEFER | SA_SIGINFO };

    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &before_bus);
    action.sa_sigaction = on_segment_fault;
    sigaction(SIGSEGV, &action, &before_segment);
}

void kv_guard_install(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, install);
}

int kv_guard_call(int (*call)(void *context), void *context)
{
    struct guard here;
    volatile int result; /* survives the jump */

    CHECK(guard == NULL);
    fault = NULL;
    result = sigsetjmp(here.home, 0);
    if (result == 0) {
        guard = &here;
        result = call(context);
    }
    guard = NULL;
    return result;
}

const void *kv_guard_take_fault(void)
{
    const void *it = fault;

    fault = NULL;
    return it;
}
