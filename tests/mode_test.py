#!/usr/bin/env python3
"""Keyspaces with one writer: primary, partitioned by tag, hash and directory; commands elsewhere are forwarded or redirected."""
import re
import socket
import threading
import time

import redis

import support

KEYSPACES = """
fences:
  europe: [eu-de, jp-tok]
keyspaces:
  - { prefix: "" }
  - { prefix: "p:", mode: primary, writer: eu-de, ack_timeout: 5s }
  - { prefix: "safe:", mode: primary, writer: eu-de, acks: quorum, reads: strong, ack_timeout: 5s }
  - { prefix: "far:", mode: primary, writer: jp-tok, ack_timeout: 5s }
  - { prefix: "near:", mode: primary, writer: us-east, ack_timeout: 5s }
  - { prefix: "go:", mode: primary, writer: eu-de, elsewhere: redirect }
  - { prefix: "user:", mode: partitioned, readers: [jp-tok], ack_timeout: 5s }
  - { prefix: "hash:", mode: partitioned, homes: hash, ack_timeout: 5s }
  - { prefix: "cart:", mode: partitioned, homes: directory, directory: "home:", ack_timeout: 5s }
  - { prefix: "look:", mode: partitioned, homes: directory, directory: "home:", elsewhere: redirect }
  - { prefix: "eu:", fence: europe, outside: forward, ack_timeout: 5s }
"""


def world_of(**options):
    world = support.World(regions=3, extra=KEYSPACES, **options)
    world.wait_linked()
    return world


def refused(call, word):
    try:
        answer = call()
    except redis.ResponseError as error:
        assert str(error).startswith(word), error
        return str(error)
    raise AssertionError(f"it was answered {answer!r}")


def writer_of(world, i, key):
    """The region whose stamp a key's last write bears."""
    return dict(zip(*[iter(world.client(i).execute_command("WITH", "--", "APPEND", key, ""))] * 2))["region"]


def test_writes_go_to_the_writer_and_are_read_at_once():
    with world_of() as world:
        clients = [world.client(i) for i in range(3)]
        for number in range(50):
            client = clients[number % 3]
            client.set("p:key", number)
            assert client.get("p:key") == str(number)
            assert client.incr("p:counter") == number + 1
        for i in range(3):
            assert writer_of(world, i, "p:key") == "eu-de"
            assert writer_of(world, i, "free:%d" % i) == world.names[i]
        pipeline = clients[2].pipeline(transaction=False)
        for number in range(300):
            pipeline.set(f"p:{number}", number)
            pipeline.rpush("p:list", number)
            pipeline.get("free") if number % 7 == 0 else pipeline.get(f"p:{number}")
        answers = pipeline.execute()
        for number in range(300):
            assert answers[3 * number:3 * number + 2] == [True, number + 1]
            assert answers[3 * number + 2] == (None if number % 7 == 0 else str(number))
        support.wait_until(lambda: clients[0].lrange("p:list", 0, -1) == [str(n) for n in range(300)], 20, "it did not come")
        assert refused(lambda: clients[0].lpush("p:key", 1), "")
        world.wait_equal()


