#!/usr/bin/env python3
"""Moving in and out: meridian import rdb and meridian export, with a real redis-server at the other end.

SEED=n repeats the data of a run. Files of Redis before 4.0, which no redis-server of today writes, are made here
byte by byte; src/wire/rdb_test.c has all their encodings.
"""
import contextlib
import os
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import redis

import support

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
REDIS = shutil.which("redis-server") or "/usr/bin/redis-server"
SECONDS = 120
DATABASES = 16
MB = 1 << 20


@contextlib.contextmanager
def redis_server(*options):
    """A client of a new, empty redis-server; its dump is at client.dump_path after client.save()."""
    directory = tempfile.mkdtemp(prefix="meridian-redis-")
    [port] = support.free_ports(1)
    with subprocess.Popen([REDIS, "--port", str(port), "--bind", "127.0.0.1", "--dir", directory, "--save", "",
                           "--appendonly", "no", *options], stdout=subprocess.DEVNULL) as process:
        try:
            client = redis.Redis(host="127.0.0.1", port=port, socket_timeout=60)
            support.wait_until(lambda: answers(client), what="redis-server did not start")
            client.port = port
            client.dump_path = os.path.join(directory, "dump.rdb")
            yield client
        finally:
            process.terminate()
            process.wait()
            shutil.rmtree(directory)


def answers(client):
    try:
        return client.ping()
    except redis.ConnectionError:
        return False


@contextlib.contextmanager
def file_of(data):
    with tempfile.NamedTemporaryFile(suffix=".rdb") as file:
        file.write(data)
        file.flush()
        yield file.name


def run_import(path, world, *options):
    """(exit status, standard output, standard error)"""
    to = ["--to", f"127.0.0.1:{world.client_ports[0]}"] if world else []
    return support.run("import", "rdb", path, *to, *options, timeout=SECONDS)


def bring_in(path, world, *options):
    status, output, errors = run_import(path, world, *options)
    assert status == 0 and not errors, (status, output, errors)
    return output


def commands_of(*arguments):
    """What a subcommand prints, as bytes."""
    done = subprocess.run([support.BINARY, *arguments], capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def export(port, *options):
    return commands_of("export", "--from", str(port), *options)


def pipe(commands, port):
    """Through redis-cli --pipe, without an error."""
    done = subprocess.run(["redis-cli", "-p", str(port), "--pipe"], input=commands, capture_output=True,
                          timeout=SECONDS, check=False)
    assert done.returncode == 0 and b"errors: 0" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]


# --- what there is ---

def read_stream(client, key):
    """Entries, and what a stream knows besides; how long ago something was delivered is left out."""
    facts = client.execute_command("XINFO", "STREAM", key)
    facts = facts if isinstance(facts, dict) else dict(zip(facts[::2], facts[1::2]))
    groups = {}
    for group in client.xinfo_groups(key):
        name = group["name"]
        pending = [(p["message_id"], p["consumer"], p["times_delivered"])
                   for p in client.xpending_range(key, name, "-", "+", 100000)]
        consumers = sorted(c["name"] for c in client.xinfo_consumers(key, name))
        groups[name] = (group["last-delivered-id"], group["entries-read"], consumers, pending)
    known = {str(name, "ascii") if isinstance(name, bytes) else name: value for name, value in facts.items()}
    return (client.execute_command("XRANGE", key, "-", "+"), known["last-generated-id"], known["entries-added"],
            known["max-deleted-entry-id"], groups)


def read_value(client, key, kind):
    readers = {
        b"string": lambda: client.get(key),
        b"list": lambda: client.lrange(key, 0, -1),
        b"set": lambda: client.smembers(key),
        b"hash": lambda: client.hgetall(key),
        b"zset": lambda: client.zrange(key, 0, -1, withscores=True),
        b"stream": lambda: read_stream(client, key),
    }
    return readers[kind]()


def contents(port):
    """Everything, by (database, key)."""
    found = {}
    for db in range(DATABASES):
        client = redis.Redis(host="127.0.0.1", port=port, db=db, socket_timeout=60)
        for key in client.scan_iter(count=1000):
            kind = client.type(key)
            found[db, key] = (kind, read_value(client, key, kind), client.execute_command("PEXPIRETIME", key))
        client.close()
    return found


