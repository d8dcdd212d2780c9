#!/usr/bin/env python3
"""A region as a process: start, ready, stop, replication, pages over HTTP, kill and restart, and what it says when it cannot start."""
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

import support
from support import World, run, wait_until


def raw(world, i, request, until=None, seconds=10):
    """Sends bytes to a region's client port; returns what came back, to the end or until a text has come."""
    with socket.create_connection(("127.0.0.1", world.client_ports[i]), timeout=seconds) as s:
        s.sendall(request)
        received = b""
        while until is None or until not in received:
            try:
                piece = s.recv(65536)
            except ConnectionResetError:
                break
            if not piece:
                break
            received += piece
        return received


def one_line(text):
    return text.count("\n") == 1 and text.endswith("\n")


# --- life ---

def test_a_region_says_ready_with_its_ports_and_stops_cleanly():
    for number in (signal.SIGTERM, signal.SIGINT):
        with World(regions=1) as world:
            ready = [line for line in world.log(0).splitlines() if line.startswith("ready")]
            assert ready == [f"ready region=us-east clients=127.0.0.1:{world.client_ports[0]} "
                             f"peers=127.0.0.1:{world.peer_ports[0]} http=127.0.0.1:{world.http_ports[0]}"], ready
            assert world.client(0).ping()
            assert world.kill(0, number) == 0
            for line in world.log(0).splitlines():
                assert line.startswith("ready ") or re.match(r"ts=\S+Z level=\w+ ev=\S+", line), line


def test_a_clean_stop_loses_nothing_even_without_fsync():
    with World(regions=1, fsync="no") as world:
        client = world.client(0)
        for n in range(1000):
            client.incr("n")
            client.hset("h", f"f{n}", n)
        world.restart(0)
        assert world.client(0).get("n") == "1000"
        assert world.client(0).hlen("h") == 1000


def test_kill_loses_no_acknowledged_write_with_fsync_always():
    with World(regions=1, fsync="always") as world:
        for round_number in range(3):
            client = world.client(0)
            pipe = client.pipeline(transaction=False)
            for n in range(200):
                pipe.set(f"k{round_number}-{n}", "v")
            pipe.execute()
            world.kill(0)
            world.start(0)
            client = world.client(0)
            assert client.dbsize() == 200 * (round_number + 1)


def test_replies_that_are_held_for_the_disk_come_after_a_half_close():
    with World(regions=1, fsync="always") as world:
        with socket.create_connection(("127.0.0.1", world.client_ports[0]), timeout=10) as s:
            s.sendall(b"SET a 1\r\nGET a\r\n")
            s.shutdown(socket.SHUT_WR)
            received = b""
            while piece := s.recv(4096):
                received += piece
        assert received == b"+OK\r\n$1\r\n1\r\n", received


# --- replication ---

def test_a_write_appears_in_every_region():
    with World(regions=3) as world:
        world.wait_linked()
        world.client(0).set("greeting", "hello")
        for i in (1, 2):
            wait_until(lambda i=i: world.client(i).get("greeting") == "hello", what="the write did not arrive")
        world.client(2).hset("h", mapping={"a": "1", "b": "2"})
        world.client(1).sadd("s", "x", "y")
        contents = world.wait_equal()
        assert set(contents) == {b"greeting", b"h", b"s"}, contents


def test_a_region_that_was_away_catches_up():
    with World(regions=3) as world:
        world.wait_linked()
        world.kill(1)
        for n in range(500):
            world.client(0).incr("n") if n % 50 == 0 else None
        pipe = world.client(2).pipeline(transaction=False)
        for n in range(5000):
            pipe.set(f"k{n}", "x" * 100)
        pipe.execute()
        world.start(1)
        contents = world.wait_equal()
        assert len(contents) == 5001, len(contents)


