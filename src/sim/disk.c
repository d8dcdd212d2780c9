#include "sim/disk.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "sim/answer.h"

/* A change that is not durable yet. */
enum change_kind { CHANGE_WRITE, CHANGE_TRUNCATE, CHANGE_ALLOCATE };

struct change {
    struct change *next;
    enum change_kind kind;
    uint64_t offset; /* of a write; else the size */
    struct buffer bytes;
};

struct sim_file {
    uint64_t references; /* names, name changes and handles */
    struct buffer cached;
    struct buffer durable;
    struct change *changes; /* oldest first */
};

/* An entry of a directory; in the list of changes: what happened to `name`. */
struct sim_name {
    struct sim_name *next;
    char name[DISK_NAME_MAX];
    char renamed_from[DISK_NAME_MAX]; /* of a change: this name goes in the same step; "" = none */
    struct sim_file *file;            /* of a change: NULL = removed */
};

struct disk_file {
    struct sim_file *file;
    uint64_t epoch;
    char name[DISK_NAME_MAX];
};

static struct sim_disk *self(struct disk *disk)
{
    return container_of(disk, struct sim_disk, disk);
}

static int fail(struct sim_disk *d, int code, const char *name, const char *action)
{
    snprintf(d->disk.detail, sizeof d->disk.detail, "%s: %s: %s", name, action, error_text(code));
    return code;
}

/* Files */

static void drop_changes(struct sim_file *file)
{
    while (file->changes != NULL) {
        struct change *change = file->changes;
        file->changes = change->next;
        buffer_release(&change->bytes);
        mem_free(change);
    }
}

static void drop_file(struct sim_file *file)
{
    if (file == NULL || --file->references > 0)
        return;
    drop_changes(file);
    buffer_release(&file->cached);
    buffer_release(&file->durable);
    mem_free(file);
}

static void set_size(struct buffer *bytes, uint64_t size)
{
    if (size > bytes->len)
        memset(buffer_room(bytes, (size_t)size - bytes->len), 0, (size_t)size - bytes->len);
    bytes->len = (size_t)size;
}

static void write_at(struct buffer *bytes, uint64_t offset, struct span what)
{
    if (what.len == 0)
        return;
    if (bytes->len < offset + what.len)
        set_size(bytes, offset + what.len);
    memcpy(bytes->at + offset, what.at, what.len);
}

static void apply_change(struct buffer *bytes, const struct change *change)
{
    switch (change->kind) {
    case CHANGE_WRITE:
        write_at(bytes, change->offset, buffer_span(&change->bytes));
        break;
    case CHANGE_TRUNCATE:
        set_size(bytes, change->offset);
        break;
    case CHANGE_ALLOCATE:
        if (bytes->len < change->offset)
            set_size(bytes, change->offset);
        break;
    }
}

static void add_change(struct sim_file *file, enum change_kind kind, uint64_t offset,
                       struct span bytes)
{
    struct change *change = mem_zalloc(sizeof *change);
    struct change **end = &file->changes;
    while (*end != NULL)
        end = &(*end)->next;
    *end = change;
    change->kind = kind;
    change->offset = offset;
    buffer_put(&change->bytes, bytes);
    apply_change(&file->cached, change);
}

/* A write of which only one side of a random byte is left. */
static void apply_torn(struct sim_disk *d, struct buffer *bytes, const struct change *change)
{
    struct span whole = buffer_span(&change->bytes);
    size_t place = (size_t)prng_below(&d->prng, whole.len + 1);
    if (prng_below(&d->prng, 2) == 0)
        write_at(bytes, change->offset, span_of(whole.at, place));
    else
        write_at(bytes, change->offset + place, span_skip(whole, place));
}

/* Chance decides which changes reached the platter. */
static void settle_by_chance(struct sim_disk *d, struct sim_file *file)
{
    for (const struct change *change = file->changes; change != NULL; change = change->next) {
        uint64_t fate = prng_below(&d->prng, 3);
        if (fate == 0)
            apply_change(&file->durable, change);
        else if (fate == 1 && change->kind == CHANGE_WRITE)
            apply_torn(d, &file->durable, change);
    }
    drop_changes(file);
}

