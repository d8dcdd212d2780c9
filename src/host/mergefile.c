#include "host/mergefile.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "host/textfile.h"
#include "merge/merge.h"

static bool has_component(const char *name, const char *component)
{
    size_t len = strlen(component);

    for (const char *at = name; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, component, len) == 0 && (at[len] == '/' || at[len] == '\0'))
            return true;
    }
    return false;
}

const char *mergefile_judge(const char *name)
{
    if (name[0] == '\0')
        return "the name of a file is empty";
    if (name[0] == '/' || has_component(name, ".."))
        return "a merge file stands in the configuration's directory or below it";
    return NULL;
}

/* The path of a file beside the configuration; the caller frees it. */
static char *path_of(const char *config_path, const char *name)
{
    const char *slash = strrchr(config_path, '/');
    struct buffer path = { 0 };

    if (slash)
        buffer_put_bytes(&path, config_path, (size_t)(slash + 1 - config_path));
    buffer_put_text(&path, name);
    buffer_put_u8(&path, 0);
    return (char *)path.at;
}

/* Whoever asked knows neither where the configuration is nor where the server was started. */
static const char *say_unread(const char *path, const char *problem)
{
    static char text[PATH_MAX + 256];
    char here[PATH_MAX] = "";

    if (path[0] != '/' && getcwd(here, sizeof(here)))
        snprintf(text, sizeof(text), "%s/%s cannot be read: %s", here, path, problem);
    else
        snprintf(text, sizeof(text), "%s cannot be read: %s", path, problem);
    return text;
}

const char *mergefile_read(const char *config_path, const char *name, struct buffer *out)
{
    const char *problem = mergefile_judge(name);

    if (problem)
        return problem;
    char *path = path_of(config_path, name);
    problem = textfile_read(path, MERGE_SOURCE_MAX_BYTES, out);
    if (problem)
        problem = say_unread(path, problem);
    mem_free(path);
    return problem;
}

bool mergefile_compiles(const char *config_path, const char *name, struct span source,
                        struct buffer *errors)
{
    char problem[512];
    char *path = path_of(config_path, name);
    struct merge_function *merge = merge_compile(path, source, problem, sizeof(problem));
    bool good = merge != NULL;

    if (!good)
        buffer_printf(errors, "%s\n", problem);
    merge_release(merge);
    mem_free(path);
    return good;
}
