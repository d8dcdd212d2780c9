/*
 * datadir_fences -- a configuration that puts prefixes into other fences than the data directory was
 * written with.
 *
 * What is written stands in the streams of the fence that its key had then, so no key changes its fence:
 * such a configuration is taken when no key is there that would. To know that is to look at every key, also
 * those that are on disk only, and what cannot be read may be one.
 */
#ifndef HOST_DATADIR_FENCES_H
#define HOST_DATADIR_FENCES_H

#include "host/datadir.h"

/* With the log replayed. `go_on` is called again and again while keys are looked at; it may let the loop
 * have a round, and says false when the server is to stop. True: the identity has the prefixes of the
 * configuration, durably. False with a line in problem[DATADIR_PROBLEM_MAX], but when it is to stop. */
bool datadir_adopt_prefixes(struct datadir *d, struct node *n, bool (*go_on)(void *context),
                            void *context, char *problem);

#endif
