#include "node/report_conflicts.h"

#include <inttypes.h>

#include "node/node.h"

uint64_t report_contested_keys(const struct node *n)
{
    uint64_t keys = 0;
    for (int i = 0; i < OP_DATABASES; i++)
        keys += database_contested(&n->replica.databases[i]);
    return keys;
}

uint64_t report_conflicts_of(const struct keyspace_live *k)
{
    uint64_t conflicts = 0;
    for (int c = 0; c < COMPONENT_COUNT; c++)
        conflicts += k->conflicts[c];
    return conflicts;
}

/* A prefix may be any bytes; the value of a label is UTF-8 with three escapes. */
static void put_label(struct buffer *out, const char *text)
{
    for (const uint8_t *c = (const uint8_t *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            buffer_printf(out, "\\%c", *c);
        else if (*c == '\n')
            buffer_put_text(out, "\\n");
        else
            buffer_put_u8(out, *c < ' ' || *c > '~' ? '?' : *c);
    }
}

static void put_conflicts(struct buffer *out, const char *prefix, const struct keyspace_live *k)
{
    for (int c = 0; c < COMPONENT_COUNT; c++) {
        if (k->conflicts[c] == 0)
            continue;
        buffer_put_text(out, "meridian_conflicts_total{keyspace=\"");
        put_label(out, prefix);
        buffer_printf(out, "\",type=\"%s\"} %" PRIu64 "\n", conflict_type_name((enum component)c),
                      k->conflicts[c]);
    }
}

void report_conflict_metrics(struct buffer *out, const struct node *n)
{
    const struct deployment *d = n->options.deployment;
    const struct keyspace_live *live = n->server.keyspaces;
    buffer_printf(out,
                  "# HELP meridian_contested_keys Keys in which concurrent values stand side by "
                  "side.\n# TYPE meridian_contested_keys gauge\nmeridian_contested_keys %" PRIu64
                  "\n",
                  report_contested_keys(n));
    buffer_put_text(out, "# HELP meridian_conflicts_total Writes that came to stand beside another "
                         "that they had not seen.\n# TYPE meridian_conflicts_total counter\n");
    for (size_t i = 0; i < d->keyspace_count; i++)
        put_conflicts(out, d->keyspaces[i].prefix, &live[i]);
    buffer_put_text(out,
                    "# HELP meridian_merge_failures_total Merge functions that failed: readers "
                    "got the lww view.\n# TYPE meridian_merge_failures_total counter\n");
    for (size_t i = 0; i < d->keyspace_count; i++) {
        buffer_put_text(out, "meridian_merge_failures_total{keyspace=\"");
        put_label(out, d->keyspaces[i].prefix);
        buffer_printf(out, "\"} %" PRIu64 "\n", live[i].merge_failures);
    }
}
