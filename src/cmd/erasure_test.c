/* What ERASE asks for, and in which keyspaces; what comes of it is node/erase.h's. */
#include "cmd/erasure.h"

#include "cmd/trial.h"

static char *copy(const char *text)
{
    return strcpy(mem_alloc(strlen(text) + 1), text);
}

static void add(struct deployment *d, const char *prefix, uint8_t fence)
{
    struct keyspace *k = deployment_add_keyspace(d);

    k->prefix = copy(prefix);
    k->prefix_bytes = strlen(prefix);
    k->fence = fence;
}

/* We are region 1; the fence holds region 2. */
static void prepare(struct deployment *d)
{
    for (uint8_t i = 0; i < 2; i++) {
        struct region *r = deployment_add_region(d);

        r->name = copy(i == 0 ? "us-east" : "eu-de");
        r->id = (uint8_t)(i + 1);
    }
    struct fence *f = deployment_add_fence(d);
    f->name = copy("europe");
    fence_add(f, 2);
    add(d, "user:", 0);
    add(d, "user:vip:", 0);
    add(d, "zebra:", 0);
    add(d, "eu:", 1);
}

struct search {
    const char *keyspace, *name;
    bool prefix;
    size_t found, all;
};

static void compare(void *context, const struct erasure *e)
{
    struct search *s = context;

    s->all++;
    s->found += span_equal(e->name, span_str(s->name)) && e->prefix == s->prefix &&
                strcmp(server_prefix(&world.server, e->keyspace), s->keyspace) == 0;
}

static bool is_asked(const char *keyspace, const char *name, bool prefix)
{
    struct search s = { .keyspace = keyspace, .name = name, .prefix = prefix };

    erasure_each(&world.server, compare, &s);
    return s.found == 1;
}

static size_t asked_count(void)
{
    struct search s = { .keyspace = "", .name = "" };

    erasure_each(&world.server, compare, &s);
    return s.all;
}

TEST(the_words_key_and_prefix_without_a_name_are_no_prefix)
{
    open_world_with(prepare);
    EXPECT_REPLY("ERASE KEY", SYNTAX);
    EXPECT_REPLY("ERASE key", SYNTAX);
    EXPECT_REPLY("ERASE PREFIX", SYNTAX);
    EXPECT_REPLY("ERASE PREFIX a b", SYNTAX);
    EXPECT_REPLY("ERASE STATUS a b", SYNTAX);
    EXPECT_EQ(asked_count(), 0);
    EXPECT_REPLY("ERASE PREFIX KEY", "OK"); /* who means it can say it */
    EXPECT(is_asked("", "KEY", true));
    EXPECT_REPLY("ERASE KEY PREFIX", "OK");
    EXPECT(is_asked("", "PREFIX", false));
    EXPECT_REPLY("ERASE KEYS:", "OK");
    EXPECT(is_asked("", "KEYS:", true));
    close_world();
}

TEST(keys_are_asked_for_in_their_own_keyspaces_alone)
{
    open_world_with(prepare);
    EXPECT_REPLY("ERASE KEY user: user:vip:1 u", "OK");
    EXPECT_EQ(asked_count(), 3);
    EXPECT(is_asked("user:", "user:", false));
    EXPECT(is_asked("user:vip:", "user:vip:1", false));
    EXPECT(is_asked("", "u", false));
    close_world();
}

TEST(a_prefix_is_asked_for_in_every_keyspace_that_it_reaches)
{
    open_world_with(prepare);
    EXPECT_REPLY("ERASE use", "OK");
    EXPECT_EQ(asked_count(), 3);
    EXPECT(is_asked("", "use", true));
    EXPECT(is_asked("user:", "use", true));
    EXPECT(is_asked("user:vip:", "use", true));
    EXPECT_REPLY("ERASE user:vip:", "OK");
    EXPECT_EQ(asked_count(), 4);
    EXPECT(is_asked("user:vip:", "user:vip:", true));
    close_world();
}

TEST(what_may_not_be_held_here_refuses_all_of_the_command)
{
    open_world_with(prepare);
    execute("ERASE KEY u eu:1");
    EXPECT(world.session.output.at[0] == '-');
    execute("ERASE e");
    EXPECT(world.session.output.at[0] == '-');
    EXPECT_EQ(asked_count(), 0);
    close_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
