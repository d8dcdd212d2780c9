#!/usr/bin/env python3
"""The audit of fences: what goes where is written down before it goes, and `meridian audit` finds what left, or was changed."""
import ctypes
import ctypes.util
import json
import os
import shutil
import signal
import tempfile

import redis

import support
from shim.world import DiskWorld
from support import wait_until

MEMBERS = [1, 2]        # of three regions
OUTSIDE = 0
KEYSPACES = """
fences:
  gdpr: [eu-de, jp-tok]
keyspaces:
  - { prefix: "", acks: async }
  - { prefix: "eu:", fence: gdpr, outside: forward }
  - { prefix: "shut:", fence: gdpr }
  - { prefix: "home:", fence: gdpr, mode: primary, writer: eu-de }
  - { prefix: "away:", fence: gdpr, mode: primary, writer: jp-tok }
checkpoint: { every: 1s }
"""


class Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def chained(before, content):
    """The hash of bytes that follow a line with that hash: host/auditfile.h."""
    library = ctypes.CDLL(ctypes.util.find_library("xxhash"))
    library.XXH3_128bits.restype = Hash128
    library.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    data = bytes.fromhex(before) + content
    found = library.XXH3_128bits(data, len(data))
    return f"{found.high:016x}{found.low:016x}"


def audit_path(world, i):
    return os.path.join(world.data_dir(i), "audit.log")


def lines_of(world, i):
    with open(audit_path(world, i), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def audit(world, *paths):
    paths = paths or [world.data_dir(i) for i in range(3)]
    return support.run("audit", "--config", world.config, *paths)


def gather(client, *args):
    answer = client.execute_command("GATHER", *args)
    return answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2]))


def refused(call, word):
    try:
        answer = call()
    except redis.ResponseError as error:
        assert str(error).startswith(word), error
        return
    raise AssertionError(f"it was answered {answer!r}")


def use(world, count=200):
    """Writes within and from outside, answers and parts; returns when all has come."""
    for i in MEMBERS:
        client = world.client(i)
        for number in range(count):
            client.set(f"eu:{i}:{number}", number)
            client.set(f"shut:{i}:{number}", number)
            client.set(f"home:{i}:{number}", number)
            client.set(f"free:{i}:{number}", number)
    for i in MEMBERS:
        wait_until(lambda i=i: len(world.client(i).keys("*:*:*")) == 8 * count, 30, "it did not come")
    outside = world.client(OUTSIDE)
    wait_until(lambda: len(outside.keys("free:*")) == 2 * count, 30, "it did not come")
    for number in range(20):
        outside.set(f"eu:outside:{number}", number)
        assert outside.get(f"eu:outside:{number}") == str(number)
    assert gather(outside, "count", "eu:")["result"] == 2 * count + 20
    assert gather(outside, "count", "")["result"] == 4 * count + 20     # nothing of shut: and home:
    refused(lambda: outside.get("shut:1:1"), "FENCED")
    refused(lambda: gather(outside, "group", "shut:"), "FENCED")
    assert gather(world.client(1), "count", "shut:")["result"] == 2 * count
    assert outside.keys("eu:*") == []


class Doctored:
    """Copies of all regions' audits, to be changed."""

    def __init__(self, world):
        self.dir = tempfile.mkdtemp(prefix="meridian-audit-")
        self.world = world
        self.paths = []
        for i in range(3):
            directory = os.path.join(self.dir, world.names[i])
            os.makedirs(directory)
            self.paths.append(directory)
            for name in ("audit.log", "audit.head"):
                shutil.copy(os.path.join(world.data_dir(i), name), directory)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def file(self, i):
        return os.path.join(self.paths[i], "audit.log")

    def lines(self, i):
        with open(self.file(i), "rb") as file:
            return file.read().splitlines(keepends=True)

    def write(self, i, lines):
        with open(self.file(i), "wb") as file:
            file.write(b"".join(lines))

    def forge(self, i, lines):
        """Lines as objects, with numbers and hashes as if the server had written them, audit.head too."""
        before, out = "0" * 32, []
        for number, fields in enumerate(lines, 1):
            fields = dict(fields, n=number)
            fields.pop("h", None)
            if fields["ev"] == "start":
                fields["prev"] = before
            text = json.dumps(fields, separators=(",", ":"))[:-1]
            before = chained(before, text.encode())
            out.append(f'{text},"h":"{before}"}}\n'.encode())
        self.write(i, out)
        with open(os.path.join(self.paths[i], "audit.head"), "w", encoding="utf-8") as file:
            file.write(f"{len(out):020d} {before}\n")

    def judge(self):
        return audit(self.world, *self.paths)

    def expect(self, i, line, words):
        """It is found, at that line of that region's file."""
        status, out, err = self.judge()
        assert status == 1, (status, out, err)
        assert "NOT CLEAN" in out, out
        assert any(found.startswith(f"{self.file(i)}:{line}: ") and words in found for found in err.splitlines()), (line, words, err)


