"""test_reasons.py - workers are replaced by themselves, for each reason there is, and no client notices."""

import datetime
import os
import re

import processes
from harness import claim
from waiting import wait_until


def serving(box, *arguments, listen=None, **settings):
    return box.pool("--ready", "20", *arguments, listen=listen, ready="notify", **settings)


def apply(poold, pools):
    poold.write_config(poold.box.config(pools))
    return poold.call("config.apply")


def instant(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=None)


def wait_done(poold, cause, count, limit=30):
    """So many closing lines of recycles for that cause."""

    def done():
        events = poold.events(6022, "web", cause=cause)
        return events if len(events) >= count else None

    return wait_until(done, limit, f"{count} recycles for {cause}")


# --- age


@claim(limit=60)
def workers_that_reach_their_age_are_replaced_and_no_request_fails(box):
    address = box.address()
    poold = box.poold({"web": serving(box, listen=address, workers={"min": 2},
                                      recycling={"time": "1s", "jitter": "50%"})})
    poold.wait_state("web", "started")
    running = box.load(address)
    done = wait_done(poold, "time", 6)
    counts = running.finish_without_failure()
    assert len(counts["pids"]) >= 6, counts
    for event in done:
        fields = event["fields"]
        assert fields["measured"] >= fields["limit"] and 0.5 <= fields["limit"] <= 1.5, event
        assert fields["old_pid"] != fields["new_pid"] and fields["lost"] == 0, event
    told = poold.events(1074, "web")
    assert len({e["worker"] for e in told}) == len(told) >= 6, "each worker is told once"
    assert len({e["fields"]["limit"] for e in told}) > 1, "each worker has a limit of its own"
    assert all("recycling.time" in e["text"] for e in told), told


@claim()
def status_says_when_each_worker_is_replaced_and_why(box):
    recycling = {"time": "2h", "jitter": "0%"}
    poold = box.poold({"web": serving(box, workers={"min": 2}, recycling=recycling),
                       "ever": serving(box, recycling={"time": "0s"})})
    poold.wait_all_started()
    workers = poold.workers("web")
    for worker in workers:
        assert worker["age_limit"] == 7200 and worker["next_recycle"]["cause"] == "time", worker
        assert not worker["next_recycle"]["under_way"], worker
    planned = poold.pool("web")["next_recycle"]
    # Each answer reads two clocks, cut to a millisecond, to tell of the same instant.
    first = min(instant(worker["next_recycle"]["at"]) for worker in workers)
    assert abs(instant(planned["at"]) - first) <= datetime.timedelta(milliseconds=2), planned
    said = poold.ctl("status", "web")
    for worker in workers:
        found = re.search(rf"worker {worker['id']} is replaced at (\S+) \(time\)", said)
        late = instant(found[1]) - instant(worker["next_recycle"]["at"])
        assert abs(late) <= datetime.timedelta(seconds=1), said
    assert poold.pool("ever")["next_recycle"] is None


@claim()
def a_worker_lives_29_hours_by_default_give_or_take_a_tenth(box):
    poold = box.poold({"web": serving(box)})
    poold.wait_state("web", "started")
    limit = poold.worker("web")["age_limit"]
    assert 29 * 3600 * 0.9 <= limit <= 29 * 3600 * 1.1, limit


@claim(limit=40)
def another_age_holds_at_once_for_who_serves(box):
    poold = box.poold({"web": serving(box, recycling={"time": "0s"})})
    poold.wait_state("web", "started")
    before = poold.worker("web")
    plan = apply(poold, {"web": serving(box, recycling={"time": "1s", "jitter": "0%"})})
    assert plan["changed"], plan
    event = poold.wait_event(1074, "web")
    assert event["worker"] == before["id"] and event["fields"]["limit"] == 1, event
    wait_done(poold, "time", 1)
    apply(poold, {"web": serving(box, recycling={"time": "0s"})})
    wait_until(lambda: poold.pool("web")["next_recycle"] is None, what="no recycle to be planned")


