#include "bin/manifest.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/memory.h"
#include "bin/lines.h"
#include "store/cut.h"

enum { FORMAT = 2, HEX_MAX = 24 };

static const char file_name[] = "manifest.json";

/* --- life --- */

void manifest_release(struct manifest *m)
{
    for (size_t i = 0; i < m->count; i++)
        mem_free(m->bases[i].segments);
    mem_free(m->bases);
    *m = (struct manifest){ .count = 0 };
}

struct manifest_base *manifest_add_base(struct manifest *m)
{
    if (m->count == m->cap) {
        m->cap = m->cap == 0 ? 4 : m->cap * 2;
        m->bases = mem_realloc(m->bases, m->cap * sizeof(m->bases[0]));
    }
    struct manifest_base *b = &m->bases[m->count++];
    *b = (struct manifest_base){ .start_lsn = 0 };
    return b;
}

void manifest_drop_base(struct manifest *m)
{
    mem_free(m->bases[--m->count].segments);
}

struct manifest_segment *manifest_add_segment(struct manifest_base *b)
{
    if (b->segment_count == b->segment_cap) {
        b->segment_cap = b->segment_cap == 0 ? 16 : b->segment_cap * 2;
        b->segments = mem_realloc(b->segments, b->segment_cap * sizeof(b->segments[0]));
    }
    struct manifest_segment *s = &b->segments[b->segment_count++];
    *s = (struct manifest_segment){ .start_lsn = 0 };
    return s;
}

static void add_number(uint64_t numbers[4], uint32_t number)
{
    bits_add(numbers, number);
}

void manifest_numbers(const struct manifest *m, uint64_t numbers[4])
{
    memcpy(numbers, m->identity.closed, sizeof(m->identity.closed));
    for (uint32_t i = 0; i < m->identity.region_count; i++)
        add_number(numbers, m->identity.regions[i].id);
    for (size_t i = 0; i < m->count; i++) {
        const struct vector *last = &m->bases[i].end.last;
        for (uint32_t o = 0; o < last->high; o++) {
            if (last->at[o] != 0)
                add_number(numbers, o);
        }
    }
}

stamp_t manifest_until(const struct manifest_base *b)
{
    stamp_t read = cut_moment(b->until_ms);
    return b->end.newest > read ? b->end.newest : read;
}

/* --- writing --- */

static json_t *hex(uint64_t value)
{
    char text[HEX_MAX];
    snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
    return json_string(text);
}

static json_t *whole(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *put_numbers(const uint64_t numbers[4])
{
    json_t *list = json_array();
    for (unsigned n = 0; n < STAMP_ORIGINS; n++) {
        if (bits_have(numbers, n))
            json_array_append_new(list, whole(n));
    }
    return list;
}

static json_t *put_regions(const struct identity *id)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < id->region_count; i++)
        json_array_append_new(list, json_pack("{s:o, s:s}", "number", whole(id->regions[i].id),
                                              "name", id->regions[i].name));
    return list;
}

/* As a data directory has it (policy/residency.h), in hexadecimal. */
static json_t *put_residency(const struct residency *r)
{
    static const char digits[] = "0123456789abcdef";
    struct buffer bytes = { 0 }, text = { 0 };
    residency_put(r, &bytes);
    for (size_t i = 0; i < bytes.len; i++) {
        buffer_put_u8(&text, (uint8_t)digits[bytes.at[i] >> 4]);
        buffer_put_u8(&text, (uint8_t)digits[bytes.at[i] & 15]);
    }
    json_t *string = json_stringn((const char *)text.at, text.len);
    buffer_release(&bytes);
    buffer_release(&text);
    return string;
}

static json_t *put_chain(const struct chain *c)
{
    json_t *list = json_array();
    for (uint32_t o = 0; o < c->last.high; o++) {
        if (c->last.at[o] == 0)
            continue;
        json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "number", whole(o), "last",
                                              hex(c->last.at[o]), "check", hex(c->check[o])));
    }
    return list;
}

static json_t *put_segments(const struct manifest_base *b)
{
    json_t *list = json_array();
    for (size_t i = 0; i < b->segment_count; i++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "start_lsn",
                                              whole(b->segments[i].start_lsn), "end_lsn",
                                              whole(b->segments[i].end_lsn), "crc32c",
                                              hex(b->segments[i].crc)));
    return list;
}

static json_t *put_checkpoint(const struct manifest_base *b)
{
    if (!b->has_checkpoint)
        return json_null();
    return json_pack("{s:o, s:o, s:o}", "bytes", whole(b->checkpoint_bytes), "crc32c",
                     hex(b->checkpoint_crc), "keys", whole(b->keys));
}

