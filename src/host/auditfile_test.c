#include "host/auditfile.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/test.h"

static char directory[64];
static struct deployment deployment;

static char *copy(const char *text)
{
    return memcpy(mem_alloc(strlen(text) + 1), text, strlen(text) + 1);
}

static void begin(void)
{
    snprintf(directory, sizeof(directory), "/tmp/auditfile-XXXXXX");
    if (mkdtemp(directory) == NULL)
        abort();
    deployment_init(&deployment);
    deployment.name = copy("shop");
    for (uint8_t i = 0; i < 2; i++) {
        struct region *r = deployment_add_region(&deployment);

        r->name = copy(i == 0 ? "eu-de" : "eu-es");
        r->id = (uint8_t)(i + 1);
    }
    struct fence *fence = deployment_add_fence(&deployment);
    fence->name = copy("gdpr");
    fence_add(fence, 1);
    fence_add(fence, 2);
    struct keyspace *k = deployment_add_keyspace(&deployment);
    k->prefix = copy("eu:\"\n");
    k->prefix_bytes = 5;
    k->fence = 1;
    deployment_finish(&deployment);
}

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void end(void)
{
    unlink(path_of(AUDITFILE_NAME));
    unlink(path_of(AUDITFILE_HEAD_NAME));
    rmdir(directory);
    deployment_release(&deployment);
}

static bool open_file(struct auditfile *f, uint64_t run)
{
    return auditfile_open(f, directory, &deployment, &deployment.regions[0], run, 1000);
}

static void add(struct auditfile *f, enum audit_what what, uint16_t item)
{
    auditfile_add(f, &(struct audit_line){ .event = AUDIT_SENT,
                                           .key = { .what = what, .peer = 2, .item = item },
                                           .ms = 5,
                                           .from = 0x10,
                                           .to = 0x20,
                                           .count = 3,
                                           .bytes = 40 });
}

static struct buffer content;

static void read_all(void)
{
    FILE *file = fopen(path_of(AUDITFILE_NAME), "rb");
    size_t got;

    buffer_clear(&content);
    while (file != NULL && (got = fread(buffer_room(&content, 4096), 1, 4096, file)) > 0)
        content.len += got;
    if (file != NULL)
        fclose(file);
}

/* Lines whose hashes are right, from the beginning on, whatever was torn between them; -1: one is wrong. */
static int good_lines(uint64_t *last)
{
    uint8_t hash[AUDITFILE_HASH_BYTES] = { 0 };
    struct auditfile_link link;
    struct span hashed;
    size_t after = 0, begins = 0;
    int good = 0;

    read_all();
    for (size_t i = 0; i < content.len; i++) {
        if (content.at[i] != '\n')
            continue;
        if (auditfile_take_line(span_of(content.at + begins, i - begins), &link, &hashed)) {
            auditfile_hash(hash, span_of(content.at + after,
                                         (size_t)(hashed.at + hashed.len - content.at) - after));
            if (memcmp(hash, link.hash, sizeof(hash)) != 0)
                return -1;
            good++;
            after = i + 1;
            *last = link.number;
        }
        begins = i + 1;
    }
    return good;
}

static bool has(const char *text)
{
    read_all();
    buffer_put_u8(&content, 0);
    return strstr((char *)content.at, text) != NULL;
}

TEST(lines_are_chained_over_starts)
{
    struct auditfile f;
    uint64_t last = 0;
    begin();
    EXPECT(open_file(&f, 7));
    add(&f, AUDIT_LOG, 17);
    add(&f, AUDIT_ANSWERS, 0);
    EXPECT(auditfile_is_pending(&f));
    EXPECT(auditfile_write(&f));
    EXPECT(!auditfile_is_pending(&f));
    EXPECT(auditfile_close(&f, 2000));
    EXPECT(open_file(&f, 8));
    EXPECT(auditfile_close(&f, 3000));
    EXPECT_EQ(good_lines(&last), 6);
    EXPECT_EQ(last, 6);
    EXPECT(
        has("\"ev\":\"sent\",\"what\":\"log\",\"peer\":\"eu-es\",\"fence\":\"gdpr\",\"origin\":17,"
            "\"writer\":\"eu-de\",\"from\":\"0x10\",\"to\":\"0x20\",\"count\":3,\"bytes\":40"));
    EXPECT(has("\"what\":\"answers\",\"peer\":\"eu-es\",\"fence\":\"gdpr\",\"keyspace\":\"eu:"
               "\\\"\\u000a\""));
    EXPECT(has("\"run\":8"));
    end();
}

