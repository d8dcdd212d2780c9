/*
 * session -- one client connection, as the commands see it.
 *
 * Owned by the node; the host moves bytes in (input) and out (output). Replies are appended to
 * `output` in the order of the commands; what waits for durability stays there behind `held`
 * (node/session.c) until it may go.
 */
#ifndef CMD_SESSION_H
#define CMD_SESSION_H

#include "base/list.h"
#include "clock/stamp.h"
#include "cmd/demand.h"
#include "cmd/transaction.h"
#include "cmd/with.h"
#include "wire/reply.h"
#include "wire/resp.h"

enum reply_mode { REPLY_ON, REPLY_OFF, REPLY_SKIP_NEXT, REPLY_SKIP };

struct blocked;
struct gathered;

/* FLUSHALL and FLUSHDB of more keys than one turn can remove. */
struct flush {
    bool runs;
    uint8_t db;
    uint64_t cursor;
};

/* What another region has written for a session. */
struct session_write {
    stamp_t stamp;
    uint64_t run; /* instance of that region */
};

struct session {
    struct list link; /* in server.sessions */
    uint64_t id;      /* never reused */
    uint8_t region;   /* whose client it is: its number; 0: ours */
    uint8_t db;
    enum reply_mode reply_mode;
    bool no_evict;
    bool no_touch;
    bool closing; /* close once the output has gone (QUIT, protocol error) */
    bool killed;  /* close now */
    char *name;   /* owned; NULL: none */
    char *library_name, *library_version; /* CLIENT SETINFO; owned */
    char address[64], local_address[64];  /* "127.0.0.1:4711" */
    uint64_t created_ms, active_ms;       /* by the node's clock */
    uint64_t commands;
    const char *last_command; /* name of the last command run; static */
    struct resp_parser parser;
    struct buffer input; /* bytes of an incomplete command */
    struct buffer output;
    struct reply reply; /* over output */
    struct transaction transaction;

    /* waiting: no further command of this session runs before it ends */
    bool waiting;              /* WAIT; ended by command_wait_end */
    struct blocked *blocked;   /* waits for keys: cmd/blocking.c; NULL: it does not */
    bool wait_silent;          /* CLIENT REPLY says that its answer is not wanted */
    uint64_t wait_deadline_us; /* 0: for ever */
    uint32_t wait_regions;
    uint64_t wait_checkpoint; /* SAVE: its number; 0: a WAIT, or */
    uint64_t wait_scrub;      /* CHECKPOINT SCRUB: its number; 0: none */
    bool following;           /* SESSION FOLLOW; ended by session_follow_end */
    bool gathering;           /* GATHER; ended by the node */
    stamp_t last_write;       /* stamp of the newest own write of this session; 0: none */
    bool wrote;               /* in the command that runs now */
    bool unfinished;          /* that command is to be run again, and has not replied yet */
    struct flush flush;       /* how far it is: cmd/keys_flush.c */
    uint64_t merge_steps;     /* taken by merge functions in it: cmd/view.c */

    struct gathered *gathered; /* GATHER PART: what it has found so far; owned */
    uint64_t gather_cursor;
    struct levels levels; /* SESSION READ and WRITE */
    struct token *token;  /* followed; owned; NULL: none */
    bool token_timed;     /* its time has moved the clock (node/seen.h) */
    /* [elsewhere_count] the newest writes in other regions, one of each origin; owned */
    struct session_write *elsewhere;
    uint32_t elsewhere_count;
    struct with with;     /* around the command that runs or waits */
    struct demand demand; /* of that command: node/promise.h */

    void *host; /* the host's connection */
};

enum { SESSION_FOLLOW_MS = 1000 }; /* as ack_timeout by default */

void session_wrote_elsewhere(struct session *s, stamp_t stamp, uint64_t run);
uint64_t session_run_of(const struct session *s,
                        stamp_t write); /* 0: it made no such write elsewhere */

/* Appends all that the session may have seen, as a token (policy/token.h). */
struct server;
void session_token_put(const struct server *server, const struct session *s, struct buffer *out);

/* Ends a FOLLOW: with OK, or the problem. */
void session_follow_end(struct session *s, const char *problem);

/* Of a part of a GATHER that is not through. */
void session_forget_gather(struct session *s);

/* Forgets the token and the levels. */
void session_forget(struct session *s);

static inline bool session_waits(const struct session *s)
{
    return s->waiting || s->blocked != NULL;
}

#endif
