#!/usr/bin/env python3
"""Back-ups while regions are written to, what is added to them, and what is restored of them: any moment, exactly."""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

import redis

import support
from support import World, run, wait_until

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
CHECKPOINTS = "checkpoint: { log: 1MB, every: 1s }"     # the least that can be asked for: many in one test


def good(*arguments):
    """Runs a subcommand that must succeed; its standard output."""
    status, out, problem = run(*arguments)
    assert status == 0, (arguments, problem)
    return out


def bad(*arguments):
    """Runs a subcommand that must fail with one line; that line."""
    status, _, problem = run(*arguments)
    assert status == 1, (arguments, status, problem)
    assert problem.count("\n") == 1, problem
    return problem


class Places:
    """A world and room for its back-ups."""

    def __init__(self, **options):
        self.options = options

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="meridian-backup-")
        options = dict(self.options)
        self.world = World(data=os.path.join(self.dir, "world"), extra=options.pop("extra", CHECKPOINTS), **options)
        return self

    def __exit__(self, kind, value, trace):
        self.world.stop(check=kind is None)
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def back_up(self, *more, region=0, to="backup"):
        return good("backup", "--data", self.world.data_dir(region), "--to", self.path(to), *more)

    def config(self, name, regions, deployment="test", closed=(), extra=""):
        """A configuration of {region: number}, on ports of their own."""
        path = self.path(name + ".yaml")
        ports = support.free_ports(3 * len(regions))
        lines = [f"deployment: {deployment}", "regions:"]
        for i, (region, number) in enumerate(regions.items()):
            lines += [f"  - {{ name: {region}, id: {number}, clients: 127.0.0.1:{ports[3 * i]}, "
                      f"peers: 127.0.0.1:{ports[3 * i + 1]}, http: 127.0.0.1:{ports[3 * i + 2]} }}"]
        if closed:
            lines += [f"closed: {list(closed)}"]
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines + [CHECKPOINTS, extra, ""]))
        return path

    def restore(self, data, config, region, *more, of="backup"):
        return good("restore", "--from", self.path(of), "--data", self.path(data), "--config", config,
                    "--region", region, *more)


class Restored(World):
    """A region that was restored, or the regions of such a deployment, in directories of a place."""

    def __init__(self, place, config, directories):
        names = re.findall(r"name: ([^, ]+)", open(config, encoding="utf-8").read())
        ports = {kind: [int(port) for port in re.findall(kind + r": 127\.0\.0\.1:(\d+)",
                                                         open(config, encoding="utf-8").read())]
                 for kind in ("clients", "peers", "http")}
        self.binary, self.names, self.temporary, self.wan, self.faults = support.BINARY, names, False, None, True
        self.dials = {}
        self.dir, self.config = place.dir, config
        self.client_ports, self.peer_ports, self.http_ports = ports["clients"], ports["peers"], ports["http"]
        self.processes, self.log_starts = [None] * len(names), [0] * len(names)
        self.directories = [place.path(directory) for directory in directories]
        try:
            for i in range(len(directories)):
                self.start(i)
        except BaseException:
            self.stop(check=False)
            raise

    def data_dir(self, i):
        return self.directories[i]

    def log_path(self, i):
        return self.directories[i] + ".log"


def contents_after(place, name, *more, region="us-east", number=9, numbers=1, of="backup"):
    """Everything in a region that is restored alone, in a deployment of its own."""
    config = place.config(name, {region: number}, "other", range(1, numbers + 1))
    place.restore(name, config, region, *more, of=of)
    with Restored(place, config, [name]) as world:
        return world.contents(0)



# --- moments ---

def moments(world, count, rng):
    """Writes, and notes what was there at moments between: [(time in ms, contents)]."""
    client, found = world.client(0), []
    for step in range(count):
        for _ in range(rng.randrange(1, 30)):
            key = f"k:{rng.randrange(40)}"
            choice = rng.randrange(6)
            if choice == 0:
                client.delete(key)
            elif choice == 1:
                client.set(f"n:{key}", rng.randrange(100))
            elif choice == 2:
                client.incrby(f"n:{key}", rng.randrange(1, 9))
            elif choice == 3:
                client.hset(f"h:{key}", mapping={f"f{i}": rng.randrange(99) for i in range(3)})
            elif choice == 4:
                client.rpush(f"l:{key}", rng.randrange(99))
            else:
                client.set(key, f"{step}:{rng.random()}")
        time.sleep(0.01)
        found.append((int(time.time() * 1000), world.contents(0)))
        time.sleep(0.01)
    return found


