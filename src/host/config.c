/*
 * config -- the tables of the configuration, and the fields with rules of their own.
 *
 * What a later version will do is marked `later` in its table of words, or refused by one line of a
 * reader: to support it is to remove the mark or the line.
 */
#include "host/config.h"

#include "base/bits.h"
#include "base/memory.h"
#include "host/config_regions.h"
#include "host/config_topology.h"
#include "host/mergefile.h"
#include "host/suggest.h"
#include "host/textfile.h"
#include "policy/residency.h"

static struct deployment *deployment_of(const struct schema_reader *r)
{
    return r->context;
}

/* Keyspaces */

static const struct schema_choice MODES[] = {
    { .word = "active-active", .value = KEYSPACE_ACTIVE_ACTIVE },
    { .word = "primary", .value = KEYSPACE_PRIMARY },
    { .word = "follow-the-sun", .value = KEYSPACE_FOLLOW_THE_SUN, .later = true },
    { .word = "partitioned", .value = KEYSPACE_PARTITIONED },
    { .word = "consensus", .value = KEYSPACE_CONSENSUS, .later = true },
    { .word = NULL },
};

static const struct schema_choice CONFLICTS[] = {
    { .word = "lww", .value = KEYSPACE_LWW },
    { .word = "siblings", .value = KEYSPACE_SIBLINGS },
    { .word = "merge", .value = KEYSPACE_MERGE },
    { .word = NULL },
};

static const struct schema_choice STREAMS[] = {
    { .word = "latest", .value = KEYSPACE_STREAMS_LATEST },
    { .word = "closed", .value = KEYSPACE_STREAMS_CLOSED },
    { .word = NULL },
};

static const struct schema_choice ACKS[] = {
    { .word = "async", .value = KEYSPACE_ASYNC },
    { .word = "semi-sync", .value = KEYSPACE_SEMI_SYNC },
    { .word = "quorum", .value = KEYSPACE_QUORUM },
    { .word = "sync", .value = KEYSPACE_SYNC },
    { .word = NULL },
};

static const struct schema_choice READS[] = {
    { .word = "local", .value = KEYSPACE_READ_LOCAL },
    { .word = "bounded", .value = KEYSPACE_READ_BOUNDED },
    { .word = "causal", .value = KEYSPACE_READ_CAUSAL },
    { .word = "strong", .value = KEYSPACE_READ_STRONG },
    { .word = NULL },
};

static const struct schema_choice EVICTS[] = {
    { .word = "demote", .value = KEYSPACE_EVICT_DEMOTE },
    { .word = "drop", .value = KEYSPACE_EVICT_DROP },
    { .word = "local", .value = KEYSPACE_EVICT_LOCAL },
    { .word = NULL },
};

static const struct schema_choice ELSEWHERE[] = {
    { .word = "forward", .value = KEYSPACE_FORWARD },
    { .word = "redirect", .value = KEYSPACE_REDIRECT },
    { .word = NULL },
};

static const struct schema_choice THENS[] = {
    { .word = "slow", .value = KEYSPACE_SLOW },
    { .word = "refuse", .value = KEYSPACE_REFUSE_WRITES },
    { .word = NULL },
};

static const struct schema_choice OUTSIDES[] = {
    { .word = "refuse", .value = KEYSPACE_REFUSE },
    { .word = "forward", .value = KEYSPACE_THROUGH },
    { .word = NULL },
};

static const struct schema_choice HOMES[] = {
    { .word = "tag", .value = KEYSPACE_HOMES_TAG },
    { .word = "hash", .value = KEYSPACE_HOMES_HASH },
    { .word = "directory", .value = KEYSPACE_HOMES_DIRECTORY },
    { .word = NULL },
};

/* A prefix may be empty, but then in quotes: `prefix:` alone is more likely forgotten than meant.
 */
