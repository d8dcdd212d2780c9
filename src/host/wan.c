/*
 * wan -- one pass over the lines: the header, then a place and its row each; then the columns are
 * matched with the places, since a column may name a place that comes later.
 */
#include "host/wan.h"

#include <math.h>

#include "base/check.h"
#include "base/memory.h"
#include "host/problems.h"
#include "host/textfile.h"

enum { DESCRIBING = 5, CELLS_MAX = DESCRIBING + WAN_PLACES_MAX };

static const double LONGEST_MS = 60000; /* beyond it, nobody measured a network */

static const char *const DESCRIBING_COLUMNS[DESCRIBING] = { "region", "city", "latitude",
                                                            "longitude", "timezone" };

const char *const wan_demo_order[WAN_DEMO_PLACES] = {
    "us-east", "eu-de",    "jp-tok", "br-sao", "au-syd",
    "eu-gb",   "us-south", "ca-tor", "jp-osa", "eu-es",
};

extern const unsigned char wan_builtin_csv[];
extern const size_t wan_builtin_csv_bytes;

struct row {
    int line;
    struct span cells[CELLS_MAX];
    size_t count;
};

struct parse {
    struct wan *wan;
    struct problems problems;
    struct row header; /* no cells until it was read */
    struct row row;    /* the line being read */
    double *measured;  /* [places][columns], as in the file */
    int *lines;        /* [places] */
};

