"""Strings and their counters."""
import math

from .family import NUMBERS, TEXTS, Family
from .replies import Error


def check_float(pair, command):
    theirs, ours = pair.both(*command)
    # Beside a number that large a double no longer counts by ones.
    small = not isinstance(theirs, bytes) or max(abs(float(theirs)), abs(float(command[-1]))) < 1 << 53
    if theirs == ours and type(theirs) is type(ours) and small:
        return
    close = isinstance(theirs, bytes) and isinstance(ours, bytes) and math.isclose(
        float(theirs), float(ours), rel_tol=1e-12, abs_tol=1e-300)
    if not close and isinstance(theirs, bytes) and isinstance(ours, bytes):
        # What cancels out leaves the rounding of what was added: 80 bits there, 64 here.
        close = abs(float(theirs) - float(ours)) <= abs(float(command[-1])) * 1e-12
    if isinstance(ours, Error) and isinstance(theirs, bytes) and math.isinf(float(theirs)):
        close, theirs = True, b"0"      # no double
    pair.expect(close, command, theirs, ours)
    if command[0] == b"INCRBYFLOAT":
        pair.both(b"SET", command[1], theirs, b"KEEPTTL")
    else:
        pair.both(b"HSET", command[1], command[2], theirs)


class Strings(Family):
    KEYS = [b"s%d" % i for i in range(5)] + [b""]
    checks = {b"INCRBYFLOAT": check_float, b"HINCRBYFLOAT": check_float}

    def make_set(self):
        command = [b"SET", self.key(), self.value()]
        for _ in range(self.one_of(0, 0, 0, 1, 1, 2, 3)):
            command += self.one_of([self.case(b"NX")], [self.case(b"XX")], [self.case(b"GET")], [self.case(b"KEEPTTL")],
                                   self.time_option(), self.time_option(), [b"BAD"] if self.chance(10) else [])
        return command

    def make_read_string(self):
        return [self.one_of(b"GET", b"GET", b"STRLEN", b"GETDEL"), self.key()]

    def make_getex(self):
        tail = self.one_of([], self.time_option(), self.time_option(), [self.case(b"PERSIST")])
        return [b"GETEX", self.key()] + tail + ([b"PERSIST"] if self.chance(5) else [])

    def make_set_variant(self):
        return self.one_of([b"SETNX", self.key(), self.value()], [b"GETSET", self.key(), self.value()],
                           [b"SETEX", self.key(), self.seconds(), self.value()],
                           [b"PSETEX", self.key(), self.milliseconds(), self.value()],
                           [b"APPEND", self.key(), self.value()])

    def make_many(self):
        pairs = [arg for _ in range(self.rng.randint(1, 4)) for arg in (self.key(), self.value())]
        return self.one_of([b"MGET"] + self.some(self.any_key), [b"MSET"] + pairs, [b"MSETNX"] + pairs)

    def make_range(self):
        if self.chance(40):
            offset = self.one_of(b"%d" % self.rng.randint(0, 30), b"-1", b"536870912", b"x", b"9223372036854775807")
            return [b"SETRANGE", self.key(), offset, self.rng.choice(TEXTS)]
        return [self.one_of(b"GETRANGE", b"SUBSTR"), self.key(), self.small(), self.small()]

    def make_count(self):
        key = self.key()
        return self.one_of([b"INCR", key], [b"DECR", key], [b"INCRBY", key, self.integer()],
                           [b"DECRBY", key, self.integer()], [b"INCRBYFLOAT", key, self.decimal()])

    def make_lcs(self):
        tail = []
        for _ in range(self.rng.randint(0, 3)):
            tail += self.one_of([b"LEN"], [b"IDX"], [b"IDX"], [b"WITHMATCHLEN"], [b"MINMATCHLEN", self.small(0, 4)])
        return [b"LCS", self.key(), self.key()] + tail
