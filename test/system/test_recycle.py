"""test_recycle.py - workers are replaced, and no client notices."""

import os

import load
import processes
from control import Refused
from harness import claim
from waiting import wait_until

SERVING = ("--ready", "20")


def serving(box, *arguments, listen, **settings):
    return box.pool(*SERVING, *arguments, listen=listen, ready="notify", **settings)


def recycle_ten_times(box, settings, *arguments):
    """Ten recycles under load; returns the events 6022."""
    address = box.address()
    poold = box.poold({"web": serving(box, *arguments, listen=address, **settings)})
    poold.wait_state("web", "started")
    running = box.load(address)
    before = poold.descriptors()
    for _ in range(10):
        poold.ctl("recycle", "web", "--wait")
    counts = running.finish_without_failure()
    assert len(counts["pids"]) >= 10, counts
    poold.wait_descriptors(before)
    done = poold.events(6022, "web")
    assert len(done) == 10, done
    assert [e["worker"] for e in done] == [f"0.{n}" for n in range(2, 12)], done
    for event in done:
        fields = event["fields"]
        assert fields["cause"] == "on-demand" and fields["old_pid"] != fields["new_pid"], event
        assert fields["total"] >= fields["start"], event
    poold.stop()
    return done


@claim(limit=40)
def ten_overlapped_recycles_lose_no_request(box):
    recycle_ten_times(box, {})


@claim(limit=40)
def ten_overlapped_recycles_drained_by_message_lose_no_request(box):
    recycle_ten_times(box, {}, "--drain")


@claim(limit=40)
def ten_overlapped_recycles_of_slow_requests_lose_none(box):
    recycle_ten_times(box, {}, "--delay", "50")


@claim(limit=40)
def ten_exclusive_recycles_lose_no_request(box):
    recycle_ten_times(box, {"recycling": {"overlap": False}})


@claim(limit=40)
def ten_recycles_over_a_unix_socket_lose_no_request(box):
    address = box.unix()
    poold = box.poold({"web": serving(box, listen=address)})
    poold.wait_state("web", "started")
    running = box.load(address)
    for _ in range(10):
        poold.ctl("recycle", "web", "--wait")
    running.finish_without_failure()


@claim()
def the_successor_is_ready_before_the_old_worker_is_told(box):
    poold = box.poold({"web": box.pool("--ready", "200", ready="notify")})
    poold.wait_state("web", "started")
    poold.ctl("recycle", "web", "--wait")
    names = [(e["name"], e["worker"]) for e in poold.events(pool="web")
             if e["id"] in (6020, 6021, 6022, 6023)]
    assert names == [
        ("worker-started", "0.1"), ("worker-ready", "0.1"), ("worker-started", "0.2"),
        ("worker-ready", "0.2"), ("worker-exited", "0.1"), ("recycle-done", "0.2"),
    ], names


@claim()
def an_exclusive_recycle_starts_when_the_old_group_is_gone(box):
    poold = box.poold({"web": box.pool("--ready", "0", "--linger", "200", ready="notify",
                                       recycling={"overlap": False})})
    poold.wait_state("web", "started")
    poold.ctl("recycle", "web", "--wait")
    names = [(e["name"], e["worker"]) for e in poold.events(pool="web")
             if e["id"] in (6020, 6023)]
    assert names == [("worker-started", "0.1"), ("worker-exited", "0.1"),
                     ("worker-started", "0.2")], names


@claim(limit=40)
def a_successor_that_fails_leaves_the_old_worker_in_service(box):
    address, broken = box.address(), box.open_path("broken")
    poold = box.poold({"web": serving(box, "--if", broken, "--print", "cannot import app",
                                      "--exit", "3", listen=address)})
    poold.wait_state("web", "started")
    running = box.load(address)
    old = poold.worker("web")["pid"]
    box.touch("broken")
    said = poold.ctl("recycle", "web", "--wait", status=1)
    assert "did not become ready" in said, said
    event = poold.wait_event(1093, "web")
    assert event["severity"] == "warning", event
    worker = poold.worker("web")
    assert worker["pid"] == old and worker["id"] == "0.1", worker
    assert poold.state("web") == "started"
    assert poold.pool("web")["failures"]["in_window"] == 0, "it counts apart from failures"
    assert not poold.events(6022, "web")
    # It is asked again, and now it works.
    os.unlink(broken)
    poold.ctl("recycle", "web", "--wait")
    assert poold.worker("web")["pid"] != old
    running.finish_without_failure()


@claim(limit=40)
def a_successor_that_never_gets_ready_leaves_the_old_worker_in_service(box):
    address, mute = box.address(), box.open_path("mute")
    pool = box.pool("--ready", "20", "--if", mute, "--mute", listen=address, ready="notify",
                    health={"startup_timeout": "700ms"})
    poold = box.poold({"web": pool})
    poold.wait_state("web", "started")
    running = box.load(address)
    old = poold.worker("web")["pid"]
    box.touch("mute")
    poold.ctl("recycle", "web", "--wait", status=1)
    assert poold.worker("web")["pid"] == old
    running.finish_without_failure()
    assert len(poold.events(1093, "web")) == 1


