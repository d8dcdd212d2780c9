/*
 * casefile -- lines of a keyword and the rest.
 */
#include "sim/casefile.h"

#include <stdio.h>

#include "base/memory.h"
#include "sim/answer.h"

enum { READ_BYTES = 1 << 16 };

static bool is(struct span word, const char *text)
{
    return span_equal(word, span_str(text));
}

/* A, B or C. */
static int region_named(struct span word)
{
    return word.len == 1 && word.at[0] >= 'A' && word.at[0] < 'A' + CASE_REGIONS ? word.at[0] - 'A'
                                                                                 : -1;
}

static struct span trimmed(struct span s)
{
    while (s.len > 0 && s.at[0] == ' ')
        s = span_skip(s, 1);
    while (s.len > 0 && s.at[s.len - 1] == ' ')
        s.len--;
    return s;
}

/* --- one line --- */

static bool add_command(struct conflict_case *c, enum case_step step, int region, struct span text)
{
    static const char ARROW[] = " -> ";
    if (c->count == CASE_COMMANDS || region < 0)
        return false;
    struct case_command *command = &c->commands[c->count++];
    *command = (struct case_command){ .step = step, .region = (uint32_t)region, .text = text };
    command->text.len = answer_find(text, span_str(ARROW));
    if (command->text.len < text.len)
        command->answer = trimmed(span_skip(text, command->text.len + strlen(ARROW)));
    return command->text.len > 0 && (command->answer.at || step != CASE_EXPECT);
}

static bool set_order(struct conflict_case *c, struct span rest)
{
    c->orders = is(rest, "ab")      ? CASE_AB
                : is(rest, "ba")    ? CASE_BA
                : is(rest, "equal") ? CASE_EQUAL
                                    : 0;
    return c->orders != 0;
}

static bool set_clock(struct conflict_case *c, struct span rest)
{
    struct span word;
    int64_t seconds;
    int region = answer_next_word(&rest, &word) ? region_named(word) : -1;
    if (region < 0 || !span_to_int64(trimmed(rest), &seconds))
        return false;
    c->clock_us[region] = seconds * 1000000;
    return true;
}

static bool set_region(int *to, struct span rest)
{
    *to = region_named(rest);
    return *to >= 0;
}

static bool take_property(struct conflict_case *c, struct span keyword, struct span rest)
{
    if (is(keyword, "order"))
        return set_order(c, rest);
    if (is(keyword, "clock"))
        return set_clock(c, rest);
    if (is(keyword, "down"))
        return set_region(&c->down, rest);
    if (is(keyword, "crash"))
        return set_region(&c->crash, rest);
    if (is(keyword, "prefix")) {
        c->prefix = rest;
        return rest.len > 0;
    }
    if (is(keyword, "alone"))
        return c->alone = true;
    return is(keyword, "only"); /* whoever else may not run it */
}

static bool take_line(struct conflict_case *c, struct span keyword, struct span rest)
{
    static const struct {
        const char *keyword;
        enum case_step step;
    } WITH_REGION[] = { { "waits", CASE_WAITS }, { "late", CASE_LATE }, { "then", CASE_THEN } };
    struct span region;
    if (region_named(keyword) >= 0)
        return add_command(c, CASE_CONCURRENT, region_named(keyword), rest);
    if (is(keyword, "base"))
        return add_command(c, CASE_BASE, 0, rest);
    if (is(keyword, "expect"))
        return add_command(c, CASE_EXPECT, 0, rest);
    for (size_t i = 0; i < sizeof(WITH_REGION) / sizeof(WITH_REGION[0]); i++) {
        if (is(keyword, WITH_REGION[i].keyword))
            return answer_next_word(&rest, &region) &&
                   add_command(c, WITH_REGION[i].step, region_named(region), trimmed(rest));
    }
    return take_property(c, keyword, rest);
}

/* --- the file --- */

static struct conflict_case *add_case(struct casefile *f, struct span name)
{
    f->cases = mem_realloc(f->cases, (f->count + 1) * sizeof(f->cases[0]));
    struct conflict_case *c = &f->cases[f->count++];
    *c = (struct conflict_case){
        .name = name, .orders = CASE_AB | CASE_BA, .down = -1, .crash = -1
    };
    return c;
}

static bool take_lines(struct casefile *f)
{
    struct span rest = buffer_span(&f->text), keyword;
    struct conflict_case *c = NULL;
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.at, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.at) : rest.len;
        struct span line = span_of(rest.at, len), words = line;
        rest = span_skip(rest, len + 1);
        if (!answer_next_word(&words, &keyword) || keyword.at[0] == '#' || is(keyword, "row") ||
            is(keyword, "elsewhere"))
            continue;
        words = trimmed(words);
        if (is(keyword, "case"))
            c = add_case(f, words);
        else if (!c || !take_line(c, keyword, words)) {
            snprintf(f->problem, sizeof(f->problem), "not understood: %.*s", (int)line.len,
                     (const char *)line.at);
            return false;
        }
    }
    return true;
}

static bool load(struct casefile *f, const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t got = 1;
    if (!file) {
        snprintf(f->problem, sizeof(f->problem), "%s cannot be opened", path);
        return false;
    }
    while (got > 0) {
        got = fread(buffer_room(&f->text, READ_BYTES), 1, READ_BYTES, file);
        f->text.len += got;
    }
    fclose(file);
    return true;
}

bool casefile_read(struct casefile *f, const char *path)
{
    *f = (struct casefile){ 0 };
    return load(f, path) && take_lines(f);
}

void casefile_release(struct casefile *f)
{
    buffer_release(&f->text);
    mem_free(f->cases);
    *f = (struct casefile){ 0 };
}

bool case_uses(const struct conflict_case *c, const char *word)
{
    for (size_t i = 0; i < c->count; i++) {
        struct span rest = c->commands[i].text, first;
        if (answer_next_word(&rest, &first) && is(first, word))
            return true;
    }
    return false;
}
