#!/usr/bin/env python3
"""What writes and reads may wait for: acknowledgements, freshness, what a session has seen; by keyspace, session and command."""
import random
import re
import shutil
import socket
import threading
import time

import redis

import support

KEYSPACES = """
keyspaces:
  - { prefix: "", acks: async, ack_timeout: 20s }
  - { prefix: "q:", acks: quorum, ack_timeout: 20s }
  - { prefix: "all:", acks: sync, ack_timeout: 20s }
  - { prefix: "semi:", acks: semi-sync, ack_timeout: 20s }
  - { prefix: "fresh:", reads: bounded 400ms, ack_timeout: 20s }
  - { prefix: "strong:", reads: strong, ack_timeout: 20s }
  - { prefix: "one:", mode: primary, writer: us-east, reads: bounded 300ms, ack_timeout: 5s }
  - { prefix: "near:", max_lag: 1s, then: refuse }
  - { prefix: "slow:", max_lag: 1s }
"""


def world_of(regions=3, **options):
    world = support.World(regions=regions, extra=KEYSPACES, **options)
    world.wait_linked()
    return world


def refused(call, word):
    """The error with which a command was refused, which begins with that word."""
    try:
        answer = call()
    except redis.ResponseError as error:
        # redis-py cuts off the word of the errors that it knows
        assert str(error).startswith(word), error
        return str(error)
    raise AssertionError(f"it was answered {answer!r}")


def took_ms(call):
    began = time.monotonic()
    result = call()
    return (time.monotonic() - began) * 1000, result


def with_(client, *args):
    """A WITH, and its answer as a map."""
    answer = client.execute_command("WITH", *args)
    return answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2]))


def soon(client, *command, ms=300):
    """A command that does not wait long for what will not come."""
    return client.execute_command("WITH", f"ack_timeout={ms}", "--", *command)


def test_each_guarantee_waits_for_as_many_regions():
    with world_of() as world:
        client = world.client(0)
        for prefix, others in (("q:", 1), ("all:", 2), ("semi:", 1)):
            assert client.set(prefix + "key", "1")
            assert client.wait(2, 1) >= others
        world.cut(0, 2)
        world.cut(1, 2)     # else it comes round the cut
        assert client.set("q:key", "2")
        assert client.set("semi:key", "2")
        error = refused(lambda: soon(client, "SET", "all:key", "2", ms=3000), "NOACKS")
        assert "1 of 2 regions" in error and f"{world.names[1]} after" in error and error.endswith(f"not: {world.names[2]}"), error
        assert client.get("all:key") == "2"         # the write stands
        world.cut(0, 1)
        error = refused(lambda: soon(client, "INCR", "q:counter"), "NOACKS")
        assert "0 of 1" in error and "none; not:" in error, error
        assert client.get("q:counter") == "1"
        assert client.set("key", "3")               # who asks for nothing is answered
        for a, b in ((0, 1), (0, 2), (1, 2)):
            world.heal(a, b)
        world.wait_linked()
        assert client.set("all:key", "3")
        world.wait_equal()


def test_writes_of_a_pipeline_wait_together():
    with world_of() as world:
        client = world.client(0)
        slow(world, 0, 1, 50)
        slow(world, 0, 2, 50)
        pipeline = client.pipeline(transaction=False)
        for number in range(200):
            pipeline.set(f"q:{number}", number)
            pipeline.get(f"q:{number}")
        ms, answers = took_ms(pipeline.execute)
        assert answers == [x for number in range(200) for x in (True, str(number))]
        assert 95 <= ms < 100 * 200 / 2, ms     # one by one they would take 20 s
        ms, _ = took_ms(lambda: client.set("q:one", "1"))
        assert ms >= 95, ms


