#include "cmd/geohash.h"

#include <math.h>

static const double EARTH_RADIUS_M = 6372797.560856;
static const double MERCATOR_MAX_M = 20037726.37;

static double radians(double degrees)
{
    return degrees * (M_PI / 180);
}

static double degrees(double radians)
{
    return radians / (M_PI / 180);
}

/* --- bits --- */

/* The lower 32 bits with a zero bit above each. */
static uint64_t spread(uint32_t v)
{
    uint64_t x = v;

    x = (x | x << 16) & 0x0000ffff0000ffff;
    x = (x | x << 8) & 0x00ff00ff00ff00ff;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
    x = (x | x << 2) & 0x3333333333333333;
    return (x | x << 1) & 0x5555555555555555;
}

static uint32_t squeeze(uint64_t x)
{
    x &= 0x5555555555555555;
    x = (x | x >> 1) & 0x3333333333333333;
    x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0f;
    x = (x | x >> 4) & 0x00ff00ff00ff00ff;
    x = (x | x >> 8) & 0x0000ffff0000ffff;
    return (uint32_t)(x | x >> 16);
}

/* A cell of 2 * steps bits: longitude above latitude in each pair. */
struct cell_at {
    uint32_t x, y;
    unsigned steps;
};

static struct cell_at cell_of(struct place p, double latitude_max, unsigned steps)
{
    double x = (p.longitude + GEOHASH_LONGITUDE_MAX) / (2 * GEOHASH_LONGITUDE_MAX);
    double y = (p.latitude + latitude_max) / (2 * latitude_max);
    double cells = (double)(1ull << steps);

    return (struct cell_at){ (uint32_t)(x * cells), (uint32_t)(y * cells), steps };
}

static uint64_t bits_of(struct cell_at c)
{
    return spread(c.x) << 1 | spread(c.y);
}

static struct geohash_area area_of(struct cell_at c)
{
    double cells = (double)(1ull << c.steps);
    double width = 2 * GEOHASH_LONGITUDE_MAX, height = 2 * GEOHASH_LATITUDE_MAX;

    return (struct geohash_area){
        .west = -GEOHASH_LONGITUDE_MAX + c.x / cells * width,
        .east = -GEOHASH_LONGITUDE_MAX + (c.x + 1) / cells * width,
        .south = -GEOHASH_LATITUDE_MAX + c.y / cells * height,
        .north = -GEOHASH_LATITUDE_MAX + (c.y + 1) / cells * height,
    };
}

/* --- places --- */

bool geohash_place_valid(struct place p)
{
    return p.longitude >= -GEOHASH_LONGITUDE_MAX && p.longitude <= GEOHASH_LONGITUDE_MAX &&
           p.latitude >= -GEOHASH_LATITUDE_MAX && p.latitude <= GEOHASH_LATITUDE_MAX;
}

uint64_t geohash_encode(struct place p)
{
    return bits_of(cell_of(p, GEOHASH_LATITUDE_MAX, GEOHASH_STEPS));
}

static double within(double v, double max)
{
    return v > max ? max : v < -max ? -max : v;
}

struct place geohash_decode(uint64_t bits)
{
    struct geohash_area a = area_of(
        (struct cell_at){ squeeze(bits >> 1), squeeze(bits), GEOHASH_STEPS });

    return (struct place){ within((a.west + a.east) / 2, GEOHASH_LONGITUDE_MAX),
                           within((a.south + a.north) / 2, GEOHASH_LATITUDE_MAX) };
}

/* The usual geohash is over all latitudes. 52 bits are ten characters and two bits: the eleventh is
 * always the first of the alphabet, as in Redis. */
