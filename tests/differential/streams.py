"""Streams and consumer groups. One region writes here, so all of it answers as Redis does.

The ids are given, so that both servers have the same; what `XADD *` makes is compared by its form. Redis counts nodes of its tree
and real times, which are left out or may differ by a little.
"""
import re

from .family import Family
from .replies import Map

GROUPS = [b"g0", b"g0", b"g1", b""]
CONSUMERS = [b"c%d" % i for i in range(3)] + [b""]
BAD_IDS = [b"", b"x", b"1-", b"-1", b"1-x", b"1-1-1", b"$", b">", b"*", b"(", b"18446744073709551616", b"5-*"]
SLACK_MS = 20000
# An entry was idle for far less, or (by XCLAIM) for far more.
IDLE = [b"0", b"0", b"600000", b"-1"]
LONG_AGO = b"1200000"
NOT_COMPARED = (b"radix-tree-keys", b"radix-tree-nodes", b"idle", b"seen-time")
CLOCK = 1000000000000


def named(reply):
    """A reply of names and values in turn as a dict, whatever the protocol."""
    if isinstance(reply, Map):
        return dict(reply)
    if isinstance(reply, list) and reply and reply[0] in (b"length", b"name") and len(reply) % 2 == 0:
        return dict(zip(reply[::2], reply[1::2]))
    return None


def same_but_times(a, b):
    if type(a) is not type(b):
        return False
    pairs = named(a), named(b)
    if None not in pairs:
        one, other = pairs
        return list(one) == list(other) and all(name in NOT_COMPARED or same_but_times(one[name], other[name]) for name in one)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same_but_times, a, b))
    if isinstance(a, int) and min(a, b) > CLOCK:
        return abs(a - b) < SLACK_MS
    return a == b


def same_pending(a, b):
    """XPENDING: the third of four is how long an entry has been idle."""
    def entry(x, y):
        return x[:2] == y[:2] and x[3] == y[3] and abs(x[2] - y[2]) < SLACK_MS
    if isinstance(a, list) and a and isinstance(a[0], list):
        return len(a) == len(b) and all(map(entry, a, b))
    return a == b


def check_add(pair, command):
    """XADD with an id of the server's own, after which the two differ."""
    theirs, ours = pair.both(*command)
    ids = [re.fullmatch(rb"\d+-\d+", id) is not None for id in (theirs, ours) if isinstance(id, bytes)]
    pair.expect(type(theirs) is type(ours) and all(ids) and (ids or theirs == ours), command, theirs, ours)
    pair.compare(b"XLEN", command[1])
    pair.both(b"DEL", command[1])