def assert_same(a, b):
    different = [key for key in sorted(set(a) | set(b)) if a.get(key) != b.get(key)]
    assert not different, "\n".join(f"{key}: {str(a.get(key))[:500]} / {str(b.get(key))[:500]}"
                                    for key in different[:5]) + f"\nSEED={SEED}"


# --- data ---

def text(rng, longest=60):
    """Bytes, digits, or what compresses well."""
    kind = rng.randrange(6)
    if kind == 0:
        return b"%d" % rng.choice([0, -1, 12, 13, 127, 128, -128, -129, 4095, -4096, 4096, 32767, -32769, 1 << 23,
                                   -(1 << 23) - 1, 2147483647, -2147483649, (1 << 63) - 1, -(1 << 63), 1 << 63])
    if kind == 1:
        return b"%d" % rng.randrange(-1000, 100000)
    if kind == 2:
        return rng.choice([b"ab", b"xyz", b"\0"]) * rng.randrange(1, longest)
    return rng.randbytes(rng.randrange(longest))


def texts(rng, count, longest=60):
    return [text(rng, longest) for _ in range(count)]


def fill(client, rng, prefix, size):
    """Keys of every type with about so many elements."""
    with client.pipeline(transaction=False) as p:
        for n in range(20):
            p.set(prefix + f"string{n}", text(rng, 3000))
            p.rpush(prefix + f"list{n}", *texts(rng, size + n))
            p.sadd(prefix + f"set{n}", *texts(rng, size + n))
            p.sadd(prefix + f"numbers{n}", *[rng.randrange(-(1 << rng.choice([7, 15, 31, 63])), 1 << 15)
                                             for _ in range(size + n)])
            p.hset(prefix + f"hash{n}", mapping={text(rng): text(rng) for _ in range(size + n)})
            p.zadd(prefix + f"zset{n}", {text(rng): rng.choice([rng.random(), rng.randrange(-100, 100), 1e300,
                                                                float("inf"), float("-inf"), 0.1, 1e-7])
                                         for _ in range(size + n)})
        p.pfadd(prefix + "sparse", *range(100))
        p.pfadd(prefix + "dense", *range(20000))
        p.setrange(prefix + "zeros", 100000, "x")
        p.set(prefix + "\0\xff \r\n", "")
        p.rpush(prefix + "lengths", *["x" * (n - extra) for n in (127, 4095, 4096, 16383, 16384, 70000)
                                      for extra in range(0, 9)])
        p.execute()
    for n in range(0, 20, 3):
        client.pexpireat(prefix + f"list{n}", int(time.time() * 1000) + 3600_000 + n)
        client.pexpireat(prefix + f"string{n}", int(time.time() * 1000) + 3600_000 + n)


def fill_streams(client, rng, prefix):
    """With and without groups, and parts removed."""
    for n in range(6):
        key = prefix + f"stream{n}"
        for i in range(50 * n + 1):
            fields = {"a": text(rng), "b": text(rng)} if rng.randrange(3) else {text(rng) + b"f": text(rng), "c": i}
            client.xadd(key, fields, id=f"{1000 + i // 3}-{i}")
        client.xdel(key, *[f"{1000 + i // 3}-{i}" for i in range(0, 50 * n, 7)] or ["1-1"])
        if n % 2:
            client.xgroup_create(key, "readers", id="0")
            client.xgroup_create(key, "idle", id="1005-15")
            client.xgroup_createconsumer(key, "readers", "nobody")
            for consumer in ("one", "two", "one"):
                client.xreadgroup("readers", consumer, {key: ">"}, count=rng.randrange(1, 20))
            entries = client.xpending_range(key, "readers", "-", "+", 3)
            if entries:
                client.xack(key, "readers", entries[0]["message_id"])
    client.xadd(prefix + "emptied", {"a": 1}, id="5-5")
    client.xdel(prefix + "emptied", "5-5")
    client.xgroup_create(prefix + "emptied", "g", id="$")
    client.xgroup_create(prefix + "made", "g", id="$", mkstream=True)


