"""Strings as bits."""
from .family import Family

BITS = [b"", b"\x00", b"\xff", b"\xff\xf0\x00", b"\x00\xff\xf0", b"foobar", b"\xff" * 20, b"\x00" * 9 + b"\x01"]
TYPES = [b"u1", b"u8", b"i8", b"u13", b"i16", b"u32", b"i64", b"u63", b"i5"]
BAD_TYPES = [b"u64", b"i65", b"x8", b"u", b"i0", b"8", b"", b"u-1"]


class Bits(Family):
    KEYS = [b"b%d" % i for i in range(4)]

    def offset(self):
        return self.one_of(b"0", b"1", b"7", b"8", b"13", b"100", b"#1", b"#3", b"#0") if self.chance(95) else \
            self.one_of(b"-1", b"x", b"", b"99999999999", b"#", b"#-1", b"#99999999999999999")

    def plain_offset(self):
        return self.one_of(b"0", b"1", b"7", b"8", b"9", b"63", b"200") if self.chance(95) else \
            self.one_of(b"-1", b"x", b"4294967296", b"#1")

    def make_value(self):
        return [b"SET", self.key(), self.rng.choice(BITS)]

    def make_setbit(self):
        return [b"SETBIT", self.key(), self.plain_offset(), self.one_of(b"0", b"1", b"1", b"2" if self.chance(10) else b"0")]

    def make_getbit(self):
        return [b"GETBIT", self.key(), self.plain_offset()]

    def range(self):
        return self.one_of([], [self.small()], [self.small(), self.small()],
                           [self.small(), self.small(), self.case(b"BIT")], [self.small(-60, 60), self.small(-60, 60), b"bit"],
                           [self.small(), self.small(), b"BYTE"], [self.small(), self.small(), b"BAD"])

    def make_bitcount(self):
        return [b"BITCOUNT", self.key()] + self.range()

    def make_bitpos(self):
        return [b"BITPOS", self.key(), self.one_of(b"0", b"1", b"0", b"1", b"2", b"x")] + self.range()

    def make_bitop(self):
        name = self.one_of(b"AND", b"or", b"XOR", b"NOT", b"BAD" if self.chance(10) else b"OR")
        keys = [self.key()] if name == b"NOT" and self.chance(90) else self.some(self.key)
        return [b"BITOP", name, self.key()] + keys

    def field(self):
        kind = self.rng.choice(TYPES if self.chance(95) else BAD_TYPES)
        # Nothing near the ends of 64 bits: there Redis's own check for overflow overflows.
        number = self.one_of(b"0", b"1", b"-1", b"200", b"-129", b"1000000000000", b"-5000000000", b"70000")
        return self.one_of([self.case(b"GET"), kind, self.offset()],
                           [b"SET", kind, self.offset(), number],
                           [b"INCRBY", kind, self.offset(), number],
                           [b"OVERFLOW", self.one_of(b"WRAP", b"SAT", b"fail", b"BAD" if self.chance(10) else b"sat")])

    def make_bitfield(self):
        return [b"BITFIELD", self.key()] + sum(self.some(self.field), [])

    def make_bitfield_ro(self):
        return [b"BITFIELD_RO", self.key()] + sum(self.some(lambda: [b"GET", self.rng.choice(TYPES), self.offset()]), [])

    def make_bitfield_ro_write(self):
        return [b"BITFIELD_RO", self.key()] + self.field()
