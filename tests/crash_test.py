#!/usr/bin/env python3
"""A region that is killed at any moment comes back with everything that it had promised.

FULL=1: a hundred rounds for each setting of fsync. SEED=n repeats the choices of a run.
"""
import os
import random

import support
from witness import CHECKPOINTS, Rounds

FULL = os.environ.get("FULL") == "1"
ROUNDS = 50 if FULL else 2
TAILS = 10 if FULL else 3
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
RNG = random.Random(SEED)


def crash_rounds(regions, fsync):
    with support.World(regions=regions, fsync=fsync, extra=CHECKPOINTS) as world:
        world.wait_linked()
        rounds = Rounds(world, fsync, RNG.random())
        rounds.run(ROUNDS)
        rounds.finish()


def test_one_region_loses_nothing_acknowledged():
    crash_rounds(1, "always")


def test_three_regions_lose_nothing_acknowledged():
    crash_rounds(3, "always")


def test_one_region_loses_the_last_second_at_most():
    crash_rounds(1, "everysec")


def test_three_regions_lose_the_last_second_at_most_and_nothing_that_others_have_seen():
    crash_rounds(3, "everysec")


# --- a torn tail ---

def test_a_torn_tail_is_cut_with_one_line():
    with support.World(regions=1, fsync="always") as world:
        kept = 0
        for _ in range(TAILS):
            client = world.client(0)
            for number in range(kept, kept + 20):
                client.set(f"k{number}", "v" * 100)     # one record each, durable before the next
            world.kill(0)
            path = world.segments(0)[-1]
            offset, size = support.log_records(path)[-1]
            os.truncate(path, offset + RNG.randrange(1, size))
            lines_before = world.log(0).count("ev=log.tail_cut")
            world.start(0)
            lines = [line for line in world.log(0).splitlines() if "ev=log.tail_cut" in line]
            assert len(lines) == lines_before + 1, world.log(0)
            assert os.path.basename(path) in lines[-1] and str(offset) in lines[-1], lines[-1]
            kept += 19
            assert world.client(0).dbsize() == kept
            assert all(world.client(0).exists(f"k{number}") for number in range(kept))


if __name__ == "__main__":
    print(f"SEED={SEED}")
    support.main(globals())