def fill_all(client):
    """Compact and large forms of everything, in two databases."""
    rng = random.Random(SEED)
    fill(client, rng, "small:", 5)
    fill(client, rng, "large:", 700)
    for name, value in {"hash-max-listpack-entries": 0, "zset-max-listpack-entries": 0, "set-max-intset-entries": 0,
                        "list-max-listpack-size": 3, "stream-node-max-entries": 7}.items():
        client.config_set(name, value)
    fill(client, rng, "plain:", 5)
    fill_streams(client, rng, "narrow:")
    client.config_set("stream-node-max-entries", 100)
    client.config_set("list-max-listpack-size", -5)
    fill_streams(client, rng, "wide:")
    fill(client, rng, "long:", 40)
    other = redis.Redis(host="127.0.0.1", port=client.port, db=9)
    fill(other, rng, "other:", 3)
    other.close()


# --- in, out and back ---

def test_dump_of_redis_comes_in_whole():
    for compressed in ("yes", "no"):
        with redis_server("--rdbcompression", compressed) as server, support.World(regions=1) as world:
            fill_all(server)
            server.save()
            output = bring_in(server.dump_path, world)
            before = contents(server.port)
            assert output.startswith(f"imported {len(before)} keys (string "), output
            assert_same(before, contents(world.client_ports[0]))


def test_printed_commands_make_the_same_in_redis():
    with redis_server() as server, redis_server() as other:
        fill_all(server)
        server.save()
        pipe(commands_of("import", "rdb", server.dump_path, "--print"), other.port)
        assert_same(contents(server.port), contents(other.port))
        pipe(commands_of("import", "rdb", server.dump_path, "--print", "--replace"), other.port)
        assert_same(contents(server.port), contents(other.port))


def test_what_is_exported_is_the_same_in_redis_and_back():
    with redis_server() as server, support.World(regions=1) as world, support.World(regions=1) as again:
        port = world.client_ports[0]
        client = world.client(0, decode_responses=False)
        fill(client, random.Random(SEED), "k:", 700)
        fill_streams(client, random.Random(SEED), "s:")
        fill(world.client(0, db=5), random.Random(SEED), "o:", 3)
        with world.client(0).pipeline(transaction=False) as p:
            for n in range(2500):
                p.set(f"many{n}", n)
            p.execute()
        commands = export(port)
        pipe(commands, server.port)
        before = contents(port)
        assert len(before) > 2500
        assert_same(before, contents(server.port))
        pipe(commands, server.port)             # once more changes nothing
        assert_same(before, contents(server.port))
        server.save()
        bring_in(server.dump_path, again)
        assert_same(before, contents(again.client_ports[0]))
        assert again.client(0).pfcount("k:dense") == world.client(0).pfcount("k:dense")
        assert again.client(0).pfadd("k:dense", "more") is not None


def test_redis_is_exported_into_a_region():
    with redis_server() as server, support.World(regions=1) as world:
        fill_all(server)
        pipe(export(server.port), world.client_ports[0])
        assert_same(contents(server.port), contents(world.client_ports[0]))


def test_export_of_some_keys():
    with redis_server() as server, support.World(regions=1) as world:
        for db in (0, 3):
            world.client(0, db=db).mset({"a1": 1, "a2": 2, "b1": db})
        assert export(world.client_ports[0], "--match", "b*") == (
            b"*3\r\n$3\r\nSET\r\n$2\r\nb1\r\n$1\r\n0\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
            b"*3\r\n$3\r\nSET\r\n$2\r\nb1\r\n$1\r\n3\r\n")
        pipe(export(world.client_ports[0], "--db", "3", "--match", "a*"), server.port)
        assert contents(server.port) == {(3, b"a1"): (b"string", b"1", -1), (3, b"a2"): (b"string", b"2", -1)}


def test_newest_of_concurrent_values_is_exported():
    with support.World(regions=2, extra="keyspaces:\n  - { prefix: 'sib:', conflict: siblings }") as world, \
            redis_server() as server:
        world.wait_linked()
        world.cut(0, 1)
        for i, value in enumerate(["old", "new"]):
            world.client(i).set("sib:k", value)
            world.client(i).hset("sib:h", "f", value)
            time.sleep(0.05)
        world.heal(0, 1)
        support.wait_until(lambda: world.client(0).get("sib:k") == ["old", "new"])
        pipe(export(world.client_ports[0]), server.port)
        assert server.get("sib:k") == b"new" and server.hgetall("sib:h") == {b"f": b"new"}


