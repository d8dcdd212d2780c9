#!/usr/bin/env python3
"""ERASE: what was asked to be erased is found in no file of any region, and all of them say when they have finished."""
import glob
import os
import random
import signal

import support
from support import World, wait_until

RNG = random.Random(4)
SMALL_MEMORY = """
memory: { limit: 48MB, policy: noeviction }
checkpoint: { every: 5m, log: 256MB }
"""
FENCE = """
fences:
  gdpr: [eu-de, jp-tok]
keyspaces:
  - { prefix: "user:eu:", fence: gdpr }
"""


def marker():
    """Bytes that no compression hides."""
    return b"PERSONAL-" + bytes(RNG.randrange(256) for _ in range(48))


def files_with(world, i, secrets):
    """Names of files of the region's data directory that hold one of the secrets."""
    found = []
    for path in glob.glob(os.path.join(world.data_dir(i), "**"), recursive=True):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                content = file.read()
            if any(secret in content for secret in secrets):
                found.append(os.path.relpath(path, world.data_dir(i)))
    return found


def write_person(client, name, secret):
    """Keys of every type, in two databases."""
    client.set(f"{name}:name", secret)
    client.hset(f"{name}:address", mapping={"city": secret, b"street" + secret: "1"})
    client.rpush(f"{name}:visits", secret, "x")
    client.sadd(f"{name}:tags", secret)
    client.zadd(f"{name}:scores", {secret: 1})
    client.xadd(f"{name}:events", {"what": secret})
    client.setbit(f"{name}:bits", 7, 1)
    client.set(f"{name}:session", secret, ex=100000)
    client.execute_command("SELECT", 3)
    client.set(f"{name}:third", secret)
    client.execute_command("SELECT", 0)


def erasures(client):
    found = client.execute_command("ERASE", "STATUS")
    return [{e[i]: e[i + 1] for i in range(0, len(e), 2)} for e in found]


def states(client):
    return [{region[0]: region[1] for region in e["regions"]} for e in erasures(client)]


def is_finished(client):
    return all(e["state"] == "finished" for e in erasures(client))


def single(world, i, **options):
    return world.client(i, single_connection_client=True, **options)


def test_a_person_is_erased_from_every_copy_checkpoint_and_log():
    secrets = [marker() for _ in range(3)]
    with World(regions=3, extra=SMALL_MEMORY) as world:
        world.wait_linked()
        client = single(world, 0, decode_responses=False)
        for i in range(3):
            write_person(client, f"user:4{i}", secrets[i])
        world.wait_equal()
        for i in range(3):
            world.client(i).save()
        client.append("user:41:name", b"-more")          # and some of it in the log alone
        write_person(single(world, 1, decode_responses=False), "user:42", secrets[2])
        world.wait_equal()
        assert all(files_with(world, i, [secrets[1]]) for i in range(3))
        assert world.client(2).execute_command("ERASE", "user:41:") == "OK"
        assert world.client(2).execute_command("ERASE", "KEY", "user:42:name", "user:42:tags") == "OK"
        for i in range(3):
            wait_until(lambda: len(erasures(world.client(i))) == 3 and is_finished(world.client(i)), 60)
            assert files_with(world, i, [secrets[1]]) == []
            assert files_with(world, i, [secrets[0]]) and files_with(world, i, [secrets[2]])
        kept = world.wait_equal()
        assert kept[b"user:40:name"][1] == secrets[0] and b"user:42:address" in kept
        assert not any(key.startswith(b"user:41") for key in kept)
        assert b"user:42:name" not in kept and b"user:42:tags" not in kept
        world.client(0).set("user:41:name", "somebody new")
        wait_until(lambda: world.client(1).get("user:41:name") == "somebody new")
        for i in range(3):
            world.restart(i)
            assert files_with(world, i, [secrets[1]]) == []
            assert "user:41" not in world.log(i)
        assert world.wait_equal()[b"user:41:name"][1] == b"somebody new"


def test_keys_that_are_not_in_memory_are_erased_too():
    secret = marker()
    with World(regions=2, extra=SMALL_MEMORY) as world:
        world.wait_linked()
        client = world.client(0, decode_responses=False)
        for i in range(200):
            client.set(f"user:7:{i}", secret + bytes(RNG.randrange(256) for _ in range(1000)))
        pipe = client.pipeline(transaction=False)
        for i in range(60000):
            pipe.set(f"other:{i}", bytes(RNG.randrange(256) for _ in range(20)) * 40)
            if i % 500 == 499:
                pipe.execute()
        world.wait_equal(60)
        world.client(1).execute_command("ERASE", "PREFIX", "user:7:")
        for i in range(2):
            wait_until(lambda: erasures(world.client(i)) and is_finished(world.client(i)), 90)
            assert files_with(world, i, [secret]) == []
            assert world.client(i).dbsize() == 60000


