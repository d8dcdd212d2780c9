/*
 * yamltree -- from libyaml's events to the tree.
 *
 * Events rather than libyaml's own documents, because a document no longer knows of anchors, and an
 * alias in it is the same node twice. Recursion follows the nesting of the file, and is bounded.
 */
#include "host/yamltree.h"

#include <yaml.h>

#include "base/memory.h"

struct parse {
    yaml_parser_t parser;
    struct span text;
    struct problems *problems;
};

static char *copy_text(const yaml_char_t *text)
{
    size_t bytes = strlen((const char *)text) + 1;
    return memcpy(mem_alloc(bytes), text, bytes);
}

static int line_of(const yaml_event_t *event)
{
    return (int)event->start_mark.line + 1;
}

/* libyaml gives bytes that are not text an offset, but no line. */
static int line_at(struct span text, size_t offset)
{
    int line = 1;
    for (size_t i = 0; i < offset && i < text.len; i++)
        line += text.at[i] == '\n';
    return line;
}

static void report_syntax(struct parse *p)
{
    const yaml_parser_t *y = &p->parser;
    const char *problem = y->problem ? y->problem : "out of memory";
    if (y->error == YAML_READER_ERROR)
        problems_add(p->problems, line_at(p->text, y->problem_offset), "not valid YAML: %s",
                     problem);
    else if (y->context)
        problems_add(p->problems, (int)y->problem_mark.line + 1, "not valid YAML: %s %s", problem,
                     y->context);
    else
        problems_add(p->problems, (int)y->problem_mark.line + 1, "not valid YAML: %s", problem);
}

static bool next_event(struct parse *p, yaml_event_t *event)
{
    if (yaml_parser_parse(&p->parser, event))
        return true;
    report_syntax(p);
    return false;
}

static void refuse(struct parse *p, int line, const char *what)
{
    problems_add(p->problems, line, "%s not understood here; write the value out", what);
}

static void refuse_decorations(struct parse *p, const yaml_event_t *event,
                               const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        refuse(p, line_of(event), "anchors (&) are");
    if (tag)
        refuse(p, line_of(event), "tags (!) are");
}

static struct yamltree *new_node(enum yamltree_kind kind, int line)
{
    struct yamltree *node = mem_zalloc(sizeof(*node));
    node->kind = kind;
    node->line = line;
    return node;
}

static struct yamltree *read_node(struct parse *p, const yaml_event_t *event, int depth);

static struct yamltree *read_text(struct parse *p, const yaml_event_t *event)
{
    refuse_decorations(p, event, event->data.scalar.anchor, event->data.scalar.tag);
    const yaml_char_t *value = event->data.scalar.value;
    if (strlen((const char *)value) != event->data.scalar.length) {
        problems_add(p->problems, line_of(event), "a text may not hold a zero byte");
        return new_node(YAMLTREE_REFUSED, line_of(event));
    }
    struct yamltree *node = new_node(YAMLTREE_TEXT, line_of(event));
    node->text = copy_text(value);
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return node;
}

/* Fills `list` up to its end; false when the file breaks off. */
static bool read_items(struct parse *p, struct yamltree *list, int depth)
{
    struct yamltree **end = &list->first;
    yaml_event_t event;
    while (next_event(p, &event)) {
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return true;
        }
        *end = read_node(p, &event, depth);
        yaml_event_delete(&event);
        if (!*end)
            return false;
        end = &(*end)->next;
    }
    return false;
}

/* The value that belongs to `key` (taken), or NULL when the file breaks off. */
static struct yamltree *read_value(struct parse *p, struct yamltree *key, int depth)
{
    yaml_event_t event;
    struct yamltree *value = NULL;
    if (next_event(p, &event)) {
        value = read_node(p, &event, depth);
        yaml_event_delete(&event);
    }
    if (value) {
        value->line = key->line;
        value->key = key->text;
        key->text = NULL;
    }
    yamltree_free(key);
    return value;
}

/* Adds `entry` to the map unless its key is unusable; returns where the next one goes. */
static struct yamltree **add_entry(struct parse *p, struct yamltree *map, struct yamltree **end,
                                   struct yamltree *entry)
{
    const struct yamltree *earlier = entry->key ? yamltree_find(map, entry->key) : NULL;
    if (!entry->key)
        problems_add(p->problems, entry->line, "a key must be a plain text");
    else if (earlier)
        problems_add(p->problems, entry->line, "\"%s\" is given twice, first in line %d",
                     entry->key, earlier->line);

