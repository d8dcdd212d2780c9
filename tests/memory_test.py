#!/usr/bin/env python3
"""Data larger than memory: every answer is right, and the process stays within memory.limit.

FULL=1: 256 MB of memory, 2 GB of data. SEED=n repeats the choices of a run.
"""
import json
import os
import random
import threading
import time

import redis

import support

FULL = os.environ.get("FULL") == "1"
LIMIT_MB = 256 if FULL else 64
KEYS = 2_000_000 if FULL else 60_000
VALUE_BYTES = 1000
BATCH = 500
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
RNG = random.Random(SEED)
PAD = "".join(chr(33 + i % 90) for i in range(VALUE_BYTES))


class Watch:
    """Looks at the resident memory of all regions of a world every few milliseconds: none may pass the limit."""

    def __init__(self, world, limit_mb=LIMIT_MB):
        self.world = world
        self.limit_kb = limit_mb << 10
        self.worst_kb = self.files_kb = 0
        self.samples = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        if not _[0]:
            assert self.samples > 10, self.samples
            assert self.worst_kb <= self.limit_kb, f"{self.worst_kb >> 10} MB resident, {self.files_kb >> 10} of " \
                f"files, {self.limit_kb >> 10} allowed"

    def run(self):
        while not self.stopping.wait(0.005):
            for process in self.world.processes:
                try:
                    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                        kb = {line.split()[0]: int(line.split()[1]) for line in file if " kB" in line}
                except (OSError, AttributeError):       # it is being restarted
                    continue
                if kb.get("VmRSS:", 0) > self.worst_kb:
                    self.worst_kb = kb["VmRSS:"]
                    self.files_kb = kb["RssFile:"]
                self.samples += "VmRSS:" in kb


def memory(limit_mb=LIMIT_MB, policy="noeviction"):
    return f"memory: {{ limit: {limit_mb}MB, policy: {policy} }}\nlog: {{ fsync: everysec }}"


def value(key, times):
    return f"{key}.{times}." + PAD[(key + times) % 900:] + PAD[:(key + times) % 900]


def fill(client, count):
    for begin in range(0, count, BATCH):
        with client.pipeline(transaction=False) as pipeline:
            for key in range(begin, min(begin + BATCH, count)):
                pipeline.set(f"k{key}", value(key, 0))
            pipeline.execute()


def figure(client, name):
    return int(client.info()[name])


def use(client, written, rounds):
    """Reads and writes keys by chance, some more often than others; every answer must be right."""
    for _ in range(rounds):
        keys = {int(KEYS * RNG.random() ** 3) for _ in range(BATCH)}
        writes = {key for key in keys if RNG.random() < 0.2}
        with client.pipeline(transaction=False) as pipeline:
            for key in keys:
                if key in writes:
                    written[key] = written.get(key, 0) + 1
                    pipeline.set(f"k{key}", value(key, written[key]))
                else:
                    pipeline.get(f"k{key}")
            for key, answer in zip(keys, pipeline.execute()):
                assert key in writes or answer == value(key, written.get(key, 0)), (key, answer and answer[:30])


def health_of(world):
    status, body = world.get(0, "/health")
    return status, json.loads(body)


class OneLog(support.World):
    """A world whose configuration says all of `extra` itself."""

    def yaml(self, fsync, extra):
        return super().yaml(fsync, extra).replace(f"log: {{ fsync: {fsync} }}\n", "", 1)


def test_data_larger_than_memory_is_answered_right_within_the_limit():
    with OneLog(regions=1, extra=memory()) as world, Watch(world) as watch:
        client, written = world.client(0), {}
        fill(client, KEYS)
        use(client, written, 100)
        assert client.dbsize() == KEYS
        assert figure(client, "keys_in_memory") < KEYS
        assert figure(client, "fetched_keys") > 100
        world.restart(0)
        client = world.client(0)
        use(client, written, 100)
        assert client.dbsize() == KEYS
        print(f"at most {watch.worst_kb >> 10} MB of {LIMIT_MB}")


def test_every_type_leaves_and_comes_back():
    with OneLog(regions=1, extra=memory()) as world, Watch(world):
        client = world.client(0)
        client.hset("h", mapping={f"f{i}": i for i in range(5000)})
        client.rpush("l", *range(5000))
        client.zadd("z", {f"m{i}": i for i in range(5000)})
        client.sadd("s", *range(5000))
        client.pfadd("p", *range(1000))
        ids = [client.xadd("x", {"n": i}) for i in range(100)]
        client.incrbyfloat("n", 1.5)
        client.set("t", "v", ex=1000)
        before = [client.pfcount("p")]
        fill(client, KEYS)
        before.append(figure(client, "fetched_keys"))
        assert client.hgetall("h") == {f"f{i}": str(i) for i in range(5000)}
        assert client.lrange("l", 0, -1) == [str(i) for i in range(5000)]
        assert client.zrange("z", 0, -1) == [f"m{i}" for i in range(5000)]
        assert client.smembers("s") == {str(i) for i in range(5000)}
        assert client.pfcount("p") == before[0]
        assert [entry[0] for entry in client.xrange("x")] == ids
        assert client.incrbyfloat("n", 1) == 2.5
        assert 900 < client.ttl("t") <= 1000
        assert figure(client, "fetched_keys") > before[1]