def test_a_region_that_is_away_is_named_and_finishes_when_it_is_back():
    secret = marker()
    with World(regions=3) as world:
        world.wait_linked()
        write_person(single(world, 0, decode_responses=False), "user:9", secret)
        world.wait_equal()
        world.kill(2)
        world.client(2 - 1).execute_command("ERASE", "user:9:")
        wait_until(lambda: states(world.client(0)) ==
                   [{"us-east": "removed", "eu-de": "removed", "jp-tok": "waits"}], 60)
        assert world.client(0).get("user:9:name") is None
        assert erasures(world.client(0))[0]["state"] == "running"
        world.kill(0, signal.SIGKILL)                   # it goes on from where it stands
        world.start(0)
        world.start(2)
        for i in range(3):
            wait_until(lambda: erasures(world.client(i)) and is_finished(world.client(i)), 60)
            assert files_with(world, i, [secret]) == []


def test_what_was_written_elsewhere_meanwhile_is_erased_by_who_wrote_it():
    secret = marker()
    with World(regions=2) as world:
        world.wait_linked()
        world.client(0).execute_command("LINK", "CUT", "us-east", "eu-de")
        world.client(0).set("user:5:a", "one")
        world.client(1, decode_responses=False).set("user:5:b", secret)
        world.client(0).execute_command("ERASE", "user:5:")
        wait_until(lambda: states(world.client(0)) == [{"us-east": "removed", "eu-de": "waits"}], 60)
        assert world.client(1).exists("user:5:b")
        world.client(0).execute_command("LINK", "HEAL", "us-east", "eu-de")
        for i in range(2):
            wait_until(lambda: erasures(world.client(i)) and is_finished(world.client(i)), 60)
            assert files_with(world, i, [secret]) == []
        assert world.wait_equal() == {}


def test_an_erasure_stays_within_the_fence():
    secret = marker()
    with World(regions=3, extra=FENCE) as world:
        world.wait_linked()
        world.client(1, decode_responses=False).set("user:eu:1", secret)
        world.client(0).set("user:us:1", "far")
        try:
            world.client(0).execute_command("ERASE", "user:")
            raise AssertionError("a region outside erased within the fence")
        except support.redis.ResponseError as error:
            assert str(error).startswith("FENCED"), error
        world.client(2).execute_command("ERASE", "user:")
        for i in range(1, 3):
            wait_until(lambda: len(erasures(world.client(i))) == 2 and is_finished(world.client(i)), 60)
            assert files_with(world, i, [secret]) == []
        assert [e["keyspace"] for e in erasures(world.client(0))] == [""]
        assert sorted(len(e) for e in states(world.client(1))) == [2, 3]
        assert world.client(0).get("user:us:1") is None and world.client(1).get("user:eu:1") is None


def test_thousands_of_keys_are_erased_by_one_command():
    count = 4000
    with World(regions=2) as world:
        world.wait_linked()
        pipe = world.client(0).pipeline(transaction=False)
        for i in range(count):
            pipe.set(f"user:{i}", "x")
        pipe.execute()
        world.wait_equal(60)
        world.client(1).execute_command("ERASE", "KEY", *[f"user:{i}" for i in range(count)])
        for i in range(2):
            wait_until(lambda: len(erasures(world.client(i))) == count and is_finished(world.client(i)), 120)
            assert world.client(i).dbsize() == 0


def test_a_name_that_comes_back_is_erased_as_often_as_it_is_asked_for():
    with World(regions=2) as world:
        world.wait_linked()
        client = single(world, 0)
        for round in range(200):
            client.set("user:1", round)
            client.execute_command("ERASE", "KEY", "user:1")
        for i in range(2):
            wait_until(lambda: erasures(world.client(i)) and is_finished(world.client(i)), 60)
            assert world.client(i).get("user:1") is None
        assert world.client(0).execute_command("ERASE", "STATUS", "user:1")[0][-1] == ""


def test_what_is_no_erasure_is_refused():
    with World(regions=1) as world:
        client = world.client(0)
        for bad, words in ((["ERASE"], "wrong number of arguments"), (["ERASE", ""], "an empty prefix is everything"),
                           (["ERASE", "PREFIX", ""], "an empty prefix is everything"),
                           (["ERASE", "KEY"], "syntax error"), (["ERASE", "prefix"], "syntax error"),
                           (["ERASE", "PREFIX", "a", "b"], "syntax error"), (["ERASE", "a", "b"], "syntax error"),
                           (["ERASE", "STATUS", "a", "b"], "syntax error")):
            try:
                answer = client.execute_command(*bad)
            except support.redis.ResponseError as error:
                assert words in str(error), (bad, error)
            else:
                raise AssertionError(f"{bad} was answered {answer!r}")
        assert erasures(client) == []


if __name__ == "__main__":
    support.main(globals())