@claim(limit=40)
def an_old_worker_serves_on_until_a_successor_succeeds(box):
    address, broken = box.address(), box.open_path("broken")
    settings = {"recycling": {"time": "1s", "jitter": "0%"},
                "failure": {"delay": "50ms", "delay_max": "100ms"}}
    poold = box.poold({"web": serving(box, "--if", broken, "--exit", "3", listen=address,
                                      **settings)})
    poold.wait_state("web", "started")
    running = box.load(address)
    box.touch("broken")
    wait_until(lambda: len(poold.events(1093, "web", cause="time")) >= 3, what="three tries")
    failed = poold.events(1093, "web", cause="time")
    assert all("tried again" in e["text"] for e in failed), failed
    assert poold.pool("web")["failures"]["in_window"] == 0, "they do not count"
    os.unlink(broken)
    wait_done(poold, "time", 1)
    running.finish_without_failure()


@claim(limit=40)
def an_age_reached_while_the_engine_was_away_counts(box):
    poold = box.poold({"web": serving(box, recycling={"time": "3s", "jitter": "0%"})})
    poold.wait_state("web", "started")
    before = poold.worker("web")
    processes.kill(poold.engine_pid())
    event = poold.wait_event(1074, "web", limit=20)
    assert event["worker"] == before["id"], event
    assert event["fields"]["measured"] >= 3, "its age is counted from its own start"


# --- requests


@claim(limit=60)
def workers_that_have_served_their_requests_are_replaced_and_no_request_fails(box):
    address = box.address()
    poold = box.poold({"web": serving(box, "--count", "50", listen=address, workers={"min": 2},
                                      recycling={"requests": 400, "jitter": "20%"})})
    poold.wait_state("web", "started")
    running = box.load(address)
    done = wait_done(poold, "requests", 4)
    counts = running.finish_without_failure()
    assert len(counts["pids"]) >= 4, counts
    for event in done:
        assert 320 <= event["fields"]["limit"] <= 480, event
    told = poold.events(1075, "web")
    assert len({e["worker"] for e in told}) == len(told) >= 4, "each worker is told once"
    worker = poold.workers("web", "ready")[0]
    assert 320 <= worker["requests_limit"] <= 480, worker


@claim(limit=60)
def the_successor_of_a_busy_worker_is_started_ahead(box):
    """A start takes a second; the old worker serves until the new one is ready."""
    address, slow = box.address(), box.open_path("slow")
    poold = box.poold({"web": box.pool("--count", "100", "--ready", "0", "--if", slow, "--ready",
                                       "1000", listen=address, ready="notify",
                                       recycling={"requests": 0, "jitter": "0%"})})
    poold.wait_state("web", "started")
    box.touch("slow")
    poold.ctl("recycle", "web", "--wait")  # a start takes a second: that is known from now on
    running = box.load(address, pause_us=20000)
    first = wait_until(lambda: poold.worker("web")["requests"] or None, what="requests")
    apply(poold, {"web": box.pool("--count", "100", "--ready", "0", "--if", slow, "--ready", "1000",
                                  listen=address, ready="notify",
                                  recycling={"requests": first + 1500, "jitter": "0%"})})
    told = poold.wait_event(1075, "web", limit=40)
    assert told["fields"]["measured"] < told["fields"]["limit"], told
    assert "is about to reach" in told["text"], told
    wait_done(poold, "requests", 1)
    running.finish_without_failure()


@claim(limit=40)
def another_number_of_requests_holds_at_once_for_who_serves(box):
    address = box.address()
    arguments = ("--count", "50")
    poold = box.poold({"web": serving(box, *arguments, listen=address)})
    poold.wait_state("web", "started")
    running = box.load(address)
    wait_until(lambda: (poold.worker("web")["requests"] or 0) > 50, what="fifty requests")
    apply(poold, {"web": serving(box, *arguments, listen=address, recycling={"requests": 50})})
    wait_done(poold, "requests", 1)
    running.finish_without_failure()


