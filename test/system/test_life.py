"""test_life.py - the life of poold, of pools and of workers when nothing goes wrong."""

import os
import signal
import subprocess

import load
import processes
from harness import IS_ROOT, NOBODY, claim
from waiting import wait_until


@claim()
def a_pool_starts_serves_and_stops(box):
    address = box.address()
    poold = box.poold({"web": box.pool("--ready", "0", listen=address, ready="notify")})
    poold.wait_state("web", "started")
    worker = poold.worker("web")
    answer = load.fetch(address)
    assert answer == {"pid": worker["pid"], "worker": "0.1", "pool": "web"}, answer
    assert worker["id"] == "0.1" and worker["cause"] == "start", worker
    assert "started" in poold.ctl("status"), poold.ctl("status")
    poold.ctl("stop", "web", "--wait")
    assert poold.state("web") == "stopped"
    assert not processes.is_alive(worker["pid"])
    # The socket is poold's: a client of a stopped pool waits in the queue and is not refused.
    with load.connect(address) as waiting:
        poold.ctl("start", "web", "--wait")
        assert load.ask(waiting).startswith("pid=")
    poold.stop()


@claim()
def each_step_of_a_life_is_one_event_in_order(box):
    poold = box.poold({"web": box.pool("--ready", "20", ready="notify")})
    poold.wait_state("web", "started")
    pid = poold.worker("web")["pid"]
    poold.ctl("stop", "web", "--wait")
    seen = [(e["name"], e["worker"]) for e in poold.events(pool="web") if e["id"] != 6050]
    assert seen == [
        ("worker-started", "0.1"), ("worker-ready", "0.1"), ("pool-started", None),
        ("worker-exited", "0.1"), ("pool-stopped", None),
    ], seen
    for number in (6020, 6021, 6023):
        assert poold.events(number, "web")[0]["fields"]["pid"] == pid
    assert len(poold.events(6000)) == 1
    numbers = [e["seq"] for e in poold.events()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
    poold.stop()
    assert poold.log().count("supervisor-stopping") == 1
    assert poold.log().count("supervisor-stopped") == 1


@claim()
def fifty_pools_start_at_once_and_end_without_a_trace(box):
    poold = box.poold({f"p{n}": box.pool("--ready", "0", ready="notify") for n in range(50)})
    assert len(poold.wait_all_started()) == 50
    assert poold.supervisor()["workers"] == 50
    poold.stop()


@claim()
def descriptors_are_given_back_when_workers_go(box):
    pool = box.pool("--ready", "0", ready="notify")
    poold = box.poold({"web": pool, "more": {**pool, "workers": {"min": 4}}})
    poold.wait_state("web", "started")
    poold.wait_state("more", "started")
    before = poold.descriptors()
    for _ in range(5):
        poold.ctl("recycle", "web", "more", "--wait")
    poold.ctl("stop", "more", "--wait")
    poold.ctl("start", "more", "--wait")
    processes.kill(poold.worker("web")["pid"])
    poold.wait_event(6020, "web", cause="replacement")
    wait_until(lambda: poold.workers("web", "ready"), what="the replacement to be ready")
    poold.wait_descriptors(before)


@claim()
def ready_by_exec_counts_at_once(box):
    poold = box.poold({"web": box.pool(ready="exec")})
    poold.wait_state("web", "started")
    assert poold.wait_event(6021, "web")["fields"]["after"] < 5


@claim()
def ready_by_notify_waits_for_the_message(box):
    poold = box.poold({"web": box.pool("--ready", "300", ready="notify")})
    wait_until(lambda: poold.workers("web", "starting"), what="a starting worker")
    assert poold.state("web") == "starting"
    poold.wait_state("web", "started")
    assert poold.wait_event(6021, "web")["fields"]["after"] >= 0.3


@claim()
def ready_after_waits_so_long(box):
    poold = box.poold({"web": box.pool(ready={"after": "400ms"})})
    poold.wait_state("web", "started")
    assert poold.wait_event(6021, "web")["fields"]["after"] >= 0.4


@claim()
def ready_by_command_runs_it_until_it_succeeds(box):
    marker = box.open_path("up")
    poold = box.poold({"web": box.pool(ready={"command": ["/usr/bin/test", "-e", marker]})})
    wait_until(lambda: poold.workers("web", "starting"), what="a starting worker")
    assert poold.state("web") == "starting"
    box.touch("up")
    poold.wait_state("web", "started")
    poold.stop()


@claim()
def a_hanging_ready_command_is_ended_with_the_worker(box):
    pid_file = box.open_path("pid")
    command = ["/bin/sh", "-c", f"echo $$ > {pid_file}; exec sleep 60"]
    poold = box.poold({"web": box.pool(ready={"command": command})})
    pid = box.read_pid(pid_file)
    poold.stop()
    assert not processes.is_alive(pid)


@claim()
def status_text_of_a_worker_is_shown(box):
    poold = box.poold({"web": box.pool("--ready", "0", "--status", "warming \x01 up", ready="notify")})
    poold.wait_state("web", "started")
    assert poold.worker("web")["status"] == "warming \\x01 up", poold.worker("web")


@claim()
def sigterm_drains_every_pool_and_open_requests_are_finished(box):
    address = box.address()
    poold = box.poold({
        "web": box.pool("--ready", "0", "--delay", "600", listen=address, ready="notify"),
        "other": box.pool("--ready", "0", ready="notify"),
    })
    poold.wait_state("web", "started")
    with load.connect(address) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
        poold.send_signal(signal.SIGTERM)
        assert load.read_answer(stream).startswith("pid=")
    poold.wait_end()
    poold.census()


@claim()
def sigint_stops_as_sigterm_does(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    poold.stop(signal.SIGINT)


@claim()
def a_second_sigterm_hurries(box):
    poold = box.poold({"web": box.pool("--ready", "0", "--stay", ready="notify",
                                       health={"shutdown_timeout": "60s"})})
    poold.wait_state("web", "started")
    pid = poold.worker("web")["pid"]
    poold.send_signal(signal.SIGTERM)
    poold.wait_event(6001)
    wait_until(lambda: poold.workers("web", "draining"), what="a draining worker")
    assert processes.is_alive(pid)
    poold.send_signal(signal.SIGTERM)
    poold.wait_end(10)
    poold.census()


@claim()
def poolctl_shutdown_stops_as_sigterm_does(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    poold.ctl("shutdown")
    poold.wait_end()
    poold.census()


@claim()
def sigterm_during_the_start_stops_too(box):
    poold = box.poold({f"p{n}": box.pool("--ready", "100", ready="notify") for n in range(20)},
                      answering=False)
    wait_until(lambda: poold.log() or os.path.exists(poold.runtime), what="the first sign of life")
    poold.stop()


@claim()
def other_signals_change_nothing(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    pid = poold.worker("web")["pid"]
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE, signal.SIGCHLD,
                   signal.SIGUSR2, signal.SIGWINCH, signal.SIGCONT):
        poold.send_signal(number)
    poold.ctl("recycle", "web", "--wait")
    assert poold.process.poll() is None and poold.worker("web")["pid"] != pid
    poold.stop()


@claim(root=True)
def it_runs_as_an_unprivileged_user(box):
    address = f"unix:{box.open_path('s')}"
    poold = box.poold({"web": box.pool("--ready", "0", listen=address, ready="notify")}, uid=NOBODY)
    poold.wait_state("web", "started")
    for pid in (poold.pid, poold.engine_pid(), poold.worker("web")["pid"]):
        assert processes.status(pid)["Uid"].split() == [str(NOBODY)] * 4
    load.fetch(address)
    poold.ctl("recycle", "web", "--wait")
    load.fetch(address)
    poold.stop()


@claim()
def the_engine_has_no_privilege(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    status = processes.status(poold.engine_pid())
    assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0, status
    if IS_ROOT:
        assert "0" not in status["Uid"].split(), status["Uid"]
        assert "0" not in status["Gid"].split(), status["Gid"]


@claim()
def version_and_help_start_nothing(box):
    for arguments in (["--version"], ["--help"]):
        done = subprocess.run([box.program("poold"), *arguments], capture_output=True, text=True,
                              timeout=10, check=False)
        assert done.returncode == 0 and "poold" in done.stdout, done
    done = subprocess.run([box.program("poold"), "--no-such-option"], capture_output=True, text=True,
                          timeout=10, check=False)
    assert done.returncode == 2 and "usage" in done.stderr, done
