"""Topologies: who takes writes at whom, what goes over which link, and what happens round a cut."""
import csv
import os
import random
import time

import redis

import support

REGIONS = 5
# regions of the world of data/wan.csv by the land they lie on, of those that tests use
LANDS = {"us-east": "america", "us-south": "america", "ca-tor": "america", "br-sao": "america", "eu-de": "europe", "eu-gb": "europe",
         "jp-tok": "asia", "au-syd": "asia"}


def world_of(topology, regions=REGIONS, **options):
    world = support.World(regions=regions, extra=f"topology: {topology}", **options)
    world.wait_linked()
    return world


def links(world, i):
    """LINK LIST of a region, by the other's name."""
    found = {}
    for entry in world.client(i).execute_command("LINK", "LIST"):
        link = entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2]))
        found[link["region"]] = link
    return found


def takes(world, i):
    """Owner -> the names of those at whom a region takes its writes."""
    found = {}
    for at, link in links(world, i).items():
        for owner in link["takes"]:
            found.setdefault(owner, []).append(at)
    return found


def running(world):
    return [i for i, process in enumerate(world.processes) if process]


def each_is_taken_once(world):
    for i in running(world):
        found = takes(world, i)
        if any(len(found.get(world.names[j], [])) != (i != j) for j in running(world)):
            return False
    return True


def is_relayed(world):
    return any(route["relay"] for i in running(world) for route in world.status(i)["topology"]["routes"])


def wait_settled(world, seconds=30):
    """By plan alone, each region's writes at one peer."""
    support.wait_until(lambda: not is_relayed(world) and each_is_taken_once(world), seconds, "the topology did not settle")


def wait_takes(world, i, wanted, seconds=30):
    """A busy machine may for a moment ask round a link that is slow to answer."""
    support.wait_until(lambda: takes(world, i) == wanted, seconds, f"{world.names[i]} did not take {wanted}")


def write_everywhere(world, word, count=50):
    for i in running(world):
        client = world.client(i)
        with client.pipeline(transaction=False) as pipeline:
            for number in range(count):
                pipeline.set(f"{word}:{i}:{number}", f"{word} of {world.names[i]}")
                pipeline.incr(f"{word}:counter")
            pipeline.execute()


def lags(world, i):
    return {link["region"]: link.get("lag_ms") for link in links(world, i).values()}


def all_are_heard(world, within_ms=2000):
    """Heartbeats come from everybody, over whomever."""
    return all(lag is not None and float(lag) < within_ms for i in running(world) for lag in lags(world, i).values())


def topologies(world_names):
    return ["mesh", "ring", "chain", "{ kind: star, centre: %s }" % world_names[2], "star", "auto"]


def test_every_topology_converges():
    for topology in topologies(support.NAMES):
        with world_of(topology) as world:
            wait_settled(world)
            write_everywhere(world, "first")
            world.wait_equal()      # else what nobody else had is lost with the process
            world.kill(3)
            write_everywhere(world, "second")
            world.start(3)
            write_everywhere(world, "third")
            contents = world.wait_equal()
            assert contents[b"first:counter"][1] == b"%d" % (REGIONS * 50), (topology, contents[b"first:counter"])
            world.wait_linked()
            wait_settled(world)
            support.wait_until(lambda w=world: all_are_heard(w), 20, "somebody is not heard")
            kind = world.status(0)["topology"]["kind"]
            assert kind in topology, kind


def test_a_hierarchy_flows_along_parents():
    with support.World(regions=4, start=False) as world:
        with open(world.config, encoding="utf-8") as file:
            text = file.read()
        for below, above in (("jp-tok", "us-east"), ("br-sao", "jp-tok")):
            text = text.replace(f"  - name: {below}\n", f"  - name: {below}\n    parent: {above}\n")
        with open(world.config, "w", encoding="utf-8") as file:
            file.write(text + "topology: hierarchy\n")
        for i in range(4):
            world.spawn(i)
        for i in range(4):
            world.wait_ready(i)
        world.wait_linked()
        wait_settled(world)
        wait_takes(world, 3, {name: ["jp-tok"] for name in ("us-east", "eu-de", "jp-tok")})
        wait_takes(world, 2, {"us-east": ["us-east"], "eu-de": ["us-east"], "br-sao": ["br-sao"]})
        write_everywhere(world, "word")
        world.wait_equal()


