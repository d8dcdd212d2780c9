/*
 * kv_guard -- calls that read a mapped file, and come back when a page of it cannot be read.
 *
 * The kernel answers a failed read of a mapped page, or one beyond the end of a file that was cut
 * short, by SIGBUS. Within kv_guard_call that ends the call; outside of it the process dies, with a
 * line that says what happened. And who believes what a damaged file says may be led anywhere: so
 * SIGSEGV ends a guarded call, too.
 * Only for calls that may be left in the middle: that hold no lock, or one that is never asked for
 * again, and whose allocations may be lost.
 * Threads: any; each has its own guard.
 */
#ifndef HOST_KV_GUARD_H
#define HOST_KV_GUARD_H

/* Installs the handlers of both, once for the process. */
void kv_guard_install(void);

/* What the call returns, EIO for a page that cannot be read, or EFAULT. Does not nest. */
int kv_guard_call(int (*call)(void *context), void *context);

/* What it was that this thread's last call could not read, told once; NULL when that did not end it. */
const void *kv_guard_take_fault(void);

/* Ends the guarded call of this thread with `result`; returns when there is none. */
void kv_guard_leave(int result);

#endif
