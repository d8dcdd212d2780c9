/*
 * schema -- paths, tables, and the readers of the common kinds.
 */
#include "host/schema.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/quantity.h"
#include "host/suggest.h"

char *schema_copy(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(mem_alloc(bytes), text, bytes);
}

/* Problems and paths */

void schema_problem(struct schema_reader *r, int line, const char *format, ...)
{
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    problems_add(r->problems, line, "%s%s%s", r->path, r->path[0] ? ": " : "", text);
}

size_t schema_enter(struct schema_reader *r, const char *format, ...)
{
    size_t before = strlen(r->path);
    va_list args;
    va_start(args, format);
    vsnprintf(r->path + before, sizeof(r->path) - before, format, args);
    va_end(args);
    return before;
}

void schema_leave(struct schema_reader *r, size_t length)
{
    CHECK(length < sizeof(r->path));
    r->path[length] = '\0';
}

bool schema_is(struct schema_reader *r, const struct yamltree *node, enum yamltree_kind kind,
               const char *expected)
{
    if (node->kind == kind)
        return true;
    if (node->kind == YAMLTREE_TEXT)
        schema_problem(r, node->line, "expected %s, got \"%s\"", expected, node->text);
    else if (node->kind != YAMLTREE_REFUSED)
        schema_problem(r, node->line, "expected %s, got %s", expected, yamltree_kind_name(node));
    return false;
}

/* Maps */

