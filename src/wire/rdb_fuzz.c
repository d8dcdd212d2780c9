/*
 * Fuzz: a dump file of Redis. Whatever is in it, its events nest as they should and end, and nothing
 * that they show lies outside of what was read; a file that is good stays so when its checksum is
 * left out.
 */
#include "base/check.h"
#include "base/memory.h"
#include "wire/rdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { EVENTS_PER_BYTE_MAX = 256 }; /* compression makes 88 of one, and some stand between keys */

/* Reads all of it, so that a sanitizer sees it. */
static void touch(struct span s)
{
    static volatile uint8_t seen;

    for (size_t i = 0; i < s.len; i++)
        seen = s.at[i];
    (void)seen;
}

/* What is allowed to follow what. */
struct place {
    bool in_key, in_stream, after_facts, in_group, in_consumer;
};

static void step(struct place *p, const struct rdb_event *e)
{
    switch (e->kind) {
    case RDB_AUX:
    case RDB_LIBRARY:
    case RDB_MODULE:
    case RDB_FINISHED:
        CHECK(!p->in_key);
        break;
    case RDB_KEY:
        CHECK(!p->in_key);
        *p = (struct place){ .in_key = true, .in_stream = e->type == RDB_STREAM_KEY };
        break;
    case RDB_ITEM:
        CHECK(p->in_key && !p->in_stream);
        break;
    case RDB_ENTRY:
        CHECK(p->in_stream && !p->after_facts && e->field_count % 2 == 0);
        break;
    case RDB_STREAM:
        CHECK(p->in_stream && !p->after_facts);
        p->after_facts = true;
        break;
    case RDB_GROUP:
        CHECK(p->after_facts && e->entries_read >= -1);
        p->in_group = true;
        p->in_consumer = false;
        break;
    case RDB_CONSUMER:
        CHECK(p->in_group);
        p->in_consumer = true;
        break;
    case RDB_PENDING:
        CHECK(p->in_consumer);
        break;
    case RDB_KEY_END:
        CHECK(p->in_key && p->in_stream == p->after_facts);
        *p = (struct place){ 0 };
        break;
    }
}

static bool read_all(struct span file)
{
    struct rdb_event e = { .kind = RDB_AUX };
    struct place place = { 0 };
    struct rdb r;
    uint64_t events = 0;

    rdb_init(&r, file);
    while (e.kind != RDB_FINISHED && rdb_next(&r, &e)) {
        step(&place, &e);
        touch(e.name);
        touch(e.value);
        for (size_t i = 0; i < e.field_count; i++)
            touch(e.fields[i]);
        CHECK(++events <= (file.len + 1) * EVENTS_PER_BYTE_MAX);
    }
    CHECK(r.at <= file.len && (r.problem == NULL) == (e.kind == RDB_FINISHED));
    CHECK(r.problem == NULL || (strlen(r.problem) > 0 && r.problem_at <= file.len));
    bool good = r.problem == NULL;
    rdb_release(&r);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const size_t checksum = 8;
    uint8_t *copy;

    if (!read_all(span_of(bytes, len)) || bytes[len - 1] == 0xff)
        return 0;
    copy = mem_alloc(len);
    memcpy(copy, bytes, len);
    memset(copy + len - checksum, 0, checksum);
    CHECK(read_all(span_of(copy, len)));
    mem_free(copy);
    return 0;
}
