/*
 * hyperloglog -- PFADD, PFCOUNT, PFMERGE.
 */
#include "cmd/hyperloglog.h"

#include <math.h>

#include "base/memory.h"

enum {
    INDEX_BITS = 14,
    HASH_BITS = 64 - INDEX_BITS,
    HEADER_BYTES = 16,
    DENSE_BYTES = HLL_REGISTERS * 6 / 8,
};

/* --- Redis's string form: "HYLL", encoding (0 dense, 1 sparse), 3 spare, 8 of a cached count --- */

static bool get_dense(struct span packed, uint8_t *registers)
{
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        unsigned at = i * 6 / 8, shift = i * 6 % 8;
        unsigned two = packed.at[at] | (shift > 2 ? (unsigned)packed.at[at + 1] << 8 : 0);
        uint8_t value = two >> shift & 0x3f;

        if (value > HLL_VALUE_MAX)
            return false;
        if (registers[i] < value)
            registers[i] = value;
    }
    return true;
}

/* Runs: 00nnnnnn so many zeros + 1; 01nnnnnn nnnnnnnn likewise; 1vvvvvnn (n + 1) times v + 1. */
static bool get_sparse(struct span runs, uint8_t *registers)
{
    unsigned at = 0;
    uint8_t first, second = 0;

    while (span_take_u8(&runs, &first)) {
        unsigned count, value = 0;

        if (first & 0x80) {
            value = (first >> 2 & 0x1f) + 1u;
            count = (first & 3) + 1u;
        } else if (first & 0x40) {
            if (!span_take_u8(&runs, &second))
                return false;
            count = ((first & 0x3fu) << 8 | second) + 1;
        } else {
            count = (first & 0x3fu) + 1;
        }
        if (count > HLL_REGISTERS - at)
            return false;
        for (; count > 0; count--, at++) {
            if (registers[at] < value)
                registers[at] = (uint8_t)value;
        }
    }
    return at == HLL_REGISTERS;
}

static bool load_string(struct call *call, struct span text, uint8_t *registers)
{
    bool headed = text.len >= HEADER_BYTES && memcmp(text.at, "HYLL", 4) == 0 && text.at[4] <= 1;

    if (!headed || (text.at[4] == 0 && text.len != HEADER_BYTES + DENSE_BYTES)) {
        reply_error(call->reply, "WRONGTYPE Key is not a valid HyperLogLog string value.");
        return false;
    }
    struct span packed = span_skip(text, HEADER_BYTES);
    if (text.at[4] == 0 ? get_dense(packed, registers) : get_sparse(packed, registers))
        return true;
    reply_error(call->reply, "INVALIDOBJ Corrupted HLL object detected");
    return false;
}

/* The count that Redis keeps in the header is marked as not known. */
void hyperloglog_reply(struct call *call, const struct entry *object)
{
    static const uint8_t header[HEADER_BYTES] = { 'H', 'Y', 'L', 'L', [HEADER_BYTES - 1] = 0x80 };
    uint8_t registers[HLL_REGISTERS] = { 0 };
    uint8_t text[HEADER_BYTES + DENSE_BYTES + 1] = { 0 }, *packed = text + HEADER_BYTES;

    hll_maxima(&object_part(object, COMPONENT_HLL)->hll, registers);
    memcpy(text, header, HEADER_BYTES);
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        unsigned at = i * 6 / 8, value = (unsigned)registers[i] << i * 6 % 8;

        packed[at] |= (uint8_t)value;
        packed[at + 1] |= (uint8_t)(value >> 8);
    }
    reply_bulk(call->reply, span_of(text, HEADER_BYTES + DENSE_BYTES));
}

/* Raises registers[HLL_REGISTERS] to those of a key that readers see. False when the error was
 * replied: it is something else. *found says whether there is a key. */
static bool load(struct call *call, struct span key, uint8_t *registers, bool *found)
{
    char scratch[CELL_SCRATCH_BYTES];
    struct entry *e;

    if (!call_find(call, key, COMPONENT_NONE, &e))
        return false;
    *found = e != NULL;
    if (e == NULL)
        return true;
    enum component c = object_visible(e);
    if (c == COMPONENT_HLL) {
        hll_maxima(&object_part(e, COMPONENT_HLL)->hll, registers);
        return true;
    }
    if (c == COMPONENT_STRING)
        return load_string(call, data_string(e, scratch), registers);
    call_wrong_type(call);
    return false;
}

/* --- hashing --- */

