"""test_engine.py - the engine may die at any moment: workers, clients and events do not notice."""

import json
import os
import signal
import subprocess
import time

import load
import processes
from harness import claim
from waiting import wait_until

CAP_SYS_ADMIN = 21


@claim(limit=40)
def a_killed_engine_is_started_again_and_no_worker_notices(box):
    address = box.address()
    poold = box.poold({"web": box.pool("--ready", "0", listen=address, ready="notify",
                                       workers={"min": 3})})
    poold.wait_state("web", "started")
    pids = [w["pid"] for w in poold.workers("web")]
    before = poold.descriptors()
    last = poold.last_seq()
    running = box.load(address)
    for n in range(1, 6):
        poold.kill_engine()
        event = wait_until(lambda n=n: poold.events(6003)[n - 1:], what="event 6003")[0]
        assert "signal 9" in event["text"] and event["fields"]["restarts"] == n, event
        assert poold.supervisor()["engine_restarts"] == n
    running.finish_without_failure()
    poold.wait_state("web", "started")
    assert [w["pid"] for w in poold.workers("web")] == pids
    assert not poold.events(1009) and len(poold.events(6020, "web")) == 3
    numbers = [e["seq"] for e in poold.events()]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > last, numbers
    poold.wait_descriptors(before)
    poold.stop()


@claim(limit=40)
def recycles_go_on_after_the_engine_s_death(box):
    address = box.address()
    poold = box.poold({"web": box.pool("--ready", "0", "--drain", listen=address, ready="notify")})
    poold.wait_state("web", "started")
    running = box.load(address)
    for n in range(3):
        poold.kill_engine()
        poold.ctl("recycle", "web", "--wait")
        assert poold.worker("web")["id"] == f"0.{n + 2}", "no generation is used twice"
    running.finish_without_failure()
    poold.stop()


@claim(limit=40)
def an_engine_killed_in_the_middle_of_a_recycle_finishes_it(box):
    address = box.address()
    poold = box.poold({"web": box.pool("--ready", "600", listen=address, ready="notify")})
    poold.wait_state("web", "started")
    running = box.load(address)
    poold.ctl("recycle", "web")
    wait_until(lambda: poold.workers("web", "starting"), what="a successor")
    poold.kill_engine()
    done = poold.wait_event(6022, "web")
    assert done["worker"] == "0.2", done
    assert load.fetch(address)["worker"] == "0.2"
    assert len(poold.events(6020, "web")) == 2, "the successor was kept"
    running.finish_without_failure()
    poold.stop()


@claim(limit=40)
def an_engine_killed_in_the_middle_of_a_drain_finishes_it(box):
    poold = box.poold({"web": box.pool("--ready", "0", "--drain", "--linger", "800",
                                       ready="notify")})
    poold.wait_state("web", "started")
    poold.ctl("recycle", "web")
    wait_until(lambda: poold.workers("web", "draining"), what="a draining worker")
    poold.kill_engine()
    poold.wait_event(6022, "web")
    assert [w["id"] for w in poold.workers("web")] == ["0.2"]
    assert not poold.events(1009)
    poold.stop()


