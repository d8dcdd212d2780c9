/*
 * region -- a named place of the deployment: where it lies and where it is reached.
 *
 * Plain data, filled from the configuration; the strings belong to the deployment that holds the
 * region.
 */
#ifndef POLICY_REGION_H
#define POLICY_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REGION_ID_MAX = 255,  /* an id fits the byte that a stamp has for its origin; 0 names nobody */
    REGION_NAME_MAX = 63, /* bytes, as a label of DNS */
    ENDPOINT_HOST_MAX = 253, /* bytes, as a name of DNS */
};

/* An address to listen on or to dial; port 0: none was given. */
struct endpoint {
    char host[ENDPOINT_HOST_MAX + 1]; /* a name or an address, IPv6 without its brackets */
    uint16_t port;
};

struct region {
    char *name;           /* letters, digits, '-', '_', '.' */
    uint8_t id;           /* 1..255, stable for the deployment's life */
    char *city;           /* "" when not given */
    bool located;         /* latitude and longitude were given */
    double latitude;      /* degrees north, -90..90 */
    double longitude;     /* degrees east, -180..180 */
    char *timezone;       /* an IANA name; UTC when not given */
    char **jurisdictions; /* [jurisdiction_count] */
    size_t jurisdiction_count;
    uint8_t parent; /* with TOPOLOGY_HIERARCHY: the id of the region above; 0: none, it is global */
    struct endpoint clients; /* RESP; always given */
    struct endpoint peers;   /* the other regions dial it; given when there are other regions */
    struct endpoint http;    /* metrics, dashboard, JSON; may be missing */
};

#endif
