#!/usr/bin/env python3
"""Data directories that were restored from an old copy, cloned, or opened twice: who finds out, what they say, and how
a region comes back under another number without losing anything."""
import os
import re
import shutil
import subprocess

import redis

import support


def write_config(world, ids, closed=()):
    """The world's configuration with these numbers."""
    with open(world.config, encoding="utf-8") as file:
        text = re.sub(r"\n    id: \d+|\nclosed: .*", "", file.read())
    for name, number in zip(world.names, ids):
        text = text.replace(f"  - name: {name}\n", f"  - name: {name}\n    id: {number}\n")
    with open(world.config, "w", encoding="utf-8") as file:
        file.write(text.rstrip() + (f"\nclosed: {list(closed)}" if closed else "") + "\n")


def copy_directory(source, target):
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def fill(client, prefix, count=100):
    with client.pipeline(transaction=False) as pipeline:
        for i in range(count):
            pipeline.set(f"{prefix}:{i}", i).incr("counter").sadd("members", f"{prefix}{i}")
        pipeline.execute()


def refuses_writes(client):
    try:
        client.set("refused", "x")
    except redis.ResponseError as error:
        return str(error).startswith("AMNESIA ")
    return False


def last_line(world, i, event):
    lines = [line for line in world.log(i).splitlines() if f"ev={event} " in line]
    return lines[-1] if lines else ""


def start_and_fail(world, i):
    """Starts a region that must not come up; its one line."""
    done = subprocess.run(world.command(i), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 1, done
    lines = [line for line in done.stderr.splitlines() if "level=info" not in line]
    assert len(lines) == 1, done.stderr
    return lines[0]


def restored_world():
    """Three regions; the first runs on a directory that was restored from an old copy, and has found it out."""
    world = support.World(regions=3, fsync="always")
    copy = os.path.join(world.dir, "copy")
    fill(world.client(0), "before")
    world.wait_equal()
    world.restart(0)
    world.kill(0)
    copy_directory(world.data_dir(0), copy)
    for _ in range(3):      # runs that the copy knows nothing of
        world.restart(0)
    fill(world.client(0), "lost")
    fill(world.client(1), "other")
    world.wait_linked()
    world.wait_equal()
    world.kill(0)
    copy_directory(copy, world.data_dir(0))
    world.start(0)
    support.wait_until(lambda: refuses_writes(world.client(0)), 30, "writes were not refused")
    return world


def test_a_restored_region_refuses_writes_and_comes_back_under_another_number():
    with restored_world() as world:
        assert world.client(0).get("before:7") == "7"
        line = support.wait_until(lambda: last_line(world, 0, "amnesia"), 20, "it is not told")
        assert "new id" in line and "list 1 under closed" in line, line
        assert world.get(0, "/health")[0] == 503
        world.restart(0)                                        # it is remembered
        assert refuses_writes(world.client(0))
        fill(world.client(2), "meanwhile")

        for i in range(3):
            world.kill(i)
        write_config(world, [4, 2, 3])
        line = start_and_fail(world, 0)
        assert "give it id 1, or, if it gave that number up, list 1 under closed" in line, line
        write_config(world, [4, 2, 3], closed=[1])
        for i in range(3):
            world.spawn(i)
        for i in range(3):
            world.wait_ready(i)
        support.wait_until(lambda: not refuses_writes(world.client(0)), 30, "writes are still refused")
        fill(world.client(0), "anew")
        world.wait_linked()
        heads = lambda i: {c["number"]: c["last_op"] for c in world.status(i)["closed"]}
        support.wait_until(lambda: heads(0) == heads(1) == heads(2) and heads(0)[1] != "0")
        found = world.wait_equal()
        for prefix in ("before", "lost", "other", "meanwhile", "anew"):
            assert found[f"{prefix}:7".encode()][1] == b"7", prefix
        assert found[b"counter"][1] == b"500"
        assert len(found[b"members"][1]) == 500

        for i in range(3):
            world.kill(i)
        write_config(world, [1, 2, 3])
        assert "has number 1 in the configuration, but this directory was written with 4" in start_and_fail(world, 0)
        write_config(world, [4, 2, 3], closed=[1])
        for i in range(3):
            world.spawn(i)
        for i in range(3):
            world.wait_ready(i)


def test_a_clone_is_refused_and_refuses_writes():
    with support.World(regions=2, fsync="always") as world:
        fill(world.client(0), "before")
        world.wait_equal()
        world.kill(0)
        clone = os.path.join(world.dir, "clone")
        copy_directory(world.data_dir(0), clone)
        world.start(0)
        world.wait_linked()
        ports = support.free_ports(3)
        config = os.path.join(world.dir, "clone.yaml")
        with open(world.config, encoding="utf-8") as file:
            text = file.read()
        for had, has in zip((world.client_ports[0], world.peer_ports[0], world.http_ports[0]), ports):
            text = text.replace(f":{had}\n", f":{has}\n")
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        log = os.path.join(world.dir, "clone.log")
        with open(log, "wb") as out:
            process = subprocess.Popen([world.binary, "serve", "--config", config, "--region", world.names[0], "--data",
                                        clone], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            def clone_log():
                with open(log, encoding="utf-8") as file:
                    return file.read()
            support.wait_until(lambda: "ready " in clone_log(), 30)
            client = redis.Redis(host="127.0.0.1", port=ports[0], decode_responses=True)
            support.wait_until(lambda: refuses_writes(client), 30, "the clone takes writes")
            support.wait_until(lambda: "ev=amnesia" in clone_log() and "cloned" in clone_log(), 30, "it is not told")
            support.wait_until(lambda: "a clone of us-east" in world.log(1), 30)
        finally:
            process.terminate()
            assert process.wait(30) == 0
        world.client(0).set("still", "writes")
        world.wait_linked()
        assert world.wait_equal()[b"still"][1] == b"writes"


def test_a_directory_in_use_is_refused():
    with support.World(regions=1) as world:
        ports = support.free_ports(3)
        other = os.path.join(world.dir, "other.yaml")
        with open(world.config, encoding="utf-8") as file:
            text = file.read()
        for had, has in zip((world.client_ports[0], world.peer_ports[0], world.http_ports[0]), ports):
            text = text.replace(f":{had}\n", f":{has}\n")
        with open(other, "w", encoding="utf-8") as file:
            file.write(text)
        status, _, said = support.run("serve", "--config", other, "--region", world.names[0], "--data",
                                      world.data_dir(0))
        assert status == 1 and f"in use by process {world.processes[0].pid}" in said, said
        assert world.client(0).set("still", "here")


if __name__ == "__main__":
    support.main(globals())
