#!/usr/bin/env python3
"""A region that lacks log which nobody keeps any more is bootstrapped: from any moment, through any cut.

FULL=1: 200,000 keys instead of 20,000. SEED=n repeats the choices of a run.
"""
import base64
import glob
import os
import random
import signal
import threading
import time

import redis

import support
from support import wait_until

FULL = os.environ.get("FULL") == "1"
KEYS = 200000 if FULL else 20000
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
RNG = random.Random(SEED)
FSYNC = "everysec, retain: 4MB"                             # the rest of the log's configuration with it
CHECKPOINTS = "checkpoint: { log: 1MB, every: 1s }"
SLOW = CHECKPOINTS + "\nbootstrap: { rate: 1MB }"           # seconds, so that something can happen meanwhile
SECONDS = 120


def value(number):
    return f"{number}:" + base64.b64encode(RNG.randbytes(RNG.randrange(15, 300))).decode()     # does not shrink


def write_many(world, i, prefix, count):
    client = world.client(i)
    for start in range(0, count, 1000):
        with client.pipeline(transaction=False) as pipeline:
            for number in range(start, min(start + 1000, count)):
                pipeline.set(f"{prefix}{number}", value(number))
            pipeline.execute()
    client.close()


def write_kinds(world, i, prefix):
    """One large object of each kind, which travels in pieces."""
    client = world.client(i)
    client.hset(prefix + "hash", mapping={f"f{n}": value(n) for n in range(3000)})
    client.zadd(prefix + "zset", {f"m{n}": n for n in range(3000)})
    client.rpush(prefix + "list", *range(500))
    client.sadd(prefix + "set", *range(3000))
    client.set(prefix + "string", "y" * 3000000)
    client.set(prefix + "expires", "soon", ex=10000)
    client.close()


def log_start(world, i):
    return world.status(i)["log"]["start_bytes"]


def write_past(world, writers, before):
    """The writers write until none of them has the log that it had then."""
    def round_of_writes():
        for i in writers:
            write_many(world, i, "more", 3000)
        return all(log_start(world, i) > before[i] for i in writers)
    wait_until(round_of_writes, SECONDS, "no log was dropped")


def log_ends(world, writers):
    return {i: world.status(i)["log"]["end_bytes"] for i in writers}


def bootstraps(world, i):
    return world.log(i).count("ev=bootstrap.done")


def wait_bootstrapped(world, i, count=1):
    wait_until(lambda: bootstraps(world, i) >= count, SECONDS, f"{world.names[i]} was not bootstrapped")


def serves(world, i):
    """Of a region that may just be opening anew."""
    try:
        return world.get(i, "/health")[0] == 200
    except OSError:
        return False


def phase(world, i):
    """What a region that may just be opening anew says."""
    try:
        return world.status(i)["bootstrap"]["phase"]
    except (OSError, ValueError, KeyError):
        return None


def wait_phase(world, i, wanted):
    wait_until(lambda: phase(world, i) == wanted, SECONDS, f"{world.names[i]} did not come to \"{wanted}\"")


class Writers:
    """Clients that write at some regions all the time, and live with errors."""

    def __init__(self, world, regions):
        self.world = world
        self.stopping = threading.Event()
        self.written = 0
        self.threads = [threading.Thread(target=self.run, args=(i, RNG.random())) for i in regions]
        for thread in self.threads:
            thread.start()

    def run(self, i, seed):
        rng = random.Random(seed)
        while not self.stopping.is_set():
            try:
                client = self.world.client(i)
                while not self.stopping.is_set():
                    client.set(f"busy{rng.randrange(2000)}", "z" * rng.randrange(100))
                    client.incr("counter")
                    self.written += 1
                    time.sleep(0.001)
            except redis.RedisError:
                time.sleep(0.1)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def bring_equal(world):
    world.wait_linked(SECONDS)
    return world.wait_equal(SECONDS)


def isolated_world(extra=CHECKPOINTS):
    """Three regions with data, of which the last has lost touch, has writes that nobody knows, and is down."""
    world = support.World(regions=3, fsync=FSYNC, extra=extra)
    world.wait_linked()
    write_many(world, 0, "key", KEYS)
    write_kinds(world, 1, "kind:")
    world.wait_equal(SECONDS)
    before = log_ends(world, [0, 1])
    world.cut(2, 0)
    world.cut(2, 1)
    client = world.client(2)
    for number in range(100):
        client.set(f"own{number}", number)
    client.hset("kind:hash", "own", "field")
    client.incrby("own:counter", 7)
    client.close()
    world.kill(2, signal.SIGTERM)
    write_past(world, [0, 1], before)
    world.heal(0, 2)
    world.heal(1, 2)
    return world