static void read_prefix(struct schema_reader *r, const struct schema_field *f,
                        const struct yamltree *node, void *to)
{
    (void)f;
    struct keyspace *k = to;
    if (!schema_is(r, node, YAMLTREE_TEXT, "a text"))
        return;
    if (node->text[0] == '\0' && !node->quoted) {
        schema_problem(r, node->line,
                       "expected a text, got nothing; write \"\" for every other key");
        return;
    }
    if (strlen(node->text) > KEYSPACE_PREFIX_MAX) {
        schema_problem(r, node->line, "a prefix may have at most %d bytes", KEYSPACE_PREFIX_MAX);
        return;
    }
    k->prefix = schema_copy(node->text);
    k->prefix_bytes = strlen(node->text);
}

/* A word, or how many other regions must have acknowledged. */
static void read_acks(struct schema_reader *r, const struct schema_field *f,
                      const struct yamltree *node, void *to)
{
    struct keyspace *k = to;
    size_t others = deployment_of(r)->region_count > 1 ? deployment_of(r)->region_count - 1 : 1;
    int64_t count;
    if (node->kind != YAMLTREE_TEXT || !span_to_int64(span_str(node->text), &count)) {
        schema_read_choice(r, f, node, &k->promises.acks.acks);
        return;
    }
    if (!schema_whole(r, node->line, node->text, 1, (int64_t)others, &count))
        return;
    k->promises.acks = (struct write_level){ KEYSPACE_ACK_COUNT, (uint32_t)count };
}

/* A level; `bounded` is followed by how old a read may be. */
static void read_reads(struct schema_reader *r, const struct schema_field *f,
                       const struct yamltree *node, void *to)
{
    static const char BOUNDED[] = "bounded ";
    struct keyspace *k = to;
    int64_t ms;
    if (node->kind == YAMLTREE_TEXT && strcmp(node->text, "bounded") == 0) {
        schema_problem(r, node->line, "\"bounded\" needs how old a read may be, as in: bounded 5s");
    } else if (node->kind == YAMLTREE_TEXT && strncmp(node->text, "bounded:", 8) == 0) {
        /* as KEYSPACE LIST shows it */
        if (!read_level_parse(span_str(node->text), &k->promises.reads))
            schema_problem(r, node->line,
                           "expected bounded:<ms>, up to an hour, or a duration as in bounded 5s, "
                           "got \"%s\"",
                           node->text);
    } else if (node->kind != YAMLTREE_TEXT || strncmp(node->text, BOUNDED, strlen(BOUNDED)) != 0) {
        schema_read_choice(r, f, node, &k->promises.reads.reads);
    } else if (schema_duration(r, node->line, node->text + strlen(BOUNDED), 1,
                               LEVEL_STALENESS_MAX_MS, &ms)) {
        k->promises.reads = (struct read_level){ KEYSPACE_READ_BOUNDED, (uint32_t)ms };
    }
}

static void report_unknown_fence(struct schema_reader *r, const struct yamltree *node)
{
    const struct deployment *d = deployment_of(r);
    struct suggest meant = suggest_for(node->text);
    for (size_t i = 0; i < d->fence_count; i++)
        suggest_offer(&meant, d->fences[i].name);
    if (meant.best)
        schema_problem(r, node->line, "there is no fence \"%s\"; did you mean \"%s\"?", node->text,
                       meant.best);
    else
        schema_problem(r, node->line, "there is no fence \"%s\"", node->text);
}

static void read_fence_reference(struct schema_reader *r, const struct schema_field *f,
                                 const struct yamltree *node, void *to)
{
    (void)f;
    const struct deployment *d = deployment_of(r);
    struct keyspace *k = to;
    if (!schema_is(r, node, YAMLTREE_TEXT, "the name of a fence"))
        return;
    while (k->fence < d->fence_count && strcmp(d->fences[k->fence].name, node->text) != 0)
        k->fence++;
    if (k->fence == d->fence_count)
        report_unknown_fence(r, node);
}