def test_a_read_that_tells_of_itself_behind_a_write_holds_nothing_up():
    with world_of() as world:
        client = world.client(0)
        for command in (b"WITH -- SET all:x 1\r\nWITH -- GET all:x\r\n", b"WITH -- FLUSHALL\r\nWITH -- SCAN 0\r\n",
                        b"WITH -- SET all:y 1\r\nWITH -- GET all:y\r\nWITH -- SET all:y 2\r\nWITH -- GET all:y\r\n"):
            with socket.create_connection(("127.0.0.1", world.client_ports[0]), timeout=30) as connection:
                connection.sendall(command + b"ECHO the-end\r\n")
                answer = b""
                while b"the-end" not in answer:
                    piece = connection.recv(65536)
                    assert piece, answer
                    answer += piece
                assert b"NOACKS" not in answer and answer.count(b"staleness_ms") == command.count(b"WITH"), answer
        assert client.get("all:y") == "2"


def test_sessions_and_commands_ask_for_other_levels_than_their_keyspace():
    with world_of() as world:
        client = world.client(0, single_connection_client=True)
        world.cut(0, 1)
        world.cut(0, 2)
        assert client.execute_command("SESSION", "WRITE", "async") == "OK"
        assert client.set("all:key", "1")
        client.execute_command("SESSION", "WRITE", "1")
        refused(lambda: client.execute_command("WITH", "ack_timeout=50", "--", "SET", "key", "1"), "NOACKS")
        answer = with_(client, "acks=async", "--", "SET", "key", "2")
        assert answer["reply"] in (True, "OK") and answer["acks"] == [] and answer["region"] == world.names[0], answer
        assert int(answer["stamp"]) > 0 and 0 < len(answer["token"]) < 512
        client.execute_command("SESSION", "RESET")
        assert client.set("key", "3")
        world.heal(0, 1)
        world.heal(0, 2)
        world.wait_linked()
        answer = with_(client, "acks=sync", "ack_timeout=20000", "--", "SET", "key", "4")
        assert sorted(name for name, _ in answer["acks"]) == sorted(world.names[1:]), answer
        assert all(0 <= ms < 20000 for _, ms in answer["acks"])

        def is_fresh():
            answer = with_(client, "--", "GET", "key")
            assert (answer["warning"] is None) == (answer["staleness_ms"] <= 1000), answer
            return answer["warning"] is None
        support.wait_until(is_fresh, 20, "it stays stale")
        for wrong in (("acks=most", "--", "SET", "a", "1"), ("acks=1", "SET", "a", "1"), ("--",), ("--", "PING"),
                      ("token=abc", "--", "GET", "a"), ("read=fresh", "--", "GET", "a")):
            refused(lambda w=wrong: client.execute_command("WITH", *w), "")
        client.rpush("list", "a")
        refused(lambda: client.execute_command("WITH", "acks=1", "--", "INCR", "list"), "WRONGTYPE")
        ms, told = took_ms(lambda: refused(lambda: client.execute_command("WITH", "acks=9", "ack_timeout=60000", "--", "SET", "a", "1"),
                                           "acks 9 cannot be: only 2 other regions"))
        assert ms < 30000 and client.get("a") is None, told


def test_transactions_wait_whole():
    with world_of() as world:
        client = world.client(0)
        world.cut(0, 1)
        world.cut(0, 2)
        one = world.client(0, single_connection_client=True)
        for command in (("MULTI",), ("SET", "plain", "1"), ("SET", "q:part", "1"), ("GET", "plain")):
            one.execute_command(*command)
        refused(lambda: soon(one, "EXEC"), "NOACKS")
        assert client.get("plain") == "1" and client.get("q:part") == "1"
        pipeline = client.pipeline(transaction=True)
        pipeline.set("plain", "2").get("plain")
        assert pipeline.execute() == [True, "2"]


