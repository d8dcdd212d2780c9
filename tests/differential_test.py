#!/usr/bin/env python3
"""The data commands, side by side with Redis 7.0: random sequences must be answered alike.

Starts a redis-server and a Meridian of one region on free loopback ports, sends both the same commands, and compares every
reply in type and content, over RESP2 and RESP3. What has no order is compared without one; random choices are checked to be
choices; times and float sums may differ by a little. Where an answer left the two in different states (a random pop, the last
digits of a float) both are set to the same again.

    MERIDIAN=build/meridian tests/differential_test.py
    SEED=n to repeat a run, COMMANDS=n for another length. Without a redis-server there is nothing to compare with: it says so
    and passes.
"""
import collections
import math
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

REDIS = shutil.which("redis-server") or "/usr/bin/redis-server"
MERIDIAN = os.environ.get("MERIDIAN", "build/meridian")
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
COMMANDS = int(os.environ.get("COMMANDS", "20000"))
PIPELINE = 100
TIME_SLACK_MS = 3000            # the two are asked one after the other

CONFIG = """\
deployment: differential
regions:
  - name: one
    id: 1
    city: Madrid
    location: [40.42, -3.70]
    timezone: Europe/Madrid
    jurisdiction: [eu]
    clients: 127.0.0.1:{clients}
    peers: 127.0.0.1:{peers}
    http: 127.0.0.1:{http}
log: {{ fsync: no }}
"""


# --- replies: plain lists are arrays; the rest keep their kind by their class ---

class Error(str):
    pass


class Simple(str):
    pass


class Double(float):
    pass


class Set(list):
    pass


class Map(list):                # of (key, value)
    pass


class Null:
    def __init__(self, kind):
        self.kind = kind

    def __eq__(self, other):
        return isinstance(other, Null) and self.kind == other.kind

    def __repr__(self):
        return "Null(%s)" % self.kind


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    @staticmethod
    def encode(command):
        parts = [b"*%d\r\n" % len(command)]
        for arg in command:
            parts.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
        return b"".join(parts)

    def send(self, commands):
        self.socket.sendall(b"".join(map(self.encode, commands)))

    def ask(self, *command):
        self.send([command])
        return self.read()

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return Simple(rest.decode("latin-1"))
        if kind == b"-":
            return Error(rest.decode("latin-1"))
        if kind == b":":
            return int(rest)
        if kind == b",":
            return Double(rest)
        if kind == b"#":
            return rest == b"t"
        if kind == b"_":
            return Null("_")
        if kind not in b"$*~%":
            raise ConnectionError("a reply that begins with %r" % line[:20])
        count = int(rest)
        if count < 0:
            return Null(kind.decode())
        if kind == b"$":
            return self.file.read(count + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(count)]
        if kind == b"~":
            return Set(self.read() for _ in range(count))
        return Map((self.read(), self.read()) for _ in range(count))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, argv, port, log):
        self.port = port
        self.log = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def connect(self):
        deadline = time.monotonic() + 15
        while True:
            try:
                return Client(self.port)
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    with open(self.log, errors="replace") as log:
                        raise SystemExit("%s did not start:\n%s" % (self.process.args[0], log.read()[-2000:]))
                time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# --- what is sent ---

STRINGS = [b"s%d" % i for i in range(5)] + [b""]
HASHES = [b"h%d" % i for i in range(4)]
SETS = [b"t%d" % i for i in range(5)]
KEYS = STRINGS + HASHES + SETS + [b"never", b"odd \r\n\x00key"]
NUMBERS = [b"0", b"1", b"-1", b"2", b"7", b"-13", b"100", b"9223372036854775807", b"-9223372036854775808",
           b"9223372036854775806"]
NOT_NUMBERS = [b"", b"abc", b"1.5", b" 1", b"1 ", b"+5", b"-0", b"007", b"9223372036854775808", b"-9223372036854775809",
               b"1e3", b"99999999999999999999999", b"\x00", b"1\x00", b"--1"]
# Nothing near the ends of a double: Redis adds in 80 bits, and goes on where doubles end.
FLOATS = [b"0.25", b"1.5", b"-2.75", b"3", b"1e3", b"3.0e3", b"0.1", b"-0.3", b"1e17", b"-1e18", b"1e290", b"-1e290",
          b"+.5", b"5."]
