#!/usr/bin/env python3
"""Bad input: a clear line, the rest keeps being served, nothing acknowledged is lost.

Against the sanitized binary where MERIDIAN_SANITIZED names one: what it does not forgive ends the region,
and with it the test. SEED=n repeats the choices of a run.
"""
import contextlib
import ctypes
import os
import random
import resource
import shutil
import socket
import struct
import subprocess
import threading
import time

import redis

import support

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
RNG = random.Random(SEED)
STRICT = os.environ.get("MERIDIAN_SANITIZED", "")
STRICT = STRICT if os.access(STRICT, os.X_OK) else support.BINARY
IDLE = 10_000


def strict_world(**options):
    return support.World(binary=STRICT, **options)


def dial(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def read_to_end(connection):
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


def lines_with(world, region, text):
    return [line for line in world.log(region).splitlines() if text in line]


def serves(world, region=0):
    return world.client(region).set("alive", "yes") and world.client(region).get("alive") == "yes"


def resident_mb(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


# --- clients ---

MALFORMED = [
    (b"*1\r\n+PING\r\n", b"expected '$', got '+'"),
    (b"*1048577\r\n", b"invalid multibulk length"),
    (b"*99999999999999999999999\r\n", b"invalid multibulk length"),
    (b"*x\r\n", b"invalid multibulk length"),
    (b"*1\r\n$536870913\r\n", b"invalid bulk length"),
    (b"*1\r\n$-1\r\n", b"invalid bulk length"),
    (b"*1\r\n$99999999999999999999999\r\n", b"invalid bulk length"),
    (b"*" + b"1" * 70000, b"too big mbulk count string"),
    (b"*1\r\n$" + b"1" * 70000, b"too big bulk count string"),
    (b"x" * 70000, b"too big inline request"),
    (b'SET k "unbalanced\r\n', b"unbalanced quotes in request"),
]


def test_malformed_commands_get_one_error_and_the_end():
    with strict_world(regions=1) as world:
        for request, error in MALFORMED:
            with dial(world.client_ports[0]) as connection:
                connection.sendall(b"*1\r\n$4\r\nPING\r\n" + request)
                answer = read_to_end(connection)
            assert answer.startswith(b"+PONG\r\n-ERR Protocol error: ") and error in answer, (request[:40], answer)
            assert answer.count(b"\r\n") == 2, answer
        assert serves(world)


def test_random_bytes_of_clients():
    with strict_world(regions=1) as world:
        pieces = [b"*", b"$", b"-", b"1", b"3", b"\r\n", b"SET", b"GET", b"k", b"*3\r\n$3\r\nSET\r\n", b"\0", b'"',
                  b"*2\r\n"]
        for _ in range(300):
            with dial(world.client_ports[0]) as connection:
                request = b"".join(RNG.choice(pieces) if RNG.random() < 0.9 else RNG.randbytes(5)
                                   for _ in range(RNG.randrange(1, 40)))
                with contextlib.suppress(ConnectionError):
                    connection.sendall(request)
                    connection.shutdown(socket.SHUT_WR)
                    read_to_end(connection)
        assert serves(world), f"SEED={SEED}"


def test_huge_lengths_take_no_memory_before_the_bytes_come():
    with support.World(regions=1) as world:
        world.client(0).ping()
        before = resident_mb(world.processes[0].pid)
        connections = [dial(world.client_ports[0]) for _ in range(200)]
        for connection in connections:
            connection.sendall(b"*1048576\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nonly these")
        assert serves(world)
        grown = resident_mb(world.processes[0].pid) - before
        assert grown < 100, f"{grown:.0f} MB for what was only announced"
        for connection in connections:
            connection.close()


def test_half_open_and_reset_connections():
    with strict_world(regions=1) as world:
        client = world.client(0)
        client.set("big", "x" * 1_000_000)
        connections = []
        requests = [b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nhalf of", b"GET big\r\n" * 20, b"*", b"PING\r\n"]
        for number in range(200):
            connection = dial(world.client_ports[0])
            connection.sendall(requests[number % 4])
            if number % 3 == 0:         # gone without a word: a reset
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
            elif number % 3 == 1:
                connection.shutdown(socket.SHUT_WR)
                connections.append(connection)
            else:
                connections.append(connection)
        assert serves(world)
        for connection in connections:
            connection.close()
        support.wait_until(lambda: len(client.client_list()) <= 2, what="dead connections were not given up")


def test_ten_thousand_idle_connections():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(IDLE, hard - 300)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with support.World(regions=1, extra=f"limits: {{ clients: {IDLE + 100} }}") as world:
            idle = [dial(world.client_ports[0]) for _ in range(count)]
            for connection in idle[::100]:
                connection.sendall(b"PING\r\n")
            assert all(connection.recv(7) == b"+PONG\r\n" for connection in idle[::100])
            client = world.client(0)
            assert client.info("clients")["connected_clients"] > count
            began = time.monotonic()
            with client.pipeline(transaction=False) as pipeline:
                for number in range(20000):
                    pipeline.set(f"k{number}", "v")
                pipeline.execute()
            print(f"     20000 writes in {time.monotonic() - began:.2f} s beside {count} idle connections")
            for connection in idle:
                connection.close()
            support.wait_until(lambda: client.info("clients")["connected_clients"] < 10, what="they were not given up")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- peers ---

def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = crc32c_table()


def crc32c(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


HELLO, REFUSED, SUBSCRIBE, BATCHES, VECTOR, PING, PONG, FAULT = range(1, 9)
BARRIER, ROUND_TRIPS = 16, 22           # the first and the last of those that promises and topologies need
INTAKE, FEED = 1, 2


def message(kind, body):
    """As src/wire/message.h has it."""
    content = bytes([kind]) + body
    return struct.pack("<II", len(content), crc32c(content)) + content


def hello(role, region, name, deployment=b"test", instance=1):
    text = bytes([len(deployment)]) + deployment + bytes([len(name)]) + name
    nothing = b"\0"
    return message(HELLO, struct.pack("<IBBBQQQQB", 3, role, region, 1, instance, instance, 0, 0, 0) + text + nothing + nothing + nothing)


def read_message(connection):
    """(type, body); None at the end."""
    def exactly(count):
        content = b""
        while len(content) < count:
            piece = connection.recv(count - len(content))
            if not piece:
                return None
            content += piece
        return content
    with contextlib.suppress(ConnectionError):
        header = exactly(8)
        content = header and exactly(struct.unpack("<I", header[:4])[0])
        return content and (content[0], content[1:])
    return None


def test_hostile_bytes_on_the_peer_port():
    with strict_world(regions=2) as world:
        world.wait_linked()
        port = world.peer_ports[0]
        good = hello(INTAKE, 2, b"eu-de")
        attacks = [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b"\xff" * 100, struct.pack("<II", 1 << 31, 0) + b"x" * 100,
                   message(HELLO, b""), message(SUBSCRIBE, b""), message(99, b"x"), good[:-1] + b"x", good[:20],
                   hello(FEED, 2, b"eu-de"), hello(INTAKE, 7, b"eu-de"), hello(INTAKE, 2, b"x" * 200),
                   hello(INTAKE, 1, b"us-east"), hello(INTAKE, 2, b"eu-de", instance=0)]
        attacks += [RNG.randbytes(RNG.randrange(1, 2000)) for _ in range(50)]
        for attack in attacks:
            with dial(port) as connection:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(attack)
                    connection.shutdown(socket.SHUT_WR)
                    read_to_end(connection)
        assert serves(world), f"SEED={SEED}"
        refused = lines_with(world, 0, "ev=link.refused")
        assert any("malformed message" in line for line in refused), world.log(0)
        assert len(refused) <= len(attacks), "more than a line for each"
        world.wait_linked()
        world.wait_equal()


def test_a_false_peer_that_knows_the_protocol():
    """The second region is ours: it says HELLO as it should, and then anything, with good checksums."""
    with strict_world(regions=2, start=False) as world:
        world.start(0)
        for number in range(150):
            kind = RNG.choice([SUBSCRIBE, BATCHES, VECTOR, PING, PONG, FAULT, HELLO, *range(BARRIER, ROUND_TRIPS + 1)])
            with dial(world.peer_ports[0]) as connection:
                connection.sendall(hello(INTAKE, 2, b"eu-de", instance=number + 1))
                assert read_message(connection)[0] == HELLO
                with contextlib.suppress(ConnectionError):
                    connection.sendall(message(kind, RNG.randbytes(RNG.randrange(60))))
                    connection.shutdown(socket.SHUT_WR)
                    read_to_end(connection)
        assert serves(world), f"SEED={SEED}"


class FalseFeed(threading.Thread):
    """Listens where the second region should be: says HELLO, and sends one hostile message to every caller."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", port))
        self.served = 0
        self.start()

    def bodies(self):
        content = RNG.randbytes(RNG.randrange(80))
        yield BATCHES, content
        yield BATCHES, struct.pack("<BI", 0, len(content)) + content
        yield BATCHES, struct.pack("<BI", 1, 1 << 30) + content
        yield BATCHES, struct.pack("<BI", 0, len(content) + 1) + bytes([len(content)]) + content
        yield PONG, content[:24].ljust(24, b"\xff")
        yield VECTOR, content
        yield FAULT, content[:7].ljust(7, b"\1")

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(20)
            with connection, contextlib.suppress(OSError):
                read_message(connection)
                connection.sendall(hello(FEED, 2, b"eu-de", instance=self.served + 1))
                for kind, body in self.bodies():
                    connection.sendall(message(kind, body))
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            self.served += 1

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join()


def test_a_false_peer_that_is_dialled():
    with strict_world(regions=2, start=False) as world:
        feed = FalseFeed(world.peer_ports[1])
        world.start(0)
        support.wait_until(lambda: feed.served >= 6, 30, "it was not dialled again")
        feed.stop()
        assert serves(world), f"SEED={SEED}"
        assert lines_with(world, 0, "malformed"), world.log(0)


class Corruptor(threading.Thread):
    """A road between two regions on which now and then a bit turns over."""

    def __init__(self, flips):
        super().__init__(daemon=True)
        self.to_port = None
        self.flips = flips              # mean bytes between two flips; None: a good road
        self.flipped = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            try:
                called = dial(self.to_port)
            except OSError:
                caller.close()
                continue
            for source, target in [(caller, called), (called, caller)]:
                threading.Thread(target=self.carry, args=(source, target), daemon=True).start()

    def carry(self, source, target):
        source.settimeout(None)
        with contextlib.suppress(OSError):
            while piece := bytearray(source.recv(65536)):
                if self.flips and RNG.random() < len(piece) / self.flips:
                    piece[RNG.randrange(len(piece))] ^= 1 << RNG.randrange(8)
                    self.flipped += 1
                target.sendall(piece)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def test_bits_that_turn_over_on_the_way_change_nothing():
    roads = [Corruptor(20_000), Corruptor(20_000)]
    names = support.NAMES
    with strict_world(regions=2, start=False,
                      dials={i: [f"{names[1 - i]}=127.0.0.1:{roads[i].port}"] for i in (0, 1)}) as world:
        for i in (0, 1):
            roads[i].to_port = world.peer_ports[1 - i]
        world.start(0)
        world.start(1)
        for number in range(60):
            for region in (0, 1):
                with world.client(region).pipeline(transaction=False) as pipeline:
                    for each in range(50):
                        pipeline.set(f"r{region}:{number}:{each}", RNG.randbytes(20).hex()).incr("sum")
                    pipeline.execute()
            time.sleep(0.02)
        assert sum(road.flipped for road in roads) > 0
        for road in roads:
            road.flips = None
        world.wait_equal(60)
        assert world.client(0).get("sum") == str(60 * 50 * 2), f"SEED={SEED}"
        assert lines_with(world, 0, "malformed") + lines_with(world, 1, "malformed")


def test_a_peer_of_another_deployment_is_one_clear_error_in_both_logs():
    with support.World(regions=2, start=False) as world:
        other = os.path.join(world.dir, "other.yaml")
        with open(world.config, encoding="utf-8") as good, open(other, "w", encoding="utf-8") as file:
            file.write(good.read().replace("deployment: test", "deployment: strange"))
        command = world.command
        world.command = lambda i: [other if word == world.config and i == 1 else word for word in command(i)]
        world.start(0)
        world.start(1)
        for region in (0, 1):
            support.wait_until(lambda: any("strange" in line and "test" in line
                                           for line in lines_with(world, region, "ev=link.refused")),
                               what=f"region {region} did not say why")
        time.sleep(2)           # they dial again and again, and say it once
        for region in (0, 1):
            refused = lines_with(world, region, "ev=link.refused")
            assert len(refused) <= 2, refused
        world.client(0).set("k", "v")
        assert world.client(1).get("k") is None and serves(world, 1)


# --- starting ---

def test_errors_of_a_configuration_are_told_by_line():
    with support.World(regions=2, start=False) as world:
        with open(world.config, encoding="utf-8") as file:
            good = file.read()
        for spoil, line, said in [
                (("log:", "lgo:"), 11, "lgo"),
                (("fsync: everysec", "fsync: sometimes"), 11, "sometimes"),
                (("  - name: eu-de", "  - name: us-east"), 7, "us-east"),
                (("deployment: test", "deployment: [test"), 1, ""),
                ((f"clients: 127.0.0.1:{world.client_ports[1]}", "clients: 127.0.0.1:123456"), 8, "123456"),
                (("log:", "fences: { gdpr: [atlantis] }\nlog:"), 11, "atlantis")]:
            bad = os.path.join(world.dir, "bad.yaml")
            with open(bad, "w", encoding="utf-8") as file:
                file.write(good.replace(*spoil))
            serve = ["serve", "--config", bad, "--region", "eu-de", "--data", world.data_dir(1)]
            for command in (["check", bad], serve):
                status, _, errors = support.run(*command)
                assert status == 1, (spoil, status, errors)
                first = errors.splitlines()[0]
                expected = f"{bad}:{line}: " if said else f"{bad}:"
                assert first.startswith(expected) and said in first, (spoil, errors)
            assert not os.path.exists(world.data_dir(1)), "a directory was made nevertheless"


def test_a_configuration_in_which_the_numbers_changed_is_refused():
    with support.World(regions=2) as world:
        world.kill(0, 15)
        with open(world.config, encoding="utf-8") as file:
            text = file.read()
        first, second = (f"  - name: {name}\n" for name in world.names)
        with open(world.config, "w", encoding="utf-8") as file:
            file.write(text.replace(first, first + "    id: 2\n").replace(second, second + "    id: 1\n"))
        status, _, errors = support.run(*world.command(0)[1:])
        assert status == 1 and errors.count("\n") == 1, errors
        assert "number" in errors and world.data_dir(0) in errors, errors


# --- the disk ---

CLONE_NEWNS, MS_REC, MS_PRIVATE, MS_REMOUNT = 0x20000, 0x4000, 0x40000, 0x20
LIBC = ctypes.CDLL(None, use_errno=True)

SHIM = r"""
/* A fallocate that finds the disk full after SHIM_BYTES. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

int fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
    static long long used;
    int (*real)(int, int, off64_t, off64_t) = (int (*)(int, int, off64_t, off64_t))dlsym(RTLD_NEXT, "fallocate64");
    if ((used += len) <= atoll(getenv("SHIM_BYTES")))
        return real(fd, mode, offset, len);
    errno = ENOSPC;
    return -1;
}
"""


class SmallDisk:
    """A directory with little room: a tmpfs in our own mount namespace or, not allowed that, a shim in the server."""

    def __init__(self, directory, megabytes):
        self.directory = directory
        self.environment = {}
        if os.environ.get("NO_MOUNT") != "1" and self.mount(megabytes):
            return
        source = os.path.join(directory, "shim.c")
        library = os.path.join(directory, "shim.so")
        with open(source, "w", encoding="ascii") as file:
            file.write(SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self.environment = {"LD_PRELOAD": library, "SHIM_BYTES": str(megabytes << 20)}

    def mount(self, megabytes):
        return (LIBC.unshare(CLONE_NEWNS) == 0
                and LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
                and LIBC.mount(b"tmpfs", self.directory.encode(), b"tmpfs", 0, b"size=%dm" % megabytes) == 0)

    def grow(self, megabytes):
        if self.environment:
            self.environment = {}
        elif LIBC.mount(b"tmpfs", self.directory.encode(), b"tmpfs", MS_REMOUNT, b"size=%dm" % megabytes) != 0:
            raise OSError(ctypes.get_errno(), "remount")

    @contextlib.contextmanager
    def beside(self):
        """Programs that are started inside know of it."""
        os.environ.update(self.environment)
        try:
            yield
        finally:
            for name in self.environment:
                del os.environ[name]

    def release(self):
        LIBC.umount2(self.directory.encode(), 2)
        shutil.rmtree(os.path.dirname(self.directory), ignore_errors=True)  # the world could not: it was mounted


def write_until_refused(client):
    """Values of 200 KB: those acknowledged, and the refusal."""
    written = {}
    for number in range(10_000):
        key, value = f"k{number}", RNG.randbytes(100_000).hex()
        try:
            client.set(key, value)
        except redis.ResponseError as error:
            return written, str(error)
        written[key] = value
    raise AssertionError("the disk was never full")


def holds(client, written):
    return all(client.get(key) == value for key, value in written.items())


def test_a_full_disk_ends_writes_and_nothing_else():
    world = support.World(regions=1, start=False, fsync="always")
    os.mkdir(world.data_dir(0))
    disk = SmallDisk(world.data_dir(0), 100)
    try:
        with world:
            with disk.beside():
                world.start(0)
            written, refusal = write_until_refused(world.client(0))
            assert "log failed" in refusal and "\n" not in refusal, refusal
            assert len(written) > 100
            support.wait_until(lambda: lines_with(world, 0, "ev=log.failed"), what="the log did not say so")
            client = world.client(0)
            assert holds(client, written), "reads are not served as they were"
            time.sleep(0.6)             # past the clock's ceiling, which can no longer be raised
            for command in (["SET", "k", "v"], ["DEL", "k0"], ["INCR", "c"]):
                try:
                    client.execute_command(*command)
                    raise AssertionError(f"{command} was taken")
                except redis.ResponseError as error:
                    assert "log failed" in str(error), error
            assert len(lines_with(world, 0, "ev=log.failed")) == 1, world.log(0)
            world.kill(0)
            disk.grow(1000)
            world.start(0)
            assert holds(world.client(0), written), "an acknowledged write is lost"
            assert serves(world)
    finally:
        disk.release()


def test_a_disk_that_is_full_at_the_start_is_one_line():
    world = support.World(regions=1, start=False)
    os.mkdir(world.data_dir(0))
    disk = SmallDisk(world.data_dir(0), 1)
    try:
        with world:
            with disk.beside():
                world.spawn(0)
                status = world.processes[0].wait(30)
            world.processes[0] = None
            print("    ", world.log(0).strip())
            assert status == 1 and "No space left" in world.log(0)
    finally:
        disk.release()


def test_a_start_on_a_damaged_log_is_one_line_that_names_the_repair():
    with support.World(regions=1, fsync="always") as world:
        for number in range(30):
            world.client(0).set(f"k:{number}", number)
        world.kill(0)
        path = world.segments(0)[-1]
        place = RNG.choice(support.log_records(path)[5:-10])[0] + 16
        with open(path, "r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1]))
        world.spawn(0)
        status = world.processes[0].wait(30)
        world.processes[0] = None
        line = world.log(0).splitlines()[-1]
        assert status == 1 and "damaged at offset" in line, line
        assert f"meridian repair --data {world.data_dir(0)} --config {world.config} --region us-east" in line, line


if __name__ == "__main__":
    support.main(globals())