# --- large keys ---

def test_large_keys_come_in_pieces():
    with redis_server() as server, support.World(regions=1) as world:
        for start in range(0, 90_000, 30_000):
            server.rpush("list", *[b"element %d" % n for n in range(start, start + 30_000)])
            server.hset("hash", mapping={f"f{n}": n for n in range(start, start + 30_000)})
        server.set("string", b"x" * (20 * MB))
        server.expire("list", 1000)
        server.save()
        longest = max(len(line) for line in
                      commands_of("import", "rdb", server.dump_path, "--print").split(b"*") if b"RPUSH" in line)
        assert longest < MB
        bring_in(server.dump_path, world)
        before = contents(server.port)
        assert_same(before, contents(world.client_ports[0]))
        status, output, _ = run_import(server.dump_path, world)
        assert status == 1 and "imported 0 keys from" in output and "3 there already" in output, output
        assert_same(before, contents(world.client_ports[0]))
        bring_in(server.dump_path, world, "--replace")
        assert_same(before, contents(world.client_ports[0]))
        pipe(export(world.client_ports[0]), server.port)
        assert_same(before, contents(server.port))


def test_value_that_no_region_takes_is_named_and_the_rest_comes_in():
    with redis_server() as server, support.World(regions=1) as world:
        server.set("before", 1)
        server.setrange("huge", 65 * MB, "x")
        server.rpush("list", "a", "b", b"\0" * (65 * MB), "c")
        server.set("after", 2)
        server.save()
        status, output, errors = run_import(server.dump_path, world)
        assert status == 1 and "2 refused" in output and "string 2)" in output, output
        assert errors.count("has a value above 64 MB") == 2 and '"huge"' in errors, errors
        assert sorted(world.client(0).keys()) == ["after", "before"]


# --- keys that are there ---

def test_keys_that_are_there_are_left_kept_or_replaced():
    with redis_server() as server, support.World(regions=1) as world:
        server.rpush("l", 1, 2)
        server.set("s", "new")
        server.set("other", "new")
        server.save()
        client = world.client(0)
        client.rpush("l", "mine")
        client.hset("s", "f", "mine")
        status, output, errors = run_import(server.dump_path, world)
        assert status == 1 and "imported 1 keys (string 1)" in output and "2 there already" in output, output
        assert 'key "l": is there already' in errors and 'key "s": is there already' in errors, errors
        assert client.lrange("l", 0, -1) == ["mine"] and client.hget("s", "f") == "mine"
        assert client.get("other") == "new"
        client.delete("other")
        assert "2 there already" in bring_in(server.dump_path, world, "--keep")
        assert client.lrange("l", 0, -1) == ["mine"] and client.get("other") == "new"
        bring_in(server.dump_path, world, "--replace")
        assert client.lrange("l", 0, -1) == ["1", "2"] and client.get("s") == "new"


def test_prefix_is_put_before_every_key():
    with redis_server() as server, support.World(regions=1) as world:
        server.set("k", "v", px=10 ** 7)
        server.rpush("l", 1)
        server.save()
        bring_in(server.dump_path, world, "--prefix", "old:")
        assert sorted(world.client(0).keys()) == ["old:k", "old:l"] and world.client(0).pttl("old:k") > 0


def test_keys_whose_time_is_over_stay_out():
    with redis_server("--enable-debug-command", "yes") as server, support.World(regions=1) as world:
        server.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        server.rpush("gone", *range(1000))
        server.set("stays", 1, px=10 ** 7)
        server.pexpire("gone", 50)
        server.save()
        time.sleep(0.1)
        assert "1 expired" in bring_in(server.dump_path, world)
        assert world.client(0).keys() == ["stays"]


# --- several writers ---

