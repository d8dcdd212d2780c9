"""What the measurements share: two worlds of three servers on loopback, and redis-benchmark.

A world is a context manager: its servers run inside the `with`, on free ports and in a directory of
their own, and are gone after it. `ports` are the client ports, the first of them is written to.
"""
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MERIDIAN = os.environ.get("MERIDIAN", os.path.join(ROOT, "build", "meridian"))
REGIONS = ("us-east", "eu-de", "jp-tok")
START_SECONDS = 30


def free_ports(count):
    """Ports that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def ask(port, *words):
    """One command's reply as redis-cli prints it."""
    return subprocess.run(["redis-cli", "-p", str(port), *map(str, words)],
                          capture_output=True, text=True, check=True).stdout.strip()


def info(port, field):
    found = re.search(rf"^{field}:(.*?)\r?$", ask(port, "INFO"), re.MULTILINE)
    return found.group(1) if found else None


def until(condition, what):
    end = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what} did not happen within {START_SECONDS} s")
        time.sleep(0.05)


class World:
    """Three servers, the first with two that copy it."""

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="meridian-bench-")
        self.processes = []
        self.ports = free_ports(3)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory)

    def run(self, name, *command):
        with open(os.path.join(self.directory, name + ".log"), "wb") as log:
            self.processes.append(subprocess.Popen(command, cwd=self.directory, stdout=log, stderr=log))

    def pid(self, index):
        return self.processes[index].pid

    def answers(self, port):
        for process in self.processes:
            if process.poll() is not None:
                logs = [open(os.path.join(self.directory, name), encoding="utf-8", errors="replace").read()
                        for name in sorted(os.listdir(self.directory)) if name.endswith(".log")]
                raise SystemExit(f"a server of {self.name} ended:\n" + "".join(logs))
        try:
            return ask(port, "PING") == "PONG"
        except subprocess.CalledProcessError:
            return False

    def copied(self):
        """Has every server what was written to the first?"""
        probe = f"copied-{time.monotonic_ns()}"
        ask(self.ports[0], "SET", probe, "1")
        until(lambda: all(ask(port, "EXISTS", probe) == "1" for port in self.ports), "copying")
        ask(self.ports[0], "DEL", probe)


class Redis(World):
    """redis-server with two replicas; each of the three has an append-only file, as each region has a log."""
    name = "redis"

    def start(self):
        for index, port in enumerate(self.ports):
            directory = os.path.join(self.directory, str(index))
            os.mkdir(directory)
            follow = ["--replicaof", "127.0.0.1", str(self.ports[0])] if index > 0 else []
            # Neither snapshots nor rewrites of the file: they would only slow it down now and then.
            self.run(f"redis-{index}", "redis-server", "--port", str(port), "--bind", "127.0.0.1",
                     "--dir", directory, "--appendonly", "yes", "--appendfsync", "everysec",
                     "--save", "", "--auto-aof-rewrite-percentage", "0", "--repl-diskless-sync-delay", "0",
                     "--protected-mode", "no", *follow)
            until(lambda port=port: self.answers(port), f"the start of redis-server on port {port}")
        until(lambda: info(self.ports[0], "connected_slaves") == "2"
              and all(info(port, "master_link_status") == "up" for port in self.ports[1:]), "replication")
        self.copied()


class Meridian(World):
    """Three regions without distances between them."""
    name = "meridian"

    def start(self):
        peers = free_ports(3)
        config = os.path.join(self.directory, "world.yaml")
        with open(config, "w", encoding="ascii") as file:
            file.write("deployment: bench\nregions:\n")
            for region, clients, peer in zip(REGIONS, self.ports, peers):
                file.write(f"  - {{ name: {region}, clients: 127.0.0.1:{clients}, peers: 127.0.0.1:{peer} }}\n")
            file.write("log: { fsync: everysec }\n")
        for region in REGIONS:
            self.run(region, MERIDIAN, "serve", "--config", config, "--region", region,
                     "--data", os.path.join(self.directory, region))
        for port in self.ports:
            until(lambda port=port: self.answers(port), f"the start of meridian on port {port}")
        self.copied()


def rate(port, test, pipeline, requests, clients=50):
    """Requests a second of one redis-benchmark run: random ones of 100,000 keys, values of 64 bytes."""
    out = subprocess.run(["redis-benchmark", "-p", str(port), "-t", test, "-n", str(requests), "-c", str(clients),
                          "-P", str(pipeline), "-r", "100000", "-d", "64", "--csv"],
                         capture_output=True, text=True, check=True).stdout
    line = out.strip().splitlines()[-1]
    return float(line.split(",")[1].strip('"'))


def median(values):
    return statistics.median(values)


def machine():
    """One line that says where the figures are from."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    load = os.getloadavg()[0]
    return (f"{os.cpu_count()} x {model.group(1) if model else 'unknown processor'}, "
            f"load before the run {load:.2f}")
