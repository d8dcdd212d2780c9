/*
 * stream_wake -- wakes clients that wait for streams of which late entries are kept from readers.
 *
 * Where the keyspace says `streams: closed`, an entry comes into sight not when it is written but
 * when all other writers have been heard past it (cmd/stream.h). So XREAD leaves a note of each
 * such key that it waits for, and when that bound has moved the keys with entries between the old
 * one and the new are touched (cmd/touch.h), as if they were written then; all are when KEYSPACE
 * SET opens a keyspace. A key that nobody waits for any more is forgotten at the next move.
 */
#ifndef CMD_STREAM_WAKE_H
#define CMD_STREAM_WAKE_H

#include "cmd/server.h"

struct stream_wake; /* server.stream_wake; NULL: no note was ever left */

void stream_wake_later(struct server *server, uint8_t db, struct span key);

/* Called by the node when the replica's vector may have moved. Nearly free without notes. */
void stream_wake_moved(struct server *server);

void stream_wake_release(struct server *server);

#endif
