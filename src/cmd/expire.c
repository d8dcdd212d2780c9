#include "cmd/expire.h"

enum time_form time_form_of(const struct call *call, size_t index)
{
    static const char *const words[] = {
        [TIME_FORM_EX] = "ex",
        [TIME_FORM_PX] = "px",
        [TIME_FORM_EXAT] = "exat",
        [TIME_FORM_PXAT] = "pxat",
    };

    for (enum time_form form = TIME_FORM_EX; form <= TIME_FORM_PXAT; form++) {
        if (call_is(call, index, words[form]))
            return form;
    }
    return TIME_FORM_NONE;
}

static void invalid_time(struct call *call)
{
    reply_errorf(call->reply, "ERR invalid expire time in '%s' command", call->command->name);
}

/* `time`, in seconds or milliseconds, relative or not, as milliseconds since 1970; false when it
 * leaves 64 bits. */
static bool to_deadline(const struct call *call, int64_t time, bool seconds, bool relative,
                        int64_t *at_ms)
{
    if (seconds && __builtin_mul_overflow(time, 1000, &time))
        return false;
    return !__builtin_add_overflow(time, relative ? (int64_t)call->now_ms : 0, at_ms);
}

bool time_deadline(struct call *call, enum time_form form, struct span text, uint64_t *deadline_ms)
{
    bool seconds = form == TIME_FORM_EX || form == TIME_FORM_EXAT;
    bool relative = form == TIME_FORM_EX || form == TIME_FORM_PX;
    int64_t time, at_ms;

    if (!call_int(call, text, &time))
        return false;
    if (time <= 0 || !to_deadline(call, time, seconds, relative, &at_ms)) {
        invalid_time(call);
        return false;
    }
    *deadline_ms = (uint64_t)at_ms;
    return true;
}

/* --- EXPIRE and its family --- */

struct conditions {
    bool nx, xx, gt, lt;
};

static bool take_conditions(struct call *call, struct conditions *c)
{
    for (size_t i = 3; i < call->argc; i++) {
        if (call_is(call, i, "nx")) {
            c->nx = true;
        } else if (call_is(call, i, "xx")) {
            c->xx = true;
        } else if (call_is(call, i, "gt")) {
            c->gt = true;
        } else if (call_is(call, i, "lt")) {
            c->lt = true;
        } else {
            reply_errorf(call->reply, "ERR Unsupported option %.*s", (int)call->argv[i].len,
                         (const char *)call->argv[i].at);
            return false;
        }
    }
    if (c->nx && (c->xx || c->gt || c->lt)) {
        reply_error(call->reply,
                    "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (c->gt && c->lt) {
        reply_error(call->reply, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* A key without a deadline counts as one that ends never. */
static bool conditions_met(const struct conditions *c, uint64_t current_ms, int64_t at_ms)
{
    bool has = current_ms != 0;

    if ((c->nx && has) || (c->xx && !has))
        return false;
    if (c->gt && (!has || at_ms <= (int64_t)current_ms))
        return false;
    return !(c->lt && has && at_ms >= (int64_t)current_ms);
}

static void expire(struct call *call, bool seconds, bool relative)
{
    struct span key = call->argv[1];
    struct conditions conditions = { 0 };
    int64_t time, at_ms;
    struct entry *e;

    if (!take_conditions(call, &conditions) || !call_int(call, call->argv[2], &time))
        return;
    if (!to_deadline(call, time, seconds, relative, &at_ms)) {
        invalid_time(call);
        return;
    }
    if (!call_find(call, key, COMPONENT_NONE, &e))
        return;
    if (e == NULL || !conditions_met(&conditions, object_deadline_ms(e), at_ms)) {
        reply_int(call->reply, 0);
        return;
    }
    if (at_ms <= (int64_t)call->now_ms)
        emit_remove(call->replica, call->db, key);
    else
        emit_deadline(call->replica, call->db, key, (uint64_t)at_ms);
    reply_int(call->reply, 1);
}

void cmd_expire(struct call *call)
{
    expire(call, true, true);
}

void cmd_pexpire(struct call *call)
{
    expire(call, false, true);
}

void cmd_expireat(struct call *call)
{
    expire(call, true, false);
}

void cmd_pexpireat(struct call *call)
{
    expire(call, false, false);
}

void cmd_persist(struct call *call)
{
    struct entry *e;

    if (!call_find(call, call->argv[1], COMPONENT_NONE, &e))
        return;
    bool has = e != NULL && object_deadline_ms(e) != 0;
    if (has)
        emit_deadline(call->replica, call->db, call->argv[1], 0);
    reply_int(call->reply, has);
}

/* --- TTL and its family --- */

static void time_left(struct call *call, bool seconds, bool absolute)
{
    struct entry *e;

    if (!call_find(call, call->argv[1], COMPONENT_NONE, &e))
        return;
    if (e == NULL) {
        reply_int(call->reply, -2);
        return;
    }
    uint64_t at_ms = object_deadline_ms(e);
    if (at_ms == 0) {
        reply_int(call->reply, -1);
        return;
    }
    uint64_t ms = absolute ? at_ms : at_ms - call->now_ms; /* not expired: not below 0 */
    reply_int(call->reply, (int64_t)(seconds ? (ms + 500) / 1000 : ms));
}

void cmd_ttl(struct call *call)
{
    time_left(call, true, false);
}

void cmd_pttl(struct call *call)
{
    time_left(call, false, false);
}

void cmd_expiretime(struct call *call)
{
    time_left(call, true, true);
}

void cmd_pexpiretime(struct call *call)
{
    time_left(call, false, true);
}