TEST(a_line_that_a_crash_tore_stays_and_the_next_start_says_so)
{
    struct auditfile f;
    uint64_t last = 0;
    begin();
    EXPECT(open_file(&f, 1));
    add(&f, AUDIT_LOG, 17);
    EXPECT(auditfile_write(&f));
    EXPECT(write(f.file, "{\"n\":3,\"ms\"", 11) == 11);
    auditfile_add(&f, &(struct audit_line){ .key = { .peer = 2, .item = 17 } });
    close(f.file); /* as when the process is killed */
    close(f.head);
    buffer_release(&f.bytes);
    buffer_release(&f.line);
    EXPECT(open_file(&f, 2));
    EXPECT_EQ(f.torn, 11);
    EXPECT(auditfile_close(&f, 2000));
    EXPECT_EQ(good_lines(&last), 4);
    EXPECT_EQ(last, 4);
    EXPECT(has("{\"n\":3,\"ms\"\n{\"n\":3,"));
    EXPECT(has("\"torn\":11"));
    end();
}

TEST(a_line_that_lacks_only_its_end_is_whole)
{
    struct auditfile f;
    uint64_t last = 0;
    begin();
    EXPECT(open_file(&f, 1));
    EXPECT(auditfile_close(&f, 2000));
    read_all();
    EXPECT(truncate(path_of(AUDITFILE_NAME), (off_t)content.len - 1) == 0);
    EXPECT(open_file(&f, 2));
    EXPECT_EQ(f.torn, 0);
    EXPECT_EQ(f.lost, 0);
    EXPECT(auditfile_close(&f, 3000));
    EXPECT_EQ(good_lines(&last), 4);
    end();
}

TEST(a_file_whose_end_was_cut_off_is_found_out)
{
    struct auditfile f;
    begin();
    EXPECT(open_file(&f, 1));
    add(&f, AUDIT_LOG, 17);
    EXPECT(auditfile_write(&f));
    read_all();
    size_t len = content.len;
    add(&f, AUDIT_LOG, 17);
    EXPECT(auditfile_close(&f, 2000));
    EXPECT(truncate(path_of(AUDITFILE_NAME), (off_t)len) == 0);
    EXPECT(open_file(&f, 2));
    EXPECT_EQ(f.lost, 2);
    EXPECT(auditfile_close(&f, 3000));
    EXPECT(has("{\"n\":5,"));
    EXPECT(has("\"lost\":2"));
    end();
}

TEST(a_file_that_was_put_away_is_followed_by_another)
{
    struct auditfile f;
    char text[AUDITFILE_HASH_TEXT + 1];
    begin();
    EXPECT(open_file(&f, 1));
    EXPECT(auditfile_close(&f, 2000));
    auditfile_hash_text(f.last.hash, text);
    EXPECT(unlink(path_of(AUDITFILE_NAME)) == 0);
    EXPECT(open_file(&f, 2));
    EXPECT_EQ(f.lost, 0);
    EXPECT(auditfile_close(&f, 3000));
    EXPECT(has("{\"n\":3,"));
    EXPECT(has(text));
    end();
}

TEST(a_write_that_failed_goes_on_where_it_stopped)
{
    struct auditfile f;
    struct rlimit before, small;
    uint64_t last = 0;
    begin();
    EXPECT(open_file(&f, 1));
    read_all();
    EXPECT(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = (struct rlimit){ content.len + 50, before.rlim_max };
    EXPECT(setrlimit(RLIMIT_FSIZE, &small) == 0);
    add(&f, AUDIT_LOG, 17);
    EXPECT(!auditfile_write(&f)); /* 50 bytes of it, then no more */
    EXPECT(strstr(f.problem, "cannot write") != NULL);
    EXPECT(auditfile_is_pending(&f));
    EXPECT(setrlimit(RLIMIT_FSIZE, &before) == 0);
    EXPECT(auditfile_write(&f));
    EXPECT(auditfile_close(&f, 2000));
    EXPECT_EQ(good_lines(&last), 3);
    end();
}

TEST(a_head_that_could_not_be_written_is_tried_again)
{
    struct auditfile f;
    begin();
    EXPECT(open_file(&f, 1));
    int head = f.head;
    f.head = -1;
    add(&f, AUDIT_LOG, 17);
    EXPECT(!auditfile_write(&f));
    EXPECT(auditfile_is_pending(&f));
    f.head = head;
    EXPECT(auditfile_write(&f));
    EXPECT(!auditfile_is_pending(&f));
    EXPECT(auditfile_close(&f, 2000));
    end();
}

TEST(what_is_no_audit_file_is_left_alone)
{
    struct auditfile f;
    begin();
    FILE *file = fopen(path_of(AUDITFILE_NAME), "wb");
    for (int i = 0; i < 20000; i++)
        fputs("something else\n", file);
    fclose(file);
    EXPECT(!open_file(&f, 1));
    EXPECT(strstr(f.problem, "move it away") != NULL);
    end();
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN);
    return test_main(argc, argv);
}