static void read_writer(struct schema_reader *r, const struct schema_field *f,
                        const struct yamltree *node, void *to)
{
    (void)f;
    struct keyspace *k = to;
    const struct region *region = NULL;
    if (schema_is(r, node, YAMLTREE_TEXT, "the name of a region"))
        region = config_find_region(r, deployment_of(r), node->line, node->text);
    if (region)
        k->writer = region->id;
}

static void read_readers(struct schema_reader *r, const struct schema_field *f,
                         const struct yamltree *node, void *to)
{
    (void)f;
    struct keyspace *k = to;
    if (!schema_is(r, node, YAMLTREE_LIST, "a list of regions"))
        return;
    for (const struct yamltree *item = node->first; item; item = item->next) {
        const struct region *region = NULL;
        if (schema_is(r, item, YAMLTREE_TEXT, "the name of a region"))
            region = config_find_region(r, deployment_of(r), item->line, item->text);
        if (region)
            bits_add(k->readers, region->id);
    }
}

static void read_merge_file(struct schema_reader *r, const struct schema_field *f,
                            const struct yamltree *node, void *to)
{
    struct keyspace *k = to;
    schema_read_text(r, f, node, &k->merge_file);
    if (!k->merge_file)
        return;
    const char *wrong = mergefile_judge(k->merge_file);
    if (wrong)
        schema_problem(r, node->line, "%s", wrong);
    else if (k->promises.conflict != KEYSPACE_MERGE)
        schema_problem(r, node->line, "a merge file is only used with conflict: merge");
}

#define OF_KEYSPACE(member) .offset = offsetof(struct keyspace, member)

static const struct schema_field KEYSPACE[] = {
    { .name = "prefix", .read = read_prefix, .required = true },
    { .name = "mode", .read = schema_read_choice, OF_KEYSPACE(mode), .choices = MODES },
    { .name = "conflict",
      .read = schema_read_choice,
      OF_KEYSPACE(promises.conflict),
      .choices = CONFLICTS },
    { .name = "merge", .read = read_merge_file },
    { .name = "acks", .read = read_acks, .choices = ACKS },
    { .name = "ack_timeout",
      .read = schema_read_duration_ms,
      OF_KEYSPACE(promises.ack_timeout_ms),
      .low = 1,
      .high = 3600000 },
    { .name = "reads", .read = read_reads, .choices = READS },
    { .name = "max_lag",
      .read = schema_read_duration_ms,
      OF_KEYSPACE(promises.max_lag_ms),
      .low = 100,
      .high = 3600000 },
    { .name = "then", .read = schema_read_choice, OF_KEYSPACE(promises.then), .choices = THENS },
    { .name = "elsewhere",
      .read = schema_read_choice,
      OF_KEYSPACE(promises.elsewhere),
      .choices = ELSEWHERE },
    { .name = "streams",
      .read = schema_read_choice,
      OF_KEYSPACE(promises.streams),
      .choices = STREAMS },
    { .name = "evict", .read = schema_read_choice, OF_KEYSPACE(evict), .choices = EVICTS },
    { .name = "fence", .read = read_fence_reference },
    { .name = "outside", .read = schema_read_choice, OF_KEYSPACE(outside), .choices = OUTSIDES },
    { .name = "writer", .read = read_writer },
    { .name = "homes", .read = schema_read_choice, OF_KEYSPACE(homes), .choices = HOMES },
    { .name = "directory", .read = schema_read_text, OF_KEYSPACE(directory) },
    { .name = "readers", .read = read_readers },
    { .name = NULL },
};

/* A field that only some mode has. */
static void judge_field(struct schema_reader *r, const struct yamltree *node, const char *field,
                        bool fits, const char *with)
{
    const struct yamltree *given = yamltree_find(node, field);
    if (given && !fits)
        schema_problem(r, given->line, "%s is only for %s", field, with);
}