def test_streams_need_one_writer_or_new_ids():
    with redis_server() as server, support.World(regions=2) as world:
        world.wait_linked()
        for n in range(300):
            server.xadd("x", {"n": n}, id=f"5-{n + 1}")
        server.xgroup_create("x", "g", id="0")
        server.set("k", "v")
        server.save()
        status, output, errors = run_import(server.dump_path, world)
        assert status == 1 and "imported 1 keys (string 1)" in output and "1 refused" in output, output
        assert errors.count("\n") == 1 and 'key "x": ERR XADD with an explicit id needs a keyspace in which one' in errors
        assert not world.client(0).exists("x")
        output = bring_in(server.dump_path, world, "--keep", "--streams", "new-ids")
        assert "stream 1" in output and "1 consumer groups, left out" in output, output
        assert [fields["n"] for _, fields in world.client(0).xrange("x")] == [str(n) for n in range(300)]
        world.wait_equal()
        entries = world.client(0, decode_responses=False).xrange("x")
        server.flushall()
        pipe(export(world.client_ports[1]), server.port)
        assert server.xrange("x") == entries and server.get("k") == b"v"


def test_a_stream_without_entries_is_left_out_under_new_ids_and_counted():
    with redis_server() as server, support.World(regions=2) as world:
        world.wait_linked()
        server.xadd("emptied", {"f": "v"}, id="7-1")
        server.xdel("emptied", "7-1")
        server.xgroup_create("made", "g", mkstream=True)
        server.expire("made", 1000)
        server.xadd("full", {"f": "v"}, id="7-1")
        server.save()
        for option in "--keep", "--replace":
            output = bring_in(server.dump_path, world, "--streams", "new-ids", option)
            assert "1 keys (stream 1)" in output and "2 streams without entries, left out" in output, output
            assert "1 consumer groups, left out" in output, output
            assert world.client(0).keys() == ["full"] and world.client(0).xlen("full") == 1
            world.client(0).flushall()
        told = support.run("import", "rdb", server.dump_path, "--print", "--streams", "new-ids")[2]
        assert "printed 1 keys (stream 1)" in told and "2 streams without entries" in told, told


# --- what is in files ---

def old_file(version, body):
    return b"REDIS%04d" % version + body + b"\xff"


def test_files_of_redis_2():
    zipmap = b"\x02\x01f\x01\x00v\x02gg\x01\x02w..\xff"
    ziplist = struct.pack("<IIH", 16, 13, 2) + b"\x00\x01x\x03\xf6\xff"
    body = (b"\xfe\x00" + b"\xfd" + struct.pack("<I", int(time.time()) + 1000) + b"\x00\x01s\xc0\x05"
            + b"\x09\x01h" + bytes([len(zipmap)]) + zipmap
            + b"\x0a\x01l\x10" + ziplist + b"\x0d\x01g\x10" + ziplist + b"\x0c\x01z\x10" + ziplist
            + b"\x03\x01y\x02\x01a\x031.5\x01b\xfe" + b"\x01\x01m\x02\x01a\xc3\x05\x0a\x00x\xe0\x00\x00")
    with file_of(old_file(3, body)) as path, support.World(regions=1) as world:
        bring_in(path, world)
        client = world.client(0)
        assert client.get("s") == "5" and 0 < client.ttl("s") <= 1000
        assert client.hgetall("h") == {"f": "v", "gg": "w"} and client.hgetall("g") == {"x": "5"}
        assert client.lrange("l", 0, -1) == ["x", "5"] and client.lrange("m", 0, -1) == ["a", "x" * 10]
        assert client.zrange("z", 0, -1, withscores=True) == [("x", 5)]
        assert client.zrange("y", 0, -1, withscores=True) == [("a", 1.5), ("b", float("inf"))]


def test_functions_are_left_out_and_modules_named():
    with redis_server() as server, support.World(regions=1) as world:
        server.execute_command("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function() end)")
        server.set("k", "v")
        server.save()
        assert "1 libraries of functions" in bring_in(server.dump_path, world)
    module = b"\x07\x01j\x81" + struct.pack(">Q", 0x1AF5A0BBEF0BC005) + b"\x05\x02xy\x00"
    with file_of(old_file(4, module + b"\x00\x01n\x01v")) as path, support.World(regions=1) as world:
        status, output, errors = run_import(path, world)
        assert status == 1 and "1 of modules" in output and 'key "j": is of the module' in errors, (output, errors)
        assert world.client(0).keys() == ["n"]


