"""test_examples.py - the examples of libpoolworker, run by poold under load: a worker in any loop answers
pings, drains by message and counts, and no recycle costs a request."""

import os
import shutil
import subprocess

import load
from harness import Skip, claim
from waiting import wait_until

# An example that is drained by the stop signal and not by DRAIN=1 dies of this one.
DEADLY = "QUIT"


def example(box, name, address, **settings):
    program = box.program(f"example_{name}")
    if not os.path.exists(program):
        raise Skip(f"worker/lib/examples/{name}.c was not built: its library is not installed")
    return {"command": [program], "listen": [address], "ready": "notify", "stop_signal": DEADLY,
            **settings}


def requests_of(poold):
    return sum(worker["requests"] or 0 for worker in poold.workers("web"))


def serve_and_recycle(box, name, address, **settings):
    poold = box.poold({"web": example(box, name, address, **settings)})
    poold.wait_state("web", "started")
    garden = len(poold.workers("web"))
    running = box.load(address)
    for _ in range(3):
        poold.ctl("recycle", "web", "--wait")
        wait_until(lambda: requests_of(poold) > 0, what="requests to be reported")
    counts = running.finish_without_failure()
    assert len(counts["pids"]) > garden, counts
    done = poold.events(6022, "web")
    assert len(done) == 3 * garden and all(event["fields"]["lost"] == 0 for event in done), done
    for event in poold.events(6023, "web"):
        assert event["fields"].get("code") == 0, f"not drained by message: {event}"
    assert not poold.events(1009) and not poold.events(1013) and not poold.events(1127)
    # The last report of who counts at all says that nobody is served any more.
    wait_until(lambda: not any(worker["active"] for worker in poold.workers("web")),
               what="no request to be in flight")
    poold.stop()


@claim()
def every_request_is_counted(box):
    address = box.address()
    poold = box.poold({"web": example(box, "threads", address)})
    poold.wait_state("web", "started")
    for _ in range(57):
        load.fetch(address)
    wait_until(lambda: requests_of(poold) == 57, what="57 requests to be reported")
    assert poold.worker("web")["active"] == 0
    poold.stop()


@claim(limit=60)
def a_worker_in_a_bare_epoll_loop_loses_no_request(box):
    serve_and_recycle(box, "epoll", box.address())


@claim(limit=60)
def a_worker_of_blocking_threads_loses_no_request(box):
    serve_and_recycle(box, "threads", box.address())


@claim(limit=60)
def a_worker_in_a_libuv_loop_loses_no_request(box):
    serve_and_recycle(box, "libuv", box.address())


@claim(limit=60)
def a_worker_in_a_libevent_loop_loses_no_request(box):
    serve_and_recycle(box, "libevent", box.address())


@claim(limit=60)
def a_garden_of_epoll_workers_on_a_unix_socket_loses_no_request(box):
    serve_and_recycle(box, "epoll", box.unix(), workers={"min": 3})


@claim(limit=60)
def a_garden_of_threads_loses_no_request(box):
    serve_and_recycle(box, "threads", box.address(), workers={"min": 3})


@claim(limit=60)
def a_garden_in_libuv_loops_loses_no_request(box):
    serve_and_recycle(box, "libuv", box.address(), workers={"min": 3})


@claim()
def an_idle_worker_is_drained_by_message_by_the_next_engine_too(box):
    poold = box.poold({"web": example(box, "epoll", box.address())})
    poold.wait_state("web", "started")
    poold.kill_engine()
    poold.ctl("recycle", "web", "--wait")
    assert poold.wait_event(6023, "web")["fields"].get("code") == 0, "not drained by message"
    poold.stop()


TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def compile_worker(box, source):
    """A worker from source, with the shared library beside it."""
    build = os.path.join(TOP, os.environ.get("POOLD_BUILD", "build"))
    shutil.copy2(os.path.join(build, "libpoolworker.so.1"), box.directory)
    subprocess.run(["cc", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{TOP}/worker/lib", "-o",
                    box.path("example"), source, f"-L{build}", "-l:libpoolworker.so", "-pthread",
                    "-Wl,-rpath,$ORIGIN"], check=True, timeout=60)
    return {"command": [box.path("example")], "ready": "notify", "stop_signal": DEADLY}


def serve_one(box, pool):
    pool["listen"] = [box.address()]
    poold = box.poold({"web": pool})
    poold.wait_state("web", "started")
    with load.connect(pool["listen"][0]) as stream:
        answer = load.ask(stream)
    wait_until(lambda: requests_of(poold) == 1, what="a request to be reported")
    poold.ctl("recycle", "web", "--wait")
    assert poold.wait_event(6023, "web")["fields"]["code"] == 0, "not drained by message"
    poold.stop()
    return answer


@claim(limit=60, needs=["cc"])
def an_example_runs_with_the_shared_library(box):
    assert "pool=web" in serve_one(box, compile_worker(box, f"{TOP}/worker/lib/examples/epoll.c"))


@claim(limit=60, needs=["cc"])
def the_worker_of_the_manual_page_compiles_and_serves(box):
    with open(os.path.join(TOP, "man", "libpoolworker.3"), encoding="utf-8") as file:
        page = file.read()
    program = page.split(".Bd -literal -offset indent\n")[1].split(".Ed\n")[0]
    program = program.replace("\\-", "-").replace("\\e", "\\")  # roff's \- and \e
    assert serve_one(box, compile_worker(box, box.write("hi.c", program))) == "hi\n"
