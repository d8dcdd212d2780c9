#!/usr/bin/env python3
"""Three real regions, 100 keys, every type, random commands on all sides, links cut and healed all the while.

At the end every region answers the same to SCAN and to the reads of each type. FULL=1 goes on for two minutes,
as the product promises; else it is shorter.
"""
import os
import random
import time

import redis

import support

FULL = os.environ.get("FULL") == "1"
SECONDS = 120 if FULL else 12
CLIENTS = 3                     # of each region
KEYS = [f"k{number}" for number in range(40)]       # of any type: types meet
OWN = 6                         # keys of each family's own
EQUAL_WITHIN_SECONDS = 60       # a hang, not a measurement
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))

# K a key, M a member or field or value, N a small whole number, X a number with a fraction, T milliseconds, P a place
COMMANDS = {
    "string": "SET K M|SET K N|SET K M PX T|SET K M KEEPTTL|SETNX K M|GETSET K M|APPEND K M|SETRANGE K N M|GETDEL K"
              "|INCR K|INCRBY K N|INCRBYFLOAT K X|MSET K M K M|MSETNX K M K M|GETEX K PX T",
    "bits": "SETBIT K N 1|BITOP OR K K K|BITOP NOT K K|BITFIELD K INCRBY i8 N 3|BITCOUNT K",
    "hash": "HSET K M M|HSET K M N M N|HSETNX K M M|HDEL K M|HINCRBY K M N|HINCRBYFLOAT K M X|HMSET K M M M M",
    "set": "SADD K M|SADD K M M M|SREM K M|SPOP K|SMOVE K K M|SUNIONSTORE K K K|SINTERSTORE K K K|SDIFFSTORE K K K",
    "zset": "ZADD K N M|ZADD K X M N M|ZADD K GT CH N M|ZINCRBY K X M|ZREM K M|ZPOPMIN K|ZPOPMAX K N"
            "|ZREMRANGEBYRANK K 0 N|ZREMRANGEBYSCORE K N N|ZUNIONSTORE K 2 K K|ZINTERSTORE K 2 K K AGGREGATE MAX"
            "|ZDIFFSTORE K 2 K K|ZRANGESTORE K K 0 N|BZPOPMIN K 0.01",
    "list": "RPUSH K M|LPUSH K M M|RPUSH K M M M|LPOP K|RPOP K N|LINSERT K BEFORE M M|LINSERT K AFTER M M|LSET K N M"
            "|LSET K 0 M|LREM K 1 M|LTRIM K 0 N|LMOVE K K LEFT RIGHT|RPOPLPUSH K K|BLPOP K 0.01|LMPOP 2 K K LEFT"
            "|LPUSHX K M",
    "hll": "PFADD K M M|PFADD K M|PFMERGE K K K|PFCOUNT K K",
    "geo": "GEOADD K P M P M|GEOADD K CH P M|GEOSEARCHSTORE K K FROMLONLAT 10 50 BYRADIUS 3000 km",
    "stream": "XADD K * M M|XADD K * M N M N|XADD K MAXLEN 5 * M M|XTRIM K MAXLEN N|XADD K 1-1 M M",
    "keys": "DEL K|DEL K K|UNLINK K|RENAME K K|RENAMENX K K|COPY K K|COPY K K REPLACE|SORT K ALPHA STORE K|COPY K K DB 1",
    "time": "PEXPIRE K T|PEXPIRE K 600000|PERSIST K|EXPIRE K 1 NX|PEXPIRE K T GT",
}
FAMILIES = {name: text.split("|") for name, text in COMMANDS.items()}


def word(rng, kind, family):
    if kind == "K":
        return rng.choice(KEYS) if rng.random() < 0.4 else f"{family}{rng.randrange(OWN)}"
    if kind == "M":
        return f"m{rng.randrange(6)}"
    if kind == "N":
        return str(rng.randrange(12))
    if kind == "X":
        return str((rng.randrange(40) - 16) / 4)
    if kind == "T":
        return str(rng.randrange(1, 3000))
    return kind


def random_command(rng):
    family = rng.choice(list(FAMILIES))
    made = []
    for kind in rng.choice(FAMILIES[family]).split():
        if kind == "P":
            made += [f"{rng.uniform(-170, 170):.4f}", f"{rng.uniform(-80, 80):.4f}"]
        else:
            made.append(word(rng, kind, family))
    return made