def test_a_ring_takes_at_neighbours_and_goes_round_a_cut():
    with world_of("ring") as world:
        wait_settled(world)
        for i in range(REGIONS):
            names = [world.names[(i + k) % REGIONS] for k in range(REGIONS)]
            wait_takes(world, i, {names[1]: [names[1]], names[2]: [names[1]], names[3]: [names[4]], names[4]: [names[4]]})
        world.cut(0, 1)
        write_everywhere(world, "cut")
        world.wait_equal()
        support.wait_until(lambda: takes(world, 0).get(world.names[1]) == [world.names[4]], 20, "it does not go the other way")
        wait_settled(world)
        support.wait_until(lambda: all_are_heard(world), 20, "somebody is not heard")
        world.heal(0, 1)
        support.wait_until(lambda: takes(world, 0).get(world.names[1]) == [world.names[1]], 30, "it did not go back")
        write_everywhere(world, "healed")
        world.wait_equal()


def test_a_ring_with_two_cuts_is_relayed_by_other_links():
    with world_of("ring") as world:
        wait_settled(world)
        world.cut(0, 1)
        world.cut(2, 3)
        write_everywhere(world, "cuts")
        world.wait_equal()
        support.wait_until(lambda: all_are_heard(world, 3000), 20, "somebody is not heard")
        support.wait_until(lambda: is_relayed(world), 20, "nothing is relayed")
        world.heal(0, 1)
        world.heal(2, 3)
        world.wait_linked()
        wait_settled(world)
        write_everywhere(world, "healed")
        world.wait_equal()


def test_parts_that_no_link_joins_go_on_and_come_together():
    with world_of("ring") as world:
        wait_settled(world)
        write_everywhere(world, "before")
        world.wait_equal()
        for i in (0, 1):
            for j in (2, 3, 4):
                world.cut(i, j)
        write_everywhere(world, "apart")
        for part in ((0, 1), (2, 3, 4)):
            for i in part:
                support.wait_until(lambda i=i, part=part: world.client(i).get("apart:counter") == str(50 * len(part)), 20,
                                   "what could come did not")
                assert len(world.client(i).keys("apart:*:*")) == 50 * len(part)
        for i in (0, 1):
            for j in (2, 3, 4):
                world.heal(i, j)
        world.wait_linked()
        contents = world.wait_equal()
        assert contents[b"apart:counter"][1] == b"250"
        wait_settled(world)


def test_a_star_without_its_centre_goes_on():
    with world_of("{ kind: star, centre: jp-tok }") as world:
        wait_settled(world)
        world.kill(2)
        write_everywhere(world, "word")
        world.wait_equal()
        world.start(2)
        world.wait_linked()
        world.wait_equal()
        wait_settled(world)


def test_a_chain_with_sync_is_acknowledged_at_its_tail():
    with support.World(regions=REGIONS, wan=True, extra='topology: chain\nkeyspaces:\n  - { prefix: "", acks: sync, ack_timeout: 10s }\n',
                       fsync="always") as world:
        world.wait_linked()
        wait_settled(world)
        client = world.client(0)
        for number in range(5):
            assert client.set("word", number)
            for i in range(1, REGIONS):
                assert world.client(i).get("word") == str(number), i
        world.cut(0, 1)     # the way leads round it
        def is_acknowledged():
            try:
                return client.set("word", "round")
            except redis.ResponseError as error:
                assert str(error).startswith("NOACKS"), error
                return False
        support.wait_until(is_acknowledged, 60, "nothing came round the cut")
        assert all(world.client(i).get("word") == "round" for i in range(1, REGIONS))


