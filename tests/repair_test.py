#!/usr/bin/env python3
"""Damage to a region's files: found with file and offset, and repaired from what is good and from a peer."""
import glob
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile

import redis

import support
from backup_test import bad, flip, good
from shim.world import DiskWorld
from support import World, log_records, run, wait_until

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
RNG = random.Random(SEED)
CHECKPOINTS = "checkpoint: { log: 1GB, every: 24h }"    # only when they are asked for


def fill(client, name, count=300):
    with client.pipeline(transaction=False) as pipeline:
        for number in range(count):
            pipeline.set(f"{name}:{number}", f"{name} {number}")
            pipeline.hset(f"{name}:hash:{number % 17}", f"f{number}", number)
        pipeline.execute()


def fill_slowly(client, name, count=40):
    """Records of their own."""
    for number in range(count):
        client.set(f"{name}:{number}", number)


def check(world, i=0):
    """(exit status, standard output, standard error) of a look."""
    return run("repair", "--check", "--data", world.data_dir(i))


def repair(world, i=0):
    return good("repair", "--data", world.data_dir(i), "--config", world.config, "--region", world.names[i])


def checkpoint_file(world, i=0):
    return os.path.join(world.data_dir(i), "checkpoint", "data.mdb")


def damage_record(world, number, i=0):
    """Flips a bit in a record of the log's last segment; returns file and offset of the record."""
    path = world.segments(i)[-1]
    offset, length = log_records(path)[number]
    flip(path, offset + 20 + RNG.randrange(length - 20))
    return os.path.basename(path), offset


def damage_checkpoint(world, text, i=0):
    """Flips a bit in what stands in the checkpoint's file, also in pages that are free: nobody can tell them apart."""
    path = checkpoint_file(world, i)
    with open(path, "rb") as file:
        places = [found.start() for found in re.finditer(re.escape(text), file.read())]
    assert places
    for at in places:
        flip(path, at)


def is_filled(world, i, wanted):
    try:
        return world.contents(i) == wanted
    except redis.RedisError:            # LOADING
        return False


def wait_filled(world, i, wanted):
    wait_until(lambda: is_filled(world, i, wanted), 60, "the region was not filled")


def aside(world, i=0):
    return sorted(os.path.relpath(path, world.data_dir(i)).split("/", 1)[1]
                  for path in glob.glob(os.path.join(world.data_dir(i), "damaged-*", "*")))


def one_region():
    return World(regions=1, fsync="always", extra=CHECKPOINTS)


# --- what is good stays as it is ---

def test_nothing_is_done_to_a_good_directory():
    with one_region() as world:
        fill(world.client(0), "a")
        status, out, _ = check(world)
        assert status == 0 and "good" in out, out
        world.client(0).save()
        fill(world.client(0), "b")
        assert check(world)[0] == 0
        assert "in use by process" in bad("repair", "--data", world.data_dir(0), "--config", world.config, "--region",
                                          world.names[0])
        wanted = world.contents(0)
        world.kill(0)
        assert check(world)[0] == 0
        assert "nothing is damaged" in repair(world)
        world.start(0)
        assert world.contents(0) == wanted


def test_usage_and_places_that_are_none():
    assert run("repair")[0] == 2
    assert run("repair", "--data", "x")[0] == 2
    assert "No such file" in bad("repair", "--check", "--data", "/nonexistent")
    with tempfile.TemporaryDirectory() as empty:
        assert "no region's data directory" in bad("repair", "--check", "--data", empty)
        assert "there is no region" in bad("backup", "--data", empty, "--to", os.path.join(empty, "backup"))
        assert os.listdir(empty) == []


# --- without a peer ---

