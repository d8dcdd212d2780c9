/*
 * handlers -- prototypes of all command handlers and subcommand tables, from the rows of the
 * command table.
 */
#ifndef CMD_HANDLERS_H
#define CMD_HANDLERS_H

#include "cmd/call.h"

#define COMMAND(name, handler, ...) void handler(struct call *call);
#define CONTAINER(name, table, ...) extern const struct command table[];
#include "cmd/table_data.def"
#include "cmd/table_server.def"
#undef COMMAND
#undef CONTAINER

#endif
