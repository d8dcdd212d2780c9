/* A photo and a comment on it, made by somebody who has seen the photo, in three regions: the one who reads
 * both hears of the photo's region late. */
#include "base/test.h"
#include "sim/answer.h"
#include "sim/quiet.h"

enum { ROUNDS = 40, SLOW_US = 150 * 1000, QUICK_US = 2000, LOOK_US = 1000, LOOKS_MAX = 2000 };

static struct quiet q;

/* A's and C's regions are far from each other, B's is near to both. */
static void begin(uint64_t seed)
{
    quiet_open(&q, &(struct quiet_options){ .seed = seed });
    for (int a = 0; a < QUIET_REGIONS; a++) {
        for (int b = 0; b < QUIET_REGIONS; b++)
            q.world.plan.delay_us[a][b] = a + b == 2 && a != b ? SLOW_US : QUICK_US;
    }
}

static void say(struct sim_client *c, const char *command, int round)
{
    char text[80];
    snprintf(text, sizeof(text), "%s:%d here\r\n", command, round);
    quiet_send(&q, c, span_str(text));
    quiet_taken(c, quiet_await(&q, c));
}

/* Whether both keys of the round are there: the comment's was read first. */
static void look(struct sim_client *c, int round, bool *comment, bool *photo)
{
    char text[80];
    struct span value;
    snprintf(text, sizeof(text), "GET comment:%d\r\n", round);
    quiet_send(&q, c, span_str(text));
    *comment = answer_text(quiet_await(&q, c), &value);
    quiet_taken(c, quiet_reply(c));
    snprintf(text, sizeof(text), "GET photo:%d\r\n", round);
    quiet_send(&q, c, span_str(text));
    *photo = answer_text(quiet_await(&q, c), &value);
    quiet_taken(c, quiet_reply(c));
}

/* *alone: how often C saw the comment without the photo. */
static void run_rounds(int *alone)
{
    struct sim_client *a = quiet_client(&q, 0), *b = quiet_client(&q, 1), *c = quiet_client(&q, 2);
    *alone = 0;
    for (int round = 0; round < ROUNDS && !q.world.failed; round++) {
        bool comment = false, photo = false;
        say(a, "SET photo", round);
        for (int i = 0; i < LOOKS_MAX && !photo; i++) {
            look(b, round, &comment, &photo);
            quiet_run_for(&q, LOOK_US);
        }
        EXPECT(photo);
        say(b, "SET comment", round);
        for (int i = 0; i < LOOKS_MAX && !comment; i++) {
            look(c, round, &comment, &photo);
            *alone += comment && !photo;
            quiet_run_for(&q, LOOK_US);
        }
        EXPECT(comment);
    }
}

TEST(a_comment_is_never_seen_without_its_photo)
{
    for (uint64_t seed = test_seed(); seed < test_seed() + 5; seed++) {
        begin(seed);
        int alone;
        run_rounds(&alone);
        EXPECT_EQ(alone, 0);
        EXPECT(!q.world.failed);
        quiet_settle(&q);
        quiet_close(&q);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
