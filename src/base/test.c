#include "base/test.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>

static struct {
    struct test_case *first, **end;
    bool failed; /* the case that runs now */
    bool seeded;
    uint64_t seed;
} state;

void test_register(struct test_case *c)
{
    if (state.end == NULL)
        state.end = &state.first;
    *state.end = c;
    state.end = &c->next;
}

/* The kernel gives every process sixteen random bytes: no clock, no device. */
static uint64_t fresh_seed(void)
{
    const void *random = (const void *)getauxval(AT_RANDOM);
    uint32_t seed = 1; /* 32 bits are enough, and easier to type again */

    if (random != NULL)
        memcpy(&seed, random, sizeof(seed));
    return seed;
}

uint64_t test_seed(void)
{
    if (!state.seeded) {
        state.seed = fresh_seed();
        state.seeded = true;
    }
    return state.seed;
}

static void begin_failure(const char *file, int line)
{
    state.failed = true;
    printf("# %s:%d: ", file, line);
}

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;

    begin_failure(file, line);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

bool test_equal_int(const char *file, int line, const char *a_text, const char *b_text, int64_t a,
                    int64_t b)
{
    if (a == b)
        return true;
    test_fail(file, line, "%s is %" PRId64 ", %s is %" PRId64, a_text, a, b_text, b);
    return false;
}

static void print_span(const char *text, struct span s)
{
    printf("#   %s (%zu bytes) = \"", text, s.len);
    for (size_t i = 0; i < s.len && i < 512; i++) {
        if (s.at[i] >= 0x20 && s.at[i] < 0x7f && s.at[i] != '"' && s.at[i] != '\\')
            putchar(s.at[i]);
        else
            printf("\\x%02x", s.at[i]);
    }
    printf("\"%s\n", s.len > 512 ? "..." : "");
}

bool test_equal_span(const char *file, int line, const char *a_text, const char *b_text,
                     struct span a, struct span b)
{
    if (span_equal(a, b))
        return true;
    test_fail(file, line, "%s and %s differ", a_text, b_text);
    print_span(a_text, a);
    print_span(b_text, b);
    return false;
}

static bool is_chosen(const struct test_case *c, int argc, char **argv)
{
    bool any = false;

    for (int i = 1; i < argc; i++) {
        if (argv[i] == NULL)
            continue;
        any = true;
        if (strstr(c->name, argv[i]) != NULL)
            return true;
    }
    return !any;
}

static int list_cases(void)
{
    for (const struct test_case *c = state.first; c != NULL; c = c->next)
        printf("%s\n", c->name);
    return 0;
}

/* Takes --seed N out of the arguments, so that what remains are names. */
static bool take_seed(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *end;

        if (strcmp(argv[i], "--seed") != 0)
            continue;
        if (i + 1 == argc)
            return false;
        state.seed = strtoull(argv[i + 1], &end, 0);
        state.seeded = true;
        if (*argv[i + 1] == 0 || *end != 0)
            return false;
        argv[i] = argv[i + 1] = NULL;
        i++;
    }
    return true;
}

static bool run_case(const struct test_case *c, int number)
{
    state.failed = false;
    c->run();
    if (state.failed && state.seeded)
        printf("# again with: --seed %" PRIu64 "\n", state.seed);
    printf("%sok %d - %s\n", state.failed ? "not " : "", number, c->name);
    fflush(stdout);
    return !state.failed;
}

int test_main(int argc, char **argv)
{
    int count = 0, failed = 0;

    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list_cases();
    if (!take_seed(argc, argv)) {
        fprintf(stderr, "usage: %s [--list] [--seed N] [name...]\n", argv[0]);
        return 2;
    }
    for (const struct test_case *c = state.first; c != NULL; c = c->next) {
        if (is_chosen(c, argc, argv) && !run_case(c, ++count))
            failed++;
    }
    printf("1..%d\n", count);
    return failed > 0 || count == 0 ? 1 : 0;
}
