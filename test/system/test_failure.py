"""test_failure.py - workers fail in every way: what was seen is told once, and the pool goes on or is
disabled."""

import os
import signal

import load
import processes
from harness import claim
from waiting import wait_until


@claim()
def a_killed_worker_is_one_event_and_one_replacement(box):
    address = box.address()
    poold = box.poold({"web": box.pool("--ready", "0", listen=address, ready="notify"),
                       "other": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    poold.wait_state("other", "started")
    before = poold.descriptors()
    other = poold.worker("other")["pid"]
    pid = poold.worker("web")["pid"]
    processes.kill(pid)
    event = poold.wait_event(1009, "web")
    assert event["fields"]["pid"] == pid and event["fields"]["signal"] == 9, event
    assert event["worker"] == "0.1" and event["severity"] == "warning", event
    poold.wait_event(6021, "web", worker="0.2")
    assert load.fetch(address)["worker"] == "0.2"
    assert len(poold.events(1009)) == 1
    assert [e["worker"] for e in poold.events(6020, "web")] == ["0.1", "0.2"]
    assert not poold.events(6023, "web"), "a death is not an exit that was asked for"
    assert poold.worker("other")["pid"] == other
    poold.wait_descriptors(before)


@claim()
def the_exit_code_and_the_last_line_stand_in_the_event(box):
    poold = box.poold({"web": box.pool("--once", box.touch("once"), "--print",
                                       "ModuleNotFoundError: \x1b[31mno app", "--exit", "3",
                                       "--after", "50")})
    event = poold.wait_event(1009, "web")
    assert event["fields"]["code"] == 3, event
    assert event["fields"]["last_line"] == "ModuleNotFoundError: \\x1b[31mno app", event


@claim()
def a_death_by_signal_is_told_by_its_number(box):
    poold = box.poold({"web": box.pool("--once", box.touch("once"), "--raise",
                                       str(int(signal.SIGSEGV)), "--after", "50")})
    event = poold.wait_event(1009, "web")
    assert event["fields"]["signal"] == signal.SIGSEGV and event["fields"]["core"] == 0, event


@claim()
def an_unasked_exit_with_0_is_a_failure_too(box):
    poold = box.poold({"web": box.pool("--once", box.touch("once"), "--exit", "0")})
    assert poold.wait_event(1009, "web")["fields"]["code"] == 0
    poold.wait_event(6021, "web", worker="0.2")
    assert poold.pool("web")["failures"]["in_window"] == 1


@claim(limit=40)
def five_failures_disable_the_pool_after_growing_delays(box):
    poold = box.poold({"web": box.pool("--print", "no database", "--exit", "3"),
                       "other": box.pool("--ready", "0", ready="notify")})
    event = poold.wait_event(1002, "web", limit=20)
    assert event["fields"]["failures"] == 5 and event["severity"] == "err", event
    assert "exit code 3" in event["text"] and "poolctl start web" in event["text"], event
    deaths = poold.events(1009, "web")
    assert len(deaths) == 5, deaths
    assert deaths[0]["fields"]["last_line"] == "no database", deaths[0]
    waits = [e["fields"]["retry"] for e in deaths[:4]]
    assert waits[0] == 0, f"the first replacement is immediate: {waits}"
    assert 0 < waits[1] < waits[2] < waits[3], f"each waits longer: {waits}"
    assert "retry" not in deaths[4]["fields"], "the last one is not replaced"
    status = poold.pool("web")
    assert status["state"] == "disabled" and "rapid-fail" in status["reason"], status
    assert not status["workers"]
    poold.ctl("status", status=3)
    poold.ctl("status", "other")
    poold.ctl("status", "web", status=3)
    # An operator's start enables it and forgets its failures: it fails another five times.
    poold.ctl("start", "web")
    poold.wait_event(6012, "web")
    wait_until(lambda: len(poold.events(1002, "web")) == 2, 20, "the pool to be disabled again")
    assert len(poold.events(1009, "web")) == 10


@claim()
def a_disabled_pool_that_is_mended_starts_again(box):
    broken = box.touch("broken")
    poold = box.poold({"web": box.pool("--ready", "0", "--if", broken, "--exit", "1", ready="notify",
                                       failure={"max_failures": 2, "delay": "10ms"})})
    poold.wait_state("web", "disabled")
    os.unlink(broken)
    poold.ctl("start", "web", "--wait")
    assert poold.state("web") == "started"
    assert poold.pool("web")["failures"]["in_window"] == 0
    poold.ctl("status")


@claim()
def without_rapid_fail_a_pool_is_never_disabled(box):
    poold = box.poold({"web": box.pool("--exit", "1", failure={
        "rapid_fail": False, "max_failures": 2, "delay": "10ms", "delay_max": "20ms"})})
    wait_until(lambda: len(poold.events(1009, "web")) >= 8, what="eight deaths")
    assert not poold.events(1002)
    assert poold.state("web") != "disabled"


@claim()
def a_worker_that_is_never_ready_is_killed_after_the_startup_timeout(box):
    poold = box.poold({"web": box.pool(ready="notify", health={"startup_timeout": "300ms"},
                                       failure={"max_failures": 1})})
    pid = wait_until(lambda: poold.events(6020, "web"), what="a start")[0]["fields"]["pid"]
    event = poold.wait_event(1012, "web")
    assert event["fields"]["limit"] == 0.3 and event["fields"]["pid"] == pid, event
    assert event["fields"]["age"] >= 0.3, event
    poold.wait_state("web", "disabled")
    wait_until(lambda: not processes.is_alive(pid), what="its end")
    assert len(poold.events(1012)) == 1 and not poold.events(1009)
    end = poold.wait_event(6023, "web")
    assert end["text"].startswith("was killed after it was not ready in time with signal 9"), end
    assert "ready command" not in event["text"], event


@claim()
def a_ready_command_that_never_agrees_is_told_with_the_time_out(box):
    poold = box.poold({"web": box.pool("--print", "no database", ready={"command": [
        "/bin/sh", "-c", "exit 4"]}, health={"startup_timeout": "400ms"},
        failure={"max_failures": 1})})
    event = poold.wait_event(1012, "web")
    assert "; its ready command ended with exit code 4" in event["text"], event
    assert event["fields"]["last_line"] == "no database", event


@claim()
def a_worker_that_ignores_term_is_killed_after_the_shutdown_timeout(box):
    poold = box.poold({"web": box.pool("--ready", "0", "--stay", ready="notify",
                                       health={"shutdown_timeout": "400ms"})})
    poold.wait_state("web", "started")
    pid = poold.worker("web")["pid"]
    poold.ctl("stop", "web", "--wait")
    event = poold.wait_event(1013, "web")
    assert event["fields"]["limit"] == 0.4 and event["fields"]["pid"] == pid, event
    assert len(poold.events(1013)) == 1 and not poold.events(1009)
    end = poold.wait_event(6023, "web")
    assert end["text"].startswith("was killed at the end of its drain with signal 9"), end
    assert poold.pool("web")["failures"]["in_window"] == 0, "it was asked to leave"
    assert not processes.is_alive(pid)


@claim()
def a_worker_that_says_stopping_and_stays_is_killed_in_time(box):
    poold = box.poold({"web": box.pool("--ready", "0", "--drain", "--linger", "60000",
                                       ready="notify", health={"shutdown_timeout": "500ms"})})
    poold.wait_state("web", "started")
    poold.ctl("recycle", "web", "--wait")
    assert len(poold.events(1013, "web")) == 1
    done = poold.events(6022, "web")
    assert len(done) == 1 and done[0]["fields"]["drain"] >= 0.5, done


@claim()
def a_drain_message_that_is_not_answered_is_followed_by_the_signal(box):
    # It has an address, but takes no notice: no STOPPING=1 will come within 2 s.
    poold = box.poold({"web": box.pool("--ready", "0", "--ignore-drain", ready="notify",
                                       health={"shutdown_timeout": "30s"})})
    poold.wait_state("web", "started")
    poold.ctl("stop", "web", "--wait")
    event = poold.wait_event(6023, "web")
    assert event["fields"]["code"] == 0, event
    assert not poold.events(1013)


@claim()
def a_stopped_process_is_continued_to_leave(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    pid = poold.worker("web")["pid"]
    processes.kill(pid, signal.SIGSTOP)
    wait_until(lambda: processes.state(pid) == "T", what="the stop")
    poold.ctl("stop", "web", "--wait")
    assert poold.wait_event(6023, "web")["fields"]["code"] == 0
    assert not poold.events(1013)


@claim()
def a_program_that_went_away_is_an_exec_failure(box):
    program = box.path("program")
    os.symlink(box.program("fixture_worker"), program)
    poold = box.poold({"web": {"command": [program, "--ready", "0"], "ready": "notify",
                               "failure": {"max_failures": 2, "delay": "10ms"}}})
    poold.wait_state("web", "started")
    os.unlink(program)
    processes.kill(poold.worker("web")["pid"])
    event = poold.wait_event(1059, "web")
    assert program in event["text"] and "No such file" in event["text"], event
    assert event["fields"].get("errno", event["fields"].get("error")) in (
        2, "No such file or directory"), event
    poold.wait_state("web", "disabled")


@claim()
def a_file_that_is_no_program_is_an_exec_failure(box):
    program = box.write("program", "neither fish nor fowl\n", 0o755)
    poold = box.poold({"web": {"command": [program], "failure": {"max_failures": 1}}})
    event = poold.wait_event(1059, "web")
    assert "Exec format error" in event["text"], event
    poold.wait_state("web", "disabled")


@claim()
def a_missing_directory_is_told_with_its_step(box):
    gone = box.path("gone")
    os.mkdir(gone)
    poold = box.poold({"web": box.pool(directory=gone, failure={"max_failures": 2,
                                                                "delay": "10ms"})})
    poold.wait_state("web", "started")
    os.rmdir(gone)
    processes.kill(poold.worker("web")["pid"])
    assert "spawn-failed" in poold.wait_event(1002, "web")["text"]
    event = poold.wait_event(1022, "web")
    assert "working directory" in event["text"] and gone in event["text"], event
    assert "working directory" in event["fields"]["step"], event
    poold.wait_state("web", "disabled")


@claim()
def a_failed_exec_does_not_disturb_the_successor_rule(box):
    address = box.address()
    program = box.path("program")
    os.symlink(box.program("fixture_worker"), program)
    poold = box.poold({"web": {"command": [program, "--ready", "0"], "ready": "notify",
                               "listen": [address]}})
    poold.wait_state("web", "started")
    old = poold.worker("web")["pid"]
    os.unlink(program)
    poold.ctl("recycle", "web", "--wait", status=1)
    assert len(poold.events(1093, "web")) == 1
    assert load.fetch(address)["pid"] == old


@claim(limit=40)
def deaths_of_twenty_workers_at_once_are_each_told_once(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify", workers={"min": 20},
                                       failure={"max_failures": 64, "delay_max": "300ms"})})
    poold.wait_state("web", "started", limit=20)
    before = poold.descriptors()
    pids = {w["pid"] for w in poold.workers("web", "ready")}
    for pid in pids:
        processes.kill(pid)
    wait_until(lambda: len(poold.workers("web", "ready")) == 20 and not
               {w["pid"] for w in poold.workers("web", "ready")} & pids, 20, "20 replacements")
    deaths = poold.events(1009, "web")
    assert {e["fields"]["pid"] for e in deaths} == pids and len(deaths) == 20, deaths
    poold.wait_descriptors(before)


@claim()
def a_pool_that_fails_leaves_others_alone(box):
    address = box.address()
    poold = box.poold({"bad": box.pool("--exit", "1"),
                       "web": box.pool("--ready", "0", listen=address, ready="notify")})
    poold.wait_state("web", "started")
    pid = poold.worker("web")["pid"]
    running = box.load(address)
    poold.wait_event(1002, "bad", limit=20)
    running.finish_without_failure()
    assert poold.worker("web")["pid"] == pid


@claim()
def a_worker_that_is_killed_while_it_drains_is_no_failure(box):
    poold = box.poold({"web": box.pool("--ready", "0", "--once", box.touch("once"), "--linger",
                                       "20000", ready="notify")})
    poold.wait_state("web", "started")
    poold.ctl("recycle", "web")
    old = wait_until(lambda: poold.workers("web", "draining"), what="a draining worker")[0]
    processes.kill(old["pid"])
    event = poold.wait_event(6023, "web")
    assert event["fields"]["signal"] == 9 and event["fields"]["pid"] == old["pid"], event
    poold.wait_event(6022, "web")
    assert not poold.events(1009) and not poold.events(1013)
    assert poold.pool("web")["failures"]["in_window"] == 0
