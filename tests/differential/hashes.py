"""Hashes."""
from .family import FIELDS, Family
from .random_choice import check_random
from .replies import pairs


def same_names(a, b):
    return sorted(a) == sorted(b) if isinstance(a, list) else a == b


def same_pairs(a, b):
    return sorted(pairs(a)) == sorted(pairs(b)) if isinstance(a, list) else a == b


class Hashes(Family):
    KEYS = [b"h%d" % i for i in range(4)]
    alike = {b"HKEYS": same_names, b"HVALS": same_names, b"HGETALL": same_pairs}
    checks = {b"HRANDFIELD": check_random}

    def make_hset(self):
        pairs = [arg for _ in range(self.rng.randint(1, 4)) for arg in (self.rng.choice(FIELDS), self.value())]
        return self.one_of([b"HSET", self.key()] + pairs, [b"HMSET", self.key()] + pairs,
                           [b"HSETNX", self.key()] + pairs[:2])

    def make_hget(self):
        name = self.one_of(b"HGET", b"HEXISTS", b"HSTRLEN", b"HDEL", b"HMGET")
        fields = [self.rng.choice(FIELDS)]
        if name in (b"HDEL", b"HMGET"):
            fields += self.rng.choices(FIELDS, k=self.rng.randint(0, 3))
        return [name, self.key()] + fields

    def make_hash_whole(self):
        return [self.one_of(b"HGETALL", b"HKEYS", b"HVALS", b"HLEN"), self.key()]

    def make_hash_count(self):
        key, field = self.key(), self.rng.choice(FIELDS)
        return self.one_of([b"HINCRBY", key, field, self.integer()], [b"HINCRBYFLOAT", key, field, self.decimal()])

    def make_hrandfield(self):
        tail = self.one_of([], [self.small()], [self.small(), self.case(b"WITHVALUES")])
        return [b"HRANDFIELD", self.key()] + tail
