"""Sorted sets."""
import functools

from .family import PATTERNS, Family
from .keys import check_scan
from .random_choice import check_random
from .replies import Double, Error

NAMES = [b"m%d" % i for i in range(14)] + [b"", b"1", b"a", b"ab", b"b", b"\x00\r\n", b"\xff", b"x" * 80]
# Sums of most of these are exact, in whatever order they are made.
SCORES = [b"0", b"1", b"-1", b"2", b"2.5", b"-3.25", b"7", b"7", b"0.125", b"100", b"1e3", b"1048576.5", b"0.1", b"1e300",
          b"inf", b"-inf", b"+inf", b"9007199254740992", b"123456789012345678", b"5e-324"]
NO_SCORES = [b"", b"x", b"nan", b" 1", b"1 ", b"1e", b"1e999", b"--1"]
BOUNDS = [b"-inf", b"+inf", b"inf", b"(inf", b"(-inf", b"(1", b"(2.5", b"(7", b"(-3.25"]
NO_BOUNDS = [b"x", b"", b"(", b"((1", b"nan", b"1 ", b" 1", b"0x10", b"[1", b"1e999", b"(x"]
NAME_BOUNDS = [b"-", b"+", b"-", b"+", b"[m1", b"(m1", b"[m3", b"(m7", b"[", b"(", b"[a", b"(b", b"[zzz", b"(m10", b"[\xff"]
NO_NAME_BOUNDS = [b"", b"m1", b"-x", b"+x", b"1"]
WEIGHTS = [b"1", b"2", b"0", b"-1", b"0.5", b"inf", b"x", b"1e300"]


def one_zero(reply):
    """Redis tells -0 of a large set, and 0 of a small one: here there is one zero."""
    if isinstance(reply, list):
        return type(reply)(one_zero(item) for item in reply)
    return b"0" if reply == b"-0" else reply


def same_scores(a, b):
    return one_zero(a) == one_zero(b)


def check_increment(pair, command):
    """An increment is kept as such, and added to the score when that is read: its last digits may differ."""
    theirs, ours = pair.both(*command)
    if type(theirs) is type(ours) and same_scores(theirs, ours) and not isinstance(theirs, (bytes, Double)):
        return
    by = next((arg for arg in command[2:] if arg in SCORES), b"0")
    close = type(theirs) is type(ours) and not isinstance(theirs, Error)
    if close and float(theirs) != float(ours):
        slack = max(abs(float(theirs)), abs(float(ours)), abs(float(by))) * 1e-12
        close = abs(float(theirs) - float(ours)) <= slack
    pair.expect(close, command, theirs, ours)
    pair.both(b"ZADD", command[1], theirs if isinstance(theirs, bytes) else b"%.17g" % theirs, command[-1])


def check_add(pair, command):
    if any(arg.lower() == b"incr" for arg in command):
        check_increment(pair, command)
    else:
        pair.compare(*command)


def scores_of(pair, key):
    """The scores of a sorted set; None for another type."""
    reply = pair.clients[0].ask(b"ZRANGE", key, b"0", b"-1", b"WITHSCORES")
    if isinstance(reply, Error):
        return None
    return [item[1] for item in reply] if reply and isinstance(reply[0], list) else reply[1::2]


