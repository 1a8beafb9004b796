"""control.py - a client of the control socket that knows nothing but JSON-RPC 2.0, a message a line."""

import json
import socket

from waiting import PATIENCE


class Refused(Exception):
    """An error reply."""

    def __init__(self, error):
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.code = error.get("code")
        self.message = error.get("message")
        self.data = error.get("data") or {}


class Control:
    """One connection."""

    def __init__(self, path, timeout=10.0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout * PATIENCE)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.buffer = b""
        self.number = 0
        self.events = []  # notifications that came between replies

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_bytes(self, data):
        self.socket.sendall(data)

    def read_line(self):
        """One line without its end; None at the end of the connection."""
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def read_message(self):
        line = self.read_line()
        return None if line is None else json.loads(line)

    def send(self, method, **params):
        """Asks; returns the request's id."""
        self.number += 1
        request = {"jsonrpc": "2.0", "id": self.number, "method": method}
        if params:
            request["params"] = params
        self.send_bytes(json.dumps(request).encode() + b"\n")
        return self.number

    def reply(self, number):
        """The result of the request of that number; raises Refused for an error."""
        while True:
            message = self.read_message()
            if message is None:
                raise ConnectionError("the control socket was closed before the reply")
            if message.get("method") == "event":
                self.events.append(message["params"])
            elif message.get("id") == number:
                if "error" in message:
                    raise Refused(message["error"])
                return message["result"]

    def call(self, method, **params):
        return self.reply(self.send(method, **params))

    def next_event(self):
        """The next event of a subscription."""
        if self.events:
            return self.events.pop(0)
        while True:
            message = self.read_message()
            if message is None:
                raise ConnectionError("the control socket was closed")
            if message.get("method") == "event":
                return message["params"]
