/*
 * sort -- SORT and SORT_RO: the elements of a list, a set or a sorted set, ordered by themselves or
 * by other keys.
 *
 * Elements and weights are spans into objects: nothing is emitted before the result is written
 * down.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "cmd/data.h"
#include "cmd/fence.h"
#include "crdt/score.h"

struct sorting {
    struct call *call;
    struct span by; /* a pattern; empty: by the elements */
    bool unsorted;  /* BY a pattern without a star */
    bool alpha, descending;
    int64_t offset, count;
    struct span *gets; /* [get_count], owned: the patterns of GET */
    size_t get_count;
    const struct span *store; /* NULL: reply */
    struct element *elements;
    size_t element_count, from, to; /* those wanted: [from, to) */
    struct buffer scratch;          /* numbers that are counters, written out */
};

struct element {
    struct span name;
    struct span text; /* by what it is ordered, ALPHA */
    bool has_text;
    double number;
};

/* --- arguments --- */

static bool take_limit(struct sorting *s, size_t *i)
{
    struct call *call = s->call;

    if (!call_int(call, call->argv[*i + 1], &s->offset) ||
        !call_int(call, call->argv[*i + 2], &s->count))
        return false;
    *i += 2;
    return true;
}

static void take_by(struct sorting *s, struct span pattern)
{
    s->unsorted = memchr(pattern.at, '*', pattern.len) == NULL;
    s->by = s->unsorted ? span_of("", 0) : pattern;
}

