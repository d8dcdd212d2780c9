"""A client of either server: commands out, replies in, each of its own kind."""
import socket


# Plain lists are arrays, bytes bulk strings, ints integers; the rest keep their kind by their class.

class Error(str):
    pass


class Simple(str):
    pass


class Double(float):
    pass


class Verbatim(bytes):
    pass


class Set(list):
    pass


class Map(list):                # of (key, value)
    pass


class Null:
    def __init__(self, kind):
        self.kind = kind

    def __eq__(self, other):
        return isinstance(other, Null) and self.kind == other.kind

    def __repr__(self):
        return "Null(%s)" % self.kind


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    @staticmethod
    def encode(command):
        parts = [b"*%d\r\n" % len(command)]
        for arg in command:
            parts.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
        return b"".join(parts)

    def send(self, commands):
        self.socket.sendall(b"".join(map(self.encode, commands)))

    def ask(self, *command):
        self.send([command])
        return self.read()

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return Simple(rest.decode("latin-1"))
        if kind == b"-":
            return Error(rest.decode("latin-1"))
        if kind == b":":
            return int(rest)
        if kind == b",":
            return Double(rest)
        if kind == b"#":
            return rest == b"t"
        if kind == b"_":
            return Null("_")
        if kind not in b"$=*~%":
            raise ConnectionError("a reply that begins with %r" % line[:20])
        count = int(rest)
        if count < 0:
            return Null(kind.decode())
        if kind in b"$=":
            text = self.file.read(count + 2)[:-2]
            return text if kind == b"$" else Verbatim(text)
        if kind == b"*":
            return [self.read() for _ in range(count)]
        if kind == b"~":
            return Set(self.read() for _ in range(count))
        return Map((self.read(), self.read()) for _ in range(count))


def pairs(reply):
    return list(reply) if isinstance(reply, Map) else list(zip(reply[::2], reply[1::2]))


def shown(command):
    return " ".join(repr(arg)[1:] for arg in command)
