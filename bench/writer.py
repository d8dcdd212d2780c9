"""So many SETs a second to one port, until it is ended: writer PORT RATE KEYS VALUE-BYTES."""
import random
import signal
import socket
import sys
import time

PORT, RATE, KEYS, VALUE = map(int, sys.argv[1:5])
BATCHES = 50  # a second


def main():
    running, sent, errors = True, 0, 0

    def stop(*_):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    each = max(1, RATE // BATCHES)
    with socket.create_connection(("127.0.0.1", PORT)) as connection:
        replies = connection.makefile("rb")
        began = time.monotonic()
        while running:
            value = b"%0*d" % (VALUE, sent)
            connection.sendall(b"".join(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$%d\r\n%s\r\n" % (
                random.randrange(KEYS * 20), len(value), value) for _ in range(each)))
            for _ in range(each):
                errors += replies.readline()[:1] == b"-"
            sent += each
            ahead = began + sent / RATE - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
        took = time.monotonic() - began
    print(f"{sent / took:,.0f} writes/s for {took:.1f} s, {errors} refused")


main()
