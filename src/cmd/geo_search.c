/*
 * geo_search -- GEOSEARCH, GEORADIUS and their relatives: members in a circle or a box.
 *
 * Nine cells of the geohash grid cover what is looked for; each is a range of scores, and every
 * member found there is measured.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "cmd/geo.h"
#include "crdt/score.h"

enum source { BY_PLACE, BY_MEMBER, BY_OPTIONS };
enum direction { UNORDERED, NEAREST_FIRST, FARTHEST_FIRST };

struct found {
    struct span member;
    double score, distance_m;
};

struct search {
    struct call *call;
    enum source source;
    struct span key;
    const struct part *members; /* NULL: there is no such key */
    size_t options;             /* where they begin */
    bool may_store;
    struct geohash_shape shape;
    double metres; /* of the unit that was named */
    bool has_centre, has_shape;
    bool with_place, with_distance, with_hash;
    int64_t count; /* 0: all */
    bool any;
    enum direction direction;
    const struct span *store;
    bool store_distance;
    struct found *found;
    size_t found_count, found_cap;
};

/* --- arguments --- */

static bool fail(struct search *s, const char *error)
{
    reply_error(s->call->reply, error);
    return false;
}

static bool take_length(struct search *s, size_t index, const char *none, const char *negative,
                        double *length)
{
    if (!span_to_double(s->call->argv[index], length))
        return fail(s, none);
    return *length >= 0 || fail(s, negative);
}

static bool take_radius(struct search *s, size_t index)
{
    double radius;

    if (!take_length(s, index, "ERR need numeric radius", "ERR radius cannot be negative",
                     &radius) ||
        !geo_take_unit(s->call, s->call->argv[index + 1], &s->metres))
        return false;
    s->shape.radius_m = radius * s->metres;
    s->has_shape = true;
    return true;
}

static bool take_box(struct search *s, size_t index)
{
    static const char *const negative = "ERR height or width cannot be negative";
    double width, height;

    if (!span_to_double(s->call->argv[index], &width))
        return fail(s, "ERR need numeric width");
    if (!span_to_double(s->call->argv[index + 1], &height))
        return fail(s, "ERR need numeric height");
    if (width < 0 || height < 0)
        return fail(s, negative);
    if (!geo_take_unit(s->call, s->call->argv[index + 2], &s->metres))
        return false;
    s->shape.radius_m = -1;
    s->shape.width_m = width * s->metres;
    s->shape.height_m = height * s->metres;
    s->has_shape = true;
    return true;
}

/* A key that is not there is found empty whatever the member. */
static bool take_member(struct search *s, struct span name)
{
    double score;

    s->has_centre = true;
    if (s->members == NULL)
        return true;
    if (!geo_score(&s->members->fields, name, &score))
        return fail(s, "ERR could not decode requested zset member");
    s->shape.centre = geo_place_of(score);
    return true;
}

/* The options of GEOSEARCH that say where; returns how many arguments, 0: another option, -1: the
 * error was replied. */
static int take_where(struct search *s, size_t i, size_t left)
{
    struct call *call = s->call;

    if (call_is(call, i, "frommember") && left >= 1 && !s->has_centre)
        return take_member(s, call->argv[i + 1]) ? 1 : -1;
    if (call_is(call, i, "fromlonlat") && left >= 2 && !s->has_centre) {
        s->has_centre = true;
        return geo_take_place(call, i + 1, &s->shape.centre) ? 2 : -1;
    }
    if (call_is(call, i, "byradius") && left >= 2 && !s->has_shape)
        return take_radius(s, i + 1) ? 2 : -1;
    if (call_is(call, i, "bybox") && left >= 3 && !s->has_shape)
        return take_box(s, i + 1) ? 3 : -1;
    return 0;
}

static int take_count(struct search *s, size_t i)
{
    if (!call_int(s->call, s->call->argv[i + 1], &s->count))
        return -1;
    if (s->count <= 0) {
        reply_error(s->call->reply, "ERR COUNT must be > 0");
        return -1;
    }
    return 1;
}

