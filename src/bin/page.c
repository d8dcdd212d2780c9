#include "bin/page.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/memory.h"

static void take_text(const json_t *from, const char *name, char to[PAGE_TEXT_MAX])
{
    const char *text = json_string_value(json_object_get(from, name));

    snprintf(to, PAGE_TEXT_MAX, "%s", text != NULL ? text : "");
}

static uint64_t number(const json_t *from, const char *name)
{
    double value = json_number_value(json_object_get(from, name));

    return value > 0 ? (uint64_t)value : 0;
}

static void take_link(const json_t *from, struct page_link *l)
{
    take_text(from, "region", l->region);
    take_text(from, "state", l->state);
    take_text(from, "problem", l->problem);
    l->rtt_ms = json_number_value(json_object_get(from, "rtt_ms"));
    l->heard = json_is_number(json_object_get(from, "lag_ms"));
    l->lag_ms = number(from, "lag_ms");
    l->received_bytes = number(from, "received_bytes");
    l->sent_bytes = number(from, "sent_bytes");
    l->backlog_bytes = number(from, "backlog_bytes");
}

static void take_links(const json_t *links, struct page *p)
{
    p->link_count = json_array_size(links);
    p->links = mem_zalloc(p->link_count * sizeof(*p->links));
    for (size_t i = 0; i < p->link_count; i++)
        take_link(json_array_get(links, i), &p->links[i]);
}

static void take_feeding(const json_t *list, struct page *p)
{
    p->feeding_count = json_array_size(list);
    p->feeding = mem_zalloc(p->feeding_count * sizeof(*p->feeding));
    for (size_t i = 0; i < p->feeding_count; i++) {
        const json_t *one = json_array_get(list, i);

        take_text(one, "region", p->feeding[i].region);
        take_text(one, "phase", p->feeding[i].phase);
        p->feeding[i].sent_bytes = number(one, "sent_bytes");
    }
}

static void take_bootstrap(const json_t *from, struct page *p)
{
    take_text(from, "phase", p->bootstrap.phase);
    take_text(from, "from", p->bootstrap.from);
    take_text(from, "waits", p->bootstrap.waits);
    p->bootstrap.percent = number(from, "percent");
    p->bootstrap.keys = number(from, "keys");
    p->bootstrap.bytes = number(from, "bytes");
    take_feeding(json_object_get(from, "feeding"), p);
}

static void take_memory(const json_t *from, struct page *p)
{
    p->used_bytes = number(from, "used_bytes");
    p->rss_bytes = number(from, "rss_bytes");
    p->limit_bytes = number(from, "limit_bytes");
    p->resident_keys = number(from, "resident_keys");
    take_text(from, "state", p->memory_state);
    take_text(from, "policy", p->policy);
}

static uint64_t count_conflicts(const json_t *keyspaces)
{
    uint64_t count = 0;

    for (size_t i = 0; i < json_array_size(keyspaces); i++)
        count += number(json_array_get(keyspaces, i), "conflicts");
    return count;
}

/* False when it is not such a JSON text. */
static bool parse(struct span json, struct page *out)
{
    json_t *root = json_loadb((const char *)json.at, json.len, 0, NULL);
    const json_t *log, *loading;

    *out = (struct page){ 0 };
    if (!json_is_object(root)) {
        json_decref(root);
        return false;
    }
    loading = json_object_get(root, "loading");
    log = json_object_get(root, "log");
    take_text(root, "deployment", out->deployment);
    take_text(root, "region", out->region);
    take_text(root, "version", out->version);
    take_text(root, "writes", out->writes);
    out->uptime_s = number(root, "uptime_seconds");
    out->keys = number(root, "keys");
    out->expiring_keys = number(root, "keys_with_deadline");
    out->contested_keys = number(root, "contested_keys");
    out->conflicts = count_conflicts(json_object_get(root, "keyspaces"));
    out->clients = number(root, "clients");
    out->commands = number(root, "commands");
    take_memory(json_object_get(root, "memory"), out);
    take_text(json_object_get(root, "checkpoint"), "problem", out->checkpoint_problem);
    out->loading = loading != NULL;
    out->loading_percent = number(loading, "percent");
    take_bootstrap(json_object_get(root, "bootstrap"), out);
    out->log_bytes = number(log, "end_bytes");
    out->log_durable_bytes = number(log, "durable_bytes");
    take_links(json_object_get(root, "links"), out);
    json_decref(root);
    return true;
}

void page_release(struct page *p)
{
    mem_free(p->links);
    mem_free(p->feeding);
    *p = (struct page){ 0 };
}

bool page_fetch(const struct endpoint *http, uint32_t timeout_ms, struct page *out, char *problem)
{
    struct buffer body = { 0 };
    int status = ask_http(http, "/status", timeout_ms, &body, problem);
    bool good = status == 200 && parse(buffer_span(&body), out);

    if (!good && status != 0)
        snprintf(problem, ASK_PROBLEM_MAX, "the region answered with HTTP status %d", status);
    buffer_release(&body);
    return good;
}

const char *page_bytes(uint64_t bytes, char *to)
{
    static const char *const UNITS[] = { "B", "KB", "MB", "GB", "TB" };
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(to, PAGE_FIGURE_MAX, unit == 0 ? "%.0f %s" : "%.1f %s", value, UNITS[unit]);
    return to;
}

const char *page_duration(uint64_t seconds, char *to)
{
    uint64_t days = seconds / 86400, hours = seconds / 3600 % 24, minutes = seconds / 60 % 60;

    if (days > 0)
        snprintf(to, PAGE_FIGURE_MAX, "%" PRIu64 "d%02" PRIu64 "h", days, hours);
    else if (hours > 0)
        snprintf(to, PAGE_FIGURE_MAX, "%" PRIu64 "h%02" PRIu64 "m", hours, minutes);
    else if (minutes > 0)
        snprintf(to, PAGE_FIGURE_MAX, "%" PRIu64 "m%02" PRIu64 "s", minutes, seconds % 60);
    else
        snprintf(to, PAGE_FIGURE_MAX, "%" PRIu64 "s", seconds);
    return to;
}

const char *page_count(uint64_t count, char *to)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, count);
    char *end = to;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *end++ = ',';
        *end++ = digits[i];
    }
    *end = '\0';
    return to;
}
