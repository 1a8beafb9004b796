"""test_sockets.py - listening sockets: bound by poold, kept while workers come and go."""

import errno
import os
import pwd
import socket
import stat

import load
import processes
from harness import Skip, claim
from waiting import wait_until


def listening(address):
    """A socket of somebody else at that address."""
    host, port = address.split(":")
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((host, int(port)))
    holder.listen()
    return holder


@claim(limit=40)
def an_address_in_use_stops_its_pool_only_and_is_bound_when_free(box):
    taken, free = box.address(), box.address()
    with listening(taken):
        poold = box.poold({"taken": box.pool("--ready", "0", listen=taken, ready="notify"),
                           "free": box.pool("--ready", "0", listen=free, ready="notify")})
        poold.wait_state("free", "started")
        event = poold.wait_event(6033, "taken")
        assert taken in event["text"] and "in use" in event["text"], event
        me = pwd.getpwuid(os.geteuid()).pw_name
        assert event["fields"]["holder"] == me and f"by user {me}" in event["text"], event
        pool = poold.pool("taken")
        assert pool["state"] == "stopped" and pool["error"]["errno"] == errno.EADDRINUSE, pool
        assert pool["error"]["address"] == taken and not pool["workers"], pool
        poold.ctl("status", status=3)
        load.fetch(free)
    poold.wait_state("taken", "started", limit=20)
    load.fetch(taken)
    poold.ctl("status")


@claim(limit=40)
def an_operator_s_start_binds_at_once(box):
    taken = box.address()
    with listening(taken):
        poold = box.poold({"web": box.pool("--ready", "0", listen=taken, ready="notify")})
        poold.wait_event(6033, "web")
        said = poold.ctl("start", "web", "--wait", status=1)
        assert "bound" in said, said
    poold.ctl("start", "web", "--wait")
    load.fetch(taken)


@claim()
def a_queue_that_the_kernel_cuts_is_told_at_each_start(box):
    with open("/proc/sys/net/core/somaxconn", encoding="ascii") as file:
        cap = int(file.read())
    if cap >= 65535:
        raise Skip("the kernel cuts no queue that the configuration may name")
    address = box.address()
    poold = box.poold({"long": box.pool("--ready", "0", listen=address, ready="notify",
                                        queue_length=cap + 1),
                       "fits": box.pool("--ready", "0", listen=box.address(), ready="notify",
                                        queue_length=cap)})
    poold.wait_all_started()
    poold.wait_event(6035, "long")
    told = poold.events(6035)
    assert [event["pool"] for event in told] == ["long"], told
    assert told[0]["fields"] == {"address": address, "queue_length": cap + 1, "cap": cap}, told
    poold.ctl("recycle", "long", "--wait")
    assert len(poold.events(6035)) == 1, poold.events(6035)
    poold.ctl("stop", "long", "--wait")
    poold.ctl("start", "long", "--wait")
    wait_until(lambda: len(poold.events(6035)) == 2, what="the event again")


@claim()
def a_unix_path_that_a_worker_removed_is_put_back(box):
    address = box.unix("web.sock")
    poold = box.poold({"web": box.pool("--ready", "0", listen=address, ready="notify")})
    poold.wait_state("web", "started")
    before = os.stat(address[5:])
    for _ in range(2):
        seq = poold.last_seq()
        os.unlink(address[5:])
        poold.ctl("recycle", "web", "--wait")
        event = wait_until(lambda: [e for e in poold.events(6034, "web") if e["seq"] > seq],
                           what="the path to be put back")[0]
        assert event["fields"]["address"] == address, event
        after = os.stat(address[5:])
        assert (after.st_ino, after.st_mode, after.st_uid) == (
            before.st_ino, before.st_mode, before.st_uid), after
        load.fetch(address)


@claim()
def what_stands_in_a_lost_path_s_place_is_told_once_and_stays(box):
    address = box.unix("web.sock")
    poold = box.poold({"web": box.pool("--ready", "0", listen=address, ready="notify")})
    poold.wait_state("web", "started")
    os.unlink(address[5:])
    os.mkdir(address[5:])
    for _ in range(2):
        poold.ctl("recycle", "web", "--wait")
        poold.wait_event(6033, "web", errno=errno.EEXIST)
    assert len(poold.events(6033, "web")) == 1, poold.events(6033, "web")
    os.rmdir(address[5:])
    poold.wait_event(6034, "web", limit=20)
    load.fetch(address)


