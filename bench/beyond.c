/*
 * beyond -- a server whose data is larger than its memory: is every answer right, does the process stay
 * within its limit, and how fast is it?
 *
 *     beyond PORT PID KEYS VALUE-BYTES SECONDS
 *
 * Writes KEYS values, then reads (nine of ten) and writes keys by Zipf's law, for SECONDS with each of
 * several exponents: the steeper, the more is found in memory. Every value says whose it is and how often
 * it was written, and is checked. The process's resident memory is read every millisecond from /proc.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS = 4,
    BATCH = 32, /* commands sent before their replies are read */
    VALUE_MAX = 65536,
    GUIDES = 1 << 16,
};

struct pending {
    uint32_t key;
    bool is_read;
};

struct connection {
    int fd;
    struct pending pending[BATCH];
    char input[1 << 18];
    size_t start, end; /* of what was received and not yet used */
};

static struct connection connections[CONNECTIONS];
static uint32_t key_count;
static uint32_t *written; /* [key_count] how often */
static size_t value_bytes;
static int server_pid;
static _Atomic uint64_t rss_max_kb;
static volatile bool over;

static void fail(const char *what)
{
    fprintf(stderr, "beyond: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- the process's memory --- */

static uint64_t rss_kb(void)
{
    char path[64], line[256];
    unsigned long long kb = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", server_pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        fail(path);
    while (fgets(line, sizeof(line), f) != NULL && sscanf(line, "VmRSS: %llu", &kb) != 1)
        continue;
    fclose(f);
    return kb;
}

static void *watch(void *unused)
{
    (void)unused;
    while (!over) {
        uint64_t kb = rss_kb();
        if (kb > rss_max_kb)
            rss_max_kb = kb;
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return NULL;
}

/* --- the connections --- */

static int dial(int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);

        if (sent < 0)
            fail("send");
        bytes += sent;
        len -= (size_t)sent;
    }
}

/* At least so many bytes stand at the connection's start. */
static void need(struct connection *c, size_t bytes)
{
    if (sizeof(c->input) - c->start < bytes || c->start == c->end) {
        memmove(c->input, c->input + c->start, c->end - c->start);
        c->end -= c->start;
        c->start = 0;
    }
    while (c->end - c->start < bytes) {
        ssize_t got = recv(c->fd, c->input + c->end, sizeof(c->input) - c->end, 0);

        if (got <= 0)
            fail("recv");
        c->end += (size_t)got;
    }
}

/* The first line of a reply: with what it begins, and its number if it has one. */
static char take_line(struct connection *c, long *number)
{
    char *end;

    for (size_t bytes = 3;; bytes++) {
        need(c, bytes);
        end = memchr(c->input + c->start, '\n', c->end - c->start);
        if (end != NULL)
            break;
        bytes = c->end - c->start;
    }
    char kind = c->input[c->start];
    if (kind == '-') {
        fprintf(stderr, "beyond: refused: %.*s\n", (int)(end - c->input - (long)c->start),
                c->input + c->start);
        exit(1);
    }
    *number = strtol(c->input + c->start + 1, NULL, 10);
    c->start = (size_t)(end + 1 - c->input);
    return kind;
}

/* --- values --- */

static size_t put_value(char *at, uint32_t key, uint32_t times)
{
    size_t len = (size_t)sprintf(at, "%010u.%010u.", key, times);

    for (; len < value_bytes; len++)
        at[len] = (char)('a' + (key + times + len) % 26);
    return len;
}

static void check_value(struct connection *c, uint32_t key)
{
    char wanted[VALUE_MAX];
    long len;
    char kind = take_line(c, &len);

    if (kind != '$' || len != (long)value_bytes) {
        fprintf(stderr, "beyond: key %u: a value of %ld bytes\n", key, len);
        exit(1);
    }
    need(c, value_bytes + 2);
    put_value(wanted, key, written[key]);
    if (memcmp(c->input + c->start, wanted, value_bytes) != 0) {
        fprintf(stderr, "beyond: key %u, written %u times: got %.22s\n", key, written[key],
                c->input + c->start);
        exit(1);
    }
    c->start += value_bytes + 2;
}

static size_t put_command(char *at, struct pending p)
{
    char value[VALUE_MAX];

    if (p.is_read)
        return (size_t)sprintf(at, "*2\r\n$3\r\nGET\r\n$14\r\nkey:%010u\r\n", p.key);
    put_value(value, p.key, ++written[p.key]);
    return (size_t)sprintf(at, "*3\r\n$3\r\nSET\r\n$14\r\nkey:%010u\r\n$%zu\r\n%.*s\r\n", p.key,
                           value_bytes, (int)value_bytes, value);
}

/* A read of a key that the batch writes later would not know which value to want: so a batch either
 * reads or writes a key. */
static bool is_twice(const struct connection *c, int before, uint32_t key)
{
    for (int i = 0; i < before; i++) {
        if (c->pending[i].key == key)
            return true;
    }
    return false;
}

static void send_batch(struct connection *c)
{
    static char bytes[BATCH * (VALUE_MAX + 64)];
    size_t len = 0;

    for (int i = 0; i < BATCH; i++)
        len += put_command(bytes + len, c->pending[i]);
    send_all(c->fd, bytes, len);
}

static void take_batch(struct connection *c)
{
    long ignored;

    for (int i = 0; i < BATCH; i++) {
        if (c->pending[i].is_read)
            check_value(c, c->pending[i].key);
        else
            take_line(c, &ignored);
    }
}

/* --- Zipf --- */

static double *below;    /* [key_count] chance of a rank up to this one */
static uint32_t *guides; /* [GUIDES] where to begin to look */
static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void prepare_zipf(double exponent)
{
    double sum = 0;
    uint32_t rank = 0;

    for (uint32_t i = 0; i < key_count; i++)
        below[i] = sum += pow(i + 1, -exponent);
    for (uint32_t i = 0; i < key_count; i++)
        below[i] /= sum;
    for (uint32_t g = 0; g < GUIDES; g++) {
        while (below[rank] < (double)g / GUIDES)
            rank++;
        guides[g] = rank;
    }
}

static uint32_t choose_key(void)
{
    double chance = (double)(next_random() >> 11) * 0x1p-53;
    uint32_t rank = guides[(uint32_t)(chance * GUIDES)];

    while (below[rank] < chance)
        rank++;
    return (uint32_t)((uint64_t)rank * 2654435761u % key_count); /* ranks stand far apart */
}

/* --- the phases --- */

static uint64_t info(const char *name)
{
    struct connection *c = &connections[0];
    char field[64];
    long len;

    send_all(c->fd, "*1\r\n$4\r\nINFO\r\n", 14);
    take_line(c, &len);
    need(c, (size_t)len + 2);
    c->input[c->start + (size_t)len] = 0;
    snprintf(field, sizeof(field), "\n%s:", name);
    const char *at = strstr(c->input + c->start, field);
    uint64_t value = at != NULL ? strtoull(at + strlen(field), NULL, 10) : 0;
    c->start += (size_t)len + 2;
    return value;
}

static void fill(void)
{
    double began = now_s();

    for (uint32_t key = 0; key < key_count;) {
        for (int n = 0; n < CONNECTIONS; n++) {
            for (int i = 0; i < BATCH; i++)
                connections[n].pending[i] = (struct pending){ key++ % key_count, false };
            send_batch(&connections[n]);
        }
        for (int n = 0; n < CONNECTIONS; n++)
            take_batch(&connections[n]);
    }
    printf("fill           %10.0f/s                    peak %6.1f MB resident\n",
           key_count / (now_s() - began), (double)rss_max_kb / 1024);
    fflush(stdout);
}

static void choose_batch(struct connection *c)
{
    for (int i = 0; i < BATCH; i++) {
        uint32_t key;
        do {
            key = choose_key();
        } while (is_twice(c, i, key));
        c->pending[i] = (struct pending){ key, next_random() % 10 != 0 };
    }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* One connection at a time: what another would write meanwhile could not be checked. */
static void use(double exponent, double seconds)
{
    enum { TIMES_MAX = 1 << 20 };
    double *times = malloc(TIMES_MAX * sizeof(*times));
    double began = now_s(), begin;
    uint64_t reads = 0, commands = 0, cold = info("fetched_keys");
    size_t count = 0;

    rss_max_kb = 0;
    while ((begin = now_s()) - began < seconds) {
        struct connection *c = &connections[count % CONNECTIONS];

        choose_batch(c);
        for (int i = 0; i < BATCH; i++)
            reads += c->pending[i].is_read;
        send_batch(c);
        take_batch(c);
        commands += BATCH;
        times[count++ % TIMES_MAX] = now_s() - begin;
    }
    cold = info("fetched_keys") - cold;
    if (count > TIMES_MAX)
        count = TIMES_MAX;
    qsort(times, count, sizeof(*times), by_size);
    printf("zipf %4.2f      %10.0f/s   hits %5.1f %%    peak %6.1f MB resident   batch p50 %.2f "
           "p99 %.2f max %.1f ms\n",
           exponent, (double)commands / (now_s() - began),
           100 - 100 * (double)cold / (double)commands, (double)rss_max_kb / 1024,
           times[count / 2] * 1e3, times[count / 100 * 99] * 1e3, times[count - 1] * 1e3);
    fflush(stdout);
    free(times);
}

int main(int argc, char **argv)
{
    static const double exponents[] = { 0.0, 0.6, 0.8, 0.9, 0.99, 1.1, 1.2, 1.4 };
    pthread_t watcher;

    if (argc != 6 || (value_bytes = strtoul(argv[4], NULL, 10)) < 22 || value_bytes > VALUE_MAX ||
        (key_count = (uint32_t)strtoul(argv[3], NULL, 10)) < BATCH) {
        fprintf(stderr, "usage: beyond PORT PID KEYS VALUE-BYTES SECONDS\n");
        return 2;
    }
    server_pid = atoi(argv[2]);
    written = calloc(key_count, sizeof(*written));
    below = calloc(key_count, sizeof(*below));
    guides = calloc(GUIDES, sizeof(*guides));
    for (int n = 0; n < CONNECTIONS; n++)
        connections[n].fd = dial(atoi(argv[1]));
    pthread_create(&watcher, NULL, watch, NULL);
    fill();
    for (size_t i = 0; i < sizeof(exponents) / sizeof(exponents[0]); i++) {
        prepare_zipf(exponents[i]);
        use(exponents[i], strtod(argv[5], NULL));
    }
    over = true;
    pthread_join(watcher, NULL);
    return 0;
}
