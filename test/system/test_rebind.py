"""test_rebind.py - sockets that change places with others, and those that are taken out, under load."""

import errno
import os
import signal
import socket
import sys

import load
from control import Refused
from harness import NOBODY, Skip, claim, refusing
from waiting import wait_until

SO_BINDTOIFINDEX = 62


def serving(box, *arguments, listen=None, **settings):
    return box.pool("--ready", "20", *arguments, listen=listen, ready="notify", **settings)


def apply(poold, pools, uid=None, **top):
    poold.write_config({**poold.box.config(pools, uid), **top})
    return poold.call("config.apply")


def recycles(poold):
    return len(poold.events(6022, "web"))


def apply_and_roll(poold, pools, **top):
    """Until the one worker was replaced."""
    seen = recycles(poold)
    apply(poold, pools, **top)
    wait_until(lambda: recycles(poold) > seen, what="the recycle to be done")


def connect_error(address):
    try:
        load.connect(address).close()
        return 0
    except OSError as error:
        return error.errno


def queued(address):
    """How many connections wait to be accepted; of the listener's line in the kernel's table."""
    host, port = address.split(":")
    local = "%08X:%04X" % (int.from_bytes(socket.inet_aton(host), sys.byteorder), int(port))
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if fields[1] == local and fields[3] == "0A":
                return int(fields[4].split(":")[1], 16)
    return None


def needs_interfaces():
    """To go from one address to every address takes CAP_NET_RAW (supervisor/keeper/beside.c)."""
    with socket.socket() as probe:
        try:
            for index in (1, 0):
                probe.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, index)
        except PermissionError:
            raise Skip("CAP_NET_RAW is needed") from None


def has_ipv6():
    return os.path.exists("/proc/net/if_inet6")


def come_beside(family, host, port):
    """What a process of the same user gets that wants a part of the port."""
    with socket.socket(family) as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            thief.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            thief.bind((host, port))
            return 0
        except OSError as error:
            return error.errno


def change_places(box, clients, port, before, after, way_back):
    """Clients of one address do not notice that the pool's listen goes there, and back."""
    poold = box.poold({"web": serving(box, listen=before)})
    poold.wait_state("web", "started")
    running = box.load(clients)
    for delay, listen in enumerate([after, before, after] if way_back else [after], 1):
        apply_and_roll(poold, {"web": serving(box, "--delay", str(delay), listen=listen)})
        assert poold.pool("web")["listen"] == [listen], poold.pool("web")
        for family, host in overlapping(listen):
            assert come_beside(family, host, port) == errno.EADDRINUSE, (listen, host)
    running.finish_without_failure()
    poold.stop()


def overlapping(listen):
    """Where others would share in it. (None beside it: that would make a mark in the kernel.)"""
    four = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0")]
    six = [(socket.AF_INET6, "::1"), (socket.AF_INET6, "::")] if has_ipv6() else []
    return six if listen.startswith("[") else four + six if listen.startswith("*") else four


@claim(limit=60)
def every_address_becomes_one_without_a_lost_request(box):
    port = box.port()
    change_places(box, f"127.0.0.1:{port}", port, f"*:{port}", f"127.0.0.1:{port}", False)


@claim(limit=60)
def one_address_becomes_every_one_and_back_without_a_lost_request(box):
    needs_interfaces()
    port = box.port()
    change_places(box, f"127.0.0.1:{port}", port, f"127.0.0.1:{port}", f"*:{port}", True)


@claim(limit=60)
def an_ipv6_address_and_every_one_change_places_without_a_lost_request(box):
    needs_interfaces()
    if not has_ipv6():
        raise Skip("there is no IPv6")
    port = box.port()
    change_places(box, f"[::1]:{port}", port, f"[::1]:{port}", f"*:{port}", True)


@claim()
def where_sockets_cannot_share_a_port_the_change_is_refused_with_advice(box):
    port = box.port()
    address = f"127.0.0.1:{port}"
    poold = box.poold({"web": serving(box, listen=address)}, prefix=refusing("reuseport"))
    poold.wait_state("web", "started")
    pid = poold.worker("web")["pid"]
    running = box.load(address)
    try:
        apply(poold, {"web": serving(box, listen=f"*:{port}")})
        raise AssertionError("it was applied")
    except Refused as refused:
        assert f"poold itself listens on {address} for pool web" in refused.message, refused
        assert "apply once without either" in refused.message, refused
    running.finish_without_failure()
    assert poold.worker("web")["pid"] == pid and poold.pool("web")["listen"] == [address]
    poold.stop()


