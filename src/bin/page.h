/*
 * page -- what GET /status says of a region, read into a struct, and figures as people read them.
 *
 * The JSON itself is node/report.c's. What is missing in it is zero or "" here: an older or newer
 * region is shown as far as it goes.
 */
#ifndef BIN_PAGE_H
#define BIN_PAGE_H

#include "bin/ask.h"

enum { PAGE_TEXT_MAX = 256 };

struct page_link {
    char region[PAGE_TEXT_MAX], state[PAGE_TEXT_MAX], problem[PAGE_TEXT_MAX];
    double rtt_ms; /* 0: not measured yet */
    bool heard;    /* anything of that region: else there is no lag */
    uint64_t lag_ms, received_bytes, sent_bytes, backlog_bytes;
};

/* A region that this one fills. */
struct page_feeding {
    char region[PAGE_TEXT_MAX], phase[PAGE_TEXT_MAX];
    uint64_t sent_bytes;
};

/* How far this region is being filled from another. */
struct page_bootstrap {
    char phase[PAGE_TEXT_MAX], from[PAGE_TEXT_MAX]; /* "none" or "": it is not */
    char waits[PAGE_TEXT_MAX];                      /* why nobody fills it; "": it needs nobody */
    uint64_t percent, keys, bytes;
};

struct page {
    char deployment[PAGE_TEXT_MAX], region[PAGE_TEXT_MAX], version[PAGE_TEXT_MAX];
    char writes[PAGE_TEXT_MAX]; /* "ok", or why they are refused */
    uint64_t uptime_s, keys, expiring_keys, clients, commands;
    uint64_t contested_keys; /* now */
    uint64_t conflicts;      /* of all keyspaces since it was started */
    uint64_t used_bytes, rss_bytes, limit_bytes, resident_keys;
    char memory_state[PAGE_TEXT_MAX], policy[PAGE_TEXT_MAX];
    uint64_t log_bytes, log_durable_bytes;
    char checkpoint_problem[PAGE_TEXT_MAX]; /* why the last one failed; "" when it did not */
    bool loading;
    uint64_t loading_percent;
    struct page_bootstrap bootstrap;
    struct page_feeding *feeding; /* [feeding_count] */
    size_t feeding_count;
    struct page_link *links; /* [link_count] */
    size_t link_count;
};

void page_release(struct page *p);

/* Asks a region; false, and the cause in `problem` (ASK_PROBLEM_MAX). Released by page_release. */
bool page_fetch(const struct endpoint *http, uint32_t timeout_ms, struct page *out, char *problem);

/* "1.2 MB", "3h12m", "1,234,567"; each returns `to`, which holds PAGE_FIGURE_MAX. */
enum { PAGE_FIGURE_MAX = 32 };
const char *page_bytes(uint64_t bytes, char *to);
const char *page_duration(uint64_t seconds, char *to);
const char *page_count(uint64_t count, char *to);

#endif