static void settle_all(struct sim_file *file)
{
    for (const struct change *change = file->changes; change != NULL; change = change->next)
        apply_change(&file->durable, change);
    drop_changes(file);
}

/* Names */

static struct sim_name **find_name(struct sim_name **list, const char *name)
{
    while (*list != NULL && strcmp((*list)->name, name) != 0)
        list = &(*list)->next;
    return list;
}

static void drop_name(struct sim_name **list, const char *name)
{
    struct sim_name **place = find_name(list, name);
    struct sim_name *entry = *place;
    if (entry == NULL)
        return;
    *place = entry->next;
    drop_file(entry->file);
    mem_free(entry);
}

static struct sim_name *add_name(struct sim_name **list, const char *name, struct sim_file *file)
{
    struct sim_name *entry = mem_zalloc(sizeof *entry);
    while (*list != NULL)
        list = &(*list)->next;
    *list = entry;
    CHECK(strlen(name) < sizeof entry->name);
    memcpy(entry->name, name, strlen(name) + 1);
    entry->file = file;
    if (file != NULL)
        file->references++;
    return entry;
}

static void apply_name_change(struct sim_name **list, const struct sim_name *change)
{
    if (change->file != NULL)
        change->file->references++; /* stays while the old names go */
    drop_name(list, change->name);
    drop_name(list, change->renamed_from);
    if (change->file != NULL)
        add_name(list, change->name, change->file);
    drop_file(change->file);
}

static void change_name(struct sim_disk *d, const char *name, const char *renamed_from,
                        struct sim_file *file)
{
    struct sim_name *change = add_name(&d->name_changes, name, file);
    memcpy(change->renamed_from, renamed_from, strlen(renamed_from) + 1);
    apply_name_change(&d->names, change);
}

static void drop_names(struct sim_name **list)
{
    while (*list != NULL)
        drop_name(list, (*list)->name);
}

/* Faults */

/* Counts a call that changes something; nonzero when it must fail. */
static int call_fault(struct sim_disk *d)
{
    d->calls++;
    return d->die_at != 0 && d->calls >= d->die_at ? E_IO : E_OK;
}

static int kind_fault(struct sim_disk *d, enum sim_disk_call call)
{
    int err = call_fault(d);
    if (err)
        return err;
    if (d->fail_in[call] == 0 || --d->fail_in[call] > 0)
        return E_OK;
    return d->fail_code[call];
}

/* env/disk.h */

static bool is_stale(struct sim_disk *d, const struct disk_file *file)
{
    return file->epoch != d->epoch;
}

static int sim_open(struct disk *disk, const char *name, bool create, struct disk_file **out)
{
    struct sim_disk *d = self(disk);
    CHECK(strlen(name) > 0 && strlen(name) < DISK_NAME_MAX);
    struct sim_name *entry = *find_name(&d->names, name);
    if (entry == NULL) {
        if (!create)
            return fail(d, E_MISSING, name, "open");
        if (call_fault(d))
            return fail(d, E_IO, name, "open");
        change_name(d, name, "", mem_zalloc(sizeof(struct sim_file)));
        entry = *find_name(&d->names, name);
    }
    struct disk_file *file = mem_zalloc(sizeof *file);
    *file = (struct disk_file){ .file = entry->file, .epoch = d->epoch };
    memcpy(file->name, name, strlen(name) + 1);
    entry->file->references++;
    *out = file;
    return E_OK;
}

static void sim_close(struct disk *disk, struct disk_file *file)
{
    (void)disk;
    drop_file(file->file);
    mem_free(file);
}

static int sim_size(struct disk *disk, struct disk_file *file, uint64_t *bytes)
{
    if (is_stale(self(disk), file))
        return fail(self(disk), E_IO, file->name, "size");
    *bytes = file->file->cached.len;
    return E_OK;
}

