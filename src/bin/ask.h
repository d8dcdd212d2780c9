/*
 * ask -- one question to a running region, over HTTP or RESP: a blocking client of a few lines.
 *
 * For status, demo and link only: it speaks as much of the two protocols as a region answers there.
 */
#ifndef BIN_ASK_H
#define BIN_ASK_H

#include "base/buffer.h"
#include "policy/region.h"

enum {
    ASK_PROBLEM_MAX = 400,
    ASK_ANSWER_MAX = 64 << 20, /* a status of 255 regions is far below */
};

/* GET `path`: the body is appended to `body`, and the HTTP status returned; 0, and the cause in
 * `problem`, when there was no answer within timeout_ms. */
int ask_http(const struct endpoint *at, const char *path, uint32_t timeout_ms, struct buffer *body,
             char *problem);

/* Sends a command and appends its reply's line, without the line end: "+OK", "-ERR …". False, and
 * the cause in `problem`, when there was no answer. */
bool ask_resp(const struct endpoint *at, const struct span *argv, size_t argc, uint32_t timeout_ms,
              struct buffer *line, char *problem);

#endif
