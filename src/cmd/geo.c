/*
 * geo -- GEOADD, GEODIST, GEOHASH, GEOPOS: members of a sorted set whose scores are places.
 */
#include "cmd/geo.h"

#include <stdio.h>

#include "base/memory.h"
#include "crdt/score.h"

enum { DECIMAL_CHARS = 64 };

struct place geo_place_of(double score)
{
    const double bits_end = (double)(UINT64_C(1) << 54); /* above every place */

    return geohash_decode(score < 0 ? 0 : score < bits_end ? (uint64_t)score : 0);
}

bool geo_take_place(struct call *call, size_t index, struct place *place)
{
    if (!call_double(call, call->argv[index], &place->longitude) ||
        !call_double(call, call->argv[index + 1], &place->latitude))
        return false;
    if (geohash_place_valid(*place))
        return true;
    reply_errorf(call->reply, "ERR invalid longitude,latitude pair %f,%f", place->longitude,
                 place->latitude);
    return false;
}

bool geo_take_unit(struct call *call, struct span s, double *metres)
{
    static const struct {
        const char *name;
        double metres;
    } units[] = { { "m", 1 }, { "km", 1000 }, { "ft", 0.3048 }, { "mi", 1609.34 } };

    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (span_equal_nocase(s, units[i].name)) {
            *metres = units[i].metres;
            return true;
        }
    }
    reply_error(call->reply, "ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
}

bool geo_score(const struct table *members, struct span name, double *score)
{
    const struct entry *e = data_field(members, name);

    if (e != NULL)
        *score = entry_score(e);
    return e != NULL;
}

/* Redis writes coordinates with 17 decimals, less the zeros at the end. */
static void reply_coordinate(struct reply *r, double v)
{
    char text[DECIMAL_CHARS];
    int len = snprintf(text, sizeof(text), "%.17f", v);

    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    if (r->protocol == 3)
        buffer_printf(r->out, ",%.*s\r\n", len, text);
    else
        reply_bulk(r, span_of(text, (size_t)len));
}

void geo_reply_place(struct reply *r, struct place place)
{
    reply_array(r, 2);
    reply_coordinate(r, place.longitude);
    reply_coordinate(r, place.latitude);
}

void geo_reply_distance(struct reply *r, double distance)
{
    char text[DECIMAL_CHARS];
    int len = snprintf(text, sizeof(text), "%.4f", distance);

    reply_bulk(r, span_of(text, (size_t)len));
}

/* --- GEOADD: a ZADD with scores made of places --- */

static size_t skip_options(const struct call *call)
{
    size_t i = 2;

    while (call_is(call, i, "nx") || call_is(call, i, "xx") || call_is(call, i, "ch"))
        i++;
    return i;
}

static bool put_scores(struct call *call, size_t first, struct span *argv, char (*texts)[24])
{
    for (size_t i = first, n = 0; i < call->argc; i += 3, n++) {
        struct place place;
        if (!geo_take_place(call, i, &place))
            return false;
        size_t len = decimal_of_int64((int64_t)geohash_encode(place), texts[n]);
        argv[first + 2 * n] = span_of(texts[n], len);
        argv[first + 2 * n + 1] = call->argv[i + 2];
    }
    return true;
}

void cmd_geoadd(struct call *call)
{
    size_t first = skip_options(call), rest = call->argc - first;
    bool nx = false, xx = false;

    for (size_t i = 2; i < first; i++) {
        nx |= call_is(call, i, "nx");
        xx |= call_is(call, i, "xx");
    }
    if (rest == 0 || rest % 3 != 0 || (nx && xx)) {
        call_syntax_error(call);
        return;
    }
    struct span *argv = mem_alloc((first + rest / 3 * 2) * sizeof(*argv));
    char(*texts)[24] = mem_alloc(rest / 3 * sizeof(*texts));
    memcpy(argv, call->argv, first * sizeof(*argv));
    if (put_scores(call, first, argv, texts)) {
        struct call add = *call;

        add.argv = argv;
        add.argc = first + rest / 3 * 2;
        cmd_zadd(&add);
    }
    mem_free(texts);
    mem_free(argv);
}

/* --- reading --- */

void cmd_geodist(struct call *call)
{
    const struct table *members;
    double metres = 1, from, to;

    if (call->argc > 5) {
        call_syntax_error(call);
        return;
    }
    if ((call->argc == 5 && !geo_take_unit(call, call->argv[4], &metres)) ||
        !data_find_fields(call, call->argv[1], COMPONENT_ZSET, &members))
        return;
    if (geo_score(members, call->argv[2], &from) && geo_score(members, call->argv[3], &to))
        geo_reply_distance(call->reply,
                           geohash_distance_m(geo_place_of(from), geo_place_of(to)) / metres);
    else
        reply_null(call->reply);
}

void cmd_geohash(struct call *call)
{
    const struct table *members;
    char text[GEOHASH_TEXT_CHARS + 1];
    double score;

    if (!data_find_fields(call, call->argv[1], COMPONENT_ZSET, &members))
        return;
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++) {
        if (geo_score(members, call->argv[i], &score)) {
            geohash_text(geo_place_of(score), text);
            reply_bulk_text(call->reply, text);
        } else {
            reply_null(call->reply);
        }
    }
}

void cmd_geopos(struct call *call)
{
    const struct table *members;
    double score;

    if (!data_find_fields(call, call->argv[1], COMPONENT_ZSET, &members))
        return;
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++) {
        if (geo_score(members, call->argv[i], &score))
            geo_reply_place(call->reply, geo_place_of(score));
        else
            reply_null_array(call->reply);
    }
}