def test_all_keys_are_found_wherever_they_are():
    with OneLog(regions=1, extra=memory()) as world, Watch(world):
        client = world.client(0)
        fill(client, KEYS)
        names = {f"k{i}" for i in range(KEYS)}
        assert set(client.scan_iter(count=1000)) == names
        assert set(client.scan_iter(match="k*77", count=1000)) == {name for name in names if name.endswith("77")}
        assert client.randomkey() in names
        for key in range(0, KEYS, 1000):
            assert client.delete(f"k{key}") == 1
        assert client.dbsize() == KEYS - (KEYS + 999) // 1000
        assert client.flushall()
        assert client.dbsize() == 0 and client.keys() == []


def test_regions_exchange_more_than_they_can_hold_in_memory():
    count = KEYS // 4
    with OneLog(regions=2, extra=memory()) as world, Watch(world):
        world.wait_linked()
        for i in (0, 1):
            with world.client(i).pipeline(transaction=False) as pipeline:
                for key in range(count):
                    pipeline.set(f"{i}:{key}", value(key, i))
                    if key % BATCH == 0:
                        pipeline.execute()
                pipeline.execute()
        support.wait_until(lambda: world.heads(0) == world.heads(1), 60, "the same writes were not there")
        for i in (0, 1):
            client = world.client(i)
            assert client.dbsize() == 2 * count
            for key in RNG.sample(range(count), 500):
                assert client.mget(f"0:{key}", f"1:{key}") == [value(key, 0), value(key, 1)]


CACHE = "\nkeyspaces: [ { prefix: 'cache:', evict: drop } ]"


def test_a_cache_drops_what_was_not_used_for_longest():
    with OneLog(regions=1, extra=memory(policy="allkeys-lru") + CACHE) as world, Watch(world):
        client = world.client(0)
        client.set("kept", "v")
        for begin in range(0, KEYS, BATCH):
            with client.pipeline(transaction=False) as pipeline:
                for key in range(begin, begin + BATCH):
                    pipeline.set(f"cache:{key}", value(key, 0))
                pipeline.get("cache:0").get("cache:1")
                answers = pipeline.execute()
            assert answers[-2:] == [value(0, 0), value(1, 0)], begin
        assert client.get("kept") == "v"
        assert client.dbsize() < KEYS
        support.wait_until(lambda: figure(client, "evicted_keys") == KEYS + 1 - client.dbsize(), 10, "keys are missing")