def place_of(lines, **wanted):
    """The number of the first line with these fields."""
    return next(n for n, line in enumerate(lines, 1) if all(json.loads(line).get(k) == v for k, v in wanted.items()))


def expect_tampering_found(world, giver):
    name = world.names
    other = next(i for i in MEMBERS if i != giver)
    with Doctored(world) as d:
        lines = d.lines(giver)
        place = place_of(lines, ev="sent", what="log")
        edited = list(lines)
        edited[place - 1] = edited[place - 1].replace(b'"count":', b'"count":1')
        d.write(giver, edited)
        d.expect(giver, place, "it was changed")
        d.write(giver, lines[:place - 1] + lines[place:])
        d.expect(giver, place, "lines are missing")
        d.write(giver, lines[:-1])
        d.expect(giver, len(lines) - 1, "its end was cut off")
        d.write(giver, lines[:-1] + [lines[-1][:20]])
        d.expect(giver, len(lines), "its end was cut off")
        d.write(giver, lines[:place] + [b"something else\n"] + lines[place:])
        d.expect(giver, place + 2, "what stands in front of this line is none")
        d.write(giver, lines)
        assert d.judge()[0] == 0
    with Doctored(world) as d:      # by somebody who knows how lines are chained
        lines = [json.loads(line) for line in d.lines(giver)]
        d.forge(giver, lines)
        status, out, err = d.judge()
        assert status == 0, (out, err)
        place = next(n for n, line in enumerate(lines) if line["ev"] == "sent" and line["what"] == "log")
        sent = dict(lines[place], peer=name[OUTSIDE])
        d.forge(giver, lines[:place + 1] + [dict(sent, ev="begins"), sent] + lines[place + 1:])
        d.expect(giver, place + 3, f"{name[OUTSIDE]} is not in fence gdpr, and was sent what it holds")
        answer = next(line for line in lines if line["ev"] == "sent" and line["what"] == "answers" and line["peer"] == name[OUTSIDE])
        d.forge(giver, lines + [dict(answer, keyspace="shut:")])
        d.expect(giver, len(lines) + 1, "which has no outside: forward")
        d.forge(giver, lines[:place + 1] + [dict(lines[place], **{"from": lines[place]["to"][:-3] + "fff", "to": "0xffffffffffffff11"})])
        d.expect(giver, place + 2, "it does not join")
        d.forge(giver, [line for line in lines if (line["ev"], line.get("what"), line.get("peer")) != ("sent", "log", name[other])])
        status, _, err = d.judge()
        assert status == 1 and f"from {name[giver]}, whose audit has not sent it" in err, err


def test_what_went_where_is_known_and_what_was_changed_is_found():
    with support.World(regions=3, extra=KEYSPACES) as world:
        world.wait_linked()
        use(world)
        for i in range(3):
            world.kill(i, signal.SIGTERM)
        status, out, err = audit(world)
        assert (status, err) == (0, ""), (out, err)
        assert "fence gdpr: eu-de, jp-tok" in out and "clean" in out.splitlines()[-1], out
        assert "0 gaps" in out.splitlines()[-1], out
        gave = ("sent", "answers", world.names[OUTSIDE])
        giver = next(i for i in MEMBERS if any((line["ev"], line.get("what"), line.get("peer")) == gave for line in lines_of(world, i)))
        assert any(f"outside: {world.names[giver]} gave us-east" in line and "answers" in line and '"eu:"' in line for line in out.splitlines()), out
        assert any("gave us-east" in line and "parts of GATHER" in line for line in out.splitlines()), out
        assert "shut:" not in out, out
        found = lines_of(world, OUTSIDE)
        assert {line["what"] for line in found if "what" in line} == {"commands", "answers", "parts"}
        kinds = {(line["ev"], line["what"]) for i in MEMBERS for line in lines_of(world, i) if "what" in line}
        assert kinds >= {("begins", "log"), ("sent", "log"), ("taken", "log"), ("taken", "commands"), ("begins", "answers"),
                         ("sent", "answers"), ("begins", "parts"), ("sent", "parts")}, kinds
        status, out, err = audit(world, world.data_dir(1), audit_path(world, 2))
        assert status == 0 and "not known: what us-east sent and took" in out, (out, err)
        expect_tampering_found(world, giver)
        # an archive, and what follows it
        archive = audit_path(world, 1) + ".2026"
        os.rename(audit_path(world, 1), archive)
        world.start(1)
        world.kill(1, signal.SIGTERM)
        status, out, err = audit(world, world.data_dir(0), archive, world.data_dir(1), world.data_dir(2))
        assert status == 0 and "0 gaps" in out, (out, err)
        status, out, err = audit(world)
        assert status == 0 and "they stand in a file that is not given" in out, (out, err)


