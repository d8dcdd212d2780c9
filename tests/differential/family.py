"""What the generators of the command families share: a source of chance, keys and values.

A family is a module here with a subclass of Family:

    KEYS        the keys that its commands work on (now and then a command is given a key of another family's)
    make_*      each makes one random command (a list of bytes), or a story: a function of a Pair that asks and compares by
                itself (pair.both, pair.expect; pair.second() for a second client at each server)
    alike       {command name: function(a, b)}: how its replies are compared, where that is not by equality
    checks      {command name: function(pair, command)}: for commands whose two answers need not be alike: runs the command
                and compares by itself; if the two servers now differ it makes them the same again

Every maker is as likely as every other.
"""
NUMBERS = [b"0", b"1", b"-1", b"2", b"7", b"-13", b"100", b"9223372036854775807", b"-9223372036854775808",
           b"9223372036854775806"]
NOT_NUMBERS = [b"", b"abc", b"1.5", b" 1", b"1 ", b"+5", b"-0", b"007", b"9223372036854775808", b"-9223372036854775809",
               b"1e3", b"99999999999999999999999", b"\x00", b"1\x00", b"--1"]
# Nothing near the ends of a double: Redis adds in 80 bits, and goes on where doubles end.
FLOATS = [b"0.25", b"1.5", b"-2.75", b"3", b"1e3", b"3.0e3", b"0.1", b"-0.3", b"1e17", b"-1e18", b"1e290", b"-1e290",
          b"+.5", b"5."]
NOT_FLOATS = [b"inf", b"-inf", b"nan", b"abc", b"", b" 1", b"1 ", b"1e", b"--1"]
TEXTS = [b"", b"y", b"hello", b"mynewtext", b"ohmytext", b"abcabcabc", b"bcabca", b"line\r\nline", b"\x00\xff\x80", b"a" * 70,
         b"a" * 700]
MEMBERS = [b"m%d" % i for i in range(12)] + [b"", b"1", b"2", b"\x00\r\n"]
FIELDS = [b"f%d" % i for i in range(10)] + [b""]
PATTERNS = [b"*", b"s*", b"?1", b"[hs]*", b"[^s]?", b"[a-t][0-2]", b"m?", b"*1", b"f[0-4]", b"", b"\\s1", b"s[", b"[", b"a**b",
            b"odd*", b"[z-a]*", b"s\\", b"m1[0-9]", b"*[", b"[]", b"[^]*", b"?[1-]"]


class Family:
    KEYS = []
    ALONE = False       # its keys are given to no other family's commands, nor it theirs
    alike = {}
    checks = {}

    def __init__(self, rng, pools):
        self.rng = rng
        self.pools = pools                                      # the KEYS of every family
        self.all_keys = [key for pool in pools for key in pool] + [b"never", b"odd \r\n\x00key"]
        self.times = 0

    def makers(self):
        return [getattr(self, name) for name in sorted(dir(self)) if name.startswith("make_")]

    def one_of(self, *choices):
        return self.rng.choice(choices)

    def chance(self, percent):
        return self.rng.randrange(100) < percent

    def key(self):
        return self.rng.choice(self.all_keys if self.chance(10) and not self.ALONE else self.KEYS)

    def any_key(self):
        return self.rng.choice(self.all_keys)

    def some(self, make, most=4):
        return [make() for _ in range(self.rng.randint(1, most))]

    def integer(self):
        return self.rng.choice(NOT_NUMBERS if self.chance(10) else NUMBERS)

    def small(self, low=-12, high=12):
        return self.integer() if self.chance(5) else b"%d" % self.rng.randint(low, high)

    def decimal(self):
        return self.rng.choice(NOT_FLOATS if self.chance(10) else FLOATS)

    def value(self):
        pool = self.one_of(NUMBERS, NUMBERS, TEXTS, FLOATS, NOT_NUMBERS)
        return self.rng.choice(pool)

    def case(self, word):
        return self.one_of(word, word, word.lower(), word.title())

    # Times are far off and never two alike, so that no key expires by itself and no comparison hangs on a millisecond.
    def seconds(self):
        if self.chance(10):
            return self.one_of(b"0", b"-1", b"x", b"", b"9223372036854775807", b"-9223372036854775808", b"9223372036854776")
        self.times += 1
        return b"%d" % (1000 + 20 * ((self.times * 7919) % 100003))

    def milliseconds(self):
        seconds = self.seconds()
        return seconds + b"000" if seconds.isdigit() and len(seconds) < 10 else seconds

    def at_seconds(self):
        seconds = self.seconds()
        if seconds.isdigit() and len(seconds) < 10 and seconds != b"0":
            return b"%d" % (5000000000 + 10 + int(seconds))
        return seconds

    def at_milliseconds(self):
        seconds = self.at_seconds()
        return seconds + b"000" if seconds.isdigit() and len(seconds) == 10 else seconds

    def time_option(self):
        word = self.one_of(b"EX", b"PX", b"EXAT", b"PXAT")
        make = {b"EX": self.seconds, b"PX": self.milliseconds, b"EXAT": self.at_seconds, b"PXAT": self.at_milliseconds}
        return [self.case(word), make[word]()]