def test_a_damaged_checkpoint_is_made_anew_from_a_log_that_is_whole():
    with one_region() as world:
        fill(world.client(0), "a")
        world.client(0).save()
        fill(world.client(0), "b")
        wanted = world.contents(0)
        world.kill(0)
        damage_checkpoint(world, b"a 123")
        status, out, problem = check(world)
        assert status == 1 and "a:123" in problem, (out, problem)
        assert "replays all of its log" in repair(world)
        assert aside(world) == ["checkpoint"]
        world.start(0)
        assert world.contents(0) == wanted
        assert "nothing" not in world.log(0)


def test_any_damage_to_the_checkpoint_s_file_is_found_or_harmless():
    with one_region() as world:
        fill(world.client(0), "a", 2000)
        world.client(0).set("big", "x" * 300000)
        world.client(0).save()
        wanted = world.contents(0)
        world.kill(0)
        kept = checkpoint_file(world) + ".kept"
        shutil.copy(checkpoint_file(world), kept)
        found = 0
        for _ in range(25):
            # Pages of a tree, or the head of the file: whatever they lead to.
            flip(checkpoint_file(world), RNG.randrange(os.path.getsize(kept)))
            status, _, problem = check(world)
            found += status
            # A sanitizer has its own say in a crash, which is not ours to prevent: it ends a child only.
            assert status == 0 or "checkpoint" in problem.splitlines()[-1], problem
            shutil.copy(kept, checkpoint_file(world))
        for page in range(2, 12):
            flip(checkpoint_file(world), page * 4096 + 16 + RNG.randrange(16))     # the page's own index
            found += check(world)[0]
            shutil.copy(kept, checkpoint_file(world))
        assert found >= 10, found
        os.remove(kept)
        world.start(0)
        assert world.contents(0) == wanted


def test_damage_before_the_checkpoint_costs_nothing():
    with one_region() as world:
        fill_slowly(world.client(0), "a")
        world.client(0).save()
        fill_slowly(world.client(0), "b")
        wanted = world.contents(0)
        world.kill(0)
        name, offset = damage_record(world, 5)
        status, _, problem = check(world)
        assert status == 1 and f"{name}: damaged at offset {offset}" in problem, problem
        assert "put aside: the log before LSN" in repair(world)
        assert aside(world) == [name]
        assert check(world)[0] == 0
        world.start(0)
        assert world.contents(0) == wanted
        world.client(0).set("more", "1")
        world.restart(0)
        assert world.client(0).get("more") == "1"


def flip_header(world, which, i=0):
    """Flips a bit in the header of a segment; returns its name."""
    path = world.segments(i)[which]
    flip(path, RNG.randrange(28))
    return os.path.basename(path)


def test_a_damaged_header_of_a_segment_costs_nothing():
    for save in (False, True):
        with one_region() as world:
            fill_slowly(world.client(0), "a")
            if save:
                world.client(0).save()
            fill_slowly(world.client(0), "b")
            wanted = world.contents(0)
            world.kill(0)
            name = flip_header(world, 0)
            assert check(world)[0] == 1
            assert "written anew" in repair(world)
            assert aside(world) == [name]
            assert check(world)[0] == 0
            world.start(0)
            assert world.contents(0) == wanted


def test_a_damaged_header_of_a_later_segment_costs_nothing():
    with World(regions=1, fsync="no, retain: 64MB", extra=CHECKPOINTS) as world:
        value = "x" * 100000
        while len(world.segments(0)) < 3:
            world.client(0).set(f"k{RNG.randrange(1000)}", value)
        wanted = world.contents(0)
        world.kill(0)
        for which in (1, -1):
            name = flip_header(world, which)
            assert "written anew" in repair(world)
            assert name in aside(world), name
            assert check(world)[0] == 0
        flip_header(world, 0)
        flip_header(world, 1)
        repair(world)
        world.start(0)
        assert world.contents(0) == wanted


