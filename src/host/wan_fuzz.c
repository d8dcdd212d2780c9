/*
 * Fuzz: a matrix of round trips. Every text is a matrix in which all places are found and no round
 * trip depends on the direction, or is refused by lines that name the file.
 */
#include "base/check.h"
#include "host/wan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { PLACES_LOOKED_AT = 8 };

static void check_matrix(const struct wan *w)
{
    size_t count = w->count < PLACES_LOOKED_AT ? w->count : PLACES_LOOKED_AT;
    for (size_t i = 0; i < count; i++) {
        const char *a = w->places[i].name;
        CHECK(wan_place_named(w, a) == &w->places[i]);
        for (size_t k = 0; k < count; k++) {
            const char *b = w->places[k].name;
            double ms = wan_round_trip_ms(w, a, b);
            CHECK(ms >= 0 || ms == -1);
            CHECK(ms == wan_round_trip_ms(w, b, a));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct buffer errors = { 0 };
    struct wan w;
    if (len > WAN_MAX_BYTES)
        return 0;
    if (wan_parse("wan.csv", span_of(bytes, len), &w, &errors)) {
        CHECK(errors.len == 0);
        check_matrix(&w);
    } else {
        CHECK(w.count == 0 && w.places == NULL && w.ms == NULL);
        CHECK(errors.len > 8 && memcmp(errors.at, "wan.csv:", 8) == 0);
        CHECK(errors.at[errors.len - 1] == '\n');
    }
    wan_release(&w);
    buffer_release(&errors);
    return 0;
}
