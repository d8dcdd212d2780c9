#include "sim/selection.h"

#include "base/test.h"

TEST(commands_read_back_as_written)
{
    static const char text[] = "1.0:3,1.2:1-4,3.1:9";
    struct selection_list l;
    struct buffer out = { 0 };
    EXPECT(selection_take_commands(span_str(text), &l));
    selection_put_commands(&out, &l);
    EXPECT_TEXT(buffer_span(&out), text);
    EXPECT(selection_has(&l, selection_command(0, 2, 4)));
    EXPECT(!selection_has(&l, selection_command(0, 2, 5)));
    EXPECT(!selection_has(&l, selection_command(1, 2, 4)));
    EXPECT_EQ(l.count, 6);
    buffer_release(&out);
    selection_release(&l);
}

TEST(none_is_an_empty_list_and_no_list_is_everything)
{
    struct selection_list l = { 0 };
    struct buffer out = { 0 };
    EXPECT(selection_has(&l, 17));
    EXPECT(selection_take_faults(span_str("none"), &l));
    EXPECT(!selection_has(&l, 17));
    selection_put_faults(&out, &l);
    EXPECT_TEXT(buffer_span(&out), "none");
    buffer_release(&out);
}

TEST(what_is_no_list_is_refused)
{
    static const char *const WRONG[] = { "", "x", "0", "5-3", "3,2", "1.1:3", "-4", "3,,4" };
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        struct selection_list l;
        bool taken = selection_take_faults(span_str(WRONG[i]), &l);
        selection_release(&l);
        EXPECT(!taken);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