static const struct schema_field *find_field(const struct schema_field *fields, const char *name)
{
    for (const struct schema_field *f = fields; f->name; f++) {
        if (strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

static void report_unknown(struct schema_reader *r, const struct schema_field *fields,
                           const struct yamltree *child)
{
    struct suggest meant = suggest_for(child->key);
    for (const struct schema_field *f = fields; f->name; f++)
        suggest_offer(&meant, f->name);
    size_t outer = schema_enter(r, "%s%s", r->path[0] ? "." : "", child->key);
    if (meant.best)
        schema_problem(r, child->line, "unknown field; did you mean \"%s\"?", meant.best);
    else
        schema_problem(r, child->line, "unknown field");
    schema_leave(r, outer);
}

void schema_read_fields(struct schema_reader *r, const struct schema_field *fields,
                        const struct yamltree *map, void *to)
{
    if (!schema_is(r, map, YAMLTREE_MAP, "a map of fields"))
        return;
    for (const struct yamltree *child = map->first; child; child = child->next) {
        if (!find_field(fields, child->key))
            report_unknown(r, fields, child);
    }
    for (const struct schema_field *f = fields; f->name; f++) {
        const struct yamltree *child = yamltree_find(map, f->name);
        if (!child && f->required)
            schema_problem(r, map->line, "missing required field \"%s\"", f->name);
        if (!child)
            continue;
        size_t outer = schema_enter(r, "%s%s", r->path[0] ? "." : "", f->name);
        f->read(r, f, child, (char *)to + f->offset);
        schema_leave(r, outer);
    }
}

void schema_read_map(struct schema_reader *r, const struct schema_field *f,
                     const struct yamltree *node, void *to)
{
    schema_read_fields(r, f->fields, node, to);
}

/* Texts */

static bool is_given(struct schema_reader *r, const struct yamltree *node, const char *expected)
{
    if (!schema_is(r, node, YAMLTREE_TEXT, expected))
        return false;
    if (node->text[0] == '\0')
        schema_problem(r, node->line, "expected %s, got nothing", expected);
    return node->text[0] != '\0';
}

void schema_read_text(struct schema_reader *r, const struct schema_field *f,
                      const struct yamltree *node, void *to)
{
    (void)f;
    if (is_given(r, node, "a text"))
        *(char **)to = schema_copy(node->text);
}

bool schema_is_name(struct schema_reader *r, int line, const char *text)
{
    static const char LETTERS[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (strspn(text, LETTERS) != strlen(text)) {
        schema_problem(r, line, "\"%s\" may hold only letters, digits, '-', '_' and '.'", text);
        return false;
    }
    if (strlen(text) > 63) {
        schema_problem(r, line, "\"%s\" is longer than 63 characters", text);
        return false;
    }
    return true;
}

void schema_read_name(struct schema_reader *r, const struct schema_field *f,
                      const struct yamltree *node, void *to)
{
    (void)f;
    if (is_given(r, node, "a name") && schema_is_name(r, node->line, node->text))
        *(char **)to = schema_copy(node->text);
}

/* Numbers with and without units */

bool schema_whole(struct schema_reader *r, int line, const char *text, int64_t low, int64_t high,
                  int64_t *value)
{
    if (!span_to_int64(span_str(text), value)) {
        schema_problem(r, line, "expected a whole number, got \"%s\"", text);
        return false;
    }
    if (*value < low || *value > high) {
        schema_problem(r, line, "%s is out of range %" PRId64 "..%" PRId64, text, low, high);
        return false;
    }
    return true;
}

void schema_read_u32(struct schema_reader *r, const struct schema_field *f,
                     const struct yamltree *node, void *to)
{
    int64_t value;
    if (is_given(r, node, "a whole number") &&
        schema_whole(r, node->line, node->text, f->low, f->high, &value))
        *(uint32_t *)to = (uint32_t)value;
}

bool schema_duration(struct schema_reader *r, int line, const char *text, int64_t low, int64_t high,
                     int64_t *ms)
{
    char problem[QUANTITY_PROBLEM_MAX];
    bool good = quantity_duration_ms(span_str(text), low, high, ms, problem);
    if (!good)
        schema_problem(r, line, "%s", problem);
    return good;
}

void schema_read_duration_ms(struct schema_reader *r, const struct schema_field *f,
                             const struct yamltree *node, void *to)
{
    int64_t value;
    CHECK(f->high <= UINT32_MAX);
    if (is_given(r, node, "a duration such as 500ms") &&
        schema_duration(r, node->line, node->text, f->low, f->high, &value))
        *(uint32_t *)to = (uint32_t)value;
}

void schema_read_size(struct schema_reader *r, const struct schema_field *f,
                      const struct yamltree *node, void *to)
{
    int64_t value;
    char problem[QUANTITY_PROBLEM_MAX];
    if (!is_given(r, node, "a size such as 64MB"))
        return;
    if (quantity_size_bytes(span_str(node->text), f->low, f->high, &value, problem))
        *(uint64_t *)to = (uint64_t)value;
    else
        schema_problem(r, node->line, "%s", problem);
}

/* Words */

/* The words of a table, "a, b or c"; only those of this version unless `all`. */
static void print_choices(const struct schema_choice *choices, bool all, const char *last_joint,
                          char *to, size_t to_bytes)
{
    size_t left = 0, at = 0;
    for (const struct schema_choice *c = choices; c->word; c++)
        left += all || !c->later;
    to[0] = '\0';
    for (const struct schema_choice *c = choices; c->word; c++) {
        if (!all && c->later)
            continue;
        left--;
        const char *joint = left > 1 ? ", " : left == 1 ? last_joint : "";
        int wrote = snprintf(to + at, to_bytes - at, "%s%s", c->word, joint);
        at += (size_t)wrote;
        CHECK(at < to_bytes);
    }
}

void schema_refuse_later(struct schema_reader *r, int line, const char *text,
                         const struct schema_choice *choices)
{
    char words[256];
    print_choices(choices, false, " or ", words, sizeof(words));
    schema_problem(r, line, "\"%s\" is not supported by this version; use %s", text, words);
}

bool schema_choose(struct schema_reader *r, int line, const char *text,
                   const struct schema_choice *choices, int *value)
{
    struct suggest meant = suggest_for(text);
    for (const struct schema_choice *c = choices; c->word; c++) {
        suggest_offer(&meant, c->word);
        if (strcmp(c->word, text) != 0)
            continue;
        if (c->later)
            schema_refuse_later(r, line, text, choices);
        *value = c->value;
        return !c->later;
    }
    char words[256];
    print_choices(choices, true, ", ", words, sizeof(words));
    if (meant.best)
        schema_problem(r, line, "\"%s\" is not one of: %s; did you mean \"%s\"?", text, words,
                       meant.best);
    else
        schema_problem(r, line, "\"%s\" is not one of: %s", text, words);
    return false;
}

void schema_read_choice(struct schema_reader *r, const struct schema_field *f,
                        const struct yamltree *node, void *to)
{
    int value;
    static_assert(sizeof(enum yamltree_kind) == sizeof(value), "enums are stored as ints");
    if (is_given(r, node, "a word") && schema_choose(r, node->line, node->text, f->choices, &value))
        memcpy(to, &value, sizeof(value));
}
