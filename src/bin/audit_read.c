#include "bin/audit_read.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

bool audit_reader_open(struct audit_reader *r, const char *path)
{
    *r = (struct audit_reader){ .path = path, .file = fopen(path, "rbe") };
    return r->file != NULL;
}

void audit_reader_close(struct audit_reader *r)
{
    if (r->file != NULL)
        fclose(r->file);
    json_decref(r->json);
    free(r->input);
    buffer_release(&r->text);
    *r = (struct audit_reader){ .path = NULL };
}

/* --- the chain --- */

/* What a crash tore, and the end of a line that the next start gave it, which that counts or does not.
 * A start whose own line was torn leaves more than one line to the next one. */
static bool is_torn(struct span before, const struct audit_fields *f)
{
    return f->kind == AUDIT_IS_START && f->torn + 1 >= before.len && f->torn <= before.len;
}

static void judge_first(struct audit_reader *r, const struct auditfile_link *link)
{
    const char *prev = json_string_value(json_object_get(r->json, "prev"));
    char text[AUDITFILE_HASH_TEXT + 1];
    struct auditfile_link zero = { 0 };

    r->first = link->number;
    r->last = (struct auditfile_link){ .number = link->number - 1 };
    for (size_t i = 0; prev != NULL && strlen(prev) == AUDITFILE_HASH_TEXT && i < 16; i++) {
        unsigned byte = 0;

        if (sscanf(prev + 2 * i, "%2x", &byte) == 1)
            r->last.hash[i] = (uint8_t)byte;
    }
    r->begins = r->last;
    auditfile_hash_text(zero.hash, text);
    if (prev == NULL || (link->number == 1 && strcmp(prev, text) != 0))
        snprintf(r->problem, sizeof(r->problem), "the file does not begin as one does");
}

/* `before`: the bytes of r->text that stand in front of the line; `hashed`: those of the line that its
 * hash is of. */
static void judge_chain(struct audit_reader *r, const struct auditfile_link *link,
                        struct span before, struct span hashed, const struct audit_fields *f)
{
    uint8_t hash[AUDITFILE_HASH_BYTES];

    memcpy(hash, r->last.hash, sizeof(hash));
    auditfile_hash(hash, span_of(r->text.at, before.len + hashed.len));
    if (before.len > 0 && !is_torn(before, f))
        snprintf(r->problem, sizeof(r->problem), "what stands in front of this line is none");
    else if (f->lost > 0)
        snprintf(r->problem, sizeof(r->problem),
                 "%" PRIu64 " lines before this one are lost: the end of the file was cut off",
                 f->lost);
    else if (link->number != r->last.number + 1)
        snprintf(r->problem, sizeof(r->problem),
                 "it is number %" PRIu64 " and follows number %" PRIu64 ": lines are missing",
                 link->number, r->last.number);
    else if (memcmp(hash, link->hash, sizeof(hash)) != 0)
        snprintf(r->problem, sizeof(r->problem),
                 "it was changed, or does not follow the line before it: its hash does not fit");
}

/* --- fields --- */

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text != NULL ? text : "";
}

static uint64_t number_of(const json_t *json, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json, name));
}

static stamp_t stamp_of(const json_t *json, const char *name)
{
    return strtoull(text_of(json, name), NULL, 16);
}

static bool take_kind(const char *event, enum audit_kind *kind)
{
    static const char *const EVENTS[] = { "start", "begins", "sent", "taken", "stop" };

    for (size_t i = 0; i < COUNT_OF(EVENTS); i++) {
        *kind = (enum audit_kind)i;
        if (strcmp(event, EVENTS[i]) == 0)
            return true;
    }
    return false;
}

static void take_fields(struct audit_reader *r, struct span line, struct audit_fields *f)
{
    json_decref(r->json);
    r->json = json_loadb((const char *)line.at, line.len, 0, NULL);
    *f = (struct audit_fields){
        .number = number_of(r->json, "n"),
        .ms = number_of(r->json, "ms"),
        .deployment = text_of(r->json, "deployment"),
        .region = text_of(r->json, "region"),
        .peer = text_of(r->json, "peer"),
        .fence = text_of(r->json, "fence"),
        .what = text_of(r->json, "what"),
        .keyspace = text_of(r->json, "keyspace"),
        .run = number_of(r->json, "run"),
        .origin = number_of(r->json, "origin"),
        .count = number_of(r->json, "count"),
        .bytes = number_of(r->json, "bytes"),
        .torn = number_of(r->json, "torn"),
        .lost = number_of(r->json, "lost"),
        .from = stamp_of(r->json, "from"),
        .to = stamp_of(r->json, "to"),
    };
    if (!take_kind(text_of(r->json, "ev"), &f->kind))
        f->problem = "it is no line of an audit";
    else if (f->kind == AUDIT_IS_START && number_of(r->json, "format") != AUDITFILE_FORMAT)
        f->problem = "it is of another version of this program";
}

/* --- lines --- */

static enum audit_reading end(struct audit_reader *r)
{
    if (ferror(r->file))
        return AUDIT_READ_FAILED;
    if (r->text.len > 0)
        snprintf(r->problem, sizeof(r->problem), "the file ends in the midst of a line");
    return AUDIT_READ_END;
}

enum audit_reading audit_reader_next(struct audit_reader *r, struct audit_fields *f)
{
    struct auditfile_link link;
    struct span hashed, line;
    ssize_t got;

    r->problem[0] = '\0';
    while ((got = getline(&r->input, &r->input_cap, r->file)) > 0) {
        size_t before = r->text.len;

        r->line++;
        line = span_of(r->input, (size_t)got);
        buffer_put(&r->text, line);
        if (line.at[line.len - 1] == '\n')
            line.len--;
        if (!auditfile_take_line(line, &link, &hashed))
            continue;
        take_fields(r, line, f);
        if (r->first == 0)
            judge_first(r, &link);
        if (r->problem[0] == '\0')
            judge_chain(r, &link, span_of(r->text.at, before), hashed, f);
        r->last = link;
        buffer_clear(&r->text);
        return AUDIT_READ_LINE;
    }
    return end(r);
}