    if (!entry->key || earlier) {
        yamltree_free(entry);
        return end;
    }
    *end = entry;
    return &entry->next;
}

static bool read_entries(struct parse *p, struct yamltree *map, int depth)
{
    struct yamltree **end = &map->first;
    yaml_event_t event;
    while (next_event(p, &event)) {
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return true;
        }
        struct yamltree *key = read_node(p, &event, depth);
        yaml_event_delete(&event);
        struct yamltree *entry = key ? read_value(p, key, depth) : NULL;
        if (!entry)
            return false;
        end = add_entry(p, map, end, entry);
    }
    return false;
}

static struct yamltree *read_collection(struct parse *p, const yaml_event_t *event, int depth)
{
    bool is_map = event->type == YAML_MAPPING_START_EVENT;
    if (is_map)
        refuse_decorations(p, event, event->data.mapping_start.anchor,
                           event->data.mapping_start.tag);
    else
        refuse_decorations(p, event, event->data.sequence_start.anchor,
                           event->data.sequence_start.tag);
    if (depth == YAMLTREE_DEPTH_MAX) {
        problems_add(p->problems, line_of(event), "nested too deeply (at most %d levels)",
                     YAMLTREE_DEPTH_MAX);
        return NULL;
    }
    struct yamltree *node = new_node(is_map ? YAMLTREE_MAP : YAMLTREE_LIST, line_of(event));
    bool complete = is_map ? read_entries(p, node, depth + 1) : read_items(p, node, depth + 1);
    if (complete)
        return node;
    yamltree_free(node);
    return NULL;
}

/* The node that `event` begins, or NULL when the file breaks off within it. */
static struct yamltree *read_node(struct parse *p, const yaml_event_t *event, int depth)
{
    if (event->type == YAML_SCALAR_EVENT)
        return read_text(p, event);
    if (event->type == YAML_ALIAS_EVENT) {
        refuse(p, line_of(event), "aliases (*) are");
        return new_node(YAMLTREE_REFUSED, line_of(event));
    }
    return read_collection(p, event, depth);
}

/* Reads to the end of the stream. NULL when it is empty or broken. */
static struct yamltree *read_stream(struct parse *p)
{
    struct yamltree *tree = NULL;
    bool more = true;
    yaml_event_t event;
    while (more && next_event(p, &event)) {
        more = event.type != YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT && tree) {
            problems_add(p->problems, line_of(&event),
                         "a second document begins here; a file holds one");
            more = false;
        } else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_STREAM_END_EVENT &&
                   event.type != YAML_DOCUMENT_START_EVENT &&
                   event.type != YAML_DOCUMENT_END_EVENT) {
            tree = read_node(p, &event, 0);
            more = tree != NULL;
        }
        yaml_event_delete(&event);
    }
    return tree;
}

struct yamltree *yamltree_parse(struct span text, struct problems *problems)
{
    struct parse p = { .text = text, .problems = problems };
    if (!yaml_parser_initialize(&p.parser)) {
        problems_add(problems, 0, "out of memory");
        return NULL;
    }
    yaml_parser_set_input_string(&p.parser, text.at, text.len);
    struct yamltree *tree = read_stream(&p);
    yaml_parser_delete(&p.parser);
    return tree;
}

void yamltree_free(struct yamltree *tree)
{
    if (!tree)
        return;
    for (struct yamltree *child = tree->first, *next; child; child = next) {
        next = child->next;
        yamltree_free(child);
    }
    mem_free(tree->key);
    mem_free(tree->text);
    mem_free(tree);
}

const struct yamltree *yamltree_find(const struct yamltree *map, const char *key)
{
    for (const struct yamltree *child = map->first; child; child = child->next) {
        if (child->key && strcmp(child->key, key) == 0)
            return child;
    }
    return NULL;
}

const char *yamltree_kind_name(const struct yamltree *tree)
{
    switch (tree->kind) {
    case YAMLTREE_TEXT:
        return "a text";
    case YAMLTREE_LIST:
        return "a list";
    case YAMLTREE_MAP:
        return "a map";
    case YAMLTREE_REFUSED:
        break;
    }
    return "nothing usable";
}
