#include "host/mergefile.h"

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

const char *mergefile_read(const char *config_path, const char *name, struct buffer *out)
{
    const char *problem = mergefile_judge(name);

    if (problem)
        return problem;
    char *path = path_of(config_path, name);
    problem = textfile_read(path, MERGE_SOURCE_MAX_BYTES, out);
    mem_free(path);
    return problem;
}

static bool check_one(const char *config_path, const char *name, struct buffer *errors)
{
    struct buffer source = { 0 };
    char *path = path_of(config_path, name);
    const char *unread = mergefile_read(config_path, name, &source);
    struct merge_function *merge = NULL;
    char problem[512];

    if (unread)
        buffer_printf(errors, "%s: cannot be read: %s\n", path, unread);
    else if (!(merge = merge_compile(path, buffer_span(&source), problem, sizeof(problem))))
        buffer_printf(errors, "%s\n", problem);
    bool good = merge != NULL;
    merge_release(merge);
    buffer_release(&source);
    mem_free(path);
    return good;
}

bool mergefile_check(const char *config_path, const struct deployment *d, struct buffer *errors)
{
    bool good = true;

    for (const struct keyspace *k = d->keyspaces; k < d->keyspaces + d->keyspace_count; k++) {
        if (k->merge_file)
            good &= check_one(config_path, k->merge_file, errors);
    }
    return good;
}