/* As take_where, for where the results go. */
static int take_store(struct search *s, size_t i, size_t left)
{
    struct call *call = s->call;

    if (s->source == BY_OPTIONS) {
        if (!call_is(call, i, "storedist") || !s->may_store)
            return -2;
        s->store_distance = true;
        return 0;
    }
    bool distance = call_is(call, i, "storedist");
    if (!s->may_store || left < 1 || (!distance && !call_is(call, i, "store")))
        return -2;
    s->store = &call->argv[i + 1];
    s->store_distance = distance;
    return 1;
}

/* Returns how many arguments belong to the option, negative when there is an error: -2 where none
 * was replied yet. */
static int take_option(struct search *s, size_t i)
{
    struct call *call = s->call;
    size_t left = call->argc - i - 1;

    if (call_is(call, i, "withdist"))
        s->with_distance = true;
    else if (call_is(call, i, "withhash"))
        s->with_hash = true;
    else if (call_is(call, i, "withcoord"))
        s->with_place = true;
    else if (call_is(call, i, "any"))
        s->any = true;
    else if (call_is(call, i, "asc"))
        s->direction = NEAREST_FIRST;
    else if (call_is(call, i, "desc"))
        s->direction = FARTHEST_FIRST;
    else if (call_is(call, i, "count") && left >= 1)
        return take_count(s, i);
    else {
        int taken = s->source == BY_OPTIONS ? take_where(s, i, left) : 0;
        return taken != 0 ? taken : take_store(s, i, left);
    }
    return 0;
}