def test_transactions_and_watches_run_at_the_writer():
    with world_of() as world:
        a, b = world.client(0), world.client(2)
        pipeline = a.pipeline(transaction=True)
        pipeline.set("p:a", "1").incr("p:n").get("p:a").get("free")
        assert pipeline.execute() == [True, 1, "1", None]
        refused(lambda: a.pipeline(transaction=True).set("p:a", "1").set("free", "1").execute(), "")
        assert a.get("free") is None
        with a.pipeline() as pipeline:
            pipeline.watch("p:a")
            assert pipeline.get("p:a") == "1"
            b.set("p:a", "2")
            pipeline.multi()
            pipeline.set("p:a", "3")
            try:
                pipeline.execute()
                raise AssertionError("it was run")
            except redis.WatchError:
                pass
        with a.pipeline() as pipeline:
            pipeline.watch("p:a")
            pipeline.multi()
            pipeline.set("p:a", "3")
            assert pipeline.execute() == [True]
        # many clients add up by WATCH, at three regions
        a.set("p:sum", 0)
        def add(i):
            client = world.client(i)
            for _ in range(20):
                while True:
                    with client.pipeline() as p:
                        p.watch("p:sum")
                        value = int(p.get("p:sum"))
                        p.multi()
                        p.set("p:sum", value + 1)
                        try:
                            p.execute()
                            break
                        except redis.WatchError:
                            pass
        threads = [threading.Thread(target=add, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        world.wait_equal()
        assert int(a.get("p:sum")) == 60, a.get("p:sum")


def test_a_transaction_with_what_is_no_command_is_refused():
    with world_of() as world:
        client = world.client(0, single_connection_client=True)
        for wrong in (("NOSUCH", "p:a"), ("WITH", "acks=1", "--", "NOSUCH"), ("WITH", "acks=1", "--", "SET", "p:a", "1")):
            client.execute_command("MULTI")
            client.execute_command("SET", "p:a", "1")
            refused(lambda w=wrong: client.execute_command(*w), "")
            refused(lambda: client.execute_command("EXEC"), "")
        assert client.get("p:a") is None and client.set("p:a", "2")


def test_waiting_commands_wait_at_the_writer():
    with world_of() as world:
        got = []
        waiter = threading.Thread(target=lambda: got.append(world.client(0).blpop("p:queue", 10)))
        waiter.start()
        support.wait_until(lambda: any(other["cmd"] == "blpop" for other in world.client(1).client_list()), 20,
                           "nobody waits at the writer")
        world.client(2).rpush("p:queue", "job")
        waiter.join()
        assert got == [("p:queue", "job")], got
        assert world.client(0).blpop("p:queue", 1) is None


def test_redirects_name_the_writer():
    with world_of() as world:
        error = refused(lambda: world.client(0).set("go:key", "1"), "")
        assert error.endswith(f"127.0.0.1:{world.client_ports[1]}"), error
        assert world.client(1).set("go:key", "1")


def test_homes_by_tag_hash_and_directory():
    with world_of() as world:
        client = world.client(0)
        client.set("user:{us-east}:1", "1")
        client.set("user:{eu-de}:1", "1")
        for i in range(3):
            assert writer_of(world, i, "user:{us-east}:1") == "us-east"
            assert writer_of(world, i, "user:{eu-de}:1") == "eu-de"
        refused(lambda: client.set("user:{jp-tok}:1", "1"), "NOWRITER")
        refused(lambda: client.set("user:1", "1"), "NOWRITER")
        refused(lambda: client.mset({"user:{us-east}:1": "1", "user:{eu-de}:1": "1"}), "CROSSSLOT")
        homes = {}
        for number in range(60):
            homes.setdefault(writer_of(world, number % 3, f"hash:{number}"), []).append(number)
        assert sorted(homes) == sorted(world.names) and all(len(found) > 5 for found in homes.values()), homes
        for region, found in homes.items():
            assert writer_of(world, 0, f"hash:{found[0]}") == region
        refused(lambda: client.set("cart:{42}", "1"), "NOWRITER")
        client.set("home:42", "jp-tok")
        world.wait_equal()
        for i in range(3):
            assert writer_of(world, i, "cart:{42}") == "jp-tok"


def test_a_home_moves_while_it_is_written():
    with world_of() as world:
        world.client(0).set("home:7", "us-east")
        world.wait_equal()
        stop = threading.Event()
        counts, problems = [0, 0, 0], []

        def write(i):
            client = world.client(i)
            while not stop.is_set():
                try:
                    client.incr("cart:{7}")
                    counts[i] += 1
                except redis.RedisError as error:
                    problems.append(error)
        threads = [threading.Thread(target=write, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()

        def more_is_written():
            before = list(counts)
            support.wait_until(lambda: problems or all(now > old + 5 for now, old in zip(counts, before)), 60, "nothing is written")
        for home in ("eu-de", "jp-tok", "us-east", "jp-tok", "eu-de"):
            more_is_written()
            assert world.client(0).execute_command("KEYSPACE", "MOVE", "cart:{7}", home) == "OK"
        more_is_written()
        stop.set()
        for thread in threads:
            thread.join()
        assert not problems, problems[:3]
        world.wait_equal()
        assert int(world.client(0).get("cart:{7}")) == sum(counts)
        assert writer_of(world, 0, "cart:{7}") == "eu-de"


def test_who_waits_for_a_key_goes_with_its_home():
    with world_of() as world:
        world.client(0).set("home:q", "us-east")
        world.wait_equal()
        stop, popped, problems = threading.Event(), [[] for _ in range(6)], []

        def pop(i):
            client = world.client(i % 3)
            while not stop.is_set():
                try:
                    found = client.blpop("cart:{q}", 1 + i)
                    if found:
                        popped[i].append(int(found[1]))
                except redis.RedisError as error:
                    problems.append(error)
        threads = [threading.Thread(target=pop, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        homes = ("eu-de", "jp-tok", "us-east", "jp-tok")
        for number in range(200):
            world.client(number % 3).rpush("cart:{q}", number)
            if number % 50 == 25:
                assert world.client(0).execute_command("KEYSPACE", "MOVE", "cart:{q}", homes[number // 50]) == "OK"
            time.sleep(0.005)
        support.wait_until(lambda: sum(len(numbers) for numbers in popped) >= 200, 60, "all are popped")
        stop.set()
        for thread in threads:
            thread.join()
        assert not problems, problems[:3]
        assert sorted(sum(popped, [])) == list(range(200)), sorted(sum(popped, []))
        world.wait_equal()
        assert world.client(0).exists("cart:{q}") == 0


def test_who_waits_is_told_that_a_home_has_moved_where_clients_are_redirected():
    with world_of() as world:
        world.client(0).set("home:q", "us-east")
        world.wait_equal()
        told = []
        waiter = threading.Thread(target=lambda: told.append(refused(lambda: world.client(0).blpop("look:{q}", 0), "")))
        waiter.start()
        support.wait_until(lambda: int(world.client(0).info("clients")["blocked_clients"]) == 1, 30, "it waits")
        assert world.client(0).execute_command("KEYSPACE", "MOVE", "look:{q}", "eu-de") == "OK"
        waiter.join()
        assert told[0].endswith(f"127.0.0.1:{world.client_ports[1]}"), told


def test_a_transaction_runs_where_its_keys_are_at_home_when_it_runs():
    with world_of() as world:
        world.client(0).set("home:9", "us-east")
        world.wait_equal()
        client = world.client(0, single_connection_client=True)
        client.execute_command("MULTI")
        client.execute_command("INCR", "cart:{9}")
        assert world.client(0).execute_command("KEYSPACE", "MOVE", "cart:{9}", "eu-de") == "OK"
        told = client.execute_command("WITH", "acks=async", "--", "EXEC")
        assert dict(zip(*[iter(told)] * 2))["region"] == "eu-de", told
        support.wait_until(lambda: world.client(0).get("cart:{9}") == "1", 20, "it did not come")


def test_an_exec_that_is_refused_ends_its_transaction():
    with world_of() as world:
        told = answers(world, 0, b"MULTI\r\nINCR go:key\r\nEXEC\r\nPING\r\nQUIT\r\n")
        assert [line.split()[0] for line in told] == ["+OK", "+QUEUED", "-MOVED", "+PONG", "+OK"], told


def test_fenced_keys_are_reached_through_a_member_where_that_is_allowed():
    with world_of() as world:
        outside, member = world.client(0), world.client(1)
        outside.set("eu:key", "secret")
        assert outside.get("eu:key") == "secret"
        support.wait_until(lambda: member.get("eu:key") == "secret", 20, "it did not come to the other member")
        assert outside.dbsize() == 0 and member.dbsize() == 1


def test_strong_reads_go_to_the_writer_and_a_lost_answer_is_unknown():
    with world_of() as world:
        client = world.client(0)
        for number in range(10):
            world.client(2).set("safe:key", number)
            assert client.get("safe:key") == str(number)
        for i, key in ((0, "safe:key"), (1, "safe:key"), (0, "safe:never"), (1, "safe:never")):
            answer = dict(zip(*[iter(world.client(i).execute_command("WITH", "--", "GET", key))] * 2))
            assert answer["stamp"] == "0" and answer["acks"] == [], answer      # others wrote what it shows

        def write(errors):
            try:
                client.set("p:lost", "1")
            except redis.ResponseError as error:
                errors.append(str(error))

        def is_cut_before_the_answer():
            world.heal(0, 1)
            world.wait_linked()
            world.client(0).execute_command("LINK", "SLOW", "us-east", "eu-de", 2000)
            errors = []
            thread = threading.Thread(target=write, args=(errors,))
            thread.start()
            time.sleep(0.5)     # whether it is on its way now is seen by how it ends
            world.cut(0, 1)
            thread.join()
            assert not errors or errors[0].startswith(("UNKNOWN", "NOWRITER")), errors
            return errors and errors[0].startswith("UNKNOWN")
        assert any(is_cut_before_the_answer() for _ in range(5)), "no answer was lost"
        told = refused(lambda: client.set("p:lost", "2"), "NOWRITER")
        assert re.match(r"NOWRITER eu-de writes that key, and is not reached since \d+ m?s: .*cut by LINK CUT$", told), told
        assert client.get("p:lost") in (None, "1")
        world.heal(0, 1)
        world.wait_linked()
        assert client.set("p:lost", "3")


def test_a_fence_that_is_not_reached_is_named_with_since_when():
    with world_of() as world:
        client = world.client(0)
        client.set("eu:key", "1")
        world.cut(0, 1)
        world.cut(0, 2)
        for word, command in (("NOWRITER", ("SET", "eu:key", "2")), ("STALE", ("GET", "eu:key"))):
            told = refused(lambda c=command: client.execute_command(*c), word)
            assert re.search(r"is reached \(fence europe\) since \d+ m?s$", told), told


def errors_of(world, i):
    stats = world.client(i).info("errorstats")
    told = {name[len("errorstat_"):]: int(line.split("=")[1]) for name, line in stats.items()}
    counted = dict(re.findall(r'^meridian_errors_total\{code="(\w+)"\} (\d+)$', world.get(i, "/metrics")[1], re.M))
    assert all(counted[word] == str(count) for word, count in told.items()), (told, counted)
    return told


def test_what_regions_refuse_is_counted_by_its_word():
    with world_of() as world:
        client = world.client(0, single_connection_client=True)
        client.set("p:key", "1")
        metrics = world.get(0, "/metrics")[1]
        assert "\nmeridian_forwards_sent_total 1\n" in metrics and "\nmeridian_acks_waited_total 0\n" in metrics, metrics
        assert "\nmeridian_forwards_taken_total 1\n" in world.get(1, "/metrics")[1]
        assert 'meridian_errors_total{code="NOACKS"} 0\n' in metrics
        world.cut(0, 1)
        world.cut(0, 2)
        world.client(1).set("free", "1")
        token = world.client(1).execute_command("SESSION", "TOKEN")
        client.execute_command("CONFIG", "RESETSTAT")
        refused(lambda: client.execute_command("WITH", "acks=1", "ack_timeout=50", "--", "SET", "free", "1"), "NOACKS")
        refused(lambda: client.execute_command("WITH", "ack_timeout=50", f"token={token}", "--", "GET", "free"), "STALE")
        refused(lambda: client.execute_command("SESSION", "FOLLOW", token, "50"), "STALE")
        refused(lambda: client.set("p:key", "2"), "NOWRITER")
        client.execute_command("SESSION", "RESET")
        refused(lambda: client.execute_command("SET", "go:key", "2"), "")
        assert errors_of(world, 0) == {"NOACKS": 1, "STALE": 2, "NOWRITER": 1, "MOVED": 1}
        assert "\nmeridian_acks_waited_total 1\n" in world.get(0, "/metrics")[1]


def test_a_client_that_goes_from_writer_to_writer_keeps_its_database_and_levels():
    with world_of() as world:
        client = world.client(0, single_connection_client=True)
        ask = client.execute_command
        ask("SELECT", 3)
        client.set("p:key", "three")
        ask("SELECT", 0)
        client.set("far:key", "zero")
        client.set("p:key", "zero")
        assert world.client(1).get("p:key") == "zero" and world.client(1, db=3).get("p:key") == "three"
        def acks():
            return dict(zip(*[iter(ask("WITH", "--", "SET", "p:key", "1"))] * 2))["acks"]
        assert acks() == []
        ask("SESSION", "WRITE", "sync")
        assert len(acks()) == 2
        ask("SESSION", "RESET")
        assert acks() == []
        # a session that is left is ended there
        support.wait_until(lambda: len(world.client(2).client_list()) <= 2, 20, "the session at the other writer stays")


def test_a_session_that_is_ended_at_the_writer_begins_anew():
    with world_of() as world:
        client = world.client(0, single_connection_client=True)
        client.execute_command("SELECT", 5)
        client.set("p:key", "1")
        assert client.execute_command("WATCH", "p:key")
        for other in world.client(1).client_list():
            if other["db"] == "5":
                world.client(1).client_kill_filter(_id=other["id"])
        def again():
            try:
                return client.set("p:key", "2")
            except redis.ResponseError as error:
                assert str(error).split()[0] in ("NOWRITER", "UNKNOWN"), error
        support.wait_until(again, 20, "it stays ended")
        assert world.client(1, db=5).get("p:key") == "2" and world.client(1).get("p:key") is None
        client.execute_command("MULTI")
        client.execute_command("SET", "p:key", "3")
        assert client.execute_command("EXEC") is None


def test_what_is_watched_is_lost_with_the_link():
    with world_of() as world:
        client = world.client(0, single_connection_client=True)
        ask = client.execute_command
        client.set("p:key", "1")
        ask("WATCH", "p:key")
        world.cut(0, 1)
        support.wait_until(lambda: not world.links_up(), 20, "the link stays")
        world.client(1).set("p:key", "theirs")
        world.heal(0, 1)
        world.wait_linked()
        ask("MULTI")
        ask("SET", "p:key", "ours")
        assert ask("EXEC") is None
        ask("WATCH", "p:key")
        ask("MULTI")
        ask("INCR", "p:key")
        refused(lambda: ask("NOSUCH"), "")
        refused(lambda: ask("EXEC"), "Transaction discarded")
        for watch in ("UNWATCH", "DISCARD"):
            ask("WATCH", "p:key")
            assert "watched" in refused(lambda: client.set("far:key", "1"), "CROSSSLOT")
            if watch == "DISCARD":
                ask("MULTI")
            ask(watch)
            assert client.set("far:key", "1") and client.set("p:key", "1")
            ask("MULTI")
            ask("INCR", "p:key")
            assert ask("EXEC") == [2]


def test_what_is_watched_and_what_runs_are_in_one_region():
    with world_of() as world:
        client, other = world.client(0, single_connection_client=True), world.client(1)
        ask = client.execute_command

        def run(*commands):
            ask("MULTI")
            for command in commands:
                ask(*command)
            return ask("EXEC")

        # watched elsewhere, and written where all may: it runs there
        client.set("p:key", "1")
        ask("WATCH", "p:key")
        assert run(("SET", "free", "1"), ("GET", "p:key")) == ["OK", "1"]
        ask("WATCH", "p:key")
        other.set("p:key", "2")
        assert run(("SET", "free", "2")) is None
        # watched elsewhere, and written here; watched here, and written elsewhere
        ask("WATCH", "p:key")
        refused(lambda: run(("SET", "near:key", "1")), "CROSSSLOT")
        for watched in ("near:key", "free"):
            ask("WATCH", watched)
            refused(lambda: run(("SET", "p:key", "3")), "CROSSSLOT")
        assert client.get("near:key") is None and client.get("p:key") == "2"
        assert run(("SET", "near:key", "1")) == ["OK"] and run(("SET", "p:key", "3")) == ["OK"]


def test_what_ends_a_watch_elsewhere():
    with world_of() as world:
        client, other = world.client(0, single_connection_client=True), world.client(1)
        ask = client.execute_command

        def change(*between):
            client.set("p:key", "0")
            ask("WATCH", "p:key")
            for command in between:
                try:
                    ask(*command)
                except redis.ResponseError:
                    pass
            other.set("p:key", "theirs")
            ask("MULTI")
            ask("APPEND", "p:key", "!")
            return ask("EXEC")

        assert change() is None
        assert change(("DISCARD",)) is None                 # of no MULTI
        for ends in (("UNWATCH",), ("RESET",)):
            assert change(ends) == [7], ends
        assert change(("MULTI",), ("GET", "p:key"), ("RESET",)) == [7]
        assert change(("MULTI",), ("GET", "p:key"), ("DISCARD",)) == [7]
        assert change(("MULTI",), ("UNWATCH",), ("EXEC",)) == [7]


def answers(world, i, text):
    """What is answered to a pipeline, as it stands on the wire."""
    with socket.create_connection(("127.0.0.1", world.client_ports[i])) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode().split("\r\n")[:-1]


def test_errors_stand_in_their_place_and_are_not_told_when_nothing_is_wanted():
    with world_of() as world:
        told = answers(world, 0, b"SET p:key 1\r\nMSET p:a 1 far:b 2\r\nSET p:key 2\r\nSET go:key 1\r\n"
                                 b"SET p:key 3\r\nSET user:{nowhere} 1\r\nPING\r\nQUIT\r\n")
        assert [line.split()[0] for line in told] == ["+OK", "-CROSSSLOT", "+OK", "-MOVED", "+OK", "-NOWRITER", "+PONG",
                                                      "+OK"], told
        told = answers(world, 0, b"WATCH p:key\r\nUNWATCH\r\nSET p:key 5\r\nMULTI\r\nINCR p:key\r\nEXEC\r\nQUIT\r\n")
        assert told == ["+OK", "+OK", "+OK", "+OK", "+QUEUED", "*1", ":6", "+OK"], told
        told = answers(world, 0, b"CLIENT REPLY OFF\r\nSET go:key 1\r\nSET p:key 1\r\nCLIENT REPLY ON\r\n"
                                 b"CLIENT REPLY SKIP\r\nSET go:key 1\r\nPING\r\nQUIT\r\n")
        assert told == ["+OK", "+PONG", "+OK"], told


if __name__ == "__main__":
    support.main(globals())
