/* The worked examples do what docs/merge.md and their own first lines say. */
#include "merge/merge.h"

#include <stdio.h>

#include "merge/trial.h"

#ifndef MERGE_EXAMPLES
#error "MERGE_EXAMPLES names the folder of the examples"
#endif

static struct merge_function *example(const char *name)
{
    struct buffer source = { 0 };
    char path[512], problem[256];
    struct merge_function *f;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", MERGE_EXAMPLES, name);
    file = fopen(path, "rb");
    CHECK(file != NULL);
    source.len = fread(buffer_room(&source, MERGE_SOURCE_MAX_BYTES), 1, MERGE_SOURCE_MAX_BYTES,
                       file);
    fclose(file);
    f = merge_compile(name, buffer_span(&source), problem, sizeof(problem));
    if (f == NULL)
        printf("# %s\n", problem);
    CHECK(f != NULL);
    buffer_release(&source);
    return f;
}

/* Runs the example over the values, the oldest first, up to a NULL. */
static struct span merged(const char *name, const char *const *values)
{
    struct merge_function *f = example(name);
    struct merge_version versions[8];
    struct span outcome;
    size_t count = 0;

    for (; values[count] != NULL; count++)
        versions[count] = (struct merge_version){ span_str(values[count]), "us", 1000 + count,
                                                  (1000 + count) << 20 };
    outcome = trial_run(f, versions, count);
    merge_release(f);
    return outcome;
}

#define MERGED(name, ...) merged(name, (const char *const[]){ __VA_ARGS__, NULL })

TEST(carts_are_united_with_the_largest_quantities)
{
    EXPECT_TEXT(MERGED("cart.lua", "{\"tea\":2,\"cup\":1}", "{\"tea\":1,\"jam\":3}"),
                "{\"cup\":1,\"jam\":3,\"tea\":2}");
    EXPECT_TEXT(MERGED("cart.lua", "{\"tea\":2}", "{\"tea\":2}", "{\"tea\":2}"), "{\"tea\":2}");
    EXPECT_TEXT(MERGED("cart.lua", "{}", "{}"), "{}");
    EXPECT_TEXT(MERGED("cart.lua", "{\"tea\":1}"), "{\"tea\":1}");
}

TEST(the_union_of_carts_does_not_depend_on_their_order)
{
    EXPECT_TEXT(MERGED("cart.lua", "{\"a\":1}", "{\"b\":2,\"a\":4}", "{\"c\":3}"),
                "{\"a\":4,\"b\":2,\"c\":3}");
    EXPECT_TEXT(MERGED("cart.lua", "{\"c\":3}", "{\"a\":1}", "{\"b\":2,\"a\":4}"),
                "{\"a\":4,\"b\":2,\"c\":3}");
}

TEST(what_is_no_cart_is_left_to_lww)
{
    EXPECT(trial_holds(MERGED("cart.lua", "{\"tea\":1}", "tea"), "error: cart.lua:"));
    EXPECT(trial_holds(MERGED("cart.lua", "{\"tea\":1}", "{\"tea\":-1}"), "at least 1"));
    EXPECT(trial_holds(MERGED("cart.lua", "{\"tea\":1}", "{\"tea\":1.5}"), "at least 1"));
    EXPECT(trial_holds(MERGED("cart.lua", "{\"tea\":1}", "[7]"), "names items"));
}

TEST(the_highest_bid_wins_as_a_number)
{
    EXPECT_TEXT(MERGED("highest_bid.lua", "99", "100"), "100");
    EXPECT_TEXT(MERGED("highest_bid.lua", "100", "99.99"), "100");
    EXPECT_TEXT(MERGED("highest_bid.lua", "9007199254740993", "9007199254740992"),
                "9007199254740993");
    EXPECT_TEXT(MERGED("highest_bid.lua", "{\"amount\": 7, \"bidder\": \"anna\"}", "5.50",
                       "{\"bidder\":\"bo\",\"amount\":6}"),
                "{\"amount\": 7, \"bidder\": \"anna\"}");
}

TEST(of_equal_bids_the_first_stands)
{
    EXPECT_TEXT(MERGED("highest_bid.lua", "10.0", "10", "10.00"), "10.0");
    EXPECT_TEXT(MERGED("highest_bid.lua", "{\"amount\":10,\"bidder\":\"anna\"}",
                       "{\"amount\":10,\"bidder\":\"bo\"}"),
                "{\"amount\":10,\"bidder\":\"anna\"}");
}

TEST(what_is_no_bid_is_left_to_lww)
{
    EXPECT(trial_holds(MERGED("highest_bid.lua", "10", "much"), "error: highest_bid.lua:"));
    EXPECT(
        trial_holds(MERGED("highest_bid.lua", "10", "{\"bidder\":\"bo\"}"), "without an amount"));
    EXPECT(trial_holds(MERGED("highest_bid.lua", "10", "\"20\""), "without an amount"));
}

TEST(each_field_comes_from_the_newest_version_that_has_it)
{
    EXPECT_TEXT(MERGED("json_fields.lua", "{\"name\":\"Anna\",\"city\":\"Oslo\"}",
                       "{\"city\":\"Rome\",\"age\":30}", "{\"age\":31}"),
                "{\"age\":31,\"city\":\"Rome\",\"name\":\"Anna\"}");
    EXPECT_TEXT(MERGED("json_fields.lua", "{\"a\":1,\"b\":2.5}", "{\"a\":null}"),
                "{\"a\":null,\"b\":2.5}");
}

TEST(fields_are_taken_whole)
{
    EXPECT_TEXT(MERGED("json_fields.lua", "{\"at\":{\"x\":1,\"y\":1},\"tags\":[1,2]}",
                       "{\"at\":{\"x\":2},\"tags\":[]}"),
                "{\"at\":{\"x\":2},\"tags\":[]}");
}

TEST(what_is_no_object_is_left_to_lww)
{
    EXPECT(trial_holds(MERGED("json_fields.lua", "{}", "[1]"), "not a JSON object"));
    EXPECT(trial_holds(MERGED("json_fields.lua", "{}", "7"), "not a JSON object"));
    EXPECT(trial_holds(MERGED("json_fields.lua", "{}", "{\"a\":1,\"a\":2}"), "second time"));
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
