#!/usr/bin/env python3
"""Concurrent values over three real regions: what CONFLICT tells, what readers see (lww, siblings, merge), and groups.

Conflicts are made by cutting all links, writing on all sides, and healing.
"""
import os
import re
import threading
import time

import redis

import support

KEYSPACES = """
keyspaces:
  - { prefix: 'sib:', conflict: siblings }
  - { prefix: 'cart:', conflict: merge, merge: merge/union.lua }
  - { prefix: 'bad:', conflict: merge, merge: faulty.lua }
  - { prefix: 'live:' }
"""
UNION = """
return function(versions, key, field)
    local values = {}
    for _, version in ipairs(versions) do values[#values + 1] = version.value end
    table.sort(values)
    return table.concat(values, "+")
end
"""
FAULTY = "return function(versions) error('no opinion') end\n"


def write(world, name, text):
    path = os.path.join(world.dir, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def open_world(**options):
    """Three regions with the keyspaces above."""
    world = support.World(extra=KEYSPACES, start=False, **options)
    write(world, "merge/union.lua", UNION)
    write(world, "faulty.lua", FAULTY)
    try:
        for i in range(3):
            world.spawn(i)
        for i in range(3):
            world.wait_ready(i)
        world.wait_linked()
    except BaseException:
        world.stop(check=False)
        raise
    return world


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def versions(client, *names):
    return [pairs(version) for version in client.execute_command("CONFLICT", "VERSIONS", *names)]


def everywhere(world, *command):
    """The answers of all regions, which must be one."""
    answers = [world.client(i).execute_command(*command) for i in range(3)]
    assert answers[0] == answers[1] == answers[2], (command, answers)
    return answers[0]


def apart(world, *commands):
    """Runs commands[i] (a command, or several) in region i, none of them seeing the others'; later ones have larger stamps."""
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        world.cut(a, b)
    for i, some in enumerate(commands):
        for command in some if isinstance(some[0], tuple) else [some]:
            world.client(i).execute_command(*command)
        time.sleep(0.02)
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        world.heal(a, b)
    world.wait_equal()


def metrics(world, i):
    """Every sample by its name and labels."""
    lines = world.get(i, "/metrics")[1].splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


def test_versions_are_the_same_on_all_sides_and_nothing_is_overruled_unseen():
    with open_world() as world:
        began = time.time()
        apart(world, ("SET", "k", "zero"), ("SET", "k", "one"), ("SET", "k", "two"))
        everywhere(world, "CONFLICT", "VERSIONS", "k")
        found = versions(world.client(0), "k")
        assert [v["value"] for v in found] == ["zero", "one", "two"], found
        assert [v["region"] for v in found] == world.names
        assert [v["visible"] for v in found] == [0, 0, 1]
        assert [v["stamp"] for v in found] == sorted(v["stamp"] for v in found)
        for version in found:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", version["time"])
            written = time.mktime(time.strptime(version["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
            assert abs(written - began) < 60, version
        assert everywhere(world, "GET", "k") == "two"

        listed = [pairs(entry) for entry in everywhere(world, "CONFLICT", "LIST", "k")]
        assert [(e["key"], e["types"], e["versions"], e["region"]) for e in listed] == \
            [("k", ["string"], 3, world.names[2])]
        for i in range(3):
            told = [pairs(entry) for entry in world.client(i).execute_command("CONFLICT", "LOG")]
            assert {e["key"] for e in told} == {"k"}
            kept = {pairs(side)["value"] for entry in told for side in entry["versions"]}
            assert kept == {"zero", "one", "two"}, kept
            assert 'ev=conflict keyspace="" db=0 key="k"' in world.log(i)
            figures = metrics(world, i)
            assert figures['meridian_conflicts_total{keyspace="",type="string"}'] == 2
            assert figures["meridian_contested_keys"] == 1
            status = world.status(i)
            assert status["contested_keys"] == 1
            assert {k["prefix"]: k["conflicts"] for k in status["keyspaces"]} == \
                {"": 2, "sib:": 0, "cart:": 0, "bad:": 0, "live:": 0}
            assert world.client(i).info("conflicts")["contested_keys"] == 1
            shown = support.run("status", "--http", f"127.0.0.1:{world.http_ports[i]}")[1]
            assert "\ncontested keys 1   conflicts 2 " in shown, shown

        world.restart(1)
        everywhere(world, "CONFLICT", "VERSIONS", "k")


def test_the_views():
    with open_world() as world:
        apart(world, [("SET", "sib:k", "a"), ("HSET", "sib:h", "f", "a"), ("SET", "cart:k", "pear"), ("HSET", "cart:h", "f", "x")],
              [("SET", "sib:k", "b"), ("HSET", "sib:h", "f", "b", "g", "one"), ("SET", "cart:k", "apple"),
               ("HSET", "cart:h", "f", "y")],
              [("SET", "sib:other", "c"), ("SET", "cart:k", "fig")])
        assert everywhere(world, "GET", "sib:k") == ["a", "b"]
        assert everywhere(world, "HMGET", "sib:h", "f", "g") == [["a", "b"], "one"]
        assert everywhere(world, "GET", "sib:other") == "c"
        assert everywhere(world, "GET", "cart:k") == "apple+fig+pear"
        assert everywhere(world, "HGET", "cart:h", "f") == "x+y"
        assert everywhere(world, "MGET", "sib:k", "cart:k") == [["a", "b"], "apple+fig+pear"]

        world.client(0).execute_command("CONFLICT", "RESOLVE", "sib:k", "c")
        world.client(1).execute_command("CONFLICT", "RESOLVE", "cart:h", "f", "z")
        world.wait_equal()
        assert everywhere(world, "GET", "sib:k") == "c"
        assert everywhere(world, "HGET", "cart:h", "f") == "z"
        assert len(everywhere(world, "CONFLICT", "VERSIONS", "sib:k")) == 1


def test_a_view_is_switched_while_the_region_runs():
    with open_world() as world:
        apart(world, ("SET", "live:k", "a"), ("SET", "live:k", "b"))
        client = world.client(0)
        assert client.get("live:k") == "b"
        client.execute_command("KEYSPACE", "SET", "live:", "conflict", "siblings")
        assert client.get("live:k") == ["a", "b"]
        client.execute_command("KEYSPACE", "SET", "live:", "conflict", "merge", "merge", "merge/union.lua")
        assert client.get("live:k") == "a+b"
        assert pairs(client.execute_command("KEYSPACE", "FOR", "live:k"))["merge"] == "merge/union.lua"
        support.wait_until(lambda: world.client(1).get("live:k") == "a+b", 20, "the other region did not follow")
        for name in ("../outside.lua", "/etc/passwd", "merge/../../x", "none.lua"):
            try:
                client.execute_command("KEYSPACE", "SET", "live:", "merge", name)
                raise AssertionError(name)
            except redis.ResponseError as error:
                assert name in str(error), error
                assert name != "none.lua" or f"{world.dir}/none.lua cannot be read: No such" in str(error), error
        assert client.get("live:k") == "a+b"
        world.restart(0)
        assert world.client(0).get("live:k") == "a+b"
        world.client(0).execute_command("KEYSPACE", "SET", "live:", "conflict", "default", "merge", "default")
        support.wait_until(lambda: world.client(1).get("live:k") == "b", 20, "the other region did not follow")


def test_two_types_under_one_key():
    with open_world() as world:
        apart(world, ("SET", "k", "v"), ("SADD", "k", "m"))
        everywhere(world, "CONFLICT", "VERSIONS", "k")
        found = versions(world.client(2), "k")
        assert [(v["type"], v["visible"]) for v in found] == [("string", 0), ("set", 1)], found
        assert found[0]["value"] == "v" and found[1]["elements"] == 1
        world.client(2).execute_command("CONFLICT", "RESOLVE", "k", "w")
        world.wait_equal()
        assert everywhere(world, "GET", "k") == "w"
        assert everywhere(world, "CONFLICT", "LIST") == []


def test_a_faulty_merge_function_only_costs_its_view():
    with open_world() as world:
        apart(world, ("SET", "bad:k", "a"), ("SET", "bad:k", "b"))
        for _ in range(3):
            assert everywhere(world, "GET", "bad:k") == "b"
        for i in range(3):
            assert metrics(world, i)['meridian_merge_failures_total{keyspace="bad:"}'] >= 3
            assert "ev=merge.failed" in world.log(i) and "no opinion" in world.log(i)
            assert [v["value"] for v in versions(world.client(i), "bad:k")] == ["a", "b"]


def test_a_function_that_does_not_compile_is_told_by_file_and_line():
    world = support.World(extra=KEYSPACES, start=False)
    try:
        write(world, "merge/union.lua", "return function(versions)\n    return +\nend\n")
        write(world, "faulty.lua", FAULTY)
        status, _, errors = support.run("check", world.config)
        assert status == 1
        assert re.fullmatch(re.escape(os.path.join(world.dir, "merge/union.lua")) + r":[23]: .*\n", errors), errors
        status, _, errors = support.run(*world.command(0)[1:])
        assert status == 1 and len(errors.splitlines()) == 1 and "union.lua:" in errors, errors
        os.remove(os.path.join(world.dir, "merge/union.lua"))
        status, _, errors = support.run("check", world.config)
        path = os.path.join(world.dir, "merge/union.lua")
        assert status == 1 and re.match(re.escape(world.config) + r":\d+: keyspaces\[\d\]\.merge: ", errors), errors
        assert f"{path} cannot be read: No such file" in errors, errors
        write(world, "merge/union.lua", UNION)
        assert support.run("check", world.config)[0] == 0
    finally:
        world.stop()


def test_a_group_is_seen_whole_or_not_at_all():
    """One region moves money between accounts; readers elsewhere, and in the region, must never find any missing."""
    accounts = [f"account:{i}" for i in range(5)]
    with open_world() as world:
        world.client(0).mset({account: 100 for account in accounts})
        world.wait_equal()
        stop = threading.Event()
        seen, wrong = [set(), set(), set()], []

        def read(i):
            client = world.client(i)
            while not stop.is_set():
                values = client.mget(accounts)
                seen[i].add(tuple(values))
                if sum(map(int, values)) != 500:
                    wrong.append((i, values))

        readers = [threading.Thread(target=read, args=(i,)) for i in range(3)]
        for reader in readers:
            reader.start()
        client = world.client(0)
        for turn in range(400):
            with client.pipeline(transaction=True) as group:
                for k, account in enumerate(accounts):
                    group.incrby(account, 4 * (turn + 1) if k == turn % 5 else -(turn + 1))
                group.execute()
            if turn == 200:
                world.cut(0, 1)
                world.heal(0, 1)
        world.wait_equal()
        stop.set()
        for reader in readers:
            reader.join()
        assert not wrong, wrong[:3]
        assert all(len(values) > 1 for values in seen), [len(values) for values in seen]


def test_groups_of_two_regions_win_or_lose_whole():
    with open_world() as world:
        for turn in range(5):
            x, y = f"x{turn}", f"y{turn}"
            clients = [world.client(0, single_connection_client=True), world.client(1, single_connection_client=True)]
            for a, b in [(0, 1), (0, 2), (1, 2)]:
                world.cut(a, b)
            for client, order, value in ((clients[turn % 2], (x, y), "one"), (clients[1 - turn % 2], (y, x), "two")):
                client.execute_command("MULTI")
                for key in order:
                    client.execute_command("SET", key, value)
                client.execute_command("EXEC")
                time.sleep(0.01)
            for a, b in [(0, 1), (0, 2), (1, 2)]:
                world.heal(a, b)
            world.wait_equal()
            assert everywhere(world, "MGET", x, y) == ["two", "two"]


def test_watch_sees_what_another_region_writes():
    with open_world() as world:
        watcher = world.client(0, single_connection_client=True)
        watcher.set("k", "old")
        world.wait_equal()
        watcher.execute_command("WATCH", "k", "l")
        world.client(1).set("other", "v")
        world.wait_equal()
        watcher.execute_command("MULTI")
        watcher.execute_command("SET", "k", "own")
        assert watcher.execute_command("EXEC") is not None
        for remote in (("SET", "k", "remote"), ("DEL", "k"), ("SADD", "l", "m"), ("FLUSHALL",)):
            watcher.execute_command("SET", "k", "own")
            world.wait_equal()
            watcher.execute_command("WATCH", "k", "l")
            world.client(1).execute_command(*remote)
            world.wait_equal()
            watcher.execute_command("MULTI")
            watcher.execute_command("SET", "k", "lost")
            assert watcher.execute_command("EXEC") is None, remote
            assert watcher.execute_command("GET", "k") != "lost"


def test_nothing_waits_inside_multi():
    with open_world() as world:
        client = world.client(0, single_connection_client=True)
        for command in (("MULTI",), ("SET", "k", "v"), ("WAIT", "2", "0"), ("BLPOP", "none", "0"), ("EXEC",)):
            answer = client.execute_command(*command)
        assert answer[0] in ("OK", True) and answer[2] is None and 0 <= answer[1] <= 2, answer


def test_what_is_queued_counts_into_the_query_buffer():
    with open_world() as world:
        world.client(0).config_set("client-query-buffer-limit", 1 << 20)
        client = world.client(0, single_connection_client=True)
        client.execute_command("MULTI")
        client.execute_command("GET", "x" * 600000)
        try:
            client.connection.send_command("GET", "x" * 600000)
            client.connection.read_response()
            raise AssertionError("1.2 MB are over the limit")
        except redis.ConnectionError:
            pass
        support.wait_until(lambda: "ev=client.killed" in world.log(0))


def test_a_group_that_was_answered_survives_a_kill_whole():
    with open_world(fsync="always") as world:
        client = world.client(0)
        for turn in range(20):
            with client.pipeline(transaction=True) as group:
                for i in range(10):
                    group.set(f"key{i}", turn)
                assert group.execute() == [True] * 10
        world.kill(0)
        world.start(0)
        assert world.client(0).mget([f"key{i}" for i in range(10)]) == ["19"] * 10


if __name__ == "__main__":
    support.main(globals())