def test_tokens_make_reads_and_writes_elsewhere_come_after():
    with world_of() as world:
        a, b = world.client(0, single_connection_client=True), world.client(1, single_connection_client=True)
        a.execute_command("LINK", "SLOW", world.names[0], world.names[1], 150)
        for number in range(5):
            a.set("seen", number)
            token = a.execute_command("SESSION", "TOKEN")
            assert b.execute_command("SESSION", "FOLLOW", token, 20000) == "OK"
            assert b.get("seen") == str(number)
        a.set("seen", "later")
        token = a.execute_command("SESSION", "TOKEN")
        answer = with_(b, f"token={token}", "--", "GET", "seen")    # whatever the level is
        assert answer["reply"] == "later", answer
        a.set("seen", "in a transaction")
        token = a.execute_command("SESSION", "TOKEN")
        b.execute_command("MULTI")
        b.execute_command("GET", "seen")
        assert with_(b, f"token={token}", "--", "EXEC")["reply"] == ["in a transaction"]
        world.cut(0, 1)
        world.cut(0, 2)
        a.set("seen", "alone")
        token = a.execute_command("SESSION", "TOKEN")
        error = refused(lambda: b.execute_command("SESSION", "FOLLOW", token, 100), "STALE")
        assert world.names[0] in error, error
        refused(lambda: b.execute_command("WITH", "ack_timeout=100", "--", "SET", "seen", "b"), "STALE")
        assert b.get("seen") == "in a transaction"  # a local read waits for nothing
        world.heal(0, 1)
        world.heal(0, 2)
        world.wait_linked()
        b.set("seen", "after")
        world.wait_equal()
        assert a.get("seen") == "after"


def test_bounded_reads_are_fresh_or_refused():
    with world_of() as world:
        a, b = world.client(0), world.client(1)
        a.set("fresh:key", "1")
        support.wait_until(lambda: with_(b, "read=local", "--", "GET", "fresh:key")["reply"] == "1", 20, "it did not come")
        world.cut(0, 1)
        world.cut(0, 2)
        time.sleep(0.6)
        error = refused(lambda: soon(b, "GET", "fresh:key"), "STALE")
        assert world.names[0] in error, error
        assert b.get("other") is None
        answer = with_(b, "read=local", "--", "GET", "fresh:key")
        assert answer["reply"] == "1" and answer["staleness_ms"] >= 600, answer
        time.sleep(1)
        assert with_(b, "read=local", "--", "GET", "fresh:key")["warning"] == "STALE_OVER_1000"
        answers = []
        waiter = threading.Thread(target=lambda: answers.append(b.get("fresh:key")))
        waiter.start()
        a.set("fresh:key", "2")
        world.heal(0, 1)
        world.heal(0, 2)
        world.wait_linked()
        waiter.join()
        assert answers in (["1"], ["2"]), answers       # it was answered, once it was fresh
        support.wait_until(lambda: b.get("fresh:key") == "2", 20, "it did not come")


def test_strong_reads_miss_nothing_that_was_acknowledged():
    with world_of() as world:
        a, b = world.client(0), world.client(1)
        a.execute_command("LINK", "SLOW", world.names[0], world.names[1], 60)
        for number in range(20):
            a.set("strong:key", number)
            assert b.get("strong:key") == str(number)
        world.cut(1, 2)
        error = refused(lambda: soon(b, "GET", "strong:key", ms=3000), "STALE")
        assert world.names[2] in error, error
        world.heal(1, 2)
        world.wait_linked()
        assert b.get("strong:key") == "19"


def slow(world, a, b, ms):
    """So long everything takes between two regions, each way; waits until both measure it."""
    world.client(a).execute_command("LINK", "SLOW", world.names[a], world.names[b], ms)
    def felt():     # it is not known before it was measured, and comes near after a while
        return all(link.get("rtt_ms", 0) >= 1.9 * ms for i, other in ((a, b), (b, a)) for link in world.status(i)["links"]
                   if link["region"] == world.names[other])
    support.wait_until(felt, 90, "the link is not slow")


