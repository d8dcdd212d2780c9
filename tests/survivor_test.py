#!/usr/bin/env python3
"""One of three regions dies: who goes on, who is told, and that nothing acknowledged by a quorum is missing among the survivors."""
import os
import random
import re
import signal
import threading
import time

import redis

import support
from support import World, wait_until

ROUNDS = 12 if os.environ.get("FULL") == "1" else 4
RNG = random.Random(11)
KEYSPACES = """
keyspaces:
  - { prefix: "quorum:", acks: quorum, ack_timeout: 20s }
  - { prefix: "sync:", acks: sync, ack_timeout: 20s }
  - { prefix: "soon:", acks: sync, ack_timeout: 2s }
  - { prefix: "semi:", acks: semi-sync, ack_timeout: 20s }
"""


def is_written(client, key):
    """Whether a write is acknowledged, this time."""
    try:
        return client.set(key, "x")
    except redis.ResponseError as error:
        assert str(error).startswith("NOACKS"), error
        return False


def who_acknowledged(client, key):
    """Of a write that is not acknowledged by all: (names of who did, names of who did not)."""
    try:
        client.set(key, "x")
    except redis.ResponseError as error:
        told = re.fullmatch(r"NOACKS .* regions acknowledged it in \d+ ms: (.*); not: (.*)", str(error))
        assert told, error
        return [re.sub(r" after \d+ ms$", "", name) for name in told[1].split(", ")], told[2].split(", ")
    raise AssertionError("a sync write was acknowledged without a region")


def test_with_one_of_three_dead_quorum_and_semi_sync_go_on_and_sync_names_it():
    for victim in range(3):
        with World(regions=3, extra=KEYSPACES) as world:
            world.wait_linked()
            for prefix in ("quorum", "sync", "semi"):
                wait_until(lambda: is_written(world.client((victim + 1) % 3), f"{prefix}:before"), 60)
            world.kill(victim, signal.SIGKILL)
            for i in range(3):
                if i == victim:
                    continue
                other = 3 - victim - i
                for number in range(20):
                    assert world.client(i).set(f"quorum:{i}:{number}", "x")
                    assert world.client(i).set(f"semi:{i}:{number}", "x")
                # whom it had no time to hear is asked again
                wait_until(lambda: who_acknowledged(world.client(i), f"soon:{i}") ==
                           ([world.names[other]], [world.names[victim]]), 60, "it is not told who did and who did not")
                assert world.client(i).get(f"soon:{i}") == "x"      # it stands here all the same
            world.start(victim)
            world.wait_linked()
            for i in range(3):
                wait_until(lambda: is_written(world.client(i), f"sync:again:{i}"), 60)
            world.wait_equal()


class Writer(threading.Thread):
    """Writes with quorum until its region is gone; knows what was acknowledged."""

    def __init__(self, world, i, run):
        super().__init__(daemon=True)
        self.client = world.client(i, socket_timeout=15)
        self.name_of = f"quorum:{run}:{i}"
        self.acknowledged = []
        self.stopped = False

    def run(self):
        number = 0
        while not self.stopped:
            key = f"{self.name_of}:{number}"
            try:
                self.client.set(key, number)
                self.acknowledged.append(key)
                number += 1
            except redis.RedisError:
                time.sleep(0.05)        # its region may be gone


def test_nothing_that_a_quorum_acknowledged_is_missing_from_the_survivors():
    for run in range(ROUNDS):
        victim = run % 3
        with World(regions=3, extra=KEYSPACES, fsync="everysec") as world:
            world.wait_linked()
            writers = [Writer(world, i, run) for i in range(3)]
            for writer in writers:
                writer.start()
            enough = RNG.randrange(50, 150)
            wait_until(lambda: all(len(w.acknowledged) > enough for w in writers), 60)
            world.kill(victim, signal.SIGKILL)
            counts = [len(w.acknowledged) for w in writers]
            wait_until(lambda: all(len(w.acknowledged) > counts[i] + 50
                                   for i, w in enumerate(writers) if i != victim), 60)
            for writer in writers:
                writer.stopped = True
            for i, writer in enumerate(writers):
                if i != victim:
                    writer.join(30)
            contents = world.wait_equal()
            for writer in writers:
                missing = [key for key in writer.acknowledged if key.encode() not in contents]
                assert not missing, (victim, missing[:3], len(missing))


if __name__ == "__main__":
    support.main(globals())
