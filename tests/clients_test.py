#!/usr/bin/env python3
"""Clients as they are packaged work against a region: redis-cli, redis-benchmark, redis-py, ioredis, hiredis."""
import os
import pty
import re
import select
import subprocess
import tempfile
import time

import support

CLIENTS = os.path.join(support.ROOT, "tests", "clients")
SECONDS = 60


def run(*command, stdin="", cwd=None):
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=cwd)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def cli(world, *words, stdin=""):
    return run("redis-cli", "-p", str(world.client_ports[0]), *words, stdin=stdin)


def one_region():
    return support.World(regions=1)


# --- redis-cli ---

def test_redis_cli_runs_commands():
    with one_region() as world:
        assert cli(world, "SET", "k", "v") == "OK\n"
        assert cli(world, "GET", "k") == "v\n"
        assert cli(world, "--no-raw", "INCR", "c") == "(integer) 1\n"
        assert cli(world, "-3", "--no-raw", "HGETALL", "none") == "(empty hash)\n"
        assert cli(world, "-n", "3", "DBSIZE") == "0\n"
        assert cli(world, stdin="HSET h f v g w\nHGETALL h\n") == "2\nf\nv\ng\nw\n"
        assert "redis_version:7.0" in cli(world, "INFO", "server")


def talk(command, lines, until):
    """Types lines at a program's terminal; what it shows up to the text `until`."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "dumb"
        os.environ["HOME"] = tempfile.gettempdir()      # no history of another user
        os.execvp(command[0], command)
    shown = b""
    try:
        for line in lines:
            os.write(terminal, line.encode() + b"\n")
        end = time.monotonic() + SECONDS
        while until.encode() not in shown:
            assert time.monotonic() < end, f"{command[0]} showed only {shown!r}"
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 65536)
    finally:
        os.close(terminal)
        os.kill(child, 9)
        os.waitpid(child, 0)
    return shown.decode(errors="replace")


def test_redis_cli_at_a_terminal_loads_the_command_docs():
    with one_region() as world:
        shown = talk(["redis-cli", "-p", str(world.client_ports[0])],
                     ["set k v", "help region", "get k", "echo the-end"], '"the-end"')
        assert '"v"' in shown and "commands about the regions" in shown, shown     # redis-cli itself knows no REGION


def test_redis_cli_pipe_takes_a_stream_of_commands():
    with one_region() as world:
        stream = "".join(f"*3\r\n$3\r\nSET\r\n$6\r\nk{n:05}\r\n$1\r\nv\r\n" for n in range(20000))
        shown = cli(world, "--pipe", stdin=stream)
        assert "errors: 0, replies: 20000" in shown, shown
        assert world.client(0).dbsize() == 20000


def test_redis_cli_scans_and_finds_big_keys():
    with one_region() as world:
        client = world.client(0)
        with client.pipeline(transaction=False) as pipeline:
            for number in range(1000):
                pipeline.set(f"k{number}", "v")
            pipeline.hset("big", mapping={f"f{number}": "v" for number in range(100)})
            pipeline.sadd("wide", *range(50))
            pipeline.execute()
        assert len(set(cli(world, "--scan").split())) == 1002
        assert len(set(cli(world, "--scan", "--pattern", "k99*").split())) == 11
        shown = cli(world, "--bigkeys")
        assert re.search(r"Biggest +hash found .*big.* has 100 fields", shown), shown
        assert re.search(r"Biggest +set found .*wide.* has 50 members", shown), shown
        assert "Sampled 1002 keys" in shown, shown
        assert "Sampled 1002 keys" in cli(world, "--memkeys")


def test_redis_cli_stat_shows_figures():
    with one_region() as world:
        world.client(0).set("k", "v")
        shown = talk(["redis-cli", "-p", str(world.client_ports[0]), "--stat", "-i", "0.1"], [], "(+1)")
        lines = shown.splitlines()
        assert lines[1].split()[:4] == ["keys", "mem", "clients", "blocked"], shown
        assert lines[2].split()[0] == "1", shown


def test_redis_cli_measures_latency():
    with one_region() as world:
        process = subprocess.run(["redis-cli", "-p", str(world.client_ports[0]), "--raw", "--latency", "-i", "1"],
                                 capture_output=True, text=True, timeout=SECONDS, check=False)
        assert re.match(r"[\d.]+ [\d.]+ [\d.]+ \d+", process.stdout), process.stdout


# --- redis-benchmark ---

def test_redis_benchmark():
    with one_region() as world:
        tests = "ping_inline,ping_mbulk,set,get,incr,sadd,hset,spop,mset"
        for pipeline in ("1", "16"):
            shown = run("redis-benchmark", "-p", str(world.client_ports[0]), "-t", tests, "-n", "5000", "-r", "1000",
                        "-P", pipeline, "--csv")
            rows = [line.split('","') for line in shown.splitlines()[1:]]
            assert len(rows) == 9 and all(float(row[1]) > 0 for row in rows), shown
        assert world.client(0).get("key:000000000001") is not None


# --- libraries ---

def test_redis_py():
    with one_region() as world:
        client = world.client(0)
        assert client.ping() and client.set("k", "é", ex=100) and client.get("k") == "é"
        assert 0 < client.ttl("k") <= 100
        with client.pipeline(transaction=False) as pipeline:
            pipeline.incrby("c", 5).hset("h", mapping={"f": "1", "g": "2"}).sadd("s", "a", "b")
            pipeline.smembers("s").hgetall("h")
            assert pipeline.execute() == [5, 2, 2, {"a", "b"}, {"f": "1", "g": "2"}]
        assert sorted(client.scan_iter("*")) == ["c", "h", "k", "s"]
        assert dict(client.hscan_iter("h")) == {"f": "1", "g": "2"}
        assert client.mget("k", "none") == ["é", None]
        assert client.client_setname("me") and client.client_getname() == "me"
        assert [each["name"] for each in client.client_list()] == ["me"]
        assert client.info()["redis_version"].startswith("7.0") and client.dbsize() == 4
        assert client.config_get("maxmemory")["maxmemory"].isdigit() and len(client.time()) == 2
        assert "get" in client.command() and client.command_count() > 80
        raw = world.client(0, decode_responses=False, db=5)
        blob = bytes(range(256)) * 4000
        assert raw.set("blob", blob) and raw.get("blob") == blob and raw.dbsize() == 1
        try:
            client.incr("h")
            raise AssertionError("INCR of a hash was taken")
        except support.redis.ResponseError as error:
            assert str(error).startswith("WRONGTYPE"), error


def test_ioredis():
    with one_region() as world:
        script = os.path.join(CLIENTS, "ioredis.js")
        assert run("node", script, str(world.client_ports[0]), cwd=CLIENTS).endswith("ioredis: ok\n")


def test_hiredis():
    with one_region() as world, tempfile.TemporaryDirectory(prefix="meridian-test-") as directory:
        program = os.path.join(directory, "hiredis")
        run("cc", "-Wall", "-Wextra", "-o", program, os.path.join(CLIENTS, "hiredis.c"), "-lhiredis")
        assert run(program, str(world.client_ports[0])).endswith("hiredis: ok\n")


if __name__ == "__main__":
    support.main(globals())