def test_what_one_region_drops_is_gone_in_all():
    with OneLog(regions=2, extra=memory(policy="allkeys-lfu") + CACHE) as world:
        world.wait_linked()
        client = world.client(0)
        with Watch(world):
            for begin in range(0, KEYS // 2, BATCH):
                with client.pipeline(transaction=False) as pipeline:
                    for key in range(begin, begin + BATCH):
                        pipeline.set(f"cache:{key}", value(key, 0))
                    pipeline.execute()
        assert client.dbsize() < KEYS // 2
        for i in (0, 1):        # to read all of them takes memory too: nothing may be dropped meanwhile
            world.client(i).config_set("maxmemory", 0)
        assert world.wait_equal()


def test_a_cache_that_may_drop_nothing_refuses_writes():
    with OneLog(regions=1, extra=memory() + CACHE) as world, Watch(world):
        client, key = world.client(0), 0
        refused = None
        while refused is None and key < KEYS:
            try:
                client.set(f"cache:{key}", value(key, 0))
                key += 1
            except redis.ResponseError as error:
                refused = str(error)
        assert refused == "OOM command not allowed when used memory > 'maxmemory'.", refused
        assert client.get("cache:0") == value(0, 0)
        assert world.status(0)["memory"]["state"] == "full"
        assert world.status(0)["writes"].startswith("memory: ")
        status, health = health_of(world)
        assert status == 503 and health["status"] == "not serving writes", health
        assert health["reason"].startswith("memory: "), health
        for begin in range(0, key - 1000, BATCH):
            client.delete(*(f"cache:{i}" for i in range(begin, begin + BATCH)))
        support.wait_until(lambda: world.status(0)["memory"]["state"] == "ok", 20, "it did not get room")
        assert health_of(world) == (200, {"status": "serving"})
        assert client.set("cache:new", "v")
        assert figure(client, "evicted_keys") == 0


LARGE_BYTES = 1 << 20
LARGE_KEYS = 4 * LIMIT_MB


def fill_large(client):
    for key in range(LARGE_KEYS):
        client.hset(f"large{key}", "f", value(key, 1) * (LARGE_BYTES // VALUE_BYTES))
    client.execute_command("SAVE")


def test_large_keys_are_used_and_removed_within_the_limit():
    with OneLog(regions=1, extra=memory()) as world, Watch(world):
        client = world.client(0, socket_timeout=120)
        fill_large(client)
        with client.pipeline(transaction=False) as pipeline:
            for key in range(LARGE_KEYS):
                pipeline.hlen(f"large{key}")
            assert pipeline.execute() == [1] * LARGE_KEYS
            for key in range(LARGE_KEYS):
                pipeline.hset(f"large{key}", "g", key)
            assert pipeline.execute() == [1] * LARGE_KEYS
        support.wait_until(lambda: figure(client, "keys_in_memory") < LARGE_KEYS / 4, 20, "no key leaves memory")
        assert client.delete(*(f"large{key}" for key in range(0, LARGE_KEYS, 2))) == LARGE_KEYS / 2
        assert client.flushall() and client.dbsize() == 0


def test_a_replay_over_keys_on_disk_stays_within_the_limit():
    with OneLog(regions=1, extra=memory() + "\ncheckpoint: { log: 1GB, every: 1h }") as world:
        client = world.client(0)
        with Watch(world):
            fill_large(client)
        client.config_set("maxmemory", 0)       # nothing is written down because memory is short
        for key in range(LARGE_KEYS):
            client.hset(f"large{key}", "g", key)
        support.wait_until(lambda: figure(client, "log_end_lsn") == figure(client, "log_durable_lsn"), 20,
                           "the log is not durable")
        world.kill(0)
        with Watch(world):
            world.start(0)
            client = world.client(0)
            assert [client.hget(f"large{key}", "g") for key in range(LARGE_KEYS)] == \
                [str(key) for key in range(LARGE_KEYS)]
            assert client.hlen("large0") == 2


def test_a_large_value_leaves_nothing_behind():
    with OneLog(regions=1, extra=memory()) as world, Watch(world):
        client = world.client(0)
        client.set("a", "v")
        before = world.status(0)["memory"]["used_bytes"]
        for _ in range(3):
            client.set("large", "x" * (7 << 20))
            assert client.strlen("large") == 7 << 20
            assert client.delete("large") == 1
            assert client.set("a", "v")
        support.wait_until(lambda: world.status(0)["memory"]["used_bytes"] < before + (8 << 20), 20, "it is still held")


def test_caches_of_two_regions_under_load_stay_linked():
    count = 3 * LIMIT_MB * 1000 // 2
    with OneLog(regions=2, extra=memory(policy="allkeys-lru") + CACHE) as world:
        world.wait_linked()

        def load(i):
            client = world.client(i, socket_timeout=120)
            for begin in range(0, count, BATCH):
                with client.pipeline(transaction=False) as pipeline:
                    for key in range(begin, begin + BATCH):
                        pipeline.set(f"cache:{key if key % 2 else (i, key)}", value(key, i))
                    pipeline.execute()

        with Watch(world):
            threads = [threading.Thread(target=load, args=(i,)) for i in (0, 1)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                for i in (0, 1):
                    link = world.status(i)["links"][0]
                    # the lag of a new link is not known at once
                    assert link["state"] == "up" and (link["lag_ms"] or 0) < 5000, link
                time.sleep(0.1)
            support.wait_until(lambda: world.heads(0) == world.heads(1), 30, "the same writes were not there")
        for i in (0, 1):
            assert world.client(i).dbsize() < count
            world.client(i).config_set("maxmemory", 0)
        assert world.wait_equal()


def test_a_limit_too_small_to_work_in_is_refused():
    with OneLog(regions=1, extra=memory(limit_mb=47), start=False) as world:
        status, _, problem = support.run("check", world.config)
        assert status == 1 and "memory.limit: an empty region takes 10MB" in problem, problem
    with OneLog(regions=1, extra=memory(limit_mb=48)) as world, Watch(world, 48):
        client = world.client(0)
        fill(client, KEYS // 2)
        assert client.get("k1") == value(1, 0) and client.dbsize() == KEYS // 2


def test_the_limit_can_be_changed_while_it_runs():
    with support.World(regions=1) as world:
        client = world.client(0)
        fill(client, KEYS)
        assert figure(client, "keys_in_memory") == KEYS
        client.config_set("maxmemory", f"{LIMIT_MB}mb")
        support.wait_until(lambda: figure(client, "used_memory_rss") < LIMIT_MB << 20, 30, "memory did not shrink")
        time.sleep(0.2)
        assert client.get("k0") == value(0, 0)
        client.config_set("maxmemory", 0)
        use_of = figure(client, "keys_in_memory")
        assert len([key for key in range(2000) if client.get(f"k{key}") == value(key, 0)]) == 2000
        assert figure(client, "keys_in_memory") >= use_of


if __name__ == "__main__":
    print(f"SEED={SEED}")
    support.main(globals())