static json_t *put_base(const struct manifest_base *b)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", b->name, "checkpoint",
                     put_checkpoint(b), "start_lsn", whole(b->start_lsn), "end_lsn",
                     whole(b->end_lsn), "earliest", hex(b->earliest), "until_ms",
                     whole(b->until_ms), "newest", hex(b->end.newest), "origins",
                     put_chain(&b->end), "log", put_segments(b));
}

static json_t *put_all(const struct manifest *m)
{
    json_t *bases = json_array();
    for (size_t i = 0; i < m->count; i++)
        json_array_append_new(bases, put_base(&m->bases[i]));
    return json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "format", FORMAT, "deployment",
                     m->identity.deployment, "number", whole(m->identity.region), "shards",
                     whole(m->identity.shards), "regions", put_regions(&m->identity), "closed",
                     put_numbers(m->identity.closed), "fences",
                     put_residency(&m->identity.residency), "bases", bases);
}

/* Of the text without the checksum itself. */
static uint32_t sum_of(const json_t *root)
{
    char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
    uint32_t crc = text == NULL ? 0 : crc32c(0, span_str(text));
    free(text);
    return crc;
}

static bool write_text(const char *path, const char *text, char *problem)
{
    FILE *file = fopen(path, "we");
    bool good = file != NULL && fputs(text, file) >= 0 && fputc('\n', file) >= 0 &&
                fflush(file) == 0 && fsync(fileno(file)) == 0;
    if (!good)
        snprintf(problem, FILES_PROBLEM_MAX, "%s: write: %s", path, strerror(errno));
    if (file != NULL)
        fclose(file);
    return good;
}

bool manifest_save(const char *backup, const struct manifest *m, char *problem)
{
    char path[FILES_PATH_MAX], fresh[FILES_PATH_MAX];
    if (!files_join(path, backup, file_name, problem) ||
        !files_join(fresh, backup, "manifest.json.new", problem))
        return false;
    json_t *root = put_all(m);
    json_object_set_new(root, "checksum", hex(sum_of(root)));
    char *text = json_dumps(root, JSON_INDENT(1));
    bool good = write_text(fresh, text, problem) && files_rename(fresh, path, problem) &&
                files_sync_directory(backup, problem);
    free(text);
    json_decref(root);
    return good;
}

/* --- reading: the checksum is right; what is not as it should be, another version wrote --- */

static bool take_hex(const json_t *from, const char *name, uint64_t *out)
{
    const char *text = json_string_value(json_object_get(from, name));
    char *end;
    if (text == NULL || strncmp(text, "0x", 2) != 0)
        return false;
    *out = strtoull(text, &end, 16);
    return *end == '\0';
}

static bool take_hex32(const json_t *from, const char *name, uint32_t *out)
{
    uint64_t value;
    if (!take_hex(from, name, &value) || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool take_whole(const json_t *from, const char *name, uint64_t most, uint64_t *out)
{
    const json_t *value = json_object_get(from, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return *out <= most;
}

static bool take_name(const json_t *from, const char *name, char *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(from, name));
    return text != NULL && snprintf(out, cap, "%s", text) < (int)cap;
}

static bool take_regions(const json_t *list, struct identity *id)
{
    if (!json_is_array(list) || json_array_size(list) > IDENTITY_REGIONS_MAX)
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        struct identity_region *region = &id->regions[id->region_count++];
        uint64_t number;
        if (!take_whole(one, "number", STAMP_ORIGINS - 1, &number) ||
            !take_name(one, "name", region->name, sizeof(region->name)))
            return false;
        region->id = (uint8_t)number;
    }
    return true;
}

static bool take_closed(const json_t *list, struct identity *id)
{
    if (!json_is_array(list))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_int_t number = json_integer_value(json_array_get(list, i));
        if (number < 0 || number >= STAMP_ORIGINS)
            return false;
        add_number(id->closed, (uint32_t)number);
    }
    return true;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_residency(const json_t *from, struct residency *r)
{
    const char *text = json_string_value(from);
    size_t len = text == NULL ? 1 : json_string_length(from);
    struct buffer bytes = { 0 };
    bool good = len % 2 == 0;
    for (size_t i = 0; good && i < len; i += 2) {
        int high = digit_of(text[i]), low = digit_of(text[i + 1]);
        good = high >= 0 && low >= 0;
        buffer_put_u8(&bytes, (uint8_t)(high << 4 | low));
    }
    struct span in = buffer_span(&bytes);
    good = good && residency_take(&in, r) && in.len == 0;
    buffer_release(&bytes);
    return good;
}

static bool take_chain(const json_t *base, struct chain *c)
{
    const json_t *list = json_object_get(base, "origins");
    if (!json_is_array(list) || !take_hex(base, "newest", &c->newest))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        uint64_t number, last;
        if (!take_whole(one, "number", STAMP_ORIGINS - 1, &number) ||
            !take_hex(one, "last", &last) || stamp_origin(last) != number ||
            !take_hex32(one, "check", &c->check[number]))
            return false;
        vector_set(&c->last, last);
    }
    return true;
}

