#!/usr/bin/env python3
"""KEYSPACE SET: a change holds in every region, over restarts, and stands above the configuration until it is taken back."""
import os
import shutil
import signal

import redis

import support
from support import World, wait_until

KEYSPACES = """
fences:
  gdpr: [eu-de, jp-tok]
keyspaces:
  - { prefix: "cart:", acks: async }
  - { prefix: "eu:", fence: gdpr }
  - { prefix: "one:", mode: primary, writer: us-east }
"""


def keyspace(world, i, prefix):
    for found in world.client(i).execute_command("KEYSPACE", "LIST"):
        fields = {found[at]: found[at + 1] for at in range(0, len(found), 2)}
        if fields["prefix"] == prefix:
            return fields
    raise AssertionError(f"no keyspace {prefix!r}")


def beside_configuration(world, name):
    return os.path.join(os.path.dirname(world.data_dir(0)), name)


def refused(client, *command):
    try:
        answer = client.execute_command(*command)
    except redis.ResponseError as error:
        return str(error)
    raise AssertionError(f"{command} was answered {answer!r}")


def wait_for(world, prefix, field, value, regions=(0, 1, 2)):
    for i in regions:
        wait_until(lambda: keyspace(world, i, prefix)[field] == value, 20, f"{field} was not {value} in region {i}")


def test_a_change_holds_in_every_region_and_over_restarts():
    with World(regions=3, extra=KEYSPACES) as world:
        world.wait_linked()
        world.client(1).execute_command("KEYSPACE", "SET", "cart:", "acks", "quorum", "ack_timeout", "3s", "reads",
                                        "bounded:700", "max_lag", "2s", "then", "refuse")
        for field, value in (("acks", "quorum"), ("ack_timeout", "3000ms"), ("then", "refuse")):
            wait_for(world, "cart:", field, value)
        for i in range(3):
            wait_until(lambda: world.log(i).count("ev=keyspace.set") == 5, 20, "not all is told")
        world.kill(2, signal.SIGKILL)
        world.client(0).execute_command("KEYSPACE", "SET", "cart:", "acks", "default", "reads", "causal")
        world.start(2)
        wait_for(world, "cart:", "acks", "async")
        wait_for(world, "cart:", "reads", "causal")
        for i in range(3):
            world.restart(i)
            assert keyspace(world, i, "cart:")["reads"] == "causal" and keyspace(world, i, "cart:")["acks"] == "async"
            assert keyspace(world, i, "")["reads"] == "local"


def test_a_quorum_that_was_set_is_waited_for():
    with World(regions=3, extra=KEYSPACES) as world:
        world.wait_linked()
        world.client(0).execute_command("KEYSPACE", "SET", "cart:", "acks", "sync", "ack_timeout", "300ms")
        wait_for(world, "cart:", "acks", "sync")
        world.kill(2)
        told = refused(world.client(1), "SET", "cart:1", "x")
        assert told.startswith("NOACKS") and "jp-tok" in told.split("; not: ")[1], told


def test_a_change_stays_within_the_fence_and_follows_the_mode():
    with World(regions=3, extra=KEYSPACES) as world:
        world.wait_linked()
        assert refused(world.client(0), "KEYSPACE", "SET", "eu:", "acks", "sync").startswith("FENCED")
        world.client(1).execute_command("KEYSPACE", "SET", "eu:", "acks", "semi-sync")
        wait_for(world, "eu:", "acks", "semi-sync", (1, 2))
        world.client(2).execute_command("KEYSPACE", "SET", "one:", "elsewhere", "redirect")
        wait_for(world, "one:", "elsewhere", "redirect")
        assert refused(world.client(1), "SET", "one:1", "x").startswith("MOVED")
        assert keyspace(world, 0, "eu:")["acks"] == "async"


def test_a_merge_function_that_is_taken_back_is_gone_in_every_region():
    with World(regions=2, extra='keyspaces: [{ prefix: "cart:" }]') as world:
        world.wait_linked()
        for name in ("merge.lua", "123"):                # a number is kept as one
            shutil.copy(os.path.join(support.ROOT, "examples", "merge", "cart.lua"), beside_configuration(world, name))
            world.client(0).execute_command("KEYSPACE", "SET", "cart:", "conflict", "merge", "merge", name, "acks", "1")
            wait_for(world, "cart:", "merge", name, (0, 1))
            world.client(1).execute_command("KEYSPACE", "SET", "cart:", "conflict", "default", "merge", "default")
            wait_for(world, "cart:", "merge", "", (0, 1))
            assert "needs a function" in refused(world.client(0), "KEYSPACE", "SET", "cart:", "conflict", "merge")


def test_a_conflict_and_a_merge_function_that_two_regions_set_apart_end_alike_in_both():
    with World(regions=2, extra='keyspaces: [{ prefix: "cart:" }]') as world:
        world.wait_linked()
        shutil.copy(os.path.join(support.ROOT, "examples", "merge", "cart.lua"), beside_configuration(world, "cart.lua"))
        world.client(0).execute_command("KEYSPACE", "SET", "cart:", "merge", "cart.lua")
        wait_for(world, "cart:", "merge", "cart.lua", (0, 1))
        world.client(0).execute_command("LINK", "CUT", "us-east", "eu-de")
        world.client(0).execute_command("KEYSPACE", "SET", "cart:", "conflict", "merge")
        world.client(1).execute_command("KEYSPACE", "SET", "cart:", "merge", "default")
        world.client(0).execute_command("LINK", "HEAL", "us-east", "eu-de")
        for i in range(2):
            wait_until(lambda: "needs a function" in world.log(i), 30)
            wait_for(world, "cart:", "conflict", "lww", (i,))
            wait_for(world, "cart:", "merge", "", (i,))


def test_what_cannot_be_is_refused_and_changes_nothing():
    with World(regions=1, extra='keyspaces: [{ prefix: "cart:" }]') as world:
        client = world.client(0)
        before = client.execute_command("KEYSPACE", "LIST")
        for fields, told in ((("acks", "most"), "acks is one of"), (("ack_timeout", "0"), "ack_timeout: 0 is out of range"),
                             (("mode", "primary"), "cannot be changed"), (("colour", "red"), "no field"),
                             (("max_lag", "5ms"), "max_lag: 5ms is out of range"), (("acks", "1"), "no other region"),
                             (("ack_timeout", "2"), "has no unit"), (("acks", "quorum", "acks", "sync"), "given twice"),
                             (("conflict", "merge"), "needs a function"),
                             (("merge", "nowhere.lua"), "nowhere.lua"), (("acks", "sync", "reads"), "wrong number"),
                             (("acks", "sync", "then", "stop"), "then is one of")):
            assert told in refused(client, "KEYSPACE", "SET", "cart:", *fields), fields
        assert "no keyspace" in refused(client, "KEYSPACE", "SET", "nothing:", "acks", "sync")
        assert client.execute_command("KEYSPACE", "LIST") == before
        assert refused(client, "SELECT", 16).startswith("DB index is out of range")
        client.execute_command("KEYSPACE", "SET", "cart:", "acks", "sync")
        assert client.dbsize() == 0 and client.keys("*") == []
        client.flushall()
        assert keyspace(world, 0, "cart:")["acks"] == "sync"


if __name__ == "__main__":
    support.main(globals())