def unless_stale(call, seconds=60):
    """What is answered once: a busy machine may for a moment know nothing that is fresh enough."""
    answers = []

    def is_answered():
        try:
            answers.append(call())
        except redis.ResponseError as error:
            assert str(error).startswith("STALE"), error
        return answers
    return support.wait_until(is_answered, seconds, "it is STALE")[0]


def test_a_read_that_is_not_fresh_enough_here_is_answered_elsewhere():
    with world_of() as world:
        a, b = world.client(0, single_connection_client=True), world.client(1, single_connection_client=True)
        a.set("one:key", "1")
        world.wait_equal()
        slow(world, 0, 1, 1500)
        slow(world, 1, 2, 350)
        # what comes of its writer is never so fresh here, whatever way it takes; to ask it takes too long
        answer = unless_stale(lambda: with_(b, "--", "GET", "one:key"))
        assert answer["reply"] == "1" and answer["region"] == world.names[2] and answer["staleness_ms"] <= 300, answer
        answer = unless_stale(lambda: with_(b, "ack_timeout=10000", "--", "GET", "one:key"))
        assert answer["reply"] == "1" and answer["region"] == world.names[0], answer

        def is_answered_in_order():
            pipeline = b.pipeline(transaction=False)
            pipeline.get("one:key").set("local", "1").get("local").get("one:key").get("local")
            told = pipeline.execute(raise_on_error=False)
            assert told[1:3] == [True, "1"] and told[4] == "1", told
            assert all(reply == "1" or "STALE" in str(reply) for reply in told[::3]), told
            return told[::3] == ["1", "1"]
        support.wait_until(is_answered_in_order, 60, "it is STALE")
        # what a transaction reads stays here
        b.execute_command("MULTI")
        b.execute_command("GET", "one:key")
        refused(lambda: soon(b, "EXEC"), "STALE")


def test_a_token_that_has_come_elsewhere_is_read_there():
    with world_of() as world:
        a, b, c = (world.client(i, single_connection_client=True) for i in range(3))
        b.execute_command("SESSION", "READ", "causal")
        # Mostly what the third region has is known before it was asked for it, and that came.
        b.execute_command("LINK", "SLOW", world.names[1], world.names[2], 350)
        a.set("seen", "0")
        assert b.execute_command("SESSION", "FOLLOW", a.execute_command("SESSION", "TOKEN"), 20000) == "OK"
        regions = []

        def reads(number):
            """The link is cut: it takes a moment until what is written comes through the third region."""
            time.sleep(random.uniform(0, 0.2))      # which is first may hang on when heartbeats are due
            world.cut(0, 1)
            a.set("seen", number)
            token = a.execute_command("SESSION", "TOKEN")
            answer = with_(b, "read=causal", "ack_timeout=10000", f"token={token}", "--", "GET", "seen")
            assert answer["reply"] == str(number) and answer["warning"] in NOTHING_IS_MISSING, answer
            regions.append(answer["region"])
            a.set("seen", number + 1)
            c.set("there", number)
            try:
                b.execute_command("SESSION", "FOLLOW", a.execute_command("SESSION", "TOKEN"), 0)
            except redis.ResponseError:
                pass
            assert b.get("seen") == str(number + 1)
            assert int(b.get("there") or 0) <= number and b.get("seen") == str(number + 1)
            world.heal(0, 1)
            world.wait_linked()
            return world.names[2] in regions
        for number in range(1, 101, 2):
            if reads(number):
                break
        assert world.names[2] in regions, regions


def test_a_write_has_one_deadline_for_its_token_and_its_acknowledgements():
    with world_of() as world:
        a, b = world.client(0, single_connection_client=True), world.client(1, single_connection_client=True)
        slow(world, 0, 1, 1000)
        world.cut(0, 2)
        world.cut(1, 2)
        a.set("seen", "1")
        token = a.execute_command("SESSION", "TOKEN")
        error = refused(lambda: b.execute_command("WITH", "acks=sync", "ack_timeout=5000", f"token={token}", "--",
                                                  "SET", "seen", "2"), "NOACKS")
        left = int(re.search(r"in (\d+) ms", error)[1])
        assert left < 5000, error
        assert b.get("seen") == "2"


