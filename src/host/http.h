/*
 * http -- GET /status, /health and /metrics, by libmicrohttpd in a thread of its own.
 *
 * That thread only speaks HTTP. What it answers is made on the loop's thread, which alone may look
 * at the node: a request is queued, the loop is woken, and the answer waited for at most
 * HTTP_WAIT_MS, then 503.
 *
 *     /status    200, JSON: node_status_json
 *     /metrics   200, Prometheus text: node_metrics
 *     /health    200 {"status":"serving"}, or 503 {"status":"not serving writes","reason":...};
 *                while the log is replayed 503 {"status":"not serving","reason":"loading"}
 *
 * Limits: HTTP_CONNECTIONS_MAX at once, idle ones for HTTP_IDLE_S; only GET and HEAD.
 */
#ifndef HOST_HTTP_H
#define HOST_HTTP_H

#include "host/loop.h"

enum { HTTP_WAIT_MS = 2000, HTTP_CONNECTIONS_MAX = 256, HTTP_IDLE_S = 30 };

/* Takes the listening socket. NULL when the thread could not be started. */
struct http *http_start(struct loop *l, int fd);

/* Answers what is still asked with 503, and ends the thread; the handle ends with the loop's
 * next round. */
void http_stop(struct http *h);
void http_free(struct http *h);

#endif
