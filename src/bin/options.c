#include "bin/options.h"

#include <string.h>

#include "base/span.h"
#include "bin/bin.h"
#include "host/suggest.h"

struct options options_of(int argc, char **argv)
{
    return (struct options){ .command = argv[0], .argc = argc - 1, .argv = argv + 1 };
}

static const char *shift(struct options *o)
{
    o->argc--;
    return *o->argv++;
}

static int unknown(const struct options *o, const struct option *table, const char *name)
{
    struct suggest meant = suggest_for(name);

    for (const struct option *t = table; t->name != NULL; t++)
        suggest_offer(&meant, t->name);
    if (meant.best != NULL)
        usage_error(o->command, "unknown option %s, did you mean %s?", name, meant.best);
    else
        usage_error(o->command, "unknown option %s", name);
    return OPTIONS_WRONG;
}

/* Whether `text` is that option, with or without =VALUE after it. */
static bool names(const char *text, const char *name)
{
    size_t len = strlen(name);

    return strncmp(text, name, len) == 0 && (text[len] == '\0' || text[len] == '=');
}

static int take_option(struct options *o, const struct option *option, const char *text, int index)
{
    const char *equals = strchr(text, '=');

    o->value = equals != NULL ? equals + 1 : NULL;
    if (option->takes_value && o->value == NULL) {
        if (o->argc == 0) {
            usage_error(o->command, "%s needs a value", option->name);
            return OPTIONS_WRONG;
        }
        o->value = shift(o);
    }
    if (!option->takes_value && o->value != NULL) {
        usage_error(o->command, "%s takes no value", option->name);
        return OPTIONS_WRONG;
    }
    return index;
}

int options_next(struct options *o, const struct option *table)
{
    const char *text;

    if (o->argc == 0)
        return OPTIONS_END;
    text = shift(o);
    if (!o->only_arguments && strcmp(text, "--") == 0) {
        o->only_arguments = true;
        return options_next(o, table);
    }
    if (o->only_arguments || text[0] != '-') {
        o->value = text;
        return OPTIONS_ARGUMENT;
    }
    for (int i = 0; table[i].name != NULL; i++)
        if (names(text, table[i].name))
            return take_option(o, &table[i], text, i);
    return unknown(o, table, text);
}

bool options_number(const struct options *o, const char *name, uint64_t low, uint64_t high,
                    uint64_t *out)
{
    int64_t value;

    if (span_to_int64(span_str(o->value), &value) && value >= 0 && (uint64_t)value >= low &&
        (uint64_t)value <= high) {
        *out = (uint64_t)value;
        return true;
    }
    usage_error(o->command, "%s must be a number from %llu to %llu, not \"%s\"", name,
                (unsigned long long)low, (unsigned long long)high, o->value);
    return false;
}
