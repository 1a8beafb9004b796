"""test_stall.py - poold itself stands still for a while: nobody is killed for what came in time."""

import signal
import time

import processes
from harness import claim
from waiting import wait_until


def pass_time(span):
    until = time.monotonic() + span
    wait_until(lambda: time.monotonic() > until, span + 1, "the time to pass")


def stand_still(pids, span):
    """SIGSTOP for so long, then SIGCONT: as after a suspend, or on a machine without a free CPU. The
    last one goes on first, and is alone for a moment."""
    for pid in pids:
        processes.kill(pid, signal.SIGSTOP)
    for pid in pids:
        wait_until(lambda pid=pid: processes.state(pid) == "T", what="the stop")
    pass_time(span)
    for pid in reversed(pids):
        processes.kill(pid, signal.SIGCONT)
        pass_time(0.01)


def starting_successor(box):
    """A pool whose successor is ready after 0.3 s and has 0.8 s for it; it has just started."""
    address = box.address()
    poold = box.poold({"web": box.pool("--ready", "300", listen=address, ready="notify",
                                       health={"startup_timeout": "800ms"})})
    poold.wait_state("web", "started")
    running = box.load(address)
    poold.ctl("recycle", "web")
    wait_until(lambda: poold.workers("web", "starting"), what="a successor")
    return poold, running


def must_have_replaced(poold, running):
    poold.wait_event(6022, "web")
    running.finish_without_failure()
    assert not poold.events(1012) and not poold.events(1093), poold.events(pool="web")
    poold.stop()


@claim()
def a_worker_that_got_ready_while_the_engine_stood_still_is_not_late(box):
    poold, running = starting_successor(box)
    stand_still([poold.engine_pid()], 1.2)
    must_have_replaced(poold, running)


@claim()
def a_worker_that_got_ready_while_keeper_and_engine_stood_still_is_not_late(box):
    poold, running = starting_successor(box)
    stand_still([poold.pid, poold.engine_pid()], 1.2)
    must_have_replaced(poold, running)


@claim()
def a_worker_that_left_while_keeper_and_engine_stood_still_was_not_late(box):
    poold = box.poold({"web": box.pool("--ready", "0", "--linger", "300", ready="notify",
                                       health={"shutdown_timeout": "800ms"})})
    poold.wait_state("web", "started")
    poold.ctl("recycle", "web")
    wait_until(lambda: poold.workers("web", "draining"), what="a draining worker")
    stand_still([poold.pid, poold.engine_pid()], 1.2)
    event = poold.wait_event(6023, "web")
    assert event["fields"]["code"] == 0, event
    assert not poold.events(1013)
    poold.stop()


@claim()
def a_death_while_keeper_and_engine_stood_still_is_told_once_and_made_good(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify", workers={"min": 2})})
    poold.wait_state("web", "started")
    first = poold.workers("web", "ready")[0]["pid"]
    pids = [poold.pid, poold.engine_pid()]
    for pid in pids:
        processes.kill(pid, signal.SIGSTOP)
    processes.kill(first)
    for pid in pids:
        processes.kill(pid, signal.SIGCONT)
    event = poold.wait_event(1009, "web")
    assert event["fields"]["pid"] == first and event["fields"]["signal"] == 9, event
    wait_until(lambda: len(poold.workers("web", "ready")) == 2, what="two ready workers")
    assert len(poold.events(1009)) == 1
    poold.stop()
