"""MULTI, EXEC, DISCARD, WATCH and UNWATCH, with a second client that writes meanwhile."""
from . import families
from .family import Family

ODD = [[b"MULTI"], [b"WATCH", b"w"], [b"WATCH"], [b"UNWATCH"], [b"UNWATCH", b"x"], [b"DISCARD", b"x"], [b"MULTI", b"x"],
       [b"EXEC", b"x"], [b"NOSUCH", b"a", b"b"], [b"GET"], [b"SET", b"w"], [b"PING"], [b"ECHO", b"\x00\r\n"],
       [b"SELECT", b"1"], [b"SELECT", b"0"], [b"SELECT", b"16"], [b"CLIENT", b"NOSUCH"], [b"WAIT", b"0", b"0"],
       [b"WAIT", b"5", b"1"], [b"COMMAND", b"COUNT", b"x"], [b"CLIENT", b"SETNAME", b"a b"], [b"CLIENT", b"GETNAME"],
       [b"RESET"], [b"MSET", b"w", b"1", b"x"], [b"HSET", b"w", b"f"], [b"OBJECT", b"BAD"]]


class Transactions(Family):
    KEYS = [b"w%d" % i for i in range(3)]

    def __init__(self, rng, pools):
        super().__init__(rng, pools)
        self.others = [family(rng, pools) for _, family in sorted(families().items()) if family is not Transactions]

    def plain(self, pair):
        """A command of another family whose two answers must be alike."""
        while True:
            command = self.rng.choice(self.rng.choice(self.others).makers())()
            timed = not callable(command) and any(arg.lower() in (b"exat", b"pxat") for arg in command)
            if not callable(command) and command[0] not in pair.checks and not timed:
                return command

    def own(self):
        key = self.rng.choice(self.KEYS)
        return self.one_of([b"GET", key], [b"SET", key, self.value()], [b"INCR", key], [b"SADD", key, self.member()],
                           [b"DEL", key], [b"RENAME", key, self.rng.choice(self.KEYS)], [b"SELECT", b"%d" % self.one_of(0, 1)],
                           [b"HSET", key, b"f", self.value()], [b"HGETALL", key], [b"EXISTS", key], [b"FLUSHDB"],
                           [b"PEXPIRE", key, b"-1"])

    def member(self):
        """A new one: for Redis, adding a member that is there is no change; here it is one (docs/semantics.md)."""
        self.times += 1
        return b"m%d" % self.times

    def make_transaction(self):
        return self.tell

    def tell(self, pair):
        if self.chance(50):
            self.meanwhile(pair)
        queued = []
        opened = self.chance(95)
        if opened:
            pair.compare(b"MULTI")
        for _ in range(self.rng.randint(0, 8)):
            opened = self.inside(pair, queued, opened)
        if self.chance(10):
            pair.compare(b"DISCARD")
        self.execute(pair, queued)
        for command in ([b"DISCARD"], [b"UNWATCH"], [b"HELLO", pair.protocol], [b"SELECT", b"0"]):
            pair.both(*command)
        for clients in pair.others:
            pair.both(b"SELECT", b"0", clients=clients)

    def meanwhile(self, pair):
        """Keys are watched, and perhaps written, by the same client or another."""
        pair.compare(b"WATCH", *self.some(lambda: self.rng.choice(self.KEYS), 3))
        for _ in range(self.rng.randint(0, 3)):
            pair.compare(*self.own(), clients=pair.second() if self.chance(70) else None)
        if self.chance(10):
            pair.compare(b"UNWATCH")
        if self.chance(10):
            pair.compare(b"SELECT", b"1")

    def inside(self, pair, queued, opened):
        """One command; outside MULTI none that could wait. Returns whether the transaction is open after it."""
        odd = self.chance(15)
        command = self.rng.choice(ODD) if odd else self.plain(pair) if opened and self.chance(50) else self.own()
        theirs = pair.compare(*command)
        if theirs == "QUEUED":
            queued.append(command)
        if command == [b"RESET"]:
            queued.clear()
            pair.both(b"HELLO", pair.protocol)
        return opened and command[0] not in (b"RESET", b"DISCARD", b"EXEC") or command[0] == b"MULTI"

    def execute(self, pair, queued):
        theirs, ours = pair.both(b"EXEC")
        alike = type(theirs) is type(ours)
        if alike and isinstance(theirs, list) and len(theirs) == len(ours) == len(queued):
            alike = all(pair.are_alike(command, a, b) for command, a, b in zip(queued, theirs, ours))
        else:
            alike = alike and theirs == ours
        pair.expect(alike, [b"EXEC"] + [arg for command in queued for arg in command], theirs, ours)
