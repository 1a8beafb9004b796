"""http_worker.py - the stock worker under test: by hand or under poold, and what it answers."""

import os
import re
import signal
import socket

import load
from harness import Skip
from waiting import PATIENCE, wait_until


class Answer:
    """A whole answer as it came: status, headers (lower case), body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:200]!r}"


class Client:
    """One connection; requests are written by hand, so that wrong ones can be."""

    def __init__(self, address, timeout=10.0):
        self.stream = load.connect(address, timeout)
        self.rest = b""

    def send(self, data):
        self.stream.sendall(data if isinstance(data, bytes) else data.encode())

    def read(self, head_only=False):
        """The next answer; None when the connection ends before its first byte."""
        while b"\r\n\r\n" not in self.rest:
            part = self.stream.recv(65536)
            if not part:
                assert not self.rest, f"half an answer: {self.rest!r}"
                return None
            self.rest += part
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        headers = {name.lower(): value.strip() for name, value in
                   (line.split(":", 1) for line in lines[1:])}
        if status == 100:
            return self.read(head_only)
        body = b"" if head_only or status in (204, 304) else self.read_body(headers)
        return Answer(status, headers, body)

    def take(self, size):
        while len(self.rest) < size:
            part = self.stream.recv(65536)
            assert part, f"the answer ends {size - len(self.rest)} bytes early"
            self.rest += part
        body, self.rest = self.rest[:size], self.rest[size:]
        return body

    def take_line(self):
        while b"\r\n" not in self.rest:
            part = self.stream.recv(65536)
            assert part, "the answer ends inside a chunk"
            self.rest += part
        line, _, self.rest = self.rest.partition(b"\r\n")
        return line

    def read_body(self, headers):
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.take_line(), 16):
                body += self.take(size)
                self.take_line()
            self.take_line()
            return body
        if "content-length" in headers:
            return self.take(int(headers["content-length"]))
        while part := self.stream.recv(65536):
            self.rest += part
        body, self.rest = self.rest, b""
        return body

    def ask(self, path="/", method="GET", headers=(), body=b""):
        lines = [f"{method} {path} HTTP/1.1", "Host: test", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
        return self.read(head_only=method == "HEAD")

    def is_closed(self):
        """Until the server has closed: true; false after the stream's time-out."""
        try:
            return self.stream.recv(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def close(self):
        self.stream.close()


def ask(address, path="/", **what):
    client = Client(address)
    try:
        return client.ask(path, **what)
    finally:
        client.close()


def require(box):
    if not os.path.exists(box.program("poolworker")):
        raise Skip("poolworker is not built: it needs libmicrohttpd")


def pool(box, *arguments, listen, **settings):
    """A pool of the stock worker."""
    require(box)
    return {"command": [box.program("poolworker"), *arguments], "listen": [listen],
            "ready": "notify", **settings}


class ByHand:
    """poolworker without poold, with its log."""

    def __init__(self, box, *arguments, address=None, environment=None):
        require(box)
        self.address = address or box.address()
        self.log_path = box.path(f"access.{len(box.others)}")
        with open(self.log_path, "wb") as log:
            self.process = box.start(box.program("poolworker"), "--listen", self.address,
                                     *arguments, stdout=log, env=environment)
        self.pid = self.process.pid
        wait_until(self.is_there, what=f"poolworker at {self.address}")

    def is_there(self):
        assert self.process.poll() is None, f"poolworker ended with {self.process.returncode}"
        try:
            load.connect(self.address).close()
            return True
        except OSError:
            return False

    def log(self):
        """Lines of requests as dictionaries by the names of the fields."""
        with open(self.log_path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        fields = next(line for line in lines if line.startswith("#Fields: ")).split()[1:]
        return [dict(zip(fields, line.split(" "), strict=True)) for line in lines
                if not line.startswith("#")]

    def wait_log(self, **wanted):
        """The first line with these values (a - in a name written as _)."""
        def found():
            for line in self.log():
                if all(line[key.replace("_", "-")] == value for key, value in wanted.items()):
                    return line
            return None
        return wait_until(found, what=f"a line of the log with {wanted}")

    def stop(self, number=signal.SIGTERM, limit=20):
        self.process.send_signal(number)
        return self.wait_end(limit)

    def wait_end(self, limit=20):
        return self.process.wait(limit * PATIENCE)


def worker_of(answer):
    """Which pid answered with the page."""
    return int(re.search(rb"pid=(\d+)", answer.body).group(1))
