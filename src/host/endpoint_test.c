#include "host/endpoint.h"

#include "base/test.h"

/* What a text becomes when written out again, or what is wrong with it. */
static struct span judged(const char *text)
{
    static char written[ENDPOINT_TEXT_MAX];
    struct endpoint e;
    const char *problem = endpoint_parse(text, &e);
    return span_str(problem ? problem : endpoint_text(&e, written));
}

static bool clash(const char *a_text, const char *b_text, bool same_machine)
{
    struct endpoint a, b;
    return !endpoint_parse(a_text, &a) && !endpoint_parse(b_text, &b) &&
           endpoint_clash(&a, &b, same_machine);
}

TEST(names_and_both_kinds_of_address_are_read)
{
    EXPECT_TEXT(judged("0.0.0.0:6379"), "0.0.0.0:6379");
    EXPECT_TEXT(judged("eu-de.example.org:65535"), "eu-de.example.org:65535");
    EXPECT_TEXT(judged("[::1]:1"), "[::1]:1");
    EXPECT_TEXT(judged("6379"), "127.0.0.1:6379");
}

TEST(what_is_no_address_is_refused)
{
    EXPECT_TEXT(judged(""), "is not HOST:PORT");
    EXPECT_TEXT(judged("10.0.0.1"), "is not HOST:PORT");
    EXPECT_TEXT(judged("host:"), "is not HOST:PORT");
    EXPECT_TEXT(judged(":6379"), "is not HOST:PORT");
    EXPECT_TEXT(judged("a host:6379"), "is not HOST:PORT");
    EXPECT_TEXT(judged("host:0"), "has a port out of range 1..65535");
    EXPECT_TEXT(judged("host:65536"), "has a port out of range 1..65535");
    EXPECT_TEXT(judged("::1:6379"), "needs brackets around its IPv6 address, as in [::1]:6379");
    EXPECT_TEXT(judged("[]:6379"), "has no IPv6 address between its brackets");
}

TEST(a_host_longer_than_dns_allows_is_refused)
{
    char text[400];
    memset(text, 'a', sizeof(text));
    memcpy(text + 254, ":6379", 6);
    EXPECT_TEXT(judged(text), "has a host of more than 253 characters");
    memcpy(text + 253, ":6379", 6);
    EXPECT_EQ(judged(text).len, 258);
}

TEST(one_machine_has_one_listener_a_port)
{
    EXPECT(clash("127.0.0.1:1", "127.0.0.1:1", true));
    EXPECT(clash("0.0.0.0:1", "127.0.0.1:1", true));
    EXPECT(!clash("127.0.0.1:1", "127.0.0.2:1", true));
    EXPECT(!clash("127.0.0.1:1", "127.0.0.1:2", true));
}

TEST(two_machines_share_only_addresses_that_are_private_to_each)
{
    EXPECT(clash("10.0.0.1:1", "10.0.0.1:1", false));
    EXPECT(!clash("0.0.0.0:1", "0.0.0.0:1", false));
    EXPECT(!clash("127.0.0.1:1", "127.0.0.1:1", false));
    EXPECT(!clash("0.0.0.0:1", "10.0.0.1:1", false));
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
