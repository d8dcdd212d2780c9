"""A world of regions for integration tests: started on free ports of the loopback, stopped by their process ids.

    with World(regions=3) as world:
        world.client(0).set("k", "v")
        world.wait_equal()

The binary is the one that MERIDIAN names, by default build/meridian.
"""
import glob
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.request

import redis

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BINARY = os.environ.get("MERIDIAN", os.path.join(ROOT, "build", "meridian"))
NAMES = ["us-east", "eu-de", "jp-tok", "br-sao", "au-syd", "eu-gb", "us-south", "ca-tor", "jp-osa", "eu-es"]
WAN = os.path.join(ROOT, "data", "wan.csv")

READY_SECONDS = 60      # a sanitized binary on a busy machine replays a log
STOP_SECONDS = 30


def free_ports(count):
    """Ports that nobody listens on, below the range from which the kernel takes those of outgoing connections."""
    found = []
    port = 10000 + os.getpid() * 37 % 15000
    while len(found) < count:
        port = port + 1 if port < 30000 else 10000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                found.append(port)
            except OSError:
                pass
    return found


def wait_until(fact, seconds=20, what="it did not happen"):
    """Calls fact() until it is true, and returns what it said; fails after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} within {seconds} s")
        time.sleep(0.02)


def run(*arguments, timeout=60, binary=None):
    """Runs a subcommand to its end: (exit status, standard output, standard error)."""
    done = subprocess.run([binary or BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=timeout, check=False)
    return done.returncode, done.stdout, done.stderr


class World:
    """Regions of one deployment.

    wan     a CSV matrix for --wan: a path, or True for the project's own
    faults  --faults
    fsync   log.fsync of the configuration
    data    the directory for everything; by default a new one that is removed at the end
    extra   further lines of the configuration (YAML, at the top level)
    start   False: nothing is started; see start()
    """

    def __init__(self, regions=3, wan=None, faults=True, fsync="everysec", data=None, extra="", start=True,
                 binary=None, dials=None):
        self.binary = binary or BINARY
        self.names = NAMES[:regions]
        self.temporary = data is None
        self.dir = data or tempfile.mkdtemp(prefix="meridian-test-")
        os.makedirs(self.dir, exist_ok=True)
        self.wan = WAN if wan is True else wan
        self.faults = faults
        self.dials = dials or {}        # region index -> list of REGION=HOST:PORT
        ports = free_ports(3 * regions)
        self.client_ports = ports[:regions]
        self.peer_ports = ports[regions:2 * regions]
        self.http_ports = ports[2 * regions:]
        self.processes = [None] * regions
        self.log_starts = [0] * regions
        self.config = os.path.join(self.dir, "world.yaml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(self.yaml(fsync, extra))
        if start:
            try:
                for i in range(regions):
                    self.spawn(i)
                for i in range(regions):
                    self.wait_ready(i)
            except BaseException:
                self.stop(check=False)
                raise

    def yaml(self, fsync, extra):
        """The configuration."""
        lines = ["deployment: test", "regions:"]
        for i, name in enumerate(self.names):
            lines += [f"  - name: {name}",
                      f"    clients: 127.0.0.1:{self.client_ports[i]}",
                      f"    peers: 127.0.0.1:{self.peer_ports[i]}",
                      f"    http: 127.0.0.1:{self.http_ports[i]}"]
        lines += [f"log: {{ fsync: {fsync} }}", extra, ""]
        return "\n".join(lines)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop(check=kind is None)

    # --- processes ---

    def data_dir(self, i):
        return os.path.join(self.dir, self.names[i])

    def segments(self, i):
        """The files of the region's log of operations, in order."""
        return sorted(glob.glob(os.path.join(self.data_dir(i), "?" * 16 + ".log")))

    def log_path(self, i):
        return os.path.join(self.dir, self.names[i] + ".log")

    def log(self, i):
        """Everything that the region has written to standard error."""
        with open(self.log_path(i), encoding="utf-8", errors="replace") as file:
            return file.read()

    def environment(self, i):
        """The environment of a region's process; None: ours. For worlds that preload something."""
        return None

    def command(self, i):
        """The command line of a region."""
        line = [self.binary, "serve", "--config", self.config, "--region", self.names[i], "--data", self.data_dir(i)]
        if self.wan:
            line += ["--wan", self.wan]
        if self.faults:
            line += ["--faults"]
        for dial in self.dials.get(i, []):
            line += ["--dial", dial]
        return line

    def spawn(self, i):
        """Starts the process of a region, and does not wait."""
        with open(self.log_path(i), "ab") as log:
            self.log_starts[i] = log.tell()
            self.processes[i] = subprocess.Popen(self.command(i), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                 env=self.environment(i))

    def start_quietly(self, i):
        """Starts a region that need not be ready for long: it has to answer HTTP."""
        self.spawn(i)
        wait_until(lambda: self.answers(i), READY_SECONDS, f"{self.names[i]} did not answer")

    def answers(self, i):
        if self.processes[i].poll() is not None:
            raise AssertionError(f"{self.names[i]} ended with {self.processes[i].returncode}:\n{self.log(i)}")
        try:
            return self.get(i, "/health")[0] > 0
        except OSError:
            return False

    def is_ready(self, i):
        with open(self.log_path(i), "rb") as log:
            log.seek(self.log_starts[i])
            return any(line.startswith(b"ready ") for line in log.read().splitlines())

    def wait_ready(self, i):
        def fact():
            if self.processes[i].poll() is not None:
                raise AssertionError(f"{self.names[i]} ended with {self.processes[i].returncode}:\n{self.log(i)}")
            return self.is_ready(i)
        wait_until(fact, READY_SECONDS, f"{self.names[i]} was not ready")

    def start(self, i):
        self.spawn(i)
        self.wait_ready(i)

    def kill(self, i, number=signal.SIGKILL):
        """Ends a region's process by a signal, and returns its exit status."""
        process = self.processes[i]
        self.processes[i] = None
        process.send_signal(number)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.names[i]} did not stop:\n{self.log(i)}") from None

    def restart(self, i):
        """Starts a region again; one that runs is stopped cleanly before."""
        if self.processes[i]:
            self.kill(i, signal.SIGTERM)
        self.start(i)

    def stop(self, check=True):
        """Stops everything; with `check` every region must end with status 0. Logs are shown when something is wrong."""
        statuses = {}
        running = [i for i, process in enumerate(self.processes) if process]
        for i in running:
            # One that a test stopped goes on; later, this could undo how LeakSanitizer stops its threads at the exit.
            self.processes[i].send_signal(signal.SIGCONT)
            self.processes[i].send_signal(signal.SIGTERM)
        for i in running:
            try:
                statuses[i] = self.kill(i, 0)
            except AssertionError:
                statuses[i] = "did not stop"
        bad = {self.names[i]: status for i, status in statuses.items() if status != 0}
        if bad or not check:
            for i in range(len(self.names)):
                if os.path.exists(self.log_path(i)):
                    print(f"--- log of {self.names[i]}\n{self.log(i)[-4000:]}", file=sys.stderr)
        if self.temporary:
            shutil.rmtree(self.dir, ignore_errors=True)
        if check and bad:
            raise AssertionError(f"regions did not end with status 0: {bad}")

    # --- links ---

    def cut(self, a, b):
        """From now on nothing goes between two regions."""
        self.client(a).execute_command("LINK", "CUT", self.names[a], self.names[b])

    def heal(self, a, b):
        self.client(a).execute_command("LINK", "HEAL", self.names[a], self.names[b])

    # --- talking to them ---

    def client(self, i, **options):
        """A new connection of redis-py; texts are decoded unless told otherwise."""
        options.setdefault("decode_responses", True)
        options.setdefault("socket_timeout", 30)
        return redis.Redis(host="127.0.0.1", port=self.client_ports[i], **options)

    def get(self, i, path):
        """(HTTP status, body) of a region's page."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_ports[i]}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def status(self, i):
        return json.loads(self.get(i, "/status")[1])

    def links_up(self):
        """Whether every running region is linked with every other in both directions."""
        running = [i for i, process in enumerate(self.processes) if process]
        return all(link["state"] == "up" for i in running for link in self.status(i)["links"]
                   if link["region"] in [self.names[j] for j in running])

    def wait_linked(self, seconds=30):
        wait_until(self.links_up, seconds, "not all links were up")

    def heads(self, i):
        """What the region has of every origin: the stamp of its last write."""
        status = self.status(i)
        heads = {origin["region"]: origin["last_op"] for origin in status["origins"]}
        return heads | {f'{origin["number"]} {origin.get("fence", "")}': origin["last_op"] for origin in status["closed"]}

    def wait_equal(self, seconds=30):
        """Waits until all running regions have the same writes; then their contents must be the same. Returns them."""
        running = [i for i, process in enumerate(self.processes) if process]
        wait_until(lambda: len({json.dumps(self.heads(i), sort_keys=True) for i in running}) == 1, seconds,
                   "regions did not get the same writes")
        end = time.monotonic() + seconds
        while True:
            first, *others = contents = [self.contents(i) for i in running]
            if all(other == first for other in others):
                return first
            # A key may have expired between the readings: then it looks again.
            if time.monotonic() > end or not all(only_expired(first, other) for other in others):
                wrong = next(i for i, other in zip(running, contents) if other != first)
                raise AssertionError(f"{self.names[running[0]]} and {self.names[wrong]} have the same writes but "
                                     f"differ: {difference(first, contents[running.index(wrong)])}")

    def contents(self, i):
        """Every key of database 0 with its type and value, and whether it has a deadline."""
        client = self.client(i, decode_responses=False)
        found = {}
        cursor = None
        while cursor != 0:
            cursor, keys = client.scan(cursor or 0, count=2000)
            with client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.type(key).ttl(key)
                facts = pipeline.execute()
                for key, kind in zip(keys, facts[::2]):
                    read_all(pipeline, kind, key)
                values = pipeline.execute(raise_on_error=False)
            values = [client.dump(key) if isinstance(value, redis.ResponseError) else value     # a hyperloglog is no text
                      for key, value in zip(keys, values)]
            found.update((key, (kind, value, ttl >= 0))
                         for key, kind, ttl, value in zip(keys, facts[::2], facts[1::2], values) if kind != b"none")
        client.close()
        return found


class ClientThread(threading.Thread):
    """Does step() with a client and random numbers of its own, again and again, from start() to stop()."""

    def __init__(self, client, seed):
        super().__init__()
        self.client = client
        self.rng = random.Random(seed)
        self.stopping = threading.Event()
        self.problem = None

    def step(self):
        raise NotImplementedError

    def run(self):
        try:
            while not self.stopping.is_set():
                self.step()
        except Exception as problem:    # told by stop(), in the thread that judges
            self.problem = problem

    def stop(self):
        self.stopping.set()
        self.join()
        if self.problem:
            raise self.problem


def log_records(path):
    """(offset, bytes) of every record of a segment (store/oplog.h, wire/record.h)."""
    with open(path, "rb") as file:
        content = file.read()
    found = []
    offset = 64
    while offset + 4 <= len(content):
        length = struct.unpack_from("<I", content, offset)[0]
        if length == 0:
            break
        found.append((offset, 20 + length))
        offset += 20 + length
    return found


def read_all(pipeline, kind, key):
    """Reads the whole value of a key of this type."""
    if kind == b"list":
        pipeline.lrange(key, 0, -1)
    elif kind == b"zset":
        pipeline.zrange(key, 0, -1, withscores=True)
    elif kind == b"stream":
        pipeline.xrange(key)
    else:
        {b"hash": pipeline.hgetall, b"set": pipeline.smembers}.get(kind, pipeline.get)(key)


def only_expired(a, b):
    """Whether two contents differ only in keys with a deadline."""
    return all(any(side[key][2] for side in (a, b) if key in side)
               for key in set(a) | set(b) if a.get(key) != b.get(key))


def difference(a, b):
    """Some keys on which two contents differ, for people."""
    keys = [key for key in sorted(set(a) | set(b)) if a.get(key) != b.get(key)]
    return "; ".join(f"{key}: {a.get(key)} / {b.get(key)}" for key in keys[:5])


def main(module_globals):
    """Runs every test_* function of a module, or those whose name contains an argument; exits with 0 if all passed."""
    tests = [(name, f) for name, f in module_globals.items() if name.startswith("test_") and callable(f)]
    failed = 0
    for name, test in tests:
        if len(sys.argv) > 1 and not any(part in name for part in sys.argv[1:]):
            continue
        began = time.monotonic()
        try:
            test()
            print(f"ok   {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:               # pylint: disable=broad-except
            failed += 1
            traceback.print_exc()
            print(f"FAIL {name}", flush=True)
    sys.exit(1 if failed else 0)
