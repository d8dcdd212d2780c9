#include "sim/told.h"

#include <stdlib.h>

#include "sim/answer.h"

bool sim_named_region(const struct sim_world *w, struct span name, uint32_t *region)
{
    char text[12] = "";
    if (name.len < 2 || name.len >= sizeof(text) || name.at[0] != 'r')
        return false;
    memcpy(text, name.at + 1, name.len - 1);
    *region = (uint32_t)strtoul(text, NULL, 10) - 1;
    return *region < w->plan.regions;
}

static void take_acks(const struct sim_world *w, struct span in, struct told *told)
{
    struct span name;
    uint32_t region;
    for (int64_t count = answer_open(&in); count > 0; count--) {
        struct span pair = answer_next(&in);
        told->ack_count++;
        if (answer_open(&pair) != 2 || !answer_text(answer_next(&pair), &name) ||
            !sim_named_region(w, name, &region))
            continue;
        told->named_count++;
        told->acked |= 1u << region;
    }
}

void told_take(const struct sim_world *w, struct span answer, struct told *told)
{
    struct span name, text;
    for (int64_t count = answer_open(&answer); count > 1; count -= 2) {
        bool named = answer_text(answer_next(&answer), &name);
        struct span value = answer_next(&answer);
        if (!named)
            continue;
        if (answer_begins(name, "reply"))
            told->reply = value;
        else if (answer_begins(name, "token"))
            answer_text(value, &told->token);
        else if (answer_begins(name, "region") && answer_text(value, &text))
            sim_named_region(w, text, &told->region);
        else if (answer_begins(name, "stamp") && answer_text(value, &text))
            told->stamp = strtoull((const char *)text.at, NULL, 10);
        else if (answer_begins(name, "acks"))
            take_acks(w, value, told);
    }
}