class Client(support.ClientThread):
    """Sends random commands, now and then a MULTI of some, now and then a DUMP that it RESTOREs elsewhere."""

    def __init__(self, world, region, seed):
        super().__init__(world.client(region, decode_responses=False), seed)
        self.done = self.refused = 0

    def one(self):
        try:
            self.client.execute_command(*random_command(self.rng))
        except redis.ResponseError:
            self.refused += 1       # another type, no such key: as it happens

    def group(self):
        with self.client.pipeline(transaction=True) as pipeline:
            for _ in range(self.rng.randrange(1, 6)):
                pipeline.execute_command(*random_command(self.rng))
            pipeline.execute(raise_on_error=False)

    def carry(self):
        payload = self.client.dump(self.rng.choice(KEYS))
        if payload is not None:
            self.client.restore(self.rng.choice(KEYS), 0, payload, replace=True)

    def step(self):
        chance = self.rng.random()
        (self.group if chance < 0.05 else self.carry if chance < 0.07 else self.one)()
        self.done += 1
        time.sleep(self.rng.random() * 0.004)


READS = {
    "string": [["GET"], ["PFCOUNT"], ["STRLEN"]],
    "hash": [["HGETALL"], ["HLEN"]],
    "set": [["SMEMBERS"], ["SCARD"]],
    "zset": [["ZRANGE", 0, -1, "WITHSCORES"], ["ZCARD"], ["ZREVRANGEBYSCORE", "+inf", "-inf"]],
    "list": [["LRANGE", 0, -1], ["LLEN"]],
    "stream": [["XRANGE", "-", "+"], ["XLEN"]],
}


def unordered(command, answer):
    if isinstance(answer, redis.ResponseError):
        return str(answer)
    return sorted(answer) if command == "SMEMBERS" else answer


def everything(client):
    """All keys by SCAN, and what the reads of their types say."""
    keys = sorted(client.scan_iter(count=1000))
    with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.type(key).execute_command("PEXPIRETIME", key)
        kinds = pipeline.execute()
        asked = []
        for key, kind in zip(keys, kinds[::2]):
            for command, *rest in READS.get(kind.decode(), []):
                asked.append((key, kind, command))
                pipeline.execute_command(command, key, *rest)
        answers = pipeline.execute(raise_on_error=False)
    return kinds, [(place, unordered(place[2], answer)) for place, answer in zip(asked, answers)]


def mayhem(world, rng):
    """Cuts and heals pairs of regions, one way of time after another, until the time is over."""
    pairs, cut, count = [(0, 1), (0, 2), (1, 2)], set(), 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        pair = rng.choice(pairs)
        if pair in cut:
            world.heal(*pair)
            cut.discard(pair)
        else:
            world.cut(*pair)
            cut.add(pair)
            count += 1
        time.sleep(min(rng.uniform(0.5, 3), max(0.0, end - time.monotonic())))
    for pair in cut:
        world.heal(*pair)
    return count


def test_every_type_converges_whatever_the_links_do():
    with support.World() as world:
        world.wait_linked()
        clients = [Client(world, region, SEED + 100 * region + number)
                   for region in range(3) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        cuts = mayhem(world, random.Random(SEED))
        for client in clients:
            client.stop()
        world.wait_equal(EQUAL_WITHIN_SECONDS)

        readers = [world.client(region, decode_responses=False) for region in range(3)]

        def same():
            first, *others = (everything(reader) for reader in readers)
            return all(other == first for other in others)
        support.wait_until(same, EQUAL_WITHIN_SECONDS, f"not all regions were equal, SEED={SEED}")
        kinds, _ = everything(readers[0])
        found = {kind.decode() for kind in kinds[::2]}
        assert found >= set(READS), f"only {found} were there to compare"
        done, refused = sum(client.done for client in clients), sum(client.refused for client in clients)
        assert refused < done / 2, f"{refused} of {done} commands were refused"
        print(f"     {done} commands ({refused} refused), {cuts} cuts, {len(kinds) // 2} keys of {len(found)} types,"
              f" equal everywhere (SEED={SEED})", flush=True)


if __name__ == "__main__":
    support.main(globals())
