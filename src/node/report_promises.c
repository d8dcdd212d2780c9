#include "node/report_promises.h"

#include <inttypes.h>

#include "base/check.h"
#include "node/node.h"

static void head(struct buffer *out, const char *name, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
}

static void metric(struct buffer *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, help);
    buffer_printf(out, "%s %" PRIu64 "\n", name, value);
}

/* Those that alerts are about are there from the start, so that their first is an increase. */
static const char *const errors_shown[] = { "NOACKS", "STALE",  "NOWRITER",  "UNKNOWN", "BUSY",
                                            "MOVED",  "FENCED", "CROSSSLOT", "ERR" };

static bool is_shown(const char *word)
{
    for (size_t i = 0; i < COUNT_OF(errors_shown); i++) {
        if (strcmp(errors_shown[i], word) == 0)
            return true;
    }
    return false;
}

static uint64_t errors_of(const struct server *server, const char *word)
{
    for (size_t i = 0; i < ERROR_WORDS && server->error_counts[i].count > 0; i++) {
        if (strcmp(server->error_counts[i].word, word) == 0)
            return server->error_counts[i].count;
    }
    return 0;
}

static void put_errors(struct buffer *out, const char *word, uint64_t count)
{
    buffer_printf(out, "meridian_errors_total{code=\"%s\"} %" PRIu64 "\n", word, count);
}

static void metrics_of_errors(struct buffer *out, const struct node *n)
{
    const struct server *server = &n->server;
    uint64_t rest = server->statistics.errors;
    head(out, "meridian_errors_total", "Error replies, by their first word.");
    for (size_t i = 0; i < COUNT_OF(errors_shown); i++)
        put_errors(out, errors_shown[i], errors_of(server, errors_shown[i]));
    for (size_t i = 0; i < ERROR_WORDS && server->error_counts[i].count > 0; i++) {
        const struct error_count *e = &server->error_counts[i];
        rest -= e->count;
        if (!is_shown(e->word))
            put_errors(out, e->word, e->count);
    }
    put_errors(out, "other", rest); /* within transactions' answers, and words without room */
}

void report_promise_metrics(struct buffer *out, const struct node *n)
{
    metrics_of_errors(out, n);
    metric(out, "meridian_acks_waited_total",
           "Answers that waited for other regions' acknowledgements.", n->acks_waited);
    metric(out, "meridian_forwards_sent_total",
           "Commands sent to regions that write their keys, or have what they ask for.",
           n->forwards_sent);
    metric(out, "meridian_forwards_taken_total", "Commands taken from other regions' clients.",
           n->forwards_taken);
    metric(out, "meridian_lag_slowed_total",
           "Writes that waited because a region is behind (max_lag).", n->lag_slowed);
    metric(out, "meridian_lag_refused_total",
           "Writes that were refused because a region is behind (max_lag).", n->lag_refused);
}