def test_every_moment_of_a_region_comes_back_exactly():
    rng = random.Random(SEED)
    print(f"SEED={SEED}")
    with Places(regions=1) as place:
        world = place.world
        before = moments(world, 3, rng)
        world.client(0).save()
        first = place.back_up()
        assert "base-0001" in first and "gives any moment from" in first, first
        then = moments(world, 4, rng)
        world.client(0).save()
        then += moments(world, 4, rng)
        assert " keys in " not in place.back_up(), "only log was new"
        after = moments(world, 2, rng)

        for number, (at_ms, wanted) in enumerate(then):
            assert contents_after(place, f"r{number}", "--to", str(at_ms)) == wanted, at_ms

        def refusal(at_ms):
            return bad("restore", "--from", place.path("backup"), "--data", place.path("no"), "--config",
                       place.config("no", {"us-east": 9}, "other", [1]), "--region", "us-east", "--to", str(at_ms))

        assert "the oldest moment that it can give is 2" in refusal(before[0][0])
        assert "the newest moment that it can give is 2" in refusal(after[-1][0])


def test_a_base_without_objects_gives_the_log_s_whole_history():
    rng = random.Random(SEED)
    with Places(regions=1, extra="") as place:
        found = moments(place.world, 4, rng)
        place.back_up()
        assert "from the beginning" in good("restore", "--from", place.path("backup"), "--list")
        for number, (at_ms, wanted) in enumerate(found):
            assert contents_after(place, f"r{number}", "--to", str(at_ms)) == wanted


def test_a_group_is_there_whole_or_not_at_all():
    with Places(regions=1, extra="") as place:
        client, stamps = place.world.client(0), []
        for value in range(20):
            client.execute_command("MSET", "a", value, "b", value, "c", value)
            stamps.append(place.world.heads(0)["us-east"])
        with client.pipeline(transaction=True) as pipeline:
            for value in range(50):
                pipeline.set(f"m:{value}", value)
            pipeline.execute()
        end = place.world.heads(0)["us-east"]
        place.back_up()
        for number, stamp in enumerate([stamps[3], stamps[11], int(end) - (1 << 8)]):
            there = contents_after(place, f"r{number}", "--to", str(stamp))
            assert len({there[key][1] for key in (b"a", b"b", b"c")}) == 1
            assert not [key for key in there if key.startswith(b"m:")]
        assert len(contents_after(place, "all", "--to", str(end))) == 53


def test_times_are_read_as_people_write_them():
    with Places(regions=1, extra="") as place:
        client = place.world.client(0)
        client.set("k", "before")
        time.sleep(1.1)
        at = time.time()
        time.sleep(1.1)
        client.set("k", "after")
        place.back_up()
        utc = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
        texts = [utc + "Z", utc + ".5+00:00", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)), str(int(at)),
                 hex(int(at * 1000) << 20), f"{int(at * 1000) << 20:016x}"]
        for number, text in enumerate(texts):
            assert contents_after(place, f"r{number}", "--to", text)[b"k"][1] == b"before", text
        for text in ("soon", "2026-02-30T10:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T10:60:00Z", "2026-11-21T10:00:60Z",
                     "2026-11-21 10:00:00 or so", "2026-11-21T10:00:00.Z", "2026-11-21T10:00:00+1:00", "2026-1-2T10:00:00Z",
                     "1a200f52d7b0000", "1a200f52d7b00001f", "1a200f52d7b0000g", "0x", "0x1a 0"):
            status, _, told = run("restore", "--from", "x", "--data", "y", "--config", "z", "--region", "r", "--to", text)
            assert status == 2 and text in told, (text, told)


