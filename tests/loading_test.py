#!/usr/bin/env python3
"""A region that replays its log answers from the first moment: LOADING and how far it is, and its state to those
who ask for that.

How long a replay takes is not for a test to say: each start is asked as soon as its port is open, and the
region is started again until everything was seen.
"""
import json
import re
import signal
import socket
import time

import support
from support import World, wait_until

KEYS = 300_000
STARTS_MAX = 20         # one is enough on a machine that is not very busy
LOADING = re.compile(rb"-LOADING Meridian is loading the dataset in memory, (\d+)% done\r\n")


class Connection:
    """A client that speaks RESP by hand: redis-py would try again by itself."""

    def __init__(self, port):
        self.socket = wait_until(lambda: self.try_connect(port), support.READY_SECONDS, "the port was not open")
        self.replies = self.socket.makefile("rb")

    @staticmethod
    def try_connect(port):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=support.READY_SECONDS)
        except ConnectionRefusedError:
            return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.replies.close()
        self.socket.close()

    def reply(self):
        """The next reply, as it came."""
        line = self.replies.readline()
        if line[:1] == b"$" and line != b"$-1\r\n":
            line += self.replies.read(int(line[1:]) + 2)
        if line[:1] == b"*":
            line += b"".join(self.reply() for _ in range(int(line[1:])))
        return line

    def ask(self, *lines):
        """Inline commands, sent at once; their replies."""
        self.socket.sendall(b"".join(line.encode() + b"\r\n" for line in lines))
        return [self.reply() for _ in lines]


def fill(world):
    """Writes what takes a while to replay, and waits until the disk has it: regions are killed here, since one that
    stops cleanly writes a checkpoint and has nothing to replay."""
    with Connection(world.client_ports[0]) as connection:
        for first in range(0, KEYS, 2_000):
            replies = connection.ask(*[f"SET key:{n} {n}" for n in range(first, first + 2_000)])
            assert set(replies) == {b"+OK\r\n"}, set(replies)
    wait_until(lambda: is_durable(world.client(0).info("persistence")), what="the log is not durable")


def is_durable(figures):
    return figures["log_durable_lsn"] == figures["log_end_lsn"]


def info_of(reply):
    return dict(line.split(":", 1) for line in reply.decode().split("\r\n") if ":" in line)


def look_at_commands(connection):
    """The percent that a region gives while it loads, when all else that it says fits; None when it has loaded."""
    get, put, ping, info, echo, multi, queued, discarded, unknown = connection.ask(
        "GET key:1", "SET a b", "PING", "INFO persistence", "ECHO here", "MULTI", "GET a", "EXEC", "NONSENSE")
    if not LOADING.fullmatch(get):
        return None
    figures = info_of(info)
    assert LOADING.fullmatch(put) and LOADING.fullmatch(ping), (put, ping)      # as in Redis, PING too
    assert echo == b"$4\r\nhere\r\n", echo
    assert figures["loading"] == "1" and 0 <= float(figures["loading_loaded_perc"]) <= 100, figures
    assert int(figures["loading_loaded_bytes"]) <= int(figures["loading_total_bytes"]), figures
    assert multi == b"+OK\r\n" and LOADING.fullmatch(queued), (multi, queued)
    assert discarded.startswith(b"-EXECABORT"), discarded
    assert unknown.startswith(b"-ERR unknown command"), unknown
    return int(LOADING.fullmatch(get)[1])


def look_at_pages(world):
    """Whether the pages were seen to say that it loads."""
    health, body = world.get(0, "/health")
    if health == 200 or json.loads(body)["reason"] != "loading":
        return False
    assert (health, json.loads(body)["status"]) == (503, "not serving"), body
    status = world.status(0)
    if "loading" not in status:
        return False
    assert status["writes"].startswith("LOADING "), status
    assert status["loading"]["done_bytes"] <= status["loading"]["total_bytes"], status
    assert "meridian_loading " in world.get(0, "/metrics")[1]
    return True


def look_at_start(world, seen):
    """One start, from the open port on; adds what was seen of it."""
    world.spawn(0)
    percents = []
    with Connection(world.client_ports[0]) as connection:
        while (percent := look_at_commands(connection)) is not None:
            percents.append(percent)
            if look_at_pages(world):
                seen.add("pages")
        assert percents == sorted(percents), percents
        if percents:
            seen.add("commands")
        if percents and percents[-1] > percents[0]:
            seen.add("progress")
        world.wait_ready(0)
        # The connection of before goes on, and all is there.
        assert connection.ask("SET a b", "GET key:77", "DBSIZE", "PING") == [
            b"+OK\r\n", b"$2\r\n77\r\n", b":%d\r\n" % (KEYS + 1), b"+PONG\r\n"]
        assert info_of(connection.ask("INFO persistence")[0])["loading"] == "0"
    assert world.get(0, "/health")[0] == 200
    assert "loading" not in world.status(0)


def test_a_region_that_loads_says_so_and_how_far_it_is():
    with World(regions=1, fsync="no") as world:
        fill(world)
        seen = set()
        for _ in range(STARTS_MAX):
            world.kill(0)
            look_at_start(world, seen)
            if len(seen) == 3:
                break
        else:
            raise AssertionError(f"in {STARTS_MAX} starts only {seen} were seen")
        world.kill(0)


def test_a_region_that_loads_stops_cleanly_and_loses_nothing():
    with World(regions=1, fsync="no") as world:
        fill(world)
        world.kill(0)
        for _ in range(STARTS_MAX):
            world.spawn(0)
            with Connection(world.client_ports[0]) as connection:
                connection.ask("PING")      # who answers watches its signals
                assert world.kill(0, signal.SIGTERM) == 0, world.log(0)[-2000:]
                assert connection.reply() == b""
            if not world.is_ready(0):
                break
        else:
            raise AssertionError(f"none of {STARTS_MAX} starts could be stopped before it was over")
        world.start(0)
        assert world.client(0).dbsize() == KEYS
        world.kill(0)


def test_peers_wait_until_a_region_has_loaded():
    with World(regions=2, fsync="no") as world:
        world.wait_linked()
        fill(world)
        for number in range(3):
            world.kill(0)
            world.client(1).set(f"meanwhile:{number}", "x")
            world.spawn(0)
            with Connection(world.client_ports[0]) as connection:
                while look_at_commands(connection) is not None:
                    time.sleep(0.01)
            world.wait_ready(0)
            wait_until(lambda n=number: world.client(0).get(f"meanwhile:{n}") == "x", what="the write did not arrive")
        assert world.client(0).dbsize() == KEYS + 4         # and what look_at_commands has written
        wait_until(lambda: world.client(1).dbsize() == KEYS + 4, what="the regions are not equal")
        world.kill(0)
        world.kill(1)


if __name__ == "__main__":
    support.main(globals())