def test_a_process_that_is_killed_hides_nothing():
    with support.World(regions=3, extra=KEYSPACES) as world:
        for round_ in range(3):
            world.wait_linked()
            client = world.client(1)
            for number in range(300):
                client.set(f"eu:{round_}:{number}", number)
            wait_until(lambda: world.client(2).get(f"eu:{round_}:299"), 20, "it did not come")
            world.client(OUTSIDE).get("eu:0:1")
            world.kill(1)
            if round_ > 0:      # in the midst of a line, and then also in the midst of that of the next start
                with open(audit_path(world, 1), "ab") as file:
                    file.write(b'{"n":99,"ms":12' if round_ == 1 else b'{"n":99,"ms":12\n{"n":99,"ms":13,"ev":"sta')
            world.start(1)
        world.wait_linked()
        for i in range(3):
            world.kill(i, signal.SIGTERM)
        status, out, err = audit(world)
        assert (status, err) == (0, ""), (out, err)
        assert out.count("did not stop cleanly") == 3, out
        for run in (1, 2, 3):      # who was sent what is known of every run
            assert any(line["ev"] == "begins" and line["peer"] == "jp-tok" for line in runs_of(lines_of_torn(world, 1))[run]), run


def test_a_stream_that_was_asked_for_again_before_a_kill_hides_nothing():
    with support.World(regions=3, extra=KEYSPACES) as world:
        world.wait_linked()
        for number in range(300):
            world.client(1).set(f"eu:{number}", number)
        wait_until(lambda: world.client(2).get("eu:299"), 20, "it did not come")
        world.kill(1)
        world.start(1)
        world.wait_linked()
        for i in range(3):
            world.kill(i, signal.SIGTERM)
        with Doctored(world) as d:
            lines = lines_of_torn(world, 1)
            killed = next(i for i, line in enumerate(lines) if line["ev"] == "start" and i > 0)
            begins = next(line for line in lines if (line["ev"], line.get("what"), line.get("peer")) == ("begins", "log", "jp-tok"))
            taken = [line for line in lines_of(world, 2) if line["ev"] == "taken" and line["what"] == "log"][0]
            end = int(taken["to"], 16)
            half = hex(end - (1 << 22) & ~0xff | end & 0xff)
            # some was told to be sent; all of it was; heartbeats had told of a later time when the stream was asked for again
            sent = dict(taken, ev="sent", peer="jp-tok", to=half, ms=lines[killed - 1]["ms"], **{"from": "0x0"})
            again = dict(begins, ms=lines[killed - 1]["ms"], **{"from": hex((end >> 20) + 9 << 20 | 0xfff00 | end & 0xff)})
            run = [line for line in lines[:killed] if line["ev"] != "sent"]
            d.forge(1, run + [sent, again] + lines[killed:])
            status, out, err = d.judge()
            assert (status, err) == (0, ""), (out, err)


def lines_of_torn(world, i):
    found = []
    with open(audit_path(world, i), encoding="utf-8") as file:
        for line in file:
            try:
                found.append(json.loads(line))
            except ValueError:
                pass
    return found


def runs_of(lines):
    runs = {}
    for line in lines:
        if line["ev"] == "start":
            run = runs.setdefault(line["run"], [])
        else:
            run.append(line)
    return runs


