/*
 * keyspace_setting -- what of a keyspace may be changed while it runs: by KEYSPACE SET, in every region.
 *
 * A change is written to the keyspace's system fields (cmd/system.h), so it reaches every region that
 * holds the keyspace, outlives restarts, and stands above the configuration until it is set to
 * `default`. Each region applies what it finds when the fields change: what it cannot (a merge
 * function whose file it does not have) it tells in its log, and goes on as before.
 */
#ifndef CMD_KEYSPACE_SETTING_H
#define CMD_KEYSPACE_SETTING_H

#include "cmd/server.h"

enum { KEYSPACE_SETTING_PROBLEM_MAX = 640 };

/* One pair. False, with a sentence in `problem`, when there is no such field, when it cannot be changed,
 * or when the value is none of its; "default" is good for all that can be changed. */
bool keyspace_setting_valid(struct span field, struct span value,
                            char problem[KEYSPACE_SETTING_PROBLEM_MAX]);

/* Whether both name the same field, one that there is. */
bool keyspace_setting_same(struct span a, struct span b);

/* Appends the name of its system field. */
void keyspace_setting_field(struct span field, struct buffer *out);

/* Whether the pairs (field, value) together, over what is set now, can hold in this region: a merge
 * function is read and compiled. False with a sentence. */
bool keyspace_settings_fit(struct server *server, struct keyspace_live *k, const struct span *pairs,
                           size_t count, char problem[KEYSPACE_SETTING_PROBLEM_MAX]);

/* Makes all keyspaces what the configuration and the system fields say. What changed, and what cannot be, is
 * told in the log. Costs little for those without such fields. */
void keyspace_setting_apply_all(struct server *server);

#endif
