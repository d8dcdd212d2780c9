"""Places in sorted sets."""
from .family import Family

NAMES = [b"g%d" % i for i in range(30)]


def same_places(a, b):
    """In no order: without ASC or DESC nothing is said about it."""
    return sorted(map(repr, a)) == sorted(map(repr, b)) if isinstance(a, list) else a == b


class Geo(Family):
    KEYS = [b"o%d" % i for i in range(3)]

    def longitude(self):
        return b"%.5f" % self.rng.uniform(-180, 180) if self.chance(97) else self.one_of(b"181", b"x", b"-180", b"180", b"")

    # Nothing about the poles: there, too.
    def latitude(self):
        return b"%.5f" % self.rng.uniform(-60, 60) if self.chance(97) else self.one_of(b"86", b"x", b"60.5", b"0")

    def near(self):
        return [b"%.4f" % self.rng.uniform(5, 15), b"%.4f" % self.rng.uniform(40, 55)]

    def place(self):
        return self.one_of([self.longitude(), self.latitude()], self.near(), self.near())

    def make_geoadd(self):
        options = self.one_of([], [], [], [b"NX"], [b"XX"], [self.case(b"CH")], [b"NX", b"CH"], [b"NX", b"XX"], [b"BAD"])
        return [b"GEOADD", self.key()] + options + sum(self.some(lambda: self.place() + [self.rng.choice(NAMES)], 8), [])

    def unit(self):
        return self.one_of(b"m", b"km", b"KM", b"ft", b"mi") if self.chance(97) else b"x"

    def make_geodist(self):
        return [b"GEODIST", self.key(), self.rng.choice(NAMES), self.rng.choice(NAMES)] + self.one_of([], [self.unit()])

    def make_geohash(self):
        return [self.one_of(b"GEOHASH", b"GEOPOS"), self.key()] + self.some(lambda: self.rng.choice(NAMES + [b"none"]))

    # Nothing wider: there Redis overlooks some.
    def distance(self):
        return self.one_of(b"0", b"1", b"300", b"200.5", b"600", b"450", b"-1" if self.chance(10) else b"7",
                           b"x" if self.chance(10) else b"500")

    def shape(self):
        return self.one_of([b"BYRADIUS", self.distance(), self.unit()],
                           [self.case(b"BYBOX"), self.distance(), self.distance(), self.unit()])

    def centre(self):
        return self.one_of([b"FROMLONLAT"] + self.place(), [b"FROMMEMBER", self.rng.choice(NAMES)])

    def with_options(self):
        return [word for word in (b"WITHCOORD", b"withdist", b"WITHHASH") if self.chance(30)]

    # Which of many are nearest is the same everywhere; which are found first is not: no ANY but of more than there are.
    def count(self):
        return self.one_of([], [], [b"COUNT", self.one_of(b"1", b"3", b"100")], [b"COUNT", b"100", b"ANY"],
                           [b"COUNT", self.one_of(b"0", b"-1", b"x")] if self.chance(20) else [],
                           [b"ANY"] if self.chance(20) else [])

    def order(self):
        return self.one_of([b"ASC"], [b"DESC"])

    def make_geosearch(self):
        parts = [self.centre(), self.shape(), self.with_options(), self.count(), self.order()]
        if self.chance(5):
            parts.pop(self.rng.randrange(2))
        self.rng.shuffle(parts)
        return [b"GEOSEARCH", self.key()] + sum(parts, [])

    def make_geosearchstore(self):
        parts = [self.centre(), self.shape(), self.count(), self.order(), self.one_of([], [b"STOREDIST"])]
        if self.chance(5):
            parts.append(self.with_options())
        return [b"GEOSEARCHSTORE", self.key(), self.key()] + sum(parts, [])

    def make_georadius(self):
        name, where = self.one_of((b"GEORADIUS", self.place()), (b"GEORADIUSBYMEMBER", [self.rng.choice(NAMES)]))
        command = [name + self.one_of(b"", b"_RO"), self.key()] + where + [self.distance(), self.unit()]
        return command + self.with_options() + self.count() + self.order() + self.one_of(
            [], [], [b"STORE", self.key()], [b"STOREDIST", self.key()])

    alike = {b"GEORADIUS": same_places, b"GEORADIUS_RO": same_places, b"GEORADIUSBYMEMBER": same_places,
             b"GEORADIUSBYMEMBER_RO": same_places, b"GEOSEARCH": same_places}

    def make_scores(self):
        return [b"ZRANGE", self.key(), b"0", b"-1", b"WITHSCORES"]