# --- sick


def one_that_says(box, message, *, address):
    """The first worker says that; its successors do not."""
    first = box.open_path("first")
    box.touch("first")
    return box.poold({"web": serving(box, "--once", first, "--say", message, listen=address)})


@claim(limit=40)
def a_worker_that_asks_for_it_is_replaced_with_its_reason_told(box):
    address = box.address()
    poold = one_that_says(box, "RECYCLE=leaks handles", address=address)
    poold.wait_state("web", "started")
    running = box.load(address)
    told = poold.wait_event(1078, "web")
    assert told["worker"] == "0.1" and told["fields"]["asked"] == "leaks handles", told
    assert told["severity"] == "warning" and "leaks handles" in told["text"], told
    done = wait_done(poold, "unhealthy", 1)
    assert [e["worker"] for e in done] == ["0.2"], done
    running.finish_without_failure()
    assert poold.pool("web")["failures"]["in_window"] == 0, "it asked, it did not fail"


@claim(limit=40)
def a_worker_that_triggers_its_watchdog_is_replaced(box):
    address = box.address()
    poold = one_that_says(box, "WATCHDOG=trigger", address=address)
    poold.wait_state("web", "started")
    running = box.load(address)
    told = poold.wait_event(1078, "web")
    assert told["fields"]["asked"] == "WATCHDOG=trigger", told
    wait_done(poold, "unhealthy", 1)
    running.finish_without_failure()
    wait_until(lambda: len(poold.workers("web")) == 1, what="one worker")
    assert len(poold.events(1078, "web")) == 1


# --- limits.recycles


@claim(limit=60)
def no_more_recycles_are_under_way_than_the_host_allows_and_the_others_wait_visibly(box):
    names = ["a", "b", "c", "d"]
    address = box.address()
    pools = {name: box.pool("--ready", "200", ready="notify",
                            **({"listen": [address]} if name == "a" else {})) for name in names}
    config = {**box.config(pools), "limits": {"recycles": 1}}
    poold = box.poold_raw(config).wait_answering()
    poold.wait_all_started()
    running = box.load(address)
    poold.ctl("recycle", *names)
    recycles = poold.supervisor()["recycles"]
    assert recycles == {"held": 1, "max": 1, "waiting": 3}, recycles
    waiting = [n for n in names if poold.worker(n)["next_recycle"]
               and poold.worker(n)["next_recycle"].get("waits") == "limits.recycles"]
    assert waiting, "status names who waits, and for what"
    assert "wait for their turn to recycle" in poold.ctl("status")

    def all_done():
        return len(poold.events(6022)) == len(names)

    wait_until(all_done, limit=30, what="four recycles")
    running.finish_without_failure()
    story = [(e["pool"], e["id"]) for e in poold.events() if e["id"] == 6022
             or (e["id"] == 6020 and e["worker"] == "0.2")]
    for begins, ends in zip(story[::2], story[1::2]):
        assert begins == (ends[0], 6020) and ends[1] == 6022, story
    assert poold.supervisor()["recycles"]["held"] == 0


@claim(limit=40)
def a_higher_limit_of_recycles_lets_the_waiting_begin_at_once(box):
    names = ["a", "b", "c"]
    slow = box.open_path("slow")
    pools = {name: box.pool("--ready", "0", "--if", slow, "--mute", ready="notify")
             for name in names}
    poold = box.poold_raw({**box.config(pools), "limits": {"recycles": 1}}).wait_answering()
    poold.wait_all_started()
    box.touch("slow")
    poold.ctl("recycle", *names)
    assert poold.supervisor()["recycles"] == {"held": 1, "max": 1, "waiting": 2}
    poold.write_config({**box.config(pools), "limits": {"recycles": 3, "starts": 9}})
    plan = poold.call("config.apply")
    assert plan["changed"], plan
    wait_until(lambda: poold.supervisor()["recycles"] == {"held": 3, "max": 3, "waiting": 0},
               what="all three to be under way")
