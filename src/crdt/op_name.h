/*
 * op_name -- what an op is called where people read it: traces, inspection.
 */
#ifndef CRDT_OP_NAME_H
#define CRDT_OP_NAME_H

#include "crdt/op.h"

const char *op_kind_name(enum op_kind kind);             /* "put" */
const char *op_component_name(enum component component); /* "hash"; "none" */

#endif
