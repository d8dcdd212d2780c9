#!/usr/bin/env python3
"""What concurrent commands end in: tests/cases/semantics.cases, over three real regions.

All cases run at once, each on keys of its own, and those that must be alone one after the other. The same file is run
by src/sim/cases_test.c, in the simulator.
"""
import os
import re
import time

import redis

import casefile
import support

CASES = os.path.join(support.ROOT, "tests", "cases", "semantics.cases")
SEMANTICS = os.path.join(support.ROOT, "docs", "semantics.md")
KEYSPACES = """keyspaces:
  - { prefix: 'closed:', streams: closed }
  - { prefix: 'siblings:', conflict: siblings }
"""

PAUSE_SECONDS = 0.02        # far more than clocks of one machine differ
LATE_MS = (2500, 10000, 60000)      # deadline set in a base; extended right after the cut, before it ends, or all again
PASS_SECONDS = 5            # until heartbeats have told every region's time


class TooSlow(Exception):
    """The deadlines of a base have passed before they were extended."""


class Run:
    """One case in one order of stamps, on its own keys."""

    def __init__(self, late_ms, case, order, number):
        self.name = case.name if "order" in case.properties else f"{case.name} ({order})"
        self.case = case
        self.order = order
        self.prefix = f"{case.properties.get('prefix', '')}case{number}:"
        self.late_ms = late_ms
        self.names = {"late": str(late_ms)}
        self.clients = None
        self.waiting = []
        self.wrong = []

    def watches(self):
        return any(command.words[0] == "WATCH" for step in self.case.steps.values() for command in step)

    def resolve(self, word):
        if word[0] == "@":
            return self.prefix + word[1:]
        return self.names.get(word[1:], word) if word[0] == "$" else word

    def words(self, command):
        return [self.resolve(word) for word in command.words]

    def run(self, step):
        for command in self.case.steps[step]:
            self.ask(command)

    def ask(self, command):
        self.take(command, [ask(self.clients[command.region], self.words(command))])

    def take(self, command, answers):
        if command.answer and command.answer[0] == "$":
            self.names[command.answer[1:]] = answers[0]
        elif not casefile.fits(answers, command.answer, self.resolve):
            self.wrong.append(f"{command!r}: {answers!r}")

    def begin_waits(self, world):
        for command in self.case.steps["waits"]:
            client = raw(world, "ABC".index(command.region))
            client.connection.send_command(*self.words(command))
            self.waiting.append((command, client))

    def end_waits(self):
        for command, client in self.waiting:
            answered = client.connection.can_read(0)
            self.take(command, [client.connection.read_response() if answered else casefile.Waiting()])
            client.connection.disconnect()
        self.waiting.clear()

    def judge(self):
        """Whether every region answers as expected; what is wrong is remembered."""
        before = len(self.wrong)
        for command in self.case.steps["expect"]:
            self.take(command, [ask(client, self.words(command)) for client in self.clients.values()])
        return len(self.wrong) == before

    def judge_soon(self):
        """The same, when every region has heard of the others' time."""
        before = len(self.wrong)
        end = time.monotonic() + PASS_SECONDS
        while not self.judge() and time.monotonic() < end:
            del self.wrong[before:]
            time.sleep(0.1)


def raw(world, i):
    """A client on one connection, which gives answers as they are."""
    client = world.client(i, decode_responses=False, single_connection_client=True)
    client.response_callbacks.clear()
    return client


def raw_clients(world):
    return {name: raw(world, i) for i, name in enumerate("ABC")}


def ask(client, words):
    """The answer, which may be an error."""
    try:
        return client.execute_command(*words)
    except redis.ResponseError as error:
        return error


def cut_all(world):
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        world.cut(a, b)


def heal_all(world):
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        world.heal(a, b)
    world.wait_equal()


