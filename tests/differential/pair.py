"""Both servers asked the same, and their answers compared."""
import collections
import operator

from .replies import shown

PIPELINE = 100


class Mismatch(Exception):
    pass


class Pair:
    """A client at each of the two servers, and the commands on their way to them."""

    def __init__(self, servers, protocol, alike, checks):
        self.servers, self.protocol = servers, protocol
        self.alike, self.checks = alike, checks
        self.clients = self.connect()
        self.others = []
        self.waiting = []
        self.history = collections.deque(maxlen=4000)

    def connect(self):
        clients = tuple(server.connect() for server in self.servers)
        for client in clients:
            client.ask(b"HELLO", self.protocol)
        return clients

    def second(self, index=0):
        """Another pair of clients, the same whenever it is asked for: (at Redis, at Meridian)."""
        while len(self.others) <= index:
            self.others.append(self.connect())
        return self.others[index]

    def close(self):
        for clients in [self.clients] + self.others:
            for client in clients:
                client.socket.close()

    def both(self, *command, clients=None):
        self.history.append(command)
        return [client.ask(*command) for client in clients or self.clients]

    def compare(self, *command, clients=None):
        """Asks both, whose answers must be alike; returns that of Redis."""
        theirs, ours = self.both(*command, clients=clients)
        self.expect(self.are_alike(command, theirs, ours), command, theirs, ours)
        return theirs

    def are_alike(self, command, theirs, ours):
        compare = self.alike.get(command[0], operator.eq)
        return type(theirs) is type(ours) and compare(theirs, ours)

    def settle(self):
        if not self.waiting:
            return
        for client in self.clients:
            client.send(self.waiting)
        replies = [[client.read() for _ in self.waiting] for client in self.clients]
        commands, self.waiting = self.waiting, []
        for command, theirs, ours in zip(commands, *replies):
            self.history.append(command)
            self.expect(self.are_alike(command, theirs, ours), command, theirs, ours)

    def expect(self, fact, command, theirs, ours):
        if not fact:
            raise Mismatch("%s\n  redis:    %r\n  meridian: %r\n%s" % (shown(command), theirs, ours, self.story(command)))

    def story(self, command):
        touched = [c for c in self.history if c is not command and (set(c[1:]) & set(command[1:]) or c[0][:5] in (b"FLUSH", b"SELEC"))]
        return "before it:\n" + "\n".join("  " + shown(c) for c in touched[-12:])

    def run(self, command):
        """A command, or a story: see family.py."""
        check = None if callable(command) else self.checks.get(command[0])
        if callable(command) or check:
            self.settle()
            if check:
                self.history.append(command)
                check(self, command)
            else:
                command(self)
            return
        self.waiting.append(command)
        if command[0] == b"SET" and any(arg.lower() in (b"exat", b"pxat") for arg in command[3:]):
            self.forget_expired(command[1])
        if len(self.waiting) >= PIPELINE:
            self.settle()

    def forget_expired(self, key):
        """A SET into the past leaves a key that is counted until it is reclaimed, which each does in its own time."""
        self.settle()
        if self.both(b"EXISTS", key) == [0, 0]:
            self.both(b"SET", key, b"")
            self.both(b"DEL", key)
