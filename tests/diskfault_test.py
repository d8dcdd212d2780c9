#!/usr/bin/env python3
"""Disks that are full, fail, or lie: writes are refused in time and in words, and nothing acknowledged is lost.

FULL=1: more rounds. SEED=n repeats the choices of a run.
"""
import os
import random
import re
import shutil
import signal
import time
from contextlib import contextmanager

import redis

import support
from shim.world import DiskWorld
from witness import CHECKPOINTS, Rounds

FULL = os.environ.get("FULL") == "1"
ROUNDS = 50 if FULL else 3
FLIPS = 100 if FULL else 10
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
RNG = random.Random(SEED)
NO_WRITES = "no writes are taken, the log failed"
# What a write hears that was on its way; its connection ends with that.
UNKNOWN = "UNKNOWN the log failed before this was durable"


def refusal(client, *command):
    """What a command is refused with: one line."""
    try:
        answer = client.execute_command(*command)
    except redis.ResponseError as error:
        assert "\n" not in str(error)
        return str(error)
    raise AssertionError(f"{command} was answered with {answer}")


def fill(client, name, count):
    with client.pipeline(transaction=False) as pipeline:
        for number in range(count):
            pipeline.set(f"{name}:{number}", number)
        pipeline.execute()


def has(client, name, count):
    keys = [f"{name}:{number}" for number in range(count)]
    return client.mget(keys) == [str(number) for number in range(count)]


def log_lines(world, event):
    return [line for line in world.log(0).splitlines() if f"ev={event}" in line]


def segment_name(world):
    return os.path.basename(world.segments(0)[-1])


# --- the log ---

def refuses_writes_and_nothing_else(world, cause):
    """After a fault of the log: one line in the log names file and cause; reads go on."""
    client = world.client(0)
    for command in (("SET", "new", "1"), ("INCR", "new"), ("DEL", "before:1")):
        told = refusal(client, *command)
        assert NO_WRITES in told and segment_name(world) in told and cause in told, told
    assert has(client, "before", 20), "reads go on"
    lines = log_lines(world, "log.failed")
    assert len(lines) == 1 and segment_name(world) in lines[0] and cause in lines[0], lines
    assert NO_WRITES in world.status(0)["writes"]


def has_all_after_a_restart(world):
    world.disk(0).heal()
    assert NO_WRITES in refusal(world.client(0), "SET", "new", "1"), "only a restart helps"
    assert world.status(0)["log"]["durable_bytes"] < world.status(0)["log"]["end_bytes"]
    world.restart(0)
    client = world.client(0)
    assert has(client, "before", 20)
    client.set("after", "1")


def log_fails(fault, cause, fsync):
    with DiskWorld(regions=1, fsync=fsync) as world:
        client = world.client(0)
        fill(client, "before", 20)
        support.wait_until(lambda: is_durable(world))
        world.disk(0).fault(fault)
        if fsync == "always":
            assert UNKNOWN in refusal(client, "SET", "at once", "1")
        else:
            client.set("at once", "1")
            support.wait_until(lambda: log_lines(world, "log.failed"))
        refuses_writes_and_nothing_else(world, cause)
        has_all_after_a_restart(world)


def is_durable(world):
    log = world.status(0)["log"]
    return log["durable_bytes"] == log["end_bytes"]


def test_a_full_disk_ends_the_taking_of_writes():
    log_fails("full 0 *", "No space left on device", "always")
    log_fails("full 0 *", "No space left on device", "everysec")


def test_a_failed_write_ends_the_taking_of_writes_also_if_the_next_would_succeed():
    log_fails("fail write 1 once EIO *.log", "Input/output error", "always")


def test_a_failed_sync_ends_the_taking_of_writes_also_if_the_next_would_succeed():
    log_fails("fail sync 1 once EIO *.log", "Input/output error", "always")
    log_fails("fail sync 1 once EIO *.log", "Input/output error", "everysec")


def test_no_room_for_a_new_segment_ends_the_taking_of_writes():
    with DiskWorld(regions=1, fsync="always") as world:
        client = world.client(0)
        fill(client, "before", 20)
        world.disk(0).fault("space 0 *.log")
        fits = 0
        try:
            for fits in range(100):         # into what was reserved; a segment has 64 MB
                client.set("large", bytes([65 + fits % 26]) * (1 << 20))
        except redis.ResponseError as error:
            assert UNKNOWN in str(error), error
        assert 50 < fits < 99, fits
        client = world.client(0)
        assert has(client, "before", 20)
        assert NO_WRITES in refusal(client, "SET", "new", "1")
        world.disk(0).heal()
        world.restart(0)
        assert has(world.client(0), "before", 20)
        # The one that was refused may have happened or not; what was acknowledged before it has.
        assert world.client(0).get("large")[0] in (chr(65 + (fits - 1) % 26), chr(65 + fits % 26))
        world.client(0).set("large", "x" * (1 << 20))


