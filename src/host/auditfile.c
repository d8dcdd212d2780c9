#include "host/auditfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "node/report.h"
#include "policy/origin.h"

enum { HEAD_BYTES = 20 + 1 + AUDITFILE_HASH_TEXT + 1, TAIL_BYTES = 4 * AUDITFILE_LINE_MAX };

#define HASH_FIELD ",\"h\":\""

/* --- hashes --- */

void auditfile_hash(uint8_t hash[AUDITFILE_HASH_BYTES], struct span bytes)
{
    XXH3_state_t *state = XXH3_createState();
    XXH128_canonical_t made;

    CHECK(state != NULL);
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, hash, AUDITFILE_HASH_BYTES);
    XXH3_128bits_update(state, bytes.at, bytes.len);
    XXH128_canonicalFromHash(&made, XXH3_128bits_digest(state));
    memcpy(hash, &made, AUDITFILE_HASH_BYTES);
    XXH3_freeState(state);
}

void auditfile_hash_text(const uint8_t hash[AUDITFILE_HASH_BYTES],
                         char text[AUDITFILE_HASH_TEXT + 1])
{
    for (int i = 0; i < AUDITFILE_HASH_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

static int digit_of(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hash(struct span text, uint8_t hash[AUDITFILE_HASH_BYTES])
{
    for (size_t i = 0; i < AUDITFILE_HASH_BYTES; i++) {
        int high = digit_of(text.at[2 * i]), low = digit_of(text.at[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        hash[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Of the digits at the front; how many there are. */
static size_t take_number(struct span text, uint64_t *number)
{
    size_t at = 0;

    *number = 0;
    for (; at < text.len && at < 19 && text.at[at] >= '0' && text.at[at] <= '9'; at++)
        *number = *number * 10 + (uint64_t)(text.at[at] - '0');
    return at;
}

bool auditfile_take_line(struct span line, struct auditfile_link *link, struct span *hashed)
{
    const size_t field = strlen(HASH_FIELD), end = field + AUDITFILE_HASH_TEXT + 2;
    const struct span begin = span_str("{\"n\":");
    size_t digits;

    if (line.len < begin.len + end || !span_equal(span_of(line.at, begin.len), begin))
        return false;
    *hashed = span_of(line.at, line.len - end);
    digits = take_number(span_skip(*hashed, begin.len), &link->number);
    return digits > 0 && span_equal(span_of(line.at + hashed->len, field), span_str(HASH_FIELD)) &&
           span_equal(span_of(line.at + line.len - 2, 2), span_str("\"}")) &&
           take_hash(span_skip(line, hashed->len + field), link->hash);
}

bool auditfile_take_head(struct span text, struct auditfile_link *link)
{
    return text.len == HEAD_BYTES && take_number(span_skip(text, 1), &link->number) == 19 &&
           take_hash(span_skip(text, 21), link->hash);
}

/* --- a line --- */

static void put_text(struct buffer *out, const char *name, const char *text)
{
    buffer_printf(out, ",\"%s\":", name);
    report_json_string(out, text);
}

static void put_number(struct buffer *out, const char *name, uint64_t number)
{
    buffer_printf(out, ",\"%s\":%" PRIu64, name, number);
}

static void put_stamp(struct buffer *out, const char *name, stamp_t stamp)
{
    buffer_printf(out, ",\"%s\":\"0x%" PRIx64 "\"", name, stamp);
}

/* What stands in f->line already was torn; the line comes behind it. Returns where it begins. */
static size_t begin_line(struct auditfile *f, uint64_t ms, const char *event)
{
    size_t at = f->line.len;

    buffer_printf(&f->line, "{\"n\":%" PRIu64 ",\"ms\":%" PRIu64, f->last.number + 1, ms);
    put_text(&f->line, "ev", event);
    return at;
}

static void end_line(struct auditfile *f, size_t at)
{
    char text[AUDITFILE_HASH_TEXT + 1];

    auditfile_hash(f->last.hash, buffer_span(&f->line));
    auditfile_hash_text(f->last.hash, text);
    f->last.number++;
    buffer_put(&f->bytes, span_skip(buffer_span(&f->line), at));
    buffer_printf(&f->bytes, HASH_FIELD "%s\"}\n", text);
    buffer_clear(&f->line);
}

static const char *name_of(const struct deployment *d, uint8_t region)
{
    const struct region *r = deployment_region_with_id(d, region);

    return r != NULL ? r->name : "unknown";
}

static uint32_t fence_of(const struct deployment *d, const struct audit_key *key)
{
    switch (key->what) {
    case AUDIT_LOG:
        return origin_fence(d, (uint8_t)key->item);
    case AUDIT_OBJECTS:
        return key->item;
    case AUDIT_COMMANDS:
    case AUDIT_ANSWERS:
    case AUDIT_PARTS:
        return d->keyspaces[key->item].fence;
    }
    return 0;
}

static void put_flow(struct auditfile *f, const struct audit_key *key)
{
    static const char *const WHATS[] = { "log", "objects", "commands", "answers", "parts" };
    const struct deployment *d = f->deployment;

    put_text(&f->line, "what", WHATS[key->what]);
    put_text(&f->line, "peer", name_of(d, key->peer));
    put_text(&f->line, "fence", d->fences[fence_of(d, key)].name);
    if (key->what == AUDIT_LOG) {
        put_number(&f->line, "origin", key->item);
        put_text(&f->line, "writer", name_of(d, origin_region(d, (uint8_t)key->item)));
    } else if (key->what != AUDIT_OBJECTS) {
        put_text(&f->line, "keyspace", d->keyspaces[key->item].prefix);
    }
}

void auditfile_add(struct auditfile *f, const struct audit_line *line)
{
    static const char *const EVENTS[] = { "begins", "sent", "taken" };
    size_t at = begin_line(f, line->ms, EVENTS[line->event]);
    bool begins = line->event == AUDIT_BEGINS;

    put_flow(f, &line->key);
    if (line->key.what == AUDIT_LOG)
        put_stamp(&f->line, "from", line->from);
    if (line->key.what == AUDIT_LOG && !begins)
        put_stamp(&f->line, "to", line->to);
    if (line->again)
        buffer_put_text(&f->line, ",\"again\":true");
    if (!begins) {
        put_number(&f->line, "count", line->count);
        put_number(&f->line, "bytes", line->bytes);
    }
    end_line(f, at);
}

/* --- writing --- */

/* Also while only the head is lacking: auditfile_write empties the bytes when all is done. */
bool auditfile_is_pending(const struct auditfile *f)
{
    return f->bytes.len > 0;
}

static bool fail(struct auditfile *f, const char *what, const char *name)
{
    snprintf(f->problem, sizeof(f->problem), "cannot %s %.200s%s: %s", what, f->path, name,
             strerror(errno));
    return false;
}

static bool append(struct auditfile *f)
{
    while (f->done < f->bytes.len) {
        ssize_t wrote = write(f->file, f->bytes.at + f->done, f->bytes.len - f->done);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return fail(f, "write", "");
        f->done += (size_t)wrote;
    }
    return true;
}

static bool write_head(struct auditfile *f)
{
    char hash[AUDITFILE_HASH_TEXT + 1], text[HEAD_BYTES + 1];

    auditfile_hash_text(f->last.hash, hash);
    snprintf(text, sizeof(text), "%020" PRIu64 " %s\n", f->last.number, hash);
    if (pwrite(f->head, text, HEAD_BYTES, 0) == HEAD_BYTES)
        return true;
    snprintf(f->problem, sizeof(f->problem), "cannot write %s beside %.200s: %s",
             AUDITFILE_HEAD_NAME, f->path, strerror(errno));
    return false;
}

bool auditfile_write(struct auditfile *f)
{
    if (f->unsynced || !append(f))
        return false;
    if (fdatasync(f->file) != 0) {
        f->unsynced = true;
        return fail(f, "sync", ": restart when its disk is mended");
    }
    if (!write_head(f))
        return false;
    buffer_empty(&f->bytes, AUDITFILE_LINE_MAX);
    f->done = 0;
    return true;
}

/* --- opening --- */

static int open_one(struct auditfile *f, const char *directory, const char *name, int flags)
{
    int fd = -1;

    if (snprintf(f->path, sizeof(f->path), "%s/%s", directory, name) < (int)sizeof(f->path))
        fd = open(f->path, flags | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        fail(f, "open", "");
    return fd;
}

static bool read_head(struct auditfile *f, struct auditfile_link *link)
{
    char text[HEAD_BYTES + 1];
    ssize_t got = pread(f->head, text, sizeof(text), 0);

    return got > 0 && auditfile_take_head(span_of(text, (size_t)got), link);
}

/* The last whole line in `tail`; what comes behind it was torn. A line that lacks only its end is
 * whole. */
static bool find_last(struct auditfile *f, struct span tail, bool from_begin)
{
    size_t after = 0, begin = 0;
    bool found = false, starts = from_begin, ended = true;
    struct auditfile_link link;
    struct span hashed;

    for (size_t i = 0; i <= tail.len; i++) {
        if (i < tail.len && tail.at[i] != '\n')
            continue;
        if (starts && auditfile_take_line(span_of(tail.at + begin, i - begin), &link, &hashed)) {
            f->last = link;
            found = true;
            ended = i < tail.len;
            after = ended ? i + 1 : i;
        }
        starts = true; /* of a tail, the first is the end of some line */
        begin = i + 1;
    }
    f->torn = tail.len - after;
    buffer_put(&f->line, span_skip(tail, after));
    if (!ended || (f->torn > 0 && tail.at[tail.len - 1] != '\n'))
        buffer_put_u8(&f->bytes, '\n');
    if (f->torn > 0 && tail.at[tail.len - 1] != '\n')
        buffer_put_u8(&f->line, '\n');
    return found;
}

static bool read_tail(struct auditfile *f)
{
    struct stat status;
    size_t want;
    ssize_t got;
    bool found = true;

    if (fstat(f->file, &status) != 0)
        return fail(f, "read", "");
    want = status.st_size < TAIL_BYTES ? (size_t)status.st_size : TAIL_BYTES;
    struct buffer tail = { 0 };
    got = want == 0 ? 0
                    : pread(f->file, buffer_room(&tail, want), want, status.st_size - (off_t)want);
    if (got < (ssize_t)want)
        found = fail(f, "read", "");
    tail.len = want;
    if (found && want > 0 && !find_last(f, buffer_span(&tail), want == (size_t)status.st_size) &&
        want < (size_t)status.st_size) {
        snprintf(f->problem, sizeof(f->problem),
                 "%.200s does not end as an audit file does: move it away, and see meridian audit",
                 f->path);
        found = false;
    }
    buffer_release(&tail);
    return found;
}

/* What stands there, and where the chain goes on. */
static bool look(struct auditfile *f)
{
    struct auditfile_link head;

    if (!read_tail(f))
        return false;
    if (!read_head(f, &head) || head.number <= f->last.number)
        return true;
    struct stat status;
    bool empty = fstat(f->file, &status) == 0 && status.st_size == 0;
    if (empty) { /* the file was put away: another goes on */
        f->last = head;
        return true;
    }
    f->lost = head.number - f->last.number;
    f->last.number = head.number;
    return true;
}

static void add_start(struct auditfile *f, const struct region *self, uint64_t run, uint64_t now_ms)
{
    char prev[AUDITFILE_HASH_TEXT + 1];
    size_t at = begin_line(f, now_ms, "start");

    auditfile_hash_text(f->last.hash, prev);
    put_number(&f->line, "format", AUDITFILE_FORMAT);
    put_text(&f->line, "deployment", f->deployment->name);
    put_text(&f->line, "region", self->name);
    put_number(&f->line, "run", run);
    put_text(&f->line, "prev", prev);
    if (f->torn > 0)
        put_number(&f->line, "torn", f->torn);
    if (f->lost > 0)
        put_number(&f->line, "lost", f->lost);
    end_line(f, at);
}

static void release(struct auditfile *f)
{
    if (f->file >= 0)
        close(f->file);
    if (f->head >= 0)
        close(f->head);
    buffer_release(&f->line);
    buffer_release(&f->bytes);
    f->file = f->head = -1;
    f->done = 0;
}

/* Their names are to outlast a crash. */
static bool sync_names(struct auditfile *f, const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return synced || fail(f, "make", "");
}

bool auditfile_open(struct auditfile *f, const char *directory, const struct deployment *deployment,
                    const struct region *self, uint64_t run, uint64_t now_ms)
{
    *f = (struct auditfile){ .deployment = deployment, .file = -1, .head = -1 };
    f->head = open_one(f, directory, AUDITFILE_HEAD_NAME, O_RDWR);
    if (f->head >= 0)
        f->file = open_one(f, directory, AUDITFILE_NAME, O_RDWR | O_APPEND);
    if (f->file >= 0 && look(f)) {
        add_start(f, self, run, now_ms);
        if (sync_names(f, directory) && auditfile_write(f))
            return true;
    }
    release(f);
    return false;
}

bool auditfile_close(struct auditfile *f, uint64_t now_ms)
{
    bool written;

    end_line(f, begin_line(f, now_ms, "stop"));
    written = auditfile_write(f);
    release(f);
    return written;
}
