"""test_bindings.py - worker/bindings/poolworker.py in real servers: the files of its examples as they are,
under load."""

import os
import pwd
import shutil

import load
from harness import IS_ROOT, claim
from waiting import holds_for, wait_until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINDINGS = os.path.join(TOP, "worker", "bindings")


def install(box, server, replacements=()):
    """Puts the server's example, and what belongs beside it, in a folder of the test's. Returns its
    poold.json, and the address to ask."""
    folder, port = box.path("hello"), str(box.port())
    shutil.copytree(os.path.join(BINDINGS, "examples", server), folder)
    shutil.copy(os.path.join(BINDINGS, "poolworker.py"), folder)
    shutil.copy(os.path.join(TOP, "etc", "examples", "uvicorn", "patience.py"), folder)
    with open(os.path.join(folder, "poold.json"), encoding="utf-8") as file:
        text = file.read()
    user = "www-data" if IS_ROOT else pwd.getpwuid(os.getuid()).pw_name
    for old, new in [("/srv/hello", folder), ("8080", port), ("www-data", user), *replacements]:
        assert old in text, (old, text)
        text = text.replace(old, new)
    return text, f"127.0.0.1:{port}"


def start(box, server, replacements=()):
    text, address = install(box, server, replacements)
    poold = box.poold_raw(text).wait_answering()
    poold.wait_state("hello", "started", limit=20)
    wait_until(lambda: load.answers(address), 20, "an answer")
    return poold, address


def requests_of(poold):
    return sum(worker["requests"] or 0 for worker in poold.workers("hello"))


def recycle_under_load(box, poold, address, before_each=lambda: None):
    running = box.load(address)
    for _ in range(3):
        before_each()
        poold.ctl("recycle", "hello", "--wait")
        wait_until(lambda: requests_of(poold) > 0, 20, "requests to be reported")
    running.finish_without_failure()
    assert not poold.events(1009) and not poold.events(1013) and not poold.events(1127)


@claim(limit=60, needs=["uvicorn"])
def a_garden_of_uvicorns_drains_by_message_and_counts(box):
    # A stop signal that uvicorn does not know: who gets it dies of it.
    poold, address = start(box, "uvicorn", [('"preset"', '"stop_signal": "QUIT", "preset"')])
    recycle_under_load(box, poold, address)
    for event in poold.events(6023, "hello"):
        assert event["fields"].get("code") == 0, f"not drained by message: {event}"
    poold.stop()


@claim(limit=60, needs=["uvicorn"])
def every_request_of_uvicorn_is_counted(box):
    poold, address = start(box, "uvicorn")
    for _ in range(40):
        load.fetch(address)
    wait_until(lambda: requests_of(poold) == 41, 20, "40 requests, and that of start(), to be reported")
    poold.stop()


def wait_until_serving(poold, address):
    """gunicorn says READY=1 before its own children have set up their signals (test_gunicorn.py)."""

    def has_answered():
        return load.fetch(address)["pid"] in [w["pid"] for w in poold.workers("hello", "ready")]

    wait_until(has_answered, 20, "an answer of the new gunicorn")


@claim(limit=60, needs=["gunicorn"])
def gunicorn_recycled_under_load_counts_the_requests_of_all_its_children(box):
    poold, address = start(box, "gunicorn")
    recycle_under_load(box, poold, address, lambda: wait_until_serving(poold, address))
    poold.stop()


@claim(limit=60, needs=["gunicorn"])
def both_children_of_gunicorn_report_the_requests_of_both(box):
    poold, address = start(box, "gunicorn")
    children, made = set(), 1
    while len(children) < 2 or made % 50 != 0:
        children.add(load.fetch(address)["child"])
        made += 1
    wait_until(lambda: requests_of(poold) == made, 20, f"{made} requests to be reported")
    holds_for(lambda: requests_of(poold) == made, 1.5, "no child to report less")
    poold.stop()
