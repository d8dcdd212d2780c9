#!/usr/bin/env python3
"""A region whose power fails comes back with everything that it had promised: what it had not synced may be gone.

FULL=1: a hundred rounds for each setting of fsync. SEED=n repeats the choices of a run.
"""
import os
import random
import time

import support
from shim.world import DiskWorld
from witness import CHECKPOINTS, Rounds

FULL = os.environ.get("FULL") == "1"
ROUNDS = 50 if FULL else 3
FIRST_STARTS = 50 if FULL else 5
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
RNG = random.Random(SEED)


def power_rounds(regions, fsync, ways=None):
    sync_us = RNG.choice([300, 3000, 30000])
    with DiskWorld(regions=regions, fsync=fsync, extra=CHECKPOINTS, sync_us=sync_us) as world:
        world.wait_linked()
        rounds = Rounds(world, fsync, RNG.random(), power=True, ways=ways)
        rounds.run(ROUNDS)
        rounds.finish()


def test_one_region_loses_nothing_acknowledged():
    power_rounds(1, "always")


def test_three_regions_lose_nothing_acknowledged():
    power_rounds(3, "always")


def test_one_region_loses_the_last_second_at_most():
    power_rounds(1, "everysec")


def test_three_regions_lose_the_last_second_at_most_and_nothing_that_others_have_seen():
    power_rounds(3, "everysec")


def killed_while_its_log_is_slow(world, region, rng):
    """The checkpoint's files are synced long before the log is."""
    world.disk(region).fault("delay sync 300 *.log")
    time.sleep(rng.uniform(0, 0.4))
    world.client(region).execute_command("BGSAVE")
    time.sleep(rng.uniform(0, 0.4))
    world.kill(region)
    world.disk(region).heal()


def test_a_checkpoint_holds_nothing_that_the_log_has_lost():
    power_rounds(1, "everysec", [killed_while_its_log_is_slow])


def test_a_first_start_without_power_can_be_begun_again():
    for _ in range(FIRST_STARTS):
        with DiskWorld(regions=1, fsync="always", extra=CHECKPOINTS, start=False) as world:
            disk = world.disk(0)
            disk.fault(f"delay sync {RNG.choice([1, 10, 50, 200])} {RNG.choice(['*', '*/checkpoint/*'])}")
            for _ in range(RNG.randrange(1, 4)):
                world.spawn(0)
                time.sleep(RNG.uniform(0, 0.25))
                world.kill(0)
                told = disk.lose(RNG.random())
            disk.heal()
            try:
                world.start(0)
            except AssertionError:
                print(f"{told} (SEED={SEED})")
                raise
            world.client(0).set("k", "v")


if __name__ == "__main__":
    print(f"SEED={SEED}")
    support.main(globals())
