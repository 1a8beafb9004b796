"""test_gunicorn.py - gunicorn as Debian ships it, unaware of poold: recycled under load without a lost
request.

gunicorn says READY=1 once it listens, which is before the application is imported unless --preload is
given: `ready` is "notify" with it, {"after": ...} without."""

import os

import load
from harness import claim
from waiting import wait_until

APPLICATION = '''
import os

if os.path.exists({broken!r}):
    raise ImportError("the application cannot be imported")


def application(environ, start_response):
    body = b"pid=%d\\n" % os.getppid()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
'''


def gunicorn(box, address, *arguments, ready="notify", **settings):
    """A pool of gunicorn with threads; its application fails to import while o/broken exists."""
    os.makedirs(box.path("app"), exist_ok=True)
    box.write("app/app.py", APPLICATION.format(broken=box.open_path("broken")))
    return {
        "command": ["gunicorn", "--worker-class", "gthread", "--threads", "4", "--log-level",
                    "warning", *arguments, "app:application"],
        "directory": box.path("app"),
        "environment": {"PYTHONDONTWRITEBYTECODE": "1"},
        "listen": [address],
        "ready": ready,
        "stop_signal": "TERM",
        **settings,
    }


def wait_until_serving(poold, pool):
    """gunicorn says READY=1 before its own child has set up its signals. A TERM in that instant never
    reaches the child, and gunicorn kills it after its graceful time-out, requests and all; so a
    recycle right behind a recycle would find gunicorn's fault and not poold's."""
    answered = set()

    def all_have_answered():
        answered.add(load.fetch(pool["listen"][0])["pid"])
        return answered >= {worker["pid"] for worker in poold.workers("web", "ready")}

    wait_until(all_have_answered, 20, "an answer of each gunicorn")


def recycle_under_load(box, pool, times):
    poold = box.poold({"web": pool})
    poold.wait_state("web", "started", limit=20)
    wait_until_serving(poold, pool)
    running = box.load(pool["listen"][0])
    for _ in range(times):
        poold.ctl("recycle", "web", "--wait")
        wait_until_serving(poold, pool)
    counts = running.finish_without_failure()
    assert len(counts["pids"]) == times + 1, counts
    assert len(poold.events(6022, "web")) == times
    assert not poold.events(1009) and not poold.events(1013)
    poold.stop()


@claim(limit=60, needs=["gunicorn"])
def ten_overlapped_recycles_of_gunicorn_lose_no_request(box):
    recycle_under_load(box, gunicorn(box, box.address(), "--preload"), 10)


@claim(limit=60, needs=["gunicorn"])
def recycles_of_gunicorn_over_a_unix_socket_lose_no_request(box):
    recycle_under_load(box, gunicorn(box, box.unix(), "--preload"), 3)


@claim(limit=60, needs=["gunicorn"])
def exclusive_recycles_of_gunicorn_lose_no_request(box):
    pool = gunicorn(box, box.address(), "--preload", recycling={"overlap": False})
    recycle_under_load(box, pool, 3)


@claim(limit=60, needs=["gunicorn"])
def a_garden_of_gunicorns_rolls_without_a_lost_request(box):
    pool = gunicorn(box, box.address(), "--preload", workers={"min": 2})
    poold = box.poold({"web": pool})
    poold.wait_state("web", "started", limit=20)
    wait_until_serving(poold, pool)
    running = box.load(pool["listen"][0])
    for _ in range(2):
        poold.ctl("recycle", "web", "--wait")
        wait_until_serving(poold, pool)
    running.finish_without_failure()
    assert len(poold.events(6022, "web")) == 4


def fail_under_load(box, pool):
    """The successor cannot import its application: the old one serves on, and the mended one follows."""
    poold = box.poold({"web": pool})
    poold.wait_state("web", "started", limit=20)
    wait_until_serving(poold, pool)
    running = box.load(pool["listen"][0])
    old = load.fetch(pool["listen"][0])["pid"]
    broken = box.touch("broken")
    poold.ctl("recycle", "web", "--wait", status=1)
    assert len(poold.events(1093, "web")) == 1
    assert load.fetch(pool["listen"][0])["pid"] == old
    os.unlink(broken)
    poold.ctl("recycle", "web", "--wait")
    assert load.fetch(pool["listen"][0])["pid"] != old
    running.finish_without_failure()
    poold.stop()


@claim(limit=60, needs=["gunicorn"])
def a_gunicorn_that_cannot_import_its_application_leaves_the_old_one_in_service(box):
    fail_under_load(box, gunicorn(box, box.address(), "--preload"))


@claim(limit=60, needs=["gunicorn"])
def without_preload_a_rest_after_the_start_finds_the_failed_import(box):
    fail_under_load(box, gunicorn(box, box.address(), ready={"after": "6s"}))


@claim(limit=60, needs=["gunicorn"])
def a_killed_gunicorn_is_replaced_with_its_children(box):
    address = box.address()
    poold = box.poold({"web": gunicorn(box, address, "--preload", "--workers", "2")})
    poold.wait_state("web", "started", limit=20)
    old = poold.worker("web")["pid"]
    os.kill(old, 9)
    poold.wait_event(6021, "web", worker="0.2", limit=20)
    assert load.fetch(address)["pid"] == poold.worker("web")["pid"] != old
    poold.stop()
