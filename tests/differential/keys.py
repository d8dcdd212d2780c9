"""Keys of every type: names, times, copies, searches."""
from .family import PATTERNS, Family
from .hashes import same_names
from .random_choice import check_random
from .replies import Error, pairs

TIME_SLACK_MS = 3000            # the two are asked one after the other


def times_within(slack):
    def compare(a, b):
        if not isinstance(a, int) or a < 0 or b < 0:
            return a == b
        return abs(a - b) <= slack
    return compare


def scan(client, command):
    """All that a scan tells, or its error."""
    cursor_at = 1 if command[0] == b"SCAN" else 2
    found = []
    command = list(command)
    while True:
        reply = client.ask(*command)
        if isinstance(reply, Error):
            return reply
        if command[0] == b"ZSCAN":      # Redis writes large scores of small sets and of large ones differently
            found += [(name, float(score)) for name, score in pairs(reply[1])]
        else:
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


class Keys(Family):
    alike = {b"KEYS": same_names, b"PTTL": times_within(TIME_SLACK_MS), b"PEXPIRETIME": times_within(TIME_SLACK_MS),
             b"TTL": times_within(TIME_SLACK_MS // 1000), b"EXPIRETIME": times_within(TIME_SLACK_MS // 1000)}
    checks = {b"RANDOMKEY": check_random, b"SCAN": check_scan, b"SSCAN": check_scan, b"HSCAN": check_scan}

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
        pool = self.rng.choice(self.pools)
        source, target = self.rng.choice(pool), self.rng.choice(pool)
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
        return self.one_of([b"KEYS", pattern], [b"SCAN", b"0"] + options, [b"SSCAN", self.any_key(), b"0"] + options,
                           [b"HSCAN", self.any_key(), b"0"] + options, [b"SCAN", self.one_of(b"x", b"-", b"0 ")])

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