@claim(limit=40)
def a_garden_rolls_one_by_one(box):
    roll_garden(box, surge=1)


@claim(limit=40)
def a_garden_rolls_two_by_two_with_surge_2(box):
    roll_garden(box, surge=2)


def roll_garden(box, surge):
    address = box.address()
    poold = box.poold({"web": serving(box, listen=address, workers={"min": 3},
                                      recycling={"surge": surge})})
    poold.wait_state("web", "started")
    old = {w["pid"] for w in poold.workers("web", "ready")}
    assert len(old) == 3
    running = box.load(address)
    with poold.control() as control:
        number = control.send("pool.recycle", pool="web", wait=True)
        at_once = set()
        while True:
            pool = poold.pool("web")
            starting = [w for w in pool["workers"] if w["state"] == "starting"]
            ready = [w for w in pool["workers"] if w["state"] == "ready"]
            at_once.add(len(starting))
            assert len(starting) <= surge, pool["workers"]
            assert len(ready) >= 3 and len(ready) <= 3 + surge, pool["workers"]
            if not pool["roll"]:
                break
        result = control.reply(number)
    assert result["outcome"] == "done" and result["replaced"] == 3, result
    assert max(at_once) == surge, at_once
    new = {w["pid"] for w in poold.workers("web", "ready")}
    assert len(new) == 3 and not new & old, (old, new)
    assert sorted(w["id"][:2] for w in poold.workers("web", "ready")) == ["0.", "1.", "2."]
    running.finish_without_failure()
    assert len(poold.events(6022, "web")) == 3


@claim(limit=40)
def a_roll_ends_at_the_first_successor_that_fails(box):
    address, broken = box.address(), box.open_path("broken")
    poold = box.poold({"web": serving(box, "--if", broken, "--exit", "3", listen=address,
                                      workers={"min": 3})})
    poold.wait_state("web", "started")
    running = box.load(address)
    old = {w["pid"] for w in poold.workers("web", "ready")}
    box.touch("broken")
    try:
        poold.call("pool.recycle", pool="web", wait=True)
        raise AssertionError("the recycle did not fail")
    except Refused as refused:
        assert refused.code == 1 and refused.data["outcome"] == "failed", refused.data
        assert refused.data["not_replaced"] == 3, refused.data
    assert {w["pid"] for w in poold.workers("web", "ready")} == old
    assert len(poold.events(1093, "web")) == 1
    running.finish_without_failure()


@claim()
def a_recycle_during_a_recycle_is_merged_with_it(box):
    poold = box.poold({"web": box.pool("--ready", "400", ready="notify")})
    poold.wait_state("web", "started")
    with poold.control() as first, poold.control() as second:
        one = first.send("pool.recycle", pool="web", wait=True)
        wait_until(lambda: poold.workers("web", "starting"), what="a successor")
        two = second.send("pool.recycle", pool="web", wait=True)
        assert first.reply(one)["outcome"] == "done"
        assert second.reply(two)["outcome"] == "done"
    assert [e["worker"] for e in poold.events(6020, "web")] == ["0.1", "0.2"]
    assert len(poold.events(6022, "web")) == 1


@claim()
def a_stop_during_a_recycle_wins(box):
    poold = box.poold({"web": box.pool("--ready", "500", ready="notify")})
    poold.wait_state("web", "started")
    with poold.control() as control:
        number = control.send("pool.recycle", pool="web", wait=True)
        wait_until(lambda: poold.workers("web", "starting"), what="a successor")
        poold.ctl("stop", "web", "--wait")
        try:
            control.reply(number)
            raise AssertionError("the recycle did not end")
        except Refused as refused:
            assert refused.data["outcome"] == "cancelled", refused.data
    assert not poold.workers("web")
    poold.stop()


@claim()
def an_old_worker_that_dies_during_the_overlap_is_not_replaced_twice(box):
    address = box.address()
    poold = box.poold({"web": box.pool("--ready", "400", listen=address, ready="notify")})
    poold.wait_state("web", "started")
    old = poold.worker("web")["pid"]
    with poold.control() as control:
        number = control.send("pool.recycle", pool="web", wait=True)
        wait_until(lambda: poold.workers("web", "starting"), what="a successor")
        processes.kill(old)
        poold.wait_event(1009, "web", pid=old)
        control.reply(number)
    assert len(poold.events(1009, "web")) == 1
    assert load.fetch(address)["worker"] == "0.2"
    assert [e["worker"] for e in poold.events(6020, "web")] == ["0.1", "0.2"]


@claim()
def a_recycle_of_a_stopped_pool_is_refused(box):
    poold = box.poold({"web": box.pool("--ready", "0", ready="notify")})
    poold.wait_state("web", "started")
    poold.ctl("stop", "web", "--wait")
    said = poold.ctl("recycle", "web", "--wait", status=1)
    assert "stopped" in said, said


@claim()
def wait_runs_out_and_the_recycle_goes_on(box):
    poold = box.poold({"web": box.pool("--ready", "700", ready="notify")})
    poold.wait_state("web", "started")
    poold.ctl("recycle", "web", "--wait", "--timeout", "100ms", status=75)
    assert poold.wait_event(6022, "web")["worker"] == "0.2"