def test_a_cut_link_heals_and_both_sides_agree():
    with World(regions=2) as world:
        world.wait_linked()
        status, out, err = run("link", "cut", "us-east", "eu-de", "--port", str(world.client_ports[0]))
        assert (status, out, err) == (0, "", ""), (status, out, err)
        wait_until(lambda: world.status(1)["links"][0]["state"] != "up", what="the link was not cut")
        world.client(0).set("k", "left")
        world.client(0).incrby("n", 5)
        world.client(1).incrby("n", 7)
        time.sleep(0.3)
        assert world.client(1).get("k") is None
        status, _, err = run("link", "heal", "us-east", "eu-de", "--port", str(world.client_ports[0]))
        assert status == 0, err
        contents = world.wait_equal()
        assert contents[b"n"][1] == b"12", contents
        assert contents[b"k"][1] == b"left", contents


def test_distances_of_a_matrix_are_kept():
    with World(regions=2, wan=True) as world:
        world.wait_linked()
        rtt_ms = wait_until(lambda: world.status(0)["links"][0].get("rtt_ms"), what="no round trip was measured")
        assert rtt_ms >= 80, rtt_ms         # us-east to eu-de: 92 ms in the matrix
        world.client(0).set("k", "v")
        began = time.monotonic()
        wait_until(lambda: world.client(1).get("k"), what="the write did not arrive")
        assert time.monotonic() - began < 10


def test_faults_need_their_option():
    with World(regions=2, faults=False) as world:
        status, _, err = run("link", "cut", "us-east", "eu-de", "--port", str(world.client_ports[0]))
        assert status == 1 and "--faults" in err and one_line(err), err


def test_dial_overrides_the_configured_address():
    world = World(regions=2, start=False)
    nobody, = support.free_ports(1)
    world.dials = {0: [f"eu-de=127.0.0.1:{nobody}"]}
    with world:
        world.start(0)
        world.start(1)
        time.sleep(0.5)
        world.client(1).set("k", "v")
        time.sleep(0.5)
        assert world.client(0).get("k") is None
        world.dials = {0: [f"eu-de=localhost:{world.peer_ports[1]}"]}
        world.restart(0)
        wait_until(lambda: world.client(0).get("k") == "v", what="the write did not arrive")


# --- pages ---

def test_status_health_and_metrics():
    with World(regions=2) as world:
        world.wait_linked()
        world.client(0).set("k", "v")
        status = world.status(0)
        assert status["region"] == "us-east" and status["deployment"] == "test" and status["keys"] == 1, status
        assert [link["region"] for link in status["links"]] == ["eu-de"], status
        assert world.get(0, "/health") == (200, '{"status":"serving"}\n')
        code, metrics = world.get(0, "/metrics")
        assert code == 200 and "\nmeridian_keys 1\n" in metrics, metrics
        assert world.get(0, "/nothing")[0] == 404
        code, out, err = run("status", "--http", f"127.0.0.1:{world.http_ports[0]}")
        assert code == 0 and "us-east" in out and "eu-de" in out and err == "", (code, out, err)
        code, out, err = run("status", "--json", "--http", f"127.0.0.1:{world.http_ports[1]}")
        assert code == 0 and '"region":"eu-de"' in out, (code, out, err)


# --- clients ---

def test_a_large_value_comes_and_goes_whole():
    with World(regions=1) as world:
        client = world.client(0, decode_responses=False)
        value = os.urandom(48 << 20)
        client.set("large", value)
        assert client.get("large") == value
        pipe = client.pipeline(transaction=False)
        for _ in range(2):
            pipe.get("large")
        assert all(reply == value for reply in pipe.execute())


def test_a_client_that_does_not_read_stops_being_read_and_the_others_go_on():
    with World(regions=1) as world:
        world.client(0).set("k", "x" * 1000)
        command, reply = b"GET k\r\n", b"$1000\r\n" + b"x" * 1000 + b"\r\n"
        many = command * 10_000
        with socket.create_connection(("127.0.0.1", world.client_ports[0])) as s:
            s.setblocking(False)
            sent = 0
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                try:
                    sent += s.send(many[sent % len(command):])
                except BlockingIOError:
                    time.sleep(0.05)
            assert world.client(0).ping()
            used = int(world.client(0).info("memory")["used_memory_rss"])
            assert used < 300 << 20, used
            s.settimeout(30)
            left = sent // len(command) * len(reply)
            while left > 0:
                piece = s.recv(1 << 20)
                assert piece, "closed by the server"
                left -= len(piece)


