"""Lists, and clients that wait for them."""
from .family import MEMBERS, Family


class Lists(Family):
    KEYS = [b"l%d" % i for i in range(5)]

    def element(self):
        return self.value() if self.chance(15) else self.rng.choice(MEMBERS)

    def side(self):
        return self.case(self.one_of(b"LEFT", b"RIGHT")) if not self.chance(4) else self.one_of(b"UP", b"", b"LEF")

    def make_push(self):
        name = self.one_of(b"LPUSH", b"RPUSH", b"LPUSH", b"RPUSH", b"LPUSHX", b"RPUSHX")
        return [name, self.key()] + self.some(self.element, 6)

    def make_pop(self):
        return [self.one_of(b"LPOP", b"RPOP"), self.key()] + self.one_of([], [], [self.small(-2, 5)])

    def make_read(self):
        return self.one_of([b"LLEN", self.key()], [b"LINDEX", self.key(), self.small()],
                           [b"LRANGE", self.key(), self.small(), self.small()], [b"LRANGE", self.key(), b"0", b"-1"])

    def make_write(self):
        return self.one_of([b"LSET", self.key(), self.small(), self.element()],
                           [b"LREM", self.key(), self.small(-3, 3), self.element()],
                           [b"LINSERT", self.key(), self.case(self.one_of(b"BEFORE", b"AFTER", b"AFTER", b"NEAR")), self.element(),
                            self.element()])

    def make_trim(self):
        start = self.small(-20, 3)
        return [b"LTRIM", self.key(), start, self.small(-3, 30)]

    def make_lpos(self):
        options = []
        for _ in range(self.rng.randint(0, 3)):
            options += self.one_of([self.case(b"RANK"), self.small(-3, 3)], [self.case(b"COUNT"), self.small(-1, 3)],
                                   [self.case(b"MAXLEN"), self.small(-1, 6)], [b"BAD"] if self.chance(10) else [])
        return [b"LPOS", self.key(), self.element()] + options

    def make_move(self):
        return self.one_of([b"RPOPLPUSH", self.key(), self.key()],
                           [b"LMOVE", self.key(), self.key(), self.side(), self.side()])

    def several(self):
        keys = self.some(self.key, 3)
        return [b"%d" % len(keys) if not self.chance(8) else self.small(-1, 5)] + keys

    def make_mpop(self):
        return [b"LMPOP"] + self.several() + [self.side()] + self.count_option()

    def count_option(self):
        return self.one_of([], [self.case(b"COUNT"), self.small(-1, 4)], [b"COUNT", b"2"] + ([b"COUNT", b"1"] if self.chance(5) else []))

    def bad_timeout(self):
        return self.one_of(b"-1", b"x", b"", b"-0.5", b"1e300", b"inf", b"nan", b" 1", b"99999999999999999999")

    def blocking(self, timeout):
        """A blocking command."""
        return self.one_of([self.one_of(b"BLPOP", b"BRPOP")] + self.some(self.key, 3) + [timeout],
                           [b"BLMOVE", self.key(), self.key(), self.side(), self.side(), timeout],
                           [b"BRPOPLPUSH", self.key(), self.key(), timeout],
                           [b"BLMPOP", timeout] + self.several() + [self.side()] + self.count_option())

    def make_blocking_refused(self):
        return self.blocking(self.bad_timeout())

    def make_timeout(self):
        command = self.blocking(self.one_of(b"0.001", b".002", b"1e-3"))
        return lambda pair: pair.compare(*command)

    def make_wait(self):
        """Some clients wait, another writes; then whoever waits still is let go. All answers are compared, and what is left."""
        waits = [self.blocking(b"30") for _ in range(self.rng.randint(1, 3))]
        writes = [self.one_of(self.make_push, self.make_push, self.make_move, self.make_mpop, self.make_write)()
                  for _ in range(self.rng.randint(1, 4))]
        if self.chance(30):
            writes = [[b"MULTI"]] + writes + [[b"EXEC"]]
        error = self.chance(20)
        return lambda pair: wait_story(pair, waits, writes, self.KEYS, error)


def wait_story(pair, waits, writes, keys, error):
    pair.compare(b"SELECT", b"0")
    numbers = []
    for i, command in enumerate(waits):
        pair.history.append(command)
        numbers.append([begin_to_wait(*clients, command) for clients in zip(pair.clients, pair.second(i))])
    for command in writes:
        pair.compare(*command)
    for i, command in enumerate(waits):
        unblocked = [client.ask(b"CLIENT", b"UNBLOCK", number, b"ERROR" if error else b"TIMEOUT")
                     for client, number in zip(pair.clients, numbers[i])]
        pair.expect(unblocked[0] == unblocked[1], (b"UNBLOCK of",) + tuple(command), *unblocked)
        replies = [client.read() for client in pair.second(i)]
        pair.expect(pair.are_alike(command, *replies), command, *replies)
    for key in keys:
        pair.compare(b"TYPE", key)
        pair.compare(b"LRANGE", key, b"0", b"-1")


def begin_to_wait(helper, client, command):
    """Sends a command and sees to it that it runs before anything else; returns the client's number."""
    number = b"%d" % client.ask(b"CLIENT", b"ID")
    client.send([command])
    while b" cmd=%s " % command[0].lower() not in helper.ask(b"CLIENT", b"LIST", b"ID", number):
        pass
    return number