def play(world, runs):
    """All steps of the runs, side by side; returns how many failed."""
    clients = raw_clients(world)
    begun = time.monotonic()
    for run in runs:
        run.clients = raw_clients(world) if run.watches() else clients
        run.run("base")
    world.wait_equal()
    for run in runs:
        run.begin_waits(world)

    cut_all(world)
    down = {"ABC".index(run.case.properties["down"]) for run in runs if "down" in run.case.properties}
    for i in down:
        world.kill(i)
    for turn in (0, 1):
        for run in runs:
            run.run(run.order[turn].upper())
        time.sleep(PAUSE_SECONDS)
    for run in runs:
        run.run("C")
    if any("$late" in command.words for run in runs for command in run.case.steps["base"]):
        late_seconds = runs[0].late_ms / 1000
        if time.monotonic() - begun > late_seconds:
            raise TooSlow
        time.sleep(late_seconds + 0.1)
    for run in runs:
        run.run("late")

    for i in down:
        world.start(i)
        for run in runs:
            run.clients["ABC"[i]] = raw(world, i)
    heal_all(world)
    finish(world, runs)
    wrong = [run for run in runs if run.wrong]
    for run in wrong:
        print(f"FAILED {run.name}: " + "; ".join(run.wrong), flush=True)
    return len(wrong)


def finish(world, runs):
    """From the heal on. What a command of `then` writes is everywhere before the next one is run."""
    for at in range(max(len(run.case.steps["then"]) for run in runs)):
        for run in runs:
            for command in run.case.steps["then"][at:at + 1]:
                run.ask(command)
        world.wait_equal()
    for run in runs:
        run.judge_soon()
        run.end_waits()


def play_every_case(late_ms):
    """How many failed, or None when the machine is too slow for this deadline."""
    cases = [case for case in casefile.read(CASES)[0] if case.properties.get("only") != "simulator"]
    runs = [Run(late_ms, *numbered) for numbered in casefile.numbered(cases)]
    alone = [run for run in runs if "alone" in run.case.properties]
    with support.World(extra=KEYSPACES) as world:
        world.wait_linked()
        try:
            failed = play(world, [run for run in runs if run not in alone])
            failed += sum(play(world, [run]) for run in alone)
        except TooSlow:
            return None
        print(f"{len(runs) - failed} of {len(runs)} cases as expected", flush=True)
        return failed


def test_every_case():
    for late_ms in LATE_MS:
        failed = play_every_case(late_ms)
        if failed is not None:
            break
        print(f"     too slow for deadlines after {late_ms} ms", flush=True)
    assert failed == 0, failed


def rows_of(path):
    """The first cell of every row of the tables in a page of Markdown."""
    with open(path, encoding="utf-8") as file:
        cells = [line.split(" | ")[0][1:].strip() for line in file if line.startswith("| ")]
    return [cell for cell in cells if cell != "case"]


def test_every_row_of_the_declared_semantics_has_its_cases():
    rows, declared = casefile.read(CASES)[1], rows_of(SEMANTICS)
    assert set(rows) == set(declared), f"without cases: {set(declared) - set(rows)}; gone: {set(rows) - set(declared)}"
    for row, (cases, others) in rows.items():
        assert cases or others, f"no case for: {row}"
        for path, words in others:
            with open(os.path.join(support.ROOT, path), encoding="utf-8") as file:
                assert words in file.read(), f"{path} has no: {words}"


def test_flushall_spares_what_it_had_not_seen():
    with support.World() as world:
        world.wait_linked()
        clients = [world.client(region) for region in range(3)]
        clients[0].set("old", "v")
        world.wait_equal()
        cut_all(world)
        clients[1].set("k", "v")
        clients[0].flushall()
        heal_all(world)
        assert [client.keys() for client in clients] == [["k"]] * 3


def test_an_expired_key_does_not_come_back_with_a_region_that_was_down():
    with support.World() as world:
        world.wait_linked()
        world.client(0).set("short", "v", px=1500)
        world.wait_equal()
        world.kill(2)
        time.sleep(1.6)
        assert [world.client(region).exists("short") for region in (0, 1)] == [0, 0]
        world.start(2)
        assert world.client(2).exists("short") == 0
        world.wait_equal()
        assert [world.client(region).exists("short") for region in range(3)] == [0, 0, 0]


if __name__ == "__main__":
    support.main(globals())
