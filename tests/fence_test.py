#!/usr/bin/env python3
"""What a fence holds stays within its members: in files, on the wire, and in what clients are told."""
import glob
import os
import signal
import socket
import threading

import redis

import support

MEMBERS = [1, 2]        # of five regions
OTHERS = [0, 3, 4]
FENCE = """
fences:
  gdpr: [eu-de, jp-tok]
keyspaces:
  - { prefix: "", acks: async }
  - { prefix: "eu:", fence: gdpr }
checkpoint: { every: 1s }
"""
SECRET = b"FENCED-VALUE-%06d-WHICH-IS-LONG-ENOUGH-TO-BE-FOUND-" + b"".join(b"%c" % (65 + i * 7 % 26) for i in range(40))
FREE = b"FREE-VALUE-%06d-" + b"x" * 50


class Tap:
    """A proxy that keeps all that went through it, from both sides."""

    def __init__(self, port):
        self.target = port
        self.streams = []       # bytes in one way, of each connection
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:         # it is not up
                client.close()
                continue
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=(source, target), daemon=True).start()

    def pump(self, source, target):
        stream = bytearray()
        self.streams.append(stream)
        try:
            while data := source.recv(65536):
                stream += data
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def tapped_world(extra=FENCE, fsync="everysec"):
    """Five regions, each of which reaches every other through a tap."""
    world = support.World(regions=5, extra=extra, fsync=fsync, start=False)
    taps = {(i, j): Tap(world.peer_ports[j]) for i in range(5) for j in range(5) if i != j}
    for i in range(5):
        world.dials[i] = [f"{world.names[j]}=127.0.0.1:{taps[i, j].port}" for j in range(5) if j != i]
    return world, taps


def refused(call, word):
    try:
        answer = call()
    except redis.ResponseError as error:
        assert str(error).startswith(word), error
        return str(error)
    raise AssertionError(f"it was answered {answer!r}")


def batches_of(stream):
    """The contents of all frames in one way of a link: messages are u32 length, u32 checksum, u8 type, body; a frame of batches,
    or of objects, is zstd."""
    import ctypes
    import ctypes.util
    zstd = ctypes.CDLL(ctypes.util.find_library("zstd"))
    zstd.ZSTD_decompress.restype = zstd.ZSTD_getFrameContentSize.restype = ctypes.c_size_t
    zstd.ZSTD_getFrameContentSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    zstd.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    magic, found, at = b"\x28\xb5\x2f\xfd", [], 0
    while (at := stream.find(magic, at)) >= 0:
        rest = bytes(stream[at:])
        size = zstd.ZSTD_getFrameContentSize(rest, len(rest))
        zstd.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t
        zstd.ZSTD_findFrameCompressedSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        used = zstd.ZSTD_findFrameCompressedSize(rest, len(rest))
        if size < 1 << 30 and used <= len(rest):
            out = ctypes.create_string_buffer(size + 1)
            if zstd.ZSTD_decompress(out, size, rest[:used], used) == size:
                found.append(out.raw[:size])
                at += used
                continue
        at += 1
    return b"".join(found)


def files_of(world, i):
    for path in glob.glob(os.path.join(world.data_dir(i), "**"), recursive=True):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                yield path, file.read()


def holds_a_secret(content, count):
    return SECRET[:13] in content and any(SECRET % number in content for number in range(count))


def test_no_fenced_value_is_found_outside():
    world, taps = tapped_world()
    with world:
        for i in range(5):
            world.spawn(i)
        for i in range(5):
            world.wait_ready(i)
        world.wait_linked()
        count = 300
        for i in MEMBERS:
            client = world.client(i)
            for number in range(i - 1, count, 2):
                client.set(f"eu:{number}", SECRET % number)
                client.hset("eu:hash", f"field{number}", SECRET % number)
                client.set(f"free:{number}", FREE % number)
        support.wait_until(lambda: all(world.client(i).hlen("eu:hash") == count for i in MEMBERS), 20, "it did not come to the members")
        support.wait_until(lambda: all(len(world.client(i).keys("free:*")) == count for i in OTHERS), 20, "what is free did not come")
        # a member comes back, and one that is no member is new: both take what is there
        world.kill(MEMBERS[1])
        world.client(MEMBERS[0]).set("eu:last", SECRET % 0)
        world.start(MEMBERS[1])
        world.wait_linked()
        support.wait_until(lambda: world.client(MEMBERS[1]).get("eu:last"), 20, "it did not come back")
        for i in range(5):
            world.client(i).save()
        for i in OTHERS:
            client = world.client(i)
            assert client.keys("eu:*") == []
            for command in (("GET", "eu:1"), ("SET", "eu:1", "x"), ("DEL", "free:1", "eu:1"), ("TTL", "eu:1")):
                error = refused(lambda c=client, k=command: c.execute_command(*k), "")
                assert error.startswith("FENCED") or error.startswith("CROSSSLOT"), error
            assert "eu-de, jp-tok" in refused(lambda c=client: c.get("eu:1"), "FENCED")
        for i in range(5):
            world.kill(i, signal.SIGTERM)
        assert_within(world, taps, count)
        # what has no fence came to each of the others, at whomever it took it: the search reads what they were sent
        for i in OTHERS:
            wire = b"".join(wire_of(taps[i, j]) for j in range(5) if j != i)
            missing = [number for number in range(count) if FREE % number not in wire]
            assert not missing, (i, missing[:5], len(missing))


def wire_of(tap):
    return b"".join(bytes(stream) + batches_of(stream) for stream in list(tap.streams))