# of what a client has seen; how old the rest may be is told, too
NOTHING_IS_MISSING = (None, "STALE_OVER_1000")


def copy_log(world, i, keep):
    """The region's log as it is now; with `keep` False it is put back."""
    for path in world.segments(i):
        shutil.copy2(*((path, path + ".kept") if keep else (path + ".kept", path)))


def test_what_a_crash_took_is_met_and_warned_of_once_its_region_has_gone_on():
    with world_of(regions=2) as world:
        a, b = world.client(0, single_connection_client=True), world.client(1, single_connection_client=True)
        a.set("before", "1")
        before = a.execute_command("SESSION", "TOKEN")
        world.wait_equal()
        world.cut(0, 1)
        log = world.status(0)["log"]                    # all of it is on the disk
        support.wait_until(lambda: world.status(0)["log"]["durable_bytes"] >= log["end_bytes"], 20, "it is not durable")
        copy_log(world, 0, True)
        a.set("lost", "1")
        lost = a.execute_command("SESSION", "TOKEN")
        world.kill(0)
        copy_log(world, 0, False)                       # and what came after is not
        refused(lambda: b.execute_command("SESSION", "FOLLOW", lost, 300), "STALE")     # it may come
        world.start(0)
        world.heal(0, 1)
        world.wait_linked()
        fresh = world.client(1, single_connection_client=True)
        assert fresh.execute_command("SESSION", "FOLLOW", lost, 20000) == "OK"
        for client in (fresh, b):                       # as long as it follows that token
            assert with_(client, "--", "GET", "lost")["warning"] == "LOST"
        a = world.client(0, single_connection_client=True)
        for number in range(2):                         # before and after the next write
            for client in (a, world.client(1)):
                answer = with_(client, "read=causal", f"token={lost}", "ack_timeout=20000", "--", "GET", "lost")
                assert answer["reply"] is None and answer["warning"] == "LOST", answer
                answer = with_(client, "read=causal", f"token={before}", "--", "GET", "before")
                assert answer["reply"] == "1" and answer["warning"] in NOTHING_IS_MISSING, answer
            a.set("after", number)
            world.wait_equal()
        after = a.execute_command("SESSION", "TOKEN")
        answer = with_(world.client(1), "read=causal", f"token={after}", "--", "GET", "after")
        assert answer["reply"] == "1" and answer["warning"] in NOTHING_IS_MISSING, answer
        assert with_(world.client(1), f"token={lost}", "--", "SET", "x", "1")["warning"] == "LOST"


def test_what_a_crash_took_is_warned_of_though_checkpoints_have_replaced_the_log():
    with world_of(regions=2) as world:
        a = world.client(0)
        a.set("before", "1")
        world.wait_equal()
        time.sleep(1.5)                                 # all of it is on the disk
        world.cut(0, 1)
        copy_log(world, 0, True)
        a.set("lost", "1")
        lost = a.execute_command("SESSION", "TOKEN")
        world.kill(0)
        copy_log(world, 0, False)                       # and what came after is not
        world.start(0)
        world.heal(0, 1)
        world.wait_linked()
        a = world.client(0)
        a.set("after", "1")
        after = a.execute_command("SESSION", "TOKEN")
        world.wait_equal()
        for _ in range(2):                              # the second is of what the first brought back
            for i in range(2):
                assert world.client(i).save()
                world.kill(i)
                world.start(i)
            world.wait_linked()
            for i in range(2):
                client = world.client(i)
                answer = with_(client, "read=causal", f"token={lost}", "ack_timeout=20000", "--", "GET", "lost")
                assert answer["reply"] is None and answer["warning"] == "LOST", answer
                answer = with_(client, "read=causal", f"token={after}", "ack_timeout=20000", "--", "GET", "after")
                assert answer["reply"] == "1" and answer["warning"] is None, answer