@claim()
def who_comes_after_a_change_of_places_waits_for_the_successor(box):
    needs_interfaces()
    port = box.port()
    every, one = f"*:{port}", f"127.0.0.1:{port}"
    poold = box.poold({"web": serving(box, listen=one)})
    poold.wait_state("web", "started")
    old = poold.worker("web")["pid"]
    apply(poold, {"web": {**serving(box, listen=every), "command": ["/bin/false"]}})
    with load.connect(one) as waiting:
        load.send_request(waiting)
        poold.wait_event(1093, "web")
        apply_and_roll(poold, {"web": serving(box, listen=every)})
        assert f"pid={old}" not in load.read_answer(waiting)
    poold.stop()


@claim()
def a_change_of_places_that_is_refused_costs_no_request(box):
    port = box.port()
    every, one = f"*:{port}", f"127.0.0.1:{port}"
    poold = box.poold({"web": serving(box, listen=every)})
    poold.wait_state("web", "started")
    pid = poold.worker("web")["pid"]
    running = box.load(one)
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = "127.0.0.1:%d" % holder.getsockname()[1]
        for _ in range(20):
            try:
                apply(poold, {"web": serving(box, listen=[one, taken])})
                raise AssertionError("it was applied")
            except Refused as refused:
                assert taken in refused.message, refused
    running.finish_without_failure()
    assert poold.worker("web")["pid"] == pid
    poold.stop()


@claim()
def a_change_of_places_that_ends_half_way_leaves_no_trace(box):
    """What was in the way is like any other that is taken out later: served by its workers."""
    one, other, new = box.port(), box.port(), box.address()
    poold = box.poold({"web": serving(box, listen=[f"*:{one}", f"127.0.0.1:{other}"])})
    poold.wait_state("web", "started")
    pid = poold.worker("web")["pid"]
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.2", other))
        holder.listen()
        try:
            apply(poold, {"web": serving(box, listen=[f"127.0.0.1:{one}", f"*:{other}"])})
            raise AssertionError("it was applied")
        except Refused as refused:
            assert f"*:{other}" in refused.message, refused
    apply(poold, {"web": {**serving(box, listen=new), "command": ["/bin/false"]}})
    poold.wait_event(1093, "web")
    assert load.fetch(f"127.0.0.1:{one}")["pid"] == pid
    poold.stop()


@claim(root=True)
def a_user_changes_places_as_far_as_nobody_can_come_beside_him(box):
    """Without CAP_NET_RAW a process of the same user could, beside a socket of every address."""
    port = box.port()
    every, one = f"*:{port}", f"127.0.0.1:{port}"
    poold = box.poold({"web": serving(box, listen=every)}, uid=NOBODY)
    poold.wait_state("web", "started")
    apply_and_roll(poold, {"web": serving(box, "--delay", "1", listen=one)}, uid=NOBODY)
    assert load.fetch(one)["pid"] == poold.worker("web")["pid"]
    try:
        apply(poold, {"web": serving(box, listen=every)}, uid=NOBODY)
        raise AssertionError("it was applied")
    except Refused as refused:
        assert "apply once without either" in refused.message, refused
    load.fetch(one)
    poold.stop()


@claim()
def workers_that_are_left_alone_are_not_cut_off_by_a_change_of_places(box):
    port = box.port()
    every, one = f"*:{port}", f"127.0.0.1:{port}"
    keep = {"recycling": {"on_config_change": False}}
    poold = box.poold({"web": serving(box, listen=every, **keep)})
    poold.wait_state("web", "started")
    try:
        apply(poold, {"web": serving(box, listen=one, **keep)})
        raise AssertionError("it was applied")
    except Refused as refused:
        assert "apply once without either" in refused.message, refused
    load.fetch(one)
    poold.stop()


@claim()
def an_address_that_is_taken_out_is_served_while_no_successor_gets_ready(box):
    old, new = box.address(), box.address()
    poold = box.poold({"web": serving(box, listen=old)})
    poold.wait_state("web", "started")
    pid = poold.worker("web")["pid"]
    apply(poold, {"web": {**serving(box, listen=new), "command": ["/bin/false"]}})
    poold.wait_event(1093, "web")
    assert load.fetch(old)["pid"] == pid
    poold.stop()