class Streams(Family):
    KEYS = [b"x%d" % i for i in range(2)]
    alike = {b"XINFO": same_but_times, b"XPENDING": same_pending}

    def __init__(self, rng, pools):
        super().__init__(rng, pools)
        self.last = 0
        self.added = [b"1-1"]

    # Ids grow, so that most are greater than those before, and some are not.
    def new_id(self):
        self.last = self.last - 3 if self.last > 5 and self.chance(3) else self.last + self.one_of(0, 1, 1, 2)
        id = self.one_of(b"%d-%d" % (self.last, self.rng.randrange(3)), b"%d" % self.last)
        self.added = self.added[-20:] + [id]
        return b"%d-*" % self.last if self.chance(20) else id

    def id(self):
        if self.chance(2):
            return self.rng.choice(BAD_IDS)
        return self.rng.choice(self.added) if self.chance(90) else b"%d" % self.rng.randrange(self.last + 2)

    def bound(self):
        return self.one_of(b"-", b"+", self.id(), b"(" + self.id())

    def group(self):
        return self.rng.choice(GROUPS)

    def consumer(self):
        return self.rng.choice(CONSUMERS)

    def trimming(self):
        # MINID ~ hangs on what was once at the end of Redis's nodes, deleted or not: make_large has it
        about = self.one_of([], [], [b"="], [b"~"])
        limit = [self.case(b"LIMIT"), self.small(-1, 6)] if self.chance(50 if about == [b"~"] else 3) else []
        by = [self.case(b"MAXLEN")] + about + [self.small(-1, 30)]
        if about != [b"~"]:
            by = self.one_of(by, [self.case(b"MINID")] + about + [self.id()])
        return by + limit

    def count(self):
        return self.one_of([], [self.case(b"COUNT"), self.small(-1, 4)])

    def make_add(self):
        options = self.one_of([], [], [self.case(b"NOMKSTREAM")], self.trimming())
        fields = [self.value() for _ in range(2 * self.rng.randint(1, 2))]
        return [b"XADD", self.key()] + options + [self.new_id()] + fields

    make_add_again = make_add_once_more = make_add

    def make_add_by_clock(self):
        command = [b"XADD", b"x-clock"] + self.one_of([], [], self.trimming(), [b"NOMKSTREAM"]) + [b"*", b"f", self.value()]
        return lambda pair: check_add(pair, command)

    def make_trim(self):
        if self.chance(70):
            return self.make_add()
        return [b"XTRIM", self.key()] + self.trimming()

    def make_delete(self):
        return [b"XDEL", self.key()] + self.some(self.id)

    def make_length(self):
        return [b"XLEN", self.key()]

    def make_range(self):
        return [self.one_of(b"XRANGE", b"XREVRANGE"), self.key(), self.bound(), self.bound()] + self.count()

    def make_setid(self):
        options = self.one_of([], [b"ENTRIESADDED", self.small(-1, 200)], [b"MAXDELETEDID", self.id()],
                              [b"ENTRIESADDED", self.small(0, 200), b"MAXDELETEDID", self.id()])
        ms = max(0, self.last + self.rng.randint(-6, 1))
        return [b"XSETID", self.key(), b"%d-%d" % (ms, self.rng.randrange(4))] + options

    def make_read(self):
        keys = self.some(self.key, 2)
        return [b"XREAD"] + self.count() + [self.case(b"STREAMS")] + keys + [self.one_of(b"$", self.id(), b"0") for _ in keys]

    def make_group(self):
        key, group = self.key(), self.group()
        read = self.one_of([], [], [self.case(b"ENTRIESREAD"), self.small(-2, 30)])
        return self.one_of([b"XGROUP", b"CREATE", key, group, self.one_of(b"$", b"0", self.id())] +
                           self.one_of([], [self.case(b"MKSTREAM")]) + read,
                           [b"XGROUP", b"CREATE", key, group, b"0", b"MKSTREAM"],
                           [b"XGROUP", b"SETID", key, group, self.one_of(b"$", b"0", b"-", b"+", self.id())] + read,
                           [b"XGROUP", b"CREATECONSUMER", key, group, self.consumer()])

    def make_group_again(self):
        return [b"XGROUP", b"CREATE", self.key(), self.group(), b"0", b"MKSTREAM"]

    def make_end_of_group(self):
        key, group = self.key(), self.group()
        if self.chance(85):
            return self.make_pending()
        return self.one_of([b"XGROUP", b"DELCONSUMER", key, group, self.consumer()],
                           [b"XGROUP", b"DELCONSUMER", key, group, self.consumer()],
                           [b"XGROUP", b"DESTROY", key, group], [b"DEL", key], [b"XGROUP", self.one_of(b"HELP", b"NONE")])

    def make_group_read(self):
        keys = self.some(self.key, 1 if self.chance(80) else 2)
        if len(set(keys)) < len(keys):
            keys = keys[:1]
        return [b"XREADGROUP", self.case(b"GROUP"), self.group(), self.consumer()] + self.count() + \
            self.one_of([], [], [self.case(b"NOACK")]) + [b"STREAMS"] + keys + \
            [self.one_of(b">", b">", b"0", self.id()) for _ in keys]

    make_group_read_again = make_group_read

    def make_ack(self):
        return [b"XACK", self.key(), self.group()] + self.some(self.id, 10)

    def make_claim(self):
        options = self.one_of([], [self.case(b"IDLE"), self.one_of(b"0", LONG_AGO)], [b"TIME", self.one_of(b"1000", b"-5")],
                              [b"RETRYCOUNT", self.small(-1, 9)], [self.case(b"JUSTID")], [b"LASTID", self.id()]) + \
            self.one_of([], [], [self.case(b"FORCE")], [b"JUSTID"], [b"NONE"])
        return [b"XCLAIM", self.key(), self.group(), self.consumer(), self.rng.choice(IDLE)] + self.some(self.id, 8) + options

    def make_auto_claim(self):
        return [b"XAUTOCLAIM", self.key(), self.group(), self.consumer(), self.rng.choice(IDLE),
                self.one_of(b"-", b"0", self.bound())] + self.count() + self.one_of([], [self.case(b"JUSTID")])

    def make_pending(self):
        command = [b"XPENDING", self.key(), self.group()]
        if self.chance(40):
            return command
        return command + self.one_of([], [self.case(b"IDLE"), self.rng.choice(IDLE)]) + \
            [self.bound(), self.bound(), self.small(-1, 9)] + self.one_of([], [self.consumer()])

    def make_info(self):
        return self.one_of([b"XINFO", b"STREAM", self.key()],
                           [b"XINFO", b"STREAM", self.key(), b"FULL"] + self.count(),
                           [b"XINFO", b"GROUPS", self.key()], [b"XINFO", b"CONSUMERS", self.key(), self.group()],
                           [b"XINFO", self.one_of(b"HELP", b"NONE")])

    make_info_again = make_info

    def make_large(self):
        """More than one of Redis's nodes, so that ~ has something to remove."""
        key, count = b"x-large", self.rng.randint(90, 420)
        kept, limit = self.rng.randrange(450), self.one_of([], [], [b"LIMIT", b"%d" % (50 * self.rng.randrange(6))])
        by = self.one_of([b"MAXLEN", b"~", b"%d" % kept], [b"MINID", b"~", b"%d" % kept])

        def story(pair):
            for client in pair.clients:
                client.send([[b"DEL", key]] + [[b"XADD", key, b"%d" % (i + 1), b"f", b"v"] for i in range(count)])
                for _ in range(count + 1):
                    client.read()
            pair.compare(b"XTRIM", key, *by, *limit)
            pair.compare(b"XADD", key, *by, *limit, b"1000", b"f", b"v")
            pair.compare(b"XRANGE", key, b"-", b"+", b"COUNT", b"2")
            pair.compare(b"XINFO", b"STREAM", key)
        return story if self.chance(10) else self.make_info()

    def make_wait(self):
        """A second client waits, and is served or sent away."""
        key, other = self.key(), self.key()
        by_group = self.chance(50)
        asked = [b"XREADGROUP", b"GROUP", b"g", b"c"] if by_group else [b"XREAD"]
        keys = [key] if key == other or self.chance(50) else [key, other]
        asked += self.one_of([], [b"COUNT", b"1"]) + [b"BLOCK", b"0", b"STREAMS"] + keys + [b">" if by_group else b"$"] * len(keys)
        then = self.one_of([b"XADD", key, b"1000-1", b"f", b"v"], [b"XADD", key, b"1000-*", b"f", b"v"],
                           [b"RENAME", b"x-made", key], [b"DEL", key], [b"SET", key, b"v"],
                           [b"XGROUP", b"DESTROY", key, b"g"])

        def story(pair):
            waiting = pair.second()
            for clients in (pair.clients, waiting):
                pair.both(b"SELECT", b"0", clients=clients)
            for made in [b"x-made"] + keys:
                pair.both(b"DEL", made)
                pair.both(b"XADD", made, b"999", b"f", b"v")
                pair.both(b"XGROUP", b"CREATE", made, b"g", b"0" if made == b"x-made" else b"$")
            pair.both(b"XADD", b"x-made", b"1001", b"f", b"v")
            for client in waiting:
                client.send([asked])
            wait_until_blocked(pair)
            pair.compare(*then)
            if then[0] != b"XADD":      # a reader waits on
                pair.both(b"DEL", key)
                pair.both(b"XADD", key, b"2000-1", b"f", b"v")
            theirs, ours = [client.read() for client in waiting]
            pair.expect(type(theirs) is type(ours) and theirs == ours, asked, theirs, ours)
            for name in keys:
                pair.compare(b"XINFO", b"STREAM", name, b"FULL")
                pair.both(b"DEL", name)
        return story if self.chance(15) else self.make_info()

    def make_short_wait(self):
        key = self.key()
        return [b"XREAD", b"BLOCK", self.one_of(b"1", b"-1", b"x", b""), b"STREAMS", key, b"$"]


def wait_until_blocked(pair):
    for server in pair.servers:
        client = server.connect()
        while b"blocked_clients:1" not in client.ask(b"INFO", b"clients"):
            pass
        client.socket.close()
