/*
 * hyperloglog -- the registers of a key's hyperloglog, and how Redis writes them as a string.
 *
 * Registers, hash (MurmurHash64A) and estimator are Redis's: the same elements count the same. A
 * string that holds Redis's own form ("HYLL…", by SET or from an import) counts as one too.
 * Source:    Flajolet et al. 2007; the estimator is Ertl 2017 (arXiv 1702.01284).
 */
#ifndef CMD_HYPERLOGLOG_H
#define CMD_HYPERLOGLOG_H

#include "cmd/data.h"

/* Replies the hyperloglog of an object in Redis's dense form. */
void hyperloglog_reply(struct call *call, const struct entry *object);

#endif
