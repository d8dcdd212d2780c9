"""Clients that know what must be there after a crash, and rounds of crashes.

A witness writes keys that nobody else writes, one operation after another, and remembers the value of each key
after every operation, which of them were acknowledged, and when. What is found later must be its keys exactly as
they were after one of its operations: the log is one sequence, so that a region holds all up to some operation,
and nothing after it. Which operation that may be is the guarantee that is tested.
"""
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import redis

import support

CHECKPOINTS = "checkpoint: { log: 1MB, every: 1s }"     # the least that can be asked for: many in one round
LOST_SECONDS = 1.5      # everysec: the last second, and half of one for the client's own delays
LIST_LENGTH = 20


class Witness(threading.Thread):
    """Writes to a region until it dies, or until stop()."""

    def __init__(self, world, region, name, seed, sequence=0, operation=0, histories=None):
        super().__init__(daemon=True)
        self.region, self.name = region, name
        self.client = world.client(region)
        self.rng = random.Random(seed)
        self.stopping = threading.Event()
        self.sequence = sequence            # no value is ever written twice
        self.operation = operation          # number of the last one that was sent
        self.acknowledged = operation
        self.times = []                     # (operation, when it was acknowledged)
        self.histories = histories or {}    # key -> [(operation, its value after it)]; None: it is not there
        self.values = {key: history[-1][1] for key, history in self.histories.items()}
        self.problem = None

    def run(self):
        try:
            while not self.stopping.is_set():
                self.step()
                time.sleep(self.rng.uniform(0, 0.002))      # the processor is not what is tested
        except (redis.ConnectionError, redis.TimeoutError):
            pass                            # killed: what was on its way is not acknowledged
        except redis.ResponseError as problem:
            self.problem = problem

    def stop(self, refusal=None):
        """Ends it; it must not have been refused anything, but by this word."""
        self.stopping.set()
        self.join()
        assert not self.problem or (refusal and refusal in str(self.problem)), f"{self.name}: {self.problem}"

    def step(self):
        pipeline = self.client.pipeline(transaction=self.rng.random() < 0.1)
        for _ in range(self.rng.randrange(1, 8)):
            self.write(pipeline)
        last = self.operation
        pipeline.execute()
        self.acknowledged = last
        self.times.append((last, time.monotonic()))

    def write(self, pipeline):
        """One random operation, onto the pipeline and into the history."""
        kind = self.rng.choice(["value", "value", "value", "counter", "hash", "list", "set", "zset", "gone", "big"])
        key = f"{self.name}:{kind}"
        if kind == "value":
            key += str(self.rng.randrange(200))
        elif kind == "big":
            key += str(self.rng.randrange(8))
        self.sequence += 1
        value = getattr(self, "write_" + kind)(pipeline, key, self.values.get(key))
        self.operation += 1
        self.values[key] = value
        self.histories.setdefault(key, [(0, None)]).append((self.operation, value))

    def write_value(self, pipeline, key, _):
        pipeline.set(key, self.sequence)
        return str(self.sequence)

    def write_big(self, pipeline, key, _):
        if self.rng.random() < 0.7:         # seldom, as they are up to 200 KB
            return self.write_value(pipeline, key, None)
        value = f"{self.sequence}:" * self.rng.randrange(1, 25000)
        pipeline.set(key, value)
        return value

    def write_counter(self, pipeline, key, value):
        pipeline.incr(key)
        return str(int(value or 0) + 1)

    def write_hash(self, pipeline, key, value):
        field = str(self.rng.randrange(30))
        value = dict(value or {})
        if field in value and self.rng.random() < 0.3:
            pipeline.hdel(key, field)
            del value[field]
        else:
            pipeline.hset(key, field, self.sequence)
            value[field] = str(self.sequence)
        return value or None

    def write_list(self, pipeline, key, value):
        value = value or []
        if len(value) >= LIST_LENGTH:
            pipeline.lpop(key)
            return value[1:]
        pipeline.rpush(key, self.sequence)
        return value + [str(self.sequence)]

    def write_set(self, pipeline, key, value):
        value = value or set()
        if len(value) >= LIST_LENGTH:
            oldest = min(value, key=int)
            pipeline.srem(key, oldest)
            return value - {oldest}
        pipeline.sadd(key, self.sequence)
        return value | {str(self.sequence)}

    def write_zset(self, pipeline, key, value):
        member = str(self.rng.randrange(30))
        pipeline.zadd(key, {member: self.sequence})
        return {**(value or {}), member: float(self.sequence)}

    def write_gone(self, pipeline, key, value):
        if value is not None:
            pipeline.delete(key)
            return None
        return self.write_value(pipeline, key, None)

    # --- what is found ---

    def read(self, client):
        """Its keys as they are, at one moment."""
        keys = sorted(self.histories)
        with client.pipeline(transaction=True) as pipeline:
            for key in keys:
                support.read_all(pipeline, self.type_of(key), key)
            found = pipeline.execute() if keys else []
        return {key: (dict(value) if self.type_of(key) == b"zset" else value) or None
                for key, value in zip(keys, found)}

    def type_of(self, key):
        kind = key[len(self.name) + 1:]
        return kind.encode() if kind in ("hash", "list", "set", "zset") else b"string"

    def stands_at(self, found):
        """The operations, lowest and highest, after which its keys were as they were found; or what is wrong."""
        possible = [(0, self.operation)]
        for key, value in found.items():
            history = self.histories[key]
            ends = [number - 1 for number, _ in history[1:]] + [self.operation]
            spans = [(number, end) for (number, then), end in zip(history, ends) if then == value]
            narrowed = meet(possible, spans)
            assert narrowed, (f"{self.name}: {key} is {short(value)}, as after operations {spans[-3:]}; the keys before "
                              f"it are as after {possible[-3:]}; acknowledged: {self.acknowledged}, its last values: "
                              f"{[(number, short(then)) for number, then in history[-3:]]}")
            possible = narrowed
        return possible[0][0], possible[-1][1]

    def judge(self, found, fsync):
        """After a crash of its region: what was acknowledged is there, as far as fsync promises it. Returns the
        operation after which its keys are as they were found."""
        _, operation = self.stands_at(found)
        lost = [when for number, when in self.times if number > operation]
        if fsync == "always":
            assert not lost, f"{self.name}: stands at {operation}, but {self.acknowledged} were acknowledged"
        elif lost:
            seconds = lost[-1] - lost[0]
            assert seconds <= LOST_SECONDS, f"{self.name}: acknowledged writes of {seconds:.2f} s are lost"
        return operation

    def reborn(self, world, operation, floor, seed):
        """The same writer after a crash that left its keys as they were after this operation. Some region may still
        have them as they were after operation `floor`."""
        histories = {key: since([(number, value) for number, value in history if number <= operation], floor)
                     for key, history in self.histories.items()}
        return Witness(world, self.region, self.name, seed, self.sequence, operation, histories)


