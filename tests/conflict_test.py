#!/usr/bin/env python3
"""What concurrent commands end in: the cases of docs/semantics.md, over three real regions.

All cases run at once, each on keys of its own. Regions A, B and C see the base; then they are cut from each
other, and each runs its commands without having seen the others'. After the heal every region must
answer every read as the case says. Words like @k are the case's own keys.

A case is {"base": commands at A that all see, "a" "b" "c": concurrent commands, "then": commands
at A or B after the heal, "expect": {read: answer}}, and "order": whose stamps are larger, "ab" (B's) or "ba" (A's).
Without an order both are tried. "late" commands run after a deadline of LATE_MS has passed, still cut.
An answer is what redis-py gives, or a predicate.
"""
import re
import time

import redis

import support

PAUSE_SECONDS = 0.02        # far more than clocks of one machine differ
LATE_MS = 2500              # deadline set in a base; extended right after the cut, long before it ends


def near(seconds):
    """A time to live that was `seconds` not long ago."""
    return lambda ttl: seconds - 60 <= ttl <= seconds


def one_of(*answers):
    return lambda answer: answer in answers


NONE, GONE = -1, -2         # answers of TTL: no deadline, no key

CASES = {
    # strings and counters
    "the larger stamp's value is what readers see": {
        "a": ["SET @k a"], "b": ["SET @k b"], "order": "ab", "expect": {"GET @k": "b"}},
    "the larger stamp's value, the other way round": {
        "a": ["SET @k a"], "b": ["SET @k b"], "order": "ba", "expect": {"GET @k": "a"}},
    "what was observed is replaced": {
        "base": ["SET @k c"], "b": ["SET @k d"], "expect": {"GET @k": "d"}},
    "one APPEND wins whole": {
        "base": ["SET @k x"], "a": ["APPEND @k a"], "b": ["APPEND @k b"], "order": "ab",
        "expect": {"GET @k": "xb"}},
    "one SETRANGE wins whole": {
        "base": ["SET @k xyz"], "a": ["SETRANGE @k 0 a"], "b": ["SETRANGE @k 2 b"], "order": "ba",
        "expect": {"GET @k": "ayz"}},
    "one GETSET wins whole": {
        "base": ["SET @k x"], "a": ["GETSET @k a"], "b": ["GETSET @k b"], "order": "ab", "expect": {"GET @k": "b"}},
    "GETDEL twice is gone": {
        "base": ["SET @k x"], "a": ["GETDEL @k"], "b": ["GETDEL @k"], "expect": {"EXISTS @k": 0}},
    "increments add up": {
        "a": ["INCRBY @c 7"], "b": ["INCRBY @c 3"], "expect": {"GET @c": "10"}},
    "increments and decrements add up": {
        "base": ["INCRBY @c 10"], "a": ["DECRBY @c 3"], "b": ["INCRBY @c 6"], "expect": {"GET @c": "13"}},
    "an increment survives a concurrent SET": {
        "base": ["SET @c 7"], "a": ["SET @c 100"], "b": ["INCRBY @c 5"], "expect": {"GET @c": "105"}},
    "an increment survives a concurrent DEL": {
        "base": ["SET @c 7"], "a": ["DEL @c"], "b": ["INCRBY @c 3"], "expect": {"GET @c": "3"}},
    "an increment survives a concurrent DEL of tallies": {
        "base": ["INCRBY @c 7"], "a": ["DEL @c"], "b": ["INCRBY @c 3"], "expect": {"GET @c": "3"}},
    "an increment survives two concurrent DELs": {
        "base": ["SET @c 7"], "a": ["DEL @c"], "b": ["DEL @c"], "c": ["INCRBY @c -2"], "expect": {"GET @c": "-2"}},
    "an increment stays hidden behind text": {
        "a": ["SET @c abc"], "b": ["INCRBY @c 5"], "expect": {"GET @c": "abc"}},
    "an increment over 64 bits reads as the limit, and INCR refuses": {
        "base": ["SET @c 9223372036854775800"], "a": ["INCRBY @c 5"], "b": ["INCRBY @c 5"],
        "expect": {"GET @c": "9223372036854775807", "INCR @c": re.compile("overflow")}},
    "floats add up": {
        "base": ["SET @c 10"], "a": ["INCRBYFLOAT @c 0.5"], "b": ["INCRBY @c 3"], "expect": {"GET @c": "13.5"}},
    "two floats add up": {
        "base": ["SET @c 0.25"], "a": ["INCRBYFLOAT @c 0.5"], "b": ["INCRBYFLOAT @c -2"], "expect": {"GET @c": "-1.25"}},
    "a SET survives a concurrent DEL": {
        "base": ["SET @k v"], "a": ["DEL @k"], "b": ["SET @k w"], "expect": {"GET @k": "w"}},
    "a SET of the value that is there survives a concurrent DEL": {
        "base": ["SET @k v"], "a": ["DEL @k"], "b": ["SET @k v"], "expect": {"GET @k": "v"}},
    "of two SETNX one value wins": {
        "a": ["SETNX @k a"], "b": ["SETNX @k b"], "order": "ab", "expect": {"GET @k": "b"}},
    "of two MSETs one wins whole": {
        "a": ["MSET @x 1 @y 1"], "b": ["MSET @y 2 @x 2"], "order": "ab", "expect": {"MGET @x @y": ["2", "2"]}},
    "of two MSETs one wins whole, the other way round": {
        "a": ["MSET @x 1 @y 1"], "b": ["MSET @y 2 @x 2"], "order": "ba", "expect": {"MGET @x @y": ["1", "1"]}},
    "an own increment goes with the value that wins over it": {
        "a": ["SET @c 10", "INCR @c"], "b": ["SET @c 20"], "order": "ab", "expect": {"GET @c": "21"}},

    # sets and hashes
    "both members": {
        "a": ["SADD @s a"], "b": ["SADD @s b"], "expect": {"SMEMBERS @s": {"a", "b"}}},
    "add wins over a remove that had not seen it": {
        "base": ["SADD @s a b"], "a": ["SREM @s a", "SREM @s c"], "b": ["SADD @s c"],
        "expect": {"SMEMBERS @s": {"b", "c"}}},
    "a member survives a concurrent DEL of its set": {
        "base": ["SADD @s e1"], "a": ["SADD @s e2"], "b": ["DEL @s"], "expect": {"SMEMBERS @s": {"e2"}}},
    "adding a member that is there survives a concurrent SREM": {
        "base": ["SADD @s e"], "a": ["SREM @s e"], "b": ["SADD @s e"], "expect": {"SMEMBERS @s": {"e"}}},
    "two SPOPs of one member": {
        "base": ["SADD @s a"], "a": ["SPOP @s"], "b": ["SPOP @s"], "expect": {"EXISTS @s": 0}},
    "SMOVE to two places": {
        "base": ["SADD @s m"], "a": ["SMOVE @s @t m"], "b": ["SMOVE @s @u m"],
        "expect": {"EXISTS @s": 0, "SMEMBERS @t": {"m"}, "SMEMBERS @u": {"m"}}},
    "SUNIONSTORE and SADD": {
        "base": ["SADD @s a", "SADD @t b"], "a": ["SUNIONSTORE @u @s @t"], "b": ["SADD @u c"],
        "expect": {"SMEMBERS @u": {"a", "b", "c"}}},
    "both fields": {
        "a": ["HSET @h f1 a"], "b": ["HSET @h f2 b"], "expect": {"HGETALL @h": {"f1": "a", "f2": "b"}}},
    "the larger stamp's field": {
        "a": ["HSET @h f a"], "b": ["HSET @h f b"], "order": "ba", "expect": {"HGETALL @h": {"f": "a"}}},
    "a field survives a concurrent HDEL": {
        "base": ["HSET @h f v"], "a": ["HDEL @h f"], "b": ["HSET @h f v2"], "expect": {"HGETALL @h": {"f": "v2"}}},
    "a field of the value that is there survives a concurrent HDEL": {
        "base": ["HSET @h f v"], "a": ["HDEL @h f"], "b": ["HSET @h f v"], "expect": {"HGETALL @h": {"f": "v"}}},
    "a field survives a concurrent DEL of its hash": {
        "base": ["HSET @h f v g w"], "a": ["DEL @h"], "b": ["HSET @h f v2"], "expect": {"HGETALL @h": {"f": "v2"}}},
    "HSET and HINCRBY": {
        "base": ["HSET @h f 1"], "a": ["HSET @h f 10"], "b": ["HINCRBY @h f 2"], "expect": {"HGET @h f": "12"}},
    "HINCRBY and HDEL": {
        "base": ["HSET @h f 1"], "a": ["HDEL @h f"], "b": ["HINCRBY @h f 2"], "expect": {"HGET @h f": "2"}},
    "three HINCRBYs": {
        "a": ["HINCRBY @h f 1"], "b": ["HINCRBY @h f 2"], "c": ["HINCRBY @h f 4"], "expect": {"HGET @h f": "7"}},

    # expiry
    "the longer EXPIRE": {
        "base": ["SET @k v"], "a": ["EXPIRE @k 1000"], "b": ["EXPIRE @k 5000"], "expect": {"TTL @k": near(5000)}},
    "PERSIST wins over EXPIRE": {
        "base": ["SET @k v EX 2000"], "a": ["EXPIRE @k 1000"], "b": ["PERSIST @k"], "expect": {"TTL @k": NONE}},
    "an EXPIRE that has observed the other": {
        "base": ["SET @k v", "EXPIRE @k 5000"], "b": ["EXPIRE @k 1000"], "expect": {"TTL @k": near(1000)}},
    "PERSIST of a key without a deadline is no effect": {
        "base": ["SADD @k v"], "a": ["PERSIST @k"], "b": ["EXPIRE @k 1000"], "expect": {"TTL @k": near(1000)}},
    "DEL wins over EXPIRE, which never touches a key made later": {
        "base": ["SET @k v"], "a": ["DEL @k"], "b": ["EXPIRE @k 1000"], "then": ["A: SADD @k m"],
        "expect": {"TYPE @k": "set", "TTL @k": NONE}},
    "DEL wins over EXPIRE": {
        "base": ["SET @k v"], "a": ["DEL @k"], "b": ["EXPIRE @k 1000"], "expect": {"EXISTS @k": 0, "TTL @k": GONE}},
    "SET said none, and APPEND keeps that": {
        "base": ["SET @k u"], "a": ["SET @k v", "APPEND @k x"], "b": ["EXPIRE @k 1000"], "expect": {"TTL @k": NONE}},
    "expiry is the key's": {
        "a": ["HSET @h f v", "EXPIRE @h 1000"], "b": ["HSET @h g w"],
        "expect": {"HLEN @h": 2, "TTL @h": near(1000)}},
    "a SET without a time counts as none": {
        "a": ["SET @k v EX 1000"], "b": ["SET @k w"], "order": "ba", "expect": {"GET @k": "v", "TTL @k": NONE}},
    "INCR touches no deadline": {
        "base": ["SET @k 1 EX 2000"], "a": ["INCR @k"], "b": ["EXPIRE @k 1000"],
        "expect": {"GET @k": "2", "TTL @k": near(1000)}},
    "a write to an expired key removes what was there": {
        "base": ["SADD @k old", "PEXPIRE @k 1"], "a": ["SADD @k x"], "expect": {"SMEMBERS @k": {"x"}, "TTL @k": NONE}},
    "an extension before the deadline stands": {
        "base": ["SET @k v", f"PEXPIRE @k {LATE_MS}"], "b": ["EXPIRE @k 1000"], "late": ["A: GET @k"],
        "expect": {"GET @k": "v", "TTL @k": near(1000)}},
    "a write past the deadline has removed what was there, the extension stays": {
        "base": ["SADD @k old", f"PEXPIRE @k {LATE_MS}"], "b": ["EXPIRE @k 1000"], "late": ["A: SADD @k x"],
        "expect": {"SMEMBERS @k": {"x"}, "TTL @k": near(1000)}},
    "past the deadline it is gone everywhere": {
        "base": ["SET @k v", f"PEXPIRE @k {LATE_MS}"], "late": ["B: GET @k"], "expect": {"EXISTS @k": 0}},

    # the rest
    "the larger stamp's type is what readers see": {
        "a": ["SET @k v"], "b": ["SADD @k m"], "order": "ab", "expect": {"TYPE @k": "set", "SMEMBERS @k": {"m"}}},
    "the larger stamp's type, the other way round": {
        "a": ["SET @k v"], "b": ["SADD @k m"], "order": "ba", "expect": {"TYPE @k": "string", "GET @k": "v"}},
    "DEL drops both types": {
        "a": ["SET @k v"], "b": ["SADD @k m"], "then": ["B: DEL @k"], "expect": {"EXISTS @k": 0}},
    "a write to the visible type drops the hidden one": {
        "a": ["SET @k v"], "b": ["SADD @k m"], "order": "ab", "then": ["B: SREM @k m"], "expect": {"EXISTS @k": 0}},
    "RENAME and SET": {
        "base": ["SET @a old"], "a": ["RENAME @a @b"], "b": ["SET @a v"], "expect": {"GET @b": "old", "GET @a": "v"}},
    "RENAME to two names": {
        "base": ["SET @a old"], "a": ["RENAME @a @b"], "b": ["RENAME @a @c"],
        "expect": {"GET @b": "old", "GET @c": "old", "EXISTS @a": 0}},
    "RENAME of a hash and HSET": {
        "base": ["HSET @a f v"], "a": ["RENAME @a @b"], "b": ["HSET @a g w"],
        "expect": {"HGETALL @b": {"f": "v"}, "HGETALL @a": {"g": "w"}}},
    "COPY writes what is visible": {
        "base": ["SET @a 5"], "a": ["INCR @a", "COPY @a @b"], "b": ["INCRBY @a 10"],
        "expect": {"GET @a": "16", "GET @b": "6"}},
}