def test_a_single_region_is_told_to_restore_a_back_up():
    with one_region() as world:
        fill_slowly(world.client(0), "a")
        world.client(0).save()
        fill_slowly(world.client(0), "b")
        world.kill(0)
        name, offset = damage_record(world, 50)
        told = bad("repair", "--data", world.data_dir(0), "--config", world.config, "--region", world.names[0])
        assert f"{name}: damaged at offset {offset}" in told and "restore a back-up" in told, told
        assert aside(world) == []


def test_a_torn_tail_is_no_damage():
    with one_region() as world:
        fill_slowly(world.client(0), "a")
        wanted = world.contents(0)
        world.kill(0)
        path = world.segments(0)[-1]
        offset, length = log_records(path)[-1]
        with open(path, "r+b") as file:
            file.seek(offset + length)
            file.write(os.urandom(50))
        status, out, _ = check(world)
        assert status == 0 and "torn" in out, out
        world.start(0)
        assert world.contents(0) == wanted


# --- with a peer ---

def three_histories(world):
    """Writes of both regions; the first one has a checkpoint in the middle."""
    world.wait_linked()
    fill_slowly(world.client(0), "a")
    fill_slowly(world.client(1), "b")
    world.wait_equal()
    world.client(0).save()
    world.client(1).save()
    fill_slowly(world.client(0), "c")
    fill_slowly(world.client(1), "d")
    return world.wait_equal()


def refuses_to_start(world, i=0):
    world.spawn(i)
    assert world.processes[i].wait(30) == 1, world.log(i)
    world.processes[i] = None
    return world.log(i)


def test_a_damaged_segment_is_repaired_from_a_peer():
    with World(regions=2, fsync="always", extra=CHECKPOINTS) as world:
        wanted = three_histories(world)
        world.kill(0)
        name, offset = damage_record(world, len(log_records(world.segments(0)[-1])) - 20)
        assert f"{name}: damaged at offset {offset}" in refuses_to_start(world)
        told = repair(world)
        assert "takes all objects from another region" in told, told
        assert aside(world) == [name]
        world.start(0)
        wait_filled(world, 0, wanted)
        world.wait_linked()
        world.client(0).set("more", "1")
        assert world.wait_equal()[b"more"][1] == b"1"
        world.restart(0)
        assert world.wait_equal()[b"more"][1] == b"1"


def test_a_damaged_checkpoint_is_repaired_from_a_peer_and_own_unsent_writes_stay():
    for at_once in (False, True):
        with World(regions=2, fsync="always", extra=CHECKPOINTS) as world:
            three_histories(world)
            world.cut(0, 1)
            fill_slowly(world.client(0), "unsent")
            wanted = world.contents(0)
            world.kill(0)
            damage_record(world, 5)     # so the log does not reach back to its beginning any more
            if not at_once:
                assert "put aside: the log before" in repair(world)
            damage_checkpoint(world, b"a:17")
            assert check(world)[0] == 1
            assert "takes all objects from another region" in repair(world)
            world.start(0)
            wait_filled(world, 0, wanted)
            world.wait_linked()
            assert world.wait_equal() == wanted
            world.restart(0)
            world.wait_linked()
            assert world.wait_equal() == wanted


def test_own_writes_that_nobody_had_are_lost_and_then_a_new_number_is_needed():
    with World(regions=2, fsync="always", extra=CHECKPOINTS) as world:
        wanted = three_histories(world)
        world.cut(0, 1)
        fill_slowly(world.client(0), "unsent")
        world.kill(0)
        damage_record(world, len(log_records(world.segments(0)[-1])) - 20)
        assert "that no other region had, are lost" in repair(world)
        world.start(0)
        wait_until(lambda: "ev=bootstrap.done" in world.log(0), 60)
        there = world.contents(0)
        # Those before the damage follow what others have, those behind it do not.
        assert {key: there.get(key) for key in wanted} == wanted
        assert b"unsent:1" in there and b"unsent:39" not in there
        try:
            world.client(0).set("k", "v")
            raise AssertionError("it was written")
        except redis.ResponseError as problem:
            assert "AMNESIA" in str(problem), problem

        with open(world.config, encoding="utf-8") as file:
            text = file.read()
        for number, name in zip((3, 2), world.names):
            text = text.replace(f"- name: {name}", f"- name: {name}\n    id: {number}")
        with open(world.config, "w", encoding="utf-8") as file:
            file.write(text + "closed: [1]\n")
        for i in (1, 0):
            world.restart(i)
        world.wait_linked()
        world.client(0).set("k", "v")
        wait_until(lambda: world.contents(0) == world.contents(1), 30, "the regions did not become equal")
        assert world.contents(1)[b"unsent:1"] == there[b"unsent:1"]


