#include "host/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/span.h"

static const char NAME_LETTERS[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
static const char IPV6_LETTERS[] = "0123456789abcdefABCDEF:.%";

static bool only_holds(struct span text, const char *letters)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\0' || !strchr(letters, text.at[i]))
            return false;
    }
    return text.len > 0;
}

static const char *parse_port(const char *text, uint16_t *port)
{
    int64_t value;
    if (!span_to_int64(span_str(text), &value))
        return "is not HOST:PORT";
    if (value < 1 || value > 65535)
        return "has a port out of range 1..65535";
    *port = (uint16_t)value;
    return NULL;
}

/* Splits at the last colon; a text without one is a port of the loopback address. */
static const char *split(const char *text, struct span *host, const char **port)
{
    const char *colon = strrchr(text, ':');
    *port = colon ? colon + 1 : text;
    *host = colon ? span_of(text, (size_t)(colon - text)) : span_str("127.0.0.1");
    if (host->len >= 2 && host->at[0] == '[' && host->at[host->len - 1] == ']') {
        *host = span_of(host->at + 1, host->len - 2);
        return only_holds(*host, IPV6_LETTERS) ? NULL : "has no IPv6 address between its brackets";
    }
    if (host->len > 0 && memchr(host->at, ':', host->len))
        return "needs brackets around its IPv6 address, as in [::1]:6379";
    return only_holds(*host, NAME_LETTERS) ? NULL : "is not HOST:PORT";
}

const char *endpoint_parse(const char *text, struct endpoint *out)
{
    struct endpoint e = { .port = 0 };
    struct span host;
    const char *port;
    const char *problem = split(text, &host, &port);
    if (!problem && host.len > ENDPOINT_HOST_MAX)
        problem = "has a host of more than 253 characters";
    if (!problem)
        problem = parse_port(port, &e.port);
    if (problem)
        return problem;
    memcpy(e.host, host.at, host.len);
    *out = e;
    return NULL;
}

const char *endpoint_text(const struct endpoint *e, char *to)
{
    bool ipv6 = strchr(e->host, ':') != NULL;
    snprintf(to, ENDPOINT_TEXT_MAX, "%s%s%s:%u", ipv6 ? "[" : "", e->host, ipv6 ? "]" : "",
             e->port);
    return to;
}

bool endpoint_is_wildcard(const struct endpoint *e)
{
    return strcmp(e->host, "0.0.0.0") == 0 || strcmp(e->host, "::") == 0;
}

static bool is_loopback(const struct endpoint *e)
{
    return strncmp(e->host, "127.", 4) == 0 || strcmp(e->host, "::1") == 0 ||
           strcmp(e->host, "localhost") == 0;
}

bool endpoint_clash(const struct endpoint *a, const struct endpoint *b, bool same_machine)
{
    if (a->port == 0 || a->port != b->port)
        return false;
    if (strcmp(a->host, b->host) == 0)
        return same_machine || (!endpoint_is_wildcard(a) && !is_loopback(a));
    return same_machine && (endpoint_is_wildcard(a) || endpoint_is_wildcard(b));
}
