/*
 * with -- WITH option [option ...] -- COMMAND ...: one command with its own guarantees, and an answer that
 * says what they were worth.
 *
 *     acks=LEVEL   ack_timeout=MS   read=LEVEL   token=TOKEN      each at most once
 *
 * The options stand until the command's answer may go; then it is told in a map: reply, region, stamp,
 * token, acks [[region, ms] ...], staleness_ms, warning. An error of the command is told as it is.
 */
#ifndef CMD_WITH_H
#define CMD_WITH_H

#include "cmd/demand.h"
#include "policy/token.h"

struct with {
    bool on; /* the command that runs, or waits, came in a WITH */
    struct levels levels;
    struct token *token; /* owned; NULL: none */
    bool token_timed;    /* as session.token_timed */
    size_t command_at;   /* where in argv the command begins */
};

/* Reads the options in front of a command. NULL, or the error to reply. */
const char *with_take(const struct span *argv, size_t argc, const char *deployment,
                      struct with *with);
void with_release(struct with *with);

/* Whether its command's keys lie in as many other regions as acks= asks for. The command is given; if not,
 * *others is how many there are. */
bool with_can_be(const struct server *server, const struct session *session,
                 const struct span *argv, size_t argc, uint32_t *others);

/* What the options say instead of the session. */
void with_raise(struct levels *levels, const struct with *with);

#endif