@claim(limit=40)
def a_worker_that_dies_while_there_is_no_engine_is_told_exactly(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    worker, engine = poold.worker("web")["pid"], poold.engine_pid()
    # The engine is stopped first, so that the death falls into its absence for certain.
    processes.kill(engine, signal.SIGSTOP)
    processes.kill(worker, signal.SIGABRT)
    wait_until(lambda: not processes.is_alive(worker), what="the worker's death")
    processes.kill(engine)
    event = poold.wait_event(1009, "web")
    assert event["fields"]["pid"] == worker and event["fields"]["signal"] == signal.SIGABRT, event
    poold.wait_event(6021, "web", worker="0.2")
    assert len(poold.events(1009)) == 1
    poold.stop()


@claim(limit=60)
def a_worker_that_gets_ready_while_no_engine_can_live_is_ready_for_the_next(box):
    poold = box.poold({"web": box.pool("--ready", "2000", ready="notify",
                                       health={"startup_timeout": "20s"})})
    worker = poold.wait_event(6020, "web")["fields"]["pid"]
    # Engines that die at once are held back for longer each time; after a second without one the
    # keeper throws away what ready workers say.
    end = time.monotonic() + 3
    while time.monotonic() < end:
        for pid in processes.descendants(poold.pid):
            if processes.read(pid, "cmdline").startswith(b"poold-engine"):
                processes.kill(pid)
        time.sleep(0.01)
    poold.wait_state("web", "started")
    assert poold.worker("web")["pid"] == worker and not poold.events(1012)
    poold.stop()


@claim(limit=40)
def an_operator_s_stop_survives_the_engine(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify"),
                       "api": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    poold.wait_state("api", "started")
    poold.ctl("stop", "web", "--wait")
    poold.kill_engine()
    assert poold.state("web") == "stopped"
    assert poold.state("api") == "started"
    assert len(poold.events(6020, "web")) == 1
    poold.ctl("start", "web", "--wait")


@claim(limit=40)
def a_disabled_pool_stays_disabled_over_the_engine_s_death(box):
    poold = box.poold({"web": box.pool("--exit", "1", failure={"max_failures": 2,
                                                               "delay": "10ms"})})
    poold.wait_state("web", "disabled")
    poold.kill_engine()
    assert poold.state("web") == "disabled"
    assert len(poold.events(1002, "web")) == 1


@claim(limit=40)
def a_new_engine_resumes_with_a_hundred_pools(box):
    poold = box.poold({f"p{n}": box.pool("--ready", "0", ready="notify") for n in range(100)})
    before = poold.wait_all_started()
    assert len(before) == 100
    poold.kill_engine()
    assert poold.wait_all_started() == before
    poold.stop()


@claim(limit=40)
def sigterm_right_after_the_engine_s_death_still_stops_in_order(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify", workers={"min": 3})})
    poold.wait_state("web", "started")
    processes.kill(poold.engine_pid())
    poold.stop()
    assert poold.log().count("worker-exited") == 3, "each left as asked"


@claim(limit=40)
def poolctl_events_follow_goes_on_over_an_engine_s_death(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    path = box.path("followed")
    with open(path, "wb") as out:
        box.start(box.program("poolctl"), "--runtime-dir", poold.runtime, "--json", "events",
                  "--follow", stdout=out)

    def followed():
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file.read().splitlines()]

    wait_until(lambda: os.path.getsize(path) and any(e["id"] == 6010 for e in followed()),
               what="the first events")
    poold.kill_engine()
    poold.ctl("recycle", "web", "--wait")
    wait_until(lambda: any(e["id"] == 6022 for e in followed()), what="the last event")
    numbers = [e["seq"] for e in followed() if e.get("seq")]
    assert numbers == list(range(1, len(numbers) + 1)), numbers


@claim(limit=60)
def an_engine_killed_twelve_times_at_any_moment_of_recycles_loses_nothing(box):
    address = box.address()
    poold = box.poold({"web": box.pool("--ready", "10", "--drain", listen=address, ready="notify",
                                       workers={"min": 2})})
    poold.wait_state("web", "started")
    running = box.load(address)
    for n in range(12):
        born = time.monotonic()
        poold.ctl("recycle", "web")
        wait_until(lambda: not poold.pool("web")["roll"], what="a recycle in peace")
        wait_until(lambda born=born: time.monotonic() > born + 0.6, what="an engine of some age")
        poold.ctl("recycle", "web")
        # Another distance from the recycle's begin each time: that many of its events.
        wanted = poold.last_seq() + n % 7

        def has_come(wanted=wanted):
            pool = poold.pool("web")
            return poold.last_seq() >= wanted or not pool["roll"]

        wait_until(has_come, what="the moment", pause=0.001)
        poold.kill_engine()
    wait_until(lambda: not poold.pool("web")["roll"], 20, "the last recycle to end")
    poold.wait_state("web", "started")
    wait_until(lambda: len(poold.workers("web")) == 2, what="two workers")
    running.finish_without_failure()
    assert not poold.events(1009)
    numbers = [e["seq"] for e in poold.events()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
    started = [e["worker"] for e in poold.events(6020, "web")]
    assert len(started) == len(set(started)), f"told twice: {started}"
    poold.stop()


@claim(limit=40)
def a_stop_that_the_engine_took_to_its_death_is_not_lost(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    engine = poold.engine_pid()
    # A stopped engine reads nothing: what the keeper tells it dies with it.
    processes.kill(engine, signal.SIGSTOP)
    wait_until(lambda: processes.state(engine) == "T", what="the stop")
    poold.send_signal(signal.SIGTERM)
    wait_until(lambda: not int(processes.status(poold.pid)["ShdPnd"], 16) & 1 << 14,
               what="the keeper to have taken SIGTERM")
    processes.kill(engine)
    poold.wait_end()
    poold.census()
    assert poold.log().count("worker-exited") == 1


@claim(limit=40)
def an_engine_s_death_during_the_stop_does_not_hurry_it(box):
    address = box.address()
    poold = box.poold({"web": box.pool("--ready", "0", "--delay", "1500", listen=address,
                                       ready="notify")})
    poold.wait_state("web", "started")
    with load.connect(address) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
        poold.send_signal(signal.SIGTERM)
        wait_until(lambda: poold.workers("web", "draining"), what="a draining worker")
        poold.kill_engine()
        assert poold.supervisor()["state"] == "stopping"
        assert load.read_answer(stream).startswith("pid=")
    poold.wait_end()
    poold.census()
    assert poold.log().count("supervisor-stopping") == 1
    assert "exit code 0" in poold.log() and "shutdown-timeout" not in poold.log()


def autogroup_nice(pid):
    """The weight of a process's session; None where the kernel does not weigh it: sessions that are
    older than sched_autogroup_enabled, or a container's first, have an empty file (sched(7))."""
    words = processes.read(pid, "autogroup").decode().split()
    return words[-1] if words else None


def sessions_can_be_weighed():
    """Tried in a session of its own: the kernel may not weigh sessions, /proc may not be writable,
    and without CAP_SYS_ADMIN it takes one change in 0.1 s from the whole machine (EAGAIN)."""
    if not int(processes.status(os.getpid())["CapEff"], 16) >> CAP_SYS_ADMIN & 1:
        return False
    probe = subprocess.run(["sh", "-c", "echo -10 >/proc/self/autogroup && cat /proc/self/autogroup"],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10,
                           start_new_session=True)
    return probe.stdout.split()[-1:] == [b"-10"]


@claim(root=True)
def the_engine_s_session_weighs_more_than_a_worker_s(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    ours = autogroup_nice("self")
    if not sessions_can_be_weighed():
        return  # that the engine runs there all the same is what the other tests show
    for again in (False, True):
        if again:
            poold.kill_engine()
        assert autogroup_nice(poold.engine_pid()) == "-10"
        assert autogroup_nice(poold.worker("web")["pid"]) == "0"
        assert autogroup_nice(poold.pid) == ours, "poold's own session is not its own"
    poold.ctl("recycle", "web", "--wait")
    assert autogroup_nice(poold.worker("web")["pid"]) == "0"