static int sim_allocate(struct disk *disk, struct disk_file *file, uint64_t bytes)
{
    struct sim_disk *d = self(disk);
    int err = is_stale(d, file) ? E_IO : kind_fault(d, SIM_DISK_ALLOCATE);
    if (err)
        return fail(d, err, file->name, "allocate");
    add_change(file->file, CHANGE_ALLOCATE, bytes, span_of(NULL, 0));
    return E_OK;
}

static int sim_truncate(struct disk *disk, struct disk_file *file, uint64_t bytes)
{
    struct sim_disk *d = self(disk);
    if (is_stale(d, file) || call_fault(d))
        return fail(d, E_IO, file->name, "truncate");
    add_change(file->file, CHANGE_TRUNCATE, bytes, span_of(NULL, 0));
    return E_OK;
}

static int sim_write(struct disk *disk, struct disk_file *file, uint64_t offset, struct span bytes)
{
    struct sim_disk *d = self(disk);
    int err = is_stale(d, file) ? E_IO : kind_fault(d, SIM_DISK_WRITE);
    if (err && !is_stale(d, file))
        bytes.len = (size_t)prng_below(&d->prng, bytes.len + 1);
    if (!is_stale(d, file))
        add_change(file->file, CHANGE_WRITE, offset, bytes);
    return err ? fail(d, err, file->name, "write") : E_OK;
}

static int sim_read(struct disk *disk, struct disk_file *file, uint64_t offset, size_t want,
                    struct buffer *out)
{
    if (is_stale(self(disk), file))
        return fail(self(disk), E_IO, file->name, "read");
    struct span rest = span_skip(buffer_span(&file->file->cached), (size_t)offset);
    buffer_put_bytes(out, rest.at, rest.len < want ? rest.len : want);
    return E_OK;
}

static int sim_sync(struct disk *disk, struct disk_file *file)
{
    struct sim_disk *d = self(disk);
    int err = is_stale(d, file) ? E_IO : kind_fault(d, SIM_DISK_SYNC);
    if (err == E_OK)
        settle_all(file->file);
    else if (!is_stale(d, file))
        settle_by_chance(d, file->file);
    return err ? fail(d, err, file->name, "sync") : E_OK;
}

static int sim_rename(struct disk *disk, const char *from, const char *to)
{
    struct sim_disk *d = self(disk);
    struct sim_name *entry = *find_name(&d->names, from);
    if (entry == NULL)
        return fail(d, E_MISSING, from, "rename");
    if (call_fault(d))
        return fail(d, E_IO, from, "rename");
    char renamed_from[DISK_NAME_MAX];
    memcpy(renamed_from, entry->name, sizeof renamed_from);
    change_name(d, to, renamed_from, entry->file);
    return E_OK;
}

static int sim_remove(struct disk *disk, const char *name)
{
    struct sim_disk *d = self(disk);
    if (*find_name(&d->names, name) == NULL)
        return fail(d, E_MISSING, name, "remove");
    if (call_fault(d))
        return fail(d, E_IO, name, "remove");
    change_name(d, name, "", NULL);
    return E_OK;
}

static int sim_sync_names(struct disk *disk)
{
    struct sim_disk *d = self(disk);
    int err = kind_fault(d, SIM_DISK_SYNC_NAMES);
    if (err)
        return fail(d, err, "directory", "sync");
    for (const struct sim_name *change = d->name_changes; change != NULL; change = change->next)
        apply_name_change(&d->durable_names, change);
    drop_names(&d->name_changes);
    return E_OK;
}

static int sim_list(struct disk *disk, void (*each)(void *context, const char *name), void *context)
{
    for (const struct sim_name *entry = self(disk)->names; entry != NULL; entry = entry->next)
        each(context, entry->name);
    return E_OK;
}