static struct span trimmed(struct span s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = span_skip(s, 1);
    while (s.len > 0 &&
           (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t' || s.at[s.len - 1] == '\r'))
        s.len--;
    return s;
}

static char *copy_text(struct span s)
{
    char *text = mem_alloc(s.len + 1);
    memcpy(text, s.at, s.len);
    text[s.len] = '\0';
    return text;
}

static struct span take_until(struct span *in, char end)
{
    const uint8_t *stop = in->len > 0 ? memchr(in->at, end, in->len) : NULL;
    struct span part = span_of(in->at, stop ? (size_t)(stop - in->at) : in->len);
    *in = span_skip(*in, part.len + (stop ? 1 : 0));
    return part;
}

/* False when the line has more cells than any matrix. */
static bool split_cells(struct span line, struct row *row)
{
    row->count = 0;
    bool more = true;
    while (more && row->count < CELLS_MAX) {
        more = memchr(line.at, ',', line.len) != NULL;
        row->cells[row->count++] = trimmed(take_until(&line, ','));
    }
    return !more;
}

static size_t column_count(const struct parse *p)
{
    return p->header.count - DESCRIBING;
}

static void read_header(struct parse *p)
{
    const struct row *row = &p->row;
    for (size_t i = 0; i < DESCRIBING; i++) {
        if (i >= row->count || !span_equal(row->cells[i], span_str(DESCRIBING_COLUMNS[i]))) {
            problems_add(&p->problems, row->line,
                         "the first line must name the columns "
                         "region,city,latitude,longitude,timezone and regions");
            return;
        }
    }
    p->header = *row;
}

static bool read_number(struct parse *p, struct span cell, const char *what, double low,
                        double high, double *number)
{
    if (!span_to_double(cell, number) || !isfinite(*number)) {
        problems_add(&p->problems, p->row.line, "expected a %s, got \"%.*s\"", what, (int)cell.len,
                     cell.at);
        return false;
    }
    if (*number < low || *number > high) {
        problems_add(&p->problems, p->row.line, "%s %.*s is out of range %g..%g", what,
                     (int)cell.len, cell.at, low, high);
        return false;
    }
    return true;
}

static void add_place(struct parse *p)
{
    const struct row *row = &p->row;
    struct wan *w = p->wan;
    w->places = mem_realloc(w->places, (w->count + 1) * sizeof(*w->places));
    p->lines = mem_realloc(p->lines, (w->count + 1) * sizeof(*p->lines));
    p->lines[w->count] = row->line;
    struct wan_place *place = &w->places[w->count++];
    *place = (struct wan_place){
        .name = copy_text(row->cells[0]),
        .city = copy_text(row->cells[1]),
        .timezone = copy_text(row->cells[4]),
    };
    read_number(p, row->cells[2], "latitude", -90, 90, &place->latitude);
    read_number(p, row->cells[3], "longitude", -180, 180, &place->longitude);
}

static void read_measured(struct parse *p)
{
    size_t columns = column_count(p);
    size_t place = p->wan->count - 1;
    p->measured = mem_realloc(p->measured, p->wan->count * columns * sizeof(double));
    for (size_t i = 0; i < columns; i++) {
        double *ms = &p->measured[place * columns + i];
        struct span cell = p->row.cells[DESCRIBING + i];
        *ms = -1;
        if (cell.len > 0 && !read_number(p, cell, "round trip", 0, LONGEST_MS, ms))
            *ms = -1;
    }
}

static void read_place(struct parse *p)
{
    const struct row *row = &p->row;
    char name[64];
    if (row->count != p->header.count) {
        problems_add(&p->problems, row->line, "%zu cells, but the first line names %zu columns",
                     row->count, p->header.count);
        return;
    }
    if (row->cells[0].len == 0 || row->cells[0].len >= sizeof(name)) {
        problems_add(&p->problems, row->line, "a region needs a name of 1 to %zu characters",
                     sizeof(name) - 1);
        return;
    }
    memcpy(name, row->cells[0].at, row->cells[0].len);
    name[row->cells[0].len] = '\0';
    const struct wan_place *earlier = wan_place_named(p->wan, name);
    if (earlier)
        problems_add(&p->problems, row->line, "%s is already in line %d", name,
                     p->lines[earlier - p->wan->places]);
    else if (p->wan->count == WAN_PLACES_MAX)
        problems_add(&p->problems, row->line, "more than %d regions", WAN_PLACES_MAX);
    if (earlier || p->wan->count == WAN_PLACES_MAX)
        return;
    add_place(p);
    read_measured(p);
}

static void read_line(struct parse *p, struct span line)
{
    if (trimmed(line).len == 0 || line.at[0] == '#')
        return;
    if (memchr(line.at, '"', line.len) || memchr(line.at, '\0', line.len))
        problems_add(&p->problems, p->row.line, "cells may hold no quotes and no zero bytes");
    else if (!split_cells(line, &p->row))
        problems_add(&p->problems, p->row.line, "more than %d cells", CELLS_MAX);
    else if (p->header.count == 0)
        read_header(p);
    else
        read_place(p);
}

static size_t place_index(const struct wan *w, struct span name)
{
    size_t i = 0;
    while (i < w->count && !span_equal(span_str(w->places[i].name), name))
        i++;
    return i;
}

/* From the columns of the file to those of the matrix, which are the places. */
static void match_columns(struct parse *p)
{
    struct wan *w = p->wan;
    size_t columns = column_count(p);
    w->ms = mem_alloc(w->count * w->count * sizeof(double));
    for (size_t i = 0; i < w->count * w->count; i++)
        w->ms[i] = -1;
    for (size_t column = 0; column < columns; column++) {
        struct span name = p->header.cells[DESCRIBING + column];
        size_t to = place_index(w, name);
        if (to == w->count) {
            problems_add(&p->problems, p->header.line, "the column \"%.*s\" has no line of its own",
                         (int)name.len, name.at);
            continue;
        }
        for (size_t from = 0; from < w->count; from++)
            w->ms[from * w->count + to] = p->measured[from * columns + column];
    }
}

bool wan_parse(const char *file, struct span text, struct wan *out, struct buffer *errors)
{
    *out = (struct wan){ 0 };
    struct parse *p = mem_zalloc(sizeof(*p)); /* tens of KB: not for the stack */
    p->wan = out;
    while (text.len > 0 && p->problems.count < 20) { /* after that, it is another kind of file */
        p->row.line++;
        read_line(p, take_until(&text, '\n'));
        if (p->header.count == 0 && p->problems.count > 0)
            break;
    }
    if (p->problems.count == 0 && out->count == 0)
        problems_add(&p->problems, 0, "holds no region");
    if (p->problems.count == 0)
        match_columns(p);

    bool good = p->problems.count == 0;
    if (!good)
        wan_release(out);
    problems_print(&p->problems, file, errors);
    problems_release(&p->problems);
    mem_free(p->measured);
    mem_free(p->lines);
    mem_free(p);
    return good;
}

bool wan_load(const char *path, struct wan *out, struct buffer *errors)
{
    struct buffer text = { 0 };
    const char *problem = textfile_read(path, WAN_MAX_BYTES, &text);
    bool good = !problem && wan_parse(path, buffer_span(&text), out, errors);
    if (problem) {
        *out = (struct wan){ 0 };
        buffer_printf(errors, "%s: cannot be read: %s\n", path, problem);
    }
    buffer_release(&text);
    return good;
}

void wan_builtin(struct wan *out)
{
    struct buffer errors = { 0 };
    bool good = wan_parse("data/wan.csv", span_of(wan_builtin_csv, wan_builtin_csv_bytes), out,
                          &errors);
    CHECK(good);
    buffer_release(&errors);
}

void wan_release(struct wan *w)
{
    for (size_t i = 0; i < w->count; i++) {
        mem_free(w->places[i].name);
        mem_free(w->places[i].city);
        mem_free(w->places[i].timezone);
    }
    mem_free(w->places);
    mem_free(w->ms);
    *w = (struct wan){ 0 };
}

const struct wan_place *wan_place_named(const struct wan *w, const char *name)
{
    size_t i = place_index(w, span_str(name));
    return i < w->count ? &w->places[i] : NULL;
}

double wan_round_trip_ms(const struct wan *w, const char *a, const char *b)
{
    size_t from = place_index(w, span_str(a));
    size_t to = place_index(w, span_str(b));
    if (from == w->count || to == w->count)
        return -1;
    double there = w->ms[from * w->count + to];
    double back = w->ms[to * w->count + from];
    if (there < 0 || back < 0)
        return there < 0 ? back : there;
    return (there + back) / 2;
}