def write_refusal(world, i):
    try:
        world.client(i).set("again", "1")
        return ""
    except redis.ResponseError as problem:
        return str(problem)


def test_a_repaired_region_takes_no_writes_before_it_has_met_every_other():
    with World(regions=3, fsync="always", extra=CHECKPOINTS) as world:
        wanted = three_histories(world)
        world.kill(0)
        world.kill(2)
        damage_record(world, len(log_records(world.segments(0)[-1])) - 20)
        assert "before it has met every other region" in repair(world)
        world.start(0)
        wait_filled(world, 0, wanted)
        world.restart(0)                # it does not forget
        wait_filled(world, 0, wanted)
        assert "AMNESIA" in write_refusal(world, 0) and "until it has met" in write_refusal(world, 0)
        world.start(2)
        wait_until(lambda: write_refusal(world, 0) == "", 30, "writes are still refused")
        world.wait_linked()
        assert world.wait_equal()[b"again"][1] == b"1"


def test_what_another_region_holds_of_the_damaged_part_is_waited_for_and_comes_back():
    with World(regions=3, fsync="always", extra=CHECKPOINTS) as world:
        three_histories(world)
        world.kill(1)                   # the source: it has nothing of what comes now
        fill_slowly(world.client(0), "later")
        wait_until(lambda: world.client(2).get("later:39") == "39")
        fill_slowly(world.client(2), "seen", 20)
        wait_until(lambda: world.client(0).get("seen:19") == "19")
        wanted = world.contents(0)
        world.kill(0)
        world.kill(2)
        damage_record(world, len(log_records(world.segments(0)[-1])) - 21)      # later:39, as it was seen
        repair(world)
        world.start(1)
        world.spawn(0)
        wait_until(lambda: "phase=own" in world.log(0).replace('"', ""), 30)
        assert not world.is_ready(0)
        world.start(2)
        wait_filled(world, 0, wanted)
        wait_until(lambda: write_refusal(world, 0) == "", 30, "writes are still refused")
        world.wait_linked()
        assert world.wait_equal()[b"later:39"][1] == b"39"
        assert "ev=amnesia" not in world.log(0)


