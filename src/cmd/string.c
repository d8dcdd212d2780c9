/*
 * string -- commands that read and write whole strings: GET, SET, and their variants.
 */
#include "cmd/expire.h"
#include "cmd/hyperloglog.h"
#include "cmd/view.h"

/* Replies the value of a string, or null. False when it replied an error. */
static bool reply_value(struct call *call, struct span key, struct entry **found)
{
    if (!call_find(call, key, COMPONENT_STRING, found))
        return false;
    if (*found == NULL)
        reply_null(call->reply);
    else
        view_reply_string(call, *found);
    return true;
}

/* Of a string, or of a hyperloglog: that is one too for who wants to keep its bytes. False when it
 * is neither. */
static bool reply_text(struct call *call, const struct entry *e)
{
    enum component c = e != NULL ? object_visible(e) : COMPONENT_NONE;

    if (c == COMPONENT_STRING)
        view_reply_string(call, e);
    else if (c == COMPONENT_HLL)
        hyperloglog_reply(call, e);
    return c == COMPONENT_STRING || c == COMPONENT_HLL;
}

void cmd_get(struct call *call)
{
    struct entry *e;

    if (!call_find(call, call->argv[1], COMPONENT_NONE, &e))
        return;
    if (e == NULL)
        reply_null(call->reply);
    else if (!reply_text(call, e))
        call_wrong_type(call);
}

/* --- options of SET and GETEX --- */

struct options {
    bool nx, xx, get, keep_time, persist;
    enum time_form form;
    struct span time;
};

/* Words that only SET knows; false when argv[index] is none that fits what came before. */
static bool take_set_word(const struct call *call, size_t index, struct options *o)
{
    if (call_is(call, index, "nx") && !o->xx)
        return o->nx = true;
    if (call_is(call, index, "xx") && !o->nx)
        return o->xx = true;
    if (call_is(call, index, "get"))
        return o->get = true;
    if (call_is(call, index, "keepttl") && o->form == TIME_FORM_NONE)
        return o->keep_time = true;
    return false;
}

static bool take_getex_word(const struct call *call, size_t index, struct options *o)
{
    if (call_is(call, index, "persist") && o->form == TIME_FORM_NONE)
        return o->persist = true;
    return false;
}

/* A time and its argument. The same form may be repeated, the last counts: so does Redis. */
static bool take_time(const struct call *call, size_t index, struct options *o)
{
    enum time_form form = time_form_of(call, index);

    if (form == TIME_FORM_NONE || index + 1 == call->argc || o->keep_time || o->persist)
        return false;
    if (o->form != TIME_FORM_NONE && o->form != form)
        return false;
    o->form = form;
    o->time = call->argv[index + 1];
    return true;
}

static bool take_options(struct call *call, size_t from, struct options *o,
                         bool (*take_word)(const struct call *, size_t, struct options *))
{
    for (size_t i = from; i < call->argc; i++) {
        if (take_word(call, i, o))
            continue;
        if (!take_time(call, i, o)) {
            call_syntax_error(call);
            return false;
        }
        i++;
    }
    return true;
}

void cmd_set(struct call *call)
{
    struct span key = call->argv[1];
    struct options o = { 0 };
    uint64_t deadline_ms = 0;
    struct entry *old;

    if (!take_options(call, 3, &o, take_set_word))
        return;
    if (o.form != TIME_FORM_NONE && !time_deadline(call, o.form, o.time, &deadline_ms))
        return;
    if (o.get && !reply_value(call, key, &old))
        return;
    if (o.nx || o.xx) {
        bool there = data_live(call, call->db, key) != NULL;
        if (there ? o.nx : o.xx) {
            if (!o.get)
                reply_null(call->reply);
            return;
        }
    }
    enum time_rule rule = o.form != TIME_FORM_NONE ? TIME_DEADLINE
                          : o.keep_time            ? TIME_KEEP
                                                   : TIME_NONE;
    emit_string(call->replica, call->db, key, call->argv[2], rule, deadline_ms);
    if (!o.get)
        reply_ok(call->reply);
}

void cmd_getex(struct call *call)
{
    struct span key = call->argv[1];
    struct options o = { 0 };
    uint64_t deadline_ms = 0;
    struct entry *e;

    if (!take_options(call, 2, &o, take_getex_word) || !call_find(call, key, COMPONENT_STRING, &e))
        return;
    if (e == NULL) {
        reply_null(call->reply);
        return;
    }
    if (o.form != TIME_FORM_NONE && !time_deadline(call, o.form, o.time, &deadline_ms))
        return;
    view_reply_string(call, e);
    if (deadline_ms != 0 && deadline_ms <= call->now_ms)
        emit_remove(call->replica, call->db, key);
    else if (deadline_ms != 0 || (o.persist && object_deadline_ms(e) != 0))
        emit_deadline(call->replica, call->db, key, deadline_ms);
}

void cmd_getset(struct call *call)
{
    struct entry *old;

    if (reply_value(call, call->argv[1], &old))
        emit_string(call->replica, call->db, call->argv[1], call->argv[2], TIME_NONE, 0);
}

void cmd_getdel(struct call *call)
{
    struct entry *old;

    if (reply_value(call, call->argv[1], &old) && old != NULL)
        emit_remove(call->replica, call->db, call->argv[1]);
}

void cmd_setnx(struct call *call)
{
    bool there = data_live(call, call->db, call->argv[1]) != NULL;

    if (!there)
        emit_string(call->replica, call->db, call->argv[1], call->argv[2], TIME_NONE, 0);
    reply_int(call->reply, !there);
}

static void set_for(struct call *call, enum time_form form)
{
    uint64_t deadline_ms;

    if (!time_deadline(call, form, call->argv[2], &deadline_ms))
        return;
    emit_string(call->replica, call->db, call->argv[1], call->argv[3], TIME_DEADLINE, deadline_ms);
    reply_ok(call->reply);
}

void cmd_setex(struct call *call)
{
    set_for(call, TIME_FORM_EX);
}

void cmd_psetex(struct call *call)
{
    set_for(call, TIME_FORM_PX);
}

/* --- many keys --- */

void cmd_mget(struct call *call)
{
    reply_array(call->reply, call->argc - 1);
    for (size_t i = 1; i < call->argc && !data_reply_too_long(call); i++) {
        struct entry *e;

        call_find(call, call->argv[i], COMPONENT_NONE, &e);
        if (!reply_text(call, e))
            reply_null(call->reply);
    }
}

static void set_pairs(struct call *call)
{
    for (size_t i = 1; i < call->argc; i += 2)
        emit_string(call->replica, call->db, call->argv[i], call->argv[i + 1], TIME_NONE, 0);
}

void cmd_mset(struct call *call)
{
    if (call->argc % 2 == 0) {
        data_wrong_arity(call);
        return;
    }
    set_pairs(call);
    reply_ok(call->reply);
}

void cmd_msetnx(struct call *call)
{
    if (call->argc % 2 == 0) {
        data_wrong_arity(call);
        return;
    }
    for (size_t i = 1; i < call->argc; i += 2) {
        if (data_live(call, call->db, call->argv[i]) != NULL) {
            reply_int(call->reply, 0);
            return;
        }
    }
    set_pairs(call);
    reply_int(call->reply, 1);
}
