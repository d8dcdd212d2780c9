#include "base/mutation.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

enum mutation mutation_chosen;

bool mutation_choose(const char *name)
{
    static const char *const NAMES[] = {
        "none",
#define MUTATION_ROW(name, what) #name,
#include "base/mutation.def"
#undef MUTATION_ROW
    };
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (strcmp(NAMES[i], name) == 0) {
            mutation_chosen = (enum mutation)i;
            return true;
        }
    }
    fprintf(stderr, "there is no mutation \"%s\", see base/mutation.def\n", name);
    return false;
}
