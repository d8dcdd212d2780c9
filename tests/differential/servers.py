"""The two servers, on free loopback ports."""
import os
import shutil
import subprocess
import time

from support import free_ports

from .replies import Client

REDIS = shutil.which("redis-server") or "/usr/bin/redis-server"
MERIDIAN = os.environ.get("MERIDIAN", "build/meridian")

CONFIG = """\
deployment: differential
regions:
  - name: one
    id: 1
    city: Madrid
    location: [40.42, -3.70]
    timezone: Europe/Madrid
    jurisdiction: [eu]
    clients: 127.0.0.1:{clients}
    peers: 127.0.0.1:{peers}
    http: 127.0.0.1:{http}
log: {{ fsync: no }}
"""


class Server:
    def __init__(self, argv, port, log):
        self.port = port
        self.log = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def connect(self):
        deadline = time.monotonic() + 15
        while True:
            try:
                return Client(self.port)
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    with open(self.log, errors="replace") as log:
                        raise SystemExit("%s did not start:\n%s" % (self.process.args[0], log.read()[-2000:]))
                time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(folder):
    ports = free_ports(4)
    config = os.path.join(folder, "one.yaml")
    with open(config, "w") as out:
        out.write(CONFIG.format(clients=ports[1], peers=ports[2], http=ports[3]))
    redis = Server([REDIS, "--port", str(ports[0]), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
                    folder], ports[0], os.path.join(folder, "redis.log"))
    try:
        meridian = Server([MERIDIAN, "serve", "--config", config, "--region", "one", "--data",
                           os.path.join(folder, "data")], ports[1], os.path.join(folder, "meridian.log"))
    except OSError:
        redis.stop()
        raise
    return redis, meridian