static bool options_agree(struct search *s)
{
    struct call *call = s->call;

    if (s->store != NULL && (s->with_distance || s->with_hash || s->with_place)) {
        reply_errorf(call->reply,
                     "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                     s->source == BY_OPTIONS ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
        return false;
    }
    if (!s->has_centre || !s->has_shape) {
        reply_errorf(call->reply, "ERR exactly one of %s can be specified for %.*s",
                     s->has_centre ? "BYRADIUS and BYBOX" : "FROMMEMBER or FROMLONLAT",
                     (int)call->argv[0].len, (const char *)call->argv[0].at);
        return false;
    }
    if (s->any && s->count == 0)
        return fail(s, "ERR the ANY argument requires COUNT argument");
    return true;
}

static bool take_search_options(struct search *s)
{
    for (size_t i = s->options; i < s->call->argc; i++) {
        int taken = take_option(s, i);

        if (taken == -2)
            call_syntax_error(s->call);
        if (taken < 0)
            return false;
        i += (size_t)taken;
    }
    if (!options_agree(s))
        return false;
    if (s->count > 0 && s->direction == UNORDERED && !s->any)
        s->direction = NEAREST_FIRST;
    return true;
}

static bool take_centre(struct search *s)
{
    if (s->source == BY_PLACE) {
        s->has_centre = true;
        return geo_take_place(s->call, 2, &s->shape.centre) && take_radius(s, 4);
    }
    if (s->source == BY_MEMBER && s->members == NULL) {
        s->has_centre = s->has_shape = true; /* nothing will be found; Redis looks no further */
        return true;
    }
    if (s->source == BY_MEMBER)
        return take_member(s, s->call->argv[2]) && take_radius(s, 3);
    return true;
}

/* --- searching --- */

static bool enough(const struct search *s)
{
    return s->any && s->found_count >= (size_t)s->count;
}

static void add_found(struct search *s, const struct entry *e)
{
    struct found f = { entry_name(e), entry_score(e), 0 };

    if (!geohash_in_shape(&s->shape, geo_place_of(f.score), &f.distance_m))
        return;
    if (s->found_count == s->found_cap) {
        s->found_cap = s->found_cap ? 2 * s->found_cap : 16;
        s->found = mem_realloc(s->found, s->found_cap * sizeof(*s->found));
    }
    s->found[s->found_count++] = f;
}

static void search_range(struct search *s, struct geohash_range range)
{
    struct btree_cursor c;
    struct probe probe;
    bool equal;

    probe_by_score(&probe, (double)range.from, span_of("", 0));
    uint64_t rank = btree_rank(&s->members->order, probe.entry, &equal);
    probe_release(&probe);
    for (const struct entry *e = btree_seek(&s->members->order, rank, &c);
         e != NULL && entry_score(e) < (double)range.to && !enough(s); e = btree_next(&c))
        add_found(s, e);
}

static int nearer(const void *a, const void *b)
{
    double x = ((const struct found *)a)->distance_m, y = ((const struct found *)b)->distance_m;

    return x < y ? -1 : x > y;
}

static int farther(const void *a, const void *b)
{
    return nearer(b, a);
}

static void search(struct search *s)
{
    struct geohash_range ranges[GEOHASH_RANGES_MAX];
    size_t count = geohash_cover(&s->shape, ranges);

    for (size_t i = 0; i < count && !enough(s); i++)
        search_range(s, ranges[i]);
    if (s->direction != UNORDERED && s->found_count > 0)
        qsort(s->found, s->found_count, sizeof(*s->found),
              s->direction == NEAREST_FIRST ? nearer : farther);
    if (s->count > 0 && s->found_count > (size_t)s->count)
        s->found_count = (size_t)s->count;
}

/* --- results --- */

static void reply_found(struct search *s, const struct found *f)
{
    struct reply *r = s->call->reply;
    size_t parts = 1u + s->with_distance + s->with_hash + s->with_place;

    if (parts > 1)
        reply_array(r, parts);
    reply_bulk(r, f->member);
    if (s->with_distance)
        geo_reply_distance(r, f->distance_m / s->metres);
    if (s->with_hash)
        reply_int(r, (int64_t)f->score);
    if (s->with_place)
        geo_reply_place(r, geo_place_of(f->score));
}

/* Names are copied first: they may be the destination's own. */
static void store_found(struct search *s)
{
    struct call *call = s->call;
    struct emit_fields put;
    struct buffer items = { 0 };
    uint8_t bytes[SCORE_BYTES];

    for (size_t i = 0; i < s->found_count; i++) {
        const struct found *f = &s->found[i];

        buffer_put_prefixed(&items, f->member);
        buffer_put(&items,
                   score_encode(s->store_distance ? f->distance_m / s->metres : f->score, bytes));
    }
    if (!call_fits_group(call, items.len)) {
        buffer_release(&items);
        return;
    }
    if (data_live(call, call->db, *s->store) != NULL)
        emit_remove(call->replica, call->db, *s->store);
    emit_fields_begin(&put, call->replica, OP_PUT, COMPONENT_ZSET, call->db, *s->store);
    struct span rest = buffer_span(&items), name, score;
    while (span_take_prefixed(&rest, &name) && span_take_bytes(&rest, SCORE_BYTES, &score))
        emit_fields_add(&put, name, score);
    emit_fields_end(&put);
    buffer_release(&items);
    reply_int(call->reply, (int64_t)s->found_count);
}

static void run(struct search *s)
{
    struct call *call = s->call;
    struct entry *e;

    if (!call_find(call, s->key, COMPONENT_ZSET, &e))
        return;
    s->members = e != NULL ? object_part(e, COMPONENT_ZSET) : NULL;
    if (!take_centre(s) || !take_search_options(s))
        return;
    if (s->members != NULL)
        search(s);
    if (s->store != NULL) {
        store_found(s);
    } else {
        reply_array(call->reply, s->found_count);
        for (size_t i = 0; i < s->found_count; i++)
            reply_found(s, &s->found[i]);
    }
    mem_free(s->found);
}

void cmd_georadius(struct call *call)
{
    run(&(struct search){
        .call = call, .source = BY_PLACE, .key = call->argv[1], .options = 6, .may_store = true });
}

void cmd_georadius_ro(struct call *call)
{
    run(&(struct search){ .call = call, .source = BY_PLACE, .key = call->argv[1], .options = 6 });
}

void cmd_georadiusbymember(struct call *call)
{
    run(&(struct search){
        .call = call, .source = BY_MEMBER, .key = call->argv[1], .options = 5, .may_store = true });
}

void cmd_georadiusbymember_ro(struct call *call)
{
    run(&(struct search){ .call = call, .source = BY_MEMBER, .key = call->argv[1], .options = 5 });
}

void cmd_geosearch(struct call *call)
{
    run(&(struct search){ .call = call, .source = BY_OPTIONS, .key = call->argv[1], .options = 2 });
}

void cmd_geosearchstore(struct call *call)
{
    run(&(struct search){ .call = call,
                          .source = BY_OPTIONS,
                          .key = call->argv[2],
                          .options = 3,
                          .may_store = true,
                          .store = &call->argv[1] });
}
