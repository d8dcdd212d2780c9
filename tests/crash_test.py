#!/usr/bin/env python3
"""A region that is killed comes back with everything that it had acknowledged; a log that was harmed is judged.

FULL=1: more rounds. SEED=n repeats the choices of a run.
"""
import glob
import os
import random
import struct
import threading
import time

import redis

import support

FULL = os.environ.get("FULL") == "1"
ROUNDS = 10 if FULL else 3
WRITERS = 4
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
RNG = random.Random(SEED)
SEGMENT_HEADER_BYTES = 64
RECORD_HEADER_BYTES = 20


class Writer(threading.Thread):
    """Writes to a region, a few commands at a time, until it dies; remembers what was acknowledged."""

    def __init__(self, world, region, name):
        super().__init__()
        self.client = world.client(region)
        self.name = name
        self.stopping = threading.Event()
        self.values = {}            # key -> value, acknowledged
        self.counted = 0            # increments acknowledged
        self.asked = 0              # increments sent: those of the last pipeline may have happened
        self.refused = []

    def run(self):
        number = 0
        try:
            while not self.stopping.is_set():
                pipeline = self.client.pipeline(transaction=False)
                pairs = {f"{self.name}:{number + i}": str(number + i) for i in range(RNG.randrange(1, 8))}
                for key, value in pairs.items():
                    pipeline.set(key, value)
                pipeline.incr(self.name)
                self.asked += 1
                replies = pipeline.execute(raise_on_error=False)
                self.refused += [reply for reply in replies if isinstance(reply, redis.ResponseError)]
                self.values.update(pairs)
                self.counted += 1
                number += len(pairs)
        except (redis.ConnectionError, redis.TimeoutError):
            pass                    # it was killed: what was on its way is not acknowledged

    def verify(self, client):
        """What was acknowledged stands there, and no increment happened that was not sent."""
        assert not self.refused, self.refused[:3]
        keys = sorted(self.values)
        found = dict(zip(keys, client.mget(keys))) if keys else {}
        lost = [key for key in keys if found[key] != self.values[key]]
        assert not lost, f"{len(lost)} of {len(keys)} acknowledged writes are lost: {lost[:5]} (SEED={SEED})"
        counter = int(client.get(self.name) or 0)
        assert self.counted <= counter <= self.asked, f"{self.counted} <= {counter} <= {self.asked}"


def start_writers(world, region, round_number):
    writers = [Writer(world, region, f"round{round_number}:region{region}:writer{i}") for i in range(WRITERS)]
    for writer in writers:
        writer.start()
    return writers


def stop_writers(writers):
    for writer in writers:
        writer.stopping.set()
    for writer in writers:
        writer.join()
        assert writer.values, "nothing was written"


def sees_writes_both_ways(world, name):
    """Replication goes on by itself, from and to the region that was away."""
    for source in range(3):
        world.client(source).set(f"{name}:{source}", "x")
    for region in range(3):
        client = world.client(region)
        support.wait_until(lambda: all(client.exists(f"{name}:{source}") for source in range(3)), 30,
                           f"region {region} did not see the writes of all")


def test_every_acknowledged_write_survives_kill_9():
    with support.World(fsync="always") as world:
        world.wait_linked()
        for number in range(ROUNDS):
            here, there = start_writers(world, 0, number), start_writers(world, 1, number)
            time.sleep(RNG.uniform(0.5, 1.5))
            world.kill(0)
            stop_writers(here)
            time.sleep(RNG.uniform(0, 0.5))     # the others go on without it
            world.start(0)
            for writer in here:
                writer.verify(world.client(0))
            sees_writes_both_ways(world, f"round{number}")
            stop_writers(there)
            world.wait_equal()
            for writer in here + there:
                for region in range(3):
                    writer.verify(world.client(region))


def test_every_acknowledged_write_survives_when_all_regions_are_killed():
    with support.World(fsync="always") as world:
        world.wait_linked()
        writers = [writer for region in range(3) for writer in start_writers(world, region, 0)]
        time.sleep(1)
        for region in range(3):
            world.kill(region)
        stop_writers(writers)
        for region in range(3):
            world.spawn(region)
        for region in range(3):
            world.wait_ready(region)
        sees_writes_both_ways(world, "after")
        world.wait_equal()
        for writer in writers:
            for region in range(3):
                writer.verify(world.client(region))


# --- a log that was harmed ---

def newest_segment(world):
    return sorted(glob.glob(os.path.join(world.data_dir(0), "*.log")))[-1]


def records(path):
    """(offset, bytes) of every record of a segment."""
    with open(path, "rb") as file:
        content = file.read()
    found = []
    offset = SEGMENT_HEADER_BYTES
    while offset + 4 <= len(content):
        length = struct.unpack_from("<I", content, offset)[0]
        if length == 0:
            break
        found.append((offset, RECORD_HEADER_BYTES + length))
        offset += RECORD_HEADER_BYTES + length
    return found


def write_and_kill(world, keys):
    """One record a key, each durable before the next; then the power fails."""
    client = world.client(0)
    for number in keys:
        client.set(f"k{number}", "v" * 100)
    world.kill(0)


def test_a_torn_tail_is_cut_with_one_line():
    with support.World(regions=1, fsync="always") as world:
        kept = 0
        for _ in range(ROUNDS):
            write_and_kill(world, range(kept, kept + 20))
            path = newest_segment(world)
            offset, size = records(path)[-1]
            cut_at = offset + RNG.randrange(1, size)
            os.truncate(path, cut_at)
            lines_before = world.log(0).count("ev=log.tail_cut")
            world.start(0)
            lines = [line for line in world.log(0).splitlines() if "ev=log.tail_cut" in line]
            assert len(lines) == lines_before + 1, world.log(0)
            assert os.path.basename(path) in lines[-1] and str(offset) in lines[-1], lines[-1]
            kept += 19
            assert world.client(0).dbsize() == kept
            assert all(world.client(0).exists(f"k{number}") for number in range(kept))


def harmed_start(world):
    """What starting says that must be refused: one line."""
    status, _, errors = support.run(*world.command(0)[1:], binary=world.binary)
    assert status == 1, (status, errors)
    lines = errors.splitlines()
    assert len(lines) == 1, errors
    return lines[0]


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << RNG.randrange(8)]))


def test_damage_in_the_middle_is_refused_by_file_and_offset():
    with support.World(regions=1, fsync="always") as world:
        write_and_kill(world, range(100))
        path = newest_segment(world)
        all_records = records(path)
        for _ in range(ROUNDS):
            offset, size = RNG.choice(all_records[10:-10])
            place = offset + RNG.randrange(size)
            with open(path, "rb") as file:
                good = file.read()
            flip(path, place)
            line = harmed_start(world)
            assert os.path.basename(path) in line and str(offset) in line, f"flipped at {place}: {line}"
            with open(path, "wb") as file:
                file.write(good)
        world.start(0)
        assert world.client(0).dbsize() == 100


if __name__ == "__main__":
    support.main(globals())
