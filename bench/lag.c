/*
 * lag -- how long a write takes from one server to others, while the first is written at a fixed rate.
 *
 *     lag RATE SECONDS PORT OTHER-PORT...
 *
 * The writer sends SETs of 64 bytes to random keys at PORT, BATCH at a time, spread evenly over
 * time, and every PROBE_US one probe: a SET of a key of its own that holds nothing but the time. For
 * each other port one thread asks for the next probe until it is there, and notes the time since the
 * probe was sent. Probes come in order, so that none is missed. All servers are on this machine: one
 * clock.
 */
#include <errno.h>
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
    CONNECTIONS = 8,
    BATCH = 16,
    KEYS = 100000,
    VALUE_BYTES = 64,
    PROBE_US = 2000,
    POLL_US = 100,
    OTHERS_MAX = 8,
    BEHIND_MAX = 1 << 20, /* bytes of replies still to come, over which the writer waits */
};

struct sink {
    int fd;
    size_t owed_bytes; /* of replies: "+OK\r\n" for each command */
};

struct observer {
    pthread_t thread;
    int port;
    uint64_t *lag_us; /* [count], room for every probe */
    uint64_t count;
};

static volatile uint64_t probes_sent;
static volatile bool over;

static void fail(const char *what)
{
    fprintf(stderr, "lag: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void rest_us(long us)
{
    nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

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

/* --- writing --- */

static void take_replies(struct sink *s, bool wait)
{
    char bytes[65536];

    while (s->owed_bytes > 0) {
        ssize_t got = recv(s->fd, bytes, sizeof(bytes), wait ? 0 : MSG_DONTWAIT);

        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (got <= 0)
            fail("recv");
        if (bytes[0] == '-') {
            fprintf(stderr, "lag: refused: %.*s", (int)got, bytes);
            exit(1);
        }
        s->owed_bytes -= (size_t)got;
    }
}

static void send_batch(struct sink *s, const char *value)
{
    char bytes[BATCH * 160];
    size_t len = 0;

    for (int i = 0; i < BATCH; i++)
        len += (size_t)snprintf(bytes + len, sizeof(bytes) - len,
                                "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$%d\r\n%s\r\n", rand() % KEYS,
                                VALUE_BYTES, value);
    send_all(s->fd, bytes, len);
    s->owed_bytes += BATCH * strlen("+OK\r\n");
    take_replies(s, s->owed_bytes > BEHIND_MAX);
}

static void send_probe(struct sink *s)
{
    char bytes[160], time[24];
    int len = snprintf(time, sizeof(time), "%020llu", (unsigned long long)now_us());

    len = snprintf(bytes, sizeof(bytes), "*3\r\n$3\r\nSET\r\n$16\r\nprobe:%010llu\r\n$%d\r\n%s\r\n",
                   (unsigned long long)probes_sent, len, time);
    send_all(s->fd, bytes, (size_t)len);
    s->owed_bytes += strlen("+OK\r\n");
    take_replies(s, false);
    probes_sent = probes_sent + 1;
}

/* Returns how many were written. */
static uint64_t write_at(int port, uint64_t rate, uint64_t seconds)
{
    struct sink sinks[CONNECTIONS] = { 0 }, probe = { .fd = dial(port) };
    char value[VALUE_BYTES + 1];
    uint64_t began = now_us(), probe_at = began, written = 0;

    memset(value, 'x', VALUE_BYTES);
    value[VALUE_BYTES] = '\0';
    for (int i = 0; i < CONNECTIONS; i++)
        sinks[i].fd = dial(port);
    for (uint64_t now = began; now - began < seconds * 1000000; now = now_us()) {
        if (now >= probe_at) {
            send_probe(&probe);
            probe_at += PROBE_US;
        }
        if ((now - began) * rate / 1000000 >= written + BATCH) {
            send_batch(&sinks[written / BATCH % CONNECTIONS], value);
            written += BATCH;
        } else
            rest_us(20);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        take_replies(&sinks[i], true);
    take_replies(&probe, true);
    return written;
}

/* --- observing --- */

/* Asks for a key that holds 20 digits: false when it is not there. */
static bool get(int fd, uint64_t probe, uint64_t *value)
{
    char bytes[64];
    size_t len = 0, need = 5;
    int asked = snprintf(bytes, sizeof(bytes), "*2\r\n$3\r\nGET\r\n$16\r\nprobe:%010llu\r\n",
                         (unsigned long long)probe);

    send_all(fd, bytes, (size_t)asked);
    while (len < need) {
        ssize_t got = recv(fd, bytes + len, sizeof(bytes) - 1 - len, 0);

        if (got <= 0)
            fail("recv");
        len += (size_t)got;
        if (len >= 2 && bytes[0] == '$' && bytes[1] != '-')
            need = 27; /* $20, the digits, and line ends */
    }
    bytes[len] = '\0';
    if (bytes[0] != '$') {
        fprintf(stderr, "lag: unexpected answer: %s", bytes);
        exit(1);
    }
    if (bytes[1] == '-')
        return false;
    *value = strtoull(bytes + 5, NULL, 10);
    return true;
}

static void *observe(void *context)
{
    struct observer *o = context;
    int fd = dial(o->port);

    while (!over || o->count < probes_sent) {
        uint64_t sent_us;

        if (o->count < probes_sent && get(fd, o->count, &sent_us))
            o->lag_us[o->count++] = now_us() - sent_us;
        else
            rest_us(POLL_US);
    }
    close(fd);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static void report(struct observer *o)
{
    qsort(o->lag_us, o->count, sizeof(o->lag_us[0]), compare);
    printf("  to port %d: p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, max %.2f ms over %llu probes\n", o->port,
           (double)o->lag_us[o->count / 2] / 1000, (double)o->lag_us[o->count * 99 / 100] / 1000,
           (double)o->lag_us[o->count * 999 / 1000] / 1000, (double)o->lag_us[o->count - 1] / 1000,
           (unsigned long long)o->count);
}

int main(int argc, char **argv)
{
    struct observer observers[OTHERS_MAX];
    int others = argc - 4;

    if (others < 1 || others > OTHERS_MAX) {
        fprintf(stderr, "usage: lag RATE SECONDS PORT OTHER-PORT...\n");
        return 2;
    }
    uint64_t rate = strtoull(argv[1], NULL, 10), seconds = strtoull(argv[2], NULL, 10);
    for (int i = 0; i < others; i++) {
        uint64_t probes = seconds * 1000000 / PROBE_US + 1;

        observers[i] = (struct observer){ .port = atoi(argv[4 + i]) };
        observers[i].lag_us = malloc(probes * sizeof(uint64_t));
        if (observers[i].lag_us == NULL
            || pthread_create(&observers[i].thread, NULL, observe, &observers[i]) != 0)
            fail("observer");
    }
    uint64_t written = write_at(atoi(argv[3]), rate, seconds);
    over = true;
    printf("  written at %llu/s (asked: %llu/s)\n", (unsigned long long)(written / seconds),
           (unsigned long long)rate);
    for (int i = 0; i < others; i++) {
        pthread_join(observers[i].thread, NULL);
        report(&observers[i]);
        free(observers[i].lag_us);
    }
    return 0;
}
