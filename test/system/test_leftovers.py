"""test_leftovers.py - what workers and earlier instances leave behind is found and taken away."""

import os
import signal
import subprocess

import load
import processes
from harness import claim
from waiting import wait_until


def leaver(box, kind, pid_file, ms=60000):
    return {"command": [box.program("fixture_leave"), kind, str(ms), pid_file,
                        box.program("fixture_worker"), "--ready", "0"], "ready": "notify"}


@claim()
def what_is_left_of_a_worker_s_group_is_killed(box):
    pid_file = box.open_path("pid")
    poold = box.poold({"web": leaver(box, "group", pid_file)})
    poold.wait_state("web", "started")
    child = box.read_pid(pid_file)
    assert processes.is_alive(child)
    poold.ctl("stop", "web", "--wait")
    wait_until(lambda: not processes.is_alive(child), what="the end of the child")
    poold.stop()


@claim()
def the_group_of_a_worker_that_dies_is_killed_before_its_replacement_is_ready(box):
    pid_file = box.open_path("pid")
    poold = box.poold({"web": leaver(box, "group", pid_file)})
    poold.wait_state("web", "started")
    child = box.read_pid(pid_file)
    os.unlink(pid_file)
    processes.kill(poold.worker("web")["pid"])
    poold.wait_event(6021, "web", worker="0.2")
    assert not processes.is_alive(child)
    assert processes.is_alive(box.read_pid(pid_file))
    poold.stop()


@claim()
def a_stray_is_reported_once_when_it_ends_and_never_killed(box):
    pid_file = box.open_path("pid")
    poold = box.poold({"web": leaver(box, "stray", pid_file, ms=1500)})
    poold.wait_state("web", "started")
    stray = box.read_pid(pid_file)
    poold.ctl("stop", "web", "--wait")
    assert processes.is_alive(stray)
    event = poold.wait_event(6026)
    assert event["fields"]["pid"] == stray and "left-behind" in event["text"], event
    assert processes.state(stray) == "", "it must have been reaped"
    assert len(poold.events(6026)) == 1
    poold.stop()


@claim()
def a_second_poold_in_the_same_runtime_directory_is_refused(box):
    address = box.address()
    poold = box.poold({"web": box.pool("--ready", "0", listen=address, ready="notify")})
    poold.wait_state("web", "started")
    done = subprocess.run(poold.arguments, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1, done
    assert "already running" in done.stderr and str(poold.pid) in done.stderr, done.stderr
    load.fetch(address)
    poold.ctl("recycle", "web", "--wait")
    poold.stop()


@claim()
def two_instances_in_different_directories_do_not_meet(box):
    pools = {"web": box.pool("--ready", "0", ready="notify")}
    first = box.poold(pools, name="a")
    second = box.poold(pools, name="b")
    first.wait_state("web", "started")
    second.wait_state("web", "started")
    pid = second.worker("web")["pid"]
    first.stop()
    assert second.worker("web")["pid"] == pid
    second.stop()


@claim(limit=40)
def what_a_killed_poold_left_is_cleaned_by_the_next(box):
    address, path = box.address(), box.unix()
    pools = {"web": box.pool("--ready", "0", listen=[address, path], ready="notify")}
    poold = box.poold(pools)
    poold.wait_state("web", "started")
    workers = [w["pid"] for w in poold.workers("web")]
    left = os.listdir(os.path.join(poold.runtime, "w"))
    assert left
    processes.kill(poold.pid)
    poold.process.wait(10)
    # The keeper is the one whose death workers cannot survive in order: they are ended here.
    for pid in workers:
        processes.kill(pid)
    wait_until(lambda: processes.reap() is not None and not box.strangers(), what="all to be gone")
    again = box.poold(pools)
    again.wait_state("web", "started")
    assert load.fetch(path)["pid"] == load.fetch(address)["pid"]
    assert not set(left) & set(os.listdir(os.path.join(again.runtime, "w")))
    again.stop()


@claim()
def a_dead_poold_s_engine_leaves_too(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    engine = poold.engine_pid()
    processes.kill(poold.pid)
    poold.process.wait(10)
    wait_until(lambda: not processes.is_alive(engine), what="the engine's end")


@claim()
def a_worker_that_ends_with_poold_s_stop_is_no_death(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify", workers={"min": 5})})
    poold.wait_state("web", "started")
    poold.send_signal(signal.SIGTERM)
    poold.wait_end()
    poold.census()
    assert "worker-died" not in poold.log() and poold.log().count("worker-exited") == 5
