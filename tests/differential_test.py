#!/usr/bin/env python3
"""The data commands, side by side with Redis 7.0: random sequences must be answered alike.

Starts a redis-server and a Meridian of one region on free loopback ports, sends both the same commands, and compares every
reply in type and content, over RESP2 and RESP3. What has no order is compared without one; random choices are checked to be
choices; times and float sums may differ by a little. Where an answer left the two in different states (a random pop, the last
digits of a float) both are set to the same again.

    MERIDIAN=build/meridian tests/differential_test.py
    SEED=n to repeat a run, COMMANDS=n for another length, FAMILIES="keys lists" for some command families only (the
    modules of differential/). Without a redis-server there is nothing to compare with: it says so
    and passes.
"""
import os
import random
import sys
import tempfile
import time

import differential
from differential.pair import Mismatch, Pair
from differential.servers import REDIS, start

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
COMMANDS = int(os.environ.get("COMMANDS", "20000"))


def mutated(rng, command):
    """Now and then an argument too few or too many."""
    if callable(command) or rng.randrange(100) >= 2:
        return command
    return command[:-1] if len(command) > 1 and rng.randrange(2) else command + [b"7"]


def run(servers, rng, classes):
    everything = [c for _, c in sorted(differential.families().items())]
    pools = [c.KEYS for c in everything if c.KEYS and not c.ALONE]
    families = [c(rng, pools) for c in classes]
    makers = [maker for family in families for maker in family.makers()]
    alike = {name: how for c in everything for name, how in c.alike.items()}
    checks = {name: how for c in everything for name, how in c.checks.items()}
    for protocol in (b"2", b"3"):
        pair = Pair(servers, protocol, alike, checks)
        pair.both(b"FLUSHALL")
        for _ in range(COMMANDS // 2):
            pair.run(mutated(rng, rng.choice(makers)()))
        pair.settle()
        pair.close()


def main():
    if not os.access(REDIS, os.X_OK):
        print("there is no %s to compare with" % REDIS)
        return 1
    print("SEED=%d" % SEED, flush=True)
    began = time.monotonic()
    known = differential.families()
    asked = os.environ.get("FAMILIES", " ".join(sorted(known))).split()
    with tempfile.TemporaryDirectory() as folder:
        servers = start(folder)
        try:
            run(servers, random.Random(SEED), [known[name] for name in asked])
        except (Mismatch, ConnectionError, TimeoutError) as error:
            print("not ok: %s" % error)
            time.sleep(0.2)
            print("exit status, of redis and meridian: %s" % [server.process.poll() for server in servers])
            with open(servers[1].log, errors="replace") as log:
                print("the server's log ends with:\n" + log.read()[-1500:])
            return 1
        finally:
            for server in servers:
                server.stop()
    print("ok: %d commands answered alike in %.1f s" % (COMMANDS, time.monotonic() - began))
    return 0


if __name__ == "__main__":
    sys.exit(main())
