#!/usr/bin/python3
"""README's tour, command by command, in a real demo world: what it promises is what a newcomer sees."""
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time

import support

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATIENCE_S = 20 if os.environ.get("MERIDIAN_SANITIZED") else 10


def steps():
    """(command, expected lines) of every "    $ command" in README; prose ends what a command prints."""
    found = []
    in_block = False
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as readme:
        for line in readme:
            if line.startswith("    $ "):
                found.append((line[6:].split("  #")[0].strip(), []))
                in_block = True
            elif line.startswith("    ") and in_block:
                found[-1][1].append(line.strip())
            elif line.strip():
                in_block = False
    return found


def command_for(text, port):
    words = shlex.split(text)
    words = [str(port + int(word) - 7001) if re.fullmatch(r"700\d", word) else word for word in words]
    if words[0] == "build/meridian":
        where = ["--http", f"127.0.0.1:{port + 2000}"] if words[1] == "status" else ["--port", str(port)]
        return [support.BINARY] + words[1:] + where
    return [words[0], "--no-raw"] + words[1:]


def normal(lines):
    """Members of a set come in any order."""
    return sorted(re.sub(r"^\d+\) ", "", line.strip()) for line in lines if line.strip())


def run(command, expected):
    """Runs a command that writes once, one that reads until it says what is expected."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        said = done.stdout.splitlines()
        if done.returncode == 0 and (not expected or normal(said) == normal(expected)):
            return
        reads = any(word in command for word in ("GET", "SMEMBERS", "EXISTS"))
        if not reads or time.monotonic() > deadline:
            raise AssertionError(f"{' '.join(command)}: expected {expected}, got {said} {done.stderr}")
        time.sleep(0.05)


def base_port():
    """A port such that the demo's ports of three regions are free: clients, peers at +1000, HTTP at +2000."""
    for base in range(11000 + os.getpid() % 500 * 10, 28000, 10):
        try:
            for port in (base + kind + i for kind in (0, 1000, 2000) for i in range(3)):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
    raise AssertionError("no free ports for a demo world")


def test_the_tour_of_the_readme():
    port = base_port()
    demo = subprocess.Popen([support.BINARY, "demo", "--port", str(port)], stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(3):
            assert "redis-cli -p" in demo.stdout.readline()
        todo = steps()
        assert len(todo) >= 12, "the tour is not found in README.md"
        for text, expected in todo:
            run(command_for(text, port), expected)
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(timeout=30)


if __name__ == "__main__":
    sys.exit(support.main(globals()))
