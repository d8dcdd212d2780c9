"""SORT over lists, sets and sorted sets, by themselves and by other keys; and DUMP carried to RESTORE."""
from .family import Family

WORDS = [b"1", b"2", b"10", b"-3", b"2.5", b"abc", b"b", b""]


def sort_anew(pair, command):
    """Redis 7.0 judges a weight by an errno that it does not reset: a number out of range that some command before read
    makes it refuse good ones. ZADD resets it."""
    pair.both(b"ZADD", b"nosuch_zset", b"XX", b"0", b"m")
    pair.compare(*command)


def up_to_nul(reply):
    return reply.split(b"\0")[0] if isinstance(reply, bytes) else reply


def same_order(a, b):
    """Redis compares with strcoll, to which elements that differ behind a NUL are alike: they stand in any order."""
    return [up_to_nul(x) for x in a] == [up_to_nul(x) for x in b] if isinstance(a, list) else a == b


class Sorting(Family):
    KEYS = [b"x%d" % i for i in range(4)]
    alike = {b"SORT": same_order, b"SORT_RO": same_order}
    checks = {b"SORT": sort_anew, b"SORT_RO": sort_anew}

    def make_fill(self):
        key = self.key()
        numbers = [b"%d" % self.rng.randrange(20) for _ in range(self.rng.randint(1, 6))]
        return self.one_of([b"RPUSH", key] + numbers, [b"RPUSH", key] + self.rng.choices(WORDS, k=2), [b"SADD", key] + numbers,
                           [b"ZADD", key] + sum(([b"%d" % self.rng.randrange(9), n] for n in numbers), []), [b"DEL", key])

    def make_weight(self):
        number = b"%d" % self.rng.randrange(20)
        return self.one_of([b"SET", b"w_" + number, self.value()], [b"SET", b"w_" + number, b"%d" % self.rng.randrange(9)],
                           [b"HSET", b"wh_" + number, b"f", b"%d" % self.rng.randrange(9)], [b"SET", b"wc_" + number, b"5"],
                           [b"INCRBY", b"wc_" + number, b"3"])

    # Elements whose weights are alike stand in any order with ALPHA: not asked.
    def make_sort(self):
        by = self.one_of([], [], [], [b"BY", b"w_*"], [b"by", b"wh_*->f"], [b"BY", b"wc_*"], [b"BY", b"nosuch_*"])
        command = [self.one_of(b"SORT", b"SORT", b"SORT_RO"), self.key()] + by
        command += self.one_of([], [b"ALPHA"]) if not by else []
        command += self.one_of([], [b"DESC"], [b"asc"])
        command += self.one_of([], [], [b"LIMIT", self.small(-2, 5), self.small(-2, 5)])
        for _ in range(self.one_of(0, 0, 1, 2)):
            command += [b"GET", self.one_of(b"#", b"w_*", b"wh_*->f", b"wc_*", b"nothing", b"wh_*->", b"*")]
        return command + self.one_of([], [], [b"STORE", self.key()], [b"BAD"] if self.chance(10) else [])

    def make_unsorted(self):
        key = self.one_of(b"x_list", b"x_zset")
        return [b"SORT", key, b"BY", b"nosort"] + self.one_of([], [b"DESC"]) + self.one_of(
            [], [b"LIMIT", self.small(-2, 5), self.small(-2, 5)]) + self.one_of([], [b"GET", b"#", b"GET", b"w_*"])

    def make_unsorted_fill(self):
        number = b"%d" % self.rng.randrange(9)
        return self.one_of([b"RPUSH", b"x_list", number], [b"ZADD", b"x_zset", number, b"m" + number], [b"LPOP", b"x_list"])

    def make_read(self):
        key = self.key()
        return self.one_of([b"LRANGE", key, b"0", b"-1"], [b"TYPE", key], [b"OBJECT", b"ENCODING", b"x_list"])

    def make_carry(self):
        """What is restored from a server's own DUMP reads as it did."""
        source, target = self.key(), self.key()

        def story(pair):
            payloads = pair.both(b"DUMP", source)
            there = [isinstance(payload, bytes) for payload in payloads]
            pair.expect(there[0] == there[1], [b"DUMP", source], *payloads)
            if not there[0]:
                return
            options = self.one_of([], [b"REPLACE"], [b"replace", b"IDLETIME", b"5"], [b"FREQ", b"300"], [b"REPLACE", b"BAD"])
            ttl = self.one_of(b"0", b"0", b"-1", b"x")
            replies = [client.ask(b"RESTORE", target, ttl, payload, *options)
                       for client, payload in zip(pair.clients, payloads)]
            pair.expect(replies[0] == replies[1] and type(replies[0]) is type(replies[1]),
                        [b"RESTORE", target, ttl, b"...", *options], *replies)
        return story

    def make_broken_restore(self):
        return [b"RESTORE", self.key(), b"0", self.one_of(b"", b"abc", b"\x01" * 12, b"M\x01\x00\x00\x00\x00\x00")] + self.one_of(
            [], [b"REPLACE"])