static void judge_writer(struct schema_reader *r, const struct yamltree *node, struct keyspace *k)
{
    const struct deployment *d = deployment_of(r);
    const struct fence *f = &d->fences[k->fence];
    bool any = false;
    judge_field(r, node, "writer", k->mode == KEYSPACE_PRIMARY, "mode: primary");
    if (k->mode != KEYSPACE_PRIMARY)
        return;
    if (k->writer != 0 && k->fence != 0 && !fence_holds(f, k->writer))
        schema_problem(r, yamltree_find(node, "writer")->line,
                       "the writer must be a member of the fence %s", f->name);
    for (size_t i = 0; i < d->region_count; i++)
        any |= d->regions[i].id == k->writer;
    for (size_t i = 0; i < d->region_count && !any && k->writer == 0; i++) {
        if (k->fence == 0 || fence_holds(f, d->regions[i].id))
            k->writer = d->regions[i].id; /* the first of the file, unless it is said */
        any = k->writer != 0;
    }
}

static void judge_homes(struct schema_reader *r, const struct yamltree *node,
                        const struct keyspace *k)
{
    bool partitioned = k->mode == KEYSPACE_PARTITIONED;
    bool directory = partitioned && k->homes == KEYSPACE_HOMES_DIRECTORY;
    judge_field(r, node, "homes", partitioned, "mode: partitioned");
    judge_field(r, node, "readers", partitioned, "mode: partitioned");
    judge_field(r, node, "directory", directory, "homes: directory");
    if (directory && !k->directory)
        schema_problem(
            r, yamltree_find(node, "homes")->line,
            "homes: directory needs the prefix of its keys, as in: directory: \"home:\"");
    else if (directory && k->prefix && strncmp(k->directory, k->prefix, k->prefix_bytes) == 0)
        schema_problem(r, yamltree_find(node, "directory")->line,
                       "the directory must lie in another keyspace");
}

/* A fence has fewer regions than the deployment. */
static void judge_acks(struct schema_reader *r, const struct yamltree *node,
                       const struct keyspace *k)
{
    const struct deployment *d = deployment_of(r);
    uint32_t members = 0;
    if (k->fence == 0 || k->fence >= d->fence_count || k->promises.acks.acks != KEYSPACE_ACK_COUNT)
        return;
    for (size_t i = 0; i < d->region_count; i++)
        members += fence_holds(&d->fences[k->fence], d->regions[i].id);
    if (members == 0 || k->promises.acks.count < members)
        return;
    size_t outer = schema_enter(r, ".acks");
    int line = yamltree_find(node, "acks")->line;
    if (members == 1)
        schema_problem(r, line, "%u cannot be, no other region holds that keyspace",
                       k->promises.acks.count);
    else
        schema_problem(r, line, "%u is out of range 1..%u", k->promises.acks.count, members - 1);
    schema_leave(r, outer);
}

static void read_keyspace(struct schema_reader *r, const struct yamltree *node,
                          struct deployment *d)
{
    struct keyspace *k = deployment_add_keyspace(d);
    schema_read_fields(r, KEYSPACE, node, k);
    judge_writer(r, node, k);
    judge_field(r, node, "then", k->promises.max_lag_ms != 0, "a keyspace with max_lag");
    judge_homes(r, node, k);
    judge_acks(r, node, k);
    judge_field(r, node, "outside", k->fence != 0, "a keyspace with a fence");
    if (k->promises.conflict == KEYSPACE_MERGE && !yamltree_find(node, "merge"))
        schema_problem(r, yamltree_find(node, "conflict")->line,
                       "conflict: merge needs the file of a function, as in: merge: cart.lua");
    for (const struct keyspace *earlier = d->keyspaces; k->prefix && earlier < k; earlier++) {
        if (earlier->prefix && strcmp(earlier->prefix, k->prefix) == 0)
            schema_problem(r, yamltree_find(node, "prefix")->line,
                           "there is already a keyspace with the prefix \"%s\"", k->prefix);
    }
}

static void read_keyspaces(struct schema_reader *r, const struct schema_field *f,
                           const struct yamltree *node, void *to)
{
    (void)f;
    if (!schema_is(r, node, YAMLTREE_LIST, "a list of keyspaces"))
        return;
    int i = 0;
    for (const struct yamltree *item = node->first; item; item = item->next) {
        size_t outer = schema_enter(r, "[%d]", i++);
        read_keyspace(r, item, to);
        schema_leave(r, outer);
    }
}

