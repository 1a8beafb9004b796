"""test_poolworker_talk.py - the stock worker answers pings from the loop that serves, whatever clients do."""

import os
import re
import resource
import signal
import socket

from harness import Skip, claim
from http_worker import ByHand, Client, ask
from waiting import PATIENCE, wait_until

IDLE_MAX = 10000  # of idle connections; as many as the limit of descriptors lets both sides have
SLOW = 200


class Supervisor:
    """The side of poold, played by hand: a notify socket, and what the worker has said over it."""

    def __init__(self, box):
        self.path = box.path("notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(10 * PATIENCE)
        self.worker, self.said, self.sequence = None, {}, 0

    def environment(self):
        return {**os.environ, "NOTIFY_SOCKET": self.path, "POOLD_PROTOCOL": "1",
                "POOLD_POOL": "web", "POOLD_WORKER": "0.7"}

    def hear(self):
        data, self.worker = self.socket.recvfrom(4096)
        for line in data.decode().splitlines():
            key, _, value = line.partition("=")
            self.said[key] = value

    def wait(self, key, value=None):
        while key not in self.said or (value is not None and self.said[key] != value):
            self.hear()
        return self.said[key]

    def tell(self, text):
        self.socket.sendto(text.encode(), self.worker)

    def ping(self):
        """Returns when the pong is there."""
        self.sequence += 1
        self.tell(f"PING={self.sequence}\n")
        self.wait("PONG", str(self.sequence))


def start(box, *arguments):
    supervisor = Supervisor(box)
    worker = ByHand(box, *arguments, environment=supervisor.environment())
    supervisor.wait("READY", "1")
    return supervisor, worker


@claim()
def it_is_ready_counts_its_requests_and_is_drained_by_message(box):
    supervisor, worker = start(box)
    supervisor.ping()
    client = Client(worker.address)
    for _ in range(3):
        answer = client.ask()
    assert b"pool=web\nworker=0.7\n" in answer.body, answer
    supervisor.wait("REQUESTS", "3")
    assert worker.wait_log(cs_uri_stem="/")["x-worker"] == "0.7"
    supervisor.tell("DRAIN=1\nDEADLINE_USEC=20000000\n")
    supervisor.wait("STOPPING", "1")
    assert client.ask().headers["connection"] == "close"
    assert worker.wait_end() == 0


@claim()
def a_drain_that_is_told_twice_cuts_nothing(box):
    supervisor, worker = start(box)
    client = Client(worker.address)
    client.send("GET /half HTTP/1.1\r\nHost: t\r\n")
    assert ask(worker.address).status == 200
    supervisor.tell("DRAIN=1\nDEADLINE_USEC=20000000\n")
    supervisor.wait("STOPPING", "1")
    worker.process.send_signal(signal.SIGTERM)
    for _ in range(3):  # the first one may come in the turn that the signal comes in
        supervisor.ping()
    client.send("\r\n")
    assert client.read().status == 200
    assert worker.wait_end() == 0


@claim()
def the_end_of_a_drain_is_before_its_deadline(box):
    supervisor, worker = start(box)
    client = Client(worker.address)
    client.send("GET /half HTTP/1.1\r\nHost: t\r\n")
    assert ask(worker.address).status == 200
    supervisor.tell("DRAIN=1\nDEADLINE_USEC=600000\n")
    assert worker.wait_end() == 0


@claim(limit=120)
def slow_and_idle_connections_by_the_thousand_stop_neither_pings_nor_answers(box):
    supervisor, worker = start(box, "--header-timeout", "60s", "--no-log")
    own, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # The worker counts on two descriptors a connection.
    count = min(IDLE_MAX, (most - 300) // 2)
    if count < SLOW:
        raise Skip(f"there are only {own} descriptors")
    idle = []
    for number in range(count):
        client = Client(worker.address)
        if number < SLOW:
            client.send("GET / HTTP/1.1\r\nX: ")
        elif number % 2:
            assert client.ask().status == 200
        idle.append(client)
        if number % 1000 == 0:
            supervisor.ping()
    for _ in range(20):
        for client in idle[:SLOW]:
            client.send("y")
        supervisor.ping()
        assert ask(worker.address).status == 200
    for client in idle:
        client.close()
    wait_until(lambda: len(os.listdir(f"/proc/{worker.pid}/fd")) < 100, what="them to be closed")


@claim()
def a_client_that_stops_taking_a_large_file_stops_nobody(box):
    root = box.path("site")
    os.mkdir(root)
    with open(os.path.join(root, "big.txt"), "wb") as file:
        file.truncate(50 * 1024 * 1024)
    supervisor, worker = start(box, "--root", root)
    clients = [Client(worker.address) for _ in range(20)]
    for client in clients:
        client.send("GET /big.txt HTTP/1.1\r\nHost: t\r\n\r\n")
    for _ in range(20):
        supervisor.ping()
    assert ask(worker.address, "/nothing").status == 404
    head = clients[0].stream.recv(4096).decode("latin-1")
    assert re.match(r"HTTP/1.1 200 OK\r\n", head), head
