#!/usr/bin/env python3
"""What was removed vanishes from a region's disk: CHECKPOINT SCRUB, and a search of every byte of its directory."""
import glob
import hashlib
import os
import random
import re
import signal
import threading
import time

import redis
import support
from shim.world import DiskWorld

MEMORY = "memory: { limit: 64MB }\n"
KEYS = 3000
FILLER = 20000


def marker(name, number):
    """60 bytes of which any 23 tell whose they are."""
    return (b"MARK" + hashlib.sha512(f"{name} {number}".encode()).digest()[:8]) * 5


def found(world, region, words):
    """In how many places of which files of the region's directory some of the words stand."""
    wanted, places = {word[4:12] for word in words}, {}
    for path in glob.glob(os.path.join(world.data_dir(region), "**"), recursive=True):
        if not os.path.isfile(path):
            continue
        with open(path, "rb") as file:
            content = file.read()
        count = sum(match.group(1) in wanted for match in re.finditer(b"MARK(.{8})", content, re.DOTALL))
        if count:
            places[os.path.basename(path)] = count
    return places


def raw(world, region):
    return world.client(region, decode_responses=False, socket_timeout=120)


def fill(client, names, count=KEYS):
    """Strings, hashes and lists; some in rows of their own."""
    pipeline = client.pipeline(transaction=False)
    for number in range(count):
        for name in names:
            word = marker(name, number)
            pipeline.set(f"{name}:{number}", word + b"x" * (number % 700))
            if number % 50 == 0:
                pipeline.hset(f"{name}:hash:{number}", mapping={b"f" + word[4:]: word, b"other": b"y" * 3000})
                pipeline.rpush(f"{name}:list:{number}", *[word + b"z" * 500 for _ in range(60)])
    pipeline.execute()


def remove(client, name, count=KEYS):
    pipeline = client.pipeline(transaction=False)
    for number in range(count):
        pipeline.delete(f"{name}:{number}")
        if number % 50 == 0:
            pipeline.delete(f"{name}:hash:{number}", f"{name}:list:{number}")
    pipeline.execute()


def whole(client, name, count=KEYS):
    for number in range(0, count, 7):
        word = marker(name, number)
        assert client.get(f"{name}:{number}") == word + b"x" * (number % 700), number
    for number in range(0, count, 50):
        assert client.hget(f"{name}:hash:{number}", b"f" + marker(name, number)[4:]) == marker(name, number)
        assert client.llen(f"{name}:list:{number}") == 60


def words(name, count=KEYS):
    return [marker(name, number) for number in range(count)]


def push_out(client):
    """So much else that what stands there has to leave memory."""
    pipeline = client.pipeline(transaction=False)
    for number in range(FILLER):
        pipeline.set(f"filler:{number}", b"f" * 1000)
    pipeline.execute()


def test_nothing_of_what_was_removed_is_in_any_file_after_a_scrub():
    with support.World(regions=1, extra=MEMORY) as world:
        client = raw(world, 0)
        fill(client, ["gone", "kept"])
        client.save()
        push_out(client)
        client.save()
        gone, kept = words("gone"), words("kept")
        assert len(found(world, 0, gone)) >= 2, "the search finds what is there: in the log, and in the checkpoint"
        remove(client, "gone")
        client.save()
        assert found(world, 0, gone), "a checkpoint alone leaves it"
        assert client.execute_command("CHECKPOINT", "SCRUB") == b"OK"
        assert found(world, 0, gone) == {}
        assert list(found(world, 0, kept)) == ["data.mdb"]
        whole(client, "kept")
        assert "ev=checkpoint.rewritten records=" in world.log(0)
        fill(client, ["again"], 500)
        client.save()
        world.restart(0)
        client = raw(world, 0)
        whole(client, "kept")
        whole(client, "again", 500)
        assert found(world, 0, gone) == {}
        assert sorted(os.listdir(os.path.join(world.data_dir(0), "checkpoint"))) == ["data.mdb", "lock.mdb"]


