#!/usr/bin/env python3
"""Fences that are changed in the configuration: what is refused, and what may be done by one restart after the other."""
import re
import shutil
import signal
import subprocess

import redis

import loading_test
import support
from backup_test import flip

GDPR = {"gdpr": ["us-east", "eu-de"]}
EU = {"eu:": "gdpr"}


def extra(fences, prefixes):
    lines = ["fences:"] + [f"  {name}: [{', '.join(members)}]" for name, members in fences.items()]
    lines += ["keyspaces:", '  - { prefix: "" }'] + [f'  - {{ prefix: "{p}", fence: {f} }}' for p, f in prefixes.items()]
    return "\n".join(lines + ["checkpoint: { every: 1s }"])


class World(support.World):
    """Regions whose files differ: each has a configuration of its own."""

    def __init__(self, regions=3, fences=GDPR, prefixes=EU):
        self.files = {}
        super().__init__(regions=regions, extra=extra(fences, prefixes), start=False)
        with open(self.config, encoding="utf-8") as file:
            self.text = file.read()
        for i in range(regions):
            self.write(i, fences, prefixes)

    def write(self, i, fences, prefixes):
        text = self.text[:self.text.index("fences:")] + extra(fences, prefixes) + "\n"
        self.files[i] = f"{self.dir}/{self.names[i]}.yaml"
        with open(self.files[i], "w", encoding="utf-8") as file:
            file.write(text)

    def command(self, i):
        line = super().command(i)
        line[line.index("--config") + 1] = self.files[i]
        return line

    def start_all(self):
        for i in range(len(self.names)):
            self.spawn(i)
        for i in range(len(self.names)):
            self.wait_ready(i)
        self.wait_linked()

    def refused(self, i):
        """A region that must not come up stops by itself: its one line."""
        if self.processes[i]:
            self.kill(i, signal.SIGTERM)
        done = subprocess.run(self.command(i), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 1, done
        lines = [line for line in done.stderr.splitlines() if "level=info" not in line]
        assert len(lines) == 1, done.stderr
        return lines[0]

    def comes(self, i, key, value="1"):
        support.wait_until(lambda: self.client(i).get(key) == value, 30, f"{key} did not come to {self.names[i]}")

    def problem(self, i, other):
        return next(link.get("problem", "") for link in self.status(i)["links"] if link["region"] == self.names[other])


def flagged(world, i):
    return "ev=fence.differs" in world.log(i)


def fenced(call):
    try:
        call()
    except redis.ResponseError as error:
        return str(error).startswith("FENCED")
    return False


def test_fences_that_moved_or_went_are_refused():
    two = GDPR | {"ocean": ["eu-de", "jp-tok"]}
    with World(fences=two) as world:
        world.start_all()
        world.write(1, {"ocean": two["ocean"], "gdpr": two["gdpr"]}, EU)
        line = world.refused(1)
        assert "fence gdpr is in place 2" in line and "add new ones at the end" in line, line
        world.write(1, {"gdpr": two["gdpr"]}, EU)
        assert "fence ocean, which this directory was written with in place 2" in world.refused(1)
        world.write(1, {"dsgvo": two["gdpr"], "ocean": two["ocean"]}, {"eu:": "dsgvo"})
        assert "fence gdpr, which this directory" in world.refused(1)
        world.write(1, two, EU)
        world.start(1)
        world.wait_linked()


def test_a_key_keeps_its_fence():
    with World() as world:
        world.start_all()
        client = world.client(0)
        client.set("eu:1", "1")
        client.set("us:1", "1")
        client.execute_command("SAVE")
        for prefixes, line in (({}, 'keys of the prefix "eu:" lie in fence gdpr, and would lie in fence global'),
                               (EU | {"us:": "gdpr"}, 'keys of the prefix "us:" lie in fence global, and would lie in fence gdpr'),
                               (EU | {"eu:1": "global"}, 'keys of the prefix "eu:1" lie in fence gdpr')):
            world.write(0, GDPR, prefixes)
            assert line in world.refused(0), prefixes
        world.write(0, GDPR, EU | {"de:": "gdpr", "eu:1": "gdpr"})      # without keys, and with the fence that they have
        world.start(0)
        world.client(0).delete("us:1")
        world.write(0, GDPR, EU | {"de:": "gdpr", "us:": "gdpr"})
        world.restart(0)
        assert world.client(0).get("eu:1") == "1"
        world.client(0).set("us:2", "1")
        world.write(0, GDPR, EU | {"de:": "gdpr"})
        assert "would lie in fence global" in world.refused(0)          # it is remembered
        world.write(0, GDPR, EU | {"de:": "gdpr", "us:": "gdpr"})
        world.start(0)


def flip_value(world, i, text=b"", places=()):
    """In every page of the checkpoint that has it, of which one is read; the places, to be flipped back."""
    path = f"{world.data_dir(i)}/checkpoint/data.mdb"
    with open(path, "rb") as file:
        content = file.read()
    places = places or [found.start() for found in re.finditer(re.escape(text), content)]
    assert places
    for at in places:
        flip(path, at)
    return places


def test_what_cannot_be_read_may_be_a_key_that_would_change_its_fence():
    moved = EU | {"us:": "gdpr"}
    with World(regions=2) as world:
        world.start(0)
        world.client(0).set("us:1", "a value to be found")
        for number in range(100):
            world.client(0).set(f"eu:{number}", number)
        world.kill(0, signal.SIGTERM)           # with a checkpoint
        places = flip_value(world, 0, b"a value to be found")
        world.write(0, GDPR, moved)
        line = world.refused(0)
        assert "damaged" in line and "whether keys would change their fence" in line and "meridian repair" in line, line
        world.write(0, GDPR, EU)                # as before: it serves what is good
        world.start(0)
        assert world.client(0).get("eu:17") == "17"
        world.kill(0, signal.SIGTERM)
        flip_value(world, 0, places=places)
        world.write(0, GDPR, moved)
        assert 'keys of the prefix "us:" lie in fence global' in world.refused(0)


def is_searching(world):
    with open(world.log_path(0), "rb") as log:
        log.seek(world.log_starts[0])
        return b"ev=fences.search" in log.read()


def test_a_region_that_looks_at_its_keys_answers_and_can_be_stopped():
    fences = {"gdpr": ["us-east"]}
    with World(regions=1, fences=fences) as world:
        world.start(0)
        loading_test.fill(world)
        world.kill(0, signal.SIGTERM)
        for start in range(loading_test.STARTS_MAX):        # each puts another prefix into the fence
            world.write(0, fences, EU | {f"new:{start}:": "gdpr"})
            world.spawn(0)
            with loading_test.Connection(world.client_ports[0]) as connection:
                support.wait_until(lambda: is_searching(world), 60, "it does not look at its keys")
                loads = loading_test.LOADING.fullmatch(connection.ask("GET key:1")[0])
                assert world.kill(0, signal.SIGTERM) == 0, world.log(0)[-2000:]
            if loads and not world.is_ready(0):
                break
        else:
            raise AssertionError("no start was stopped while it looked at its keys")
        world.start(0)
        assert world.client(0).get("key:77") == "77"


def test_settings_keep_their_fence_until_they_are_taken_back():
    plain = {"eu:": "gdpr", "cart:": "global"}
    with World(regions=2) as world:
        world.write(0, GDPR, plain)
        world.start(0)
        world.client(0).execute_command("KEYSPACE", "SET", "cart:", "acks", "1")
        world.write(0, GDPR, plain | {"cart:": "gdpr"})
        line = world.refused(0)
        assert 'settings or erasures of the prefix "cart:" lie in fence global' in line and "'default'" in line, line
        world.write(0, GDPR, plain)
        world.start(0)
        world.client(0).execute_command("KEYSPACE", "SET", "cart:", "acks", "default")
        world.write(0, GDPR, plain | {"cart:": "gdpr"})
        world.restart(0)


def test_a_fence_is_appended_by_one_restart_after_the_other():
    new, prefixes = GDPR | {"ocean": ["us-east", "jp-tok"]}, EU | {"sea:": "ocean"}
    with World(regions=4) as world:
        world.start_all()
        world.write(0, new, prefixes)
        world.restart(0)
        world.wait_linked()
        first = world.client(0)
        first.set("sea:1", "1")
        first.set("eu:1", "1")
        first.set("free", "1")                  # after it has seen the others
        for i in (1, 2, 3):                     # who have the old file
            world.comes(i, "free")
            support.wait_until(lambda i=i: "fence ocean" in world.problem(i, 0), 20, "it is not told")
            assert "fence ocean" in world.problem(0, i) and flagged(world, i)
            assert world.client(i).get("sea:1") is None
            world.client(i).set(f"from:{i}", "1")
        world.comes(1, "eu:1")
        for i in (1, 2, 3):
            world.comes(0, f"from:{i}")
            world.write(i, new, prefixes)
            world.restart(i)
        world.wait_linked()
        world.comes(2, "sea:1")
        for i in (1, 3):
            assert fenced(lambda i=i: world.client(i).get("sea:1"))
        assert all(world.problem(i, j) == "" for i in range(4) for j in range(4) if i != j)
        assert "ev=fence.agreed" in world.log(0)


def test_who_means_another_fence_is_sent_nothing_of_it():
    """The third is a member by its own file and the fourth's, and not by those of the others."""
    with World(regions=4, fences={"gdpr": ["us-east", "eu-de", "br-sao"]}) as world:
        wrong = {"gdpr": ["us-east", "eu-de", "jp-tok", "br-sao"]}
        world.write(2, wrong, EU)
        world.write(3, wrong, EU)
        world.start_all()
        world.client(0).set("eu:1", "1")
        world.client(0).set("free", "1")
        world.client(3).set("eu:2", "1")
        world.client(3).set("free:2", "1")
        for i in (1, 2, 3):
            world.comes(i, "free")
        for i in (0, 1, 2):
            world.comes(i, "free:2")            # it does not wait for what the fence holds
        world.comes(1, "eu:1")
        world.comes(2, "eu:2")                  # these two agree with each other
        assert world.client(2).get("eu:1") is None and world.client(3).get("eu:1") is None
        assert world.client(0).get("eu:2") is None
        assert "fence gdpr has other members at jp-tok" in world.problem(0, 2)
        assert world.problem(0, 1) == ""


def test_a_member_leaves_with_nothing():
    with World(fences={"gdpr": ["us-east", "eu-de", "jp-tok"]}) as world:
        world.start_all()
        world.client(0).set("eu:1", "1")
        world.client(0).set("free", "1")
        world.comes(2, "eu:1")
        for i in range(3):
            world.write(i, GDPR, EU)
        for i in (2, 0):
            assert "region jp-tok (number 3) is no member of fence gdpr any more" in world.refused(i)
        closed = world.text = re.sub(r"  - name: jp-tok\n", "  - name: jp-tok\n    id: 4\n", world.text)
        world.text = closed.replace("fences:", "closed: [3]\nfences:", 1)
        for i in range(3):
            world.write(i, GDPR, EU)
        assert "this directory holds what fence gdpr holds" in world.refused(2)
        shutil.rmtree(world.data_dir(2))
        for i in range(2):
            world.spawn(i) if not world.processes[i] else world.restart(i)
        world.spawn(2)
        for i in range(3):
            world.wait_ready(i)
        world.wait_linked()
        world.comes(2, "free")
        assert fenced(lambda: world.client(2).get("eu:1"))
        assert world.client(0).get("eu:1") == "1"


def test_who_becomes_a_member_takes_what_the_fence_holds():
    with World() as world:
        world.start_all()
        for number in range(200):
            world.client(number % 2).set(f"eu:{number}", number)
        world.client(2).set("mine", "1")
        world.client(0).execute_command("SAVE")
        new = {"gdpr": ["us-east", "eu-de", "jp-tok"]}
        world.write(2, new, EU)
        world.kill(2, signal.SIGTERM)
        world.start_quietly(2)                  # the others do not know of it yet
        support.wait_until(lambda: "ev=bootstrap.waits" in world.log(2), 20, "it does not say that it waits")
        try:
            world.client(2).get("eu:1")
            raise AssertionError("it answers what it has not")
        except (redis.BusyLoadingError, redis.ResponseError) as error:
            assert "member of a fence" in str(error), error
        for i in (0, 1):
            world.write(i, new, EU)
            world.restart(i)
        support.wait_until(lambda: "ev=bootstrap.done" in world.log(2), 60, "it was not bootstrapped")
        support.wait_until(world.links_up, 30, "not all links are up")
        world.comes(2, "eu:199", "199")
        assert len(world.client(2).keys("eu:*")) == 200 and world.client(2).get("mine") == "1"
        world.client(2).set("eu:new", "1")
        world.comes(0, "eu:new")
        world.restart(2)                        # once is enough
        assert world.client(2).get("eu:new") == "1"


def test_a_region_that_nobody_can_fill_says_so():
    with World(fences={"gdpr": ["eu-de"], "ocean": ["us-east", "jp-tok"]}) as world:
        world.start_all()
        for i in range(3):
            world.write(i, {"gdpr": ["eu-de", "jp-tok"], "ocean": ["us-east", "jp-tok"]}, EU | {"oc:": "ocean"})
        status, out, warning = support.run("check", world.files[2])
        assert status == 0 and "ok" in out
        assert "warning: no other region is a member of all fences of jp-tok" in warning
        assert warning.count("warning") == 1, warning
        for i in (0, 1):
            world.restart(i)
        world.client(0).set("oc:1", "1")        # of a fence without anything nothing would be missed
        world.client(1).set("eu:1", "1")
        world.kill(2, signal.SIGTERM)
        world.start_quietly(2)
        support.wait_until(lambda: "no other region is a member of all fences" in world.log(2), 20, "its log does not say it")
        assert "no other region is a member of all fences" in world.status(2)["bootstrap"]["waits"]
        assert "waits to be filled: no other region" in support.run("status", "--http", f"127.0.0.1:{world.http_ports[2]}")[1]
        for i in range(2):
            assert world.client(i).set("free", "1")


if __name__ == "__main__":
    support.main(globals())