@claim()
def an_address_that_somebody_shares_is_still_in_use(box):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = "127.0.0.1:%d" % other.getsockname()[1]
        poold = box.poold({"web": serving(box, listen=box.address())})
        poold.wait_state("web", "started")
        try:
            apply(poold, {"web": serving(box, listen=address)})
            raise AssertionError("it was applied")
        except Refused as refused:
            assert "Address already in use" in refused.message, refused
        poold.stop()


@claim(limit=60)
def an_address_that_is_taken_off_the_list_is_shut_at_once(box):
    """Its workers go on with what they have, here for good: their successors cannot start."""
    port = box.port()
    kept, removed = f"127.0.0.1:{port}", f"127.0.0.2:{port}"
    poold = box.poold_raw({**box.config({"web": serving(box, "--delay", "300", listen=f"*:{port}")}),
                           "listen_addresses": ["127.0.0.1", "127.0.0.2"]}).wait_answering()
    poold.wait_state("web", "started")
    pid = poold.worker("web")["pid"]
    os.kill(pid, signal.SIGSTOP)  # what comes now waits in the queue
    with load.connect(removed) as waiting:
        load.send_request(waiting)
        pool = {**serving(box, listen=f"*:{port}"), "command": ["/bin/false"]}
        apply(poold, {"web": pool}, listen_addresses=["127.0.0.1"])
        assert connect_error(removed) == errno.ECONNREFUSED
        os.kill(pid, signal.SIGCONT)
        assert f"pid={pid}" in load.read_answer(waiting)
    assert load.fetch(kept)["pid"] == pid
    assert connect_error(removed) == errno.ECONNREFUSED
    apply_and_roll(poold, {"web": serving(box, listen=f"*:{port}")},
                   listen_addresses=["127.0.0.1", "127.0.0.2"])
    load.fetch(removed)
    poold.stop()


@claim(limit=60)
def a_pool_that_goes_with_its_address_is_shut_at_once_and_finishes(box):
    address = f"127.0.0.2:{box.port()}"
    poold = box.poold({"web": serving(box, "--delay", "3000", listen=address), "stays": serving(box)})
    poold.wait_all_started()
    with load.connect(address) as running:
        load.send_request(running)
        wait_until(lambda: queued(address) == 0, what="the worker to accept it")
        apply(poold, {"stays": serving(box)}, listen_addresses=["127.0.0.1"])
        assert connect_error(address) == errno.ECONNREFUSED
        assert "pool=web" in load.read_answer(running)
    poold.stop()


@claim(limit=60)
def clients_of_the_other_addresses_do_not_notice_a_shorter_list(box):
    port = box.port()
    pools = {"web": serving(box, listen=f"*:{port}")}
    poold = box.poold(pools)
    poold.wait_state("web", "started")
    running = box.load(f"127.0.0.1:{port}")
    for addresses in (["127.0.0.1", "127.0.0.2"], ["127.0.0.1"], ["127.0.0.1", "127.0.0.3"]):
        apply_and_roll(poold, pools, listen_addresses=addresses)
        assert poold.pool("web")["listen"] == [f"{host}:{port}" for host in addresses]
        assert connect_error(f"127.0.0.4:{port}") == errno.ECONNREFUSED
    running.finish_without_failure()
    poold.stop()


@claim()
def workers_that_are_left_alone_keep_their_sockets_unless_the_list_forbids_it(box):
    old, new = box.address(), box.address()
    keep = {"recycling": {"on_config_change": False}}
    poold = box.poold({"web": serving(box, listen=old, **keep)})
    poold.wait_state("web", "started")
    apply(poold, {"web": serving(box, listen=new, **keep)})
    load.fetch(old)
    poold.ctl("recycle", "web", "--wait")
    load.fetch(new)
    other = "127.0.0.2:" + new.split(":")[1]
    apply(poold, {"web": serving(box, listen=other, **keep)}, listen_addresses=["127.0.0.2"])
    assert connect_error(new) == errno.ECONNREFUSED
    poold.stop()


@claim()
def a_pool_that_left_the_list_starts_again_when_it_is_back_on_it(box):
    address = box.address()
    pools = {"web": serving(box, listen=address)}
    poold = box.poold(pools)
    poold.wait_state("web", "started")
    apply(poold, pools, listen_addresses=["127.0.0.2"])
    wait_until(lambda: not poold.pool("web")["workers"], what="its worker to leave")
    assert poold.state("web") == "stopped" and "listen_addresses" in poold.pool("web")["reason"]
    assert connect_error(address) == errno.ECONNREFUSED
    apply(poold, pools)
    poold.wait_state("web", "started")
    load.fetch(address)
    poold.stop()