def test_a_stamp_is_taken_as_conflict_versions_prints_it():
    siblings = CHECKPOINTS + "\nkeyspaces:\n  - { prefix: '', conflict: siblings }"
    with Places(regions=2, extra=siblings) as place:
        world = place.world
        world.wait_linked()
        world.cut(0, 1)
        for i in range(2):
            world.client(i).set("k", i)
        world.heal(0, 1)
        world.wait_equal()
        versions = world.client(0).execute_command("CONFLICT", "VERSIONS", "k")
        stamps = sorted(re.findall(r"\b[0-9a-f]{16}\b", str(versions)))
        assert len(stamps) == 2, versions
        place.back_up()
        assert len(contents_after(place, "first", "--to", stamps[0], numbers=2)) == 1
        # sixteen digits are a stamp's, also when none is a letter: in decimal it would be one of 1970
        told = bad("restore", "--from", place.path("backup"), "--data", place.path("no"), "--config",
                   place.config("no", {"us-east": 9}, "other", [1, 2]), "--region", "us-east", "--to", "9999999999999999")
        assert "newest moment" in told, told


# --- while it is written to ---

class Writer(support.ClientThread):
    """Counts: at any moment n:1 >= n:2 >= … >= n:5, within one of each other, as they are written in that order."""

    def step(self):
        self.count = getattr(self, "count", 0) + 1
        with self.client.pipeline(transaction=False) as pipeline:
            for number in range(1, 6):
                pipeline.set(f"n:{number}", self.count)
            for _ in range(20):
                pipeline.set(f"filler:{self.rng.randrange(5000)}", "x" * self.rng.randrange(500))
            pipeline.execute()


def test_back_ups_of_a_busy_region_are_consistent_and_regions_of_them_too():
    with Places(regions=2) as place:
        world = place.world
        world.wait_linked()
        writers = [Writer(world.client(i), SEED + i) for i in range(1)]
        for writer in writers:
            writer.start()
        taken = []
        for number in range(8):
            time.sleep(0.7)
            at_ms = int(time.time() * 1000)
            taken.append((at_ms, place.back_up(*(["--full"] if number in (3, 6) else []), region=1)))
        for writer in writers:
            writer.stop()
        assert sum(" keys in " in told for _, told in taken) == 3, taken
        bases = sorted(name for name in os.listdir(place.path("backup")) if name.startswith("base-"))
        assert bases == ["base-0001", "base-0002", "base-0003"], bases
        assert run("inspect", place.path("backup"), "--json")[0] == 0
        reach = re.findall(r"^base-\d+: from (\S+) to (\S+);", good("restore", "--from", place.path("backup"), "--list"), re.M)
        assert len(reach) == 3 and all(after[0] <= before[1] <= after[1] for before, after in zip(reach, reach[1:])), reach
        last = 0
        for number, (at_ms, _) in enumerate(taken[2:]):
            there = contents_after(place, f"r{number}", "--to", str(at_ms), region="eu-de", numbers=2)
            counts = [int(there[f"n:{i}".encode()][1]) for i in range(1, 6)]
            assert counts == sorted(counts, reverse=True) and counts[0] - counts[-1] <= 1, counts
            assert counts[0] >= last
            last = counts[0]


def test_a_stopped_region_is_backed_up_too_and_is_the_same():
    with Places(regions=1) as place:
        rng = random.Random(SEED)
        moments(place.world, 3, rng)
        wanted = place.world.contents(0)
        place.world.kill(0, signal.SIGTERM)
        place.back_up()
        assert "0 bytes of log" in place.back_up()
        assert contents_after(place, "r") == wanted
        place.world.start(0)
        assert place.world.contents(0) == wanted


def test_an_interrupted_back_up_leaves_the_former_one_good():
    with Places(regions=1) as place:
        client, rng = place.world.client(0), random.Random(SEED)
        moments(place.world, 2, rng)
        place.back_up()
        kept = place.path("kept")
        for number in range(6):
            with client.pipeline(transaction=False) as pipeline:
                for _ in range(3000):
                    pipeline.set(f"filler:{rng.randrange(5000)}", "x" * 400)
                pipeline.execute()
            process = subprocess.Popen([support.BINARY, "backup", "--data", place.world.data_dir(0), "--to",
                                        place.path("backup"), "--full"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0, 0.15))
            process.kill()
            process.wait()
            assert run("inspect", place.path("backup"))[0] == 0, number
        shutil.copytree(place.path("backup"), kept)
        place.back_up("--full")
        assert run("inspect", place.path("backup"))[0] == 0
        listed = good("restore", "--from", kept, "--list")
        assert listed.count("base-0001: from ") == 1, listed
        assert contents_after(place, "kept-r", of="kept") != {}
        assert contents_after(place, "r") == place.world.contents(0)


