/*
 * yamltree -- a YAML file as a tree of texts, lists and maps that remember their lines.
 *
 * Scalars stay texts: what they mean is for the reader that knows the field, so that `no` and `1e3`
 * are no surprise. Refused, with their line: anchors, aliases and tags; keys that are not texts or
 * are given twice; a second document; zero bytes; nesting deeper than YAMLTREE_DEPTH_MAX.
 */
#ifndef HOST_YAMLTREE_H
#define HOST_YAMLTREE_H

#include <stdbool.h>

#include "base/span.h"
#include "host/problems.h"

enum { YAMLTREE_DEPTH_MAX = 16 }; /* four times what a configuration needs */

enum yamltree_kind {
    YAMLTREE_TEXT,
    YAMLTREE_LIST,
    YAMLTREE_MAP,
    YAMLTREE_REFUSED, /* something that was already reported */
};

struct yamltree {
    enum yamltree_kind kind;
    int line;               /* where it begins; of a map's value, the line of its key */
    char *key;              /* in a map, else NULL */
    char *text;             /* of a text */
    bool quoted;            /* a text in quotes */
    struct yamltree *first; /* of a list or map: what it holds, in the order of the file */
    struct yamltree *next;  /* within its list or map */
};

/* Gives the tree of the one document in `text`; NULL when there is none, because it is empty or is
 * not YAML. Whatever is wrong is added to `problems`; the rest of the tree is still worth reading.
 */
struct yamltree *yamltree_parse(struct span text, struct problems *problems);
void yamltree_free(struct yamltree *tree);

/* The value of a key of a map, or NULL. */
const struct yamltree *yamltree_find(const struct yamltree *map, const char *key);

/* "a map", "a list" or "a text", for messages. */
const char *yamltree_kind_name(const struct yamltree *tree);

#endif