def since(history, floor):
    """What of a history matters when nobody stands before operation `floor`."""
    return [entry for entry, after in zip(history, history[1:]) if after[0] > floor] + history[-1:]


def meet(some, others):
    """The parts that two ascending lists of ranges have in common."""
    return sorted((max(a, c), min(b, d)) for a, b in some for c, d in others if max(a, c) <= min(b, d))


def short(value):
    text = repr(value)
    return text if len(text) < 80 else text[:60] + f"... ({len(text)})"


# --- rounds ---

class Rounds:
    """A world under load, in which one region after another dies and comes back.

    power    whether the power of a region's disk fails too, when it dies (shim/world.py)
    ways     functions of world, region and random numbers, one of which ends the region
    refusal  with what word a write may be refused before that; None: not at all
    """

    def __init__(self, world, fsync, seed, power=False, writers=2, ways=None, refusal=None):
        self.world, self.fsync, self.power = world, fsync, power
        self.ways, self.refusal = ways or WAYS, refusal
        self.rng = random.Random(seed)
        self.witnesses = [Witness(world, region, f"region{region}:writer{number}", self.rng.random())
                          for region in range(len(world.names)) for number in range(writers)]
        for witness in self.witnesses:
            witness.start()

    def of(self, region):
        return [witness for witness in self.witnesses if witness.region == region]

    def run(self, count):
        regions = range(len(self.world.names))
        for number in range(count):
            way = self.rng.choice(self.ways)
            victims = list(regions) if self.rng.random() < 0.15 else [self.rng.choice(regions)]
            told = f"round {number}: {way.__name__} {', '.join(self.world.names[region] for region in victims)}"
            try:
                time.sleep(self.rng.uniform(0.05, 0.6))
                for region in victims:
                    told += self.crash(region, way)
                self.bring_back(victims, "always" if way is stopped else self.fsync)
            except BaseException:
                self.world.temporary = False
                print(f"FAILED in {told}; the files are kept in {self.world.dir}", flush=True)
                raise
            print(told, flush=True)

    def crash(self, region, way):
        told = ""
        way(self.world, region, self.rng)
        if self.power:
            told = "; " + self.world.disk(region).lose(self.rng.random())
        for witness in self.of(region):
            witness.stop(self.refusal)
        return told

    def bring_back(self, victims, fsync):
        """The regions start again, each while all others are held: what it has, it has by itself."""
        held = [region for region in range(len(self.world.names)) if region not in victims]
        known = {witness.name: [witness.stands_at(witness.read(self.world.client(region)))[0] for region in held]
                 for victim in victims for witness in self.of(victim)}
        try:
            for region in held:
                self.world.processes[region].send_signal(signal.SIGSTOP)
            for region in victims:
                self.keep_files(region)
                self.start_in_vain(region)
                self.world.start(region)
                self.judge(region, fsync, known)
                self.world.processes[region].send_signal(signal.SIGSTOP)
        finally:
            for process in self.world.processes:
                if process:
                    process.send_signal(signal.SIGCONT)
        for witness in self.witnesses:
            if not witness.ident:
                witness.start()

    def keep_files(self, region):
        """As they are before the region opens them, in case that what comes then has to be understood."""
        kept = os.path.join(self.world.dir, "before-" + self.world.names[region])
        shutil.rmtree(kept, ignore_errors=True)
        subprocess.run(["cp", "-r", "--sparse=always", self.world.data_dir(region), kept], check=True)

    def start_in_vain(self, region):
        """Sometimes it dies again, in the middle of its start."""
        while self.rng.random() < 0.25:
            self.world.spawn(region)
            time.sleep(self.rng.uniform(0, 0.1))
            self.world.kill(region)
            if self.power:
                self.world.disk(region).lose(self.rng.random())

    def judge(self, region, fsync, known):
        client = self.world.client(region)
        for witness in self.of(region):
            operation = witness.judge(witness.read(client), fsync)
            elsewhere = known[witness.name]
            assert operation >= max(elsewhere, default=0), (f"{witness.name} stands at {operation}, but others have "
                                                            f"seen {elsewhere}")
            floor = min(elsewhere, default=0)
            self.witnesses.remove(witness)
            self.witnesses.append(witness.reborn(self.world, operation, floor, self.rng.random()))

    def finish(self):
        """All that was written is everywhere, and nowhere is anything else."""
        for witness in self.witnesses:
            witness.stop()
        self.world.wait_equal(60)
        for witness in self.witnesses:
            for region in range(len(self.world.names)):
                lowest, highest = witness.stands_at(witness.read(self.world.client(region)))
                assert lowest <= witness.acknowledged <= highest, f"{witness.name} at {self.world.names[region]}"


# --- ways to die ---

def killed(world, region, _):
    world.kill(region)


def killed_while_it_saves(world, region, rng):
    """In the middle of a checkpoint, if it takes as long."""
    client = world.client(region)
    client.execute_command("BGSAVE")
    time.sleep(rng.choice([0, rng.uniform(0, 0.02), rng.uniform(0, 0.2)]))
    world.kill(region)


def killed_while_a_client_waits_for_save(world, region, rng):
    def save():
        try:
            world.client(region).execute_command("SAVE")
        except redis.RedisError:
            pass                            # it was killed, or another checkpoint goes on
    thread = threading.Thread(target=save)
    thread.start()
    time.sleep(rng.uniform(0, 0.1))
    world.kill(region)
    thread.join()


def stopped(world, region, _):
    status = world.kill(region, signal.SIGTERM)
    assert status == 0, f"it ended with {status}:\n{world.log(region)[-2000:]}"


def killed_while_it_stops(world, region, rng):
    world.processes[region].send_signal(signal.SIGTERM)
    time.sleep(rng.uniform(0, 0.05))
    world.kill(region)


WAYS = [killed, killed, killed, killed_while_it_saves, killed_while_it_saves, killed_while_a_client_waits_for_save,
        stopped, killed_while_it_stops]
