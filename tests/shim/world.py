"""A world of regions, each on a disk of its own whose power may fail, and which may have faults."""
import os

import support
from shim.power import Disk


class DiskWorld(support.World):
    """As support.World; sync_us is how long a sync of their disks takes at most."""

    def __init__(self, *arguments, sync_us=1000, **options):
        self.sync_us = sync_us
        self.disks = {}
        super().__init__(*arguments, **options)

    def disk(self, i):
        if i not in self.disks:
            self.disks[i] = Disk(os.path.join(self.dir, "disk-" + self.names[i]))
        return self.disks[i]

    def data_dir(self, i):
        return os.path.join(self.disk(i).dir, self.names[i])

    def environment(self, i):
        return self.disk(i).environment(self.sync_us)
