"""test_limits.py - poold within the bounds of the machine: starts at one time, descriptors, and the
way of seeing deaths that is left where descriptors are short."""

import os
import resource

import load
import processes
from harness import NOBODY, claim
from waiting import wait_until


@claim()
def no_more_workers_start_at_one_time_than_the_limit_allows(box):
    poold = box.poold({f"p{n}": box.pool("--ready", "150", ready="notify") for n in range(20)})
    seen, waited = 0, 0

    def all_started():
        nonlocal seen, waited
        reply = poold.pools()
        if not reply:
            return False
        starts = reply["supervisor"]["starts"]
        assert starts["held"] <= starts["max"] == 2 * len(os.sched_getaffinity(0)), starts
        starting = [w for p in reply["pools"] for w in p["workers"] if w["state"] == "starting"]
        assert len(starting) <= starts["max"], starting
        seen, waited = max(seen, len(starting)), max(waited, starts["waiting"])
        return all(p["state"] == "started" for p in reply["pools"])

    wait_until(all_started, 20, "20 pools to be started")
    assert seen > 1 and waited > 0, (seen, waited)


@claim()
def a_plan_that_needs_more_descriptors_than_there_are_is_refused_with_the_numbers(box):
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify", workers={"min": 1000})},
                      answering=False)
    poold.wait_end(3, 78)
    assert "asks for 1000 workers, the limit of open descriptors allows " in poold.log(), poold.log()
    assert "supervisor-stopped" not in poold.log(), "what never started does not stop"
    poold.census()


@claim()
def a_limit_that_is_too_low_for_anything_is_told_with_the_numbers(box):
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    poold = box.poold({}, answering=False)
    poold.wait_end(3, 1)
    assert "the limit of open files is 100, and poold needs at least 256" in poold.log(), poold.log()
    poold.census()


@claim()
def sockets_that_do_not_fit_the_limit_are_told(box):
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    pools = {f"p{n}": box.pool(listen=[f"127.0.0.1:{1024 + n * 20 + i}" for i in range(20)])
             for n in range(3)}
    poold = box.poold(pools, answering=False)
    poold.wait_end(3, 1)
    assert "60 listening sockets need more open files than the limit allows" in poold.log(), poold.log()
    poold.census()


@claim(root=True)
def a_limit_above_that_of_a_poold_without_rights_is_refused_with_both(box):
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, 1024))
    pools = {"web": box.pool("--ready", "0", ready="notify", limits={"nofile": 1025})}
    poold = box.poold(pools, uid=NOBODY, answering=False)
    poold.wait_end(5, 78)
    assert "nofile: found the number 1025, but poold was started with 1024" in poold.log(), poold.log()
    fits = {"web": box.pool("--ready", "0", ready="notify", limits={"nofile": 1024})}
    poold = box.poold(fits, uid=NOBODY, name="fits")
    poold.wait_state("web", "started")
    poold.write_config(box.config(pools, NOBODY))
    said = poold.ctl("config", "check", status=78)
    assert "found the number 1025, but poold was started with 1024" in said, said
    poold.stop()


@claim()
def a_log_that_does_not_exist_ends_poold_with_what_is_allowed(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")}, logs=("nowhere",),
                      answering=False)
    poold.wait_end(5, 1)
    assert "allowed are syslog, stderr, or the absolute path" in poold.log(), poold.log()
    poold.census()


@claim()
def few_descriptors_are_enough_for_few_workers(box):
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify", workers={"min": 10})})
    poold.wait_state("web", "started")
    poold.ctl("recycle", "web", "--wait")
    poold.stop()


def live(box):
    """What every way of starting must give: a start, a recycle under load, a death, an exec failure."""
    address = box.address()
    program = box.path("program")
    os.symlink(box.program("fixture_worker"), program)
    poold = box.poold({"web": {"command": [program, "--ready", "10", "--drain"], "ready": "notify",
                               "listen": [address], "failure": {"max_failures": 2}}})
    poold.wait_state("web", "started")
    running = box.load(address)
    for _ in range(3):
        poold.ctl("recycle", "web", "--wait")
    running.finish_without_failure()
    processes.kill(poold.worker("web")["pid"])
    poold.wait_event(6020, "web", cause="replacement")
    wait_until(lambda: load.answers(address), what="an answer of the replacement")
    os.unlink(program)
    processes.kill(poold.worker("web")["pid"])
    poold.wait_state("web", "disabled")
    assert len(poold.events(1009, "web")) == 2
    poold.stop()


@claim()
def without_pidfds_all_is_the_same(box):
    os.environ["POOLD_NO_PIDFD"] = "1"
    live(box)