class Run:
    """One case in one order of stamps, on its own keys."""

    def __init__(self, name, case, order, number):
        self.name = name if "order" in case else f"{name} ({order})"
        self.case = case
        self.order = order
        self.prefix = f"case{number}:"

    def words(self, command):
        return [self.prefix + word[1:] if word[0] == "@" else word for word in command.split()]

    def run(self, client, step):
        for command in self.case.get(step, []):
            client.execute_command(*self.words(command))

    def run_named(self, clients, step):
        """Commands that begin with the region: 'A: ...'."""
        for command in self.case.get(step, []):
            region, command = command.split(": ", 1)
            clients["ABC".index(region)].execute_command(*self.words(command))


def all_runs():
    runs = []
    for name, case in CASES.items():
        for order in [case["order"]] if "order" in case else ["ab", "ba"]:
            runs.append(Run(name, case, order, len(runs)))
    return runs


def fits(answer, expected):
    if callable(expected):
        return expected(answer)
    if isinstance(expected, re.Pattern):
        return isinstance(answer, Exception) and expected.search(str(answer)) is not None
    return answer == expected


def ask(client, words):
    try:
        return client.execute_command(*words)
    except redis.ResponseError as error:
        return error


def judge(runs, clients):
    """Prints what is not as it should be; returns how many cases failed."""
    failed = 0
    for run in runs:
        wrong = [f"{command} in {'ABC'[region]}: {answer!r}"
                 for command, expected in run.case["expect"].items()
                 for region, client in enumerate(clients)
                 if not fits(answer := ask(client, run.words(command)), expected)]
        failed += bool(wrong)
        if wrong:
            print(f"FAILED {run.name}: " + "; ".join(wrong))
    return failed


