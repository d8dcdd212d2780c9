#!/usr/bin/env python3
"""The shim of tests/shim itself: what is synced stays, what is not may go, and nothing else ever comes out.

SEED=n repeats the choices of a run.
"""
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import contextmanager

import support
from shim.power import Disk

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
BEGIN = """
import os, sys
directory = os.environ["POWER_DIR"]
os.chdir(directory)
def opened(name, flags=0):
    return os.open(name, os.O_RDWR | os.O_CREAT | flags)
def sync_names(path="."):
    os.fsync(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
"""


@contextmanager
def new_disk():
    directory = tempfile.mkdtemp(prefix="meridian-shim-")
    try:
        yield Disk(directory)
    finally:
        shutil.rmtree(directory)


def under(disk, code):
    """Runs Python under the shim; returns what it printed."""
    done = subprocess.run([sys.executable, "-c", BEGIN + textwrap.dedent(code)], env=disk.environment(sync_us=0),
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def content(disk, name):
    path = os.path.join(disk.dir, name)
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        return file.read()


def durable_file(disk, name, text):
    """A file that was there before."""
    with open(os.path.join(disk.dir, name), "w", encoding="ascii") as file:
        file.write(text)


def test_what_is_not_synced_is_lost():
    with new_disk() as disk:
        under(disk, """
            a = opened("a"); sync_names()
            os.pwrite(a, b"synced", 0); os.fdatasync(a)
            os.pwrite(a, b"SYN", 0); os.write(a, b"more"); os.pwritev(a, [b"x" * 10, b"y" * 10], 100)
            b = opened("b"); os.write(b, b"never"); os.fsync(b)
            """)
        assert content(disk, "a")[:4] == b"more" and content(disk, "b") == b"never"
        print(disk.lose(SEED, "all"))
        assert content(disk, "a") == b"synced", content(disk, "a")
        assert content(disk, "b") is None, "a name is durable only when its directory is"


def test_nothing_is_lost_of_what_is_synced():
    with new_disk() as disk:
        under(disk, """
            os.mkdir("d"); sync_names()
            a = opened("d/a"); os.pwrite(a, b"1" * 3000, 500); os.posix_fallocate(a, 0, 9000)
            os.rename("d/a", "d/b"); os.fsync(a); sync_names("d")
            """)
        disk.lose(SEED, "all")
        assert content(disk, "d/b") == bytes(500) + b"1" * 3000 + bytes(5500)
        assert content(disk, "d/a") is None


def test_a_descriptor_that_writes_through_makes_only_its_own_writes_durable():
    with new_disk() as disk:
        durable_file(disk, "a", "0" * 2000)
        under(disk, """
            a, through = opened("a"), opened("a", os.O_DSYNC)
            os.pwrite(a, b"1" * 500, 0); os.pwrite(through, b"2" * 500, 250); os.pwrite(a, b"3" * 500, 500)
            """)
        disk.lose(SEED, "all")
        assert content(disk, "a") == b"0" * 250 + b"2" * 500 + b"0" * 1250


def test_names_come_back():
    with new_disk() as disk:
        durable_file(disk, "old", "old")
        durable_file(disk, "gone", "gone")
        under(disk, """
            os.unlink("gone")
            new = opened("new"); os.write(new, b"new"); os.fsync(new); os.rename("new", "old")
            os.mkdir("d"); opened("d/inside"); sync_names("d")
            """)
        assert content(disk, "old") == b"new"
        disk.lose(SEED, "all")
        assert sorted(os.listdir(disk.dir)) == ["gone", "old"]
        assert content(disk, "old") == b"old" and content(disk, "gone") == b"gone"


def test_sizes_come_back():
    with new_disk() as disk:
        durable_file(disk, "a", "0123456789" * 20000)
        durable_file(disk, "b", "0123456789" * 20000)
        under(disk, """
            a = opened("a"); os.ftruncate(a, 3); os.pwrite(a, b"x" * 100, 50)
            b = opened("b", os.O_TRUNC); os.write(b, b"y"); os.posix_fallocate(b, 0, 1 << 20)
            """)
        disk.lose(SEED, "all")
        assert content(disk, "a") == content(disk, "b") == b"0123456789" * 20000


def test_a_torn_write_leaves_whole_sectors_of_either():
    seen = set()
    rng = random.Random(SEED)
    for _ in range(30):
        with new_disk() as disk:
            durable_file(disk, "a", "0" * 4096)
            under(disk, """os.pwrite(opened("a"), b"1" * 3000, 700)""")
            disk.lose(rng.random(), "some")
            found = content(disk, "a")
            assert len(found) == 4096 and found[:700] == b"0" * 700 and found[3700:] == b"0" * 396
            sectors = [found[max(start, 700):min(start + 512, 3700)] for start in range(512, 3700, 512)]
            assert all(len(set(sector)) == 1 for sector in sectors), sectors
            seen.add("".join(chr(sector[0]) for sector in sectors))
    assert {"0" * 7, "1" * 7} < seen, f"never wholly lost, kept and torn: {seen} (SEED={SEED})"


def test_a_sync_that_failed_saves_nothing_also_not_by_the_next():
    with new_disk() as disk:
        disk.fault("fail sync 1 once EIO a")
        out = under(disk, """
            a = opened("a"); sync_names(); os.pwrite(a, b"1111", 0)
            try: os.fdatasync(a)
            except OSError as error: print(error.strerror)
            os.fdatasync(a); print(os.pread(a, 4, 0))
            os.pwrite(a, b"22", 2); os.fdatasync(a)
            """)
        assert out == "Input/output error\nb'1111'\n", out
        disk.lose(SEED, "all")
        assert content(disk, "a") == b"\0\x0022", content(disk, "a")


def test_faults_come_when_they_are_asked_for():
    with new_disk() as disk:
        disk.fault("full 1000 *.log", "fail write 2 on EIO b", "fail rename 1 once EACCES *", "space 10 c")
        out = under(disk, """
            def tried(what, *arguments):
                try: print(what(*arguments))
                except OSError as error: print(error.strerror)
            a, b = opened("a.log"), opened("b")
            for _ in range(3): tried(os.write, a, b"x" * 600)
            for _ in range(3): tried(os.write, b, b"x")
            tried(opened, "c.log")
            for _ in range(2): tried(os.rename, "b", "d")
            c = opened("c")
            for _ in range(3): tried(os.pwrite, c, b"123456", 0)
            tried(os.pwrite, c, b"123456", 6)
            tried(os.posix_fallocate, c, 0, 100)
            os.remove(os.environ["POWER_FAULTS"])
            tried(os.write, a, b"x" * 600)
            """)
        full = "No space left on device"
        assert out.splitlines() == ["600", "400", full, "1", "Input/output error", "Input/output error", full,
                                    "Permission denied", "None", "6", "6", "6", "4", full, "600"], out


WRITER = """
import threading
def work(number):
    fd = opened(f"f{number % 2}")
    sync_names()
    base = number // 2 * 4096
    value = max(os.pread(fd, 4096, base) or b"\\0")
    while True:
        value = value % 250 + 1
        for part in range(4):
            os.pwrite(fd, bytes([value]) * 1024, base + 1024 * part)
        sys.stdout.write(f"{number} {value} 0\\n"); sys.stdout.flush()
        os.fdatasync(fd)
        sys.stdout.write(f"{number} {value} 1\\n"); sys.stdout.flush()
for number in range(4): threading.Thread(target=work, args=[number]).start()
"""


def run_and_kill(disk, seconds):
    """Four writers of one process, killed; for each: (the value that was written last, the one synced last)."""
    process = subprocess.Popen([sys.executable, "-c", BEGIN + WRITER], env=disk.environment(sync_us=300),
                               stdout=subprocess.PIPE, text=True)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    told = {}
    for line in process.communicate()[0].splitlines(keepends=True):
        if line.endswith("\n"):
            number, value, synced = map(int, line.split())
            told.setdefault(number, [0, 0])[synced] = value
    return told


def test_killed_at_any_moment_everything_synced_is_there_and_nothing_else():
    rng = random.Random(SEED)
    for number in range(8):
        with new_disk() as disk:
            told = {}
            for _ in range(rng.randrange(1, 3)):    # also with a process that was killed before, without a loss
                told.update(run_and_kill(disk, rng.uniform(0.05, 0.4)))
            mood = rng.choice(["all", "some"])
            disk.lose(rng.random(), mood)
            for writer, (_, synced) in told.items():
                where = (content(disk, f"f{writer % 2}") or b"")[writer // 2 * 4096:][:4096]
                values = set(where) - {0} if not synced else set(where)
                # Killed before it could say so, a process may have written one more, and synced it.
                allowed = {synced, synced % 250 + 1, (synced + 1) % 250 + 1} if synced else {1, 2}
                assert values <= allowed, f"round {number}, {mood}: {values} but {allowed} (SEED={SEED})"


if __name__ == "__main__":
    print(f"SEED={SEED}")
    support.main(globals())
