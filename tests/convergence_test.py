#!/usr/bin/env python3
"""Regions that could not hear each other agree again, without losing an increment.

Random writers go on in regions that are cut from each other; after the heal every region must hold the
same. The time from the heal to that is printed: it should be within a second plus the round trip. FULL=1
cuts for 10 s, as the product promises; else it is shorter.
"""
import os
import random
import time

import support

FULL = os.environ.get("FULL") == "1"
CUT_SECONDS = 10 if FULL else 4
WRITES_A_SECOND = 1000
BURST = 20                      # writes sent at once
KEYS = [f"k{number}" for number in range(100)]
COUNTERS = [f"counter{number}" for number in range(5)]
EQUAL_WITHIN_SECONDS = 60       # a hang, not a measurement
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))


def random_write(rng):
    """One of the writes that conflict: any kind on any key, so that types meet too."""
    key, item, number = rng.choice(KEYS), f"i{rng.randrange(5)}", rng.randrange(1000)
    return rng.choice([
        ["SET", key, number],
        ["SET", key, f"text{number}"],
        ["DEL", key],
        ["INCR", key],
        ["DECRBY", key, number],
        ["HSET", key, item, number],
        ["HDEL", key, item],
        ["HINCRBY", key, item, number],
        ["SADD", key, item],
        ["SREM", key, item],
        ["EXPIRE", key, rng.randrange(1, 60)],
    ])


class Writer(support.ClientThread):
    """Writes to one region at a fixed rate until told to stop; counts what it added to the counters."""

    def __init__(self, world, region, seed):
        super().__init__(world.client(region), seed)
        self.added = dict.fromkeys(COUNTERS, 0)
        self.writes = 0
        self.due = None

    def burst(self):
        pipeline = self.client.pipeline(transaction=False)
        increments = []
        for _ in range(BURST):
            if self.rng.random() < 0.2:
                counter, amount = self.rng.choice(COUNTERS), self.rng.randrange(-50, 100)
                increments.append((len(pipeline.command_stack), counter, amount))
                pipeline.execute_command("INCRBY", counter, amount)
            else:
                pipeline.execute_command(*random_write(self.rng))
        replies = pipeline.execute(raise_on_error=False)
        for place, counter, amount in increments:
            if not isinstance(replies[place], int):
                raise AssertionError(f"INCRBY {counter} was answered {replies[place]!r}")
            self.added[counter] += amount
        self.writes += BURST

    def run(self):
        self.due = time.monotonic()
        super().run()

    def step(self):
        self.burst()
        self.due += BURST / WRITES_A_SECOND
        time.sleep(max(0.0, self.due - time.monotonic()))


def write_during(world, regions, seconds):
    """Lets writers run in these regions; the sum that each counter must have grown by."""
    writers = [Writer(world, region, SEED + region) for region in regions]
    for writer in writers:
        writer.start()
    time.sleep(seconds)
    for writer in writers:
        writer.stop()
        rate = writer.writes / seconds
        if rate < WRITES_A_SECOND * 0.5:
            print(f"     a slow machine: {rate:.0f} of {WRITES_A_SECOND} writes/s", flush=True)
    return {counter: sum(writer.added[counter] for writer in writers) for counter in COUNTERS}


def everything(client):
    """All keys with their values and deadlines, read in two round trips."""
    keys = sorted(client.scan_iter(count=1000))
    with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.type(key).execute_command("PEXPIRETIME", key)
        kinds = pipeline.execute()
        for key, kind in zip(keys, kinds[::2]):
            {"hash": pipeline.hgetall, "set": pipeline.smembers}.get(kind, pipeline.get)(key)
        return list(zip(keys, kinds[::2], kinds[1::2], pipeline.execute(raise_on_error=False)))


def wait_same(clients):
    """Waits until all regions answer the same to every read; keys may expire between two of them: it looks again."""
    def same():
        first, *others = (everything(client) for client in clients)
        return all(other == first for other in others)
    support.wait_until(same, EQUAL_WITHIN_SECONDS, "not all regions were equal")


def cut_and_heal(cuts, writers, wan=None, apart=True):
    """Cuts these pairs of regions while these regions are written to, heals, and measures. `apart`: no other way leads round."""
    with support.World(wan=wan) as world:
        world.wait_linked()
        clients = [world.client(region) for region in range(3)]
        expected = write_during(world, writers, 1)      # some state that all have seen
        wait_same(clients)
        for a, b in cuts:
            world.cut(a, b)
        during = write_during(world, writers, CUT_SECONDS)
        if apart:
            assert everything(clients[0]) != everything(clients[1]), "the cut kept nothing apart"
        else:
            wait_same(clients)
        began = time.monotonic()
        for a, b in cuts:
            world.heal(a, b)
        wait_same(clients)
        took_ms = (time.monotonic() - began) * 1000
        for client in clients:
            for counter in COUNTERS:
                there, added = int(client.get(counter)), expected[counter] + during[counter]
                assert there == added, f"{counter} is {there}, but {added} was added"
        print(f"     equal {took_ms:.0f} ms after the heal (cut for {CUT_SECONDS} s, SEED={SEED})", flush=True)


def test_two_regions_that_the_third_hears_both():
    cut_and_heal([(0, 1)], [0, 1], apart=False)


def test_three_regions_alone():
    cut_and_heal([(0, 1), (0, 2), (1, 2)], [0, 1, 2])


def test_one_region_alone_with_the_distances_of_the_world():
    cut_and_heal([(0, 1), (0, 2)], [0, 1], wan=True)


if __name__ == "__main__":
    support.main(globals())
