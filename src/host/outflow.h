/*
 * outflow -- the writing half of a connection: the socket first, a copy only of what it does not
 * take.
 *
 * Almost every reply goes out by one write(2) straight from the buffer that the node filled. When
 * the socket is full, up to OUTFLOW_CHUNK bytes of the rest are copied (the node's buffer may move
 * meanwhile) and left to libuv, and nothing more is taken until they have gone.
 * Threads: the loop's.
 */
#ifndef HOST_OUTFLOW_H
#define HOST_OUTFLOW_H

#include <uv.h>

#include "base/span.h"

/* large enough to fill a socket buffer again, small against a client's limits */
enum { OUTFLOW_CHUNK = 256 * 1024 };

/* The socket took the copied bytes and wants more; `error` is 0, or a negative UV_ code: the
 * connection is dead. */
typedef void (*outflow_ready_fn)(uv_stream_t *stream, int error);

struct outflow {
    uv_write_t request;
    outflow_ready_fn ready;
    /* [OUTFLOW_CHUNK], allocated with the first full socket, freed when it has gone */
    uint8_t *chunk;
    bool busy;
};

/* Takes bytes from the front of `bytes` (borrowed). Returns how many, 0 while the socket is
 * full, or a negative UV_ code. */
ssize_t outflow_write(struct outflow *o, uv_stream_t *stream, struct span bytes);

/* When the stream was closed. */
void outflow_release(struct outflow *o);

#endif