/* Fences */

/* A region's streams in fences have numbers of their own (policy/origin.h), which no region may have. */
static void judge_stream(struct schema_reader *r, int line, const struct deployment *d, uint8_t id)
{
    uint8_t origin = origin_of(d, id, (uint32_t)d->fence_count - 1);
    const struct region *other = origin != 0 ? deployment_region_with_id(d, origin) : NULL;
    if (other != NULL || (origin != 0 && deployment_closes(d, origin)))
        schema_problem(
            r, line, "number %u is needed for what region %u writes to this fence, and %s", origin,
            id, other != NULL ? "is another region's" : "is listed under closed");
}

static void read_fence(struct schema_reader *r, const struct yamltree *node, struct deployment *d)
{
    if (!schema_is_name(r, node->line, node->key) ||
        !schema_is(r, node, YAMLTREE_LIST, "a list of regions"))
        return;
    if (d->fence_count == FENCE_PLACES) {
        schema_problem(r, node->line, "there may be at most %d fences", FENCE_PLACES - 1);
        return;
    }
    if (strcmp(node->key, d->fences[0].name) == 0) {
        schema_problem(r, node->line,
                       "the fence of that name holds every region, and is always there");
        return;
    }
    struct fence *fence = deployment_add_fence(d);
    fence->name = schema_copy(node->key);
    if (!node->first)
        schema_problem(r, node->line, "a fence needs at least one region");
    for (const struct yamltree *item = node->first; item; item = item->next) {
        const struct region *region = NULL;
        if (schema_is(r, item, YAMLTREE_TEXT, "the name of a region"))
            region = config_find_region(r, d, item->line, item->text);
        if (region && fence_holds(fence, region->id))
            schema_problem(r, item->line, "%s is listed twice", region->name);
        if (region)
            fence_add(fence, region->id);
        if (region && region->id > FENCED_REGION_MAX)
            schema_problem(r, item->line,
                           "%s has the number %u; members of a fence have at most %d", region->name,
                           region->id, FENCED_REGION_MAX);
    }
    for (size_t i = 0; i < d->region_count; i++)
        judge_stream(r, node->line, d, d->regions[i].id);
}

static void read_fences(struct schema_reader *r, const struct schema_field *f,
                        const struct yamltree *node, void *to)
{
    (void)f;
    if (!schema_is(r, node, YAMLTREE_MAP, "a map of fences to lists of regions"))
        return;
    for (const struct yamltree *child = node->first; child; child = child->next) {
        size_t outer = schema_enter(r, ".%s", child->key);
        read_fence(r, child, to);
        schema_leave(r, outer);
    }
}

/* The deployment */

static const struct schema_choice FSYNCS[] = {
    { .word = "always", .value = FSYNC_ALWAYS },
    { .word = "everysec", .value = FSYNC_EVERYSEC },
    { .word = "no", .value = FSYNC_NO },
    { .word = NULL },
};

static const struct schema_choice MEMORY_POLICIES[] = {
    { .word = "noeviction", .value = MEMORY_NOEVICTION },
    { .word = "allkeys-lru", .value = MEMORY_ALLKEYS_LRU },
    { .word = "allkeys-lfu", .value = MEMORY_ALLKEYS_LFU },
    { .word = "allkeys-random", .value = MEMORY_ALLKEYS_RANDOM },
    { .word = "volatile-lru", .value = MEMORY_VOLATILE_LRU },
    { .word = "volatile-lfu", .value = MEMORY_VOLATILE_LFU },
    { .word = "volatile-ttl", .value = MEMORY_VOLATILE_TTL },
    { .word = "volatile-random", .value = MEMORY_VOLATILE_RANDOM },
    { .word = NULL },
};

