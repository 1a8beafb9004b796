"""test_messages.py - workers that talk badly harm nobody but themselves."""

import os
import socket

import processes
from harness import NOBODY, claim
from waiting import holds_for, wait_until


def talker(box, *arguments, **settings):
    return {"command": [box.program("fixture_talk"), *arguments], "ready": "notify", **settings}


def send_to(worker, text):
    """A datagram to a worker's notify socket, from this process."""
    path = wait_until(lambda: processes.environment(worker["pid"]).get("NOTIFY_SOCKET"),
                      what="the worker to have its environment")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(text, path)


@claim(limit=40)
def a_worker_that_floods_its_socket_disturbs_nobody(box):
    address = box.address()
    poold = box.poold({"flood": talker(box, "flood"),
                       "web": box.pool("--ready", "0", listen=address, ready="notify")})
    poold.wait_state("flood", "started")
    poold.wait_state("web", "started")
    running = box.load(address)
    for _ in range(5):
        poold.ctl("recycle", "web", "--wait", "--timeout", "5s")
    running.finish_without_failure()
    assert len(poold.events(6022, "web")) == 5
    poold.ctl("recycle", "flood", "--wait", "--timeout", "10s")


@claim()
def ten_malformed_messages_make_one_event_and_a_recycle(box):
    poold = box.poold({"web": talker(box, "--once", box.touch("once"), "malformed", "10")})
    event = poold.wait_event(1127, "web")
    assert event["worker"] == "0.1" and event["severity"] == "warning", event
    done = poold.wait_event(6022, "web")
    assert done["worker"] == "0.2" and done["fields"]["cause"] == "unhealthy", done
    assert len(poold.events(1127)) == 1
    assert len(poold.events(6020, "web")) == 2


@claim()
def a_worker_that_goes_on_talking_badly_is_told_once(box):
    poold = box.poold({"web": talker(box, "malformed", "100", failure={"max_failures": 1})})
    poold.wait_state("web", "disabled")
    event = poold.wait_event(1127, "web")
    assert event["text"].endswith("it serves on, for its pool is disabled"), event
    holds_for(lambda: len(poold.events(1127)) == 1, 0.3, "one event 1127")
    assert poold.worker("web")["id"] == "0.1"
    poold.ctl("start", "web")
    poold.wait_event(1078, "web", limit=10)


@claim()
def nine_malformed_messages_are_forgiven(box):
    poold = box.poold({"web": talker(box, "malformed", "9")})
    poold.wait_state("web", "started")
    holds_for(lambda: not poold.events(1127), 0.3, "no event 1127")
    assert poold.worker("web")["id"] == "0.1"


@claim(root=True)
def messages_of_another_user_are_ignored(box):
    poold = box.poold({"web": box.pool(ready="notify", health={"startup_timeout": "1s"},
                                       failure={"max_failures": 1})})
    worker = wait_until(lambda: [w for w in poold.workers("web", "starting") if w["pid"]],
                        what="a starting worker")[0]
    for _ in range(12):
        send_to(worker, b"READY=1\nSTATUS=forged")
        send_to(worker, b"malformed")
    holds_for(lambda: poold.workers("web")[0]["state"] == "starting", 0.3, "still starting")
    assert poold.workers("web")[0]["status"] is None
    assert not poold.events(1127), "never held against the worker"
    assert poold.wait_event(1012, "web")["fields"]["foreign"] == 24


@claim()
def a_child_of_the_worker_may_say_ready(box):
    poold = box.poold({"web": talker(box, "child")})
    poold.wait_state("web", "started")


@claim()
def descriptors_that_nobody_asked_for_are_closed(box):
    go = box.touch("once")
    poold = box.poold({"web": talker(box, "--once", go, "descriptors", "150")})
    poold.wait_state("web", "started")
    assert not os.path.exists(go)
    wait_until(lambda: poold.worker("web")["status"], what="the status text")
    before = poold.descriptors()
    processes.kill(poold.worker("web")["pid"])
    poold.wait_event(6021, "web", worker="0.2")
    poold.wait_descriptors(before)


@claim()
def unknown_keys_are_ignored(box):
    poold = box.poold({"web": box.pool("--ready", "0", "--status", "fine\nFUTURE_KEY=1\nX-Y=z",
                                       ready="notify")})
    poold.wait_state("web", "started")
    assert poold.worker("web")["status"] == "fine"
    assert not poold.events(1127)


@claim()
def output_becomes_events_line_by_line(box):
    go = box.open_path("go")
    poold = box.poold({"web": box.pool("--ready", "0", "--if", go, "--print", "one\ntwo \x07 bell",
                                       ready="notify")})
    poold.wait_state("web", "started")
    box.touch("go")
    with poold.control() as control:
        control.call("events.subscribe")
        poold.ctl("recycle", "web", "--wait")
        lines = []
        while len(lines) < 2:
            event = control.next_event()
            if event["id"] == 6060:
                assert event["worker"] == "0.2" and event["seq"] is None, event
                lines.append(event["text"])
    assert lines == ["one", "two \\x07 bell"], lines
    assert not poold.events(6060), "output is not kept in the ring"


@claim(limit=40)
def a_worker_that_shouts_is_cut_to_100_lines_a_second(box):
    address = box.address()
    poold = box.poold({"shout": talker(box, "lines", "50000"),
                       "web": box.pool("--ready", "0", listen=address, ready="notify")})
    poold.wait_state("web", "started")
    running = box.load(address)
    wait_until(lambda: poold.worker("shout")["last_line"] == "line 49999", 25, "the last line")
    running.finish_without_failure()
    shown = poold.log().count("worker-output")
    assert 100 <= shown <= 2600, shown


@claim(root=True)
def nobody_else_can_read_or_take_a_worker_s_messages(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify",
                                       identity={"user": "daemon"})})
    poold.wait_state("web", "started")
    path = processes.environment(poold.worker("web")["pid"])["NOTIFY_SOCKET"]
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            try:
                sender.sendto(b"READY=1", path)
            except PermissionError:
                os._exit(0)
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert os.stat(os.path.dirname(path)).st_mode & 0o007 == 0o001, "others may pass, not look"
