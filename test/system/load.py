"""load.py - clients of the workers: one request at a time, or many clients that count failures."""

import json
import re
import socket
import subprocess

from waiting import PATIENCE


def connect(address, timeout=10.0):
    """A connected stream socket; address is `host:port` or `unix:PATH`."""
    if address.startswith("unix:"):
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target = address[5:]
    else:
        host, port = address.rsplit(":", 1)
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        stream = socket.socket(family, socket.SOCK_STREAM)
        target = (host.strip("[]"), int(port))
    stream.settimeout(timeout * PATIENCE)
    try:
        stream.connect(target)
    except OSError:
        stream.close()
        raise
    return stream


def ask(stream):
    """Sends a request over the connection and returns the answer's body, to its end."""
    send_request(stream)
    return read_answer(stream)


def send_request(stream):
    stream.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")


def read_answer(stream):
    return read_head_and_body(stream)[1]


def read_head_and_body(stream):
    data = b""
    while True:
        part = stream.recv(65536)
        if not part:
            break
        data += part
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator or b" 200 " not in head.splitlines()[0]:
        raise AssertionError(f"not an answer: {data[:200]!r}")
    return head.decode(), body.decode()


def fetch(address, timeout=10.0):
    """One request: who answered, as {"pid": ..., "worker": ..., "pool": ...}, in head or body."""
    with connect(address, timeout) as stream:
        send_request(stream)
        found = dict(re.findall(r"(\w+)=(\S+)", "\n".join(read_head_and_body(stream))))
    found["pid"] = int(found["pid"])
    return found


def answers(address):
    """The same, or None when nobody serves (yet)."""
    try:
        return fetch(address)
    except (OSError, AssertionError):
        return None


class Load:
    """Clients that make a connection a request, or keep theirs, until finish(), and `least` requests in
    any case."""

    def __init__(self, program, address, clients=8, pause_us=2000, least=200, seconds=90, keep=False,
                 path="/"):
        self.least = least
        self.process = subprocess.Popen(
            [program, address, str(clients), str(seconds), str(pause_us), str(least),
             "keep" if keep else "close", path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def finish(self):
        """Stops the clients, each after its request; returns the counts."""
        out, _ = self.process.communicate(timeout=30 * PATIENCE)
        if self.process.returncode != 0:
            raise AssertionError(f"fixture_load exited with {self.process.returncode}")
        return json.loads(out)

    def finish_without_failure(self):
        """The claim of most tests: many requests, and every one of them served."""
        counts = self.finish()
        failed = counts["requests"] - counts["served"]
        assert failed == 0, f"{failed} of {counts['requests']} requests failed: {counts}"
        assert counts["served"] >= self.least, f"too few requests to prove anything: {counts}"
        return counts
