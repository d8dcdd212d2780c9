/*
 * trial -- for tests: compiles a function, runs it over three versions, and tells what came of it.
 */
#ifndef MERGE_TRIAL_H
#define MERGE_TRIAL_H

#include <stdio.h>

#include "base/check.h"
#include "base/test.h"
#include "merge/merge.h"

static const struct merge_version trial_versions[] = {
    { .value = { (const uint8_t *)"one", 3 },
      .region = "us",
      .time_ms = 1000,
      .stamp = 0x3e800001 },
    { .value = { (const uint8_t *)"two", 3 },
      .region = "eu",
      .time_ms = 1000,
      .stamp = 0x3e800002 },
    { .value = { (const uint8_t *)"three", 5 },
      .region = "jp",
      .time_ms = 2000,
      .stamp = 0x7d000003 },
};

/* Either what the function returned, or "error: " and the problem; valid until the next call. */
static inline struct span trial_run(struct merge_function *f, const struct merge_version *versions,
                                    size_t count)
{
    static struct buffer outcome;
    char problem[256] = "nothing was said";

    buffer_release(&outcome);
    if (!merge_run(f, span_str("the key"), (struct span){ 0 }, versions, count, &outcome, problem,
                   sizeof(problem)))
        buffer_printf(&outcome, "error: %s", problem);
    return buffer_span(&outcome);
}

static inline bool trial_holds(struct span outcome, const char *part)
{
    size_t len = strlen(part);

    for (size_t i = 0; i + len <= outcome.len; i++) {
        if (memcmp(outcome.at + i, part, len) == 0)
            return true;
    }
    return false;
}

static inline struct span trial_source(const char *source)
{
    static char refused[256];
    char problem[200];
    struct merge_function *f = merge_compile("trial.lua", span_str(source), problem,
                                             sizeof(problem));
    struct span outcome;

    if (f == NULL) {
        snprintf(refused, sizeof(refused), "error: %s", problem);
        return span_str(refused);
    }
    outcome = trial_run(f, trial_versions, COUNT_OF(trial_versions));
    merge_release(f);
    return outcome;
}

/* The source is the body of a function: "return #versions". */
static inline struct span trial_body(const char *body)
{
    struct buffer source = { 0 };
    struct span outcome;

    buffer_printf(&source, "return function(versions, key, field) %s end", body);
    buffer_put_u8(&source, 0);
    outcome = trial_source((const char *)source.at);
    buffer_release(&source);
    return outcome;
}

#endif