def test_nothing_is_written_from_a_damaged_file():
    with redis_server() as server, support.World(regions=1) as world:
        server.mset({f"k{n}": os.urandom(1000) for n in range(1000)})
        server.save()
        with open(server.dump_path, "rb") as file:
            good = file.read()
        for where in (len(good) // 2, len(good) - 3):
            bad = bytearray(good)
            bad[where] ^= 1
            with file_of(bytes(bad)) as path:
                status, _, errors = run_import(path, world)
            assert status == 1 and ": at byte " in errors, errors
        with file_of(good[:len(good) // 2]) as path:
            status, _, errors = run_import(path, world)
            assert status == 1 and "the file ends too early" in errors, errors
        assert world.client(0).dbsize() == 0


def test_what_is_wrong_is_said():
    with support.World(regions=1) as world, file_of(b"hello, world") as path:
        assert "not a dump file of Redis" in run_import(path, world)[2]
        assert "No such file" in run_import("/nowhere/dump.rdb", world)[2]
        assert "is not a file" in run_import("/tmp", world)[2]
    with file_of(old_file(4, b"\xfe\x10\x00\x01k\x01v\xfe\x00\x00\x01l\x01v")) as path, support.World(regions=1) as world:
        status, _, errors = run_import(path, world)         # there is no database 16
        assert status == 1 and "DB index is out of range" in errors and world.client(0).dbsize() == 0, errors
    [port] = support.free_ports(1)
    with file_of(old_file(4, b"")) as path:
        status, _, errors = support.run("import", "rdb", path, "--to", str(port))
        assert status == 1 and "Connection refused; is a region running there?" in errors, errors
        for wrong in (["rdb"], ["aof", path], ["rdb", path, "--keep", "--replace"], ["rdb", path, "--print", "--keep"],
                      ["rdb", path, "--streams", "old"], ["rdb", path, "more"], ["rdb", path, "--to", "x"]):
            assert support.run("import", *wrong)[0] == 2, wrong
    status, _, errors = support.run("export", "--from", str(port))
    assert status == 1 and "Connection refused" in errors, errors
    assert support.run("export", "more")[0] == 2


def test_import_that_lost_its_region_says_how_far_it_came():
    with redis_server() as server, redis_server() as region:
        everything = {b"k%d" % n: b"v" * 1000 for n in range(6000)}
        server.mset(everything)
        server.save()
        region.config_set("maxmemory", "5mb")
        status, _, errors = support.run("import", "rdb", server.dump_path, "--to", str(region.port))
        assert status == 1 and "OOM" in errors and "keys were written (--keep goes on" in errors, errors
        region.config_set("maxmemory", "0")
        status, output, errors = support.run("import", "rdb", server.dump_path, "--to", str(region.port), "--keep")
        assert status == 0 and "there already" in output, errors
        assert region.mget(list(everything)) == list(everything.values())


def test_server_that_goes_away_is_an_error():
    for answer in (b"", b":0\r\n", b"hello\r\n"):
        with socket.create_server(("127.0.0.1", 0)) as listener, file_of(old_file(4, b"\x00\x01k\x01v")) as path:
            def serve(listener=listener, answer=answer):
                connection, _ = listener.accept()
                connection.recv(1)
                connection.sendall(answer)
                connection.close()
            server = threading.Thread(target=serve)
            server.start()
            status, _, errors = support.run("import", "rdb", path, "--to", str(listener.getsockname()[1]))
            server.join()
        assert status == 1 and errors.startswith("meridian import: 127.0.0.1:") and "0 keys were written" in errors, errors


def test_password_comes_from_the_environment():
    with redis_server() as server, support.World(regions=1) as world:
        server.set("k", "v")
        server.config_set("requirepass", "secret")
        status, _, errors = support.run("export", "--from", str(server.port))
        assert status == 1 and "NOAUTH" in errors, errors
        os.environ["REDISCLI_AUTH"] = "secret"
        try:
            commands = export(server.port)
        finally:
            del os.environ["REDISCLI_AUTH"]
        pipe(commands, world.client_ports[0])
        assert world.client(0).get("k") == "v"


if __name__ == "__main__":
    support.main(globals())
