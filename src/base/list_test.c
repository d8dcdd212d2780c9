#include "base/list.h"

#include "base/check.h"
#include "base/test.h"

struct thing {
    int number;
    struct list link;
};

TEST(things_stay_in_order_and_leave_alone)
{
    struct list head;
    struct thing things[5] = { 0 };
    int sum = 0, last = -1;

    list_init(&head);
    EXPECT(list_empty(&head));
    for (int i = 0; i < 5; i++) {
        things[i].number = i;
        EXPECT(!list_linked(&things[i].link));
        list_add_tail(&head, &things[i].link);
        EXPECT(list_linked(&things[i].link));
    }
    list_remove(&things[2].link);
    list_remove(&things[2].link);
    EXPECT(!list_linked(&things[2].link));
    list_each(&head, it)
    {
        struct thing *thing = container_of(it, struct thing, link);

        EXPECT(thing->number > last);
        last = thing->number;
        sum += thing->number;
    }
    EXPECT_EQ(sum, 8);
}

TEST(the_one_visited_may_leave)
{
    struct list head;
    struct thing things[5] = { 0 };
    int visits = 0;

    list_init(&head);
    for (int i = 0; i < 5; i++)
        list_add_tail(&head, &things[i].link);
    list_each(&head, it)
    {
        list_remove(it);
        visits++;
    }
    EXPECT_EQ(visits, 5);
    EXPECT(list_empty(&head));
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