static void read_shards(struct schema_reader *r, const struct schema_field *f,
                        const struct yamltree *node, void *to)
{
    uint32_t *shards = to;
    schema_read_u32(r, f, node, shards);
    if (*shards != 1)
        schema_problem(r, node->line, "%u is not supported by this version; use 1", *shards);
}

#define OF_DEPLOYMENT(member) .offset = offsetof(struct deployment, member)

#define KB (INT64_C(1) << 10)
#define MB (INT64_C(1) << 20)
#define GB (INT64_C(1) << 30)

static const struct schema_field LOG[] = {
    { .name = "fsync", .read = schema_read_choice, OF_DEPLOYMENT(log.fsync), .choices = FSYNCS },
    { .name = "retain",
      .read = schema_read_size,
      OF_DEPLOYMENT(log.retain_bytes),
      .low = MB,
      .high = GB << 20 },
    { .name = NULL },
};

static const struct schema_field CHECKPOINT[] = {
    { .name = "log",
      .read = schema_read_size,
      OF_DEPLOYMENT(checkpoint.log_bytes),
      .low = MB,
      .high = GB << 10 },
    { .name = "every",
      .read = schema_read_duration_ms,
      OF_DEPLOYMENT(checkpoint.every_ms),
      .low = 1000,
      .high = 24 * 3600000 },
    { .name = NULL },
};

/* 0 is none. */
static void read_memory_limit(struct schema_reader *r, const struct schema_field *f,
                              const struct yamltree *node, void *to)
{
    const uint64_t *bytes = to;
    schema_read_size(r, f, node, to);
    if (*bytes > 0 && *bytes < MEMORY_LIMIT_MIN_BYTES)
        schema_problem(r, node->line,
                       "an empty region takes 10MB, and needs room to work: at least %dMB, or 0 "
                       "for no limit",
                       (int)(MEMORY_LIMIT_MIN_BYTES / MB));
}

static const struct schema_field MEMORY[] = {
    { .name = "limit",
      .read = read_memory_limit,
      OF_DEPLOYMENT(memory.limit_bytes),
      .low = 0,
      .high = GB << 10 },
    { .name = "policy",
      .read = schema_read_choice,
      OF_DEPLOYMENT(memory.policy),
      .choices = MEMORY_POLICIES },
    { .name = NULL },
};

static const struct schema_field BOOTSTRAP[] = {
    { .name = "rate",
      .read = schema_read_size,
      OF_DEPLOYMENT(bootstrap_rate_bytes),
      .low = 64 * KB,
      .high = GB << 10 },
    { .name = NULL },
};

static const struct schema_field READS_OF_ALL[] = {
    { .name = "warn",
      .read = schema_read_duration_ms,
      OF_DEPLOYMENT(reads_warn_ms),
      .low = 1,
      .high = LEVEL_STALENESS_MAX_MS },
    { .name = NULL },
};

static const struct schema_field CLOCK[] = {
    { .name = "max_skew",
      .read = schema_read_duration_ms,
      OF_DEPLOYMENT(max_skew_ms),
      .low = 10,
      .high = 60000 },
    { .name = NULL },
};

static const struct schema_field LIMITS[] = {
    { .name = "clients",
      .read = schema_read_u32,
      OF_DEPLOYMENT(limits.clients),
      .low = 1,
      .high = 1000000 },
    { .name = "query_buffer",
      .read = schema_read_size,
      OF_DEPLOYMENT(limits.query_buffer_bytes),
      .low = 64 * KB,
      .high = GB << 10 },
    { .name = "output_buffer",
      .read = schema_read_size,
      OF_DEPLOYMENT(limits.output_buffer_bytes),
      .low = 64 * KB,
      .high = GB << 10 },
    { .name = NULL },
};