class Zset(Family):
    KEYS = [b"z%d" % i for i in range(5)]
    FLAT = [b"y%d" % i for i in range(2)]       # of one score
    alike = {name: same_scores for name in (
        b"ZSCORE", b"ZMSCORE", b"ZRANGE", b"ZREVRANGE", b"ZRANGEBYSCORE", b"ZREVRANGEBYSCORE", b"ZUNION", b"ZINTER", b"ZDIFF",
        b"ZPOPMIN", b"ZPOPMAX", b"ZMPOP", b"BZPOPMIN", b"BZPOPMAX", b"BZMPOP")}
    checks = {b"ZINCRBY": check_increment, b"ZADD": check_add, b"ZRANDMEMBER": check_random, b"ZSCAN": check_scan}

    def name(self):
        return self.rng.choice(NAMES)

    def score(self):
        return self.rng.choice(NO_SCORES if self.chance(3) else SCORES)

    def bound(self):
        return self.rng.choice(self.one_of(SCORES, SCORES, BOUNDS, BOUNDS, BOUNDS) if self.chance(96) else NO_BOUNDS)

    def name_bound(self):
        return self.rng.choice(NAME_BOUNDS if self.chance(96) else NO_NAME_BOUNDS)

    def index(self):
        return self.small(-8, 8)

    def make_zadd(self):
        options = [self.case(self.one_of(b"NX", b"XX", b"GT", b"LT", b"CH", b"CH", b"INCR"))
                   for _ in range(self.one_of(0, 0, 1, 1, 2, 3))]
        pairs = [arg for _ in range(self.one_of(1, 1, 2, 5)) for arg in (self.score(), self.name())]
        return [b"ZADD", self.key()] + options + pairs

    def make_many(self):
        """More than Redis keeps in a small set."""
        command = [b"ZADD", self.key()]
        if self.chance(80):
            return [b"ZCARD", command[1]]
        for i in range(self.rng.randint(100, 200)):
            command += [b"%d" % self.rng.randint(-20, 20), b"n%d" % i]
        return command

    def make_flat(self):
        members = self.some(self.name, 6)
        return [b"ZADD", self.rng.choice(self.FLAT)] + [arg for name in members for arg in (b"0", name)]

    def make_zincrby(self):
        return [b"ZINCRBY", self.key(), self.score(), self.name()]

    def make_member(self):
        name = self.one_of(b"ZSCORE", b"ZRANK", b"ZREVRANK", b"ZMSCORE", b"ZREM", b"ZREM")
        names = self.some(self.name) if name in (b"ZMSCORE", b"ZREM") else [self.name()]
        return [name, self.key()] + names

    def make_count(self):
        return self.one_of([b"ZCARD", self.key()], [b"ZCOUNT", self.key(), self.bound(), self.bound()],
                           [b"ZREMRANGEBYSCORE", self.key(), self.bound(), self.bound()],
                           [b"ZREMRANGEBYRANK", self.key(), self.index(), self.index()])

    def tail(self, *words):
        options = []
        for _ in range(self.one_of(0, 0, 1, 1, 2)):
            options += self.one_of([b"LIMIT", self.small(-1, 4), self.small(-2, 6)],
                                   [self.case(self.rng.choice(words or [b"WITHSCORES"]))])
        return options

    def make_range(self):
        by_index = [self.one_of(b"ZRANGE", b"ZREVRANGE"), self.key(), self.index(), self.index()]
        by_score = [self.one_of(b"ZRANGEBYSCORE", b"ZREVRANGEBYSCORE"), self.key(), self.bound(), self.bound()]
        either = [b"ZRANGE", self.key(), self.bound(), self.bound(), b"BYSCORE"]
        return self.one_of(by_index + self.tail(), by_score + self.tail(), either + self.tail(b"REV", b"WITHSCORES"),
                           by_index + self.tail(b"REV", b"WITHSCORES", b"BYSCORE"))

    def make_rangestore(self):
        command = [b"ZRANGESTORE", self.key(), self.key()]
        if self.chance(50):
            return command + [self.index(), self.index()] + self.one_of([], [b"REV"], [b"WITHSCORES"])
        return command + [self.bound(), self.bound(), self.case(b"BYSCORE")] + self.tail(b"REV")

    def make_by_name(self):
        key = self.rng.choice(self.FLAT) if self.chance(80) else self.key()
        low, high = self.name_bound(), self.name_bound()
        limit = self.one_of([], [b"LIMIT", self.small(-1, 3), self.small(-2, 6)])
        command = self.one_of([b"ZRANGEBYLEX", key, low, high] + limit, [b"ZREVRANGEBYLEX", key, low, high] + limit,
                              [b"ZRANGE", key, low, high, b"BYLEX"] + self.tail(b"REV", b"WITHSCORES"),
                              [b"ZRANGESTORE", self.key(), key, low, high, b"BYLEX"] + limit,
                              [b"ZLEXCOUNT", key, low, high], [b"ZREMRANGEBYLEX", key, low, high])
        return functools.partial(self.by_name, key, command)

    def by_name(self, key, command, pair):
        """Where scores differ, what a range by name means is nobody's promise."""
        if len(set(scores_of(pair, key) or [])) < 2:
            pair.compare(*command)

    def make_algebra(self):
        name = self.one_of(b"ZUNION", b"ZINTER", b"ZDIFF", b"ZINTERCARD")
        sets = [key for pool in self.pools if pool[0].startswith(b"t") for key in pool]
        keys = self.some(lambda: self.rng.choice(sets) if self.chance(20) else self.key())
        command = [b"%d" % len(keys) if self.chance(95) else self.small()] + keys
        for _ in range(self.one_of(0, 0, 1, 1, 2)):
            command += self.one_of([self.case(b"WEIGHTS")] + [self.rng.choice(WEIGHTS) for _ in keys],
                                   [self.case(b"AGGREGATE"), self.one_of(b"SUM", b"min", b"MAX", b"avg")],
                                   [self.case(b"WITHSCORES")], [b"LIMIT", self.small(-1, 4)])
        if name != b"ZINTERCARD" and self.chance(40):
            return [name + b"STORE", self.key()] + command
        return [name] + command

    def make_pop(self):
        return [self.one_of(b"ZPOPMIN", b"ZPOPMAX"), self.key()] + self.one_of([], [self.small(-1, 4)])

    def several(self, keys):
        return ([b"%d" % len(keys) if self.chance(95) else self.small()] + keys + [self.case(self.one_of(b"MIN", b"MAX"))] +
                self.one_of([], [], [self.case(b"COUNT"), self.small(0, 4)], [b"BAD"]))

    def make_mpop(self):
        return [b"ZMPOP"] + self.several(self.some(self.key, 3))

    def make_wait(self):
        timeout = self.one_of(b"0.02", b"0.02", b"0.02", b"-1", b"x", b"")
        keys = self.some(self.key, 3)
        command = self.one_of([b"BZMPOP", timeout] + self.several(keys),
                              [self.one_of(b"BZPOPMIN", b"BZPOPMAX")] + keys + [timeout])
        return functools.partial(self.wait, keys, command)

    def wait(self, keys, command, pair):
        """Somebody else may write what is waited for."""
        if self.chance(50):
            pair.compare(b"DEL", *keys)
        for client in pair.clients:
            client.send([command])
        if self.chance(50):
            pair.compare(b"ZADD", self.rng.choice(keys), b"3", b"late", b"4", b"later", clients=pair.second())
        theirs, ours = (client.read() for client in pair.clients)
        pair.history.append(command)
        pair.expect(pair.are_alike(command, theirs, ours), command, theirs, ours)

    def make_zrandmember(self):
        tail = self.one_of([], [self.small()], [self.small(), self.case(b"WITHSCORES")])
        return [b"ZRANDMEMBER", self.key()] + tail

    def make_zscan(self):
        options = self.one_of([], [b"MATCH", self.rng.choice(PATTERNS)], [b"COUNT", self.one_of(b"1", b"5", b"1000", b"0", b"x")])
        return [b"ZSCAN", self.key(), self.one_of(b"0", b"0", b"0", b"x")] + options