def test_what_a_removed_region_wrote_and_nobody_has_is_met_and_warned_of():
    with world_of(fsync="always") as world:
        c = world.client(2)
        c.set("known", "1")
        known = c.execute_command("SESSION", "TOKEN")
        world.wait_equal()
        world.cut(0, 2)
        world.cut(1, 2)
        c.set("gone", "1")
        gone = c.execute_command("SESSION", "TOKEN")
        b = world.client(1)
        refused(lambda: b.execute_command("WITH", "read=causal", "ack_timeout=100", f"token={gone}", "--", "GET", "gone"),
                "STALE")
        world.kill(2)
        with open(world.config, encoding="utf-8") as file:
            text = file.read()
        entry = re.search(rf"  - name: {world.names[2]}\n(    .*\n)+", text)[0]
        with open(world.config, "w", encoding="utf-8") as file:
            file.write(text.replace(entry, "") + "closed: [3]\n")
        world.restart(0)
        world.restart(1)
        support.wait_until(lambda: all(link["state"] == "up" for i in (0, 1) for link in world.status(i)["links"]), 30,
                           "not linked")
        for i in (0, 1):
            client = world.client(i)
            answer = with_(client, "read=causal", "ack_timeout=20000", f"token={gone}", "--", "GET", "gone")
            assert answer["reply"] is None and answer["warning"] == "CLOSED", answer
            answer = with_(client, "read=causal", "ack_timeout=20000", f"token={known}", "--", "GET", "known")
            assert answer["reply"] == "1" and answer["warning"] in NOTHING_IS_MISSING, answer
            assert client.execute_command("SESSION", "FOLLOW", gone, 20000) == "OK"


def test_keyspaces_change_live():
    with world_of() as world:
        client = world.client(0)
        world.cut(0, 1)
        world.cut(0, 2)
        refused(lambda: soon(client, "SET", "q:a", "1"), "NOACKS")
        assert client.execute_command("KEYSPACE", "SET", "q:", "acks", "async") == "OK"
        assert client.set("q:a", "2")
        assert client.execute_command("KEYSPACE", "SET", "", "acks", "1", "ack_timeout", "100ms", "reads", "bounded:5s") == "OK"
        refused(lambda: client.set("a", "2"), "NOACKS")
        for wrong in (("acks", "many"), ("reads", "bounded"), ("ack_timeout", "0"), ("mode", "primary")):
            refused(lambda w=wrong: client.execute_command("KEYSPACE", "SET", "", *w), "")


def test_writers_keep_what_readers_were_promised():
    with world_of() as world:
        client = world.client(0)

        def refusal():
            """Who is too far behind; nothing when it is written."""
            try:
                assert client.set("near:a", "1")
                return ""
            except redis.ResponseError as error:
                assert str(error).startswith("BUSY"), error
                return str(error)
        support.wait_until(lambda: refusal() == "", 20, "it is refused")
        assert client.set("slow:a", "1")
        world.wait_equal()
        world.cut(0, 2)
        world.cut(1, 2)
        support.wait_until(lambda: world.names[2] in refusal(), 20, "it was not refused")
        assert client.set("free", "1")                  # others are not asked
        ms, _ = took_ms(lambda: client.set("slow:a", "2"))
        assert ms > 500, ms
        metrics = world.get(0, "/metrics")[1]
        assert re.search(r"^meridian_lag_refused_total [1-9]", metrics, re.M), metrics
        assert re.search(r"^meridian_lag_slowed_total [1-9]", metrics, re.M), metrics
        world.heal(0, 2)
        world.heal(1, 2)
        world.wait_linked()
        support.wait_until(lambda: refusal() == "", 20, "it is still refused")
        world.wait_equal()
        support.wait_until(lambda: took_ms(lambda: client.set("slow:a", "4"))[0] < 500, 20, "writers are still slowed")


if __name__ == "__main__":
    support.main(globals())
