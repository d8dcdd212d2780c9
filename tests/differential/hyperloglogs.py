"""Hyperloglogs: the same elements must count the same. What Redis keeps of them in strings is its own affair."""
from .family import Family


class Hyperloglogs(Family):
    KEYS = [b"p%d" % i for i in range(4)]
    ALONE = True

    def element(self):
        return b"e%d" % self.rng.randrange(self.one_of(10, 1000, 100000))

    def make_pfadd(self):
        return [b"PFADD", self.key()] + [self.element() for _ in range(self.one_of(0, 1, 1, 3, 40))]

    def make_pfcount(self):
        return [b"PFCOUNT"] + self.some(self.key)

    def make_pfmerge(self):
        return [b"PFMERGE", self.key()] + self.one_of([], self.some(self.key))

    def make_type(self):
        return [self.one_of(b"TYPE", b"EXISTS"), self.rng.choice(self.KEYS)]

    def make_carry(self):
        """The bytes of one server's hyperloglog count at the other as they did."""
        source = self.rng.choice(self.KEYS)

        def story(pair):
            payloads = pair.both(b"GET", source)
            if not all(isinstance(payload, bytes) for payload in payloads):
                return
            for client, payload in zip(pair.clients, reversed(payloads)):
                client.ask(b"SET", b"carried", payload)
            pair.compare(b"PFCOUNT", b"carried", source)
            pair.compare(b"PFADD", b"carried", b"e1", b"e2", b"e3")
            pair.compare(b"PFCOUNT", b"carried")
            pair.compare(b"DEL", b"carried")
        return story

    def make_del(self):
        return [b"DEL", self.key()]
