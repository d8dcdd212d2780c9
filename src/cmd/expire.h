/*
 * expire -- times given by clients, and what they do to keys.
 */
#ifndef CMD_EXPIRE_H
#define CMD_EXPIRE_H

#include "cmd/data.h"

/* How an option of SET or GETEX says a time. */
enum time_form {
    TIME_FORM_NONE,
    TIME_FORM_EX,   /* seconds from now */
    TIME_FORM_PX,   /* milliseconds from now */
    TIME_FORM_EXAT, /* seconds since 1970 */
    TIME_FORM_PXAT,
};

/* The form that argv[index] names, or TIME_FORM_NONE. */
enum time_form time_form_of(const struct call *call, size_t index);

/* The deadline (> 0) that the text says; replies the error and returns false when it says none. */
bool time_deadline(struct call *call, enum time_form form, struct span text, uint64_t *deadline_ms);

#endif
