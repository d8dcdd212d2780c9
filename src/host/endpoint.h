/*
 * endpoint -- HOST:PORT as people write it.
 *
 * A host is a name of DNS, an IPv4 address, or an IPv6 address in brackets; a port alone means the
 * loopback address 127.0.0.1. Names are not resolved here.
 */
#ifndef HOST_ENDPOINT_H
#define HOST_ENDPOINT_H

#include "policy/region.h"

enum { ENDPOINT_TEXT_MAX = ENDPOINT_HOST_MAX + 9 }; /* brackets, colon, port, zero */

/* NULL, or what is wrong as the rest of a sentence that begins with the text: "is not HOST:PORT".
 */
const char *endpoint_parse(const char *text, struct endpoint *out);

/* Writes HOST:PORT to `to`, which holds ENDPOINT_TEXT_MAX; returns it. */
const char *endpoint_text(const struct endpoint *e, char *to);

/* Whether the host means every address of the machine. */
bool endpoint_is_wildcard(const struct endpoint *e);

/* Whether two listeners at these addresses would get into each other's way: always on one machine,
 * and on two only where the address is not private to each. Missing endpoints (port 0) never clash.
 */
bool endpoint_clash(const struct endpoint *a, const struct endpoint *b, bool same_machine);

#endif