NOT_FLOATS = [b"inf", b"-inf", b"nan", b"abc", b"", b" 1", b"1 ", b"1e", b"--1"]
TEXTS = [b"", b"y", b"hello", b"mynewtext", b"ohmytext", b"abcabcabc", b"bcabca", b"line\r\nline", b"\x00\xff\x80", b"a" * 70,
         b"a" * 700]
MEMBERS = [b"m%d" % i for i in range(12)] + [b"", b"1", b"2", b"\x00\r\n"]
FIELDS = [b"f%d" % i for i in range(10)] + [b""]
PATTERNS = [b"*", b"s*", b"?1", b"[hs]*", b"[^s]?", b"[a-t][0-2]", b"m?", b"*1", b"f[0-4]", b"", b"\\s1", b"s[", b"[", b"a**b",
            b"odd*", b"[z-a]*", b"s\\", b"m1[0-9]", b"*[", b"[]", b"[^]*", b"?[1-]"]


class Generator:
    def __init__(self, rng):
        self.rng = rng
        self.times = 0
        self.makers = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("make_")]

    def one_of(self, *choices):
        return self.rng.choice(choices)

    def chance(self, percent):
        return self.rng.randrange(100) < percent

    def key(self, pool):
        return self.rng.choice(KEYS if self.chance(10) else pool)

    def any_key(self):
        return self.rng.choice(KEYS)

    def some(self, make, most=4):
        return [make() for _ in range(self.rng.randint(1, most))]

    def integer(self):
        return self.rng.choice(NOT_NUMBERS if self.chance(10) else NUMBERS)

    def small(self, low=-12, high=12):
        return self.integer() if self.chance(5) else b"%d" % self.rng.randint(low, high)

    def decimal(self):
        return self.rng.choice(NOT_FLOATS if self.chance(10) else FLOATS)

    def value(self):
        pool = self.one_of(NUMBERS, NUMBERS, TEXTS, FLOATS, NOT_NUMBERS)
        return self.rng.choice(pool)

    def case(self, word):
        return self.one_of(word, word, word.lower(), word.title())

    # Times are far off and never two alike, so that no key expires by itself and no comparison hangs on a millisecond.
    def seconds(self):
        if self.chance(10):
            return self.one_of(b"0", b"-1", b"x", b"", b"9223372036854775807", b"-9223372036854775808", b"9223372036854776")
        self.times += 1
        return b"%d" % (1000 + 20 * ((self.times * 7919) % 100003))

    def milliseconds(self):
        seconds = self.seconds()
        return seconds + b"000" if seconds.isdigit() and len(seconds) < 10 else seconds

    def at_seconds(self):
        seconds = self.seconds()
        if seconds.isdigit() and len(seconds) < 10 and seconds != b"0":
            return b"%d" % (5000000000 + 10 + int(seconds))
        return seconds

    def at_milliseconds(self):
        seconds = self.at_seconds()
        return seconds + b"000" if seconds.isdigit() and len(seconds) == 10 else seconds

    def time_option(self):
        word = self.one_of(b"EX", b"PX", b"EXAT", b"PXAT")
        make = {b"EX": self.seconds, b"PX": self.milliseconds, b"EXAT": self.at_seconds, b"PXAT": self.at_milliseconds}
        return [self.case(word), make[word]()]

    # strings
    def make_set(self):
        command = [b"SET", self.key(STRINGS), self.value()]
        for _ in range(self.one_of(0, 0, 0, 1, 1, 2, 3)):
            command += self.one_of([self.case(b"NX")], [self.case(b"XX")], [self.case(b"GET")], [self.case(b"KEEPTTL")],
                                   self.time_option(), self.time_option(), [b"BAD"] if self.chance(10) else [])
        return command

    def make_read_string(self):
        return [self.one_of(b"GET", b"GET", b"STRLEN", b"GETDEL"), self.key(STRINGS)]

    def make_getex(self):
        tail = self.one_of([], self.time_option(), self.time_option(), [self.case(b"PERSIST")])
        return [b"GETEX", self.key(STRINGS)] + tail + ([b"PERSIST"] if self.chance(5) else [])

    def make_set_variant(self):
        return self.one_of([b"SETNX", self.key(STRINGS), self.value()], [b"GETSET", self.key(STRINGS), self.value()],
                           [b"SETEX", self.key(STRINGS), self.seconds(), self.value()],
                           [b"PSETEX", self.key(STRINGS), self.milliseconds(), self.value()],
                           [b"APPEND", self.key(STRINGS), self.value()])

    def make_many(self):
        pairs = [arg for _ in range(self.rng.randint(1, 4)) for arg in (self.key(STRINGS), self.value())]
        return self.one_of([b"MGET"] + self.some(self.any_key), [b"MSET"] + pairs, [b"MSETNX"] + pairs)

    def make_range(self):
        if self.chance(40):
            offset = self.one_of(b"%d" % self.rng.randint(0, 30), b"-1", b"536870912", b"x", b"9223372036854775807")
            return [b"SETRANGE", self.key(STRINGS), offset, self.rng.choice(TEXTS)]
        return [self.one_of(b"GETRANGE", b"SUBSTR"), self.key(STRINGS), self.small(), self.small()]

    def make_count(self):
        key = self.key(STRINGS)
        return self.one_of([b"INCR", key], [b"DECR", key], [b"INCRBY", key, self.integer()],
                           [b"DECRBY", key, self.integer()], [b"INCRBYFLOAT", key, self.decimal()])

    def make_lcs(self):
        tail = []
        for _ in range(self.rng.randint(0, 3)):
            tail += self.one_of([b"LEN"], [b"IDX"], [b"IDX"], [b"WITHMATCHLEN"], [b"MINMATCHLEN", self.small(0, 4)])
        return [b"LCS", self.key(STRINGS), self.key(STRINGS)] + tail

    # hashes
    def make_hset(self):
        pairs = [arg for _ in range(self.rng.randint(1, 4)) for arg in (self.rng.choice(FIELDS), self.value())]
        return self.one_of([b"HSET", self.key(HASHES)] + pairs, [b"HMSET", self.key(HASHES)] + pairs,
                           [b"HSETNX", self.key(HASHES)] + pairs[:2])

    def make_hget(self):
        name = self.one_of(b"HGET", b"HEXISTS", b"HSTRLEN", b"HDEL", b"HMGET")
        fields = [self.rng.choice(FIELDS)]
        if name in (b"HDEL", b"HMGET"):
            fields += self.rng.choices(FIELDS, k=self.rng.randint(0, 3))
        return [name, self.key(HASHES)] + fields

    def make_hash_whole(self):
        return [self.one_of(b"HGETALL", b"HKEYS", b"HVALS", b"HLEN"), self.key(HASHES)]

    def make_hash_count(self):
        key, field = self.key(HASHES), self.rng.choice(FIELDS)
        return self.one_of([b"HINCRBY", key, field, self.integer()], [b"HINCRBYFLOAT", key, field, self.decimal()])

    def make_hrandfield(self):
        tail = self.one_of([], [self.small()], [self.small(), self.case(b"WITHVALUES")])
        return [b"HRANDFIELD", self.key(HASHES)] + tail

    # sets
    def make_sadd(self):
        return [self.one_of(b"SADD", b"SADD", b"SREM"), self.key(SETS)] + self.rng.choices(MEMBERS, k=self.rng.randint(1, 6))

    def make_set_read(self):
        key, member = self.key(SETS), self.rng.choice(MEMBERS)
        return self.one_of([b"SMEMBERS", key], [b"SCARD", key], [b"SISMEMBER", key, member],
                           [b"SMISMEMBER", key, member, self.rng.choice(MEMBERS)],
                           [b"SMOVE", key, self.key(SETS), member])

    def make_algebra(self):
        name = self.one_of(b"SINTER", b"SUNION", b"SDIFF")
        keys = self.some(lambda: self.key(SETS))
        if self.chance(50):
            return [name + b"STORE", self.key(SETS)] + keys
        return [name] + keys

    def make_sintercard(self):
        keys = self.some(lambda: self.key(SETS))
        count = b"%d" % len(keys) if self.chance(90) else self.small()
        return [b"SINTERCARD", count] + keys + self.one_of([], [self.case(b"LIMIT"), self.small(-1, 4)])

    def make_random_member(self):
        return [self.one_of(b"SPOP", b"SRANDMEMBER", b"SRANDMEMBER"), self.key(SETS)] + self.one_of([], [self.small()])

    # keys
    def make_keys(self):
        return [self.one_of(b"DEL", b"UNLINK", b"EXISTS", b"EXISTS", b"TOUCH")] + self.some(self.any_key, 2)

    def make_key(self):
        name = self.one_of(b"TYPE", b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME", b"PERSIST", b"TTL", b"PTTL")
        return [name, self.any_key()]

    def make_expire(self):
        key, flags = self.any_key(), []
        for _ in range(self.one_of(0, 0, 1, 1, 2)):
            flags.append(self.case(self.one_of(b"NX", b"XX", b"GT", b"LT")))
        return self.one_of([b"EXPIRE", key, self.seconds()], [b"PEXPIRE", key, self.milliseconds()],
                           [b"EXPIREAT", key, self.at_seconds()], [b"PEXPIREAT", key, self.at_milliseconds()]) + flags

    def make_rename(self):
        pool = self.one_of(STRINGS, HASHES, SETS)
        source, target = self.key(pool), self.key(pool)
        tail = []
        for _ in range(self.one_of(0, 0, 1, 2)):
            tail += self.one_of([b"REPLACE"], [b"DB", self.database()])
        return self.one_of([b"RENAME", source, target], [b"RENAMENX", source, target],
                           [b"COPY", source, target] + tail, [b"MOVE", source, self.database()])

    def database(self):
        return self.one_of(b"16", b"-1", b"x", b"99999999999") if self.chance(10) else b"%d" % self.rng.randint(0, 2)

    def make_search(self):
        pattern = self.rng.choice(PATTERNS)
        options = self.scan_options(pattern)
        return self.one_of([b"KEYS", pattern], [b"SCAN", b"0"] + options, [b"SSCAN", self.key(SETS), b"0"] + options,
                           [b"HSCAN", self.key(HASHES), b"0"] + options, [b"SCAN", self.one_of(b"x", b"-", b"0 ")])

    def scan_options(self, pattern):
        options = []
        for _ in range(self.one_of(0, 0, 1, 2)):
            options += self.one_of([b"MATCH", pattern], [b"COUNT", self.one_of(b"1", b"5", b"1000", b"0", b"-1", b"x")],
                                   [b"TYPE", self.one_of(b"string", b"hash", b"SET", b"none")])
        return options

    def make_database(self):
        if self.chance(6):
            return [self.one_of(b"FLUSHDB", b"FLUSHALL")] + self.one_of([], [b"SYNC"], [b"async"], [b"BAD"])
        return self.one_of([b"DBSIZE"], [b"RANDOMKEY"], [b"SELECT", b"%d" % self.one_of(0, 0, 0, 1)],
                           [b"OBJECT", b"HELP"], [b"OBJECT", b"ENCODING", b"nowhere"], [b"OBJECT", b"BAD", b"x"])

    def command(self):
        command = self.rng.choice(self.makers)()
        if self.chance(2):
            command = command[:-1] if len(command) > 1 and self.chance(50) else command + [self.value()]
        return command


# --- how replies are compared ---

UNORDERED = {b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"HKEYS", b"HVALS", b"KEYS"}
RANDOM = {b"SPOP", b"SRANDMEMBER", b"HRANDFIELD", b"RANDOMKEY"}
SCANS = {b"SCAN", b"SSCAN", b"HSCAN"}
FLOAT_SUMS = {b"INCRBYFLOAT", b"HINCRBYFLOAT"}
TIMES_MS = {b"PTTL": TIME_SLACK_MS, b"PEXPIRETIME": TIME_SLACK_MS, b"TTL": TIME_SLACK_MS // 1000,
            b"EXPIRETIME": TIME_SLACK_MS // 1000}


def pairs(reply):
    return list(reply) if isinstance(reply, Map) else list(zip(reply[::2], reply[1::2]))


def alike(command, a, b):
    if type(a) is not type(b):
        return False
    name = command[0]
    if name in UNORDERED and isinstance(a, list):
        return sorted(a) == sorted(b)
    if name == b"HGETALL" and isinstance(a, list):
        return sorted(pairs(a)) == sorted(pairs(b))
    if name in TIMES_MS and isinstance(a, int):
        return a == b if a < 0 or b < 0 else abs(a - b) <= TIMES_MS[name]
    return a == b


class Mismatch(Exception):
    pass


class Pair:
    """The two servers, and the commands on their way to them."""

    def __init__(self, theirs, ours):
        self.clients = (theirs, ours)
        self.waiting = []
        self.history = collections.deque(maxlen=4000)

    def both(self, *command):
        return [client.ask(*command) for client in self.clients]

    def settle(self):
        if not self.waiting:
            return
        for client in self.clients:
            client.send(self.waiting)
        replies = [[client.read() for _ in self.waiting] for client in self.clients]
        commands, self.waiting = self.waiting, []
        for command, theirs, ours in zip(commands, *replies):
            self.history.append(command)
            self.expect(alike(command, theirs, ours), command, theirs, ours)

    def expect(self, fact, command, theirs, ours):
        if not fact:
            raise Mismatch("%s\n  redis:    %r\n  meridian: %r\n%s" % (shown(command), theirs, ours, self.story(command)))

    def story(self, command):
        touched = [c for c in self.history if c is not command and (set(c[1:]) & set(command[1:]) or c[0][:5] in (b"FLUSH", b"SELEC"))]
        return "before it:\n" + "\n".join("  " + shown(c) for c in touched[-12:])

    def run(self, command):
        name = command[0]
        if name in RANDOM or name in SCANS or name in FLOAT_SUMS:
            self.settle()
            self.history.append(command)
            check = check_random if name in RANDOM else check_scan if name in SCANS else check_float
            check(self, command)
            return
        self.waiting.append(command)
        if name == b"SET" and any(arg.lower() in (b"exat", b"pxat") for arg in command[3:]):
            self.forget_expired(command[1])
        if len(self.waiting) >= PIPELINE:
            self.settle()

    def forget_expired(self, key):
        """A SET into the past leaves a key that is counted until it is reclaimed, which each does in its own time."""
        self.settle()
        if self.both(b"EXISTS", key) == [0, 0]:
            self.both(b"SET", key, b"")
            self.both(b"DEL", key)


def shown(command):
    return " ".join(repr(arg)[1:] for arg in command)


def check_float(pair, command):
    theirs, ours = pair.both(*command)
    # Beside a number that large a double no longer counts by ones.
    small = not isinstance(theirs, bytes) or max(abs(float(theirs)), abs(float(command[-1]))) < 1 << 53
    if theirs == ours and type(theirs) is type(ours) and small:
        return
    close = isinstance(theirs, bytes) and isinstance(ours, bytes) and math.isclose(
        float(theirs), float(ours), rel_tol=1e-12, abs_tol=1e-300)
    if not close and isinstance(theirs, bytes) and isinstance(ours, bytes):
        # What cancels out leaves the rounding of what was added: 80 bits there, 64 here.
        close = abs(float(theirs) - float(ours)) <= abs(float(command[-1])) * 1e-12
    if isinstance(ours, Error) and isinstance(theirs, bytes) and math.isinf(float(theirs)):
        close, theirs = True, b"0"      # no double
    pair.expect(close, command, theirs, ours)
    if command[0] == b"INCRBYFLOAT":
        pair.both(b"SET", command[1], theirs, b"KEEPTTL")
    else:
        pair.both(b"HSET", command[1], command[2], theirs)


def contents(pair, command):
    """What there is to choose from."""
    if command[0] == b"RANDOMKEY" or len(command) < 2:
        return set(pair.clients[0].ask(b"KEYS", b"*"))
    if command[0] == b"HRANDFIELD":
        return set(pairs(pair.clients[0].ask(b"HGETALL", command[1])))
    return set(pair.clients[0].ask(b"SMEMBERS", command[1]))


def chosen(command, reply):
    """The choices, in the form of what contents() gives, or None when they are not of that form."""
    if not isinstance(reply, list):
        return [reply]
    if command[0] != b"HRANDFIELD" or len(command) < 4:
        return list(reply)
    if any(isinstance(item, list) for item in reply):
        return [tuple(item) for item in reply]
    return pairs(reply)


def check_random(pair, command):
    kind = pair.both(b"TYPE", command[1]) if len(command) > 1 else None
    right_type = kind is None or kind[0] in ("none", "hash" if command[0] == b"HRANDFIELD" else "set")
    there = contents(pair, command) if right_type else set()
    theirs, ours = pair.both(*command)
    plain = isinstance(theirs, (Error, Null)) or theirs == []
    if plain:
        pair.expect(type(theirs) is type(ours) and theirs == ours, command, theirs, ours)
        return
    pair.expect(type(theirs) is type(ours), command, theirs, ours)
    for reply in (theirs, ours):
        picks = chosen(command, reply)
        if command[0] == b"HRANDFIELD" and len(command) < 4:
            there_now = {name for name, _ in there}
        else:
            there_now = there
        pair.expect(set(picks) <= there_now, command, theirs, ours)
        repeats = len(command) > 2 and command[2].startswith(b"-")
        pair.expect(repeats or len(set(picks)) == len(picks), command, theirs, ours)
        pair.expect(not isinstance(theirs, list) or len(theirs) == len(ours), command, theirs, ours)
    if command[0] == b"SPOP" and set(chosen(command, theirs)) != there:
        pair.both(b"SADD", command[1], *(chosen(command, theirs) + chosen(command, ours)))


def scan(client, command):
    """All that a scan tells, or its error."""
    cursor_at = 1 if command[0] == b"SCAN" else 2
    found = []
    command = list(command)
    while True:
        reply = client.ask(*command)
        if isinstance(reply, Error):
            return reply
        found += pairs(reply[1]) if command[0] == b"HSCAN" else reply[1]
        if reply[0] == b"0":
            return sorted(set(found))
        command[cursor_at] = reply[0]


def check_scan(pair, command):
    if len(command) < (2 if command[0] == b"SCAN" else 3):
        theirs, ours = pair.both(*command)
    else:
        theirs, ours = (scan(client, command) for client in pair.clients)
    pair.expect(type(theirs) is type(ours) and theirs == ours, command, theirs, ours)


# --- the run ---

def start(folder):
    ports = [free_port() for _ in range(4)]
    config = os.path.join(folder, "one.yaml")
    with open(config, "w") as out:
        out.write(CONFIG.format(clients=ports[1], peers=ports[2], http=ports[3]))
    redis = Server([REDIS, "--port", str(ports[0]), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
                    folder], ports[0], os.path.join(folder, "redis.log"))
    try:
        meridian = Server([MERIDIAN, "serve", "--config", config, "--region", "one", "--data",
                           os.path.join(folder, "data")], ports[1], os.path.join(folder, "meridian.log"))
    except OSError:
        redis.stop()
        raise
    return redis, meridian


def run(servers, rng):
    for protocol in (b"2", b"3"):
        pair = Pair(*(server.connect() for server in servers))
        for client in pair.clients:
            client.ask(b"HELLO", protocol)
        pair.both(b"FLUSHALL")
        generator = Generator(rng)
        for _ in range(COMMANDS // 2):
            pair.run(generator.command())
        pair.settle()
        for client in pair.clients:
            client.socket.close()


def main():
    if not os.access(REDIS, os.X_OK):
        print("there is no %s to compare with" % REDIS)
        return 1
    print("SEED=%d" % SEED, flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        servers = start(folder)
        try:
            run(servers, random.Random(SEED))
        except (Mismatch, ConnectionError, TimeoutError) as error:
            print("not ok: %s" % error)
            time.sleep(0.2)
            print("exit status, of redis and meridian: %s" % [server.process.poll() for server in servers])
            with open(servers[1].log, errors="replace") as log:
                print("the server's log ends with:\n" + log.read()[-1500:])
            return 1
        finally:
            for server in servers:
                server.stop()
    print("ok: %d commands answered alike in %.1f s" % (COMMANDS, time.monotonic() - began))
    return 0


if __name__ == "__main__":
    sys.exit(main())
