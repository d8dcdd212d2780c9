/*
 * repair_remedy -- what is to be done about what was found.
 */
#ifndef BIN_REPAIR_REMEDY_H
#define BIN_REPAIR_REMEDY_H

#include "bin/repair_look.h"

enum repair_remedy {
    REMEDY_NONE,
    REMEDY_DROP_FRONT, /* log before the checkpoint goes aside */
    REMEDY_REPLAY,     /* the checkpoint goes aside, all log is there */
    REMEDY_KEEP,       /* the log goes aside, the checkpoint is good without it */
    REMEDY_BOOTSTRAP,  /* objects come from another region, then what is good of the log */
};

/* `alone`: there is no other region. */
enum repair_remedy repair_choose(const struct repair_look *l, bool alone);

/* A last record that is bad may never have been promised, or have been durable: nobody can tell. So
 * others may hold own writes that the log has not. */
bool repair_end_is_lost(const struct repair_look *l);

/* Good records alone, to the end. */
bool repair_log_is_clean(const struct repair_look *l);

/* It has what is in no log any more, but also parts of what was lost with the log: it can serve
 * nobody, and a person may still want it. For REMEDY_BOOTSTRAP. */
bool repair_checkpoint_holds_more(const struct repair_look *l);

#endif
