#include "cmd/glob.h"

#include "base/prng.h"
#include "base/test.h"

static bool match(const char *pattern, const char *text)
{
    return glob_match(span_str(pattern), span_str(text));
}

TEST(plain_text_matches_itself_only)
{
    EXPECT(match("hello", "hello"));
    EXPECT(!match("hello", "hellO"));
    EXPECT(!match("hello", "hell"));
    EXPECT(!match("hell", "hello"));
    EXPECT(match("", ""));
    EXPECT(!match("", "a"));
    EXPECT(!match("a", ""));
}

TEST(stars_take_any_bytes)
{
    EXPECT(match("*", ""));
    EXPECT(match("*", "anything"));
    EXPECT(match("h*o", "hello"));
    EXPECT(match("h*o", "ho"));
    EXPECT(!match("h*o", "hell"));
    EXPECT(match("h**l*", "hello"));
    EXPECT(match("*ab*ab*", "xabyabz"));
    EXPECT(!match("*ab*ab*", "xabyaz"));
    EXPECT(match("*aab", "aaaab"));
    EXPECT(!match("a*?", "a"));
}

TEST(question_marks_take_one_byte)
{
    EXPECT(match("h?llo", "hallo"));
    EXPECT(!match("h?llo", "hllo"));
    EXPECT(glob_match(span_str("a?b"), span_of("a\0b", 3)));
}

TEST(classes_take_one_of_their_bytes)
{
    EXPECT(match("h[ae]llo", "hello"));
    EXPECT(!match("h[ae]llo", "hillo"));
    EXPECT(match("h[^e]llo", "hallo"));
    EXPECT(!match("h[^e]llo", "hello"));
    EXPECT(match("[a-c]", "b"));
    EXPECT(!match("[a-c]", "d"));
    EXPECT(match("[c-a]", "b"));
    EXPECT(match("x[0-9a-f]", "xb"));
    EXPECT(match("[\\]]", "]"));
    EXPECT(match("[\\^a]", "^"));
    EXPECT(match("[a^]", "^"));
    EXPECT(!match("[]", "a"));
    EXPECT(match("[^]", "a"));
    EXPECT(match("[-]", "-"));
}

TEST(unfinished_classes_and_escapes_mean_what_they_mean_in_redis)
{
    EXPECT(match("[abc", "b"));
    EXPECT(!match("[abc", "d"));
    EXPECT(match("[a-]", "a")); /* the range a..], which is never closed */
    EXPECT(match("[a-]", "^"));
    EXPECT(!match("[", "["));
    EXPECT(match("a\\", "a\\"));
    EXPECT(match("[\\", "\\"));
}

TEST(escapes_take_the_byte_itself)
{
    EXPECT(match("h\\*llo", "h*llo"));
    EXPECT(!match("h\\*llo", "hello"));
    EXPECT(match("\\[a]", "[a]"));
    EXPECT(match("\\\\", "\\"));
}

TEST(hostile_patterns_end_soon)
{
    char pattern[200], text[20000];

    for (size_t i = 0; i < sizeof(pattern); i += 2)
        memcpy(pattern + i, "a*", 2);
    pattern[sizeof(pattern) - 1] = 'b';
    memset(text, 'a', sizeof(text));
    EXPECT(!glob_match(span_of(pattern, sizeof(pattern)), span_of(text, sizeof(text))));
}

/* The plain model: every star tries every length. For patterns without classes. */
static bool model(struct span p, struct span t)
{
    if (p.len == 0)
        return t.len == 0;
    if (p.at[0] == '*')
        return model(span_skip(p, 1), t) || (t.len > 0 && model(p, span_skip(t, 1)));
    if (t.len == 0)
        return false;
    return (p.at[0] == '?' || p.at[0] == t.at[0]) && model(span_skip(p, 1), span_skip(t, 1));
}

static struct span draw(struct prng *prng, const char *letters, size_t count, char *to)
{
    size_t len = (size_t)prng_below(prng, 9);

    for (size_t i = 0; i < len; i++)
        to[i] = letters[prng_below(prng, count)];
    return span_of(to, len);
}

TEST(random_patterns_match_as_the_model_says)
{
    struct prng prng;
    char pattern[9], text[9];

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 200000; i++) {
        struct span p = draw(&prng, "ab*?", 4, pattern);
        struct span t = draw(&prng, "ab", 2, text);
        EXPECT_EQ(glob_match(p, t), model(p, t));
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