def cut_all(world):
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        world.cut(a, b)


def heal_all(world):
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        world.heal(a, b)
    world.wait_equal()


def table(world):
    clients = [world.client(region) for region in range(3)]
    runs = all_runs()
    for run in runs:
        run.run(clients[0], "base")
    based = time.monotonic()
    world.wait_equal()

    cut_all(world)
    for turn in (0, 1):
        for run in runs:
            step = run.order[turn]
            run.run(clients["ab".index(step)], step)
        time.sleep(PAUSE_SECONDS)
    for run in runs:
        run.run(clients[2], "c")
    assert time.monotonic() - based < LATE_MS / 1000, \
        "the machine is too slow for this test: the deadlines passed before they were extended"
    time.sleep(LATE_MS / 1000 + 0.1)
    for run in runs:
        run.run_named(clients, "late")

    heal_all(world)
    for run in runs:
        run.run_named(clients, "then")
    world.wait_equal()
    failed = judge(runs, clients)
    print(f"{len(runs) - failed} of {len(runs)} cases as expected", flush=True)
    return failed


def test_every_case_of_the_table():
    with support.World() as world:
        world.wait_linked()
        assert table(world) == 0


def test_flushall_spares_what_it_had_not_seen():
    with support.World() as world:
        world.wait_linked()
        clients = [world.client(region) for region in range(3)]
        clients[0].set("old", "v")
        world.wait_equal()
        cut_all(world)
        clients[1].set("k", "v")
        clients[0].flushall()
        heal_all(world)
        assert [client.keys() for client in clients] == [["k"]] * 3


def test_an_expired_key_does_not_come_back_with_a_region_that_was_down():
    with support.World() as world:
        world.wait_linked()
        world.client(0).set("short", "v", px=1500)
        world.wait_equal()
        world.kill(2)
        time.sleep(1.6)
        assert [world.client(region).exists("short") for region in (0, 1)] == [0, 0]
        world.start(2)
        assert world.client(2).exists("short") == 0
        world.wait_equal()
        assert [world.client(region).exists("short") for region in range(3)] == [0, 0, 0]


if __name__ == "__main__":
    support.main(globals())
