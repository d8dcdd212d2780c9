/*
 * client -- what a connection says of itself: names, for HELLO and CLIENT.
 */
#ifndef CMD_CLIENT_H
#define CMD_CLIENT_H

#include "cmd/call.h"

/* Printable ASCII without spaces, as Redis asks of names; else replies an error. */
bool client_name_valid(struct call *call, struct span name);

/* Replaces an owned text; an empty one makes it NULL. */
void client_set_text(char **text, struct span value);

#endif