def round_trips(names):
    """Milliseconds between regions, as --wan has them."""
    with open(os.path.join(support.ROOT, "data", "wan.csv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return {(row["region"], other): float(row[other]) for row in rows if row["region"] in names for other in names}


def cheapest_tree(names):
    """Links of the minimum spanning tree (Prim)."""
    ms, inside, tree = round_trips(names), [names[0]], set()
    while len(inside) < len(names):
        a, b = min(((a, b) for a in inside for b in names if b not in inside), key=lambda link: ms[link])
        inside.append(b)
        tree.add(frozenset((a, b)))
    return tree


def batch_bytes(world):
    """(who sent, who received) -> bytes of writes, as the receivers count them."""
    return {(at, world.names[i]): int(link["batch_bytes_in"]) for i in range(len(world.names)) for at, link in links(world, i).items()}


def spread(world, size):
    """Which links a write of the first region went over, and how many bytes."""
    before = batch_bytes(world)
    world.client(0).set("large", random.randbytes(size))
    world.wait_equal()
    after = batch_bytes(world)
    return {link: after[link] - before[link] for link in after if after[link] - before[link] > size // 4}


def plans(world):
    """How often regions changed their plans, and whether any asks elsewhere."""
    return sum(world.status(i)["topology"]["plans"] for i in range(len(world.names))), is_relayed(world)


def spread_by_plan(world, size, is_planned):
    """spread() while nobody changes the plan: on a busy machine round trips may be measured anew in the midst of it."""
    for _ in range(10):
        support.wait_until(is_planned, 60, "the plan is not what distances say")
        before = plans(world)
        time.sleep(1)       # a region that takes from another by now has told the one before, over an ocean
        sent = spread(world, size)
        if plans(world) == before and not before[1]:
            return sent
    raise AssertionError("the plan does not stay")


def over_an_ocean(sent):
    return {(a, b): count for (a, b), count in sent.items() if LANDS[a] != LANDS[b]}


def test_a_tree_crosses_an_ocean_once_where_a_mesh_does_for_every_region():
    size, regions = 200000, 7
    with world_of("auto", regions, wan=True) as world:
        tree = cheapest_tree(world.names)
        sent = spread_by_plan(world, size, lambda: each_is_taken_once(world) and all(
            frozenset((world.names[i], at)) in tree for i in range(regions) for ats in takes(world, i).values() for at in ats))
        assert {frozenset(link) for link in sent} == tree, sent
        assert all(size <= count < size * 1.1 for count in sent.values()), sent     # once
        lands = [{LANDS[a], LANDS[b]} for a, b in over_an_ocean(sent)]
        assert lands.count({"america", "europe"}) == 1 and len(lands) == 2, lands
        counted = world.status(0)["links"]
        assert all({"received_batch_bytes", "sent_batch_bytes", "takes"} <= set(link) for link in counted)
        assert 'meridian_link_takes{peer="' in world.get(0, "/metrics")[1]
    with world_of("mesh", regions, wan=True) as world:
        sent = spread_by_plan(world, size, lambda: all(takes(world, i).get(name) == [name] for i in range(regions)
                                                       for name in world.names if name != world.names[i]))
        assert len(over_an_ocean(sent)) == sum(LANDS[name] != LANDS[world.names[0]] for name in world.names), sent


def test_a_tree_is_built_anew_when_a_link_becomes_slow_and_when_it_is_cut():
    with world_of("auto", 4, wan=True) as world:
        tree = cheapest_tree(world.names)

        def flows():
            return {frozenset((world.names[i], at)) for i in range(4) for ats in takes(world, i).values() for at in ats}
        support.wait_until(lambda: flows() == tree, 60, "the tree is not the cheapest")
        link = sorted(min(tree, key=sorted))
        a, b = (world.names.index(name) for name in link)
        world.client(a).execute_command("LINK", "SLOW", *link, "2000")
        support.wait_until(lambda: frozenset(link) not in flows(), 60, "the slow link is still taken")
        write_everywhere(world, "slow")
        world.wait_equal()
        world.client(a).execute_command("LINK", "SLOW", *link, "0")
        support.wait_until(lambda: flows() == tree, 90, "the tree did not come back")
        world.cut(a, b)
        support.wait_until(lambda: frozenset(link) not in flows(), 60, "the cut link is still taken")
        write_everywhere(world, "cut")
        world.wait_equal()


def test_a_fence_has_a_topology_of_its_own():
    extra = 'topology: ring\nfences:\n  some: [us-east, jp-tok, au-syd]\nkeyspaces:\n  - { prefix: "some:", fence: some }\n'
    with support.World(regions=REGIONS, extra=extra) as world:
        world.wait_linked()
        members, others = (0, 2, 4), (1, 3)
        support.wait_until(lambda: takes(world, 0).get("jp-tok:some") == ["jp-tok"], 20, "the fence is not taken at members")
        world.cut(0, 2)
        for i in members:
            world.client(i).set(f"some:{i}", "x" * 100)
        for i in members:
            support.wait_until(lambda i=i: len(world.client(i).keys("some:*")) == 3, 20, "it did not come round the cut")
        support.wait_until(lambda: takes(world, 0).get("jp-tok:some") == ["au-syd"], 20, "it is not taken at a member")
        for i in others:
            assert not any(":" in stream for stream in takes(world, i))
            try:
                assert world.client(i).get("some:0") is None
            except redis.ResponseError as error:
                assert str(error).startswith("FENCED")


if __name__ == "__main__":
    support.main(globals())
