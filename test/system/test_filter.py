"""test_filter.py - poold where a system call filter refuses the fast ways to make a process."""

import load
import processes
from harness import claim, refusing
from waiting import wait_until


def start_under_filter(box, flags, address):
    pool = box.pool("--ready", "20", listen=address, ready="notify", workers={"min": 2})
    poold = box.poold({"web": pool}, prefix=refusing(flags))
    poold.wait_state("web", "started")
    wait_until(lambda: len(poold.workers("web", "ready")) == 2, what="two ready workers")
    assert processes.status(poold.pid)["Seccomp"] == "2", "the filter is not there"
    return poold


def serve_and_replace(box, poold, address):
    """Ten recycles under load, and the death of a worker between them."""
    before = poold.descriptors()
    running = box.load(address)
    for _ in range(10):
        poold.ctl("recycle", "web", "--wait")
    running.finish_without_failure()
    killed = poold.workers("web", "ready")[0]["pid"]
    processes.kill(killed)
    event = poold.wait_event(1009, "web")
    assert event["fields"]["pid"] == killed and event["fields"]["signal"] == 9, event
    wait_until(lambda: len(poold.workers("web", "ready")) == 2, what="a replacement")
    assert killed not in [w["pid"] for w in poold.workers("web", "ready")]
    load.fetch(address)
    poold.wait_descriptors(before)


def is_told_to_be_slower(poold):
    return "one by one" in poold.wait_event(6000)["text"]


@claim(limit=60)
def without_a_launcher_ten_recycles_lose_no_request(box):
    address = box.address()
    poold = start_under_filter(box, "parent", address)
    assert is_told_to_be_slower(poold), poold.events(6000)
    serve_and_replace(box, poold, address)
    poold.stop()


@claim(limit=60)
def where_only_a_copying_fork_is_left_ten_recycles_lose_no_request(box):
    address = box.address()
    poold = start_under_filter(box, "parent,vfork", address)
    assert is_told_to_be_slower(poold), poold.events(6000)
    serve_and_replace(box, poold, address)
    poold.stop()


@claim(limit=60)
def a_launcher_that_was_forked_makes_children_as_ever(box):
    address = box.address()
    poold = start_under_filter(box, "vfork", address)
    assert not is_told_to_be_slower(poold), poold.events(6000)
    serve_and_replace(box, poold, address)
    poold.stop()
