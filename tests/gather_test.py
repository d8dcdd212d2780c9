#!/usr/bin/env python3
"""GATHER: counts, sums and groups over regions that hold different keys."""
import redis

import support

KEYSPACES = """
fences:
  asia: [jp-tok]
keyspaces:
  - { prefix: "" }
  - { prefix: "user:", mode: partitioned }
  - { prefix: "primary:", mode: primary, writer: eu-de }
  - { prefix: "asia:", fence: asia, outside: forward }
"""


def gather(client, *args):
    answer = client.execute_command("GATHER", *args)
    return answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2]))


def test_each_key_counts_once_wherever_it_is():
    with support.World(regions=3, extra=KEYSPACES) as world:
        world.wait_linked()
        clients = [world.client(i) for i in range(3)]
        for number in range(30):
            clients[0].set(f"user:{{{world.names[number % 3]}}}:{number}", number)
        with clients[0].pipeline(transaction=False) as pipeline:
            for number in range(5000):
                pipeline.set(f"n:{number}", number)
                pipeline.hset(f"h:{number}", mapping={"price": number / 2, "town": ["Ulm", "Linz", "Bern"][number % 3]})
            pipeline.execute()
        clients[2].mset({"asia:1": "5", "asia:2": "7.5", "asia:3": "x"})
        clients[0].mset({"primary:1": "1", "primary:2": "2"})
        world.wait_linked()
        for client in clients:
            support.wait_until(lambda c=client: len(c.keys("h:*")) == 5000 and len(c.keys("primary:*")) == 2, 20,
                               "it did not come")
        for client in clients:
            answer = gather(client, "count", "user:")
            assert answer["result"] == 30 and answer["unreachable"] == [], answer
            assert sorted(name for name, _, _ in answer["regions"]) == sorted(world.names)
            assert all(keys == 10 for _, keys, _ in answer["regions"])
            assert gather(client, "sum", "user:")["result"] == sum(range(30))
            assert gather(client, "sum", "n:")["result"] == sum(range(5000))
            assert gather(client, "max", "n:")["result"] == "4999"
            assert gather(client, "avg", "h:", "FIELD", "price")["result"] == "1249.75"
            groups = gather(client, "group", "h:", "FIELD", "town")["result"]
            groups = groups if isinstance(groups, dict) else dict(zip(groups[::2], groups[1::2]))
            assert groups == {"Ulm": 1667, "Linz": 1667, "Bern": 1666}, groups
            answer = gather(client, "sum", "asia:")
            assert answer["result"] == "12.5" and answer["skipped"] == 1, answer
            assert gather(client, "count", "primary:")["result"] == 2
            assert gather(client, "min", "nothing:")["result"] is None
            assert gather(client, "count", "")["result"] == 30 + 10000 + 3 + 2
        for wrong in (("most", "n:"), ("count",), ("count", "n:", "FIELD")):
            try:
                clients[0].execute_command("GATHER", *wrong)
                raise AssertionError(wrong)
            except redis.ResponseError:
                pass


def test_who_is_not_reached_is_named():
    with support.World(regions=3, extra=KEYSPACES) as world:
        world.wait_linked()
        client = world.client(0)
        for name in world.names:
            client.set(f"user:{{{name}}}:1", 1)
        world.cut(0, 2)
        answer = gather(client, "count", "user:")
        assert answer["unreachable"] == [world.names[2]] and answer["result"] == 2, answer
        world.heal(0, 2)
        world.wait_linked()
        assert gather(client, "count", "user:")["result"] == 3


def test_keys_of_groups_that_find_no_place_are_counted():
    with support.World(regions=1) as world:
        client = world.client(0)
        client.mset({f"n:{number}": f"value {number}" for number in range(10050)})
        answer = gather(client, "group", "n:")
        groups = len(answer["result"]) // (1 if isinstance(answer["result"], dict) else 2)
        assert groups == 10000 and answer["left_out"] == 50 and answer["skipped"] == 0, (groups, answer["left_out"])
        assert gather(client, "group", "n:1004")["left_out"] == 0


def test_inside_multi_it_is_refused():
    with support.World(regions=2, extra='keyspaces: [ { prefix: "" } ]') as world:
        client = world.client(0, single_connection_client=True)
        client.mset({f"n:{number}": number for number in range(5000)})
        for words in (("count", "n:"), ("PART", "count", "n:", "", "1")):
            client.execute_command("MULTI")
            client.execute_command("INCR", "times")
            client.execute_command("GATHER", *words)
            told = client.execute_command("EXEC")
            assert len(told) == 2 and "inside MULTI" in str(told[1]), told
        assert client.get("times") == "2"


if __name__ == "__main__":
    support.main(globals())
