/*
 * test -- the test harness: named cases, TAP out, both values printed when they differ.
 *
 *     TEST(ack_waits_for_two_regions) { ... CHECK_EQ(count, 2); }
 *     int main(int argc, char **argv) { return test_main(argc, argv); }
 *
 * Run with names (substrings) to choose cases, --list to see them, --seed N for randomized ones
 * (test_seed(); printed when a case fails). A failing EXPECT ends its case by a longjmp-free
 * return: use EXPECT_* directly in the case's body. Crashes are left to the sanitizer and the
 * debugger.
 */
#ifndef BASE_TEST_H
#define BASE_TEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct test_case {
    const char *name;
    void (*run)(void);
    struct test_case *next;
};

void test_register(struct test_case *c);
int test_main(int argc, char **argv);
uint64_t test_seed(void); /* differs from run to run unless --seed is given */

void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool test_equal_int(const char *file, int line, const char *a_text, const char *b_text, int64_t a,
                    int64_t b);
bool test_equal_span(const char *file, int line, const char *a_text, const char *b_text,
                     struct span a, struct span b);

#define TEST(name)                                                                                 \
    static void name(void);                                                                        \
    __attribute__((constructor)) static void register_##name(void)                                 \
    {                                                                                              \
        static struct test_case entry = { #name, name, NULL };                                     \
        test_register(&entry);                                                                     \
    }                                                                                              \
    static void name(void)

#define EXPECT(fact)                                                                               \
    do {                                                                                           \
        if (!(fact)) {                                                                             \
            test_fail(__FILE__, __LINE__, "expected %s", #fact);                                   \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define EXPECT_EQ(a, b)                                                                            \
    do {                                                                                           \
        if (!test_equal_int(__FILE__, __LINE__, #a, #b, (int64_t)(a), (int64_t)(b)))               \
            return;                                                                                \
    } while (0)

#define EXPECT_SPAN(a, b)                                                                          \
    do {                                                                                           \
        if (!test_equal_span(__FILE__, __LINE__, #a, #b, (a), (b)))                                \
            return;                                                                                \
    } while (0)

#define EXPECT_TEXT(a, text) EXPECT_SPAN(a, span_str(text))

#endif
