#include "cmd/stream_args.h"

#include "base/memory.h"

/* --- ids --- */

/* As Redis, which takes leading zeros here. */
static bool take_number(struct span *s, uint64_t *out)
{
    size_t digits = 0;

    *out = 0;
    for (; s->len > 0 && s->at[0] >= '0' && s->at[0] <= '9'; digits++) {
        uint64_t digit = (uint64_t)(s->at[0] - '0');
        if (*out > (UINT64_MAX - digit) / 10)
            return false;
        *out = *out * 10 + digit;
        *s = span_skip(*s, 1);
    }
    return digits > 0;
}

/* *partial, where it is asked for: "ms-*". */
static bool parse_id(struct span s, uint64_t sequence, struct stream_id *id, bool *partial)
{
    id->sequence = sequence;
    if (!take_number(&s, &id->ms))
        return false;
    if (s.len == 0)
        return true;
    if (s.at[0] != '-')
        return false;
    s = span_skip(s, 1);
    if (partial != NULL && span_equal(s, span_str("*"))) {
        *partial = true;
        id->sequence = 0;
        return true;
    }
    return take_number(&s, &id->sequence) && s.len == 0;
}

bool stream_is_id(struct span s, struct stream_id *id)
{
    return parse_id(s, 0, id, NULL);
}

static bool invalid_id(struct call *call)
{
    reply_error(call->reply, "ERR Invalid stream ID specified as stream command argument");
    return false;
}

bool stream_arg_id(struct call *call, struct span s, uint64_t sequence, struct stream_id *id)
{
    return parse_id(s, sequence, id, NULL) || invalid_id(call);
}

bool stream_arg_any_id(struct call *call, struct span s, uint64_t sequence, struct stream_id *id)
{
    bool least = span_equal(s, span_str("-"));

    if (!least && !span_equal(s, span_str("+")))
        return stream_arg_id(call, s, sequence, id);
    *id = least ? STREAM_ID_MIN : STREAM_ID_MAX;
    return true;
}

static bool is_open(struct span s)
{
    return s.len > 1 && s.at[0] == '(';
}

bool stream_arg_from(struct call *call, struct span s, struct stream_id *id)
{
    if (!is_open(s))
        return stream_arg_any_id(call, s, 0, id);
    if (!stream_arg_id(call, span_skip(s, 1), 0, id))
        return false;
    if (stream_id_next(id))
        return true;
    reply_error(call->reply, "ERR invalid start ID for the interval");
    return false;
}

bool stream_arg_to(struct call *call, struct span s, struct stream_id *id)
{
    if (!is_open(s))
        return stream_arg_any_id(call, s, UINT64_MAX, id);
    if (!stream_arg_id(call, span_skip(s, 1), UINT64_MAX, id))
        return false;
    if (stream_id_previous(id))
        return true;
    reply_error(call->reply, "ERR invalid end ID for the interval");
    return false;
}

bool stream_arg_ids(struct call *call, size_t first, size_t end, struct stream_id **ids)
{
    *ids = mem_alloc((end - first) * sizeof(**ids));
    for (size_t i = first; i < end; i++) {
        if (!stream_arg_id(call, call->argv[i], 0, &(*ids)[i - first]))
            return false;
    }
    return true;
}

/* --- XADD, XTRIM --- */

/* What is removed by `~` when no LIMIT is given: as Redis, a hundred of its nodes. */
enum { ABOUT_LIMIT = 10000 };

/* One run over the arguments. */
struct parse {
    struct call *call;
    struct stream_trim *trim;
    bool limited;
    size_t at;
};

static bool refuse(struct parse *p, const char *error)
{
    reply_error(p->call->reply, error);
    return false;
}

