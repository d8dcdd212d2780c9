#include "journal.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"

enum { PIECE_BYTES = 65536 };

struct record {
    uint32_t bytes, kind;
    uint64_t file, offset, length, old_size, new_size;
};

struct piece {
    uint64_t offset, length;
};

struct name_entry {
    uint64_t directory, before, after, length;
};

static int journal = -1;
static uint64_t end;

static struct {
    uint8_t *at;
    size_t len, cap;
} out; /* the record that is being made */

static void *room(size_t bytes)
{
    if (out.len + bytes > out.cap) {
        out.cap = 2 * (out.len + bytes);
        out.at = realloc(out.at, out.cap);
        if (out.at == NULL)
            shim_die("no memory for a record");
    }
    void *at = out.at + out.len;
    out.len += bytes;
    return at;
}

static void begin(enum journal_kind kind, const struct journal_change *change)
{
    const struct record record = {
        .kind = kind,
        .file = change->file,
        .offset = change->offset,
        .length = change->length,
        .old_size = change->old_size,
        .new_size = change->new_size,
    };
    out.len = 0;
    memcpy(room(sizeof record), &record, sizeof record);
}

/* One write: a process that is killed leaves all of it or a beginning. */
static uint64_t finish(void)
{
    uint64_t place = end;
    uint32_t bytes = (uint32_t)out.len;
    size_t done = 0;
    memcpy(out.at, &bytes, sizeof bytes);
    while (done < out.len) {
        long wrote = syscall(SYS_pwrite64, journal, out.at + done, out.len - done, end + done);
        if (wrote <= 0)
            shim_die("the journal cannot be written");
        done += (size_t)wrote;
    }
    end += out.len;
    return place;
}

void journal_open(int directory)
{
    struct stat status;
    struct record record;
    journal = (int)syscall(SYS_openat, directory, "journal", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (journal < 0 || fstat(journal, &status) < 0)
        shim_die("the journal cannot be opened");
    while (syscall(SYS_pread64, journal, &record, sizeof record, end) == sizeof record &&
           end + record.bytes <= (uint64_t)status.st_size)
        end += record.bytes;
    syscall(SYS_ftruncate, journal, end);
}

uint64_t journal_place(void)
{
    return end;
}

static bool all_zero(const uint8_t *bytes, size_t count)
{
    return count == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0);
}

/* What is past the end of the file, or zero, is not written down. */
static void put_pieces(const struct journal_change *change)
{
    uint64_t stop = change->offset + change->length;
    if (stop > change->old_size)
        stop = change->old_size;
    for (uint64_t at = change->offset; at < stop;) {
        size_t want = stop - at < PIECE_BYTES ? (size_t)(stop - at) : PIECE_BYTES;
        size_t before = out.len;
        struct piece piece = { .offset = at, .length = want };
        memcpy(room(sizeof piece), &piece, sizeof piece);
        uint8_t *bytes = room(want);
        if (syscall(SYS_pread64, change->reader, bytes, want, at) != (long)want)
            shim_die("old contents cannot be read");
        if (all_zero(bytes, want))
            out.len = before;
        at += want;
    }
}

uint64_t journal_change(enum journal_kind kind, const struct journal_change *change)
{
    begin(kind, change);
    put_pieces(change);
    return finish();
}

void journal_mark(enum journal_kind kind, uint64_t file, uint64_t place)
{
    begin(kind, &(struct journal_change){ .file = file, .offset = place });
    finish();
}

void journal_names(const struct journal_name *names, size_t count)
{
    begin(JOURNAL_NAMES, &(struct journal_change){ .file = names[0].directory });
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(names[i].name);
        struct name_entry entry = {
            .directory = names[i].directory,
            .before = names[i].before,
            .after = names[i].after,
            .length = length,
        };
        memcpy(room(sizeof entry), &entry, sizeof entry);
        memcpy(room(length), names[i].name, length);
    }
    finish();
}
