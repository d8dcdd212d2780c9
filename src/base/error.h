/*
 * error -- operating errors are negative ints from one table (err.def); 0 is success.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum error {
    E_OK = 0,
    E_FIRST_ = -1000, /* away from errno */
#define ERR(code, sentence) code,
#include "base/err.def"
#undef ERR
};

/* The sentence of a code; never NULL. */
const char *error_text(int code);

#endif
