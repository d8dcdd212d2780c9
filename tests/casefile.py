"""The language of tests/cases/*.cases, which its head explains: cases as they are written, and what answers they expect."""
import itertools
import re

import redis

STEPS = ("base", "A", "B", "C", "waits", "late", "then", "expect")
PROPERTIES = ("order", "only", "prefix", "alone", "down", "crash", "clock")


class Command:
    """A command of a case: where (None: in every region), its words, and its answer as text (None: no error)."""

    def __init__(self, region, text):
        text, _, answer = text.partition(" -> ")
        self.region = region
        self.text = text
        self.words = text.split()
        self.answer = answer.strip() or None

    def __repr__(self):
        return f"{self.region}: {self.text}" if self.region else self.text


class Case:
    def __init__(self, name):
        self.name = name
        self.properties = {}
        self.steps = {step: [] for step in STEPS}

    def add(self, keyword, rest):
        if keyword in PROPERTIES:
            self.properties[keyword] = rest
        elif keyword in ("waits", "late", "then"):
            region, _, command = rest.partition(" ")
            assert region in ("A", "B", "C"), f"{self.name}: {keyword} {rest}"
            self.steps[keyword].append(Command(region, command))
        elif keyword in STEPS:
            self.steps[keyword].append(Command({"base": "A", "expect": None}.get(keyword, keyword), rest))
        else:
            raise ValueError(f"{self.name}: {keyword}")

    def orders(self):
        return [self.properties["order"]] if "order" in self.properties else ["ab", "ba"]


def read(path):
    """The cases of a file, and its rows: {text: ([case], [(file, words)])}."""
    cases, rows, row, case = [], {}, None, None
    with open(path, encoding="utf-8") as file:
        for line in file:
            keyword, _, rest = line.strip().partition(" ")
            if not keyword or keyword.startswith("#"):
                continue
            if keyword == "row":
                row, case = rows.setdefault(rest, ([], [])), None
            elif keyword == "elsewhere":
                row[1].append(tuple(rest.split(" ", 1)))
            elif keyword == "case":
                case = Case(rest)
                cases.append(case)
                row[0].append(case)
            else:
                case.add(keyword, rest)
    return cases, rows


# --- answers ---

def tokens(text):
    return re.findall(r"[\[\]{}]|[^\s\[\]{}]+", text)


def parse(tokens_left):
    """Consumes one value: a text, or ("[" or "{", values)."""
    token = tokens_left.pop(0)
    if token not in ("[", "{"):
        return token
    end = "]" if token == "[" else "}"
    values = []
    while tokens_left[0] != end:
        values.append(parse(tokens_left))
    tokens_left.pop(0)
    return (token, values)


def text_of(answer):
    return answer.decode(errors="backslashreplace") if isinstance(answer, bytes) else str(answer)


def fits_text(answer, text, resolve):
    text = text_of(resolve(text))
    if answer is None or isinstance(answer, (list, Exception)):
        return text == "(nil)" and answer is None
    if "." in text:
        try:
            return float(answer) == float(text)
        except ValueError:
            pass
    return text_of(answer) == text


def fits_any_order(items, values, resolve):
    """Whether every value has an item of its own; no value here is so vague that the first that fits would be wrong."""
    more = values[-1:] == ["..."]
    for value in values[:-1] if more else values:
        found = next((i for i, item in enumerate(items) if fits_value(item, value, resolve)), None)
        if found is None:
            return False
        items.pop(found)
    return more or not items


def fits_pair(pair, value, resolve):
    name, expected = value.split("=", 1)
    return fits_text(pair[0], name, resolve) and fits_value(pair[1], expected, resolve)


def fits_pairs(items, values, resolve):
    pairs = list(zip(items[::2], items[1::2]))
    more = values[-1:] == ["..."]
    for value in values[:-1] if more else values:
        found = next((i for i, pair in enumerate(pairs) if fits_pair(pair, value, resolve)), None)
        if found is None:
            return False
        pairs.pop(found)
    return more or not pairs


def fits_value(answer, value, resolve):
    if value == "*":
        return True
    if isinstance(value, str):
        return fits_text(answer, value, resolve)
    bracket, values = value
    if not isinstance(answer, list):
        return False
    if bracket == "[":
        return len(answer) == len(values) and all(fits_value(a, v, resolve) for a, v in zip(answer, values))
    fits = fits_pairs if values and "=" in values[0] else fits_any_order
    return fits(list(answer), values, resolve)


class Waiting:
    """The answer of a command that has none yet."""

    def __repr__(self):
        return "waiting"


def fits_one(answer, text, resolve):
    keyword, _, rest = text.partition(" ")
    if keyword == "waiting":
        return isinstance(answer, Waiting)
    if isinstance(answer, Waiting):
        return False
    if keyword == "error":
        return isinstance(answer, redis.ResponseError) and rest in str(answer)
    if keyword == "near":
        return isinstance(answer, int) and int(rest) - 60 <= answer <= int(rest)
    return fits_value(answer, parse(tokens(text)), resolve)


def fits(answers, text, resolve):
    """Whether one alternative of the text fits all the answers; None: anything but an error."""
    if text is None:
        return not any(isinstance(answer, Exception) for answer in answers)
    return any(all(fits_one(answer, one, resolve) for answer in answers) for one in text.split(" | "))


def numbered(cases):
    """(case, order, number) of every run of every case."""
    count = itertools.count()
    return [(case, order, next(count)) for case in cases for order in case.orders()]