def test_clients_over_the_limit_get_one_line():
    with World(regions=1, extra="limits: { clients: 3 }") as world:
        held = [socket.create_connection(("127.0.0.1", world.client_ports[0])) for _ in range(3)]
        wait_until(lambda: world.status(0)["clients"] == 3)
        assert raw(world, 0, b"") == b"-ERR max number of clients reached\r\n"
        held.pop().close()
        wait_until(lambda: world.status(0)["clients"] == 2)
        assert raw(world, 0, b"PING\r\n", until=b"PONG") == b"+PONG\r\n"
        for s in held:
            s.close()


def test_a_thousand_idle_connections_do_not_matter():
    with World(regions=1) as world:
        held = [socket.create_connection(("127.0.0.1", world.client_ports[0])) for _ in range(900)]
        wait_until(lambda: world.status(0)["clients"] == 900)
        assert world.client(0).set("k", "v")
        for s in held:
            s.close()
        wait_until(lambda: world.status(0)["clients"] <= 1)


def test_running_out_of_descriptors_is_said_once_a_second_and_survived():
    world = World(regions=1, start=False)
    command = world.command(0)
    world.command = lambda i: ["sh", "-c", 'ulimit -n 100; exec "$@"', "sh"] + command
    if os.geteuid() == 0:           # root may raise the limit again: then there is nothing to run out of
        world.command = lambda i: ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "sh", "-c",
                                   'ulimit -n 100; exec "$@"', "sh"] + command
    with world:
        world.start(0)
        assert "ev=clients.lowered" in world.log(0), world.log(0)
        held = []
        for _ in range(150):
            s = socket.create_connection(("127.0.0.1", world.client_ports[0]))
            held.append(s)
        time.sleep(1.5)
        assert world.log(0).count("accept.failed") <= 4, world.log(0)
        for s in held:
            s.close()
        wait_until(lambda: raw(world, 0, b"PING\r\n", until=b"PONG") == b"+PONG\r\n", what="it did not recover")


# --- what cannot start says why ---

def test_wrong_usage_is_status_2_and_one_line():
    for arguments in (["serve"], ["serve", "--confg", "x"], ["serve", "--config"], ["serve", "x"],
                      ["serve", "--config", "x", "--region", "y", "--dial", "nothing"],
                      ["serve", "--faults=yes"], ["demo", "--regions", "11"], ["demo", "--regions", "x"],
                      ["demo", "--config", "x", "--regions", "2"], ["demo", "--port", "64000"],
                      ["serve", "--ports-from", "0"], ["status", "--http", "a:b:c"],
                      ["link"], ["link", "cut", "a"], ["link", "slow", "a", "b"], ["link", "break", "a", "b"]):
        status, out, err = run(*arguments)
        assert status == 2 and out == "" and one_line(err), (arguments, status, out, err)
    assert "--config" in run("serve", "--confg", "x")[2]


def test_no_such_file_or_region():
    status, _, err = run("serve", "--config", "/nonexistent.yaml", "--region", "x")
    assert status == 1 and "/nonexistent.yaml" in err and one_line(err), err
    with World(regions=2, start=False) as world:
        status, _, err = run("serve", "--config", world.config, "--region", "mars")
        assert status == 1 and "mars" in err and "us-east" in err and one_line(err), err


def test_nobody_there():
    port, = support.free_ports(1)
    for arguments in (["status", "--http", f"127.0.0.1:{port}"], ["link", "cut", "a", "b", "--port", str(port)]):
        status, out, err = run(*arguments)
        assert status == 1 and out == "" and one_line(err) and str(port) in err, (status, out, err)


def test_a_port_that_is_taken():
    with World(regions=1, start=False) as world:
        for port in (world.client_ports[0], world.peer_ports[0], world.http_ports[0]):
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", port))
                taken.listen()
                status, _, err = run(*world.command(0)[1:])
                assert status == 1 and f"127.0.0.1:{port}" in err and "in use" in err and one_line(err), err


def test_a_data_directory_in_use():
    with World(regions=2) as world:
        command = world.command(1)
        world.kill(1, signal.SIGTERM)
        command[command.index(world.data_dir(1))] = world.data_dir(0)
        status, _, err = run(*command[1:])
        assert status == 1 and world.data_dir(0) in err and one_line(err), err