static bool take_segments(const json_t *list, struct manifest_base *b)
{
    if (!json_is_array(list) || json_array_size(list) == 0)
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        struct manifest_segment *s = manifest_add_segment(b);
        if (!take_whole(one, "start_lsn", UINT64_MAX, &s->start_lsn) ||
            !take_whole(one, "end_lsn", UINT64_MAX, &s->end_lsn) || s->end_lsn < s->start_lsn ||
            !take_hex32(one, "crc32c", &s->crc))
            return false;
    }
    return true;
}

static bool take_checkpoint(const json_t *from, struct manifest_base *b)
{
    b->has_checkpoint = json_is_object(from);
    if (!b->has_checkpoint)
        return json_is_null(from);
    return take_whole(from, "bytes", UINT64_MAX, &b->checkpoint_bytes) &&
           take_hex32(from, "crc32c", &b->checkpoint_crc) &&
           take_whole(from, "keys", UINT64_MAX, &b->keys);
}

static bool take_base(const json_t *from, struct manifest_base *b)
{
    return take_name(from, "name", b->name, sizeof(b->name)) && strchr(b->name, '/') == NULL &&
           take_checkpoint(json_object_get(from, "checkpoint"), b) &&
           take_whole(from, "start_lsn", UINT64_MAX, &b->start_lsn) &&
           take_whole(from, "end_lsn", UINT64_MAX, &b->end_lsn) &&
           take_hex(from, "earliest", &b->earliest) &&
           take_whole(from, "until_ms", UINT64_MAX, &b->until_ms) && take_chain(from, &b->end) &&
           take_segments(json_object_get(from, "log"), b);
}

static bool base_is_there(const char *backup, const struct manifest_base *b)
{
    char path[FILES_PATH_MAX], problem[FILES_PROBLEM_MAX];
    return files_join(path, backup, b->name, problem) && files_is_directory(path);
}

static bool take_bases(const char *backup, const json_t *list, struct manifest *m)
{
    if (!json_is_array(list))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct manifest_base *b = manifest_add_base(m);
        if (!take_base(json_array_get(list, i), b))
            return false;
        if (!base_is_there(backup, b))
            manifest_drop_base(m);
    }
    return true;
}

static bool take_all(const char *backup, const json_t *root, struct manifest *m)
{
    uint64_t number, shards;
    if (!take_name(root, "deployment", m->identity.deployment, IDENTITY_NAME_MAX) ||
        !take_whole(root, "number", STAMP_ORIGINS - 1, &number) ||
        !take_whole(root, "shards", UINT32_MAX, &shards))
        return false;
    m->identity.region = (uint8_t)number;
    m->identity.shards = (uint32_t)shards;
    return take_regions(json_object_get(root, "regions"), &m->identity) &&
           take_closed(json_object_get(root, "closed"), &m->identity) &&
           take_residency(json_object_get(root, "fences"), &m->identity.residency) &&
           take_bases(backup, json_object_get(root, "bases"), m);
}

static int parse(const char *backup, json_t *root, struct manifest *m)
{
    uint32_t sum;
    if (!take_hex32(root, "checksum", &sum))
        return E_CORRUPT;
    json_object_del(root, "checksum");
    if (sum != sum_of(root))
        return E_CORRUPT;
    if (json_integer_value(json_object_get(root, "format")) != FORMAT || !take_all(backup, root, m))
        return E_VERSION;
    return E_OK;
}

int manifest_load(const char *backup, struct manifest *m, char *problem)
{
    char path[FILES_PATH_MAX];
    json_error_t fault;
    *m = (struct manifest){ .count = 0 };
    if (!files_join(path, backup, file_name, problem))
        return E_LIMIT;
    if (access(path, R_OK) != 0) {
        snprintf(problem, FILES_PROBLEM_MAX, "%s: %s", path, strerror(errno));
        return errno == ENOENT ? E_MISSING : E_DENIED;
    }
    json_t *root = json_load_file(path, 0, &fault);
    int error = root == NULL ? E_CORRUPT : parse(backup, root, m);
    json_decref(root);
    if (error == E_OK)
        return E_OK;
    manifest_release(m);
    snprintf(problem, FILES_PROBLEM_MAX,
             error == E_VERSION
                 ? "%s: written by another version of meridian: use that one"
                 : "%s: damaged: it does not match its checksum; use another back-up",
             path);
    return error;
}