static const struct schema_field DEPLOYMENT[] = {
    { .name = "deployment", .read = schema_read_name, OF_DEPLOYMENT(name), .required = true },
    { .name = "regions", .read = config_read_regions, .required = true },
    { .name = "closed", .read = config_read_closed },
    { .name = "topology", .read = config_read_topology },
    { .name = "fences", .read = read_fences },
    { .name = "keyspaces", .read = read_keyspaces },
    { .name = "shards", .read = read_shards, OF_DEPLOYMENT(shards), .low = 1, .high = 1024 },
    { .name = "log", .read = schema_read_map, .fields = LOG },
    { .name = "checkpoint", .read = schema_read_map, .fields = CHECKPOINT },
    { .name = "memory", .read = schema_read_map, .fields = MEMORY },
    { .name = "bootstrap", .read = schema_read_map, .fields = BOOTSTRAP },
    { .name = "reads", .read = schema_read_map, .fields = READS_OF_ALL },
    { .name = "clock", .read = schema_read_map, .fields = CLOCK },
    { .name = "limits", .read = schema_read_map, .fields = LIMITS },
    { .name = NULL },
};

/* The functions that the file names, which stand beside it. `errors` grows by the faults in them; that
 * one cannot be read is a problem of the configuration. */
static bool check_merge_files(const char *file, const struct yamltree *tree,
                              const struct deployment *d, struct problems *problems,
                              struct buffer *errors)
{
    const struct yamltree *list = yamltree_find(tree, "keyspaces");
    const struct yamltree *item = list ? list->first : NULL;
    bool good = true;
    for (size_t i = 0; i < d->keyspace_count; i++, item = item->next) {
        const char *name = d->keyspaces[i].merge_file;
        if (!name)
            continue;
        struct buffer source = { 0 };
        const char *unread = mergefile_read(file, name, &source);
        if (unread)
            problems_add(problems, yamltree_find(item, "merge")->line, "keyspaces[%zu].merge: %s",
                         i, unread);
        else
            good &= mergefile_compiles(file, name, buffer_span(&source), errors);
        buffer_release(&source);
    }
    return good;
}

/* Data directories remember which prefixes lie in which fence. */
static void judge_residency(struct problems *problems, const struct yamltree *tree,
                            const struct deployment *d)
{
    struct residency *r = mem_alloc(sizeof(*r));
    if (!residency_of(d, r))
        problems_add(problems, yamltree_find(tree, "keyspaces")->line,
                     "the prefixes of keyspaces with a fence take more than %d bytes",
                     RESIDENCY_PREFIXES_MAX);
    mem_free(r);
}

static bool parse(const char *file, struct span text, bool with_files, struct deployment *out,
                  struct buffer *errors)
{
    struct problems problems = { 0 };
    deployment_init(out);
    struct yamltree *tree = yamltree_parse(text, &problems);
    if (tree) {
        struct schema_reader reader = { .problems = &problems, .context = out };
        schema_read_fields(&reader, DEPLOYMENT, tree, out);
        config_read_parents(&reader, tree, out);
        if (problems.count == 0)
            judge_residency(&problems, tree, out);
    } else if (problems.count == 0) {
        problems_add(
            &problems, 1,
            "empty; a configuration begins with \"deployment: NAME\" and its \"regions:\"");
    }
    bool good = problems.count > 0 || !with_files ||
                check_merge_files(file, tree, out, &problems, errors);
    yamltree_free(tree);

    good &= problems.count == 0;
    if (good)
        deployment_finish(out);
    else
        deployment_release(out);
    problems_print(&problems, file, errors);
    problems_release(&problems);
    return good;
}

bool config_parse(const char *file, struct span text, struct deployment *out, struct buffer *errors)
{
    return parse(file, text, false, out, errors);
}

bool config_load(const char *path, struct deployment *out, struct buffer *errors)
{
    struct buffer text = { 0 };
    const char *problem = textfile_read(path, CONFIG_MAX_BYTES, &text);
    bool good = !problem && parse(path, buffer_span(&text), true, out, errors);
    if (problem) {
        *out = (struct deployment){ 0 };
        buffer_printf(errors, "%s: cannot be read: %s\n", path, problem);
    }
    buffer_release(&text);
    return good;
}