def test_following_keeps_every_moment_though_the_region_drops_its_log():
    with Places(regions=1) as place:
        process = subprocess.Popen([support.BINARY, "backup", "--data", place.world.data_dir(0), "--to",
                                    place.path("backup"), "--follow"], stdout=subprocess.PIPE, text=True)
        assert "base-0001" in process.stdout.readline()
        client, found = place.world.client(0), []
        while place.world.segments(0)[0].endswith("0000000000000000.log"):
            for number in range(20):
                client.set(f"big:{number}", os.urandom(1 << 20))
            client.set("k", len(found))
            time.sleep(0.3)
            found.append(int(time.time() * 1000))
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        told = process.stdout.read()
        assert process.wait() == 0 and "base-0001" in told, told
        assert run("inspect", place.path("backup"))[0] == 0
        for number in (0, len(found) // 2, len(found) - 1):
            client.close()
            there = contents_after(place, f"r{number}", "--to", str(found[number]))
            assert there[b"k"][1] == str(number).encode(), number


def test_log_is_kept_for_the_next_back_up_up_to_a_limit():
    with Places(regions=1) as place:
        def write(megabytes):
            for number in range(megabytes):
                place.world.client(0).set(f"big:{number % 10}", os.urandom(1 << 20))

        def oldest():
            return int(os.path.basename(place.world.segments(0)[0])[:16], 16)

        place.back_up()
        write(150)
        wait_until(lambda: len(place.world.segments(0)) >= 3)
        place.world.client(0).save()
        time.sleep(2)
        assert oldest() == 0, "the back-up wants it"
        assert " keys in " not in place.back_up("--keep", "10MB"), "only log was new"
        wait_until(lambda: (place.world.client(0).set("k", 1), place.world.client(0).save(), oldest() > 0)[-1])
        write(150)
        wait_until(lambda: (place.world.client(0).set("k", 1), place.world.client(0).save(), oldest() > 1 << 27)[-1])
        assert " keys in " in place.back_up(), "it was too much"


# --- what does not join ---

def test_another_history_is_not_joined_to_a_base():
    with Places(regions=1) as place:
        client = place.world.client(0)
        client.set("k", "old")
        place.world.kill(0, signal.SIGTERM)
        shutil.copytree(place.world.data_dir(0), place.path("copy"))
        place.world.start(0)
        place.world.client(0).set("k", "first history")
        place.back_up()
        place.world.kill(0, signal.SIGTERM)
        shutil.rmtree(place.world.data_dir(0))
        shutil.copytree(place.path("copy"), place.world.data_dir(0))
        place.world.start(0)
        for number in range(100):
            place.world.client(0).set(f"k:{number}", "second history")
        status, out, told = run("backup", "--data", place.world.data_dir(0), "--to", place.path("backup"))
        assert status == 0 and "base-0002" in out, (out, told)
        assert "a new base is taken" in told, told
        assert contents_after(place, "r")[b"k"][1] == b"old"


def test_back_ups_of_different_regions_are_kept_apart():
    with Places(regions=2) as place:
        place.back_up()
        told = bad("backup", "--data", place.world.data_dir(1), "--to", place.path("backup"))
        assert "name another directory" in told, told
        assert "there is no region" in bad("backup", "--data", place.dir, "--to", place.path("other"))


# --- damage ---

def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def test_damage_in_a_back_up_is_found():
    with Places(regions=1) as place:
        moments(place.world, 3, random.Random(SEED))
        place.world.client(0).save()
        place.back_up()
        moments(place.world, 3, random.Random(SEED))
        place.back_up()
        config = place.config("no", {"us-east": 9}, "other", [1])
        base = os.path.join(place.path("backup"), "base-0001")
        segment = sorted(name for name in os.listdir(base) if name.endswith(".log"))[-1]
        for name in ("base-0001/data.mdb", "base-0001/" + segment, "manifest.json"):
            path = os.path.join(place.path("backup"), name)
            kept = path + ".kept"
            shutil.copy(path, kept)
            flip(path, os.path.getsize(path) * 2 // 3 if name != "manifest.json" else 40)
            told = bad("restore", "--from", place.path("backup"), "--data", place.path("no"), "--config", config,
                       "--region", "us-east")
            assert os.path.basename(name) in told and "damaged" in told, told
            status, _, shown = run("inspect", place.path("backup"))
            assert status == 1 and os.path.basename(name) in shown, shown
            assert not os.path.exists(place.path("no")) and not os.path.exists(place.path("no.restoring"))
            os.replace(kept, path)
        assert contents_after(place, "r") == place.world.contents(0)


# --- numbers ---

def test_a_back_up_comes_back_under_numbers_that_it_has_never_seen():
    with Places(regions=3) as place:
        place.world.wait_linked()
        place.world.client(1).set("k", "v")
        wait_until(lambda: place.world.client(0).get("k") == "v")
        place.back_up()

        def refusal(name, regions, deployment, closed, region="us-east"):
            return bad("restore", "--from", place.path("backup"), "--data", place.path("no"), "--config",
                       place.config(name, regions, deployment, closed), "--region", region)

        told = refusal("a", {"us-east": 1}, "other", [])
        assert "number 1" in told and "free: 4 to 255" in told and "closed: 1 to 3" in told, told
        told = refusal("b", {"us-east": 7}, "other", [1])
        assert "list under closed" in told and told.rstrip().endswith("2 to 3"), told
        told = refusal("c", {"us-east": 7, "eu-de": 2}, "other", [1, 3])
        assert "region eu-de has number 2" in told and "free: 4 to 255" in told, told
        told = refusal("d", {"us-east": 1, "eu-de": 2, "jp-tok": 3}, "test", [])
        assert "give it an id" in told and "closed: 1\n" in told, told
        place.restore("same", place.config("e", {"us-east": 4, "eu-de": 2, "jp-tok": 3}, "test", [1]), "us-east")
        assert contents_after(place, "new", numbers=3)[b"k"][1] == b"v"


def test_a_region_that_lost_its_disk_comes_back_from_its_back_up_among_the_others():
    with Places(regions=3) as place:
        world = place.world
        world.wait_linked()
        for i in range(3):
            world.client(i).set(f"before:{i}", i)
        world.wait_equal()
        world.client(0).save()
        place.back_up()
        world.client(0).set("after", "the back-up")
        world.wait_equal()
        world.kill(0, signal.SIGKILL)
        shutil.rmtree(world.data_dir(0))
        with open(world.config, encoding="utf-8") as file:
            text = file.read()
        for number, name in zip((4, 2, 3), world.names):
            text = text.replace(f"- name: {name}", f"- name: {name}\n    id: {number}")
        with open(world.config, "w", encoding="utf-8") as file:
            file.write(text + "closed: [1]\n")
        place.restore("world/us-east", world.config, "us-east")
        for i in (1, 2):
            world.restart(i)
        world.start(0)
        world.wait_linked()
        world.client(0).set("again", "writable")
        found = world.wait_equal()
        assert found[b"after"][1] == b"the back-up" and found[b"again"][1] == b"writable"


FENCED = """
fences:
  gdpr: [eu-de, jp-tok]
keyspaces:
  - { prefix: "eu:", fence: gdpr }
"""


def test_a_member_of_a_fence_comes_back_by_its_number_alone():
    """What a region wrote to a fence goes with its number: nobody has to list more than that."""
    with Places(regions=3, extra=CHECKPOINTS + FENCED) as place:
        world = place.world
        world.wait_linked()
        for i in (1, 2):
            world.client(i).set(f"eu:{i}", i)
            world.client(i).set(f"all:{i}", i)
        wait_until(lambda: world.contents(1) == world.contents(2) and len(world.contents(1)) == 4)
        world.client(1).save()
        place.back_up(region=1)
        world.kill(1)
        shutil.rmtree(world.data_dir(1))

        def refusal(*numbers, deployment="test", closed=()):
            config = place.config("no", dict(zip(world.names, numbers)), deployment, closed, FENCED)
            return bad("restore", "--from", place.path("backup"), "--data", place.path("no"), "--config", config,
                       "--region", "eu-de")

        told = refusal(1, 2, 3)
        assert "free: 4 to 15)" in told and told.endswith("closed: 2\n"), told
        told = refusal(1, 4, 3)
        assert told.endswith("closed: 2\n") or told.endswith("every region: 2\n"), told
        told = refusal(5, 6, 7, deployment="other")
        assert told.rstrip().endswith(": 1 to 3"), told
        told = refusal(1, 17, 3, closed=[2])
        assert "at most 15" in told, told

        with open(world.config, encoding="utf-8") as file:
            text = file.read()
        for number, name in zip((1, 4, 3), world.names):
            text = text.replace(f"- name: {name}", f"- name: {name}\n    id: {number}")
        with open(world.config, "w", encoding="utf-8") as file:
            file.write(text + "closed: [2]\n")
        place.restore("world/eu-de", world.config, "eu-de")
        for i in (0, 2):
            world.restart(i)
        world.start(1)
        world.wait_linked()
        world.client(1).set("eu:again", "writable")
        wait_until(lambda: world.client(2).get("eu:again") == "writable" and world.contents(1) == world.contents(2))
        assert sorted(world.contents(1)) == [b"all:1", b"all:2", b"eu:1", b"eu:2", b"eu:again"]
        wait_until(lambda: sorted(world.contents(0)) == [b"all:1", b"all:2"])
        assert {(c["number"], c.get("fence")) for c in world.status(2)["closed"]} == {(2, None), (2, "gdpr")}
        assert not any("ev=origin.unknown" in world.log(i) for i in range(3))

        config = place.config("new", dict(zip(world.names, (5, 6, 7))), "other", [1, 2, 3], FENCED)
        place.restore("new", config, "eu-de")


def filled(world, i, wanted):
    try:
        return world.contents(i) == wanted
    except redis.RedisError:            # LOADING, while it is being filled
        return False


def test_a_new_deployment_grows_from_a_back_up():
    with Places(regions=2) as place:
        place.world.wait_linked()
        for i in range(2):
            place.world.client(i).set(f"from:{i}", "old")
        wanted = place.world.wait_equal()
        place.world.client(0).save()
        place.back_up()
        config = place.config("new", {"us-east": 7, "eu-de": 8, "jp-tok": 9}, "copy", [1, 2])
        place.restore("a", config, "us-east")
        with Restored(place, config, ["a", "b", "c"]) as world:
            wait_until(lambda: all(filled(world, i, wanted) for i in range(3)), 60, "the others were not filled")
            world.wait_linked(60)
            world.client(2).set("new", "write")
            assert world.wait_equal()[b"new"][1] == b"write"


def health(world, i):
    """A region that is filled opens everything anew: then nobody answers for a moment."""
    try:
        return world.get(i, "/health")
    except OSError:
        return 0, ""


APART = """
fences:
  gdpr: [eu-de, br-sao]
  us: [us-east, jp-tok]
keyspaces:
  - { prefix: "eu:", fence: gdpr }
  - { prefix: "us:", fence: us }
"""


def test_a_new_deployment_with_disjoint_fences_grows_from_one_back_up():
    """Nobody has anything of a fence that the back-up is without: its members may be filled by who is no member."""
    with Places(regions=4, extra=CHECKPOINTS + APART) as place:
        world = place.world
        world.wait_linked()
        for i in range(4):
            for k in range(50):
                world.client(i).set(f"all:{i}:{k}", k)
        world.client(0).set("us:1", 1)
        world.client(1).set("eu:1", 1)
        wait_until(lambda: all(len(world.contents(i)) == 201 for i in range(4)))
        world.client(0).execute_command("CHECKPOINT", "SCRUB")
        place.back_up()
        config = place.config("new", dict(zip(world.names, (5, 6, 7, 8))), "other", [1, 2, 3, 4], APART)
        told = place.restore("r0", config, "us-east")
        assert "us-east is no member of fence gdpr" in told and "start all of eu-de, br-sao" in told, told
        world.stop()
        with Restored(place, config, ["r0"]) as new:
            new.directories += [place.path(f"r{i}") for i in (1, 2, 3)]
            for i in (1, 2):
                new.start_quietly(i)
            wanted = new.contents(0)
            assert len(wanted) == 201
            wait_until(lambda: filled(new, 2, wanted), 60, "jp-tok was not filled")

            # while one member is not there, which may hold something of the fence, the other does not serve
            for again in (False, True):
                if again:
                    new.kill(1)
                    new.start_quietly(1)
                wait_until(lambda: "it waits: " in health(new, 1)[1], 60, "it does not say why it waits")
                status, page = health(new, 1)
                assert status == 503 and "has to be filled from another" in page, (status, page)
                try:
                    assert not new.client(1).get("all:0:1"), "it serves"
                    raise AssertionError("it serves as if it held nothing")
                except redis.RedisError as problem:
                    assert "has to be filled" in str(problem), problem

            new.start_quietly(3)
            del wanted[b"us:1"]
            for i in (1, 3):
                wait_until(lambda i=i: health(new, i)[0] == 200, 60, "it does not serve")
                assert new.contents(i) == wanted, (i, len(new.contents(i)))
            new.client(1).set("eu:2", 2)
            new.client(1).set("all:new", 2)
            wait_until(lambda: all(new.client(i).get("all:new") == "2" for i in range(4)))
            assert new.client(3).get("eu:2") == "2"
            for i in range(4):      # nobody holds log for a bootstrap that is done
                new.client(i).execute_command("CHECKPOINT", "SCRUB")


def test_a_back_up_of_a_stopped_region_claims_no_moment_after_its_last_write():
    for checkpoint in (False, True):
        with Places(regions=1, extra="") as place:
            place.world.client(0).set("k", "v")
            if checkpoint:
                place.world.client(0).save()
            place.world.kill(0)
            time.sleep(1.5)
            stopped_ms = time.time() * 1000 - 1200
            for _ in range(2):
                place.back_up()
                lines = [json.loads(line) for line in good("inspect", place.path("backup"), "--json").splitlines()]
                with open(os.path.join(place.path("backup"), "manifest.json"), encoding="utf-8") as file:
                    manifest = json.load(file)
                assert lines and manifest["bases"][-1]["until_ms"] < stopped_ms, manifest
            before_ms = time.time() * 1000
            place.world.start(0)
            place.back_up()
            with open(os.path.join(place.path("backup"), "manifest.json"), encoding="utf-8") as file:
                assert json.load(file)["bases"][-1]["until_ms"] >= before_ms - 1


# --- looking ---

def test_inspect_shows_what_is_there():
    with Places(regions=1) as place:
        client = place.world.client(0)
        client.hset("a hash", mapping={"f": "1", "g": "2"})
        client.set(b"bin\xff", "x")
        client.set("big", "x" * 3000000)
        client.expire("a hash", 1000)
        place.world.client(0).save()
        client.rpush("list", *range(10))
        lines = [json.loads(line) for line in
                 good("inspect", place.world.data_dir(0), "--json", "--keys").splitlines()]
        kinds = {line["what"] for line in lines}
        assert {"identity", "region", "checkpoint", "database", "key", "checked", "segment", "record", "op",
                "end"} <= kinds, kinds
        keys = {line.get("name", line.get("name_hex")): line for line in lines if line["what"] == "key"}
        assert keys["a hash"]["type"] == "hash" and keys["a hash"]["deadline"] is True
        assert keys["62696eff"]["type"] == "string" and keys["big"]["bytes"] > 3000000
        ops = [line for line in lines if line["what"] == "op"]
        assert any(op["key"] == "list" and op["kind"] == "put" and op["component"] == "list" for op in ops if "key" in op)
        text = good("inspect", place.world.segments(0)[-1])
        assert "op stamp=0x" in text and 'key="list"' in text
        start = next(line["lsn"] for line in reversed(lines) if line["what"] == "record")
        tail = good("inspect", place.world.data_dir(0), "--from", str(start))
        assert tail.count("\nrecord ") == 1, tail
        assert "No such file" in bad("inspect", place.path("nothing"))
        assert "there is no region" in bad("inspect", os.path.dirname(place.world.data_dir(0)))
        os.mkdir(place.path("empty"))
        assert "there is no region" in bad("inspect", place.path("empty"))
        assert "with its directory" in bad("inspect", os.path.join(place.world.data_dir(0), "checkpoint", "data.mdb"))
        assert "with its data directory" in bad("inspect", os.path.join(place.world.data_dir(0), "identity"))
        place.back_up()
        assert "with its back-up" in bad("inspect", os.path.join(place.path("backup"), "manifest.json"))
        assert run("inspect")[0] == 2


if __name__ == "__main__":
    support.main(globals())
