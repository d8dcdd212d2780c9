#include "crdt/op_name.h"

const char *op_kind_name(enum op_kind kind)
{
    switch (kind) {
    case OP_PUT:
        return "put";
    case OP_TAKE:
        return "take";
    case OP_BUMP:
        return "bump";
    case OP_DEADLINE:
        return "deadline";
    case OP_DROP:
        return "drop";
    case OP_KIND_END:
        break;
    }
    return "?";
}

const char *op_component_name(enum component component)
{
    switch (component) {
    case COMPONENT_STRING:
        return "string";
    case COMPONENT_HASH:
        return "hash";
    case COMPONENT_SET:
        return "set";
    case COMPONENT_ZSET:
        return "zset";
    case COMPONENT_LIST:
        return "list";
    case COMPONENT_HLL:
        return "hyperloglog";
    case COMPONENT_STREAM:
        return "stream";
    case COMPONENT_GROUPS:
        return "groups";
    case COMPONENT_COUNT:
    case COMPONENT_NONE:
        break;
    }
    return "none";
}