def test_clients_are_served_while_the_store_is_written_anew():
    with support.World(regions=1, extra=MEMORY) as world:
        client = raw(world, 0)
        fill(client, ["gone", "kept"])
        push_out(client)
        client.save()
        remove(client, "gone")
        failures, stop = [], threading.Event()

        def read_and_write():
            mine = raw(world, 0)
            number = 0
            while not stop.is_set():
                number = (number + 7) % KEYS
                try:
                    if mine.get(f"kept:{number}") != marker("kept", number) + b"x" * (number % 700):
                        failures.append(number)
                    mine.set(f"beside:{number}", number)
                except redis.RedisError as error:
                    failures.append(error)

        threads = [threading.Thread(target=read_and_write) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                client.execute_command("CHECKPOINT", "SCRUB")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures, failures[:3]
        assert found(world, 0, words("gone")) == {}
        world.kill(0)
        world.start(0)
        whole(raw(world, 0), "kept")


def test_three_regions_scrub_and_one_that_is_away_is_named():
    with support.World(regions=3, extra=MEMORY) as world:
        world.wait_linked()
        clients = [raw(world, region) for region in range(3)]
        for region in range(3):
            fill(clients[region], [f"gone{region}"], 300)
        fill(clients[0], ["kept"], 300)
        world.wait_equal()
        for client in clients:
            client.save()
        gone = [word for region in range(3) for word in words(f"gone{region}", 300)]
        world.kill(2)
        for region in range(3):
            remove(clients[0], f"gone{region}", 300)
        world.wait_equal()              # a scrub is of what the region has seen removed
        ended = []

        def scrub(region):
            raw(world, region).execute_command("CHECKPOINT", "SCRUB")
            ended.append(region)

        threads = [threading.Thread(target=scrub, args=(region,)) for region in (0, 1)]
        for thread in threads:
            thread.start()
        support.wait_until(lambda: "jp-tok does not have it yet" in
                           world.status(0)["checkpoint"]["scrub_waits_for"], 60, "status does not say who is away")
        assert ended == []
        assert "data.mdb" not in found(world, 0, gone), "the checkpoint waits for nobody"
        world.start(2)
        threads.append(threading.Thread(target=scrub, args=(2,)))
        world.wait_equal()
        threads[-1].start()
        for thread in threads:
            thread.join(120)
        assert sorted(ended) == [0, 1, 2]
        for region in range(3):
            assert found(world, region, gone) == {}, region
            whole(raw(world, region), "kept", 300)
        assert world.status(0)["checkpoint"]["scrub_waits_for"] == ""


def next_dir(world):
    """Where a rewrite writes the new file, until it takes the old one's place."""
    return os.path.join(world.data_dir(0), "checkpoint", "next")


def test_a_kill_at_any_moment_of_a_rewrite_leaves_all_data():
    with DiskWorld(regions=1, extra=MEMORY, fsync="always") as world:
        client = raw(world, 0)
        fill(client, ["gone", "kept"])
        push_out(client)
        client.save()
        remove(client, "gone")
        next_data = os.path.join(next_dir(world), "data.mdb")
        world.disk(0).fault("delay sync 1000 */checkpoint/next*")       # one for each 4 MB
        for size in (1, 1 << 20, 8 << 20, 16 << 20):
            client = raw(world, 0)
            thread = threading.Thread(target=ignore_loss, args=(client,))
            thread.start()
            support.wait_until(lambda size=size: file_bytes(next_data) >= size, 60, f"no rewrite came to {size} bytes")
            world.kill(0)
            thread.join()
            assert os.path.exists(next_data), f"the rewrite had ended when the kill came, after {size} bytes"
            world.start(0)
            assert not os.path.exists(next_dir(world))
            client = raw(world, 0)
            whole(client, "kept")
            assert not client.exists("gone:0", "gone:1", "gone:hash:0")
        world.disk(0).heal()
        client.execute_command("CHECKPOINT", "SCRUB")
        assert found(world, 0, words("gone")) == {}
        whole(client, "kept")


def ignore_loss(client):
    try:
        client.execute_command("CHECKPOINT", "SCRUB")
    except redis.RedisError:
        pass


def file_bytes(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def test_power_that_fails_during_a_rewrite_leaves_one_of_the_files():
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
    rng = random.Random(seed)
    print(f"SEED={seed}")
    with DiskWorld(regions=1, fsync="always", extra=MEMORY) as world:
        client = raw(world, 0)
        fill(client, ["gone", "kept"], 1000)
        client.save()
        remove(client, "gone", 1000)
        during = 0
        for turn in range(6):
            client = raw(world, 0)
            client.set("turn", turn)
            thread = threading.Thread(target=ignore_loss, args=(client,))
            # the first is sure to come during the rewrite; later ones about its end, too
            delay_ms = 1000 if turn == 0 else rng.choice([1, 20, 100])
            world.disk(0).fault(f"delay sync {delay_ms} */checkpoint*")
            ended = world.log(0).count("ev=checkpoint.rewritten")
            thread.start()
            support.wait_until(lambda ended=ended: os.path.exists(next_dir(world)) or
                               world.log(0).count("ev=checkpoint.rewritten") > ended, 60, "there is no rewrite")
            time.sleep(0 if turn == 0 else rng.uniform(0, delay_ms * 8 / 1000))
            world.kill(0)
            thread.join()
            during += os.path.exists(next_dir(world))
            told = world.disk(0).lose(rng.random())
            world.disk(0).heal()
            world.start(0)
            client = raw(world, 0)
            whole(client, "kept", 1000)
            assert client.get("turn") == str(turn).encode(), told
        assert during > 0, "no rewrite was under way when the power failed"
        client.execute_command("CHECKPOINT", "SCRUB")
        assert found(world, 0, words("gone", 1000)) == {}


def test_a_disk_without_room_for_both_files_is_told_of_and_tried_again():
    with DiskWorld(regions=1, extra=MEMORY) as world:
        client = raw(world, 0)
        fill(client, ["gone", "kept"], 1000)
        client.save()
        remove(client, "gone", 1000)
        world.disk(0).fault("full 0 */checkpoint/next/*")
        thread = threading.Thread(target=raw(world, 0).execute_command, args=("CHECKPOINT", "SCRUB"))
        thread.start()
        support.wait_until(lambda: "ev=checkpoint.not_rewritten" in world.log(0), 60, "nothing is told")
        assert "No space left on device" in world.status(0)["checkpoint"]["scrub_waits_for"]
        assert not os.path.exists(os.path.join(world.data_dir(0), "checkpoint", "next"))
        client.set("more", 1)
        client.save()
        world.disk(0).heal()
        thread.join(120)
        assert found(world, 0, words("gone", 1000)) == {}
        whole(client, "kept", 1000)


def test_an_exchange_that_fails_leaves_a_region_that_reads_and_says_so():
    for fault, pattern in (("rename 1", "*/data.mdb"), ("sync 1", "*/checkpoint")):
        with DiskWorld(regions=1, extra=MEMORY) as world:
            client = raw(world, 0)
            fill(client, ["kept"], 1000)
            client.save()
            thread = threading.Thread(target=ignore_loss, args=(raw(world, 0),))
            world.disk(0).fault(f"fail {fault} once EIO {pattern}")
            thread.start()
            support.wait_until(lambda: "ev=checkpoint.not_rewritten" in world.log(0), 60, f"{fault} {pattern}")
            client.set("more", 1)
            whole(client, "kept", 1000)
            world.disk(0).heal()
            world.kill(0)
            thread.join()
            world.start(0)
            client = raw(world, 0)
            whole(client, "kept", 1000)
            client.execute_command("CHECKPOINT", "SCRUB")
            assert sorted(os.listdir(os.path.join(world.data_dir(0), "checkpoint"))) == ["data.mdb", "lock.mdb"]


def test_a_stop_does_not_wait_for_a_rewrite():
    with DiskWorld(regions=1, extra=MEMORY) as world:
        client = raw(world, 0)
        fill(client, ["kept"])
        push_out(client)
        client.save()
        thread = threading.Thread(target=ignore_loss, args=(raw(world, 0),))
        data = os.path.join(world.data_dir(0), "checkpoint", "data.mdb")
        before = os.stat(data).st_ino
        world.disk(0).fault("delay sync 2000 */checkpoint/next*")       # of which there is one for each 4 MB
        thread.start()
        support.wait_until(lambda: os.path.exists(next_dir(world)), 60, "there is no rewrite")
        assert world.kill(0, signal.SIGTERM) == 0
        thread.join()
        # a rewrite that was waited for has put its file there, whether or not that is still told
        assert os.stat(data).st_ino == before, "the stop waited until all was written anew"
        assert "ev=checkpoint.rewritten" not in world.log(0)
        assert not os.path.exists(next_dir(world))
        world.disk(0).heal()
        world.start(0)
        whole(raw(world, 0), "kept")


def test_log_that_a_back_up_would_like_goes_all_the_same():
    with support.World(regions=1) as world:
        client = raw(world, 0)
        fill(client, ["gone"], 300)
        client.save()
        target = os.path.join(world.dir, "backup")
        status, _, text = support.run("backup", "--data", world.data_dir(0), "--to", target)
        assert status == 0, text
        remove(client, "gone", 300)
        client.execute_command("CHECKPOINT", "SCRUB")
        assert found(world, 0, words("gone", 300)) == {}
        status, _, text = support.run("backup", "--data", world.data_dir(0), "--to", target)
        assert status == 0, text


def test_it_is_refused_in_a_transaction():
    with support.World(regions=1) as world:
        client = world.client(0)
        pipeline = client.pipeline(transaction=True)
        pipeline.execute_command("CHECKPOINT", "SCRUB")
        try:
            pipeline.execute()
            raise AssertionError("it ran")
        except redis.ResponseError as error:
            assert "inside a transaction" in str(error), error


if __name__ == "__main__":
    support.main(globals())