def check_own(contents):
    for number in range(100):
        assert contents[f"own{number}".encode()][1] == str(number).encode()
    assert contents[b"own:counter"][1] == b"7"
    assert contents[b"kind:hash"][1][b"own"] == b"field"


def test_a_region_that_was_away_comes_back_with_its_own_writes():
    with isolated_world() as world, Writers(world, [0, 1]) as writers:
        world.start(2)
        wait_bootstrapped(world, 2)
        writers.stop()
        check_own(bring_equal(world))
        wait_until(lambda: not os.path.exists(os.path.join(world.data_dir(2), "bootstrap")), SECONDS, "marked for ever")
        assert "ev=amnesia" not in world.log(2)
        # it is as any other now: it may be restarted, and written to
        world.restart(2)
        world.client(2).set("after", "1")
        assert bring_equal(world)[b"after"][1] == b"1"
        assert bootstraps(world, 2) == 1


def test_a_new_region_gets_everything():
    world = support.World(regions=3, fsync=FSYNC, extra=SLOW, start=False)
    with world:
        world.start(0)
        world.start(1)
        before = {0: 0, 1: 0}
        write_many(world, 0, "key", KEYS)
        write_kinds(world, 1, "kind:")
        write_past(world, [0, 1], before)
        with Writers(world, [0, 1]):
            world.start_quietly(2)
            wait_phase(world, 2, "objects")
            wait_until(lambda: world.status(2)["bootstrap"]["from"], SECONDS, "no source was chosen")
            # nothing is served meanwhile, and it says why
            try:
                world.client(2).get("key1")
                raise AssertionError("it answered")
            except redis.RedisError as error:
                assert isinstance(error, redis.exceptions.BusyLoadingError), error
                assert "bootstrapped from" in str(error), error
            assert world.get(2, "/health")[0] == 503
            status = world.status(2)["bootstrap"]
            assert status["from"] in world.names[:2] and 0 <= status["percent"] <= 100, status
            source = world.names.index(status["from"])
            assert world.status(source)["bootstrap"]["feeding"][0]["region"] == world.names[2]
            assert "meridian_bootstrap_sent_bytes_total" in world.get(source, "/metrics")[1]
            wait_bootstrapped(world, 2)
        contents = bring_equal(world)
        assert len(contents) > KEYS
        # what comes next comes over the links
        write_many(world, 2, "new", 100)
        bring_equal(world)


def test_a_cut_and_kills_of_both_ends_do_not_stop_it():
    with isolated_world(SLOW) as world, Writers(world, [0, 1]) as writers:
        world.start(2)
        wait_phase(world, 2, "objects")
        wait_until(lambda: world.status(2)["bootstrap"]["from"], SECONDS, "no source was chosen")
        time.sleep(1)
        source = world.names.index(world.status(2)["bootstrap"]["from"])
        # who takes dies
        world.kill(2)
        world.start_quietly(2)
        wait_phase(world, 2, "objects")
        assert "ev=bootstrap.resumed phase=objects" in world.log(2)
        # who gives dies, and comes back
        time.sleep(0.5)
        world.kill(source)
        time.sleep(0.5)
        world.start(source)
        time.sleep(1)
        # the link is lost
        world.cut(source, 2)
        time.sleep(1)
        world.heal(source, 2)
        wait_bootstrapped(world, 2)
        writers.stop()
        check_own(bring_equal(world))
        assert "ev=amnesia" not in world.log(2)


def test_kills_at_any_moment():
    with isolated_world(SLOW) as world, Writers(world, [0, 1]) as writers:
        world.start_quietly(2)
        for _ in range(20 if FULL else 6):
            time.sleep(RNG.random() * 2)
            world.kill(2)
            world.start_quietly(2)
        wait_until(lambda: serves(world, 2), SECONDS, "it does not serve")
        wait_bootstrapped(world, 2)
        writers.stop()
        check_own(bring_equal(world))
        assert "ev=amnesia" not in world.log(2)


def test_a_damaged_marker_is_an_error():
    with isolated_world(SLOW) as world:
        world.start_quietly(2)
        wait_phase(world, 2, "objects")
        world.kill(2)
        path = os.path.join(world.data_dir(2), "bootstrap")
        with open(path, "r+b") as file:
            file.seek(20)
            byte = file.read(1)
            file.seek(20)
            file.write(bytes([byte[0] ^ 1]))
        status, _, errors = support.run(*world.command(2)[1:], timeout=60)
        assert status != 0 and "bootstrap: damaged" in errors, errors
        with open(path, "r+b") as file:
            file.seek(20)
            file.write(byte)
        world.start_quietly(2)
        wait_bootstrapped(world, 2)
        check_own(bring_equal(world))
        assert glob.glob(os.path.join(world.data_dir(2), "*.log"))


if __name__ == "__main__":
    print(f"SEED={SEED}")
    support.main(globals())
