/*
 * elsewhere -- the region that answers a read which this one cannot answer as fresh as it is to be.
 *
 * Where its keys have one writer, that one, if it is reached. Else, and where every region writes, the
 * region that is freshest by the matrix (core/peers.h) of those that are reached, hold the keys, have
 * what the token names and what the session wrote, and are within the bound. The matrix is late by the
 * way to us, so a region is at least as fresh as it says; it judges the read once more when that comes.
 * Only plain reads of keys go (demand.moves), of sessions that watch nothing, and once: what came from
 * another region stays.
 */
#ifndef NODE_ELSEWHERE_H
#define NODE_ELSEWHERE_H

struct client;
struct node;
struct peer;

/* For the command at the front of the session; NULL: nobody would do better. */
struct peer *elsewhere_find(struct node *n, const struct client *c);

#endif