/* At MAXLEN or MINID, behind which something stands. */
static bool take_threshold(struct parse *p, enum stream_trim_by by)
{
    struct call *call = p->call;
    struct stream_trim *t = p->trim;
    int64_t length;

    if (t->by != TRIM_NOT)
        return refuse(p, "ERR syntax error, MAXLEN and MINID options at the same time are not "
                         "compatible");
    bool about = call_is(call, p->at + 1, "~"), more = p->at + 2 < call->argc;
    if (more && (about || call_is(call, p->at + 1, "="))) {
        t->about = about;
        p->at++;
    }
    struct span threshold = call->argv[++p->at];
    p->at++;
    t->by = by;
    if (by == TRIM_ID)
        return stream_arg_id(call, threshold, 0, &t->id);
    if (!call_int(call, threshold, &length))
        return false;
    if (length < 0)
        return refuse(p, "ERR The MAXLEN argument must be >= 0.");
    t->length = (uint64_t)length;
    return true;
}

static bool take_limit(struct parse *p)
{
    int64_t limit;

    if (!call_int(p->call, p->call->argv[p->at + 1], &limit))
        return false;
    if (limit < 0)
        return refuse(p, "ERR The LIMIT argument must be >= 0.");
    p->limited = true;
    p->trim->limit = (uint64_t)limit;
    p->at += 2;
    return true;
}

/* True when one of the trimming options was taken; *wrong when an error was replied. */
static bool take_trimming(struct parse *p, bool *wrong)
{
    struct call *call = p->call;
    bool by_id = call_is(call, p->at, "minid");

    if (p->at + 1 >= call->argc)
        return false;
    if (by_id || call_is(call, p->at, "maxlen"))
        *wrong = !take_threshold(p, by_id ? TRIM_ID : TRIM_LENGTH);
    else if (call_is(call, p->at, "limit"))
        *wrong = !take_limit(p);
    else
        return false;
    return true;
}

static bool finish(struct parse *p, bool trims)
{
    struct stream_trim *t = p->trim;

    if (t->limit > 0 && t->by == TRIM_NOT)
        return refuse(p, "ERR syntax error, LIMIT cannot be used without specifying a trimming "
                         "strategy");
    if (trims && t->by == TRIM_NOT)
        return refuse(p, "ERR syntax error, XTRIM must be called with a trimming strategy");
    if (p->limited && !t->about)
        return refuse(p, "ERR syntax error, LIMIT cannot be used without the special ~ option");
    if (t->about && !p->limited)
        t->limit = ABOUT_LIMIT;
    return true;
}

static bool take_new_id(struct parse *p, struct stream_add_args *args)
{
    args->is_auto = span_equal(p->call->argv[p->at], span_str("*"));
    return args->is_auto || parse_id(p->call->argv[p->at], 0, &args->id, &args->is_partial) ||
           invalid_id(p->call);
}

bool stream_arg_add(struct call *call, struct stream_add_args *args)
{
    struct parse p = { .call = call, .trim = &args->trim, .at = 2 };
    bool wrong = false;

    *args = (struct stream_add_args){ 0 };
    while (p.at < call->argc && !wrong) {
        if (!span_equal(call->argv[p.at], span_str("*")) && take_trimming(&p, &wrong))
            continue;
        if (!call_is(call, p.at, "nomkstream"))
            break;
        args->no_stream = true;
        p.at++;
    }
    /* options alone: Redis looks at them first */
    bool named = !wrong && p.at < call->argc;
    if (wrong || (named && !take_new_id(&p, args)) || !finish(&p, false))
        return false;
    args->fields = p.at + 1;
    if (args->fields >= call->argc || (call->argc - args->fields) % 2 != 0) {
        data_wrong_arity(call);
        return false;
    }
    if (!args->is_auto && !args->is_partial && stream_id_compare(args->id, STREAM_ID_MIN) == 0)
        return refuse(&p, "ERR The ID specified in XADD must be greater than 0-0");
    return true;
}

bool stream_arg_trim(struct call *call, struct stream_trim *trim)
{
    struct parse p = { .call = call, .trim = trim, .at = 2 };
    bool wrong = false;

    *trim = (struct stream_trim){ 0 };
    while (p.at < call->argc && !wrong) {
        if (!take_trimming(&p, &wrong)) {
            call_syntax_error(call);
            return false;
        }
    }
    return !wrong && finish(&p, true);
}
