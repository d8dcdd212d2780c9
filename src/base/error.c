#include "base/error.h"

const char *error_text(int code)
{
    switch (code) {
    case E_OK:
        return "success";
#define ERR(name, sentence)                                                                        \
    case name:                                                                                     \
        return sentence;
#include "base/err.def"
#undef ERR
    default:
        return "unknown error";
    }
}