def lose_end(world, how, i=0):
    """The log ends before the checkpoint's start."""
    path = world.segments(i)[-1]
    records = log_records(path)
    if how == "missing":
        os.remove(path)
    elif how == "cut":
        os.truncate(path, records[len(records) // 3][0] + RNG.randrange(20))
    else:
        offset, length = records[-1]
        flip(path, offset + RNG.randrange(length))


def test_a_log_that_ends_before_the_checkpoint_is_no_torn_one_and_the_checkpoint_stays():
    for how in ("missing", "cut", "flipped"):
        with World(regions=2, fsync="always", extra=CHECKPOINTS) as world:
            world.wait_linked()
            fill_slowly(world.client(0), "a")
            world.wait_equal()
            world.kill(1)
            fill_slowly(world.client(0), "unsent")
            world.client(0).save()
            wanted = world.contents(0)
            world.kill(0, signal.SIGTERM)
            lose_end(world, how)
            status, out, _ = check(world)
            assert status == 1 and "normal after a crash" not in out and ", good\n" not in out, out
            told = repair(world)
            assert "the checkpoint is good" in told and "normal after a crash" not in told, told
            assert len(aside(world)) == (0 if how == "missing" else 1)
            assert check(world)[0] == 0
            world.start(0)
            assert world.contents(0) == wanted
            assert "AMNESIA" in write_refusal(world, 0)
            world.start(1)
            wait_until(lambda: write_refusal(world, 0) == "", 30, "writes are still refused")
            wait_until(lambda: is_filled(world, 1, world.contents(0)), 60, "the regions did not become equal")
            assert world.contents(1)[b"unsent:39"] == wanted[b"unsent:39"]
            world.restart(0)
            assert write_refusal(world, 0) == ""


def test_a_region_whose_log_was_lost_writes_nothing_while_another_may_hold_later_writes_of_it():
    for how, saves in (("missing", True), ("cut", True), ("missing", False)):
        with World(regions=3, fsync="always", extra=CHECKPOINTS) as world:
            world.wait_linked()
            fill_slowly(world.client(0), "a")
            world.wait_equal()
            if saves:
                world.client(0).save()
            world.kill(1)
            fill_slowly(world.client(0), "later", 20)
            wait_until(lambda: world.client(2).get("later:19") == "19")
            world.kill(0)
            world.kill(2)
            lose_end(world, how)
            repair(world)
            world.start(1)
            world.start(0)
            for _ in range(2):
                assert "AMNESIA" in write_refusal(world, 0)
                assert world.client(0).get("a:39") == "39"
                world.restart(0)
            world.start(2)
            wait_until(lambda: "ev=tail.known" in world.log(0), 30)
            assert "AMNESIA" in write_refusal(world, 0)
            assert "ev=fork" not in "".join(world.log(i) for i in range(3))


def test_own_writes_of_a_lost_log_come_back_from_who_has_them():
    with World(regions=3, fsync="always", extra=CHECKPOINTS) as world:
        world.wait_linked()
        fill_slowly(world.client(0), "a")
        world.client(0).save()
        fill_slowly(world.client(0), "later")
        wanted = world.wait_equal()
        world.kill(0)
        lose_end(world, "missing")
        repair(world)
        world.start(0)
        wait_filled(world, 0, wanted)
        wait_until(lambda: write_refusal(world, 0) == "", 30, "writes are still refused")
        assert "ev=amnesia" not in world.log(0)
        world.wait_linked()
        world.wait_equal()


class Writer(support.ClientThread):
    def step(self):
        self.client.set(f"a:{self.rng.randrange(2000)}", self.rng.random())


def test_a_start_without_log_that_the_checkpoint_s_objects_have_is_refused():
    """Against the sanitized binary where there is one: it would tell what was left open."""
    with World(regions=1, fsync="always", extra=CHECKPOINTS, binary=os.environ.get("MERIDIAN_SANITIZED")) as world:
        fill(world.client(0), "a", 2000)
        writer = Writer(world.client(0), SEED)
        writer.start()
        try:
            world.client(0).save()
        finally:
            writer.stop()
        world.kill(0)
        path = world.segments(0)[-1]
        start = int(re.findall(r"ev=checkpoint .*lsn=(\d+)", world.log(0))[-1])
        os.truncate(path, next(offset for offset, _ in log_records(path) if offset >= 64 + start))
        world.spawn(0)
        wait_until(lambda: world.is_ready(0) or world.processes[0].poll() is not None, 30)
        if not world.is_ready(0):       # else nothing was written while the checkpoint was made
            world.processes[0] = None
            assert "its end is lost" in world.log(0)
            assert "LeakSanitizer" not in world.log(0)


def is_put_aside_without_its_log():
    """Whether anything was written while the checkpoint was made; then all of it is judged."""
    with DiskWorld(regions=2, fsync="always", extra=CHECKPOINTS) as world:
        world.wait_linked()
        fill(world.client(0), "a", 2000)
        for number in range(12):        # of which a checkpoint has more than one transaction
            world.client(0).set(f"large:{number}", RNG.randbytes(1 << 20))
        world.wait_equal()
        writer = Writer(world.client(0), SEED)
        writer.start()
        world.disk(0).fault("delay sync 200 */checkpoint/*")
        try:
            world.client(0).save()
        finally:
            writer.stop()
            world.disk(0).heal()
        world.kill(0)
        lose_end(world, "cut")
        told = repair(world)
        if "the log goes on where it stands" in told or "nothing is damaged" in told:
            return False
        assert "holds writes that no log has any more" in told, told
        assert "checkpoint" in aside(world)
        world.start(0)
        wait_until(lambda: "ev=tail.known" in world.log(0), 60)
        world.wait_linked()
        world.wait_equal(60)
        return True


def test_a_checkpoint_that_is_no_good_without_its_log_is_put_aside_and_that_is_told():
    tries = 5
    assert any(is_put_aside_without_its_log() for _ in range(tries)), f"nothing was written meanwhile, {tries} times"


def test_a_lost_log_is_not_taken_for_an_empty_one():
    with World(regions=2, fsync="always", extra=CHECKPOINTS) as world:
        wanted = three_histories(world)
        world.kill(0)
        for path in world.segments(0):
            os.remove(path)
        damage_checkpoint(world, b"a:17")
        told = repair(world)
        assert "takes all objects from another region" in told and "replays all" not in told, told
        world.start(0)
        wait_filled(world, 0, wanted)


def test_a_single_region_keeps_a_good_checkpoint_when_its_log_is_lost():
    with one_region() as world:
        fill_slowly(world.client(0), "a")
        world.client(0).save()
        wanted = world.contents(0)
        world.kill(0)
        lose_end(world, "missing")
        assert check(world)[0] == 1
        assert "the checkpoint is good" in repair(world)
        world.start(0)
        assert world.contents(0) == wanted
        world.client(0).set("more", "1")
        world.restart(0)
        assert world.client(0).get("more") == "1"


def test_a_repair_that_is_interrupted_is_finished_by_the_next():
    for _ in range(4):
        with World(regions=2, fsync="always", extra=CHECKPOINTS) as world:
            wanted = three_histories(world)
            world.kill(0)
            damage_record(world, len(log_records(world.segments(0)[-1])) - 20)
            for _ in range(3):
                process = subprocess.Popen([support.BINARY, "repair", "--data", world.data_dir(0), "--config",
                                            world.config, "--region", world.names[0]], stdout=subprocess.DEVNULL)
                try:
                    process.wait(RNG.uniform(0.05, 0.5))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
            repair(world)
            world.start(0)
            wait_filled(world, 0, wanted)
            world.wait_linked()
            world.wait_equal()


def test_a_checkpoint_that_was_to_be_put_aside_is_so_by_the_next_repair():
    with DiskWorld(regions=2, fsync="always", extra=CHECKPOINTS) as world:
        wanted = three_histories(world)
        world.kill(0)
        damage_record(world, len(log_records(world.segments(0)[-1])) - 20)
        damage_record(world, 5)
        world.disk(0).fault("fail rename 1 on EIO *checkpoint")
        done = subprocess.run([support.BINARY, "repair", "--data", world.data_dir(0), "--config", world.config, "--region",
                               world.names[0]], env=world.environment(0), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and "rename" in done.stderr, done
        world.disk(0).heal()
        assert os.path.exists(checkpoint_file(world))
        assert "a repair was interrupted" in refuses_to_start(world)
        told = repair(world)
        assert "finished: a repair that was interrupted" in told and "can be started" in told, told
        assert "checkpoint" in aside(world) and not os.path.exists(checkpoint_file(world))
        world.start(0)
        wait_filled(world, 0, wanted)
        world.wait_linked()
        world.wait_equal()


if __name__ == "__main__":
    support.main(globals())
