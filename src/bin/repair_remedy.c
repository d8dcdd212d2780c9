#include "bin/repair_remedy.h"

/* The log is whole from the checkpoint's start on. */
static bool log_serves(const struct repair_look *l)
{
    const struct examined_run *last = examined_log_last(&l->log);
    return l->start_known && !examined_log_is_cut(&l->log) && last->from_lsn <= l->start.lsn &&
           repair_look_wanted_lsn(l) <= last->to_lsn;
}

/* From its beginning, to where it ended as far as one can tell. */
static bool log_has_all(const struct repair_look *l, bool alone)
{
    return examined_log_is_good(&l->log) && l->log.begin_lsn == 0 && !repair_look_lacks_end(l) &&
           !l->log.none && (!l->torn || alone);
}

enum repair_remedy repair_choose(const struct repair_look *l, bool alone)
{
    bool log_good = examined_log_is_good(&l->log);
    bool checkpoint_good = l->checkpoint[0] == '\0';
    bool lacks_end = repair_look_lacks_end(l);
    if (l->has_marker)
        return log_good && checkpoint_good && !lacks_end ? REMEDY_NONE : REMEDY_BOOTSTRAP;
    if (checkpoint_good && log_serves(l))
        return log_good ? REMEDY_NONE : REMEDY_DROP_FRONT;
    if (checkpoint_good && repair_look_is_exact(l) && lacks_end)
        return REMEDY_KEEP;
    if (checkpoint_good && !l->start_known && log_good && l->log.begin_lsn == 0 && !l->log.none)
        return REMEDY_NONE;
    return !checkpoint_good && log_has_all(l, alone) ? REMEDY_REPLAY : REMEDY_BOOTSTRAP;
}

bool repair_end_is_lost(const struct repair_look *l)
{
    return !examined_log_is_good(&l->log) || l->torn || l->log.none || repair_look_lacks_end(l);
}

bool repair_log_is_clean(const struct repair_look *l)
{
    return examined_log_is_good(&l->log) && l->log.torn_bytes == 0;
}

bool repair_checkpoint_holds_more(const struct repair_look *l)
{
    return !l->has_marker && l->checkpoint[0] == '\0' && l->start_known &&
           l->log.runs[0].to_lsn < repair_look_wanted_lsn(l);
}
