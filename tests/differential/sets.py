"""Sets."""
from .family import MEMBERS, Family
from .hashes import same_names
from .random_choice import check_random


class Sets(Family):
    KEYS = [b"t%d" % i for i in range(5)]
    alike = {b"SMEMBERS": same_names, b"SINTER": same_names, b"SUNION": same_names, b"SDIFF": same_names}
    checks = {b"SPOP": check_random, b"SRANDMEMBER": check_random}

    def make_sadd(self):
        return [self.one_of(b"SADD", b"SADD", b"SREM"), self.key()] + self.rng.choices(MEMBERS, k=self.rng.randint(1, 6))

    def make_set_read(self):
        key, member = self.key(), self.rng.choice(MEMBERS)
        return self.one_of([b"SMEMBERS", key], [b"SCARD", key], [b"SISMEMBER", key, member],
                           [b"SMISMEMBER", key, member, self.rng.choice(MEMBERS)],
                           [b"SMOVE", key, self.key(), member])

    def make_algebra(self):
        name = self.one_of(b"SINTER", b"SUNION", b"SDIFF")
        keys = self.some(lambda: self.key())
        if self.chance(50):
            return [name + b"STORE", self.key()] + keys
        return [name] + keys

    def make_sintercard(self):
        keys = self.some(lambda: self.key())
        count = b"%d" % len(keys) if self.chance(90) else self.small()
        return [b"SINTERCARD", count] + keys + self.one_of([], [self.case(b"LIMIT"), self.small(-1, 4)])

    def make_random_member(self):
        return [self.one_of(b"SPOP", b"SRANDMEMBER", b"SRANDMEMBER"), self.key()] + self.one_of([], [self.small()])
