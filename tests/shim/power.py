#!/usr/bin/env python3
"""The power fails: undoes, at random, what a program under the shim had not synced (power.c, journal.h).

    disk = Disk(directory)
    subprocess.Popen(..., env=disk.environment())       # everything below disk.dir is under the shim
    process.kill(); process.wait()
    print(disk.lose(seed))                              # now it is as after a failure of the power
    disk.fault("fail sync 1 once EIO *.log")            # faults.h
    disk.heal()

power.py DIRECTORY SEED does the same as lose(), by hand.
"""
import os
import random
import shutil
import struct
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARY = os.environ.get("POWER_SHIM", os.path.join(ROOT, "build", "tests", "libpower.so"))
SECTOR = 512

WRITE, RESIZE, SYNCED, WRITTEN_THROUGH, SYNC_FAILED, NAMES = range(1, 7)
RECORD = struct.Struct("=IIQQQQQ")
PIECE = struct.Struct("=QQ")
ENTRY = struct.Struct("=QQQQ")


class Disk:
    """A directory under the shim, with its journal and the file that asks for faults beside it."""

    def __init__(self, directory):
        self.dir = os.path.join(directory, "disk")
        self.journal = os.path.join(directory, "journal")
        self.control = os.path.join(directory, "faults")
        os.makedirs(self.dir, exist_ok=True)

    def environment(self, sync_us=1000):
        assert os.path.exists(LIBRARY), f"{LIBRARY} is missing: it is built by make"
        return dict(os.environ, LD_PRELOAD=LIBRARY, POWER_DIR=self.dir, POWER_JOURNAL=self.journal,
                    POWER_FAULTS=self.control, POWER_SYNC_US=str(sync_us))

    def fault(self, *lines):
        """From now on exactly these faults, counted anew."""
        with open(self.control + ".new", "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        os.rename(self.control + ".new", self.control)

    def heal(self):
        if os.path.exists(self.control):
            os.remove(self.control)

    def lose(self, seed, mood=None):
        """The power fails, with no process left that uses the directory; says in one line what was lost."""
        loss = Loss(self, random.Random(seed), mood)
        loss.undo()
        return str(loss)


class Change:
    """A write, another size, or an operation on names, as the journal has it."""

    def __init__(self, place, kind, fields, body):
        self.place, self.kind = place, kind
        self.file, self.offset, self.length, self.old_size, self.new_size = fields
        self.durable = self.doomed = False
        self.pieces = list(pieces_of(body)) if kind != NAMES else []
        self.names = list(names_of(body)) if kind == NAMES else []
        self.unsynced = {name[0] for name in self.names}    # directories
        self.after = None           # what stood there when the power failed


def pieces_of(body):
    while body:
        offset, length = PIECE.unpack_from(body)
        yield offset, body[PIECE.size:PIECE.size + length]
        body = body[PIECE.size + length:]


def names_of(body):
    while body:
        directory, before, after, length = ENTRY.unpack_from(body)
        yield directory, body[ENTRY.size:ENTRY.size + length], before, after
        body = body[ENTRY.size + length:]


def read_journal(path):
    """The changes, each with whether it is durable."""
    changes = []
    waiting = {}                    # file or directory -> changes that no sync has covered
    by_place = {}
    place = 0
    with open(path, "rb") as file:
        while True:
            head = file.read(RECORD.size)
            if len(head) < RECORD.size:
                return changes
            size, kind, *fields = RECORD.unpack(head)
            body = file.read(size - RECORD.size)
            if len(body) < size - RECORD.size:
                return changes      # the process was killed while it wrote this
            if kind in (WRITE, RESIZE, NAMES):
                change = by_place[place] = Change(place, kind, fields, body)
                changes.append(change)
                for waits_for in change.unsynced or {change.file}:
                    waiting.setdefault(waits_for, []).append(change)
            elif kind == WRITTEN_THROUGH:
                by_place[fields[1]].durable = True
            else:
                note_sync(waiting, kind, fields[0], fields[1])
            place += size


def note_sync(waiting, kind, file, covers):
    covered = [change for change in waiting.get(file, []) if change.place < covers]
    waiting[file] = [change for change in waiting.get(file, []) if change.place >= covers]
    for change in covered:
        if kind == SYNC_FAILED:
            change.doomed = True
        change.unsynced.discard(file)
        if not change.doomed and not change.unsynced:
            change.durable = True


def from_first_unsynced(changes):
    """What has to be undone, in order to be done again in part."""
    first = next((i for i, change in enumerate(changes) if not change.durable), len(changes))
    return changes[first:]


class Loss:
    """One failure of the power.

    mood  "all": everything that was not synced is lost; "some": each part of it by chance; "none": nothing,
          as when only the process dies; None: the first or, more often, the second
    """

    def __init__(self, disk, rng, mood):
        self.disk, self.rng = disk, rng
        self.mood = mood or rng.choice(["all", "some", "some"])
        self.counts = {"kept": 0, "lost": 0, "torn": 0, "names kept": 0, "names lost": 0}
        self.inodes = os.path.join(disk.journal, "inodes")

    def __str__(self):
        told = ", ".join(f"{count} {what}" for what, count in self.counts.items() if count)
        return f"power lost ({self.mood}): {told or 'everything was synced'}"

    def undo(self):
        """Brings the directory into a state that the power's failure allows, and begins a new journal."""
        path = os.path.join(self.disk.journal, "journal")
        if os.path.exists(path):
            changes = read_journal(path)
            files = {}
            for change in changes:
                if change.kind != NAMES:
                    files.setdefault(change.file, []).append(change)
            for inode, of_file in files.items():
                self.undo_contents(inode, from_first_unsynced(of_file))
            self.undo_names(from_first_unsynced([change for change in changes if change.kind == NAMES]))
        shutil.rmtree(self.disk.journal, ignore_errors=True)

    def choose(self, change, what=""):
        """Whether a change stands: always when it is durable."""
        if change.durable:
            return True
        kept = {"all": False, "none": True}.get(self.mood)
        if kept is None:
            kept = self.rng.random() < 0.5
        self.counts[what + ("kept" if kept else "lost")] += 1
        return kept

    # --- contents ---

    def undo_contents(self, inode, changes):
        """Back to what was durable, then forward again with what stands."""
        if not changes:
            return
        with open(os.path.join(self.inodes, str(inode)), "r+b", buffering=0) as file:
            for change in reversed(changes):
                file.seek(change.offset)
                change.after = file.read(change.length) if change.kind == WRITE else b""
                put_back(file, change)
            for change in changes:
                if change.kind == RESIZE:
                    if self.choose(change):
                        file.truncate(change.new_size)
                else:
                    self.redo_write(file, change)

    def redo_write(self, file, change):
        size = os.fstat(file.fileno()).st_size
        stop = change.offset + len(change.after)
        torn = not change.durable and self.mood == "some" and self.rng.random() < 0.4
        if torn:
            self.counts["torn"] += 1
            for offset, length in self.some_sectors(change.offset, stop):
                put(file, offset, change.after[offset - change.offset:offset - change.offset + length])
        elif self.choose(change):
            put(file, change.offset, change.after)
        # The size may be on the disk before the bytes are.
        if stop > size and not change.durable and self.mood == "some" and self.rng.random() < 0.3:
            file.truncate(max(stop, os.fstat(file.fileno()).st_size))

    def some_sectors(self, start, stop):
        """(offset, length) of the sectors of a torn write that reached the disk: its beginning, its end, or any."""
        edges = [start, *range((start // SECTOR + 1) * SECTOR, stop, SECTOR), stop]
        sectors = [(a, b - a) for a, b in zip(edges, edges[1:])]
        cut = self.rng.randrange(len(sectors) + 1)
        return self.rng.choice([sectors[:cut], sectors[cut:], [s for s in sectors if self.rng.random() < 0.5]])

    # --- names ---

    def undo_names(self, changes):
        if not changes:
            return
        tree, paths = self.scan()
        for change in reversed(changes):
            for directory, name, before, _ in reversed(change.names):
                set_name(tree, directory, name, before)
        for change in changes:
            possible = all(tree.setdefault(directory, {}).get(name, 0) == before
                           for directory, name, before, _ in change.names)
            if change.durable or (possible and self.choose(change, "names ")):
                for directory, name, _, after in change.names:
                    set_name(tree, directory, name, after)
        self.build(tree, paths)

    def scan(self):
        """The names as they are: {directory: {name: inode}}, and where every inode is."""
        tree, paths = {}, {}
        for path, _, _ in os.walk(os.fsencode(self.disk.dir)):
            names = tree[os.stat(path).st_ino] = {}
            for entry in os.scandir(path):
                names[entry.name] = entry.inode()
                paths[entry.inode()] = entry.path
        return tree, paths

    def build(self, tree, paths):
        """Makes the directory anew with these names."""
        root = os.fsencode(self.disk.dir)
        fill(root + b".new", tree, os.stat(root).st_ino, lambda inode: self.find(paths, inode))
        os.rename(root, root + b".old")
        os.rename(root + b".new", root)
        shutil.rmtree(root + b".old")

    def find(self, paths, inode):
        kept = os.fsencode(os.path.join(self.inodes, str(inode)))
        return kept if os.path.lexists(kept) else paths.get(inode)


def put(file, offset, content):
    file.seek(offset)
    file.write(content)


def put_back(file, change):
    """What the range held before, and the size."""
    if change.kind == RESIZE and change.length > 0:
        file.truncate(change.new_size)
    file.truncate(change.old_size)
    if change.kind == WRITE:
        put(file, change.offset, bytes(min(change.length, max(change.old_size - change.offset, 0))))
    for offset, content in change.pieces:
        put(file, offset, content)


def set_name(tree, directory, name, inode):
    names = tree.setdefault(directory, {})
    if inode:
        names[name] = inode
    else:
        names.pop(name, None)


def fill(path, tree, directory, find):
    os.mkdir(path, 0o700)
    for name, inode in tree.get(directory, {}).items():
        inner = os.path.join(path, name)
        source = find(inode)
        if inode in tree:
            fill(inner, tree, inode, find)
        elif source is not None:    # else a file that is not ours, and gone
            os.link(source, inner, follow_symlinks=False)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(Disk(sys.argv[1]).lose(int(sys.argv[2])))