def assert_within(world, taps, count):
    """The values, and the key eu:hash, are in no file and in no traffic of who is no member; the same search finds them within."""
    for i in OTHERS:
        for path, content in files_of(world, i):
            assert not holds_a_secret(content, count), path
            assert b"eu:hash" not in content, path
    for i in MEMBERS:
        assert any(holds_a_secret(content, count) for _, content in files_of(world, i))
    for (i, j), tap in taps.items():
        within = i in MEMBERS and j in MEMBERS
        assert holds_a_secret(wire_of(tap), count) == within, (i, j)


def test_who_is_filled_anew_outside_gets_nothing_of_the_fence():
    """A region that is no member is bootstrapped, by a member: the objects come without those of the fence."""
    world, taps = tapped_world(FENCE.replace("every: 1s", "log: 1MB, every: 1s"), "everysec, retain: 4MB")
    new, count = OTHERS[-1], 300
    with world:
        for i in range(4):
            world.spawn(i)
        for i in range(4):
            world.wait_ready(i)
        world.wait_linked()
        world.client(MEMBERS[1]).set("eu:other", SECRET % 0)
        client = world.client(MEMBERS[0])
        for number in range(count):
            client.set(f"eu:{number}", SECRET % number)
            client.hset("eu:hash", f"field{number}", SECRET % number)
            client.set(f"free:{number}", "x" * 50 + str(number))
        client.hset("free:hash", mapping={f"field{number}": number for number in range(2000)})
        before = [world.status(i)["log"]["start_bytes"] for i in range(4)]

        def log_is_dropped():
            with client.pipeline(transaction=False) as pipeline:
                for number in range(500):
                    pipeline.set(f"eu:more:{number}", SECRET % (number % count) + os.urandom(300))
                    pipeline.set(f"more:{number}", os.urandom(300))
                pipeline.execute()
            return all(world.status(i)["log"]["start_bytes"] > before[i] for i in range(4))
        support.wait_until(log_is_dropped, 60, "no log was dropped")
        for i in (j for j in OTHERS if j != new):       # only members are left to fill it
            world.kill(i, signal.SIGTERM)
        world.start_quietly(new)
        support.wait_until(lambda: "ev=bootstrap.done" in world.log(new), 60, "it was not filled")
        assert any(f"ev=bootstrap.feeds peer={world.names[new]}" in world.log(i) for i in MEMBERS)
        support.wait_until(lambda: len(world.client(new).keys("free:*")) == count + 1, 20, "what is free did not come")
        assert world.client(new).hlen("free:hash") == 2000
        assert world.client(new).keys("eu:*") == []
        assert "FENCED" in refused(lambda: world.client(new).get("eu:1"), "FENCED")
        world.client(new).save()
        for i in (*MEMBERS, new):
            world.kill(i, signal.SIGTERM)
        assert_within(world, taps, count)
        status, out, err = support.run("audit", "--config", world.config, *(world.data_dir(i) for i in range(5)))
        assert (status, err) == (0, ""), (out, err)


def test_groups_and_results_stay_within_a_fence():
    with support.World(regions=5, extra=FENCE) as world:
        world.wait_linked()
        client = world.client(1)
        client.set("eu:a", "1")
        client.rpush("eu:list", "1", "2")
        client.set("free", "1")
        assert client.mget("eu:a", "eu:b") == ["1", None]
        refused(lambda: client.mget("eu:a", "free"), "CROSSSLOT")
        refused(lambda: client.mset({"eu:a": "1", "free": "2"}), "CROSSSLOT")
        for command in (("COPY", "eu:a", "free"), ("RENAME", "eu:a", "free"), ("LMOVE", "eu:list", "list", "LEFT", "LEFT"),
                        ("SORT", "eu:list", "STORE", "list"), ("SUNIONSTORE", "set", "eu:set")):
            refused(lambda c=command: client.execute_command(*c), "FENCED")
        assert client.execute_command("COPY", "eu:a", "eu:b") == 1
        pipeline = client.pipeline(transaction=True)
        pipeline.set("eu:a", "2").set("free", "2")
        try:
            pipeline.execute()
            raise AssertionError("it was run")
        except redis.ResponseError:
            pass
        assert client.get("eu:a") == "1" and client.get("free") == "1"
        pipeline = client.pipeline(transaction=True)
        pipeline.set("eu:a", "3").incr("eu:b").get("eu:a")
        assert pipeline.execute() == [True, 2, "3"]
        # expiry and flushes follow their keys' fence
        client.set("eu:gone", "1", px=100)
        client.set("gone", "1", px=100)
        support.wait_until(lambda: client.get("eu:gone") is None and client.get("gone") is None, 10, "it stayed")
        client.flushall()
        support.wait_until(lambda: all(world.client(i).dbsize() == 0 for i in range(5)), 20, "it was not flushed everywhere")


def test_bytes_of_the_fence_survive_kills():
    with support.World(regions=5, extra=FENCE, fsync="always") as world:
        world.wait_linked()
        for round_ in range(3):
            for i in MEMBERS:
                client = world.client(i)
                for number in range(50):
                    client.set(f"eu:{round_}:{i}:{number}", number)
                    client.incr("eu:counter")
                    client.incr("counter")
            world.kill(MEMBERS[round_ % 2])
            world.start(MEMBERS[round_ % 2])
            world.wait_linked()
        for i in MEMBERS:
            support.wait_until(lambda i=i: world.client(i).get("eu:counter") == "300", 20, "the counter differs")
            assert len(world.client(i).keys("eu:*:*")) == 300
        for i in range(5):
            support.wait_until(lambda i=i: world.client(i).get("counter") == "300", 20, "the counter differs")


if __name__ == "__main__":
    support.main(globals())