void geohash_text(struct place p, char text[GEOHASH_TEXT_CHARS + 1])
{
    static const char alphabet[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    uint64_t bits = bits_of(cell_of(p, 90, GEOHASH_STEPS));

    for (int i = 0; i < GEOHASH_TEXT_CHARS - 1; i++)
        text[i] = alphabet[bits >> (52 - 5 * (i + 1)) & 0x1f];
    text[GEOHASH_TEXT_CHARS - 1] = alphabet[0];
    text[GEOHASH_TEXT_CHARS] = 0;
}

static double latitude_distance_m(double a, double b)
{
    return EARTH_RADIUS_M * fabs(radians(b) - radians(a));
}

double geohash_distance_m(struct place a, struct place b)
{
    double south = radians(a.latitude), north = radians(b.latitude);
    double v = sin((radians(b.longitude) - radians(a.longitude)) / 2);

    if (v == 0)
        return latitude_distance_m(a.latitude, b.latitude);
    double u = sin((north - south) / 2);
    return 2 * EARTH_RADIUS_M * asin(sqrt(u * u + cos(south) * cos(north) * v * v));
}

bool geohash_in_shape(const struct geohash_shape *s, struct place p, double *distance_m)
{
    if (s->radius_m >= 0) {
        *distance_m = geohash_distance_m(s->centre, p);
        return *distance_m <= s->radius_m;
    }
    struct place abeam = { s->centre.longitude, p.latitude };
    if (latitude_distance_m(p.latitude, s->centre.latitude) > s->height_m / 2 ||
        geohash_distance_m(p, abeam) > s->width_m / 2)
        return false;
    *distance_m = geohash_distance_m(s->centre, p);
    return true;
}

/* --- covering a shape with cells --- */

/* Degrees; around the pole and the date line it may reach past the world. */
static struct geohash_area bounds_of(const struct geohash_shape *s)
{
    double height_m = s->radius_m >= 0 ? s->radius_m : s->height_m / 2;
    double width_m = s->radius_m >= 0 ? s->radius_m : s->width_m / 2;
    double up = degrees(height_m / EARTH_RADIUS_M);
    /* the edge nearer to the pole is the wider one in degrees */
    double edge = s->centre.latitude < 0 ? s->centre.latitude - up : s->centre.latitude + up;
    double aside = fabs(edge) < 90 ? degrees(width_m / EARTH_RADIUS_M / cos(radians(edge)))
                                   : 2 * GEOHASH_LONGITUDE_MAX; /* round the pole */

    return (struct geohash_area){ s->centre.longitude - aside, s->centre.longitude + aside,
                                  s->centre.latitude - up, s->centre.latitude + up };
}

/* So many steps that three cells side by side are wider than the shape. */
static unsigned steps_for(const struct geohash_shape *s)
{
    double reach_m = s->radius_m >= 0 ? s->radius_m : hypot(s->width_m / 2, s->height_m / 2);
    double latitude = fabs(s->centre.latitude);
    int steps = 1;

    if (reach_m <= 0)
        return GEOHASH_STEPS;
    while (reach_m < MERCATOR_MAX_M) {
        reach_m *= 2;
        steps++;
    }
    steps -= 2;
    steps -= (latitude > 66) + (latitude > 80);
    return steps < 1 ? 1 : steps > GEOHASH_STEPS ? GEOHASH_STEPS : (unsigned)steps;
}

static struct cell_at neighbour(struct cell_at c, int x, int y)
{
    uint32_t mask = (uint32_t)((1ull << c.steps) - 1);

    return (struct cell_at){ (c.x + (uint32_t)x) & mask, (c.y + (uint32_t)y) & mask, c.steps };
}

/* Whether the cell and its neighbours, which go on round the world, hold the bounds. */
static bool reaches(struct cell_at c, const struct geohash_area *bounds)
{
    struct geohash_area a = area_of(c);
    double width = a.east - a.west, height = a.north - a.south;

    return a.north + height >= within(bounds->north, GEOHASH_LATITUDE_MAX) &&
           a.south - height <= within(bounds->south, GEOHASH_LATITUDE_MAX) &&
           a.east + width >= bounds->east && a.west - width <= bounds->west;
}

/* Whether the neighbours on a side can hold anything of the shape. */
static bool useless(struct cell_at centre, const struct geohash_area *bounds, int x, int y)
{
    struct geohash_area a = area_of(centre);

    return centre.steps >= 2 &&
           ((y < 0 && a.south < bounds->south) || (y > 0 && a.north > bounds->north) ||
            (x < 0 && a.west < bounds->west) || (x > 0 && a.east > bounds->east));
}

static struct geohash_range range_of(struct cell_at c)
{
    unsigned shift = 2 * (GEOHASH_STEPS - c.steps);
    uint64_t bits = bits_of(c);

    return (struct geohash_range){ bits << shift, (bits + 1) << shift };
}

struct cover {
    struct geohash_range *ranges;
    size_t count;
};

static void add_cell(struct cover *cover, struct cell_at c)
{
    struct geohash_range r = range_of(c);

    for (size_t i = 0; i < cover->count; i++) {
        if (cover->ranges[i].from == r.from)
            return; /* round a world of few cells one meets the same again */
    }
    cover->ranges[cover->count++] = r;
}

/* What lies exactly on the world's eastern or northern edge has a cell of its own, past the last. */
static void add_with_edge(struct cover *cover, struct cell_at c)
{
    uint32_t last = (uint32_t)((1ull << c.steps) - 1);
    bool east = c.x == last, north = c.y == last;

    add_cell(cover, c);
    if (east)
        add_cell(cover, (struct cell_at){ c.x + 1, c.y, c.steps });
    if (north)
        add_cell(cover, (struct cell_at){ c.x, c.y + 1, c.steps });
    if (east && north)
        add_cell(cover, (struct cell_at){ c.x + 1, c.y + 1, c.steps });
}

/* The cell that a shape's centre is looked for from: never one past the edge. */
static struct cell_at centre_cell(struct place p, unsigned steps)
{
    struct cell_at c = cell_of(p, GEOHASH_LATITUDE_MAX, steps);
    uint32_t last = (uint32_t)((1ull << steps) - 1);

    return (struct cell_at){ c.x < last ? c.x : last, c.y < last ? c.y : last, steps };
}

size_t geohash_cover(const struct geohash_shape *s, struct geohash_range ranges[GEOHASH_RANGES_MAX])
{
    static const int around[][2] = { { 0, 0 }, { 0, 1 },  { 0, -1 }, { 1, 0 },  { -1, 0 },
                                     { 1, 1 }, { -1, 1 }, { 1, -1 }, { -1, -1 } };
    struct geohash_area bounds = bounds_of(s);
    struct cell_at centre = centre_cell(s->centre, steps_for(s));
    struct cover cover = { .ranges = ranges };

    while (centre.steps > 1 && !reaches(centre, &bounds))
        centre = centre_cell(s->centre, centre.steps - 1);
    for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
        if (!useless(centre, &bounds, around[i][0], around[i][1]))
            add_with_edge(&cover, neighbour(centre, around[i][0], around[i][1]));
    }
    return cover.count;
}