@claim()
def a_unix_socket_appears_with_its_mode_and_goes(box):
    address = box.unix("web.sock")
    poold = box.poold({"web": box.pool("--ready", "0", listen=address, ready="notify")})
    poold.wait_state("web", "started")
    mode = os.stat(address[5:]).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o666, oct(mode)
    load.fetch(address)
    poold.stop()
    assert not os.path.exists(address[5:])


@claim()
def a_stale_unix_socket_is_taken_over_and_a_live_one_is_not(box):
    stale, live = box.unix("stale"), box.unix("live")
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(stale[5:])
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(live[5:])
        other.listen()
        poold = box.poold({"stale": box.pool("--ready", "0", listen=stale, ready="notify"),
                           "live": box.pool("--ready", "0", listen=live, ready="notify")})
        poold.wait_state("stale", "started")
        load.fetch(stale)
        poold.wait_event(6033, "live")
        poold.listeners.remove(live[5:])
        poold.stop()
    assert os.path.exists(live[5:]), "somebody else's socket was removed"


@claim()
def a_file_in_the_place_of_a_unix_socket_is_not_removed(box):
    path = box.write("precious", "data")
    poold = box.poold({"web": box.pool("--ready", "0", listen=f"unix:{path}", ready="notify")})
    poold.wait_event(6033, "web")
    poold.listeners.remove(path)
    poold.stop()
    with open(path, encoding="utf-8") as file:
        assert file.read() == "data"


@claim()
def connections_wait_in_the_queue_while_a_pool_is_stopped(box):
    address = box.address()
    poold = box.poold({"web": box.pool("--ready", "0", listen=address, ready="notify")})
    poold.wait_state("web", "started")
    poold.ctl("stop", "web", "--wait")
    streams = [load.connect(address) for _ in range(50)]
    for stream in streams:
        stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
    poold.ctl("start", "web", "--wait")
    for stream in streams:
        assert load.read_answer(stream).startswith("pid=")
        stream.close()


@claim()
def what_waits_in_the_queue_survives_a_crash(box):
    # What a dead worker had accepted dies with it; what waits in the queue is its replacement's.
    address, deaf = box.address(), box.touch("deaf")
    poold = box.poold({"web": box.pool("--ready", "0", "--once", deaf, "--deaf", listen=address,
                                       ready="notify")})
    poold.wait_state("web", "started")
    streams = [load.connect(address) for _ in range(20)]
    for stream in streams:
        stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
    processes.kill(poold.worker("web")["pid"])
    for stream in streams:
        assert "worker=0.2" in load.read_answer(stream)
        stream.close()


@claim()
def one_worker_serves_many_sockets(box):
    addresses = [box.address(), box.address(), box.unix("a"), box.unix("b")]
    poold = box.poold({"web": box.pool("--ready", "0", listen=addresses, ready="notify")})
    poold.wait_state("web", "started")
    pid = poold.worker("web")["pid"]
    for address in addresses:
        assert load.fetch(address)["pid"] == pid
    poold.ctl("recycle", "web", "--wait")
    for address in addresses:
        assert load.fetch(address)["pid"] != pid


@claim()
def ipv6_and_every_address_are_served(box):
    if not os.path.exists("/proc/net/if_inet6"):
        raise Skip("there is no IPv6")
    port, six = box.port(), box.port()
    poold = box.poold({"all": box.pool("--ready", "0", listen=f"*:{port}", ready="notify"),
                       "six": box.pool("--ready", "0", listen=f"[::1]:{six}", ready="notify")})
    poold.wait_state("all", "started")
    poold.wait_state("six", "started")
    load.fetch(f"127.0.0.1:{port}")
    load.fetch(f"[::1]:{port}")
    load.fetch(f"[::1]:{six}")


@claim(limit=40)
def a_garden_shares_one_queue(box):
    address = box.address()
    poold = box.poold({"web": box.pool("--ready", "0", "--delay", "5", listen=address,
                                       ready="notify", workers={"min": 3})})
    poold.wait_state("web", "started")
    pids = {w["pid"] for w in poold.workers("web", "ready")}
    running = box.load(address, clients=16, pause_us=500)
    wait_until(lambda: pids <= {load.fetch(address)["pid"] for _ in range(40)}, 15,
               "each of the three to answer")
    running.finish_without_failure()