static const struct disk_ops sim_disk_ops = {
    .open = sim_open,
    .close = sim_close,
    .size = sim_size,
    .allocate = sim_allocate,
    .truncate = sim_truncate,
    .write = sim_write,
    .read = sim_read,
    .sync = sim_sync,
    .rename = sim_rename,
    .remove = sim_remove,
    .sync_names = sim_sync_names,
    .list = sim_list,
};

/* The world's side */

void sim_disk_init(struct sim_disk *d, uint64_t seed)
{
    *d = (struct sim_disk){ .disk.ops = &sim_disk_ops };
    prng_seed(&d->prng, seed);
}

void sim_disk_release(struct sim_disk *d)
{
    drop_names(&d->names);
    drop_names(&d->durable_names);
    drop_names(&d->name_changes);
}

void sim_disk_copy(struct sim_disk *to, const struct sim_disk *from)
{
    CHECK(to->names == NULL && to->durable_names == NULL);
    for (const struct sim_name *entry = from->names; entry != NULL; entry = entry->next) {
        struct sim_file *file = mem_zalloc(sizeof *file);
        buffer_put(&file->cached, buffer_span(&entry->file->cached));
        buffer_put(&file->durable, buffer_span(&entry->file->cached));
        add_name(&to->names, entry->name, file);
        add_name(&to->durable_names, entry->name, file);
    }
}

void sim_disk_crash(struct sim_disk *d)
{
    for (const struct sim_name *change = d->name_changes; change != NULL; change = change->next) {
        if (prng_below(&d->prng, 2) == 0)
            apply_name_change(&d->durable_names, change);
    }
    drop_names(&d->name_changes);
    drop_names(&d->names);
    for (const struct sim_name *entry = d->durable_names; entry != NULL; entry = entry->next) {
        struct sim_file *file = entry->file;
        settle_by_chance(d, file);
        buffer_clear(&file->cached);
        buffer_put(&file->cached, buffer_span(&file->durable));
        add_name(&d->names, entry->name, file);
    }
    d->epoch++;
    d->die_at = 0;
}

void sim_disk_fail(struct sim_disk *d, enum sim_disk_call call, uint64_t nth, int code)
{
    d->fail_in[call] = nth;
    d->fail_code[call] = code;
}

static struct sim_file *file_named(const struct sim_disk *d, const char *name)
{
    struct sim_name *list = d->names;
    struct sim_name *entry = *find_name(&list, name);
    return entry == NULL ? NULL : entry->file;
}

void sim_disk_flip(struct sim_disk *d, const char *name, uint64_t offset, unsigned bit)
{
    struct sim_file *file = file_named(d, name);
    CHECK(file != NULL && offset < file->cached.len && bit < 8);
    file->cached.at[offset] ^= (uint8_t)(1u << bit);
    if (offset < file->durable.len)
        file->durable.at[offset] ^= (uint8_t)(1u << bit);
}

void sim_disk_cut(struct sim_disk *d, const char *name, uint64_t bytes)
{
    struct sim_file *file = file_named(d, name);
    CHECK(file != NULL);
    settle_all(file);
    set_size(&file->durable, bytes);
    set_size(&file->cached, bytes);
}

struct span sim_disk_bytes(const struct sim_disk *d, const char *name)
{
    const struct sim_file *file = file_named(d, name);
    return file == NULL ? span_of(NULL, 0) : buffer_span(&file->cached);
}

static bool has_bytes(const struct buffer *file, struct span bytes)
{
    return answer_find(buffer_span(file), bytes) < file->len;
}

static bool stands_in(const struct sim_name *list, struct span bytes)
{
    for (; list != NULL; list = list->next) {
        const struct sim_file *file = list->file;
        if (file != NULL && (has_bytes(&file->cached, bytes) || has_bytes(&file->durable, bytes)))
            return true;
    }
    return false;
}

bool sim_disk_has(const struct sim_disk *d, struct span bytes)
{
    return stands_in(d->names, bytes) || stands_in(d->durable_names, bytes) ||
           stands_in(d->name_changes, bytes);
}