def test_a_data_directory_of_another_region():
    with World(regions=2) as world:
        command = world.command(1)
        world.kill(0, signal.SIGTERM)
        world.kill(1, signal.SIGTERM)
        command[command.index(world.data_dir(1))] = world.data_dir(0)
        status, _, err = run(*command[1:])
        assert status == 1 and "us-east" in err and one_line(err), err


def test_a_torn_tail_is_cut_with_one_line():
    with World(regions=1) as world:
        world.client(0).set("k", "v")
        end = world.status(0)["log"]["end_bytes"]
        world.kill(0, signal.SIGTERM)
        segment = os.path.join(world.data_dir(0), "0" * 16 + ".log")
        with open(segment, "r+b") as file:
            file.seek(64 + end)
            file.write(b"\x40\x00\x00\x00torn")
        world.start(0)
        assert world.log(0).count("ev=log.tail_cut") == 1, world.log(0)
        assert world.client(0).get("k") == "v"


def test_damage_in_the_log_is_one_clear_line():
    with World(regions=1, fsync="always") as world:
        for n in range(20):
            world.client(0).set(f"k{n}", "value")
        world.kill(0, signal.SIGTERM)
        segment = os.path.join(world.data_dir(0), "0" * 16 + ".log")
        with open(segment, "r+b") as file:
            file.seek(64 + 30)
            byte = file.read(1)
            file.seek(64 + 30)
            file.write(bytes([byte[0] ^ 1]))
        status, _, err = run(*world.command(0)[1:])
        assert status == 1 and "0" * 16 + ".log" in err and one_line(err), err


# --- demo ---

def test_a_demo_world_starts_replicates_and_stops():
    first = support.free_ports(1)[0]
    demo = subprocess.Popen([support.BINARY, "demo", "--regions", "3", "--port", str(first), "--no-wan"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        lines = [demo.stdout.readline() for _ in range(3)]
        for i in range(3):
            assert any(f"redis-cli -p {first + i} " in line for line in lines), lines
        clients = [support.redis.Redis(port=first + i, decode_responses=True) for i in range(3)]
        clients[0].set("greeting", "hello")
        for client in clients:
            wait_until(lambda client=client: client.get("greeting") == "hello", what="the write did not arrive")
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=30)
        assert demo.returncode == 0 and err == "", (demo.returncode, out, err)
        for i in range(3):
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", first + i)) != 0, "a region is left"
    finally:
        demo.kill()
        demo.wait()


def test_a_demo_of_a_configuration_may_have_other_ports():
    with World(regions=2, start=False) as world:
        first = support.free_ports(1)[0]
        demo = subprocess.Popen([support.BINARY, "demo", "--config", world.config, "--port", str(first), "--no-wan"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            lines = [demo.stdout.readline() for _ in range(2)]
            for i in range(2):
                assert any(f"redis-cli -p {first + i} " in line and f":{first + i + 2000}/" in line for line in lines), lines
            clients = [support.redis.Redis(port=first + i, decode_responses=True) for i in range(2)]
            clients[0].set("greeting", "hello")
            wait_until(lambda: clients[1].get("greeting") == "hello", what="the write did not arrive")
            demo.send_signal(signal.SIGINT)
            out, err = demo.communicate(timeout=30)
            assert demo.returncode == 0 and err == "", (demo.returncode, out, err)
        finally:
            demo.kill()
            demo.wait()


def test_regions_of_a_demo_die_with_it():
    first = support.free_ports(1)[0]
    with tempfile.TemporaryDirectory(prefix="meridian-test-") as data:
        demo = subprocess.Popen([support.BINARY, "demo", "--regions", "2", "--port", str(first), "--data", data],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2):
            demo.stdout.readline()
        demo.kill()
        demo.wait()
        demo.stdout.close()

        def all_gone():
            with socket.socket() as a, socket.socket() as b:
                return a.connect_ex(("127.0.0.1", first)) != 0 and b.connect_ex(("127.0.0.1", first + 1)) != 0
        wait_until(all_gone, what="regions were left")


if __name__ == "__main__":
    support.main(globals())