static bool take_sort_options(struct sorting *s, bool read_only)
{
    struct call *call = s->call;

    s->gets = mem_alloc(call->argc * sizeof(*s->gets));
    for (size_t i = 2; i < call->argc; i++) {
        size_t left = call->argc - i - 1;

        if (call_is(call, i, "asc")) {
            s->descending = false;
        } else if (call_is(call, i, "desc")) {
            s->descending = true;
        } else if (call_is(call, i, "alpha")) {
            s->alpha = true;
        } else if (call_is(call, i, "limit") && left >= 2) {
            if (!take_limit(s, &i))
                return false;
        } else if (call_is(call, i, "store") && left >= 1 && !read_only) {
            s->store = &call->argv[++i];
        } else if (call_is(call, i, "by") && left >= 1) {
            take_by(s, call->argv[++i]);
        } else if (call_is(call, i, "get") && left >= 1) {
            s->gets[s->get_count++] = call->argv[++i];
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

/* --- other keys --- */

static bool may_look_up(struct sorting *s)
{
    struct span key = s->call->argv[1];

    for (size_t i = 0; i < s->get_count; i++) {
        if (!fence_admits_pattern(s->call, key, s->gets[i]))
            return false;
    }
    return fence_admits_pattern(s->call, key, s->by);
}

static struct span keep(struct sorting *s, struct span text)
{
    buffer_put(&s->scratch, text);
    return span_of(s->scratch.at + s->scratch.len - text.len, text.len);
}

static bool field_of(const struct entry *e, struct span field, char *scratch, struct span *value)
{
    if (object_visible(e) != COMPONENT_HASH)
        return false;
    const struct entry *item = data_field(object_fields(e, COMPONENT_HASH), field);
    if (item != NULL)
        *value = data_value(item, scratch);
    return item != NULL;
}

/* The value of the key, or with "->" of the field, that a pattern names for an element. False when
 * there is none. A counter's number is written to `scratch`. */
static bool look_up(struct sorting *s, struct span pattern, struct span name, char *scratch,
                    struct span *value)
{
    const uint8_t *star = memchr(pattern.at, '*', pattern.len);
    struct buffer key = { 0 };

    if (span_equal(pattern, span_str("#"))) {
        *value = name;
        return true;
    }
    if (star == NULL)
        return false;
    struct span rest = span_skip(pattern, (size_t)(star - pattern.at) + 1), field = { NULL, 0 };
    const uint8_t *arrow = rest.len > 2 ? memmem(rest.at, rest.len, "->", 2) : NULL;
    if (arrow != NULL && arrow + 2 < rest.at + rest.len) {
        field = span_skip(rest, (size_t)(arrow - rest.at) + 2);
        rest.len = (size_t)(arrow - rest.at);
    }
    buffer_put(&key, span_of(pattern.at, (size_t)(star - pattern.at)));
    buffer_put(&key, name);
    buffer_put(&key, rest);
    const struct entry *e = data_live(s->call, s->call->db, buffer_span(&key));
    buffer_release(&key);
    if (e == NULL)
        return false;
    if (field.len > 0)
        return field_of(e, field, scratch, value);
    if (object_visible(e) != COMPONENT_STRING)
        return false;
    *value = data_string(e, scratch);
    return true;
}

/* --- elements --- */

static void add_element(struct sorting *s, struct span name)
{
    s->elements[s->element_count++] = (struct element){ .name = name };
}

static void gather(struct sorting *s, const struct entry *e)
{
    enum component c = object_visible(e);
    const struct part *part = object_part(e, c);
    char scratch[CELL_SCRATCH_BYTES];

    s->elements = mem_alloc(part_count(part) * sizeof(*s->elements));
    if (c == COMPONENT_SET) {
        struct part_iter it;

        part_iter_init(&it, part);
        for (const struct entry *item; (item = part_iter_next(&it)) != NULL;)
            add_element(s, entry_name(item));
        return;
    }
    struct btree_cursor at;
    for (const struct entry *item = btree_seek(&part->order, 0, &at); item != NULL;
         item = btree_next(&at))
        add_element(s, c == COMPONENT_LIST ? data_value(item, scratch) : entry_name(item));
}

static void reverse(struct sorting *s)
{
    for (size_t i = 0, k = s->element_count; i + 1 < k; i++) {
        struct element swapped = s->elements[i];

        s->elements[i] = s->elements[--k];
        s->elements[k] = swapped;
    }
}

/* As Redis reads weights: no text at all is 0, blanks may lead. */
static bool weight_of(struct span text, double *number)
{
    struct buffer copy = { 0 };
    char *end;

    buffer_put(&copy, text);
    buffer_put_u8(&copy, 0);
    errno = 0;
    *number = strtod((const char *)copy.at, &end);
    bool whole = *end == 0 && errno != ERANGE && *number == *number;
    buffer_release(&copy);
    return whole;
}

/* Finds what each element is ordered by. False when a number was wanted and is none. */
static bool weigh(struct sorting *s)
{
    char scratch[CELL_SCRATCH_BYTES];

    /* the spans point into it: room for all first */
    buffer_room(&s->scratch, s->element_count * CELL_SCRATCH_BYTES);
    for (size_t i = 0; i < s->element_count; i++) {
        struct element *e = &s->elements[i];

        e->text = e->name;
        e->has_text = s->by.len == 0 || look_up(s, s->by, e->name, scratch, &e->text);
        if (e->has_text && e->text.at == (const uint8_t *)scratch)
            e->text = keep(s, e->text);
        if (!s->alpha && e->has_text && !weight_of(e->text, &e->number))
            return false;
    }
    return true;
}

static int order(const void *a, const void *b, void *context)
{
    const struct element *x = a, *y = b;
    const struct sorting *s = context;
    int cmp;

    if (!s->alpha)
        cmp = x->number != y->number ? (x->number < y->number ? -1 : 1)
                                     : span_compare(x->name, y->name);
    else if (x->has_text && y->has_text)
        cmp = span_compare(x->text, y->text);
    else
        cmp = (int)x->has_text - (int)y->has_text;
    return s->descending ? -cmp : cmp;
}

static void limit(struct sorting *s)
{
    int64_t len = (int64_t)s->element_count;
    int64_t from = s->offset < 0 ? 0 : s->offset > len ? len : s->offset;
    int64_t to = s->count < 0 || s->count > len - from ? len : from + s->count;

    s->from = (size_t)from;
    s->to = (size_t)to;
}

/* --- results --- */

/* Calls `put` for every result in turn, the element, or what each GET names, until it says that
 * there is no more room: they can be many times what is stored. */
static void each_result(struct sorting *s, bool (*put)(struct sorting *s, const struct span *value))
{
    char scratch[CELL_SCRATCH_BYTES];
    struct span value;

    for (size_t i = s->from; i < s->to; i++) {
        struct span name = s->elements[i].name;

        if (s->get_count == 0 && !put(s, &name))
            return;
        for (size_t k = 0; k < s->get_count; k++) {
            bool found = look_up(s, s->gets[k], name, scratch, &value);

            if (!put(s, found ? &value : NULL))
                return;
        }
    }
}

static bool reply_result(struct sorting *s, const struct span *value)
{
    if (value != NULL)
        reply_bulk(s->call->reply, *value);
    else
        reply_null(s->call->reply);
    return !data_reply_too_long(s->call);
}

/* Results by their length and bytes: what they point into is about to change. No more than what is
 * refused already. */
static bool keep_result(struct sorting *s, const struct span *value)
{
    buffer_put_prefixed(&s->scratch, value != NULL ? *value : span_of("", 0));
    return s->scratch.len <= GROUP_MAX_BYTES;
}

static void store(struct sorting *s, size_t count)
{
    struct call *call = s->call;

    buffer_release(&s->scratch);
    each_result(s, keep_result);
    if (call_fits_group(call, s->scratch.len)) {
        struct span rest = buffer_span(&s->scratch), *values = mem_alloc(count * sizeof(*values));

        for (size_t i = 0; i < count; i++)
            CHECK(span_take_prefixed(&rest, &values[i]));
        /* Not a result of what could not be read. */
        bool sound = call->replica->databases[call->db].damage == E_OK;
        if (sound && data_live(call, call->db, *s->store) != NULL)
            emit_remove(call->replica, call->db, *s->store);
        if (sound && count > 0)
            CHECK(emit_list_insert(call->replica, call->db, *s->store, 0, true, values, count));
        reply_int(call->reply, (int64_t)count);
        mem_free(values);
    }
}

static void finish(struct sorting *s)
{
    size_t count = (s->to - s->from) * (s->get_count > 0 ? s->get_count : 1);

    if (s->store != NULL) {
        store(s, count);
        return;
    }
    reply_array(s->call->reply, count);
    each_result(s, reply_result);
}

static bool sortable(struct call *call, const struct entry *e)
{
    enum component c = object_visible(e);

    if (c == COMPONENT_LIST || c == COMPONENT_SET || c == COMPONENT_ZSET)
        return true;
    call_wrong_type(call);
    return false;
}

/* A set has no order of its own: what is stored of one that is not to be sorted is sorted all the
 * same, so that every replica of Redis would store the same. */
static void sort_elements(struct sorting *s, const struct entry *e)
{
    if (e != NULL)
        gather(s, e);
    if (s->unsorted && s->store != NULL && e != NULL && object_visible(e) == COMPONENT_SET) {
        s->unsorted = false;
        s->alpha = true;
    }
    if (s->unsorted) {
        if (s->descending && e != NULL && object_visible(e) != COMPONENT_SET)
            reverse(s);
    } else if (!weigh(s)) {
        reply_error(s->call->reply, "ERR One or more scores can't be converted into double");
        return;
    } else if (s->element_count > 0) {
        qsort_r(s->elements, s->element_count, sizeof(*s->elements), order, s);
    }
    limit(s);
    finish(s);
}

static void sort(struct call *call, bool read_only)
{
    struct sorting s = { .call = call, .count = -1, .by = { (const uint8_t *)"", 0 } };
    struct entry *e;

    if (take_sort_options(&s, read_only) && may_look_up(&s) &&
        call_find(call, call->argv[1], COMPONENT_NONE, &e) && (e == NULL || sortable(call, e)))
        sort_elements(&s, e);
    mem_free(s.gets);
    mem_free(s.elements);
    buffer_release(&s.scratch);
}

void cmd_sort(struct call *call)
{
    sort(call, false);
}

void cmd_sort_ro(struct call *call)
{
    sort(call, true);
}
