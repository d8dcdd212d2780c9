#!/usr/bin/env python3
"""A region keeps its objects in a checkpoint: it starts from there, and says what is wrong with one."""
import os
import re

import support

KEYS = 2000


def fill(client):
    pipeline = client.pipeline(transaction=False)
    for number in range(KEYS):
        pipeline.set(f"key{number}", f"value{number}")
    pipeline.sadd("set", *range(1000))
    pipeline.hset("hash", mapping={f"field{number}": "x" * 100 for number in range(3000)})
    pipeline.set("long" * 500, "a key longer than the store's keys")
    pipeline.execute()


def check(client):
    assert client.dbsize() == KEYS + 3
    assert client.mget(f"key{number}" for number in range(KEYS)) == [f"value{number}" for number in range(KEYS)]
    assert client.scard("set") == 1000 and client.sismember("set", 17)
    assert client.hlen("hash") == 3000 and client.hget("hash", "field2999") == "x" * 100
    assert client.get("long" * 500) == "a key longer than the store's keys"


def replayed(world):
    """How many records the last start replayed."""
    return int(re.findall(r"ev=log\.recovered records=(\d+)", world.log(0))[-1])


def checkpoint_dir(world):
    return os.path.join(world.data_dir(0), "checkpoint")


def test_after_a_clean_stop_there_is_nothing_to_replay():
    with support.World(regions=1) as world:
        for _ in range(3):
            fill(world.client(0))
            world.restart(0)
            assert replayed(world) == 0, world.log(0)
            check(world.client(0))


def test_after_a_crash_only_what_followed_the_checkpoint_is_replayed():
    with support.World(regions=1, fsync="always") as world:
        client = world.client(0)
        fill(client)
        assert client.save()
        client.set("key0", "changed")
        client.delete("key1")
        client.set("new", "1")
        world.kill(0)
        world.start(0)
        assert 1 <= replayed(world) <= 5, world.log(0)
        client = world.client(0)
        assert client.mget("key0", "key1", "new", "key2") == ["changed", None, "1", "value2"]
        assert client.dbsize() == KEYS + 3


def test_a_checkpoint_that_is_none_is_refused_with_one_line():
    with support.World(regions=1) as world:
        fill(world.client(0))
        world.kill(0, support.signal.SIGTERM)
        path = os.path.join(checkpoint_dir(world), "data.mdb")
        with open(path, "r+b") as file:
            file.write(os.urandom(8192))
        world.spawn(0)
        assert world.processes[0].wait(support.READY_SECONDS) == 1
        world.processes[0] = None
        last = world.log(0).splitlines()[-1]
        assert world.data_dir(0) in last and "checkpoint/data.mdb: open: MDB_INVALID" in last, last


def test_what_stands_in_the_place_of_a_checkpoint_is_named():
    with support.World(regions=1, start=False) as world:
        os.makedirs(world.data_dir(0))
        with open(checkpoint_dir(world), "w", encoding="ascii"):
            pass
        world.spawn(0)
        assert world.processes[0].wait(support.READY_SECONDS) == 1
        world.processes[0] = None
        last = world.log(0).splitlines()[-1]
        assert "checkpoint/data.mdb: open: Not a directory" in last, last


if __name__ == "__main__":
    support.main(globals())
