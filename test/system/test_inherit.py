"""test_inherit.py - sockets that poold is started with, by a service manager or its like."""

import errno
import os
import socket
import sys

import load
from harness import NOBODY, Skip, claim
from waiting import wait_until

GIVE_SOCKET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixture", "give_socket.py")


def low_address():
    """An address that only root may bind."""
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        if int(file.read()) < 1024:
            raise Skip("every user may bind low ports here")
    for port in range(600 + os.getpid() % 300, 1024):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return f"127.0.0.1:{port}"
            except OSError:
                continue
    raise Skip("no low port is free")


def web(box, address):
    return {"web": box.pool("--ready", "0", listen=address, ready="notify")}


@claim(root=True)
def a_user_without_a_given_socket_cannot_have_a_low_port(box):
    poold = box.poold(web(box, low_address()), uid=NOBODY)
    event = poold.wait_event(6033, "web", errno=errno.EACCES)
    assert "a port below 1024 takes root, or LISTEN_FDS" in event["text"], event


@claim(root=True, limit=40)
def a_user_with_a_given_socket_serves_a_low_port_over_recycles(box):
    address = low_address()
    poold = box.poold(web(box, address), uid=NOBODY,
                      prefix=(sys.executable, GIVE_SOCKET, str(NOBODY), address))
    poold.wait_state("web", "started")
    assert os.stat(f"/proc/{poold.pid}").st_uid == NOBODY
    running = box.load(address, clients=4)
    for _ in range(3):
        poold.ctl("recycle", "web", "--wait")
    os.kill(poold.engine_pid(), 9)
    wait_until(lambda: poold.events(6003), what="another engine")
    poold.ctl("recycle", "web", "--wait")
    running.finish_without_failure()
    assert "LISTEN_FDS" not in poold.log(), poold.log()


@claim()
def a_given_socket_that_no_pool_wants_is_told_and_closed(box):
    given, own = box.address(), box.address()
    poold = box.poold(web(box, own),
                      prefix=(sys.executable, GIVE_SOCKET, str(os.getuid()), given))
    poold.wait_state("web", "started")
    assert "of 1 sockets that poold was started with (LISTEN_FDS) 1 are closed" in poold.log()
    load.fetch(own)
    try:
        load.connect(given)
        raise AssertionError(f"somebody listens on {given}")
    except ConnectionRefusedError:
        pass


@claim(root=True, limit=40, needs=["systemd-socket-activate", "setpriv"])
def systemd_socket_activate_starts_poold_at_the_first_connection(box):
    address = low_address()
    poold = box.poold(web(box, address), uid=NOBODY, answering=False, prefix=(
        "systemd-socket-activate", "-l", address,
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"))
    # The connection that starts it is the first that is served.
    first = wait_until(lambda: load.answers(address), what=f"an answer at {address}")
    assert first["pool"] == "web", first
    poold.wait_state("web", "started")
    assert os.stat(f"/proc/{poold.pid}").st_uid == NOBODY
    load.fetch(address)
