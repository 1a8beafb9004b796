"""test_none.py - a server that takes no socket from poold (`handoff` is "none"): it binds by itself, so
its successor cannot stand beside it. What that costs is what the hand-offs are for."""

import os

import load
from harness import claim
from waiting import wait_until

CLIENTS = 8
APPLICATION = '''
import os


def application(environ, start_response):
    body = b"pid=%d\\n" % os.getppid()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
'''


def gunicorn(box, address, **settings):
    os.makedirs(box.path("app"), exist_ok=True)
    box.write("app/app.py", APPLICATION)
    return {
        "command": ["gunicorn", "--preload", "--bind", address, "--worker-class", "gthread",
                    "--threads", "4", "--log-level", "warning", "app:application"],
        "directory": box.path("app"),
        "environment": {"PYTHONDONTWRITEBYTECODE": "1"},
        "handoff": "none",
        "ready": "notify",
        **settings,
    }


def start(box, address, **settings):
    poold = box.poold({"web": gunicorn(box, address, **settings)})
    poold.wait_state("web", "started", limit=20)
    wait_until(lambda: load.answers(address), 20, "an answer of gunicorn")
    return poold


@claim(limit=60, needs=["gunicorn"])
def an_exclusive_recycle_refuses_who_comes_in_the_gap(box):
    """And who waits in gunicorn's own queue when it closes it is cut off: one a client at most."""
    address = box.address()
    poold = start(box, address, recycling={"overlap": False})
    old = poold.worker("web")["pid"]
    running = box.load(address, clients=CLIENTS)
    poold.ctl("recycle", "web", "--wait")
    wait_until(lambda: load.answers(address), 20, "an answer of the successor")
    assert load.fetch(address)["pid"] == poold.worker("web")["pid"] != old
    counts = running.finish()
    assert counts["connect_failed"] > 0, f"there was no gap: {counts}"
    assert counts["answer_short"] + counts["send_failed"] <= CLIENTS, counts
    assert len(counts["pids"]) >= 1 and counts["status_wrong"] == 0, counts
    assert not poold.events(1009) and not poold.events(1013)
    poold.stop()


@claim(limit=60, needs=["gunicorn"])
def an_overlapped_recycle_fails_and_the_old_one_serves_on_without_a_lost_request(box):
    address = box.address()
    poold = start(box, address)
    old = poold.worker("web")["pid"]
    running = box.load(address)
    said = poold.ctl("recycle", "web", "--wait", status=1)
    assert "web" in said, said
    assert poold.wait_event(1093, "web")["pool"] == "web"
    assert load.fetch(address)["pid"] == poold.workers("web", "ready")[0]["pid"] == old
    running.finish_without_failure()
    poold.stop()
