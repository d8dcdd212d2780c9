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
static struct sigaction before;

void kv_guard_leave(int result)
{
    if (guard != NULL)
        siglongjmp(guard->home, result);
}

/* Unguarded: says why, and lets the fault happen again to whoever handled it before. */
static void on_bus_error(int number)
{
    static const char line[] =
        "meridian: a file that is mapped into memory cannot be read (an error "
        "of the disk, or the file was cut short): the kernel's log has more\n";

    kv_guard_leave(EIO);
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
        _exit(1);
    sigaction(number, &before, NULL);
}

static void install(void)
{
    /* The handler is left by a jump: the signal must not stay blocked. */
    struct sigaction action = { .sa_handler = on_bus_error, .sa_flags = SA_NODEFER };

    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &before);
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
    result = sigsetjmp(here.home, 0);
    if (result == 0) {
        guard = &here;
        result = call(context);
    }
    guard = NULL;
    return result;
}