def drop_log(world, i):
    """Writes until the region has dropped log: who is new is filled with objects."""
    client = world.client(i)
    before = world.status(i)["log"]["start_bytes"]

    def writes_more():
        with client.pipeline(transaction=False) as pipeline:
            for number in range(1000):
                pipeline.set(f"more:{number}", os.urandom(300).hex())
            pipeline.execute()
        return world.status(i)["log"]["start_bytes"] > before
    wait_until(writes_more, 60, "no log was dropped")


def test_objects_of_a_copy_are_counted():
    extra = KEYSPACES.replace("[eu-de, jp-tok]", "[eu-de, jp-tok, br-sao]").replace("every: 1s", "log: 1MB, every: 1s")
    with support.World(regions=4, extra=extra, fsync="everysec, retain: 4MB", start=False) as world:
        for i in range(3):
            world.spawn(i)
        for i in range(3):
            world.wait_ready(i)
        client = world.client(1)
        for number in range(500):
            client.set(f"eu:{number}", "x" * 100)
            client.set(f"free:{number}", "x" * 100)
        drop_log(world, 1)
        # the other member may be who fills it
        wait_until(lambda: world.client(2).dbsize() == client.dbsize(), 60, "it did not come")
        world.start_quietly(3)
        wait_until(lambda: "ev=bootstrap.done" in world.log(3), 60, "it was not filled")
        wait_until(lambda: len(world.client(3).keys("eu:*")) == 500, 20, "it did not come")
        for i in range(4):
            world.kill(i, signal.SIGTERM)
        status, out, err = audit(world, *(world.data_dir(i) for i in range(4)))
        assert (status, err) == (0, ""), (out, err)
        source = next(i for i in range(3) if "ev=bootstrap.feeds peer=br-sao" in world.log(i))
        for i, event in ((source, "sent"), (3, "taken")):
            objects = [line for line in lines_of(world, i) if line.get("what") == "objects" and line["ev"] == event]
            assert sum(line["count"] for line in objects) == 500, objects
            assert sum(line["bytes"] for line in objects) > 50000, objects
        assert "500 objects" in out, out


def test_nothing_of_a_fence_is_sent_while_the_audit_cannot_be_written():
    with DiskWorld(regions=3, extra=KEYSPACES) as world:
        world.wait_linked()
        member, other, outside = (world.client(i) for i in (1, 2, 0))
        member.set("eu:before", "1")
        wait_until(lambda: other.get("eu:before"), 20, "it did not come")
        world.disk(1).fault("fail write 1 on ENOSPC *audit.log")
        member.set("eu:noticed", "1")
        wait_until(lambda: "ev=audit.failed" in world.log(1), 20, "nobody noticed")
        member.set("eu:during", "1")
        member.set("free", "1")
        wait_until(lambda: outside.get("free"), 20, "what has no fence did not come")
        assert other.get("eu:during") is None and other.get("free") is None    # it was written after that
        refused(lambda: member.set("away:1", "1"), "NOWRITER that key lies elsewhere, and the audit")
        world.disk(1).heal()
        wait_until(lambda: other.get("eu:during"), 30, "it did not come when it could be written")
        assert "ev=audit.ok" in world.log(1)
        for i in range(3):
            world.kill(i, signal.SIGTERM)
        status, out, err = audit(world)
        assert (status, err) == (0, ""), (out, err)


def test_a_region_outside_that_is_asked_for_its_part_has_given_nothing_of_the_fence():
    with support.World(regions=3, extra=KEYSPACES.replace("checkpoint:", "  - { prefix: \"user:\", mode: partitioned }\ncheckpoint:")) as world:
        world.wait_linked()
        world.client(1).set("home:1", 1)
        for i in range(3):
            gather(world.client(i), "count", "")
        for i in range(3):
            world.kill(i, signal.SIGTERM)
        status, out, err = audit(world)
        assert (status, err) == (0, ""), (out, err)


def test_wrong_uses_are_told():
    with support.World(regions=3, extra=KEYSPACES, start=False) as world:
        assert support.run("audit")[0] == 2
        assert support.run("audit", "--config", world.config)[0] == 2
        status, _, err = audit(world, world.dir)
        assert status == 1 and "audit.log" in err, err
        status, _, err = audit(world, world.config)
        assert status == 1 and "does not begin as an audit does" in err, err


if __name__ == "__main__":
    support.main(globals())
