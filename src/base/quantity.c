#include "base/quantity.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"

enum { TEXT_MAX = 40 }; /* of what was given, in a problem */

struct unit {
    const char *name;
    int64_t factor;
};

struct quantity {
    const char *what;
    const char *like; /* an example */
    const char *units_text;
    struct unit units[4]; /* ascending */
};

static const struct quantity duration = {
    "a duration",
    "500ms",
    "ms, s, m or h",
    { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } },
};
static const struct quantity size = {
    "a size",
    "64MB",
    "B, KB, MB or GB",
    { { "B", 1 }, { "KB", 1 << 10 }, { "MB", 1 << 20 }, { "GB", 1 << 30 } },
};

/* As a person would write it: in the largest unit that leaves it whole. */
static void print(const struct quantity *q, int64_t value, char *to, size_t to_bytes)
{
    size_t i = COUNT_OF(q->units) - 1;

    while (i > 0 && (value == 0 || value % q->units[i].factor != 0))
        i--;
    snprintf(to, to_bytes, "%" PRId64 "%s", value / q->units[i].factor, q->units[i].name);
}

static int shown(struct span text)
{
    return text.len < TEXT_MAX ? (int)text.len : TEXT_MAX;
}

static bool parse(const struct quantity *q, struct span text, int64_t *value, char *problem)
{
    size_t digits = 0;
    int64_t number = 0;

    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    struct span unit = span_skip(text, digits);
    if (digits == 0 || !span_to_int64(span_of(text.at, digits), &number)) {
        snprintf(problem, QUANTITY_PROBLEM_MAX, "expected %s such as %s, got \"%.*s\"", q->what,
                 q->like, shown(text), (const char *)text.at);
        return false;
    }
    if (number == 0 && unit.len == 0) { /* in any unit */
        *value = 0;
        return true;
    }
    if (unit.len == 0) {
        snprintf(problem, QUANTITY_PROBLEM_MAX, "\"%.*s\" has no unit; %s ends in %s", shown(text),
                 (const char *)text.at, q->what, q->units_text);
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(q->units); i++) {
        if (!span_equal(unit, span_str(q->units[i].name)))
            continue;
        *value = number > INT64_MAX / q->units[i].factor ? INT64_MAX : number * q->units[i].factor;
        return true;
    }
    snprintf(problem, QUANTITY_PROBLEM_MAX, "\"%.*s\" is not a unit; %s ends in %s", shown(unit),
             (const char *)unit.at, q->what, q->units_text);
    return false;
}

static bool take(const struct quantity *q, struct span text, int64_t low, int64_t high,
                 int64_t *value, char *problem)
{
    char low_text[32], high_text[32];

    if (!parse(q, text, value, problem))
        return false;
    if (*value >= low && *value <= high)
        return true;
    print(q, low, low_text, sizeof(low_text));
    print(q, high, high_text, sizeof(high_text));
    snprintf(problem, QUANTITY_PROBLEM_MAX, "%.*s is out of range %s..%s", shown(text),
             (const char *)text.at, low_text, high_text);
    return false;
}

bool quantity_duration_ms(struct span text, int64_t low, int64_t high, int64_t *ms,
                          char problem[QUANTITY_PROBLEM_MAX])
{
    return take(&duration, text, low, high, ms, problem);
}

bool quantity_size_bytes(struct span text, int64_t low, int64_t high, int64_t *bytes,
                         char problem[QUANTITY_PROBLEM_MAX])
{
    return take(&size, text, low, high, bytes, problem);
}
