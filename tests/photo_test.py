#!/usr/bin/env python3
"""A photo in one region, a comment on it in a second by somebody who has seen it: a third never has the comment without the photo.

FULL=1: ten thousand rounds. The link between the first and the third region is slow.
"""
import os
import threading

import support
from support import World

ROUNDS = 10000 if os.environ.get("FULL") == "1" else 400
THREADS = 20
SLOW_MS = 60


class Rounds(threading.Thread):
    def __init__(self, world, first, count):
        super().__init__(daemon=True)
        self.clients = [world.client(i) for i in range(3)]
        self.numbers = range(first, first + count)
        self.alone, self.done, self.problem = [], 0, None

    def see(self, i, key):
        support.wait_until(lambda: self.clients[i].get(key) is not None, 60, f"{key} did not come to region {i}")

    def run(self):
        at_a, at_b, at_c = self.clients
        try:
            for number in self.numbers:
                at_a.set(f"photo:{number}", "picture")
                self.see(1, f"photo:{number}")
                at_b.set(f"comment:{number}", "nice")
                self.see(2, f"comment:{number}")
                if at_c.get(f"photo:{number}") is None:
                    self.alone.append(number)
                self.done += 1
        except Exception as problem:            # told by the thread that judges
            self.problem = problem


def test_a_comment_is_never_seen_without_its_photo():
    with World(regions=3) as world:
        world.wait_linked()
        world.client(0).execute_command("LINK", "SLOW", world.names[0], world.names[2], SLOW_MS)
        threads = [Rounds(world, i * (ROUNDS // THREADS), ROUNDS // THREADS) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        problems = [thread.problem for thread in threads if thread.problem]
        assert not problems, problems
        alone = sum((thread.alone for thread in threads), [])
        assert alone == [], f"{len(alone)} of {ROUNDS}: {alone[:5]}"
        assert sum(thread.done for thread in threads) == ROUNDS
        print(f"     {ROUNDS} rounds, {SLOW_MS} ms between {world.names[0]} and {world.names[2]}, none alone")


if __name__ == "__main__":
    support.main(globals())