def test_what_a_failed_sync_left_in_sight_is_not_served_before_it_is_durable():
    """The kernel shows what it could not write, and calls it clean; a restart must not believe it."""
    for _ in range(ROUNDS):
        with DiskWorld(regions=1, fsync="always") as world:
            fill(world.client(0), "before", 20)
            world.disk(0).fault("fail sync 1 once EIO *.log")
            assert UNKNOWN in refusal(world.client(0), "SET", "perhaps", "1")
            world.kill(0)
            world.disk(0).heal()
            world.start(0)
            seen = world.client(0).get("perhaps")
            world.kill(0)
            world.disk(0).lose(RNG.random(), "all")
            world.start(0)
            assert has(world.client(0), "before", 20)
            assert world.client(0).get("perhaps") == seen, f"{seen} was served, and then lost (SEED={SEED})"


def start_refusal(world):
    """What a start that must be refused says: one line."""
    world.spawn(0)
    process, world.processes[0] = world.processes[0], None
    assert process.wait(support.READY_SECONDS) == 1
    lines = world.log(0)[world.log_starts[0]:].splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_log_that_cannot_be_read_is_refused_by_name():
    with DiskWorld(regions=1, fsync="always") as world:
        fill(world.client(0), "before", 20)
        world.kill(0)
        world.disk(0).fault("fail read 1 on EIO *.log")
        line = start_refusal(world)
        assert segment_name(world) in line and "Input/output error" in line, line
        world.disk(0).heal()
        world.start(0)
        assert has(world.client(0), "before", 20)


def fail_somehow(world, region, rng):
    """Some disk fault while clients write; then the region dies, and its disk is well again."""
    error = rng.choice(["EIO", "EIO", "ENOSPC"])
    lasts = rng.choice(["once", "on"])
    file = rng.choice(["*.log", "*.log", "*/checkpoint/*", "*/clock", "*"])
    world.disk(region).fault(rng.choice([
        f"fail sync {rng.randrange(1, 20)} {lasts} {error} {file}",
        f"fail write {rng.randrange(1, 50)} {lasts} {error} {file}",
        f"full {rng.randrange(500000)} {file}",
    ]))
    time.sleep(rng.uniform(0, 0.5))
    world.kill(region)
    world.disk(region).heal()


def fault_rounds(regions, fsync):
    with DiskWorld(regions=regions, fsync=fsync, extra=CHECKPOINTS) as world:
        world.wait_linked()
        rounds = Rounds(world, fsync, RNG.random(), power=True, ways=[fail_somehow], refusal="the log failed")
        rounds.run(ROUNDS)
        rounds.finish()


def test_faults_under_load_lose_nothing_that_was_promised():
    fault_rounds(1, "always")
    fault_rounds(3, "everysec")


# --- the checkpoint ---

def test_a_checkpoint_on_a_full_disk_is_tried_again():
    with DiskWorld(regions=1, fsync="always", extra=CHECKPOINTS) as world:
        client = world.client(0)
        fill(client, "before", 2000)
        world.disk(0).fault("full 0 */checkpoint/*")
        told = refusal(client, "SAVE")
        assert "checkpoint" in told and "No space left on device" in told, told
        checkpoint = world.status(0)["checkpoint"]
        assert checkpoint["state"] == "failed" and "No space left on device" in checkpoint["problem"], checkpoint
        assert "No space left on device" in log_lines(world, "checkpoint.failed")[0]
        fill(client, "meanwhile", 2000)
        assert has(client, "before", 2000)
        world.disk(0).heal()
        assert client.execute_command("SAVE"), "it waits until it is tried again"
        assert world.status(0)["checkpoint"]["state"] != "failed"
        world.kill(0)
        world.disk(0).lose(RNG.random())
        world.start(0)
        assert has(world.client(0), "before", 2000) and has(world.client(0), "meanwhile", 2000)


def test_a_checkpoint_that_fails_otherwise_ends_checkpoints_and_nothing_else():
    """Whatever write or sync of a commit it is: also the last one, of the page that names the new tree."""
    for fault in ("sync 1", "write 1", "write 2", "write 3", "write 4", "write 5"):
        with DiskWorld(regions=1, fsync="always", extra=CHECKPOINTS) as world:
            fill(world.client(0), "before", 2000)
            world.restart(0)            # now these are only on disk
            client = world.client(0)
            fill(client, "meanwhile", 10)
            world.disk(0).fault(f"fail {fault} once EIO */checkpoint/*")
            told = refused_by_now(client)
            assert "checkpoint" in told and "Input/output error" in told, (fault, told)
            fill(client, "meanwhile", 2000)
            assert "Input/output error" in refusal(client, "SAVE"), "never again in this run"
            assert world.status(0)["checkpoint"]["state"] == "failed"
            assert any("restart" in line for line in log_lines(world, "checkpoint.failed"))
            assert has(client, "before", 2000), fault
            world.kill(0)
            world.disk(0).heal()
            world.disk(0).lose(RNG.random())
            world.start(0)
            client = world.client(0)
            assert has(client, "before", 2000) and has(client, "meanwhile", 2000)
            assert client.execute_command("SAVE")


