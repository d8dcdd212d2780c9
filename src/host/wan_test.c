#include "host/wan.h"

#include "base/test.h"

#define HEADER "region,city,latitude,longitude,timezone,"

static bool parses(const char *text, struct wan *w)
{
    struct buffer errors = { 0 };
    bool good = wan_parse("w.csv", span_str(text), w, &errors);
    buffer_release(&errors);
    return good;
}

/* The errors of a bad file, good until the next call. */
static struct span errors_of(const char *text)
{
    static struct buffer errors;
    struct wan w;
    buffer_release(&errors);
    if (wan_parse("w.csv", span_str(text), &w, &errors))
        wan_release(&w);
    return buffer_span(&errors);
}

TEST(the_builtin_matrix_holds_every_demo_place)
{
    struct wan w;
    wan_builtin(&w);
    for (size_t i = 0; i < WAN_DEMO_PLACES; i++) {
        EXPECT(wan_place_named(&w, wan_demo_order[i]) != NULL);
        for (size_t j = 0; j < i; j++)
            EXPECT(wan_round_trip_ms(&w, wan_demo_order[i], wan_demo_order[j]) > 1);
    }
    EXPECT_EQ(wan_round_trip_ms(&w, "us-east", "eu-de"), 91);
    wan_release(&w);
}

TEST(directions_that_differ_are_averaged)
{
    struct wan w;
    EXPECT(parses(HEADER "a,b\na,A,1,2,UTC,0.1,10\nb,B,3,4,UTC,13,0.1\n", &w));
    EXPECT(wan_round_trip_ms(&w, "a", "b") == 11.5);
    EXPECT(wan_round_trip_ms(&w, "b", "a") == 11.5);
    EXPECT(wan_round_trip_ms(&w, "a", "a") == 0.1);
    wan_release(&w);
}

TEST(what_was_not_measured_is_unknown)
{
    struct wan w;
    EXPECT(parses(
        "# a comment\n\n" HEADER "c,a\r\na,A,1,2,UTC,,0\r\nb,B,3,4,UTC,,7\r\nc,C,5,6,UTC,0,", &w));
    EXPECT(wan_round_trip_ms(&w, "a", "b") == 7);
    EXPECT(wan_round_trip_ms(&w, "b", "a") == 7);
    EXPECT(wan_round_trip_ms(&w, "b", "c") == -1);
    EXPECT(wan_round_trip_ms(&w, "a", "c") == -1);
    EXPECT(wan_round_trip_ms(&w, "a", "nowhere") == -1);
    EXPECT(wan_place_named(&w, "nowhere") == NULL);
    wan_release(&w);
}

TEST(a_place_has_what_its_line_says)
{
    struct wan w;
    EXPECT(parses(HEADER "x\nx, Sao Paulo ,-23.55,-46.63,America/Sao_Paulo,0.1\n", &w));
    const struct wan_place *place = wan_place_named(&w, "x");
    EXPECT_TEXT(span_str(place->city), "Sao Paulo");
    EXPECT_TEXT(span_str(place->timezone), "America/Sao_Paulo");
    EXPECT(place->latitude == -23.55 && place->longitude == -46.63);
    wan_release(&w);
}

TEST(every_bad_line_is_named)
{
    EXPECT_TEXT(errors_of(HEADER "a\n"
                                 "a,A,95,2,UTC,0\n"
                                 "a,A,5,2,UTC\n"
                                 "b,B,5,east,UTC,slow\n"
                                 "b,B,5,6,UTC,1\n"
                                 ",B,5,6,UTC,1\n"
                                 "c,C,5,6,UTC,-4\n"
                                 "d,\"D\",5,6,UTC,4\n"),
                "w.csv:2: latitude 95 is out of range -90..90\n"
                "w.csv:3: 5 cells, but the first line names 6 columns\n"
                "w.csv:4: expected a longitude, got \"east\"\n"
                "w.csv:4: expected a round trip, got \"slow\"\n"
                "w.csv:5: b is already in line 4\n"
                "w.csv:6: a region needs a name of 1 to 63 characters\n"
                "w.csv:7: round trip -4 is out of range 0..60000\n"
                "w.csv:8: cells may hold no quotes and no zero bytes\n");
}

TEST(a_column_needs_a_line)
{
    EXPECT_TEXT(errors_of(HEADER "a,z\na,A,1,2,UTC,0,1\n"),
                "w.csv:1: the column \"z\" has no line of its own\n");
}

TEST(a_file_of_another_kind_is_one_error)
{
    EXPECT_TEXT(errors_of("hello\nworld\n"),
                "w.csv:1: the first line must name the columns "
                "region,city,latitude,longitude,timezone and regions\n");
    EXPECT_TEXT(errors_of(""), "w.csv: holds no region\n");
    EXPECT_TEXT(errors_of(HEADER "a\n"), "w.csv: holds no region\n");
}

TEST(a_missing_file_and_a_directory_are_errors)
{
    struct wan w;
    struct buffer errors = { 0 };
    EXPECT(!wan_load("/no/such/file.csv", &w, &errors));
    EXPECT(!wan_load("/tmp", &w, &errors));
    EXPECT_TEXT(buffer_span(&errors),
                "/no/such/file.csv: cannot be read: No such file or directory\n"
                "/tmp: cannot be read: Is a directory\n");
    buffer_release(&errors);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
