#include "host/yamltree.h"

#include "base/test.h"

/* The problems of a text, good until the next call. */
static struct span problems_of(const char *text, size_t len)
{
    static struct buffer out;
    struct problems problems = { 0 };
    buffer_release(&out);
    yamltree_free(yamltree_parse(span_of(text, len), &problems));
    problems_print(&problems, "f", &out);
    problems_release(&problems);
    return buffer_span(&out);
}

#define PROBLEMS(text) problems_of(text, sizeof(text) - 1)

TEST(a_tree_remembers_kinds_and_lines)
{
    struct problems problems = { 0 };
    struct yamltree *tree = yamltree_parse(span_str("a: 1\nb:\n  - x\n  - \"no\"\nc: { d: }\n"),
                                           &problems);
    EXPECT_EQ(problems.count, 0);
    EXPECT_TEXT(span_str(yamltree_find(tree, "a")->text), "1");
    EXPECT_EQ(yamltree_find(tree, "a")->line, 1);
    const struct yamltree *b = yamltree_find(tree, "b");
    EXPECT_EQ(b->kind, YAMLTREE_LIST);
    EXPECT_EQ(b->line, 2);
    EXPECT_EQ(b->first->line, 3);
    EXPECT(!b->first->quoted && b->first->next->quoted);
    EXPECT(b->first->next->next == NULL);
    const struct yamltree *c = yamltree_find(tree, "c");
    EXPECT_EQ(c->kind, YAMLTREE_MAP);
    EXPECT_TEXT(span_str(yamltree_find(c, "d")->text), "");
    EXPECT(yamltree_find(c, "e") == NULL);
    yamltree_free(tree);
}

TEST(an_empty_text_has_no_tree_and_no_problem)
{
    struct problems problems = { 0 };
    EXPECT(yamltree_parse(span_str(""), &problems) == NULL);
    EXPECT(yamltree_parse(span_str("# nothing\n"), &problems) == NULL);
    EXPECT_EQ(problems.count, 0);
}

TEST(a_key_given_twice_is_refused_and_the_first_stands)
{
    struct problems problems = { 0 };
    struct yamltree *tree = yamltree_parse(span_str("a: 1\nb: 2\na: 3\n"), &problems);
    EXPECT_EQ(problems.count, 1);
    EXPECT_TEXT(span_str(problems.at[0].text), "\"a\" is given twice, first in line 1");
    EXPECT_EQ(problems.at[0].line, 3);
    EXPECT_TEXT(span_str(yamltree_find(tree, "a")->text), "1");
    yamltree_free(tree);
    problems_release(&problems);
}

TEST(anchors_aliases_and_tags_are_refused)
{
    EXPECT_TEXT(PROBLEMS("a: &x 1\nb: *x\nc: !!str 2\nd: &y [1]\ne: &z {f: 1}\n"),
                "f:1: anchors (&) are not understood here; write the value out\n"
                "f:2: aliases (*) are not understood here; write the value out\n"
                "f:3: tags (!) are not understood here; write the value out\n"
                "f:4: anchors (&) are not understood here; write the value out\n"
                "f:5: anchors (&) are not understood here; write the value out\n");
}

TEST(keys_must_be_texts)
{
    EXPECT_TEXT(PROBLEMS("a: 1\n[b]: 2\n"), "f:2: a key must be a plain text\n");
}

TEST(a_second_document_is_refused)
{
    EXPECT_TEXT(PROBLEMS("---\na: 1\n---\nb: 2\n"),
                "f:3: a second document begins here; a file holds one\n");
}

TEST(broken_yaml_is_one_problem_with_its_line)
{
    EXPECT_TEXT(
        PROBLEMS("a: 1\nb: [1, 2\nc: 3\n"),
        "f:3: not valid YAML: did not find expected ',' or ']' while parsing a flow sequence\n");
    EXPECT_TEXT(PROBLEMS("a: 1\n\tb: 2\n"), "f:2: not valid YAML: found a tab character that "
                                            "violates indentation while scanning a plain scalar\n");
    EXPECT_TEXT(PROBLEMS("a: 1\nb: \xff\n"), "f:2: not valid YAML: invalid leading UTF-8 octet\n");
}

TEST(a_zero_byte_is_refused)
{
    EXPECT_TEXT(PROBLEMS("a: \"x\\0y\"\n"), "f:1: a text may not hold a zero byte\n");
    EXPECT_TEXT(PROBLEMS("a: 1\nb: x\0y\n"),
                "f:2: not valid YAML: control characters are not allowed\n");
}

TEST(deep_nesting_is_refused)
{
    char text[100001];
    memset(text, '[', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    EXPECT_TEXT(problems_of(text, sizeof(text) - 1),
                "f:1: nested too deeply (at most 16 levels)\n");
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