def refused_by_now(client):
    """What SAVE says when the fault has come; a commit may have fewer writes than it takes."""
    for _ in range(20):
        client.set("meanwhile:0", "0")
        try:
            client.execute_command("SAVE")
        except redis.ResponseError as error:
            return str(error)
    raise AssertionError("SAVE never failed")


# --- damage ---

def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << RNG.randrange(8)]))


def damage_is_found(world, path, places):
    """Each start is refused in one line that names the file and the record."""
    for offset, size in places:
        place = offset + RNG.randrange(size)
        with open(path, "r+b") as file:
            file.seek(place)
            good = file.read(1)
            flip(path, place)
            line = start_refusal(world)
            assert os.path.basename(path) in line and str(offset) in line, f"flipped at {place}: {line} (SEED={SEED})"
            file.seek(place)
            file.write(good)


def test_damage_of_the_last_segment_is_refused_by_file_and_offset():
    with support.World(regions=1, fsync="always") as world:
        for number in range(100):       # a record each
            world.client(0).set(f"before:{number}", number)
        world.kill(0)
        path = world.segments(0)[-1]
        damage_is_found(world, path, [RNG.choice(support.log_records(path)[10:-10]) for _ in range(FLIPS)])
        world.start(0)
        assert has(world.client(0), "before", 100)


def test_damage_of_an_old_segment_is_refused_by_file_and_offset():
    with support.World(regions=1, fsync="everysec", extra="checkpoint: { log: 1GB, every: 1h }") as world:
        client = world.client(0)
        fill(client, "before", 100)
        for number in range(70):
            client.set("large", bytes([65 + number % 26]) * (1 << 20))
        fill(client, "after", 100)
        support.wait_until(lambda: is_durable(world))
        world.kill(0)
        path, last = world.segments(0)
        damage_is_found(world, path, [RNG.choice(support.log_records(path)) for _ in range(2)])
        assert last > path
        world.start(0)
        assert has(world.client(0), "before", 100) and has(world.client(0), "after", 100)


def checkpoint_file(world):
    return os.path.join(world.data_dir(0), "checkpoint", "data.mdb")


def text_of(number):
    """A value that is found nowhere else in a file."""
    return f"<{number}>" * 30


def found_damaged(client, number):
    """Whether a read tells that the key's record is damaged; else its value must be the right one."""
    try:
        value = client.get(f"k{number}")
    except redis.ResponseError as error:
        assert "damaged on disk" in str(error), error
        return True
    assert value == text_of(number), f"k{number} is {value}, and nobody was told"
    return False


@contextmanager
def checkpoint_of(count):
    """A stopped region whose keys are all in its checkpoint."""
    with support.World(regions=1, fsync="always", extra=CHECKPOINTS) as world:
        with world.client(0).pipeline(transaction=False) as pipeline:
            for number in range(count):
                pipeline.set(f"k{number}", text_of(number))
            pipeline.execute()
        world.kill(0, signal.SIGTERM)
        yield world


def test_a_damaged_record_of_the_checkpoint_is_told_and_its_neighbours_are_served():
    with checkpoint_of(1000) as world:
        with open(checkpoint_file(world), "rb") as file:
            whole = file.read()
        for number in RNG.sample(range(1000), FLIPS):
            text = text_of(number).encode()
            for found in re.finditer(re.escape(text), whole):   # also in pages that are no longer in use
                flip(checkpoint_file(world), RNG.randrange(*found.span()))
            world.start(0)
            client = world.client(0)
            assert found_damaged(client, number), f"{text} was served"
            assert not found_damaged(client, (number + 1) % 1000)
            assert any("checkpoint" in line and "damaged" in line for line in world.log(0).splitlines())
            world.kill(0)
            with open(checkpoint_file(world), "wb") as file:
                file.write(whole)
        world.start(0)
        assert not any(found_damaged(world.client(0), number) for number in range(1000))


def test_damage_anywhere_in_the_checkpoint_never_changes_what_is_served():
    """Bits of LMDB's own pages too: a start is refused, or a read is, or the bit was of no use to anybody."""
    with checkpoint_of(1000) as world:
        kept = world.data_dir(0) + ".kept"
        shutil.copytree(world.data_dir(0), kept)
        for _ in range(FLIPS):
            place = RNG.randrange(os.path.getsize(checkpoint_file(world)))
            flip(checkpoint_file(world), place)
            world.spawn(0)
            process = world.processes[0]
            support.wait_until(lambda: process.poll() is not None or world.is_ready(0), support.READY_SECONDS)
            if process.poll() is None:
                client = world.client(0)
                for number in range(1000):
                    found_damaged(client, number)
                world.kill(0)
            else:
                world.processes[0] = None
                line = world.log(0)[world.log_starts[0]:]
                assert process.returncode == 1 and "checkpoint" in line, f"flipped at {place}: {line}"
            shutil.rmtree(world.data_dir(0))
            shutil.copytree(kept, world.data_dir(0))


if __name__ == "__main__":
    print(f"SEED={SEED}")
    support.main(globals())