static uint64_t murmur_word(const uint8_t *at, size_t len)
{
    uint64_t word = 0;

    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

/* MurmurHash64A (Appleby), little-endian, with Redis's seed. */
static uint64_t murmur(struct span s)
{
    const uint64_t m = 0xc6a4a7935bd1e995;
    uint64_t h = 0xadc83b19u ^ (s.len * m);

    for (; s.len >= 8; s = span_skip(s, 8)) {
        uint64_t k = murmur_word(s.at, 8) * m;

        h = (h ^ (k ^ k >> 47) * m) * m;
    }
    if (s.len > 0)
        h = (h ^ murmur_word(s.at, s.len)) * m;
    h = (h ^ h >> 47) * m;
    return h ^ h >> 47;
}

static struct hll_register register_of(struct span element)
{
    uint64_t hash = murmur(element);
    uint64_t rest = hash >> INDEX_BITS | UINT64_C(1) << HASH_BITS; /* so that a bit is set */

    return (struct hll_register){ (uint16_t)(hash & (HLL_REGISTERS - 1)),
                                  (uint8_t)(__builtin_ctzll(rest) + 1) };
}

/* --- estimating --- */

static double sigma(double x)
{
    double y = 1, sum = x, before;

    if (x == 1)
        return INFINITY;
    do {
        x *= x;
        before = sum;
        sum += x * y;
        y += y;
    } while (sum != before);
    return sum;
}

static double tau(double x)
{
    double y = 1, sum = 1 - x, before;

    if (x == 0 || x == 1)
        return 0;
    do {
        x = sqrt(x);
        before = sum;
        y *= 0.5;
        sum -= (1 - x) * (1 - x) * y;
    } while (sum != before);
    return sum / 3;
}

static int64_t estimate(const uint8_t *registers)
{
    const double m = HLL_REGISTERS, alpha = 0.721347520444481703680;
    unsigned histogram[64] = { 0 };

    for (unsigned i = 0; i < HLL_REGISTERS; i++)
        histogram[registers[i] & 63]++;
    double z = m * tau((m - histogram[HASH_BITS + 1]) / m);
    for (unsigned k = HASH_BITS; k >= 1; k--)
        z = 0.5 * (z + histogram[k]);
    z += m * sigma(histogram[0] / m);
    return (int64_t)llroundl((long double)(alpha * m * m / z));
}

/* --- commands --- */

static void emit_registers(struct call *call, struct span key, const uint8_t *wanted,
                           const uint8_t *there)
{
    struct hll_register *raised = mem_alloc(HLL_REGISTERS * sizeof(*raised));
    size_t count = 0;

    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        if (wanted[i] > there[i])
            raised[count++] = (struct hll_register){ (uint16_t)i, wanted[i] };
    }
    emit_hll(call->replica, call->db, key, raised, count);
    mem_free(raised);
}

static bool is_string(const struct call *call, struct span key)
{
    const struct entry *e = data_live(call, call->db, key);

    return e != NULL && object_visible(e) == COMPONENT_STRING;
}

/* Emits only what raises a register; a string in Redis's form becomes a hyperloglog first. */
void cmd_pfadd(struct call *call)
{
    static const uint8_t none[HLL_REGISTERS];
    uint8_t registers[HLL_REGISTERS] = { 0 };
    struct span key = call->argv[1];
    bool found, raised = false;

    if (!load(call, key, registers, &found))
        return;
    struct hll_register *news = mem_alloc(call->argc * sizeof(*news));
    size_t count = 0;
    for (size_t i = 2; i < call->argc; i++) {
        struct hll_register r = register_of(call->argv[i]);

        if (r.value <= registers[r.index])
            continue;
        registers[r.index] = r.value;
        news[count++] = r;
        raised = true;
    }
    if (is_string(call, key) && raised)
        emit_registers(call, key, registers, none);
    else if (raised || !found)
        emit_hll(call->replica, call->db, key, news, count);
    mem_free(news);
    reply_int(call->reply, raised || !found);
}

void cmd_pfcount(struct call *call)
{
    uint8_t registers[HLL_REGISTERS] = { 0 };
    bool found;

    for (size_t i = 1; i < call->argc; i++) {
        if (!load(call, call->argv[i], registers, &found))
            return;
    }
    reply_int(call->reply, estimate(registers));
}

void cmd_pfmerge(struct call *call)
{
    uint8_t registers[HLL_REGISTERS] = { 0 }, there[HLL_REGISTERS] = { 0 };
    struct span key = call->argv[1];
    bool found, destination;

    if (!load(call, key, registers, &destination))
        return;
    if (!is_string(call, key))
        memcpy(there, registers, sizeof(there));
    for (size_t i = 2; i < call->argc; i++) {
        if (!load(call, call->argv[i], registers, &found))
            return;
    }
    if (!destination || memcmp(registers, there, sizeof(there)) != 0)
        emit_registers(call, key, registers, there);
    reply_ok(call->reply);
}
